//! The chart with every option, against a real API server; no cluster is needed. Skipped, with a word, where the programs are missing.

use std::fs;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use serde_json::{Value, json};
use valkey_repl_e2e::kube::{ApiServer, Kubectl, definition, run};
use valkey_repl_e2e::programs::root;
use valkey_repl_e2e::wait::until;

const LIMIT: Duration = Duration::from_secs(60);

const NAMESPACE: &str = "valkey-repl-system";

/// What the Prometheus operator would bring: that it is stored is all that is asked for here.
const MONITORING: [&str; 3] = ["PodMonitor", "ServiceMonitor", "PrometheusRule"];

/// One for all tests of this file that run side by side; it ends with the last of them.
fn server() -> Option<Arc<ApiServer>> {
    static SERVER: Mutex<Weak<ApiServer>> = Mutex::new(Weak::new());
    let mut standing = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(server) = standing.upgrade() {
        return Some(server);
    }
    let server = Arc::new(ApiServer::start().unwrap()?);
    prepare(&server.kubectl("default"));
    *standing = Arc::downgrade(&server);
    Some(server)
}

fn prepare(kubectl: &Kubectl) {
    kubectl.apply(&fs::read_to_string(definition()).unwrap()).unwrap();
    kubectl.run(&["create", "namespace", NAMESPACE]).unwrap();
    MONITORING.iter().for_each(|kind| kubectl.apply(&monitoring(kind).to_string()).unwrap());
    kubectl.run(&["wait", "crd", "--all", "--for=condition=Established", "--timeout=60s"]).unwrap();
}

fn monitoring(kind: &str) -> Value {
    let singular = kind.to_lowercase();
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{singular}s.monitoring.coreos.com")},
        "spec": {
            "group": "monitoring.coreos.com", "scope": "Namespaced",
            "names": {"kind": kind, "plural": format!("{singular}s"), "singular": singular},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    })
}

fn chart() -> String {
    root().join("charts").to_string_lossy().into_owned()
}

fn rendered(settings: &[&str]) -> Result<String, String> {
    let chart = chart();
    let mut args = vec!["template", "valkey-repl", &chart, "--namespace", NAMESPACE];
    settings.iter().for_each(|setting| args.extend(["--set", setting]));
    run("helm", &args, &[], "")
}

/// Every option, with what it is to bring.
const OPTIONS: [(&[&str], &[&str]); 8] = [
    (&[], &["kind: Deployment", "kind: PodDisruptionBudget", "kind: CustomResourceDefinition"]),
    (&["replicas=1", "crds.install=false"], &["kind: Deployment"]),
    (&["watchNamespaces={valkey-repl-system}"], &["kind: Role\n", "kind: ClusterRole\n"]),
    (&["watchNamespaces={valkey-repl-system}", "rbac.namespaced=true"], &["kind: Role\n", "value: \"false\""]),
    (&["metrics.podMonitor=true", "metrics.instances=true"], &["kind: PodMonitor"]),
    (&["metrics.serviceMonitor=true", "metrics.labels.release=prom"], &["kind: ServiceMonitor", "release: prom"]),
    (&["metrics.rules=true", "metrics.dashboard=true"], &["kind: PrometheusRule", "valkey-repl.json"]),
    (&["networkPolicy.enabled=true", "logFormat=json"], &["kind: NetworkPolicy"]),
];

#[test]
fn the_api_server_takes_the_chart_with_each_option() {
    let Some(server) = server() else { return };
    server.helm(&["lint", "--strict", &chart()]).unwrap();
    for (settings, brings) in OPTIONS {
        let text = rendered(settings).unwrap();
        brings.iter().for_each(|what| assert!(text.contains(what), "{settings:?} brings no {what:?}"));
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        let path = file.path().to_string_lossy().into_owned();
        let args = ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "--filename", &path];
        server.kubectl(NAMESPACE).run(&args).unwrap_or_else(|error| panic!("{settings:?}: {error}"));
    }
}

/// `helm test --logs` looks for a pod that is called as the hook is; whatever the namespace demands of pods, this one is let in.
#[test]
fn the_check_is_a_pod_that_the_strictest_namespace_takes() {
    let Some(server) = server() else { return };
    let kubectl = server.kubectl("strict");
    kubectl.run(&["create", "namespace", "strict"]).unwrap();
    kubectl.run(&["label", "namespace", "strict", "pod-security.kubernetes.io/enforce=restricted"]).unwrap();
    let (chart, strict) = (chart(), ["--namespace", "strict", "--show-only", "templates/tests/check.yaml"]);
    let text = run("helm", &[&["template", "valkey-repl", &chart], &strict[..]].concat(), &[], "").unwrap();
    kubectl.apply(&text).unwrap();
    let pod = kubectl.get(&["pod", "valkey-repl-check"]).unwrap();
    assert_eq!(pod["metadata"]["annotations"]["helm.sh/hook"], "test");
    assert_eq!(pod["spec"]["restartPolicy"], "Never");
}

