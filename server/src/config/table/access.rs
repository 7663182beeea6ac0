//! Who may do what, and what is logged of it: users, protected commands, slow commands, latency.

/// See [`super`] for what the columns mean.
macro_rules! access_rows { ($then:ident $rest:tt $($rows:tt)*) => { next_area! { $then $rest $($rows)*
    /// Password of the default user; empty for none.
    requirepass: Vec<u8> = vec![], "requirepass", optional_text(), Password, Acts, Sensitive;
    /// File of users.
    aclfile: Vec<u8> = vec![], "aclfile", text(), None, Acts, Immutable;
    /// Entries that ACL LOG keeps.
    acllog_max_len: usize = 128, "acllog-max-len", number(0, LONG_MAX), None, Acts;
    /// Channels of a new user.
    acl_pubsub_default: AclPubsubDefault = AclPubsubDefault::Resetchannels, "acl-pubsub-default", one_of(), None, Acts;
    /// Who may set protected directives.
    enable_protected_configs: ProtectedAction = ProtectedAction::No, "enable-protected-configs", one_of(), None, Acts, Immutable;
    /// Who may use DEBUG.
    enable_debug_command: ProtectedAction = ProtectedAction::No, "enable-debug-command", one_of(), None, Acts, Immutable;
    /// Who may use MODULE; there are no modules here.
    enable_module_command: ProtectedAction = ProtectedAction::No, "enable-module-command", one_of(), None, Acts, Immutable;
    /// Microseconds from which on a command is logged as slow; negative for none.
    commandlog_execution_slower_than: i64 = 10000, "commandlog-execution-slower-than" | "slowlog-log-slower-than", number(-1, LONG_MAX), CommandLog, Acts;
    /// Slow commands that are kept.
    commandlog_slow_execution_max_len: usize = 128, "commandlog-slow-execution-max-len" | "slowlog-max-len", number(0, LONG_MAX), CommandLog, Acts;
    /// Bytes from which on a request is logged as large; negative for none.
    commandlog_request_larger_than: i64 = 1 << 20, "commandlog-request-larger-than", number(-1, LONG_MAX), CommandLog, Acts;
    /// Large requests that are kept.
    commandlog_large_request_max_len: usize = 128, "commandlog-large-request-max-len", number(0, LONG_MAX), CommandLog, Acts;
    /// Bytes from which on a reply is logged as large; negative for none.
    commandlog_reply_larger_than: i64 = 1 << 20, "commandlog-reply-larger-than", number(-1, LONG_MAX), CommandLog, Acts;
    /// Large replies that are kept.
    commandlog_large_reply_max_len: usize = 128, "commandlog-large-reply-max-len", number(0, LONG_MAX), CommandLog, Acts;
    /// Milliseconds from which on LATENCY records an event; 0 for never.
    latency_monitor_threshold: u64 = 0, "latency-monitor-threshold", number(0, LONG_MAX), None, Acts;
    /// Counts each command's latency.
    latency_tracking: bool = true, "latency-tracking", flag(), None, Acts;
    /// Percentiles of latency in INFO.
    latency_tracking_info_percentiles: Vec<f64> = vec![50.0, 99.0, 99.9], "latency-tracking-info-percentiles", Percentiles, None, Acts;
    /// Milliseconds after which a script answers others with BUSY; 0 for never.
    busy_reply_threshold: u64 = 5000, "busy-reply-threshold" | "lua-time-limit", number(0, LONG_MAX), None, Acts;
    /// Lets scripts use what can break out of their sandbox.
    lua_enable_insecure_api: bool = false, "lua-enable-insecure-api" | "lua-enable-deprecated-api", flag(), Interpreters, Acts, Hidden, Protected;
    /// Keys that client side caching remembers; 0 for no limit.
    tracking_table_max_keys: usize = 1_000_000, "tracking-table-max-keys", number(0, LONG_MAX), None, Acts;
    /// Answers as Redis OSS where Valkey differs in names only.
    extended_redis_compatibility: bool = false, "extended-redis-compatibility", flag(), None, Acts;
} } }
pub(super) use access_rows;
