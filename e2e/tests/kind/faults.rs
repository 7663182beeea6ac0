//! A pair loses its primary in every way that a cluster has: writes go on, nothing answered is lost, the old primary comes back.

mod network;
mod resources;

use std::time::{Duration, Instant};

use valkey_repl_e2e::kube::{Cluster, OPERATOR_NAMESPACE, Pair, Pod, PodWriter, STOCK_IMAGES};
use valkey_repl_e2e::wait::try_until;

use crate::{PAIR, cluster};

/// How long a failover may take before the test gives up; what it does take is printed.
const FAILOVER: Duration = Duration::from_secs(90);
/// How long the old primary may take to come back: kubelet, volume and image included.
const RETURN: Duration = Duration::from_secs(180);

/// A pair with a writer that has been at it for a while.
struct Scene {
    pair: Pair<'static>,
    writer: PodWriter,
    primary: Pod,
    replica: Pod,
    syncs: Syncs,
    promise: Promise,
}

/// Which writes a failover may not lose.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Promise {
    /// Every answered one: durability `Preferred`, the default, while a replica keeps up.
    Answered,
    /// Those that the replica held: durability `Async`.
    Replicated,
}

/// How often an instance has given a replica everything, and how often only what it lacked.
#[derive(Clone, Copy, Debug)]
struct Syncs {
    full: u64,
    partial: u64,
}

/// How the old primary came back.
#[derive(Debug, PartialEq)]
enum Return {
    Partial,
    Full,
}

impl Scene {
    fn set(cluster: &'static Cluster, namespace: &str) -> Self {
        Self::set_with(cluster, namespace, PAIR, Promise::Answered)
    }

    fn set_with(cluster: &'static Cluster, namespace: &str, manifest: &str, promise: Promise) -> Self {
        let pair = Pair::create(cluster, namespace, "pair", manifest).unwrap();
        let writer = pair.start_writer().unwrap();
        writer.wait("confirmed writes", Duration::from_secs(60), |status| status.confirmed > 200).unwrap();
        let primary = pair.primary().unwrap();
        let mut others = pair.pods().unwrap();
        others.remove(&primary.name);
        let replica = others.into_values().next().expect("a pair has a replica");
        assert_ne!(primary.node, replica.node, "two instances on one node are lost together");
        let syncs = syncs(&pair, &writer, &replica);
        writer.mark().unwrap();
        Self { pair, writer, primary, replica, syncs, promise }
    }

    /// Waits until the replica is primary and takes writes, and prints how long none went through.
    fn expect_failover(&self, what: &str, since: Instant) {
        let new = self.pair.wait_for_other_primary(&self.primary.name, FAILOVER).unwrap();
        assert_eq!(new.name, self.replica.name);
        let named = since.elapsed().as_millis();
        if let Err(error) = self.writer.wait_for_writes(FAILOVER) {
            panic!("{error}\n{}", self.pair.report());
        }
        let gap = self.writer.status().unwrap().longest_gap.ms;
        println!("FAILOVER {what}: no write for {gap} ms; status named the new primary within {named} ms");
        if let Some(last) = self.pair.status().unwrap()["failovers"].as_array().and_then(|all| all.first().cloned()) {
            println!("FAILOVER {what}: the status says {last}");
        }
    }

