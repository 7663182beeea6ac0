//! Values, and the tables they live in. Knows nothing of clients, databases or replication.
//!
//! * [`table`]: the hash table of keys and of large collections
//! * [`rng`]: the random numbers of the data path
//! * [`elem`]: the view of one stored element; [`num`]: numbers as text, `grisu`: the digits of doubles; [`limits`]: where compact
//!   encodings end
//! * [`extended`]: the 80-bit floating point of INCRBYFLOAT
//! * [`listpack`], [`intset`]: the compact encodings, in the bytes that RDB files hold; `packed`: their memory; `one_word`: one of
//!   them, or something large, in one word
//! * [`list`]: the list type, a listpack or a quicklist
//! * [`entry`]: a key with its value, in one allocation; [`value`]: the kinds of values, owned and borrowed
//! * [`set`]: the set type, an intset, a listpack or a table
//! * [`hash`]: the hash type, a listpack or a table
//! * [`zset`]: the sorted set type, a listpack or a table and a counted tree
//! * [`geo`]: positions on the earth, as scores of sorted sets
//! * [`stream`]: the stream type, listpacks of entries in the order of their ids, and consumer groups
//! * [`hyperloglog`]: counting distinct elements, in the bytes of a string
//! * [`sizes`]: what an allocation really takes

mod block;
pub mod elem;
pub mod entry;
pub mod extended;
pub mod geo;
mod grisu;
pub mod hash;
pub mod hyperloglog;
pub mod intset;
pub mod limits;
pub mod list;
pub mod listpack;
pub mod num;
mod one_word;
mod packed;
pub mod rng;
mod sample;
pub mod set;
pub mod sizes;
pub mod stream;
pub mod table;
#[cfg(test)]
pub(crate) mod test_util;
pub mod value;
pub mod zset;
