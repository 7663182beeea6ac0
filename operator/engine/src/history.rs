//! What is written down of a failover: how long its parts took, and what it may have cost.

use crate::memory::Progress;
use crate::observe::Answer;
use crate::record::{Failover, Life, Phase, Record, Timeline, Why};
use crate::rules::Rule;
use crate::turn::Turn;

impl Turn<'_> {
    /// Keeps the times of the takeover under way.
    pub(crate) fn note_progress(&mut self, record: &Record) {
        if matches!(record.phase, Phase::Stable | Phase::Arming) {
            self.memory.takeover = None;
            return;
        }
        let known = self.memory.takeover.take();
        let primary = record.primary.as_ref();
        let last = primary.and_then(|p| self.answer(&p.name).filter(|a| a.run_id == p.run_id));
        let lineage = record.lineage.as_ref();
        let offset = last
            .filter(|a| lineage.is_some_and(|l| l.replid == a.replid))
            .map(|a| a.offset)
            .max(lineage.map(|l| l.offset));
        let recorded = self.seen.record_seen_ms;
        let detected = self.memory.primary_seen_ms.filter(|_| primary.is_some()).map(|ms| recorded.saturating_sub(ms));
        let mut progress = known.unwrap_or(Progress {
            epoch: record.epoch,
            recorded_ms: recorded,
            detected_ms: detected,
            promoted_ms: None,
            old_offset: None,
        });
        if progress.epoch != record.epoch {
            progress.epoch = record.epoch;
            progress.promoted_ms = None;
        }
        progress.old_offset = progress.old_offset.max(offset);
        self.memory.takeover = Some(progress);
    }

    /// The entry for a takeover that is about to be recorded as done.
    pub(crate) fn failover(&self, record: &Record, target: &Life, answer: &Answer) -> Failover {
        let progress = self.memory.takeover.as_ref().filter(|p| p.epoch == record.epoch);
        let promoted = progress.and_then(|p| p.promoted_ms);
        Failover {
            at: self.seen.now_rfc3339.clone(),
            epoch: record.epoch,
            from: record.primary.as_ref().map(|p| p.name.clone()),
            to: target.name.clone(),
            why: record.why.unwrap_or(Why::Formed),
            timeline: Timeline {
                detected_ms: progress.and_then(|p| p.detected_ms),
                promoted_ms: progress.and_then(|p| Some(p.promoted_ms?.saturating_sub(p.recorded_ms))),
                opened_ms: promoted.map(|ms| self.now.saturating_sub(ms)),
            },
            bytes_possibly_lost: self.possibly_lost(record, target, answer),
        }
    }

    fn possibly_lost(&self, record: &Record, target: &Life, answer: &Answer) -> Option<u64> {
        // A stock server that goes on may have followed another one meanwhile, and given up what that one lacked.
        let goes_on = |p: &Life| p == target && answer.fence.is_some();
        let Some(primary) = record.primary.as_ref().filter(|p| !goes_on(p)) else { return Some(0) };
        let waited = record.guard.is_some_and(|g| g.acks > 0);
        let itself = primary.name == target.name;
        let chosen_by_rest = itself || matches!(record.why, Some(Why::Reelected | Why::Accepted));
        let planned = matches!(record.why, Some(Why::Requested | Why::Evaded));
        if planned || (waited && !chosen_by_rest) {
            return Some(0);
        }
        let lineage = record.lineage.as_ref()?;
        let known = self.memory.takeover.as_ref().and_then(|p| p.old_offset).unwrap_or(0).max(lineage.offset);
        let lacking = known.saturating_sub(answer.reach(lineage)?);
        // Its own log has what it answered after it was last heard; another disk, or a snapshot, need not.
        let from_its_log = self.spec.complete_log && itself && answer.fence.is_some();
        (lacking > 0 || from_its_log || !self.rules.hold(Rule::Cost)).then_some(lacking)
    }

    /// The primary that was replaced last is back with its log, and is about to be overwritten: what it holds beyond the new one's beginning was lost.
    pub(crate) fn count_loss(&self, record: &Record) -> Option<Record> {
        let (last, lineage) = (record.failovers.first()?, record.lineage.as_ref()?);
        if last.epoch != record.epoch || last.bytes_possibly_lost == Some(0) {
            return None;
        }
        let (before, first_own) = (lineage.replid2.as_ref()?, lineage.second_offset?);
        let name = last.from.as_ref().filter(|from| **from != last.to)?;
        let answer = self.fresh(name).filter(|a| a.whole && !a.loading && a.replid == *before)?;
        let lost = (answer.offset + 1).saturating_sub(first_own);
        let told = last.bytes_possibly_lost;
        // Where the servers have no fence, another one may have taken writes in between, unheard. A log that ends before the new one's beginning
        // may be that of an older volume.
        let certain = self.spec.complete_log && answer.fence.is_some() && answer.offset + 1 >= first_own;
        if told.is_some_and(|told| told >= lost) || (lost == 0 && !certain) {
            return None;
        }
        let mut record = record.clone();
        if let Some(last) = record.failovers.first_mut() {
            last.bytes_possibly_lost = Some(lost);
        }
        Some(record)
    }
}
