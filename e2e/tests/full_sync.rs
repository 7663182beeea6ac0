//! Full syncs: over one connection and over two, into a file, into memory and beside the old data; with writes all the while, and
//! with an end in the middle.

use std::time::Duration;

use valkey_repl_e2e::resp::Reply;
use valkey_repl_e2e::server::{Program, Server};
use valkey_repl_e2e::wait::until;

const LIMIT: Duration = Duration::from_secs(30);

fn start(program: Program, lines: &[&str]) -> Server {
    let mut all = vec!["enable-debug-command yes", "repl-diskless-sync-delay 0", "loglevel debug"];
    all.extend(lines);
    Server::start(program, &all).unwrap()
}

fn ok(server: &Server, line: &str) {
    let reply = server.line(line).unwrap();
    assert!(reply.is_ok(), "{line}: {reply:?}");
}

fn begin_following(replica: &Server, primary: &Server) {
    ok(replica, &format!("REPLICAOF 127.0.0.1 {}", primary.port()));
}

fn number(server: &Server, field: &str) -> u64 {
    server.info(field).unwrap().parse().unwrap()
}

fn digest(server: &Server) -> String {
    server.line("DEBUG DIGEST").unwrap().text().unwrap()
}

/// Waits until the replica has everything, then compares.
fn assert_same(primary: &Server, replica: &Server) {
    replica.wait_info("master_link_status", "up").unwrap();
    until("the replica has the primary's offset", LIMIT, || {
        let (p, r) = (number(primary, "master_repl_offset"), number(replica, "master_repl_offset"));
        if p == r { Ok(()) } else { Err(format!("{r} of {p}")) }
    });
    assert_eq!(digest(primary), digest(replica));
}

/// The replica's line in the primary's INFO contains this.
fn wait_for_replica(primary: &Server, state: &str) {
    until(state, LIMIT, || {
        let text = primary.line("INFO replication").unwrap().text().unwrap();
        if text.contains(state) { Ok(()) } else { Err(text) }
    });
}

/// A full sync over two connections with writes during it.
fn over_two_channels(primary: Program, replica: Program, replica_lines: &[&str]) {
    let dual = "dual-channel-replication-enabled yes";
    let primary = start(primary, &[dual, "repl-diskless-sync yes"]);
    let mut lines = vec![dual];
    lines.extend(replica_lines);
    let replica = start(replica, &lines);
    ok(&primary, "DEBUG POPULATE 2000 key 50");
    // Two seconds, so that there is time to write meanwhile.
    ok(&primary, "CONFIG SET rdb-key-save-delay 1000");
    begin_following(&replica, &primary);
    wait_for_replica(&primary, "state=bg_transfer");
    wait_for_replica(&primary, "type=rdb-channel");
    let mut client = primary.client().unwrap();
    for i in 0..2000 {
        client.line(&format!("SET meanwhile:{i} {i}")).unwrap();
    }
    wait_for_replica(&primary, "state=online");
    client.line("SELECT 3").unwrap();
    client.line("SET another-database yes").unwrap();
    assert_same(&primary, &replica);
    // The snapshot counts as a full sync, the stream behind it as a partial one.
    assert_eq!((number(&primary, "sync_full"), number(&primary, "sync_partial_ok")), (1, 1));
    until("the snapshot's connection is gone", LIMIT, || {
        if number(&primary, "connected_slaves") == 1 { Ok(()) } else { Err("not yet") }
    });
    assert_eq!(number(&primary, "replicas_waiting_psync"), 0);
}

#[test]
fn ours_follows_ours_over_two_channels() {
    over_two_channels(Program::Ours, Program::Ours, &[]);
    over_two_channels(Program::Ours, Program::Ours, &["repl-diskless-load swapdb"]);
}

#[test]
fn ours_follows_valkey_over_two_channels() {
    over_two_channels(Program::Valkey91, Program::Ours, &["repl-diskless-load flush-before-load"]);
}

#[test]
fn valkey_follows_ours_over_two_channels() {
    over_two_channels(Program::Ours, Program::Valkey91, &[]);
}

#[test]
fn a_replica_that_loses_one_of_its_two_channels_begins_again() {
    let dual = "dual-channel-replication-enabled yes";
    let (primary, replica) = (start(Program::Ours, &[dual]), start(Program::Ours, &[dual]));
    ok(&primary, "DEBUG POPULATE 2000 key 50");
    for lost in ["psync", "sync"] {
        ok(&primary, "CONFIG SET rdb-key-save-delay 10000");
        begin_following(&replica, &primary);
        wait_for_replica(&primary, "state=bg_transfer");
        let list = primary.line("CLIENT LIST").unwrap().text().unwrap();
        let line = list.lines().find(|l| l.contains(&format!(" cmd={lost} "))).unwrap_or_else(|| panic!("{list}"));
        let id = line.split(' ').next().unwrap().strip_prefix("id=").unwrap();
        ok(&primary, "CONFIG SET rdb-key-save-delay 0");
        primary.line(&format!("CLIENT KILL ID {id}")).unwrap();
        assert_same(&primary, &replica);
        until("nothing is kept for the sync that failed", LIMIT, || {
            if number(&primary, "replicas_waiting_psync") == 0 { Ok(()) } else { Err("not yet") }
        });
        ok(&replica, "REPLICAOF NO ONE");
        ok(&primary, &format!("SET lost {lost}"));
        ok(&replica, "FLUSHALL");
    }
}

