//! What is promised to those who run a server: its logs of calls, MONITOR, passwords, changes of the configuration.

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use support::{Server, check};

#[test]
fn a_new_threshold_of_the_command_log_holds_at_once() {
    let server = Server::start(&["--slowlog-log-slower-than", "1000000", "--commandlog-reply-larger-than", "-1"]);
    check(
        &mut server.connect(),
        &[
            ("PING", "PONG"),
            ("SLOWLOG LEN", ":0"),
            ("CONFIG SET slowlog-log-slower-than 0", "OK"),
            ("PING", "PONG"),
            ("CONFIG SET slowlog-log-slower-than -1", "OK"),
            ("PING", "PONG"),
            ("SLOWLOG LEN", ":2"),
            ("CONFIG SET commandlog-reply-larger-than 5 commandlog-request-larger-than 100000", "OK"),
            ("PING", "PONG"),
            ("COMMANDLOG LEN large-reply", ":2"),
            ("COMMANDLOG LEN large-request", ":0"),
        ],
    );
}

#[test]
fn a_monitor_sees_each_call_once_in_quotes() {
    let server = Server::start(&[]);
    let (mut monitor, mut waiting, mut client) = (server.connect(), server.connect(), server.connect());
    let id = waiting.ask("CLIENT ID").split_off(1);
    assert_eq!(monitor.ask("MONITOR"), "OK");
    waiting.send(&["BLPOP", "list", "0"]);
    client.ask_until("CLIENT LIST", &format!("id={id} "));
    client.ask_until("INFO clients", "blocked_clients:1");
    client.ask("RPUSH list x");
    client.ask_words(&[&b"ECHO"[..], b"\\\"\n\r\t\x07\x08\x7f\xff z"]);
    let mut seen = Vec::new();
    while !seen.last().is_some_and(|line: &String| line.contains("\"ECHO\"")) {
        let line = monitor.answer();
        let call = line.split_once("] ").map_or_else(String::new, |(_, call)| call.to_owned());
        if !call.starts_with("\"CLIENT\"") && !call.starts_with("\"INFO\"") {
            seen.push(call);
        }
    }
    assert_eq!(seen, [r#""BLPOP" "list" "0""#, r#""RPUSH" "list" "x""#, r#""ECHO" "\\\"\n\r\t\a\b\x7f\xff z""#,]);
}

#[test]
fn who_has_not_logged_in_learns_nothing_about_commands() {
    let server = Server::start(&["--requirepass", "secret"]);
    const NO_AUTH: &str = "-NOAUTH Authentication required.";
    check(
        &mut server.connect(),
        &[
            ("NOSUCH", NO_AUTH),
            ("SET key value wrong", NO_AUTH),
            ("CONFIG NOSUCH", NO_AUTH),
            ("AUTH", "-ERR wrong number of arguments for 'auth' command"),
            ("AUTH secret", "OK"),
            ("NOSUCH", "-ERR unknown command 'NOSUCH', with args beginning with:"),
        ],
    );
}

#[test]
fn clients_of_many_servers_are_told_how_to_ask_them() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for (command, tips) in [
        ("DBSIZE", "request_policy:all_shards, response_policy:agg_sum"),
        ("CONFIG|SET", "request_policy:all_nodes, response_policy:all_succeeded"),
        ("HRANDFIELD", "nondeterministic_output"),
    ] {
        let answer = client.ask(&format!("COMMAND INFO {command}"));
        assert!(answer.contains(&format!("[{tips}]")), "{command}: {answer}");
    }
}

#[test]
fn a_transaction_is_refused_where_one_of_its_commands_would_be() {
    let server = Server::start(&["--replica-serve-stale-data", "no"]);
    let (mut client, mut other) = (server.connect(), server.connect());
    for (command, refused) in [("GET key", true), ("INFO", false)] {
        check(&mut client, &[("MULTI", "OK"), (command, "QUEUED")]);
        check(&mut other, &[("REPLICAOF 127.0.0.1 1", "OK")]);
        let answer = client.ask("EXEC");
        assert_eq!(answer.contains("EXECABORT") && answer.contains("MASTERDOWN"), refused, "{answer}");
        check(&mut other, &[("REPLICAOF NO ONE", "OK")]);
    }
}

#[test]
fn a_port_or_an_address_that_cannot_be_had_leaves_all_as_it_was() {
    let (server, other) = (Server::start(&[]), Server::start(&[]));
    let mut client = server.connect();
    assert_eq!(
        client.ask(&format!("CONFIG SET port {}", other.port())),
        "-ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on this port. Check server logs."
    );
    assert_eq!(
        client.ask("CONFIG SET bind 999.999.999.999"),
        "-ERR CONFIG SET failed (possibly related to argument 'bind') - Failed to bind to specified addresses."
    );
    assert_eq!(server.connect().ask("PING"), "PONG");
}

#[test]
fn texts_are_sorted_in_the_order_of_a_locale_that_the_system_has() {
    let server = Server::start(&["--locale-collate", "C"]);
    check(
        &mut server.connect(),
        &[
            (
                "CONFIG SET locale-collate no_SUCH",
                "-ERR CONFIG SET failed (possibly related to argument 'locale-collate') - Invalid locale name",
            ),
            ("CONFIG GET locale-collate", "[locale-collate, C]"),
            ("CONFIG SET locale-collate POSIX", "OK"),
            ("RPUSH list b a B", ":3"),
            ("SORT list ALPHA", "[B, a, b]"),
        ],
    );
}

#[test]
fn metrics_can_be_turned_on_and_off() {
    let server = Server::start(&["--bind", "127.0.0.1"]);
    let mut client = server.connect();
    let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let ask = |port: u16| -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let port = free();
    check(&mut client, &[(&format!("CONFIG SET metrics-port {port}"), "OK")]);
    assert!(ask(port).unwrap().starts_with("HTTP/1.1 200"));
    check(&mut client, &[("CONFIG SET metrics-port 0", "OK"), ("PING", "PONG")]);
    assert!(ask(port).is_err());
}

#[test]
fn directives_are_told_in_the_order_of_their_names() {
    let server = Server::start(&[]);
    check(
        &mut server.connect(),
        &[("CONFIG GET slowlog-max-len lfu-*", "[lfu-decay-time, 1, lfu-log-factor, 10, slowlog-max-len, 128]")],
    );
}

#[test]
fn a_client_whose_answer_is_too_large_goes_without_costing_memory_or_time() {
    let server = Server::start(&["--client-output-buffer-limit", "normal", "100000", "0", "0"]);
    let mut client = server.connect();
    client.ask("HSET h f v");
    client.ask_words(&["SET", "large", &"x".repeat(60_000)]);
    for command in ["HRANDFIELD h -9000000000000000000", "MGET large large large", "MULTI"] {
        let mut greedy = server.connect();
        if command == "MULTI" {
            let set = ["SET", "executed", "whole"];
            check(&mut greedy, &[("MULTI", "OK"), ("GET large", "QUEUED"), ("GET large", "QUEUED")]);
            assert_eq!(greedy.ask_words(&set), "QUEUED");
            greedy.send(&["EXEC"]);
        } else {
            greedy.send(&command.split(' ').collect::<Vec<_>>());
        }
        assert!(greedy.is_closed(), "{command}");
    }
    assert_eq!(client.ask("GET executed"), "whole");
    assert!(client.ask("INFO stats").contains("client_output_buffer_limit_disconnections:3\r\n"));
    check(&mut client, &[("CONFIG SET client-output-buffer-limit \"normal 10 0 0\"", "OK")]);
    client.send(&["GET", "large"]);
    assert!(client.is_closed());
}

#[test]
fn while_writes_are_paused_nothing_is_written_by_other_ways() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    check(
        &mut client,
        &[
            ("PFADD log a", ":1"),
            ("CLIENT PAUSE 100000 WRITE", "OK"),
            ("CONFIG SET maxmemory-policy allkeys-random maxmemory 1", "OK"),
            ("EXISTS log", ":1"),
        ],
    );
    let mut counting = server.connect();
    counting.send(&["PFCOUNT", "log"]);
    client.ask_until("INFO clients", "blocked_clients:1");
    check(&mut client, &[("CONFIG SET maxmemory 0", "OK"), ("CLIENT UNPAUSE", "OK")]);
    assert_eq!(counting.answer(), ":1");
}

