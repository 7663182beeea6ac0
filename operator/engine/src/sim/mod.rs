//! Histories: servers, a network, an API server and two operators that run the engine, played from a seed, with everything going wrong that
//! can. At each step: at most one instance accepts writes; under `Preferred` and `Sync` nothing that was answered is lost by what a rule could
//! prevent; the last copy is never overwritten; and when the faults stop, the set is healthy within a bounded time.
//!
//! `cargo test -p valkey-repl-engine` plays more than a hundred thousand; `SIM_HISTORIES=n` as many of each kind as asked for, from the seed
//! `SIM_FROM` on; `SIM_SEED=n` one, with its trace.
//!
//! | module | holds |
//! |---|---|
//! | `rng` | the seeded generator |
//! | `server` | a server's state and its answers |
//! | `network` | replication, and what servers do with commands |
//! | `operator` | an operator as a carrier |
//! | `world` | the network's delays and cuts, the API server, one tick |
//! | `faults` | what goes wrong, and what people ask for |
//! | `check` | what must hold |
//! | `tests` | the histories |
//! | `mutants` | with one rule left out each: what each rule is needed for |

mod check;
mod faults;
mod mutants;
mod network;
mod operator;
mod rng;
mod server;
mod tests;
mod world;

use crate::rules::Rules;
use world::{Plan, World};

/// After the faults stop the set is healthy within so many ticks (a vote lasts ten, the Lease fifteen).
const HEALS_WITHIN: u64 = 300;

/// What came of a history.
struct Outcome {
    bad: Option<String>,
    ticks: u64,
    takeovers: u64,
    moves: u64,
    writable: u64,
    trace: Vec<String>,
}

/// Plays one history.
fn play(seed: u64, plan: Plan, rules: Rules, trace: bool) -> Outcome {
    let world = World::new(seed, plan, rules, trace);
    run(world)
}

/// Plays a world to its end.
fn run(mut w: World) -> Outcome {
    let trace = w.trace.is_some();
    let mut healed = false;
    while w.step() {
        if w.calm() {
            w.person();
            if w.healed() {
                healed = true;
                break;
            }
            if w.t > w.calm_from + HEALS_WITHIN {
                break;
            }
        }
    }
    if !healed && w.bad.is_none() {
        w.bad = Some("not healed".to_owned());
    }
    if trace {
        for s in w.servers.iter().filter(|s| s.exists) {
            world::say!(w, "{s:?}");
        }
    }
    Outcome {
        bad: w.bad.take(),
        ticks: w.t,
        takeovers: w.takeovers,
        moves: w.moves,
        writable: w.writable,
        trace: w.trace.take().unwrap_or_default(),
    }
}
