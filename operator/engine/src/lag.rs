//! How far behind a replica is, in time, and whether it still receives anything.

use crate::memory::{Current, Mark};
use crate::observe::{Answer, Attached, LinkState, Millis};
use crate::record::{Life, Record};
use crate::turn::Turn;

impl<'a> Turn<'a> {
    /// Measures every replica against the recorded primary: at a time t the primary held so much, and the replica held that later on.
    pub(crate) fn measure(&mut self, record: &Record) {
        let Some(primary) = &record.primary else { return };
        let source = self.answer(&primary.name).filter(|a| a.run_id == primary.run_id);
        if let Some(a) = source {
            self.memory.primary_seen_ms = Some(a.received_ms);
        }
        let mut kept = Vec::with_capacity(self.seen.instances.len());
        for instance in self.seen.instances.iter().filter(|i| i.name != primary.name) {
            let Some(answer) = &instance.answer else { continue };
            let known = self.memory.current.iter().find(|c| c.name == instance.name && c.run_id == answer.run_id);
            let mut current = known.cloned().unwrap_or_else(|| Current {
                name: instance.name.clone(),
                run_id: answer.run_id.clone(),
                as_of_ms: None,
                mark: None,
                offset: answer.offset,
                moved_ms: answer.received_ms,
            });
            if current.offset != answer.offset {
                current.offset = answer.offset;
                current.moved_ms = answer.received_ms;
            }
            if let Some(s) = source {
                let acknowledged = attached(s, instance).map_or(0, |r| r.ack_offset);
                let own = if answer.replid == s.replid { answer.offset } else { 0 };
                let reached = own.max(acknowledged);
                let new = || Mark { run_id: s.run_id.clone(), offset: s.offset, asked_ms: s.asked_ms };
                match &mut current.mark {
                    Some(mark) if mark.run_id == s.run_id => {
                        if reached >= mark.offset {
                            current.as_of_ms = Some(mark.asked_ms);
                            mark.offset = s.offset;
                            mark.asked_ms = s.asked_ms;
                        }
                    }
                    _ => {
                        current.as_of_ms = None;
                        current.mark = Some(new());
                    }
                }
            }
            kept.push(current);
        }
        self.memory.current = kept;
    }

    /// How long ago a replica was last known to hold what the primary held; `None`: never.
    pub(crate) fn lag(&self, life: &Life) -> Option<Millis> {
        let known = self.memory.current.iter().find(|c| c.name == life.name && c.run_id == life.run_id)?;
        Some(self.now.saturating_sub(known.as_of_ms?))
    }

    /// Whether a replica, too, has lost the primary: its link is not up, or nothing has come over it for the detection time. The second witness
    /// of a silence.
    pub(crate) fn starves(&self, name: &str, answer: &Answer, primary: &str) -> bool {
        if !self.follows(answer, primary) || answer.upstream.as_ref().is_none_or(|u| u.link != LinkState::Up) {
            return true;
        }
        let known = self.memory.current.iter().find(|c| c.name == name && c.run_id == answer.run_id);
        known.is_some_and(|c| self.now.saturating_sub(c.moved_ms) >= self.link_patience())
    }

    /// How long nothing may pass between a primary and a replica. An idle primary sends no more than its request for votes, five times in the time
    /// that a vote lasts, and the replica acknowledges that: of a shorter silence than two of those take nothing can be said.
    fn link_patience(&self) -> Millis {
        self.spec.detection_timeout_ms.max(self.spec.quorum_timeout_ms * 2 / 5)
    }

    /// Whether a replica by its own word holds what the primary holds or is about to: it follows it, the link is up, the data set whole.
    pub(crate) fn in_sync(&self, answer: &Answer, primary: &str) -> bool {
        self.follows(answer, primary)
            && answer.whole
            && !answer.loading
            && answer.upstream.as_ref().is_some_and(|u| u.link == LinkState::Up)
    }

    /// A replica as the primary sees it, if it receives the stream and has acknowledged lately.
    pub(crate) fn acknowledges(&self, primary: &Answer, name: &str) -> bool {
        self.instance(name)
            .and_then(|i| attached(primary, i))
            .is_some_and(|r| r.online && r.lag_ms <= self.link_patience())
    }
}

fn attached<'a>(primary: &'a Answer, instance: &crate::observe::Instance) -> Option<&'a Attached> {
    primary.replicas.iter().find(|r| r.address == instance.address)
}