#[test]
fn what_is_off_by_default_is_not_rendered() {
    if server().is_none() {
        return;
    }
    let text = rendered(&[]).unwrap();
    for kind in MONITORING.into_iter().chain(["NetworkPolicy", "ServiceAccountToken"]) {
        assert!(!text.contains(&format!("kind: {kind}\n")), "{kind}");
    }
    let confined = rendered(&["watchNamespaces={default}", "rbac.namespaced=true", "crds.install=false"]).unwrap();
    assert!(
        !confined.contains("kind: Cluster"),
        "a namespaced installation makes nothing that belongs to no namespace"
    );
}

/// What keeps a StatefulSet from making its pods stands only in its events.
#[test]
fn the_operator_may_list_events_wherever_it_looks_after_resources() {
    if server().is_none() {
        return;
    }
    let confined: &[&str] = &["watchNamespaces={default}", "rbac.namespaced=true"];
    for settings in [&[], confined] {
        let text = rendered(settings).unwrap();
        assert!(text.contains("[events.k8s.io]\n  resources: [events]\n  verbs: [create, list]"), "{text}");
    }
}

#[test]
fn a_wrong_value_is_refused_by_name() {
    if server().is_none() {
        return;
    }
    for (setting, says) in [
        ("replicas=0", "replicas"),
        ("metrics.podmonitor=true", "podmonitor"),
        ("logFormat=xml", "logFormat"),
        ("rbac.namespaced=true", "rbac.namespaced needs watchNamespaces"),
    ] {
        let error = rendered(&[setting]).expect_err(setting);
        assert!(error.contains(says), "{setting}: {error}");
    }
}

/// Two operators that look after the same resource would undo each other's work.
#[test]
fn a_second_release_for_the_same_resources_is_refused() {
    let Some(server) = server() else { return };
    let chart = chart();
    let first =
        ["--namespace", "first", "--show-only", "templates/deployment.yaml", "--set", "watchNamespaces={shop,bank}"];
    let text = run("helm", &[&["template", "one", &chart], &first[..]].concat(), &[], "").unwrap();
    server.kubectl("first").run(&["create", "namespace", "first"]).unwrap();
    server.kubectl("first").apply(&text).unwrap();
    let second = |name: &str, watch: &str| {
        let settings = ["--set", "crds.install=false", "--set", watch, "--dry-run=server", "--namespace", "first"];
        server.helm(&[&["install", name, &chart], &settings[..]].concat())
    };
    for watch in ["watchNamespaces=null", "watchNamespaces={bank}"] {
        let refused = second("two", watch).expect_err(watch);
        assert!(refused.contains("release one in namespace first looks after"), "{refused}");
        assert!(refused.contains("give each its own watchNamespaces"), "{refused}");
    }
    second("two", "watchNamespaces={other}").unwrap();
    server.kubectl("first").run(&["delete", "deployment", "one"]).unwrap();
    second("two", "watchNamespaces=null").unwrap();
}

#[test]
fn every_alert_leads_to_a_page_that_is_there() {
    if server().is_none() {
        return;
    }
    let text = rendered(&["metrics.rules=true"]).unwrap();
    let pages: Vec<&str> = text.lines().filter_map(|line| line.trim().strip_prefix("runbook_url: ")).collect();
    assert!(pages.len() >= 6, "{pages:?}");
    for page in pages {
        let (_, name) = page.split_once("/docs/").expect(page);
        assert!(root().join("docs").join(name).is_file(), "{page}");
    }
}

fn resource(name: &str, spec: Value) -> String {
    json!({"apiVersion": "valkey-repl.dev/v1alpha1", "kind": "ValkeyReplication",
           "metadata": {"name": name}, "spec": spec})
    .to_string()
}

