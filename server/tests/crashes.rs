//! What is promised of a server that crashes: it says where and how in its log, and whoever started it sees by which signal it ended.

mod support;

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use support::Server;

const START: &str = "=== VALKEY BUG REPORT START";
const END: &str = "=== VALKEY BUG REPORT END";

/// Starts a server that may be crashed; in its directory lies a pid file.
fn server(options: &[&str]) -> Server {
    let server = Server::start(&[&["--enable-debug-command", "yes", "--pidfile", "pid"], options].concat());
    assert_eq!(server.files(), ["pid"]);
    server
}

fn send_signal(server: &Server, name: &str) {
    let sent = Command::new("kill").args([name, &server.pid().to_string()]).status();
    assert!(sent.unwrap().success());
}

/// Has text between two others.
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let rest = text.split_once(from).unwrap_or_else(|| panic!("no {from:?} in {text}")).1;
    rest.split_once(to).unwrap_or_else(|| panic!("no {to:?} in {rest}")).0
}

#[test]
fn a_crash_leaves_a_report_and_no_pid_file_and_ends_by_its_signal() {
    let mut server = server(&[]);
    let (mut other, mut client) = (server.connect(), server.connect());
    let id = other.ask("CLIENT ID").split_off(1);
    other.ask("CLIENT SETNAME somebody");
    client.ask("SET key value");
    client.send(&["DEBUG", "SEGFAULT"]);
    let (status, log) = server.end();
    assert_eq!(status.signal(), Some(libc::SIGSEGV));
    assert!(server.files().is_empty(), "{:?}", server.files());
    let report = between(&log, START, END);
    let part = |title: &str| between(report, title, "------ ");
    assert!(report.contains("crashed by signal: 11 (SIGSEGV)") && report.contains("Accessing address: 0x"), "{log}");
    assert!(part("STACK TRACE ------").contains("debug::segfault"), "{log}");
    assert!(!part("REGISTERS ------").trim().is_empty());
    assert!(part("INFO OUTPUT ------").contains("db0:keys=1,"));
    let clients = part("CLIENT LIST OUTPUT ------");
    assert!(clients.contains(&format!("id={id} ")) && clients.contains("cmd=debug"), "{clients}");
    assert!(part("EXECUTING CLIENT INFO ------").contains("argv[0]: \"DEBUG\"\nargv[1]: 8 bytes\n"));
    assert!(report.contains("\"enable-debug-command\": \"yes\""));
    assert!(!log.contains("somebody"), "what users named is in the log");
}

#[test]
fn a_signal_from_outside_is_reported_with_its_sender() {
    let mut server = server(&[]);
    send_signal(&server, "-ABRT");
    let (status, log) = server.end();
    assert_eq!(status.signal(), Some(libc::SIGABRT));
    let report = between(&log, START, END);
    assert!(report.contains("crashed by signal: 6 (SIGABRT)") && report.contains("Killed by PID: "), "{log}");
}

#[test]
fn a_report_shows_the_words_of_the_call_where_that_is_wanted_but_no_password() {
    let mut server = server(&["--hide-user-data-from-log", "no", "--requirepass", "secret"]);
    let mut client = server.connect();
    client.ask("AUTH secret");
    client.ask("CLIENT SETNAME somebody");
    client.send(&["DEBUG", "SEGFAULT"]);
    let (_, log) = server.end();
    assert!(log.contains("argv[1]: \"SEGFAULT\"\n") && log.contains("name=somebody"), "{log}");
    assert!(!log.contains("secret"), "{log}");
}

#[test]
fn a_failure_of_the_server_itself_is_reported_with_its_place() {
    for command in ["PANIC", "ASSERT"] {
        let mut server = server(&[]);
        server.connect().send(&["DEBUG", command]);
        let (status, log) = server.end();
        assert_eq!(status.signal(), Some(libc::SIGABRT), "{log}");
        assert!(server.files().is_empty());
        let report = between(&log, START, END);
        let told = between(report, "Guru Meditation: ", "\n");
        assert!(told.contains("debug.rs:"), "{told}");
        assert_eq!(told.contains("ASSERTION FAILED"), command == "ASSERT", "{told}");
        assert!(report.contains("argv[0]: \"DEBUG\""), "{log}");
    }
}

#[test]
fn a_failure_ends_with_an_exit_code_where_that_is_wanted() {
    let mut server = server(&["--use-exit-on-panic", "yes"]);
    server.connect().send(&["DEBUG", "PANIC"]);
    assert_eq!(server.end().0.code(), Some(1));
}

#[test]
fn no_report_is_written_where_none_is_wanted() {
    let mut server = server(&[]);
    let mut client = server.connect();
    assert_eq!(client.ask("CONFIG SET crash-log-enabled no"), "OK");
    client.send(&["DEBUG", "SEGFAULT"]);
    let (status, log) = server.end();
    assert_eq!((status.signal(), log.as_str()), (Some(libc::SIGSEGV), ""));
}

#[test]
fn whoever_asks_with_sigalrm_is_told_where_the_server_is() {
    let mut server = server(&[]);
    let mut client = server.connect();
    send_signal(&server, "-ALRM");
    assert_eq!(client.ask("PING"), "PONG");
    client.send(&["SHUTDOWN"]);
    let (status, log) = server.end();
    assert!(status.success());
    assert!(between(&log, "Received SIGALRM", "STACK TRACE DONE").contains("valkey_server"), "{log}");
}

#[test]
fn the_first_process_of_a_container_ends_as_well() {
    const CONTAINER: [&str; 4] = ["--user", "--map-root-user", "--pid", "--fork"];
    if !Command::new("unshare").args(CONTAINER).arg("true").status().is_ok_and(|made| made.success()) {
        // Not everywhere may one make a container.
        return;
    }
    let dir = std::env::temp_dir().join(format!("valkey-server-test-container-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let mut container = Command::new("unshare")
        .args(CONTAINER)
        .arg(env!("CARGO_BIN_EXE_valkey-server"))
        .args(["--port", "0", "--unixsocket", "socket", "--logfile", "log", "--save", "", "--dir"])
        .arg(&dir)
        .spawn()
        .unwrap();
    let log = || std::fs::read_to_string(dir.join("log")).unwrap_or_default();
    while !log().contains("Ready to accept connections") {
        assert_eq!(container.try_wait().unwrap(), None);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let id = container.id();
    let server = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
    assert!(Command::new("kill").args(["-SEGV", server.trim()]).status().unwrap().success());
    let status = container.wait().unwrap();
    assert_eq!(status.code(), Some(128 + libc::SIGSEGV), "{status}");
    assert!(log().contains(END));
    std::fs::remove_dir_all(&dir).unwrap();
}
