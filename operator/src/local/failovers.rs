//! How long a failover took, as a client sees it: from the end of the old primary's process to the new one's word that it
//! accepts writes.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use valkey_repl_engine::{
    Instance, Record,
    record::{Failover, Why},
};

use super::slot::Life;

/// A change of the primary is reported after this time even where writes are not possible yet.
const PATIENCE: Duration = Duration::from_secs(5);

/// A change of the primary, as it is reported.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finished {
    pub failover: Failover,
    /// How long nobody accepted writes; `None`: it was not seen to begin.
    pub took: Option<Duration>,
    /// Whether writes are possible.
    pub writable: bool,
}

/// Follows changes of the primary.
#[derive(Debug, Default)]
pub(super) struct Failovers {
    /// When a process of each instance last ended.
    ended: HashMap<String, Instant>,
    /// The epoch of the newest entry that was seen.
    seen: Option<u64>,
    open: Option<(Failover, Instant)>,
    /// By epoch.
    took: HashMap<u64, Duration>,
}

impl Failovers {
    /// Takes note of a process.
    pub fn note(&mut self, instance: &str, life: &Life) {
        if let Life::Ended { at, .. } = life {
            self.ended.insert(instance.to_owned(), *at);
        }
    }

    /// The change of the primary that has just been completed, if one has.
    pub fn look(&mut self, record: Option<&Record>, instances: &[Instance]) -> Option<Finished> {
        let newest = record.and_then(|record| record.failovers.first());
        let epoch = newest.map_or(0, |failover| failover.epoch);
        // What happened before this run is only shown.
        let seen = *self.seen.get_or_insert(epoch);
        if let Some(newest) = newest.filter(|_| epoch > seen) {
            self.seen = Some(epoch);
            self.open = Some((newest.clone(), Instant::now()));
        }
        let (failover, since) = self.open.as_ref()?;
        let writable = instances.iter().filter(|instance| instance.name == failover.to).any(|instance| {
            instance.answer.as_ref().is_some_and(|answer| {
                let fence = answer.fence.as_ref();
                answer.upstream.is_none() && fence.is_none_or(|fence| fence.epoch == failover.epoch && fence.writable)
            })
        });
        if !writable && since.elapsed() < PATIENCE {
            return None;
        }
        let (failover, _) = self.open.take()?;
        let took = self.since_the_end(&failover).or_else(|| by_the_record(&failover));
        if let Some(took) = took {
            self.took.insert(failover.epoch, took);
        }
        Some(Finished { failover, took, writable })
    }

    /// How long a change of the primary took.
    pub fn took(&self, failover: &Failover) -> Option<Duration> {
        self.took.get(&failover.epoch).copied().or_else(|| by_the_record(failover))
    }

    fn since_the_end(&self, failover: &Failover) -> Option<Duration> {
        let ended = matches!(failover.why, Why::Died | Why::Restarted);
        self.ended.get(failover.from.as_ref()?).filter(|_| ended).map(Instant::elapsed)
    }
}

/// What the record says: the engine counts from the last sign of life.
fn by_the_record(failover: &Failover) -> Option<Duration> {
    let parts = &failover.timeline;
    let sum = parts.promoted_ms? + parts.opened_ms? + parts.detected_ms.unwrap_or(0);
    Some(Duration::from_millis(sum))
}

/// Why, for people.
pub(super) fn why(why: Why) -> &'static str {
    match why {
        Why::Formed => "there was none",
        Why::Died => "process ended",
        Why::Restarted => "process was replaced",
        Why::Silent => "silent for too long",
        Why::Demoted => "was no primary any more",
        Why::Requested => "asked for",
        Why::Evaded => "about to be restarted or removed",
        Why::CalledOff => "move called off",
        Why::Retargeted => "candidate was lost",
        Why::Reelected => "all had restarted",
        Why::Accepted => "loss of data accepted",
    }
}
