//! A client: what the server remembers of one connection.

pub mod blocked;
pub mod describe;
pub mod pubsub;
pub mod registry;

use std::collections::BTreeSet;
use std::rc::Rc;

use bitflags::bitflags;

pub use blocked::Blocked;
pub use pubsub::PubSub;
pub use registry::Clients;

use crate::acl::User;
use crate::commands::Row;
use crate::net::{Interest, Stream};
use crate::replication::primary::ReplicaState;
use crate::resp::{OwnedArgv, QueryBuf, ReplyBuf};

/// A client's number, never used twice in a server's life.
pub type ClientId = u64;

bitflags! {
    /// States of a client that are either on or off.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct ClientFlags: u32 {
        /// Close as soon as the pending output is sent; take no more requests.
        const CLOSE_AFTER_REPLY = 1;
        /// Close at the end of this turn, whatever is pending.
        const CLOSE_NOW = 1 << 1;
        /// In the list of clients with output to send.
        const WRITE_QUEUED = 1 << 2;
        /// This is the stream of our primary: executed without checks, not answered.
        const PRIMARY = 1 << 3;
        /// This is one of our replicas.
        const REPLICA = 1 << 4;
        /// Sees every command.
        const MONITOR = 1 << 5;
        /// CLIENT REPLY OFF.
        const REPLY_OFF = 1 << 6;
        /// CLIENT REPLY SKIP: the next command is not answered.
        const REPLY_SKIP_NEXT = 1 << 7;
        /// This command is not answered.
        const REPLY_SKIP = 1 << 8;
        /// CLIENT NO-EVICT.
        const NO_EVICT = 1 << 9;
        /// CLIENT NO-TOUCH.
        const NO_TOUCH = 1 << 10;
        /// Inside EXEC.
        const IN_EXEC = 1 << 11;
        /// A watched key was changed.
        const DIRTY_CAS = 1 << 12;
        /// A queued command was refused: EXEC will fail.
        const DIRTY_EXEC = 1 << 13;
        /// Commands come from an append-only file.
        const AOF_LOADER = 1 << 14;
        /// Input waits until a pause ends.
        const POSTPONED = 1 << 15;
        /// In the list of clients whose input is to be taken up again.
        const INPUT_QUEUED = 1 << 16;
        /// READONLY was called (cluster clients send it everywhere).
        const READONLY_MODE = 1 << 17;
        /// Stands for a client in the commands of a script.
        const IN_SCRIPT = 1 << 18;
        /// CLIENT CAPA REDIRECT.
        const CAPA_REDIRECT = 1 << 19;
        /// CLIENT IMPORT-SOURCE: sees what has expired, while `import-mode` is on.
        const IMPORT_SOURCE = 1 << 20;
        /// Was logged in once: whoever was may have long answers.
        const KNOWN = 1 << 21;
        /// CLIENT TRACKING; the server's own record has the rest.
        const TRACKING = 1 << 22;
        /// Whoever was to be told in its place is gone.
        const TRACKING_BROKEN = 1 << 23;
        /// In the broadcasting mode.
        const TRACKING_BROADCAST = 1 << 24;
        /// SCRIPT DEBUG: its next EVAL runs in the debugger.
        const DEBUGS_SCRIPTS = 1 << 25;
        /// SCRIPT DEBUG SYNC: in the server itself, not in a child.
        const DEBUGS_IN_SYNC = 1 << 26;
        /// To be closed when the input that a pause held up has been answered.
        const LEAVING = 1 << 27;
        /// On a place beyond `maxclients`, and has not shown yet that it is one of those whom these are for.
        const UNPROVEN = 1 << 28;
    }
}

/// Commands queued by MULTI.
#[derive(Debug, Default)]
pub struct Transaction {
    /// In the order they came.
    pub queue: Vec<(&'static Row, OwnedArgv)>,
    /// The database that a queued SELECT selects.
    pub db: Option<usize>,
    /// Bytes of their arguments.
    pub memory: usize,
    /// Flags of all of them together, to tell whether EXEC writes.
    pub flags: crate::commands::Flags,
}

impl Transaction {
    /// Whether all commands have these flags.
    pub fn all(&self, flags: crate::commands::Flags) -> bool {
        self.queue.iter().all(|(row, _)| row.command.flags.contains(flags))
    }
}

/// Bytes that others keep for a client.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bookkeeping {
    /// Its subscriptions.
    pub subscriptions: usize,
    /// The keys that it watches.
    pub watched: usize,
    /// The prefixes of keys that it caches.
    pub prefixes: usize,
}

/// What a name costs that is kept in a table and in a client's own list.
pub const NAME_OVERHEAD: usize = 64;

