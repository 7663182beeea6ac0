//! `kill -9` at random moments, under load: of a server that flushes each write, of its snapshot's child, of a primary and of its
//! replica. What was answered is there afterwards, and whole.
//!
//! `CRASH_ROUNDS` says how many times (hundreds by hand, few in the ordinary run). Each test prints its seed; `CRASH_SEED` repeats
//! its decisions. What the machine does between them is its own.

use std::fs;
use std::io;
use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, kill_process};
use valkey_repl_e2e::resp::{Client, Reply};
use valkey_repl_e2e::server::{Program, Server, Signal};
use valkey_repl_e2e::wait::{try_until, until};

const LIMIT: Duration = Duration::from_secs(60);
/// Clients that write at the same time.
const WRITERS: usize = 3;

/// Random decisions, the same for the same seed (xorshift).
struct Dice(u64);

impl Dice {
    fn new(test: &str) -> Dice {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
        let seed = std::env::var("CRASH_SEED").ok().map_or(now, |seed| seed.parse().expect("CRASH_SEED is a number"));
        println!("{test}: CRASH_SEED={seed}");
        Dice(seed | 1)
    }

    /// A number below `n`.
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

fn rounds() -> u64 {
    std::env::var("CRASH_ROUNDS").ok().map_or(6, |rounds| rounds.parse().expect("CRASH_ROUNDS is a number"))
}

/// What one client wrote: transactions that each set a key and append its number to a list.
#[derive(Default)]
struct Progress {
    /// Transactions answered.
    answered: AtomicU64,
    stop: AtomicBool,
}

/// Clients that write until they are told to stop, or their server is gone.
struct Writers {
    progress: Vec<Arc<Progress>>,
    threads: Vec<JoinHandle<()>>,
}

impl Writers {
    /// Starts them; each goes on after the transactions that the server already has of it.
    fn start(server: &Server, from: &[u64]) -> Writers {
        let progress: Vec<Arc<Progress>> = from.iter().map(|_| Arc::default()).collect();
        let address = server.address();
        let threads = (0..from.len())
            .map(|id| {
                let (progress, from) = (progress[id].clone(), from[id]);
                progress.answered.store(from, Ordering::Relaxed);
                std::thread::spawn(move || {
                    // An error is the end of the server, which is what this is about.
                    let _ = write(address, id, from, &progress);
                })
            })
            .collect();
        Writers { progress, threads }
    }

    fn answered(&self) -> Vec<u64> {
        self.progress.iter().map(|p| p.answered.load(Ordering::Acquire)).collect()
    }

    /// Waits until so many transactions more have been answered.
    fn wait_for(&self, more: u64) {
        let goal = self.answered().iter().sum::<u64>() + more;
        until("answers", LIMIT, || {
            let now = self.answered().iter().sum::<u64>();
            if now >= goal { Ok(()) } else { Err(format!("{now} of {goal}")) }
        });
    }

