//! Following a primary: the link's state, and its life from the connection to its loss.
//!
//! A state machine over a non-blocking socket. Each step is taken when its event comes; only a failed attempt waits,
//! for a second, before the next.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};

use super::dual_channel::{Kept, MainChannel};
use super::receive::Receive;
use crate::bio::Message;
use crate::client::{Client, ClientId};
use crate::config::Config;
use crate::net::{Interest, Stream, Token, resolve};
use crate::resp::argv::encode_command;
use crate::server::Server;
use crate::{log_notice, log_warning};

/// Milliseconds between attempts.
const RETRY_MS: i64 = 1000;
/// The longest line that a primary may answer in the handshake, or begin a snapshot with.
pub(super) const LINE_MAX: usize = 64 * 1024;

/// How far the link is.
#[derive(Debug)]
pub enum Phase {
    /// To be connected at this Unix time in ms.
    Connect(i64),
    /// The name is being looked up.
    Resolving,
    /// The connection is being made.
    Connecting,
    /// Questions were sent; these replies are due.
    Handshake(VecDeque<Asked>),
    /// PSYNC (or SYNC) was sent.
    AwaitPsync,
    /// The snapshot arrives.
    Receiving(Box<Receive>),
    /// The snapshot came over a connection of its own, and is loaded; the stream is not agreed on yet.
    SnapshotLoaded,
    /// The stream arrives, as this client's requests.
    Up(ClientId),
}

/// What a reply in the handshake answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// PING
    Ping,
    /// AUTH
    Auth,
    /// REPLCONF, whose refusal does no harm.
    Info(&'static str),
    /// The REPLCONF that asks for a connection for the snapshot alone.
    RdbChannel,
}

/// The link to our primary.
#[derive(Debug)]
pub struct Link {
    /// The primary's host.
    pub host: String,
    /// The primary's port.
    pub port: u16,
    /// See [`Phase`].
    pub phase: Phase,
    /// Counts attempts, to know late answers of the name server.
    pub attempt: u64,
    /// The socket before it is a client.
    pub stream: Option<Stream>,
    /// Received and not understood yet.
    pub input: Vec<u8>,
    /// To be sent.
    pub(super) output: Vec<u8>,
    /// Unix time in ms of the last sign of life.
    pub last_io_ms: i64,
    /// Unix time in ms since when the link is not up.
    pub down_since_ms: i64,
    /// The database that the stream selected, for the next time it is continued.
    pub stream_db: usize,
    /// The other side is to take over from us: PSYNC says so.
    pub failover: bool,
    /// Where it stood as our replica, should its name have no address just now: a handover must not end there.
    pub known_ip: Option<IpAddr>,
    /// Unix time in ms of the next acknowledgement.
    pub next_ack_ms: i64,
    /// Bytes of a transaction that is not complete: they count when EXEC was executed.
    pub transaction: Vec<u8>,
    /// The transaction wants to be counted (MULTI was seen).
    pub in_transaction: bool,
    /// Whether the primary refused PSYNC: it only knows SYNC.
    pub old_primary: bool,
    /// The snapshot comes over a connection of its own.
    pub dual_channel: bool,
    /// The other connection meanwhile; none although there are two: it was lost.
    pub main: Option<Box<MainChannel>>,
    /// What the stream brought meanwhile, to be executed before what the socket has.
    pub kept: Kept,
    /// The most bytes that were kept since the last sync began.
    pub kept_peak: usize,
}

impl Link {
    /// A link that will be made in this turn.
    pub fn new(host: String, port: u16, now_ms: i64, stream_db: usize) -> Self {
        Link {
            host,
            port,
            phase: Phase::Connect(now_ms),
            attempt: 0,
            stream: None,
            input: Vec::new(),
            output: Vec::new(),
            last_io_ms: now_ms,
            down_since_ms: now_ms,
            stream_db,
            failover: false,
            known_ip: None,
            next_ack_ms: 0,
            transaction: Vec::new(),
            in_transaction: false,
            old_primary: false,
            dual_channel: false,
            main: None,
            kept: Kept::default(),
            kept_peak: 0,
        }
    }

