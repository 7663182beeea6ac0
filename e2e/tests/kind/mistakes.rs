//! What people get wrong, and put right again. Nothing answered is lost by either.

use std::time::Duration;

use serde_json::{Value, json};
use valkey_repl_e2e::kube::Pair;
use valkey_repl_e2e::wait::until;

use crate::planned::{CHANGE, Scene};
use crate::{PAIR, cluster};

/// The example with another specification.
fn pair(spec: &str) -> String {
    let head = PAIR.lines().take_while(|line| !line.starts_with("spec:")).map(|line| line.to_owned() + "\n");
    head.collect::<String>() + "spec: " + spec + "\n"
}

#[test]
fn a_directive_that_the_servers_do_not_take_restarts_nobody_and_a_crash_outlives_it() {
    let Some(scene) = Scene::set("e2e-typo") else { return };
    let before = scene.pair.pods().unwrap();
    scene
        .patch(json!({"config": {"maxmemory": "12 bananas", "nosuch-directive": "1", "databases": "abc", "hz": "20"}}));
    let told = scene.pair.kubectl.wait("the mistakes to be told", CHANGE, &["vkr", "pair"], |object| {
        let conditions = object["status"]["conditions"].to_string();
        let all = ["ConfigNotTaken", "maxmemory", "nosuch-directive", "databases"]
            .iter()
            .all(|word| conditions.contains(word));
        if all { Ok(()) } else { Err(conditions) }
    });
    told.unwrap();
    let old = scene.primary();
    scene.cluster.kill_process(&old, "valkey-server").unwrap();
    scene.moved_from(&old);
    let back = scene.pair.kubectl.wait("the old primary to follow", CHANGE, &["vkr", "pair"], |object| {
        if object["status"]["ready"] == "2/2" { Ok(()) } else { Err(object["status"].to_string()) }
    });
    back.unwrap();
    // What was right beside the mistakes is in force, also after a start.
    valkey_repl_e2e::wait::until("hz", CHANGE, || {
        let says = scene.writer.ask(&old.address(), &["CONFIG", "GET", "hz"])?;
        if says.contains("20") { Ok(()) } else { Err(says) }
    });
    let pods = scene.pair.pods().unwrap();
    assert!(before.iter().all(|(name, pod)| pods[name].uid == pod.uid), "{pods:?}");
    scene.patch(json!({"config": {"maxmemory": "1gb", "nosuch-directive": null, "databases": null}}));
    scene.settle("2/2");
    scene.end("mistakes in spec.config, and a crash");
}

/// A stock server cannot be asked whether it would start with a value.
#[test]
fn a_value_that_only_a_start_shows_to_be_wrong_keeps_no_other_stock_server_from_starting() {
    let Some(cluster) = cluster() else { return };
    let spec =
        "{instances: 2, flavor: Stock, image: \"valkey-repl/stock:9.1\", persistence: {aof: true, aofFsync: Always}}";
    let scene = Scene::of(cluster, "e2e-stock-typo", &pair(spec));
    let old = scene.primary();
    scene.patch(json!({"config": {"databases": "abc"}}));
    let said = scene.pair.kubectl.wait("the replica's end in status", CHANGE, &["vkr", "pair"], |object| {
        let text = object["status"]["instances"].to_string();
        if text.contains("FATAL CONFIG FILE ERROR") { Ok(()) } else { Err(text) }
    });
    said.unwrap();
    cluster.kill_process(&old, "valkey-server").unwrap();
    // It comes back with what it was made for. That it holds the newest data a stock server cannot prove: the other is heard first.
    until("the old primary to run again", CHANGE, || {
        let says = scene.writer.ask(&old.address(), &["CONFIG", "GET", "databases"])?;
        if says.contains("16") { Ok(()) } else { Err(says) }
    });
    scene.patch(json!({"config": {"databases": null}}));
    scene.settle("2/2");
    scene.end("a wrong value that only a start shows, stock, and a crash");
}

