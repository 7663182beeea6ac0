//! The server: the state that the data thread owns, and the order of one turn of its loop (`turn`).

pub mod apply;
pub mod caching;
pub mod commandlog;
pub mod cron;
pub mod debug;
pub mod effects;
pub mod eviction;
pub mod histogram;
pub mod io;
pub mod latency;
pub mod oom;
pub mod pause;
pub mod propagation;
pub mod reserve;
pub mod shutdown;
pub mod startup;
pub mod stats;
pub mod timers;
pub mod title;
pub mod tls;
pub mod trial;
pub mod turn;
pub mod users;

use std::path::PathBuf;
use std::time::Instant;

use crate::bio::{Bio, Message};
use crate::client::{ClientId, Clients, PubSub};
use crate::config::Config;
use crate::data::table::{Resize, set_resize};
use crate::keyspace::{ExpiryRule, Keyspace};
use crate::net::listener::Listener;
use crate::net::poll::Poll;
use crate::net::waker::Mailbox;
use crate::persistence::Persistence;
use crate::replication::Replication;
use crate::scripting::Scripting;

pub use commandlog::CommandLog;
pub use pause::Pauses;
pub use propagation::Propagation;
pub use stats::Stats;

/// The Valkey release whose behaviour this server has.
pub const VALKEY_VERSION: &str = "9.1.2";
/// The Redis release that clients are told for compatibility, as Valkey does.
pub const REDIS_VERSION: &str = "7.2.4";

/// Progress of loading a data set, at start or from a primary.
#[derive(Debug, Default)]
pub struct Loading {
    /// Set while a data set is being loaded.
    pub progress: Option<LoadProgress>,
}

/// See [`Loading`].
#[derive(Debug, Default)]
pub struct LoadProgress {
    /// Unix time in seconds of its start.
    pub start: i64,
    /// Bytes to load, where that is known.
    pub total: u64,
    /// Bytes that the server used that wrote the snapshot, where it says so.
    pub rdb_used_memory: u64,
    /// Bytes loaded.
    pub loaded: u64,
    /// Clients still read the old data set meanwhile.
    pub in_background: bool,
}

impl Loading {
    /// Whether clients have to wait for the data set.
    pub fn is_active(&self) -> bool {
        self.progress.as_ref().is_some_and(|p| !p.in_background)
    }
}

