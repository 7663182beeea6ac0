//! The histories.

use super::world::Plan;
use super::{Outcome, play};
use crate::rules::Rules;
use crate::spec::{Durability, StaleReplica};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Plays histories `0..n` of a plan (or the one that `SIM_SEED` names), and fails with the first that went wrong.
fn histories(kind: Kind, n: u64) {
    let plan = |seed| plan_of(kind, seed);
    let what = format!("{kind:?}");
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

/// The kinds of histories.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Pair,
    Disks,
    Many,
    Single,
    Scale,
    Stock,
    Late,
    Everything,
}

/// What a history of this kind contains.
pub(super) fn plan_of(kind: Kind, seed: u64) -> Plan {
    let base = Plan {
        instances: 2,
        durability: DURABILITIES[(seed % 3) as usize],
        disks: false,
        moves: seed % 5 < 2,
        scale: false,
        stock: false,
        late: false,
        stale: StaleReplica::Refuse,
        persistent: true,
    };
    match kind {
        Kind::Pair => base,
        Kind::Disks => Plan {
            instances: 2 + (seed % 5 == 4) as usize,
            disks: true,
            persistent: !seed.is_multiple_of(7),
            stale: if seed.is_multiple_of(11) { StaleReplica::Allow } else { StaleReplica::Refuse },
            ..base
        },
        Kind::Many => Plan { instances: 3 + (seed % 4 == 3) as usize, ..base },
        Kind::Single => Plan { instances: 1, ..base },
        Kind::Scale => Plan { scale: true, ..base },
        Kind::Late => Plan { late: true, instances: 2 + (seed % 2) as usize, ..base },
        Kind::Everything => Plan {
            instances: 1 + (seed % 4) as usize,
            disks: seed.is_multiple_of(2),
            moves: true,
            scale: true,
            late: seed.is_multiple_of(7),
            ..base
        },
        Kind::Stock => Plan { stock: true, instances: 2 + usize::from(seed.is_multiple_of(3)), ..base },
    }
}

#[test]
fn a_pair_whose_disks_survive_keeps_every_answered_write_and_heals() {
    histories(Kind::Pair, 25_000);
}

#[test]
fn instances_that_lose_their_disks_never_overwrite_the_last_copy_and_heal() {
    histories(Kind::Disks, 15_000);
}

#[test]
fn three_and_four_instances_keep_every_answered_write_and_heal() {
    histories(Kind::Many, 15_000);
}

#[test]
fn a_single_instance_comes_back_with_what_it_has() {
    histories(Kind::Single, 5_000);
}

#[test]
fn the_number_of_instances_may_change_at_any_time() {
    histories(Kind::Scale, 15_000);
}

#[test]
fn stock_servers_are_taken_over_only_when_dead_and_heal() {
    histories(Kind::Stock, 10_000);
}

#[test]
fn messages_may_be_very_late() {
    histories(Kind::Late, 10_000);
}

#[test]
fn everything_may_go_wrong_at_once() {
    histories(Kind::Everything, 15_000);
}
