//! Reading commands one line at a time, from a person at a terminal or from a file.

use std::borrow::Cow;
use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, IsTerminal};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::{Hint, Hinter};
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};

use super::connection::reason;
use super::debugger;
use super::format::Output;
use super::help::{self, Docs};
use super::session::Session;
use super::stop::{Stop, print};
use super::{hints, history, sys};
use crate::words;

/// Commands that take this long are followed by their duration.
const SLOW: Duration = Duration::from_millis(500);

/// Reads and runs commands until the input ends.
///
/// # Errors
/// When standard output or input fails. A lost connection is told and does not end the loop.
pub fn run(session: &mut Session, tty: bool) -> Result<(), Stop> {
    sys::end_stream_on_interrupt();
    // Each command tries again.
    let _ = session.connect(false);
    let mut input = Input::open(session)?;
    go_on(session, &mut input, tty, false).map(drop)
}

/// As [`run`], with the connection there is. `restarts`: a script is debugged, which may begin anew.
///
/// # Errors
/// As those.
pub fn go_on(session: &mut Session, input: &mut Input, tty: bool, restarts: bool) -> Result<After, Stop> {
    session.interactive = true;
    loop {
        let Some(line) = input.next_line(&session.prompt())? else {
            // The end of input ends a subscription first.
            if session.is_subscribed() && session.connect(false).is_ok() {
                continue;
            }
            return Ok(After::End);
        };
        match obey(session, input, &line)? {
            After::Next => {}
            After::Restart if !restarts => print(b"Use 'restart' only in Lua debugging mode.\n")?,
            after => return Ok(after),
        }
        if session.is_subscribed() {
            match session.show_messages_until_input(tty, || input.is_ready()) {
                // A person can go on with another command; a script could not know that its subscription is gone.
                Err(stop @ (Stop::Lost(_) | Stop::NotConnected)) if input.is_person() => eprintln!("{stop}"),
                done => done?,
            }
        }
    }
}

/// What comes after a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// The next one.
    Next,
    /// Nothing more.
    End,
    /// The script that is debugged, from its beginning.
    Restart,
}

/// Runs one line.
fn obey(session: &mut Session, input: &mut Input, line: &[u8]) -> Result<After, Stop> {
    let debugging = session.debugger.is_on();
    let code = if debugging { debugger::code_words(line) } else { None };
    let Some(args) = code.or_else(|| words::split(line)) else {
        print(b"Invalid argument(s)\n")?;
        // What a broken line holds is not known, so it is not written down.
        input.remember(line, false);
        return Ok(After::Next);
    };
    let Some(first) = args.first() else { return Ok(After::Next) };
    let (repeat, command) = match repeat_count(first) {
        Some(count) if args.len() > 1 => match count {
            Some(count) => (count, &args[1..]),
            None => {
                print(b"Invalid valkey-cli repeat command option value.\n")?;
                return Ok(After::Next);
            }
        },
        _ => (1, args.as_slice()),
    };
    input.remember(line, !history::is_sensitive(command));
    let words: Vec<String> = args.iter().map(|arg| String::from_utf8_lossy(arg).to_ascii_lowercase()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["quit" | "exit", ..] => return Ok(After::End),
        [name, ..] if name.starts_with(':') => set_preference(session, &input.hints, &args, "")?,
        ["restart", ..] => return Ok(After::Restart),
        ["clear"] => print(b"\x1b[H\x1b[2J")?,
        ["connect", _, port] => match port.parse() {
            Ok(port) => {
                session.options.socket = None;
                session.options.host = String::from_utf8_lossy(&args[1]).into_owned();
                session.options.port = port;
                let _ = session.connect(false);
            }
            Err(_) => print(b"Invalid server port.\n")?,
        },
        ["help" | "?"] if !debugging => print(help::general().as_bytes())?,
        ["help" | "?", ..] if !debugging => {
            let docs = input.docs(session);
            print(docs.describe(&args[1..]).as_bytes())?;
        }
        _ => {
            let start = Instant::now();
            match session.run(command, repeat).and_then(|()| session.end_debugging()) {
                Ok(()) | Err(Stop::NotConnected) => {}
                Err(stop @ Stop::OutputClosed) => return Err(stop),
                Err(stop) => eprintln!("{stop}"),
            }
            let elapsed = start.elapsed();
            if elapsed >= SLOW && session.format.output == Output::Standard {
                print(format!("({:.2}s)\n", elapsed.as_secs_f64()).as_bytes())?;
            }
        }
    }
    Ok(After::Next)
}