    /// Waits until the old primary follows the new one, and checks on both that everything is there.
    fn expect_return(&self, what: &str) -> Return {
        let new = self.pair.primary().unwrap();
        let follows = || self.pair.wait_follows(&self.writer, &self.primary.name, &new, RETURN);
        follows().unwrap();
        self.pair.wait_ready(RETURN).unwrap();
        let after = syncs(&self.pair, &self.writer, &new);
        let how = if after.full == self.syncs.full { Return::Partial } else { Return::Full };
        println!("FAILOVER {what}: the old primary is back by {how:?} sync ({:?}, then {after:?})", self.syncs);
        assert!(after.partial > self.syncs.partial || how == Return::Full, "it came back without a sync: {after:?}");

        let verdict = self.writer.verify(None).unwrap();
        println!("FAILOVER {what}: {} answered writes looked up", verdict.checked);
        assert!(verdict.lost_confirmed.is_empty(), "lost, though a replica had them: {:?}", verdict.lost_confirmed);
        assert!(verdict.wrong.is_empty(), "{:?}", verdict.wrong);
        println!("FAILOVER {what}: {} answered but on no replica, and lost", verdict.lost_answered.len());
        if self.promise == Promise::Answered {
            assert!(verdict.lost_answered.is_empty(), "answered and lost: {:?}", verdict.lost_answered);
        }
        // The pod that was seen to follow may have been one that was to go, with another one in its place since.
        let held =
            try_until("the old primary to be looked into", RETURN, || self.writer.verify(Some(&follows()?.address())));
        let held = held.unwrap();
        assert!(held.lost_confirmed.is_empty() && held.wrong.is_empty(), "the old primary lacks them: {held:?}");
        how
    }

    fn end(self) {
        self.pair.delete().unwrap();
    }
}

fn syncs(pair: &Pair<'_>, writer: &PodWriter, pod: &Pod) -> Syncs {
    let info = pair.info(writer, pod).unwrap();
    let count = |field: &str| info[field].parse().unwrap();
    Syncs { full: count("sync_full"), partial: count("sync_partial_ok") }
}

#[test]
fn deleting_the_primarys_pod_costs_no_write_and_no_full_sync() {
    let Some(cluster) = cluster() else { return };
    let scene = Scene::set(cluster, "e2e-delete");
    let since = Instant::now();
    scene.pair.kubectl.run(&["delete", "pod", &scene.primary.name, "--wait=false"]).unwrap();
    scene.expect_failover("pod deleted", since);
    assert_eq!(scene.expect_return("pod deleted"), Return::Partial);
    scene.end();
}

#[test]
fn killing_the_primarys_process_costs_no_write() {
    let Some(cluster) = cluster() else { return };
    let scene = Scene::set(cluster, "e2e-kill");
    let since = Instant::now();
    cluster.kill_process(&scene.primary, "valkey-server").unwrap();
    scene.expect_failover("process killed", since);
    // What a killed process had not yet on disk decides which sync it needs.
    scene.expect_return("process killed");
    scene.end();
}

#[test]
fn a_frozen_node_costs_no_write_and_its_primary_comes_back_as_a_replica() {
    let Some(cluster) = cluster() else { return };
    let scene = Scene::set(cluster, "e2e-pause");
    let since = Instant::now();
    let frozen = cluster.pause(&scene.primary.node).unwrap();
    scene.expect_failover("node frozen", since);
    frozen.unpause().unwrap();
    // What it had executed and not sent when it froze decides which sync it needs.
    scene.expect_return("node frozen");
    scene.end();
}

#[test]
fn a_node_without_power_costs_no_write_and_its_primary_comes_back_as_a_replica() {
    let Some(cluster) = cluster() else { return };
    let scene = Scene::set(cluster, "e2e-power");
    let since = Instant::now();
    let dark = cluster.power_off(&scene.primary.node).unwrap();
    scene.expect_failover("node without power", since);
    dark.power_on().unwrap();
    scene.expect_return("node without power");
    scene.end();
}

#[test]
fn a_pair_fails_over_although_the_leading_operator_was_killed_first() {
    let Some(cluster) = cluster() else { return };
    let scene = Scene::set(cluster, "e2e-leader");
    let leader = cluster.operator_leader().unwrap();
    let operator = cluster.kubectl(OPERATOR_NAMESPACE);
    let since = Instant::now();
    operator.run(&["delete", "pod", &leader, "--grace-period=0", "--force"]).unwrap();
    cluster.kill_process(&scene.primary, "valkey-server").unwrap();
    scene.expect_failover("leader and process killed", since);
    assert_ne!(cluster.operator_leader().unwrap(), leader);
    scene.expect_return("leader and process killed");
    scene.end();
}

