//! INFO memory, and the figures that MEMORY STATS and MEMORY DOCTOR share with it.

use super::info::{Part, View, fields, human, ratio};
use crate::memory;
use crate::scripting::vm::Kind;

/// `# Memory`
pub const MEMORY: &[Part] = &[fields! {
    used_memory: |v| v.memory().used,
    used_memory_human: |v| human(v.memory().used),
    used_memory_rss: |v| v.memory().resident_process,
    used_memory_rss_human: |v| human(v.memory().resident_process),
    used_memory_peak: |v| v.memory().peak,
    used_memory_peak_human: |v| human(v.memory().peak),
    used_memory_peak_perc: |v| percent(v.memory().used, v.memory().peak),
    used_memory_overhead: |v| v.memory().overhead,
    used_memory_startup: |v| v.memory().startup,
    used_memory_dataset: |v| v.memory().dataset(),
    used_memory_dataset_perc: |v| percent(v.memory().dataset(), v.memory().since_start()),
    allocator_allocated: |v| v.memory().used,
    allocator_active: |v| v.memory().active,
    allocator_resident: |v| v.memory().resident,
    allocator_muzzy: |v| v.memory().muzzy,
    total_system_memory: |_| crate::sys::total_memory(),
    total_system_memory_human: |_| human(crate::sys::total_memory()),
    used_memory_lua: |v| v.vm(Kind::Eval),
    used_memory_vm_eval: |v| v.vm(Kind::Eval),
    used_memory_lua_human: |v| human(v.vm(Kind::Eval)),
    used_memory_scripts_eval: |v| v.server.scripting.cache.memory(),
    number_of_cached_scripts: |v| v.server.scripting.cache.len(),
    number_of_functions: |v| v.server.scripting.libraries.functions(),
    number_of_libraries: |v| v.server.scripting.libraries.len(),
    used_memory_vm_functions: |v| v.vm(Kind::Functions),
    used_memory_vm_total: |v| v.vm(Kind::Eval) + v.vm(Kind::Functions),
    used_memory_vm_total_human: |v| human(v.vm(Kind::Eval) + v.vm(Kind::Functions)),
    used_memory_functions: |v| v.server.scripting.libraries.memory(),
    used_memory_scripts: |v| script_memory(v),
    used_memory_scripts_human: |v| human(script_memory(v)),
    maxmemory: |v| v.server.config.maxmemory,
    maxmemory_human: |v| human(v.server.config.maxmemory),
    maxmemory_policy: |v| directive(v, "maxmemory-policy"),
    allocator_frag_ratio: |v| ratio(v.memory().active, v.memory().used),
    allocator_frag_bytes: |v| v.memory().active.saturating_sub(v.memory().used),
    allocator_rss_ratio: |v| ratio(v.memory().resident, v.memory().active),
    allocator_rss_bytes: |v| v.memory().resident as i64 - v.memory().active as i64,
    rss_overhead_ratio: |v| ratio(v.memory().resident_process, v.memory().resident),
    rss_overhead_bytes: |v| v.memory().resident_process as i64 - v.memory().resident as i64,
    mem_fragmentation_ratio: |v| ratio(v.memory().resident_process, v.memory().used),
    mem_fragmentation_bytes: |v| v.memory().resident_process as i64 - v.memory().used as i64,
    mem_not_counted_for_evict: |v| v.server.memory_not_counted(),
    mem_replication_backlog: |v| v.memory().backlog,
    mem_total_replication_buffers: |v| v.memory().stream,
    mem_replicas_repl_buffer: |v| v.memory().kept,
    mem_clients_slaves: |v| v.clients().replica_memory,
    mem_clients_normal: |v| v.clients().normal_memory,
    mem_cluster_links: |_| 0,
    mem_cluster_slot_import: |_| 0,
    mem_cluster_slot_export: |_| 0,
    mem_aof_buffer: |v| v.server.persistence.aof.pending(),
    mem_allocator: |_| memory::allocator(),
    // Tables grow bucket by bucket in place: there is never a second one.
    mem_overhead_db_hashtable_rehashing: |_| 0,
    active_defrag_running: |_| 0,
    lazyfree_pending_objects: |v| v.server.bio.pending_objects(),
    lazyfreed_objects: |v| v.server.bio.freed_objects() - v.server.stats.freed_objects_at_reset,
}];

/// Where memory is, in bytes.
#[derive(Debug)]
pub struct Figures {
    /// Allocated.
    pub used: u64,
    /// The most that ever was.
    pub peak: u64,
    /// Allocated before there were data.
    pub startup: u64,
    /// In pages that the allocator uses.
    pub active: u64,
    /// In pages of the allocator that are resident.
    pub resident: u64,
    /// In pages that the kernel may take back.
    pub muzzy: u64,
    /// Resident pages of the whole process.
    pub resident_process: u64,
    /// The replication stream.
    pub stream: u64,
    /// The part of it that a replica keeps while it gets a snapshot.
    pub kept: u64,
    /// The part of it that is the backlog.
    pub backlog: u64,
    /// Tables of the databases, without keys and values.
    pub tables: u64,
    /// All that is not keys and values.
    pub overhead: u64,
}

impl Figures {
    /// Takes them.
    pub fn take(view: &View<'_>) -> Self {
        let used = memory::used();
        let (active, resident) = memory::active_and_resident();
        let server = view.server;
        let own = server.repl.buffer.as_ref().map_or(0, |b| b.memory() as u64);
        // What a replica keeps of its primary's stream while a snapshot comes.
        let kept = server.repl.link.as_ref().map_or(0, |l| l.kept_bytes() as u64);
        let stream = own + kept;
        let tables: usize = server.keyspace.dbs().iter().map(|db| db.memory_overhead()).sum();
        let backlog = own.min(server.config.repl_backlog_size);
        // The rest of the stream counts as the replicas', if there are any.
        let nobodys = if server.repl.replicas.is_empty() { own } else { backlog };
        let clients = view.clients().normal_memory + view.clients().replica_memory;
        Figures {
            used,
            peak: used.max(server.stats.peak_memory),
            startup: server.startup_memory,
            active,
            resident,
            muzzy: memory::muzzy(),
            resident_process: crate::sys::resident_bytes(),
            stream,
            kept,
            backlog,
            tables: tables as u64,
            overhead: server.startup_memory
                + nobodys
                + kept
                + (tables + clients + server.persistence.aof.pending()) as u64
                + view.vm(Kind::Eval)
                + view.vm(Kind::Functions)
                + script_memory(view),
        }
    }

    /// Keys and values.
    pub fn dataset(&self) -> u64 {
        self.used.saturating_sub(self.overhead)
    }

    /// What was allocated since the start.
    pub fn since_start(&self) -> u64 {
        self.used.saturating_sub(self.startup)
    }
}

/// The texts of scripts and libraries, and what is known of them.
fn script_memory(view: &View<'_>) -> u64 {
    let scripting = &view.server.scripting;
    (scripting.cache.memory() + scripting.libraries.memory()) as u64
}

/// `a` of `b`, as text; 100 % at most.
fn percent(a: u64, b: u64) -> String {
    format!("{:.2}%", if b == 0 { 0.0 } else { (a as f64 / b as f64 * 100.0).min(100.0) })
}

/// A directive as CONFIG GET shows it.
fn directive(view: &View<'_>, name: &str) -> String {
    let shown = crate::config::find(name.as_bytes()).map(|d| d.show(&view.server.config));
    String::from_utf8_lossy(&shown.unwrap_or_default()).into_owned()
}
