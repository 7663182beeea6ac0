//! What clients are told that cache, and which are closed when all hold too much memory.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use valkey_repl_e2e::server::{Program, Server};
use valkey_repl_e2e::wait::until;

const LIMIT: Duration = Duration::from_secs(30);

/// A connection whose bytes the test sees as they are.
struct Raw(TcpStream);

impl Raw {
    fn open(server: &Server) -> Raw {
        let stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Raw(stream)
    }

    fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    /// Reads exactly this.
    fn expect(&mut self, text: &str) {
        let mut got = vec![0; text.len()];
        self.0.read_exact(&mut got).unwrap();
        assert_eq!(String::from_utf8_lossy(&got), text);
    }

    fn is_closed(&mut self) -> bool {
        matches!(self.0.read(&mut [0; 64]), Ok(0) | Err(_))
    }
}

#[test]
fn a_client_that_caches_hears_of_a_change_after_the_answer_to_its_own_command() {
    let server = Server::start(Program::Ours, &[""; 0]).unwrap();
    let mut writer = server.client().unwrap();
    let mut cache = Raw::open(&server);
    cache.send(b"HELLO 3\r\nCLIENT TRACKING ON\r\n");
    let mut hello = vec![0; 1];
    while !hello.ends_with(b"+OK\r\n") {
        let mut byte = [0];
        cache.0.read_exact(&mut byte).unwrap();
        hello.extend(byte);
    }
    writer.cmd(&["SET", "k", "1"]).unwrap();
    cache.send(b"GET k\r\n");
    cache.expect("$1\r\n1\r\n");
    writer.cmd(&["SET", "k", "2"]).unwrap();
    cache.expect(">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n");
    // Told once: what is not read again is not cached.
    writer.cmd(&["SET", "k", "3"]).unwrap();
    cache.send(b"GET k\r\n");
    cache.expect("$1\r\n3\r\n");
    cache.send(b"MULTI\r\nSET k 4\r\nPING\r\nEXEC\r\n");
    cache.expect("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n+PONG\r\n>2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n");
    writer.cmd(&["FLUSHALL"]).unwrap();
    cache.expect(">2\r\n$10\r\ninvalidate\r\n_\r\n");
}

#[test]
fn another_connection_can_be_told_in_the_place_of_one_that_caches() {
    let server = Server::start(Program::Ours, &[""; 0]).unwrap();
    let mut writer = server.client().unwrap();
    let mut listener = Raw::open(&server);
    listener.send(b"CLIENT ID\r\n");
    let mut id = Vec::new();
    while !id.ends_with(b"\r\n") {
        let mut byte = [0];
        listener.0.read_exact(&mut byte).unwrap();
        id.extend(byte);
    }
    let id = String::from_utf8(id).unwrap().trim().trim_start_matches(':').to_owned();
    listener.send(b"SUBSCRIBE __redis__:invalidate\r\n");
    listener.expect("*3\r\n$9\r\nsubscribe\r\n$20\r\n__redis__:invalidate\r\n:1\r\n");
    let mut cache = server.client().unwrap();
    cache.cmd(&["CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "user:", "REDIRECT", &id]).unwrap();
    writer.cmd(&["MSET", "other", "1", "user:1", "1"]).unwrap();
    listener.expect("*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$6\r\nuser:1\r\n");
}

#[test]
fn the_client_that_holds_most_is_closed_when_all_hold_too_much_unless_it_is_to_be_kept() {
    let server = Server::start(Program::Ours, &["maxmemory-clients 10mb"]).unwrap();
    let mut watcher = server.client().unwrap();
    let half_sent = |length: usize| [format!("*1\r\n${}\r\n", length * 2).as_bytes(), &vec![b'x'; length]].concat();
    let mut kept = Raw::open(&server);
    kept.send(b"CLIENT NO-EVICT ON\r\n");
    kept.expect("+OK\r\n");
    kept.send(b"CLIENT SETNAME kept\r\n");
    kept.expect("+OK\r\n");
    let mut large = Raw::open(&server);
    large.send(&half_sent(4_500_000));
    let mut small = Raw::open(&server);
    small.send(b"PING\r\n");
    small.expect("+PONG\r\n");
    kept.send(&half_sent(6_000_000));
    assert!(large.is_closed());
    small.send(b"PING\r\n");
    small.expect("+PONG\r\n");
    until("the count", LIMIT, || {
        let stats = watcher.cmd(&["INFO", "stats"]).unwrap().text().unwrap();
        if stats.contains("evicted_clients:1\r\n") { Ok(()) } else { Err(stats) }
    });
    let list = watcher.cmd(&["CLIENT", "LIST"]).unwrap().text().unwrap();
    assert!(list.contains("name=kept"), "{list}");
}
