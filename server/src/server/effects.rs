//! What follows from a call, beyond its reply: notifications, monitors, woken and watching clients.

use super::Server;
use crate::client::blocked::Why;
use crate::client::{Blocked, Client, ClientFlags, ClientId, pubsub};
use crate::commands::redact::is_secret;
use crate::commands::{CommandError, Flags, Group, Row, dispatch};
use crate::config::{NotifyEvents, PropagationError};
use crate::data::entry::Entry;
use crate::data::value::Kind;
use crate::replication::link::Link;
use crate::resp::Argv;
use crate::words::quote;

/// What clients are told whose wait ends with the server's being a primary.
const INSTANCE_CHANGED: &[u8] =
    b"UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)";

impl Server {
    /// Whether the command under way is part of a transaction or of a script. A snapshot taken now would hold what the whole of
    /// it, which is propagated when it ends, will do once more.
    pub fn is_amid_transaction(&self) -> bool {
        self.nesting > 1
    }

    /// Publishes a keyspace notification on the channels that `notify-keyspace-events` asks for.
    pub fn publish_notification(&mut self, event: &str, db: usize, key: &[u8]) {
        let flags = self.config.notify_keyspace_events;
        if flags.has(NotifyEvents::KEYSPACE) {
            let channel = [format!("__keyspace@{db}__:").as_bytes(), key].concat();
            self.publish(pubsub::Kind::Channel, &channel, event.as_bytes());
        }
        if flags.has(NotifyEvents::KEYEVENT) {
            let channel = format!("__keyevent@{db}__:{event}");
            self.publish(pubsub::Kind::Channel, channel.as_bytes(), key);
        }
    }

    /// Sends a message to the subscribers of a channel; returns how many there were.
    pub fn publish(&mut self, kind: pubsub::Kind, channel: &[u8], message: &[u8]) -> usize {
        let mut receivers: Vec<(ClientId, Option<Box<[u8]>>)> =
            self.pubsub.subscribers(kind, channel).iter().map(|id| (*id, None)).collect();
        if kind == pubsub::Kind::Channel {
            for (pattern, clients) in self.pubsub.matching_patterns(channel) {
                receivers.extend(clients.iter().map(|id| (*id, Some(Box::from(pattern)))));
            }
        }
        for (id, pattern) in &receivers {
            self.clients.deliver(*id, |reply| {
                match (pattern, kind) {
                    (Some(pattern), _) => {
                        reply.push(4);
                        reply.bulk(b"pmessage");
                        reply.bulk(pattern);
                    }
                    (None, pubsub::Kind::Shard) => {
                        reply.push(3);
                        reply.bulk(b"smessage");
                    }
                    (None, _) => {
                        reply.push(3);
                        reply.bulk(b"message");
                    }
                }
                reply.bulk(channel);
                reply.bulk(message);
            });
        }
        receivers.len()
    }

    /// Shows a command to the monitors.
    pub fn feed_monitors(&mut self, client: &Client, row: &Row, argv: Argv<'_>) {
        let now = crate::sys::unix_us();
        let peer = if client.flags.contains(ClientFlags::IN_SCRIPT) { "lua" } else { &client.peer };
        let mut line = format!("+{}.{:06} [{} {peer}]", now / 1_000_000, now % 1_000_000, client.db).into_bytes();
        for (i, arg) in argv.iter().enumerate() {
            line.push(b' ');
            line.extend(quote(if is_secret(row, argv, i) { b"(redacted)" } else { arg }));
        }
        line.extend_from_slice(b"\r\n");
        for id in self.monitors.clone() {
            self.clients.deliver(id, |reply| reply.raw(&line));
        }
    }

    /// A command answered with an error. On a stream that must not fail, say so loudly.
    pub fn note_error_reply(&mut self, client: &Client, row: Option<&Row>, error: &CommandError) {
        let (from, to) = match client {
            _ if client.is_primary() => ("replica", "primary"),
            _ if client.is_replica() => ("primary", "replica"),
            _ => return,
        };
        self.stats.unexpected_error_replies += 1;
        let command = row.map_or("<unknown>", |row| &row.full_name);
        crate::log_warning!(
            "== CRITICAL == This {from} is sending an error to its {to}: '{}' after processing the command '{command}'",
            String::from_utf8_lossy(&error.0)
        );
        // What a replica that takes no writes of its own did not do as its primary did, it lacks.
        let stops = self.config.propagation_error_behavior != PropagationError::Ignore;
        if client.is_primary() && self.config.replica_read_only && stops {
            panic!("This {from} panicked sending an error to its {to} after processing the command '{command}'");
        }
    }

    /// After the outermost call: clients whose watched keys changed, clients whose keys are ready.
    pub fn after_call(&mut self, client: &mut Client) {
        for id in self.keyspace.take_dirty_watchers() {
            if id == client.id {
                client.flags |= ClientFlags::DIRTY_CAS;
            } else if let Some(other) = self.clients.by_id_mut(id) {
                other.flags |= ClientFlags::DIRTY_CAS;
            }
        }
        self.serve_ready_keys(client);
    }

