//! Snapshots, full and partial syncs, planned failovers.

use std::fs;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use valkey_repl_e2e::resp::Client;
use valkey_repl_e2e::server::{Program, Server};

use crate::data::{fill, noise};
use crate::figures::{Figures, Side};
use crate::{Plan, start};

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(120);
/// How often it is asked whether something has happened.
const TICK: Duration = Duration::from_micros(500);

/// Ways of a full sync: a name, the primary's and the replica's settings over what ships.
const SYNCS: &[(&str, &[&str], &[&str])] = &[
    ("full sync as shipped", &[], &[]),
    ("full sync, no delay", &["repl-diskless-sync-delay 0"], &[]),
    ("full sync, no delay, into memory", &["repl-diskless-sync-delay 0"], &["repl-diskless-load on-empty-db"]),
    ("full sync, no delay, by way of disk", &["repl-diskless-sync-delay 0", "repl-diskless-sync no"], &[]),
];

/// Measures all of it with one data set.
///
/// # Errors
/// A server failed, or something took longer than [`LIMIT`].
pub fn measure(plan: &Plan, program: &Program, figures: &mut Figures, side: Side) -> io::Result<()> {
    let mut primary = start(program, 0, &[])?;
    let mut client = patient(&primary)?;
    fill(&mut client, plan.keys, plan.bytes)?;
    let mut add = |what: &str, unit, value| figures.add(side, what, unit, value);

    let begin = Instant::now();
    client.ask(&["SAVE"])?;
    let saved = begin.elapsed().as_secs_f64();
    let megabytes = fs::metadata(primary.dir().join("dump.rdb"))?.len() as f64 / 1e6;
    add("SAVE", "s", saved);
    add("SAVE, time of a megabyte", "ms/MB", saved * 1e3 / megabytes);
    client.ask(&["BGSAVE"])?;
    await_field(&mut client, "persistence", "rdb_bgsave_in_progress", "0")?;
    let fork: f64 = primary.info("latest_fork_usec")?.parse().unwrap_or(f64::NAN);
    add("fork", "us", fork);

    primary.kill()?;
    let begin = Instant::now();
    primary.launch()?;
    let loaded = begin.elapsed().as_secs_f64();
    add("start and load", "s", loaded);
    add("start and load, time of a megabyte", "ms/MB", loaded * 1e3 / megabytes);
    drop(primary);

    for (what, of_primary, of_replica) in SYNCS {
        let primary = start(program, 0, of_primary)?;
        fill(&mut patient(&primary)?, plan.keys, plan.bytes)?;
        let replica = start(program, 1, of_replica)?;
        let begin = Instant::now();
        follow(&replica, &primary)?;
        add(what, "s", begin.elapsed().as_secs_f64());
        if *what == "full sync, no delay" {
            partial_syncs(&primary, &replica, &mut add)?;
            failover(&primary, &replica, &mut add)?;
        }
        if *what == "full sync, no delay, into memory" {
            replica.line("REPLICAOF NO ONE")?;
            replica.line("FLUSHALL")?;
            writes_during_sync(&primary, &replica, &mut add)?;
        }
    }
    Ok(())
}

fn patient(server: &Server) -> io::Result<Client> {
    let client = server.client()?;
    client.set_timeout(LIMIT)?;
    Ok(client)
}

/// Asks until it is so.
fn await_that(what: &str, mut probe: impl FnMut() -> io::Result<bool>) -> io::Result<()> {
    let begin = Instant::now();
    while !probe()? {
        if begin.elapsed() > LIMIT {
            return Err(io::Error::other(format!("waited {} s for {what}", LIMIT.as_secs())));
        }
        thread::sleep(TICK);
    }
    Ok(())
}

fn await_field(client: &mut Client, section: &str, field: &str, value: &str) -> io::Result<()> {
    await_that(field, || Ok(client.info(section)?.get(field).is_some_and(|now| now == value)))
}

/// Makes one the replica of the other and waits until the link is up.
fn follow(replica: &Server, primary: &Server) -> io::Result<()> {
    let mut client = patient(replica)?;
    client.ask(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()])?;
    await_field(&mut client, "replication", "master_link_status", "up")
}

/// Cuts the link: how long until what is written after that is on the replica.
fn partial_syncs(primary: &Server, replica: &Server, add: &mut impl FnMut(&str, &'static str, f64)) -> io::Result<()> {
    let (mut writer, mut reader) = (primary.client()?, replica.client()?);
    for n in 0..5 {
        let begin = Instant::now();
        writer.ask(&["CLIENT", "KILL", "TYPE", "REPLICA"])?;
        let value = format!("after cut {n}");
        writer.ask(&["SET", "cut", &value])?;
        await_that("the write behind the cut", || Ok(reader.line("GET cut")?.text().as_ref() == Some(&value)))?;
        add("partial sync after a cut, write to read", "ms", begin.elapsed().as_secs_f64() * 1e3);
    }
    Ok(())
}

/// Hands the primary's role over and back, on an idle pair.
fn failover(primary: &Server, replica: &Server, add: &mut impl FnMut(&str, &'static str, f64)) -> io::Result<()> {
    let begin = Instant::now();
    primary.client()?.ask(&["FAILOVER"])?;
    await_field(&mut replica.client()?, "replication", "role", "master")?;
    add("FAILOVER until the replica is primary", "ms", begin.elapsed().as_secs_f64() * 1e3);
    await_field(&mut primary.client()?, "replication", "master_link_status", "up")?;
    add("FAILOVER until the old primary follows", "ms", begin.elapsed().as_secs_f64() * 1e3);
    replica.client()?.ask(&["FAILOVER"])?;
    await_field(&mut primary.client()?, "replication", "role", "master")
}

/// Writes as fast as they are answered while a full sync runs.
fn writes_during_sync(
    primary: &Server,
    replica: &Server,
    add: &mut impl FnMut(&str, &'static str, f64),
) -> io::Result<()> {
    let (over, count) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut writer = patient(primary)?;
    let begin = Instant::now();
    let synced = thread::scope(|scope| {
        scope.spawn(|| {
            let batch: Vec<Vec<Vec<u8>>> =
                (0..16).map(|n| vec![b"SET".to_vec(), format!("key:{n:012}").into_bytes(), noise(n, 100)]).collect();
            while !over.load(Ordering::Relaxed) && writer.pipeline(&batch).is_ok() {
                count.fetch_add(batch.len() as u64, Ordering::Relaxed);
            }
        });
        let synced = follow(replica, primary);
        over.store(true, Ordering::Relaxed);
        synced
    });
    synced?;
    let seconds = begin.elapsed().as_secs_f64();
    add("full sync into memory under writes", "s", seconds);
    add("a write while it runs", "us", seconds * 1e6 / count.load(Ordering::Relaxed) as f64);
    Ok(())
}
