//! The stream of the primary: from here on the link is a client whose commands are executed, counted, handed on and acknowledged.

use super::link::Phase;
use crate::client::{Client, ClientFlags};
use crate::commands::{Flags, table};
use crate::persistence::aof::selected::database;
use crate::resp::argv::encode_command;
use crate::resp::{Argv, QueryBuf};
use crate::server::Server;
use crate::{log_notice, log_warning};

impl Server {
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
                if name.eq_ignore_ascii_case(b"SELECT") && !self.has_database(argv) {
                    self.exit = Some(1);
                    client.flags |= ClientFlags::CLOSE_NOW;
                    break;
                }
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

    /// Whether there is the database that the stream selects. Without it, what follows would change another one.
    fn has_database(&self, select: Argv<'_>) -> bool {
        let number = if select.len() > 1 { select.get(1) } else { b"" };
        let there = database(number, self.keyspace.count());
        if let Err(why) = &there {
            log_warning!("FATAL: the primary writes to {why}. Exiting");
        }
        there.is_ok()
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
        self.persistence.aof.selected.note(db);
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
}
