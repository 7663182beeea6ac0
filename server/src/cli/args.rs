//! The command line: options, then the command to run.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;

use super::connection::{Family, Target};
use super::debugger::Kind;
use super::format::{Format, Output};
use super::tls::TlsOptions;
use super::{cluster, number, quote, uri};

/// How many keys `--hotkeys` lists.
const HOT_KEYS: usize = 16;

/// What to do besides running commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// Run the command given, or read commands.
    Commands,
    /// List keys.
    Scan,
    /// Find the keys with most elements.
    BigKeys,
    /// Find the keys that take most memory, looking at so many elements of each (`None`: the server's default).
    MemKeys(Option<u64>),
    /// Find so many of the keys used most.
    HotKeys(usize),
    /// Measure the time of a PING, for ever or in intervals.
    Latency {
        /// One line per interval.
        history: bool,
    },
    /// Measure the time of a PING and draw its distribution.
    LatencyDist,
    /// Measure how long the operating system keeps this process from running, for so many seconds.
    IntrinsicLatency(u64),
    /// Simulate a cache over so many keys.
    LruTest(u64),
    /// Show statistics as they change.
    Stat,
    /// Send the protocol that comes from standard input.
    Pipe,
    /// Save a snapshot to a file, `-` for standard output.
    Rdb {
        /// The file.
        path: PathBuf,
        /// Only the functions, not the keys.
        functions_only: bool,
    },
    /// Show the commands that a replica gets.
    Replica,
    /// Run a script from a file.
    Eval(PathBuf),
    /// Print the hint for an input line; for tests.
    TestHint(String),
    /// Check a file of input lines and hints; for tests.
    TestHintFile(PathBuf),
}

/// Which version of the protocol to ask the server for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Ask for nothing: RESP2.
    Default,
    /// `-2`.
    Resp2,
    /// `-3`: fail without it.
    Resp3,
    /// An output form likes RESP3 better, and does without it.
    PreferResp3,
}

/// An argument of the command that comes from standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StdinArg {
    /// None does.
    None,
    /// `-x`: one more at the end.
    Last,
    /// `-X tag`: the one that reads `tag`.
    Tag(Vec<u8>),
}

/// Everything the command line and the environment say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Server's host.
    pub host: String,
    /// Server's TCP port.
    pub port: u16,
    /// Server's Unix socket; host and port do not count then.
    pub socket: Option<PathBuf>,
    /// Time to wait for a connection; zero leaves it to the kernel.
    pub connect_timeout: Duration,
    /// Addresses to try first.
    pub family: Family,
    /// `--mptcp`: connect by Multipath TCP.
    pub mptcp: bool,
    /// `--tls`: encrypt.
    pub encrypt: bool,
    /// How.
    pub tls: TlsOptions,
    /// ACL user.
    pub user: Option<Vec<u8>>,
    /// Password.
    pub password: Option<Vec<u8>>,
    /// Ask for the password at the terminal.
    pub ask_password: bool,
    /// The password stood on the command line, where others can read it, and the user should be told.
    pub warn_password: bool,
    /// Database.
    pub db: i32,
    /// Times to run the command; negative: for ever.
    pub repeat: i64,
    /// Pause between runs.
    pub interval: Duration,
    /// Form of the output.
    pub format: Format,
    /// Show what the server pushes of its own accord.
    pub show_pushes: bool,
    /// Protocol version.
    pub protocol: Protocol,
    /// Argument from standard input.
    pub stdin_arg: StdinArg,
    /// End with status 1 when a command is answered by an error.
    pub fail_on_error: bool,
    /// The command's arguments are in quotes.
    pub quoted_input: bool,
    /// Follow the redirections of a cluster.
    pub follow_redirects: bool,
    /// Say more (in the hint tests).
    pub verbose: bool,
    /// Mode.
    pub mode: Mode,
    /// Debug the script of `--eval`.
    pub debug: Option<Kind>,
    /// Keys to look at, as for SCAN's MATCH.
    pub pattern: Option<Vec<u8>>,
    /// SCAN's COUNT.
    pub count: i64,
    /// SCAN's TYPE.
    pub key_type: Option<Vec<u8>>,
    /// Seconds `--pipe` waits for the last replies; zero: for ever.
    pub pipe_timeout: u64,
}

