//! Replication with real servers on the other side: whoever is primary and whoever follows, the data sets end up equal.

use std::time::Duration;

use valkey_repl_e2e::resp::{Client, Reply};
use valkey_repl_e2e::server::{PATIENCE, Program, Server};
use valkey_repl_e2e::wait::until;

const LIMIT: Duration = Duration::from_secs(30);

/// Keys of every type and encoding, small and large.
fn fill(client: &mut Client) {
    let mut commands: Vec<Vec<String>> = Vec::new();
    let mut add = |line: String| commands.push(line.split(' ').map(str::to_owned).collect());
    add("SET int 12345".into());
    add(format!("SET long {}", "abc".repeat(5000)));
    add("SET gone soon PX 100000".into());
    add("MSET a 1 b 2 c 3".into());
    for i in 0..300 {
        add(format!("SET key:{i} value:{i}"));
        add(format!("RPUSH list:big {i} element-{i}"));
        add(format!("SADD set:ints {i}"));
        add(format!("SADD set:words word-{i}"));
        add(format!("HSET hash:big field-{i} {}", "v".repeat(i % 90)));
        add(format!("ZADD zset:big {}.5 member-{i}", i * 7 % 100));
        add(format!("XADD stream:big * n {i}"));
    }
    add("RPUSH list:small a b 3".into());
    add("HSET hash:small f1 v1 f2 2".into());
    add("SADD set:small x y z".into());
    add("ZADD zset:small 1 one 2.25 two -inf three".into());
    add("XADD stream:small 1-1 a 1 b 2".into());
    add("XADD stream:small 1-2 c 3".into());
    add("XGROUP CREATE stream:small g 0".into());
    add("XREADGROUP GROUP g first COUNT 1 STREAMS stream:small >".into());
    add("EXPIRE hash:small 100000".into());
    add("SELECT 3".into());
    add("SET other-db yes".into());
    add("SELECT 0".into());
    for reply in client.pipeline(&commands).unwrap() {
        assert!(reply.error().is_none(), "{reply:?}");
    }
}

/// What a data set holds, readable and comparable between any two servers.
fn contents(server: &Server) -> Vec<String> {
    let mut client = server.client().unwrap();
    let mut out = Vec::new();
    for db in ["0", "3"] {
        client.cmd(&["SELECT", db]).unwrap();
        let keys = client.cmd(&["KEYS", "*"]).unwrap();
        let mut keys: Vec<String> = keys.items().unwrap().iter().map(|k| k.text().unwrap()).collect();
        keys.sort();
        for key in keys {
            let kind = client.cmd(&["TYPE", &key]).unwrap().text().unwrap();
            let value = match kind.as_str() {
                "string" => client.cmd(&["GET", &key]),
                "list" => client.cmd(&["LRANGE", &key, "0", "-1"]),
                "set" => client.cmd(&["SMEMBERS", &key]),
                "hash" => client.cmd(&["HGETALL", &key]),
                "stream" => {
                    // Nested, and complete only with what is pending.
                    let entries = client.cmd(&["XRANGE", &key, "-", "+"]).unwrap();
                    let pending = client.cmd(&["XPENDING", &key, "g"]).unwrap();
                    out.push(format!("{db} {key} {entries:?} {pending:?}"));
                    continue;
                }
                _ => client.cmd(&["ZRANGE", &key, "0", "-1", "WITHSCORES"]),
            };
            let value = value.unwrap();
            let mut texts: Vec<String> = match value.items() {
                Some(items) => items.iter().map(|i| i.text().unwrap()).collect(),
                None => vec![value.text().unwrap()],
            };
            if kind == "hash" {
                texts = texts.chunks(2).map(|pair| pair.join("=")).collect();
            }
            if kind == "set" || kind == "hash" {
                texts.sort();
            }
            let expires = client.cmd(&["PTTL", &key]).unwrap().int().unwrap() > 0;
            out.push(format!("{db} {key} {kind} {expires} {}", texts.join(",")));
        }
    }
    out
}

fn offset(server: &Server) -> String {
    server.info("master_repl_offset").unwrap()
}

/// Waits until the replica has everything, then compares.
fn assert_same(primary: &Server, replica: &Server) {
    until("the replica has the primary's offset", LIMIT, || {
        let (p, r) = (offset(primary), offset(replica));
        if p == r { Ok(()) } else { Err(format!("{r} of {p}")) }
    });
    let (p, r) = (contents(primary), contents(replica));
    assert!(p.len() > 300, "the primary lost its data: {} keys", p.len());
    for (a, b) in p.iter().zip(&r) {
        assert_eq!(a, b);
    }
    assert_eq!(p.len(), r.len());
}

