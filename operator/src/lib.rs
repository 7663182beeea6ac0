//! The operator for `ValkeyReplication` resources.
//!
//! Data flows one way: watch → observe → decide ([`valkey_repl_engine`], pure) → act → status.
//! [`api`] is what the user writes, [`resources`] what is made of it, [`instance`] the connection to one server,
//! [`controller`] what ties them together in a cluster, [`local`] the same over processes on this machine.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod api;
pub mod carrier;
pub mod check;
pub mod clock;
pub mod controller;
pub mod explain;
pub mod http;
pub mod instance;
pub mod leader;
pub mod local;
pub mod manager;
pub mod metrics;
pub mod resources;
pub mod run;
