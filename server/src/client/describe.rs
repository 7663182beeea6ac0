//! A client as CLIENT LIST and CLIENT INFO show it.

use super::{Client, ClientFlags};
use crate::commands::client_tracking;
use crate::net::Interest;
use crate::resp::reply::OWN_BUFFER;
use crate::server::Server;

impl Client {
    /// Whether more waits to be sent than `limit`, beyond the own buffer; 0 is no limit.
    pub fn is_over(&self, limit: u64) -> bool {
        limit > 0 && self.reply.pending().saturating_sub(OWN_BUFFER) as u64 > limit
    }

    /// What it is to CLIENT LIST TYPE: `normal`, `pubsub`, `replica` or `primary`.
    pub fn kind(&self) -> &'static str {
        if self.is_primary() { "primary" } else { self.class() }
    }

    /// The user that it is logged in as.
    pub fn user_name(&self) -> &[u8] {
        self.user.as_ref().map_or(b"(superuser)", |user| user.name())
    }

    /// Its states, a letter each; `N` for none.
    pub fn flag_letters(&self) -> String {
        let has = |flag| self.flags.contains(flag);
        let monitor = has(ClientFlags::MONITOR);
        let states = [
            ('O', monitor),
            ('S', self.is_replica() && !monitor),
            ('M', self.is_primary()),
            ('P', self.subscriptions() > 0 || !self.shard_channels.is_empty()),
            ('x', self.transaction.is_some()),
            ('b', self.is_waiting()),
            ('d', has(ClientFlags::DIRTY_CAS)),
            ('c', has(ClientFlags::CLOSE_AFTER_REPLY)),
            ('A', has(ClientFlags::CLOSE_NOW)),
            ('U', self.stream.as_ref().is_some_and(|s| s.is_unix())),
            ('t', has(ClientFlags::TRACKING)),
            ('R', has(ClientFlags::TRACKING_BROKEN)),
            ('B', has(ClientFlags::TRACKING_BROADCAST)),
            ('r', has(ClientFlags::READONLY_MODE)),
            ('e', has(ClientFlags::NO_EVICT)),
            ('T', has(ClientFlags::NO_TOUCH)),
            ('I', has(ClientFlags::IMPORT_SOURCE)),
        ];
        let letters: String = states.iter().filter(|(_, on)| *on).map(|(letter, _)| *letter).collect();
        if letters.is_empty() { "N".to_owned() } else { letters }
    }

    /// What it said with CLIENT CAPA, a letter each.
    pub fn capability_letters(&self) -> &'static str {
        if self.flags.contains(ClientFlags::CAPA_REDIRECT) { "r" } else { "" }
    }

    /// Bytes of its queued commands.
    pub fn transaction_memory(&self) -> usize {
        self.transaction.as_ref().map_or(0, |t| t.memory)
    }

    /// Bytes that it holds: itself, its buffers, its queue, and what others keep for it.
    pub fn memory(&self) -> usize {
        let kept = self.bookkeeping;
        let buffers = self.query.capacity() + self.executing + self.reply.capacity() + self.transaction_memory();
        size_of::<Client>() + buffers + kept.subscriptions + kept.watched + kept.prefixes
    }
}

impl Server {
    /// Bytes of the replication stream that a replica has yet to take.
    pub fn stream_behind(&self, client: &Client) -> u64 {
        match (&client.replica, &self.repl.buffer) {
            (Some(r), Some(buffer)) if r.needs_stream() => buffer.end().saturating_sub(r.cursor),
            _ => 0,
        }
    }

    /// The line of CLIENT LIST. `argv_memory`: bytes of the arguments under execution.
    pub fn client_line(&self, client: &Client, argv_memory: usize) -> Vec<u8> {
        let now = self.now_ms();
        let pending = client.reply.pending();
        let own = pending.min(OWN_BUFFER);
        let beyond = (pending - own) as u64 + self.stream_behind(client);
        let unparsed = client.query.unparsed();
        let mut line = format!("id={} addr={} laddr={}", client.id, client.peer, client.local).into_bytes();
        let mut put = |name: &str, value: &[u8]| {
            line.push(b' ');
            line.extend_from_slice(name.as_bytes());
            line.push(b'=');
            line.extend_from_slice(value);
        };
        let queued = client.transaction.as_ref().map_or(-1, |t| t.queue.len() as i64);
        let number = |n: i64| n.to_string().into_bytes();
        let size = |n: usize| n.to_string().into_bytes();
        put("fd", &number(client.stream.as_ref().map_or(-1, |s| i64::from(s.number()))));
        put("name", &client.name);
        put("age", &number((now - client.created_ms) / 1000));
        put("idle", &number((now - client.active_ms) / 1000));
        put("flags", client.flag_letters().as_bytes());
        put("capa", client.capability_letters().as_bytes());
        put("db", &size(client.db));
        put("sub", &size(client.channels.len()));
        put("psub", &size(client.patterns.len()));
        put("ssub", &size(client.shard_channels.len()));
        put("multi", &number(queued));
        put("watch", &size(self.keyspace.watched_by(client.id)));
        put("qbuf", &size(unparsed));
        put("qbuf-free", &size(client.query.room().saturating_sub(unparsed)));
        put("argv-mem", &size(argv_memory));
        put("multi-mem", &size(client.transaction_memory()));
        put("rbs", &size(client.reply.capacity()));
        put("rbp", &size(client.reply.peak()));
        put("obl", &size(own));
        put("oll", &number(i64::from(beyond > 0)));
        put("omem", beyond.to_string().as_bytes());
        put("tot-mem", &size(client.memory() + argv_memory));
        put("events", if client.interest == Interest::ReadWrite { b"rw" } else { b"r" });
        put("cmd", client.last_command.map_or("NULL", |row| row.full_name.as_str()).as_bytes());
        put("user", client.user_name());
        put("redir", &number(client_tracking::redirection(self.tracking.get(client.id))));
        put("resp", &number(i64::from(client.reply.proto)));
        put("lib-name", &client.lib_name);
        put("lib-ver", &client.lib_version);
        put("tot-net-in", client.bytes_in.to_string().as_bytes());
        put("tot-net-out", client.bytes_out.to_string().as_bytes());
        put("tot-cmds", client.commands.to_string().as_bytes());
        line
    }
}
