//! The guard of a serving primary: votes for it, who is recorded as its successor, when its guard goes on and off.
//!
//! The record is always on the safe side of what the primary does. To ask for less (or to lift the guard): record first, then tell. To ask
//! for more: tell, see it confirmed, see the replicas hold what the primary held then, and only then record.

use crate::decision::{Command, ReasonCode};
use crate::memory::Armed;
use crate::observe::Answer;
use crate::quorum;
use crate::record::{Life, Phase, Quorum, Record};
use crate::rules::Rule;
use crate::spec::Durability;
use crate::turn::{Turn, life, next};

impl<'a> Turn<'a> {
    /// Votes for the primary, once for each token.
    pub(crate) fn vote(&mut self, record: &Record, primary: &Life, answer: &Answer) {
        let Some(fence) = &answer.fence else { return };
        if !quorum::operator_votes(record.members.len()) || answer.run_id != primary.run_id || !answer.is_primary() {
            return;
        }
        let vote = (answer.run_id.clone(), fence.epoch, fence.token);
        if self.memory.voted.as_ref() == Some(&vote) {
            return;
        }
        self.commands.push(Command::Vote {
            instance: primary.name.clone(),
            run_id: answer.run_id.clone(),
            epoch: fence.epoch,
            token: fence.token,
        });
        self.memory.last_vote_ms = Some(self.now);
        self.memory.voted = Some(vote);
    }

    /// Keeps the record of successors, and the guard that follows from it, in step with who is in sync.
    pub(crate) fn keep_guard(&mut self, record: &'a Record, primary: &Life, answer: &'a Answer) -> Option<Record> {
        let durability = self.durability(answer, record);
        let actual = Quorum::of(answer);
        let kept: Vec<Life> =
            record.successors.iter().filter(|s| self.keeps_up(s, &primary.name, answer, durability)).cloned().collect();
        let wanted = self.wanted(answer, record, kept.len());
        let enforced = match record.guard {
            Some(g) => actual.is_some_and(|a| a.covers(g)),
            None => record.successors.is_empty() || answer.fence.is_none(),
        };
        if !record.successors.is_empty() && !enforced && self.after_record(answer) {
            return Some(without_successors(record));
        }
        if kept.len() < record.successors.len() {
            if !self.rules.hold(Rule::Alone) && kept.is_empty() {
                self.command_guard(record, primary, answer, None);
                return None;
            }
            return Some(lessen(record, kept, wanted));
        }
        if record.guard.is_some_and(|g| !wanted.covers(g)) {
            return Some(lessen(record, kept, wanted));
        }
        let newly: Vec<Life> = self.newly_in_sync(record, primary, answer, durability);
        let raise = !kept.is_empty() && answer.fence.is_some() && record.guard != Some(wanted);
        match record.phase {
            Phase::Arming => self.arm(record, primary, answer, kept, newly, raise),
            _ if newly.is_empty() && !raise => self.hold_guard(record, primary, answer, actual, durability),
            _ if !self.rules.hold(Rule::Arm) => {
                let successors = kept.into_iter().chain(newly).collect::<Vec<_>>();
                let guard = Some(self.wanted(answer, record, successors.len()));
                Some(Record { successors, guard, ..next(record) })
            }
            _ if answer.fence.is_none() => {
                Some(Record { successors: kept.into_iter().chain(newly).collect(), guard: None, ..next(record) })
            }
            _ => Some(Record { phase: Phase::Arming, ..next(record) }),
        }
    }

    /// Whether a successor still counts as one.
    fn keeps_up(&mut self, successor: &Life, primary: &str, answer: &'a Answer, durability: Durability) -> bool {
        let name = successor.name.as_str();
        if !self.stays(name) {
            return false;
        }
        if self.is_over(successor) {
            self.say(
                ReasonCode::WaitingForSync,
                Some(name),
                format!("{name} has restarted or is gone; it counts as a successor when it is in sync again"),
            );
            return false;
        }
        if durability == Durability::Sync {
            return true; // Writes wait for it: whatever was answered, it holds.
        }
        let word = self.fresh_life(successor);
        let attached = word.map_or_else(|| self.acknowledges(answer, name), |a| self.in_sync(a, primary));
        // What it has lost may be the primary's life. Nobody took over from one that died just after its successor was given up.
        // By the replica's own word of how long that is: both may be asked at the same moments, for ever.
        let lost = word.and_then(|a| Some(a.received_ms.saturating_sub(a.upstream.as_ref()?.since_ms)));
        let outlived = lost.is_none_or(|ms| answer.asked_ms > ms);
        if !attached && !outlived && self.rules.hold(Rule::Outlived) {
            let message = format!("{name} has lost its link to {primary}, which has not answered since");
            self.say(ReasonCode::WaitingForAnswer, Some(primary), message);
            return true;
        }
        let near = durability.waits() || self.lag(successor).is_none_or(|ms| ms <= self.spec.max_lag_ms);
        if !(attached && near) {
            let why = if attached { "too far behind" } else { "not attached to the primary" };
            self.say(
                ReasonCode::WaitingForSync,
                Some(name),
                format!("{name} is {why}; it is no successor until it is in sync again"),
            );
        }
        attached && near
    }

