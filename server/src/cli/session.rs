//! A session with a server: its connection, what is known of the connection's state, and running commands.

use std::io;
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use super::args::{Options, Protocol};
use super::command::Command;
use super::connection::{Connection, Failure, Way, reason};
use super::debugger::{self, State};
use super::format::{Format, Output};
use super::modes;
use super::reply::Reply;
use super::stop::{Stop, print};
use super::sys::{self, Interest};
use super::tls::Refused;

/// A session.
pub struct Session {
    /// What the user asked for. `db` follows SELECT, so that a new connection starts where the old one was.
    pub options: Options,
    /// Form of the output.
    pub format: Format,
    /// Commands come from a prompt or a file of them: errors do not end the client.
    pub interactive: bool,
    /// Whether a script is being debugged.
    pub debugger: State,
    connection: Option<Connection>,
    /// Database that the connection is in.
    db: i32,
    /// Database before MULTI, for when the transaction comes to nothing.
    db_before_multi: i32,
    in_multi: bool,
    resp3: bool,
    subscriptions: Subscriptions,
    redirect: Option<Redirect>,
}

/// Channels and patterns subscribed to, as the server last said.
#[derive(Default)]
struct Subscriptions {
    global: i64,
    sharded: i64,
}

/// Where a cluster says that a command should go.
struct Redirect {
    ask: bool,
}

impl Session {
    /// A session that has not connected yet.
    pub fn new(options: Options) -> Self {
        Self {
            format: options.format.clone(),
            options,
            interactive: false,
            debugger: State::Off,
            connection: None,
            db: 0,
            db_before_multi: 0,
            in_multi: false,
            resp3: false,
            subscriptions: Subscriptions::default(),
            redirect: None,
        }
    }

    /// Whether there is a connection.
    pub fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Whether the connection is subscribed to anything.
    pub fn is_subscribed(&self) -> bool {
        self.subscriptions.global + self.subscriptions.sharded > 0
    }

    /// The prompt for the next command.
    pub fn prompt(&self) -> String {
        if self.connection.is_none() {
            return "not connected> ".to_owned();
        }
        if self.debugger.is_on() {
            return "lua debugger> ".to_owned();
        }
        let mut prompt = match &self.options.socket {
            Some(path) => format!("valkey {}", path.display()),
            None if self.options.host.contains(':') => format!("[{}]:{}", self.options.host, self.options.port),
            None => format!("{}:{}", self.options.host, self.options.port),
        };
        if self.db != 0 {
            prompt += &format!("[{}]", self.db);
        }
        if self.in_multi {
            prompt += "(TX)";
        }
        if self.is_subscribed() {
            prompt += "(subscribed mode)";
        }
        prompt + "> "
    }

    /// The connection, which must have been opened.
    ///
    /// # Errors
    /// [`Stop::NotConnected`].
    pub fn connection(&mut self) -> Result<&mut Connection, Stop> {
        self.connection.as_mut().ok_or(Stop::NotConnected)
    }

    /// Opens a connection in place of the one there is: connects, authenticates, selects the database, asks for RESP3. Tells on standard
    /// error what fails, unless `quiet` and it was the connecting itself. A connection that failed to authenticate stays open.
    ///
    /// # Errors
    /// [`Stop::NotConnected`] when one of the steps failed.
    pub fn connect(&mut self, quiet: bool) -> Result<(), Stop> {
        self.drop_connection();
        let target = self.options.target();
        let way = Way { family: self.options.family, mptcp: self.options.mptcp };
        match Connection::open(&target, self.options.connect_timeout, way, self.options.tls()) {
            Ok(connection) => self.connection = Some(connection),
            Err(error) => {
                match error.get_ref().and_then(|cause| cause.downcast_ref::<Refused>()) {
                    _ if quiet => {}
                    Some(refused) => eprintln!("{refused}"),
                    None => eprintln!("Could not connect to Valkey at {target}: {}", reason(&error)),
                }
                return Err(Stop::NotConnected);
            }
        }
        self.set_up().inspect_err(|stop| {
            if let Stop::Lost(failure) = stop {
                eprintln!("Error: {failure}");
                self.connection = None;
            }
        })
    }

