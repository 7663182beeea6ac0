//! Commands: one file per group, each with the rows of its commands and their functions.
//!
//! To add a command, add a row and a function to one file. Everything else (the dispatcher, COMMAND, ACL categories,
//! statistics, key extraction) is derived from the row.

pub mod acl;
pub mod bitfield;
pub mod bitmap;
pub mod client;
mod client_filter;
pub mod client_tracking;
mod cluster;
pub mod command;
pub mod commandlog;
pub mod config;
pub mod connection;
pub mod context;
pub mod debug;
mod debug_data;
mod debug_digest;
mod debug_protocol;
pub mod dispatch;
mod docs;
pub mod dump;
pub mod error;
pub mod expire;
pub mod function;
pub mod geo;
pub mod geo_search;
pub mod hash;
pub mod hash_expire;
mod hash_fields;
pub mod hash_getset;
pub mod hash_number;
pub mod hash_random;
mod help;
pub mod hyperloglog;
pub mod info;
mod info_clients;
mod info_commands;
mod info_memory;
mod info_persistence;
mod info_replication;
mod info_server;
mod info_stats;
mod info_tls;
mod key_spec;
pub mod key_use;
pub mod keys;
pub mod latency;
pub mod list;
pub mod list_blocking;
pub mod list_move;
pub mod lolwut;
pub mod memory;
pub mod migrate;
mod module;
mod monitor;
pub mod object;
pub mod persistence;
pub mod pubsub;
pub mod quorum;
pub mod redact;
pub mod replication;
pub mod scan;
pub mod script;
pub mod server;
pub mod set;
pub mod set_algebra;
pub mod set_random;
pub mod sort;
pub mod spec;
pub mod stream;
mod stream_args;
pub mod stream_claim;
pub mod stream_group;
pub mod stream_info;
pub mod stream_range;
pub mod stream_read;
pub mod string;
pub mod string_count;
pub mod string_lcs;
pub mod string_set;
pub mod table;
pub mod transaction;
pub mod zset;
pub mod zset_algebra;
pub mod zset_blocking;
pub mod zset_pop;
pub mod zset_random;
pub mod zset_range;

pub use context::Ctx;
pub use error::CommandError;
pub use key_use::KeyUse;
pub use spec::{Category, Command, Flags, Group, Handler, Keys};
pub use table::Row;

/// What every handler returns.
pub type CommandResult = Result<(), CommandError>;

/// The rows of all groups.
static GROUPS: &[&[Command]] = &[
    acl::COMMANDS,
    bitfield::COMMANDS,
    bitmap::COMMANDS,
    client::COMMANDS,
    cluster::COMMANDS,
    command::COMMANDS,
    commandlog::COMMANDS,
    config::COMMANDS,
    connection::COMMANDS,
    debug::COMMANDS,
    dump::COMMANDS,
    expire::COMMANDS,
    geo::COMMANDS,
    geo_search::COMMANDS,
    function::COMMANDS,
    hash::COMMANDS,
    hash_expire::COMMANDS,
    hash_getset::COMMANDS,
    hash_number::COMMANDS,
    hash_random::COMMANDS,
    hyperloglog::COMMANDS,
    info::COMMANDS,
    keys::COMMANDS,
    latency::COMMANDS,
    list::COMMANDS,
    list_blocking::COMMANDS,
    list_move::COMMANDS,
    lolwut::COMMANDS,
    memory::COMMANDS,
    migrate::COMMANDS,
    module::COMMANDS,
    monitor::COMMANDS,
    object::COMMANDS,
    persistence::COMMANDS,
    pubsub::COMMANDS,
    quorum::COMMANDS,
    replication::COMMANDS,
    scan::COMMANDS,
    script::COMMANDS,
    server::COMMANDS,
    set::COMMANDS,
    set_algebra::COMMANDS,
    set_random::COMMANDS,
    sort::COMMANDS,
    stream::COMMANDS,
    stream_claim::COMMANDS,
    stream_group::COMMANDS,
    stream_info::COMMANDS,
    stream_range::COMMANDS,
    stream_read::COMMANDS,
    string::COMMANDS,
    string_count::COMMANDS,
    string_lcs::COMMANDS,
    string_set::COMMANDS,
    transaction::COMMANDS,
    zset::COMMANDS,
    zset_algebra::COMMANDS,
    zset_blocking::COMMANDS,
    zset_pop::COMMANDS,
    zset_random::COMMANDS,
    zset_range::COMMANDS,
];
