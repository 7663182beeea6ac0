//! The process: where it runs, what it logs, how it starts, stops and fails.

/// See [`super`] for what the columns mean.
macro_rules! process_rows { ($then:ident $rest:tt $($rows:tt)*) => { next_area! { $then $rest $($rows)*
    /// Number of databases that SELECT reaches.
    databases: usize = 16, "databases", number(1, INT_MAX), None, Acts, Immutable;
    /// Working directory, absolute: where the data files are.
    dir: Vec<u8> = working_directory(), "dir", Directory, Directory, Acts, Protected, DenyLoading;
    /// Goes into the background at start.
    daemonize: bool = false, "daemonize", flag(), None, Acts, Immutable;
    /// File for the process id; in the background an empty one means `/var/run/valkey.pid`, elsewhere none.
    pidfile: Vec<u8> = vec![], "pidfile", optional_text(), None, Acts, Immutable;
    /// Who is told that the server is ready.
    supervised: Supervised = Supervised::No, "supervised", one_of(), None, Acts, Immutable;
    /// The least severe messages that are logged.
    loglevel: LogLevel = LogLevel::Notice, "loglevel", one_of(), Log, Acts;
    /// File that the log goes to; empty for standard output.
    logfile: Vec<u8> = vec![], "logfile", text(), None, Acts, Immutable;
    /// Shape of a log line.
    log_format: LogFormat = LogFormat::Legacy, "log-format", one_of(), Log, Acts;
    /// Time in a log line.
    log_timestamp_format: LogTimestampFormat = LogTimestampFormat::Legacy, "log-timestamp-format", one_of(), Log, Acts;
    /// Keeps keys, values and arguments out of the log.
    hide_user_data_from_log: bool = true, "hide-user-data-from-log", flag(), Log, Acts;
    /// Logs to syslog.
    syslog_enabled: bool = false, "syslog-enabled", flag(), None, Acts, Immutable;
    /// Name in syslog.
    syslog_ident: Vec<u8> = b"valkey".to_vec(), "syslog-ident", text(), None, Acts, Immutable;
    /// Facility in syslog.
    syslog_facility: SyslogFacility = SyslogFacility::Local0, "syslog-facility", one_of(), None, Acts, Immutable;
    /// Draws the logo at start even when the log is no terminal.
    always_show_logo: bool = false, "always-show-logo", flag(), None, Acts, Immutable;
    /// Warnings of start that are not to keep the server from starting.
    ignore_warnings: Vec<u8> = vec![], "ignore-warnings", text(), None, NoEffectHere;
    /// Shows in the process list what the server does.
    set_proc_title: bool = true, "set-proc-title", flag(), None, Acts, Immutable;
    /// The text for the process list.
    proc_title_template: Vec<u8> = b"{title} {listen-addr} {server-mode}".to_vec(), "proc-title-template", text().checked(checks::proc_title_template), ProcTitle, Acts;
    /// Turns of the background work in a second.
    hz: u32 = 10, "hz", number(0, INT_MAX).capped(1, 500), Hz, Acts;
    /// Seconds that a shutdown waits for replicas.
    shutdown_timeout: u32 = 10, "shutdown-timeout", number(0, INT_MAX), None, Acts;
    /// How SIGINT stops the server.
    shutdown_on_sigint: ShutdownOptions = ShutdownOptions::default(), "shutdown-on-sigint", Shutdown, None, Acts;
    /// How SIGTERM stops the server.
    shutdown_on_sigterm: ShutdownOptions = ShutdownOptions::default(), "shutdown-on-sigterm", Shutdown, None, Acts;
    /// Logs a report when the server crashes.
    crash_log_enabled: bool = true, "crash-log-enabled", flag(), CrashLog, Acts;
    /// Tests the memory after a crash.
    crash_memcheck_enabled: bool = true, "crash-memcheck-enabled", flag(), None, NoEffectHere;
    /// Ends with an exit code instead of a signal when the server fails.
    use_exit_on_panic: bool = false, "use-exit-on-panic", flag(), CrashLog, Acts, Hidden;
    /// Milliseconds without progress after which the log says where the server is; 0 for never.
    watchdog_period: u32 = 0, "watchdog-period", number(0, INT_MAX), Watchdog, NoEffectHere, Hidden;
    /// Whether the kernel's out-of-memory score is set.
    oom_score_adj: OomScoreAdj = OomScoreAdj::No, "oom-score-adj", one_of(), OomScore, Acts;
    /// The scores: primary, replica, child.
    oom_score_adj_values: [i32; 3] = [0, 200, 800], "oom-score-adj-values", OomScores, OomScore, Acts;
    /// Turns transparent huge pages off for the process.
    disable_thp: bool = true, "disable-thp", flag(), None, Acts, Immutable;
    /// Locale in whose order texts are sorted; none is that of the environment.
    locale_collate: Vec<u8> = vec![], "locale-collate", text(), Locale, Acts;
    /// CPUs of the data thread.
    server_cpulist: Vec<u8> = vec![], "server-cpulist" | "server_cpulist", optional_text(), None, Acts, Immutable;
    /// CPUs of the background threads.
    bio_cpulist: Vec<u8> = vec![], "bio-cpulist" | "bio_cpulist", optional_text(), None, Acts, Immutable;
    /// CPUs of a child that rewrites the append only file.
    aof_rewrite_cpulist: Vec<u8> = vec![], "aof-rewrite-cpulist" | "aof_rewrite_cpulist", optional_text(), None, Acts, Immutable;
    /// CPUs of a child that saves.
    bgsave_cpulist: Vec<u8> = vec![], "bgsave-cpulist" | "bgsave_cpulist", optional_text(), None, Acts, Immutable;
    /// Zone that the server says it is in.
    availability_zone: Vec<u8> = vec![], "availability-zone", text(), None, Acts;
    /// Text that a crash report carries.
    debug_context: Vec<u8> = vec![], "debug-context", text(), None, Acts, Hidden;
    /// Checks that are too slow for production.
    enable_debug_assert: bool = false, "enable-debug-assert", flag(), None, NoEffectHere, Immutable, Hidden;
} } }
pub(super) use process_rows;
