//! What is promised of fields of hashes that expire.

mod support;

use support::{Client, Server, check};

/// A server that deletes nothing by itself.
fn without_cycle() -> Server {
    let server = Server::start(&["--enable-debug-command", "yes"]);
    check(&mut server.connect(), &[("DEBUG SET-ACTIVE-EXPIRE 0", "OK")]);
    server
}

/// Makes the hash `h` of the fields `gone` and `left`, of which the first has expired and was not deleted yet.
fn with_an_expired_field(client: &mut Client) {
    check(
        client,
        &[
            // What is imported is taken as it is, also if its time is over.
            ("CONFIG SET import-mode yes", "OK"),
            ("HSETEX h PXAT 1 FIELDS 1 gone 1", ":1"),
            ("CONFIG SET import-mode no", "OK"),
            ("HSET h left 2", ":1"),
        ],
    );
}

#[test]
fn a_fields_expiry_is_set_under_conditions_told_and_taken_away() {
    let server = Server::start(&[]);
    check(
        &mut server.connect(),
        &[
            ("HSET h a 1 b 2", ":2"),
            ("OBJECT ENCODING h", "listpack"),
            ("HEXPIRE h 100 XX FIELDS 2 a nothing", "[:0, :-2]"),
            ("OBJECT ENCODING h", "listpack"),
            ("HEXPIRE h 100 NX FIELDS 1 a", "[:1]"),
            ("OBJECT ENCODING h", "hashtable"),
            ("HEXPIRE h 50 GT FIELDS 2 a b", "[:0, :0]"),
            ("HEXPIRE h 200 GT FIELDS 1 a", "[:1]"),
            ("HEXPIRE h 50 LT FIELDS 2 a b", "[:1, :1]"),
            ("HTTL h FIELDS 3 a b nothing", "[:50, :50, :-2]"),
            ("HPEXPIREAT h 33177117420000 FIELDS 1 a", "[:1]"),
            ("HEXPIRETIME h FIELDS 1 a", "[:33177117420]"),
            ("HPEXPIRETIME h FIELDS 1 a", "[:33177117420000]"),
            ("HPERSIST h FIELDS 3 a b nothing", "[:1, :1, :-2]"),
            ("HPERSIST h FIELDS 1 a", "[:-1]"),
            ("HEXPIREAT h 33177117420 FIELDS 1 a", "[:1]"),
            ("HSET h a 1", ":0"),
            ("HTTL h FIELDS 1 a", "[:-1]"),
            ("HTTL nothing FIELDS 1 a", "[:-2]"),
            ("SET string 1", "OK"),
            ("HTTL string FIELDS 1 a", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
        ],
    );
}

#[test]
fn fields_are_set_read_and_deleted_together_with_their_expiry() {
    let server = Server::start(&[]);
    check(
        &mut server.connect(),
        &[
            ("HSETEX h XX EX 100 FIELDS 1 a 1", ":0"),
            ("HSETEX h NX EX 100 FIELDS 2 a 1 b 2", ":1"),
            ("HSETEX h FNX FIELDS 2 a 3 c 3", ":0"),
            ("HSETEX h FXX KEEPTTL FIELDS 1 a 3", ":1"),
            ("HTTL h FIELDS 2 a b", "[:100, :100]"),
            ("HGETEX h PERSIST FIELDS 2 a nothing", "[3, nil]"),
            ("HTTL h FIELDS 2 a b", "[:-1, :100]"),
            ("HGETEX h EX 50 FIELDS 1 a", "[3]"),
            ("HGETEX h FIELDS 1 a", "[3]"),
            ("HTTL h FIELDS 1 a", "[:50]"),
            ("HGETDEL h FIELDS 2 a a", "[3, nil]"),
            ("HGETDEL h FIELDS 1 b", "[2]"),
            ("EXISTS h", ":0"),
            // The name of a key is not looked at.
            ("HSETEX fields EX 100 FIELDS 1 a 1", ":1"),
            ("HGETEX fields EX 100 FIELDS 1 a", "[1]"),
        ],
    );
}

#[test]
fn fields_with_an_expiry_in_the_past_are_deleted_at_once() {
    let server = Server::start(&[]);
    check(
        &mut server.connect(),
        &[
            ("HSET h a 1 b 2 c 3 d 4", ":4"),
            ("HEXPIRE h 0 FIELDS 2 a nothing", "[:2, :-2]"),
            ("HEXPIREAT h 1 XX FIELDS 1 b", "[:0]"),
            ("HGETEX h PXAT 1 FIELDS 1 b", "[2]"),
            ("HSETEX h EXAT 0 FIELDS 1 c 5", ":1"),
            ("HGETALL h", "[d, 4]"),
            ("HPEXPIRE h 0 FIELDS 1 d", "[:2]"),
            ("EXISTS h", ":0"),
        ],
    );
}

#[test]
fn wrong_calls_are_refused_with_the_reason() {
    let server = Server::start(&[]);
    const COUNT: &str = "-ERR numfields should be greater than 0 and match the provided number of fields";
    const SYNTAX: &str = "-ERR syntax error";
    check(
        &mut server.connect(),
        &[
            ("HEXPIRE h 10 FIELDS 2 a", COUNT),
            ("HEXPIRE h 10 FIELDS 0 a", COUNT),
            ("HEXPIRE h 10 NX NX FIELDS", COUNT),
            ("HEXPIRE h 10 MAYBE FIELDS 1 a", "-ERR Unsupported option MAYBE"),
            ("HEXPIRE h -1 FIELDS 1 a", "-ERR invalid expire time in 'hexpire' command"),
            ("HPEXPIRE h 9223372036854775807 FIELDS 1 a", "-ERR invalid expire time in 'hpexpire' command"),
            ("HEXPIRE h soon FIELDS 1 a", "-ERR value is not an integer or out of range"),
            ("HTTL h FIELDS 2 a", SYNTAX),
            ("HTTL h NAMES 1 a", SYNTAX),
            ("HPERSIST h NAMES 1 a", SYNTAX),
            ("HPERSIST h FIELDS 2 a", COUNT),
            ("HGETDEL h FIELDS 2 a", COUNT),
            ("HGETEX h EX 10 PERSIST FIELDS 1 a", SYNTAX),
            ("HGETEX h EX FIELDS 1 a", SYNTAX),
            ("HGETEX h NX FIELDS 1 a", SYNTAX),
            ("HSETEX h EX 10 KEEPTTL FIELDS 1 a 1", SYNTAX),
            ("HSETEX h NX XX FIELDS 1 a 1", SYNTAX),
            ("HSETEX h EX 10 FIELDS 2 a 1", COUNT),
            ("HSETEX h FIELDS 9223372036854775807 a 1", COUNT),
        ],
    );
}

#[test]
fn a_field_whose_time_is_over_is_not_there_any_more() {
    let server = without_cycle();
    let mut client = server.connect();
    with_an_expired_field(&mut client);
    check(
        &mut client,
        &[
            ("HGET h gone", "nil"),
            ("HEXISTS h gone", ":0"),
            ("HMGET h gone left", "[nil, 2]"),
            ("HGETALL h", "[left, 2]"),
            ("HRANDFIELD h 5", "[left]"),
            ("HSCAN h 0", "[0, [left, 2]]"),
            ("HTTL h FIELDS 1 gone", "[:-2]"),
            ("HEXPIRE h 100 FIELDS 1 gone", "[:-2]"),
            ("HPERSIST h FIELDS 1 gone", "[:-2]"),
            ("HDEL h gone", ":0"),
            ("HGETDEL h FIELDS 1 gone", "[nil]"),
            // As in Valkey, what was not deleted yet is counted.
            ("HLEN h", ":2"),
            ("DEBUG SET-ACTIVE-EXPIRE 1", "OK"),
        ],
    );
    client.ask_until("HLEN h", ":1");
}

#[test]
fn a_field_whose_time_is_over_is_overwritten_as_if_it_were_not_there() {
    for (command, answer, value) in [
        ("HSET h gone 5", ":1", "5"),
        ("HSETNX h gone 5", ":1", "5"),
        ("HINCRBY h gone 5", ":5", "5"),
        ("HINCRBYFLOAT h gone 0.5", "0.5", "0.5"),
        ("HSETEX h KEEPTTL FIELDS 1 gone 5", ":1", "5"),
        ("HSETEX h FNX FIELDS 1 gone 5", ":1", "5"),
    ] {
        let server = without_cycle();
        let mut client = server.connect();
        with_an_expired_field(&mut client);
        check(&mut client, &[(command, answer), ("HGET h gone", value), ("HTTL h FIELDS 1 gone", "[:-1]")]);
        assert!(client.ask("INFO stats").contains("expired_fields:1\r\n"), "{command}");
        assert!(client.ask("INFO keyspace").contains("keys_with_volatile_items=0"), "{command}");
    }
}

#[test]
fn fields_are_drawn_from_those_that_have_not_expired() {
    let server = without_cycle();
    let mut client = server.connect();
    check(&mut client, &[("CONFIG SET import-mode yes", "OK")]);
    for i in 0..2000 {
        client.ask(&format!("HSETEX h PXAT 1 FIELDS 1 gone{i} 1"));
    }
    check(&mut client, &[("CONFIG SET import-mode no", "OK"), ("HRANDFIELD h", "nil"), ("HRANDFIELD h -5", "[]")]);
    client.ask("HSET h a 1 b 2 c 3");
    let mut drawn: Vec<String> = Vec::new();
    for command in ["HRANDFIELD h 3", "HRANDFIELD h 3000", "HRANDFIELD h 2", "HRANDFIELD h -3", "HRANDFIELD h"] {
        let answer = client.ask(command);
        let fields: Vec<String> = answer.trim_matches(['[', ']']).split(", ").map(str::to_owned).collect();
        assert!(fields.iter().all(|field| ["a", "b", "c"].contains(&field.as_str())), "{command}: {answer}");
        drawn.push(fields.len().to_string());
    }
    assert_eq!(drawn, ["3", "3", "2", "3", "1"]);
    // Some of many.
    for i in 0..2000 {
        client.ask(&format!("HSET h live{i} 1"));
    }
    let answer = client.ask("HRANDFIELD h 50");
    let fields: std::collections::BTreeSet<&str> = answer.trim_matches(['[', ']']).split(", ").collect();
    assert!(fields.len() == 50 && !answer.contains("gone"), "{answer}");
}

#[test]
fn a_number_keeps_the_expiry_of_its_field() {
    let server = Server::start(&[]);
    check(
        &mut server.connect(),
        &[
            ("HSETEX h EX 100 FIELDS 1 n 1", ":1"),
            ("HINCRBY h n 2", ":3"),
            ("HINCRBYFLOAT h n 0.5", "3.5"),
            ("HTTL h FIELDS 1 n", "[:100]"),
        ],
    );
}

#[test]
fn expiries_of_fields_survive_copies_and_restarts() {
    for preamble in ["yes", "no"] {
        let mut server = Server::start(&["--appendonly", "yes", "--aof-use-rdb-preamble", preamble]);
        let mut client = server.connect();
        check(
            &mut client,
            &[
                ("HSETEX h PXAT 33177117420000 FIELDS 1 a 1", ":1"),
                ("HSET h b 2", ":1"),
                ("COPY h copy", ":1"),
                ("RENAME copy other", "OK"),
            ],
        );
        let payload = client.ask_bytes("DUMP h");
        assert_eq!(client.ask_words(&[b"RESTORE", &b"restored"[..], b"0", &payload]), "OK");
        check(&mut client, &[("BGREWRITEAOF", "Background append only file rewriting started")]);
        client.ask_until("INFO persistence", "aof_rewrite_in_progress:0");
        check(&mut client, &[("HSETEX late EXAT 33177117420 FIELDS 1 a 1", ":1")]);
        server.restart();
        let mut client = server.connect();
        for key in ["h", "other", "restored"] {
            assert_eq!(client.ask(&format!("HPEXPIRETIME {key} FIELDS 2 a b")), "[:33177117420000, :-1]");
            assert_eq!(client.ask(&format!("HMGET {key} a b")), "[1, 2]");
        }
        check(&mut client, &[("HEXPIRETIME late FIELDS 1 a", "[:33177117420]")]);
        assert!(client.ask("INFO keyspace").contains("keys_with_volatile_items=4"));
    }
}
