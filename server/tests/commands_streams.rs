//! What is promised of streams: adding, reading, trimming, waiting, and sharing entries in consumer groups.

mod support;

use support::{Client, Server, check};

#[test]
fn entries_are_added_under_ascending_ids_and_read_in_ranges() {
    let server = Server::start(&[]);
    check(
        &mut server.connect(),
        &[
            ("XADD s NOMKSTREAM 1-1 a 1", "nil"),
            ("XADD s 1-1 a 1", "1-1"),
            ("XADD s 1-* a 2", "1-2"),
            ("XADD s 5 b 3 c 4", "5-0"),
            ("XADD s 5-0 a 1", "-ERR The ID specified in XADD is equal or smaller than the target stream top item"),
            ("XADD s 0-0 a 1", "-ERR The ID specified in XADD must be greater than 0-0"),
            ("XADD s 6-0 a", "-ERR wrong number of arguments for 'xadd' command"),
            ("XADD s x a 1", "-ERR Invalid stream ID specified as stream command argument"),
            ("XLEN s", ":3"),
            ("TYPE s", "stream"),
            ("OBJECT ENCODING s", "stream"),
            ("XRANGE s - +", "[[1-1, [a, 1]], [1-2, [a, 2]], [5-0, [b, 3, c, 4]]]"),
            ("XRANGE s 1 1", "[[1-1, [a, 1]], [1-2, [a, 2]]]"),
            ("XRANGE s (1-1 + COUNT 1", "[[1-2, [a, 2]]]"),
            ("XREVRANGE s + - COUNT 2", "[[5-0, [b, 3, c, 4]], [1-2, [a, 2]]]"),
            ("XRANGE s 6 +", "[]"),
            ("XREAD COUNT 1 STREAMS s nothing 1-1 0", "[[s, [[1-2, [a, 2]]]]]"),
            ("XREAD STREAMS s +", "[[s, [[5-0, [b, 3, c, 4]]]]]"),
            ("XREAD STREAMS s $", "nil"),
            ("XADD s 18446744073709551615-18446744073709551615 a 1", "18446744073709551615-18446744073709551615"),
            ("XADD s * a 1", "-ERR The stream has exhausted the last possible ID, unable to add more items"),
            ("SET text 1", "OK"),
            ("XADD text * a 1", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
            ("XADD text-to-be * a", "-ERR wrong number of arguments for 'xadd' command"),
            ("EXISTS text-to-be", ":0"),
        ],
    );
}

#[test]
fn an_id_made_by_the_server_is_the_time_or_follows_the_last() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let time =
        |client: &mut Client| client.ask("TIME").trim_start_matches('[').split(',').next().unwrap().parse::<u64>();
    let before = time(&mut client).unwrap();
    let id = client.ask("XADD s * a 1");
    let ms: u64 = id.split_once('-').unwrap().0.parse().unwrap();
    assert!((before * 1000..=(time(&mut client).unwrap() + 1) * 1000).contains(&ms), "{id}");
    check(
        &mut client,
        &[("XADD ahead 99999999999999-7 a 1", "99999999999999-7"), ("XADD ahead * a 1", "99999999999999-8")],
    );
}

#[test]
fn a_stream_remembers_what_was_deleted_and_trimmed() {
    let server = Server::start(&["--stream-node-max-entries", "2"]);
    let mut client = server.connect();
    for ms in 1..=9 {
        client.ask(&format!("XADD s {ms}-0 n {ms}"));
    }
    check(
        &mut client,
        &[
            ("XDEL s 2-0 2-0 77-0", ":1"),
            ("XDEL s 3-0 x", "-ERR Invalid stream ID specified as stream command argument"),
            ("XTRIM s MAXLEN ~ 6", ":1"),
            ("XTRIM s MAXLEN ~ 6", ":0"),
            ("XTRIM s MAXLEN = 6", ":1"),
            ("XTRIM s MINID 5", ":1"),
            ("XRANGE s - + COUNT 1", "[[5-0, [n, 5]]]"),
            ("XTRIM s MAXLEN ~ 0 LIMIT 2", ":2"),
            ("XTRIM s MAXLEN 5 LIMIT 2", "-ERR syntax error, LIMIT cannot be used without the special ~ option"),
            (
                "XTRIM s MAXLEN 5 MINID 5",
                "-ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
            ),
            (
                "XINFO STREAM s",
                "[length, :3, radix-tree-keys, :2, radix-tree-nodes, :3, last-generated-id, 9-0, max-deleted-entry-id, 2-0, entries-added, :9, recorded-first-entry-id, 7-0, groups, :0, first-entry, [7-0, [n, 7]], last-entry, [9-0, [n, 9]]]",
            ),
            ("XADD s LIMIT 0 10-0 n 10", "-ERR syntax error, LIMIT cannot be used without the special ~ option"),
            ("XADD s MAXLEN 0 10-0 n 10", "10-0"),
            ("XLEN s", ":0"),
            ("EXISTS s", ":1"),
            ("XADD s 10-0 n 10", "-ERR The ID specified in XADD is equal or smaller than the target stream top item"),
            ("XSETID s 1-0", "-ERR The ID specified in XSETID is smaller than current max_deleted_entry_id"),
            ("XSETID s 4-0 ENTRIESADDED 20", "OK"),
            ("XADD s 4-1 n 1", "4-1"),
            ("XSETID s 4-0", "-ERR The ID specified in XSETID is smaller than the target stream top item"),
            ("XSETID nothing 1-0", "-ERR no such key"),
        ],
    );
}

