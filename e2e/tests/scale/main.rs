//! One operator and thousands of resources, against a bare API server, with servers of a few lines: `make scale`. It prints what it
//! measures, and fails where a promise is broken:
//!
//! - in steady state the operator writes nothing but its Lease, and asks less than once per resource and minute;
//! - a failover among all of them takes no longer than alone;
//! - an operator that takes over from another changes no status, and leads no Service elsewhere.
//!
//! `SCALE=2000` is how many resources, `SCALE_SECONDS=120` how long the steady state is watched.

mod fleet;

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use valkey_repl_e2e::kube::{ApiServer, Kubectl, Operator};
use valkey_repl_e2e::wait::try_until;

use fleet::Fleet;

/// Most objects that one call of kubectl is given.
const PORTION: usize = 250;
/// How many failovers are measured, alone and among all.
const FAILOVERS: usize = 5;
/// What a failover may take longer among all than alone.
const ALLOWANCE: Duration = Duration::from_millis(500);

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Makes resources, their pods and the claims of those, `from..to`.
fn create(kubectl: &Kubectl, from: usize, to: usize) {
    let pods: Vec<usize> = (from * 2..to * 2).collect();
    for portion in pods.chunks(PORTION) {
        apply(kubectl, &["create"], portion.iter().map(|index| pod(*index)));
        apply(kubectl, &["apply", "--server-side", "--subresource=status"], portion.iter().map(|i| pod_status(*i)));
        apply(kubectl, &["create"], portion.iter().map(|index| claim(*index)));
    }
    let resources: Vec<usize> = (from..to).collect();
    for portion in resources.chunks(PORTION) {
        apply(kubectl, &["create"], portion.iter().map(|n| resource(&fleet::resource(n * 2))));
    }
}

fn apply(kubectl: &Kubectl, how: &[&str], objects: impl Iterator<Item = Value>) {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects.collect::<Vec<_>>()});
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), list.to_string()).unwrap();
    let path = file.path().to_string_lossy().into_owned();
    kubectl.run(&[how, &["--filename", &path]].concat()).unwrap();
}

fn resource(name: &str) -> Value {
    json!({"apiVersion": "valkey-repl.dev/v1alpha1", "kind": "ValkeyReplication", "metadata": {"name": name}, "spec": {}})
}

fn pod_name(index: usize) -> String {
    format!("{}-{}", fleet::resource(index), index % 2)
}

fn pod(index: usize) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": pod_name(index), "labels": {"valkey-repl.dev/name": fleet::resource(index)}},
        "spec": {"containers": [{"name": "valkey", "image": "none"}]},
    })
}

/// What a StatefulSet's controller makes beside a pod.
fn claim(index: usize) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": format!("data-{}", pod_name(index)), "labels": {"valkey-repl.dev/name": fleet::resource(index)}},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    })
}

fn pod_status(index: usize) -> Value {
    let ip = fleet::address(index).to_string();
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": pod_name(index)},
        "status": {
            "phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}],
            "containerStatuses": [{"name": "valkey", "image": "none", "imageID": "", "ready": true, "restartCount": 0,
                                   "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}],
        },
    })
}

/// Waits until so many resources have all instances in step.
fn settle(kubectl: &Kubectl, count: usize) {
    let limit = Duration::from_secs(120 + count as u64);
    let settled = try_until("all resources to be in step", limit, || {
        // To look at all of them is work for the API server, too.
        std::thread::sleep(Duration::from_millis(500 + count as u64));
        let path = r#"jsonpath={range .items[*]}{.status.ready}{"\n"}{end}"#;
        let ready = kubectl.run(&["get", "vkr", "--output", path])?;
        let done = ready.lines().filter(|line| *line == "2/2").count();
        if done == count { Ok(()) } else { Err(format!("{done} of {count}")) }
    });
    settled.unwrap();
}

/// Kills the primary of a pair, and measures until its replica accepts writes; then brings it back.
async fn fail_over(fleet: &Arc<Fleet>, kubectl: &Kubectl, pair: usize) -> Duration {
    let primary = [pair * 2, pair * 2 + 1].into_iter().find(|index| fleet.writable(*index)).expect("a primary");
    let mut turns = fleet.turns.subscribe();
    let since = Instant::now();
    fleet.kill(primary);
    while !fleet.writable(primary ^ 1) {
        assert!(since.elapsed() < Duration::from_secs(60), "{} was not taken over", fleet::resource(primary));
        let _ = tokio::time::timeout(Duration::from_millis(100), turns.changed()).await;
    }
    let took = since.elapsed();
    fleet.boot(primary).await;
    let what = ["vkr", &fleet::resource(primary)];
    let back = kubectl.wait("the old primary to follow", Duration::from_secs(120), &what, |object| {
        if object["status"]["ready"] == "2/2" { Ok(()) } else { Err(object["status"]["ready"].to_string()) }
    });
    back.unwrap();
    took
}