/// Full sync, stream, partial sync after the link was cut, under writes; the data are equal after each.
fn full_then_partial(primary: Program, replica: Program, primary_lines: &[&str], replica_lines: &[&str]) {
    let mut lines = vec!["save \"\"", "repl-diskless-sync-delay 0"];
    lines.extend(primary_lines);
    let primary = Server::start(primary, &lines).unwrap();
    let mut lines = vec!["save \"\""];
    lines.extend(replica_lines);
    let replica = Server::start(replica, &lines).unwrap();
    let mut client = primary.client().unwrap();
    fill(&mut client);
    replica.line("SET stranger 1").unwrap();

    replica.follow(&primary).unwrap();
    client.line("SET after sync").unwrap();
    client.line("INCR int").unwrap();
    for line in [
        "XREADGROUP GROUP g second STREAMS stream:small >",
        "XCLAIM stream:small g third 0 1-1",
        "XADD stream:big MAXLEN ~ 150 * n last",
        "XGROUP CREATE stream:big g 0",
        "XREADGROUP GROUP g first COUNT 120 STREAMS stream:big >",
        "XTRIM stream:big MAXLEN 50",
        "XAUTOCLAIM stream:big g second 0 0",
    ] {
        let reply = client.line(line).unwrap();
        assert!(reply.error().is_none(), "{line}: {reply:?}");
    }
    assert_same(&primary, &replica);

    let (full, partial) = (primary.info("sync_full").unwrap(), primary.info("sync_partial_ok").unwrap());
    client.line("CLIENT KILL TYPE replica").unwrap();
    for i in 0..1000 {
        client.line(&format!("SET while-away:{i} {i}")).unwrap();
    }
    until("a partial sync", LIMIT, || {
        let now = primary.info("sync_partial_ok").unwrap();
        if now == partial { Err("none yet") } else { Ok(()) }
    });
    assert_same(&primary, &replica);
    assert_eq!(primary.info("sync_full").unwrap(), full, "the cut link cost a full sync");
}

#[test]
fn ours_follows_ours_diskless() {
    full_then_partial(Program::Ours, Program::Ours, &["repl-diskless-sync yes"], &["repl-diskless-load disabled"]);
}

#[test]
fn ours_follows_ours_straight_into_memory() {
    full_then_partial(Program::Ours, Program::Ours, &[], &["repl-diskless-load swapdb"]);
}

#[test]
fn ours_follows_ours_by_way_of_disk() {
    full_then_partial(Program::Ours, Program::Ours, &["repl-diskless-sync no"], &[]);
}

#[test]
fn ours_follows_valkey_9_1() {
    full_then_partial(Program::Valkey91, Program::Ours, &[], &[]);
}

#[test]
fn ours_follows_valkey_9_1_by_way_of_disk() {
    full_then_partial(
        Program::Valkey91,
        Program::Ours,
        &["repl-diskless-sync no"],
        &["repl-diskless-load on-empty-db"],
    );
}

#[test]
fn ours_follows_valkey_8_1() {
    full_then_partial(Program::Valkey81, Program::Ours, &[], &[]);
}

#[test]
fn ours_follows_redis_7_0() {
    full_then_partial(Program::Redis70, Program::Ours, &[], &[]);
}

#[test]
fn valkey_9_1_follows_ours() {
    full_then_partial(Program::Ours, Program::Valkey91, &[], &[]);
}

#[test]
fn valkey_9_1_follows_ours_by_way_of_disk() {
    full_then_partial(Program::Ours, Program::Valkey91, &["repl-diskless-sync no"], &[]);
}

#[test]
fn valkey_8_1_follows_ours() {
    full_then_partial(Program::Ours, Program::Valkey81, &[], &[]);
}

#[test]
fn a_replica_of_a_replica_has_the_same_data_and_offsets() {
    let primary = Server::start(Program::Ours, &["save \"\""]).unwrap();
    let middle = Server::start(Program::Ours, &["save \"\""]).unwrap();
    let last = Server::start(Program::Valkey91, &["save \"\""]).unwrap();
    fill(&mut primary.client().unwrap());
    middle.follow(&primary).unwrap();
    last.follow(&middle).unwrap();
    primary.line("SET end-to-end yes").unwrap();
    assert_same(&primary, &last);
    assert_eq!(primary.info("master_replid").unwrap(), last.info("master_replid").unwrap());
}

