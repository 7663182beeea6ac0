//! What replication, persistence and memory cost: our server beside the real Valkey, turn about on this machine. Medians, ours first.
//!
//! `bench [replication|memory|failover]`; without a word, the first two. Environment: `ROUNDS` (3), how often each is measured; `KEYS`
//! (1000000), of the data set that is saved and sent; `BYTES` (100), of each value; `CRASHES` (100), of a primary in the operator's local mode,
//! which is measured for ours alone. `make bench` runs it.
//!
//! A ratio below 1 says that ours takes less. One server has CPU 0 and its replica CPU 1; a load takes what is left of CPU 1.

mod data;
mod failover;
mod figures;
mod memory;
mod replication;

use std::io;
use std::process::ExitCode;

use valkey_repl_e2e::server::{Program, Server};

use figures::{Figures, Side};

/// What is measured, and how large.
struct Plan {
    rounds: usize,
    keys: usize,
    bytes: usize,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(words.first().map(String::as_str)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A part of a run, for one side.
type Part = fn(&Plan, &Program, &mut Figures, Side) -> io::Result<()>;

fn run(which: Option<&str>) -> io::Result<()> {
    let plan = Plan { rounds: number("ROUNDS", 3)?, keys: number("KEYS", 1_000_000)?, bytes: number("BYTES", 100)? };
    let parts: &[Part] = match which {
        None => &[replication::measure, memory::measure],
        Some("failover") => &[],
        Some("replication") => &[replication::measure],
        Some("memory") => &[memory::measure],
        Some(other) => {
            return Err(io::Error::other(format!("no part is called {other:?}: replication, memory or failover")));
        }
    };
    if which == Some("failover") {
        failover::measure(number("CRASHES", 100)?)?;
    }
    if parts.is_empty() {
        return Ok(());
    }
    let mut figures = Figures::default();
    for round in 1..=plan.rounds {
        for (side, program) in [(Side::Ours, Program::Ours), (Side::Real, Program::Valkey91)] {
            eprintln!("round {round}: {side:?}");
            for part in parts {
                part(&plan, &program, &mut figures, side)?;
            }
        }
    }
    print!("{figures}");
    Ok(())
}

/// A number from the environment.
fn number(name: &str, default: usize) -> io::Result<usize> {
    match std::env::var(name) {
        Err(_) => Ok(default),
        Ok(text) => text.parse().map_err(|_| io::Error::other(format!("{name}={text:?} is not a number"))),
    }
}

/// Starts a server on a CPU of its own; its children stay there.
fn start(program: &Program, cpu: usize, lines: &[&str]) -> io::Result<Server> {
    use rustix::thread::{CpuSet, sched_setaffinity};
    let server = Server::start(program.clone(), lines)?;
    let mut cpus = CpuSet::new();
    cpus.set(cpu);
    let pid = server.pid().and_then(|pid| rustix::process::Pid::from_raw(i32::try_from(pid).ok()?));
    // A machine with one CPU measures all the same.
    let _ = sched_setaffinity(pid, &cpus);
    Ok(server)
}
