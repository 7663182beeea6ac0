//! The writer that the fault tests rely on must itself tell the truth about lost writes.

use std::time::Duration;

use valkey_repl_e2e::ledger::{Status, Verdict};
use valkey_repl_e2e::server::{Program, Server};
use valkey_repl_e2e::wait::until;
use valkey_repl_e2e::writer::{Target, Writer, control};

const PATIENCE: Duration = Duration::from_secs(20);

fn start(server: &Server) -> Writer {
    let target = Target { address: server.address().to_string(), password: None, prefix: "w".into() };
    Writer::start(target, "127.0.0.1:0").unwrap()
}

fn verify(writer: &Writer, question: &str) -> Verdict {
    serde_json::from_str(&control(writer.control(), question).unwrap()).unwrap()
}

/// Waits until the figures are as wanted.
fn wait(writer: &Writer, what: &str, wanted: impl Fn(&Status) -> bool) -> Status {
    until(what, PATIENCE, || {
        let status = writer.status();
        if wanted(&status) { Ok(status) } else { Err(format!("{status:?}")) }
    })
}

#[test]
fn a_writer_goes_on_after_a_restart_and_finds_what_was_lost() {
    let mut server = Server::start(Program::Valkey91, &[""; 0]).unwrap();
    let writer = start(&server);
    let before = wait(&writer, "writes", |s| s.answered > 100).answered;
    assert_eq!(verify(&writer, "verify").lost_answered.len(), 0);
    server.kill().unwrap();
    wait(&writer, "a failed attempt", |s| s.errors > 0);
    control(writer.control(), "mark").unwrap();
    server.launch().unwrap();
    wait(&writer, "new writes", |s| s.answered > before + 100 && s.run_ids.len() == 2);
    let verdict = verify(&writer, "verify");
    assert!(verdict.lost_answered.len() as u64 >= before, "an empty server came back: {verdict:?}");
    assert_eq!((verdict.lost_confirmed.len(), verdict.wrong.len()), (0, 0));
    assert!(wait(&writer, "a gap", |s| s.longest_gap.ms > 0).longest_gap.from_epoch_ms > 0);
}

#[test]
fn writes_that_a_replica_holds_are_confirmed_and_found_there() {
    let primary = Server::start(Program::Valkey91, &["repl-diskless-sync-delay 0"]).unwrap();
    let replica = Server::start(Program::Valkey91, &[format!("replicaof 127.0.0.1 {}", primary.port())]).unwrap();
    replica.wait_info("master_link_status", "up").unwrap();
    let writer = start(&primary);
    wait(&writer, "confirmed writes", |s| s.confirmed > 200);
    let verdict = verify(&writer, &format!("verify {}", replica.address()));
    assert!(verdict.checked > 200);
    assert_eq!(verdict.lost_confirmed.len(), 0);
    primary.line("FLUSHALL").unwrap();
    until("the loss to be seen", PATIENCE, || {
        let lost = verify(&writer, "verify").lost_confirmed.len();
        if lost > 200 { Ok(()) } else { Err(format!("{lost} lost")) }
    });
}

#[test]
fn a_writer_counts_a_pause_of_the_server_as_one_gap() {
    let server = Server::start(Program::Valkey91, &[""; 0]).unwrap();
    let writer = start(&server);
    wait(&writer, "writes", |s| s.answered > 10);
    server.signal(valkey_repl_e2e::server::Signal::STOP).unwrap();
    wait(&writer, "a gap of two attempts", |s| s.idle_ms > 1500);
    server.signal(valkey_repl_e2e::server::Signal::CONT).unwrap();
    let status = wait(&writer, "writes again", |s| s.idle_ms < 500);
    assert!(status.longest_gap.ms > 1500, "{status:?}");
}
