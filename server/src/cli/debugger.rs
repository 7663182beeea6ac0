//! Debugging sessions of scripts, as the client sees them: what it is told, and when one begins and ends.

use super::reply::Reply;
use super::session::is_color_terminal;

/// What the end of a session looks like.
const END: &[u8] = b"<endsession>";

/// Where the connection stands with respect to debugging.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum State {
    /// Scripts just run.
    #[default]
    Off,
    /// SCRIPT DEBUG was called: the next EVAL begins a session.
    Armed(Kind),
    /// In a session.
    On(Kind),
    /// The session has ended; what the script returned is still to come.
    Ended(Kind),
}

/// What becomes of the changes that a script makes in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// SCRIPT DEBUG YES: nothing.
    Forked,
    /// SCRIPT DEBUG SYNC: they stay.
    Sync,
}

impl Kind {
    /// The argument of SCRIPT DEBUG.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Forked => "YES",
            Kind::Sync => "SYNC",
        }
    }

    /// What a user is told at the end.
    pub fn farewell(self) -> &'static str {
        match self {
            Kind::Forked => "\n(Lua debugging session ended -- dataset changes rolled back)\n\n",
            Kind::Sync => "\n(Lua debugging session ended)\n\n",
        }
    }
}

impl State {
    /// What follows from a command that is sent.
    pub fn sent(self, args: &[Vec<u8>]) -> Self {
        let is = |i: usize, word: &str| args.get(i).is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()));
        match self {
            State::Armed(kind) if is(0, "eval") => State::On(kind),
            State::Off | State::Armed(_) if is(0, "script") && is(1, "debug") => match () {
                () if is(2, "yes") => State::Armed(Kind::Forked),
                () if is(2, "sync") => State::Armed(Kind::Sync),
                () => State::Off,
            },
            state => state,
        }
    }

    /// Whether commands are those of the debugger.
    pub fn is_on(self) -> bool {
        matches!(self, State::On(_))
    }
}

/// The lines of a session's answer, each with the colour of what it tells; and whether this was the session's end, which is not
/// shown. `None`: it is no such answer.
pub fn show(reply: &Reply) -> Option<(Vec<u8>, bool)> {
    let colors = is_color_terminal();
    let mut out = Vec::new();
    let mut ended = false;
    for line in reply.elements()? {
        let Reply::Status(line) = line else { return None };
        if line.starts_with(END) {
            ended = true;
            out.push(b'\n');
            continue;
        }
        if colors {
            let (bold, color) = color(line);
            out.extend_from_slice(format!("\x1b[{};{color};49m", i32::from(bold)).as_bytes());
            out.extend_from_slice(line);
            out.extend_from_slice(b"\x1b[0m\n");
        } else {
            out.extend_from_slice(line);
            out.push(b'\n');
        }
    }
    Some((out, ended))
}

/// Whether a line is bold, and its colour, by what it tells.
fn color(line: &[u8]) -> (bool, i32) {
    const WHITE: i32 = 37;
    match line {
        [_, b'>', _, b'0'..=b'9', _, ..] => (false, 33),
        [_, _, b'#', b'0'..=b'9', _, ..] => (true, WHITE),
        _ if line.starts_with(b"<value>") || line.starts_with(b"<retval>") => (false, 35),
        _ if line.starts_with(b"<debug>") || line.starts_with(b"<hint>") => (true, WHITE),
        _ if line.starts_with(b"<error>") => (false, 31),
        _ if line.starts_with(b"<reply>") => (false, 36),
        _ if line.starts_with(b"<command>") => (false, 32),
        _ => (false, WHITE),
    }
}

/// The words of a line for the debugger: Lua code is one, as it stands there.
pub fn code_words(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let end = line.iter().position(|c| *c == b' ')?;
    let (name, code) = (&line[..end], &line[end + 1..]);
    matches!(name, b"e" | b"eval").then(|| vec![name.to_vec(), code.to_vec()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(lines: &[&str]) -> State {
        let words = |line: &str| line.split(' ').map(Into::into).collect::<Vec<Vec<u8>>>();
        lines.iter().fold(State::Off, |state, line| state.sent(&words(line)))
    }

    #[test]
    fn a_session_begins_with_the_first_eval_after_script_debug() {
        assert_eq!(after(&["script debug sync", "get k", "EVAL s 0"]), State::On(Kind::Sync));
        assert_eq!(after(&["SCRIPT DEBUG YES"]), State::Armed(Kind::Forked));
        assert_eq!(after(&["script debug yes", "script debug no", "eval s 0"]), State::Off);
        assert_eq!(after(&["script debug yes", "eval s 0", "eval 1"]), State::On(Kind::Forked));
    }

    #[test]
    fn code_is_one_word_whatever_is_in_it() {
        assert_eq!(code_words(b"e 'a  b"), Some(vec![b"e".to_vec(), b"'a  b".to_vec()]));
        assert_eq!(code_words(b"eval x"), Some(vec![b"eval".to_vec(), b"x".to_vec()]));
        assert_eq!(code_words(b"print x"), None);
        assert_eq!(code_words(b"e"), None);
    }
}
