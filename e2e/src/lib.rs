//! What the end-to-end tests share.

pub mod programs;
pub mod resp;
pub mod server;
pub mod wait;
