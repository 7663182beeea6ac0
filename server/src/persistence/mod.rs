//! Snapshots and logs of the data set on disk.

pub mod rdb;