    /// Runs the commands of clients that wait for keys which were filled, in the order they came. The outermost call
    /// does so for all that come to be ready on the way.
    fn serve_ready_keys(&mut self, caller: &mut Client) {
        // Serving one may make further keys ready (BLMOVE).
        if self.serving_ready {
            return;
        }
        self.serving_ready = true;
        if self.keyspace.has_ready() {
            // The call that filled them may have taken long enough for some to expire.
            self.update_clock();
        }
        while self.keyspace.has_ready() {
            for (db, key) in self.keyspace.take_ready() {
                for id in self.keyspace.waiting(db, &key) {
                    if !self.wants(id, db, &key) {
                        continue;
                    }
                    // The caller cannot be served: it was blocked by this very call, and nothing came after it.
                    let Some(slot) = self.clients.slot_of(id).filter(|_| id != caller.id) else { continue };
                    let Some(mut client) = self.clients.take(slot) else { continue };
                    self.retry_blocked(&mut client);
                    self.clients.put_back(client);
                }
            }
        }
        self.serving_ready = false;
    }

    /// Whether a key holds what a client waits for. One that comes too late, or waits for another type, keeps its place.
    fn wants(&self, id: ClientId, db: usize, key: &[u8]) -> bool {
        let blocked = self.clients.by_id(id).and_then(|client| client.blocked.as_ref());
        let Some(Blocked { why: Why::Keys { row, .. }, .. }) = blocked else { return false };
        let kind = self.keyspace.db(db).get(key).map(Entry::kind);
        match row.command.group {
            Group::List => kind == Some(Kind::List),
            Group::SortedSet => kind == Some(Kind::Zset),
            // A consumer also hears that its group is gone, with the stream or by another value in its place.
            Group::Stream => kind == Some(Kind::Stream) || row.command.flags.contains(Flags::WRITE),
            _ => true,
        }
    }

    /// Runs a blocked client's command again; it stays blocked if it would block again.
    fn retry_blocked(&mut self, client: &mut Client) {
        let (row, argv) = match client.blocked.take() {
            Some(Blocked { why: Why::Keys { db, row, argv }, deadline }) => {
                self.keyspace.unblock(client.id);
                client.db = db;
                client.retry = Some(deadline);
                (row, argv)
            }
            other => {
                client.blocked = other;
                return;
            }
        };
        let old_deadline = client.retry.flatten();
        // The user may have changed while the client waited.
        match self.check_permission(client, row, argv.argv(), super::users::context_of(client)) {
            Ok(()) => dispatch::call(self, client, row, argv.argv()),
            Err(denied) => {
                let text = [b"NOPERM ", &*self.denial_text(client, row, denied)].concat();
                dispatch::reject(self, client, Some(row), &CommandError::bytes(text));
            }
        }
        client.retry = None;
        if client.blocked.is_none() {
            if let Some(deadline) = old_deadline {
                self.timers.remove(deadline, client.id);
            }
            self.clients.queue_input(client);
        }
    }

    /// Blocks a client on keys of its database until one of them is filled, or (`on_deletion`) is gone. `deadline` is in Unix ms.
    pub fn block_on_keys(
        &mut self,
        client: &mut Client,
        row: &'static Row,
        argv: Argv<'_>,
        keys: &[&[u8]],
        deadline: Option<i64>,
        on_deletion: bool,
    ) {
        // A retried command keeps the deadline of its first run.
        let deadline = client.retry.unwrap_or(deadline);
        self.keyspace.block(client.db, client.id, keys, on_deletion);
        let why = Why::Keys { db: client.db, row, argv: argv.to_owned() };
        self.block(client, why, deadline);
    }

    /// Blocks a client.
    pub fn block(&mut self, client: &mut Client, why: Why, deadline: Option<i64>) {
        if let Some(deadline) = deadline {
            self.timers.add(deadline, client.id);
        }
        client.blocked = Some(Blocked { why, deadline });
    }

    /// Ends a client's wait: it takes requests again. What it is answered is the caller's business.
    pub fn unblock(&mut self, client: &mut Client) {
        if let Some(row) = client.last_command.filter(|_| client.blocked.is_some()) {
            self.stats.command(row.id).calls += 1;
            self.stats.commands_processed += 1;
            client.commands += 1;
        }
        self.forget_block(client);
        self.clients.queue_input(client);
    }

    /// Removes every trace of a client's wait.
    pub fn forget_block(&mut self, client: &mut Client) {
        let Some(blocked) = client.blocked.take() else { return };
        if let Some(deadline) = blocked.deadline {
            self.timers.remove(deadline, client.id);
        }
        if let Why::Keys { .. } = blocked.why {
            self.keyspace.unblock(client.id);
        }
    }

    /// Answers the clients whose time is up.
    pub fn expire_blocked(&mut self) {
        while let Some(id) = self.timers.pop_due(self.now_ms()) {
            let Some(slot) = self.clients.slot_of(id) else { continue };
            let Some(mut client) = self.clients.take(slot) else { continue };
            self.give_up(&mut client);
            self.clients.put_back(client);
        }
    }