    fn set_up(&mut self) -> Result<(), Stop> {
        if let Some(password) = self.options.password.clone() {
            let user = self.options.user.clone();
            let args: Vec<&[u8]> =
                [Some(b"AUTH".as_slice()), user.as_deref(), Some(&password)].into_iter().flatten().collect();
            if let Reply::Error(text) = self.connection()?.command(&args)? {
                eprintln!("AUTH failed: {}", String::from_utf8_lossy(&text));
                return Err(Stop::NotConnected);
            }
        }
        self.select_wanted_db()?;
        if matches!(self.options.protocol, Protocol::Resp3 | Protocol::PreferResp3) {
            if let Reply::Error(text) = self.connection()?.command(&["HELLO", "3"])? {
                eprintln!("HELLO 3 failed: {}", String::from_utf8_lossy(&text));
                if self.options.protocol == Protocol::Resp3 {
                    return Err(Stop::NotConnected);
                }
            } else {
                self.resp3 = true;
            }
        }
        Ok(())
    }

    fn select_wanted_db(&mut self) -> Result<(), Stop> {
        let db = self.options.db;
        if db == self.db {
            return Ok(());
        }
        if let Reply::Error(text) = self.connection()?.command(&["SELECT", &db.to_string()])? {
            eprintln!("SELECT {db} failed: {}", String::from_utf8_lossy(&text));
            return Err(Stop::NotConnected);
        }
        self.db = db;
        Ok(())
    }

    fn drop_connection(&mut self) {
        self.connection = None;
        self.reset_state();
    }

    fn reset_state(&mut self) {
        self.db = 0;
        self.in_multi = false;
        self.resp3 = false;
        self.debugger = State::Off;
        self.subscriptions = Subscriptions::default();
    }

    /// Runs a command for the client's own use.
    ///
    /// # Errors
    /// When the connection is lost.
    pub fn command<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Result<Reply, Stop> {
        Ok(self.connection()?.command(args)?)
    }

    /// Runs a command `repeat` times (negative: for ever) and prints the replies, connecting first where that is needed. Where a cluster
    /// redirects the command and the user wants that followed, it is run again there.
    ///
    /// # Errors
    /// When there is no connection, or it is lost, or `-e` was given and the reply is an error.
    pub fn run(&mut self, args: &[Vec<u8>], repeat: i64) -> Result<(), Stop> {
        loop {
            if self.connection.is_none() || self.redirect.is_some() {
                let ask = self.redirect.take().is_some_and(|redirect| redirect.ask);
                self.connect(false)?;
                if ask && let Reply::Error(text) = self.command(&["ASKING"])? {
                    return Err(Stop::because(format!("ASKING failed: {}", String::from_utf8_lossy(&text))));
                }
            }
            let done = self.send(args, repeat);
            if matches!(done, Err(Stop::Lost(_))) {
                self.drop_connection();
            }
            done?;
            if self.redirect.is_none() {
                return Ok(());
            }
        }
    }

    fn send(&mut self, args: &[Vec<u8>], repeat: i64) -> Result<(), Stop> {
        let command = Command::new(args);
        let as_text = command.is_report() && !self.in_multi;
        let mut left = repeat;
        while left != 0 {
            left -= i64::from(left > 0);
            self.connection()?.append(args);
            self.debugger = self.debugger.sent(args);
            match command.name() {
                "monitor" => return self.monitor(),
                "sync" | "psync" => {
                    print(b"Entering replica output mode...  (press Ctrl-C to quit)\n")?;
                    return modes::replica::follow(self);
                }
                _ => {}
            }
            let reply = match self.answer(&command, as_text) {
                // That is how SHUTDOWN succeeds.
                Err(Stop::Lost(Failure::Closed | Failure::Io(_))) if command.name() == "shutdown" => {
                    self.drop_connection();
                    return Ok(());
                }
                other => other?,
            };
            if self.redirect.is_some() {
                return Ok(());
            }
            self.note_state(&command, &reply)?;
            if !self.options.interval.is_zero() {
                thread::sleep(self.options.interval);
            }
        }
        Ok(())
    }

