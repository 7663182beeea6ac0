//! Every server as primary and as replica of every other, by way of disk and without, full and partial, under writes of every type:
//! the data are the same afterwards.
//!
//! A new type is one row in [`KINDS`].

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use valkey_repl_e2e::resp::{Client, Reply};
use valkey_repl_e2e::server::{Program, Server};
use valkey_repl_e2e::wait::until;

const LIMIT: Duration = Duration::from_secs(60);

/// What is written of a kind of data, and who knows it.
struct Kind {
    /// What the keys begin with.
    name: &'static str,
    /// A command without which there is none of it.
    needs: &'static str,
    /// Written once, before anybody follows: `%` runs from 0 to [`ROUNDS`].
    before: &'static [&'static str],
    /// Written again and again while others follow; `%` is a growing number.
    load: &'static [&'static str],
}

/// How often the lines of `before` are written.
const ROUNDS: u64 = 200;

const KINDS: &[Kind] = &[
    Kind {
        name: "string",
        needs: "SET",
        before: &["SET string:% value-%", "SET string:long:% LONG"],
        load: &[
            "SET string:% new-%",
            "INCRBY string:sum %",
            "APPEND string:log %,",
            "SETRANGE string:long:7 100 %",
            "DEL string:%",
        ],
    },
    Kind {
        name: "float",
        needs: "INCRBYFLOAT",
        before: &["SET float:% 10.5"],
        load: &["INCRBYFLOAT float:sum 0.1", "INCRBYFLOAT float:1 3.3e5"],
    },
    Kind {
        name: "expiry",
        needs: "PEXPIREAT",
        before: &["SET expiry:% v PXAT 4102444800000"],
        load: &[
            "SET expiry:new:% v EX 100000",
            "PERSIST expiry:%",
            "GETEX expiry:1 PX 99999999",
            "SET expiry:soon:% v PX 1",
        ],
    },
    Kind {
        name: "bitmap",
        needs: "BITFIELD",
        before: &["SETBIT bitmap:1 % 1"],
        load: &["SETBIT bitmap:1 % 0", "BITFIELD bitmap:2 INCRBY u16 #3 %", "BITOP XOR bitmap:3 bitmap:1 bitmap:2"],
    },
    Kind {
        name: "list",
        needs: "LMOVE",
        before: &["RPUSH list:big % element-%", "RPUSH list:plain LONG"],
        load: &[
            "LPUSH list:big % x",
            "RPOP list:big",
            "LMOVE list:big list:other LEFT RIGHT",
            "LINSERT list:big BEFORE x %",
            "LTRIM list:big 0 400",
            "LREM list:other 1 x",
        ],
    },
    Kind {
        name: "set",
        needs: "SADD",
        before: &["SADD set:ints %", "SADD set:words word-%"],
        load: &[
            "SADD set:ints %",
            "SPOP set:words",
            "SADD set:words %",
            "SMOVE set:ints set:other %",
            "SINTERSTORE set:both set:ints set:words",
        ],
    },
    Kind {
        name: "hash",
        needs: "HSET",
        before: &["HSET hash:big field-% value-%", "HSET hash:small:% a 1 b two"],
        load: &[
            "HSET hash:big field-% new",
            "HINCRBY hash:sum n %",
            "HINCRBYFLOAT hash:sum f 0.1",
            "HDEL hash:big field-%",
        ],
    },
    Kind {
        name: "zset",
        needs: "ZADD",
        before: &["ZADD zset:big %.5 member-%", "ZADD zset:small:% 1 a 2 b"],
        load: &[
            "ZADD zset:big % new-%",
            "ZINCRBY zset:big 1.25 member-7",
            "ZPOPMIN zset:big",
            "ZADD zset:small:1 GT CH % a",
            "ZUNIONSTORE zset:both 2 zset:big zset:small:1",
        ],
    },
    Kind {
        name: "hyperloglog",
        needs: "PFADD",
        before: &["PFADD hyperloglog:% a b c %"],
        load: &["PFADD hyperloglog:big % x-%", "PFMERGE hyperloglog:1 hyperloglog:big"],
    },
    Kind {
        name: "geo",
        needs: "GEOADD",
        before: &["GEOADD geo:1 13.36% 38.11% place-%"],
        load: &["GEOADD geo:1 15.0% 37.5% place-%", "ZREM geo:1 place-3"],
    },
    Kind {
        name: "stream",
        needs: "XADD",
        before: &["XADD stream:1 %-1 field value-%", "XGROUP CREATE stream:1 group-% 0"],
        load: &[
            "XADD stream:1 * field %",
            "XADD stream:2 MAXLEN ~ 100 * a 1 b %",
            "XREADGROUP GROUP group-1 alice COUNT 2 STREAMS stream:1 >",
            "XACK stream:1 group-1 3-1",
            "XDEL stream:1 %-1",
        ],
    },
    Kind {
        name: "field-expiry",
        needs: "HEXPIRE",
        before: &["HSET field-expiry:% a 1 b 2", "HPEXPIREAT field-expiry:% 4102444800000 FIELDS 1 a"],
        load: &[
            "HEXPIRE field-expiry:% 100000 FIELDS 1 b",
            "HPERSIST field-expiry:% FIELDS 1 a",
            "HSET field-expiry:new:% a 1",
        ],
    },
    Kind {
        name: "database",
        needs: "SELECT",
        before: &["SELECT 3", "SET database:% v", "SELECT 0"],
        load: &["SELECT 3", "INCR database:sum", "DEL database:%", "SELECT 0"],
    },
    Kind {
        name: "transaction",
        needs: "EXEC",
        before: &[],
        load: &["MULTI", "INCR transaction:a", "DECR transaction:b", "SPOP set:ints", "EXEC"],
    },
    Kind {
        name: "moves",
        needs: "COPY",
        before: &["SET moves:% v"],
        load: &[
            "RENAME moves:% moves:renamed",
            "COPY moves:renamed moves:copy:% REPLACE",
            "UNLINK moves:copy:%",
            "MOVE moves:copy:% 5",
        ],
    },
];

