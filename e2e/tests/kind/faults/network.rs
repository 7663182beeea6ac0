//! A node that some reach and others do not.

use super::*;

/// With pods that leave a node which Kubernetes hears nothing of after ten seconds, instead of five minutes.
const HASTY: &str = "spec:
  instances: 2
  podTemplate:
    tolerations:
      - {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 10}
      - {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 10}
";

#[test]
fn a_primary_that_is_cut_off_from_operator_and_replica_answers_no_write_that_its_successor_lacks() {
    let Some(cluster) = cluster() else { return };
    let scene = Scene::set(cluster, "e2e-split");
    let operators = cluster.operators().unwrap();
    let others: Vec<&Pod> = operators.iter().chain([&scene.replica]).collect();
    let since = Instant::now();
    // The writer still reaches it.
    let cut = cluster.cut(&scene.primary, &others).unwrap();
    scene.expect_failover("primary cut off from operator and replica", since);
    // It still says that it is primary, and takes nothing.
    let said = scene.writer.ask(&scene.primary.address(), &["SET", "beside", "the other"]).unwrap_err();
    assert!(said.contains("NOQUORUM"), "{said}");
    drop(cut);
    // What it had executed and not sent decides which sync it needs.
    scene.expect_return("primary cut off from operator and replica");
    scene.end();
}

#[test]
fn a_node_that_only_the_api_server_lost_serves_on_and_hands_over_before_its_pod_goes() {
    let Some(cluster) = cluster() else { return };
    let scene = Scene::set_with(cluster, "e2e-kubelet", &(head() + HASTY), Promise::Answered);
    let cut = cluster.cut_from_api_server(&scene.primary.node).unwrap();
    let kubectl = cluster.kubectl("default");
    kubectl.wait_for("condition=Ready=Unknown", &format!("node/{}", scene.primary.node), FAILOVER).unwrap();
    let seen = scene.writer.status().unwrap();
    let gap = seen.longest_gap.ms;
    println!("FAILOVER node without API server: no write for {gap} ms until it counts as unreachable");
    assert_eq!(seen.run_ids.len(), 1, "its clients, its replica and the operator reach it: it stays in office");
    scene.writer.wait_for_writes(FAILOVER).unwrap();
    // Kubernetes takes its pod for deleted, which nobody there hears: the primary moves away, in peace.
    let since = Instant::now();
    scene.expect_failover("node without API server", since);
    let move_ = scene.pair.status().unwrap()["failovers"][0].clone();
    assert_eq!((&move_["why"], &move_["bytesPossiblyLost"]), (&"Evaded".into(), &0.into()), "{move_}");
    drop(cut);
    scene.expect_return("node without API server");
    scene.end();
}