    /// Reads and prints until the command's own reply has come: messages and pushes may come before it.
    fn answer(&mut self, command: &Command<'_>, as_text: bool) -> Result<Reply, Stop> {
        // These are confirmed by one message per channel, or one at least.
        let mut confirmations = if command.is_subscription() { command.args.len().saturating_sub(1).max(1) } else { 0 };
        loop {
            let reply = self.next_shown_reply(as_text)?;
            if confirmations == 0 && !self.is_subscribed() {
                return Ok(reply);
            }
            if reply.is_pubsub_message(self.resp3) {
                self.note_subscription(&reply);
                let kind = reply.elements().and_then(|items| items.first()).and_then(Reply::text).unwrap_or_default();
                if confirmations > 0 && kind.eq_ignore_ascii_case(command.name().as_bytes()) {
                    confirmations -= 1;
                    if confirmations == 0 {
                        return Ok(reply);
                    }
                }
            } else if !matches!(reply, Reply::Push(_)) {
                return Ok(reply);
            }
        }
    }

    /// Reads the next reply and prints it. Pushes that belong to no subscription are shown in passing, if the user wants them.
    fn next_shown_reply(&mut self, as_text: bool) -> Result<Reply, Stop> {
        loop {
            let reply = self.connection()?.read_reply()?;
            if matches!(reply, Reply::Push(_)) && !reply.is_pubsub_message(true) {
                if self.options.show_pushes || self.is_subscribed() {
                    print(&self.format.push(&reply))?;
                }
                continue;
            }
            if self.options.follow_redirects && self.note_redirect(&reply)? {
                return Ok(reply);
            }
            if let Reply::Error(text) = &reply
                && self.options.fail_on_error
                && !self.interactive
            {
                return Err(Stop::ErrorReply(text.clone()));
            }
            if let State::On(kind) = self.debugger
                && let Some((lines, ended)) = debugger::show(&reply)
            {
                print(&lines)?;
                if ended {
                    self.debugger = State::Ended(kind);
                    // Whoever debugs is a person.
                    self.format.output = Output::Standard;
                }
                return Ok(reply);
            }
            print(&self.format.reply(&reply, as_text))?;
            return Ok(reply);
        }
    }

    /// Shows one more reply.
    ///
    /// # Errors
    /// When the connection is lost before that.
    pub fn show_last(&mut self) -> Result<(), Stop> {
        self.next_shown_reply(false).map(drop)
    }

    /// After a debugging session: shows what the script returned, which comes last, and connects again. Does nothing at other times.
    ///
    /// # Errors
    /// When the connection is lost before that.
    pub fn end_debugging(&mut self) -> Result<(), Stop> {
        let State::Ended(kind) = self.debugger else { return Ok(()) };
        self.show_last()?;
        print(kind.farewell().as_bytes())?;
        let _ = self.connect(true);
        Ok(())
    }

    /// Prints replies as they come, until the connection ends.
    ///
    /// # Errors
    /// The end of the connection.
    pub fn show_stream(&mut self) -> Result<(), Stop> {
        loop {
            self.next_shown_reply(false)?;
        }
    }

    fn monitor(&mut self) -> Result<(), Stop> {
        let guard = sys::StreamGuard::new(self.connection()?.as_fd());
        let end = loop {
            match self.next_shown_reply(false) {
                Ok(Reply::Error(_)) => return Ok(()),
                Ok(_) => {}
                Err(stop) => break stop,
            }
        };
        drop(guard);
        if sys::take_interrupt() { self.connect(false) } else { Err(end) }
    }

    /// Shows messages until a key is pressed or a line of input waits (`input_ready` says that one was read already). ^C ends the
    /// subscription: a new connection takes the place of the old one. `tty`: the output is for people, who are told so.
    ///
    /// # Errors
    /// The end of the connection; the session has none then.
    pub fn show_messages_until_input(&mut self, tty: bool, input_ready: impl Fn() -> bool) -> Result<(), Stop> {
        let _any_key = sys::TtyMode::any_key();
        let guard = sys::StreamGuard::new(self.connection()?.as_fd());
        let done = self.show_messages(tty, input_ready);
        drop(guard);
        if sys::take_interrupt() {
            print(b"Closing current connection. Ready to reconnect to Valkey server... \n")?;
            return self.connect(false);
        }
        if done.is_err() {
            self.drop_connection();
        }
        done
    }