/// Whether a word in front of a command is a number, and the times to run the command if that makes sense.
fn repeat_count(word: &[u8]) -> Option<Option<i64>> {
    let digits = word.strip_prefix(b"-").unwrap_or(word);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(std::str::from_utf8(word).ok()?.parse().ok().filter(|count| *count > 0))
}

/// Obeys a line that speaks to the client itself: `:set hints`, `:get pubsub`. `origin` says in an error where the line stands.
fn set_preference(session: &Session, hints: &Cell<bool>, args: &[Vec<u8>], origin: &str) -> Result<(), Stop> {
    let words: Vec<String> = args.iter().map(|arg| String::from_utf8_lossy(arg).into_owned()).collect();
    let lower: Vec<String> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
    let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
    let text = match lower.as_slice() {
        [":set", "hints", ..] => {
            hints.set(true);
            String::new()
        }
        [":set", "nohints", ..] => {
            hints.set(false);
            String::new()
        }
        [":set", _, ..] => format!("{origin}unknown valkey-cli preference '{}'\n", words[1]),
        [":get", "pubsub", ..] => format!("{}\n", i32::from(session.is_subscribed())),
        [":get", _, ..] => format!("{origin}unknown valkey-cli get option '{}'\n", words[1]),
        _ => format!("{origin}unknown valkey-cli internal command '{}'\n", words[0]),
    };
    print(text.as_bytes())
}

/// Where lines come from, and what goes with them.
pub struct Input {
    source: Source,
    /// What the server says of its commands, once it was asked.
    docs: Rc<Docs>,
    /// Whether hints are shown.
    hints: Rc<Cell<bool>>,
}

enum Source {
    /// A file or pipe.
    Plain(BufReader<File>),
    /// A person, and the file of the history.
    Terminal(Box<Editor<LineHelper, MemHistory>>, Option<PathBuf>),
}