#[test]
fn the_memory_limit_is_kept_without_giving_up_more_than_is_needed() {
    let server = Server::start(&["--maxmemory-policy", "allkeys-random"]);
    let mut client = server.connect();
    let used = |client: &mut support::Client| -> u64 {
        let info = client.ask("INFO memory");
        info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap().parse().unwrap()
    };
    let limit = used(&mut client) + (4 << 20);
    client.ask(&format!("CONFIG SET maxmemory {limit}"));
    let value = "x".repeat(100);
    for i in 0..40_000 {
        client.send(&["SET", &format!("key:{i}"), &value]);
    }
    (0..40_000).for_each(|_| assert_eq!(client.answer(), "OK"));
    let keys: u64 = client.ask("DBSIZE")[1..].parse().unwrap();
    // A key takes some 170 bytes.
    assert!(keys > 15_000, "{keys} keys are left");
    assert!(used(&mut client) < limit + (1 << 20));
}

#[test]
fn the_score_for_lack_of_memory_follows_the_role() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let score = || -> i32 {
        let text = std::fs::read_to_string(format!("/proc/{}/oom_score_adj", server.pid())).unwrap();
        text.trim().parse().unwrap()
    };
    let before = score();
    let mut told = |command: &str, above: i32| {
        assert_eq!(client.ask(command), "OK", "{command}");
        assert_eq!(score(), (before + above).min(1000), "{command}");
    };
    told("CONFIG SET oom-score-adj-values \"10 20 30\"", 0);
    told("CONFIG SET oom-score-adj yes", 10);
    told("REPLICAOF 127.0.0.1 1", 20);
    told("REPLICAOF NO ONE", 10);
    told("CONFIG SET oom-score-adj no", 0);
}

