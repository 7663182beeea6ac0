//! Damaged files, payloads and streams: each byte changed, each length cut short. Whatever comes of it, the server tells what is
//! wrong and where, or has data that behave; and it goes on.

#[path = "support/in_process.rs"]
mod in_process;

use std::path::{Path, PathBuf};

use in_process::InProcess;
use valkey_server::config::DisklessLoad;
use valkey_server::data::table::Keyed;
use valkey_server::persistence::load::Into;

fn data(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(folder)
}

/// The files of a folder, each with its name.
fn files(folder: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(data(folder))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
        .filter(|(name, _)| !name.contains(".sh") && !name.contains(".py"))
        .collect();
    files.sort();
    files
}

/// The bytes with one of them changed, in two ways for each.
fn changed(bytes: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> {
    (0..bytes.len()).flat_map(|at| {
        [1 << (at % 8), 0xff].map(|bits: u8| {
            let mut bad = bytes.to_vec();
            bad[at] ^= bits;
            (at, bad)
        })
    })
}

/// Looks at every key in every way that goes through all of its value.
fn look_at_everything(s: &mut InProcess) {
    s.ask(&[b"DEBUG", b"DIGEST"]);
    for db in 0..s.server.keyspace.count() {
        let keys: Vec<Vec<u8>> = s.server.keyspace.db(db).iter().map(|e| e.key().to_vec()).collect();
        if !keys.is_empty() {
            s.ask(&[b"SELECT", db.to_string().as_bytes()]);
        }
        for key in keys {
            s.ask(&[b"DUMP", &key]);
            s.ask(&[b"SORT", &key, b"BY", b"nosort"]);
            s.ask(&[b"HGETALL", &key]);
        }
    }
    assert_eq!(s.ask(&[b"PING"]), b"+PONG\r\n");
}

/// How many keys there are.
fn keys(s: &InProcess) -> usize {
    s.server.keyspace.total_keys()
}

/// The byte that an error names.
fn place(why: &str) -> u64 {
    let at = why.split(" at byte ").nth(1).unwrap_or_else(|| panic!("no place in {why:?}"));
    at.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
}

/// Files up to this size are tried byte by byte; of larger ones a part.
const SMALL: usize = 1000;

#[test]
fn a_snapshot_of_any_server_cut_short_is_refused_at_its_end() {
    let mut s = InProcess::start("");
    for (name, bytes) in files("rdb") {
        let step = bytes.len().div_ceil(SMALL);
        for cut in (0..bytes.len()).step_by(step) {
            s.reset();
            let why = s.server.load_rdb(&bytes[..cut], cut as u64, Into::Present).unwrap_err();
            assert!(place(&why) <= cut as u64, "{name} cut at {cut}: {why}");
        }
    }
}

#[test]
fn a_snapshot_of_any_server_with_a_changed_byte_is_refused_or_holds_values_that_behave() {
    let mut s = InProcess::start("enable-debug-command yes\nrdb-version-check relaxed");
    s.server.skip_checksum = true;
    let (mut loaded, mut refused) = (0, 0);
    for (name, bytes) in files("rdb").into_iter().filter(|(_, bytes)| bytes.len() < SMALL) {
        for (at, bad) in changed(&bytes) {
            s.reset();
            match s.server.load_rdb(&bad[..], bad.len() as u64, Into::Present) {
                Ok(_) => {
                    look_at_everything(&mut s);
                    loaded += 1;
                }
                Err(why) => {
                    assert!(place(&why) <= bad.len() as u64, "{name}, byte {at}: {why}");
                    refused += 1;
                }
            }
        }
    }
    assert!(loaded > 1000 && refused > 1000, "{loaded} loaded, {refused} refused");
}

#[test]
fn a_payload_with_a_changed_byte_or_cut_short_is_refused_or_makes_a_value_that_behaves() {
    let mut s = InProcess::start("enable-debug-command yes");
    let mut payloads = Vec::new();
    for name in ["rdb/valkey-9.1-values.rdb", "rdb/valkey-9.1-field-ttl.rdb"] {
        let bytes = std::fs::read(data(name)).unwrap();
        s.reset();
        s.server.load_rdb(&bytes[..], bytes.len() as u64, Into::Present).unwrap();
        let names: Vec<Vec<u8>> = s.server.keyspace.db(0).iter().map(|e| e.key().to_vec()).collect();
        for name in names {
            let answer = s.ask(&[b"DUMP", &name]);
            let start = answer.iter().position(|c| *c == b'\n').unwrap() + 1;
            payloads.push(answer[start..answer.len() - 2].to_vec());
        }
    }
    payloads.retain(|payload| payload.len() < 400);
    assert!(payloads.len() > 10);
    for payload in payloads {
        assert_eq!(s.ask(&[b"RESTORE", b"key", b"0", &payload, b"REPLACE"]), b"+OK\r\n");
        for (at, bad) in changed(&payload) {
            let answer = s.ask(&[b"RESTORE", b"key", b"0", &bad, b"REPLACE"]);
            assert!(answer.starts_with(b"-ERR DUMP payload version or checksum are wrong"), "byte {at}");
        }
        s.server.skip_checksum = true;
        for cut in 0..payload.len() {
            s.ask(&[b"RESTORE", b"key", b"0", &payload[..cut], b"REPLACE"]);
        }
        for (_, bad) in changed(&payload) {
            if s.ask(&[b"RESTORE", b"key", b"0", &bad, b"REPLACE"]) == b"+OK\r\n" {
                look_at_everything(&mut s);
            }
        }
        s.server.skip_checksum = false;
    }
}

const MANIFEST: &str = "appendonly.aof.manifest";

/// An append-only file as it was, and where one of its files is changed.
fn write_aof(s: &InProcess, parts: &[(String, Vec<u8>)], changed: &str, bytes: &[u8]) {
    let dir = s.dir().join("appendonlydir");
    std::fs::create_dir_all(&dir).unwrap();
    for (name, good) in parts {
        std::fs::write(dir.join(name), if name == changed { bytes } else { good }).unwrap();
    }
}

#[test]
fn an_append_only_file_cut_short_loads_up_to_its_last_whole_command_where_that_is_allowed() {
    for allowed in [true, false] {
        let mut s = InProcess::start(&format!("aof-load-truncated {}", if allowed { "yes" } else { "no" }));
        let parts = files("aof/valkey-9.1");
        let (name, tail) = parts.iter().find(|(name, _)| name.contains("incr")).unwrap();
        let mut before = Vec::new();
        for cut in 0..=tail.len() {
            s.reset();
            write_aof(&s, &parts, name, &tail[..cut]);
            match s.server.load_aof() {
                Ok(found) => {
                    assert!(found);
                    let left = std::fs::read(s.dir().join("appendonlydir").join(name)).unwrap();
                    assert!(tail[..cut].starts_with(&left), "only the tail goes");
                    assert!(left.starts_with(&before), "what was whole stays");
                    before = left;
                    // A transaction is there whole or not at all.
                    assert_eq!(s.ask(&[b"LLEN", b"list"]) == b":4\r\n", s.ask(&[b"SCARD", b"words"]) == b":2\r\n");
                }
                Err(why) => {
                    assert!(!allowed, "{why}");
                    assert!(why.contains("Unexpected end of file") && place(&why) < cut as u64, "{why}");
                }
            }
        }
        assert_eq!(before, *tail);
        assert_eq!(s.ask(&[b"GET", b"n"]), b"$5\r\n12346\r\n");
    }
}

#[test]
fn only_the_last_of_several_append_only_files_may_be_cut_short() {
    let mut s = InProcess::start("aof-load-truncated yes");
    let good = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n";
    let manifest = b"file 1 seq 1 type i\nfile 2 seq 2 type i\n";
    let parts =
        [(MANIFEST.to_owned(), manifest.to_vec()), ("1".to_owned(), good.to_vec()), ("2".to_owned(), good.to_vec())];
    for cut in 1..good.len() {
        s.reset();
        write_aof(&s, &parts, "1", &good[..cut]);
        let why = s.server.load_aof().unwrap_err();
        assert!(why.contains("The file is not the last one") && place(&why) == 0, "{why}");
    }
}

#[test]
fn an_append_only_file_with_a_changed_byte_is_refused_or_holds_values_that_behave() {
    let mut s = InProcess::start("enable-debug-command yes");
    s.server.skip_checksum = true;
    let parts = files("aof/valkey-9.1");
    let (mut loaded, mut refused) = (0, 0);
    for (name, bytes) in &parts {
        for (at, bad) in changed(bytes) {
            s.reset();
            write_aof(&s, &parts, name, &bad);
            match s.server.load_aof() {
                Ok(_) => {
                    look_at_everything(&mut s);
                    loaded += 1;
                }
                Err(why) => {
                    let told = if name == MANIFEST {
                        why.contains("at line") || why.contains("can't open")
                    } else {
                        place(&why) > 0 || at < 30
                    };
                    assert!(told, "{name}, byte {at}: {why}");
                    refused += 1;
                }
            }
        }
    }
    assert!(loaded > 100 && refused > 100, "{loaded} loaded, {refused} refused");
}

#[test]
fn a_position_at_the_end_of_numbers_is_none() {
    let mut s = InProcess::start("");
    let id = "0123456789abcdef0123456789abcdef01234567";
    let set = "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n";
    for (offset, taken) in [(u64::MAX, false), (1 << 63, false), ((1 << 63) - 1, true), (1000, true)] {
        s.reset();
        let part = format!("#REPL:{id}:{offset}\r\n{set}");
        write_aof(&s, &[(MANIFEST.to_owned(), b"file 1 seq 1 type i\n".to_vec())], "", b"");
        write_aof(&s, &[("1".to_owned(), part.into_bytes())], "", b"");
        assert_eq!(s.server.load_aof(), Ok(true));
        assert_eq!(s.server.repl.history.offset == offset.wrapping_add(set.len() as u64), taken, "{offset}");
    }
}

/// What a primary answers before PSYNC.
const GREETING: &[u8] = b"+PONG\r\n+OK\r\n+OK\r\n+OK\r\n";
/// Keys of the snapshot in `tests/data/stream`.
const SNAPSHOT: usize = 8;

/// A replica that loads snapshots from the socket or from the disk.
fn replica(load: DisklessLoad) -> InProcess {
    let mut s = InProcess::start("enable-debug-command yes\nrepl-timeout 5");
    s.server.config.repl_diskless_load = load;
    s
}

#[test]
fn a_primary_that_hangs_up_anywhere_leaves_its_replica_with_all_of_the_snapshot_or_what_it_had() {
    for load in [DisklessLoad::Disabled, DisklessLoad::Swapdb] {
        let mut s = replica(load);
        for (name, bytes) in files("stream") {
            let stream = [GREETING, &bytes].concat();
            for cut in 0..=stream.len() {
                s.reset();
                s.ask(&[b"SET", b"own", b"1"]);
                s.follow(&stream[..cut]);
                // Half a data set is none.
                let now = keys(&s);
                assert!([0, 1, SNAPSHOT - 1, SNAPSHOT, SNAPSHOT + 1].contains(&now), "{name} cut at {cut}: {now} keys");
                assert_eq!(s.ask(&[b"PING"]), b"+PONG\r\n");
            }
            assert_eq!(s.ask(&[b"GET", b"n"]), b"$5\r\n12346\r\n", "{name}");
            assert_eq!(s.ask(&[b"LLEN", b"list"]), b":4\r\n", "{name}");
            assert_eq!(s.ask(&[b"EXISTS", b"text", b"own"]), b":0\r\n", "{name}");
        }
    }
}

#[test]
fn a_primary_that_sends_a_changed_byte_does_its_replica_no_harm() {
    for load in [DisklessLoad::Disabled, DisklessLoad::Swapdb] {
        let mut s = replica(load);
        s.server.skip_checksum = true;
        for (_, bytes) in files("stream") {
            for (_, bad) in changed(&[GREETING, &bytes].concat()).step_by(2) {
                s.reset();
                s.follow(&bad);
                // The choice of a database that is not there ends it: what follows would change another one.
                if s.server.exit.take().is_none() {
                    look_at_everything(&mut s);
                }
            }
        }
    }
}

const FULL: &str = "+FULLRESYNC 0123456789abcdef0123456789abcdef01234567";

#[test]
fn a_primary_that_begins_its_snapshot_with_an_endless_line_is_left() {
    let endless = [format!("{FULL} 7\r\n").as_bytes(), &[b'$'; 180_000]].concat();
    let mut s = replica(DisklessLoad::Disabled);
    s.follow(&[GREETING, &endless].concat());
    let link = s.server.repl.link.as_ref().unwrap();
    assert!(!link.is_receiving() && link.input.capacity() < 150_000, "{} bytes were held", link.input.capacity());
}

#[test]
fn a_primary_at_the_end_of_numbers_is_not_followed() {
    let good = std::fs::read(data("stream/valkey-9.1-disk")).unwrap();
    let snapshot = &good[good.iter().position(|c| *c == b'\n').unwrap() + 1..];
    let at = |offset: u64| {
        let mut s = replica(DisklessLoad::Disabled);
        s.follow(&[GREETING, format!("{FULL} {offset}\r\n").as_bytes(), snapshot].concat());
        s.server.repl.history.offset
    };
    assert!(at(1000) > 1000);
    assert_eq!(at(u64::MAX), 0);
}

#[test]
fn what_asks_for_nothing_counts_in_the_stream_and_in_the_file() {
    let nothing: [&[u8]; 4] = [b"\r\n", b"\n\n", b"*0\r\n", b"*-1\r\n"];
    let set = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n";
    let good = std::fs::read(data("stream/valkey-9.1-disk")).unwrap();
    let offset_after = |more: &[u8]| {
        let mut s = replica(DisklessLoad::Disabled);
        s.follow(&[GREETING, &good, more].concat());
        s.server.repl.history.offset
    };
    let before = offset_after(b"");
    for empty in nothing {
        for more in [[empty, set].concat(), [set, empty].concat()] {
            assert_eq!(offset_after(&more), before + more.len() as u64, "{:?}", String::from_utf8_lossy(&more));
            let mut s = InProcess::start("");
            write_aof(&s, &[(MANIFEST.to_owned(), b"file 1 seq 1 type i\n".to_vec())], "", b"");
            write_aof(&s, &[("1".to_owned(), more.clone())], "", b"");
            assert_eq!(s.server.load_aof(), Ok(true));
            assert_eq!(s.ask(&[b"GET", b"a"]), b"$1\r\n1\r\n");
            let left = std::fs::read(s.dir().join("appendonlydir/1"));
            assert!(left.is_ok_and(|left| left.starts_with(&more)), "{:?}", String::from_utf8_lossy(&more));
        }
    }
}

#[test]
fn the_end_of_an_append_only_file_is_the_backlog_of_who_loads_it() {
    let id = "0123456789abcdef0123456789abcdef01234567";
    let set = "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n";
    let transaction = format!("*1\r\n$5\r\nMULTI\r\n{set}{set}*1\r\n$4\r\nEXEC\r\n");
    let half = "*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nSET\r\n$1\r\na";
    let (on, end) = (1000 + set.len(), 1000 + set.len() + transaction.len());
    for (file, start, held) in [
        (format!("{set}#REPL:{id}:1000\r\n{set}{transaction}"), 1000, format!("{set}{transaction}")),
        (
            format!("#REPL:{id}:1000\r\n{set}#TS:5\r\n#REPL:{id}:{on}\r\n{transaction}{half}"),
            1000,
            format!("{set}{transaction}"),
        ),
        // What only replicas need is not in the file.
        (format!("#REPL:{id}:5\r\n{set}#REPL:{id}:{on}\r\n{transaction}"), on, transaction.clone()),
    ] {
        let mut s = InProcess::start("");
        write_aof(&s, &[(MANIFEST.to_owned(), b"file 1 seq 1 type i\n".to_vec())], "", b"");
        write_aof(&s, &[("1".to_owned(), file.clone().into_bytes())], "", b"");
        assert_eq!(s.server.load_aof(), Ok(true));
        let backlog = s.server.repl.buffer.as_ref().unwrap();
        assert_eq!((backlog.history_start(), backlog.end()), (start as u64, end as u64), "{file}");
        assert_eq!(backlog.copy(start as u64), held.as_bytes(), "{file}");
    }
}
