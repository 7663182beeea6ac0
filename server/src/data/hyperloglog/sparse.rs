//! The sparse encoding: runs of registers that hold the same value.
//!
//! | byte | run |
//! |---|---|
//! | `00xxxxxx` | `x` + 1 zeros, up to 64 |
//! | `01xxxxxx xxxxxxxx` | `x` + 1 zeros, up to 16384 |
//! | `1vvvvvxx` | `x` + 1 times the value `v` + 1: up to 4 times, values up to 32 |

use super::Corrupt;

/// Registers in a row that hold the same value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// How many.
    pub len: usize,
    /// What they hold.
    pub value: u8,
    /// How many bytes say so.
    pub size: usize,
}

/// What became of a register that was to be raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Unchanged,
    Changed,
    /// Nothing was changed: the value is too large for a run, or the runs are too many.
    DoesNotFit,
}

const MAX_VALUE: u8 = 32;
const MAX_VALUES: usize = 4;
const MAX_SHORT_ZEROS: usize = 64;
/// Runs after the one before a change among which equal ones are joined.
const JOINED: usize = 5;

fn run_at(bytes: &[u8]) -> Option<Result<Run, Corrupt>> {
    Some(match *bytes {
        [] => return None,
        [byte, ..] if byte & 0x80 != 0 => {
            Ok(Run { len: usize::from(byte & 3) + 1, value: (byte >> 2 & 0x1f) + 1, size: 1 })
        }
        [byte, ..] if byte & 0x40 == 0 => Ok(Run { len: usize::from(byte) + 1, value: 0, size: 1 }),
        [high, low, ..] => Ok(Run { len: (usize::from(high & 0x3f) << 8 | usize::from(low)) + 1, value: 0, size: 2 }),
        [_] => Err(Corrupt),
    })
}

/// All runs in order, up to the first that is cut off.
pub(super) fn runs(mut bytes: &[u8]) -> impl Iterator<Item = Result<Run, Corrupt>> {
    std::iter::from_fn(move || {
        let run = run_at(bytes)?;
        bytes = match run {
            Ok(run) => &bytes[run.size..],
            Err(Corrupt) => &[],
        };
        Some(run)
    })
}

/// Appends a run of zeros, if it is not empty.
pub(super) fn push_zeros(out: &mut Vec<u8>, len: usize) {
    match len {
        0 => {}
        1..=MAX_SHORT_ZEROS => out.push((len - 1) as u8),
        _ => out.extend_from_slice(&[0x40 | ((len - 1) >> 8) as u8, (len - 1) as u8]),
    }
}

/// Appends a run of a value, if it is not empty.
fn push_values(out: &mut Vec<u8>, value: u8, len: usize) {
    if len > 0 {
        out.push(0x80 | (value - 1) << 2 | (len - 1) as u8);
    }
}

/// Raises a register in the runs that begin at `start`.
pub(super) fn raise(
    bytes: &mut Vec<u8>,
    start: usize,
    register: usize,
    value: u8,
    max_size: usize,
) -> Result<Outcome, Corrupt> {
    if value > MAX_VALUE {
        return Ok(Outcome::DoesNotFit);
    }
    let (mut at, mut before, mut first) = (start, start, 0);
    let run = loop {
        let run = run_at(&bytes[at..]).ok_or(Corrupt)??;
        if register < first + run.len {
            break run;
        }
        (before, at, first) = (at, at + run.size, first + run.len);
    };
    if run.value >= value {
        return Ok(Outcome::Unchanged);
    }
    let (left, right) = (register - first, first + run.len - 1 - register);
    let mut parts = Vec::with_capacity(5);
    if run.value == 0 {
        push_zeros(&mut parts, left);
        push_values(&mut parts, value, 1);
        push_zeros(&mut parts, right);
    } else {
        push_values(&mut parts, run.value, left);
        push_values(&mut parts, value, 1);
        push_values(&mut parts, run.value, right);
    }
    if parts.len() > run.size && bytes.len() + parts.len() - run.size > max_size {
        return Ok(Outcome::DoesNotFit);
    }
    bytes.splice(at..at + run.size, parts);
    join(bytes, before);
    Ok(Outcome::Changed)
}

/// Joins runs of the same value, from `at` on, as far as a change can have made them neighbours.
fn join(bytes: &mut Vec<u8>, mut at: usize) {
    for _ in 0..JOINED {
        let Some(Ok(run)) = run_at(&bytes[at..]) else { return };
        match run_at(&bytes[at + run.size..]) {
            Some(Ok(next)) if run.value > 0 && next.value == run.value && run.len + next.len <= MAX_VALUES => {
                bytes.remove(at);
                bytes[at] = 0x80 | (run.value - 1) << 2 | (run.len + next.len - 1) as u8;
            }
            _ => at += run.size,
        }
    }
}
