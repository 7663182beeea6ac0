//! Connections to other servers for a command that waits for their answers (MIGRATE), kept open for a while for the next one.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long an unused connection is kept, in ms.
const KEPT_MS: i64 = 10_000;
/// How many are kept.
const MAX_KEPT: usize = 64;
/// The longest answer that is read.
const MAX_ANSWER: usize = 4096;

/// A connection to another server. Whoever uses it waits.
#[derive(Debug)]
pub struct Peer {
    stream: BufReader<TcpStream>,
    /// The database that is selected there, if that is known.
    pub db: Option<i64>,
}

/// An exchange that did not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken {
    /// While the requests were written.
    pub writing: bool,
    /// It took too long.
    pub timed_out: bool,
}

impl Peer {
    /// Connects, waiting no longer than `timeout`.
    ///
    /// # Errors
    /// There is no such host, or nobody answers there.
    pub fn connect(host: &str, port: u16, timeout: Duration) -> io::Result<Peer> {
        let mut failure = io::Error::other("the name has no address");
        for address in (host, port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, timeout) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(Peer { stream: BufReader::new(stream), db: None });
                }
                Err(e) => failure = e,
            }
        }
        Err(failure)
    }

    /// Sends requests and reads `n` answers of one line each; gives those that came, and why no more did. No step takes longer than
    /// `timeout`.
    pub fn exchange(&mut self, requests: &[u8], n: usize, timeout: Duration) -> (Vec<Vec<u8>>, Option<Broken>) {
        let mut answers = Vec::with_capacity(n);
        let stream = self.stream.get_mut();
        let sent = stream
            .set_write_timeout(Some(timeout))
            .and_then(|()| stream.set_read_timeout(Some(timeout)))
            .and_then(|()| stream.write_all(requests));
        if let Err(e) = sent {
            return (answers, Some(Broken::new(true, &e)));
        }
        while answers.len() < n {
            match self.line() {
                Ok(answer) => answers.push(answer),
                Err(e) => return (answers, Some(Broken::new(false, &e))),
            }
        }
        (answers, None)
    }

    fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        while !line.ends_with(b"\n") {
            let part = self.stream.fill_buf()?;
            if part.is_empty() || line.len() > MAX_ANSWER {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let end = memchr::memchr(b'\n', part).map_or(part.len(), |at| at + 1);
            line.extend_from_slice(&part[..end]);
            self.stream.consume(end);
        }
        line.truncate(line.trim_ascii_end().len());
        Ok(line)
    }
}

impl Broken {
    fn new(writing: bool, why: &io::Error) -> Broken {
        // Linux says "would block" when a socket's timeout has passed.
        let timed_out = matches!(why.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
        Broken { writing, timed_out }
    }
}

/// Connections that are open and not in use.
#[derive(Debug, Default)]
pub struct Peers(HashMap<(String, u16), (Peer, i64)>);

impl Peers {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes out the connection to a server.
    pub fn take(&mut self, host: &str, port: u16) -> Option<Peer> {
        self.0.remove(&(host.to_owned(), port)).map(|(peer, _)| peer)
    }

    /// Keeps a connection that was used at `now_ms`.
    pub fn put(&mut self, host: &str, port: u16, peer: Peer, now_ms: i64) {
        if self.0.len() >= MAX_KEPT
            && let Some(other) = self.0.keys().next().cloned()
        {
            self.0.remove(&other);
        }
        self.0.insert((host.to_owned(), port), (peer, now_ms));
    }

    /// Closes those that were not used for a while.
    pub fn close_unused(&mut self, now_ms: i64) {
        self.0.retain(|_, (_, used_ms)| now_ms - *used_ms <= KEPT_MS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_server_that_says_nothing_is_waited_for_no_longer_than_asked() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut peer = Peer::connect("127.0.0.1", port, Duration::from_secs(10)).unwrap();
        let (mut other, _) = listener.accept().unwrap();
        other.write_all(b"+OK\r\n").unwrap();
        let (answers, broken) = peer.exchange(b"x", 2, Duration::from_millis(50));
        assert_eq!(answers, [b"+OK"]);
        assert_eq!(broken, Some(Broken { writing: false, timed_out: true }));
        drop(other);
        let (_, broken) = peer.exchange(b"x", 1, Duration::from_secs(10));
        assert!(broken.is_some_and(|broken| !broken.timed_out));
    }

    #[test]
    fn an_unused_connection_is_closed_after_a_while() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut peers = Peers::default();
        peers.put("h", port, Peer::connect("127.0.0.1", port, Duration::from_secs(10)).unwrap(), 1000);
        peers.close_unused(11_000);
        assert_eq!(peers.len(), 1);
        peers.close_unused(11_001);
        assert!(peers.is_empty());
        assert!(peers.take("h", port).is_none());
    }
}