#[test]
fn a_group_is_made_with_each_option_once() {
    let server = Server::start(&[]);
    const REFUSAL: &str = "-ERR unknown subcommand or wrong number of arguments for 'CREATE'. Try XGROUP HELP.";
    check(
        &mut server.connect(),
        &[
            ("XGROUP CREATE s g $ MKSTREAM ENTRIESREAD 1 MKSTREAM", REFUSAL),
            ("EXISTS s", ":0"),
            ("XGROUP CREATE s g $ MKSTREAM ENTRIESREAD 1", "OK"),
        ],
    );
}

#[test]
fn consumers_of_a_group_share_its_entries() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for ms in 1..=4 {
        client.ask(&format!("XADD s {ms}-0 n {ms}"));
    }
    check(
        &mut client,
        &[
            (
                "XREADGROUP GROUP g alice STREAMS s >",
                "-NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option",
            ),
            ("XGROUP CREATE s g 0", "OK"),
            ("XGROUP CREATE s g 0", "-BUSYGROUP Consumer Group name already exists"),
            ("XREADGROUP GROUP g alice COUNT 2 STREAMS s >", "[[s, [[1-0, [n, 1]], [2-0, [n, 2]]]]]"),
            ("XREADGROUP GROUP g bob COUNT 1 STREAMS s >", "[[s, [[3-0, [n, 3]]]]]"),
            ("XREADGROUP GROUP g carol NOACK STREAMS s >", "[[s, [[4-0, [n, 4]]]]]"),
            ("XREADGROUP GROUP g carol STREAMS s >", "nil"),
            ("XPENDING s g", "[:3, 1-0, 3-0, [[alice, 2], [bob, 1]]]"),
            ("XDEL s 2-0", ":1"),
            // Its own list: an entry that is gone has no fields.
            ("XREADGROUP GROUP g alice STREAMS s 0", "[[s, [[1-0, [n, 1]], [2-0, nil]]]]"),
            ("XREADGROUP GROUP g alice STREAMS s 1-0", "[[s, [[2-0, nil]]]]"),
            ("XREADGROUP GROUP g bob STREAMS s 3-0", "[[s, []]]"),
            ("XACK s g 1-0 1-0 9-9", ":1"),
            ("XACK s nothing 1-0", ":0"),
            ("XCLAIM s g bob 10000000 3-0", "[]"),
            ("XCLAIM s g dave 0 3-0 RETRYCOUNT 7 JUSTID", "[3-0]"),
            ("XCLAIM s g dave 0 1-0", "[]"),
            ("XCLAIM s g dave 0 1-0 FORCE", "[[1-0, [n, 1]]]"),
            ("XPENDING s g", "[:3, 1-0, 3-0, [[alice, 1], [dave, 2]]]"),
            // What is claimed but gone leaves the list, and the cursor comes to the end.
            ("XAUTOCLAIM s g erin 0 - COUNT 2", "[3-0, [[1-0, [n, 1]]], [2-0]]"),
            ("XAUTOCLAIM s g erin 0 3-0 JUSTID", "[0-0, [3-0], []]"),
            ("XPENDING s g", "[:2, 1-0, 3-0, [[erin, 2]]]"),
            ("XGROUP DELCONSUMER s g erin", ":2"),
            ("XGROUP CREATECONSUMER s g alice", ":0"),
            ("XGROUP CREATECONSUMER s g frank", ":1"),
            (
                "XINFO GROUPS s",
                "[[name, g, consumers, :5, pending, :0, last-delivered-id, 4-0, entries-read, :4, lag, :0]]",
            ),
            ("XGROUP SETID s g 1-0 ENTRIESREAD 1", "OK"),
            ("XREADGROUP GROUP g alice COUNT 1 STREAMS s >", "[[s, [[3-0, [n, 3]]]]]"),
            ("XGROUP DESTROY s g", ":1"),
            ("XGROUP DESTROY s g", ":0"),
            ("XPENDING s g", "-NOGROUP No such key 's' or consumer group 'g'"),
        ],
    );
}

