//! `--lru-test`: uses the server as a cache with a workload in which a fifth of the keys gets four fifths of the requests, and shows
//! how many reads find their key. It writes to the server.

use std::time::{Duration, Instant};

use super::super::reply::Reply;
use super::super::session::Session;
use super::super::stop::{Stop, print};
use super::percent;

/// Commands sent at a time.
const BATCH: usize = 250;

/// Exponent of the power law that gives the 80-20 distribution.
const ALPHA: f64 = 6.2;

/// Runs for ever, over `keys` keys.
///
/// # Errors
/// When the server is lost.
pub fn run(session: &mut Session, keys: u64) -> Result<(), Stop> {
    let mut random = Random::new();
    let connection = session.connection()?;
    loop {
        let (mut hits, mut misses) = (0_u64, 0_u64);
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(1) {
            for _ in 0..BATCH {
                let value = format!("{:05x}", random.next() & 0xf_ffff);
                connection.append(&["SET", &random.key(keys), &value]);
            }
            for _ in 0..BATCH {
                connection.append(&["GET", &random.key(keys)]);
            }
            for _ in 0..BATCH {
                connection.own_reply()?;
            }
            for _ in 0..BATCH {
                match connection.own_reply()? {
                    Reply::Error(text) => eprintln!("{}", String::from_utf8_lossy(&text)),
                    Reply::Nil => misses += 1,
                    _ => hits += 1,
                }
            }
        }
        let total = hits + misses;
        let (hit, missed) = (percent(hits, total), percent(misses, total));
        let line = format!("{total} Gets/sec | Hits: {hits} ({hit:.2}%) | Misses: {misses} ({missed:.2}%)\n");
        print(line.as_bytes())?;
    }
}

/// SplitMix64: <https://prng.di.unimi.it/splitmix64.c>.
struct Random(u64);

impl Random {
    fn new() -> Self {
        use std::hash::{BuildHasher, Hasher};
        // The standard library seeds each state at random.
        Self(std::hash::RandomState::new().build_hasher().finish())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A key whose number follows the power law: by inversion of its distribution function.
    fn key(&mut self, keys: u64) -> String {
        let uniform = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        let top = (keys as f64 + 1.0).powf(ALPHA + 1.0);
        let drawn = ((top - 1.0) * uniform + 1.0).powf(1.0 / (ALPHA + 1.0)) as u64;
        format!("lru:{}", keys + 1 - drawn.clamp(1, keys))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_of_the_keys_gets_some_four_fifths_of_the_requests() {
        let mut random = Random(1);
        let keys = 1000;
        let mut popular = 0;
        for _ in 0..10_000 {
            let n: u64 = random.key(keys)[4..].parse().unwrap();
            assert!((1..=keys).contains(&n));
            popular += u64::from(n <= keys / 5);
        }
        assert!((7500..8500).contains(&popular), "{popular}");
    }
}
