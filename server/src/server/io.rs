//! Clients' sockets: accepting, reading and executing requests, sending replies, closing.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use super::Server;
use super::reserve::TOO_MANY;
use crate::client::{Client, ClientFlags};
use crate::commands::dispatch::{Outcome, dispatch};
use crate::net::listener::Kind;
use crate::net::{Interest, Stream, Token};
use crate::persistence::child::Purpose;
use crate::replication::primary::replica_name;
use crate::resp::Limits;
use crate::resp::reply::OWN_BUFFER;
use crate::{log_verbose, log_warning};

/// What one client may be sent in one turn, so that the others get theirs.
const WRITE_PER_TURN: usize = 64 * 1024;
/// Bytes of output beyond its own buffer that may wait for one who never logged in.
const STRANGERS_LIMIT: u64 = 1024;

impl Server {
    /// Accepts what waits at a listener, a bounded number at a time.
    pub fn accept(&mut self, listener: u32) {
        let is_tls = self.listeners.get(listener as usize).is_some_and(|l| l.kind == Kind::Tls);
        let c = &self.config;
        // Agreeing on encryption takes long.
        let most = if is_tls { c.max_new_tls_connections_per_cycle } else { c.max_new_connections_per_cycle };
        for _ in 0..most {
            let Some(l) = self.listeners.get(listener as usize) else { return };
            let kind = l.kind;
            match l.accept() {
                Ok(stream) if kind == Kind::Metrics => self.accept_http(stream),
                Ok(mut stream) if kind == Kind::Tls => match self.accept_tls(&mut stream) {
                    Ok(()) => self.admit(stream),
                    Err(e) => crate::log_warning!("Accepting client connection: {e}"),
                },
                Ok(stream) => self.admit(stream),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                Err(e) => {
                    crate::log_warning!("Accepting client connection: {e}");
                    return;
                }
            }
        }
    }

    /// Makes a client of a new connection, unless there are too many or it comes from outside unprotected.
    fn admit(&mut self, stream: Stream) {
        self.stats.connections_received += 1;
        let full = self.clients.len() >= self.config.maxclients as usize;
        let refused = self.refuses_outsiders() && !stream.is_local();
        if refused || (full && !self.has_reserved_place()) {
            // The peer may be gone already.
            let _ = stream.write(if full { TOO_MANY } else { DENIED });
            self.stats.rejected_connections += 1;
            return;
        }
        stream.tune(Duration::from_secs(u64::from(self.config.tcp_keepalive)));
        let id = self.clients.next_id();
        let mut client = Client::new(id, Some(stream), self.now_ms());
        self.set_default_user(&mut client);
        if full {
            client.flags |= ClientFlags::UNPROVEN;
            self.clients.reserved.push(id);
        }
        log_verbose!("Accepted {}", client.peer);
        self.register(client);
    }

    /// Puts a client with a socket into the registry and watches the socket.
    pub fn register(&mut self, client: Client) -> u32 {
        let slot = self.clients.insert(client);
        let watched = match self.clients.get(slot).and_then(|c| c.stream.as_ref()) {
            Some(stream) => self.poll.add(stream, Token::Client(slot), Interest::Read),
            None => Ok(()),
        };
        if let Err(e) = watched {
            crate::log_warning!("Error watching a client's socket: {e}");
            self.clients.to_close.push(slot);
        }
        slot
    }

    fn refuses_outsiders(&self) -> bool {
        self.config.protected_mode && self.acl.default_user().rights().nopass
    }

    /// Reads what a client sent and executes it.
    pub fn client_readable(&mut self, slot: u32) {
        let Some(mut client) = self.clients.take(slot) else { return };
        if self.read(&mut client) {
            self.execute_input(&mut client);
        }
        self.finish_read(client);
    }

    /// Puts a client back that was read from, with what encryption has to do beyond that.
    fn finish_read(&mut self, mut client: Box<Client>) {
        client.query.give_back(&mut self.shared_query);
        // All that it has sent was answered.
        if client.flags.contains(ClientFlags::LEAVING) && !client.flags.contains(ClientFlags::POSTPONED) {
            client.flags |= ClientFlags::CLOSE_AFTER_REPLY;
        }
        if let Some(stream) = &client.stream {
            if stream.wants_write() {
                self.watch(&mut client, Interest::ReadWrite);
            } else if stream.has_input() && !client.is_closing() {
                // Nobody would tell of it.
                self.clients.queue_input(&mut client);
            }
        }
        self.clients.put_back(client);
    }

