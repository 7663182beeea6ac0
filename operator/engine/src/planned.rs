//! Planned moves: the primary hands over by itself (`FAILOVER TO`), and nothing is lost.
//!
//! The record comes first, as in a takeover; the primary has to have seen its term before it is told to hand over, so that no older order
//! can make it primary again afterwards. What ends the move is a takeover: to the target if that has become primary or the old
//! one is lost, back to the old primary under a further epoch if time is up.

use crate::decision::{Command, ReasonCode};
use crate::evidence::Fate;
use crate::observe::Answer;
use crate::record::{Life, Phase, Quorum, Record, Why};
use crate::rules::Rule;
use crate::turn::{Turn, next};

impl<'a> Turn<'a> {
    /// Whether the primary is to move, and then to whom: begins the move, or says why it cannot.
    pub(crate) fn keep_place(&mut self, record: &'a Record, primary: &Life, answer: &Answer) -> Option<Record> {
        let wish = self.spec.switchover.as_ref().filter(|s| record.switchover_done.as_ref() != Some(&s.id));
        let unwanted = !self.stays(&primary.name) || self.spec.avoid.contains(&primary.name);
        if let Some(wish) = wish.filter(|w| w.to.as_ref() == Some(&primary.name)) {
            return Some(Record { switchover_done: Some(wish.id.clone()), ..record.clone() });
        }
        if (wish.is_none() && !unwanted) || record.phase != Phase::Stable {
            return None;
        }
        let named = wish.and_then(|w| w.to.clone());
        let target = record.successors.iter().find(|s| {
            let fits = named.as_ref().map_or(!self.spec.avoid.contains(&s.name), |n| *n == s.name);
            fits && self.stays(&s.name) && self.fresh_life(s).is_some_and(|a| self.in_sync(a, &primary.name))
        });
        let Some(target) = target.cloned() else {
            let whom = named.map_or_else(
                || "a replica that is in sync and may be primary".to_owned(),
                |n| format!("{n} to be in sync"),
            );
            self.say(
                ReasonCode::CannotMove,
                Some(&primary.name),
                format!("{} is to hand over and waits for {whom}", primary.name),
            );
            return None;
        };
        if answer.failover_in_progress {
            self.say(
                ReasonCode::CannotMove,
                Some(&primary.name),
                "a failover that nobody recorded is under way; it is waited for",
            );
            return None;
        }
        self.event(false, "MoveBegan", format!("{} hands over to {}", primary.name, target.name));
        let mut eligible = vec![primary.clone()];
        eligible.extend(record.successors.iter().cloned());
        Some(Record {
            phase: Phase::Moving,
            epoch: record.epoch + 1,
            target: Some(target),
            eligible,
            why: Some(if wish.is_some() { Why::Requested } else { Why::Evaded }),
            switchover_done: wish.map(|w| w.id.clone()).or_else(|| record.switchover_done.clone()),
            ..next(record)
        })
    }

    /// One more step of the move.
    pub(crate) fn hand_over(&mut self, record: &'a Record) -> Option<Record> {
        let (Some(primary), Some(target)) = (&record.primary, &record.target) else { return None };
        let taken = Record { phase: Phase::Takeover, successors: Vec::new(), ..next(record) };
        let heir = self.current(&target.name).filter(|a| a.run_id == target.run_id && a.is_primary());
        if heir.is_some() {
            return Some(taken);
        }
        let Some(answer) = self.fresh_life(primary) else { return self.broken_off(record, primary, taken) };
        let over = self.now.saturating_sub(self.seen.record_seen_ms) > self.spec.move_timeout_ms;
        if !answer.is_primary() {
            return if self.after_record(answer) {
                self.handed_over(record, primary, target, answer, over, taken)
            } else {
                None
            };
        }
        self.vote(record, primary, answer);
        let lost = self.fresh_life(target).is_none_or(|a| !self.in_sync(a, &primary.name));
        if over || (lost && !answer.failover_in_progress) {
            return Some(self.call_off(record, primary));
        }
        self.say(
            ReasonCode::WaitingForHandover,
            Some(&primary.name),
            format!("{} hands over to {}", primary.name, target.name),
        );
        if !answer.has_seen(record.term) && self.rules.hold(Rule::Handover) {
            let quorum = record.guard.or_else(|| Quorum::of(answer));
            self.commands.push(Command::Guard {
                instance: primary.name.clone(),
                run_id: answer.run_id.clone(),
                term: record.term,
                quorum,
            });
        } else if !answer.failover_in_progress
            && let Some(to) = self.instance(&target.name)
        {
            self.commands.push(Command::Failover {
                instance: primary.name.clone(),
                run_id: answer.run_id.clone(),
                term: record.term,
                to: target.name.clone(),
                address: to.address.clone(),
                timeout_ms: self.spec.move_timeout_ms / 2,
            });
        }
        None
    }

    /// The primary is none any more, and the target has not said yet that it is: it is promoted if it holds what the old one holds.
    fn handed_over(
        &mut self,
        record: &Record,
        primary: &Life,
        target: &Life,
        answer: &Answer,
        over: bool,
        taken: Record,
    ) -> Option<Record> {
        let later =
            self.current(&target.name).filter(|a| a.run_id == target.run_id && a.asked_ms >= answer.received_ms);
        if let Some(a) = later {
            let has_all = a.whole && a.position(&answer.replid).is_some_and(|p| p >= answer.offset);
            return Some(if has_all { taken } else { self.call_off(record, primary) });
        }
        let closed = answer.fence.is_some() || self.is_over(target);
        if closed && (over || self.is_over(target)) {
            return Some(self.call_off(record, primary));
        }
        self.say(
            ReasonCode::WaitingForHandover,
            Some(&target.name),
            format!("{} is to say that it is primary", target.name),
        );
        None
    }

    /// The old primary is recorded again, under a further epoch.
    fn call_off(&mut self, record: &Record, primary: &Life) -> Record {
        self.event(true, "MoveCalledOff", format!("{} did not hand over in time and goes on", primary.name));
        let back = Record {
            epoch: record.epoch + 1,
            phase: Phase::Takeover,
            target: Some(primary.clone()),
            successors: Vec::new(),
            why: Some(Why::CalledOff),
            ..next(record)
        };
        if self.rules.hold(Rule::CalledOff) {
            back
        } else {
            Record { phase: Phase::Stable, target: None, eligible: Vec::new(), ..back }
        }
    }

    /// The primary was lost while it was to hand over: what was planned becomes a takeover.
    fn broken_off(&mut self, record: &Record, primary: &Life, taken: Record) -> Option<Record> {
        let lost =
            self.fate(primary) == Fate::Dead || self.is_silent(&primary.name) || self.fate(primary) == Fate::Replaced;
        if !lost {
            self.say(ReasonCode::WaitingForAnswer, Some(&primary.name), format!("{} does not answer", primary.name));
            return None;
        }
        let others = record.members.iter().filter(|m| **m != primary.name).count();
        Some(if others > 1 { Record { target: None, epoch: record.epoch + 1, ..taken } } else { taken })
    }
}
