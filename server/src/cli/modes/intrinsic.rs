//! `--intrinsic-latency`: how long the operating system keeps a busy process from running. Needs no server; run it on the server's host.

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::super::stop::{Stop, print};
use super::super::sys;

/// Runs for so many seconds, or until ^C.
///
/// # Errors
/// When standard output is closed.
pub fn run(seconds: u64) -> Result<(), Stop> {
    sys::stop_loop_on_interrupt();
    let start = Instant::now();
    let end = Duration::from_secs(seconds);
    let mut worst = 0;
    let mut runs = 0_u64;
    while start.elapsed() < end && !sys::take_interrupt() {
        let before = Instant::now();
        black_box(short_work());
        let micros = before.elapsed().as_micros();
        runs += 1;
        if micros > worst {
            worst = micros;
            print(format!("Max latency so far: {worst} microseconds.\n").as_bytes())?;
        }
    }
    let average = start.elapsed().as_secs_f64() * 1e6 / runs.max(1) as f64;
    let nanos = average * 1e3;
    let text = format!(
        "\n{runs} total runs (avg latency: {average:.4} microseconds / {nanos:.2} nanoseconds per run).\n\
         Worst run took {:.0}x longer than the average latency.\n",
        worst as f64 / average
    );
    print(text.as_bytes())
}

/// A few microseconds of work in registers: nothing in it waits for the kernel.
fn short_work() -> u64 {
    (0..1000_u64).fold(1, |state, i| {
        let mixed = black_box(state ^ i);
        mixed.rotate_left(7).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    })
}
