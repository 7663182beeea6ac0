//! How long writes stop when the primary's process crashes, in the operator's local mode. The real Valkey has nothing to compare it with.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use valkey_repl_e2e::percentile;
use valkey_repl_e2e::programs::{self, root};
use valkey_repl_e2e::resp::Client;
use valkey_repl_e2e::wait::try_until;
use valkey_repl_e2e::writer::{Target, Writer, control};

/// How long anything may take before the run gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The operator; dropping it ends it and its servers.
struct Operator(Child);

impl Drop for Operator {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.0.wait();
    }
}

/// Kills the primary `CRASHES` times under load, and prints how long no write went through.
///
/// # Errors
/// A program does not start, writes do not come back, or one was lost.
pub fn measure(crashes: usize) -> io::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut operator = Command::new(programs::ours("valkey-operator", "valkey-operator")?)
        .args(["local", "--listen", "127.0.0.1:0", "--file"])
        .arg(root().join("examples/pair.yaml"))
        .arg("--dir")
        .arg(dir.path())
        .arg("--server")
        .arg(programs::ours("valkey-repl-server", "valkey-server")?)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let lines = operator.stdout.take().map(BufReader::new);
    let _operator = Operator(operator);
    let mut lines = lines.into_iter().flat_map(BufRead::lines).map_while(Result::ok);
    let connect = lines.find(|line| line.contains("connect: ")).ok_or_else(|| io::Error::other("it ended"))?;
    // What it goes on to say has to be read, or it would wait for that.
    std::thread::spawn(move || lines.for_each(drop));
    let port = connect.rsplit(' ').next().unwrap_or_default();
    let target = Target {
        address: format!("127.0.0.1:{port}"),
        password: Some(fs::read_to_string(dir.path().join("password"))?.trim().to_owned()),
        prefix: "w".to_owned(),
    };
    let writer = Writer::start(target.clone(), "127.0.0.1:0")?;
    let other = |error: String| io::Error::other(error);
    let mut gaps = Vec::new();
    for _ in 0..crashes {
        try_until("a recorded successor", PATIENCE, || has_successor(dir.path())).map_err(other)?;
        let before = control(writer.control(), "mark").map(|_| writer.status())?;
        let pid = primary(&target)?;
        kill_process(pid, Signal::KILL)?;
        let back = || {
            let status = writer.status();
            let moved = status.run_ids.len() > before.run_ids.len() && status.answered > before.answered + 20;
            if moved { Ok(status) } else { Err(format!("{status:?}")) }
        };
        gaps.push(try_until("writes to go through elsewhere", PATIENCE, back).map_err(other)?.longest_gap.ms);
    }
    let verdict = control(writer.control(), "verify")?;
    println!("{} crashes of a primary in local mode: {verdict}", gaps.len());
    let at = |percent| percentile(&gaps, percent);
    println!("no write went through for {} ms (p50), {} ms (p99), {} ms (longest)", at(50), at(99), at(100));
    Ok(())
}

fn ask(target: &Target, words: &[&str]) -> io::Result<String> {
    let mut client = Client::connect(&target.address)?;
    client.ask(&["AUTH", target.password.as_deref().unwrap_or_default()])?;
    Ok(client.ask(words)?.text().unwrap_or_default())
}

/// Whether it is recorded who takes over. A replica that is online holds everything, and is not that yet.
fn has_successor(dir: &Path) -> Result<(), String> {
    let text = fs::read_to_string(dir.join("record.json")).map_err(|error| error.to_string())?;
    let stored: serde_json::Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let successors = stored.pointer("/record/successors").and_then(|successors| successors.as_array());
    if successors.is_some_and(|successors| !successors.is_empty()) { Ok(()) } else { Err(text) }
}

/// The process that serves.
fn primary(target: &Target) -> io::Result<Pid> {
    let info = ask(target, &["INFO", "server"])?;
    let pid = info.lines().find_map(|line| line.trim_end().strip_prefix("process_id:")?.parse().ok());
    pid.and_then(Pid::from_raw).ok_or_else(|| io::Error::other("it does not say its process"))
}
