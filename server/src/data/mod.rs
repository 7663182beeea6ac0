//! Values, and the tables they live in. Knows nothing of clients, databases or replication.
//!
//! * [`table`]: the hash table of keys and of large collections
//! * [`rng`]: the random numbers of the data path

pub mod rng;
pub mod table;