#[test]
fn a_stream_named_twice_gives_its_new_entries_once() {
    let server = Server::start(&[]);
    check(
        &mut server.connect(),
        &[
            ("XADD s 1-0 n 1", "1-0"),
            ("XGROUP CREATE s g 0", "OK"),
            ("XREADGROUP GROUP g c STREAMS s s > >", "[[s, [[1-0, [n, 1]]]]]"),
        ],
    );
}

#[test]
fn clients_of_resp3_get_maps() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.ask("HELLO 3");
    check(
        &mut client,
        &[
            ("XADD s 1-0 n 1", "1-0"),
            ("XREAD STREAMS s 0", "{s: [[1-0, [n, 1]]]}"),
            ("XGROUP CREATE s g 0", "OK"),
            ("XREADGROUP GROUP g c STREAMS s >", "{s: [[1-0, [n, 1]]]}"),
            (
                "XINFO GROUPS s",
                "[{name: g, consumers: :1, pending: :1, last-delivered-id: 1-0, entries-read: :1, lag: :0}]",
            ),
        ],
    );
}

/// Waits until so many clients are blocked.
fn until_blocked(client: &mut Client, count: usize) {
    while !client.ask("INFO clients").contains(&format!("blocked_clients:{count}\r\n")) {}
}

#[test]
fn a_reader_that_waits_gets_what_comes_after_it_asked() {
    let server = Server::start(&[]);
    let (mut reader, mut writer) = (server.connect(), server.connect());
    writer.ask("XADD s 1-0 n old");
    reader.send(&["XREAD", "BLOCK", "0", "STREAMS", "other", "s", "$", "$"]);
    until_blocked(&mut writer, 1);
    // Neither of these has anything for it.
    writer.ask("XGROUP CREATE other g $ MKSTREAM");
    writer.ask("XDEL s 1-0");
    writer.ask("MULTI");
    writer.ask("XADD s 2-0 n 2");
    writer.ask("XADD s 3-0 n 3");
    writer.ask("EXEC");
    assert_eq!(reader.answer(), "[[s, [[2-0, [n, 2]], [3-0, [n, 3]]]]]");
    assert_eq!(reader.ask("XREAD BLOCK 1 STREAMS s $"), "nil");
    assert_eq!(reader.ask("XREAD BLOCK -1 STREAMS s $"), "-ERR timeout is negative");
}

#[test]
fn entries_go_to_waiting_consumers_in_the_order_in_which_they_came() {
    let server = Server::start(&[]);
    let mut writer = server.connect();
    writer.ask("XGROUP CREATE s g $ MKSTREAM");
    let mut readers: Vec<Client> = Vec::new();
    for (i, name) in ["first", "second", "third"].into_iter().enumerate() {
        let mut reader = server.connect();
        reader.send(&["XREADGROUP", "GROUP", "g", name, "COUNT", "1", "BLOCK", "0", "STREAMS", "s", ">"]);
        until_blocked(&mut writer, i + 1);
        readers.push(reader);
    }
    for (i, reader) in readers.iter_mut().enumerate() {
        writer.ask(&format!("XADD s {}-0 n {i}", i + 1));
        assert_eq!(reader.answer(), format!("[[s, [[{}-0, [n, {i}]]]]]", i + 1));
    }
    assert_eq!(writer.ask("XPENDING s g"), "[:3, 1-0, 3-0, [[first, 1], [second, 1], [third, 1]]]");
}

