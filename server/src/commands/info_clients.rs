//! INFO clients.

use super::info::{Part, View, fields};
use crate::server::pause::{Reason, Scope};

/// `# Clients`
pub const CLIENTS: &[Part] = &[fields! {
    connected_clients: |v| v.server.clients.len() - v.server.repl.replicas.len().min(v.server.clients.len()),
    cluster_connections: |_| 0,
    maxclients: |v| v.server.config.maxclients,
    client_recent_max_input_buffer: |v| v.server.stats.recent_buffers.input(),
    client_recent_max_output_buffer: |v| v.server.stats.recent_buffers.output(),
    blocked_clients: |v| v.clients().blocked,
    tracking_clients: |v| v.server.tracking.clients().len(),
    pubsub_clients: |v| v.clients().pubsub,
    watching_clients: |v| v.server.keyspace.watch_counts().0,
    clients_in_timeout_table: |v| v.server.timers.len(),
    total_watched_keys: |v| v.server.keyspace.watch_counts().1,
    total_blocking_keys: |v| v.server.keyspace.blocking_key_counts().0,
    total_blocking_keys_on_nokey: |v| v.server.keyspace.blocking_key_counts().1,
    paused_reason: |v| pause(v).map_or("none", |p| p.reason),
    paused_actions: |v| pause(v).map_or("none", |p| if p.scope == Scope::All { "all" } else { "write" }),
    paused_timeout_milliseconds: |v| pause(v).map_or(0, |p| p.left_ms),
}];

/// Numbers of clients in a state, and what they hold in bytes.
#[derive(Debug, Default)]
pub struct Counts {
    /// Waiting for something.
    pub blocked: usize,
    /// Subscribed to something.
    pub pubsub: usize,
    /// Memory of replicas' connections, with what of the stream is kept for them beyond the backlog.
    pub replica_memory: usize,
    /// Memory of all other connections.
    pub normal_memory: usize,
}

impl Counts {
    /// Counts.
    pub fn take(view: &View<'_>) -> Self {
        let mut counts = Counts::default();
        for client in view.all_clients() {
            counts.blocked += usize::from(client.is_waiting());
            counts.pubsub += usize::from(client.subscriptions() + client.shard_channels.len() > 0);
            let memory = if client.is_replica() { &mut counts.replica_memory } else { &mut counts.normal_memory };
            *memory += client.memory();
        }
        if !view.server.repl.replicas.is_empty() {
            counts.replica_memory += view.server.memory_not_counted() as usize;
        }
        counts
    }
}

struct Pause {
    reason: &'static str,
    scope: Scope,
    left_ms: i64,
}

/// The pause in force: the widest one, and among those the one that ends last.
fn pause(view: &View<'_>) -> Option<Pause> {
    let now = view.server.now_ms();
    let reasons = [
        (Reason::Client, "client_pause"),
        (Reason::Failover, "failover_in_progress"),
        (Reason::Shutdown, "shutdown_in_progress"),
    ];
    let on = reasons.into_iter().filter_map(|(reason, name)| {
        let (scope, end) = view.server.pauses.get(reason).filter(|(_, end)| *end > now)?;
        Some(Pause { reason: name, scope, left_ms: end - now })
    });
    on.max_by_key(|pause| (pause.scope, pause.left_ms))
}
