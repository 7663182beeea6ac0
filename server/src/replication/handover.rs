//! What clients see of a move that the operator has begun. Nobody accepts writes for a moment: theirs wait meanwhile, at the instance that
//! was primary and at the one that is to be, rather than fail again and again. Once the next primary accepts writes, the clients of the one
//! before are sent there: each is refused one write at most, and its connection ends, because many a library keeps one that still stands
//! and would be refused for ever.

use crate::client::{Client, ClientFlags, ClientId};
use crate::server::Server;
use crate::server::pause::{Reason, Scope};

/// How long writes wait at most: the operator's word may never come.
const HOLD_MS: i64 = 1_000;
/// For how long after a move clients may still be led to the instance that was primary: nodes take in what Services lead to once a second, and
/// later when they are busy.
const MISLED_MS: i64 = 10_000;

impl Server {
    /// Has clients wait with their writes, for a second from now at most.
    pub fn hold_writes(&mut self) {
        self.pause(Reason::Move, Scope::Writes, self.now_ms() + HOLD_MS);
    }

    /// Lets clients go on, or hear why they cannot.
    pub fn end_hold(&mut self) {
        if self.pauses.get(Reason::Move).is_some() {
            self.unpause(Reason::Move);
        }
    }

    /// Lets clients go on once this primary accepts writes.
    pub fn end_hold_when_open(&mut self) {
        if self.pauses.get(Reason::Move).is_some()
            && self.is_primary()
            && self.repl.quorum.has_quorum(self.config.primary_quorum_timeout)
        {
            self.end_hold();
        }
    }

    /// Whether a client that wants to write here was probably led here as to the primary. Like those who came before the move it would stay,
    /// and be refused for ever.
    pub fn is_misled(&self, client: &Client) -> bool {
        let moved = self.repl.former_clients.is_some() || self.now_ms() < self.repl.misleads_until_ms;
        !self.is_primary() && self.repl.quorum.term > 0 && moved && client.kind() == "normal"
    }

    /// From now on this is no primary: who is connected came to one.
    pub fn note_former_clients(&mut self) {
        self.repl.former_clients = Some(self.clients.next_id());
    }

    /// Ends the connections of those who came to a primary, apart from the one who asks for it. Where a write waits, that is when the hold has
    /// ended. Those who come to write now wait for as long: if they were refused at once, they would be back at once.
    pub fn dismiss_former_clients(&mut self, except: ClientId) {
        let Some(first_after) = self.repl.former_clients.take() else { return };
        let is_former = |c: &&Client| c.id < first_after && c.id != except && c.kind() == "normal";
        let former: Vec<u32> = self.clients.iter().filter(is_former).map(|client| client.slot).collect();
        for slot in former {
            let Some(mut client) = self.clients.take(slot) else { continue };
            // All that it has sent is answered first, so that it knows what was not executed.
            let waits = client.flags.contains(ClientFlags::POSTPONED);
            client.flags |= if waits { ClientFlags::LEAVING } else { ClientFlags::CLOSE_AFTER_REPLY };
            self.clients.put_back(client);
        }
        self.end_hold();
        self.repl.misleads_until_ms = self.now_ms() + MISLED_MS;
        self.hold_writes();
    }
}