    /// Takes up buffered input of clients that had to wait.
    pub fn resume_input(&mut self) {
        for slot in std::mem::take(&mut self.clients.to_read) {
            let Some(mut client) = self.clients.take(slot) else { continue };
            client.flags -= ClientFlags::INPUT_QUEUED;
            if client.stream.as_ref().is_some_and(|stream| stream.has_input()) && !client.is_closing() {
                self.read(&mut client);
            }
            self.execute_input(&mut client);
            self.finish_read(client);
        }
    }

    /// Reads once; false when there is nothing (more) to execute.
    fn read(&mut self, client: &mut Client) -> bool {
        let Some(stream) = &client.stream else { return false };
        if client.is_primary() && self.stream_has_kept() {
            return false;
        }
        self.stats.reads += 1;
        client.query.borrow(&mut self.shared_query);
        let got = match client.query.fill(|buf, room| stream.read_into(buf, room)) {
            Ok(0) => {
                log_verbose!("Client closed connection {}", client.describe());
                client.flags |= ClientFlags::CLOSE_NOW;
                return false;
            }
            Ok(n) => n,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                self.note_opened(client);
                return false;
            }
            Err(e) => {
                log_verbose!("Reading from client {}: {e}", client.describe());
                client.flags |= ClientFlags::CLOSE_NOW;
                return false;
            }
        };
        self.note_opened(client);
        client.bytes_in += got as u64;
        client.active_ms = self.now_ms();
        if client.is_primary() {
            self.stats.repl_bytes_in += got as u64;
        } else {
            self.stats.bytes_in += got as u64;
        }
        let now = self.now_ms();
        if let Some(r) = &mut client.replica {
            // While it loads a snapshot it sends line breaks, to say that it lives.
            r.ack_ms = now;
        }
        if client.query.len() as u64 > self.config.client_query_buffer_limit && !client.is_primary() {
            crate::log_warning!("Closing client {} that reached max query buffer length", client.peer);
            self.stats.client_query_limit_disconnections += 1;
            client.flags |= ClientFlags::CLOSE_NOW;
            return false;
        }
        true
    }

    fn note_opened(&mut self, client: &mut Client) {
        if client.stream.as_ref().is_some_and(|stream| stream.take_opened()) && !client.is_primary() {
            self.tls_opened(client);
        }
    }

    /// Executes a client's buffered requests until it must wait or none is left.
    pub fn execute_input(&mut self, client: &mut Client) {
        if client.is_primary() {
            // The stream goes on when the script that keeps the server busy has ended.
            if self.scripting.is_busy() {
                return;
            }
            return self.execute_stream(client);
        }
        // The arguments live in the query buffer while commands change the client: so it is taken out meanwhile.
        let mut query = std::mem::take(&mut client.query);
        let mut takes_more = client.interest == Interest::Read && client.replica.is_none();
        client.executing = query.capacity();
        self.limit_output(client);
        'requests: while !client.is_waiting() && !client.is_closing() {
            let limits =
                Limits { bulk: self.config.proto_max_bulk_len as usize, authenticated: !self.must_log_in(client) };
            let parsed = query.parse(limits);
            if matches!(parsed, Ok(0)) {
                query.drop_passed_over();
                break;
            }
            self.update_clock();
            // Most likely they are what the last one was.
            let at = client.last_command.map_or(1, |row| row.command.keys.first());
            let keys = query.upcoming().filter(|argv| argv.len() > at).map(|argv| argv.get(at));
            self.keyspace.db(client.db).prefetch(keys);
            self.batch_clock = Some(Instant::now());
            while let Some(argv) = query.current() {
                if client.flags.contains(ClientFlags::UNPROVEN) && !self.admits_unproven(client, argv) {
                    break 'requests;
                }
                // Nothing may come between the snapshot and the stream.
                let unanswered = client.is_replica().then(|| client.reply.position());
                if dispatch(self, client, argv) == Outcome::Later {
                    client.flags |= ClientFlags::POSTPONED;
                    break 'requests;
                }
                if unanswered.is_some_and(|position| !client.reply.written_since(position).is_empty()) {
                    cut_off_replica(client);
                }
                after_request(client);
                if client.flags.contains(ClientFlags::UNPROVEN) {
                    self.note_proof(client);
                }
                self.end_caching_exception(client);
                self.clients.take_messages(client);
                if !client.flags.contains(ClientFlags::KNOWN) && !self.must_log_in(client) {
                    client.flags |= ClientFlags::KNOWN;
                    self.limit_output(client);
                }
                query.advance();
                if takes_more && client.reply.pending() >= WRITE_PER_TURN {
                    takes_more = self.write_early(client);
                }
                if client.is_waiting() || client.is_closing() {
                    break 'requests;
                }
            }
            if let Err(error) = parsed {
                let shown = sample(query.unexecuted(), self.config.hide_user_data_from_log);
                log_verbose!("Protocol error ({}) from client: {}. Query buffer: {shown}", error.0, client.peer);
                client.reply.error(format!("ERR Protocol error: {}", error.0).as_bytes());
                self.stats.error(b"ERR");
                client.flags |= ClientFlags::CLOSE_AFTER_REPLY;
            }
        }
        client.query = query;
        client.executing = 0;
        self.batch_clock = None;
        // It may be a subscriber now.
        self.limit_output(client);
    }

    /// Sends some of a long answer before the rest of it is put together: it needs less memory, and is still in the processor's cache. Not before
    /// what must come first: the log of the writes that are answered, and messages about them. And not where the answers of a pipeline are to
    /// have a limit together. False when the socket takes no more.
    fn write_early(&mut self, client: &mut Client) -> bool {
        if self.persistence.aof.pending() == 0 && self.tracking.is_idle() && client.reply.is_unlimited() {
            let before = client.reply.pending();
            self.write(client);
            return client.reply.pending() < before;
        }
        true
    }

    /// Sets how much may wait to be sent to a client, by what it is.
    pub fn limit_output(&self, client: &mut Client) {
        let stranger = !client.flags.contains(ClientFlags::KNOWN) && self.must_log_in(client);
        let limit = match client.class() {
            _ if client.is_primary() || client.replica.is_some() => 0,
            // Whoever never logged in does not get to fill our memory with answers that they don't take.
            _ if stranger && self.debug.enforce_reply_list => return client.reply.set_ceiling(0),
            _ if stranger => STRANGERS_LIMIT,
            "pubsub" => self.config.client_output_buffer_limit.pubsub.hard_bytes,
            _ => self.config.client_output_buffer_limit.normal.hard_bytes,
        };
        let bytes = usize::try_from(limit).unwrap_or(usize::MAX);
        client.reply.set_ceiling(if bytes == 0 { usize::MAX } else { bytes.saturating_add(OWN_BUFFER) });
    }

    /// Bytes that may wait for an ordinary client for a while only.
    pub fn soft_limit(&self, client: &Client) -> u64 {
        let limits = &self.config.client_output_buffer_limit;
        if client.class() == "pubsub" { limits.pubsub.soft_bytes } else { limits.normal.soft_bytes }
    }

    /// Sends what clients have to get, as far as their sockets take it.
    pub fn flush_output(&mut self) {
        for slot in std::mem::take(&mut self.clients.to_write) {
            let Some(mut client) = self.clients.take(slot) else { continue };
            client.flags -= ClientFlags::WRITE_QUEUED;
            self.write(&mut client);
            self.finish_write(client);
        }
    }

    /// The socket of a client can take more.
    pub fn client_writable(&mut self, slot: u32) {
        let Some(mut client) = self.clients.take(slot) else { return };
        self.write(&mut client);
        self.finish_write(client);
    }

    /// Watches for room when something is left, closes who is done.
    fn finish_write(&mut self, mut client: Box<Client>) {
        let more = !client.reply.sendable().is_empty() || self.has_stream_for(&client);
        let sent = client.reply.pending() == 0 && !client.stream.as_ref().is_some_and(|stream| stream.wants_write());
        if !more && client.flags.contains(ClientFlags::CLOSE_AFTER_REPLY) && sent {
            client.flags |= ClientFlags::CLOSE_NOW;
        }
        let wanted = if more { Interest::ReadWrite } else { Interest::Read };
        self.watch(&mut client, wanted);
        let slot = client.slot;
        if client.flags.contains(ClientFlags::CLOSE_NOW) {
            self.clients.to_close.push(slot);
        }
        self.clients.put_back_quietly(client);
    }

    /// Changes what a client's socket is watched for, if that changes anything.
    pub fn watch(&self, client: &mut Client, wanted: Interest) {
        let taken = client.stream.as_ref().is_some_and(|stream| stream.wants_write());
        let wanted = if taken { Interest::ReadWrite } else { wanted };
        if client.interest != wanted
            && let Some(stream) = &client.stream
        {
            client.interest = wanted;
            if self.poll.modify(stream, Token::Client(client.slot), wanted).is_err() {
                client.flags |= ClientFlags::CLOSE_NOW;
            }
        }
    }

    /// Writes replies, then (to a replica) the replication stream.
    pub fn write(&mut self, client: &mut Client) {
        let Some(stream) = &client.stream else {
            client.reply.clear();
            return;
        };
        if let Err(e) = stream.send_taken() {
            log_verbose!("Error writing to client {}: {e}", client.describe());
            client.flags |= ClientFlags::CLOSE_NOW;
            return;
        }
        let mut written = 0;
        while written < WRITE_PER_TURN {
            let bytes = client.reply.sendable();
            if bytes.is_empty() {
                break;
            }
            match stream.write(bytes) {
                Ok(n) => {
                    self.stats.writes += 1;
                    written += n;
                    client.reply.consume(n);
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => {
                    log_verbose!("Error writing to client {}: {e}", client.describe());
                    client.flags |= ClientFlags::CLOSE_NOW;
                    return;
                }
            }
        }
        if client.over_soft_limit_since.is_some()
            && client.replica.is_none()
            && !client.is_over(self.soft_limit(client))
        {
            client.over_soft_limit_since = None;
        }
        client.bytes_out += written as u64;
        self.stats.bytes_out += written as u64;
        if client.replica.is_some() && client.reply.pending() == 0 {
            self.write_stream(client);
        }
    }

    /// Closes the clients that were marked for it.
    pub fn close_marked(&mut self) {
        while let Some(slot) = self.clients.to_close.pop() {
            if let Some(client) = self.clients.take(slot) {
                self.close(client);
            }
        }
    }

    /// Closes a client that was taken out of the registry and forgets it everywhere.
    fn close(&mut self, mut client: Box<Client>) {
        if client.reply.has_overflowed() {
            log_warning!("Client {} closed for overcoming of output buffer limits.", client.describe());
            self.stats.client_output_limit_disconnections += 1;
        }
        self.clients.discard(&client);
        self.forget_subscriptions(&mut client);
        self.unwatch_all(&mut client);
        self.forget_block(&mut client);
        self.stop_tracking(&mut client);
        self.monitors.retain(|id| *id != client.id);
        if client.is_replica() || client.replica.is_some() {
            self.replica_disconnected(&mut client);
        }
        if client.is_primary() {
            self.primary_disconnected(&mut client);
        }
        if let Some(stream) = &client.stream {
            stream.say_goodbye();
            self.poll.remove(stream);
            // A child has all connections too: the peer is to notice before it ends. What it is about to send to replicas is its own.
            let child = self.persistence.child.as_ref();
            if !(client.replica.is_some() && child.is_some_and(|child| matches!(child.purpose, Purpose::Sockets))) {
                stream.shutdown();
            }
        }
    }
}