    fn show_messages(&mut self, tty: bool, input_ready: impl Fn() -> bool) -> Result<(), Stop> {
        let with_notice = self.format.output != Output::Raw && tty;
        let (color, plain) = if with_notice && is_color_terminal() { ("\x1b[1;90m", "\x1b[0m") } else { ("", "") };
        while self.is_subscribed() {
            while self.connection()?.is_mid_reply() {
                self.show_message()?;
            }
            if with_notice {
                let notice = "Reading messages... (press Ctrl-C to quit or any key to type command)\r";
                print(format!("{color}{notice}{plain}").as_bytes())?;
            }
            let ready = input_ready();
            let (message, input) = {
                let stdin = io::stdin();
                let connection = self.connection()?;
                let mut waiting = [Interest::read(connection.as_fd()), Interest::read(stdin.as_fd())];
                sys::poll(&mut waiting, ready.then_some(Duration::ZERO)).map_err(Failure::Io)?;
                (waiting[0].readable, waiting[1].readable || ready)
            };
            if with_notice {
                print(b"\x1b[K")?;
            }
            if message {
                self.show_message()?;
            } else if input {
                break;
            }
        }
        Ok(())
    }

    fn show_message(&mut self) -> Result<(), Stop> {
        let reply = self.connection()?.read_reply()?;
        if reply.is_pubsub_message(self.resp3) {
            self.note_subscription(&reply);
        }
        print(&self.format.reply(&reply, false))
    }

    fn note_subscription(&mut self, message: &Reply) {
        if let Some([Reply::Bulk(kind), _, Reply::Integer(count), ..]) = message.elements() {
            match kind.as_slice() {
                b"ssubscribe" | b"sunsubscribe" => self.subscriptions.sharded = *count,
                b"subscribe" | b"psubscribe" | b"unsubscribe" | b"punsubscribe" => self.subscriptions.global = *count,
                _ => {}
            }
        }
    }

    /// Follows what a command and its reply say of the connection's state.
    fn note_state(&mut self, command: &Command<'_>, reply: &Reply) -> Result<(), Stop> {
        let failed = matches!(reply, Reply::Error(_));
        match (command.name(), command.args.len()) {
            ("select", 2) if !failed => {
                let db = std::str::from_utf8(&command.args[1]).ok().and_then(|text| text.parse().ok());
                self.set_db(db.unwrap_or(self.db));
            }
            // The database asked for at the start could not be selected before.
            ("auth", 2 | 3) => match self.select_wanted_db() {
                Err(Stop::NotConnected) => {}
                other => other?,
            },
            ("multi", 1) if !failed => {
                self.in_multi = true;
                self.db_before_multi = self.db;
            }
            ("exec", 1) if self.in_multi => {
                self.in_multi = false;
                if failed || *reply == Reply::Nil {
                    self.set_db(self.db_before_multi);
                }
            }
            ("discard", 1) if !failed => {
                self.in_multi = false;
                self.set_db(self.db_before_multi);
            }
            ("reset", 1) if !failed => {
                self.reset_state();
                self.set_db(0);
            }
            ("hello", _) if !failed => self.resp3 = matches!(reply, Reply::Map(_)),
            _ => {}
        }
        Ok(())
    }

    fn set_db(&mut self, db: i32) {
        self.db = db;
        self.options.db = db;
    }

    /// Whether the reply sends the command to another node; if so, that node is where the session connects next.
    fn note_redirect(&mut self, reply: &Reply) -> Result<bool, Stop> {
        let Some((ask, slot, address)) = reply.error().and_then(parse_redirect) else { return Ok(false) };
        let Some((host, port)) = address.rsplit_once(':') else { return Ok(false) };
        let Ok(port) = port.parse() else { return Ok(false) };
        // An empty host means the one that answered.
        if !host.is_empty() {
            self.options.host = host.to_owned();
        }
        self.options.port = port;
        if self.interactive {
            let host = &self.options.host;
            print(format!("-> Redirected to slot [{slot}] located at {host}:{port}\n").as_bytes())?;
        }
        self.redirect = Some(Redirect { ask });
        Ok(true)
    }
}

/// Splits `MOVED 3999 127.0.0.1:6381` into whether it is an ASK, the slot and the address.
fn parse_redirect(error: &[u8]) -> Option<(bool, &str, &str)> {
    let text = std::str::from_utf8(error).ok()?;
    let (kind, rest) = text.split_once(' ')?;
    let ask = match kind {
        "ASK" => true,
        "MOVED" => false,
        _ => return None,
    };
    let (slot, address) = rest.split_once(' ')?;
    Some((ask, slot, address))
}

/// Whether the terminal knows colours.
pub fn is_color_terminal() -> bool {
    std::env::var("TERM").is_ok_and(|term| term.contains("xterm"))
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
