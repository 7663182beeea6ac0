//! What may be concluded from what was seen: who is alive, who is dead, who has let go.

use crate::observe::{Answer, Connection, Millis, Presence, Role};
use crate::record::{Life, Record};
use crate::rules::Rule;
use crate::turn::Turn;

/// What is known of the end of one life of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing: it may be alive.
    Unknown,
    /// Another pod answers under its name. The platform promises that the old one has ended, but a forced deletion breaks that promise:
    /// evidence only where there is no lease that could be waited for.
    Replaced,
    /// It is dead.
    Dead,
}

impl Answer {
    /// Whether it is a primary, allowed to accept writes or not.
    pub(crate) fn is_primary(&self) -> bool {
        self.role == Role::Primary
    }

    /// The epoch it was promoted for; 0 where it has no fence.
    pub(crate) fn epoch(&self) -> u64 {
        self.fence.as_ref().map_or(0, |f| f.epoch)
    }

    /// Whether it has seen a record at least as new as this one. A server without the fence sees none and is believed.
    pub(crate) fn has_seen(&self, term: u64) -> bool {
        self.fence.as_ref().is_none_or(|f| f.term >= term)
    }
}

impl<'a> Turn<'a> {
    /// The answer of an instance, if it is recent and its port did not refuse since.
    pub(crate) fn fresh(&self, name: &str) -> Option<&'a Answer> {
        let instance = self.instance(name)?;
        let answer = instance.answer.as_ref()?;
        let refused = matches!(instance.connection, Connection::Refused { asked_ms, .. } if asked_ms > answer.asked_ms);
        (!refused && self.now.saturating_sub(answer.asked_ms) <= self.spec.detection_timeout_ms).then_some(answer)
    }

    /// The same, if it is that life that answered.
    pub(crate) fn fresh_life(&self, life: &Life) -> Option<&'a Answer> {
        self.fresh(&life.name).filter(|a| a.run_id == life.run_id || !self.rules.hold(Rule::Continuity))
    }

    /// Whether an answer can be evidence against the record: it was asked for after the record was made.
    pub(crate) fn after_record(&self, answer: &Answer) -> bool {
        answer.asked_ms >= self.seen.record_seen_ms || !self.rules.hold(Rule::AskOrder)
    }

    /// The answer of an instance, if it is fresh and can be evidence against the record.
    pub(crate) fn current(&self, name: &str) -> Option<&'a Answer> {
        self.fresh(name).filter(|a| self.after_record(a))
    }

    /// Whether there is a connection to it now.
    pub(crate) fn is_connected(&self, name: &str) -> bool {
        self.instance(name).is_some_and(|i| i.connection == Connection::Connected)
    }

    /// Whether the last that answered is certainly not where the instance is now.
    pub(crate) fn has_moved(&self, name: &str) -> bool {
        let Some(instance) = self.instance(name) else { return false };
        let answered = instance.answer.as_ref().map(|answer| answer.uid.as_str());
        let elsewhere = instance.presence.uid().zip(answered).is_some_and(|(pod, answered)| pod != answered);
        instance.connection == Connection::Untried || elsewhere
    }

    /// For how long nothing has come back from an instance.
    pub(crate) fn silence(&self, name: &str) -> Option<Millis> {
        match self.instance(name)?.connection {
            Connection::Silent { since_ms } => Some(self.now.saturating_sub(since_ms)),
            _ => None,
        }
    }

    /// Whether an instance has been silent for too long.
    pub(crate) fn is_silent(&self, name: &str) -> bool {
        self.silence(name).is_some_and(|ms| ms >= self.spec.detection_timeout_ms) && self.fresh(name).is_none()
    }

    /// Whether nothing has come of it yet, and it is too early to say more.
    pub(crate) fn is_unheard(&self, name: &str) -> bool {
        let Some(instance) = self.instance(name) else { return false };
        let early = match instance.connection {
            Connection::Untried => true,
            Connection::Silent { since_ms } => self.now.saturating_sub(since_ms) < self.spec.detection_timeout_ms,
            Connection::Connected | Connection::Refused { .. } => false,
        };
        early && instance.answer.is_none() && matches!(instance.presence, Presence::Running { .. } | Presence::Unknown)
    }

    /// Whether its port refuses, asked after the record was made, while its pod stands: whichever life it was, it is dead.
    pub(crate) fn refuses(&self, name: &str) -> bool {
        let Some(instance) = self.instance(name) else { return false };
        let heard = instance.answer.as_ref().map_or(0, |a| a.asked_ms);
        matches!(&instance.connection, Connection::Refused { asked_ms, uid: Some(_) }
            if *asked_ms > heard && *asked_ms >= self.seen.record_seen_ms && *asked_ms >= self.since)
    }

    /// What is known of the end of that life.
    pub(crate) fn fate(&self, life: &Life) -> Fate {
        let Some(instance) = self.instance(&life.name) else { return Fate::Unknown };
        match &instance.presence {
            Presence::Ended { uid, run_id: Some(run) } if *uid == life.uid && *run == life.run_id => return Fate::Dead,
            Presence::NodeGone { uid } if *uid == life.uid => return Fate::Dead,
            _ => {}
        }
        if let Connection::Refused { asked_ms, uid: Some(uid) } = &instance.connection
            && *uid == life.uid
        {
            // The life had begun by the time of its last answer, and by the time of the record that names it.
            let heard = instance.answer.as_ref().filter(|a| a.run_id == life.run_id).map(|a| a.asked_ms);
            let begun = heard.unwrap_or(self.seen.record_seen_ms);
            if *asked_ms >= begun && heard != Some(*asked_ms) || !self.rules.hold(Rule::AskOrder) {
                return Fate::Dead;
            }
        }
        match &instance.answer {
            Some(a) if a.run_id != life.run_id && self.after_record(a) => {
                if a.uid == life.uid {
                    Fate::Dead
                } else {
                    Fate::Replaced
                }
            }
            _ => Fate::Unknown,
        }
    }

    /// Whether a life cannot be counted on any more: dead, or another one answers in its place.
    pub(crate) fn is_over(&self, life: &Life) -> bool {
        self.fate(life) != Fate::Unknown && self.rules.hold(Rule::Continuity)
    }

    /// Whether that instance, as a replica, was told to follow that primary.
    pub(crate) fn follows(&self, answer: &Answer, primary: &str) -> bool {
        let address = self.instance(primary).map(|i| &i.address);
        answer.role == Role::Replica && answer.upstream.as_ref().is_some_and(|u| Some(&u.address) == address)
    }

    /// Whether the answer shows an instance that neither votes for nor acknowledges the primary that is being replaced, and cannot
    /// be told to do so any more: it has seen the takeover's term.
    pub(crate) fn let_go(&self, record: &Record, answer: &Answer, primary: &str) -> bool {
        self.after_record(answer)
            && (answer.has_seen(record.term) || !self.rules.hold(Rule::SeenTerm))
            && if answer.is_primary() {
                answer.fence.is_none() || answer.epoch() >= record.epoch
            } else {
                !self.follows(answer, primary)
            }
    }
}
