//! Who gets in, and how: users, and TLS with the real server and the real command line on the other side.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use valkey_repl_e2e::programs;
use valkey_repl_e2e::resp::Client;
use valkey_repl_e2e::server::{Program, Server};
use valkey_repl_e2e::wait::until;

const LIMIT: Duration = Duration::from_secs(30);

fn tls_file(name: &str) -> PathBuf {
    programs::root().join("server/tests/data/tls").join(name)
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A server that also listens for TLS, and uses it towards its primary.
fn with_tls(program: Program, more: &[String]) -> (Server, u16) {
    let port = free_port();
    let mut lines = vec![
        format!("tls-port {port}"),
        format!("tls-cert-file {}", tls_file("server.crt").display()),
        format!("tls-key-file {}", tls_file("server.key").display()),
        format!("tls-ca-cert-file {}", tls_file("ca.crt").display()),
        "tls-replication yes".to_owned(),
        "repl-diskless-sync-delay 0".to_owned(),
    ];
    lines.extend_from_slice(more);
    (Server::start(program, &lines).unwrap(), port)
}

fn linked(replica: &Server) -> bool {
    let mut client = replica.client().unwrap();
    client.cmd(&["INFO", "replication"]).unwrap().text().unwrap().contains("master_link_status:up")
}

fn when(so: bool) -> Result<(), &'static str> {
    if so { Ok(()) } else { Err("not yet") }
}

fn get(client: &mut Client, key: &str) -> Option<String> {
    client.cmd(&["GET", key]).unwrap().text()
}

#[test]
fn a_snapshot_and_a_stream_go_over_tls_between_ours_and_valkey_both_ways() {
    for (primary, replica) in
        [(Program::Ours, Program::Ours), (Program::Ours, Program::Valkey91), (Program::Valkey91, Program::Ours)]
    {
        for load in ["disabled", "swapdb"] {
            let (primary, port) = with_tls(primary.clone(), &[]);
            let mut writer = primary.client().unwrap();
            let large = "x".repeat(3_000_000);
            writer.cmd(&["SET", "before", &large]).unwrap();
            let follow = [format!("replicaof 127.0.0.1 {port}"), format!("repl-diskless-load {load}")];
            let (replica, _) = with_tls(replica.clone(), &follow);
            until("the link", LIMIT, || when(linked(&replica)));
            writer.cmd(&["SET", "after", &large]).unwrap();
            let mut reader = replica.client().unwrap();
            until("the stream", LIMIT, || when(get(&mut reader, "after").is_some_and(|value| value == large)));
            assert_eq!(get(&mut reader, "before"), Some(large));
        }
    }
}

#[test]
fn the_real_command_line_and_ours_get_in_with_a_certificate_and_not_without() {
    let (server, port) = with_tls(Program::Ours, &["tls-auth-clients-user CN".to_owned()]);
    server.client().unwrap().cmd(&["ACL", "SETUSER", "Client-only", "on", "+@all", "~*"]).unwrap();
    let clis = [
        programs::peer("valkey-9.1", "valkey-cli").unwrap(),
        programs::ours("valkey-repl-server", "valkey-cli").unwrap(),
    ];
    for cli in clis {
        let run = |options: &[&str], command: &[&str]| {
            let port = port.to_string();
            let output = Command::new(&cli).args(["-p", &port, "--tls"]).args(options).args(command).output().unwrap();
            String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
        };
        let (ca, stranger) = (tls_file("ca.crt"), tls_file("stranger.crt"));
        let (ca, stranger) = (ca.to_str().unwrap(), stranger.to_str().unwrap());
        let (certificate, key) = (tls_file("client.crt"), tls_file("client.key"));
        let shown = ["--cert", certificate.to_str().unwrap(), "--key", key.to_str().unwrap()];
        let trusting = [&["--cacert", ca][..], &shown].concat();
        assert_eq!(run(&trusting, &["ACL", "WHOAMI"]), "Client-only", "{}", cli.display());
        assert_eq!(run(&["--cacert", ca], &["PING"]), "");
        let misled = [&["--cacert", stranger][..], &shown].concat();
        assert_eq!(run(&misled, &["PING"]), "");
        let blind = [&["--insecure"][..], &shown].concat();
        assert_eq!(run(&blind, &["PING"]), "PONG");
    }
}

#[test]
fn a_user_of_an_included_file_has_a_password_and_rights_of_its_own() {
    let dir = tempfile::Builder::new().prefix("valkey-e2e-").tempdir().unwrap();
    let included = dir.path().join("users.conf");
    std::fs::write(&included, "user operator on \">se \\\"cret\" ~* &* +@all\nuser reader on >r ~pub:* +@read\n")
        .unwrap();
    let include = format!("include {}", included.display());
    let server = Server::start_in(Program::Ours, dir, &[include.as_str(), "requirepass main"]).unwrap();
    let mut client = server.client().unwrap();
    client.cmd(&["SET", "pub:k", "v"]).unwrap();
    client.cmd(&["CONFIG", "SET", "requirepass", "other"]).unwrap();
    let mut operator = Client::connect(server.address()).unwrap();
    assert!(operator.cmd(&["GET", "pub:k"]).unwrap().error().is_some_and(|e| e.starts_with("NOAUTH")));
    assert!(operator.cmd(&["AUTH", "operator", "main"]).unwrap().error().is_some());
    assert_eq!(operator.cmd(&["AUTH", "operator", "se \"cret"]).unwrap().text().as_deref(), Some("OK"));
    assert_eq!(operator.cmd(&["ACL", "WHOAMI"]).unwrap().text().as_deref(), Some("operator"));
    operator.cmd(&["AUTH", "reader", "r"]).unwrap();
    assert_eq!(get(&mut operator, "pub:k").as_deref(), Some("v"));
    for refused in [&["GET", "k"][..], &["SET", "pub:k", "w"]] {
        assert!(operator.cmd(refused).unwrap().error().is_some_and(|e| e.starts_with("NOPERM")));
    }
}