#[test]
fn a_shutdown_leaves_no_half_written_snapshot() {
    let mut server = Server::start(&[]);
    let mut client = server.connect();
    check(&mut client, &[("SET key value", "OK"), ("CONFIG SET rdb-key-save-delay 10000000", "OK")]);
    check(&mut client, &[("BGSAVE", "Background saving started")]);
    let unfinished = |server: &Server| server.files().iter().any(|name| name.starts_with("temp-"));
    while !unfinished(&server) {
        client.ask("PING");
    }
    client.send(&["SHUTDOWN", "NOSAVE"]);
    server.wait();
    assert!(!unfinished(&server));
}

#[test]
fn a_client_that_has_not_logged_in_cannot_have_much_wait_for_it() {
    let server = Server::start(&["--requirepass", "secret"]);
    let mut client = server.connect();
    check(&mut client, &[("AUTH secret", "OK")]);
    client.ask_words(&["SET", "large", &"x".repeat(60_000)]);
    assert_eq!(client.ask("GET large").len(), 60_000);
    // All in one batch: the answers are more than may wait.
    let mut batch = server.connect();
    batch.send_bytes("*2\r\n$3\r\nGET\r\n$1\r\nx\r\n".repeat(1000).as_bytes());
    while !batch.is_closed() {}
    let mut known = server.connect();
    known.send_bytes(b"*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n*2\r\n$3\r\nGET\r\n$5\r\nlarge\r\n");
    assert_eq!((known.answer().as_str(), known.answer().len()), ("OK", 60_000));
}

