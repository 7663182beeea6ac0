//! Error replies of commands.

use std::borrow::Cow;

/// An error reply, its code in front: `ERR …`, `WRONGTYPE …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandError(pub Cow<'static, [u8]>);

impl CommandError {
    /// A text known at compile time.
    pub const fn fixed(text: &'static str) -> Self {
        CommandError(Cow::Borrowed(text.as_bytes()))
    }

    /// A text made for the occasion; bytes that are not UTF-8 belong into [`CommandError::bytes`].
    pub fn text(text: String) -> Self {
        CommandError(Cow::Owned(text.into_bytes()))
    }

    /// A text that quotes a client's bytes.
    pub fn bytes(text: Vec<u8>) -> Self {
        CommandError(Cow::Owned(text))
    }

    /// The code that it is counted under.
    pub fn code(&self) -> &[u8] {
        error_code(&self.0)
    }
}

/// The code that an error is counted under: its first word, or `ERR` where a script made up an error without one.
pub fn error_code(text: &[u8]) -> &[u8] {
    /// A code that is longer is none.
    const LONGEST: usize = 30;
    let space = text.iter().take(LONGEST + 1).position(|c| *c == b' ');
    space.map_or(b"ERR", |end| &text[..end])
}

impl From<crate::keyspace::WrongType> for CommandError {
    fn from(_: crate::keyspace::WrongType) -> Self {
        WRONG_TYPE
    }
}

/// The key holds another type.
pub const WRONG_TYPE: CommandError =
    CommandError::fixed("WRONGTYPE Operation against a key holding the wrong kind of value");
/// The arguments don't fit the command's syntax.
pub const SYNTAX: CommandError = CommandError::fixed("ERR syntax error");
/// An argument or a value is no 64-bit integer.
pub const NOT_INTEGER: CommandError = CommandError::fixed("ERR value is not an integer or out of range");
/// An argument or a value is no double.
pub const NOT_FLOAT: CommandError = CommandError::fixed("ERR value is not a valid float");
/// An integer must be positive here.
pub const NOT_POSITIVE: CommandError = CommandError::fixed("ERR value is out of range, must be positive");
/// An index beyond the value.
pub const INDEX_OUT_OF_RANGE: CommandError = CommandError::fixed("ERR index out of range");
/// The command needs an existing key.
pub const NO_SUCH_KEY: CommandError = CommandError::fixed("ERR no such key");
/// The database number is too large.
pub const BAD_DB: CommandError = CommandError::fixed("ERR DB index is out of range");

/// `ERR wrong number of arguments for '<name>' command`
pub fn wrong_arity(name: &str) -> CommandError {
    CommandError::text(format!("ERR wrong number of arguments for '{name}' command"))
}

/// `ERR invalid expire time in '<name>' command`
pub fn bad_expire(name: &str) -> CommandError {
    CommandError::text(format!("ERR invalid expire time in '{name}' command"))
}
