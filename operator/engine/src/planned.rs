//! Planned moves: the primary hands over by itself (`FAILOVER TO`), and nothing is lost.
//!
//! The record comes first, as in a takeover. What ends the move is a takeover: to the target if that has become primary and the old one
//! has stepped down for good, or is lost; back to the old primary under a further epoch if not, or if time is up.

use crate::decision::{Command, ReasonCode};
use crate::evidence::Fate;
use crate::memory::CalledOff;
use crate::observe::{Answer, Millis};
use crate::record::{Life, Phase, Record, Why};
use crate::rules::Rule;
use crate::turn::{Turn, next};

/// After a move that came to nothing the next one is begun no sooner than so many times what a move may take.
const REST_MOVES: u64 = 2;

/// A person's wish to move the primary.
struct Wish {
    /// To whom; `None`: to the most advanced replica.
    to: Option<String>,
    /// Which one; `None`: the one of the spec.
    id: Option<String>,
}

impl Wish {
    /// What it is known by.
    fn key(&self) -> Option<&String> {
        self.id.as_ref().or(self.to.as_ref())
    }

    /// Notes that it was carried out, or given up: it is not begun again.
    fn granted(&self, record: Record) -> Record {
        match &self.id {
            Some(id) => Record { switchover_done: Some(id.clone()), ..record },
            None => Record { placed: self.to.clone(), ..record },
        }
    }
}

impl<'a> Turn<'a> {
    /// Whether the primary is to move, and then to whom: begins the move, or says why it cannot.
    pub(crate) fn keep_place(&mut self, record: &'a Record, primary: &Life, answer: &Answer) -> Option<Record> {
        if self.spec.place.is_none() && record.placed.is_some() {
            return Some(Record { placed: None, ..record.clone() });
        }
        let wish = self.wish(record);
        let unwanted = !self.stays(&primary.name) || self.spec.avoid.contains(&primary.name);
        let idle = |to: &String| *to == primary.name || !self.stays(to);
        if let Some(wish) = wish.as_ref().filter(|w| w.to.as_ref().is_some_and(idle)) {
            if let Some(to) = wish.to.as_ref().filter(|to| !self.stays(to)) {
                let message = format!(
                    "{} stays primary: there is no instance \"{to}\" that could be; name one, or write any",
                    primary.name
                );
                self.event(true, "MoveRefused", message);
            }
            return Some(wish.granted(record.clone()));
        }
        if (wish.is_none() && !unwanted) || record.phase != Phase::Stable {
            return None;
        }
        if let Some(ms) = self.rests(wish.as_ref()) {
            let message =
                format!("{} did not hand over; the next attempt is in {} s", primary.name, ms.div_ceil(1_000));
            self.say(ReasonCode::CannotMove, Some(&primary.name), message);
            return None;
        }
        let named = wish.as_ref().and_then(|w| w.to.clone());
        let able =
            |s: &&Life| self.stays(&s.name) && self.fresh_life(s).is_some_and(|a| self.in_sync(a, &primary.name));
        let asked_for = record.successors.iter().filter(able).find(|s| named.as_ref() == Some(&s.name));
        let any = record.successors.iter().filter(able).find(|s| !self.spec.avoid.contains(&s.name));
        let target = asked_for.or_else(|| any.filter(|_| named.is_none() || unwanted));
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
        if self.now < self.spec.settled_at_ms {
            let message = format!(
                "{} is to hand over when nodes have taken in where the Services lead since a moment ago",
                primary.name
            );
            self.say(ReasonCode::CannotMove, Some(&primary.name), message);
            return None;
        }
        self.event(false, "MoveBegan", format!("{} hands over to {}", primary.name, target.name));
        let mut eligible = vec![primary.clone()];
        eligible.extend(record.successors.iter().cloned());
        let moving = Record {
            phase: Phase::Moving,
            epoch: record.epoch + 1,
            target: Some(target),
            eligible,
            why: Some(if wish.is_some() { Why::Requested } else { Why::Evaded }),
            ..next(record)
        };
        Some(match wish {
            Some(wish) => wish.granted(moving),
            None => moving,
        })
    }

    /// Whether somebody waits for the primary to be elsewhere.
    pub(crate) fn is_to_move(&self, record: &Record) -> bool {
        let leaves = record.primary.as_ref().is_some_and(|primary| !self.stays(&primary.name));
        leaves || self.wish(record).is_some()
    }

    /// How long a move still waits after one that came to nothing: each attempt is a pause for the clients. A wish that has come since waits for
    /// nothing.
    fn rests(&self, wish: Option<&Wish>) -> Option<Millis> {
        let called_off = self.memory.called_off.as_ref()?;
        let since = self.now.saturating_sub(called_off.at_ms);
        let rest = REST_MOVES * self.spec.move_timeout_ms;
        let known = wish.is_none_or(|wish| wish.key() == called_off.wish.as_ref());
        (known && since < rest).then(|| rest - since)
    }

