//! What a user of `valkey-cli` sees: output, status and what it asks of the server. The server is a scripted one.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

/// A server that answers each command by a function of its words, keeps what it was asked, and closes a connection when the function
/// has no answer.
struct Server {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(answer: fn(&str) -> Option<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let log = Arc::clone(&log);
                std::thread::spawn(move || serve(stream.unwrap(), &log, answer));
            }
        });
        Self { port, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn cli(&self, args: &[&str], input: &[u8]) -> Output {
        cli(&[&["-p", &self.port.to_string()], args].concat(), input)
    }
}

fn serve(stream: TcpStream, log: &Mutex<Vec<String>>, answer: fn(&str) -> Option<String>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some(command) = read_command(&mut reader) {
        log.lock().unwrap().push(command.clone());
        let Some(reply) = answer(&command) else { return };
        if writer.write_all(reply.as_bytes()).is_err() {
            return;
        }
    }
}

fn read_command(reader: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    while line.trim().is_empty() {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
    }
    let Some(count) = line.trim().strip_prefix('*') else { return Some(line.trim().to_owned()) };
    let mut words = Vec::new();
    for _ in 0..count.parse().unwrap() {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let mut word = vec![0; header.trim()[1..].parse::<usize>().unwrap() + 2];
        reader.read_exact(&mut word).ok()?;
        words.push(String::from_utf8_lossy(&word[..word.len() - 2]).into_owned());
    }
    Some(words.join(" "))
}

fn cli(args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_valkey-cli"))
        .args(args)
        .env_clear()
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The client may end without reading its input.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn echo(command: &str) -> Option<String> {
    Some(match command.split(' ').next()? {
        "bad" => "-ERR bad\r\n".into(),
        "die" => return None,
        "ECHO" => format!("${}\r\n{}\r\n", command.len() - 5, &command[5..]),
        "list" => "*2\r\n$1\r\na\r\n:1\r\n".into(),
        _ => "+OK\r\n".into(),
    })
}

#[test]
fn of_the_tls_options_the_one_is_named_that_cannot_be_had() {
    let server = Server::start(echo);
    for (options, what) in [
        (&["--cacert", "/no/such"][..], "Invalid CA Certificate File/Directory\n'/no/such': No such file or directory"),
        (&["--insecure", "--cert", "/no/such", "--key", "/no/key"], "Invalid client certificate\n'/no/such': No such"),
        (&["--insecure", "--key", "/no/key"], "Invalid private key\n--cert and --key must be given together"),
        (&["--insecure", "--tls-ciphers", "none"], "Error while configuring ciphers\n"),
        (&["--insecure", "--tls-ciphersuites", "none"], "Error while setting cypher suites\n"),
    ] {
        let done = server.cli(&[&["--tls"], options, &["PING"]].concat(), b"");
        let expected = format!("Could not negotiate a TLS connection: {what}");
        assert!(err(&done).starts_with(&expected), "{}", err(&done));
        assert_eq!(done.status.code(), Some(1));
    }
}

#[test]
fn a_command_on_the_command_line_is_run_and_its_reply_printed() {
    let server = Server::start(echo);
    let done = server.cli(&["list"], b"");
    assert_eq!((out(&done).as_str(), done.status.code()), ("a\n1\n", Some(0)));
    let done = server.cli(&["--no-raw", "-r", "2", "list"], b"");
    assert_eq!(out(&done), "1) \"a\"\n2) (integer) 1\n1) \"a\"\n2) (integer) 1\n");
    let done = server.cli(&["--json", "-2", "list"], b"");
    assert_eq!(out(&done), "[\"a\",1]\n");
}

#[test]
fn an_error_reply_is_a_failure_only_with_e() {
    let server = Server::start(echo);
    let done = server.cli(&["bad"], b"");
    assert_eq!((out(&done).as_str(), done.status.code()), ("ERR bad\n\n", Some(0)));
    let done = server.cli(&["-e", "bad"], b"");
    assert_eq!((out(&done).as_str(), err(&done).as_str(), done.status.code()), ("", "ERR bad\n", Some(1)));
}

#[test]
fn a_server_that_is_not_there_or_goes_away_is_a_failure() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let done = cli(&["-p", &closed, "ping"], b"");
    assert_eq!(err(&done), format!("Could not connect to Valkey at 127.0.0.1:{closed}: Connection refused\n"));
    assert_eq!(done.status.code(), Some(1));
    let done = Server::start(echo).cli(&["die"], b"");
    assert_eq!((err(&done).as_str(), done.status.code()), ("Error: Server closed the connection\n", Some(1)));
}

