//! One turn after another: observe → decide → record → commands → endpoint. What is decided is the engine's.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{
    sync::{Notify, watch},
    task::spawn_blocking,
    time::{Instant, sleep_until},
};
use valkey_repl_engine::{Decision, Leadership, Memory, Observation, Record, Spec, decide};

use super::{
    directory::Directory,
    failovers::Failovers,
    file::File,
    launch::{HOST, Launch},
    proxy::Lead,
    record::Book,
    report::{self, View},
    screen::Pen,
    slot::{Life, Slot},
};
use crate::{
    api::{Flavor, ValkeyReplication},
    carrier::{Hurry, Orders, Told},
    clock::boottime_ms,
    controller::report::instances,
    instance::{Seen, Settings},
    resources::{Names, names::MOST_INSTANCES},
};

/// Instances are asked about themselves at least this often: people look on.
const INTERVAL: Duration = Duration::from_millis(250);
/// How often the file is looked at.
const FILE_PACE: Duration = Duration::from_millis(500);
/// The pause after the record could not be written.
const PAUSE: Duration = Duration::from_millis(500);

/// What looks after the set. Apart from the book, all of it may be lost at any time.
pub(super) struct Keeper {
    directory: Directory,
    launch: Arc<Launch>,
    file: File,
    file_looked_at: Instant,
    resource: Arc<ValkeyReplication>,
    /// Directives that a server found alive takes without a restart.
    live: Arc<[(String, String)]>,
    leads: Leadership,
    book: Book,
    lead: watch::Sender<Option<Lead>>,
    pen: Pen,
    listen: SocketAddr,
    settings: Settings,
    news: Arc<Notify>,
    slots: BTreeMap<u32, Slot>,
    memory: Memory,
    orders: Orders,
    told: Told,
    hurry: Hurry,
    failovers: Failovers,
    introduced: bool,
}

impl Keeper {
    /// Starts or finds the servers. The directory's lock makes this run the leader, from now on.
    pub fn new(
        directory: Directory,
        (launch, file): (Arc<Launch>, File),
        live: Vec<(String, String)>,
        book: Book,
        lead: watch::Sender<Option<Lead>>,
        pen: Pen,
        listen: SocketAddr,
    ) -> Self {
        let resource = launch.resource.clone();
        let spec = resource.engine_spec(Vec::new());
        let native = resource.spec.flavor == Flavor::Native;
        let settings = Settings::new(native, spec.detection_timeout_ms, spec.quorum_timeout_ms);
        let settings = Settings { interval: settings.interval.min(INTERVAL), ..settings };
        let mut keeper = Self {
            directory,
            launch,
            file,
            file_looked_at: Instant::now(),
            resource,
            live: live.into(),
            // Nobody takes a lock away: it is held for as long as this process lives.
            leads: Leadership { since_ms: boottime_ms(), until_ms: u64::MAX },
            book,
            lead,
            pen,
            listen,
            settings,
            news: Arc::default(),
            slots: BTreeMap::new(),
            memory: Memory::default(),
            orders: Orders::default(),
            told: Told::default(),
            hurry: Hurry::default(),
            failovers: Failovers::default(),
            introduced: false,
        };
        // The book was read before that; only what is read while leading counts.
        keeper.book.read_ms = keeper.book.read_ms.max(keeper.leads.since_ms);
        keeper.staff(keeper.standing());
        keeper
    }

    /// How many instances have a directory, counted to the last that has one.
    fn volumes(&self) -> u32 {
        let names = names(&self.resource);
        let last = (0..MOST_INSTANCES).rev().find(|ordinal| self.directory.home(&names.pod(*ordinal)).exists());
        last.map_or(0, |ordinal| ordinal + 1)
    }

    /// How many instances there are to begin with: those asked for, those recorded, those that live.
    fn standing(&self) -> u32 {
        let names = names(&self.resource);
        let asked = u32::try_from(self.resource.spec.instances).unwrap_or(1);
        let recorded = self.book.record().into_iter().flat_map(|record| &record.members);
        let recorded = recorded.filter_map(|name| names.ordinal(name)).map(|ordinal| ordinal + 1).max();
        let alive = (0..MOST_INSTANCES).rev().find(|ordinal| self.directory.home(&names.pod(*ordinal)).is_inhabited());
        asked.max(recorded.unwrap_or(0)).max(alive.map_or(0, |ordinal| ordinal + 1)).min(MOST_INSTANCES)
    }

    /// Sees to it that there are so many instances.
    fn staff(&mut self, wanted: u32) {
        let names = names(&self.resource);
        for ordinal in 0..wanted.min(MOST_INSTANCES) {
            let home = self.directory.home(&names.pod(ordinal));
            self.slots.entry(ordinal).or_insert_with(|| {
                Slot::start(ordinal, home, self.launch.clone(), self.settings, self.news.clone(), self.pen.clone())
            });
        }
        for slot in self.slots.split_off(&wanted.max(1)).into_values() {
            self.pen.say(format!("{} leaves; its data stays in {}", slot.home.name, slot.home.path.display()));
            slot.retire();
            tokio::spawn(async move {
                let mut slot = slot;
                slot.retired().await;
            });
        }
    }

