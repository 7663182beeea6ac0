//! Following a primary: connecting, the handshake, and the link's life.
//!
//! A state machine over a non-blocking socket. Each step is taken when its event comes; only a failed attempt waits,
//! for a second, before the next.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};

use super::dual_channel::{Kept, MainChannel};
use super::receive::Receive;
use crate::bio::Message;
use crate::client::{Client, ClientFlags, ClientId};
use crate::commands::{Flags, table};
use crate::config::Config;
use crate::net::{Interest, Stream, Token, resolve};
use crate::resp::argv::encode_command;
use crate::resp::{Argv, QueryBuf};
use crate::server::{Server, VALKEY_VERSION};
use crate::{log_notice, log_warning};

/// How long our replicas wait for a new primary's first bytes, in ms.
const IDLE_TAIL_MS: i64 = 1000;
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
    output: Vec<u8>,
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
        let connected = found.and_then(|addr| Stream::connect(addr, source)).and_then(|mut stream| {
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

    fn link_answered(&mut self, line: &str) -> Result<(), String> {
        let Some(link) = &mut self.repl.link else { return Ok(()) };
        match &mut link.phase {
            Phase::Handshake(due) => {
                match due.pop_front() {
                    Some(Asked::Ping) => {
                        // An old Redis answers "operation not permitted" instead of NOAUTH.
                        let tolerable = ["-NOAUTH", "-NOPERM", "-ERR operation not permitted"];
                        if line.starts_with('-') && !tolerable.iter().any(|t| line.starts_with(t)) {
                            return Err(format!("Error reply to PING from primary: '{line}'"));
                        }
                        log_notice!("Primary replied to PING, replication can continue...");
                        return self.introduce_ourselves();
                    }
                    Some(Asked::Auth) if line.starts_with('-') => {
                        return Err(format!("Unable to AUTH to PRIMARY: {line}"));
                    }
                    Some(Asked::Info(what)) if line.starts_with('-') => {
                        log_notice!("(Non critical) Primary does not understand REPLCONF {what}: {line}");
                    }
                    Some(Asked::RdbChannel) if line.starts_with('-') => {
                        return Err(format!(
                            "Server does not support sync with offset, dual channel sync approach cannot be used: {line}"
                        ));
                    }
                    _ => {}
                }
                if due.is_empty() {
                    self.ask_for_sync();
                }
                Ok(())
            }
            Phase::AwaitPsync => self.psync_answered(line),
            _ => Ok(()),
        }
    }

    /// AUTH and all REPLCONFs in one go.
    fn introduce_ourselves(&mut self) -> Result<(), String> {
        let port = self.announced_port();
        let Some(link) = &mut self.repl.link else { return Ok(()) };
        let mut due = VecDeque::new();
        link.authenticate(&self.config, &mut due);
        link.send([&b"REPLCONF"[..], b"listening-port", port.to_string().as_bytes()]);
        due.push_back(Asked::Info("listening-port"));
        if !self.config.replica_announce_ip.is_empty() {
            link.send([&b"REPLCONF"[..], b"ip-address", &self.config.replica_announce_ip]);
            due.push_back(Asked::Info("ip-address"));
        }
        let mut capabilities: Vec<&[u8]> = vec![b"REPLCONF", b"capa", b"eof", b"capa", b"psync2"];
        if self.config.dual_channel_replication_enabled && !self.config.tls_replication {
            capabilities.extend([&b"capa"[..], b"dual-channel"]);
        }
        link.send(capabilities);
        due.push_back(Asked::Info("capa"));
        link.send([&b"REPLCONF"[..], b"version", VALKEY_VERSION.as_bytes()]);
        due.push_back(Asked::Info("VERSION"));
        link.phase = Phase::Handshake(due);
        Ok(())
    }

    /// The port that the primary is told.
    pub fn announced_port(&self) -> u16 {
        match self.config.replica_announce_port {
            0 if self.config.tls_replication && self.config.tls_port != 0 => self.config.tls_port,
            0 => self.config.port,
            announced => announced,
        }
    }

    fn ask_for_sync(&mut self) {
        let h = &self.repl.history;
        let known = self.repl.buffer.is_some();
        let Some(link) = &mut self.repl.link else { return };
        link.phase = Phase::AwaitPsync;
        if link.old_primary || link.dual_channel {
            return encode_command(&mut link.output, [&b"SYNC"[..]]);
        }
        let (id, offset): (&[u8], String) =
            if known { (&h.id, (h.offset + 1).to_string()) } else { (b"?", "-1".to_owned()) };
        if known {
            log_notice!("Trying a partial resynchronization (request {}:{offset}).", String::from_utf8_lossy(id));
        } else {
            log_notice!("Partial resynchronization not possible (no cached primary)");
        }
        let mut args = vec![&b"PSYNC"[..], id, offset.as_bytes()];
        if link.failover {
            args.push(b"FAILOVER");
        }
        encode_command(&mut link.output, args);
    }

    fn psync_answered(&mut self, line: &str) -> Result<(), String> {
        if self.repl.link.as_ref().is_some_and(|l| l.dual_channel) {
            return self.end_offset_answered(line);
        }
        let mut words = line.split_whitespace();
        let verb = words.next().unwrap_or_default();
        if verb == "+FULLRESYNC" || (self.repl.link.as_ref().is_some_and(|l| l.old_primary) && line.starts_with('$')) {
            let id = words.next().and_then(|w| <[u8; 40]>::try_from(w.as_bytes()).ok());
            // A positive number of 63 bits: what follows can be added to it.
            let offset = words.next().and_then(|w| w.parse::<i64>().ok()).and_then(|offset| u64::try_from(offset).ok());
            self.failover_answered(true);
            return match (id, offset) {
                (Some(id), Some(offset)) => {
                    log_notice!("Full resync from primary: {}:{offset}", String::from_utf8_lossy(&id));
                    self.begin_receiving(Some((id, offset)), None);
                    self.receive_snapshot()
                }
                _ if line.starts_with('$') => {
                    self.begin_receiving(None, Some(line.to_owned()));
                    self.receive_snapshot()
                }
                _ => Err(format!("Primary replied with wrong +FULLRESYNC syntax: {line}")),
            };
        }
        if verb == "+DUALCHANNELSYNC" {
            self.failover_answered(true);
            return self.open_rdb_channel();
        }
        if verb == "+CONTINUE" {
            self.failover_answered(true);
            let id = words.next().and_then(|w| <[u8; 40]>::try_from(w.as_bytes()).ok());
            self.continue_stream(id);
            return Ok(());
        }
        if line.starts_with("-NOMASTERLINK") || line.starts_with("-LOADING") {
            self.failover_answered(false);
            return Err(format!("Primary is currently unable to PSYNC but should be in the future: {line}"));
        }
        if self.failover_answered(false) {
            return Ok(());
        }
        if !line.starts_with("-ERR unknown command") && !line.starts_with("-ERR Unknown") {
            return Err(format!("Unexpected reply to PSYNC from primary: {line}"));
        }
        log_notice!("Retrying with SYNC...");
        if let Some(link) = &mut self.repl.link {
            link.old_primary = true;
        }
        self.ask_for_sync();
        Ok(())
    }

    /// The primary continues the stream where we are.
    fn continue_stream(&mut self, id: Option<super::ReplId>) {
        log_notice!("Successful partial resynchronization with primary.");
        if let Some(id) = id
            && id != self.repl.history.id
        {
            let h = &mut self.repl.history;
            h.id2 = h.id;
            h.id2_end = Some(h.offset);
            h.id = id;
            log_notice!("Primary replication ID changed to {}", String::from_utf8_lossy(&id));
            // Our replicas learn the new id by asking again: at once, or when it is known how far they may go on.
            let deadline = self.now_ms() + IDLE_TAIL_MS;
            match &mut self.repl.idle_tail {
                Some(tail) if !self.repl.replicas.is_empty() => tail.deadline = Some(deadline),
                _ => self.disconnect_replicas(),
            }
        }
        self.create_backlog();
        self.link_up();
    }

    /// The data set is that of the primary at our offset: from here on the link is a client that sends commands.
    pub fn link_up(&mut self) {
        let now = self.now_ms();
        let Some(link) = &mut self.repl.link else { return };
        let Some(stream) = link.stream.take() else { return };
        self.poll.remove(&stream);
        let id = self.clients.next_id();
        let mut client = Client::new(id, Some(stream), now);
        client.flags |= ClientFlags::PRIMARY;
        client.reply.muted = true;
        client.db = link.stream_db;
        client.query.push(&std::mem::take(&mut link.input));
        link.phase = Phase::Up(id);
        link.last_io_ms = now;
        link.next_ack_ms = now;
        link.transaction.clear();
        link.in_transaction = false;
        link.old_primary = false;
        self.repl.quorum.whole = true;
        let slot = self.register(client);
        if let Some(mut client) = self.clients.take(slot) {
            self.clients.queue_input(&mut client);
            self.clients.put_back_quietly(client);
        }
        self.send_ack();
    }

    /// Tells the primary how far we are.
    pub fn send_ack(&mut self) {
        let now = self.now_ms();
        let Some(link) = &mut self.repl.link else { return };
        link.next_ack_ms = now + 1000;
        let Phase::Up(id) = link.phase else { return };
        let offset = self.repl.history.offset.to_string();
        let mut bytes = Vec::with_capacity(96);
        let mut args: Vec<&[u8]> = vec![b"REPLCONF", b"ACK", offset.as_bytes()];
        let fsynced = self.persistence.aof.fsynced_offset().to_string();
        if self.persistence.aof.is_on() {
            args.push(b"FACK");
            args.push(fsynced.as_bytes());
        }
        encode_command(&mut bytes, args);
        self.clients.deliver(id, |reply| reply.raw(&bytes));
    }

    /// Executes the stream. Its bytes go on to our own replicas and file as they came, when their effect is complete.
    pub fn execute_stream(&mut self, client: &mut Client) {
        let mut query = std::mem::take(&mut client.query);
        self.take_kept(client, &mut query);
        let limits = crate::resp::Limits { bulk: usize::MAX >> 1, authenticated: true };
        'stream: loop {
            match query.parse(limits) {
                Ok(0) => {
                    // They count: offsets are bytes of the stream.
                    if !query.passed_over().is_empty() {
                        let in_transaction = self.repl.link.as_ref().is_some_and(|link| link.in_transaction);
                        self.count_streamed(query.passed_over(), in_transaction, client.db);
                        query.drop_passed_over();
                    }
                    break;
                }
                Ok(_) => {}
                Err(e) => {
                    log_warning!("Protocol error from PRIMARY: {}", e.0);
                    client.flags |= ClientFlags::CLOSE_NOW;
                    break;
                }
            }
            self.update_clock();
            while let Some(argv) = query.current() {
                if self.pauses.next_end().is_some() && self.pauses_stream(client, argv) {
                    client.flags |= ClientFlags::POSTPONED;
                    break 'stream;
                }
                let name = argv.get(0);
                let in_transaction = match self.repl.link.as_mut() {
                    Some(link) => {
                        link.last_io_ms = self.keyspace.now_ms();
                        if name.eq_ignore_ascii_case(b"MULTI") {
                            link.in_transaction = true;
                        } else if name.eq_ignore_ascii_case(b"EXEC") || name.eq_ignore_ascii_case(b"DISCARD") {
                            link.in_transaction = false;
                        }
                        link.in_transaction
                    }
                    // A command of the stream ended our being a replica.
                    None => break,
                };
                crate::commands::dispatch::dispatch(self, client, argv);
                self.count_streamed(query.current_wire(), in_transaction, client.db);
                query.advance();
                if client.is_closing() {
                    break;
                }
            }
            if client.is_closing() || self.repl.link.is_none() {
                break;
            }
        }
        client.query = query;
        if self.repl.quorum.take_ack_wanted() {
            self.send_ack();
        }
    }

    /// Whether a pause holds up this command of the stream, and with it all that follows. Our primary lives meanwhile.
    fn pauses_stream(&mut self, client: &Client, argv: Argv<'_>) -> bool {
        let Ok(row) = table::resolve(argv) else { return false };
        // EXEC does what was queued.
        let transaction = client.transaction.as_ref().filter(|_| row.command.name == "exec");
        let paused =
            self.is_stream_paused(row.command.flags | transaction.map_or(Flags::empty(), |queued| queued.flags));
        if paused && let Some(link) = &mut self.repl.link {
            link.last_io_ms = self.keyspace.now_ms();
        }
        paused
    }

    /// Bytes of the stream that have come and were not executed yet.
    pub fn stream_unexecuted(&self) -> usize {
        let Some(link) = &self.repl.link else { return 0 };
        let Phase::Up(id) = link.phase else { return 0 };
        link.transaction.len() + self.clients.by_id(id).map_or(0, |client| client.query.len())
    }

    /// Takes the next piece of what the stream brought during the sync; the one after it has its turn later.
    fn take_kept(&mut self, client: &mut Client, query: &mut QueryBuf) {
        let Some(link) = &mut self.repl.link else { return };
        if let Some(piece) = link.kept.pop() {
            query.push(&piece);
            if link.kept.is_empty() {
                log_notice!("Successfully streamed replication data into memory");
            } else {
                self.clients.queue_input(client);
            }
        }
    }

    /// Whether what the stream's socket has must wait for what came before it.
    pub fn stream_has_kept(&self) -> bool {
        self.repl.link.as_ref().is_some_and(|l| !l.kept.is_empty())
    }

    /// Counts executed bytes of the stream, a transaction's when it is complete.
    fn count_streamed(&mut self, wire: &[u8], in_transaction: bool, db: usize) {
        let Some(link) = &mut self.repl.link else { return };
        link.stream_db = db;
        if in_transaction {
            link.transaction.extend_from_slice(wire);
        } else if link.transaction.is_empty() {
            self.feed_bytes(wire);
        } else {
            let mut whole = std::mem::take(&mut link.transaction);
            whole.extend_from_slice(wire);
            self.feed_bytes(&whole);
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