#[test]
fn a_bad_specification_is_refused_with_field_value_and_remedy() {
    let Some(server) = server() else { return };
    let kubectl = server.kubectl("default");
    for (spec, says) in [
        (json!({"instances": 0}), "spec.instances"),
        (json!({"instances": 1, "replication": {"durability": "Sync"}}), "use 2 instances or more, or Preferred"),
        (json!({"config": {"requirepass": "x"}}), "spec.config.requirepass may not be set: set spec.auth instead"),
        (json!({"failover": {"detectionTimeout": "10s"}}), "detectionTimeout (10s) may not exceed quorumTimeout (5s)"),
        (json!({"flavor": "Stock"}), "spec.flavor Stock needs spec.image"),
        (json!({"primary": "other-0"}), "spec.primary 'other-0' is no pod of this resource"),
        (json!({"storage": {"size": "ten"}}), "spec.storage.size 'ten' must be an amount above zero such as 10Gi"),
        (json!({"podTemplate": {"labels": {"a": "?"}}}), "spec.podTemplate.labels '?' is no value of a label"),
        (
            json!({"resources": {"requests": {"cpu": 2}, "limits": {"cpu": "1500m"}}}),
            "spec.resources.requests: cpu 2 is more than its limit of 1500m: lower the request or raise the limit",
        ),
        (
            json!({"services": {"rw": {"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.0"]}}}),
            "loadBalancerSourceRanges '10.0.0.0' is no range of addresses: write such as 10.0.0.0/8",
        ),
        (
            json!({"services": {"rw": {"loadBalancerClass": "internal"}}}),
            "loadBalancerClass has no meaning for type ClusterIP: set type to LoadBalancer, or remove it",
        ),
        (json!({"auth": {"key": "pw"}}), "spec.auth.key 'pw' is a key in a Secret of yours, and none is named"),
        (json!({"persistence": {"savePoints": "60"}}), "spec.persistence.savePoints '60' must be pairs"),
        (
            json!({"persistence": {"savePoints": "99999999999999999999 1"}}),
            "spec.persistence.savePoints '99999999999999999999 1' must be pairs",
        ),
        (json!({"persistence": {"savePoints": "0 0"}}), "spec.persistence.savePoints '0 0' must be pairs"),
        (
            json!({"replication": {"backlogSize": "999999999999gb"}}),
            "spec.replication.backlogSize '999999999999gb' must be a number of bytes",
        ),
        (json!({"failover": {"maxLag": "000000000000000010s"}}), "spec.failover.maxLag '000000000000000010s' must be"),
        (json!({"failover": {"maxLag": "999999999999999h"}}), "spec.failover.maxLag '999999999999999h' must be"),
        (json!({"config": {"hz": "50\nport 1"}}), "spec.config has a value with a line break: write each directive"),
        (
            json!({"resources": {"requests": {"memroy": "1Gi"}}}),
            "spec.resources.requests has a key that is no resource",
        ),
        (
            json!({"resources": {"limits": {"memory": "1"}}}),
            "spec.resources.limits: memory 1 is less than a server needs",
        ),
        (
            json!({"podTemplate": {"topologySpreadConstraints": [
                {"maxSkew": 0, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]}}),
            "spec.podTemplate.topologySpreadConstraints has one with a maxSkew below 1",
        ),
        (
            json!({"podTemplate": {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [{"key": "disk", "operator": "Foo"}]}]}}}}}),
            "operator: Unsupported value: \"Foo\": supported values: \"In\", \"NotIn\"",
        ),
        (
            json!({"podTemplate": {"affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 1000, "podAffinityTerm": {"topologyKey": "zone"}}]}}}}),
            "weight in body should be less than or equal to 100",
        ),
        (
            json!({"auth": {"secretName": "bad-auth-conf"}}),
            "spec.auth.secretName 'bad-auth-conf' is the Secret that the operator",
        ),
        (json!({"auth": {"secretName": "mine", "key": ".."}}), "spec.auth.key '..' is no key of a Secret"),
        (
            json!({"podTemplate": {"imagePullSecrets": ["my secret"]}}),
            "spec.podTemplate.imagePullSecrets 'my secret' is no name of an object",
        ),
    ] {
        let refused = kubectl.apply(&resource("bad", spec)).expect_err(says);
        assert!(refused.contains(says), "{refused}");
    }
    let affinity = json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 100, "preference": {"matchExpressions": [{"key": "cores", "operator": "Gt", "values": ["4"]}]}}]}});
    let good = json!({"primary": "good-1", "podTemplate": {"affinity": affinity}});
    kubectl.apply(&resource("good", good)).unwrap();
    let shrunk =
        kubectl.run(&["patch", "vkr", "good", "--type=merge", "--patch", r#"{"spec":{"storage":{"size":"1Mi"}}}"#]);
    assert!(shrunk.expect_err("a volume cannot shrink").contains("spec.storage.size cannot shrink"));
    // The scale subresource, as an autoscaler uses it.
    kubectl.run(&["scale", "vkr/good", "--replicas=3"]).unwrap();
    assert_eq!(kubectl.get(&["vkr", "good"]).unwrap()["spec"]["instances"], 3);
    kubectl.run(&["delete", "vkr", "good"]).unwrap();
}

#[test]
fn every_field_says_what_it_is_for() {
    let Some(server) = server() else { return };
    let kubectl = server.kubectl("default");
    // What a new kind is called by is told a little later than that it is there.
    let text = until("kubectl explain", LIMIT, || kubectl.run(&["explain", "vkr.spec", "--recursive=false"]));
    assert!(text.contains("How many instances: one primary, the others replicas"), "{text}");
    for field in ["failover.quorumTimeout", "replication.durability", "primary", "storage.size"] {
        let text = kubectl.run(&["explain", &format!("vkr.spec.{field}")]).unwrap();
        assert!(text.contains("DESCRIPTION:"), "{field}: {text}");
    }
}
