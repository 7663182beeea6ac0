//! Who is to take over when the recorded primary is lost.

use crate::decision::ReasonCode;
use crate::evidence::Fate;
use crate::observe::Answer;
use crate::record::{Life, Lineage, Phase, Record, Why};
use crate::rules::Rule;
use crate::spec::{Durability, StaleReplica};
use crate::turn::{Turn, life, next};

/// An instance that could be made primary after a restart, and how much of the recorded history it holds.
struct Survivor {
    life: Life,
    reach: u64,
}

/// Who answers after the record was made, and who does not.
struct RollCall<'a> {
    heard: Vec<(String, &'a Answer)>,
    unheard: Vec<String>,
}

impl<'a> Turn<'a> {
    /// Whether the old primary's own life is known to hold all that it ever answered.
    pub(crate) fn still_holds_all(&self, record: &Record, answer: &Answer) -> bool {
        let known = record.lineage.as_ref().is_none_or(|l| answer.position(&l.replid).is_some());
        answer.whole && !answer.loading && (known || answer.is_primary())
    }

    /// The recorded primary is lost: begins the takeover, or says what that waits for.
    pub(crate) fn replace(&mut self, record: &'a Record, primary: &Life, why: Why) -> Option<Record> {
        let everybody: Vec<Life> = std::iter::once(primary).chain(&record.successors).cloned().collect();
        let begin = |target: Option<Life>, eligible: Vec<Life>, why: Why| Record {
            phase: Phase::Takeover,
            epoch: record.epoch + 1,
            target,
            eligible,
            successors: Vec::new(),
            why: Some(why),
            ..next(record)
        };
        if let Some(answer) =
            self.current(&primary.name).filter(|a| a.run_id == primary.run_id && self.still_holds_all(record, a))
        {
            // Demoted from outside. Where it was made to hand over to another one, that one holds more.
            let heir = self.heir(record, answer);
            let mut eligible = everybody;
            eligible.extend(heir.iter().filter(|h| **h != *primary).cloned());
            return Some(begin(heir.or_else(|| Some(primary.clone())), eligible, Why::Demoted));
        }
        let able: Vec<&Life> = record
            .successors
            .iter()
            .filter(|s| {
                self.fresh_life(s).is_some_and(|a| a.whole && !a.loading && self.stays_promotable(record, s, a))
            })
            .collect();
        if !self.rules.hold(Rule::Successors) && able.is_empty() {
            let any = record.members.iter().filter(|m| **m != primary.name).find_map(|m| Some(life(m, self.fresh(m)?)));
            return any.map(|target| begin(Some(target), everybody, why));
        }
        if !able.is_empty() {
            let names: Vec<&str> = able.iter().map(|l| l.name.as_str()).collect();
            if !self.enough_asked(record, &names) {
                return self.reelect_if_over(record, &everybody);
            }
            let others = record.members.iter().filter(|m| **m != primary.name).count();
            let target = if others > 1 && self.rules.hold(Rule::MostAdvanced) {
                None
            } else {
                able.first().map(|l| (*l).clone())
            };
            self.event(
                true,
                "TakeoverBegan",
                format!("{} is lost ({why:?}); epoch {} begins", primary.name, record.epoch + 1),
            );
            return Some(begin(target, everybody, why));
        }
        if let Some(s) = record
            .successors
            .iter()
            .find(|s| !self.is_over(s) && !self.is_silent(&s.name) && self.fresh(&s.name).is_none())
        {
            let name = s.name.clone();
            self.say(ReasonCode::WaitingForAnswer, Some(&name), format!("{name} can take over and does not answer"));
            return None;
        }
        self.reelect_if_over(record, &everybody)
    }

    /// A successor that has come to follow somebody else since it was recorded is none.
    fn stays_promotable(&self, record: &Record, successor: &Life, answer: &Answer) -> bool {
        let known = record.lineage.as_ref().is_none_or(|l| answer.reach(l).is_some());
        known
            || record.primary.as_ref().is_some_and(|p| self.follows(answer, &p.name))
            || answer.run_id != successor.run_id
    }

    /// The instance that a demoted primary was made to follow, if that one is a primary and carries its history on.
    fn heir(&self, record: &Record, demoted: &Answer) -> Option<Life> {
        let lineage = record.lineage.as_ref()?;
        self.seen.instances.iter().find_map(|i| {
            let a = self.current(&i.name)?;
            let descends =
                !demoted.failover_in_progress && a.is_primary() && a.whole && a.position(&lineage.replid).is_some();
            (descends && self.follows(demoted, &i.name)).then(|| life(&i.name, a))
        })
    }

