//! What people ask for: moves, roll-outs, another number of instances, drains, pauses. Nothing answered is lost by any of it.

use std::time::Duration;

use serde_json::json;
use valkey_repl_e2e::kube::{Cluster, OPERATOR_NAMESPACE, Pair, Pod, PodWriter};

use crate::{PAIR, UNDISTURBED, cluster};

/// How long a change may take: kubelet, volumes and images included.
pub(crate) const CHANGE: Duration = Duration::from_secs(240);

/// A pair with a writer that has been at it for a while.
pub(crate) struct Scene {
    pub(crate) cluster: &'static Cluster,
    pub(crate) pair: Pair<'static>,
    pub(crate) writer: PodWriter,
}

impl Scene {
    pub(crate) fn set(namespace: &str) -> Option<Self> {
        Some(Self::of(cluster()?, namespace, PAIR))
    }

    pub(crate) fn of(cluster: &'static Cluster, namespace: &str, manifest: &str) -> Self {
        let pair = Pair::create(cluster, namespace, "pair", manifest).unwrap();
        let writer = pair.start_writer().unwrap();
        writer.wait("confirmed writes", Duration::from_secs(60), |status| status.confirmed > 200).unwrap();
        writer.mark().unwrap();
        Self { cluster, pair, writer }
    }

    pub(crate) fn patch(&self, spec: serde_json::Value) {
        let patch = json!({"spec": spec}).to_string();
        self.pair.kubectl.run(&["patch", "vkr", "pair", "--type=merge", "--patch", &patch]).unwrap();
    }

    /// Waits until all instances that are wanted are in step and up to date.
    pub(crate) fn settle(&self, ready: &str) {
        let settled = self.pair.kubectl.wait("all instances to be in step", CHANGE, &["vkr", "pair"], |object| {
            let status = &object["status"];
            let progressing =
                status["conditions"].as_array().into_iter().flatten().find(|c| c["type"] == "Progressing");
            let still = progressing.is_some_and(|c| c["status"] == "False");
            let seen = status["observedGeneration"] == object["metadata"]["generation"];
            if status["ready"] == ready && still && seen { Ok(()) } else { Err(status.to_string()) }
        });
        settled.unwrap_or_else(|error| panic!("{error}\n{}", self.pair.report()));
    }

    /// Prints how long no write went through, and looks up every answered one.
    pub(crate) fn end(self, what: &str) {
        self.writer.wait_for_writes(CHANGE).unwrap();
        let status = self.writer.status().unwrap();
        let verdict = self.writer.verify(None).unwrap();
        println!(
            "PLANNED {what}: no write for {} ms, at most {} failed in a row, {} answered writes looked up",
            status.longest_gap.ms, status.errors_in_a_row, verdict.checked
        );
        assert!(verdict.lost_answered.is_empty() && verdict.lost_confirmed.is_empty(), "{what}: {verdict:?}");
        self.pair.delete().unwrap();
    }

    pub(crate) fn primary(&self) -> Pod {
        self.pair.primary().unwrap()
    }

    pub(crate) fn moved_from(&self, old: &Pod) -> Pod {
        self.pair.wait_for_other_primary(&old.name, CHANGE).unwrap()
    }
}

#[test]
fn the_primary_moves_when_annotated_and_the_wish_is_taken_away() {
    let Some(scene) = Scene::set("e2e-switchover") else { return };
    let old = scene.primary();
    scene.pair.kubectl.run(&["annotate", "vkr", "pair", "valkey-repl.dev/switchover=any"]).unwrap();
    std::thread::sleep(UNDISTURBED);
    scene.moved_from(&old);
    scene.settle("2/2");
    let object = scene.pair.kubectl.get(&["vkr", "pair"]).unwrap();
    assert!(object["metadata"]["annotations"]["valkey-repl.dev/switchover"].is_null());
    assert_eq!(object["status"]["failovers"][0]["why"], "Requested");
    assert_eq!(object["status"]["failovers"][0]["bytesPossiblyLost"], 0);
    scene.end("switchover by annotation");
}

#[test]
fn the_primary_moves_to_where_the_spec_wants_it_and_stays_after_a_failover() {
    let Some(scene) = Scene::set("e2e-place") else { return };
    let old = scene.primary();
    let wanted = scene.pair.pods().unwrap().into_keys().find(|name| *name != old.name).unwrap();
    scene.patch(json!({"primary": wanted}));
    assert_eq!(scene.moved_from(&old).name, wanted);
    scene.settle("2/2");
    scene.cluster.kill_process(&scene.primary(), "valkey-server").unwrap();
    let other = scene.pair.wait_for_other_primary(&wanted, CHANGE).unwrap();
    scene.settle("2/2");
    assert_eq!(scene.primary().name, other.name, "it does not move back by itself");
    scene.end("primary in the spec");
}

