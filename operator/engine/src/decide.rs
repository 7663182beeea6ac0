//! The order in which things are decided.

use crate::decision::{Decision, ReasonCode};
use crate::evidence::Fate;
use crate::lineage;
use crate::memory::Memory;
use crate::observe::{Answer, Observation};
use crate::record::{Life, Lineage, Phase, Record, Why};
use crate::rules::{Rule, Rules};
use crate::turn::Turn;

/// Says what is to be done now. A pure function of what was seen and what was kept.
pub fn decide(seen: &Observation, memory: &Memory) -> Decision {
    decide_by(seen, memory, Rules::default())
}

/// The same, by these rules.
pub(crate) fn decide_by(seen: &Observation, memory: &Memory, rules: Rules) -> Decision {
    let mut turn = Turn::new(seen, seen.leader, memory, rules);
    let Some(lead) = seen.leader.filter(|l| seen.now_ms < l.until_ms || !rules.hold(Rule::Witness)) else {
        return turn.stand_by(ReasonCode::NotLeading, "this operator does not hold the Lease");
    };
    if seen.record_read_ms < lead.since_ms && rules.hold(Rule::RecordRead) {
        return turn
            .stand_by(ReasonCode::RecordNotRead, "the record has not been read since this operator became leader");
    }
    let Some(record) = &seen.record else {
        let written = if turn.spec.paused { None } else { turn.form(None) };
        return turn.finish(written);
    };
    turn.measure(record);
    turn.note_progress(record);
    // What was begun is brought to its end: halfway through a takeover nobody accepts writes.
    if turn.spec.paused && matches!(record.phase, Phase::Stable | Phase::Arming) {
        if let Some(primary) = &record.primary
            && let Some(answer) = turn.fresh_life(primary)
        {
            turn.vote(record, primary, answer);
        }
        return turn.stand_by(ReasonCode::Paused, "the resource is paused: only votes are sent");
    }
    let written = match record.phase {
        Phase::Forming | Phase::Takeover => turn.take_over(record),
        Phase::Moving => turn.hand_over(record),
        Phase::Stable | Phase::Arming => turn.govern(record),
    };
    let written = written.map(|r| turn.trace_target(record, r));
    if let Some(called_off) = written.as_ref().filter(|r| r.why == Some(Why::CalledOff) && record.why != r.why) {
        turn.remember_called_off(called_off);
    }
    if turn.reasons.is_empty() && written.is_none() {
        turn.say(ReasonCode::Steady, None, "all is as it should be");
    }
    turn.finish(written)
}

impl<'a> Turn<'a> {
    /// A record that names another target takes down what that one's data set goes by now.
    fn trace_target(&self, before: &Record, mut record: Record) -> Record {
        if let (Some(target), Some(lineage)) = (&record.target, &mut record.lineage)
            && before.target.as_ref() != Some(target)
            && let Some(answer) = self.answer(&target.name).filter(|a| a.run_id == target.run_id)
        {
            lineage.follow_to(answer);
        }
        record
    }

    /// There is a primary: it is kept in office, or replaced.
    fn govern(&mut self, record: &'a Record) -> Option<Record> {
        let primary = record.primary.as_ref()?;
        let legitimate = |a: &&Answer| {
            a.run_id == primary.run_id && a.is_primary() && (a.fence.is_none() || a.epoch() == record.epoch)
        };
        if let Some(answer) = self.fresh(&primary.name).filter(legitimate) {
            self.vote(record, primary, answer);
            let written = self
                .count_loss(record)
                .or_else(|| self.keep_members(record, primary))
                .or_else(|| self.keep_guard(record, primary, answer))
                .or_else(|| self.keep_place(record, primary, answer))
                .or_else(|| self.keep_lineage(record, answer));
            let written = written.map(|r| self.renewed(r, answer));
            if written.is_some() {
                self.commands.retain(|c| matches!(c, crate::Command::Vote { .. }));
            } else {
                self.dismiss_former_clients(record, &primary.name);
            }
            return written;
        }
        match self.fate(primary) {
            Fate::Dead => {
                let restarted = self.current(&primary.name).is_some();
                return self.replace(record, primary, if restarted { Why::Restarted } else { Why::Died });
            }
            Fate::Replaced => return self.replace(record, primary, Why::Restarted),
            Fate::Unknown => {}
        }
        if self.current(&primary.name).is_some() {
            return self.replace(record, primary, Why::Demoted);
        }
        self.doubt(record, primary)
    }

    /// The primary does not answer, and nothing proves it dead.
    fn doubt(&mut self, record: &'a Record, primary: &Life) -> Option<Record> {
        let name = primary.name.as_str();
        let Some(silence) = self.silence(name) else {
            self.say(ReasonCode::WaitingForAnswer, Some(name), format!("{name} does not answer"));
            return None;
        };
        if !self.is_silent(name) {
            let limit = self.spec.detection_timeout_ms;
            self.say(
                ReasonCode::WaitingForSilence,
                Some(name),
                format!("{name} has been silent for {silence} of {limit} ms"),
            );
            return None;
        }
        let fed =
            record.successors.iter().find(|s| self.fresh_life(s).is_some_and(|a| !self.starves(&s.name, a, name)));
        if let Some(fed) = fed {
            let message = format!(
                "{name} does not answer this operator, but {} still hears from it: it is left in office",
                fed.name
            );
            self.say(ReasonCode::WaitingForDeath, Some(name), message);
            return None;
        }
        if record.guard.is_none_or(|g| g.votes == 0) && !self.may_unseat_unfenced(record) {
            self.say(
                ReasonCode::NoSuccessor,
                Some(name),
                format!("{name} is silent and not proven dead, and it needs no vote to go on"),
            );
            return None;
        }
        self.replace(record, primary, Why::Silent)
    }

    /// Whether a silent primary without a lease may be taken over from.
    fn may_unseat_unfenced(&self, record: &Record) -> bool {
        let stock = |l: &Life| self.answer(&l.name).is_some_and(|a| a.fence.is_none());
        !self.rules.hold(Rule::Successors)
            || (self.spec.unfenced_takeover == crate::spec::UnfencedTakeover::OnSilence
                && record.successors.iter().any(stock))
    }

    /// Renews what the data set is known by: at once where its id or its emptiness changed, else now and then.
    fn keep_lineage(&mut self, record: &Record, answer: &Answer) -> Option<Record> {
        let known = record.lineage.as_ref()?;
        let newest = lineage::of_primary(answer, record.epoch).after(known);
        let changed =
            known.replid != newest.replid || known.replid2 != newest.replid2 || (known.keys == 0) != (newest.keys == 0);
        let written = self.memory.lineage_written_ms;
        let due = written.is_none_or(|ms| self.now.saturating_sub(ms) >= self.spec.lineage_refresh_ms);
        (changed || (due && newest.offset > known.offset)).then(|| record.clone())
    }

    /// Every record that is written carries the newest high-water mark.
    fn renewed(&mut self, record: Record, answer: &Answer) -> Record {
        self.memory.lineage_written_ms = Some(self.now);
        let newest = lineage::of_primary(answer, record.epoch);
        let lineage = record.lineage.as_ref().map(|known| Lineage { epoch: known.epoch, ..newest.after(known) });
        Record { lineage, ..record }
    }
}