#[test]
fn a_primary_that_its_replica_cannot_reach_goes_on_alone() {
    let Some(cluster) = cluster() else { return };
    let scene = Scene::set(cluster, "e2e-peer");
    let cut = cluster.cut(&scene.primary, &[&scene.replica]).unwrap();
    let alone = scene.pair.kubectl.wait("nobody to succeed", FAILOVER, &["vkr", "pair"], |object| {
        let successors = &object["status"]["record"]["successors"];
        if successors.as_array().is_none_or(Vec::is_empty) { Ok(()) } else { Err(successors.to_string()) }
    });
    alone.unwrap();
    scene.writer.wait_for_writes(FAILOVER).unwrap();
    assert_eq!(scene.pair.primary().unwrap().name, scene.primary.name, "the operator still reaches it");
    drop(cut);
    scene.pair.wait_follows(&scene.writer, &scene.replica.name, &scene.primary, RETURN).unwrap();
    let verdict = scene.writer.verify(None).unwrap();
    assert!(verdict.lost_answered.is_empty() && verdict.lost_confirmed.is_empty(), "{verdict:?}");
    scene.end();
}

#[test]
fn a_pair_serves_through_an_outage_of_the_api_server_and_fails_over_after_it() {
    let Some(cluster) = cluster() else { return };
    let scene = Scene::set(cluster, "e2e-outage");
    let outage = cluster.stop_api_server().unwrap();
    // Longer than the leader's Lease and the primary's lease together.
    std::thread::sleep(Duration::from_secs(60));
    outage.end().unwrap();
    let gap = scene.writer.status().unwrap().longest_gap.ms;
    println!("FAILOVER API server down for a minute: no write for {gap} ms");
    // Without a vote it would have been a minute.
    assert!(gap < 30_000, "the replica's vote keeps the primary in office: no write for {gap} ms");
    scene.writer.mark().unwrap();
    let since = Instant::now();
    cluster.kill_process(&scene.primary, "valkey-server").unwrap();
    scene.expect_failover("process killed after an outage", since);
    scene.expect_return("process killed after an outage");
    scene.end();
}

#[test]
fn a_pair_whose_instances_restart_at_once_comes_back_with_what_was_on_disk() {
    let Some(cluster) = cluster() else { return };
    let manifest = format!("{}spec: {{instances: 2, persistence: {{aof: true, aofFsync: Always}}}}\n", head());
    let scene = Scene::set_with(cluster, "e2e-both", &manifest, Promise::Answered);
    let since = Instant::now();
    for pod in [&scene.primary, &scene.replica] {
        cluster.kill_process(pod, "valkey-server").unwrap();
    }
    scene.pair.wait_ready(RETURN).unwrap();
    scene.writer.wait_for_writes(RETURN).unwrap();
    println!("FAILOVER both restarted: writes after {} ms", since.elapsed().as_millis());
    let verdict = scene.writer.verify(None).unwrap();
    assert!(verdict.lost_answered.is_empty() && verdict.lost_confirmed.is_empty(), "{verdict:?}");
    scene.end();
}

/// The example without its specification.
fn head() -> String {
    PAIR.lines().filter(|line| !line.starts_with("spec:")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_pair_of_stock_servers_loses_nothing_that_its_replica_held() {
    let Some(cluster) = cluster() else { return };
    for image in STOCK_IMAGES {
        let stock = format!("spec: {{instances: 2, flavor: Stock, image: \"{image}\"}}\n");
        let scene = Scene::set_with(cluster, "e2e-stock", &(head() + &stock), Promise::Replicated);
        let since = Instant::now();
        cluster.kill_process(&scene.primary, "valkey-server").unwrap();
        let what = format!("process of {image} killed");
        scene.expect_failover(&what, since);
        scene.expect_return(&what);
        scene.end();
    }
}
