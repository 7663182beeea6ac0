//! Latencies of one command: how many calls took how long, to two significant digits.
//!
//! The layout is that of Gil Tene's HdrHistogram with 256 sub-buckets: exact up to 255 ns, then 128 steps for each doubling.

const SUB_BUCKETS: u64 = 256;
const HALF: usize = 128;
/// A second, in ns; what took longer counts as that.
const MAX: u64 = 1_000_000_000;
/// Doublings beyond the exact part up to [`MAX`].
const DOUBLINGS: usize = 22;

/// See the module's documentation. Values are nanoseconds.
#[derive(Debug)]
pub struct Histogram {
    counts: Box<[u64; HALF * (DOUBLINGS + 2)]>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { counts: Box::new([0; HALF * (DOUBLINGS + 2)]), total: 0 }
    }
}

/// How often a value is halved to fit the sub-buckets.
fn shift(nanos: u64) -> u32 {
    u64::BITS - (nanos | (SUB_BUCKETS - 1)).leading_zeros() - SUB_BUCKETS.ilog2()
}

fn index(nanos: u64) -> usize {
    let shift = shift(nanos);
    shift as usize * HALF + (nanos >> shift) as usize
}

/// The largest value that counts together with this one.
fn highest_equivalent(nanos: u64) -> u64 {
    let shift = shift(nanos);
    (((nanos >> shift) + 1) << shift) - 1
}

/// The largest value counted at an index.
fn highest_at(index: usize) -> u64 {
    if index < SUB_BUCKETS as usize {
        return index as u64;
    }
    let shift = index / HALF - 1;
    ((((index % HALF) + HALF) as u64 + 1) << shift) - 1
}

impl Histogram {
    /// Counts a call.
    pub fn record(&mut self, nanos: u64) {
        self.counts[index(nanos.clamp(1, MAX))] += 1;
        self.total += 1;
    }

    /// Calls counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The value that `percentile` % of the calls did not exceed.
    pub fn percentile(&self, percentile: f64) -> u64 {
        let wanted = ((percentile.clamp(0.0, 100.0) / 100.0 * self.total as f64) + 0.5) as u64;
        let wanted = wanted.max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return highest_at(index);
            }
        }
        0
    }

    /// For 1024 ns and each doubling, as far as there are calls: the upper bound, and the calls up to it.
    pub fn doublings(&self) -> Vec<(u64, u64)> {
        let mut found = Vec::new();
        let (mut seen, mut next) = (0, 0);
        let mut bound = 1024;
        while seen < self.total {
            let end = index(bound.min(MAX));
            seen += self.counts[next..=end].iter().sum::<u64>();
            next = end + 1;
            found.push((highest_equivalent(bound), seen));
            if bound >= MAX {
                break;
            }
            bound *= 2;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_known_to_two_digits() {
        for nanos in [1, 15, 255, 256, 1000, 15_000, 123_456, 999_999_999, MAX] {
            let mut h = Histogram::default();
            h.record(nanos);
            let shown = h.percentile(50.0);
            assert!(shown >= nanos && shown as f64 <= nanos as f64 * 1.01, "{nanos}: {shown}");
            assert_eq!(shown, highest_equivalent(nanos));
        }
    }

    #[test]
    fn percentiles_split_the_calls() {
        let mut h = Histogram::default();
        for n in 1..=200 {
            h.record(n);
        }
        assert_eq!(
            (h.percentile(0.0), h.percentile(50.0), h.percentile(99.0), h.percentile(100.0)),
            (1, 100, 198, 200)
        );
    }

    #[test]
    fn calls_are_added_up_by_doublings() {
        let mut h = Histogram::default();
        for nanos in [500, 1500, 1500, 60_000] {
            h.record(nanos);
        }
        let calls: Vec<u64> = h.doublings().into_iter().map(|(_, n)| n).collect();
        assert_eq!(calls, [1, 3, 3, 3, 3, 3, 4]);
    }

    #[test]
    fn what_took_very_long_is_counted_too() {
        let mut h = Histogram::default();
        h.record(u64::MAX);
        assert!(h.percentile(100.0) >= MAX);
        assert_eq!(h.doublings().last().map(|(_, n)| *n), Some(1));
    }
}
