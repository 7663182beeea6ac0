//! The takeover (and the forming of the first primary, which is a takeover from nobody). Every step follows from the record and from
//! what is seen now, so any operator can go on with it.
//!
//! 1. The record names the new epoch and the target, or no target yet where several could be promoted: those are detached first and compared.
//! 2. The target is told to become primary; it accepts no write yet. Everybody else who could vote for the old primary is detached.
//! 3. Once the old primary certainly accepts no more writes, the record names the target as the primary.
//! 4. The guard is brought to what follows from that record; that, and nothing before, opens the writes.

use crate::decision::{Command, ReasonCode};
use crate::evidence::Fate;
use crate::lineage;
use crate::memory::Seen;
use crate::observe::{Answer, Millis};
use crate::record::{Life, Phase, Quorum, Record, Why};
use crate::rules::Rule;
use crate::spec::UnfencedTakeover;
use crate::turn::{Turn, life, next};

impl<'a> Turn<'a> {
    /// One more step of the takeover.
    pub(crate) fn take_over(&mut self, record: &'a Record) -> Option<Record> {
        self.note_detached(record);
        let Some(target) = &record.target else {
            self.detach_members(record, None);
            return self.choose_target(record);
        };
        self.detach_members(record, Some(target));
        let Some(answer) = self.fresh_life(target) else { return self.target_lost(record, target) };
        if record.primary.as_ref() == Some(target)
            && let Some(waits) = self.end_handover(record, target, answer)
        {
            return waits;
        }
        let promoted = answer.is_primary() && (answer.fence.is_none() || answer.epoch() == record.epoch);
        let bound = answer.fence.is_none() || answer.has_seen(record.term);
        // One that a planned move made primary before it became a takeover is told again: by an older term it could still be led elsewhere.
        if promoted && bound && self.after_record(answer) {
            return self.open(record, target, answer);
        }
        if answer.fence.is_none() && !self.after_record(answer) {
            return None; // An order to a stock server cannot be taken back: only on what it says now.
        }
        if answer.loading || !answer.whole {
            self.say(
                ReasonCode::NotWhole,
                Some(&target.name),
                format!("the data set of {} is not whole; it cannot be promoted", target.name),
            );
            return self.target_lost(record, target);
        }
        if answer.fence.is_none() && !self.old_has_stopped(record, target) {
            // A stock server accepts writes at once: it lets go now and is promoted when the old primary has stopped.
            if record.primary.as_ref().is_some_and(|p| self.follows(answer, &p.name)) {
                self.detach(record, &target.name, answer);
            }
            return None;
        }
        self.promote(record, target, answer);
        None
    }

    /// Tells the target to be primary of this epoch, and to accept no write yet.
    pub(crate) fn promote(&mut self, record: &Record, target: &Life, answer: &Answer) {
        self.say(
            ReasonCode::WaitingForPromotion,
            Some(&target.name),
            format!("{} is to become primary of epoch {}", target.name, record.epoch),
        );
        let open = self.wanted(answer, record, 1);
        let quorum = if self.rules.hold(Rule::Closed) { Quorum::CLOSED } else { open };
        self.commands.push(Command::Promote {
            instance: target.name.clone(),
            run_id: answer.run_id.clone(),
            term: record.term,
            epoch: record.epoch,
            quorum,
        });
    }

    /// An old primary that is to go on may still be handing over. `Some`: it is not to be promoted now.
    fn end_handover(&mut self, record: &Record, target: &Life, answer: &Answer) -> Option<Option<Record>> {
        if answer.is_primary() {
            if !answer.failover_in_progress {
                return None;
            }
            if answer.fence.is_some() {
                // Our own server ends it when it is promoted, too.
                self.abort_handover(record, target, answer);
                return None;
            }
            // The word to give up may come when a stock server has already asked the other one to take over, which then does, late.
            // Its own time-out ends only what it has not asked yet.
            let message = format!("{} is to hand over or to give up by itself", target.name);
            self.say(ReasonCode::WaitingForHandover, Some(&target.name), message);
            return Some(None);
        }
        if !self.may_be_unfenced(&target.name) {
            return None;
        }
        // A stock server: whoever it follows may have been made primary by it, and accepts writes then.
        let heir = self.seen.instances.iter().find(|i| i.name != target.name && self.follows(answer, &i.name))?;
        if answer.failover_in_progress {
            if self.refuses(&heir.name) {
                self.abort_handover(record, target, answer);
            } else {
                let message = format!("{} is about to make {} primary", target.name, heir.name);
                self.say(ReasonCode::WaitingForHandover, Some(&heir.name), message);
            }
            return Some(None);
        }
        // It has followed that one at least since its link to it came to be as it is.
        let since = answer.received_ms.saturating_sub(answer.upstream.as_ref().map_or(0, |u| u.since_ms));
        match self.current(&heir.name).filter(|a| a.asked_ms >= since) {
            Some(a) if a.is_primary() => {
                let epoch = record.epoch + 1;
                Some(Some(Record { epoch, target: Some(life(&heir.name, a)), why: Some(Why::Demoted), ..next(record) }))
            }
            Some(_) => None,
            None => {
                let message = format!("{} may have made {} primary, which does not answer", target.name, heir.name);
                self.say(ReasonCode::WaitingForAnswer, Some(&heir.name), message);
                Some(None)
            }
        }
    }

