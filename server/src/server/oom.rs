//! `oom-score-adj`: how readily the kernel ends this process when memory is exhausted.

use std::sync::atomic::{AtomicI32, Ordering};

use super::Server;
use crate::config::OomScoreAdj;
use crate::log_warning;

const FILE: &str = "/proc/self/oom_score_adj";
/// What the kernel takes.
const RANGE: std::ops::RangeInclusive<i32> = -1000..=1000;
const NONE: i32 = i32::MAX;

/// The score that a forked child gives itself; `NONE`: the one of its parent.
static OF_CHILD: AtomicI32 = AtomicI32::new(NONE);

impl Server {
    /// Sets the score by the server's role, or, turned off, brings back the one of before.
    ///
    /// # Errors
    /// If the kernel refuses: lowering the score takes privileges.
    pub fn apply_oom_score(&mut self) -> Result<(), String> {
        let [primary, replica, child] = self.config.oom_score_adj_values;
        let own = if self.is_primary() { primary } else { replica };
        let mode = self.config.oom_score_adj;
        if mode == OomScoreAdj::No {
            OF_CHILD.store(NONE, Ordering::Relaxed);
            return self.oom_score_before.take().map_or(Ok(()), set);
        }
        let before = *self.oom_score_before.get_or_insert_with(current);
        let base = if mode == OomScoreAdj::Absolute { 0 } else { before };
        let within = |score: i32| (base + score).clamp(*RANGE.start(), *RANGE.end());
        OF_CHILD.store(within(child), Ordering::Relaxed);
        set(within(own))
    }

    /// As [`apply_oom_score`](Self::apply_oom_score), after the role changed.
    pub fn adapt_oom_score(&mut self) {
        if self.config.oom_score_adj != OomScoreAdj::No {
            // It is in the log.
            let _ = self.apply_oom_score();
        }
    }
}

/// To be called in a forked child: the kernel is to end it rather than its parent.
pub fn of_child() {
    let score = OF_CHILD.load(Ordering::Relaxed);
    if score != NONE {
        let _ = set(score);
    }
}

fn current() -> i32 {
    std::fs::read_to_string(FILE).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

fn set(score: i32) -> Result<(), String> {
    std::fs::write(FILE, score.to_string()).map_err(|e| {
        log_warning!("Unable to write oom_score_adj: {e}");
        "Failed to set current oom_score_adj. Check server logs.".to_owned()
    })
}