    /// Looks after the set until dropped.
    pub async fn run(&mut self) {
        loop {
            let next = self.turn().await;
            tokio::select! {
                () = self.news.notified() => {}
                () = sleep_until(next) => {}
            }
        }
    }

    /// One turn; says when the next is due at the latest.
    async fn turn(&mut self) -> Instant {
        self.read_file();
        let (observation, seen) = self.look();
        let mut decision = decide(&observation, &self.memory);
        self.memory = std::mem::take(&mut decision.memory);
        self.told.log(&decision);
        self.send(&decision);
        // It follows from the record that stands, so it does not wait for the next one.
        self.lead_clients(&decision);
        for event in std::mem::take(&mut decision.events) {
            // Changes of the primary are said when writes are possible again.
            if !matches!(event.reason.as_str(), "PrimaryChanged" | "PrimaryKept") {
                self.pen.say(event.message);
            }
        }
        if let Some(record) = decision.record.take() {
            return self.record(record).await;
        }
        self.tell_people(&observation, &seen, &decision);
        self.staff(decision.scale_to);
        self.renew(&decision);
        let wait = decision.recheck_at_ms.saturating_sub(boottime_ms());
        let wait = Duration::from_millis(wait.clamp(1, 5_000));
        let links = self.slots.values().map(|slot| &slot.link);
        Instant::now() + self.hurry.next(wait, observation.record.as_ref(), links)
    }

    /// Takes note of what a person changed in the file.
    fn read_file(&mut self) {
        if self.file_looked_at.elapsed() < FILE_PACE {
            return;
        }
        self.file_looked_at = Instant::now();
        match self.file.look(&self.resource) {
            Ok(None) => {}
            Ok(Some(change)) => {
                self.resource = change.resource;
                let rest = if change.more { "; the rest of what changed is for the next start" } else { "" };
                self.pen.say(format!("the file was read again{rest}"));
            }
            Err(error) => self.pen.say(format!("{error}; it goes on as it was")),
        }
    }

    /// Looks at everything, and sees to it that every instance has a connection to where its server is now.
    fn look(&mut self) -> (Observation, Vec<Seen>) {
        let mut instances = Vec::new();
        let mut all_seen = Vec::new();
        for slot in self.slots.values() {
            self.failovers.note(&slot.home.name, &slot.state().life);
            slot.aim(&self.launch.password, &self.live);
            let seen = slot.link.seen();
            instances.push(slot.observe(&seen));
            all_seen.push(seen);
        }
        let observation = Observation {
            now_ms: boottime_ms(),
            now_rfc3339: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
            leader: Some(self.leads),
            record: self.book.record().cloned(),
            record_seen_ms: self.book.seen_ms,
            record_read_ms: self.book.read_ms,
            spec: Spec { volumes: Some(self.volumes()), ..self.resource.engine_spec(self.avoid()) },
            instances,
        };
        (observation, all_seen)
    }

    /// Who should not be primary: one that is to be restarted for another configuration, when all others have theirs.
    fn avoid(&self) -> Vec<String> {
        let mut outdated = self.slots.values().filter(|slot| slot.state().outdated).map(|slot| slot.home.name.clone());
        let primary = self.book.record().and_then(|record| record.primary.as_ref()).map(|life| &life.name);
        match (outdated.next(), outdated.next()) {
            (Some(last), None) if Some(&last) == primary && self.slots.len() > 1 => vec![last],
            _ => Vec::new(),
        }
    }

    fn send(&mut self, decision: &Decision) {
        let names = names(&self.resource);
        let link = |name: &str| self.slots.get(&names.ordinal(name)?).map(|slot| &slot.link);
        self.orders.send(&decision.commands, link);
    }

    /// Lets the clients' address lead to whom it should.
    fn lead_clients(&self, decision: &Decision) {
        let rw = decision.endpoints.rw.as_ref().and_then(|name| self.slot(name));
        let lead = rw
            .and_then(|slot| slot.state().port)
            .map(|port| Lead { address: SocketAddr::from((HOST, port)), epoch: decision.endpoints.epoch });
        self.lead.send_if_modified(|now| {
            let other = *now != lead;
            *now = lead;
            other
        });
    }