    fn abort_handover(&mut self, record: &Record, target: &Life, answer: &Answer) {
        self.say(
            ReasonCode::WaitingForHandover,
            Some(&target.name),
            format!("{} is to give up its handover", target.name),
        );
        self.commands.push(Command::AbortFailover {
            instance: target.name.clone(),
            run_id: answer.run_id.clone(),
            term: record.term,
        });
    }

    /// Remembers since when each member is known to be detached. A later life of it boots detached, so this never has to be taken back.
    pub(crate) fn note_detached(&mut self, record: &Record) {
        let Some(primary) = &record.primary else { return };
        self.memory.detached.retain(|s| s.epoch == record.epoch);
        for name in record.members.iter().filter(|m| **m != primary.name) {
            if self.detached_since(record, name).is_some() {
                continue;
            }
            let seen =
                self.fresh(name).filter(|a| self.let_go(record, a, &primary.name)).map(|a| Some(a.run_id.clone()));
            if let Some(run_id) = seen.or_else(|| self.refuses(name).then_some(None)) {
                self.memory.detached.push(Seen { epoch: record.epoch, name: name.clone(), run_id, at_ms: self.now });
            }
        }
    }

    fn detached_since(&self, record: &Record, name: &str) -> Option<Millis> {
        self.memory.detached.iter().find(|s| s.epoch == record.epoch && s.name == name).map(|s| s.at_ms)
    }

    /// Detaches everybody who may vote for the old primary, and asks that one to step down.
    fn detach_members(&mut self, record: &Record, target: Option<&Life>) {
        let Some(primary) = &record.primary else { return };
        let is_target = |name: &str| target.is_some_and(|t| t.name == name);
        for name in record.members.iter().filter(|m| **m != primary.name && !is_target(m)) {
            if let Some(answer) = self.fresh(name).filter(|_| self.detached_since(record, name).is_none()) {
                self.detach(record, name, answer);
            }
        }
        if !is_target(&primary.name)
            && let Some(answer) = self.fresh_life(primary).filter(|a| !self.has_stepped_down(record, a))
        {
            self.detach(record, &primary.name, answer);
        }
    }

    fn has_stepped_down(&self, record: &Record, answer: &Answer) -> bool {
        // A handover under way can still be undone.
        !answer.is_primary()
            && !answer.failover_in_progress
            && answer.has_seen(record.term)
            && self.after_record(answer)
    }

    /// All that could be promoted have let go, or do not answer: the most advanced is taken.
    fn choose_target(&mut self, record: &'a Record) -> Option<Record> {
        let primary = record.primary.as_ref()?;
        if let Some(heir) = self.open_already(record, primary) {
            return Some(Record { target: Some(heir), ..next(record) });
        }
        if record.why == Some(Why::Retargeted)
            && let Some(name) = self.may_be_open(record, primary)
        {
            let message = format!("{name} may have been made primary by one that is lost, and does not answer");
            self.say(ReasonCode::WaitingForAnswer, Some(&name), message);
            return self.accepted(record);
        }
        let mut candidates: Vec<(&Life, &Answer)> = Vec::new();
        for who in &record.eligible {
            let Some(answer) = self.fresh_life(who) else { continue };
            if who == primary {
                if self.still_holds_all(record, answer) {
                    // It is back, and it holds all that was ever answered.
                    return Some(Record { target: Some(primary.clone()), ..next(record) });
                }
                continue; // It has begun another history since, and has nobody to let go of.
            }
            if self.detached_since(record, &who.name).is_none() {
                self.say(
                    ReasonCode::WaitingForDetach,
                    Some(&who.name),
                    format!("{} is to let go of {}", who.name, primary.name),
                );
                if self.rules.hold(Rule::MostAdvanced) {
                    return None;
                }
            } else if answer.whole && !answer.loading {
                candidates.push((who, answer));
            }
        }
        let names: Vec<&str> = candidates.iter().map(|(l, _)| l.name.as_str()).collect();
        if !self.enough_asked(record, &names) {
            return self.reelect_if_over(record, &record.eligible);
        }
        let Some((best, _)) = lineage::most_advanced(&candidates, |c| c.1) else {
            self.say(
                ReasonCode::Diverged,
                None,
                "the replicas hold different histories; nothing says which one counts",
            );
            return None;
        };
        Some(Record { target: Some((*best).clone()), ..next(record) })
    }

