//! `valkey-server --test-memory`: whether memory keeps what is written to it.

use std::ffi::OsString;
use std::hint::black_box;
use std::io::{IsTerminal, Write};

use super::{Outcome, Stop, complain};

/// How often all patterns are written and read.
const PASSES: u32 = 50;
/// How often what was written is read: a weak cell may forget it a little later.
const READINGS: u32 = 4;
/// Words of a page. Neighbours in time are a page apart, so that the processor's cache is of little help and no page can be left on disk.
const PAGE: usize = 4096 / size_of::<u64>();

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pattern {
    /// In each place a number of its own.
    Addresses,
    /// Random bits.
    Random,
    /// All bits off in one place, all on in the next.
    Solid,
    /// Every other bit, and in the next place the others.
    Checkerboard,
}

const PATTERNS: [Pattern; 4] = [Pattern::Addresses, Pattern::Random, Pattern::Solid, Pattern::Checkerboard];

impl Pattern {
    /// What belongs to the place `at`.
    fn word(self, at: usize) -> u64 {
        let other = at % 2 == 1;
        match self {
            Pattern::Addresses => at as u64,
            Pattern::Random => scramble(at as u64),
            Pattern::Solid => {
                if other {
                    u64::MAX
                } else {
                    0
                }
            }
            Pattern::Checkerboard => {
                if other {
                    0xaaaa_aaaa_aaaa_aaaa
                } else {
                    0x5555_5555_5555_5555
                }
            }
        }
    }
}

/// The mixing function of SplitMix64: bits that look random, the same ones for the same number.
fn scramble(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A place that does not hold what was written.
#[derive(Debug, PartialEq, Eq)]
struct Fault {
    at: usize,
    written: u64,
    read: u64,
}

/// Writes a pattern, and reads it several times; `meanwhile` is called before each reading.
fn try_pattern(words: &mut [u64], pattern: Pattern, mut meanwhile: impl FnMut(&mut [u64])) -> Result<(), Fault> {
    for first in 0..PAGE.min(words.len()) {
        for at in (first..words.len()).step_by(PAGE) {
            words[at] = pattern.word(at);
        }
    }
    for _ in 0..READINGS {
        meanwhile(words);
        // What is read is not what the compiler remembers of what was written.
        for (at, word) in black_box(&mut *words).iter().enumerate() {
            if *word != pattern.word(at) {
                return Err(Fault { at, written: pattern.word(at), read: *word });
            }
        }
    }
    Ok(())
}

/// Tests as much memory as the argument says.
pub fn main(out: &mut impl Write, args: &[OsString]) -> Outcome {
    let [_, megabytes] = args else {
        return complain(
            "Please specify the amount of memory to test in megabytes.\nExample: valkey-server --test-memory 4096\n",
        );
    };
    let Some(megabytes) = megabytes.to_str().and_then(|text| text.parse::<usize>().ok()) else {
        return complain(&format!("'{}' is no amount of memory in megabytes.", megabytes.display()));
    };
    let mut words: Vec<u64> = Vec::new();
    let wanted = megabytes.checked_mul((1 << 20) / size_of::<u64>());
    if wanted.is_none_or(|wanted| words.try_reserve_exact(wanted).is_err()) {
        return complain(&format!("Unable to allocate {megabytes} megabytes."));
    }
    words.resize(wanted.unwrap_or_default(), 0);
    writeln!(out, "Please keep the test running several minutes per GB of memory.")?;
    let in_place = std::io::stdout().is_terminal();
    for pass in 1..=PASSES {
        for pattern in PATTERNS {
            if in_place {
                write!(out, "\r\x1b[2KPass {pass} of {PASSES}: {pattern:?}")?;
                out.flush()?;
            }
            if let Err(Fault { at, written, read }) = try_pattern(&mut words, pattern, |_| {}) {
                let address = &raw const words[at];
                writeln!(out, "\n*** MEMORY ERROR DETECTED: {address:p} holds {read:#x} instead of {written:#x}")?;
                return Err(Stop::Found);
            }
        }
        if !in_place {
            writeln!(out, "Pass {pass} of {PASSES}")?;
            out.flush()?;
        }
    }
    writeln!(
        out,
        "\nYour memory passed this test.\nIf you are still in doubt, please use one of these, which see more of it:\n1) memtest86: http://www.memtest86.com/\n2) memtester: http://pyropus.ca/software/memtester/"
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_memory_passes() {
        let mut words = vec![0; 3 * PAGE + 1];
        for pattern in PATTERNS {
            assert_eq!(try_pattern(&mut words, pattern, |_| {}), Ok(()));
        }
    }

    #[test]
    fn a_bit_that_changes_by_itself_is_found_at_its_place() {
        let mut words = vec![0; 2 * PAGE];
        for pattern in PATTERNS {
            let mut readings = 0;
            let found = try_pattern(&mut words, pattern, |words| {
                readings += 1;
                if readings == READINGS {
                    words[700] ^= 1 << 63;
                }
            });
            let written = pattern.word(700);
            assert_eq!(found, Err(Fault { at: 700, written, read: written ^ (1 << 63) }), "{pattern:?}");
        }
    }

    #[test]
    fn a_bit_that_is_stuck_is_found_whichever_way() {
        for stuck in [0, u64::MAX] {
            let mut words = vec![0; 2 * PAGE];
            let found = PATTERNS.iter().find_map(|pattern| {
                try_pattern(&mut words, *pattern, |words| words[5] = (words[5] & !8) | (stuck & 8)).err()
            });
            assert_eq!(found.map(|fault| fault.at), Some(5));
        }
    }
}
