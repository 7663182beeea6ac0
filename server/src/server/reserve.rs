//! Places beyond `maxclients`, in a governed server (`primary-quorum-timeout`): for its replicas and for the operator, without whom the set
//! could neither heal nor be put right once clients have taken all the others.
//!
//! Who comes when all places are taken gets one of these and may only do what their handshakes begin with, until it has shown that it is one of
//! them. The oldest that has not makes room for the next, so that silence keeps nobody out.

use super::Server;
use crate::acl::DEFAULT;
use crate::client::{Client, ClientFlags};
use crate::config::Config;
use crate::resp::Argv;

/// Clients that may be connected beyond `maxclients`.
const PLACES: usize = 32;
/// Files that the server opens for itself, as Valkey counts them.
const OWN_FILES: u64 = 32;
/// What replicas and the operator send before it is known who they are.
const HANDSHAKE: &[&[u8]] = &[b"auth", b"hello", b"info", b"ping", b"psync", b"quit", b"quorum", b"replconf", b"sync"];
/// The answer to one client too many.
pub const TOO_MANY: &[u8] = b"-ERR max number of clients reached\r\n";

/// Files that may be open beside those of `maxclients` clients.
pub fn files_beside_clients(config: &Config) -> u64 {
    OWN_FILES + if is_governed(config) { PLACES as u64 } else { 0 }
}

fn is_governed(config: &Config) -> bool {
    config.primary_quorum_timeout > 0
}

impl Server {
    /// Whether there is a reserved place for a new client, maybe one that somebody has to leave.
    pub fn has_reserved_place(&mut self) -> bool {
        self.note_free_places();
        if !is_governed(&self.config) {
            return false;
        }
        if self.clients.reserved.len() < PLACES {
            return true;
        }
        let mut reserved = self.clients.reserved.iter().filter_map(|id| self.clients.by_id(*id));
        let Some(client) = reserved.find(|client| client.flags.contains(ClientFlags::UNPROVEN)) else { return false };
        let id = client.id;
        if let Some(stream) = &client.stream
            && client.reply.pending() == 0
        {
            // The peer may be gone already.
            let _ = stream.write(TOO_MANY);
        }
        self.stats.rejected_connections += 1;
        self.clients.reserved.retain(|reserved| *reserved != id);
        self.clients.close(id);
        true
    }

    /// When others have left, or `maxclients` is higher, who is on a reserved place is a client like all.
    fn note_free_places(&mut self) {
        if self.clients.reserved.is_empty() || self.clients.len() > self.config.maxclients as usize {
            return;
        }
        for id in std::mem::take(&mut self.clients.reserved) {
            if let Some(client) = self.clients.by_id_mut(id) {
                client.flags -= ClientFlags::UNPROVEN;
            }
        }
    }

    /// Whether a client that has not shown yet who it is may make this request. If not, it is answered, and its connection ends.
    pub fn admits_unproven(&mut self, client: &mut Client, argv: Argv<'_>) -> bool {
        self.note_free_places();
        if !self.clients.reserved.contains(&client.id) {
            client.flags -= ClientFlags::UNPROVEN;
            return true;
        }
        self.note_proof(client);
        let allowed = || HANDSHAKE.iter().any(|name| argv.get(0).eq_ignore_ascii_case(name));
        if !client.flags.contains(ClientFlags::UNPROVEN) || allowed() {
            return true;
        }
        client.reply.raw(TOO_MANY);
        client.flags |= ClientFlags::CLOSE_AFTER_REPLY;
        self.stats.rejected_connections += 1;
        false
    }

    /// It has shown that it is a replica, or the operator: it is logged in as the user of `primaryuser`, which is no other client's. (Without
    /// such a user, the operator shows it by `QUORUM STATE`.)
    pub fn note_proof(&self, client: &mut Client) {
        let name = self.config.primaryuser.as_slice();
        let named = !name.is_empty() && name != DEFAULT;
        if client.is_replica() || (named && client.authenticated && client.user_name() == name) {
            client.flags -= ClientFlags::UNPROVEN;
        }
    }
}
