//! `--eval`: runs a script from a file.

use std::fs;
use std::path::Path;

use super::super::connection::reason;
use super::super::debugger::{Kind, State};
use super::super::repl::{self, After, Input};
use super::super::reply::Reply;
use super::super::session::Session;
use super::super::stop::{Stop, print};

/// Runs the script with `args`: keys, then a comma alone, then other arguments.
///
/// # Errors
/// When the file cannot be read, the connection is lost, or `-e` was given and the script fails.
pub fn run(session: &mut Session, path: &Path, args: &[Vec<u8>]) -> Result<(), Stop> {
    let repeat = session.options.repeat;
    session.run(&command(read(path)?, args), repeat)
}

fn read(path: &Path) -> Result<Vec<u8>, Stop> {
    fs::read(path).map_err(|error| Stop::because(format!("Can't open file '{}': {}", path.display(), reason(&error))))
}

/// Runs the script in the debugger, as often as the user has it begin anew: each time the file is read again.
///
/// # Errors
/// As [`run`].
pub fn debug(session: &mut Session, path: &Path, args: &[Vec<u8>], kind: Kind, tty: bool) -> Result<(), Stop> {
    let mut input = None;
    loop {
        print(INTRODUCTION.as_bytes())?;
        let script = read(path)?;
        let command = command(script, args);
        if let Reply::Error(text) = session.command(&["SCRIPT", "DEBUG", kind.word()])? {
            return Err(Stop::ErrorReply(text));
        }
        session.debugger = State::Armed(kind);
        session.run(&command, 1)?;
        if matches!(session.debugger, State::Ended(_)) {
            print(b"Eval debugging session can't start:\n")?;
            return session.show_last();
        }
        let input = match &mut input {
            Some(input) => input,
            None => input.insert(Input::open(session)?),
        };
        match repl::go_on(session, input, tty, true)? {
            After::Restart => session.connect(false)?,
            After::Next | After::End => return Ok(()),
        }
        print(b"\n")?;
    }
}

const INTRODUCTION: &str = "Lua debugging session started, please use:
quit    -- End the session.
restart -- Restart the script in debug mode again.
help    -- Show Lua script debugging commands.

";

fn command(script: Vec<u8>, args: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let comma = args.iter().position(|arg| arg == b",");
    let (keys, rest) = args.split_at(comma.unwrap_or(args.len()));
    let rest = rest.get(1..).unwrap_or_default();
    let head = [b"EVAL".to_vec(), script, keys.len().to_string().into_bytes()];
    head.into_iter().chain(keys.iter().chain(rest).cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_parts_keys_from_arguments() {
        let shown = |line: &str| {
            let args: Vec<Vec<u8>> = line.split_whitespace().map(Into::into).collect();
            let words = command(b"S".to_vec(), &args);
            words.iter().map(|word| String::from_utf8_lossy(word)).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(shown("k1 k2 , a b"), "EVAL S 2 k1 k2 a b");
        assert_eq!(shown("k1 k2"), "EVAL S 2 k1 k2");
        assert_eq!(shown(", a , b"), "EVAL S 0 a , b");
        assert_eq!(shown("k ,"), "EVAL S 1 k");
        assert_eq!(shown(""), "EVAL S 0");
    }
}