    /// Ends them; returns how many transactions of each were answered.
    fn stop(self) -> Vec<u64> {
        self.progress.iter().for_each(|p| p.stop.store(true, Ordering::Relaxed));
        for thread in self.threads {
            thread.join().unwrap();
        }
        self.progress.iter().map(|p| p.answered.load(Ordering::Acquire)).collect()
    }
}

fn write(address: SocketAddrV4, id: usize, from: u64, progress: &Progress) -> io::Result<()> {
    let mut client = Client::connect(address)?;
    client.set_timeout(LIMIT)?;
    for n in from.. {
        if progress.stop.load(Ordering::Relaxed) {
            break;
        }
        let n_text = n.to_string();
        let (key, list) = (format!("key:{id}:{n}"), format!("list:{id}"));
        let replies = client.pipeline(&[
            vec!["MULTI"],
            vec!["SET", &key, &n_text],
            vec!["RPUSH", &list, &n_text],
            vec!["EXEC"],
        ])?;
        match replies.last() {
            Some(Reply::Array(items)) if items.len() == 2 => progress.answered.store(n + 1, Ordering::Release),
            other => return Err(io::Error::other(format!("{other:?}"))),
        }
    }
    Ok(())
}

/// How many transactions of each writer the server has; each is there whole, and none without those before it.
fn present(server: &Server) -> Vec<u64> {
    let mut client = server.client().unwrap();
    (0..WRITERS)
        .map(|id| {
            let list = client.cmd(&["LRANGE", &format!("list:{id}"), "0", "-1"]).unwrap();
            let list: Vec<String> = list.items().unwrap().iter().map(|n| n.text().unwrap()).collect();
            assert!(list.iter().enumerate().all(|(i, n)| *n == i.to_string()), "writer {id}: {list:?}");
            let exists: Vec<Vec<String>> =
                (0..=list.len()).map(|n| vec!["GET".into(), format!("key:{id}:{n}")]).collect();
            let values = client.pipeline(&exists).unwrap();
            let held = values.iter().enumerate().filter(|(n, v)| v.text() == Some(n.to_string())).count();
            assert_eq!(held, list.len(), "writer {id}: half a transaction");
            list.len() as u64
        })
        .collect()
}

fn assert_nothing_lost(what: &str, answered: &[u64], present: &[u64]) {
    let lost = answered.iter().zip(present).any(|(answered, present)| present < answered);
    assert!(!lost, "{what}: answered {answered:?}, there are {present:?}");
}

/// Kills the server's snapshot child, if it has one.
fn kill_child(server: &Server) {
    let Some(pid) = server.pid() else { return };
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    for child in children.split_whitespace().filter_map(|child| Pid::from_raw(child.parse().ok()?)) {
        // It may have ended by itself.
        let _ = kill_process(child, Signal::KILL);
    }
}

/// The append-only file's last increment.
fn last_increment(server: &Server) -> PathBuf {
    let dir = server.dir().join("appendonlydir");
    let manifest = fs::read_to_string(dir.join("appendonly.aof.manifest")).unwrap();
    let name = manifest.lines().rev().find(|line| line.ends_with("type i")).unwrap();
    dir.join(name.split(' ').nth(1).unwrap())
}

/// Cuts the last increment somewhere near its end; false where there is nothing to cut.
fn cut_tail(server: &Server, dice: &mut Dice) -> bool {
    let path = last_increment(server);
    let len = fs::metadata(&path).unwrap().len();
    if len == 0 {
        return false;
    }
    let cut = len - 1 - dice.below(len.min(1000));
    fs::File::options().write(true).open(&path).unwrap().set_len(cut).unwrap();
    true
}

#[test]
fn what_was_answered_after_a_flush_survives_every_kill() {
    let lines = |truncated: &str| {
        ["appendonly yes", "appendfsync always", "rdb-key-save-delay 100", "auto-aof-rewrite-percentage 0"]
            .map(str::to_owned)
            .into_iter()
            .chain([format!("aof-load-truncated {truncated}")])
            .collect::<Vec<_>>()
    };
    let mut dice = Dice::new("flushed writes");
    let mut server = Server::start(Program::Ours, &lines("yes")).unwrap();
    let mut there = vec![0; WRITERS];
    for round in 0..rounds() {
        let writers = Writers::start(&server, &there);
        writers.wait_for(1 + dice.below(60));
        let child = dice.below(4);
        if child < 3 {
            let command = ["BGREWRITEAOF", "BGSAVE", "BGREWRITEAOF"][child as usize];
            assert!(server.line(command).unwrap().error().is_none());
            writers.wait_for(1 + dice.below(40));
            if child == 2 {
                kill_child(&server);
                writers.wait_for(1 + dice.below(40));
            }
        }
        server.kill().unwrap();
        let answered = writers.stop();
        let what = format!("round {round}");
        if dice.below(3) == 0 && cut_tail(&server, &mut dice) {
            // Whoever does not want half a file is told of it, and the file stays as it is.
            server.configure(&lines("no")).unwrap();
            let len = fs::metadata(last_increment(&server)).unwrap().len();
            if let Err(why) = server.launch() {
                assert!(why.to_string().contains("Unexpected end of file"), "{what}: {why}");
                assert_eq!(fs::metadata(last_increment(&server)).unwrap().len(), len);
                let _ = server.kill();
            } else {
                server.kill().unwrap();
            }
            server.configure(&lines("yes")).unwrap();
            server.launch().unwrap();
            there = present(&server);
        } else {
            server.launch().unwrap();
            there = present(&server);
            assert_nothing_lost(&what, &answered, &there);
        }
    }
}

#[test]
fn what_a_replica_acknowledged_survives_the_kill_of_either() {
    let lines = ["min-replicas-to-ack 1", "repl-diskless-sync-delay 0", "rdb-key-save-delay 100"];
    let mut dice = Dice::new("acknowledged writes");
    let mut primary = Server::start(Program::Ours, &lines).unwrap();
    let mut replica = Server::start(Program::Ours, &lines).unwrap();
    replica.follow(&primary).unwrap();
    let mut there = vec![0; WRITERS];
    for round in 0..rounds() {
        let writers = Writers::start(&primary, &there);
        writers.wait_for(1 + dice.below(60));
        let what = format!("round {round}");
        match dice.below(3) {
            0 => {
                // The primary, with nothing on its disk: its replica has all, and takes over.
                primary.kill().unwrap();
                let answered = writers.stop();
                assert!(replica.line("REPLICAOF NO ONE").unwrap().is_ok());
                std::mem::swap(&mut primary, &mut replica);
                there = present(&primary);
                assert_nothing_lost(&what, &answered, &there);
                replica.launch().unwrap();
                replica.follow(&primary).unwrap();
            }
            1 => {
                // The replica: writes wait for it, and go on when it is back. Now and then the snapshot for it dies as well.
                replica.kill().unwrap();
                replica.launch().unwrap();
                assert!(replica.line(&format!("REPLICAOF 127.0.0.1 {}", primary.port())).unwrap().is_ok());
                if dice.below(2) == 0 {
                    let child = || match primary.info("rdb_bgsave_in_progress") {
                        Ok(now) if now == "1" => Ok(()),
                        other => Err(format!("{other:?}")),
                    };
                    // A small snapshot may be over before anybody looks.
                    if try_until("a child", Duration::from_millis(200), child).is_ok() {
                        kill_child(&primary);
                    }
                }
                replica.wait_info("master_link_status", "up").unwrap();
                writers.wait_for(1 + dice.below(40));
                let answered = writers.stop();
                there = present(&primary);
                assert_nothing_lost(&what, &answered, &there);
                assert_nothing_lost(&what, &answered, &present(&replica));
            }
            _ => {
                // Both at once would lose everything; a child that saves may go at any time.
                assert!(primary.line("BGSAVE").unwrap().error().is_none());
                kill_child(&primary);
                writers.wait_for(1 + dice.below(40));
                let answered = writers.stop();
                there = present(&primary);
                assert_nothing_lost(&what, &answered, &present(&replica));
            }
        }
    }
}

/// Half a kilobyte that does not compress.
fn noise(seed: u64) -> String {
    let mut dice = Dice(seed * 2 + 1);
    (0..512).map(|_| char::from(b'0' + dice.below(75) as u8)).collect()
}

/// Fills a server with a megabyte; returns the number of keys.
fn fill(server: &Server) -> i64 {
    let sets: Vec<Vec<String>> = (0..2000).map(|n| vec!["SET".into(), format!("key:{n}"), noise(n)]).collect();
    server.client().unwrap().pipeline(&sets).unwrap();
    server.line("DBSIZE").unwrap().int().unwrap()
}

/// Loads slowly enough to be met at it.
const SLOWLY: [&str; 4] =
    ["save 3600 1", "key-load-delay 2000", "loading-process-events-interval-bytes 1024", "enable-debug-command yes"];

#[test]
fn a_signal_to_end_while_data_are_loaded_leaves_their_file_as_it_is() {
    for appendonly in ["appendonly no", "appendonly yes"] {
        let mut lines = SLOWLY.to_vec();
        lines.push(appendonly);
        let mut server = Server::start(Program::Ours, &lines).unwrap();
        let all = fill(&server);
        let mut client = server.client().unwrap();
        client.line(if appendonly.ends_with("yes") { "BGREWRITEAOF" } else { "SAVE" }).unwrap();
        server.wait_info("aof_rewrite_in_progress", "0").unwrap();
        client.send(&["DEBUG", if appendonly.ends_with("yes") { "LOADAOF" } else { "RELOAD" }]).unwrap();
        server.wait_info("loading", "1").unwrap();
        assert!(server.terminate().unwrap().success());
        server.configure(&["save 3600 1", appendonly]).unwrap();
        server.launch().unwrap();
        assert_eq!(server.line("DBSIZE").unwrap(), Reply::Int(all), "{appendonly}");
    }
}

#[test]
fn a_replica_that_ends_while_it_loads_its_primarys_data_keeps_no_half_of_them() {
    let primary = Server::start(Program::Ours, &["repl-diskless-sync-delay 0"]).unwrap();
    let all = fill(&primary);
    for load in ["repl-diskless-load disabled", "repl-diskless-load swapdb"] {
        let mut lines = SLOWLY.to_vec();
        lines.push(load);
        let mut replica = Server::start(Program::Ours, &lines).unwrap();
        replica.line("SET own 1").unwrap();
        replica.line("SAVE").unwrap();
        replica.line(&format!("REPLICAOF 127.0.0.1 {}", primary.port())).unwrap();
        replica.wait_info("loading", "1").unwrap();
        assert!(replica.terminate().unwrap().success());
        replica.configure(&["save 3600 1"]).unwrap();
        replica.launch().unwrap();
        let there = replica.line("DBSIZE").unwrap().int().unwrap();
        assert!(there == 1 || there == all, "{load}: {there} of {all} keys");
    }
}
