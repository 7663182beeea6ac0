//! What the end-to-end tests share.

pub mod docs;
pub mod kube;
pub mod ledger;
pub mod programs;
pub mod resp;
pub mod server;
pub mod wait;
pub mod writer;

/// The value that this percentage of a list does not exceed; nothing of an empty list.
pub fn percentile(values: &[u64], percent: usize) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0)
}
