//! What DEBUG switches, for tests.

/// All off, unless a test says otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub struct Switches {
    /// The server stops itself (SIGSTOP) after each fork, so that a test can look at the child alone.
    pub stop_after_fork: bool,
    /// Regular work is left undone.
    pub pause_cron: bool,
    /// No answer is small.
    pub enforce_reply_list: bool,
    /// Keys that are loaded replace those that are there.
    pub loading_replaces: bool,
}
