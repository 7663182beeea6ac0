//! From the command line to a running server.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;

use super::reserve::files_beside_clients;
use super::timers::Timers;
use super::{CommandLog, Loading, Pauses, Propagation, REDIS_VERSION, Server, Stats, VALKEY_VERSION};
use crate::bio::Bio;
use crate::client::{Clients, PubSub};
use crate::commands::table;
use crate::config::{Config, Loaded};
use crate::keyspace::Keyspace;
use crate::log::Role;
use crate::net::listener::{Kind, Listener, Options};
use crate::net::poll::{Interest, Poll, Token};
use crate::net::waker::Mailbox;
use crate::persistence::Persistence;
use crate::replication::Replication;
use crate::syslog::Syslog;
use crate::{affinity, crash, log, log_notice, log_warning, supervisor};

/// Signals, as bytes in a socket pair that the event loop watches.
#[derive(Debug)]
pub struct Signals(UnixStream, Vec<(i32, UnixStream)>);

impl Signals {
    /// Catches the signals that the server acts on. A pair for each tells them apart.
    fn catch() -> io::Result<Self> {
        let (read, write) = UnixStream::pair()?;
        read.set_nonblocking(true)?;
        let mut each = Vec::new();
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGCHLD] {
            let (r, w) = UnixStream::pair()?;
            r.set_nonblocking(true)?;
            w.set_nonblocking(true)?;
            signal_hook::low_level::pipe::register(signal, w)?;
            let wake = write.try_clone()?;
            wake.set_nonblocking(true)?;
            signal_hook::low_level::pipe::register(signal, wake)?;
            each.push((signal, r));
        }
        Ok(Signals(read, each))
    }

    /// The signals that came since the last call.
    pub fn take(&mut self) -> Vec<i32> {
        let mut bytes = [0u8; 64];
        while matches!(io::Read::read(&mut self.0, &mut bytes), Ok(n) if n == bytes.len()) {}
        let came = |r: &mut UnixStream| matches!(io::Read::read(r, &mut [0u8; 64]), Ok(n) if n > 0);
        self.1.iter_mut().filter_map(|(signal, r)| came(r).then_some(*signal)).collect()
    }
}

impl Server {
    /// Makes a server of a configuration: goes into the background if asked to, opens log and sockets. The data are
    /// loaded by [`serve`](Self::serve).
    ///
    /// # Errors
    /// A message for the user, who asked for something that can't be had.
    pub fn start(loaded: Loaded) -> Result<Self, String> {
        let without_effect = loaded.without_effect();
        let Loaded { config, path, users, renamed_commands, .. } = loaded;
        if !renamed_commands.is_empty() {
            let pairs = renamed_commands.iter().map(|renamed| (renamed.from.as_slice(), renamed.to.as_slice()));
            table::rename(pairs)
                .map_err(|(nth, why)| renamed_commands[nth].origin.error(why).report(VALKEY_VERSION))?;
        }
        // Its name must be good after `dir` was entered, too.
        let config_file = path.map(|path| std::path::absolute(&path).unwrap_or(path));
        let dir = crate::persistence::snapshot::data_dir(&config);
        std::env::set_current_dir(&dir).map_err(|e| format!("Can't chdir to '{}': {e}", dir.display()))?;
        log::open(&config.logfile).map_err(|e| format!("Can't open the log file: {e}"))?;
        log::set_level(config.loglevel);
        log::set_format(config.log_format, config.log_timestamp_format);
        if config.syslog_enabled {
            let syslog = Syslog::new(&config.syslog_ident, config.syslog_facility);
            log::also_to(syslog.map_err(|e| format!("Can't log to the system: {e}"))?);
        }
        if !config.hash_seed.is_empty() {
            crate::data::table::seed_hashes(&config.hash_seed);
        }
        if !crate::collation::set_locale(&config.locale_collate) {
            if !config.locale_collate.is_empty() {
                return Err(crate::collation::unknown(&config.locale_collate));
            }
            log_warning!(
                "Warning: Failed to configure LOCALE derived from the environment variables, using the default locale 'C'."
            );
        }
        if !supervisor::begin(config.supervised) && config.daemonize {
            crate::sys::daemonize().map_err(|e| format!("Can't go into the background: {e}"))?;
        }
        announce(&config);
        crate::sys::raise_file_limit(u64::from(config.maxclients) + files_beside_clients(&config));

        if config.disable_thp {
            crate::sys::refuse_huge_pages();
        }
        affinity::bind(&config.server_cpulist);

        let now = crate::sys::unix_ms();
        let text = |e: io::Error| e.to_string();
        let poll = Poll::new().map_err(text)?;
        let mailbox = Mailbox::new().map_err(text)?;
        let signals = Signals::catch().map_err(text)?;
        crate::sys::end_on_insistence().map_err(text)?;
        poll.add(&mailbox, Token::Waker, Interest::Read).map_err(text)?;
        poll.add(&signals.0, Token::Signal, Interest::Read).map_err(text)?;
        let bio = Bio::start(&mailbox.postbox(), &config.bio_cpulist).map_err(text)?;
        let mut keyspace = Keyspace::new(config.databases);
        keyspace.set_now_ms(now);
        let run_id = String::from_utf8_lossy(&crate::sys::random_hex40()).into_owned();
        let mut server = Server {
            config_file,
            keyspace,
            acl: crate::acl::Acl::default(),
            clients: Clients::default(),
            pubsub: PubSub::default(),
            repl: Replication::new(now),
            persistence: Persistence::new(now),
            tracking: crate::tracking::Tracking::default(),
            tracking_rounds: 0,
            caller: None,
            stats: Stats::default(),
            commandlog: CommandLog::default(),
            latency: super::latency::LatencyMonitor::default(),
            monitors: Vec::new(),
            loading: Loading::default(),
            propagation: Propagation::default(),
            clock_us: now * 1000,
            nesting: 0,
            batch_clock: None,
            serving_ready: false,
            active_expire: true,
            peers: crate::net::peers::Peers::default(),
            shared_query: Vec::new(),
            scripting: crate::scripting::Scripting::default(),
            debug: super::debug::Switches::default(),
            pauses: Pauses::default(),
            loaded_position: None,
            skip_checksum: false,
            eviction: Default::default(),
            oom_score_before: None,
            shutdown: None,
            shutdown_wanted: None,
            poll,
            tls: super::tls::Tls::default(),
            listeners: Vec::new(),
            http: crate::metrics::Http::default(),
            mailbox,
            bio,
            signals,
            timers: Timers::default(),
            run_id,
            start_ms: now,
            next_cron_ms: now,
            cron_turns: 0,
            startup_memory: crate::memory::used(),
            exit: None,
            config,
        };
        server.apply_all_config();
        server.load_users_at_start(&users)?;
        server.configure_tls()?;
        server.adapt_oom_score();
        server.listen()?;
        server.show_title(None);
        server.write_pidfile();
        logo(&server);
        log_notice!("Server initialized");
        if !without_effect.is_empty() {
            log_warning!("WARNING: accepted without effect in this server: {}", without_effect.join(", "));
        }
        Ok(server)
    }

