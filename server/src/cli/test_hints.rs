//! `--test_hint` and `--test_hint_file`: hidden options by which Valkey's test suite checks the hints.

use std::fs;
use std::path::Path;

use super::connection::reason;
use super::help::Docs;
use super::hints;
use super::session::Session;
use super::stop::{Stop, print};
use crate::words;

/// Prints the hint for a line.
///
/// # Errors
/// When standard output is closed.
pub fn show(session: &mut Session, line: &str) -> Result<(), Stop> {
    let hint = hints::hint(&Docs::fetch(session), line).unwrap_or_default();
    print(format!("{hint}\n").as_bytes())
}

/// Checks a file in which each line holds a line of input and its hint, both quoted; `#` starts a comment.
///
/// # Errors
/// When the file cannot be read or a hint is not the one that stands there.
pub fn run_file(session: &mut Session, path: &Path) -> Result<(), Stop> {
    let text = fs::read_to_string(path)
        .map_err(|error| Stop::because(format!("Can't open file '{}': {}", path.display(), reason(&error))))?;
    let docs = Docs::fetch(session);
    let (mut passed, mut total) = (0, 0);
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let words = words::split(line.as_bytes()).unwrap_or_default();
        let words: Vec<String> = words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        let (input, want) = match words.as_slice() {
            [] => continue,
            [input, want, ..] => (input, want),
            [input] => return Err(Stop::because(format!("Missing expected hint for input '{input}'"))),
        };
        let hint = hints::hint(&docs, input).unwrap_or_default();
        if session.options.verbose {
            print(format!("Input: '{input}', Expected: '{want}', Hint: '{hint}'\n").as_bytes())?;
        }
        total += 1;
        if hint.trim_end() == want {
            passed += 1;
        } else {
            eprintln!("Test case '{input}' FAILED: expected '{want}', got '{hint}'");
        }
    }
    let verdict = if passed == total { "SUCCESS" } else { "FAILURE" };
    print(format!("{verdict}: {passed}/{total} passed\n").as_bytes())?;
    if passed == total { Ok(()) } else { Err(Stop::NotConnected) }
}