#[test]
fn an_image_that_cannot_be_pulled_is_put_right_before_and_after_the_first_start() {
    let Some(cluster) = cluster() else { return };
    let kubectl = cluster.fresh_namespace("e2e-image").unwrap();
    kubectl.apply(&pair("{instances: 2, image: \"valkey-repl/server:no-such\"}")).unwrap();
    let said = kubectl.wait("the image to be named", CHANGE, &["vkr", "pair"], |object| {
        let text = object["status"].to_string();
        if text.contains("no-such") { Ok(()) } else { Err(text) }
    });
    said.unwrap();
    kubectl.run(&["patch", "vkr", "pair", "--type=merge", "--patch", r#"{"spec": {"image": null}}"#]).unwrap();
    kubectl.wait_for("condition=Ready", "vkr/pair", CHANGE).unwrap();
    kubectl.run(&["delete", "namespace", "e2e-image"]).unwrap();

    // While the replica waits for such an image, the primary crashes, and comes back with all that it had.
    let manifest = pair("{instances: 2, persistence: {aof: true, aofFsync: Always}}");
    let scene = Scene::of(cluster, "e2e-image-later", &manifest);
    let old = scene.primary();
    scene.patch(json!({"image": "valkey-repl/server:no-such"}));
    let said = scene.pair.kubectl.wait("the image to be named", CHANGE, &["vkr", "pair"], |object| {
        let text = object["status"]["instances"].to_string();
        if text.contains("no-such") { Ok(()) } else { Err(text) }
    });
    said.unwrap();
    scene.writer.mark().unwrap();
    cluster.kill_process(&old, "valkey-server").unwrap();
    scene.writer.wait_for_writes(CHANGE).unwrap();
    scene.patch(json!({"image": null}));
    scene.settle("2/2");
    scene.end("an image that is not there, and a crash");
}

/// The password of a generated Secret, as it stands.
fn password(pair: &Pair<'_>) -> Result<Value, String> {
    let secret = pair.kubectl.get(&["secret", "pair-auth"])?;
    let password = secret["data"]["password"].clone();
    if password.is_string() { Ok(password) } else { Err(secret.to_string()) }
}

#[test]
fn secrets_that_somebody_deletes_come_back_with_the_passwords_in_force() {
    let Some(scene) = Scene::set("e2e-secrets") else { return };
    let before = password(&scene.pair).unwrap();
    scene.pair.kubectl.run(&["delete", "secret", "pair-auth", "pair-auth-conf"]).unwrap();
    let again = until("the Secrets", CHANGE, || {
        scene.pair.kubectl.get(&["secret", "pair-auth-conf"])?;
        password(&scene.pair)
    });
    assert_eq!(again, before);
    // Nobody is locked out: the primary is replaced, and what is started anew joins.
    let old = scene.primary();
    scene.pair.kubectl.run(&["delete", "pod", &old.name, "--wait=false"]).unwrap();
    scene.moved_from(&old);
    scene.settle("2/2");
    scene.end("Secrets deleted");
}

#[test]
fn a_pod_that_somebody_took_the_labels_of_gets_them_back() {
    let Some(scene) = Scene::set("e2e-labels") else { return };
    let old = scene.primary();
    let gone = ["valkey-repl.dev/name-", "app.kubernetes.io/instance-"];
    scene.pair.kubectl.run(&[&["label", "pod", &old.name][..], &gone].concat()).unwrap();
    let back = scene.pair.kubectl.wait("its labels", CHANGE, &["pod", &old.name], |pod| {
        let labels = &pod["metadata"]["labels"];
        if labels["valkey-repl.dev/name"] == "pair" { Ok(()) } else { Err(labels.to_string()) }
    });
    back.unwrap();
    scene.settle("2/2");
    scene.writer.wait_for_writes(CHANGE).unwrap();
    scene.end("labels taken away");
}

#[test]
fn a_resource_that_comes_back_with_fewer_instances_keeps_the_newest_data() {
    let Some(cluster) = cluster() else { return };
    // A Secret of the user's own: the writer goes on with the password that it knows.
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: pair-auth}\nstringData: {password: mine}\n---\n";
    let spec = |instances| {
        format!(
            "{{instances: {instances}, auth: {{secretName: pair-auth}}, persistence: {{aof: true, aofFsync: Always}}}}"
        )
    };
    let full = |instances| secret.to_owned() + &pair(&spec(instances));
    let scene = Scene::of(cluster, "e2e-fewer", &full(2));
    let kubectl = &scene.pair.kubectl;
    // The last one is to hold more than the first.
    if scene.primary().name == "pair-0" {
        let old = scene.primary();
        kubectl.run(&["annotate", "vkr", "pair", "valkey-repl.dev/switchover=pair-1"]).unwrap();
        scene.moved_from(&old);
        scene.settle("2/2");
    }
    let first = scene.pair.pods().unwrap()["pair-0"].clone();
    let cluster_wide = scene.cluster.kubectl("default");
    cluster_wide.run(&["cordon", &first.node]).unwrap();
    kubectl.run(&["delete", "pod", "pair-0"]).unwrap();
    std::thread::sleep(Duration::from_secs(5));
    scene.writer.wait_for_writes(CHANGE).unwrap();
    kubectl.run(&["delete", "vkr", "pair", "--wait=true"]).unwrap();
    until("the pods to be gone", CHANGE, || {
        let pods = kubectl.get(&["pods", "-l", "valkey-repl.dev/name=pair"])?;
        if pods["items"].as_array().is_some_and(Vec::is_empty) { Ok(()) } else { Err(pods["items"].to_string()) }
    });
    cluster_wide.run(&["uncordon", &first.node]).unwrap();
    kubectl.apply(&full(1)).unwrap();
    scene.settle("1/1");
    assert_eq!(scene.primary().name, "pair-0", "the other one has handed over, and left");
    kubectl.run(&["scale", "vkr/pair", "--replicas=2"]).unwrap();
    scene.settle("2/2");
    scene.end("made anew with fewer instances");
}
