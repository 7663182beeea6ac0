//! The connection to one server: asking it about itself, telling it what was decided. It decides nothing, and knows
//! nothing of Kubernetes: local mode uses it as it is.
//!
//! | file | says |
//! |---|---|
//! | `link` | one task an instance: connects, holds the connection, asks, sends, publishes what it saw |
//! | `session` | one connection of it, from the log-in to its end |
//! | `wire` | how a command of the engine is spelled for a native and for a stock server |
//! | `state` | an answer to `QUORUM STATE`, read |
//! | `info` | an answer to `INFO`, read |
//! | `setting` | whether a value is the one that was asked for |
//! | `who` | which process answers at an address, such as that of a Service |
//! | `resp` | the protocol |

mod info;
mod link;
pub(crate) mod resp;
mod session;
mod setting;
mod state;
mod who;
mod wire;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt, net::SocketAddr, sync::Arc, time::Duration};

use valkey_repl_engine::observe::{Answer, Connection};

pub use link::Link;
pub(crate) use who::answers_at;

/// The operator's own user on a server that has users: a wrong password of the clients' does not lock it out.
pub const USER: &str = "valkey-operator";

/// Where one life of an instance is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The pod (local mode: the child process) that stands at this address.
    pub uid: String,
    /// Where it is dialled. An IP, so that no name server stands between a death and its notice.
    pub address: SocketAddr,
    /// The password of [`USER`], where the server has users. It is tried first, and the user is made where it is not known yet.
    pub own: Option<Password>,
    /// What it wants to hear before it answers: the first of these that it takes. None or an empty one: nothing. One that
    /// takes a later one is told the first, which is the newest.
    pub passwords: Vec<Password>,
    /// What it is told and asked of its configuration as soon as it is reached.
    pub directives: Directives,
}

/// What a server is told and asked of its configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directives {
    /// It is told with `CONFIG SET`, and asked back with `CONFIG GET`.
    pub live: Arc<[(String, String)]>,
    /// It reads them only at a start: it is asked whether it knows them at all, and the native one whether it would start with them. The value
    /// is the rest of the directive's line.
    pub at_start: Arc<[(String, String)]>,
}

impl Default for Directives {
    fn default() -> Self {
        Self { live: Arc::from([]), at_start: Arc::from([]) }
    }
}

impl Directives {
    /// Whether this one is among them.
    pub fn has(&self, directive: &str) -> bool {
        self.live.iter().chain(self.at_start.iter()).any(|(name, _)| name == directive)
    }
}

/// A password that no log shows.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Password(pub Arc<[u8]>);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// How an instance is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether the server has `QUORUM`; a stock one is asked by `INFO`.
    pub native: bool,
    /// How often it is asked while nothing happens.
    pub interval: Duration,
    /// When an unanswered question is published as silence. The engine decides what follows from it, and when.
    pub overdue: Duration,
}

impl Settings {
    /// Settings for these time-outs of the resource: a vote must reach the primary several times before the last one
    /// ends, and a silence is to be seen well before it counts.
    pub fn new(native: bool, detection_ms: u64, quorum_ms: u64) -> Self {
        let interval = (quorum_ms / 8).min(detection_ms / 4).clamp(50, 1_000);
        Self {
            native,
            interval: Duration::from_millis(interval),
            overdue: Duration::from_millis((detection_ms / 2).clamp(200, 1_000)),
        }
    }
}

/// What is known of an instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// What its port says.
    pub connection: Connection,
    /// The last answer, by the time at which it was asked.
    pub answer: Option<Answer>,
    /// The last process that was talked to.
    pub process: Option<Process>,
    /// Why it does not answer although it is connected, for people.
    pub problem: Option<String>,
    /// The last command that it refused and what it said, for people.
    pub refusal: Option<String>,
    /// Directives that it does not run with as it was told, and what it says of them.
    pub unset: BTreeMap<String, String>,
    /// What it was last told and asked, and has answered.
    pub tried: Option<Directives>,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            connection: Connection::Untried,
            answer: None,
            process: None,
            problem: None,
            refusal: None,
            unset: BTreeMap::new(),
            tried: None,
        }
    }
}

/// What is said of a directive that is read at a start and that a server does not know by name.
const NO_SUCH_DIRECTIVE: &str = "the server knows no such directive";

impl Seen {
    /// Whether it runs and refuses a value that it was told: the next start, which reads it, would be the last one. A name that it does
    /// not know is another matter; the next image may.
    pub fn refuses_its_settings(&self) -> bool {
        self.connection == Connection::Connected
            && self
                .unset
                .values()
                .any(|says| says != NO_SUCH_DIRECTIVE && !says.to_ascii_lowercase().contains("unknown option"))
    }
}

/// A server process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// The pod that it was reached in.
    pub uid: String,
    /// Its run id.
    pub run_id: String,
    /// When it started, by its own machine's wall clock: milliseconds since 1970. At most a second late.
    pub started_unix_ms: Option<u64>,
    /// It is a server of this project, whatever it was taken for.
    pub native: bool,
}
