//! Memory: its limit, what is evicted, how values are encoded, how memory is given back.

/// See [`super`] for what the columns mean.
macro_rules! memory_rows { ($then:ident $rest:tt $($rows:tt)*) => { next_area! { $then $rest $($rows)*
    /// Bytes that the data may take; 0 for no limit.
    maxmemory: u64 = 0, "maxmemory", memory(0, ULONG_MAX), Eviction, Acts;
    /// What goes when memory is full.
    maxmemory_policy: MaxmemoryPolicy = MaxmemoryPolicy::Noeviction, "maxmemory-policy", one_of(), Keyspace, Acts;
    /// Keys looked at for each one that goes.
    maxmemory_samples: usize = 5, "maxmemory-samples", number(1, 64), None, Acts;
    /// How long a command may be held up by eviction: 0 hardly, 10 as a rule, 100 without limit.
    maxmemory_eviction_tenacity: u32 = 10, "maxmemory-eviction-tenacity", number(0, 100), None, Acts;
    /// How slowly the counter of LFU grows.
    lfu_log_factor: u32 = 10, "lfu-log-factor", number(0, INT_MAX), Keyspace, Acts;
    /// Minutes in which the counter of LFU shrinks by one.
    lfu_decay_time: u32 = 1, "lfu-decay-time", number(0, INT_MAX), Keyspace, Acts;
    /// Effort of looking for expired keys.
    active_expire_effort: u32 = 1, "active-expire-effort", number(1, 10), None, Acts;
    /// Rehashes tables in idle time.
    activerehashing: bool = true, "activerehashing", flag(), None, Acts;
    /// Which changes of keys are published.
    notify_keyspace_events: NotifyEvents = NotifyEvents::NONE, "notify-keyspace-events", Events, Keyspace, Acts;
    /// Frees evicted values in the background.
    lazyfree_lazy_eviction: bool = true, "lazyfree-lazy-eviction", flag(), Keyspace, Acts;
    /// Frees expired values in the background.
    lazyfree_lazy_expire: bool = true, "lazyfree-lazy-expire", flag(), Keyspace, Acts;
    /// Frees overwritten values in the background.
    lazyfree_lazy_server_del: bool = true, "lazyfree-lazy-server-del", flag(), Keyspace, Acts;
    /// DEL frees in the background, as UNLINK does.
    lazyfree_lazy_user_del: bool = true, "lazyfree-lazy-user-del", flag(), None, Acts;
    /// FLUSHALL, FLUSHDB, SCRIPT FLUSH and FUNCTION FLUSH work in the background unless told otherwise.
    lazyfree_lazy_user_flush: bool = true, "lazyfree-lazy-user-flush", flag(), None, Acts;
    /// Entries of a listpack of a list; -1 to -5: bytes, 4, 8, 16, 32, 64 KiB.
    list_max_listpack_size: i32 = -2, "list-max-listpack-size" | "list-max-ziplist-size", number(INT_MIN, INT_MAX), Keyspace, Acts;
    /// Listpacks at each end of a list that are not compressed; 0 for all.
    list_compress_depth: u32 = 0, "list-compress-depth", number(0, INT_MAX), Keyspace, NoEffectHere;
    /// Fields of a hash that is a listpack.
    hash_max_listpack_entries: usize = 512, "hash-max-listpack-entries" | "hash-max-ziplist-entries", number(0, LONG_MAX), Keyspace, Acts;
    /// Bytes of a field or value of a hash that is a listpack.
    hash_max_listpack_value: usize = 64, "hash-max-listpack-value" | "hash-max-ziplist-value", memory(0, LONG_MAX), Keyspace, Acts;
    /// Members of a set of integers that is an array.
    set_max_intset_entries: usize = 512, "set-max-intset-entries", number(0, LONG_MAX), Keyspace, Acts;
    /// Members of a set that is a listpack.
    set_max_listpack_entries: usize = 128, "set-max-listpack-entries", number(0, LONG_MAX), Keyspace, Acts;
    /// Bytes of a member of a set that is a listpack.
    set_max_listpack_value: usize = 64, "set-max-listpack-value", number(0, LONG_MAX), Keyspace, Acts;
    /// Members of a sorted set that is a listpack.
    zset_max_listpack_entries: usize = 128, "zset-max-listpack-entries" | "zset-max-ziplist-entries", number(0, LONG_MAX), Keyspace, Acts;
    /// Bytes of a member of a sorted set that is a listpack.
    zset_max_listpack_value: usize = 64, "zset-max-listpack-value" | "zset-max-ziplist-value", memory(0, LONG_MAX), Keyspace, Acts;
    /// Bytes up to which a HyperLogLog is sparse.
    hll_sparse_max_bytes: usize = 3000, "hll-sparse-max-bytes", memory(0, LONG_MAX), None, Acts;
    /// Bytes of a node of a stream; 0 for no limit.
    stream_node_max_bytes: usize = 4096, "stream-node-max-bytes", memory(0, LONG_MAX), Keyspace, Acts;
    /// Entries of a node of a stream; 0 for no limit.
    stream_node_max_entries: u64 = 100, "stream-node-max-entries", number(0, LONG_MAX), Keyspace, Acts;
    /// Seed of the hash tables; empty for a random one.
    hash_seed: Vec<u8> = vec![], "hash-seed", text(), None, Acts, Immutable;
    /// Moves values to give memory back.
    activedefrag: bool = false, "activedefrag", flag(), Defrag, NoEffectHere;
    /// Most of the CPU in percent that this may take.
    active_defrag_cycle_max: u32 = 25, "active-defrag-cycle-max", number(1, 99), Defrag, NoEffectHere;
    /// Least of the CPU in percent that this takes.
    active_defrag_cycle_min: u32 = 1, "active-defrag-cycle-min", number(1, 99), Defrag, NoEffectHere;
    /// Microseconds that it takes at a time.
    active_defrag_cycle_us: u32 = 500, "active-defrag-cycle-us", number(0, 100_000), None, NoEffectHere;
    /// Bytes lost to fragmentation below which nothing is moved.
    active_defrag_ignore_bytes: usize = 100 << 20, "active-defrag-ignore-bytes", memory(1, LONG_MAX), None, NoEffectHere;
    /// Fields that are moved at a time.
    active_defrag_max_scan_fields: usize = 1000, "active-defrag-max-scan-fields", number(1, LONG_MAX), None, NoEffectHere;
    /// Fragmentation in percent at which it starts.
    active_defrag_threshold_lower: u32 = 10, "active-defrag-threshold-lower", number(0, 1000), None, NoEffectHere;
    /// Fragmentation in percent at which it does its most.
    active_defrag_threshold_upper: u32 = 100, "active-defrag-threshold-upper", number(0, 1000), Defrag, NoEffectHere;
    /// Lets the allocator give memory back from a thread of its own.
    jemalloc_bg_thread: bool = true, "jemalloc-bg-thread", flag(), Jemalloc, NoEffectHere;
} } }
pub(super) use memory_rows;