    /// Loads the data and serves until a shutdown; returns the exit code.
    pub fn serve(&mut self) -> i32 {
        crash::watch_server(self);
        crash::configure(self.config.crash_log_enabled, self.config.use_exit_on_panic);
        let code = self.serve_watched();
        crash::forget_server();
        code
    }

    fn serve_watched(&mut self) -> i32 {
        crate::sys::ignore_hangups();
        let primary = self.config.replicaof.clone();
        if primary.is_some() {
            // Known before the data: a replica keeps what has expired until its primary says so.
            log::set_role(Role::Replica);
        }
        if let Err(why) = self.load_at_start() {
            log_warning!("{why}");
            // It may have been told to end meanwhile.
            return self.exit.unwrap_or(1);
        }
        if let Some(primary) = primary {
            self.become_replica_of(&String::from_utf8_lossy(&primary.host), primary.port);
        }
        for (kind, name) in [(Kind::Tcp, "tcp"), (Kind::Unix, "unix"), (Kind::Tls, "tls"), (Kind::Metrics, "metrics")] {
            if self.listeners.iter().any(|l| l.kind == kind) {
                log_notice!("Ready to accept connections {name}");
            }
        }
        supervisor::tell(if self.is_primary() {
            "STATUS=Ready to accept connections\nREADY=1\n"
        } else {
            "STATUS=Ready to accept connections in read-only mode. Waiting for PRIMARY <-> REPLICA sync\nREADY=1\n"
        });
        self.run()
    }

    /// Opens the listening sockets.
    fn listen(&mut self) -> Result<(), String> {
        let backlog = self.config.tcp_backlog;
        let mut opened = Vec::new();
        if self.config.port != 0 {
            opened.extend(self.open_tcp(self.config.port, Kind::Tcp)?);
        }
        if self.config.tls_port != 0 {
            opened.extend(self.open_tcp(self.config.tls_port, Kind::Tls)?);
        }
        if !self.config.unixsocket.is_empty() {
            let path = crate::persistence::snapshot::path_of(&self.config.unixsocket);
            let (mode, group) = (self.config.unixsocketperm, &*String::from_utf8_lossy(&self.config.unixsocketgroup));
            let listener = Listener::unix(&path, mode, group, backlog)
                .map_err(|e| format!("Failed opening Unix socket: bind: {}: {e}", path.display()))?;
            opened.push(listener);
        }
        if self.config.metrics_port != 0 {
            opened.extend(self.open_tcp(self.config.metrics_port, Kind::Metrics)?);
        }
        if opened.is_empty() {
            return Err("Configured to not listen anywhere, exiting.".to_owned());
        }
        self.watch_listeners(opened)
    }

