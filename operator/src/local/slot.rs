//! One instance: its process, which is started anew when it ends, and the connection to it.

use std::{
    fs, io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::sleep,
};
use valkey_repl_engine::{Address, Instance, Presence};

use super::{
    directory::Home,
    launch::{HOST, Launch},
    process::Process,
    screen::Pen,
};
use crate::instance::{Directives, Link, Password, Seen, Settings, Target};

/// The pauses before a server that ended is started again: the first, and the longest after ever more failures.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// A server that lived this long did not fail to start.
const SETTLED: Duration = Duration::from_secs(10);
/// How often an earlier process that cannot be found yet is looked for.
const SEARCH: Duration = Duration::from_millis(100);

/// What is known of the process.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Life {
    /// None was started yet.
    Waiting,
    /// It is alive.
    Running { pid: u32 },
    /// It has ended; when, and how.
    Ended { at: Instant, how: String },
}

/// What is known of the instance's process and where it listens.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct State {
    pub life: Life,
    pub port: Option<u16>,
    /// Its configuration is not what it would be now.
    pub outdated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Wish {
    run: bool,
    restarts: u64,
}

/// An instance that is looked after. Dropping it leaves its server alive.
#[derive(Debug)]
pub(super) struct Slot {
    pub ordinal: u32,
    pub home: Home,
    pub link: Link,
    state: watch::Receiver<State>,
    wish: watch::Sender<Wish>,
    task: JoinHandle<()>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Slot {
    /// Finds or starts the server, and from then on keeps it running.
    pub fn start(
        ordinal: u32,
        home: Home,
        launch: Arc<Launch>,
        settings: Settings,
        news: Arc<Notify>,
        pen: Pen,
    ) -> Self {
        let (publish, state) = watch::channel(State { life: Life::Waiting, port: None, outdated: false });
        let (wish, wished) = watch::channel(Wish { run: true, restarts: 0 });
        let link = Link::start(settings, news.clone());
        let task = Task { ordinal, home: home.clone(), launch, publish, wished, news, pen };
        Self { ordinal, home, link, state, wish, task: tokio::spawn(task.run()) }
    }

    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Lets the connection lead to where the server is now.
    ///
    /// The instance keeps one uid over all its processes, as a pod does over restarts of its container, and for the
    /// same reason: none is started before the one before has ended, so a new run id proves the old one dead.
    pub fn aim(&self, password: &Password, settings: &Arc<[(String, String)]>) {
        let target = self.state().port.map(|port| Target {
            uid: self.home.name.clone(),
            address: SocketAddr::from((HOST, port)),
            own: None,
            passwords: vec![password.clone()],
            directives: Directives { live: settings.clone(), ..Directives::default() },
        });
        self.link.aim(target);
    }

    /// The instance for the engine.
    pub fn observe(&self, seen: &Seen) -> Instance {
        let (state, uid) = (self.state(), self.home.name.clone());
        Instance {
            name: uid.clone(),
            ordinal: self.ordinal,
            // Never dialled while there is no port: nobody runs there.
            address: Address { host: HOST.to_string(), port: state.port.unwrap_or_default() },
            presence: match state.life {
                Life::Waiting => Presence::Waiting { uid },
                Life::Running { .. } => Presence::Running { uid },
                // Whichever process was talked to last here: all that there were have ended.
                Life::Ended { .. } => {
                    let run_id = seen.process.as_ref().map(|process| process.run_id.clone());
                    Presence::Ended { uid, run_id }
                }
            },
            connection: seen.connection.clone(),
            answer: seen.answer.clone(),
        }
    }

    /// Ends the server in peace and starts it with the present configuration.
    pub fn restart(&self) {
        self.wish.send_modify(|wish| wish.restarts += 1);
    }

    /// Asks the server to save and end, and starts none again.
    pub fn retire(&self) {
        self.wish.send_modify(|wish| wish.run = false);
    }

    /// Waits until no server runs here and none will be started.
    pub async fn retired(&mut self) {
        // It ends by itself, and only then. It cannot be awaited a second time.
        if !self.task.is_finished() {
            let _ = (&mut self.task).await;
        }
    }
}

struct Task {
    ordinal: u32,
    home: Home,
    launch: Arc<Launch>,
    publish: watch::Sender<State>,
    wished: watch::Receiver<Wish>,
    news: Arc<Notify>,
    pen: Pen,
}

impl Task {
    async fn run(mut self) {
        let mut found = self.find().await;
        let mut pause = PAUSES.0;
        loop {
            if !self.wished.borrow_and_update().run && found.is_none() {
                return;
            }
            let begun = Instant::now();
            let process = match found.take() {
                Some(process) => Ok(Some(process)),
                None => self.start(),
            };
            match process {
                Ok(Some(process)) => {
                    if !self.attend(process).await {
                        return;
                    }
                    if begun.elapsed() >= SETTLED {
                        pause = PAUSES.0;
                    }
                }
                Ok(None) => self.pen.say(format!("{} waits: what is left of its last process saves", self.home.name)),
                Err(error) => self.pen.say(format!("{} cannot be started: {error}", self.home.name)),
            }
            tokio::select! {
                () = sleep(pause) => {}
                changed = self.wished.changed() => if changed.is_err() { return },
            }
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// The server that an earlier run left alive, if there is one.
    async fn find(&mut self) -> Option<Process> {
        let mut told = false;
        while self.home.is_inhabited() {
            match Process::find(&self.home) {
                Ok(Some(process)) => return Some(process),
                Ok(None) if !told => {
                    told = true;
                    self.pen.say(format!("{} waits for a process of an earlier run to end", self.home.name));
                }
                Ok(None) => {}
                Err(error) => self.pen.say(format!("{}: {error}", self.home.name)),
            }
            tokio::select! {
                () = sleep(SEARCH) => {}
                changed = self.wished.changed() => if changed.is_err() { return None },
            }
        }
        None
    }

    fn start(&self) -> io::Result<Option<Process>> {
        let port = self.launch.port(&self.home, self.ordinal)?;
        self.write_conf(port)?;
        Process::start(&self.launch.program, &self.home)
    }

    fn write_conf(&self, port: u16) -> io::Result<()> {
        let config = self.launch.conf(&self.home, port).map_err(io::Error::other)?;
        fs::create_dir_all(&self.home.path)?;
        fs::write(self.home.conf(), config.text)
    }

    /// Stays with a process until its end; whether that was not the end of all.
    async fn attend(&mut self, mut process: Process) -> bool {
        let (pid, port) = (process.pid, self.home.last_port());
        let (found, outdated) = (process.was_found(), process.was_found() && self.launch.differs(&self.home));
        // It will be told what is new, and the file says so for the next time.
        if let Some(port) = port.filter(|_| found && !outdated)
            && let Err(error) = self.write_conf(port)
        {
            self.pen.say(format!("{}: its configuration cannot be written: {error}", self.home.name));
        }
        self.set(State { life: Life::Running { pid }, port, outdated });
        let is = if found { "goes on" } else { "runs" };
        let port = port.map_or_else(String::new, |port| format!(", port {port}"));
        self.pen.say(format!("{} {is}: pid {pid}{port}", self.home.name));
        let grace = self.launch.resource.spec.pod_template.termination_grace_period_seconds;
        let grace = Duration::from_secs(u64::try_from(grace).unwrap_or_default());
        let mut told = None;
        if !self.wished.borrow_and_update().run {
            process.terminate();
            told = Some(Instant::now());
        }
        let how = loop {
            let patience = told.map(|at: Instant| grace.saturating_sub(at.elapsed()));
            tokio::select! {
                how = process.ended() => break how,
                changed = self.wished.changed() => {
                    if changed.is_err() {
                        return false;
                    }
                    self.wished.borrow_and_update();
                    process.terminate();
                    told.get_or_insert_with(Instant::now);
                }
                () = sleep(patience.unwrap_or_default()), if patience.is_some() => {
                    process.kill();
                    told = None;
                }
            }
        };
        let at = Instant::now();
        let standing = self.publish.borrow().port;
        self.set(State { life: Life::Ended { at, how: how.clone() }, port: standing, outdated: false });
        let words = if how.starts_with("failed") { self.home.last_words() } else { None };
        let words = words.map_or_else(String::new, |words| format!("; its last words: {words}"));
        self.pen.say(format!("{} (pid {pid}) {how}{words}", self.home.name));
        true
    }

    fn set(&self, state: State) {
        self.publish.send_replace(state);
        self.news.notify_one();
    }
}