#[test]
fn a_consumer_that_waits_is_told_when_its_group_is_gone() {
    const GONE: &str = "-NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option";
    let server = Server::start(&[]);
    let (mut reader, mut writer) = (server.connect(), server.connect());
    for (end, told) in [
        ("DEL s", GONE),
        ("XGROUP DESTROY s g", GONE),
        ("RENAME s elsewhere", GONE),
        ("FLUSHALL", GONE),
        ("PEXPIREAT s 1", GONE),
        ("SET s text", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ] {
        writer.ask("DEL s");
        writer.ask("XGROUP CREATE s g $ MKSTREAM");
        reader.send(&["XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", "s", ">"]);
        until_blocked(&mut writer, 1);
        writer.ask(end);
        assert_eq!(reader.answer(), told, "{end}");
    }
    // One that reads by itself goes on waiting.
    writer.ask("DEL s");
    reader.send(&["XREAD", "BLOCK", "0", "STREAMS", "s", "$"]);
    until_blocked(&mut writer, 1);
    writer.ask("SET s text");
    writer.ask("DEL s");
    writer.ask("XADD s 1-0 n 1");
    assert_eq!(reader.answer(), "[[s, [[1-0, [n, 1]]]]]");
}

#[test]
fn adding_and_deleting_fails_a_transaction_that_watches_and_reading_does_not() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.ask("XADD s 1-0 n 1");
    client.ask("XGROUP CREATE s g 0");
    for (command, fails) in [
        ("XREADGROUP GROUP g c STREAMS s >", false),
        ("XACK s g 1-0", false),
        ("XGROUP SETID s g 0", false),
        ("XADD s 2-0 n 2", true),
        ("XDEL s 2-0", true),
        ("XTRIM s MAXLEN 9", false),
        ("XTRIM s MAXLEN 0", true),
    ] {
        client.ask("WATCH s");
        client.ask(command);
        client.ask("MULTI");
        client.ask("PING");
        assert_eq!(client.ask("EXEC"), if fails { "nil" } else { "[PONG]" }, "{command}");
    }
}

#[test]
fn changes_are_published() {
    let server = Server::start(&["--notify-keyspace-events", "Et"]);
    let (mut listener, mut client) = (server.connect(), server.connect());
    listener.ask("PSUBSCRIBE __keyevent@0__:*");
    for (command, events) in [
        ("XADD s MAXLEN 1 1-0 n 1", &["xadd"][..]),
        ("XADD s MAXLEN 1 2-0 n 2", &["xadd", "xtrim"]),
        ("XGROUP CREATE s g 0", &["xgroup-create"]),
        ("XREADGROUP GROUP g c STREAMS s >", &["xgroup-createconsumer"]),
        ("XCLAIM s g d 0 2-0", &["xgroup-createconsumer"]),
        ("XGROUP SETID s g 0", &["xgroup-setid"]),
        ("XGROUP DELCONSUMER s g d", &["xgroup-delconsumer"]),
        ("XGROUP DESTROY s g", &["xgroup-destroy"]),
        ("XSETID s 9-0", &["xsetid"]),
        ("XDEL s 2-0", &["xdel"]),
    ] {
        client.ask(command);
        for event in events {
            assert_eq!(
                listener.answer(),
                format!("[pmessage, __keyevent@0__:*, __keyevent@0__:{event}, s]"),
                "{command}"
            );
        }
    }
}

/// Changes of every kind, some of whose outcomes depend on the time or on how entries are packed.
const CHANGES: &[&str] = &[
    "XADD s * n 1",
    "XADD s * n 2 m x",
    "XADD s MAXLEN ~ 3 * n 3",
    "XADD s MINID ~ 5 99999999999999-* n 4",
    "XADD s * n 5",
    "XGROUP CREATE s g 0",
    "XGROUP CREATE s late $",
    "XREADGROUP GROUP g alice COUNT 2 STREAMS s >",
    "XREADGROUP GROUP g noting NOACK COUNT 1 STREAMS s >",
    "XREADGROUP GROUP g bob STREAMS s >",
    "XCLAIM s g carol 0 99999999999999-0 IDLE 5",
    "XTRIM s MAXLEN ~ 3 LIMIT 2",
    "XAUTOCLAIM s g dave 0 0",
    "XDEL s 99999999999999-1",
    "XGROUP CREATECONSUMER s g idle",
    "XGROUP CREATE empty g 0 MKSTREAM",
    "XADD gone 7-7 n 1",
    "XDEL gone 7-7",
];

/// Everything that can be asked about the streams that [`CHANGES`] makes, but for when consumers were last seen.
fn everything(client: &mut Client) -> Vec<String> {
    let mut answers = vec![client.ask("DEBUG DIGEST")];
    for key in ["s", "empty", "gone"] {
        answers.push(client.ask(&format!("XINFO STREAM {key}")));
        answers.push(client.ask(&format!("XINFO GROUPS {key}")));
        let full = client.ask(&format!("XINFO STREAM {key} FULL COUNT 0"));
        let mut parts = full.split("seen-time");
        let first = parts.next().unwrap().to_owned();
        answers.push(parts.fold(first, |text, part| text + part.split_once("pel-count").unwrap().1));
    }
    answers
}

