//! Waiting for something to happen: ask, back off, ask again, until a deadline.

use std::fmt::Display;
use std::thread;
use std::time::{Duration, Instant};

/// Asks `probe` until it answers `Ok`, with pauses that grow from 2 ms to `TICK_MAX`.
///
/// # Errors
/// Once `limit` has passed: what was waited for, and the last reason that `probe` gave.
pub fn try_until<T, E: Display>(
    what: &str,
    limit: Duration,
    mut probe: impl FnMut() -> Result<T, E>,
) -> Result<T, String> {
    const TICK_MAX: Duration = Duration::from_millis(250);
    let start = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        match probe() {
            Ok(value) => return Ok(value),
            Err(why) if start.elapsed() >= limit => {
                return Err(format!("waited {:.1} s for {what}: {why}", start.elapsed().as_secs_f64()));
            }
            Err(_) => {
                thread::sleep(pause);
                pause = (pause * 3 / 2).min(TICK_MAX);
            }
        }
    }
}

/// As [`try_until`], for a test: panics where that fails.
///
/// # Panics
/// Once `limit` has passed.
#[track_caller]
pub fn until<T, E: Display>(what: &str, limit: Duration, probe: impl FnMut() -> Result<T, E>) -> T {
    match try_until(what, limit, probe) {
        Ok(value) => value,
        Err(why) => panic!("{why}"),
    }
}