#[test]
fn commands_are_read_from_standard_input_and_go_on_after_errors() {
    let server = Server::start(echo);
    let done = server.cli(&[], b"set k \"a b\"\n\nbad\n'open\ndie\nlist\nquit\nset not reached\n");
    assert_eq!(out(&done), "OK\nERR bad\n\nInvalid argument(s)\na\n1\n");
    assert_eq!((err(&done).as_str(), done.status.code()), ("Error: Server closed the connection\n", Some(0)));
    assert_eq!(server.asked(), ["set k a b", "bad", "die", "list"]);
}

#[test]
fn an_argument_can_come_from_standard_input() {
    let server = Server::start(echo);
    server.cli(&["-x", "set", "k"], b"content");
    server.cli(&["-X", "tag", "set", "tag", "k"], b"content");
    server.cli(&["--quoted-input", "set", "\"\\x41\"", "b"], b"");
    assert_eq!(server.asked(), ["set k content", "set content k", "set A b"]);
    let done = server.cli(&["-X", "tag", "set", "k"], b"content");
    assert_eq!((err(&done).as_str(), done.status.code()), ("Using -X option but stdin tag not match.\n", Some(1)));
    let done = server.cli(&["--quoted-input", "get", "\"open"], b"");
    assert_eq!((out(&done).as_str(), done.status.code()), ("Invalid quoted string\n", Some(1)));
}

#[test]
fn scan_follows_the_cursor_to_its_end() {
    fn scan(command: &str) -> Option<String> {
        Some(match command {
            "SCAN 0 MATCH k* COUNT 10 TYPE hash" => "*2\r\n$1\r\n7\r\n*1\r\n$2\r\nk1\r\n".into(),
            "SCAN 7 MATCH k* COUNT 10 TYPE hash" => "*2\r\n$1\r\n0\r\n*2\r\n$2\r\nk2\r\n$2\r\nk3\r\n".into(),
            other => format!("-ERR unexpected {other}\r\n"),
        })
    }
    let done = Server::start(scan).cli(&["--scan", "--pattern", "k*", "--type", "hash"], b"");
    assert_eq!((out(&done).as_str(), done.status.code()), ("k1\nk2\nk3\n", Some(0)));
}

#[test]
fn pipe_sends_everything_and_counts_the_answers() {
    let server = Server::start(echo);
    let done = server.cli(&["--pipe"], b"SET a 1\r\n*2\r\n$3\r\nGET\r\n$1\r\na\r\n");
    let want = "All data transferred. Waiting for the last reply...\nLast reply received from server.\nerrors: 0, replies: 2\n";
    assert_eq!((out(&done).as_str(), done.status.code()), (want, Some(0)));
    let done = server.cli(&["--pipe"], b"bad\r\nSET a 1\r\n");
    assert!(out(&done).ends_with("errors: 1, replies: 2\n"));
    assert_eq!((err(&done).as_str(), done.status.code()), ("ERR bad\n", Some(1)));
}

const MARK: &str = "0123456789abcdef0123456789abcdef01234567";

