//! All clients, by slot and by number.

use std::collections::HashMap;

use super::{Client, ClientFlags, ClientId};
use crate::resp::ReplyBuf;

/// The registry. While a client's command runs, the client is taken out of it, so that the command may hold both.
#[derive(Debug, Default)]
pub struct Clients {
    slots: Vec<Option<Box<Client>>>,
    by_id: HashMap<ClientId, u32>,
    /// Slots to use again; given back only at the end of a turn, so that an event never meets a stranger.
    free: Vec<u32>,
    freed: Vec<u32>,
    last_id: ClientId,
    /// Bytes of all but replicas and our primary.
    memory: usize,
    /// Clients on places beyond `maxclients`, in the order they came.
    pub reserved: Vec<ClientId>,
    /// Slots of clients with output to send.
    pub to_write: Vec<u32>,
    /// Slots of clients whose buffered input is to be taken up again.
    pub to_read: Vec<u32>,
    /// Slots of clients to close.
    pub to_close: Vec<u32>,
    /// Messages to a client that was taken out when they were written, as it reads them in RESP2 and in RESP3: which it speaks may be
    /// changing in this very moment.
    deferred: Vec<(ClientId, [Vec<u8>; 2])>,
    /// Clients that were taken out when they were to be closed.
    doomed: Vec<ClientId>,
}

impl Clients {
    /// The next number.
    pub fn next_id(&mut self) -> ClientId {
        self.last_id += 1;
        self.last_id
    }

    /// Adds a client, which learns its slot.
    pub fn insert(&mut self, mut client: Client) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() as u32 - 1
        });
        client.slot = slot;
        self.count(&mut client);
        self.by_id.insert(client.id, slot);
        self.slots[slot as usize] = Some(Box::new(client));
        slot
    }

    /// Takes a client out for the time of a call; [`put_back`](Self::put_back) must follow.
    pub fn take(&mut self, slot: u32) -> Option<Box<Client>> {
        self.slots.get_mut(slot as usize)?.take()
    }

    /// Ends a [`take`](Self::take), delivering what was written to the client meanwhile.
    pub fn put_back(&mut self, mut client: Box<Client>) {
        self.take_messages(&mut client);
        if let Some(i) = self.doomed.iter().position(|id| *id == client.id) {
            self.doomed.swap_remove(i);
            client.flags |= ClientFlags::CLOSE_NOW;
        }
        self.queue_output(&mut client);
        self.put_back_quietly(client);
    }

    /// Gives a client that is taken out what was written to it since. After each command: a message that it caused
    /// itself follows its reply.
    pub fn take_messages(&mut self, client: &mut Client) {
        if !self.deferred.is_empty() {
            self.deferred.retain(|(to, [resp2, resp3])| {
                if *to == client.id {
                    client.reply.raw_always(if client.reply.resp3() { resp3 } else { resp2 });
                }
                *to != client.id
            });
        }
    }

    /// Ends a [`take`](Self::take) in which nothing was executed: the caller has seen to output and closing.
    pub fn put_back_quietly(&mut self, mut client: Box<Client>) {
        self.count(&mut client);
        let slot = client.slot as usize;
        self.slots[slot] = Some(client);
    }

    /// Ends a [`take`](Self::take) by removing the client for good.
    pub fn discard(&mut self, client: &Client) {
        self.by_id.remove(&client.id);
        self.reserved.retain(|id| *id != client.id);
        self.memory -= client.counted;
        self.freed.push(client.slot);
        self.deferred.retain(|(to, _)| *to != client.id);
    }

    /// Counts anew what a client holds.
    fn count(&mut self, client: &mut Client) {
        let counts = !client.is_replica() && !client.is_primary();
        let now = if counts { client.memory() } else { 0 };
        self.memory = self.memory - client.counted + now;
        client.counted = now;
    }

    /// Bytes that clients hold, as counted when each was put back last; replicas and our primary do not count.
    pub fn memory(&self) -> usize {
        self.memory
    }

    /// Notes that a client has output or is to be closed.
    pub fn queue_output(&mut self, client: &mut Client) {
        if client.reply.has_overflowed() {
            client.flags |= ClientFlags::CLOSE_NOW;
        }
        if client.flags.intersects(ClientFlags::CLOSE_NOW) {
            self.to_close.push(client.slot);
        } else if !client.flags.contains(ClientFlags::WRITE_QUEUED)
            && (client.reply.pending() > 0 || client.flags.contains(ClientFlags::CLOSE_AFTER_REPLY))
        {
            client.flags |= ClientFlags::WRITE_QUEUED;
            self.to_write.push(client.slot);
        }
    }

    /// Asks for a client's buffered input to be taken up again in this turn.
    pub fn queue_input(&mut self, client: &mut Client) {
        if !client.flags.contains(ClientFlags::INPUT_QUEUED) {
            client.flags |= ClientFlags::INPUT_QUEUED;
            self.to_read.push(client.slot);
        }
    }

    /// Closes a client, also one that is taken out.
    pub fn close(&mut self, id: ClientId) {
        let Some(slot) = self.slot_of(id) else { return };
        match self.get_mut(slot) {
            Some(client) => {
                client.flags |= ClientFlags::CLOSE_NOW;
                // The peer is to notice now, not when this turn ends.
                if let Some(stream) = &client.stream {
                    stream.shutdown();
                }
                self.to_close.push(slot);
            }
            None => self.doomed.push(id),
        }
    }

    /// The client in a slot.
    pub fn get(&self, slot: u32) -> Option<&Client> {
        self.slots.get(slot as usize)?.as_deref()
    }

    /// The client in a slot.
    pub fn get_mut(&mut self, slot: u32) -> Option<&mut Client> {
        self.slots.get_mut(slot as usize)?.as_deref_mut()
    }

    /// The slot of a client.
    pub fn slot_of(&self, id: ClientId) -> Option<u32> {
        self.by_id.get(&id).copied()
    }

    /// The client with this number, unless it is taken out.
    pub fn by_id(&self, id: ClientId) -> Option<&Client> {
        self.get(self.slot_of(id)?)
    }

    /// The client with this number, unless it is taken out.
    pub fn by_id_mut(&mut self, id: ClientId) -> Option<&mut Client> {
        self.get_mut(self.slot_of(id)?)
    }

    /// Writes a message to a client in the protocol version that it speaks; to one that is taken out when its command has ended.
    pub fn deliver(&mut self, id: ClientId, message: impl Fn(&mut ReplyBuf)) {
        let Some(slot) = self.slot_of(id) else { return };
        let written = |proto| {
            let mut scratch = ReplyBuf::with_proto(proto);
            message(&mut scratch);
            scratch
        };
        match self.slots[slot as usize].take() {
            Some(mut client) => {
                client.reply.raw_always(written(client.reply.proto).sendable());
                self.queue_output(&mut client);
                self.count(&mut client);
                self.slots[slot as usize] = Some(client);
            }
            None => self.deferred.push((id, [2, 3].map(|proto| written(proto).sendable().to_vec()))),
        }
    }

    /// All clients that are not taken out.
    pub fn iter(&self) -> impl Iterator<Item = &Client> {
        self.slots.iter().filter_map(|c| c.as_deref())
    }

    /// All clients that are not taken out.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Client> {
        self.slots.iter_mut().filter_map(|c| c.as_deref_mut())
    }

    /// Number of clients, one that is taken out included.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Ends a turn: slots of clients that left may be used again.
    pub fn end_turn(&mut self) {
        self.free.append(&mut self.freed);
    }
}
