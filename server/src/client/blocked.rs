//! What a client can wait for. A blocked client takes no further request until it is answered.

use crate::commands::Row;
use crate::resp::OwnedArgv;

/// Why a client waits.
#[derive(Debug)]
pub enum Why {
    /// For keys to be filled; the command runs again when one is.
    Keys {
        /// The database.
        db: usize,
        /// The command to run again.
        row: &'static Row,
        /// Its arguments.
        argv: OwnedArgv,
    },
    /// WAIT: for `replicas` replicas to acknowledge `offset`.
    Replicas {
        /// Replication offset in bytes.
        offset: u64,
        /// How many.
        replicas: usize,
    },
    /// WAITAOF: for `local` own and `replicas` replicas' files to hold `offset`.
    Fsync {
        /// Replication offset in bytes.
        offset: u64,
        /// Whether our own file counts.
        local: bool,
        /// How many replicas'.
        replicas: usize,
    },
    /// SHUTDOWN: for replicas to catch up.
    Shutdown,
}

/// A blocked client's wait.
#[derive(Debug)]
pub struct Blocked {
    /// What for.
    pub why: Why,
    /// Unix time in ms at which it ends without success; `None`: never.
    pub deadline: Option<i64>,
}