#[test]
fn a_snapshot_of_known_size_and_one_with_an_end_mark_are_both_saved_whole() {
    fn sized(command: &str) -> Option<String> {
        Some(if command == "SYNC" { "\n\n$9\r\nsnapshot!".into() } else { "+OK\r\n".into() })
    }
    fn marked(command: &str) -> Option<String> {
        Some(if command == "SYNC" { format!("\n$EOF:{MARK}\r\nsnapshot!{MARK}") } else { "+OK\r\n".into() })
    }
    let path = std::env::temp_dir().join(format!("valkey-cli-test-{}.rdb", std::process::id()));
    for answer in [sized as fn(&str) -> _, marked] {
        std::fs::write(&path, "an older and longer snapshot").unwrap();
        let server = Server::start(answer);
        let done = server.cli(&["--rdb", path.to_str().unwrap()], b"");
        assert_eq!(done.status.code(), Some(0), "{}", err(&done));
        assert_eq!(std::fs::read(&path).unwrap(), b"snapshot!");
        assert_eq!(server.asked(), ["REPLCONF capa eof", "REPLCONF rdb-only 1", "SYNC"]);
        assert_eq!(out(&Server::start(answer).cli(&["--rdb", "-"], b"")), "snapshot!");
    }
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_replica_shows_the_commands_behind_the_snapshot() {
    fn primary(command: &str) -> Option<String> {
        Some(match command {
            "SYNC" => format!("$EOF:{MARK}\r\nsnapshot!{MARK}"),
            // Only now does a primary send its stream.
            "REPLCONF ACK 0" => "*3\r\n$3\r\nset\r\n$1\r\nk\r\n$3\r\na b\r\n*1\r\n$4\r\nping\r\n".into(),
            _ => "+OK\r\n".into(),
        })
    }
    let server = Server::start(primary);
    let mut child = Command::new(env!("CARGO_BIN_EXE_valkey-cli"))
        .args(["-p", &server.port.to_string(), "--replica"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines: Vec<String> = BufReader::new(child.stdout.take().unwrap()).lines().take(2).map(Result::unwrap).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(lines, ["\"set\",\"k\",\"a b\"", "\"ping\""]);
}

#[test]
fn subscriptions_are_shown_until_the_server_ends_them() {
    fn pubsub(command: &str) -> Option<String> {
        let message = "*3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$2\r\nhi\r\n";
        match command {
            "subscribe ch" => Some(format!("*3\r\n$9\r\nsubscribe\r\n$2\r\nch\r\n:1\r\n{message}")),
            "ping" => Some(format!("{message}*2\r\n$4\r\npong\r\n$0\r\n\r\n")),
            "unsubscribe" => Some("*3\r\n$11\r\nunsubscribe\r\n$2\r\nch\r\n:0\r\n".into()),
            _ => Some("+OK\r\n".into()),
        }
    }
    let server = Server::start(pubsub);
    let done = server.cli(&[], b"subscribe ch\n:get pubsub\nping\nunsubscribe\n:get pubsub\nget k\n");
    let want = "subscribe\nch\n1\nmessage\nch\nhi\n1\nmessage\nch\nhi\npong\n\nunsubscribe\nch\n0\n0\nOK\n";
    assert_eq!(out(&done), want);
}

#[test]
fn a_password_is_sent_first_and_a_wrong_one_is_told() {
    fn guarded(command: &str) -> Option<String> {
        Some(match command {
            "AUTH right" | "AUTH user right" => "+OK\r\n".into(),
            _ if command.starts_with("AUTH") => "-WRONGPASS no\r\n".into(),
            _ => "+OK\r\n".into(),
        })
    }
    let server = Server::start(guarded);
    let done = server.cli(&["-a", "right", "-n", "2", "ping"], b"");
    assert!(err(&done).starts_with("Warning: Using a password"));
    assert_eq!(server.asked(), ["AUTH right", "SELECT 2", "ping"]);
    let done = server.cli(&["--no-auth-warning", "--user", "user", "--pass", "wrong", "ping"], b"");
    assert_eq!(err(&done), "AUTH failed: WRONGPASS no\n");
    let done = server.cli(&["--askpass", "ping"], b"right\n");
    assert_eq!((out(&done).as_str(), err(&done).as_str()), ("OK\n", ""));
    let done = server.cli(&["--no-auth-warning", "-a", "wrong", "--scan"], b"");
    assert_eq!(done.status.code(), Some(1));
}

#[test]
fn what_this_build_lacks_is_refused_and_not_ignored() {
    for (args, want) in [
        (
            &["--cluster", "info", "127.0.0.1:1"][..],
            "'--cluster info' is not supported: this valkey-cli manages no clusters. Try --cluster help.\n",
        ),
        (&["--bogus"], "Unrecognized option or bad number of args for: '--bogus'\n"),
    ] {
        let done = cli(args, b"");
        assert_eq!((err(&done).as_str(), done.status.code()), (want, Some(1)));
    }
    let done = cli(&["--cluster", "help"], b"");
    assert!(out(&done).starts_with("Cluster Manager Commands:\n") && done.status.code() == Some(1));
    assert_eq!(out(&cli(&["--version"], b"")), "valkey-cli 9.1.2\n");
    assert!(out(&cli(&["--help"], b"")).contains("Usage: valkey-cli"));
}