    /// What is left after restarts is compared with what is recorded, if none that held everything can still be waited for.
    pub(crate) fn reelect_if_over(&mut self, record: &'a Record, held_all: &[Life]) -> Option<Record> {
        let Some(primary) = &record.primary else { return self.form(Some(record)) };
        let demoted = self.current(&primary.name).is_some_and(|a| a.run_id == primary.run_id && !a.is_primary());
        if self.fate(primary) == Fate::Unknown && !demoted {
            let name = primary.name.as_str();
            let what = if self.is_silent(name) { "is silent and not proven dead" } else { "does not answer" };
            self.say(
                ReasonCode::NoSuccessor,
                Some(name),
                format!("{name} {what}, and nobody else is known to hold all that it answered"),
            );
            return None;
        }
        if let Some(record) = self.accepted(record) {
            return Some(record);
        }
        let others_live: Vec<String> = held_all
            .iter()
            .filter(|l| *l != primary && !self.is_over(l) && self.fresh(&l.name).is_none())
            .map(|l| l.name.clone())
            .collect();
        // During a takeover or move a stock server may have become primary unheard, and accepts writes then.
        let begun = !matches!(record.phase, Phase::Stable | Phase::Arming);
        let needed = |n: &String| self.strict(record) || !self.is_silent(n) || (begun && self.may_be_unfenced(n));
        if let Some(name) = others_live.iter().find(|n| needed(n)) {
            let message = format!("{name} held everything and does not answer; it is waited for");
            self.say(ReasonCode::NoQuorum, Some(name), message);
            return None;
        }
        self.reelect(record, primary, held_all)
    }

    /// Whether answered writes were promised to survive.
    fn strict(&self, record: &Record) -> bool {
        let fenced = self.seen.instances.iter().filter_map(|i| i.answer.as_ref()).any(|a| a.fence.is_some());
        self.spec.durability.waits() && fenced && !self.single(record)
    }

    /// Whether the primary may have answered writes that nobody else ever held, and that were to survive its end: the high-water mark in the
    /// record says nothing of those.
    fn answered_alone(&self, record: &Record) -> bool {
        let preferred = self.spec.durability == Durability::Preferred;
        preferred && self.strict(record) && record.guard.is_none() && self.spec.persistent
    }

    /// Compares what the instances hold after their restarts with what is recorded.
    fn reelect(&mut self, record: &Record, primary: &Life, held_all: &[Life]) -> Option<Record> {
        let lineage = record.lineage.clone().unwrap_or_default();
        let RollCall { heard, unheard } = self.roll_call(record)?;
        if !self.rules.hold(Rule::Lineage) {
            let any = heard.first().map(|(n, a)| life(n, a));
            return any.map(|t| begin_with(record, t, Why::Reelected));
        }
        let mut survivors: Vec<Survivor> = heard
            .iter()
            .filter(|(_, a)| a.whole)
            .filter_map(|(n, a)| Some(Survivor { life: life(n, a), reach: a.reach(&lineage)? }))
            .collect();
        // The old primary first where there are equals, then by ordinal.
        survivors.sort_by_key(|s| (std::cmp::Reverse(s.reach), s.life.name != primary.name));
        if let Some(best) = survivors.first() {
            let alone = held_all.iter().all(|l| l.name == primary.name);
            let kept = survivors.iter().any(|s| s.life.name == primary.name && s.reach >= lineage.offset);
            if alone && !kept && !unheard.contains(&primary.name) && self.answered_alone(record) {
                let (old, name) = (primary.name.as_str(), best.life.name.as_str());
                let left = match unheard.as_slice() {
                    [] => format!("{name} holds the most of what is left"),
                    others => format!(
                        "{name} holds the most of what answers, and {} may hold more and does not answer",
                        others.join(" and ")
                    ),
                };
                let message = format!("{old} went on alone and has lost what it answered since; {left}");
                self.say(ReasonCode::NoSuccessor, Some(old), message);
                return None;
            }
            return self.judge(record, primary, best, &lineage, &unheard, alone);
        }
        self.judge_unknown(record, primary, &lineage, &heard, &unheard)
    }