    /// Notes that a move has come to nothing, and the wish that stands all the same.
    pub(crate) fn remember_called_off(&mut self, record: &Record) {
        let wish = self.wish(record).and_then(|wish| wish.key().cloned());
        self.memory.called_off = Some(CalledOff { at_ms: self.now, wish });
    }

    /// A person's wish that is not carried out yet: one that was said once comes before where the spec wants the primary to be.
    fn wish(&self, record: &Record) -> Option<Wish> {
        let said = self.spec.switchover.as_ref().filter(|s| record.switchover_done.as_ref() != Some(&s.id));
        let said = said.map(|s| Wish { to: s.to.clone(), id: Some(s.id.clone()) });
        let place = || self.spec.place.clone().filter(|p| record.placed.as_ref() != Some(p));
        said.or_else(|| Some(Wish { to: Some(place()?), id: None }))
    }

    /// One more step of the move.
    pub(crate) fn hand_over(&mut self, record: &'a Record) -> Option<Record> {
        let (Some(primary), Some(target)) = (&record.primary, &record.target) else { return None };
        let taken = Record { phase: Phase::Takeover, successors: Vec::new(), ..next(record) };
        let risen = self.current(&target.name).filter(|a| a.run_id == target.run_id && a.is_primary());
        if risen.is_some() && self.may_be_unfenced(&target.name) {
            return Some(taken); // It accepts writes already.
        }
        let Some(answer) = self.fresh_life(primary) else { return self.broken_off(record, primary, taken) };
        let over = self.now.saturating_sub(self.seen.record_seen_ms) > self.spec.move_timeout_ms;
        match risen {
            Some(heir) => self.risen(record, primary, target, (answer, heir), over, taken),
            None if answer.is_primary() => self.await_handover(record, primary, target, answer, over),
            None => self.await_heir(record, primary, target, answer, over, taken),
        }
    }

    /// The target has become primary, closed until it is told otherwise. The old one may have gone on meanwhile, if the target's word did not
    /// reach it: what counts is that it has stepped down for good, and that the target holds what it held then.
    fn risen(
        &mut self,
        record: &Record,
        primary: &Life,
        target: &Life,
        (answer, heir): (&Answer, &Answer),
        over: bool,
        taken: Record,
    ) -> Option<Record> {
        let undecided = if answer.is_primary() {
            answer.asked_ms < heir.received_ms
        } else {
            answer.failover_in_progress || !self.after_record(answer)
        };
        if !self.rules.hold(Rule::Undone) {
            return Some(taken);
        }
        if undecided && !over {
            let message = format!("{} is to confirm that it has stepped down for {}", primary.name, target.name);
            self.say(ReasonCode::WaitingForHandover, Some(&primary.name), message);
            return None;
        }
        let has_all = heir.position(&answer.replid).is_some_and(|p| p >= answer.offset);
        if !has_all && heir.asked_ms < answer.received_ms && !over {
            // The old primary, heard later, holds what the target has sent it since.
            let message = format!("{} is to say how far it is", target.name);
            self.say(ReasonCode::WaitingForHandover, Some(&target.name), message);
            return None;
        }
        let stepped_down = !answer.is_primary() && !answer.failover_in_progress && self.after_record(answer);
        if !(stepped_down && has_all) {
            let why = if has_all { format!("has not stepped down for {}", target.name) } else { lacks(target) };
            return Some(self.call_off(record, primary, &why));
        }
        self.install(record, primary, target, (answer, heir))
    }

    /// Both have done their part, and clients wait: the target is told its epoch and stays closed, the old primary is bound to what is recorded.
    /// Then the target is recorded as the primary, without a record of a takeover in between: that would say nothing that this one does not,
    /// and if either is lost before, what comes of it is a takeover like any other.
    fn install(
        &mut self,
        record: &Record,
        primary: &Life,
        target: &Life,
        (answer, heir): (&Answer, &Answer),
    ) -> Option<Record> {
        let promoted = heir.epoch() == record.epoch && self.after_record(heir);
        if promoted && answer.has_seen(record.term) {
            // The old primary is attached to it, mostly: its guard goes on at once.
            return self.open(record, target, heir).map(|opened| Record { phase: Phase::Arming, ..opened });
        }
        if !answer.has_seen(record.term) {
            self.follow(record, &primary.name, answer, &target.name);
        }
        if !promoted {
            self.promote(record, target, heir);
        }
        None
    }

