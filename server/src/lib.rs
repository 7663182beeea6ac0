//! A Valkey-compatible server whose heart is replication.
//!
//! A request's way is one line: `net` reads, `resp` parses, `commands` looks up, checks and executes on `keyspace`,
//! `replication` and `persistence` append, `net` writes.

pub mod acl;
pub mod affinity;
pub mod allocator;
pub mod bio;
pub mod check;
pub mod cli;
pub mod client;
pub mod collation;
pub mod commands;
pub mod config;
pub mod crash;
pub mod data;
pub mod glob;
pub mod keyspace;
pub mod log;
pub mod memory;
pub mod metrics;
pub mod net;
pub mod persistence;
pub mod replication;
pub mod resp;
pub mod scripting;
pub mod server;
pub mod supervisor;
pub mod sys;
pub mod syslog;
pub mod title;
pub mod tls;
pub mod tracking;
pub mod words;
