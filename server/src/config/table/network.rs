//! Listeners, connections and what they may hold.

/// See [`super`] for what the columns mean.
macro_rules! network_rows { ($then:ident $rest:tt $($rows:tt)*) => { next_area! { $then $rest $($rows)*
    /// TCP port that clients connect to; 0 for none.
    port: u16 = 6379, "port", number(0, 65535), Listen, Acts;
    /// Addresses to listen on; `*` and `::*` are all, a leading `-` means that the address may be missing.
    bind: Vec<Vec<u8>> = vec![b"*".to_vec(), b"-::*".to_vec()], "bind", Addresses, Bind, Acts;
    /// Local address of connections that the server opens itself.
    bind_source_addr: Vec<u8> = vec![], "bind-source-addr", optional_text(), None, Acts;
    /// Path of the Unix socket to listen on.
    unixsocket: Vec<u8> = vec![], "unixsocket", optional_text(), None, Acts, Immutable;
    /// Group that owns the Unix socket.
    unixsocketgroup: Vec<u8> = vec![], "unixsocketgroup", optional_text(), None, Acts, Immutable;
    /// Mode of the Unix socket; 0 leaves what the umask gives.
    unixsocketperm: u32 = 0, "unixsocketperm", octal(0o777), None, Acts, Immutable;
    /// Length of the kernel's queue of connections not yet accepted.
    tcp_backlog: i32 = 511, "tcp-backlog", number(0, INT_MAX), None, Acts, Immutable;
    /// Seconds after which an idle connection is probed by the kernel; 0 for never.
    tcp_keepalive: u32 = 300, "tcp-keepalive", number(0, INT_MAX), None, Acts;
    /// Seconds after which an idle client is disconnected; 0 for never.
    timeout: u32 = 0, "timeout", number(0, INT_MAX), None, Acts;
    /// Refuses clients of other machines while the default user has no password.
    protected_mode: bool = true, "protected-mode", flag(), None, Acts;
    /// Number of clients that may be connected.
    maxclients: u32 = 10000, "maxclients", number(1, UINT_MAX), Clients, Acts;
    /// Connections accepted in one turn of the loop.
    max_new_connections_per_cycle: u32 = 10, "max-new-connections-per-cycle", number(1, 1000), None, Acts;
    /// TLS connections accepted in one turn of the loop.
    max_new_tls_connections_per_cycle: u32 = 1, "max-new-tls-connections-per-cycle", number(1, 1000), None, Acts;
    /// Mark that the kernel puts on packets of listening sockets.
    socket_mark_id: u32 = 0, "socket-mark-id", number(0, UINT_MAX), None, Acts, Immutable;
    /// Listens with multipath TCP.
    mptcp: bool = false, "mptcp", flag(), None, Acts, Immutable;
    /// Bytes of one client's requests that may wait to be parsed.
    client_query_buffer_limit: u64 = 1 << 30, "client-query-buffer-limit", memory(1 << 20, LONG_MAX), None, Acts;
    /// Bytes that one argument may have.
    proto_max_bulk_len: i64 = 512 << 20, "proto-max-bulk-len", memory(1 << 20, LONG_MAX), None, Acts;
    /// What may wait to be sent to a client before it is disconnected, by class.
    client_output_buffer_limit: OutputLimits = OutputLimits::DEFAULT, "client-output-buffer-limit", OutputBufferLimits, OutputLimits, Acts;
    /// Bytes that all clients together may hold; negative: that percentage of `maxmemory`; 0 for no limit.
    maxmemory_clients: i64 = 0, "maxmemory-clients", memory_or_percent(LONG_MAX), None, Acts;
    /// Threads that read from and write to clients, the data thread among them.
    io_threads: usize = 1, "io-threads", number(1, 256), IoThreads, NoEffectHere;
    /// Uses the I/O threads even when there is little to do.
    io_threads_always_active: bool = false, "io-threads-always-active", flag(), None, NoEffectHere, Hidden;
    /// Keys of a pipeline, or of one command, that are prefetched together; 0 and 1 for none.
    prefetch_batch_max_size: usize = 16, "prefetch-batch-max-size", number(0, 128), Keyspace, Acts;
    /// I/O threads from which on replies are sent without copying their strings.
    min_io_threads_avoid_copy_reply: u32 = 7, "min-io-threads-avoid-copy-reply", number(0, INT_MAX), None, NoEffectHere, Hidden;
    /// Bytes from which on a string is sent without copying it.
    min_string_size_avoid_copy_reply: u32 = 16384, "min-string-size-avoid-copy-reply", number(0, INT_MAX), None, NoEffectHere, Hidden;
    /// The same with I/O threads.
    min_string_size_avoid_copy_reply_threaded: u32 = 65536, "min-string-size-avoid-copy-reply-threaded", number(0, INT_MAX), None, NoEffectHere, Hidden;
    /// Port of metrics and health checks over HTTP; 0 for none. This server's own.
    metrics_port: u16 = 0, "metrics-port", number(0, 65535), Listen, Acts;
    /// Addresses of the RDMA listener.
    rdma_bind: Vec<Vec<u8>> = vec![], "rdma-bind", at_start(Addresses, "No RDMA building support."), None, NoEffectHere;
    /// Port of the RDMA listener; this server has none.
    rdma_port: u16 = 0, "rdma-port", number(0, 65535).checked(checks::rdma_port), None, NoEffectHere;
    /// Bytes of an RDMA receive buffer.
    rdma_rx_size: u32 = 1 << 20, "rdma-rx-size", number(64 << 10, 16 << 20), None, NoEffectHere, Immutable;
    /// RDMA completion vector.
    rdma_completion_vector: i32 = -1, "rdma-completion-vector", number(-1, 1024), None, NoEffectHere, Immutable;
} } }
pub(super) use network_rows;
