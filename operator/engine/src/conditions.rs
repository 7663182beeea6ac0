//! What people are told: who serves, the conditions, and when to look again.

use crate::decision::{Condition, ConditionKind, Decision, Endpoints, Event, ReasonCode};
use crate::evidence::Fate;
use crate::observe::Answer;
use crate::record::{Life, Phase, Quorum, Record};
use crate::spec::Durability;
use crate::turn::Turn;

impl Turn<'_> {
    /// Puts together what was decided.
    pub(crate) fn finish(mut self, written: Option<Record>) -> Decision {
        let record = self.seen.record.as_ref();
        let endpoints = record.map(|r| self.endpoints(r)).unwrap_or_default();
        // They are told together with the record that is written, so they are of that one.
        let conditions = match &written {
            Some(next) => self.conditions(Some(next), &self.endpoints(next)),
            None => self.conditions(record, &endpoints),
        };
        let restartable = record.map(|r| self.restartable(r)).unwrap_or_default();
        self.announce(&conditions);
        let step = (self.spec.quorum_timeout_ms / 4).clamp(1, 1_000);
        Decision {
            scale_to: self.instances_needed(record).max(self.instances_needed(written.as_ref())),
            record: written,
            commands: self.commands,
            endpoints,
            conditions,
            reasons: self.reasons,
            events: self.events,
            restartable,
            recheck_at_ms: self.now + step,
            memory: self.memory,
        }
    }

    /// The recorded primary's answer, if it is recent and it serves.
    pub(crate) fn serving(&self, record: &Record) -> Option<(Life, &Answer)> {
        let primary = record.primary.as_ref().filter(|_| record.phase.serves())?;
        let instance = self.seen.instances.iter().find(|i| i.name == primary.name)?;
        let answer = instance.answer.as_ref().filter(|a| a.run_id == primary.run_id && a.is_primary())?;
        self.fresh(&primary.name).map(|_| (primary.clone(), answer))
    }

    fn endpoints(&self, record: &Record) -> Endpoints {
        // Taken out at the start of a takeover, or as soon as it is known to be dead; silence alone takes nobody out.
        let primary = record.primary.as_ref().filter(|_| record.phase.serves());
        let rw = primary.filter(|p| self.fate(p) == Fate::Unknown).map(|p| p.name.clone());
        let leader = record.primary.as_ref().map_or("", |p| p.name.as_str());
        let synced = |name: &str| !self.has_moved(name) && self.fresh(name).is_some_and(|a| self.in_sync(a, leader));
        let mut ro: Vec<String> = record.members.iter().filter(|m| *m != leader && synced(m)).cloned().collect();
        if ro.is_empty() && self.single(record) {
            ro.extend(rw.clone());
        }
        let unheard = record.members.iter().filter(|m| self.is_unheard(m)).cloned().collect();
        let next = self.next_primary(record).map(|life| life.name.clone());
        Endpoints { rw, next, ro, epoch: record.epoch, unheard }
    }

    /// Who is about to serve: the target of a takeover, and that of a planned move unless it cannot begin.
    fn next_primary<'r>(&self, record: &'r Record) -> Option<&'r Life> {
        let target = record.target.as_ref()?;
        let under_way = matches!(record.phase, Phase::Takeover | Phase::Moving);
        (under_way && self.fresh_life(target).is_some()).then_some(target)
    }

    /// Those that may be restarted now: all others hold what the primary holds, and the primary itself only where it is alone by wish.
    fn restartable(&self, record: &Record) -> Vec<String> {
        let Some((primary, _)) = self.serving(record).filter(|_| record.phase == Phase::Stable) else {
            return Vec::new();
        };
        let others: Vec<&String> =
            self.seen.instances.iter().map(|i| &i.name).filter(|n| **n != primary.name && self.stays(n)).collect();
        if others.is_empty() && self.single(record) {
            return vec![primary.name];
        }
        let unready: Vec<&&String> =
            others.iter().filter(|n| !record.successors.iter().any(|s| s.name == ***n)).collect();
        match unready.as_slice() {
            [] => others.into_iter().cloned().collect(),
            // The one that is not ready may be restarted; a bad start of it must not block its own repair.
            [one] => vec![(**one).clone()],
            _ => unready.into_iter().map(|n| (*n).clone()).collect(),
        }
    }

    fn conditions(&self, record: Option<&Record>, endpoints: &Endpoints) -> Vec<Condition> {
        let phase = record.map_or(Phase::Forming, |r| r.phase);
        let serving = record.and_then(|r| self.serving(r));
        let writable = serving.as_ref().is_some_and(|(_, a)| a.fence.as_ref().is_none_or(|f| f.writable));
        let hold = self.reasons.iter().find(|r| r.code.holds());
        // That all is as it should be is no reason for what is not.
        let first = self.reasons.first().filter(|r| r.code != ReasonCode::Steady);
        let waits = record.zip(serving.as_ref()).and_then(|(r, (_, a))| self.why_writes_wait(r, a));
        let ready = writable && endpoints.rw.is_some() && waits.is_none();
        let unknown = serving.is_none() && record.is_some_and(|r| r.phase.serves() && endpoints.rw.is_some());
        let moving = !matches!(phase, Phase::Stable) || serving.is_none();
        let asked = usize::try_from(self.spec.instances.max(1)).unwrap_or(usize::MAX);
        let successors = record.map_or(0, |r| r.successors.len());
        let unfenced = serving.as_ref().is_some_and(|(_, a)| a.fence.is_none());
        let weaker = unfenced && self.spec.durability.waits();
        let short = successors + 1 < asked;
        let told = |text: &str| first.map_or_else(|| text.to_owned(), |r| r.message.clone());
        let make = |kind, status, reason: &str, message: String| Condition {
            kind,
            status,
            reason: reason.to_owned(),
            message,
        };
        let name = endpoints.rw.as_deref().unwrap_or("nobody");
        let serves = serving.is_some() && endpoints.rw.is_some();
        let readiness = match (ready, unknown, waits) {
            (true, ..) => make(ConditionKind::Ready, Some(true), "Serving", format!("{name} accepts writes")),
            (_, true, _) => make(ConditionKind::Ready, None, "PrimaryUnreachable", told("the primary does not answer")),
            (.., Some(why)) if writable => make(ConditionKind::Ready, Some(false), "WritesWait", why),
            _ if first.is_none() && serves => make(
                ConditionKind::Ready,
                Some(false),
                ReasonCode::WaitingForGuard.as_str(),
                format!(
                    "{name} is primary and accepts no writes until the votes that its guard asks for have reached it"
                ),
            ),
            _ => make(
                ConditionKind::Ready,
                Some(false),
                first.map_or("NoPrimary", |r| r.code.as_str()),
                told("nobody accepts writes"),
            ),
        };
        // What keeps it from being ready is what is waited for; or what keeps the primary from where it is to be.
        let pending = || {
            let why =
                first.filter(|r| r.code == ReasonCode::CannotMove && record.is_some_and(|r| self.is_to_move(r)))?;
            Some((why.code.as_str().to_owned(), why.message.clone()))
        };
        let awaited = (!ready).then(|| (readiness.reason.clone(), readiness.message.clone())).or_else(pending);
        vec![
            readiness,
            match moving {
                true => make(ConditionKind::Progressing, Some(hold.is_none()), phase.as_str(), told("under way")),
                false if self.spec.paused => make(
                    ConditionKind::Progressing,
                    Some(false),
                    "Paused",
                    "spec.paused: nothing is moved, mended or restarted, whatever is asked for; only votes are sent"
                        .to_owned(),
                ),
                false => match awaited {
                    Some((reason, message)) => make(ConditionKind::Progressing, Some(hold.is_none()), &reason, message),
                    None => make(ConditionKind::Progressing, Some(false), "Steady", "nothing is under way".to_owned()),
                },
            },
            match (short || weaker || !ready, unfenced) {
                (true, _) if short || !ready => make(
                    ConditionKind::Degraded,
                    Some(true),
                    "TooFewSuccessors",
                    told(&format!("{successors} of {} replicas can take over", asked - 1)),
                ),
                (true, _) => make(
                    ConditionKind::Degraded,
                    Some(true),
                    "WeakerThanAskedFor",
                    "a stock server cannot wait for acknowledgements before it answers: durability is that of Async"
                        .to_owned(),
                ),
                (false, true) => make(
                    ConditionKind::Degraded,
                    Some(false),
                    "Unfenced",
                    "a stock server has no lease: it is taken over only when proven dead, unless asked otherwise"
                        .to_owned(),
                ),
                (false, false) => {
                    make(ConditionKind::Degraded, Some(false), "Complete", "every replica can take over".to_owned())
                }
            },
            match hold {
                Some(r) => {
                    let epoch = record.map_or(0, |r| r.epoch);
                    let mut message = format!(
                        "{}; to go on with what is left, set accept-data-loss to \"{epoch}\" or \"{epoch}:INSTANCE\"",
                        r.message
                    );
                    if let Some(why) = self.why_not_accepted(epoch) {
                        message = format!("{message} ({why})");
                    }
                    make(ConditionKind::DatasetAtRisk, Some(true), r.code.as_str(), message)
                }
                None => make(ConditionKind::DatasetAtRisk, Some(false), "Safe", "no data set is in danger".to_owned()),
            },
        ]
    }

    /// Why nobody's write is answered although the primary takes it: too few hold what its guard has answers wait for.
    fn why_writes_wait(&self, record: &Record, answer: &Answer) -> Option<String> {
        let asked = Quorum::of(answer).map_or(0, |q| q.acks);
        // Without a record of it the guard is about to go: under `Sync` it stays.
        let acks = if self.durability(answer, record) == Durability::Sync {
            asked
        } else {
            asked.min(record.guard.map_or(0, |g| g.acks))
        };
        let others = self.seen.instances.iter().filter(|i| record.members.contains(&i.name)).map(|i| i.name.as_str());
        let primary = record.primary.as_ref().map(|p| p.name.as_str());
        let (hold, lack): (Vec<&str>, Vec<&str>) =
            others.filter(|name| Some(*name) != primary).partition(|name| self.acknowledges(answer, name));
        (u32::try_from(hold.len()).unwrap_or(u32::MAX) < acks).then(|| match lack.as_slice() {
            [] => "writes wait: there is no replica that could hold them".to_owned(),
            lack => format!("writes wait until a replica holds them: {} does not acknowledge any", lack.join(", ")),
        })
    }

    /// Why a person's word that is there does not end the hold of this epoch.
    fn why_not_accepted(&self, epoch: u64) -> Option<String> {
        let word = self.spec.accept_data_loss.as_ref()?;
        let named = word.instance.as_deref().unwrap_or_default();
        match word.epoch {
            None => Some("what it says now begins with no number".to_owned()),
            Some(other) if other != epoch => Some(format!("what it says now is of epoch {other}")),
            Some(_) if named.is_empty() => None,
            Some(_) if !self.seen.instances.iter().any(|i| i.name == named) => {
                Some(format!("{named}, which it names now, is not an instance of this set"))
            }
            Some(_) => match self.current(named) {
                None => Some(format!("{named}, which it names now, does not answer")),
                Some(a) if a.loading => Some(format!("{named}, which it names now, is loading its data")),
                Some(a) if !a.whole => Some(format!("{named}, which it names now, holds data that is not whole")),
                Some(_) => None,
            },
        }
    }

    /// An event for each hold, once.
    fn announce(&mut self, conditions: &[Condition]) {
        let at_risk: Vec<String> = conditions
            .iter()
            .filter(|c| c.kind == ConditionKind::DatasetAtRisk && c.status == Some(true))
            .map(|c| c.reason.clone())
            .collect();
        for condition in
            conditions.iter().filter(|c| at_risk.contains(&c.reason) && c.kind == ConditionKind::DatasetAtRisk)
        {
            if !self.memory.told.contains(&condition.reason) {
                self.events.push(Event {
                    warning: true,
                    reason: condition.reason.clone(),
                    message: condition.message.clone(),
                });
            }
        }
        self.memory.told = at_risk;
    }

    /// The reason why nothing is decided at all.
    pub(crate) fn stand_by(mut self, code: ReasonCode, message: &str) -> Decision {
        self.say(code, None, message);
        self.finish(None)
    }
}

impl Phase {
    /// CamelCase, as in the record.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Forming => "Forming",
            Self::Stable => "Stable",
            Self::Arming => "Arming",
            Self::Moving => "Moving",
            Self::Takeover => "Takeover",
        }
    }
}
