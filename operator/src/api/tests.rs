//! The rules of the definition, evaluated as the API server evaluates them.

use kube::core::ObjectMeta;
use serde_json::json;

use super::*;

/// A resource named `pair` with this spec and the defaults for what it leaves out.
pub(crate) fn resource(spec: serde_json::Value) -> ValkeyReplication {
    ValkeyReplication {
        metadata: ObjectMeta {
            name: Some("pair".into()),
            namespace: Some("shop".into()),
            uid: Some("0000-pair".into()),
            ..ObjectMeta::default()
        },
        spec: serde_json::from_value(spec).unwrap(),
        status: None,
    }
}

fn refusal(spec: serde_json::Value) -> String {
    resource(spec).check().expect_err("should be refused").to_string()
}

fn refused_update(old: serde_json::Value, new: serde_json::Value) -> String {
    resource(new).validate_cel_update(&resource(old)).expect_err("should be refused").to_string()
}

#[test]
fn the_smallest_useful_resource_needs_no_field() {
    let pair = resource(json!({}));
    pair.check().unwrap();
    assert_eq!(pair.spec.instances, 2);
}

#[test]
fn the_number_of_instances_is_bounded_by_the_schema() {
    let crd = serde_json::to_value(ValkeyReplication::crd()).unwrap();
    let instances =
        crd.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/instances").unwrap();
    assert_eq!((instances["minimum"].as_f64(), instances["maximum"].as_f64()), (Some(1.0), Some(9.0)));
    assert_eq!(instances["default"], json!(2));
}

#[test]
fn a_directive_with_a_field_of_its_own_is_refused_with_the_field_to_use() {
    for (remedy, names) in OWNED {
        for name in *names {
            let message = refusal(json!({"config": {*name: "x"}}));
            assert!(message.contains(&format!("spec.config.{name} may not be set: {remedy}")), "{message}");
        }
    }
}

#[test]
fn other_directives_are_taken_as_numbers_or_text() {
    let pair =
        resource(json!({"config": {"maxmemory-policy": "allkeys-lru", "hz": 50, "maxmemory": 8_000_000_000_u64}}));
    pair.check().unwrap();
    assert_eq!(pair.spec.config["maxmemory"].to_string(), "8000000000");
}

#[test]
fn a_key_that_is_no_directive_is_refused() {
    assert!(refusal(json!({"config": {"max memory": "1gb"}})).contains("no name of a directive"));
}

#[test]
fn a_volume_may_grow_but_not_shrink() {
    let size = |size: &str| json!({"storage": {"size": size}});
    resource(size("2Gi")).validate_cel_update(&resource(size("1Gi"))).unwrap();
    resource(size("1024Mi")).validate_cel_update(&resource(size("1Gi"))).unwrap();
    let message = refused_update(size("2Gi"), size("1Gi"));
    assert!(message.contains("spec.storage.size cannot shrink from 2Gi to 1Gi"), "{message}");
}

#[test]
fn a_size_that_is_no_amount_is_refused() {
    for size in ["ten", "0", "-1Gi"] {
        assert!(refusal(json!({"storage": {"size": size}})).contains("must be an amount above zero"), "{size}");
    }
}

#[test]
fn an_amount_that_is_none_is_refused_where_it_stands() {
    for field in ["requests", "limits"] {
        let message = refusal(json!({"resources": {field: {"memory": "lots"}}}));
        assert!(message.contains(&format!("spec.resources.{field} has 'lots', which is no amount")), "{message}");
        resource(json!({"resources": {field: {"memory": "1.5Gi", "cpu": 2}}})).check().unwrap();
    }
    for size in ["64Mi", "0", "-1", "x", "", "999999999999gb", "9999999999G", "9223372036854775808"] {
        let message = refusal(json!({"replication": {"backlogSize": size}}));
        assert!(
            message.contains(&format!("spec.replication.backlogSize '{size}' must be"))
                && message.contains("such as 64mb"),
            "{message}"
        );
    }
    for size in ["1gb", "999999999gb", "999999999999mb", "999999999999"] {
        resource(json!({"replication": {"backlogSize": size}})).check().unwrap();
    }
}

#[test]
fn save_points_that_no_server_takes_are_refused() {
    for points in ["99999999999999999999 1", "0 0", "0 1", "00 1", "60 2147483648", "60 1 0 1", "60 1 300", "60  1", ""]
    {
        let message = refusal(json!({"persistence": {"savePoints": points}}));
        assert!(
            message.contains(&format!("spec.persistence.savePoints '{points}' must be pairs of seconds and changes"))
                && message.contains("to write no snapshot set rdb to false"),
            "{message}"
        );
    }
    for points in ["1 0", "3600 1 300 100 60 10000", "2147483647 2147483647", "060 01"] {
        resource(json!({"persistence": {"savePoints": points}})).check().unwrap();
    }
}