    /// Opens a port on all addresses of `bind` where it is not open; an address that starts with `-` may be missing on this machine.
    ///
    /// # Errors
    /// The text that tells the port that was taken.
    pub fn open_tcp(&self, port: u16, kind: Kind) -> Result<Vec<Listener>, String> {
        let mut opened = Vec::new();
        for address in &self.config.bind {
            let address = String::from_utf8_lossy(address);
            let (optional, address) = match address.strip_prefix('-') {
                Some(rest) => (true, rest),
                None => (false, &*address),
            };
            if self.listeners.iter().any(|l| l.kind == kind && l.place == (address.to_owned(), port)) {
                continue;
            }
            let options = Options {
                backlog: self.config.tcp_backlog,
                mark: self.config.socket_mark_id,
                multipath: self.config.mptcp && kind != Kind::Metrics,
            };
            match Listener::tcp(address, port, kind, options) {
                Ok(listener) => opened.push(listener),
                Err(e) => {
                    let absent = matches!(
                        e.raw_os_error(),
                        Some(libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT)
                    );
                    if optional && absent {
                        continue;
                    }
                    let why = format!("Could not create server TCP listening socket {address}:{port}: bind: {e}");
                    log_warning!("{why}");
                    let what = if kind == Kind::Tls { "tls" } else { "tcp" };
                    return Err(format!("Failed listening on port {port} ({what}), aborting."));
                }
            }
        }
        Ok(opened)
    }

    /// Adds listeners and watches them.
    ///
    /// # Errors
    /// When the kernel refuses to watch one.
    pub fn watch_listeners(&mut self, opened: Vec<Listener>) -> Result<(), String> {
        for listener in opened {
            let token = Token::Listener(self.listeners.len() as u32);
            self.poll.add(&listener, token, Interest::Read).map_err(|e| e.to_string())?;
            self.listeners.push(listener);
        }
        Ok(())
    }

    fn write_pidfile(&self) {
        let path = match (&self.config.pidfile[..], self.config.daemonize) {
            (b"", true) => b"/var/run/valkey.pid".to_vec(),
            (b"", false) => return,
            (path, _) => path.to_vec(),
        };
        let path = crate::persistence::snapshot::path_of(&path);
        match std::fs::write(&path, format!("{}\n", std::process::id())) {
            Ok(()) => crash::remove_at_crash(&path),
            Err(e) => log_warning!("Failed to write PID file: {}: {e}", path.display()),
        }
    }
}

fn announce(config: &Config) {
    let _ = config;
    log_notice!("oO0OoO0OoO0Oo Valkey is starting oO0OoO0OoO0Oo");
    log_notice!(
        "Valkey version={VALKEY_VERSION}, bits=64, commit=00000000, modified=0, pid={}, just started",
        std::process::id()
    );
    log_notice!("Configuration loaded");
}

/// The logo, where it is wanted or standard output is a terminal; otherwise one line with the same facts.
fn logo(server: &Server) {
    let pid = std::process::id();
    let port = match server.config.port {
        0 => server.config.tls_port,
        port => port,
    };
    let terminal = server.config.logfile.is_empty() && io::IsTerminal::is_terminal(&io::stdout());
    if !server.config.always_show_logo && !terminal {
        log_notice!("Running mode=standalone, port={port}.");
        return;
    }
    log::raw(&format!(
        "\n      ____        ____\n     |    |======|    |    valkey-repl {} (Valkey {VALKEY_VERSION} compatible) 64 bit\n     | P  | ---> | R  |\n     |____|======|____|    Running in standalone mode\n                           Port: {port}\n                           PID: {pid}\n\n",
        env!("CARGO_PKG_VERSION")
    ));
}

/// `--version`.
pub fn version_line() -> String {
    format!("Valkey server {} (redis {REDIS_VERSION})", build_line())
}

/// What was built, and how, for the version lines of the server's program under all its names.
pub fn build_line() -> String {
    format!("v={VALKEY_VERSION} sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build={}", env!("CARGO_PKG_VERSION"))
}

/// Prints a message for whoever started the server, and ends with code 1.
pub fn fail(message: &str) -> ! {
    let _ = writeln!(io::stderr(), "{message}");
    std::process::exit(1)
}
