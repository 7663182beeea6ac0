//! RDB: the binary form of a data set, in files, in full synchronisations and in DUMP payloads.
//!
//! | file | subject |
//! |---|---|
//! | `format` | opcodes, type codes, versions, the first bytes of a file |
//! | `crc64` | the checksum at the end of a file and of a DUMP payload |
//! | `lzf` | the compression of strings |
//! | `writer`, `reader` | the primitives: lengths, strings, numbers, with a running checksum |
//! | `error` | what can be wrong with a file, and where |
//! | `legacy` | ziplists and zipmaps, written by servers before Redis 7 |
//! | `parser` | a file as a sequence of items: opcodes and keys |
//! | `object_save`, `object_load` | values: which layout each gets, and how every layout is read |
//! | `stream` | the layouts of streams |
//! | `save`, `load` | whole files |
//! | `dataset` | a keyspace into a file and back |
//! | `dump` | the payloads of DUMP and RESTORE |
//! | `check` | whole files, without keeping anything |

pub mod check;
pub mod crc64;
pub mod dataset;
pub mod dump;
pub mod error;
pub mod format;
pub mod legacy;
pub mod load;
pub mod lzf;
pub mod object_load;
pub mod object_save;
pub mod parser;
pub mod reader;
pub mod save;
pub mod stream;
pub mod writer;

#[cfg(test)]
mod tests;
