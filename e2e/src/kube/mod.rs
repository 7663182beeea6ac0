//! A cluster of kind, and what the fault tests do to it. Everything goes through the command line tools that a user has:
//! `docker`, `kind`, `kubectl` and `helm`. And a bare API server, for tests that need no nodes.

mod api_server;
mod cluster;
mod command;
mod disks;
mod kubectl;
mod operator;
mod pair;
mod pod_writer;

pub use api_server::{ApiServer, Request, definition};
pub use cluster::{Cluster, Cut, DarkNode, OPERATOR_NAMESPACE, Outage, PausedNode, STOCK_IMAGES};
pub use command::run;
pub use disks::SmallDisks;
pub use kubectl::Kubectl;
pub use operator::Operator;
pub use pair::{Pair, Pod};
pub use pod_writer::PodWriter;