#[test]
fn a_value_of_more_than_one_line_is_refused() {
    for value in ["50\nrequirepass open", "50\r", "\n"] {
        let message = refusal(json!({"config": {"hz": value}}));
        assert!(message.contains("spec.config has a value with a line break: write each directive under"), "{message}");
    }
}

#[test]
fn a_module_is_refused_where_it_would_stop_the_server() {
    let message = refusal(json!({"config": {"loadmodule": "/x.so"}}));
    assert!(message.contains("spec.config.loadmodule") && message.contains("has no modules"), "{message}");
    let stock = json!({"flavor": "Stock", "image": "valkey/valkey:9.1", "config": {"loadmodule": "/x.so"}});
    resource(stock).check().unwrap();
}

#[test]
fn what_cannot_be_changed_in_place_is_refused() {
    for (old, new, field) in [
        (json!({}), json!({"storage": {"ephemeral": true}}), "spec.storage.ephemeral"),
        (json!({}), json!({"storage": {"storageClassName": "fast"}}), "spec.storage.storageClassName"),
        (json!({}), json!({"flavor": "Stock", "image": "valkey/valkey:9.1"}), "spec.flavor"),
    ] {
        let message = refused_update(old, new);
        assert!(message.contains(&format!("{field} cannot change")), "{message}");
    }
}

#[test]
fn timeouts_have_bounds_and_detection_is_not_slower_than_the_lease() {
    for (failover, says) in [
        (json!({"detectionTimeout": "100ms"}), "detectionTimeout '100ms' must be a duration from 500ms"),
        (json!({"quorumTimeout": "2m"}), "quorumTimeout '120s' must be a duration from 1s to 60s"),
        (json!({"switchoverTimeout": "6m"}), "switchoverTimeout '360s' must be a duration from 1s to 5m"),
        (json!({"detectionTimeout": "-1s"}), "detectionTimeout '-1s' must be a duration from 500ms"),
        (json!({"maxLag": "9999999h"}), "maxLag '35999996400s' must be a duration from 1s to 5m"),
        (json!({"detectionTimeout": "10s"}), "detectionTimeout (10s) may not exceed quorumTimeout (5s)"),
    ] {
        let message = refusal(json!({"failover": failover}));
        assert!(message.contains(says), "{message}");
    }
    resource(json!({"failover": {"detectionTimeout": "10s", "quorumTimeout": "15s"}})).check().unwrap();
}

#[test]
fn the_lease_may_be_made_longer_but_not_shorter() {
    let lease = |quorum: &str| json!({"failover": {"quorumTimeout": quorum, "detectionTimeout": "1s"}});
    resource(lease("8s")).validate_cel_update(&resource(lease("5s"))).unwrap();
    let message = refused_update(lease("5s"), lease("4s"));
    assert!(message.contains("quorumTimeout cannot be lowered from 5s to 4s"), "{message}");
}

#[test]
fn durability_that_could_never_answer_a_write_is_refused() {
    let message = refusal(json!({"instances": 1, "replication": {"durability": "Sync"}}));
    assert!(message.contains("would refuse every write"), "{message}");
    resource(json!({"instances": 1})).check().unwrap();
}

#[test]
fn giving_up_answered_writes_must_be_asked_for_twice() {
    let message = refusal(json!({"failover": {"staleReplica": "Allow"}}));
    assert!(message.contains("set spec.replication.durability to Async"), "{message}");
    resource(json!({"failover": {"staleReplica": "Allow"}, "replication": {"durability": "Async"}})).check().unwrap();
}

#[test]
fn a_stock_server_is_asked_for_nothing_that_it_cannot_do() {
    assert!(refusal(json!({"flavor": "Stock"})).contains("needs spec.image"));
    let stock = |replication| json!({"flavor": "Stock", "image": "valkey/valkey:9.1", "replication": replication});
    assert!(refusal(stock(json!({"durability": "Preferred"}))).contains("has no acknowledged writes"));
    resource(stock(json!({}))).check().unwrap();
}

#[test]
fn a_name_must_fit_the_services_and_pods_made_of_it() {
    for name in ["a".repeat(53), "1pair".into(), "my.pair".into()] {
        let mut pair = resource(json!({}));
        pair.metadata.name = Some(name.clone());
        let message = pair.check().expect_err(&name).to_string();
        assert!(message.contains("metadata.name"), "{message}");
    }
}

