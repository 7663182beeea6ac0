//! INFO replication.

use std::fmt::Write;

use super::info::{Part, View, fields};
use crate::replication::backlog::ReplBuffer;
use crate::replication::link::Link;
use crate::replication::primary::ReplicaPhase;

/// `# Replication`
pub const REPLICATION: &[Part] = &[
    fields! {
        role: |v| if v.server.is_primary() { "master" } else { "slave" },
        master_host: |v| link(v).map(|l| l.host.as_str()),
        master_port: |v| link(v).map(|l| l.port),
        master_link_status: |v| link(v).map(|l| if l.is_up() { "up" } else { "down" }),
        master_last_io_seconds_ago: |v| {
            link(v).map(|l| if l.is_up() { (v.server.now_ms() - l.last_io_ms) / 1000 } else { -1 })
        },
        master_sync_in_progress: |v| link(v).map(Link::is_receiving),
        slave_read_repl_offset: |v| link(v).map(|_| v.server.repl.offset() + v.server.stream_unexecuted() as u64),
        slave_repl_offset: |v| link(v).map(|_| v.server.repl.offset()),
        replicas_repl_buffer_size: |v| link(v).map(Link::kept_bytes),
        replicas_repl_buffer_peak: |v| link(v).map(|l| l.kept_peak),
        master_sync_total_bytes: |v| link(v).and_then(Link::sync_progress).map(|(_, total)| total.unwrap_or(0)),
        master_sync_read_bytes: |v| link(v).and_then(Link::sync_progress).map(|(read, _)| read),
        master_sync_left_bytes: |v| {
            link(v).and_then(Link::sync_progress).map(|(read, total)| total.map_or(-(read as i64), |t| (t - read.min(t)) as i64))
        },
        master_sync_perc: |v| {
            let progress = link(v).and_then(Link::sync_progress);
            progress.map(|(read, total)| super::info::ratio(read * 100, total.unwrap_or(0)))
        },
        master_sync_last_io_seconds_ago: |v| {
            link(v).filter(|l| l.is_receiving()).map(|l| (v.server.now_ms() - l.last_io_ms) / 1000)
        },
        master_link_down_since_seconds: |v| {
            link(v).filter(|l| !l.is_up()).map(|l| (v.server.now_ms() - l.down_since_ms) / 1000)
        },
        slave_priority: |v| link(v).map(|_| v.server.config.replica_priority),
        slave_read_only: |v| link(v).map(|_| v.server.config.replica_read_only),
        replica_announced: |v| link(v).map(|_| v.server.config.replica_announced),
        connected_slaves: |v| v.server.repl.replicas.len(),
        min_slaves_good_slaves: |v| {
            let c = &v.server.config;
            let counts = c.min_replicas_to_write > 0 && c.min_replicas_max_lag > 0;
            counts.then(|| v.server.repl.good_replicas(v.server))
        },
    },
    Part::Lines(replicas),
    fields! {
        replicas_waiting_psync: |v| v.server.repl.reservations.len(),
        master_failover_state: |v| v.server.failover_state(),
        master_replid: |v| text(&v.server.repl.history.id),
        master_replid2: |v| text(&v.server.repl.history.id2),
        master_repl_offset: |v| v.server.repl.offset(),
        second_repl_offset: |v| v.server.repl.history.second_offset(),
        repl_backlog_active: |v| buffer(v).is_some(),
        repl_backlog_size: |v| v.server.config.repl_backlog_size,
        repl_backlog_first_byte_offset: |v| buffer(v).map_or(0, |b| b.history_start() + 1),
        repl_backlog_histlen: |v| buffer(v).map_or(0, ReplBuffer::history_len),
    },
];

fn link<'a>(view: &'a View<'_>) -> Option<&'a Link> {
    view.server.repl.link.as_ref()
}

fn buffer<'a>(view: &'a View<'_>) -> Option<&'a ReplBuffer> {
    view.server.repl.buffer.as_ref()
}

fn text(id: &[u8]) -> String {
    String::from_utf8_lossy(id).into_owned()
}

fn replicas(view: &View<'_>, out: &mut String) {
    for (i, id) in view.server.repl.replicas.iter().enumerate() {
        let Some(client) = view.server.clients.by_id(*id) else { continue };
        let Some(r) = &client.replica else { continue };
        let name = crate::replication::primary::replica_name(client);
        let (ip, port) = name.rsplit_once(':').unwrap_or((&name, "0"));
        let lag = if matches!(r.phase, ReplicaPhase::Online) { (view.server.now_ms() - r.ack_ms) / 1000 } else { 0 };
        let _ = write!(
            out,
            "slave{i}:ip={ip},port={port},state={},offset={},lag={lag},type={}\r\n",
            r.phase_name(),
            r.ack_offset,
            r.channel_name(),
        );
    }
}