    /// A stock server that the old primary handed over to before it was lost: it accepts writes already.
    fn open_already(&self, record: &Record, primary: &Life) -> Option<Life> {
        let history = &record.lineage.as_ref()?.replid;
        record.members.iter().filter(|m| **m != primary.name).find_map(|name| {
            let open = |a: &&Answer| a.fence.is_none() && a.is_primary() && a.whole && a.position(history).is_some();
            self.current(name).filter(open).map(|a| life(name, a))
        })
    }

    /// A stock server of which that is not known.
    fn may_be_open(&self, record: &Record, primary: &Life) -> Option<String> {
        let unknown = |name: &&String| {
            **name != primary.name && self.may_be_unfenced(name) && self.current(name).is_none() && !self.refuses(name)
        };
        record.members.iter().find(unknown).cloned()
    }

    /// Whether every answered write is held by one of these: each was acknowledged by so many members, and fewer than that were not asked.
    pub(crate) fn enough_asked(&mut self, record: &Record, asked: &[&str]) -> bool {
        let primary = record.primary.as_ref().map_or("", |p| p.name.as_str());
        let missing: Vec<&String> =
            record.members.iter().filter(|m| *m != primary && !asked.contains(&m.as_str())).collect();
        let acks = record.guard.map_or(0, |g| g.acks) as usize;
        let enough = !asked.is_empty() && (acks == 0 || missing.len() < acks || !self.rules.hold(Rule::MostAdvanced));
        if !enough {
            let names: Vec<&str> = missing.iter().map(|m| m.as_str()).collect();
            self.say(
                ReasonCode::NoQuorum,
                None,
                format!("{} may hold answered writes that the others lack, and cannot be asked", names.join(", ")),
            );
        }
        enough
    }

    /// The target is primary of the new epoch: it is recorded as the primary as soon as the old one has certainly stopped.
    pub(crate) fn open(&mut self, record: &Record, target: &Life, answer: &Answer) -> Option<Record> {
        let now = self.now;
        if let Some(p) = self.memory.takeover.as_mut().filter(|p| p.epoch == record.epoch) {
            p.promoted_ms.get_or_insert(now);
        }
        if !self.old_has_stopped(record, target) && self.rules.hold(Rule::Wait) {
            return None;
        }
        let mut members = vec![target.name.clone()];
        for instance in self.seen.instances.iter().filter(|i| i.name != target.name) {
            let name = &instance.name;
            // Where the old primary goes on, those that were attached to it may attach to it again by themselves.
            let returns =
                record.primary.as_ref().is_some_and(|p| p.name == target.name) && record.members.contains(name);
            if returns || (self.stays(name) && self.fresh(name).is_some()) {
                members.push(name.clone());
            }
        }
        let failover = self.failover(record, target, answer);
        let mut failovers = vec![failover];
        failovers.extend(record.failovers.iter().take(crate::record::KEPT_FAILOVERS - 1).cloned());
        let stays = record.primary.as_ref().is_some_and(|primary| primary.name == target.name);
        let (reason, says) = if stays { ("PrimaryKept", "stays primary,") } else { ("PrimaryChanged", "is primary") };
        self.event(false, reason, format!("{} {says} of epoch {}", target.name, record.epoch));
        Some(Record {
            phase: Phase::Stable,
            primary: Some(life(&target.name, answer)),
            target: None,
            successors: Vec::new(),
            eligible: Vec::new(),
            members,
            guard: None,
            lineage: Some(lineage::of_primary(answer, record.epoch)),
            why: None,
            failovers,
            ..next(record)
        })
    }

