//! What a user types first.

use std::time::Duration;

use valkey_repl_e2e::kube::Pair;
use valkey_repl_e2e::programs::root;

use crate::{PAIR, cluster};

#[test]
fn the_chart_passes_lint_and_a_dry_run_on_the_server() {
    let Some(cluster) = cluster() else { return };
    let chart = root().join("charts").to_string_lossy().into_owned();
    cluster.helm(&["lint", "--strict", &chart]).unwrap();
    // Without the check: as a pod it is refused before its account stands, which a dry run does not make.
    let rendered = cluster.helm(&["template", "valkey-repl", &chart, "--include-crds", "--skip-tests"]).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), rendered).unwrap();
    let path = file.path().to_string_lossy().into_owned();
    // Forced, because helm owns fields of the same objects in this cluster.
    cluster
        .kubectl("default")
        .run(&["apply", "--server-side", "--force-conflicts", "--dry-run=server", "--filename", &path])
        .unwrap();
}

#[test]
fn a_pair_becomes_ready_and_serves_what_was_written_through_its_services() {
    let Some(cluster) = cluster() else { return };
    let pair = Pair::create(cluster, "e2e-install", "pair", PAIR).unwrap();
    let writer = pair.start_writer().unwrap();
    writer.wait("confirmed writes", Duration::from_secs(30), |status| status.confirmed > 50).unwrap();
    assert_eq!(writer.ask("pair-rw:6379", &["SET", "greeting", "hello"]).unwrap().trim(), "OK");
    assert_eq!(writer.ask("pair-rw:6379", &["GET", "greeting"]).unwrap().trim(), "hello");
    assert!(writer.ask("pair-ro:6379", &["ROLE"]).unwrap().starts_with("slave"), "pair-ro leads to the replica");

    let table = pair.kubectl.run(&["get", "vkr"]).unwrap();
    let (head, row) = table.split_once('\n').unwrap();
    assert_eq!(head.split_whitespace().collect::<Vec<_>>(), ["NAME", "PRIMARY", "READY", "PHASE", "AGE"]);
    assert!(row.contains(&pair.primary().unwrap().name), "{table}");
    assert!(!pair.kubectl.get(&["events"]).unwrap()["items"].as_array().unwrap().is_empty());
    pair.delete().unwrap();
}
