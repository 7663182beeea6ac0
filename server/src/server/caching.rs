//! Client-side caching: telling clients that keys which they may have cached changed.

use super::Server;
use crate::client::{Client, ClientFlags, ClientId, pubsub};
use crate::commands::spec::Group;
use crate::commands::{Flags, KeyUse, Row};
use crate::resp::{Argv, ReplyBuf};

/// The channel that a client which speaks RESP2 subscribes to, to be told in another's place.
const CHANNEL: &[u8] = b"__redis__:invalidate";

impl Server {
    /// A client read keys: remembers that, if it caches.
    pub fn note_read(&mut self, client: &Client, row: &Row, argv: Argv<'_>) {
        // What a script reads is noted as it reads it.
        let reads = row.command.flags.contains(Flags::READONLY) && row.command.group != Group::Scripting;
        if self.tracking.is_idle() || !reads {
            return;
        }
        let keys = row.command.used_keys(argv).filter(|(_, key_use)| !key_use.contains(KeyUse::NOT_KEY));
        self.tracking.note_read(client.id, keys.map(|(at, _)| argv.get(at)));
    }

    /// A client's request has ended: CLIENT CACHING was for it, unless it is the one that said so, or others are queued.
    pub fn end_caching_exception(&mut self, client: &Client) {
        if self.tracking.is_idle() || client.transaction.is_some() {
            return;
        }
        let was_client = client.last_command.is_some_and(|row| row.full_name.starts_with("client|"));
        if let Some(tracked) = self.tracking.get_mut(client.id).filter(|_| !was_client) {
            tracked.caching = false;
        }
    }

    /// A key was changed: tells who may have it.
    pub fn note_change(&mut self, key: &[u8], by: Option<ClientId>) {
        for client in self.tracking.note_change(key, by) {
            self.tell_invalid(client, Some(&[key]));
        }
    }

    /// All keys of a database, or of all of them, are gone: whoever caches is told to forget everything.
    pub fn note_flush(&mut self) {
        if self.tracking.is_idle() {
            return;
        }
        self.tracking.note_flush();
        for client in self.tracking.clients().collect::<Vec<_>>() {
            self.tell_invalid(client, None);
        }
    }

    /// Forgets keys when more are remembered than `tracking-table-max-keys` allows: a bounded number, more if that was not enough
    /// the last time.
    pub fn limit_tracking(&mut self) {
        let limit = self.config.tracking_table_max_keys;
        if self.tracking.is_idle() || limit == 0 {
            return;
        }
        for _ in 0..100 * (self.tracking_rounds + 1) {
            let Some((key, clients)) = self.tracking.forget_beyond(limit) else {
                self.tracking_rounds = 0;
                return;
            };
            for client in clients {
                self.tell_invalid(client, Some(&[&key]));
            }
        }
        self.tracking_rounds += 1;
    }

    /// Sends what the broadcasting mode has to tell; once a turn.
    pub fn broadcast_changes(&mut self) {
        if self.tracking.is_idle() {
            return;
        }
        for broadcast in self.tracking.take_broadcasts() {
            let keys: Vec<&[u8]> = broadcast.keys.iter().map(|key| &**key).collect();
            for client in broadcast.to {
                self.tell_invalid(client, Some(&keys));
            }
        }
    }

    /// Tells a client, or who is told in its place, that keys are not to be used from its cache; `None` for all keys.
    fn tell_invalid(&mut self, id: ClientId, keys: Option<&[&[u8]]>) {
        let Some(tracked) = self.tracking.get_mut(id) else { return };
        let to = tracked.redirect.unwrap_or(id);
        let redirected = tracked.redirect.is_some();
        if self.clients.slot_of(to).is_none() {
            tracked.broken = true;
            if let Some(client) = self.clients.by_id_mut(id) {
                client.flags |= ClientFlags::TRACKING_BROKEN;
            }
            return self.clients.deliver(id, |reply| {
                // Who speaks RESP2 has no place for it.
                if reply.resp3() {
                    reply.push(2);
                    reply.bulk(b"tracking-redir-broken");
                    reply.int(to as i64);
                }
            });
        }
        let listens = self.pubsub.subscribers(pubsub::Kind::Channel, CHANNEL).contains(&to);
        self.clients.deliver(to, |reply| {
            if reply.resp3() {
                reply.push(2);
                reply.bulk(b"invalidate");
            } else if redirected && listens {
                reply.push(3);
                reply.bulk(b"message");
                reply.bulk(CHANNEL);
            } else {
                return;
            }
            put_keys(reply, keys);
        });
    }

    /// A client caches no more.
    pub fn stop_tracking(&mut self, client: &mut Client) {
        self.tracking.disable(client.id);
        client.bookkeeping.prefixes = 0;
        client.flags -= ClientFlags::TRACKING | ClientFlags::TRACKING_BROKEN | ClientFlags::TRACKING_BROADCAST;
        self.keyspace.set_report_modified(!self.tracking.is_idle());
    }
}

fn put_keys(reply: &mut ReplyBuf, keys: Option<&[&[u8]]>) {
    match keys {
        None => reply.null(),
        Some(keys) => {
            reply.array(keys.len());
            keys.iter().for_each(|key| reply.bulk(key));
        }
    }
}
