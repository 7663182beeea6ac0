//! Counts of values by size, exact to three digits, and what they say of percentiles.

use std::collections::BTreeMap;

/// Values below this are counted one by one; above, those that share their first eleven bits are one.
const EXACT_BITS: u32 = 11;

/// A histogram of sizes.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// By the largest value that counts as the same.
    counts: BTreeMap<u64, u64>,
    total: u64,
}

impl Histogram {
    /// Counts a value.
    pub fn record(&mut self, value: u64) {
        *self.counts.entry(largest_equivalent(value)).or_default() += 1;
        self.total += 1;
    }

    /// The value that `percent` of all do not exceed; 0 if there are none.
    pub fn percentile(&self, percent: f64) -> u64 {
        let wanted = ((percent / 100.0 * self.total as f64 + 0.5) as u64).max(1);
        let mut seen = 0;
        for (value, count) in &self.counts {
            seen += count;
            if seen >= wanted {
                return *value;
            }
        }
        0
    }
}

fn largest_equivalent(value: u64) -> u64 {
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(EXACT_BITS);
    value | ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_exact_for_small_values_and_rounded_up_for_large_ones() {
        let mut sizes = Histogram::default();
        assert_eq!(sizes.percentile(99.0), 0);
        (1..=100).for_each(|v| sizes.record(v));
        assert_eq!([50.0, 90.0, 99.0, 100.0].map(|p| sizes.percentile(p)), [50, 90, 99, 100]);
        assert_eq!(largest_equivalent(2047), 2047);
        assert_eq!(largest_equivalent(2048), 2049);
        assert_eq!(largest_equivalent(20_000), 20_015);
        assert_eq!(largest_equivalent(u64::MAX), u64::MAX);
    }
}