/// Everything that the data thread owns.
pub struct Server {
    /// The configuration in force.
    pub config: Config,
    /// The file it came from.
    pub config_file: Option<PathBuf>,
    /// The data.
    pub keyspace: Keyspace,
    /// Users.
    pub acl: crate::acl::Acl,
    /// Connections.
    pub clients: Clients,
    /// Subscriptions.
    pub pubsub: PubSub,
    /// Both roles in replication.
    pub repl: Replication,
    /// Snapshots and the append-only file.
    pub persistence: Persistence,
    /// Clients that cache, and what.
    pub tracking: crate::tracking::Tracking,
    /// How often in a row forgetting what is beyond `tracking-table-max-keys` was not enough.
    pub tracking_rounds: u32,
    /// The client whose command runs.
    pub caller: Option<ClientId>,
    /// Counters.
    pub stats: Stats,
    /// Calls worth remembering.
    pub commandlog: CommandLog,
    /// What took long.
    pub latency: latency::LatencyMonitor,
    /// Clients that see every command.
    pub monitors: Vec<ClientId>,
    /// See [`Loading`].
    pub loading: Loading,
    /// What the call under way propagates.
    pub propagation: Propagation,
    /// Blocked clients are being served.
    pub serving_ready: bool,
    /// Off while DEBUG SET-ACTIVE-EXPIRE says so.
    pub active_expire: bool,
    /// Connections that MIGRATE keeps.
    pub peers: crate::net::peers::Peers,
    /// Where clients receive what they have no buffer of their own for.
    pub shared_query: Vec<u8>,
    /// Scripts and functions.
    pub scripting: Scripting,
    /// What DEBUG switched, for tests.
    pub debug: debug::Switches,
    /// Unix time in microseconds when the clock was read last.
    pub clock_us: i64,
    /// Depth of calls: 1 in a command, 2 in a command of EXEC.
    pub nesting: u32,
    /// While a batch of requests is executed: when the last call ended, which is when the next one begins. Clocks are slow beside most calls.
    pub batch_clock: Option<Instant>,
    /// Pauses that are on.
    pub pauses: Pauses,
    /// The position that the snapshot loaded last stands for.
    pub loaded_position: Option<crate::replication::Position>,
    /// DEBUG SET-SKIP-CHECKSUM-VALIDATION.
    pub skip_checksum: bool,
    /// What is left to evict.
    pub eviction: eviction::Eviction,
    /// The kernel's out-of-memory score of before we set it.
    pub oom_score_before: Option<i32>,
    /// A shutdown that waits for replicas.
    pub shutdown: Option<shutdown::Shutdown>,
    /// A shutdown that a signal asked for while the first append-only file is being written.
    pub shutdown_wanted: Option<crate::config::ShutdownOptions>,
    /// Readiness.
    pub poll: Poll,
    /// Rules of TLS.
    pub tls: tls::Tls,
    /// Listening sockets.
    pub listeners: Vec<Listener>,
    /// Connections to `metrics-port`.
    pub http: crate::metrics::Http,
    /// Messages from background threads.
    pub mailbox: Mailbox<Message>,
    /// Background threads.
    pub bio: Bio,
    /// The read end of the pipe that signal handlers write to.
    pub signals: startup::Signals,
    /// When blocked clients give up.
    pub timers: timers::Timers,
    /// 40 hexadecimal digits that tell this life of the server from another.
    pub run_id: String,
    /// Unix time in ms of the start.
    pub start_ms: i64,
    /// Unix time in ms at which the next cron turn is due.
    pub next_cron_ms: i64,
    /// Cron turns so far.
    pub cron_turns: u64,
    /// What `used_memory` was before any data, in bytes.
    pub startup_memory: u64,
    /// Set when the loop is to end, with the exit code.
    pub exit: Option<i32>,
}

impl Server {
    /// Whether this server is a primary (or nobody's replica).
    pub fn is_primary(&self) -> bool {
        self.repl.link.is_none()
    }

    /// Unix time in ms, as of the beginning of this turn or command.
    pub fn now_ms(&self) -> i64 {
        self.keyspace.now_ms()
    }

    /// Says what becomes of expired keys, by role and pauses; after either changed.
    pub fn update_expiry_rule(&mut self) {
        let rule = if self.loading.is_active() {
            ExpiryRule::IGNORE
        } else if !self.is_primary() {
            if self.config.replica_read_only { ExpiryRule::HIDE } else { ExpiryRule::HIDE_FROM_READERS }
        } else if self.writes_paused() {
            ExpiryRule::HIDE
        } else if self.config.import_mode {
            ExpiryRule::HIDE_FROM_READERS
        } else {
            ExpiryRule::PRIMARY
        };
        self.keyspace.set_expiry_rule(rule);
    }

    /// A forked child lives, or ended: while it does, pages that are not written to are not copied.
    pub fn note_child(&mut self, alive: bool) {
        set_resize(if alive { Resize::Avoid } else { Resize::Allow });
        self.keyspace.set_touch(!alive);
    }

    /// CONFIG RESETSTAT.
    pub fn reset_stats(&mut self) {
        self.stats.reset(self.bio.freed_objects());
        self.keyspace.reset_stats();
    }

    /// Reads the clock.
    pub fn update_clock(&mut self) {
        self.clock_us = crate::sys::unix_us();
        self.keyspace.set_now_ms(self.clock_us / 1000);
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("run_id", &self.run_id).finish_non_exhaustive()
    }
}