#[test]
fn a_primary_that_is_asked_for_must_be_one_of_the_pods() {
    resource(json!({"primary": "pair-1"})).check().unwrap();
    for name in ["pair-2", "pear-0", "pair-x-0", "pair", "1"] {
        let message = refusal(json!({"primary": name}));
        assert!(message.contains(&format!("spec.primary '{name}' is no")), "{message}");
    }
}

#[test]
fn the_operators_own_labels_cannot_be_overridden() {
    let message = refusal(json!({"podTemplate": {"labels": {"valkey-repl.dev/name": "x"}}}));
    assert!(message.contains("spec.podTemplate.labels"), "{message}");
}

#[test]
fn what_a_stateful_set_would_be_refused_for_is_refused_where_it_stands() {
    let resources = json!({"requests": {"memory": "2Gi", "cpu": 1}, "limits": {"memory": "1Gi", "cpu": "1500m"}});
    let zone =
        json!({"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"});
    let spread = |with: serde_json::Value| {
        let mut spread = zone.clone();
        with.as_object().unwrap().iter().for_each(|(field, value)| spread[field] = value.clone());
        json!({"podTemplate": {"topologySpreadConstraints": [spread]}})
    };
    let toleration = |t: serde_json::Value| json!({"podTemplate": {"tolerations": [t]}});
    for (spec, says) in [
        (json!({"resources": resources}), "spec.resources.requests: memory 2Gi is more than its limit of 1Gi: lower"),
        (json!({"podTemplate": {"labels": {"team": "a b"}}}), "spec.podTemplate.labels 'a b' is no value of a label"),
        (json!({"podTemplate": {"labels": {"a b": "x"}}}), "spec.podTemplate.labels has a key that is none"),
        (json!({"podTemplate": {"annotations": {"/x": "x"}}}), "spec.podTemplate.annotations has a key that is none"),
        (json!({"podTemplate": {"nodeSelector": {"zone": "-"}}}), "spec.podTemplate.nodeSelector '-' is no value"),
        (json!({"podTemplate": {"priorityClassName": "A b"}}), "spec.podTemplate.priorityClassName 'A b' is no name"),
        (json!({"services": {"rw": {"labels": {"a": "?"}}}}), "spec.services: labels '?' is no value of a label"),
        (json!({"auth": {"secretName": "my secret"}}), "spec.auth.secretName 'my secret' is no name of an object"),
        (json!({"auth": {"secretName": "mine", "key": "a/b"}}), "spec.auth.key 'a/b' is no key of a Secret"),
        (json!({"auth": {"key": "pw"}}), "spec.auth.key 'pw' is a key in a Secret of yours, and none is named"),
        (json!({"persistence": {"savePoints": "60"}}), "spec.persistence.savePoints '60' must be pairs"),
        (
            json!({"services": {"rw": {"type": "LoadBalancer", "loadBalancerClass": "a b"}}}),
            "spec.services: loadBalancerClass 'a b' is no such name",
        ),
        (
            json!({"services": {"ro": {"type": "NodePort", "loadBalancerClass": "a.b/c"}}}),
            "spec.services: loadBalancerClass has no meaning for type NodePort: set type to LoadBalancer, or remove it",
        ),
        (
            json!({"services": {"rw": {"loadBalancerSourceRanges": ["10.0.0.0/8"]}}}),
            "spec.services: loadBalancerSourceRanges has no meaning for type ClusterIP",
        ),
        (json!({"storage": {"storageClassName": "Fast"}}), "spec.storage.storageClassName 'Fast' is no name"),
        (toleration(json!({"key": "a", "operator": "In"})), "another operator than Equal and Exists"),
        (toleration(json!({"key": "a", "operator": "Exists", "value": "b"})), "operator Exists and a value"),
        (toleration(json!({"value": "b"})), "without a key"),
        (toleration(json!({"key": "a", "effect": "Never"})), "an effect that there is not"),
        (toleration(json!({"key": "a", "tolerationSeconds": 5})), "tolerationSeconds for another effect"),
        (
            json!({"resources": {"requests": {"memroy": "1Gi"}}}),
            "spec.resources.requests has a key that is no resource of a container: write cpu, memory",
        ),
        (json!({"resources": {"limits": {"CPU": 1}}}), "spec.resources.limits has a key that is no resource"),
        (json!({"resources": {"limits": {"a b/c": 1}}}), "spec.resources.limits has a key that is no resource"),
        (
            json!({"resources": {"limits": {"memory": 1}}}),
            "spec.resources.limits: memory 1 is less than a server needs to start: write 8Mi or more, or leave it out",
        ),
        (spread(json!({"maxSkew": 0})), "with a maxSkew below 1: write 1 or more"),
        (
            spread(json!({"whenUnsatisfiable": "Never"})),
            "with a whenUnsatisfiable that there is not: write DoNotSchedule",
        ),
        (spread(json!({"topologyKey": ""})), "without a topologyKey: name a label of nodes"),
        (spread(json!({"minDomains": 0})), "with a minDomains that means nothing"),
        (
            spread(json!({"minDomains": 2, "whenUnsatisfiable": "ScheduleAnyway"})),
            "with a minDomains that means nothing",
        ),
        (
            spread(json!({"nodeTaintsPolicy": "Maybe"})),
            "with a nodeAffinityPolicy or nodeTaintsPolicy that there is not",
        ),
        (
            json!({"podTemplate": {"imagePullSecrets": ["my secret"]}}),
            "spec.podTemplate.imagePullSecrets 'my secret' is no name of an object",
        ),
        (
            json!({"podTemplate": {"imagePullSecrets": ["mine", "mine"]}}),
            "spec.podTemplate.imagePullSecrets names a Secret twice",
        ),
    ] {
        let message = refusal(spec);
        assert!(message.contains(says), "{says}: {message}");
    }
    let fine = json!({
        "resources": {"requests": {"memory": "1Gi", "cpu": 1, "example.com/device": 1}, "limits": {"memory": "1024Mi", "cpu": "1"}},
        "podTemplate": {
            "topologySpreadConstraints": [
                {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "minDomains": 2},
                {"maxSkew": 2, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "nodeTaintsPolicy": "Honor"},
            ],
            "imagePullSecrets": ["mine", "yours"],
            "labels": {"example.com/team": "shop", "empty": ""},
            "tolerations": [{"operator": "Exists"}, {"key": "a", "value": "b", "effect": "NoExecute", "tolerationSeconds": 5}],
        },
        "services": {"rw": {"type": "LoadBalancer", "loadBalancerClass": "a.b/c", "loadBalancerSourceRanges": ["10.0.0.0/8"],
            "annotations": {"a.b/c": "any text"}}},
        "auth": {"secretName": "my.secret-1", "key": "pass_word.txt"},
    });
    resource(fine).check().unwrap();
    let range =
        refusal(json!({"services": {"rw": {"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.0"]}}}));
    assert!(range.contains("'10.0.0.0' is no range of addresses"), "{range}");
}