/// One connection, or a stand-in for one (`stream` is `None`).
#[derive(Debug)]
pub struct Client {
    /// See [`ClientId`].
    pub id: ClientId,
    /// Where the registry keeps it.
    pub slot: u32,
    /// The socket.
    pub stream: Option<Stream>,
    /// `ip:port` of the peer when it connected.
    pub peer: String,
    /// `ip:port` of our side.
    pub local: String,
    /// See [`ClientFlags`].
    pub flags: ClientFlags,
    /// What the event loop watches the socket for.
    pub interest: Interest,
    /// Requests.
    pub query: QueryBuf,
    /// Bytes of the buffer of the requests that are being executed: it is not in `query` meanwhile.
    pub executing: usize,
    /// Replies.
    pub reply: ReplyBuf,
    /// The selected database.
    pub db: usize,
    /// CLIENT SETNAME.
    pub name: Vec<u8>,
    /// CLIENT SETINFO LIB-NAME.
    pub lib_name: Vec<u8>,
    /// CLIENT SETINFO LIB-VER.
    pub lib_version: Vec<u8>,
    /// Who it is logged in as; `None` for what is no connection of a user: its commands need no permission.
    pub user: Option<Rc<User>>,
    /// Whether it logged in, or did not need to when it came.
    pub authenticated: bool,
    /// Queued commands, between MULTI and EXEC.
    pub transaction: Option<Transaction>,
    /// Set while the command of a blocked client runs again: the deadline of its first run.
    pub retry: Option<Option<i64>>,
    /// What it waits for.
    pub blocked: Option<Blocked>,
    /// Subscriptions.
    pub channels: BTreeSet<Box<[u8]>>,
    /// Subscriptions by pattern.
    pub patterns: BTreeSet<Box<[u8]>>,
    /// Subscriptions to shard channels.
    pub shard_channels: BTreeSet<Box<[u8]>>,
    /// What is known of it as a replica, from its first REPLCONF or SYNC on.
    pub replica: Option<Box<ReplicaState>>,
    /// Unix time of the connection, in ms.
    pub created_ms: i64,
    /// Unix time of the last request, in ms.
    pub active_ms: i64,
    /// The last command.
    pub last_command: Option<&'static Row>,
    /// See [`Bookkeeping`].
    pub bookkeeping: Bookkeeping,
    /// Bytes that the registry has counted for it.
    pub counted: usize,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// Commands executed.
    pub commands: u64,
    /// Unix time in ms since when its output has been beyond the soft limit.
    pub over_soft_limit_since: Option<i64>,
    /// The replication offset of its last write: WAIT and synchronous replication wait for that.
    pub last_write_offset: u64,
}

impl Client {
    /// A client without history. `stream` is `None` for one that stands in for a connection.
    pub fn new(id: ClientId, stream: Option<Stream>, now_ms: i64) -> Self {
        let (peer, local) = match &stream {
            Some(s) => (s.peer(), s.local()),
            None => (String::new(), String::new()),
        };
        Client {
            id,
            slot: 0,
            stream,
            peer,
            local,
            flags: ClientFlags::empty(),
            interest: Interest::Read,
            query: QueryBuf::default(),
            executing: 0,
            reply: ReplyBuf::default(),
            db: 0,
            name: Vec::new(),
            lib_name: Vec::new(),
            lib_version: Vec::new(),
            user: None,
            authenticated: true,
            transaction: None,
            retry: None,
            blocked: None,
            channels: BTreeSet::new(),
            patterns: BTreeSet::new(),
            shard_channels: BTreeSet::new(),
            replica: None,
            created_ms: now_ms,
            active_ms: now_ms,
            last_command: None,
            bookkeeping: Bookkeeping::default(),
            counted: 0,
            bytes_in: 0,
            bytes_out: 0,
            commands: 0,
            over_soft_limit_since: None,
            last_write_offset: 0,
        }
    }

    /// Whether this is the stream of our primary.
    pub fn is_primary(&self) -> bool {
        self.flags.contains(ClientFlags::PRIMARY)
    }

    /// Whether commands come from somewhere that was checked before: our primary or our own append-only file.
    pub fn is_trusted_source(&self) -> bool {
        self.flags.intersects(ClientFlags::PRIMARY | ClientFlags::AOF_LOADER)
    }

    /// Whether this is one of our replicas.
    pub fn is_replica(&self) -> bool {
        self.flags.contains(ClientFlags::REPLICA)
    }

    /// Its subscriptions of a kind.
    pub fn subscriptions_of(&mut self, kind: pubsub::Kind) -> &mut BTreeSet<Box<[u8]>> {
        match kind {
            pubsub::Kind::Channel => &mut self.channels,
            pubsub::Kind::Pattern => &mut self.patterns,
            pubsub::Kind::Shard => &mut self.shard_channels,
        }
    }

    /// Number of subscriptions of the ordinary kinds.
    pub fn subscriptions(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }

    /// Whether it is in RESP2's subscription mode, where only a few commands are allowed.
    pub fn in_pubsub_mode(&self) -> bool {
        self.reply.proto == 2 && (self.subscriptions() > 0 || !self.shard_channels.is_empty())
    }

    /// Whether a replica sends this client to its primary for a command with these flags (CLIENT CAPA REDIRECT).
    pub fn is_to_be_redirected(&self, flags: crate::commands::Flags) -> bool {
        use crate::commands::Flags;
        self.flags.contains(ClientFlags::CAPA_REDIRECT)
            && (flags.contains(Flags::WRITE)
                || flags.contains(Flags::READONLY) && !self.flags.contains(ClientFlags::READONLY_MODE))
    }

    /// Whether it is about to be closed.
    pub fn is_closing(&self) -> bool {
        self.flags.intersects(ClientFlags::CLOSE_AFTER_REPLY | ClientFlags::CLOSE_NOW)
    }

    /// Whether its next request must wait.
    pub fn is_waiting(&self) -> bool {
        self.blocked.is_some() || self.flags.contains(ClientFlags::POSTPONED)
    }

    /// The class of output limits: `normal`, `replica` or `pubsub`.
    pub fn class(&self) -> &'static str {
        if self.is_replica() && !self.flags.contains(ClientFlags::MONITOR) {
            "replica"
        } else if self.subscriptions() > 0 || !self.shard_channels.is_empty() {
            "pubsub"
        } else {
            "normal"
        }
    }

    /// The name for log lines: address, or what it stands in for.
    pub fn describe(&self) -> String {
        if self.is_primary() { "PRIMARY".to_owned() } else { self.peer.clone() }
    }
}