    /// Whether the stream arrives.
    pub fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Up(_))
    }

    /// Whether a snapshot arrives.
    pub fn is_receiving(&self) -> bool {
        matches!(self.phase, Phase::Receiving(_) | Phase::SnapshotLoaded)
    }

    /// The state's name in ROLE.
    pub fn role_state(&self) -> &'static str {
        match self.phase {
            Phase::Connect(_) => "connect",
            Phase::Resolving | Phase::Connecting => "connecting",
            Phase::Handshake(_) | Phase::AwaitPsync => "handshake",
            Phase::Receiving(_) | Phase::SnapshotLoaded => "sync",
            Phase::Up(_) => "connected",
        }
    }

    /// Queues a command for the handshake.
    pub fn send<'a>(&mut self, args: impl IntoIterator<Item = &'a [u8], IntoIter: ExactSizeIterator>) {
        encode_command(&mut self.output, args);
    }

    /// Queues AUTH, if there is a password.
    pub fn authenticate(&mut self, config: &Config, due: &mut VecDeque<Asked>) {
        if config.primaryauth.is_empty() {
            return;
        }
        let mut args: Vec<&[u8]> = vec![b"AUTH"];
        if !config.primaryuser.is_empty() {
            args.push(&config.primaryuser);
        }
        args.push(&config.primaryauth);
        self.send(args);
        due.push_back(Asked::Auth);
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl Server {
    /// Takes the steps that time alone brings: connecting, giving up on silence, acknowledging.
    pub fn drive_link(&mut self) {
        let now = self.now_ms();
        let timeout = i64::from(self.config.repl_timeout) * 1000;
        let Some(link) = &mut self.repl.link else { return };
        match &link.phase {
            Phase::Connect(at) if *at <= now => self.connect_to_primary(),
            Phase::Connect(_) => {}
            Phase::Up(id) => {
                if now - link.last_io_ms > timeout {
                    log_warning!("PRIMARY timeout: no data nor PING received...");
                    let id = *id;
                    if let Some(slot) = self.clients.slot_of(id) {
                        self.clients.to_close.push(slot);
                    }
                } else if link.next_ack_ms <= now {
                    self.send_ack();
                }
            }
            _ if now - link.last_io_ms > timeout => {
                let what = match link.phase {
                    Phase::Receiving(_) => {
                        "Timeout receiving bulk data from PRIMARY... If the problem persists try to set the 'repl-timeout' parameter in valkey.conf to a larger value."
                    }
                    _ => "Timeout connecting to the PRIMARY...",
                };
                log_warning!("{what}");
                self.retry_link();
            }
            _ => {}
        }
    }

    /// When [`drive_link`](Self::drive_link) has something to do, in Unix ms.
    pub fn link_due(&self) -> Option<i64> {
        let link = self.repl.link.as_ref()?;
        let timeout = link.last_io_ms + i64::from(self.config.repl_timeout) * 1000 + 1;
        Some(match link.phase {
            Phase::Connect(at) => at,
            Phase::Up(_) => link.next_ack_ms.min(timeout),
            _ => timeout,
        })
    }

    fn connect_to_primary(&mut self) {
        let now = self.now_ms();
        let Some(link) = &mut self.repl.link else { return };
        log_notice!("Connecting to PRIMARY {}", link.address());
        link.attempt += 1;
        link.phase = Phase::Resolving;
        link.last_io_ms = now;
        let (attempt, postbox) = (link.attempt, self.mailbox.postbox());
        resolve::resolve(&link.host, link.port, move |found| postbox.post(Message::Resolved(attempt, found)));
    }

    /// The name server answered.
    pub fn primary_resolved(&mut self, attempt: u64, found: std::io::Result<SocketAddr>) {
        let source = self.link_source();
        let Some(link) = &self.repl.link else { return };
        if link.attempt != attempt || !matches!(link.phase, Phase::Resolving) {
            return;
        }
        let found = found.or_else(|e| {
            let ip = link.known_ip.ok_or(e)?;
            log_notice!("{} has no address; it is where our replica {} was: {ip}", link.host, link.address());
            Ok(SocketAddr::new(ip, link.port))
        });
        let connected =
            found.and_then(|addr| Stream::connect(addr, source, self.config.repl_mptcp)).and_then(|mut stream| {
                self.connect_tls(&mut stream, &link.host)?;
                self.poll.add(&stream, Token::PrimaryLink, Interest::ReadWrite)?;
                Ok(stream)
            });
        match connected {
            Ok(stream) => {
                let Some(link) = &mut self.repl.link else { return };
                stream.tune(std::time::Duration::from_secs(u64::from(self.config.tcp_keepalive)));
                link.stream = Some(stream);
                link.phase = Phase::Connecting;
                link.input.clear();
                link.output.clear();
                log_notice!("PRIMARY <-> REPLICA sync started");
            }
            Err(e) => {
                log_warning!("Unable to connect to PRIMARY: {e}");
                self.retry_link();
            }
        }
    }

    /// The link's socket is ready, before it is a client.
    pub fn link_ready(&mut self, readable: bool, writable: bool) {
        let now = self.now_ms();
        let Some(link) = &mut self.repl.link else { return };
        let Some(stream) = &link.stream else { return };
        if matches!(link.phase, Phase::Connecting) && writable {
            if let Err(e) = stream.take_error() {
                log_warning!("Error condition on socket for SYNC: {e}");
                return self.retry_link();
            }
            log_notice!("Non blocking connect for SYNC fired the event.");
            link.last_io_ms = now;
            if link.dual_channel {
                self.introduce_rdb_channel();
            } else {
                link.send([&b"PING"[..]]);
                link.phase = Phase::Handshake(VecDeque::from([Asked::Ping]));
            }
        }
        if readable && !self.link_is_connecting() {
            match self.read_link() {
                Ok(()) => {}
                Err(why) => {
                    log_warning!("{why}");
                    return self.retry_link();
                }
            }
        }
        self.flush_link();
    }

    /// Sends what the handshake has to say.
    fn flush_link(&mut self) {
        if self.link_is_connecting() {
            return;
        }
        let Some(link) = &mut self.repl.link else { return };
        let Some(stream) = &link.stream else { return };
        while !link.output.is_empty() {
            match stream.write(&link.output) {
                Ok(n) => drop(link.output.drain(..n)),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => {
                    log_warning!("Sending to the PRIMARY: {e}");
                    return self.retry_link();
                }
            }
        }
        if let Err(e) = stream.send_taken() {
            log_warning!("Sending to the PRIMARY: {e}");
            return self.retry_link();
        }
        let sent = link.output.is_empty() && !stream.wants_write();
        let wanted = if sent { Interest::Read } else { Interest::ReadWrite };
        if let Err(e) = self.poll.modify(stream, Token::PrimaryLink, wanted) {
            log_warning!("Watching the link to the PRIMARY: {e}");
            self.retry_link();
        }
    }

    fn link_is_connecting(&self) -> bool {
        self.repl.link.as_ref().is_some_and(|l| matches!(l.phase, Phase::Connecting))
    }

    /// Reads and understands what the primary sent.
    fn read_link(&mut self) -> Result<(), String> {
        let now = self.now_ms();
        loop {
            let Some(link) = &mut self.repl.link else { return Ok(()) };
            if let Phase::Receiving(_) = link.phase {
                return self.receive_snapshot();
            }
            if matches!(link.phase, Phase::Connecting) {
                // The next is said on another connection.
                return Ok(());
            }
            let Some(stream) = &link.stream else { return Ok(()) };
            // Line by line: what follows +FULLRESYNC and +CONTINUE belongs to somebody else.
            let Some(line) = take_line(&mut link.input) else {
                if link.input.len() > LINE_MAX {
                    return Err("The PRIMARY answered the handshake with something endless".to_owned());
                }
                link.input.reserve(4096);
                match stream.read_into(&mut link.input, 4096) {
                    Ok(0) => return Err("The PRIMARY closed the connection during the handshake".to_owned()),
                    Ok(_) => {
                        link.last_io_ms = now;
                        continue;
                    }
                    Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                    Err(e) => return Err(format!("I/O error reading from the PRIMARY: {e}")),
                }
            };
            if !line.is_empty() {
                self.link_answered(&line)?;
            }
        }
    }

    /// The client that was the stream is gone.
    pub fn primary_disconnected(&mut self, client: &mut Client) {
        let Some(link) = &self.repl.link else { return };
        if !matches!(link.phase, Phase::Up(id) if id == client.id) {
            return;
        }
        log_warning!("Connection with primary lost.");
        log_notice!("Caching the disconnected primary state.");
        self.retry_link_now();
    }

    /// Gives the attempt up; the next one comes after a while.
    pub fn retry_link(&mut self) {
        let at = self.now_ms() + RETRY_MS;
        self.reset_link(at);
        self.failover_answered(false);
    }

    /// Gives the connection up; the next attempt follows at once.
    fn retry_link_now(&mut self) {
        let at = self.now_ms();
        self.reset_link(at);
    }

    fn reset_link(&mut self, next_ms: i64) {
        let now = self.now_ms();
        self.drop_main_channel();
        let Some(link) = &mut self.repl.link else { return };
        if let Some(stream) = link.stream.take() {
            self.poll.remove(&stream);
        }
        if link.is_up() {
            link.down_since_ms = now;
        }
        link.phase = Phase::Connect(next_ms);
        link.dual_channel = false;
        link.kept = Kept::default();
        link.transaction.clear();
        link.in_transaction = false;
        link.input.clear();
        link.output.clear();
        link.last_io_ms = now;
    }
}

/// Takes a line off the front; without its line break.
pub fn take_line(input: &mut Vec<u8>) -> Option<String> {
    let end = memchr::memchr(b'\n', input)?;
    let line = String::from_utf8_lossy(&input[..end]).trim_end_matches('\r').to_owned();
    input.drain(..=end);
    Some(line)
}
