//! How long writes stop when the primary's process crashes, over many crashes. It fails for a lost write, not for a slow one, and is run by
//! name: `make e2e TESTS=speed CRASHES=60`.

use std::time::Duration;

use valkey_repl_e2e::kube::{Pair, Pod, PodWriter};
use valkey_repl_e2e::percentile;
use valkey_repl_e2e::wait::try_until;

use crate::{PAIR, cluster};

/// Pairs that crash by turns: while one heals the next one crashes. Each has a client that writes all the time: more of them would be
/// measured themselves.
const PAIRS: usize = 3;
/// How long a failover or a return may take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(300);

#[test]
fn a_crashed_process_stops_writes_for_a_moment_and_costs_none_of_them() {
    let Some(cluster) = cluster() else { return };
    let crashes = std::env::var("CRASHES").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let scenes: Vec<(Pair<'_>, PodWriter)> = (0..PAIRS)
        .map(|n| {
            let pair = Pair::create(cluster, &format!("e2e-speed-{n}"), "pair", PAIR).unwrap();
            let writer = pair.start_writer().unwrap();
            (pair, writer)
        })
        .collect();
    let mut gaps = Vec::new();
    let mut crashed: Vec<Option<Pod>> = vec![None; PAIRS];
    while gaps.len() < crashes {
        for ((pair, writer), crashed) in scenes.iter().zip(&mut crashed) {
            // One that is still to be deleted would take over and go: two failures at once.
            if let Some(old) = crashed.take() {
                try_until("another pod in its place", PATIENCE, || match pair.pods()?.get(&old.name) {
                    Some(pod) if pod.uid != old.uid => Ok(()),
                    _ => Err(format!("{} stands", old.name)),
                })
                .unwrap();
            }
            pair.wait_in_step(PATIENCE).unwrap();
            writer.wait_for_writes(PATIENCE).unwrap();
            let primary = pair.primary().unwrap();
            writer.mark().unwrap();
            cluster.kill_process(&primary, "valkey-server").unwrap();
            pair.wait_for_other_primary(&primary.name, PATIENCE).unwrap();
            writer.wait_for_writes(PATIENCE).unwrap();
            gaps.push(writer.status().unwrap().longest_gap.ms);
            // Kubelet waits longer and longer before it starts the same container again, but not that of another pod.
            pair.kubectl.run(&["delete", "pod", &primary.name, "--wait=false"]).unwrap();
            *crashed = Some(primary);
        }
    }
    for (pair, writer) in scenes {
        let verdict = writer.verify(None).unwrap();
        assert!(verdict.lost_answered.is_empty() && verdict.lost_confirmed.is_empty(), "{verdict:?}");
        pair.delete().unwrap();
    }
    let at = |percent| percentile(&gaps, percent);
    println!(
        "FAILOVER {} crashes of the process: no write for {} ms (p50), {} ms (p99), {} ms (longest)",
        gaps.len(),
        at(50),
        at(99),
        at(100)
    );
}