    /// Whether the old primary certainly accepts no more writes.
    fn old_has_stopped(&mut self, record: &Record, target: &Life) -> bool {
        let Some(primary) = &record.primary else { return true };
        if primary == target {
            return true;
        }
        let fate = self.fate(primary);
        let stepped_down = self.fresh_life(primary).is_some_and(|a| self.has_stepped_down(record, a));
        let replaced = fate == Fate::Replaced && !self.rules.hold(Rule::Replaced);
        if fate == Fate::Dead || stepped_down || replaced {
            return true;
        }
        let Some(guard) = record.guard.filter(|g| g.votes > 0) else {
            // No lease to wait for: a stock server, or one that went on alone.
            if fate == Fate::Replaced {
                return true;
            }
            let may = self.may_be_unfenced(&target.name) && self.spec.unfenced_takeover == UnfencedTakeover::OnSilence;
            if !(may && self.is_silent(&primary.name)) {
                self.say(
                    ReasonCode::WaitingForDeath,
                    Some(&primary.name),
                    format!("{} has no lease that would end, and is not proven dead", primary.name),
                );
                return false;
            }
            return true;
        };
        self.lease_has_ended(record, primary, guard.votes as usize)
    }

    /// Whether the old primary has been without the votes it needs for longer than a vote lasts.
    fn lease_has_ended(&mut self, record: &Record, primary: &Life, votes: usize) -> bool {
        let voters: Vec<&String> = record.members.iter().filter(|m| **m != primary.name).collect();
        let mut detached: Vec<Millis> = voters.iter().filter_map(|m| self.detached_since(record, m)).collect();
        let needed = (voters.len() + 1).saturating_sub(votes);
        if detached.len() < needed && self.rules.hold(Rule::Detach) {
            self.say(
                ReasonCode::NoQuorum,
                Some(&primary.name),
                format!("{} may still have the votes of those that do not answer", primary.name),
            );
            return false;
        }
        detached.sort_unstable();
        let last = detached.into_iter().take(needed).next_back().unwrap_or(0);
        let end = last.max(self.since).max(self.memory.last_vote_ms.unwrap_or(0)) + self.spec.lease_end_ms();
        if self.now < end {
            self.say(
                ReasonCode::WaitingForLeaseEnd,
                Some(&primary.name),
                format!("{} may accept writes for another {} ms", primary.name, end - self.now),
            );
            return false;
        }
        true
    }

    /// The target cannot be promoted now: if it is lost, somebody else is chosen under a further epoch.
    fn target_lost(&mut self, record: &'a Record, target: &Life) -> Option<Record> {
        let answers = self.fresh_life(target).is_some();
        if !answers && !self.is_over(target) && !self.is_silent(&target.name) {
            self.say(
                ReasonCode::WaitingForAnswer,
                Some(&target.name),
                format!("{} is to be promoted and does not answer", target.name),
            );
            return None;
        }
        let primary = record.primary.as_ref();
        if self.may_be_unfenced(&target.name) && primary.is_some() && !answers && !self.is_over(target) {
            self.say(
                ReasonCode::WaitingForDeath,
                Some(&target.name),
                format!("{} was told to become primary, has no lease, and does not answer", target.name),
            );
            return None;
        }
        let old = primary.filter(|p| {
            *p != target
                && record.eligible.contains(p)
                && self.fresh_life(p).is_some_and(|a| self.still_holds_all(record, a))
        });
        if let Some(old) = old {
            self.event(
                true,
                "TakeoverCalledOff",
                format!("{} cannot be promoted; {} is back and goes on", target.name, old.name),
            );
            return Some(Record {
                epoch: record.epoch + 1,
                target: Some(old.clone()),
                why: Some(Why::CalledOff),
                ..next(record)
            });
        }
        let others: Vec<&Life> = record
            .eligible
            .iter()
            .filter(|e| *e != target && Some(*e) != primary && self.fresh_life(e).is_some_and(|a| a.whole))
            .collect();
        let names: Vec<&str> = others.iter().map(|l| l.name.as_str()).collect();
        if !others.is_empty() && primary.is_some() && self.enough_asked(record, &names) {
            return Some(Record { epoch: record.epoch + 1, target: None, why: Some(Why::Retargeted), ..next(record) });
        }
        // One that is in the middle of a full sync from a primary that is lost will never be whole, and refuses to be promoted.
        let halfway = self.fresh_life(target).is_some_and(|a| !a.is_primary() && !a.whole && self.after_record(a));
        if answers && !halfway { None } else { self.reelect_if_over(record, &record.eligible) }
    }
}