    /// Writes a record, before anything that follows from it is done. The next turn is due at once.
    async fn record(&mut self, record: Record) -> Instant {
        let mut book = self.book.clone();
        let written = record.clone();
        let done = spawn_blocking(move || book.write(written).map(|()| book)).await;
        match done.map_err(std::io::Error::other).flatten() {
            Ok(book) => {
                tracing::info!(
                    term = record.term,
                    epoch = record.epoch,
                    phase = record.phase.as_str(),
                    primary = record.primary.as_ref().map(|life| life.name.as_str()),
                    target = record.target.as_ref().map(|life| life.name.as_str()),
                    "recorded"
                );
                self.book = book;
                // Only what is asked after a record can be evidence against it.
                self.slots.values().for_each(|slot| slot.link.ask());
                Instant::now()
            }
            Err(error) => {
                self.pen.say(format!("the record cannot be written: {error}"));
                // It may have been written all the same.
                let path = self.directory.path().to_owned();
                if let Ok(Ok(book)) = spawn_blocking(move || Book::open(&path)).await {
                    self.book = book;
                }
                Instant::now() + PAUSE
            }
        }
    }

    /// Starts the next instance anew that has an older configuration, if it may be.
    fn renew(&self, decision: &Decision) {
        if self.resource.spec.paused {
            return;
        }
        let mut due = self.slots.values().filter(|slot| slot.state().outdated);
        if let Some(slot) = due.find(|slot| decision.restartable.contains(&slot.home.name)) {
            self.pen.say(format!("{} is restarted for its new configuration", slot.home.name));
            slot.restart();
        }
    }

    fn tell_people(&mut self, observation: &Observation, seen: &[Seen], decision: &Decision) {
        let record = observation.record.as_ref();
        if let Some(finished) = self.failovers.look(record, &observation.instances) {
            self.pen.say(report::failover(&finished));
        }
        let primary = record.filter(|record| record.phase.serves()).and_then(|record| record.primary.as_ref());
        let primary = primary.map(|life| life.name.as_str());
        let hints = self.hints(decision.endpoints.rw.as_deref());
        // One that is not alone is worth trying when it can lose its primary.
        let safe = record.is_some_and(|record| record.members.len() == 1 || !record.successors.is_empty());
        if safe && report::is_ready(decision) && !std::mem::replace(&mut self.introduced, true) {
            self.pen.introduce(&hints);
        }
        let rows = instances(&observation.instances, seen, record, Timestamp::now())
            .iter()
            .zip(self.slots.values())
            .map(|(status, slot)| {
                let state = slot.state();
                let pid = match state.life {
                    Life::Running { pid } => Some(pid),
                    Life::Waiting | Life::Ended { .. } => None,
                };
                report::row(status, primary == Some(status.name.as_str()), state.port, pid)
            })
            .collect();
        let failovers = record.into_iter().flat_map(|record| &record.failovers);
        self.pen.show(View {
            name: names(&self.resource).name.to_owned(),
            listen: self.listen.to_string(),
            epoch: record.map_or(0, |record| record.epoch),
            phase: record.map_or("Forming", |record| record.phase.as_str()),
            rows,
            failovers: failovers.map(|failover| report::past(failover, self.failovers.took(failover))).collect(),
            troubles: report::troubles(decision),
            hints,
        });
    }

    fn hints(&self, primary: Option<&str>) -> Vec<String> {
        let pid = primary.and_then(|name| self.slot(name)).and_then(|slot| match slot.state().life {
            Life::Running { pid } => Some(pid),
            Life::Waiting | Life::Ended { .. } => None,
        });
        let here = std::env::current_dir().unwrap_or_default();
        let short = |path: PathBuf| path.strip_prefix(&here).map(PathBuf::from).unwrap_or(path);
        let cli = self.launch.program.with_file_name("valkey-cli");
        let cli = cli.is_file().then(|| short(cli));
        report::hints(self.listen, &short(self.directory.password_file()).display().to_string(), cli, pid)
    }

    fn slot(&self, name: &str) -> Option<&Slot> {
        self.slots.get(&names(&self.resource).ordinal(name)?)
    }

    /// Stops the servers and leaves their data: the primary first, which waits for its replicas to hold all it holds.
    pub async fn stop(&mut self) {
        self.pen.say("stopping");
        self.lead.send_replace(None);
        let primary = self.book.record().and_then(|record| record.primary.as_ref()).map(|life| life.name.clone());
        let first = primary.and_then(|name| names(&self.resource).ordinal(&name));
        if let Some(slot) = first.and_then(|ordinal| self.slots.get_mut(&ordinal)) {
            slot.retire();
            slot.retired().await;
        }
        self.abandon();
        for slot in self.slots.values_mut() {
            slot.retired().await;
        }
        self.pen.say(format!("stopped; the data is in {}", self.directory.path().display()));
    }

    /// Asks all servers to save and end, without waiting for it.
    pub fn abandon(&self) {
        self.slots.values().for_each(Slot::retire);
    }
}

/// The names; whoever reads a resource sees to it that it has them.
fn names(resource: &ValkeyReplication) -> Names<'_> {
    let metadata = &resource.metadata;
    Names {
        name: metadata.name.as_deref().unwrap_or_default(),
        namespace: metadata.namespace.as_deref().unwrap_or_default(),
    }
}
