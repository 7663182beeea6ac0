//! What is made for a resource is pinned: an upgrade of the operator must not restart a pod.
//!
//! A change here is a change that users see. If it is meant, run the test with `UPDATE_GOLDEN=1` and look at the
//! difference; a difference in a pod template restarts every instance of every user.

use std::{fs, net::IpAddr, path::Path};

use serde::Serialize;
use serde_json::{Value, json};
use valkey_operator::{
    api::ValkeyReplication,
    resources::{self, Context, Files, Names, auth, slice},
};

fn resource(spec: Value) -> ValkeyReplication {
    serde_json::from_value(json!({
        "apiVersion": "valkey-repl.dev/v1alpha1",
        "kind": "ValkeyReplication",
        "metadata": {"name": "pair", "namespace": "shop", "uid": "11111111-2222-3333-4444-555555555555"},
        "spec": spec,
    }))
    .unwrap()
}

fn render(spec: Value) -> String {
    let resource = resource(spec);
    let names = Names::of(&resource).unwrap();
    let context = Context {
        server_image: "valkey-repl/server:TEST",
        replicas: resource.spec.instances,
        live: None,
        kept: &Files::new(),
    };
    let desired = resources::build(&resource, &context).unwrap();
    let server = |ordinal: u8| slice::Server {
        pod: names.pod(ordinal.into()),
        uid: format!("uid-{ordinal}"),
        ip: IpAddr::from([10, 0, 0, ordinal]),
        node: Some(format!("node-{ordinal}")),
        zone: None,
    };
    let mut text = String::new();
    let mut add = |object: &dyn erased::Yaml| {
        text.push_str("---\n");
        text.push_str(&object.yaml());
    };
    add(&desired.config);
    add(&auth::generated(&resource, &names, b"generated").unwrap());
    add(&auth::rendered(&resource, &names, b"generated \"\xff", Some(b"before"), Some("its-own")).unwrap());
    desired.services.iter().for_each(|service| add(service));
    add(&slice::build(&resource, &names, &names.rw(), &[server(0)]).unwrap());
    add(&slice::build(&resource, &names, &names.ro(), &[]).unwrap());
    desired.budget.iter().for_each(|budget| add(budget));
    add(&desired.stateful_set);
    text
}

mod erased {
    pub trait Yaml {
        fn yaml(&self) -> String;
    }

    impl<T: super::Serialize> Yaml for T {
        fn yaml(&self) -> String {
            serde_saphyr::to_string(self).unwrap()
        }
    }
}

fn pinned(name: &str, spec: Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.yaml"));
    let made = render(spec);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let pinned = fs::read_to_string(&path).unwrap_or_default();
    for (number, (is, was)) in made.lines().zip(pinned.lines()).enumerate() {
        assert_eq!(is, was, "{}:{}", path.display(), number + 1);
    }
    assert_eq!(made.lines().count(), pinned.lines().count(), "{}", path.display());
}

#[test]
fn a_pair_with_all_defaults() {
    pinned("pair", json!({}));
}

#[test]
fn a_stock_cache_of_one() {
    pinned(
        "stock-cache",
        json!({
            "instances": 1,
            "flavor": "Stock",
            "image": "valkey/valkey:9.1",
            "storage": {"ephemeral": true, "size": "2Gi"},
            "persistence": {"rdb": false},
        }),
    );
}

#[test]
fn three_with_every_adjustment() {
    pinned(
        "adjusted",
        json!({
            "instances": 3,
            "image": "registry.example/valkey:1",
            "imagePullPolicy": "Always",
            "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "2Gi", "cpu": 2}},
            "storage": {"size": "10Gi", "storageClassName": "fast", "whenDeleted": "Delete"},
            "config": {"maxmemory-policy": "allkeys-lru", "hz": 50, "notify-keyspace-events": ""},
            "auth": {"secretName": "mine", "key": "pw"},
            "persistence": {"savePoints": "60 1", "aof": true, "aofFsync": "Always"},
            "replication": {"durability": "Sync", "backlogSize": "1gb", "diskless": false},
            "failover": {"detectionTimeout": "1s", "quorumTimeout": "2500ms"},
            "podTemplate": {
                "labels": {"team": "shop"},
                "annotations": {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"},
                "nodeSelector": {"disk": "ssd"},
                "tolerations": [{"key": "dedicated", "operator": "Exists"}],
                "affinity": {"nodeAffinity": {}},
                "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
                "priorityClassName": "high",
                "serviceAccountName": "valkey",
                "imagePullSecrets": ["pull"],
                "terminationGracePeriodSeconds": 300,
            },
            "services": {
                "rw": {
                    "type": "LoadBalancer",
                    "annotations": {"example.com/internal": "true"},
                    "labels": {"public": "no"},
                    "loadBalancerClass": "internal",
                    "loadBalancerSourceRanges": ["10.0.0.0/8"],
                },
                "ro": {"type": "NodePort"},
            },
        }),
    );
}

#[test]
fn the_templates_of_claims_that_stand_are_kept_while_the_claims_grow() {
    let names_of_size = |set: &k8s_openapi::api::apps::v1::StatefulSet| {
        serde_json::to_value(set)
            .unwrap()
            .pointer("/spec/volumeClaimTemplates/0/spec/resources/requests/storage")
            .cloned()
    };
    let build = |spec, live: Option<&_>| {
        let context = Context { server_image: "i", replicas: 2, live, kept: &Files::new() };
        resources::build(&resource(spec), &context).unwrap().stateful_set
    };
    let first = build(json!({}), None);
    let grown = build(json!({"storage": {"size": "5Gi"}}), Some(&first));
    assert_eq!(names_of_size(&grown), Some(json!("1Gi")));
    assert_eq!(first, grown);
}

#[test]
fn an_operator_with_a_newer_default_image_restarts_no_pod() {
    let build = |server_image, spec, live: Option<&_>| {
        resources::build(&resource(spec), &Context { server_image, replicas: 2, live, kept: &Files::new() })
            .unwrap()
            .stateful_set
    };
    let first = build("valkey-repl/server:1", json!({}), None);
    assert_eq!(build("valkey-repl/server:2", json!({}), Some(&first)), first);
    assert_ne!(build("valkey-repl/server:2", json!({"image": "mine:3"}), Some(&first)), first);
}

#[test]
fn an_image_that_is_taken_away_again_gives_way_to_the_one_before() {
    let build = |server_image, spec, live: Option<&_>| {
        resources::build(&resource(spec), &Context { server_image, replicas: 2, live, kept: &Files::new() })
            .unwrap()
            .stateful_set
    };
    let first = build("valkey-repl/server:1", json!({}), None);
    let broken = build("valkey-repl/server:1", json!({"image": "mine:no-such"}), Some(&first));
    assert_eq!(build("valkey-repl/server:1", json!({}), Some(&broken)), first);
    assert_eq!(build("valkey-repl/server:2", json!({}), Some(&broken)), first, "nor by a newer operator");
}