impl Input {
    /// Standard input.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn open(session: &mut Session) -> Result<Self, Stop> {
        let failed = |error: io::Error| Stop::because(format!("Error reading standard input: {}", reason(&error)));
        let hints = Rc::new(Cell::new(true));
        if !io::stdin().is_terminal() {
            let stdin = io::stdin().as_fd().try_clone_to_owned().map_err(failed)?;
            let source = Source::Plain(BufReader::new(File::from(stdin)));
            return Ok(Self { source, docs: Rc::default(), hints });
        }
        // The debugger has commands of its own.
        let docs = Rc::new(if session.debugger.is_on() { Docs::default() } else { Docs::fetch(session) });
        let get = |name: &str| std::env::var_os(name);
        if let Some(path) = history::dotfile(&["VALKEYCLI_RCFILE", "REDISCLI_RCFILE"], ".valkeyclirc", get) {
            let text = fs::read(path).unwrap_or_default();
            for args in text.split(|byte| *byte == b'\n').filter_map(words::split) {
                if !args.is_empty() {
                    set_preference(session, &hints, &args, ".valkeyclirc: ")?;
                }
            }
        }
        let config = Config::builder().completion_type(CompletionType::Circular).auto_add_history(false).build();
        let mut editor = Editor::with_history(config, MemHistory::new())
            .map_err(|error| Stop::because(format!("Error opening the terminal: {error}")))?;
        editor.set_helper(Some(LineHelper { docs: Rc::clone(&docs), hints: Rc::clone(&hints) }));
        let history = history::dotfile(&["VALKEYCLI_HISTFILE", "REDISCLI_HISTFILE"], ".valkeycli_history", get);
        for line in history.iter().flat_map(|path| history::load(path)) {
            // The list in memory takes every line; nothing can fail.
            let _ = editor.add_history_entry(line);
        }
        Ok(Self { source: Source::Terminal(Box::new(editor), history), docs, hints })
    }

    /// The next line without its end; `None` at the end of input, which ^C and ^D are too.
    fn next_line(&mut self, prompt: &str) -> Result<Option<Vec<u8>>, Stop> {
        match &mut self.source {
            Source::Plain(reader) => {
                let mut line = Vec::new();
                let n = reader
                    .read_until(b'\n', &mut line)
                    .map_err(|error| Stop::because(format!("Error reading standard input: {}", reason(&error))))?;
                while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
                    line.pop();
                }
                Ok((n > 0).then_some(line))
            }
            // Whatever the terminal's trouble is, there will be no more lines.
            Source::Terminal(editor, _) => Ok(editor.readline(prompt).ok().map(String::into_bytes)),
        }
    }

    fn is_person(&self) -> bool {
        matches!(self.source, Source::Terminal(..))
    }

    /// Whether a line was read ahead already.
    fn is_ready(&self) -> bool {
        matches!(&self.source, Source::Plain(reader) if !reader.buffer().is_empty())
    }

    /// Adds a line to the history, and to its file if it may stand there.
    fn remember(&mut self, line: &[u8], in_file: bool) {
        if let Source::Terminal(editor, history) = &mut self.source
            && let Ok(line) = std::str::from_utf8(line)
        {
            let is_new = editor.add_history_entry(line).unwrap_or(false);
            if let Some(path) = history
                && in_file
                && is_new
            {
                // A history that cannot be written is no reason to stop, nor to say so after each command.
                let _ = history::append(path, line);
            }
        }
    }

    /// What the server says of its commands; asked for again while it said nothing.
    fn docs(&mut self, session: &mut Session) -> Rc<Docs> {
        if *self.docs == Docs::default() {
            self.docs = Rc::new(Docs::fetch(session));
            if let Source::Terminal(editor, _) = &mut self.source
                && let Some(helper) = editor.helper_mut()
            {
                helper.docs = Rc::clone(&self.docs);
            }
        }
        Rc::clone(&self.docs)
    }
}

/// Completion and hints for the line editor.
struct LineHelper {
    docs: Rc<Docs>,
    hints: Rc<Cell<bool>>,
}

impl Helper for LineHelper {}

impl Validator for LineHelper {}

impl Completer for LineHelper {
    type Candidate = String;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(self.docs.complete(line.get(..pos).unwrap_or(line)))
    }
}

/// A hint that is shown but cannot be taken over into the line: it says what arguments are called.
struct ShownHint(String);

impl Hint for ShownHint {
    fn display(&self) -> &str {
        &self.0
    }

    fn completion(&self) -> Option<&str> {
        None
    }
}

impl Hinter for LineHelper {
    type Hint = ShownHint;

    fn hint(&self, line: &str, pos: usize, _: &Context<'_>) -> Option<ShownHint> {
        if !self.hints.get() || pos < line.len() {
            return None;
        }
        let hint = hints::hint(&self.docs, line).filter(|hint| !hint.is_empty())?;
        Some(ShownHint(if hints::ends_with_space(line) { hint } else { format!(" {hint}") }))
    }
}

impl Highlighter for LineHelper {
    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Owned(format!("\x1b[0;90m{hint}\x1b[0m"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_in_front_repeats_the_command() {
        assert_eq!(repeat_count(b"5"), Some(Some(5)));
        assert_eq!(repeat_count(b"0"), Some(None));
        assert_eq!(repeat_count(b"-3"), Some(None));
        assert_eq!(repeat_count(b"99999999999999999999"), Some(None));
        assert_eq!(repeat_count(b"get"), None);
        assert_eq!(repeat_count(b"-"), None);
        assert_eq!(repeat_count(b"5x"), None);
    }
}
