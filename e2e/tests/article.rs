//! The two configuration files of `examples/replication-basics`, used as `docs/replication-basics.md` tells: only ports and the
//! folder are other ones here.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tempfile::TempDir;
use valkey_repl_e2e::programs::root;
use valkey_repl_e2e::resp::{Client, Reply};
use valkey_repl_e2e::server::{Program, reserve_port};
use valkey_repl_e2e::wait::until;

const LIMIT: Duration = Duration::from_secs(30);
const PASSWORD: &str = "adminredis";
const FOLDER: &str = "/tmp/replication-basics";
/// What the article's files set.
const DIRECTIVES: [&str; 18] = [
    "bind",
    "port",
    "protected-mode",
    "daemonize",
    "pidfile",
    "loglevel",
    "logfile",
    "databases",
    "always-show-logo",
    "save",
    "rdbcompression",
    "rdbchecksum",
    "dir",
    "dbfilename",
    "requirepass",
    "masterauth",
    "appendonly",
    "appendfilename",
];

/// A server that went into the background: known by its files only, as to the user who started it.
struct Daemon {
    config: PathBuf,
    dir: PathBuf,
    port: u16,
    _reserved: OwnedFd,
}

impl Daemon {
    /// `valkey-server FILE`, which returns when the server has gone into the background.
    fn start(&self) {
        let program = Program::Ours.path().unwrap();
        let done = Command::new(program).arg(&self.config).stdin(Stdio::null()).output().unwrap();
        assert!(done.status.success(), "{done:?}");
        until("the server to answer", LIMIT, || match self.stranger()?.line("PING")? {
            Reply::Error(text) if text.starts_with("NOAUTH") => Ok(()),
            reply => Err(io::Error::other(format!("{reply:?}"))),
        });
    }

    fn stranger(&self) -> io::Result<Client> {
        Client::connect(("127.0.0.1", self.port))
    }

    fn client(&self) -> Client {
        let mut client = self.stranger().unwrap();
        assert!(client.cmd(&["AUTH", PASSWORD]).unwrap().is_ok());
        client
    }

    /// One command on a connection of its own.
    fn line(&self, words: &str) -> Reply {
        self.client().line(words).unwrap()
    }

    fn info(&self, field: &str) -> String {
        self.client().info("everything").unwrap().remove(field).unwrap_or_else(|| panic!("INFO has no field {field}"))
    }

    fn wait_info(&self, field: &str, value: &str) {
        until(&format!("{field}:{value} on port {}", self.port), LIMIT, || match self.info(field) {
            now if now == value => Ok(()),
            now => Err(now),
        });
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.join("valkey.log")).unwrap_or_default()
    }

    /// Waits until the log has all these, in this order, beyond its first `from` bytes.
    fn wait_log(&self, from: usize, parts: &[&str]) {
        until(&format!("{parts:?} in the log"), LIMIT, || {
            let log = self.log();
            let mut rest = &log[from..];
            for part in parts {
                let Some(at) = rest.find(part) else { return Err(format!("no {part:?} in\n{}", &log[from..])) };
                rest = &rest[at + part.len()..];
            }
            Ok(())
        });
    }

    fn pid_file(&self) -> PathBuf {
        self.dir.join("valkey.pid")
    }

    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(fs::read_to_string(self.pid_file()).ok()?.trim().parse().ok()?)
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid().expect("a process id in the pidfile"), signal).unwrap();
    }

    /// SIGTERM, and waits until the process is gone.
    fn stop(&self) {
        let pid = self.pid().expect("a process id in the pidfile");
        kill_process(pid, Signal::TERM).unwrap();
        until("the server to end", LIMIT, || if test_kill_process(pid).is_err() { Ok(()) } else { Err("it runs") });
    }

    fn files(&self, folder: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.dir.join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(pid) = self.pid() {
            let _ = kill_process(pid, Signal::KILL);
        }
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.dir.display(), self.log());
        }
    }
}

/// The pair of the two files, not started yet, in a folder that lives as long as it does.
struct Pair {
    primary: Daemon,
    replica: Daemon,
    _folder: TempDir,
}