#[test]
fn a_live_directive_is_set_and_asked_back_and_restarts_nobody() {
    let Some(scene) = Scene::set("e2e-config") else { return };
    let before = scene.pair.pods().unwrap();
    scene.patch(json!({"config": {"maxmemory-policy": "allkeys-lru"}}));
    for pod in before.values() {
        valkey_repl_e2e::wait::until("the directive", CHANGE, || {
            let says = scene.writer.ask(&pod.address(), &["CONFIG", "GET", "maxmemory-policy"])?;
            if says.contains("allkeys-lru") { Ok(()) } else { Err(says) }
        });
    }
    scene.settle("2/2");
    let after = scene.pair.pods().unwrap();
    assert!(before.iter().all(|(name, pod)| after[name].uid == pod.uid), "no pod is made anew");
    // A value that no server takes is said by name.
    scene.patch(json!({"config": {"maxmemory-policy": "none-such"}}));
    let said = scene.pair.kubectl.wait("the refusal", CHANGE, &["vkr", "pair"], |object| {
        let text = object["status"]["instances"].to_string();
        if text.contains("maxmemory-policy is not set") { Ok(()) } else { Err(text) }
    });
    said.unwrap();
    scene.patch(json!({"config": {"maxmemory-policy": "noeviction"}}));
    scene.settle("2/2");
    scene.end("configuration");
}

#[test]
fn a_roll_out_restarts_replicas_first_and_hands_over() {
    let Some(scene) = Scene::set("e2e-roll") else { return };
    scene.cluster.retag(&["server"], "next").unwrap();
    for (what, spec) in [
        ("image", json!({"image": "valkey-repl/server:next"})),
        ("resources", json!({"resources": {"requests": {"cpu": "50m"}, "limits": {"memory": "512Mi"}}})),
        ("configuration", json!({"config": {"databases": 32}})),
    ] {
        let before = scene.pair.pods().unwrap();
        let old = scene.primary();
        scene.writer.mark().unwrap();
        scene.patch(spec);
        let said = scene.pair.kubectl.wait("the roll-out in status", CHANGE, &["vkr", "pair"], |object| {
            let text = object["status"]["conditions"].to_string();
            if text.contains("of 2 instances are up to date") { Ok(()) } else { Err(text) }
        });
        said.unwrap();
        scene.moved_from(&old);
        scene.settle("2/2");
        let after = scene.pair.pods().unwrap();
        assert!(before.iter().all(|(name, pod)| after[name].uid != pod.uid), "every pod is made anew");
        let last = scene.pair.status().unwrap()["failovers"][0].clone();
        assert_eq!((&last["why"], &last["bytesPossiblyLost"]), (&"Evaded".into(), &0.into()), "{last}");
        println!("PLANNED roll-out of {what}: no write for {} ms", scene.writer.status().unwrap().longest_gap.ms);
    }
    let says = scene.writer.ask("pair-rw:6379", &["CONFIG", "GET", "databases"]).unwrap();
    assert!(says.contains("32"), "{says}");
    scene.end("roll-outs");
}

#[test]
fn a_newer_operator_restarts_no_pod() {
    let Some(scene) = Scene::set("e2e-upgrade") else { return };
    let before = scene.pair.pods().unwrap();
    let operators = scene.cluster.operators().unwrap();
    scene.cluster.retag(&["server", "operator"], "next").unwrap();
    scene.cluster.install_chart(&["replicas=2", "image.tag=next", "serverImage.tag=next"]).unwrap();
    let leader = scene.cluster.operator_leader().unwrap();
    assert!(operators.iter().all(|pod| pod.name != leader), "another one leads");
    // It looks after the pair: what is asked of it is done.
    scene.patch(json!({"config": {"maxmemory-policy": "allkeys-lru"}}));
    scene.settle("2/2");
    let says = scene.writer.ask("pair-rw:6379", &["CONFIG", "GET", "maxmemory-policy"]).unwrap();
    assert!(says.contains("allkeys-lru"), "{says}");
    assert_eq!(scene.pair.pods().unwrap(), before, "every pod is the same");
    scene.cluster.install_chart(&["replicas=2"]).unwrap();
    scene.end("newer operator");
}

#[test]
fn instances_come_and_go() {
    let Some(scene) = Scene::set("e2e-scale") else { return };
    for (instances, ready) in [(1, "1/1"), (2, "2/2"), (3, "3/3"), (2, "2/2")] {
        scene.pair.kubectl.run(&["scale", "vkr/pair", &format!("--replicas={instances}")]).unwrap();
        scene.settle(ready);
        scene.writer.wait_for_writes(CHANGE).unwrap();
    }
    scene.end("1, 2, 3, 2 instances");
}

