//! What the operator tells of pods that nobody makes: against a real API server, with the rights that the chart gives it, and no cluster
//! behind. Skipped, with a word, where the programs are missing.

use std::time::Duration;

use serde_json::json;
use valkey_repl_e2e::kube::{ApiServer, Operator, run};
use valkey_repl_e2e::wait::until;

const LIMIT: Duration = Duration::from_secs(90);

#[test]
fn why_a_pod_is_not_made_is_in_the_status_of_its_resource() {
    let Some(server) = ApiServer::start().unwrap() else { return };
    let kubectl = Operator::prepare(&server).unwrap();
    let _operator = Operator::start(&server).unwrap();

    let pair = json!({"apiVersion": "valkey-repl.dev/v1alpha1", "kind": "ValkeyReplication",
        "metadata": {"name": "pair"}, "spec": {"storage": {"ephemeral": true}}});
    kubectl.apply(&pair.to_string()).unwrap();
    let set = until("the StatefulSet", LIMIT, || kubectl.get(&["statefulset", "pair"]));
    // As the platform's own controller says it.
    let refusal =
        "create Pod pair-1 in StatefulSet pair failed error: pods \"pair-1\" is forbidden: exceeded quota: small";
    let now = run("date", &["--utc", "+%Y-%m-%dT%H:%M:%SZ"], &[], "").unwrap();
    let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "pair.1"},
        "type": "Warning", "reason": "FailedCreate", "message": refusal, "source": {"component": "statefulset-controller"},
        "firstTimestamp": now.trim(), "lastTimestamp": now.trim(), "count": 1,
        "involvedObject": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "pair", "namespace": "default",
            "uid": set["metadata"]["uid"]}});
    kubectl.apply(&event.to_string()).unwrap();
    let says = format!("FailedCreate: {refusal}");
    until("the reason", LIMIT, || {
        let status = kubectl.get(&["vkr", "pair"])?["status"].take();
        let problem = |ordinal: usize| status["instances"][ordinal]["problem"].as_str();
        if problem(1) == Some(&says) && problem(0).is_none() { Ok(()) } else { Err(status.to_string()) }
    });
}