    /// Answers a blocked client as at its deadline.
    pub fn give_up(&mut self, client: &mut Client) {
        match client.blocked.as_ref().map(|b| &b.why) {
            Some(Why::Keys { row, .. }) => (row.command.timeout_reply)(&mut client.reply),
            Some(Why::Replicas { offset, .. }) => {
                let n = self.repl.count_acknowledged(&self.clients, *offset);
                client.reply.int(n as i64);
            }
            Some(Why::Fsync { offset, .. }) => {
                let offset = *offset;
                self.reply_waitaof(client, offset);
            }
            Some(Why::Shutdown) | None => {}
        }
        self.unblock(client);
    }

    /// This server became a replica: sends clients that wait to the primary if they can follow it, and ends the waits of the others
    /// with an error. Who reads here, knowing that it is a replica, waits on.
    pub fn release_waiting_clients(&mut self) {
        let Some(primary) = self.repl.link.as_ref().map(Link::address) else { return };
        let waiting: Vec<u32> = self.clients.iter().filter(|c| c.blocked.is_some()).map(|c| c.slot).collect();
        for slot in waiting {
            let Some(mut client) = self.clients.take(slot) else { continue };
            let row = match client.blocked.as_ref().map(|b| &b.why) {
                Some(Why::Keys { row, .. }) => Some(*row),
                _ => client.last_command,
            };
            let follows = client.flags.contains(ClientFlags::CAPA_REDIRECT);
            if follows && !row.is_some_and(|row| client.is_to_be_redirected(row.command.flags)) {
                self.clients.put_back_quietly(client);
                continue;
            }
            if follows {
                client.reply.error(format!("REDIRECT {primary}").as_bytes());
            } else {
                client.reply.error(INSTANCE_CHANGED);
                client.flags |= ClientFlags::CLOSE_AFTER_REPLY;
            }
            if let Some(row) = row {
                self.stats.command(row.id).rejected += 1;
            }
            self.unblock(&mut client);
            self.clients.put_back(client);
        }
    }

    /// Drops all watches of a client.
    pub fn unwatch_all(&mut self, client: &mut Client) {
        self.keyspace.unwatch(client.id);
        client.flags -= ClientFlags::DIRTY_CAS;
        client.bookkeeping.watched = 0;
    }

    /// Drops all subscriptions of a client.
    pub fn forget_subscriptions(&mut self, client: &mut Client) {
        let id = client.id;
        client.bookkeeping.subscriptions = 0;
        for name in std::mem::take(&mut client.channels) {
            self.pubsub.unsubscribe(pubsub::Kind::Channel, &name, id);
        }
        for name in std::mem::take(&mut client.patterns) {
            self.pubsub.unsubscribe(pubsub::Kind::Pattern, &name, id);
        }
        for name in std::mem::take(&mut client.shard_channels) {
            self.pubsub.unsubscribe(pubsub::Kind::Shard, &name, id);
        }
    }

    /// Whether a command with these flags may write now.
    ///
    /// # Errors
    /// Valkey's reasons in Valkey's order, then this server's own.
    pub fn check_writable(&self, flags: Flags) -> Result<(), CommandError> {
        if flags.contains(Flags::WRITE) {
            self.persistence.check_disk(self)?;
        }
        // Either of the two turns it off.
        let counts = self.config.min_replicas_to_write > 0 && self.config.min_replicas_max_lag > 0;
        if self.is_primary() && counts && flags.contains(Flags::WRITE) {
            let good = self.repl.good_replicas(self);
            if good < self.config.min_replicas_to_write as usize {
                return Err(CommandError::fixed("NOREPLICAS Not enough good replicas to write."));
            }
        }
        if !self.is_primary() && self.config.replica_read_only && flags.contains(Flags::WRITE) {
            return Err(CommandError::fixed("READONLY You can't write against a read only replica."));
        }
        if flags.contains(Flags::WRITE) {
            self.repl.quorum.check(self)?;
        }
        Ok(())
    }

    /// A write came from the primary. A replica that cannot bring it to disk ends, unless it is told to go on.
    pub fn check_disk_of_replica(&mut self) {
        if self.persistence.check_disk(self).is_ok() {
            return;
        }
        if !self.config.replica_ignore_disk_write_errors {
            crate::log_warning!(
                "Replica was unable to write command to disk. It ends; set replica-ignore-disk-write-errors to have it go on in memory."
            );
            self.exit = Some(1);
        } else if self.clock_us.saturating_sub(self.persistence.unwritable_told_us) >= 10_000_000 {
            self.persistence.unwritable_told_us = self.clock_us;
            crate::log_warning!("Replica is applying a command it is unable to write to disk.");
        }
    }

    /// Whether this is a replica that must not show its data while its primary is away.
    pub fn serves_no_stale_data(&self) -> bool {
        !self.config.replica_serve_stale_data && self.repl.link.as_ref().is_some_and(|l| !l.is_up())
    }
}
