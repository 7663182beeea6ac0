//! What DEBUG switches, for tests.

/// All off, unless a test says otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub struct Switches {
    /// The server stops itself (SIGSTOP) after each fork, so that a test can look at the child alone.
    pub stop_after_fork: bool,
    /// How long to wait before the append-only file is written.
    pub aof_flush_sleep: std::time::Duration,
    /// Regular work is left undone.
    pub pause_cron: bool,
    /// No answer is small.
    pub enforce_reply_list: bool,
    /// Keys that are loaded replace those that are there.
    pub loading_replaces: bool,
    /// Seconds for which the stream is kept for a replica that has its snapshot and does not come for the rest, if not the usual.
    pub rdb_client_grace: Option<u32>,
}
