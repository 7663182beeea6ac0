//! INFO persistence.

use super::info::{Part, View, fields, ratio};
use crate::persistence::aof::Aof;
use crate::persistence::child::{Child, Purpose};
use crate::server::LoadProgress;

/// `# Persistence`
pub const PERSISTENCE: &[Part] = &[fields! {
    loading: |v| v.server.loading.is_active(),
    async_loading: |v| load(v).is_some_and(|l| l.in_background),
    current_cow_peak: |v| child(v).map_or(0, |c| c.cow_peak),
    current_cow_size: |v| child(v).map_or(0, |c| c.progress.cow_bytes),
    current_cow_size_age: |v| child(v).map_or(0, |c| c.progress.cow_age(v.server.now_ms())),
    current_fork_perc: |v| child(v).map_or_else(|| ratio(0, 0), |c| ratio(c.progress.keys * 100, c.progress.total_keys)),
    current_save_keys_processed: |v| child(v).map_or(0, |c| c.progress.keys),
    current_save_keys_total: |v| child(v).map_or(0, |c| c.progress.total_keys),
    rdb_changes_since_last_save: |v| v.server.changes_since_save(),
    // Replicas may have to take what a child has left that is gone.
    rdb_bgsave_in_progress: |v| saves(v).is_some() || v.server.persistence.transfer_outlives_child,
    rdb_last_save_time: |v| v.server.persistence.rdb.last_save,
    rdb_last_bgsave_status: |v| status(v.server.persistence.rdb.last_ok),
    rdb_last_bgsave_time_sec: |v| v.server.persistence.rdb.last_seconds,
    rdb_current_bgsave_time_sec: |v| running_seconds(saves(v)),
    rdb_saves: |v| v.server.persistence.rdb.saves,
    rdb_last_cow_size: |v| v.server.persistence.rdb.last_cow,
    rdb_last_load_keys_expired: |v| v.server.persistence.rdb.keys_expired,
    rdb_last_load_keys_loaded: |v| v.server.persistence.rdb.keys_loaded,
    aof_enabled: |v| aof(v).is_on(),
    aof_rewrite_in_progress: |v| rewrites(v).is_some(),
    aof_rewrite_scheduled: |v| aof(v).rewrite_scheduled,
    aof_last_rewrite_time_sec: |v| aof(v).last_rewrite_seconds,
    aof_current_rewrite_time_sec: |v| running_seconds(rewrites(v)),
    aof_last_bgrewrite_status: |v| status(aof(v).last_rewrite_ok),
    aof_rewrites: |v| aof(v).rewrites,
    aof_rewrites_consecutive_failures: |v| aof(v).failed_rewrites(),
    aof_last_write_status: |v| status(aof(v).write_error().is_none()),
    aof_last_cow_size: |v| aof(v).last_rewrite_cow,
    module_fork_in_progress: |_| 0,
    module_fork_last_cow_size: |_| 0,
    slot_migration_fork_in_progress: |_| 0,
    aof_current_size: |v| aof_on(v).map(|a| a.size),
    aof_base_size: |v| aof_on(v).map(|a| a.base_size),
    aof_pending_rewrite: |v| aof_on(v).map(|a| a.rewrite_scheduled),
    aof_buffer_length: |v| aof_on(v).map(Aof::pending),
    aof_pending_bio_fsync: |v| aof_on(v).map(Aof::is_fsyncing),
    aof_delayed_fsync: |v| aof_on(v).map(|a| a.delayed_fsync),
    loading_start_time: |v| load(v).map(|l| l.start),
    loading_total_bytes: |v| load(v).map(|l| l.total),
    loading_rdb_used_mem: |v| load(v).map(|l| l.rdb_used_memory),
    loading_loaded_bytes: |v| load(v).map(|l| l.loaded),
    loading_loaded_perc: |v| load(v).map(|l| ratio(l.loaded * 100, l.total)),
    loading_eta_seconds: |v| load(v).map(|l| eta(v, l)),
}];

fn aof<'a>(view: &'a View<'_>) -> &'a Aof {
    &view.server.persistence.aof
}

fn aof_on<'a>(view: &'a View<'_>) -> Option<&'a Aof> {
    Some(aof(view)).filter(|aof| aof.is_on())
}

fn load<'a>(view: &'a View<'_>) -> Option<&'a LoadProgress> {
    view.server.loading.progress.as_ref()
}

/// Seconds until everything is loaded, at the pace so far.
fn eta(view: &View<'_>, load: &LoadProgress) -> i64 {
    let elapsed = view.server.now_ms() / 1000 - load.start;
    let left = load.total.saturating_sub(load.loaded);
    if load.loaded == 0 { 1 } else { (elapsed as f64 * left as f64 / load.loaded as f64) as i64 }
}

fn child<'a>(view: &'a View<'_>) -> Option<&'a Child> {
    view.server.persistence.child.as_ref()
}

fn saves<'a>(view: &'a View<'_>) -> Option<&'a Child> {
    child(view).filter(|c| !matches!(c.purpose, Purpose::AofRewrite))
}

fn rewrites<'a>(view: &'a View<'_>) -> Option<&'a Child> {
    child(view).filter(|c| matches!(c.purpose, Purpose::AofRewrite))
}

fn running_seconds(child: Option<&Child>) -> i64 {
    child.map_or(-1, |c| c.started.elapsed().as_secs() as i64)
}

fn status(ok: bool) -> &'static str {
    if ok { "ok" } else { "err" }
}