#[test]
fn a_replica_of_a_replica_goes_on_in_the_database_that_the_stream_has_selected() {
    for [middle, last] in [[Program::Ours, Program::Ours], [Program::Valkey91, Program::Ours]] {
        let primary = Server::start(Program::Ours, &["save \"\"", "repl-diskless-sync-delay 0"]).unwrap();
        let middle = Server::start(middle, &["save \"\"", "repl-diskless-sync-delay 0"]).unwrap();
        let last = Server::start(last, &["save \"\""]).unwrap();
        let mut client = primary.client().unwrap();
        fill(&mut client);
        middle.follow(&primary).unwrap();
        client.line("SELECT 3").unwrap();
        client.line("SET before 1").unwrap();
        assert_same(&primary, &middle);
        last.follow(&middle).unwrap();
        client.line("SET after 1").unwrap();
        assert_same(&primary, &middle);
        assert_same(&primary, &last);
    }
}

#[test]
fn a_promoted_replica_serves_its_old_peers_and_its_old_primary_by_partial_sync() {
    let old = Server::start(Program::Ours, &["save \"\""]).unwrap();
    let new = Server::start(Program::Ours, &["save \"\""]).unwrap();
    let peer = Server::start(Program::Valkey91, &["save \"\""]).unwrap();
    fill(&mut old.client().unwrap());
    new.follow(&old).unwrap();
    peer.follow(&old).unwrap();
    assert_same(&old, &new);
    assert_same(&old, &peer);

    assert!(new.line("REPLICAOF NO ONE").unwrap().is_ok());
    peer.follow(&new).unwrap();
    old.follow(&new).unwrap();
    new.line("SET under-new-management yes").unwrap();
    assert_same(&new, &peer);
    assert_same(&new, &old);
    assert_eq!(new.info("sync_full").unwrap(), "0");
    assert_eq!(new.info("sync_partial_ok").unwrap(), "2");
}

#[test]
fn failover_hands_over_without_a_full_sync_and_in_both_directions_with_valkey() {
    for (a, b) in
        [(Program::Ours, Program::Ours), (Program::Ours, Program::Valkey91), (Program::Valkey91, Program::Ours)]
    {
        let what = format!("{a:?} to {b:?}");
        let first = Server::start(a, &["save \"\"", "repl-diskless-sync-delay 0"]).unwrap();
        let second = Server::start(b, &["save \"\"", "repl-diskless-sync-delay 0"]).unwrap();
        fill(&mut first.client().unwrap());
        second.follow(&first).unwrap();
        assert_same(&first, &second);
        // The replica's link is up a moment before its primary hears so.
        until("the replica to be online", PATIENCE, || match first.info("slave0") {
            Ok(line) if line.contains("state=online") => Ok(()),
            Ok(line) => Err(line),
            Err(error) => Err(error.to_string()),
        });
        let reply = first.line(&format!("FAILOVER TO 127.0.0.1 {} TIMEOUT 10000", second.port())).unwrap();
        assert!(reply.is_ok(), "{what}: {reply:?}");
        second.wait_info("role", "master").unwrap();
        first.wait_info("role", "slave").unwrap();
        first.wait_info("master_link_status", "up").unwrap();
        first.wait_info("master_failover_state", "no-failover").unwrap();
        second.line("SET moved yes").unwrap();
        assert_same(&second, &first);
        assert_eq!(second.info("sync_full").unwrap(), "0", "{what}");
    }
}

