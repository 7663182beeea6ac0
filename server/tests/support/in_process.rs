//! A server within the test's own process, for tests that feed it thousands of inputs: one client of it on a socket pair, and turns
//! of its loop when the test says so. What breaks in it breaks the test, so the sanitizers and the fuzzer see it.

// Each test uses its own part of this.
#![allow(dead_code)]

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use valkey_server::client::Client;
use valkey_server::config::DisklessLoad;
use valkey_server::net::poll::{Interest, Token};
use valkey_server::net::{Event, Stream};
use valkey_server::replication::link::Phase;
use valkey_server::resp::argv::encode_command;
use valkey_server::server::Server;

/// A server, its one client, and its directory.
pub struct InProcess {
    /// The server.
    pub server: Server,
    peer: UnixStream,
    events: Vec<Event>,
    dir: PathBuf,
}

/// Bytes that one turn takes from a client at least.
const PER_TURN: usize = 8 * 1024;
/// Turns that nothing needs more of, for what follows from the last bytes.
const SETTLE: usize = 4;

impl InProcess {
    /// A server with these configuration lines, in a new directory (in memory where there is such a place).
    pub fn start(lines: &str) -> InProcess {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let memory = PathBuf::from("/dev/shm");
        let parent = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let dir = parent.join(format!("valkey-in-process-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory for the server");
        let all = format!(
            "port 0\nunixsocket {0}/socket\nsave \"\"\nlogfile /dev/null\ndir {0}\nproto-max-bulk-len 1mb\n{lines}\n",
            dir.display()
        );
        let loaded = valkey_server::config::load(None, b"", all.as_bytes()).expect("a good configuration");
        let mut server = Server::start(loaded).expect("a server");
        let (peer, ours) = pair();
        let client = Client::new(server.clients.next_id(), Some(ours), server.now_ms());
        server.register(client);
        InProcess { server, peer, events: Vec::new(), dir }
    }

    /// Where it keeps its files.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// One turn of the loop.
    pub fn turn(&mut self) {
        self.server.turn(&mut self.events, Duration::ZERO);
    }

    /// Sends bytes as the client and returns what it was answered.
    pub fn send(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        let mut answer = Vec::new();
        let mut turns = SETTLE + bytes.len() / PER_TURN;
        while turns > 0 {
            match self.peer.write(bytes) {
                Ok(n) => bytes = &bytes[n..],
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                // The server closed it.
                Err(_) => bytes = &[],
            }
            self.turn();
            let before = answer.len();
            // An error other than "nothing yet" means that the server closed the connection.
            let _ = self.peer.read_to_end(&mut answer);
            turns -= usize::from(answer.len() == before);
        }
        answer
    }

    /// Sends a command as the client and returns what it was answered.
    pub fn ask(&mut self, args: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode_command(&mut bytes, args.iter().copied());
        self.send(&bytes)
    }

    /// A new client instead of the one there was.
    pub fn reconnect(&mut self) {
        let (peer, ours) = pair();
        self.peer = peer;
        self.turn();
        self.turn();
        let client = Client::new(self.server.clients.next_id(), Some(ours), self.server.now_ms());
        self.server.register(client);
    }

    /// A new client, no data, nobody's replica: as if nothing had been.
    pub fn reset(&mut self) {
        self.server.become_primary();
        drop(self.server.keyspace.flush(None));
        self.server.exit = None;
        self.server.shutdown = None;
        self.reconnect();
    }

    /// What this client's requests put into the replication stream, from the first SELECT on.
    pub fn streamed(&mut self, requests: &[u8]) -> Vec<u8> {
        self.server.begin_stream();
        self.server.repl.stream_db = None;
        let mut at = self.server.repl.offset();
        self.send(requests);
        let mut stream = Vec::new();
        while let Some(piece) = self.server.repl.buffer.as_ref().map(|b| b.read(at)).filter(|piece| !piece.is_empty()) {
            stream.extend_from_slice(piece);
            at += piece.len() as u64;
        }
        stream
    }

    /// Makes the server the replica of somebody who sends an empty snapshot and then this stream.
    pub fn replay(&mut self, stream: &[u8]) {
        let start = b"+PONG\r\n+OK\r\n+OK\r\n+OK\r\n+FULLRESYNC 0123456789abcdef0123456789abcdef01234567 0\r\n";
        self.follow(&[&start[..], b"$18\r\nREDIS0011\xff\0\0\0\0\0\0\0\0", stream].concat());
    }

    /// Makes the server the replica of somebody who sends these bytes, from its answer to PING on, and then hangs up.
    pub fn follow(&mut self, stream: &[u8]) {
        let (mut primary, ours) = pair();
        // Nobody listens at port 1; the connection is given to it below.
        self.server.become_replica_of("127.0.0.1", 1);
        self.server.poll.add(&ours, Token::PrimaryLink, Interest::ReadWrite).expect("the socket can be watched");
        if let Some(link) = &mut self.server.repl.link {
            link.attempt += 1;
            link.phase = Phase::Connecting;
            link.stream = Some(ours);
        }
        self.turn();
        // After a snapshot that ends with a mark a primary waits for an acknowledgement: by way of disk, the mark is the last that
        // came. A load from the socket blocks the loop, so all that it may want, the end too, must be there before.
        let by_disk = self.server.config.repl_diskless_load == DisklessLoad::Disabled;
        let (first, later) = stream.split_at(if by_disk { after_mark(stream) } else { stream.len() });
        for (piece, is_last) in [(first, later.is_empty()), (later, true)] {
            // What does not fit is lost, as with a broken connection; inputs are smaller.
            let _ = primary.write(piece);
            if is_last {
                let _ = primary.shutdown(std::net::Shutdown::Write);
            }
            for _ in 0..SETTLE + piece.len() / PER_TURN {
                self.turn();
                // What the replica says is of no interest, but it must be able to say it.
                let _ = primary.read_to_end(&mut Vec::new());
            }
        }
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Where the snapshot ends whose end is marked; everything where there is none.
fn after_mark(stream: &[u8]) -> usize {
    const HEADER: &[u8] = b"$EOF:";
    const LEN: usize = 40;
    let find =
        |what: &[u8], from: usize| stream[from..].windows(what.len()).position(|w| w == what).map(|at| from + at);
    let mark = find(HEADER, 0).map(|at| at + HEADER.len()).filter(|at| at + LEN <= stream.len());
    let end = mark.and_then(|at| find(&stream[at..at + LEN], at + LEN)).map(|end| end + LEN);
    end.unwrap_or(stream.len())
}

fn pair() -> (UnixStream, Stream) {
    let (peer, ours) = UnixStream::pair().expect("a socket pair");
    peer.set_nonblocking(true).expect("a socket that does not block");
    (peer, Stream::accepted(ours.into()).expect("a socket"))
}
