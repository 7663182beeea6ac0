//! What each rule is needed for: without it, some history goes wrong.

use super::server::Follows;
use super::tests::{Kind, plan_of};
use super::world::{Plan, Script, World};
use super::{play, run};
use crate::rules::{Rule, Rules};

/// Plays histories without a rule until one goes wrong in a way that `expected` names; fails if none does.
fn is_needed(rule: Rule, kind: Kind, most: u64, expected: &[&str]) {
    let rules = Rules { without: Some(rule) };
    for seed in 0..most {
        let outcome = play(seed, plan_of(kind, seed), rules, false);
        if let Some(bad) = outcome.bad
            && expected.iter().any(|e| bad.contains(e))
        {
            let with = play(seed, plan_of(kind, seed), Rules::default(), false);
            assert_eq!(with.bad, None, "{kind:?} history {seed} goes wrong with every rule in force");
            println!("without {rule:?}: {kind:?} history {seed}: {bad}");
            return;
        }
    }
    panic!("no history of {most} went wrong without {rule:?}");
}

const TWO: &str = "both accept";
const LOST: &str = "answered";
const COST: &str = "cost nothing";

macro_rules! needed {
    ($($name:ident: $rule:ident $kind:ident $most:literal $($bad:ident)+;)*) => {
        $(#[test] fn $name() { is_needed(Rule::$rule, Kind::$kind, $most, &[$($bad),+]); })*
    };
}

needed! {
    evidence_older_than_the_record_counts_for_nothing: AskOrder Late 20_000 TWO LOST;
    the_successor_waits_until_the_old_primary_has_stopped: Wait Pair 20_000 TWO;
    only_a_recorded_successor_takes_over: Successors Pair 20_000 TWO LOST;
    a_successor_counts_by_its_life: Continuity Disks 20_000 TWO LOST;
    the_guard_is_confirmed_before_a_successor_is_recorded: Arm Pair 20_000 TWO LOST;
    a_successor_has_caught_up: CatchUp Pair 20_000 LOST;
    it_is_recorded_before_the_primary_goes_on_alone: Alone Pair 20_000 TWO LOST;
    what_is_held_is_compared_with_what_is_recorded: Lineage Disks 20_000 LOST;
    all_that_may_hold_an_answer_are_asked: MostAdvanced Many 20_000 LOST;
    every_voter_is_detached_before_the_lease_is_waited_for: Detach Many 20_000 TWO;
    a_member_is_recorded_before_it_follows: Members Many 20_000 TWO LOST;
    a_handover_can_be_undone: Undone Late 20_000 TWO LOST;
    successors_are_recorded_anew_when_a_member_parts: Parting Many 20_000 LOST;
    another_pod_in_its_place_is_no_proof_of_death: Replaced Pair 20_000 TWO;
    a_failover_is_said_to_have_cost_nothing_only_where_it_did_not: Cost Disks 20_000 COST;
    a_vote_counts_from_when_it_was_asked_for: AskTime Pair 20_000 TWO;
}

/// Plays a script with and without a rule: without it, some history goes wrong; with it, none does.
fn is_needed_in(rule: Rule, plan: Plan, script: Script, expected: &[&str]) {
    let once = |seed, without| {
        let mut world = World::new(seed, plan, Rules { without }, false);
        world.script = Some(script);
        world.calm_from = 210;
        run(world).bad
    };
    if let Ok(seed) = std::env::var("SIM_SEED") {
        let mut world = World::new(seed.parse().unwrap(), plan, Rules { without: Some(rule) }, true);
        world.script = Some(script);
        world.calm_from = 210;
        println!("{}", run(world).trace.join("\n"));
        return;
    }
    for seed in 0..400 {
        assert_eq!(once(seed, None), None, "history {seed} goes wrong with every rule in force");
    }
    let found =
        (0..4_000).find_map(|seed| once(seed, Some(rule)).filter(|bad| expected.iter().any(|e| bad.contains(e))));
    println!("without {rule:?}: {found:?}");
    assert!(found.is_some(), "nothing went wrong without {rule:?}");
}

/// The recorded primary.
fn primary(w: &World) -> Option<usize> {
    let name = &w.stored.record.as_ref()?.primary.as_ref()?.name;
    super::server::NAMES.iter().position(|n| n == name)
}

fn pair() -> Plan {
    Plan { moves: false, ..plan_of(Kind::Pair, 0) }
}

#[test]
fn a_new_leader_reads_the_record_first() {
    // The primary is cut off from its replica and from the leader, which makes the replica primary and dies. The other operator, which
    // reaches the old primary, has not read since.
    let script: Script = |w| {
        let (Some(p), Some(leader)) = (primary(w), w.lease.1) else { return };
        let (op, other) = (super::world::SLOTS + leader, super::world::SLOTS + 1 - leader);
        match w.t {
            60 => {
                for (a, b) in [(p, 1 - p), (1 - p, p), (p, op), (op, p)] {
                    w.cut(a, b, 159);
                }
                w.cut(other, super::world::API, 95);
            }
            95 => w.operators[leader].down = 150,
            _ => {}
        }
    };
    is_needed_in(Rule::RecordRead, pair(), script, &[TWO, LOST]);
}

/// Cuts an instance off from both operators.
fn unreachable(w: &mut World, i: usize, until: u64) {
    for op in [super::world::SLOTS, super::world::SLOTS + 1] {
        w.cut(i, op, until);
        w.cut(op, i, until);
    }
}

#[test]
fn a_promoted_instance_is_closed_until_it_is_recorded() {
    // The replicas fall behind, then the primary restarts and is to go on. When it is told so, one replica attaches to it again by itself and
    // could vote for it; no operator reaches either, and the other replica is taken.
    let script: Script = |w| {
        let operators = [super::world::SLOTS, super::world::SLOTS + 1];
        match w.t {
            60 => {
                for replica in [1, 2] {
                    w.cut(0, replica, 80);
                    w.cut(replica, 0, 80);
                }
                unreachable(w, 2, 180);
                w.kept_back = Some((0, 104));
            }
            78 => {
                w.servers[0].crash(79);
                w.servers[0].loading = 0;
            }
            104 => w.kept_back = None,
            106 => operators.into_iter().for_each(|op| w.cut(0, op, 180)),
            _ => {}
        }
    };
    let plan =
        Plan { instances: 3, durability: crate::Durability::Async, stale: crate::spec::StaleReplica::Allow, ..pair() };
    is_needed_in(Rule::Closed, plan, script, &[TWO]);
}

#[test]
fn only_who_has_seen_the_takeover_is_detached() {
    // A replica restarts, and the order to follow the primary is long under way to it. The primary pauses and is taken over from; then both
    // the order and the primary come back.
    let script: Script = |w| match w.t {
        60 => {
            w.servers[2].crash(61);
            w.servers[2].loading = 0;
            w.kept_back = Some((2, 95));
        }
        72 => {
            w.servers[0].paused = 94;
            unreachable(w, 0, 150);
        }
        80 => w.kept_back = Some((2, 115)),
        116 => w.kept_back = None,
        _ => {}
    };
    is_needed_in(Rule::SeenTerm, Plan { instances: 3, ..pair() }, script, &[TWO, LOST]);
}

#[test]
fn servers_refuse_what_was_meant_for_another_life() {
    // As before, but the replica is detached in time, and then restarts once more: the order was meant for the life before.
    let script: Script = |w| match w.t {
        110 => {
            w.servers[2].crash(111);
            w.servers[2].loading = 0;
            w.kept_back = Some((2, 145));
        }
        122 => {
            w.servers[0].paused = 144;
            w.kept_back = None;
            unreachable(w, 0, 200);
        }
        138 => {
            w.servers[2].crash(139);
            w.servers[2].loading = 0;
        }
        146 => unreachable(w, 2, 180),
        _ => {}
    };
    is_needed_in(Rule::RunId, Plan { instances: 3, ..pair() }, script, &[TWO, LOST]);
}

#[test]
fn servers_refuse_lower_terms() {
    // The order to go on alone is long under way; when it comes, the replica is a successor again.
    let script: Script = |w| match w.t {
        60 => {
            w.servers[1].crash(63);
            w.servers[1].loading = 0;
            w.kept_back = Some((0, 130));
        }
        69 => w.kept_back = None,
        _ => {}
    };
    let plan = Plan { durability: crate::Durability::Preferred, ..pair() };
    is_needed_in(Rule::Terms, plan, script, &[TWO, LOST]);
}

#[test]
fn an_operator_votes_only_while_it_certainly_leads() {
    // The leader is cut off from the API server, and is the only one that still reaches the primary.
    let script: Script = |w| {
        let (60, Some(p), Some(leader)) = (w.t, primary(w), w.lease.1) else { return };
        let (op, other) = (super::world::SLOTS + leader, super::world::SLOTS + 1 - leader);
        for (a, b) in [(p, 1 - p), (p, other), (op, super::world::API)] {
            w.cut(a, b, 159);
            w.cut(b, a, 159);
        }
    };
    is_needed_in(Rule::Witness, pair(), script, &[TWO, LOST]);
}

#[test]
fn a_data_set_that_is_not_whole_is_not_promoted() {
    // The order to become primary is long under way; when it comes, the replica has reached its primary again and is in the middle of a full sync.
    let script: Script = |w| match w.t {
        60 => {
            for op in [super::world::SLOTS, super::world::SLOTS + 1] {
                w.cut(0, op, 159);
                w.cut(op, 0, 159);
            }
            w.cut(0, 1, 100);
            w.cut(1, 0, 100);
            w.kept_back = Some((1, 108));
        }
        109 => w.kept_back = None,
        _ => {
            if w.servers[1].upstream == Follows::Nowhere {
                w.kept_back = None;
            }
        }
    };
    let plan = Plan { late: true, durability: crate::Durability::Preferred, ..pair() };
    is_needed_in(Rule::Whole, plan, script, &[LOST]);
}

#[test]
fn a_successor_that_has_lost_the_primary_to_its_death_takes_over() {
    // All is well, and then the primary dies for good. Its replica sees that first, and says so before the operator knows.
    let script: Script = |w| {
        w.slow = 3;
        let armed =
            w.stored.record.as_ref().is_some_and(|r| r.phase == crate::Phase::Stable && !r.successors.is_empty());
        let Some(p) = primary(w).filter(|_| armed && w.t >= 60 && w.servers.iter().all(|s| s.run == 1)) else { return };
        w.hang_up(p);
        w.servers[p].crash(w.t + 20);
        w.lose_disk(p, 0);
    };
    is_needed_in(Rule::Outlived, Plan { durability: crate::Durability::Preferred, ..pair() }, script, &["not healed"]);
}