#[test]
fn failover_reaches_a_replica_whose_name_has_no_address_just_now() {
    let first = Server::start(Program::Ours, &["save \"\""]).unwrap();
    let second =
        Server::start(Program::Ours, &["save \"\"", "replica-announce-ip pair-1.pair-headless.invalid"]).unwrap();
    second.follow(&first).unwrap();
    until("the replica to be online", PATIENCE, || match first.info("slave0") {
        Ok(line) if line.contains("state=online") => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let to = format!("FAILOVER TO pair-1.pair-headless.invalid {} TIMEOUT 10000", second.port());
    assert!(first.line(&to).unwrap().is_ok());
    second.wait_info("role", "master").unwrap();
    first.wait_info("master_link_status", "up").unwrap();
    assert_eq!(second.info("sync_full").unwrap(), "0");
}

#[test]
fn wait_tells_how_many_replicas_hold_the_write() {
    let primary = Server::start(Program::Ours, &["save \"\""]).unwrap();
    let replica = Server::start(Program::Ours, &["save \"\""]).unwrap();
    let mut client = primary.client().unwrap();
    assert_eq!(client.line("WAIT 1 50").unwrap(), Reply::Int(0));
    replica.follow(&primary).unwrap();
    client.line("SET k v").unwrap();
    assert_eq!(client.line("WAIT 1 0").unwrap(), Reply::Int(1));
    assert_eq!(client.line("WAIT 2 50").unwrap(), Reply::Int(1));
}

#[test]
fn a_transaction_reaches_the_replica_whole() {
    let primary = Server::start(Program::Ours, &["save \"\""]).unwrap();
    let replica = Server::start(Program::Valkey91, &["save \"\""]).unwrap();
    replica.follow(&primary).unwrap();
    let mut client = primary.client().unwrap();
    for line in ["MULTI", "SET a 1", "INCR a", "RPUSH l x y"] {
        client.line(line).unwrap();
    }
    assert_eq!(client.line("EXEC").unwrap().items().unwrap().len(), 3);
    client.line("WAIT 1 0").unwrap();
    assert_eq!(replica.line("GET a").unwrap().text().unwrap(), "2");
    assert_eq!(replica.line("LLEN l").unwrap(), Reply::Int(2));
}

#[test]
fn a_replica_needs_the_primarys_password() {
    let primary = Server::start(Program::Ours, &["save \"\"", "requirepass \"a secret\""]).unwrap();
    let replica = Server::start(Program::Ours, &["save \"\"", "masterauth wrong"]).unwrap();
    replica.line(&format!("REPLICAOF 127.0.0.1 {}", primary.port())).unwrap();
    until("the refusal in the log", LIMIT, || {
        if replica.log().contains("Unable to AUTH to PRIMARY") { Ok(()) } else { Err("not yet") }
    });
    assert!(replica.client().unwrap().cmd(&["CONFIG", "SET", "primaryauth", "a secret"]).unwrap().is_ok());
    replica.wait_info("master_link_status", "up").unwrap();
}

/// Restarts the replica, by a kill or cleanly, and tells how the primary served it.
fn restart_is_partial(lines: &[&str], kill: bool) {
    let primary = Server::start(Program::Ours, &["save \"\""]).unwrap();
    let mut all = vec![format!("replicaof 127.0.0.1 {}", primary.port())];
    all.extend(lines.iter().map(|l| (*l).to_owned()));
    let mut replica = Server::start(Program::Ours, &all).unwrap();
    replica.wait_info("master_link_status", "up").unwrap();
    fill(&mut primary.client().unwrap());
    assert_same(&primary, &replica);
    let full = primary.info("sync_full").unwrap();
    if kill {
        replica.kill().unwrap();
    } else {
        assert!(replica.terminate().unwrap().success());
    }
    primary.line("SET while-it-was-down yes").unwrap();
    replica.launch().unwrap();
    replica.wait_info("master_link_status", "up").unwrap();
    assert_same(&primary, &replica);
    assert_eq!(primary.info("sync_full").unwrap(), full, "the restart cost a full sync ({lines:?}, kill: {kill})");
}

#[test]
fn a_replica_with_append_only_file_restarts_by_partial_sync_cleanly_or_killed() {
    restart_is_partial(&["appendonly yes", "save \"\""], false);
    restart_is_partial(&["appendonly yes", "save \"\""], true);
}

#[test]
fn a_replica_with_snapshots_restarts_by_partial_sync() {
    restart_is_partial(&["save 900 1"], false);
}

#[test]
fn a_primary_with_append_only_file_restarts_and_its_replica_goes_on_by_partial_sync() {
    for kill in [false, true] {
        let mut primary = Server::start(Program::Ours, &["save \"\"", "appendonly yes"]).unwrap();
        let replica = Server::start(Program::Ours, &["save \"\""]).unwrap();
        replica.follow(&primary).unwrap();
        fill(&mut primary.client().unwrap());
        assert_same(&primary, &replica);
        if kill {
            primary.kill().unwrap();
        } else {
            assert!(primary.terminate().unwrap().success());
        }
        primary.launch().unwrap();
        replica.wait_info("master_link_status", "up").unwrap();
        primary.line("SET after-restart yes").unwrap();
        assert_same(&primary, &replica);
        assert_eq!(primary.info("sync_full").unwrap(), "0", "kill: {kill}");
    }
}

#[test]
fn what_a_replica_cannot_execute_of_its_primarys_stream_is_in_its_log_and_counted() {
    let primary =
        Server::start(Program::Valkey91, &["enable-debug-command yes", "repl-diskless-sync-delay 0"]).unwrap();
    let replica = Server::start(Program::Ours, &["save 900 1"]).unwrap();
    replica.follow(&primary).unwrap();
    assert!(primary.line("DEBUG REPLICATE NOSUCH a b").unwrap().is_ok());
    until("the error in the log", LIMIT, || {
        let log = replica.log();
        if log.contains("== CRITICAL ==") && log.contains("unknown command 'NOSUCH'") { Ok(()) } else { Err("not yet") }
    });
    assert_eq!(replica.info("unexpected_error_replies").unwrap(), "1");
    assert_eq!(replica.info("master_link_status").unwrap(), "up");
}

#[test]
fn a_signal_to_end_is_obeyed_once_the_first_append_only_file_is_complete() {
    let mut server = Server::start(Program::Ours, &["rdb-key-save-delay 10000"]).unwrap();
    for i in 0..100 {
        server.line(&format!("SET key:{i} {i}")).unwrap();
    }
    assert!(server.line("CONFIG SET appendonly yes").unwrap().is_ok());
    assert!(server.terminate().unwrap().success());
    assert!(server.log().contains("Writing initial AOF, can't exit"), "{}", server.log());
    server.configure(&["appendonly yes"]).unwrap();
    server.launch().unwrap();
    assert_eq!(server.line("DBSIZE").unwrap(), Reply::Int(100));
}

/// Fields with an expiry, in the snapshot and in the stream, until their time is over on both sides.
fn fields_that_expire(primary: Program, replica: Program) {
    let lines = ["save \"\"", "repl-diskless-sync-delay 0", "enable-debug-command yes"];
    let primary = Server::start(primary, &lines).unwrap();
    let replica = Server::start(replica, &lines).unwrap();
    let tell = |line: &str| {
        let reply = primary.line(line).unwrap();
        assert!(reply.error().is_none(), "{line}: {reply:?}");
    };
    tell("HSETEX h PXAT 33177117420000 FIELDS 3 a 1 b 2 c 3");
    tell("HSETEX h EX 1000 FIELDS 1 number 4");
    tell("HSET h stays 5");
    replica.follow(&primary).unwrap();
    tell("HEXPIRE h 500 NX FIELDS 2 stays a");
    tell("HGETEX h PERSIST FIELDS 2 b missing");
    tell("HINCRBY h number 1");
    tell("HINCRBYFLOAT h number 0.5");
    tell("HPEXPIRE h 0 FIELDS 1 c");
    tell("HSETEX h FNX EXAT 33177117420 FIELDS 1 d 6");
    tell("HGETDEL h FIELDS 2 a missing");
    tell("HSETEX h PX 1 FIELDS 1 soon 1");
    tell("HSETEX whole PX 1 FIELDS 2 a 1 b 2");
    until("what expires is deleted", LIMIT, || {
        let lens = [primary.line("HLEN h").unwrap(), primary.line("EXISTS whole").unwrap()];
        if lens == [Reply::Int(4), Reply::Int(0)] { Ok(()) } else { Err(format!("{lens:?}")) }
    });
    until("the replica has the primary's offset", LIMIT, || {
        let (p, r) = (offset(&primary), offset(&replica));
        if p == r { Ok(()) } else { Err(format!("{r} of {p}")) }
    });
    let names = ["a", "b", "c", "d", "number", "stays", "soon"].join(" ");
    for line in [
        format!("HMGET h {names}"),
        format!("HPEXPIRETIME h FIELDS 7 {names}"),
        "HLEN h".into(),
        "EXISTS whole".into(),
        "DEBUG DIGEST".into(),
    ] {
        let (p, r) = (primary.line(&line).unwrap(), replica.line(&line).unwrap());
        assert!(p.error().is_none() && p == r, "{line}: {p:?}, {r:?}");
    }
    assert_eq!(replica.line("HGET h number").unwrap(), Reply::Bulk(b"5.5".to_vec()));
    assert_eq!(primary.info("expired_fields").unwrap(), "4");
    assert_eq!(replica.info("expired_fields").unwrap(), "0");
}

#[test]
fn fields_that_expire_are_the_same_on_both_sides_with_valkey_9_1() {
    fields_that_expire(Program::Ours, Program::Ours);
    fields_that_expire(Program::Valkey91, Program::Ours);
    fields_that_expire(Program::Ours, Program::Valkey91);
}

#[test]
fn what_expired_while_a_primary_was_away_is_deleted_from_its_replica_by_partial_sync() {
    let lines = ["save 900 1", "repl-diskless-sync-delay 0", "enable-debug-command yes"];
    let mut primary = Server::start(Program::Ours, &lines).unwrap();
    let replica = Server::start(Program::Ours, &["save \"\""]).unwrap();
    replica.follow(&primary).unwrap();
    for line in [
        "DEBUG SET-ACTIVE-EXPIRE 0",
        "SET key 1 PX 1",
        "HSETEX whole PX 1 FIELDS 2 a 1 b 2",
        "HSETEX h PX 1 FIELDS 2 a 1 b 2",
        "HSET h stays 3",
    ] {
        let reply = primary.line(line).unwrap();
        assert!(reply.error().is_none(), "{line}: {reply:?}");
    }
    until("the replica has the primary's offset", LIMIT, || {
        let (p, r) = (offset(&primary), offset(&replica));
        if p == r { Ok(()) } else { Err(format!("{r} of {p}")) }
    });
    assert_eq!(replica.line("DBSIZE").unwrap(), Reply::Int(3));
    assert!(primary.terminate().unwrap().success());
    primary.launch().unwrap();
    assert_eq!(primary.line("DBSIZE").unwrap(), Reply::Int(1));
    until("the replica has heard of it", LIMIT, || {
        let held = [replica.line("DBSIZE").unwrap(), replica.line("HLEN h").unwrap()];
        if held == [Reply::Int(1), Reply::Int(1)] { Ok(()) } else { Err(format!("{held:?}")) }
    });
    assert_eq!(primary.info("sync_full").unwrap(), "0");
    assert_eq!(primary.info("rdb_last_load_keys_expired").unwrap(), "1");
}

#[test]
fn a_writable_replica_deletes_what_its_own_clients_made_expire() {
    let primary = Server::start(Program::Ours, &["save \"\""]).unwrap();
    let replica = Server::start(Program::Ours, &["save \"\"", "replica-read-only no"]).unwrap();
    replica.follow(&primary).unwrap();
    assert!(replica.line("SET own yes PX 50").unwrap().is_ok());
    assert!(replica.line("SET stays yes PX 50").unwrap().is_ok());
    assert_eq!(replica.line("PERSIST stays").unwrap(), Reply::Int(1));
    assert_eq!(replica.info("slave_expires_tracked_keys").unwrap(), "2");
    until("the key is deleted, not only hidden", LIMIT, || {
        let size = replica.line("DBSIZE").unwrap();
        if size == Reply::Int(1) { Ok(()) } else { Err(format!("{size:?}")) }
    });
}

#[test]
fn what_replicaof_said_is_in_the_configuration_that_is_rewritten() {
    let primary = Server::start(Program::Ours, &["save \"\""]).unwrap();
    let mut replica = Server::start(Program::Ours, &["save \"\""]).unwrap();
    replica.follow(&primary).unwrap();
    let shown = replica.line("CONFIG GET replicaof").unwrap().items().unwrap()[1].text().unwrap();
    assert_eq!(shown, format!("127.0.0.1 {}", primary.port()));
    assert!(replica.line("CONFIG REWRITE").unwrap().is_ok());
    assert!(replica.terminate().unwrap().success());
    replica.launch().unwrap();
    replica.wait_info("master_link_status", "up").unwrap();
    assert!(replica.line("REPLICAOF NO ONE").unwrap().is_ok());
    assert!(replica.line("CONFIG REWRITE").unwrap().is_ok());
    assert!(replica.terminate().unwrap().success());
    replica.launch().unwrap();
    assert_eq!(replica.info("role").unwrap(), "master");
}

/// What follows the choice of a database that is not there would change another one.
#[test]
fn a_replica_with_too_few_databases_ends_rather_than_write_elsewhere() {
    let primary = Server::start(Program::Valkey91, &["databases 16"]).unwrap();
    let mut replica = Server::start(Program::Ours, &["databases 4"]).unwrap();
    replica.follow(&primary).unwrap();
    replica.wait_info("master_link_status", "up").unwrap();
    let mut client = primary.client().unwrap();
    client.pipeline(&[vec!["SET", "k", "0"], vec!["SELECT", "9"], vec!["SET", "k", "9"]]).unwrap();
    assert_eq!(replica.wait_until_ended().unwrap().code(), Some(1));
    assert!(
        replica.log().contains("writes to database 9, and this server has 4: see 'databases'"),
        "{}",
        replica.log()
    );
}
