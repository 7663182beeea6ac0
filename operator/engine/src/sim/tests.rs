//! The histories.

use super::world::Plan;
use super::{Outcome, play};
use crate::rules::Rules;
use crate::spec::{Durability, StaleReplica};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Plays histories `0..n` of a plan (or the one that `SIM_SEED` names), and fails with the first that went wrong.
fn histories(what: &str, n: u64, plan: impl Fn(u64) -> Plan) {
    if let Some(seed) = number("SIM_SEED") {
        let outcome = play(seed, plan(seed), Rules::default(), true);
        println!("{}", outcome.trace.join("\n"));
        assert_eq!(outcome.bad, None, "{what}, seed {seed}");
        return;
    }
    let n = number("SIM_HISTORIES").unwrap_or(n);
    let (mut ticks, mut takeovers, mut moves, mut writable) = (0, 0, 0, 0);
    let mut bad: Vec<(u64, String)> = Vec::new();
    let from = number("SIM_FROM").unwrap_or(0);
    for seed in from..from + n {
        let Outcome { bad: what, ticks: t, takeovers: k, moves: m, writable: w, .. } =
            play(seed, plan(seed), Rules::default(), false);
        (ticks, takeovers, moves, writable) = (ticks + t, takeovers + k, moves + m, writable + w);
        if let Some(what) = what {
            bad.push((seed, what));
        }
    }
    println!(
        "{what}: {n} histories, {takeovers} takeovers, {moves} moves, writable {}% of {ticks} ticks",
        100 * writable / ticks.max(1)
    );
    if let Some((seed, _)) = bad.first() {
        let outcome = play(*seed, plan(*seed), Rules::default(), true);
        println!("{}", outcome.trace.join("\n"));
        let list: Vec<String> = bad.iter().take(12).map(|(s, b)| format!("{s}: {b}")).collect();
        panic!("{what}: {} of {n} went wrong; replay with SIM_SEED. {}", bad.len(), list.join("; "));
    }
}

const DURABILITIES: [Durability; 3] = [Durability::Async, Durability::Preferred, Durability::Sync];

fn plan(seed: u64, instances: usize) -> Plan {
    Plan {
        instances,
        durability: DURABILITIES[(seed % 3) as usize],
        disks: false,
        moves: seed % 5 < 2,
        scale: false,
        stock: false,
        stale: StaleReplica::Refuse,
        persistent: true,
    }
}

#[test]
fn a_pair_whose_disks_survive_keeps_every_answered_write_and_heals() {
    histories("pair", 2_000, |seed| plan(seed, 2));
}

#[test]
fn a_pair_that_loses_disks_never_overwrites_the_last_copy_and_heals() {
    histories("disks", 1_000, |seed| Plan {
        disks: true,
        persistent: seed % 7 != 0,
        stale: if seed % 11 == 0 { StaleReplica::Allow } else { StaleReplica::Refuse },
        ..plan(seed, 2)
    });
}

#[test]
fn three_and_four_instances_keep_every_answered_write_and_heal() {
    histories("many", 1_000, |seed| plan(seed, 3 + (seed % 4 == 3) as usize));
}

#[test]
fn a_single_instance_comes_back_with_what_it_has() {
    histories("single", 500, |seed| plan(seed, 1));
}

#[test]
fn the_number_of_instances_may_change_at_any_time() {
    histories("scale", 1_000, |seed| Plan { scale: true, ..plan(seed, 2) });
}

#[test]
fn stock_servers_are_taken_over_only_when_dead_and_heal() {
    histories("stock", 1_000, |seed| Plan { stock: true, ..plan(seed, 2 + (seed % 3 == 0) as usize) });
}
