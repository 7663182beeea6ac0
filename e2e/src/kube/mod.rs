//! A cluster of kind, and what the fault tests do to it. Everything goes through the command line tools that a user has:
//! `docker`, `kind`, `kubectl` and `helm`.

mod cluster;
mod command;
mod kubectl;
mod pair;
mod pod_writer;

pub use cluster::{Cluster, OPERATOR_NAMESPACE, PausedNode, STOCK_IMAGE};
pub use command::run;
pub use kubectl::Kubectl;
pub use pair::{Pair, Pod};
pub use pod_writer::PodWriter;
