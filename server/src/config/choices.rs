//! The directives' named values.

use super::kinds::Choice;

/// Declares an enumeration with the names of its values; `Value = "shown" | "understood too"`.
macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $($word:literal)|+),+ $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$value_doc])* $value,)+
        }

        impl Choice for $name {
            const NAMES: &'static [(&'static str, Self)] = &[$($(($word, Self::$value),)+)+];
        }
    )*};
}

choices! {
    /// `maxmemory-policy`: what goes when memory is full.
    MaxmemoryPolicy {
        /// The longest unused of the keys that expire.
        VolatileLru = "volatile-lru",
        /// The least used of the keys that expire.
        VolatileLfu = "volatile-lfu",
        /// Any of the keys that expire.
        VolatileRandom = "volatile-random",
        /// The key that expires soonest.
        VolatileTtl = "volatile-ttl",
        /// The longest unused key.
        AllkeysLru = "allkeys-lru",
        /// The least used key.
        AllkeysLfu = "allkeys-lfu",
        /// Any key.
        AllkeysRandom = "allkeys-random",
        /// Nothing: writes are refused.
        Noeviction = "noeviction",
    }

    /// `syslog-facility`.
    SyslogFacility {
        /// `LOG_USER`.
        User = "user",
        /// `LOG_LOCAL0`.
        Local0 = "local0",
        /// `LOG_LOCAL1`.
        Local1 = "local1",
        /// `LOG_LOCAL2`.
        Local2 = "local2",
        /// `LOG_LOCAL3`.
        Local3 = "local3",
        /// `LOG_LOCAL4`.
        Local4 = "local4",
        /// `LOG_LOCAL5`.
        Local5 = "local5",
        /// `LOG_LOCAL6`.
        Local6 = "local6",
        /// `LOG_LOCAL7`.
        Local7 = "local7",
    }

    /// `loglevel`: the least severe messages that are logged.
    LogLevel {
        /// Everything, for development.
        Debug = "debug",
        /// Much, without the noise of `debug`.
        Verbose = "verbose",
        /// What an operator wants to see.
        Notice = "notice",
        /// Only what is wrong.
        Warning = "warning",
        /// Nothing at all.
        Nothing = "nothing",
    }

    /// `log-format`: the shape of a log line.
    LogFormat {
        /// `pid:role date level message`.
        Legacy = "legacy",
        /// `key=value` pairs.
        Logfmt = "logfmt",
        /// One JSON object a line.
        Json = "json",
    }

    /// `log-timestamp-format`: the time in a log line.
    LogTimestampFormat {
        /// `22 Nov 2026 08:19:04.303`.
        Legacy = "legacy",
        /// ISO 8601 with milliseconds and offset.
        Iso8601 = "iso8601",
        /// Milliseconds since 1970.
        Milliseconds = "milliseconds",
    }

    /// `supervised`: who is told that the server is ready.
    Supervised {
        /// Upstart, by SIGSTOP.
        Upstart = "upstart",
        /// systemd, by its notification socket.
        Systemd = "systemd",
        /// Whichever the environment shows.
        Auto = "auto",
        /// Nobody.
        No = "no",
    }

    /// `appendfsync`: when the append only file reaches the disk.
    AppendFsync {
        /// Once a second.
        Everysec = "everysec",
        /// Before each reply to a write.
        Always = "always",
        /// When the kernel likes.
        No = "no",
    }

    /// `repl-diskless-load`: whether a replica loads a full sync straight from the socket.
    DisklessLoad {
        /// Never: the snapshot goes to a file first.
        Disabled = "disabled",
        /// When nothing would be lost by a broken transfer.
        OnEmptyDb = "on-empty-db",
        /// Beside the old data, which is served meanwhile.
        Swapdb = "swapdb",
        /// After dropping the old data.
        FlushBeforeLoad = "flush-before-load",
    }

    /// `rdb-version-check`: whether files of a later version are read.
    RdbVersionCheck {
        /// They are refused.
        Strict = "strict",
        /// They are tried.
        Relaxed = "relaxed",
    }

    /// `tls-auth-clients`: whether clients must show a certificate.
    TlsAuthClients {
        /// Not asked for.
        No = "no",
        /// Required.
        Yes = "yes",
        /// Checked when shown.
        Optional = "optional",
    }

    /// `tls-auth-clients-user`: the certificate's field that names the user.
    TlsAuthClientsUser {
        /// The common name.
        CommonName = "CN",
        /// The URI of the alternative names.
        Uri = "URI",
        /// None: clients authenticate as ever.
        Off = "off",
    }

    /// `oom-score-adj`: whether and how the kernel's out-of-memory score is set.
    OomScoreAdj {
        /// Left alone.
        No = "no",
        /// `oom-score-adj-values` are added to the score of before.
        Relative = "yes" | "relative",
        /// `oom-score-adj-values` are the score.
        Absolute = "absolute",
    }

    /// `acl-pubsub-default`: the channels that a new user may use.
    AclPubsubDefault {
        /// All.
        Allchannels = "allchannels",
        /// None.
        Resetchannels = "resetchannels",
    }

    /// `enable-protected-configs`, `enable-debug-command`, `enable-module-command`: who may.
    ProtectedAction {
        /// Nobody.
        No = "no",
        /// Everybody.
        Yes = "yes",
        /// Clients on this machine.
        Local = "local",
    }

    /// `cluster-preferred-endpoint-type`.
    ClusterEndpoint {
        /// The address.
        Ip = "ip",
        /// The announced host name.
        Hostname = "hostname",
        /// None: the client keeps the one that it has.
        UnknownEndpoint = "unknown-endpoint",
    }

    /// `cluster-config-save-behavior`.
    ClusterConfigSave {
        /// Before going on.
        Sync = "sync",
        /// A failure is logged.
        BestEffort = "best-effort",
    }

    /// `propagation-error-behavior`: what a replica or the AOF loader does about a command that fails.
    PropagationError {
        /// Goes on.
        Ignore = "ignore",
        /// Stops the server.
        Panic = "panic",
        /// Stops a replica, goes on elsewhere.
        PanicOnReplicas = "panic-on-replicas",
    }
}

impl MaxmemoryPolicy {
    /// Whether only keys that expire are evicted.
    pub fn is_volatile(self) -> bool {
        matches!(self, Self::VolatileLru | Self::VolatileLfu | Self::VolatileRandom | Self::VolatileTtl)
    }

    /// Whether each access is counted (LFU) instead of timed.
    pub fn is_lfu(self) -> bool {
        matches!(self, Self::VolatileLfu | Self::AllkeysLfu)
    }
}
