//! Who follows the primary: attaching, and letting go of those that leave.
//!
//! Attaching an instance destroys what it holds where that differs. It is done only while the recorded primary is known to be the very life
//! that the record names, so that what it holds is the recorded data set.

use crate::decision::ReasonCode;
use crate::evidence::Fate;
use crate::observe::Presence;
use crate::record::{Life, Phase, Record};
use crate::rules::Rule;
use crate::turn::{Turn, life, next};

impl<'a> Turn<'a> {
    /// Records who joins and who has left; tells the others to follow.
    pub(crate) fn keep_members(&mut self, record: &'a Record, primary: &Life) -> Option<Record> {
        self.part(record, primary).or_else(|| self.attach(record, primary))
    }

    fn attach(&mut self, record: &'a Record, primary: &Life) -> Option<Record> {
        let mut joining = Vec::new();
        for instance in self.seen.instances.iter().filter(|i| i.name != primary.name) {
            let name = instance.name.as_str();
            if !self.stays(name) {
                continue;
            }
            let member = record.members.iter().any(|m| m == name);
            // On the word of one that has gone since, it would be taken in again and parted with at each look, until that word is old.
            let Some(answer) = self.fresh(name).filter(|_| member || !self.has_gone(record, name, primary, false))
            else {
                let what = if member { "does not answer" } else { "has not answered yet" };
                self.say(ReasonCode::WaitingForAnswer, Some(name), format!("{name} {what}"));
                continue;
            };
            if answer.loading {
                self.say(ReasonCode::WaitingForLoad, Some(name), format!("{name} is loading its data"));
                continue;
            }
            let follows = self.follows(answer, &primary.name);
            if !member {
                joining.push(name.to_owned());
            }
            if !follows && (member || !self.rules.hold(Rule::Members)) && self.after_record(answer) {
                self.follow(record, name, answer, &primary.name);
            }
        }
        if joining.is_empty() || !self.rules.hold(Rule::Members) {
            return None;
        }
        let members = record.members.iter().cloned().chain(joining).collect();
        Some(Record { members, ..next(record) })
    }

    /// Lets go of instances beyond the number asked for, and forgets members that are dead where the others are still enough for a majority.
    fn part(&mut self, record: &'a Record, primary: &Life) -> Option<Record> {
        let mut gone = Vec::new();
        for name in record.members.iter().filter(|m| **m != primary.name) {
            let leaves = !self.stays(name);
            if !leaves && record.members.len() <= 2 {
                continue;
            }
            if self.has_gone(record, name, primary, leaves) {
                gone.push(name.clone());
            } else if leaves && let Some(answer) = self.fresh(name) {
                self.detach(record, name, answer);
                self.say(ReasonCode::WaitingForDetach, Some(name), format!("{name} is to let go before it is removed"));
            }
        }
        if gone.is_empty() {
            return None;
        }
        let members: Vec<String> = record.members.iter().filter(|m| !gone.contains(m)).cloned().collect();
        // What only the departed had acknowledged, the others have yet to be seen to hold: successors are recorded anew.
        let acks = record.guard.is_some_and(|g| g.acks > 0);
        let (phase, successors) = if acks && self.rules.hold(Rule::Parting) {
            (Phase::Arming, Vec::new())
        } else {
            (record.phase, record.successors.iter().filter(|s| !gone.contains(&s.name)).cloned().collect())
        };
        Some(Record { phase, members, successors, ..next(record) })
    }

    /// Whether a member certainly does not vote for and acknowledge the primary any more, and will not unless told again. A new life that answers
    /// is not gone: the order to follow may be on its way to it.
    fn has_gone(&self, record: &Record, name: &str, primary: &Life, leaves: bool) -> bool {
        let last = self.answer(name).filter(|a| a.asked_ms >= self.since);
        let dead = self.refuses(name) || last.is_some_and(|a| self.fate(&life(name, a)) == Fate::Dead);
        // The pod of an instance that leaves is gone: the platform ended it.
        let removed = leaves && self.instance(name).is_none_or(|i| i.presence == Presence::Gone);
        let detached = leaves && self.fresh(name).is_some_and(|a| self.let_go(record, a, &primary.name));
        dead || removed || detached
    }

    /// How many instances the platform should keep while those that leave are still members.
    pub(crate) fn instances_needed(&self, record: Option<&Record>) -> u32 {
        let needed = record.into_iter().flat_map(|r| {
            r.members.iter().chain(r.primary.iter().map(|p| &p.name)).chain(r.target.iter().map(|t| &t.name))
        });
        let highest = needed.filter_map(|m| self.instance(m)).map(|i| i.ordinal + 1).max();
        let formed = record.is_some_and(|r| r.phase.is_formed());
        highest.unwrap_or(0).max(if formed { self.spec.instances } else { self.instances_to_hear() })
    }
}