/// What a client sent, as far as a line of the log shows it.
fn sample(bytes: &[u8], hide: bool) -> String {
    const SHOWN: usize = 128;
    if hide {
        return "*redacted*".to_owned();
    }
    let printable = |bytes: &[u8]| -> String {
        bytes.iter().map(|b| if b.is_ascii_graphic() || *b == b' ' { char::from(*b) } else { '.' }).collect()
    };
    match bytes.len().checked_sub(SHOWN) {
        None | Some(0) => format!("'{}'", printable(bytes)),
        Some(more) => {
            let (first, last) = (&bytes[..SHOWN / 2], &bytes[bytes.len() - SHOWN / 2..]);
            format!("'{}' (... more {more} bytes ...) '{}'", printable(first), printable(last))
        }
    }
}

/// Ends the connection of a replica that sent a command which has an answer.
fn cut_off_replica(client: &mut Client) {
    log_warning!(
        "Replica generated a reply to command '{}', disconnecting it: {}",
        client.last_command.map_or("<unknown>", |row| &row.full_name),
        replica_name(client)
    );
    client.reply.clear();
    client.flags |= ClientFlags::CLOSE_NOW;
}

/// CLIENT REPLY OFF and SKIP, and the end of a client whose reply was too large.
fn after_request(client: &mut Client) {
    if client.reply.has_overflowed() {
        client.flags |= ClientFlags::CLOSE_NOW;
    }
    if client.flags.intersects(ClientFlags::REPLY_SKIP | ClientFlags::REPLY_SKIP_NEXT) {
        client.flags -= ClientFlags::REPLY_SKIP;
        if client.flags.contains(ClientFlags::REPLY_SKIP_NEXT) {
            client.flags -= ClientFlags::REPLY_SKIP_NEXT;
            client.flags |= ClientFlags::REPLY_SKIP;
        }
        client.reply.muted = client.flags.intersects(ClientFlags::REPLY_OFF | ClientFlags::REPLY_SKIP);
    }
}

const DENIED: &[u8] = b"-DENIED Running in protected mode because protected mode is enabled and no password is set for \
the default user. In this mode connections are only accepted from the loopback interface. If you want to connect from \
external computers, you may adopt one of the following solutions: 1) Disable protected mode by sending the command \
'CONFIG SET protected-mode no' from the loopback interface by connecting from the same host the server is running, but \
then make sure the server is not publicly accessible from the internet. 2) Set 'protected-mode no' in the configuration \
file and restart the server. 3) Start the server with the '--protected-mode no' option. 4) Set a password for the \
default user ('requirepass'). You only need to do one of these.\r\n";