#[test]
fn a_replica_has_the_same_streams_groups_and_pending_entries() {
    let options =
        ["--stream-node-max-entries", "2", "--enable-debug-command", "local", "--repl-diskless-sync-delay", "0"];
    let primary = Server::start(&options);
    let port = primary.port().to_string();
    let replica = Server::start(&[&options[..], &["--replicaof", "127.0.0.1", &port]].concat());
    let (mut writer, mut reader) = (primary.connect(), replica.connect());
    writer.ask("XADD before 1-0 n 1");
    while !reader.ask("INFO replication").contains("master_link_status:up") {}
    for change in CHANGES {
        let answer = writer.ask(change);
        assert!(!answer.starts_with('-'), "{change}: {answer}");
    }
    assert_eq!(writer.ask("WAIT 1 0"), ":1");
    assert_eq!(everything(&mut reader), everything(&mut writer));
    assert_eq!(reader.ask("XLEN before"), ":1");
}

#[test]
fn streams_outlive_a_restart_in_either_kind_of_append_only_file_and_in_a_snapshot() {
    let options = [
        "--appendonly",
        "yes",
        "--aof-use-rdb-preamble",
        "no",
        "--stream-node-max-entries",
        "2",
        "--enable-debug-command",
        "local",
    ];
    let server = Server::start(&options);
    let mut client = server.connect();
    for change in CHANGES {
        client.ask(change);
    }
    let mut before = everything(&mut client);
    assert_eq!(client.ask("DEBUG LOADAOF"), "OK");
    assert_eq!(everything(&mut client), before);
    assert_eq!(client.ask("DEBUG RELOAD"), "OK");
    assert_eq!(everything(&mut client), before);
    // The file written anew. Of what is pending but deleted it tells nothing, as Valkey's.
    client.ask("XACK s g 99999999999999-1");
    before = everything(&mut client);
    client.ask("BGREWRITEAOF");
    while !client.ask("INFO persistence").contains("aof_rewrite_in_progress:0") {}
    assert_eq!(client.ask("DEBUG LOADAOF"), "OK");
    let after = everything(&mut client);
    // Entries are packed anew.
    let unpacked = |answers: Vec<String>| -> Vec<String> {
        let cut = |answer: String| match answer.split_once("radix-tree-keys") {
            Some((head, tail)) => format!("{head}{}", tail.split_once("last-generated-id").unwrap_or_default().1),
            None => answer,
        };
        answers.into_iter().map(cut).collect()
    };
    assert_eq!(unpacked(after), unpacked(before));
}

#[test]
fn a_dumped_stream_is_restored_and_a_copy_is_its_own() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for command in ["XADD s 1-0 n 1", "XADD s 2-0 n 2", "XGROUP CREATE s g 0", "XREADGROUP GROUP g c STREAMS s >"] {
        client.ask(command);
    }
    let payload = client.ask_bytes("DUMP s");
    assert_eq!(client.ask_words(&[&b"RESTORE"[..], b"again", b"0", &payload]), "OK");
    let mut bad = payload.clone();
    bad.truncate(payload.len() - 20);
    assert_eq!(
        client.ask_words(&[&b"RESTORE"[..], b"bad", b"0", &bad]),
        "-ERR DUMP payload version or checksum are wrong"
    );
    check(
        &mut client,
        &[
            ("COPY s copy", ":1"),
            ("XACK s g 1-0 2-0", ":2"),
            ("XPENDING copy g", "[:2, 1-0, 2-0, [[c, 2]]]"),
            ("XPENDING again g", "[:2, 1-0, 2-0, [[c, 2]]]"),
            ("XDEL s 1-0 2-0", ":2"),
            ("XRANGE copy - +", "[[1-0, [n, 1]], [2-0, [n, 2]]]"),
            ("XRANGE again - +", "[[1-0, [n, 1]], [2-0, [n, 2]]]"),
            ("SORT copy", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
            ("SCAN 0 TYPE stream MATCH co*", "[0, [copy]]"),
        ],
    );
    let bytes = client.ask("MEMORY USAGE copy");
    assert!(bytes.trim_start_matches(':').parse::<u32>().is_ok_and(|bytes| (200..5000).contains(&bytes)), "{bytes}");
}

#[test]
fn commands_that_look_for_keys_find_those_of_reads() {
    let server = Server::start(&[]);
    check(
        &mut server.connect(),
        &[
            ("COMMAND GETKEYS XREAD COUNT 1 STREAMS a b 0 0", "[a, b]"),
            ("COMMAND GETKEYS XREADGROUP GROUP streams c NOACK STREAMS a >", "[a]"),
            ("COMMAND GETKEYS XGROUP CREATE key g $", "[key]"),
            ("COMMAND GETKEYS XADD key * a 1", "[key]"),
        ],
    );
}
