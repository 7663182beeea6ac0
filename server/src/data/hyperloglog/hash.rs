//! Which register an element concerns, and by what value. All servers must agree on it, or what they count cannot be merged.

use super::{COUNT_BITS, INDEX_BITS, REGISTERS};

const SEED: u64 = 0xadc8_3b19;

/// The register, and the number of zeros, plus one, before the first one among the other bits of the hash.
pub(super) fn place(element: &[u8]) -> (usize, u8) {
    let hash = murmur_64a(element, SEED);
    let register = hash as usize % REGISTERS;
    // A one at the end, so that there is one to be found.
    let rest = (hash >> INDEX_BITS) | (1 << COUNT_BITS);
    (register, rest.trailing_zeros() as u8 + 1)
}

/// MurmurHash64A (Austin Appleby), bytes taken as little-endian.
fn murmur_64a(data: &[u8], seed: u64) -> u64 {
    const M: u64 = 0xc6a4_a793_5bd1_e995;
    const R: u32 = 47;
    let mut hash = seed ^ (data.len() as u64).wrapping_mul(M);
    let (words, rest) = data.as_chunks::<8>();
    for word in words {
        let mut word = u64::from_le_bytes(*word).wrapping_mul(M);
        word ^= word >> R;
        hash = (hash ^ word.wrapping_mul(M)).wrapping_mul(M);
    }
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        hash = (hash ^ u64::from_le_bytes(last)).wrapping_mul(M);
    }
    hash = (hash ^ hash >> R).wrapping_mul(M);
    hash ^ hash >> R
}
