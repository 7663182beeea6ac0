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
//! | `walk`, `check` | reading values, and whole files, without building anything |

pub mod check;
pub mod crc64;
pub mod error;
pub mod format;
pub mod legacy;
pub mod lzf;
pub mod parser;
pub mod reader;
pub mod walk;
pub mod writer;
