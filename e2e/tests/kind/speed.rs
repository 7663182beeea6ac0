//! How long writes stop when the primary's process crashes, and when the primary is moved on purpose, over many times. They fail for a lost
//! write, not for a slow one, and are run by name: `make e2e TESTS=speed CRASHES=60 MOVES=30`.

use std::time::Duration;

use valkey_repl_e2e::kube::{Cluster, Pair, Pod, PodWriter};
use valkey_repl_e2e::percentile;
use valkey_repl_e2e::wait::try_until;

use crate::{PAIR, UNDISTURBED, cluster};

/// Pairs that crash by turns: while one heals the next one crashes. Each has a client that writes all the time: more of them would be
/// measured themselves.
const PAIRS: usize = 3;
/// How long a failover or a return may take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(300);

/// How often something is to be done.
fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A pair, and a client that writes to it.
type Scene<'a> = (Pair<'a>, PodWriter);

fn scenes<'c>(cluster: &'c Cluster, name: &str, pairs: usize) -> Vec<Scene<'c>> {
    let scene = |n| {
        let pair = Pair::create(cluster, &format!("e2e-{name}-{n}"), "pair", PAIR).unwrap();
        let writer = pair.start_writer().unwrap();
        (pair, writer)
    };
    (0..pairs).map(scene).collect()
}

/// What a client saw of it.
struct Stop {
    /// For how many milliseconds no write went through.
    ms: u64,
    /// How many attempts to write failed in a row.
    errors: u64,
}

/// Does something to the primary, and waits until another is in its place.
fn stop((pair, writer): &Scene<'_>, what: impl FnOnce(&Pod)) -> Stop {
    pair.wait_in_step(PATIENCE).unwrap();
    writer.wait_for_writes(PATIENCE).unwrap();
    let primary = pair.primary().unwrap();
    writer.mark().unwrap();
    what(&primary);
    pair.wait_for_other_primary(&primary.name, PATIENCE).unwrap();
    writer.wait_for_writes(PATIENCE).unwrap();
    let status = writer.status().unwrap();
    Stop { ms: status.longest_gap.ms, errors: status.errors_in_a_row }
}

/// Looks up all that was answered, and prints how long clients had to wait.
fn end(scenes: Vec<Scene<'_>>, what: &str, stops: &[Stop]) {
    for (pair, writer) in scenes {
        let verdict = writer.verify(None).unwrap();
        assert!(verdict.lost_answered.is_empty() && verdict.lost_confirmed.is_empty(), "{verdict:?}");
        pair.delete().unwrap();
    }
    let gaps: Vec<u64> = stops.iter().map(|stop| stop.ms).collect();
    let [half, most, all] = [50, 99, 100].map(|percent| percentile(&gaps, percent));
    let once = stops.iter().filter(|stop| stop.errors <= 1).count();
    println!(
        "{what} {} times: no write for {half} ms (p50), {most} ms (p99), {all} ms (longest); {once} times one retry at once was enough",
        gaps.len()
    );
}

#[test]
fn a_crashed_process_stops_writes_for_a_moment_and_costs_none_of_them() {
    let Some(cluster) = cluster() else { return };
    let scenes = scenes(cluster, "speed", PAIRS);
    let mut stops = Vec::new();
    let mut crashed: Vec<Option<Pod>> = vec![None; PAIRS];
    while stops.len() < number("CRASHES", 60) {
        for (scene, crashed) in scenes.iter().zip(&mut crashed) {
            let pair = &scene.0;
            // One that is still to be deleted would take over and go: two failures at once.
            if let Some(old) = crashed.take() {
                try_until("another pod in its place", PATIENCE, || match pair.pods()?.get(&old.name) {
                    Some(pod) if pod.uid != old.uid => Ok(()),
                    _ => Err(format!("{} stands", old.name)),
                })
                .unwrap();
            }
            stops.push(stop(scene, |primary| {
                cluster.kill_process(primary, "valkey-server").unwrap();
                *crashed = Some(primary.clone());
            }));
            // Kubelet waits longer and longer before it starts the same container again, but not that of another pod.
            if let Some(pod) = &*crashed {
                pair.kubectl.run(&["delete", "pod", &pod.name, "--wait=false"]).unwrap();
            }
        }
    }
    end(scenes, "FAILOVER process crashed", &stops);
}

#[test]
fn a_primary_that_is_moved_on_purpose_stops_writes_for_a_tenth_of_a_second_and_costs_none_of_them() {
    let Some(cluster) = cluster() else { return };
    let scenes = scenes(cluster, "moves", 1);
    let (pair, _) = &scenes[0];
    let move_away = |_: &Pod| {
        pair.kubectl.run(&["annotate", "vkr", "pair", "valkey-repl.dev/switchover=any"]).unwrap();
        std::thread::sleep(UNDISTURBED);
    };
    let stops: Vec<Stop> = (0..number("MOVES", 30)).map(|_| stop(&scenes[0], move_away)).collect();
    end(scenes, "PLANNED moved", &stops);
}
