//! Server processes for tests: ours and the real peers, each on a port of its own with a directory of its own.
//!
//! ```no_run
//! use valkey_repl_e2e::server::{Program, Server};
//! let primary = Server::start(Program::Valkey91, &["appendonly yes"]).unwrap();
//! let replica = Server::start(Program::Ours, &[&format!("replicaof 127.0.0.1 {}", primary.port())]).unwrap();
//! replica.client().unwrap().line("PING").unwrap();
//! ```

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use tempfile::TempDir;

use crate::programs;
use crate::resp::{Client, Reply};
use crate::wait::try_until;

/// How long a start or an orderly end may take.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Which server to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// The `valkey-server` of this repository, brought up to date first.
    Ours,
    /// The real Valkey 9.1.
    Valkey91,
    /// The real Valkey 8.1.
    Valkey81,
    /// The real Redis 7.0.
    Redis70,
    /// Any other; in a test of the server crate `env!("CARGO_BIN_EXE_valkey-server")`.
    At(PathBuf),
}

impl Program {
    /// Where the program is. A peer that has not been built yet is built first, which takes minutes.
    ///
    /// # Errors
    /// The build failed; the text says why.
    pub fn path(&self) -> io::Result<PathBuf> {
        match self {
            Self::Ours => programs::ours("valkey-repl-server", "valkey-server"),
            Self::Valkey91 => programs::peer("valkey-9.1", "valkey-server"),
            Self::Valkey81 => programs::peer("valkey-8.1", "valkey-server"),
            Self::Redis70 => programs::peer("redis-7.0", "redis-server"),
            Self::At(path) => Ok(path.clone()),
        }
    }
}

/// A running server. Dropping it kills the process and removes its directory; when the test is failing it shows the log's end.
#[derive(Debug)]
pub struct Server {
    program: PathBuf,
    // Bound but never listening: the port stays ours while the server is down, and no other process is handed it.
    _reserved: OwnedFd,
    port: u16,
    dir: TempDir,
    child: Option<Child>,
    password: Option<String>,
}

impl Server {
    /// Starts `program` with these configuration lines and returns once it answers (with its data loaded).
    ///
    /// What the lines leave open: a free port on 127.0.0.1, a new directory, no save points, log to a file in that directory.
    ///
    /// # Errors
    /// The program is missing, or ended or stayed silent for [`PATIENCE`]; the text holds its log.
    pub fn start<L: AsRef<str>>(program: Program, lines: &[L]) -> io::Result<Self> {
        Self::start_in(program, tempfile::Builder::new().prefix("valkey-e2e-").tempdir()?, lines)
    }

    /// As [`Server::start`], in a directory that holds data already.
    ///
    /// # Errors
    /// As for [`Server::start`].
    pub fn start_in<L: AsRef<str>>(program: Program, dir: TempDir, lines: &[L]) -> io::Result<Self> {
        let (reserved, port) = reserve_port()?;
        let mut server = Self { program: program.path()?, _reserved: reserved, port, dir, child: None, password: None };
        server.configure(lines)?;
        server.launch()?;
        Ok(server)
    }

