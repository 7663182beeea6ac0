//! Values, and the tables they live in. Knows nothing of clients, databases or replication.
//!
//! * [`table`]: the hash table of keys and of large collections
//! * [`rng`]: the random numbers of the data path
//! * [`elem`]: the view of one stored element; [`num`]: numbers as text; [`limits`]: where compact encodings end
//! * [`listpack`], [`intset`]: the compact encodings, in the bytes that RDB files hold
//! * [`list`]: the list type, a listpack or a quicklist
//! * [`entry`]: a key with its value, in one allocation; [`value`]: the kinds of values, owned and borrowed
//! * [`sizes`]: what an allocation really takes

pub mod elem;
pub mod entry;
pub mod intset;
pub mod limits;
pub mod list;
pub mod listpack;
pub mod num;
pub mod rng;
pub mod sizes;
pub mod table;
#[cfg(test)]
mod test_util;
pub mod value;