    /// Members that are in sync and not yet recorded as successors.
    fn newly_in_sync(&mut self, record: &Record, primary: &Life, answer: &Answer, durability: Durability) -> Vec<Life> {
        let mut newly = Vec::new();
        for name in record.members.iter().filter(|m| **m != primary.name) {
            // On the word of one that has gone since, the guard would go on for nobody: writes would wait until that word is old.
            let Some(replica) = self.fresh(name).filter(|_| self.stays(name) && self.is_connected(name)) else {
                continue;
            };
            let it = life(name, replica);
            let near = durability.waits() || self.lag(&it).is_some_and(|ms| ms <= self.spec.max_lag_ms);
            let in_sync = self.in_sync(replica, &primary.name) && replica.replid == answer.replid;
            if record.successors.contains(&it) {
                continue;
            }
            if in_sync && near {
                newly.push(it);
            } else {
                self.say(ReasonCode::WaitingForSync, Some(name), format!("{name} is not in sync yet"));
            }
        }
        newly
    }

    /// Guard on, confirmed, caught up: then they are recorded.
    fn arm(
        &mut self,
        record: &'a Record,
        primary: &Life,
        answer: &Answer,
        kept: Vec<Life>,
        newly: Vec<Life>,
        raise: bool,
    ) -> Option<Record> {
        let candidates: Vec<Life> = kept
            .iter()
            .filter(|s| !newly.iter().any(|n| n.name == s.name))
            .cloned()
            .chain(newly.iter().cloned())
            .collect();
        if (newly.is_empty() && !raise) || answer.fence.is_none() {
            return Some(Record { phase: Phase::Stable, successors: kept, ..next(record) });
        }
        let quorum = self.wanted(answer, record, candidates.len());
        if Quorum::of(answer) != Some(quorum) || !(answer.has_seen(record.term) && self.after_record(answer)) {
            self.say(
                ReasonCode::WaitingForGuard,
                Some(&primary.name),
                format!("{} is to confirm its guard", primary.name),
            );
            self.command_guard(record, primary, answer, Some(quorum));
            return None;
        }
        let known = self
            .memory
            .armed
            .clone()
            .filter(|a| a.term == record.term && a.run_id == answer.run_id && a.quorum == quorum);
        let armed = known.unwrap_or_else(|| Armed {
            term: record.term,
            run_id: answer.run_id.clone(),
            quorum,
            offset: answer.offset,
            asked_ms: answer.asked_ms,
        });
        let ready: Vec<Life> = candidates
            .iter()
            .filter(|c| {
                let caught_up = |a: &Answer| {
                    a.replid == answer.replid
                        && self.in_sync(a, &primary.name)
                        && (a.offset >= armed.offset || !self.rules.hold(Rule::CatchUp))
                };
                self.fresh_life(c).is_some_and(caught_up)
            })
            .cloned()
            .collect();
        // Who was a successor under a guard that waited for no less stays one, caught up or not.
        let valid: Vec<&Life> = kept
            .iter()
            .filter(|s| candidates.contains(s) && record.guard.is_some_and(|g| g.acks >= quorum.acks))
            .collect();
        let ready: Vec<Life> = candidates.iter().filter(|c| valid.contains(c) || ready.contains(c)).cloned().collect();
        let patience = self.now.saturating_sub(armed.asked_ms) >= self.spec.detection_timeout_ms;
        self.memory.armed = Some(armed);
        if ready.len() == candidates.len() || (patience && !ready.is_empty() && ready.len() > kept.len()) {
            let guard = quorum.lesser(self.wanted(answer, record, ready.len()));
            let names: Vec<&str> = ready.iter().map(|l| l.name.as_str()).collect();
            self.event(false, "SuccessorsReady", format!("{} can take over from {}", names.join(", "), primary.name));
            return Some(Record { phase: Phase::Stable, successors: ready, guard: Some(guard), ..next(record) });
        }
        for c in candidates.iter().filter(|c| !ready.contains(c)) {
            self.say(
                ReasonCode::WaitingForSync,
                Some(&c.name),
                format!("{} is to catch up with what {} held when its guard went on", c.name, primary.name),
            );
        }
        None
    }

    /// Nothing changes in the record: the primary's guard is brought to what is recorded.
    fn hold_guard(
        &mut self,
        record: &Record,
        primary: &Life,
        answer: &Answer,
        actual: Option<Quorum>,
        durability: Durability,
    ) -> Option<Record> {
        answer.fence.as_ref()?;
        let due = match (durability, record.guard) {
            (_, Some(guard)) => Some(guard),
            (Durability::Sync, None) => Some(self.wanted(answer, record, 0)),
            (_, None) => None,
        };
        if actual != due {
            self.command_guard(record, primary, answer, due);
        }
        None
    }

    fn command_guard(&mut self, record: &Record, primary: &Life, answer: &Answer, quorum: Option<Quorum>) {
        self.commands.push(Command::Guard {
            instance: primary.name.clone(),
            run_id: answer.run_id.clone(),
            term: record.term,
            quorum,
        });
    }
}

/// Fewer successors, or a guard that asks for less; the primary is told when this is recorded.
fn lessen(record: &Record, kept: Vec<Life>, wanted: Quorum) -> Record {
    if kept.is_empty() {
        return without_successors(record);
    }
    Record { phase: Phase::Stable, successors: kept, guard: record.guard.map(|g| g.lesser(wanted)), ..next(record) }
}

/// Nobody may be promoted: the primary may go on alone.
fn without_successors(record: &Record) -> Record {
    Record { phase: Phase::Stable, successors: Vec::new(), guard: None, ..next(record) }
}

#[cfg(test)]
pub(crate) mod tests;