    /// Writes the configuration that the next start reads; port, address and directory stay.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn configure<L: AsRef<str>>(&mut self, lines: &[L]) -> io::Result<()> {
        let mut text = format!("port {}\nbind 127.0.0.1\ndir {}\nsave \"\"\n", self.port, self.dir.path().display());
        for line in lines {
            text.push_str(line.as_ref());
            text.push('\n');
            if let Some(password) = line.as_ref().strip_prefix("requirepass ") {
                self.password = Some(password.trim().trim_matches('"').to_owned());
            }
        }
        fs::write(self.config_file(), text)
    }

    /// Starts the process again after it ended, with the same port, directory and configuration.
    ///
    /// # Errors
    /// As for [`Server::start`]; also when it still runs.
    pub fn launch(&mut self) -> io::Result<()> {
        if self.is_running() {
            return Err(io::Error::other("the server is running"));
        }
        let log = File::options().create(true).append(true).open(self.log_file())?;
        let child = Command::new(&self.program)
            .arg(self.config_file())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| io::Error::other(format!("{}: {error}", self.program.display())))?;
        self.child = Some(child);
        self.wait_until_ready()
    }

    /// Waits until the server answers `PING` (or asks for a password), so its data is loaded.
    ///
    /// # Errors
    /// It ended, or [`PATIENCE`] ran out; the text holds its log.
    pub fn wait_until_ready(&mut self) -> io::Result<()> {
        let address = self.address();
        let ready = try_until("the server to answer", PATIENCE, || {
            if !self.is_running() {
                return Ok(false);
            }
            let mut client = Client::connect_within(address, Duration::from_secs(2))?;
            match client.cmd(&["PING"])? {
                Reply::Error(text) if text.starts_with("LOADING") => Err(io::Error::other(text)),
                _ => Ok(true),
            }
        });
        match ready {
            Ok(true) => Ok(()),
            Ok(false) => Err(io::Error::other(format!("{} ended at once:\n{}", self.program.display(), self.log()))),
            Err(why) => Err(io::Error::other(format!("{}: {why}\n{}", self.program.display(), self.log()))),
        }
    }

    /// The TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// 127.0.0.1 and the port.
    pub fn address(&self) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::LOCALHOST, self.port)
    }

    /// The server's working directory: its configuration, data files and log.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The configuration file, for `CONFIG REWRITE` and the like.
    pub fn config_file(&self) -> PathBuf {
        self.dir.path().join("valkey.conf")
    }

    /// Everything that it wrote to standard output and standard error, over all its starts.
    pub fn log(&self) -> String {
        fs::read(self.log_file()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The process id, while it runs or is stopped by a signal.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// A new connection, authenticated where the configuration names a password.
    ///
    /// # Errors
    /// No connection, or the password is refused.
    pub fn client(&self) -> io::Result<Client> {
        let mut client = Client::connect(self.address())?;
        if let Some(password) = &self.password {
            client.ask(&["AUTH", password])?;
        }
        Ok(client)
    }

    /// One command over a connection of its own; for the odd question in a test.
    ///
    /// # Errors
    /// As for [`Client::cmd`].
    pub fn line(&self, words: &str) -> io::Result<Reply> {
        self.client()?.line(words)
    }

    /// One field of INFO over a connection of its own.
    ///
    /// # Errors
    /// No connection, or no such field.
    pub fn info(&self, field: &str) -> io::Result<String> {
        let mut all = self.client()?.info("everything")?;
        all.remove(field).ok_or_else(|| io::Error::other(format!("INFO has no field {field}")))
    }

    /// Waits until `INFO` shows this value in this field.
    ///
    /// # Errors
    /// [`PATIENCE`] ran out; the text says what was there last.
    pub fn wait_info(&self, field: &str, value: &str) -> io::Result<()> {
        try_until(&format!("{field}:{value}"), PATIENCE, || match self.info(field) {
            Ok(now) if now == value => Ok(()),
            Ok(now) => Err(format!("{field}:{now}")),
            Err(error) => Err(error.to_string()),
        })
        .map_err(|why| io::Error::other(format!("{why}\n{}", self.log())))
    }

    /// Has it follow `primary`, and waits until the link is up.
    ///
    /// # Errors
    /// REPLICAOF is refused, or [`PATIENCE`] ran out; the text holds the reason.
    pub fn follow(&self, primary: &Server) -> io::Result<()> {
        self.client()?.ask(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()])?;
        self.wait_info("master_link_status", "up")
    }

    /// Whether the process is there.
    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Sends a signal: `STOP` and `CONT` make a pause, `USR1` and others what the server makes of them.
    ///
    /// # Errors
    /// The process is gone.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid = self.pid().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Ok(kill_process(pid.ok_or_else(|| io::Error::other("the server is not running"))?, signal)?)
    }

    /// `kill -9`, and waits until the process is gone.
    ///
    /// # Errors
    /// The process was gone already.
    pub fn kill(&mut self) -> io::Result<()> {
        let mut child = self.child.take().ok_or_else(|| io::Error::other("the server is not running"))?;
        child.kill()?;
        child.wait().map(drop)
    }

    /// SIGTERM, and waits for the orderly end.
    ///
    /// # Errors
    /// The process was gone already, or did not end within [`PATIENCE`].
    pub fn terminate(&mut self) -> io::Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.wait_until_ended()
    }

    /// Waits until the process has ended by itself.
    ///
    /// # Errors
    /// It did not within [`PATIENCE`]; the text holds its log.
    pub fn wait_until_ended(&mut self) -> io::Result<ExitStatus> {
        let child = self.child.as_mut().ok_or_else(|| io::Error::other("the server is not running"))?;
        let status = try_until("the server to end", PATIENCE, || match child.try_wait() {
            Ok(Some(status)) => Ok(status),
            Ok(None) => Err("it runs".to_owned()),
            Err(error) => Err(error.to_string()),
        })
        .map_err(|why| io::Error::other(format!("{why}\n{}", self.log())))?;
        self.child = None;
        Ok(status)
    }

    fn log_file(&self) -> PathBuf {
        self.dir.path().join("log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let from = log.lines().count().saturating_sub(60);
            eprintln!("--- log of {} on port {}", self.program.display(), self.port);
            log.lines().skip(from).for_each(|line| eprintln!("{line}"));
        }
    }
}

/// A free port on 127.0.0.1, with a socket that keeps it from being handed to anybody else: both it and the server set
/// SO_REUSEADDR and only one of them listens, which Linux allows.
///
/// # Errors
/// The kernel has no port left.
pub fn reserve_port() -> io::Result<(OwnedFd, u16)> {
    use rustix::net;
    let socket = net::socket_with(
        net::AddressFamily::INET,
        net::SocketType::STREAM,
        net::SocketFlags::CLOEXEC,
        Some(net::ipproto::TCP),
    )?;
    net::sockopt::set_socket_reuseaddr(&socket, true)?;
    net::bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
    let address: SocketAddrV4 = net::getsockname(&socket)?.try_into()?;
    Ok((socket, address.port()))
}
