//! Following a primary, and being followed.

/// See [`super`] for what the columns mean.
macro_rules! replication_rows { ($then:ident $rest:tt $($rows:tt)*) => { next_area! { $then $rest $($rows)*
    /// The primary that is followed. REPLICAOF changes it, CONFIG SET does not.
    replicaof: Option<PrimaryAddress> = None, "replicaof" | "slaveof", ReplicaOf, None, Acts, Immutable;
    /// Password for the primary.
    primaryauth: Vec<u8> = vec![], "primaryauth" | "masterauth", optional_text(), None, Acts, Sensitive;
    /// User name for the primary.
    primaryuser: Vec<u8> = vec![], "primaryuser" | "masteruser", optional_text(), None, Acts, Sensitive;
    /// Serves reads while the link to the primary is down.
    replica_serve_stale_data: bool = true, "replica-serve-stale-data" | "slave-serve-stale-data", flag(), None, Acts;
    /// Refuses writes of clients on a replica.
    replica_read_only: bool = true, "replica-read-only" | "slave-read-only", flag(), None, Acts;
    /// Leaves eviction to the primary.
    replica_ignore_maxmemory: bool = true, "replica-ignore-maxmemory" | "slave-ignore-maxmemory", flag(), None, Acts;
    /// Frees the old data set in the background before a full sync.
    replica_lazy_flush: bool = true, "replica-lazy-flush" | "slave-lazy-flush", flag(), None, NoEffectHere;
    /// Rank in Sentinel's elections; 0 for never promoted.
    replica_priority: u32 = 100, "replica-priority" | "slave-priority", number(0, INT_MAX), None, Acts;
    /// Whether the primary names this replica to Sentinel.
    replica_announced: bool = true, "replica-announced", flag(), None, Acts;
    /// Address that the primary is told.
    replica_announce_ip: Vec<u8> = vec![], "replica-announce-ip" | "slave-announce-ip", optional_text(), None, Acts;
    /// Port that the primary is told; 0 for the real one.
    replica_announce_port: u16 = 0, "replica-announce-port" | "slave-announce-port", number(0, 65535), None, Acts;
    /// Goes on replicating when the append only file cannot be written.
    replica_ignore_disk_write_errors: bool = false, "replica-ignore-disk-write-errors", flag(), None, Acts;
    /// Sends snapshots straight from the child to the replicas' sockets.
    repl_diskless_sync: bool = true, "repl-diskless-sync", flag(), None, Acts;
    /// Seconds that such a snapshot waits for further replicas. Valkey waits 5: with the one replica of a pair that is dead time.
    repl_diskless_sync_delay: u32 = 0, "repl-diskless-sync-delay", number(0, INT_MAX), None, Acts;
    /// Replicas at which it does not wait any longer; 0 for any number.
    repl_diskless_sync_max_replicas: u32 = 0, "repl-diskless-sync-max-replicas", number(0, INT_MAX), None, Acts;
    /// Loads a full sync straight from the socket.
    repl_diskless_load: DisklessLoad = DisklessLoad::Disabled, "repl-diskless-load", one_of(), None, Acts, DenyLoading;
    /// Sends snapshot and stream over two connections.
    dual_channel_replication_enabled: bool = false, "dual-channel-replication-enabled", flag(), None, Acts;
    /// Seconds between the primary's pings.
    repl_ping_replica_period: u32 = 10, "repl-ping-replica-period" | "repl-ping-slave-period", number(1, INT_MAX), None, Acts;
    /// Seconds of silence after which the link counts as lost.
    repl_timeout: u32 = 60, "repl-timeout", number(1, INT_MAX), None, Acts;
    /// Lets the kernel gather small writes to replicas.
    repl_disable_tcp_nodelay: bool = false, "repl-disable-tcp-nodelay", flag(), None, Acts;
    /// Connects to the primary with multipath TCP.
    repl_mptcp: bool = false, "repl-mptcp", flag(), None, Acts, Immutable;
    /// Bytes of the stream that are kept for partial syncs, at least 16 KiB.
    repl_backlog_size: u64 = 10 << 20, "repl-backlog-size", memory(1, LONG_MAX).capped(16 << 10, LONG_MAX), Backlog, Acts;
    /// Seconds without replicas after which the backlog is dropped; 0 for never.
    repl_backlog_ttl: u64 = 3600, "repl-backlog-ttl", number(0, LONG_MAX), None, Acts;
    /// Replicas without which writes are refused; 0 for none.
    min_replicas_to_write: u32 = 0, "min-replicas-to-write" | "min-slaves-to-write", number(0, INT_MAX), GoodReplicas, Acts;
    /// Seconds that a replica may lag and still count for that.
    min_replicas_max_lag: u32 = 10, "min-replicas-max-lag" | "min-slaves-max-lag", number(0, INT_MAX), GoodReplicas, Acts;
    /// What is done about a replicated or logged command that fails.
    propagation_error_behavior: PropagationError = PropagationError::Ignore, "propagation-error-behavior", one_of(), None, Acts;
    /// Writes of an importing client do not expire.
    import_mode: bool = false, "import-mode", flag(), None, Acts;
    /// Milliseconds for which votes of the others let a primary accept writes; 0 for no such lease. This server's own.
    primary_quorum_timeout: u64 = 0, "primary-quorum-timeout", number(0, INT_MAX), Quorum, Acts;
    /// Replicas that must hold a write before it is answered; 0 for none. This server's own.
    min_replicas_to_ack: u32 = 0, "min-replicas-to-ack", number(0, INT_MAX), SyncReplication, Acts;
} } }
pub(super) use replication_rows;
