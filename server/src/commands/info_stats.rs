//! INFO stats and debug.

use super::info::{Part, View, fields};
use crate::client::pubsub::Kind;
use crate::server::stats::{Rate, Stats};

/// `# Stats`
pub const STATS: &[Part] = &[fields! {
    total_connections_received: |v| s(v).connections_received,
    total_commands_processed: |v| s(v).commands_processed,
    instantaneous_ops_per_sec: |v| s(v).ops_per_second.per_second(),
    total_net_input_bytes: |v| s(v).bytes_in + s(v).repl_bytes_in,
    total_net_output_bytes: |v| s(v).bytes_out + s(v).repl_bytes_out,
    total_net_repl_input_bytes: |v| s(v).repl_bytes_in,
    total_net_repl_output_bytes: |v| s(v).repl_bytes_out,
    total_net_cluster_slot_import_bytes: |_| 0,
    total_net_cluster_slot_export_bytes: |_| 0,
    instantaneous_input_kbps: |v| kib(&s(v).input_rate),
    instantaneous_output_kbps: |v| kib(&s(v).output_rate),
    instantaneous_input_repl_kbps: |v| kib(&s(v).repl_input_rate),
    instantaneous_output_repl_kbps: |v| kib(&s(v).repl_output_rate),
    rejected_connections: |v| s(v).rejected_connections,
    sync_full: |v| s(v).sync_full,
    sync_partial_ok: |v| s(v).sync_partial_ok,
    sync_partial_err: |v| s(v).sync_partial_err,
    expired_keys: |v| v.server.keyspace.stats().expired,
    expired_fields: |v| v.server.keyspace.stats().expired_fields,
    expired_stale_perc: |v| format!("{:.2}", v.server.keyspace.stats().expired_stale_share * 100.0),
    expired_keys_with_volatile_items_stale_perc: |v| {
        format!("{:.2}", v.server.keyspace.stats().fields_stale_share * 100.0)
    },
    expired_time_cap_reached_count: |v| v.server.keyspace.stats().expire_time_cap_reached,
    expire_cycle_cpu_milliseconds: |v| s(v).expire_us / 1000,
    evicted_keys: |v| v.server.keyspace.stats().evicted,
    evicted_clients: |v| s(v).evicted_clients,
    evicted_scripts: |v| s(v).evicted_scripts,
    total_eviction_exceeded_time: |v| s(v).beyond_limit.total().as_millis().to_string(),
    current_eviction_exceeded_time: |v| s(v).beyond_limit.current().as_millis().to_string(),
    keyspace_hits: |v| v.server.keyspace.stats().hits,
    keyspace_misses: |v| v.server.keyspace.stats().misses,
    pubsub_channels: |v| v.server.pubsub.count(Kind::Channel),
    pubsub_patterns: |v| v.server.pubsub.count(Kind::Pattern),
    pubsubshard_channels: |v| v.server.pubsub.count(Kind::Shard),
    latest_fork_usec: |v| s(v).latest_fork_us,
    total_forks: |v| s(v).forks,
    migrate_cached_sockets: |v| v.server.peers.len(),
    slave_expires_tracked_keys: |v| v.server.repl.own_keys.len(),
    active_defrag_hits: |_| 0,
    active_defrag_misses: |_| 0,
    active_defrag_key_hits: |_| 0,
    active_defrag_key_misses: |_| 0,
    total_active_defrag_time: |_| 0,
    current_active_defrag_time: |_| 0,
    tracking_total_keys: |v| v.server.tracking.keys(),
    tracking_total_items: |v| v.server.tracking.items(),
    tracking_total_prefixes: |v| v.server.tracking.prefixes(),
    unexpected_error_replies: |v| s(v).unexpected_error_replies,
    total_error_replies: |v| s(v).error_replies,
    dump_payload_sanitizations: |v| s(v).payloads_sanitized,
    total_reads_processed: |v| s(v).reads,
    total_writes_processed: |v| s(v).writes,
    io_threaded_reads_processed: |_| 0,
    io_threaded_writes_processed: |_| 0,
    io_threaded_freed_objects: |_| 0,
    io_threaded_accept_processed: |_| 0,
    io_threaded_poll_processed: |_| 0,
    io_threaded_total_prefetch_batches: |_| 0,
    io_threaded_total_prefetch_entries: |_| 0,
    client_query_buffer_limit_disconnections: |v| s(v).client_query_limit_disconnections,
    client_output_buffer_limit_disconnections: |v| s(v).client_output_limit_disconnections,
    // No timer gives a buffer of replies another size.
    reply_buffer_shrinks: |_| 0,
    reply_buffer_expands: |_| 0,
    eventloop_cycles: |v| s(v).turns.count,
    eventloop_duration_sum: |v| s(v).turns.busy_us,
    eventloop_duration_cmd_sum: |v| s(v).turns.commands_us,
    instantaneous_eventloop_cycles_per_sec: |v| s(v).turns.rate.per_second(),
    instantaneous_eventloop_duration_usec: |v| {
        s(v).turns.busy_rate.per_second().checked_div(s(v).turns.rate.per_second()).unwrap_or(0)
    },
    acl_access_denied_auth: |v| s(v).denied.logins,
    acl_access_denied_cmd: |v| s(v).denied.commands,
    acl_access_denied_key: |v| s(v).denied.keys,
    acl_access_denied_channel: |v| s(v).denied.channels,
    acl_access_denied_tls_cert: |v| s(v).denied.certificates,
    acl_access_denied_db: |v| s(v).denied.databases,
}];

/// `# Debug`
pub const DEBUG: &[Part] = &[fields! {
    eventloop_duration_aof_sum: |v| s(v).turns.aof_us,
    eventloop_duration_cron_sum: |v| s(v).turns.cron_us,
    eventloop_duration_max: |v| s(v).turns.longest_us,
    eventloop_cmd_per_cycle_max: |v| s(v).turns.most_commands,
    io_threaded_reads_pending: |_| 0,
    io_threaded_writes_pending: |_| 0,
}];

fn s<'a>(view: &'a View<'_>) -> &'a Stats {
    &view.server.stats
}

fn kib(rate: &Rate) -> String {
    format!("{:.2}", rate.per_second() as f64 / 1024.0)
}