/// A verb and a resource.
type Request = (String, String);

fn is_write((verb, _): &Request) -> bool {
    !matches!(verb.as_str(), "get" | "list" | "watch")
}

/// What the operator asks of the API server for a while, its Lease aside, and how often.
async fn asked_within(server: &ApiServer, time: Duration) -> BTreeMap<Request, usize> {
    let before = server.requests().unwrap().len();
    tokio::time::sleep(time).await;
    let mut asked = BTreeMap::new();
    let requests = server.requests().unwrap().split_off(before);
    requests.into_iter().filter(|request| request.resource != "leases").for_each(|request| {
        *asked.entry((request.verb, request.resource)).or_default() += 1;
    });
    asked
}

async fn failovers(fleet: &Arc<Fleet>, kubectl: &Kubectl, pairs: usize) -> Vec<Duration> {
    let mut took = Vec::new();
    for n in 0..FAILOVERS {
        took.push(fail_over(fleet, kubectl, n * pairs / FAILOVERS).await);
    }
    took.sort_unstable();
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_with_thousands_of_resources_is_silent_and_fast() {
    let (count, seconds) = (number("SCALE", 2_000), number("SCALE_SECONDS", 120));
    let Some(server) = ApiServer::start().unwrap() else { return };
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let fleet = Fleet::start(count * 2).await;
    let kubectl = Operator::prepare(&server).unwrap();

    let operator = Operator::start(&server).unwrap();
    create(&kubectl, 0, 1);
    settle(&kubectl, 1);
    let alone = failovers(&fleet, &kubectl, 1).await;
    let memory_alone = operator.memory().unwrap();
    println!("SCALE one resource: failovers {alone:?}, {memory_alone} KiB");

    let since = Instant::now();
    create(&kubectl, 1, count);
    settle(&kubectl, count);
    println!("SCALE {count} resources in step after {:?}, those that made them included", since.elapsed());
    // Their objects are made meanwhile, a few at a time.
    let since = Instant::now();
    while asked_within(&server, Duration::from_secs(15)).await.keys().any(is_write) {
        assert!(since.elapsed() < Duration::from_secs(300 + count as u64), "the operator goes on writing");
    }
    println!("SCALE silent after another {:?}", since.elapsed());

    let (since, cpu) = (Instant::now(), operator.cpu().unwrap());
    let asked = asked_within(&server, Duration::from_secs(seconds as u64)).await;
    let minutes = since.elapsed().as_secs_f64() / 60.0;
    println!(
        "SCALE steady state: {:.1} % of one CPU",
        (operator.cpu().unwrap() - cpu) / since.elapsed().as_secs_f64() * 100.0
    );
    let writes: Vec<_> = asked.iter().filter(|(request, _)| is_write(request)).collect();
    let rate = asked.values().sum::<usize>() as f64 / minutes / count as f64;
    let memory = operator.memory().unwrap();
    let each = memory.saturating_sub(memory_alone) as f64 / count.saturating_sub(1).max(1) as f64;
    println!(
        "SCALE steady state of {minutes:.1} min: {} writes, {rate:.2} requests per resource and minute",
        writes.iter().map(|(_, count)| *count).sum::<usize>()
    );
    println!("SCALE asked in steady state: {asked:?}");
    println!("SCALE memory {memory} KiB, {each:.1} KiB per resource");

    drop(operator);
    let _operator = Operator::start(&server).unwrap();
    let asked = asked_within(&server, Duration::from_secs(60)).await;
    println!("SCALE asked by a new leader: {asked:?}");
    let told = |(verb, resource): &Request| {
        let what = matches!(resource.as_str(), "endpointslices" | "valkeyreplications");
        what && is_write(&(verb.clone(), resource.clone()))
    };
    let changed: Vec<_> = asked.iter().filter(|(request, _)| told(request)).collect();

    let among = failovers(&fleet, &kubectl, count).await;
    println!("SCALE among {count}: failovers {among:?}");
    assert!(writes.is_empty(), "written in steady state: {writes:?}");
    assert!(changed.is_empty(), "changed by a new leader: {changed:?}");
    assert!(rate < 1.0, "{rate} requests per resource and minute");
    let (alone, among) = (alone[FAILOVERS / 2], among[FAILOVERS / 2]);
    assert!(among <= alone + ALLOWANCE, "the median failover takes {among:?} among all and {alone:?} alone");
}
