//! Why the client ends, and output that nobody may read any more.

use std::fmt;
use std::io::{self, Write};

use super::connection::Failure;

/// Why the client ends, or a command was not answered.
#[derive(Debug)]
pub enum Stop {
    /// The connection is lost; the session has none now.
    Lost(Failure),
    /// There is no connection, and the reason was told.
    NotConnected,
    /// With `-e`: the command was answered by this error.
    ErrorReply(Vec<u8>),
    /// Anything else, as a sentence for the user.
    Told(String),
    /// Standard output is closed: nobody reads on.
    OutputClosed,
}

impl Stop {
    /// A sentence for the user.
    pub fn because(text: impl Into<String>) -> Self {
        Self::Told(text.into())
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(failure) => write!(f, "Error: {failure}"),
            Self::ErrorReply(text) => f.write_str(&String::from_utf8_lossy(text)),
            Self::Told(text) => f.write_str(text),
            Self::NotConnected | Self::OutputClosed => Ok(()),
        }
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Lost(failure)
    }
}

/// Writes to standard output at once.
///
/// # Errors
/// [`Stop::OutputClosed`] when nobody reads it any more.
pub fn print(bytes: &[u8]) -> Result<(), Stop> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|_| Stop::OutputClosed)
}
