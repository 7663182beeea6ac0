//! What the fuzz targets share: a server in this process, and what is done to every key that came out of hostile bytes.

use std::cell::RefCell;

#[path = "../../tests/support/in_process.rs"]
pub mod in_process;

pub mod script;

use in_process::InProcess;

/// Runs `f` on this process's server, which is as new.
pub fn with_server(lines: &str, f: impl FnOnce(&mut InProcess)) {
    thread_local!(static SERVER: RefCell<Option<InProcess>> = const { RefCell::new(None) });
    SERVER.with_borrow_mut(|server| {
        let server = server.get_or_insert_with(|| {
            survive_closed_sockets();
            InProcess::start(lines)
        });
        server.reset();
        f(server);
    });
}

/// Writing to a socket that the server closed is an error, not the end: a program in Rust has that by itself, but the fuzzer's
/// beginning is not in Rust.
fn survive_closed_sockets() {
    let flag = std::sync::Arc::default();
    signal_hook::flag::register(signal_hook::consts::SIGPIPE, flag).expect("a signal can be caught");
}

/// Commands that look into, change and convert a value, whatever its type: those of other types are refused in no time.
/// `K` stands for the key.
const TRIALS: &[&str] = &[
    "TYPE K",
    "OBJECT ENCODING K",
    "MEMORY USAGE K",
    "DUMP K",
    "DEBUG DIGEST-VALUE K",
    "COPY K copy REPLACE",
    // Strings
    "STRLEN K",
    "GETRANGE K 0 -1",
    "BITCOUNT K",
    "PFCOUNT K",
    "PFADD K a b c",
    "PFMERGE merged K",
    "INCR K",
    "APPEND K tail",
    "SETRANGE K 3 xyz",
    "BITFIELD K SET u8 #1 7",
    // Lists
    "LRANGE K 0 -1",
    "LPOS K x COUNT 0",
    "LINDEX K -1",
    "LINSERT K BEFORE x y",
    "LSET K 0 12345",
    "LSET K -1 a-value-that-is-long-enough-to-leave-a-compact-encoding-of-sixty-four-bytes",
    "LREM K 0 x",
    "LMOVE K K LEFT RIGHT",
    "RPUSH K 1 two 3",
    "LPOP K 2",
    "LTRIM K 1 -2",
    "SORT K ALPHA",
    // Sets
    "SMEMBERS K",
    "SSCAN K 0 COUNT 100",
    "SRANDMEMBER K -5",
    "SUNIONSTORE union K K",
    "SINTER K union",
    "SADD K 7",
    "SADD K word",
    "SADD K a-value-that-is-long-enough-to-leave-a-compact-encoding-of-sixty-four-bytes",
    "SREM K 7 word",
    "SPOP K 2",
    // Hashes
    "HGETALL K",
    "HSCAN K 0 COUNT 100",
    "HRANDFIELD K -5 WITHVALUES",
    "HSTRLEN K f",
    "HINCRBY K n 1",
    "HSET K f v",
    "HSET K g a-value-that-is-long-enough-to-leave-a-compact-encoding-of-sixty-four-bytes",
    "HDEL K f",
    // Sorted sets
    "ZRANGE K 0 -1 WITHSCORES",
    "ZRANGEBYSCORE K -inf +inf",
    "ZRANGEBYLEX K - +",
    "ZRANK K m WITHSCORE",
    "ZCOUNT K -1 1",
    "ZSCAN K 0 COUNT 100",
    "ZRANDMEMBER K -5 WITHSCORES",
    "ZUNIONSTORE zunion 1 K",
    "ZINCRBY K 1.5 m",
    "ZADD K 1 a-value-that-is-long-enough-to-leave-a-compact-encoding-of-sixty-four-bytes",
    "ZREM K m",
    "ZPOPMIN K 2",
    "ZREMRANGEBYRANK K 0 0",
    // What is left of it, once more
    "DUMP K",
    "EXPIRE K 100",
    "PERSIST K",
    "RENAME K renamed",
    "UNLINK renamed copy union zunion merged",
];

/// Does everything to a key that one can do to it.
pub fn try_everything(server: &mut InProcess, key: &[u8]) {
    let mut bytes = Vec::new();
    for trial in TRIALS {
        let args = trial.split(' ').map(|word| if word == "K" { key } else { word.as_bytes() });
        valkey_server::resp::argv::encode_command(&mut bytes, args.collect::<Vec<_>>());
    }
    server.send(&bytes);
}

/// Does so to some keys of each database.
pub fn try_keys(server: &mut InProcess) {
    const KEYS: usize = 4;
    for db in 0..server.server.keyspace.count() {
        use valkey_server::data::table::Keyed;
        let keys: Vec<Vec<u8>> = server.server.keyspace.db(db).iter().take(KEYS).map(|e| e.key().to_vec()).collect();
        if keys.is_empty() {
            continue;
        }
        server.ask(&[b"SELECT", db.to_string().as_bytes()]);
        for key in keys {
            try_everything(server, &key);
        }
    }
}

/// Executes requests and compares the data set with what a snapshot and a replica make of it.
///
/// # Errors
/// Which of them has another one, and the three digests.
pub fn same_everywhere(requests: &[u8]) -> Result<(), String> {
    thread_local!(static REPLICA: RefCell<Option<InProcess>> = const { RefCell::new(None) });
    const LINES: &str = "enable-debug-command yes\nrepl-diskless-load swapdb";
    let (mut digests, mut stream) = (Vec::new(), Vec::new());
    with_server(LINES, |s| {
        stream = s.streamed(&[requests, b"\r\nDISCARD\r\n", &script::without_expiry()].concat());
        s.reconnect();
        digests.push(s.ask(&[b"DEBUG", b"DIGEST"]));
        let reloaded = s.ask(&[b"DEBUG", b"RELOAD"]);
        assert!(reloaded.starts_with(b"+OK"), "{}", reloaded.escape_ascii());
        digests.push(s.ask(&[b"DEBUG", b"DIGEST"]));
    });
    REPLICA.with_borrow_mut(|replica| {
        let replica = replica.get_or_insert_with(|| InProcess::start(LINES));
        replica.reset();
        replica.replay(&stream);
        digests.push(replica.ask(&[b"DEBUG", b"DIGEST"]));
    });
    let [own, reloaded, streamed] = [0, 1, 2].map(|i| String::from_utf8_lossy(&digests[i]).trim().to_owned());
    match (own == reloaded, own == streamed) {
        (true, true) => Ok(()),
        (false, _) => Err(format!("a snapshot differs: {own} {reloaded}")),
        (_, false) => Err(format!("the stream differs: {own} {streamed}")),
    }
}
