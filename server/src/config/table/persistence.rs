//! Snapshots and the append only file.

/// See [`super`] for what the columns mean.
macro_rules! persistence_rows { ($then:ident $rest:tt $($rows:tt)*) => { next_area! { $then $rest $($rows)*
    /// When a snapshot is due; none: never by itself.
    save: Vec<SavePoint> = default_save(), "save", SavePoints, None, Acts;
    /// File name of the snapshot.
    dbfilename: Vec<u8> = b"dump.rdb".to_vec(), "dbfilename", text().checked(checks::dbfilename), None, Acts, Protected;
    /// Compresses strings in snapshots.
    rdbcompression: bool = true, "rdbcompression", flag(), None, Acts;
    /// Ends snapshots with a checksum.
    rdbchecksum: bool = true, "rdbchecksum", flag(), None, Acts, Immutable;
    /// Whether snapshots of later versions are read.
    rdb_version_check: RdbVersionCheck = RdbVersionCheck::Strict, "rdb-version-check", one_of(), None, Acts;
    /// Brings a snapshot to the disk as it is written, not all at its end.
    rdb_save_incremental_fsync: bool = true, "rdb-save-incremental-fsync", flag(), None, Acts;
    /// Removes files of syncs where persistence is off.
    rdb_del_sync_files: bool = false, "rdb-del-sync-files", flag(), None, NoEffectHere;
    /// Refuses writes after a snapshot failed.
    stop_writes_on_bgsave_error: bool = true, "stop-writes-on-bgsave-error", flag(), None, Acts;
    /// Microseconds that a child sleeps after each key; negative: one in so many. For tests.
    rdb_key_save_delay: i32 = 0, "rdb-key-save-delay", number(INT_MIN, INT_MAX), None, Acts, Hidden;
    /// Microseconds that loading sleeps after each key; negative: one in so many. For tests.
    key_load_delay: i32 = 0, "key-load-delay", number(INT_MIN, INT_MAX), None, Acts, Hidden;
    /// Bytes loaded between two looks at the sockets.
    loading_process_events_interval_bytes: u64 = 2 << 20, "loading-process-events-interval-bytes", number(1024, INT_MAX), None, Acts, Hidden;
    /// Logs each write to the append only file.
    appendonly: bool = false, "appendonly", flag(), AppendOnly, Acts, DenyLoading;
    /// Start of the append only files' names.
    appendfilename: Vec<u8> = b"appendonly.aof".to_vec(), "appendfilename", text().checked(checks::appendfilename), None, Acts, Immutable;
    /// Directory of the append only files, below `dir`.
    appenddirname: Vec<u8> = b"appendonlydir".to_vec(), "appenddirname", text().checked(checks::appenddirname), None, Acts, Immutable;
    /// When the append only file reaches the disk.
    appendfsync: AppendFsync = AppendFsync::Everysec, "appendfsync", one_of(), AppendFsync, Acts;
    /// Leaves that to the kernel while a child writes.
    no_appendfsync_on_rewrite: bool = false, "no-appendfsync-on-rewrite", flag(), None, Acts;
    /// Growth in percent at which the append only file is rewritten; 0 for never.
    auto_aof_rewrite_percentage: u32 = 100, "auto-aof-rewrite-percentage", number(0, INT_MAX), None, Acts;
    /// Bytes below which it is not rewritten.
    auto_aof_rewrite_min_size: u64 = 64 << 20, "auto-aof-rewrite-min-size", memory(0, LONG_MAX), None, Acts;
    /// Brings a rewritten file to the disk as it is written.
    aof_rewrite_incremental_fsync: bool = true, "aof-rewrite-incremental-fsync", flag(), None, Acts;
    /// Loads a file that breaks off at its end.
    aof_load_truncated: bool = true, "aof-load-truncated", flag(), None, Acts;
    /// Begins a rewritten file with a snapshot.
    aof_use_rdb_preamble: bool = true, "aof-use-rdb-preamble", flag(), None, Acts;
    /// Writes the time into the append only file.
    aof_timestamp_enabled: bool = false, "aof-timestamp-enabled", flag(), None, Acts;
    /// Keeps append only files that are no longer needed. For tests.
    aof_disable_auto_gc: bool = false, "aof-disable-auto-gc", flag(), AofHistory, Acts, Hidden;
} } }
pub(super) use persistence_rows;