    /// Those that answer, and those that do not; `None` while one is loading.
    fn roll_call(&mut self, record: &Record) -> Option<RollCall<'a>> {
        let (mut heard, mut unheard) = (Vec::new(), Vec::new());
        let staying = self.seen.instances.iter().filter(|i| self.stays(&i.name)).map(|i| &i.name);
        let mut names: Vec<&String> = staying.collect();
        names.extend(
            record.members.iter().filter(|m| !self.seen.instances.iter().any(|i| i.name == **m && self.stays(m))),
        );
        let names: Vec<String> = names.into_iter().cloned().collect();
        for name in names {
            match self.current(&name) {
                Some(a) if a.loading => {
                    self.say(ReasonCode::WaitingForLoad, Some(&name), format!("{name} is loading its data"));
                    return None;
                }
                Some(a) => heard.push((name, a)),
                None => unheard.push(name),
            }
        }
        Some(RollCall { heard, unheard })
    }

    /// The most advanced of those that carry the recorded lineage: is it good enough?
    fn judge(
        &mut self,
        record: &Record,
        primary: &Life,
        best: &Survivor,
        lineage: &Lineage,
        unheard: &[String],
        alone: bool,
    ) -> Option<Record> {
        let name = best.life.name.as_str();
        let is_old = name == primary.name;
        let complete = best.reach >= lineage.offset;
        let settled = unheard.iter().all(|n| self.is_silent(n) || self.refuses(n));
        let good = if self.strict(record) {
            // Under `Preferred`, a primary that went on alone held more than any other one, unless it has lost its disk.
            let alone = alone && is_old && self.spec.durability == Durability::Preferred;
            complete && (unheard.is_empty() || (alone && settled))
        } else {
            settled && (is_old || complete || self.spec.stale_replica == StaleReplica::Allow)
        };
        if good {
            self.event(
                true,
                "TakeoverBegan",
                format!("{name} holds the most advanced data set left; epoch {} begins", record.epoch + 1),
            );
            let why = if is_old { Why::Restarted } else { Why::Reelected };
            return Some(begin_with(record, best.life.clone(), why));
        }
        for n in unheard {
            self.say(
                ReasonCode::WaitingForAnswer,
                Some(n),
                format!("{n} may hold more than the others and does not answer"),
            );
        }
        if !complete {
            let lacking = lineage.offset - best.reach;
            self.say(
                ReasonCode::Behind,
                Some(name),
                format!("{name} holds the most of what is left, and lacks {lacking} bytes of what was recorded"),
            );
        }
        None
    }

    /// Nobody carries the recorded lineage.
    fn judge_unknown(
        &mut self,
        record: &Record,
        primary: &Life,
        lineage: &Lineage,
        heard: &[(String, &'a Answer)],
        unheard: &[String],
    ) -> Option<Record> {
        let old = heard.iter().find(|(n, _)| *n == primary.name);
        for n in unheard {
            self.say(
                ReasonCode::WaitingForAnswer,
                Some(n),
                format!("{n} may hold the recorded data set and does not answer"),
            );
        }
        if let Some((name, answer)) = old.filter(|(_, a)| a.whole && a.keys > 0)
            && (answer.fence.is_none() || self.single(record))
            && unheard.is_empty()
        {
            // A stock server forgets its replication id over a restart with an AOF. All others were asked and do not carry the lineage either.
            self.say(
                ReasonCode::Unfenced,
                Some(name),
                format!("{name} is taken by its name: its replication id did not survive its restart"),
            );
            return Some(begin_with(record, life(name, answer), Why::Restarted));
        }
        // What one holds that is in the middle of a full sync is not known: the data set before it may still be on its disk.
        let halfway = heard.iter().find(|(_, a)| !a.whole).filter(|_| self.strict(record));
        if let Some((name, _)) = halfway {
            let message =
                format!("{name} was in the middle of a full sync; what it held before comes back when it is restarted");
            self.say(ReasonCode::NotWhole, Some(name), message);
        }
        let empty = unheard.is_empty() && halfway.is_none() && heard.iter().all(|(_, a)| a.keys == 0);
        if empty && (!self.spec.persistent || lineage.keys == 0) {
            let (name, answer) = old.or_else(|| heard.first())?;
            self.event(
                true,
                "FormedAnew",
                "all instances have restarted and are empty; an empty data set is served".to_owned(),
            );
            return Some(begin_with(record, life(name, answer), Why::Reelected));
        }
        if empty {
            self.say(
                ReasonCode::Emptied,
                None,
                format!("every instance is empty, and {} keys were recorded", lineage.keys),
            );
        } else if unheard.is_empty() {
            self.say(ReasonCode::NoLineage, None, "no instance is proven to hold the recorded data set");
        }
        None
    }

    /// A person accepted what is left.
    pub(crate) fn accepted(&mut self, record: &Record) -> Option<Record> {
        let acceptance = self.spec.accept_data_loss.as_ref().filter(|a| a.epoch == Some(record.epoch))?;
        let lineage = record.lineage.clone().unwrap_or_default();
        let mut choices: Vec<(Life, &Answer)> = Vec::new();
        for i in self.seen.instances.iter().filter(|i| acceptance.instance.as_ref().is_none_or(|n| *n == i.name)) {
            match self.current(&i.name) {
                Some(a) if a.loading => {
                    self.say(
                        ReasonCode::WaitingForLoad,
                        Some(&i.name),
                        format!("{} is loading its data; to go on without it, name the instance to keep", i.name),
                    );
                    return None;
                }
                Some(a) if a.whole => choices.push((life(&i.name, a), a)),
                _ => {}
            }
        }
        choices.sort_by_key(|(_, a)| std::cmp::Reverse((a.reach(&lineage), a.keys)));
        let (target, _) = choices.into_iter().next()?;
        self.event(true, "DataLossAccepted", format!("the data set of {} is kept, by a person's word", target.name));
        Some(begin_with(record, target, Why::Accepted))
    }
}

/// A takeover by a life that is chosen for what it holds.
fn begin_with(record: &Record, target: Life, why: Why) -> Record {
    Record {
        phase: Phase::Takeover,
        epoch: record.epoch + 1,
        eligible: vec![target.clone()],
        target: Some(target),
        successors: Vec::new(),
        why: Some(why),
        ..next(record)
    }
}

#[cfg(test)]
pub(crate) mod tests;
