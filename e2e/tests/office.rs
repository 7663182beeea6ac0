//! An operator that takes over what another looked after: against a real API server, with no cluster behind. Skipped, with a word, where
//! the programs are missing.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use valkey_repl_e2e::kube::{ApiServer, Kubectl, Operator};
use valkey_repl_e2e::wait::until;

const LIMIT: Duration = Duration::from_secs(90);
/// What the operator makes of one resource, without the password.
const OBJECTS: [&str; 6] = ["cm/{}-config", "svc/{}-rw", "svc/{}-ro", "svc/{}-headless", "pdb/{}", "sts/{}"];

/// One test at a time: an operator that has to wait for the processor sends what it has just sent once more, before it sees it stand.
static TURN: Mutex<()> = Mutex::new(());

fn pair(name: &str, spec: &Value) -> String {
    json!({"apiVersion": "valkey-repl.dev/v1alpha1", "kind": "ValkeyReplication", "metadata": {"name": name}, "spec": spec})
        .to_string()
}

/// The objects as a person would compare them: without what the API server writes about them.
fn objects(kubectl: &Kubectl, name: &str) -> Result<Vec<Value>, String> {
    let object = |what: &&str| {
        let mut object = kubectl.get(&[&what.replace("{}", name)])?;
        let metadata = &object["metadata"];
        object["metadata"] = json!({"labels": metadata["labels"], "owners": metadata["ownerReferences"]});
        object["status"].take();
        Ok(object)
    };
    OBJECTS.iter().map(object).collect()
}

/// The objects that the operator applied after its first `seen` requests, as `OBJECTS` names them.
fn applied(server: &ApiServer, seen: usize) -> Vec<String> {
    let short = |resource: &str| match resource {
        "configmaps" => Some("cm"),
        "services" => Some("svc"),
        "poddisruptionbudgets" => Some("pdb"),
        "statefulsets" => Some("sts"),
        "secrets" => Some("secret"),
        _ => None,
    };
    let requests = server.requests().unwrap().into_iter().skip(seen).filter(|request| request.verb == "patch");
    let mut applied: Vec<_> =
        requests.filter_map(|request| Some(format!("{}/{}", short(&request.resource)?, request.name))).collect();
    applied.sort();
    applied
}

