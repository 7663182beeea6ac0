//! What follows from a change of a directive, for its owner to do.

/// What the owner of a directive does after CONFIG SET changed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Nothing: the value is read where it is used.
    None,
    /// Starts or stops the append only file; may fail.
    AppendOnly,
    /// Lets fsyncs under way finish.
    AppendFsync,
    /// Removes append only files of the past that were kept.
    AofHistory,
    /// Resizes the replication backlog.
    Backlog,
    /// Raises the limit of open files; may fail.
    Clients,
    /// Tells the logs of commands from when on, and how many, they keep.
    CommandLog,
    /// Installs or removes the crash handlers.
    CrashLog,
    /// Starts defragmentation with new bounds.
    Defrag,
    /// Enters the directory; may fail.
    Directory,
    /// Compares memory in use with the new limit, and starts evicting.
    Eviction,
    /// Counts the replicas that are good enough for writes.
    GoodReplicas,
    /// Changes the rate of the background work.
    Hz,
    /// Makes the interpreter of scripts anew.
    Interpreters,
    /// Starts or stops I/O threads.
    IoThreads,
    /// Tells the allocator.
    Jemalloc,
    /// Copies limits, policies and classes of events to the keyspace.
    Keyspace,
    /// Tells each client's output how much may wait.
    OutputLimits,
    /// Listens on other addresses; may fail.
    Bind,
    /// Listens on another port; may fail.
    Listen,
    /// Sets the locale; may fail.
    Locale,
    /// Tells the log.
    Log,
    /// Sets the kernel's out-of-memory score; may fail.
    OomScore,
    /// Sets the default user's password.
    Password,
    /// Sets the text in the process list.
    ProcTitle,
    /// Tells the quorum lease.
    Quorum,
    /// Reads certificates and makes rules of TLS anew; may fail.
    Tls,
    /// Tells the replies that wait for replicas.
    SyncReplication,
    /// Arms or disarms the watchdog.
    Watchdog,
}

/// Whether this server acts on a directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// It does what Valkey does.
    Acts,
    /// It takes the value, keeps and shows it, and does nothing about it; at start it says so.
    NoEffectHere,
}