#[test]
fn no_snapshot_holds_half_a_transaction() {
    let mut server = Server::start(&["--appendonly", "yes"]);
    let mut client = server.connect();
    check(&mut client, &[("MULTI", "OK"), ("INCR a", "QUEUED"), ("BGREWRITEAOF", "QUEUED"), ("BGSAVE", "QUEUED")]);
    let answer = "[:1, Background append only file rewriting scheduled, Background saving scheduled]";
    check(&mut client, &[("EXEC", answer)]);
    for field in ["aof_rewrite_scheduled:0", "aof_rewrite_in_progress:0", "rdb_bgsave_in_progress:0"] {
        client.ask_until("INFO persistence", field);
    }
    server.restart();
    assert_eq!(server.connect().ask("GET a"), "1", "what the rewritten file holds is not done once more");
}

#[test]
fn a_connection_that_is_closed_while_a_snapshot_is_saved_ends_at_once() {
    let server = Server::start(&[]);
    let (mut client, mut other) = (server.connect(), server.connect());
    check(&mut client, &[("SET key value", "OK"), ("CONFIG SET rdb-key-save-delay 10000000", "OK")]);
    check(&mut client, &[("BGSAVE", "Background saving started"), ("CLIENT KILL SKIPME NO TYPE normal", ":2")]);
    assert!(client.is_closed() && other.is_closed());
    let mut third = server.connect();
    assert!(third.ask("INFO persistence").contains("rdb_bgsave_in_progress:1"));
    third.send(&["SHUTDOWN", "NOSAVE"]);
}

#[test]
fn a_limit_set_in_a_transaction_holds_when_it_has_ended() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let queued = |command| (command, "QUEUED");
    let policy = queued("CONFIG SET maxmemory-policy allkeys-random");
    let transaction =
        [queued("SET key value"), policy, queued("CONFIG SET maxmemory 1"), queued("CLIENT PAUSE 100000 WRITE")];
    check(&mut client, &[("MULTI", "OK")]);
    check(&mut client, &transaction);
    check(&mut client, &[("EXEC", "[OK, OK, OK, OK]"), ("EXISTS key", ":1"), ("CLIENT UNPAUSE", "OK")]);
    client.ask_until("EXISTS key", ":0");
}

#[test]
fn a_wait_for_a_file_that_is_turned_off_ends() {
    let server = Server::start(&["--appendonly", "yes", "--appendfsync", "no"]);
    let (mut waiting, mut other) = (server.connect(), server.connect());
    check(&mut waiting, &[("SET key value", "OK")]);
    waiting.send(&["WAITAOF", "1", "0", "0"]);
    other.ask_until("INFO clients", "blocked_clients:1");
    check(&mut other, &[("CONFIG SET appendonly no", "OK")]);
    assert!(waiting.answer().starts_with("-ERR WAITAOF cannot be used when numlocal is set"));
    assert_eq!(waiting.ask("PING"), "PONG");
}