#[test]
fn who_takes_over_writes_only_the_objects_that_somebody_changed_meanwhile() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(server) = ApiServer::start().unwrap() else { return };
    let kubectl = Operator::prepare(&server).unwrap();
    let first = Operator::start(&server).unwrap();
    kubectl.apply(&pair("plain", &json!({"storage": {"ephemeral": true}}))).unwrap();
    let full = json!({
        "instances": 3,
        "config": {"maxmemory-policy": "allkeys-lru"},
        "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
        "services": {"rw": {"annotations": {"team": "shop"}}},
        "podTemplate": {
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}],
        },
    });
    kubectl.apply(&pair("other", &full)).unwrap();
    let [plain, other] = ["plain", "other"].map(|name| until("its objects", LIMIT, || objects(&kubectl, name)));
    let seen = server.requests().unwrap().len();
    drop(first);

    // A value changed, an entry removed, something added to what belongs together, a label taken away.
    let patch = |what: &str, patch: &str| kubectl.run(&["patch", what, "--type=json", "--patch", patch]).unwrap();
    patch("svc/other-rw", r#"[{"op": "replace", "path": "/spec/ports/0/targetPort", "value": 1}]"#);
    patch("cm/other-config", r#"[{"op": "remove", "path": "/data"}]"#);
    patch("svc/other-headless", r#"[{"op": "add", "path": "/spec/selector/more", "value": "of-it"}]"#);
    kubectl.run(&["label", "pdb", "other", "app.kubernetes.io/name-"]).unwrap();

    let _second = Operator::start(&server).unwrap();
    until("what people changed to be as before", LIMIT, || {
        let now = objects(&kubectl, "other")?;
        let changed = now.iter().zip(&other).find(|(now, before)| now != before);
        changed.map_or(Ok(()), |(now, before)| Err(format!("{now}\nwas\n{before}")))
    });
    // One more change, so that all of both has been looked at before the requests are counted.
    let ephemeral = json!({"storage": {"ephemeral": true}});
    for (name, mut spec) in [("plain", ephemeral), ("other", full)] {
        spec["services"]["ro"]["annotations"]["last"] = name.into();
        kubectl.apply(&pair(name, &spec)).unwrap();
        until("the last change", LIMIT, || {
            let service = kubectl.get(&["svc", &format!("{name}-ro")])?;
            let last = &service["metadata"]["annotations"]["last"];
            if last == name { Ok(()) } else { Err(service.to_string()) }
        });
    }
    let mended = ["cm/other-config", "pdb/other", "svc/other-headless", "svc/other-ro", "svc/other-rw", "svc/plain-ro"];
    assert_eq!(applied(&server, seen), mended);
    assert_eq!(objects(&kubectl, "plain").unwrap(), plain);

    // Somebody has a Service lead to all pods; the platform's own controllers make slices of it.
    let stray = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "endpoints": [],
        "metadata": {"name": "plain-rw-x", "labels": {"kubernetes.io/service-name": "plain-rw", "valkey-repl.dev/name": "plain"}}});
    kubectl
        .run(&["patch", "svc/plain-rw", "--patch", r#"{"spec": {"selector": {"valkey-repl.dev/name": "plain"}}}"#])
        .unwrap();
    until("the selector to be gone", LIMIT, || {
        let service = kubectl.get(&["svc", "plain-rw"])?;
        if service["spec"]["selector"].is_null() { Ok(()) } else { Err(service.to_string()) }
    });
    kubectl.apply(&stray.to_string()).unwrap();
    until("the slice to be gone", LIMIT, || match kubectl.run(&["get", "endpointslices", "--output=name"])? {
        slices if slices.contains("plain-rw-x") => Err(slices),
        _ => Ok(()),
    });
}

/// How long it may take until what is looked at now and then is looked at.
const REVIEW: Duration = Duration::from_secs(180);

/// There is no cluster behind, so that all pods are missing.
#[test]
fn what_no_watch_sees_is_mended_while_pods_are_missing() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(server) = ApiServer::start().unwrap() else { return };
    let kubectl = Operator::prepare(&server).unwrap();
    let _operator = Operator::start(&server).unwrap();
    kubectl.apply(&pair("plain", &json!({"storage": {"ephemeral": true}}))).unwrap();
    until("its objects", LIMIT, || objects(&kubectl, "plain"));
    // Servers cannot start without the one, and are passed by with the others: somebody made them by hand.
    kubectl.run(&["delete", "secret", "plain-auth-conf"]).unwrap();
    let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.9.9.9"]}],
        "metadata": {"name": "by-hand", "labels": {"kubernetes.io/service-name": "plain-rw"}}});
    // The platform makes a slice of these, where one runs.
    let endpoints = json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "plain-rw"},
        "subsets": [{"addresses": [{"ip": "10.9.9.9"}], "ports": [{"port": 6379}]}]});
    let others = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "endpoints": [],
        "metadata": {"name": "of-another", "labels": {"kubernetes.io/service-name": "web"}}});
    [slice, endpoints, others].iter().for_each(|object| kubectl.apply(&object.to_string()).unwrap());
    until("the password's file to be there", REVIEW, || kubectl.get(&["secret", "plain-auth-conf"]));
    until("the Services to lead nowhere else", REVIEW, || {
        let all = kubectl.run(&["get", "endpointslices,endpoints", "--output=name"])?;
        if all.contains("by-hand") || all.contains("endpoints/plain-rw") { Err(all) } else { Ok(()) }
    });
    kubectl.get(&["endpointslice", "of-another"]).unwrap();
}
