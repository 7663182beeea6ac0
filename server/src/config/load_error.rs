//! Why a configuration could not be loaded, in the words of Valkey's standard error.

use std::fmt;

use super::kinds::Reason;
use super::table::{Mark, find};

/// A line of the configuration, for errors that name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Number of the line, from 1. Options of the command line count on from the end of the file.
    pub line: usize,
    /// The line without its outer blanks.
    pub text: Vec<u8>,
}

/// Why the server cannot start with its configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// A line is wrong.
    Line {
        /// Which.
        origin: Origin,
        /// Why.
        reason: Reason,
    },
    /// The configuration as a whole is wrong.
    Whole {
        /// Why.
        reason: Reason,
    },
    /// A file could not be read. Valkey logs this instead of writing it to standard error.
    Unreadable {
        /// The file.
        path: String,
        /// The system's words.
        reason: String,
    },
}

impl Origin {
    /// The error of this line.
    pub fn error(&self, reason: impl Into<Reason>) -> LoadError {
        LoadError::Line { origin: self.clone(), reason: reason.into() }
    }

    /// The line without what may be a secret: the value of a password's directive, the rules of a user.
    fn presentable(&self) -> String {
        let text = String::from_utf8_lossy(&self.text).into_owned();
        let mut words = text.splitn(3, [' ', '\t']);
        let (name, first, more) = (words.next().unwrap_or_default(), words.next(), words.next());
        if find(name.as_bytes()).is_some_and(|directive| directive.is(Mark::Sensitive)) && first.is_some() {
            return format!("{name} (redacted)");
        }
        match (first, more) {
            (Some(user), Some(_)) if name.eq_ignore_ascii_case("user") => format!("{name} {user} (redacted)"),
            _ => text,
        }
    }
}

impl LoadError {
    /// Whether it is written to standard error as it is; otherwise it is a warning for the log.
    pub fn is_for_stderr(&self) -> bool {
        !matches!(self, Self::Unreadable { .. })
    }

    /// The text for standard error or, where [`LoadError::is_for_stderr`] says so, for the log.
    pub fn report(&self, version: &str) -> String {
        let head = format!("\n*** FATAL CONFIG FILE ERROR (Version {version}) ***\n");
        match self {
            Self::Line { origin, reason } => {
                let place = format!("Reading the configuration file, at line {}", origin.line);
                format!("{head}{place}\n>>> '{}'\n{reason}\n", origin.presentable())
            }
            Self::Whole { reason } => format!("{head}{reason}\n"),
            Self::Unreadable { path, reason } => format!("Fatal error, can't open config file '{path}': {reason}"),
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { origin, reason } => write!(formatter, "line {}: {reason}", origin.line),
            Self::Whole { reason } => formatter.write_str(reason),
            Self::Unreadable { path, reason } => write!(formatter, "{path}: {reason}"),
        }
    }
}

impl std::error::Error for LoadError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(text: &str) -> String {
        Origin { line: 3, text: text.into() }.error("why").report("9.1.2")
    }

    #[test]
    fn a_wrong_line_is_reported_as_valkey_does() {
        assert_eq!(
            report("port x"),
            "\n*** FATAL CONFIG FILE ERROR (Version 9.1.2) ***\n\
             Reading the configuration file, at line 3\n>>> 'port x'\nwhy\n"
        );
    }

    #[test]
    fn no_report_shows_a_secret() {
        for line in ["requirepass \"hush", "MasterAuth hush more", "user alice on >hush", "primaryauth\thush"] {
            assert!(!report(line).contains("hush"), "{line}");
            assert!(report(line).contains("(redacted)"), "{line}");
        }
        assert!(report("requirepass").contains(">>> 'requirepass'"));
        assert!(report("user alice").contains(">>> 'user alice'"));
    }
}