impl Options {
    /// The defaults. `tty`: standard output is a terminal, so the output is for people.
    pub fn new(tty: bool) -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 6379,
            socket: None,
            connect_timeout: Duration::ZERO,
            family: Family::Any,
            mptcp: false,
            encrypt: false,
            tls: TlsOptions::default(),
            user: None,
            password: None,
            ask_password: false,
            warn_password: false,
            db: 0,
            repeat: 1,
            interval: Duration::ZERO,
            format: Format {
                output: if tty { Output::Standard } else { Output::Raw },
                element_delimiter: b"\n".to_vec(),
                reply_delimiter: b"\n".to_vec(),
            },
            show_pushes: tty,
            protocol: Protocol::Default,
            stdin_arg: StdinArg::None,
            fail_on_error: false,
            quoted_input: false,
            follow_redirects: false,
            verbose: false,
            mode: Mode::Commands,
            debug: None,
            pattern: None,
            count: 10,
            key_type: None,
            pipe_timeout: 30,
        }
    }

    /// How to encrypt, if that is asked for.
    pub fn tls(&self) -> Option<&TlsOptions> {
        self.encrypt.then_some(&self.tls)
    }

    /// Where to connect.
    pub fn target(&self) -> Target {
        match &self.socket {
            Some(path) => Target::Unix(path.clone()),
            None => Target::Tcp(self.host.clone(), self.port),
        }
    }

    /// Takes from the environment what the command line left open. `get` reads a variable; the names of before the fork still count.
    pub fn apply_environment(&mut self, get: impl Fn(&str) -> Option<OsString>) {
        if self.password.is_none() {
            self.password = get("VALKEYCLI_AUTH").or_else(|| get("REDISCLI_AUTH")).map(OsString::into_vec);
        }
    }

    fn set_mode(&mut self, mode: Mode) -> Result<(), String> {
        let same = std::mem::discriminant(&self.mode) == std::mem::discriminant(&mode);
        match (&self.mode, &mode) {
            (Mode::Rdb { .. }, Mode::Rdb { .. }) => {
                return Err("Option --functions-rdb and --rdb are mutually exclusive.".to_owned());
            }
            // Asking for intervals is asking for more: it stays, whichever option comes last.
            (Mode::Latency { history: true }, Mode::Latency { .. }) => return Ok(()),
            (Mode::Commands, _) => {}
            _ if same => {}
            _ => return Err("Only one mode can be chosen at a time.".to_owned()),
        }
        self.mode = mode;
        Ok(())
    }
}

/// What a command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Run with these options and this command, which may be empty.
    Run(Box<Options>, Vec<Vec<u8>>),
    /// Print the help.
    Help,
    /// Print the version.
    Version,
    /// Print what there is of `--cluster`.
    ClusterHelp,
}

/// Parses a command line without the program's name. `tty` as in [`Options::new`].
///
/// # Errors
/// A sentence for the user.
pub fn parse(args: &[OsString], tty: bool) -> Result<Request, String> {
    let mut options = Options::new(tty);
    let mut no_warning = false;
    let mut rest = args;
    while let Some((arg, after)) = rest.split_first() {
        let name = String::from_utf8_lossy(arg.as_bytes());
        if !name.starts_with('-') {
            break;
        }
        let taken = match after.split_first() {
            Some((value, _)) if name == "--cluster" => {
                let subcommand = value.to_string_lossy();
                let is_help = subcommand.eq_ignore_ascii_case("help");
                return if is_help { Ok(Request::ClusterHelp) } else { Err(cluster::refusal(&subcommand)) };
            }
            Some((value, after)) if option_with_value(&mut options, &name, value)? => Some(after),
            _ => None,
        };
        rest = match taken {
            Some(after) => after,
            None => {
                match name.as_ref() {
                    "-h" | "--help" => return Ok(Request::Help),
                    "-v" | "--version" => return Ok(Request::Version),
                    "--no-auth-warning" => no_warning = true,
                    _ => flag(&mut options, &name)?,
                }
                after
            }
        };
    }
    if options.socket.is_some() && options.follow_redirects {
        return Err("Options -c and -s are mutually exclusive.".to_owned());
    }
    if options.debug.is_some() && !matches!(options.mode, Mode::Eval(_)) {
        return Err(
            "Options --ldb and --ldb-sync-mode require --eval.\nTry valkey-cli --help for more information.".to_owned()
        );
    }
    options.warn_password = options.password.is_some() && !no_warning;
    let command = rest.iter().map(|arg| arg.as_bytes().to_vec()).collect();
    Ok(Request::Run(Box::new(options), command))
}