#[test]
fn what_follows_a_snapshot_on_its_connection_waits_until_that_is_loaded() {
    let primary = start(Program::Ours, &["repl-diskless-sync no"]);
    // A second to load, with looks at the sockets all the time.
    let slow = ["key-load-delay 500", "loading-process-events-interval-bytes 1024", "rdbcompression no"];
    let replica = start(Program::Ours, &slow);
    ok(&primary, "DEBUG POPULATE 2000 key 50");
    begin_following(&replica, &primary);
    until("the replica loads", LIMIT, || {
        if replica.log().contains("Loading DB in memory") { Ok(()) } else { Err("not yet") }
    });
    let mut client = primary.client().unwrap();
    for i in 0..1000 {
        client.line(&format!("SET meanwhile:{i} {i}")).unwrap();
    }
    assert_same(&primary, &replica);
    assert_eq!(number(&primary, "sync_full"), 1, "{}", replica.log());
}

#[test]
fn with_swapdb_the_old_data_are_served_until_the_new_are_whole_and_stay_if_they_never_are() {
    let primary = start(Program::Ours, &["rdb-key-save-delay 1000", "rdbcompression no"]);
    let replica = start(
        Program::Ours,
        &["repl-diskless-load swapdb", "key-load-delay 500", "loading-process-events-interval-bytes 1024"],
    );
    ok(&primary, "DEBUG POPULATE 2000 key 50");
    ok(&replica, "SET old yes");

    // Another history: the old data are not shown, but they are back when the sync fails.
    begin_following(&replica, &primary);
    replica.wait_info("loading", "1").unwrap();
    assert!(replica.line("GET old").unwrap().error().unwrap().starts_with("LOADING"));
    primary.line("CLIENT KILL TYPE replica").unwrap();
    replica.wait_info("loading", "0").unwrap();
    ok(&replica, "REPLICAOF NO ONE");
    assert_eq!(replica.line("GET old").unwrap().text().unwrap(), "yes");
    begin_following(&replica, &primary);
    assert_same(&primary, &replica);

    // A later state of the same history: clients go on reading the state they had.
    ok(&primary, "CONFIG SET repl-backlog-size 16384");
    ok(&replica, "REPLICAOF 127.0.0.1 1");
    for i in 0..2000 {
        primary.line(&format!("SET later:{i} {i}")).unwrap();
    }
    begin_following(&replica, &primary);
    replica.wait_info("async_loading", "1").unwrap();
    assert_eq!(replica.line("EXISTS key:1 later:1999").unwrap(), Reply::Int(1));
    assert!(replica.line("REPLICAOF NO ONE").unwrap().error().unwrap().starts_with("LOADING"));
    assert_same(&primary, &replica);
    assert_eq!(replica.line("EXISTS key:1 later:1999").unwrap(), Reply::Int(2));
}

#[test]
fn a_snapshot_of_an_unknown_version_costs_no_data() {
    let server = start(Program::Ours, &[]);
    ok(&server, "SET here yes");
    std::fs::write(server.dir().join("dump.rdb"), b"VALKEY987\xff").unwrap();
    assert!(server.line("DEBUG RELOAD NOSAVE").unwrap().error().is_some());
    assert_eq!(server.line("GET here").unwrap().text().unwrap(), "yes");
}

#[test]
fn a_snapshot_that_came_by_way_of_disk_is_the_base_of_the_append_only_file() {
    let primary = start(Program::Ours, &["repl-diskless-sync no"]);
    let mut replica = start(Program::Ours, &["appendonly yes"]);
    ok(&primary, "DEBUG POPULATE 500 key 50");
    begin_following(&replica, &primary);
    ok(&primary, "SET after yes");
    assert_same(&primary, &replica);
    assert!(replica.log().contains("Reused RDB file from primary sync as AOF base file"));
    assert_eq!(number(&replica, "aof_rewrites"), 0);
    let before = digest(&replica);
    replica.kill().unwrap();
    replica.launch().unwrap();
    assert_eq!(digest(&replica), before);
}

#[test]
fn replicas_of_a_primary_that_steps_down_go_on_by_partial_sync_although_it_had_greeted_them() {
    let [old, new, last] = [(); 3].map(|()| start(Program::Ours, &["repl-ping-replica-period 1"]));
    ok(&old, "DEBUG POPULATE 100 key 50");
    for replica in [&new, &last] {
        begin_following(replica, &old);
        assert_same(&old, replica);
    }
    // The greeting is in everybody's history, and changed no data.
    let offset = number(&old, "master_repl_offset");
    until("a greeting", LIMIT, || if number(&last, "master_repl_offset") > offset { Ok(()) } else { Err("not yet") });
    for server in [&old, &new, &last] {
        ok(server, "CONFIG SET repl-ping-replica-period 3600");
    }
    assert_same(&old, &new);
    ok(&new, "REPLICAOF NO ONE");
    begin_following(&old, &new);
    ok(&new, "SET after yes");
    assert_same(&new, &old);
    assert_same(&new, &last);
    assert_eq!((number(&new, "sync_full"), number(&old, "sync_full")), (0, 2));
}