#[test]
fn a_record_survives_its_way_through_status() {
    let record = valkey_repl_engine::Record {
        term: 3,
        epoch: 2,
        phase: valkey_repl_engine::Phase::Stable,
        primary: Some(valkey_repl_engine::record::Life { name: "pair-1".into(), uid: "u".into(), run_id: "r".into() }),
        failovers: vec![valkey_repl_engine::record::Failover {
            at: "2026-01-01T00:00:00Z".into(),
            epoch: 2,
            from: Some("pair-0".into()),
            to: "pair-1".into(),
            why: valkey_repl_engine::record::Why::Died,
            timeline: Default::default(),
            bytes_possibly_lost: Some(0),
        }],
        ..Default::default()
    };
    let mut status = ValkeyReplicationStatus::default();
    status.set_record(record.clone());
    assert_eq!((status.primary.as_deref(), status.epoch, status.phase.as_str()), (Some("pair-1"), 2, "Stable"));
    let text = serde_json::to_string(&status).unwrap();
    let read: ValkeyReplicationStatus = serde_json::from_str(&text).unwrap();
    assert_eq!(read.record(), Some(record));
    assert_eq!(ValkeyReplicationStatus::default().record(), None);
}

#[test]
fn what_would_keep_every_pod_from_its_start_is_refused() {
    for image in ["a b", " valkey/valkey:9.1", "valkey/valkey:9.1\n", "-v", "UPPER/Case:tag@", "a:b:c"] {
        let message = refusal(json!({"image": image}));
        assert!(message.contains(&format!("spec.image '{image}' is no name of an image")), "{image:?}: {message}");
    }
    for image in ["valkey", "localhost:5000/a/b:1", "quay.io/x/y@sha256:0123abcd", "Registry.example/a__b:V1"] {
        resource(json!({"image": image})).check().unwrap();
    }
    for value in [r#""64mb"#, r#"a 'b"#, r#""a"b"#, r#"'a'b c"#, r#""a\""#] {
        let message = refusal(json!({"config": {"client-output-buffer-limit": value}}));
        assert!(message.contains("spec.config has a value with a quote"), "{value}: {message}");
    }
    for value in ["normal 0 0 0", r#""a \" b" c"#, r#"'it\'s'"#, "\"\"", ""] {
        resource(json!({"config": {"client-output-buffer-limit": value, "hz": 50}})).check().unwrap();
    }
}