#[test]
fn a_paused_replica_takes_its_primarys_writes_when_the_pause_ends() {
    let primary = Server::start(&["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "3600"]);
    let replica = Server::start(&[]);
    let (mut to_primary, mut to_replica) = (primary.connect(), replica.connect());
    to_replica.ask(&format!("REPLICAOF 127.0.0.1 {}", primary.port()));
    to_replica.ask_until("INFO replication", "master_link_status:up");
    check(&mut to_replica, &[("CLIENT PAUSE 100000 WRITE", "OK")]);
    check(&mut to_primary, &[("SET a 1", "OK"), ("MULTI", "OK"), ("SET b 2", "QUEUED"), ("EXEC", "[OK]")]);
    let info = to_primary.ask("INFO replication");
    let offset = info.lines().find_map(|line| line.strip_prefix("master_repl_offset:")).unwrap();
    to_replica.ask_until("INFO replication", &format!("slave_read_repl_offset:{offset}\r\n"));
    assert_eq!(to_replica.ask("MGET a b"), "[nil, nil]");
    check(&mut to_replica, &[("CLIENT UNPAUSE", "OK")]);
    to_replica.ask_until("MGET a b", "[1, 2]");
    to_replica.ask_until("INFO replication", &format!("slave_repl_offset:{offset}\r\n"));
}

#[test]
fn a_wait_until_after_the_end_of_time_is_refused() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for command in ["WAIT 1 9223372036854775807", "WAITAOF 0 1 9223372036854775807"] {
        assert_eq!(client.ask(command), "-ERR timeout is out of range");
    }
}

#[test]
fn a_request_of_a_browser_runs_no_command() {
    let server = Server::start(&[]);
    let mut browser = server.connect();
    browser.send_bytes(b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\nSET planted 1\r\n");
    while !browser.is_closed() {}
    check(&mut server.connect(), &[("EXISTS planted", ":0")]);
}

#[test]
fn a_replica_that_asks_for_more_than_the_stream_is_cut_off() {
    let server = Server::start(&[]);
    let (mut replica, mut client) = (server.connect(), server.connect());
    replica.send(&["SYNC"]);
    client.ask_until("INFO replication", "connected_slaves:1");
    replica.send(&["GET", "k"]);
    client.ask_until("INFO replication", "connected_slaves:0");
    assert!(client.ask("INFO stats").contains("unexpected_error_replies:1\r\n"));
}

#[test]
fn a_snapshot_that_the_last_replica_no_longer_waits_for_is_given_up() {
    let server = Server::start(&["--repl-diskless-sync", "no", "--rdb-key-save-delay", "10000000"]);
    let mut client = server.connect();
    client.ask("SET k v");
    let mut replica = server.connect();
    replica.send(&["SYNC"]);
    client.ask_until("INFO persistence", "rdb_bgsave_in_progress:1");
    drop(replica);
    client.ask_until("INFO persistence", "rdb_bgsave_in_progress:0");
    assert!(client.ask("INFO persistence").contains("rdb_last_bgsave_status:ok\r\n"));
}

#[test]
fn once_the_append_only_file_is_off_its_rewrite_is_over() {
    let server = Server::start(&["--appendonly", "yes"]);
    check(
        &mut server.connect(),
        &[
            ("SET k v", "OK"),
            ("CONFIG SET rdb-key-save-delay 10000000", "OK"),
            ("BGREWRITEAOF", "Background append only file rewriting started"),
            ("CONFIG SET appendonly no rdb-key-save-delay 0", "OK"),
            ("BGREWRITEAOF", "Background append only file rewriting started"),
        ],
    );
}

#[test]
fn a_shutdown_by_signal_can_be_called_off() {
    let server = Server::start(&["--enable-debug-command", "yes"]);
    let mut client = server.connect();
    client.ask("DEBUG PAUSE-CRON 1");
    signal(&server, "TERM");
    client.ask_until("SHUTDOWN ABORT", "OK");
    check(&mut client, &[("DEBUG PAUSE-CRON 0", "OK"), ("PING", "PONG")]);
}

#[test]
fn an_interruption_ends_the_save_of_a_shutdown_at_once() {
    let mut server = Server::start(&[]);
    let mut client = server.connect();
    check(&mut client, &[("SET k v", "OK"), ("CONFIG SET save \"900 1\" rdb-key-save-delay 100000000", "OK")]);
    let temp = format!("temp-{}.rdb", server.pid());
    signal(&server, "INT");
    while !server.files().contains(&temp) {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    signal(&server, "INT");
    server.wait();
    assert!(!server.files().contains(&temp));
}

fn signal(server: &Server, name: &str) {
    let pid = server.pid().to_string();
    let status = std::process::Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap();
    assert!(status.success());
}

#[test]
fn after_flushall_no_replica_waits_for_what_was_there_before() {
    let server = Server::start(&["--repl-diskless-sync-delay", "0", "--rdb-key-save-delay", "100000000"]);
    let (mut client, mut replica) = (server.connect(), server.connect());
    client.ask("SET k v");
    replica.send(&["SYNC"]);
    client.ask_until("INFO persistence", "rdb_bgsave_in_progress:1");
    client.ask("FLUSHALL");
    client.ask_until("INFO persistence", "rdb_bgsave_in_progress:0");
    client.ask_until("INFO replication", "connected_slaves:0");
}

#[test]
fn replication_commands_are_refused_in_valkeys_words() {
    let server = Server::start(&[]);
    check(
        &mut server.connect(),
        &[
            ("WAIT -1 0", ":0"),
            ("WAITAOF 2 0 0", "-ERR value is out of range, value must between 0 and 1"),
            ("FAILOVER FORCE", "-ERR FAILOVER requires connected replicas."),
            ("FAILOVER TO 127.0.0.1 999999", "-ERR FAILOVER requires connected replicas."),
            ("FAILOVER ABORT FORCE", "-ERR syntax error"),
            ("FAILOVER FORCE ABORT", "-ERR syntax error"),
        ],
    );
}

#[test]
fn a_lag_of_nought_asks_for_no_replicas() {
    let server = Server::start(&["--min-replicas-to-write", "1"]);
    let mut client = server.connect();
    assert!(client.ask("SET key value").starts_with("-NOREPLICAS"));
    check(&mut client, &[("CONFIG SET min-replicas-max-lag 0", "OK"), ("SET key value", "OK")]);
    check(&mut client, &[("CONFIG SET min-replicas-max-lag 10", "OK")]);
    assert!(client.ask("SET key value").starts_with("-NOREPLICAS"));
}

#[test]
fn a_child_leaves_the_port_to_the_servers_successor() {
    let server = Server::start(&["--rdb-key-save-delay", "10000000"]);
    check(&mut server.connect(), &[("SET key value", "OK"), ("BGSAVE", "Background saving started")]);
    let pid = server.pid();
    let read = |path: String| std::fs::read_to_string(path).unwrap();
    let child = read(format!("/proc/{pid}/task/{pid}/children")).trim().to_owned();
    let (end, listening) = (format!(":{:04X}", server.port()), "0A");
    let sockets = read("/proc/net/tcp".to_owned());
    let fields = sockets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let socket = fields.into_iter().find(|f| f[1].ends_with(&end) && f[3] == listening).unwrap();
    let socket = format!("socket:[{}]", socket[9]);
    let holds = |pid: &str| {
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
        open.filter_map(|fd| std::fs::read_link(fd.path()).ok()).any(|open| open.as_os_str() == socket.as_str())
    };
    assert!(holds(&pid.to_string()));
    for _ in 0..1000 {
        if !holds(&child) {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("the child holds the port");
}

#[test]
fn a_failover_takes_along_what_its_own_transaction_writes() {
    let (first, second) = (Server::start(&["--repl-diskless-sync-delay", "0"]), Server::start(&[]));
    let (mut to_first, mut to_second) = (first.connect(), second.connect());
    to_second.ask(&format!("REPLICAOF 127.0.0.1 {}", first.port()));
    to_first.ask_until("INFO replication", "state=online");
    let queued = |command| (command, "QUEUED");
    check(&mut to_first, &[("MULTI", "OK"), queued("SET before 1"), queued("FAILOVER"), queued("SET after 1")]);
    check(&mut to_first, &[("EXEC", "[OK, OK, OK]")]);
    to_first.ask_until("INFO replication", "master_link_status:up");
    check(&mut to_second, &[("EXISTS before after", ":2")]);
    assert!(to_second.ask("INFO replication").contains("role:master"));
}