/// Handles an option that takes a value; false when there is none of that name.
fn option_with_value(options: &mut Options, name: &str, value: &OsStr) -> Result<bool, String> {
    let bytes = || value.as_bytes().to_vec();
    let path = || PathBuf::from(value);
    match name {
        "-h" => options.host = text(name, value)?.to_owned(),
        "-p" => {
            let port = number::leading_int(value).and_then(|port| u16::try_from(port).ok());
            options.port = port.ok_or("Invalid server port.")?;
        }
        "-s" => options.socket = Some(path()),
        "-t" => {
            options.connect_timeout = timeout(value).ok_or("Invalid connection timeout for -t.")?;
        }
        "-a" | "--pass" => options.password = Some(bytes()),
        "--user" => options.user = Some(bytes()),
        "-u" => apply_uri(options, text(name, value)?)?,
        "-n" => options.db = number::short_int(value),
        "-r" => options.repeat = number::int(value),
        "-i" => options.interval = number::seconds(value),
        "--sni" => options.tls.name = Some(text(name, value)?.to_owned()),
        "--cacert" => options.tls.authorities = Some(path()),
        "--cacertdir" => options.tls.authorities_directory = Some(path()),
        "--cert" => options.tls.certificate = Some(path()),
        "--key" => options.tls.key = Some(path()),
        "--tls-ciphers" => options.tls.ciphers = bytes(),
        "--tls-ciphersuites" => options.tls.ciphersuites = bytes(),
        "-X" => set_stdin_arg(options, StdinArg::Tag(bytes()))?,
        "-d" => options.format.element_delimiter = bytes(),
        "-D" => options.format.reply_delimiter = bytes(),
        "--show-pushes" => {
            options.show_pushes = match value.as_bytes().first() {
                Some(b'y' | b'Y') => true,
                Some(b'n' | b'N') => false,
                _ => {
                    eprintln!("Unknown --show-pushes value '{}' (valid: '[y]es', '[n]o')", value.display());
                    options.show_pushes
                }
            }
        }
        "--pattern" => options.pattern = Some(bytes()),
        "--quoted-pattern" => {
            let pattern =
                quote::unquote(value.as_bytes()).ok_or("Invalid quoted string specified for --quoted-pattern.")?;
            options.pattern = Some(pattern);
        }
        "--count" => options.count = number::int(value),
        "--type" => options.key_type = Some(bytes()),
        "--pipe-timeout" => options.pipe_timeout = number::natural(value),
        "--memkeys-samples" => {
            options.set_mode(Mode::MemKeys(Some(number::natural(value))))?;
        }
        "--hotkeys-count" => {
            options.set_mode(Mode::HotKeys(number::natural(value) as usize))?;
        }
        "--intrinsic-latency" => {
            options.set_mode(Mode::IntrinsicLatency(number::natural(value)))?;
        }
        "--lru-test" => {
            let keys = Some(number::natural(value)).filter(|keys| *keys > 0).ok_or_else(|| invalid(name, value))?;
            options.set_mode(Mode::LruTest(keys))?;
        }
        "--rdb" => options.set_mode(Mode::Rdb { path: path(), functions_only: false })?,
        "--functions-rdb" => options.set_mode(Mode::Rdb { path: path(), functions_only: true })?,
        "--eval" => options.set_mode(Mode::Eval(path()))?,
        "--test_hint" => options.set_mode(Mode::TestHint(text(name, value)?.to_owned()))?,
        "--test_hint_file" => options.set_mode(Mode::TestHintFile(path()))?,
        _ if cluster::takes_value(name) => {}
        _ => return Ok(false),
    }
    Ok(true)
}

