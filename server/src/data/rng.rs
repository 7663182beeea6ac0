//! The random numbers of the data path: fast, not for secrets.

use std::hash::{BuildHasher, Hasher, RandomState};

/// A wyrand generator: 64 bits of state, one multiplication a number. Never use it for run ids or passwords.
#[derive(Debug, Clone)]
pub struct Rng(u64);

/// Sixty-four bits from the operating system's generator, by way of the keys that `std` seeds its maps with.
pub fn os_seed() -> u64 {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u64(0x9e37_79b9_7f4a_7c15);
    hasher.finish()
}

impl Default for Rng {
    fn default() -> Self {
        Rng::from_os()
    }
}

impl Rng {
    /// A generator that starts from `seed`: the same seed gives the same numbers.
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    /// A generator seeded by the operating system.
    pub fn from_os() -> Rng {
        Rng(os_seed())
    }

    /// The next 64 bits (wyrand, Wang Yi).
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0xa076_1d64_78bd_642f);
        let wide = u128::from(self.0) * u128::from(self.0 ^ 0xe703_7ed1_a0b4_28db);
        (wide >> 64) as u64 ^ wide as u64
    }

    /// A number in `0..bound`; 0 for a `bound` of 0. By multiplication (Lemire), whose bias is below `bound / 2^64`.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next_u64()) * bound as u128) >> 64) as usize
    }

    /// A number in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}
