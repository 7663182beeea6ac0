//! What an instance needs of its node is gone: its volume, memory, room on the disk.

use valkey_repl_e2e::wait::until;

use super::*;

const ON_A_SMALL_DISK: &str = "spec:
  instances: 2
  storage: {storageClassName: small, size: 64Mi}
  persistence: {aof: true, rdb: false}
";

#[test]
fn a_primary_that_loses_its_volume_is_filled_by_its_successor() {
    let Some(cluster) = cluster() else { return };
    let scene = Scene::set(cluster, "e2e-volume");
    let claim = format!("data-{}", scene.primary.name);
    let uid = |claim: &serde_json::Value| claim["metadata"]["uid"].as_str().map(str::to_owned);
    let lost = uid(&scene.pair.kubectl.get(&["pvc", &claim]).unwrap());
    let since = Instant::now();
    // The claim is kept until the pod is gone that uses it.
    scene.pair.kubectl.run(&["delete", "pvc", &claim, "--wait=false"]).unwrap();
    scene.pair.kubectl.run(&["delete", "pod", &scene.primary.name, "--wait=false"]).unwrap();
    scene.expect_failover("volume lost", since);
    let bound = scene.pair.kubectl.wait("another volume", RETURN, &["pvc", &claim], |object| {
        if uid(object) != lost && object["status"]["phase"] == "Bound" { Ok(()) } else { Err(object.to_string()) }
    });
    bound.unwrap();
    assert_eq!(scene.expect_return("volume lost"), Return::Full, "it has nothing to go on from");
    scene.end();
}

#[test]
fn a_primary_that_the_kernel_kills_for_its_memory_costs_no_write() {
    let Some(cluster) = cluster() else { return };
    let spec = "spec: {instances: 2, resources: {limits: {memory: 256Mi}}}\n";
    let scene = Scene::set_with(cluster, "e2e-memory", &(head() + spec), Promise::Answered);
    let since = Instant::now();
    // A script that only reads takes the primary's memory, and not its replica's.
    let script = "local all = {} for i = 1, 1024 do all[i] = string.rep('x', 1048576) .. i end return #all";
    let said = scene.writer.ask(&scene.primary.address(), &["EVAL", script, "0"]);
    assert!(said.is_err(), "its limit is a quarter of what this takes: {said:?}");
    scene.expect_failover("out of memory", since);
    scene.expect_return("out of memory");
    let pod = scene.pair.kubectl.get(&["pod", &scene.primary.name]).unwrap();
    let end = &pod["status"]["containerStatuses"][0]["lastState"]["terminated"];
    assert_eq!(end["reason"], "OOMKilled", "{end}");
    scene.end();
}

#[test]
fn a_full_disk_of_the_primary_refuses_writes_until_there_is_room_and_moves_nobody() {
    let Some(cluster) = cluster() else { return };
    let disks = cluster.small_disks().unwrap();
    let scene = Scene::set_with(cluster, "e2e-full", &(head() + ON_A_SMALL_DISK), Promise::Answered);
    disks.fill(&scene.primary.node).unwrap();
    let refused = |status: &valkey_repl_e2e::ledger::Status| status.last_error.contains("MISCONF");
    scene.writer.wait("writes to be refused", FAILOVER, refused).unwrap();
    // Longer than it takes to notice a lost primary and to take over.
    std::thread::sleep(Duration::from_secs(15));
    assert_eq!(scene.pair.primary().unwrap().name, scene.primary.name, "it lives and leads");
    let answered = scene.writer.status().unwrap().answered;
    disks.clear(&scene.primary.node).unwrap();
    scene.writer.wait_for_writes(FAILOVER).unwrap();
    let gap = scene.writer.status().unwrap().longest_gap.ms;
    println!(
        "FAILOVER disk full: no write for {gap} ms, for as long as there was no room; {answered} answered until then"
    );
    scene.writer.mark().unwrap();

    // What is on the disk is whole: it goes on from there.
    let since = Instant::now();
    cluster.kill_process(&scene.primary, "valkey-server").unwrap();
    scene.expect_failover("process killed after its disk was full", since);
    scene.expect_return("process killed after its disk was full");
    scene.end();
}

#[test]
fn a_full_disk_of_the_replica_stops_nobody_and_leaves_no_hole_in_its_file() {
    let Some(cluster) = cluster() else { return };
    let disks = cluster.small_disks().unwrap();
    let scene = Scene::set_with(cluster, "e2e-full-replica", &(head() + ON_A_SMALL_DISK), Promise::Answered);
    let file_is = |wanted: &str| {
        until(&format!("its file to be {wanted}"), FAILOVER, || {
            let says = scene.pair.info(&scene.writer, &scene.replica)?["aof_last_write_status"].clone();
            if says == wanted { Ok(()) } else { Err(says) }
        });
    };
    disks.fill(&scene.replica.node).unwrap();
    file_is("err");
    scene.writer.wait_for_writes(FAILOVER).unwrap();
    let seen = scene.writer.status().unwrap();
    println!("FAILOVER disk of the replica full: no write for {} ms", seen.longest_gap.ms);
    assert_eq!(seen.run_ids.len(), 1, "it holds every write in memory, and the primary stays in office");
    disks.clear(&scene.replica.node).unwrap();
    file_is("ok");

    // It begins again from that file.
    cluster.kill_process(&scene.replica, "valkey-server").unwrap();
    scene.pair.wait_follows(&scene.writer, &scene.replica.name, &scene.primary, RETURN).unwrap();
    scene.pair.wait_ready(RETURN).unwrap();
    for address in [None, Some(scene.replica.address())] {
        let verdict = scene.writer.verify(address.as_deref()).unwrap();
        assert!(verdict.lost_confirmed.is_empty() && verdict.wrong.is_empty(), "{verdict:?}");
    }
    scene.end();
}