#[test]
fn a_drained_node_loses_its_primary_first() {
    let Some(scene) = Scene::set("e2e-drain") else { return };
    let old = scene.primary();
    let kubectl = scene.cluster.kubectl("default");
    let uncordon = Uncordon(scene.cluster, old.node.clone());
    kubectl.run(&["cordon", &old.node]).unwrap();
    scene.moved_from(&old);
    kubectl.run(&["drain", &old.node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=180s"]).unwrap();
    drop(uncordon);
    scene.settle("2/2");
    scene.end("drain");
}

/// Lets pods come back to a node, whatever became of the test.
struct Uncordon(&'static Cluster, String);

impl Drop for Uncordon {
    fn drop(&mut self) {
        let _ = self.0.kubectl("default").run(&["uncordon", &self.1]);
    }
}

#[test]
fn a_paused_pair_goes_on_and_changes_nothing() {
    let Some(scene) = Scene::set("e2e-paused") else { return };
    scene.patch(json!({"paused": true}));
    let old = scene.primary();
    scene.pair.kubectl.run(&["annotate", "vkr", "pair", "valkey-repl.dev/switchover=any"]).unwrap();
    // Twice the lease: a primary that nobody votes for would have stopped.
    std::thread::sleep(Duration::from_secs(12));
    scene.writer.wait_for_writes(CHANGE).unwrap();
    assert_eq!(scene.primary().name, old.name);
    scene.patch(json!({"paused": false}));
    scene.moved_from(&old);
    scene.settle("2/2");
    scene.end("pause");
}

#[test]
fn a_deleted_pair_leaves_its_volumes_and_nothing_else() {
    let Some(scene) = Scene::set("e2e-deleted") else { return };
    scene.pair.kubectl.run(&["delete", "vkr", "pair", "--timeout=120s"]).unwrap();
    valkey_repl_e2e::wait::until("everything to be gone", CHANGE, || {
        let left = scene.pair.kubectl.run(&[
            "get",
            "statefulsets,services,configmaps,poddisruptionbudgets,endpointslices,secrets",
            "--selector=valkey-repl.dev/name=pair",
            "--output=name",
        ])?;
        if left.trim().is_empty() { Ok(()) } else { Err(left) }
    });
    let claims = scene.pair.kubectl.run(&["get", "pvc", "--output=name"]).unwrap();
    assert_eq!(claims.lines().count(), 2, "{claims}");
    scene.pair.delete().unwrap();
}

#[test]
fn a_broken_password_locks_out_neither_the_operator_nor_the_replicas() {
    let Some(scene) = Scene::set("e2e-password") else { return };
    // In the Secret: it is said where people look, and the one before it stays in force.
    let secret = scene.pair.kubectl.get(&["secret", "pair-auth"]).unwrap();
    let password = |value: &serde_json::Value| json!({"data": {"password": value}}).to_string();
    scene.pair.kubectl.run(&["patch", "secret", "pair-auth", "--patch", &password(&"".into())]).unwrap();
    let said = scene.pair.kubectl.wait("the complaint", CHANGE, &["vkr", "pair"], |object| {
        let text = object["status"]["conditions"].to_string();
        if text.contains("is empty; everybody could log in") { Ok(()) } else { Err(text) }
    });
    said.unwrap();
    scene
        .pair
        .kubectl
        .run(&["patch", "secret", "pair-auth", "--patch", &password(&secret["data"]["password"])])
        .unwrap();

    // On the servers, by hand: an operator that comes anew gets in, and tells them what the Secret says.
    for pod in scene.pair.pods().unwrap().values() {
        let said = scene.writer.ask(&pod.address(), &["CONFIG", "SET", "requirepass", "changed by hand"]).unwrap();
        assert_eq!(said.trim(), "OK");
    }
    let leader = scene.cluster.operator_leader().unwrap();
    scene.cluster.kubectl(OPERATOR_NAMESPACE).run(&["delete", "pod", &leader]).unwrap();
    let old = scene.primary();
    scene.cluster.kill_process(&old, "valkey-server").unwrap();
    scene.moved_from(&old);
    scene.settle("2/2");
    scene.end("broken password");
}

#[test]
fn the_operator_explains_itself() {
    let Some(scene) = Scene::set("e2e-explain") else { return };
    let operator = scene.cluster.kubectl(OPERATOR_NAMESPACE);
    let deployment = scene.cluster.operator_deployment().unwrap();
    let command = ["valkey-operator", "explain", "pair", "--namespace", "e2e-explain"];
    let text = operator.run(&[&["exec", &deployment, "--"], &command[..]].concat()).unwrap();
    let primary = scene.primary().name;
    assert!(text.contains(&format!("{primary} is primary")) && text.contains("Steady"), "{text}");
    scene.end("explain");
}

#[test]
fn helm_test_writes_moves_and_reads() {
    let Some(cluster) = cluster() else { return };
    let said =
        cluster.helm(&["test", "valkey-repl", "--namespace", OPERATOR_NAMESPACE, "--timeout=10m", "--logs"]).unwrap();
    println!("PLANNED {said}");
    assert!(said.contains("answered writes are read through valkey-repl-check-ro"), "{said}");
    let left = cluster.kubectl(OPERATOR_NAMESPACE).run(&["get", "vkr", "--output=name"]).unwrap();
    assert_eq!(left, "", "the pair of the check is taken away");
}
