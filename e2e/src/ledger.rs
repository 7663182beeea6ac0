//! What a writer was told about its writes: which were answered, which a replica is known to hold, how long none went through.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// How far the server went with one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Write {
    /// Sent; no answer came, or an error did. It may be there or not.
    Doubtful,
    /// Answered with OK.
    Answered,
    /// Answered, and a later `WAIT 1` on the same connection said that a replica holds it.
    Confirmed,
}

/// A time without an answered write.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    /// When the last write before it was answered, in ms since 1970.
    pub from_epoch_ms: u64,
    /// How long it took until the next one was, in ms.
    pub ms: u64,
}

/// The ledger of one writer: write n is key `<prefix>:n` with the value n.
#[derive(Debug, Default)]
pub struct Ledger {
    writes: Vec<Write>,
    last_answer: Option<(Instant, SystemTime)>,
    longest: Gap,
    errors: u64,
    in_a_row: u64,
    most_in_a_row: u64,
    last_error: String,
    run_ids: Vec<String>,
}

/// What a ledger says of itself, as JSON on the control connection.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Writes sent.
    pub sent: u64,
    /// Writes answered with OK, confirmed ones among them.
    pub answered: u64,
    /// Writes that a replica is known to hold.
    pub confirmed: u64,
    /// Failed attempts: lost connections and error replies.
    pub errors: u64,
    /// The most of them without an answered write in between, since the last mark: one means that one retry was enough each time.
    pub errors_in_a_row: u64,
    /// The last of them.
    pub last_error: String,
    /// Ms since the last answered write.
    pub idle_ms: u64,
    /// The longest time without an answered write since the last mark, the current one counted.
    pub longest_gap: Gap,
    /// The servers that took writes, by run id, in the order in which the writer came to them.
    pub run_ids: Vec<String>,
}

impl Ledger {
    /// The number for the next write, doubtful until more is known.
    pub fn send(&mut self) -> usize {
        self.writes.push(Write::Doubtful);
        self.writes.len() - 1
    }

    /// Write `n` was answered with OK just now.
    pub fn answered(&mut self, n: usize) {
        self.writes[n] = Write::Answered;
        self.in_a_row = 0;
        let gap = self.current_gap();
        if gap.ms > self.longest.ms {
            self.longest = gap;
        }
        self.last_answer = Some((Instant::now(), SystemTime::now()));
    }

    /// A replica holds write `n`.
    pub fn confirmed(&mut self, n: usize) {
        self.writes[n] = Write::Confirmed;
    }

    /// An attempt failed; returns how many have, since the last answered write.
    pub fn failed(&mut self, why: String) -> u64 {
        self.errors += 1;
        self.in_a_row += 1;
        self.most_in_a_row = self.most_in_a_row.max(self.in_a_row);
        self.last_error = why;
        self.in_a_row
    }

    /// The writer has connected to the server with this run id.
    pub fn reached(&mut self, run_id: String) {
        if self.run_ids.last() != Some(&run_id) {
            self.run_ids.push(run_id);
        }
    }

    /// Forgets the gaps and errors so far; the next one counts from the last answer before now.
    pub fn mark(&mut self) {
        self.longest = Gap::default();
        self.most_in_a_row = 0;
    }

    /// Each write with how far it went.
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// The figures.
    pub fn status(&self) -> Status {
        let current = self.current_gap();
        let confirmed = self.writes.iter().filter(|w| **w == Write::Confirmed).count();
        let answered = confirmed + self.writes.iter().filter(|w| **w == Write::Answered).count();
        Status {
            sent: self.writes.len() as u64,
            answered: answered as u64,
            confirmed: confirmed as u64,
            errors: self.errors,
            errors_in_a_row: self.most_in_a_row,
            last_error: self.last_error.clone(),
            idle_ms: current.ms,
            longest_gap: if current.ms > self.longest.ms { current } else { self.longest.clone() },
            run_ids: self.run_ids.clone(),
        }
    }

    fn current_gap(&self) -> Gap {
        self.last_answer.map_or_else(Gap::default, |(at, clock)| Gap {
            from_epoch_ms: millis(clock.duration_since(UNIX_EPOCH).unwrap_or_default()),
            ms: millis(at.elapsed()),
        })
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What became of the writes: the answer to `verify`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Writes that were looked up: all that were answered.
    pub checked: u64,
    /// Confirmed writes that are not there: lost although a replica had them.
    pub lost_confirmed: BTreeSet<usize>,
    /// Answered writes that are not there and were never confirmed.
    pub lost_answered: BTreeSet<usize>,
    /// Keys that hold another value than the one written.
    pub wrong: BTreeSet<usize>,
}

impl Verdict {
    /// Books what was found for write `n`.
    pub fn book(&mut self, n: usize, write: Write, found: Option<&[u8]>) {
        if write == Write::Doubtful {
            return;
        }
        self.checked += 1;
        match found {
            Some(value) if value == n.to_string().as_bytes() => {}
            Some(_) => drop(self.wrong.insert(n)),
            None if write == Write::Confirmed => drop(self.lost_confirmed.insert(n)),
            None => drop(self.lost_answered.insert(n)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_was_never_answered_cannot_be_lost() {
        let mut ledger = Ledger::default();
        let n = ledger.send();
        let mut verdict = Verdict::default();
        verdict.book(n, ledger.writes()[n], None);
        assert_eq!(verdict, Verdict::default());
    }

    #[test]
    fn a_lost_write_counts_by_how_far_it_had_gone() {
        let mut ledger = Ledger::default();
        let (a, b, c) = (ledger.send(), ledger.send(), ledger.send());
        [a, b, c].into_iter().for_each(|n| ledger.answered(n));
        ledger.confirmed(a);
        let mut verdict = Verdict::default();
        verdict.book(a, ledger.writes()[a], None);
        verdict.book(b, ledger.writes()[b], None);
        verdict.book(c, ledger.writes()[c], Some(b"other"));
        assert_eq!((verdict.lost_confirmed, verdict.lost_answered), ([a].into(), [b].into()));
        assert_eq!(verdict.wrong, [c].into());
    }

    #[test]
    fn the_current_gap_counts_while_it_lasts() {
        let mut ledger = Ledger::default();
        let n = ledger.send();
        ledger.answered(n);
        ledger.last_answer = ledger.last_answer.map(|(at, clock)| (at - Duration::from_secs(3), clock));
        assert!(ledger.status().longest_gap.ms >= 3000);
        ledger.answered(n);
        assert!(ledger.status().longest_gap.ms >= 3000, "and after it has ended");
        ledger.mark();
        assert!(ledger.status().longest_gap.ms < 3000, "but not beyond a mark");
    }
}