impl Pair {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("valkey-e2e-").tempdir().unwrap();
        let ports = [reserve_port().unwrap(), reserve_port().unwrap()];
        let numbers = [ports[0].1, ports[1].1];
        let [primary, replica] = [("primary", 0), ("replica", 1)].map(|(name, i)| {
            let dir = folder.path().join(name);
            fs::create_dir(&dir).unwrap();
            let config = folder.path().join(format!("{name}.conf"));
            fs::write(&config, moved(&example(name), folder.path(), numbers)).unwrap();
            (config, dir, i)
        });
        let [first, second] = ports.map(|(socket, port)| (socket, port));
        Self {
            primary: Daemon { config: primary.0, dir: primary.1, port: first.1, _reserved: first.0 },
            replica: Daemon { config: replica.0, dir: replica.1, port: second.1, _reserved: second.0 },
            _folder: folder,
        }
    }

    /// Both started; the replica is in step.
    fn started() -> Self {
        let pair = Self::new();
        pair.primary.start();
        pair.replica.start();
        pair.replica.wait_info("master_link_status", "up");
        pair.primary.wait_log(0, &["Synchronization with replica", "succeeded"]);
        pair
    }
}

fn example(name: &str) -> String {
    fs::read_to_string(root().join("examples/replication-basics").join(format!("{name}.conf"))).unwrap()
}

