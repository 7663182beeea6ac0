//! One connection to a server, from the log-in to its end.

use std::{collections::VecDeque, io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use valkey_repl_engine::{Command, observe::Answer};

use super::{
    Directives, NO_SUCH_DIRECTIVE, Process, Target, USER,
    info::Info,
    resp::{self, Malformed, Reply},
    setting,
    state::{self, Asked},
    wire,
};
use crate::clock::boottime_ms;

/// How long a request may take to leave for the kernel. It is small, so this ends only with a peer that reads nothing.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);
/// What a server sends us is small; this bounds what a stranger could make us keep.
const LARGEST_BUFFER: usize = 32 << 20;
/// What a native server says of `QUORUM TRY` that is too old to know it.
const NO_TRIALS: &str = "unknown subcommand";

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    /// The other side closed it.
    #[error("the connection was closed")]
    Closed,
    /// The kernel says why.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The other side is no Valkey.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// What came of something that was received.
pub(super) enum Heard {
    /// An answer about itself.
    Answer {
        /// What it says.
        answer: Box<Answer>,
        /// It was asked because it was time to, not because something is waited for.
        regular: bool,
    },
    /// Which process it is.
    Process(Process),
    /// It answers, but not to the question: the text for people.
    Problem(String),
    /// It did not do what it was told.
    Refused(String),
    /// It runs with a directive as it was told, or with what else.
    Setting { directive: String, problem: Option<String> },
    /// That is all of the directives.
    Tried(Directives),
}

/// What an outstanding request was.
enum Pending {
    OwnLogIn,
    LogIn { password: usize },
    OwnUser,
    NewPassword { directive: &'static str },
    Setting { directive: String },
    Check { directive: String, wanted: String },
    Known { directive: String },
    Trial { directive: String },
    Tried,
    WhoAreYou,
    Probe { asked_ms: u64, regular: bool },
    Command { name: String },
    Vote,
}

/// A connection on which requests go out in order and answers come back in the same order.
pub(super) struct Session {
    stream: TcpStream,
    received: Vec<u8>,
    pending: VecDeque<Pending>,
    native: bool,
    target: Target,
    logged_in: bool,
    /// Directives that it refused: what it runs with instead says less.
    refused: Vec<String>,
    run_id: Option<String>,
    highest_term: u64,
}

impl Session {
    /// Logs in and asks who is there, without waiting for the answers.
    pub async fn begin(stream: TcpStream, target: &Target, native: bool) -> Result<Self, Ended> {
        let mut session = Self {
            stream,
            received: Vec::new(),
            pending: VecDeque::new(),
            native,
            target: target.clone(),
            logged_in: false,
            refused: Vec::new(),
            run_id: None,
            highest_term: 0,
        };
        session.stream.set_nodelay(true)?;
        match session.target.own.clone() {
            Some(own) => {
                session.request(&[b"AUTH".as_slice(), USER.as_bytes(), &own.0], Pending::OwnLogIn).await?;
                session.introduce().await?;
            }
            None => session.log_in(0).await?,
        }
        Ok(session)
    }

    /// Tries a password, and asks at once what it would open.
    async fn log_in(&mut self, password: usize) -> Result<(), Ended> {
        match self.target.passwords.get(password).cloned().filter(|password| !password.0.is_empty()) {
            Some(secret) => {
                self.request(&[b"AUTH".as_slice(), &secret.0], Pending::LogIn { password }).await?;
            }
            None => self.logged_in = true,
        }
        self.introduce().await
    }

    async fn introduce(&mut self) -> Result<(), Ended> {
        self.request(&["INFO", "server"], Pending::WhoAreYou).await?;
        self.probe(false).await
    }

    /// It let us in, as our own user (`None`) or by this password: it is told what it should know. First what it says to others, then what it
    /// wants to hear itself.
    async fn welcome(&mut self, password: Option<usize>) -> Result<(), Ended> {
        self.logged_in = true;
        let newest = self.target.passwords.first().cloned().filter(|newest| !newest.0.is_empty());
        match (self.target.own.clone(), password) {
            (Some(own), how) => {
                if how.is_some() {
                    tracing::info!("it is told of the operator's own user");
                    let secret = [b">".as_slice(), &own.0].concat();
                    let words: [&[u8]; 9] =
                        [b"ACL", b"SETUSER", USER.as_bytes(), b"reset", b"on", &secret, b"~*", b"&*", b"+@all"];
                    self.request(&words, Pending::OwnUser).await?;
                }
                self.new_password("primaryuser", USER.as_bytes()).await?;
                self.new_password("primaryauth", &own.0).await?;
                if let Some(newest) = newest {
                    self.new_password("requirepass", &newest.0).await?;
                }
            }
            (None, how) => {
                if let Some(newest) = newest.filter(|_| how > Some(0)) {
                    tracing::info!("it is told the new password");
                    self.new_password("primaryauth", &newest.0).await?;
                    self.new_password("requirepass", &newest.0).await?;
                }
            }
        }
        let Directives { live, at_start } = self.target.directives.clone();
        for (directive, value) in live.iter() {
            let pending = Pending::Setting { directive: directive.clone() };
            self.request(&["CONFIG", "SET", directive, value], pending).await?;
        }
        for (directive, value) in live.iter() {
            let pending = Pending::Check { directive: directive.clone(), wanted: value.clone() };
            self.request(&["CONFIG", "GET", directive], pending).await?;
        }
        for (directive, value) in at_start.iter() {
            let pending = Pending::Known { directive: directive.clone() };
            self.request(&["CONFIG", "GET", directive], pending).await?;
            if self.native {
                let pending = Pending::Trial { directive: directive.clone() };
                self.request(&["QUORUM", "TRY", directive, value], pending).await?;
            }
        }
        self.request(&["PING"], Pending::Tried).await
    }

    async fn new_password(&mut self, directive: &'static str, value: &[u8]) -> Result<(), Ended> {
        let words = [b"CONFIG".as_slice(), b"SET", directive.as_bytes(), value];
        self.request(&words, Pending::NewPassword { directive }).await
    }

    /// Asks it about itself. `regular`: because it is time to.
    pub async fn probe(&mut self, regular: bool) -> Result<(), Ended> {
        let asked = Pending::Probe { asked_ms: boottime_ms(), regular };
        if self.native { self.request(&["QUORUM", "STATE"], asked).await } else { self.request(&["INFO"], asked).await }
    }

    /// When the oldest question about itself that is not answered was asked.
    pub fn oldest_question_ms(&self) -> Option<u64> {
        self.pending.iter().find_map(|pending| match pending {
            Pending::Probe { asked_ms, .. } => Some(*asked_ms),
            _ => None,
        })
    }

    /// How many questions about itself are not answered.
    pub fn questions(&self) -> usize {
        self.pending.iter().filter(|pending| matches!(pending, Pending::Probe { .. })).count()
    }

    /// Tells it to do something and asks what came of it. Nothing is sent to another life than the command is for, nor
    /// anything that follows from an older record than what was sent before.
    pub async fn command(&mut self, command: &Command) -> Result<(), Ended> {
        if self.run_id.as_deref() != Some(command.run_id()) {
            tracing::debug!(instance = command.instance(), "not sent: it is for another process");
            return Ok(());
        }
        if let Some(term) = wire::term(command) {
            if term < self.highest_term {
                tracing::debug!(instance = command.instance(), "not sent: it follows from an old record");
                return Ok(());
            }
            self.highest_term = term;
        }
        let Some(words) = wire::words(command, self.native) else { return Ok(()) };
        let name = words.join(" ");
        if let Command::Vote { .. } = command {
            tracing::trace!(instance = command.instance(), "{name}");
            // It changes nothing that the next regular question would not show in time.
            return self.request(&words, Pending::Vote).await;
        }
        tracing::info!(instance = command.instance(), "{name}");
        self.request(&words, Pending::Command { name }).await?;
        self.probe(false).await
    }

    /// Waits for the next piece of news. Can be dropped at any time without losing any.
    pub async fn hear(&mut self) -> Result<Heard, Ended> {
        loop {
            while let Some((reply, length)) = resp::parse(&self.received)? {
                self.received.drain(..length);
                let pending = self.pending.pop_front().ok_or(Malformed)?;
                match (&pending, &reply) {
                    // It does not know us yet.
                    (Pending::OwnLogIn, Reply::Error(_)) => {
                        self.log_in(0).await?;
                        continue;
                    }
                    (Pending::OwnLogIn, _) => self.welcome(None).await?,
                    (Pending::LogIn { password }, Reply::Error(_)) if password + 1 < self.target.passwords.len() => {
                        self.log_in(password + 1).await?;
                        continue;
                    }
                    // Without a password set there is none to be taken: whatever it is, it lets us in.
                    (Pending::LogIn { .. }, Reply::Error(error)) if !error.contains("without any password") => {}
                    (Pending::LogIn { password }, _) => self.welcome(Some(*password)).await?,
                    _ => {}
                }
                if let Some(heard) = self.understand(pending, reply) {
                    return Ok(heard);
                }
            }
            if self.received.len() > LARGEST_BUFFER {
                return Err(Malformed.into());
            }
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(Ended::Closed);
            }
        }
    }

    fn understand(&mut self, pending: Pending, reply: Reply) -> Option<Heard> {
        match (pending, reply) {
            (Pending::LogIn { .. }, Reply::Error(_)) if self.logged_in => None,
            (Pending::LogIn { .. }, Reply::Error(error)) => Some(Heard::Problem(format!(
                "it refuses the passwords that the Secrets hold: {error}; put back the one that it runs with, or delete the pod, which then starts with theirs"
            ))),
            (Pending::NewPassword { directive }, Reply::Error(error)) => {
                Some(Heard::Problem(format!("it does not take the new {directive}: {error}")))
            }
            (Pending::OwnUser, Reply::Error(error)) => {
                Some(Heard::Problem(format!("it does not take the operator's own user: {error}")))
            }
            (Pending::Setting { directive }, Reply::Error(error)) => {
                self.refused.push(directive.clone());
                Some(Heard::Setting { directive, problem: Some(error) })
            }
            (Pending::Check { directive, .. }, _) if self.refused.contains(&directive) => None,
            (Pending::Check { directive, wanted }, Reply::Array(pair)) => {
                // One that does not know the directive has refused it already.
                let says = pair.get(1)?.text()?;
                let problem = (!setting::same(&directive, &wanted, &says)).then(|| format!("it runs with {says}"));
                Some(Heard::Setting { directive, problem })
            }
            (Pending::Known { directive }, Reply::Array(pair)) if pair.is_empty() => {
                self.refused.push(directive.clone());
                Some(Heard::Setting { directive, problem: Some(NO_SUCH_DIRECTIVE.to_owned()) })
            }
            (Pending::Known { directive }, Reply::Array(_)) => Some(Heard::Setting { directive, problem: None }),
            (Pending::Trial { directive }, Reply::Error(error))
                if !self.refused.contains(&directive) && !error.contains(NO_TRIALS) =>
            {
                Some(Heard::Setting { directive, problem: Some(error) })
            }
            (Pending::Tried, Reply::Simple(_)) => Some(Heard::Tried(self.target.directives.clone())),
            (
                Pending::OwnLogIn
                | Pending::LogIn { .. }
                | Pending::OwnUser
                | Pending::NewPassword { .. }
                | Pending::Setting { .. }
                | Pending::Check { .. }
                | Pending::Known { .. }
                | Pending::Trial { .. }
                | Pending::Tried,
                _,
            ) => None,
            // The log-in that failed has said so already, or another is under way.
            (Pending::WhoAreYou | Pending::Probe { .. }, Reply::Error(_)) if !self.logged_in => None,
            (Pending::Command { name }, Reply::Error(error)) => Some(Heard::Refused(format!("{name}: {error}"))),
            // One that comes too late for its epoch is what the epoch is for.
            (Pending::Vote, Reply::Error(error)) => {
                tracing::debug!("a vote was refused: {error}");
                None
            }
            (Pending::Command { .. } | Pending::Vote, _) => None,
            (Pending::WhoAreYou | Pending::Probe { .. }, Reply::Error(error)) => {
                Some(Heard::Problem(format!("it does not say how it is: {error}")))
            }
            (Pending::WhoAreYou, reply) => {
                let text = reply.text()?;
                let info = Info::read(&text);
                let run_id = info.run_id()?.to_owned();
                self.run_id = Some(run_id.clone());
                Some(Heard::Process(Process {
                    uid: self.target.uid.clone(),
                    run_id,
                    started_unix_ms: info.started_unix_ms(),
                    native: info.is_native(),
                }))
            }
            (Pending::Probe { asked_ms, regular }, reply) => {
                let asked = Asked { at_ms: asked_ms, received_ms: boottime_ms(), uid: &self.target.uid };
                let answer = if self.native {
                    state::read(&reply, &asked)
                } else {
                    reply.text().and_then(|text| Info::read(&text).answer(&asked))
                };
                Some(match answer {
                    Some(answer) => {
                        self.run_id = Some(answer.run_id.clone());
                        Heard::Answer { answer: Box::new(answer), regular }
                    }
                    None => Heard::Problem("it says how it is in words that this operator does not know".into()),
                })
            }
        }
    }

    async fn request<T: AsRef<[u8]>>(&mut self, words: &[T], pending: Pending) -> Result<(), Ended> {
        let mut bytes = Vec::with_capacity(128);
        resp::encode(words, &mut bytes);
        self.pending.push_back(pending);
        tokio::time::timeout(WRITE_TIMEOUT, self.stream.write_all(&bytes)).await.map_err(io::Error::from)??;
        Ok(())
    }
}
