//! Commands: one file per group, each with the rows of its commands and their functions.
//!
//! To add a command, add a row and a function to one file. Everything else (the dispatcher, COMMAND, ACL categories,
//! statistics, key extraction) is derived from the row.

pub mod connection;
pub mod context;
pub mod dispatch;
pub mod error;
pub mod expire;
pub mod keys;
pub mod replication;
pub mod scan;
pub mod spec;
pub mod string;
pub mod string_count;
pub mod string_set;
pub mod table;
pub mod transaction;

pub use context::Ctx;
pub use error::CommandError;
pub use spec::{Category, Command, Flags, Group, Handler, Keys};
pub use table::Row;

/// What every handler returns.
pub type CommandResult = Result<(), CommandError>;

/// The rows of all groups.
static GROUPS: &[&[Command]] = &[
    connection::COMMANDS,
    expire::COMMANDS,
    keys::COMMANDS,
    replication::COMMANDS,
    scan::COMMANDS,
    string::COMMANDS,
    string_count::COMMANDS,
    string_set::COMMANDS,
    transaction::COMMANDS,
];
