//! What the tests of the value types share.

/// A small seeded generator (xorshift64*), so that a failing seed replays.
pub struct TestRng(u64);

impl TestRng {
    /// A generator; the seed may be anything.
    pub fn new(seed: u64) -> Self {
        TestRng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`, which may not be 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 16) as usize % bound
    }
}

/// An element as users have them: a small or large integer, a short text, now and then a long one.
pub fn some_text(rng: &mut TestRng) -> Vec<u8> {
    match rng.below(10) {
        0..=3 => rng.below(40).to_string().into_bytes(),
        4 => ((rng.next() as i64) >> rng.below(64)).to_string().into_bytes(),
        5 => Vec::new(),
        6..=8 => format!("member:{}", rng.below(60)).into_bytes(),
        _ => {
            let len = rng.below(300);
            (0..len).map(|_| rng.next() as u8).collect()
        }
    }
}