    /// The old primary is one still, and is to hand over.
    fn await_handover(
        &mut self,
        record: &Record,
        primary: &Life,
        target: &Life,
        answer: &Answer,
        over: bool,
    ) -> Option<Record> {
        self.vote(record, primary, answer);
        if over {
            let limit = self.spec.move_timeout_ms / 1_000;
            return Some(self.call_off(
                record,
                primary,
                &format!("did not hand over to {} within {limit} s", target.name),
            ));
        }
        // An operator that has just taken office has yet to hear it.
        if self.is_unheard(&target.name) {
            let message = format!("{} has not answered yet; {} is to hand over to it", target.name, primary.name);
            self.say(ReasonCode::WaitingForAnswer, Some(&target.name), message);
            return None;
        }
        let lost = self.fresh_life(target).is_none_or(|a| !self.in_sync(a, &primary.name));
        if lost && !answer.failover_in_progress {
            let why = format!("has not handed over: {} was lost, or is not in sync any more", target.name);
            let called_off = self.call_off(record, primary, &why);
            // The target may come back.
            return Some(if record.why == Some(Why::Requested) {
                wished_again(called_off, target)
            } else {
                called_off
            });
        }
        self.say(
            ReasonCode::WaitingForHandover,
            Some(&primary.name),
            format!("{} hands over to {}", primary.name, target.name),
        );
        // The Services lead to it already.
        if let Some(heir) = self.fresh_life(target).filter(|a| a.fence.is_some()) {
            self.commands.push(Command::Hold {
                instance: target.name.clone(),
                run_id: heir.run_id.clone(),
                term: record.term,
            });
        }
        let led = self.now.saturating_sub(self.seen.record_seen_ms) >= self.spec.lead_ms;
        if led
            && !answer.failover_in_progress
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
    fn await_heir(
        &mut self,
        record: &Record,
        primary: &Life,
        target: &Life,
        answer: &Answer,
        over: bool,
        taken: Record,
    ) -> Option<Record> {
        if !self.after_record(answer) {
            return None;
        }
        let later = self
            .current(&target.name)
            .filter(|a| a.run_id == target.run_id && a.asked_ms >= answer.received_ms && !answer.failover_in_progress);
        if let Some(a) = later {
            let has_all = a.whole && a.position(&answer.replid).is_some_and(|p| p >= answer.offset);
            return Some(if has_all { taken } else { self.call_off(record, primary, &lacks(target)) });
        }
        let closed = !self.may_be_unfenced(&target.name) || self.is_over(target);
        if closed && (over || self.is_over(target)) {
            let why = format!("has handed over, and {} did not become primary", target.name);
            return Some(self.call_off(record, primary, &why));
        }
        self.say(
            ReasonCode::WaitingForHandover,
            Some(&target.name),
            format!("{} is to say that it is primary", target.name),
        );
        None
    }

    /// The old primary is recorded again, under a further epoch.
    fn call_off(&mut self, record: &Record, primary: &Life, why: &str) -> Record {
        self.event(true, "MoveCalledOff", format!("{} {why}; it goes on", primary.name));
        Record {
            epoch: record.epoch + 1,
            phase: Phase::Takeover,
            target: Some(primary.clone()),
            successors: Vec::new(),
            why: Some(Why::CalledOff),
            ..next(record)
        }
    }

    /// The primary was lost while it was to hand over: what was planned becomes a takeover.
    fn broken_off(&mut self, record: &Record, primary: &Life, taken: Record) -> Option<Record> {
        let why = match self.fate(primary) {
            Fate::Dead => Why::Died,
            Fate::Replaced => Why::Restarted,
            Fate::Unknown if self.is_silent(&primary.name) => Why::Silent,
            Fate::Unknown => {
                let message = format!("{} does not answer", primary.name);
                self.say(ReasonCode::WaitingForAnswer, Some(&primary.name), message);
                return None;
            }
        };
        let taken = Record { why: Some(why), ..taken };
        let others = record.members.iter().filter(|m| **m != primary.name).count();
        // A stock server that was handed over to accepts writes already, heard or not: it is the only choice.
        let choose = others > 1 && !self.may_be_unfenced(record.target.as_ref().map_or("", |t| &t.name));
        Some(if choose { Record { target: None, epoch: record.epoch + 1, ..taken } } else { taken })
    }
}

fn lacks(target: &Life) -> String {
    format!("has not handed over: {} does not hold all that it held", target.name)
}

/// The wish for a move to this target stands again.
fn wished_again(record: Record, target: &Life) -> Record {
    if record.placed.as_ref() == Some(&target.name) {
        Record { placed: None, ..record }
    } else {
        Record { switchover_done: None, ..record }
    }
}

#[cfg(test)]
mod tests;