/// Handles an option without a value.
fn flag(options: &mut Options, name: &str) -> Result<(), String> {
    match name {
        "--tls" => options.encrypt = true,
        "--insecure" => options.tls.insecure = true,
        "--askpass" => options.ask_password = true,
        "-x" => set_stdin_arg(options, StdinArg::Last)?,
        "-c" => options.follow_redirects = true,
        "-e" => options.fail_on_error = true,
        "-2" => options.protocol = choose(options.protocol, Protocol::Resp2)?,
        "-3" => options.protocol = choose(options.protocol, Protocol::Resp3)?,
        "-4" => options.family = choose_family(options.family, Family::V4)?,
        "-6" => options.family = choose_family(options.family, Family::V6)?,
        "--raw" => options.format.output = Output::Raw,
        "--no-raw" => options.format.output = Output::Standard,
        "--csv" => options.format.output = Output::Csv,
        "--json" | "--quoted-json" => {
            options.format.output = if name == "--json" { Output::Json } else { Output::QuotedJson };
            if options.protocol == Protocol::Default {
                options.protocol = Protocol::PreferResp3;
            }
        }
        "--quoted-input" => options.quoted_input = true,
        "--verbose" => options.verbose = true,
        "--ldb" => options.debug = options.debug.or(Some(Kind::Forked)),
        "--ldb-sync-mode" => options.debug = Some(Kind::Sync),
        "--scan" => options.set_mode(Mode::Scan)?,
        "--bigkeys" => options.set_mode(Mode::BigKeys)?,
        "--memkeys" => options.set_mode(Mode::MemKeys(None))?,
        "--hotkeys" => options.set_mode(Mode::HotKeys(HOT_KEYS))?,
        "--latency" => options.set_mode(Mode::Latency { history: false })?,
        "--latency-history" => options.set_mode(Mode::Latency { history: true })?,
        "--latency-dist" => options.set_mode(Mode::LatencyDist)?,
        "--stat" => options.set_mode(Mode::Stat)?,
        "--pipe" => options.set_mode(Mode::Pipe)?,
        "--replica" | "--slave" => options.set_mode(Mode::Replica)?,
        "--mptcp" => options.mptcp = true,
        "--cluster" => return Err(cluster::HELP.trim_end().to_owned()),
        _ if cluster::is_flag(name) => {}
        _ => return Err(format!("Unrecognized option or bad number of args for: '{name}'")),
    }
    Ok(())
}

fn apply_uri(options: &mut Options, text: &str) -> Result<(), String> {
    let uri = uri::parse(text)?;
    options.encrypt |= uri.encrypt;
    options.user = uri.user.or(options.user.take());
    options.password = uri.password.or(options.password.take());
    if let Some(host) = uri.host {
        options.host = host;
    }
    options.port = uri.port.unwrap_or(options.port);
    options.db = uri.db.unwrap_or(options.db);
    Ok(())
}

fn set_stdin_arg(options: &mut Options, arg: StdinArg) -> Result<(), String> {
    let same = std::mem::discriminant(&options.stdin_arg) == std::mem::discriminant(&arg);
    if options.stdin_arg != StdinArg::None && !same {
        return Err("Options -x and -X are mutually exclusive.".to_owned());
    }
    options.stdin_arg = arg;
    Ok(())
}

fn choose(before: Protocol, now: Protocol) -> Result<Protocol, String> {
    match (before, now) {
        (Protocol::Resp2, Protocol::Resp3) | (Protocol::Resp3, Protocol::Resp2) => {
            Err("Options -2 and -3 are mutually exclusive.".to_owned())
        }
        _ => Ok(now),
    }
}

fn choose_family(before: Family, now: Family) -> Result<Family, String> {
    if before != Family::Any && before != now {
        return Err("Options -4 and -6 are mutually exclusive.".to_owned());
    }
    Ok(now)
}

fn text<'a>(name: &str, value: &'a OsStr) -> Result<&'a str, String> {
    value.to_str().ok_or_else(|| invalid(name, value))
}

/// A time to wait for a connection, all of the text; without an end it is as long as the system waits. Digits must be those of a double.
fn timeout(value: &OsStr) -> Option<Duration> {
    let text = value.to_str()?;
    let seconds: f64 = text.parse().ok()?;
    if seconds == f64::INFINITY && !text.contains(|c: char| c.is_ascii_digit()) {
        Some(Duration::ZERO)
    } else {
        Duration::try_from_secs_f64(seconds).ok()
    }
}

fn invalid(name: &str, value: &OsStr) -> String {
    format!("Invalid value for {name}: '{}'", value.display())
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;