/// Kinds that a server has a command for, and whose encoding in a snapshot the other understands.
fn kinds(primary: &Server, replica: &Server) -> Vec<&'static Kind> {
    let has = |server: &Server, command: &str| {
        let reply = server.line(&format!("COMMAND INFO {command}")).unwrap();
        matches!(reply.items(), Some([Reply::Array(row)]) if !row.is_empty())
    };
    KINDS.iter().filter(|kind| has(primary, kind.needs) && has(replica, kind.needs)).collect()
}

/// A line of a kind as a request. `LONG` is a value that is worth compressing.
fn request(line: &str, n: u64) -> Vec<String> {
    let long = "abc".repeat(3000);
    line.split(' ').map(|word| word.replace('%', &n.to_string()).replace("LONG", &long)).collect()
}

/// Writes the load of these kinds until it is told to stop.
fn write_until(stop: &AtomicBool, client: &mut Client, kinds: &[&Kind]) {
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        n += 1;
        let load = kinds.iter().flat_map(|kind| kind.load);
        let mut requests: Vec<_> = load.map(|line| request(line, n % (3 * ROUNDS))).collect();
        // No faster than the replica can follow.
        requests.push(request("WAIT 1 20", n));
        client.pipeline(&requests).unwrap();
    }
}

/// Tells the writer to stop, also when the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn number(server: &Server, field: &str) -> u64 {
    server.info(field).unwrap().parse().unwrap()
}

/// Which keys differ, for the message.
fn difference(primary: &Server, replica: &Server) -> Vec<String> {
    let mut found = Vec::new();
    let (mut p, mut r) = (primary.client().unwrap(), replica.client().unwrap());
    for db in ["0", "3", "5"] {
        let digests = |client: &mut Client| {
            client.cmd(&["SELECT", db]).unwrap();
            let keys = client.cmd(&["KEYS", "*"]).unwrap();
            let keys = keys.items().unwrap().iter().map(|k| k.text().unwrap());
            let mut all: Vec<_> = keys.map(|k| (client.cmd(&["DEBUG", "DIGEST-VALUE", &k]).unwrap(), k)).collect();
            all.sort_by(|a, b| a.1.cmp(&b.1));
            all
        };
        let (p, r) = (digests(&mut p), digests(&mut r));
        found.extend(p.iter().filter(|x| !r.contains(x)).map(|x| format!("primary, db {db}: {x:?}")).take(5));
        found.extend(r.iter().filter(|x| !p.contains(x)).map(|x| format!("replica, db {db}: {x:?}")).take(5));
    }
    found
}

