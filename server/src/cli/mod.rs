//! `valkey-cli`, the command line client: runs commands given on the command line, typed at a prompt or read from a file, and has modes
//! that look into a server. It speaks the protocol itself and shares nothing with the server's modules.

mod args;
mod cluster;
mod command;
mod connection;
mod debugger;
mod format;
mod help;
mod hints;
mod history;
mod modes;
mod number;
mod quote;
mod repl;
mod reply;
mod session;
mod stop;
mod sys;
mod test_hints;
mod tls;
mod uri;
mod usage;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Read, Write};
use std::process::ExitCode;

use args::{Mode, Options, Request, StdinArg};
use session::Session;
use stop::{Stop, print};

/// Version of Valkey whose client this one behaves as.
pub const VERSION: &str = "9.1.2";

/// Runs the client with the process's arguments and environment. Returns the status to end with: 0, or 1 when something failed that is
/// not just an error in a reply.
pub fn main() -> ExitCode {
    // A way to test what people see without a terminal.
    let tty = io::stdout().is_terminal() || std::env::var_os("FAKETTY").is_some();
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let done = match args::parse(&arguments, tty) {
        Ok(Request::Help) => print(usage::text().as_bytes()),
        Ok(Request::Version) => print(format!("valkey-cli {VERSION}\n").as_bytes()),
        // Status 1, as with the real client.
        Ok(Request::ClusterHelp) => print(cluster::HELP.as_bytes()).and(Err(Stop::NotConnected)),
        Ok(Request::Run(options, command)) => run(*options, command, tty),
        Err(text) => Err(Stop::because(text)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => {
            let text = stop.to_string();
            if !text.is_empty() {
                eprintln!("{text}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(mut options: Options, command: Vec<Vec<u8>>, tty: bool) -> Result<(), Stop> {
    if options.warn_password {
        eprintln!("Warning: Using a password with '-a' or '-u' option on the command line interface may not be safe.");
    }
    options.apply_environment(|name| std::env::var_os(name));
    if options.ask_password {
        // None at all is no password.
        options.password = Some(ask_password()?).filter(|password| !password.is_empty());
    }
    let mode = options.mode.clone();
    let mut session = Session::new(options);
    match mode {
        Mode::Commands => return run_commands(&mut session, command, tty),
        Mode::IntrinsicLatency(seconds) => return modes::intrinsic::run(seconds),
        Mode::TestHint(line) => return test_hints::show(&mut session, &line),
        Mode::TestHintFile(path) => return test_hints::run_file(&mut session, &path),
        _ => session.connect(false)?,
    }
    let session = &mut session;
    match mode {
        Mode::Scan => modes::scan::run(session),
        Mode::BigKeys => modes::bigkeys::run(session, modes::bigkeys::Measure::Elements),
        Mode::MemKeys(samples) => modes::bigkeys::run(session, modes::bigkeys::Measure::Memory(samples)),
        Mode::HotKeys(count) => modes::hotkeys::run(session, count),
        Mode::Latency { history } => modes::latency::run(session, history),
        Mode::LatencyDist => modes::latency::distribution(session),
        Mode::LruTest(keys) => modes::lru::run(session, keys),
        Mode::Stat => modes::stat::run(session),
        Mode::Pipe => modes::pipe::run(session),
        Mode::Rdb { path, functions_only } => modes::rdb::run(session, &path, functions_only),
        Mode::Replica => modes::replica::run(session),
        Mode::Eval(path) => match session.options.debug {
            Some(kind) => modes::eval::debug(session, &path, &command, kind, tty),
            None => modes::eval::run(session, &path, &command),
        },
        Mode::Commands | Mode::IntrinsicLatency(_) | Mode::TestHint(_) | Mode::TestHintFile(_) => Ok(()),
    }
}

/// Runs the command given, or reads commands when there is none.
fn run_commands(session: &mut Session, command: Vec<Vec<u8>>, tty: bool) -> Result<(), Stop> {
    if command.is_empty() {
        return repl::run(session, tty);
    }
    let command = complete_command(session, command)?;
    if let [first, topic @ ..] = command.as_slice()
        && (first.eq_ignore_ascii_case(b"help") || first == b"?")
    {
        if topic.is_empty() {
            return print(help::general().as_bytes());
        }
        let docs = help::Docs::fetch(session);
        return print(docs.describe(topic).as_bytes());
    }
    // A connection that could not authenticate is used all the same: the server's answer says what is wrong.
    let _ = session.connect(true);
    let repeat = session.options.repeat;
    session.run(&command, repeat)?;
    if session.is_subscribed() { session.show_stream() } else { Ok(()) }
}

/// The command with its quotes taken off and the argument from standard input put in, as the options say.
fn complete_command(session: &Session, mut command: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, Stop> {
    if session.options.quoted_input {
        let unquoted: Option<Vec<_>> = command.iter().map(|arg| quote::unquote(arg)).collect();
        command = match unquoted {
            Some(command) => command,
            None => {
                print(b"Invalid quoted string\n")?;
                return Err(Stop::NotConnected);
            }
        };
    }
    match &session.options.stdin_arg {
        StdinArg::None => {}
        StdinArg::Last => command.push(read_stdin()?),
        StdinArg::Tag(tag) => match command.iter_mut().find(|arg| *arg == tag) {
            Some(place) => *place = read_stdin()?,
            None => return Err(Stop::because("Using -X option but stdin tag not match.")),
        },
    }
    Ok(command)
}

fn read_stdin() -> Result<Vec<u8>, Stop> {
    let mut bytes = Vec::new();
    let told = |error| Stop::because(format!("Reading from standard input: {}", connection::reason(&error)));
    io::stdin().lock().read_to_end(&mut bytes).map_err(told)?;
    Ok(bytes)
}

/// Asks for the password at the terminal, where it is not shown, or reads it as a line of standard input.
fn ask_password() -> Result<Vec<u8>, Stop> {
    let told = |error| Stop::because(format!("Reading from standard input: {}", connection::reason(&error)));
    let hidden = sys::TtyMode::no_echo();
    if hidden.is_some() {
        eprint!("Please input password: ");
        io::stderr().flush().map_err(told)?;
    }
    let mut line = String::new();
    io::stdin().read_line(&mut line).map_err(told)?;
    if hidden.is_some() {
        eprintln!();
    }
    Ok(line.trim_end_matches(['\n', '\r']).as_bytes().to_vec())
}
