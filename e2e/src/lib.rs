//! What the end-to-end tests share.

pub mod docs;
pub mod kube;
pub mod ledger;
pub mod programs;
pub mod resp;
pub mod server;
pub mod wait;
pub mod writer;