/// The file's text for another folder and other ports.
fn moved(text: &str, folder: &Path, ports: [u16; 2]) -> String {
    let folder = folder.to_str().unwrap();
    let word = |word: &str| match word {
        "7001" => ports[0].to_string(),
        "7002" => ports[1].to_string(),
        other => other.replace(FOLDER, folder),
    };
    let line = |line: &str| line.split(' ').map(word).collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Writes `n` keys on one server and waits until the other holds them.
fn write_and_wait(to: &Daemon, name: &str, n: usize) {
    let mut client = to.client();
    let commands: Vec<Vec<String>> =
        (0..n).map(|i| vec!["SET".to_owned(), format!("{name}:{i}"), format!("value of {i}")]).collect();
    assert!(client.pipeline(&commands).unwrap().iter().all(Reply::is_ok));
    assert_eq!(client.line("WAIT 1 0").unwrap(), Reply::Int(1));
}

#[test]
fn the_two_files_set_what_the_article_sets_and_differ_only_where_they_must() {
    let settings = |name| {
        let text = example(name);
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let (primary, replica) = (settings("primary"), settings("replica"));
    let name = |line: &String| line.split(' ').next().unwrap().to_owned();
    for directive in DIRECTIVES {
        assert_eq!(primary.iter().filter(|line| name(line) == directive).count(), 1, "{directive}");
    }
    let own: Vec<String> = replica.iter().filter(|line| !primary.contains(line)).map(name).collect();
    assert_eq!(own, ["port", "replicaof", "pidfile", "logfile", "dir"]);
}

#[test]
fn every_directive_of_the_two_files_acts() {
    let pair = Pair::started();
    for (server, other) in [(&pair.primary, &pair.replica), (&pair.replica, &pair.primary)] {
        // daemonize, pidfile: the process that the file names is the one that answers.
        let pid = server.pid().unwrap();
        assert_eq!(server.info("process_id"), pid.as_raw_nonzero().to_string());
        assert_eq!(server.info("tcp_port"), server.port.to_string());
        // logfile, loglevel notice, always-show-logo no.
        let log = server.log();
        for line in
            ["Valkey is starting", "Configuration loaded", "Server initialized", "Ready to accept connections tcp"]
        {
            assert!(log.contains(line), "{line:?} is missing in\n{log}");
        }
        assert!(!log.contains(" . "), "debug messages at level notice:\n{log}");
        assert!(!log.contains("PID: "), "the logo in the log file:\n{log}");
        // requirepass.
        let mut stranger = server.stranger().unwrap();
        assert!(stranger.line("GET a").unwrap().error().unwrap().starts_with("NOAUTH"));
        assert!(stranger.line("AUTH wrong").unwrap().error().unwrap().starts_with("WRONGPASS"));
        // databases 8.
        assert!(server.line("SELECT 7").is_ok());
        assert_eq!(server.line("SELECT 8").error(), Some("ERR DB index is out of range"));
        // appenddirname, appendfilename.
        let files = server.files("aof");
        assert!(files.contains(&"redis.aof.manifest".to_owned()), "{files:?}");
        assert!(files.iter().any(|f| f.starts_with("redis.aof.") && f.ends_with(".base.rdb")), "{files:?}");
        assert!(files.iter().any(|f| f.starts_with("redis.aof.") && f.ends_with(".incr.aof")), "{files:?}");
        // save, dbfilename, dir.
        assert_eq!(server.line("CONFIG GET save").field("save").unwrap().text().unwrap(), "3600 1");
        assert!(server.line("SAVE").is_ok());
        assert!(fs::read(server.dir.join("dump.rdb")).unwrap().starts_with(b"VALKEY"));
        // masterauth works in both directions: either may be told to follow the other.
        let shown = server.line("CONFIG GET masterauth");
        assert_eq!(shown.field("masterauth").unwrap().text().unwrap(), PASSWORD);
        assert_ne!(server.port, other.port);
    }
}

#[test]
fn rdbcompression_and_rdbchecksum_show_in_the_snapshot() {
    let pair = Pair::new();
    pair.primary.start();
    let value = "a line that repeats itself ".repeat(4000);
    assert!(pair.primary.client().cmd(&["SET", "long", &value]).unwrap().is_ok());
    assert!(pair.primary.line("SAVE").is_ok());
    let small = fs::read(pair.primary.dir.join("dump.rdb")).unwrap();
    assert!(small.len() < value.len() / 10, "{} bytes", small.len());
    assert_ne!(small[small.len() - 8..], [0; 8], "the checksum is not written");

    assert!(pair.primary.line("CONFIG SET rdbcompression no").is_ok());
    assert!(pair.primary.line("SAVE").is_ok());
    let large = fs::read(pair.primary.dir.join("dump.rdb")).unwrap();
    assert!(large.len() > value.len(), "{} bytes", large.len());
}

#[test]
fn the_replica_gets_everything_once_and_after_a_cut_link_only_what_it_lacks() {
    let pair = Pair::started();
    let (primary, replica) = (&pair.primary, &pair.replica);
    primary.wait_log(
        0,
        &["Starting BGSAVE for SYNC with target: replicas sockets", "Background RDB transfer started by pid"],
    );
    replica.wait_log(0, &["Full resync from primary", "Loading DB in memory", "Finished with success"]);

    write_and_wait(primary, "planet", 100);
    assert_eq!(replica.line("GET planet:42").text().unwrap(), "value of 42");
    assert!(replica.line("SET planet:42 mine").error().unwrap().starts_with("READONLY"));
    assert_eq!(replica.info("role"), "slave");
    assert_eq!(replica.info("master_replid"), primary.info("master_replid"));

    // The replica stands still while its link is cut, so that it misses something.
    let (at_primary, at_replica) = (primary.log().len(), replica.log().len());
    replica.signal(Signal::STOP);
    assert_eq!(primary.line("CLIENT KILL TYPE replica"), Reply::Int(1));
    assert!(primary.line("SET missed yes").is_ok());
    replica.signal(Signal::CONT);
    primary.wait_log(at_primary, &["Partial resynchronization request from", "accepted. Sending"]);
    replica
        .wait_log(at_replica, &["Connection with primary lost", "Successful partial resynchronization with primary"]);
    assert!(!primary.log()[at_primary..].contains("Sending 0 bytes"));
    write_and_wait(primary, "after", 10);
    assert_eq!(replica.line("GET missed").text().unwrap(), "yes");
    assert_eq!((primary.info("sync_full"), primary.info("sync_partial_ok")), ("1".into(), "1".into()));
}

#[test]
fn roles_change_live_in_both_directions() {
    let pair = Pair::started();
    let (old, new) = (&pair.primary, &pair.replica);
    write_and_wait(old, "before", 10);

    assert!(new.line("REPLICAOF NO ONE").is_ok());
    assert_eq!(new.info("role"), "master");
    assert_eq!(new.info("master_replid2"), old.info("master_replid"));
    assert!(new.line("SET mine yes").is_ok());
    assert!(old.line(&format!("REPLICAOF 127.0.0.1 {}", new.port)).is_ok());
    old.wait_info("master_link_status", "up");
    write_and_wait(new, "swapped", 10);
    assert_eq!(old.line("GET mine").text().unwrap(), "yes");
    assert_eq!((new.info("sync_full"), new.info("sync_partial_ok")), ("0".into(), "1".into()));

    // And back, as the files have it.
    assert!(old.line("REPLICAOF NO ONE").is_ok());
    assert!(new.line(&format!("REPLICAOF 127.0.0.1 {}", old.port)).is_ok());
    new.wait_info("master_link_status", "up");
    write_and_wait(old, "back", 10);
    assert_eq!(new.line("DBSIZE"), old.line("DBSIZE"));
    assert_eq!(old.info("sync_full"), "1", "the way back cost a full sync");
}

#[test]
fn a_full_sync_goes_by_way_of_disk_or_straight_to_the_sockets_as_configured() {
    let pair = Pair::started();
    let (primary, replica) = (&pair.primary, &pair.replica);
    write_and_wait(primary, "before", 100);
    for (diskless, sent, received) in [
        (
            "no",
            ["Starting BGSAVE for SYNC with target: disk", "Background saving started by pid"],
            "bytes from primary to disk",
        ),
        (
            "yes",
            ["Starting BGSAVE for SYNC with target: replicas sockets", "Background RDB transfer started by pid"],
            "receiving streamed RDB from primary",
        ),
    ] {
        assert!(primary.line(&format!("CONFIG SET repl-diskless-sync {diskless}")).is_ok());
        // A write of its own parts the replica from its primary's history: only everything anew helps.
        assert!(replica.line("REPLICAOF NO ONE").is_ok());
        assert!(replica.line("SET strange 1").is_ok());
        let (at_primary, at_replica) = (primary.log().len(), replica.log().len());
        assert!(replica.line(&format!("REPLICAOF 127.0.0.1 {}", primary.port)).is_ok());
        // Written while the snapshot is on its way: they follow it.
        let mut client = primary.client();
        for i in 0..500 {
            assert!(client.line(&format!("SET meanwhile:{diskless}:{i} {i}")).unwrap().is_ok());
        }
        assert_eq!(client.line("WAIT 1 0").unwrap(), Reply::Int(1));
        primary.wait_log(at_primary, &sent);
        replica.wait_log(at_replica, &["Full resync from primary", received, "Finished with success"]);
        assert_eq!(replica.line("EXISTS strange"), Reply::Int(0));
        assert_eq!(replica.line("DBSIZE"), primary.line("DBSIZE"));
    }
    assert_eq!(primary.info("sync_full"), "3");
}

#[test]
fn stopped_and_started_again_the_pair_has_its_data_and_needs_no_full_sync() {
    let pair = Pair::started();
    let (primary, replica) = (&pair.primary, &pair.replica);
    write_and_wait(primary, "kept", 100);
    for (server, other) in [(replica, primary), (primary, replica)] {
        server.stop();
        assert!(!server.pid_file().exists(), "the pidfile is left behind");
        assert!(server.log().contains("Removing the pid file."));
        server.start();
        assert!(server.log().contains("DB loaded from append only file"), "{}", server.log());
        replica.wait_info("master_link_status", "up");
        assert_eq!(server.line("DBSIZE"), Reply::Int(100));
        assert_eq!(server.line("DBSIZE"), other.line("DBSIZE"));
    }
    assert_eq!(primary.info("sync_full"), "0", "the primary's restart cost a full sync");
    assert_eq!(primary.log().matches("Starting BGSAVE for SYNC").count(), 1, "a restart cost a full sync");
}