/// Waits until the replica is where the primary is, with the same data.
fn assert_same(what: &str, primary: &Server, replica: &Server) {
    until(&format!("{what}: the primary's offset"), LIMIT, || {
        let (p, r) = (number(primary, "master_repl_offset"), number(replica, "master_repl_offset"));
        if p == r { Ok(()) } else { Err(format!("{r} of {p}")) }
    });
    // What expires meanwhile is gone from both a little later.
    let same = || {
        let (p, r) = (primary.line("DEBUG DIGEST").unwrap(), replica.line("DEBUG DIGEST").unwrap());
        assert!(p.text().is_some_and(|digest| digest.len() == 40), "{p:?}");
        if p == r { Ok(()) } else { Err(format!("{p:?} and {r:?}")) }
    };
    if let Err(why) = valkey_repl_e2e::wait::try_until("the same digest", Duration::from_secs(10), same) {
        panic!("{what}: {why}: {:#?}", difference(primary, replica));
    }
}

/// A full sync by each way, each followed by a partial one, all under load.
fn all_ways(primary: Program, replica: Program) {
    let lines = ["enable-debug-command yes", "repl-diskless-sync-delay 0", "repl-backlog-size 64mb", "save \"\""];
    let pair = format!("{replica:?} follows {primary:?}");
    let ours = replica == Program::Ours;
    let primary = Server::start(primary, &lines).unwrap();
    let replica = Server::start(replica, &lines).unwrap();
    let kinds = kinds(&primary, &replica);
    let mut client = primary.client().unwrap();
    for line in kinds.iter().flat_map(|kind| kind.before) {
        let requests: Vec<_> = (0..ROUNDS).map(|n| request(line, n)).collect();
        for reply in client.pipeline(&requests).unwrap() {
            assert!(reply.error().is_none(), "{pair}: {line}: {reply:?}");
        }
    }
    let set = |server: &Server, name: &str, value: &str| {
        assert!(server.line(&format!("CONFIG SET {name} {value}")).unwrap().is_ok())
    };
    for (diskless, load) in [("yes", "disabled"), ("no", "disabled"), ("yes", "swapdb"), ("no", "swapdb")] {
        if load == "swapdb" && !ours {
            continue;
        }
        let what = format!("{pair}, diskless {diskless}, load {load}");
        set(&primary, "repl-diskless-sync", diskless);
        set(&replica, "repl-diskless-load", load);
        // A history of its own, so that only a full sync will do.
        replica.line("REPLICAOF NO ONE").unwrap();
        replica.line("SET stranger 1").unwrap();
        let (full, partial) = (number(&primary, "sync_full"), number(&primary, "sync_partial_ok"));
        let stop = AtomicBool::new(false);
        let mut writer = primary.client().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| write_until(&stop, &mut writer, &kinds));
            let _stop = Stop(&stop);
            replica.follow(&primary).unwrap_or_else(|why| panic!("{what}: {why}"));
            primary.line("CLIENT KILL TYPE replica").unwrap();
            until(&format!("{what}: a partial sync"), LIMIT, || {
                if number(&primary, "sync_partial_ok") > partial { Ok(()) } else { Err("none yet") }
            });
            replica.wait_info("master_link_status", "up").unwrap();
        });
        assert_same(&what, &primary, &replica);
        assert_eq!(number(&primary, "sync_full"), full + 1, "{what}: the cut link cost a full sync");
    }
    let names: Vec<_> = kinds.iter().map(|kind| kind.name).collect();
    println!("{pair}: {}", names.join(" "));
}

#[test]
fn ours_follows_ours() {
    all_ways(Program::Ours, Program::Ours);
}

#[test]
fn ours_follows_valkey_9_1() {
    all_ways(Program::Valkey91, Program::Ours);
}

#[test]
fn ours_follows_valkey_8_1() {
    all_ways(Program::Valkey81, Program::Ours);
}

#[test]
fn ours_follows_redis_7_0() {
    all_ways(Program::Redis70, Program::Ours);
}

#[test]
fn valkey_9_1_follows_ours() {
    all_ways(Program::Ours, Program::Valkey91);
}

#[test]
fn valkey_8_1_follows_ours() {
    all_ways(Program::Ours, Program::Valkey81);
}
