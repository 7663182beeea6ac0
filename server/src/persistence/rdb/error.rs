//! What can be wrong with an RDB file or a DUMP payload, and where.

use std::borrow::Cow;
use std::fmt;
use std::io;

use super::format::{FOREIGN_FIRST, FOREIGN_LAST, ValueType};

/// Shorthand for results of reading.
pub type Result<T> = std::result::Result<T, RdbError>;

/// A failure to read an RDB file or payload: what, at which byte, and in which key if it was in one.
///
/// Its text is fit for a log. One word wide, because every reading function returns one.
#[derive(Debug)]
pub struct RdbError(Box<Details>);

#[derive(Debug)]
struct Details {
    kind: ErrorKind,
    offset: u64,
    key: Option<(Vec<u8>, ValueType)>,
}

/// What is wrong.
#[derive(Debug)]
pub enum ErrorKind {
    /// The file ends before its end marker.
    UnexpectedEof,
    /// Reading failed.
    Io(io::Error),
    /// It does not start like an RDB file.
    WrongSignature,
    /// A version that is not read.
    UnsupportedVersion(u32),
    /// A value type or opcode that the format, or this server's version of it, does not have.
    UnknownType {
        /// The byte.
        code: u8,
        /// The version that the file announced.
        version: u32,
    },
    /// The checksum of what was read is not the one at the end.
    WrongChecksum {
        /// What was read.
        computed: u64,
        /// What the file says.
        stored: u64,
    },
    /// The content breaks the format's rules; the text says which.
    Corrupt(Cow<'static, str>),
    /// The content is fine but of a kind that this server does not keep; the text says which.
    Unsupported(Cow<'static, str>),
    /// A value without elements, which cannot be a key. A whole file skips such keys, a payload is refused.
    EmptyValue,
    /// Whoever receives the content refused it; the text is theirs.
    Refused(String),
}

impl RdbError {
    /// An error at a byte of the input.
    #[cold]
    pub fn new(kind: ErrorKind, offset: u64) -> Self {
        RdbError(Box::new(Details { kind, offset, key: None }))
    }

    /// Adds the key whose value was being read, unless one is known already.
    #[cold]
    pub fn in_key(mut self, key: &[u8], value_type: ValueType) -> Self {
        self.0.key.get_or_insert_with(|| (key.to_vec(), value_type));
        self
    }

    /// Forgets the key's name, for `hide-user-data-from-log`.
    pub fn without_key(mut self) -> Self {
        self.0.key = None;
        self
    }

    /// What is wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// How many bytes of the input had been taken in.
    pub fn offset(&self) -> u64 {
        self.0.offset
    }

    /// The key whose value was being read, and the layout of that value.
    pub fn key(&self) -> Option<(&[u8], ValueType)> {
        self.0.key.as_ref().map(|(key, value_type)| (key.as_slice(), *value_type))
    }
}

impl fmt::Display for RdbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.0.kind, self.0.offset)?;
        if let Some((key, value_type)) = self.key() {
            write!(f, " in key '{}' of type {value_type}", shown(key))?;
        }
        Ok(())
    }
}

/// A key as text, shortened: a damaged length can make it arbitrarily long.
fn shown(key: &[u8]) -> String {
    const LONGEST: usize = 100;
    match key.get(..LONGEST) {
        Some(beginning) if key.len() > LONGEST => format!("{}...", beginning.escape_ascii()),
        _ => key.escape_ascii().to_string(),
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ErrorKind::UnexpectedEof => f.write_str("Unexpected EOF reading RDB file"),
            ErrorKind::Io(error) => write!(f, "Error reading RDB file: {error}"),
            ErrorKind::WrongSignature => f.write_str("Wrong signature trying to load DB from file"),
            ErrorKind::UnsupportedVersion(version) => write!(f, "Can't handle RDB format version {version}"),
            ErrorKind::UnknownType { code, version } if (FOREIGN_FIRST..=FOREIGN_LAST).contains(version) => {
                write!(f, "Can't handle foreign type or opcode {code} in RDB with version {version}")
            }
            ErrorKind::UnknownType { code, .. } => {
                write!(f, "Unknown type or opcode when loading DB. Unrecoverable error, aborting now. (It is {code})")
            }
            ErrorKind::WrongChecksum { computed, stored } => {
                write!(f, "Wrong RDB checksum expected: ({computed:x}) but got ({stored:x}). RDB CRC error")
            }
            ErrorKind::Corrupt(what) | ErrorKind::Unsupported(what) => f.write_str(what),
            ErrorKind::EmptyValue => f.write_str("Empty value"),
            ErrorKind::Refused(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for RdbError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.kind {
            ErrorKind::Io(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_is_wrong_at_which_byte_and_in_which_key() {
        let error = RdbError::new(ErrorKind::Corrupt("Intset integrity check failed.".into()), 77);
        assert_eq!(error.to_string(), "Intset integrity check failed. at byte 77");
        let error = error.in_key(b"caf\xc3\xa9", ValueType::SetIntset).in_key(b"other", ValueType::List);
        assert_eq!(
            error.to_string(),
            r"Intset integrity check failed. at byte 77 in key 'caf\xc3\xa9' of type set-intset"
        );
        assert_eq!(error.without_key().to_string(), "Intset integrity check failed. at byte 77");
    }

    #[test]
    fn a_very_long_key_is_shortened_in_the_message() {
        let error = RdbError::new(ErrorKind::UnexpectedEof, 1).in_key(&[b'k'; 5000], ValueType::String);
        assert!(error.to_string().len() < 200);
    }
}
