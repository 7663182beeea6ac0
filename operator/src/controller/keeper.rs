//! The fast task of one resource: one turn after another of observe → decide → record → commands → endpoints → status.

mod look;
mod people;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use k8s_openapi::{api::core::v1::Pod, jiff::Timestamp};
use kube::{
    Api,
    api::{DeleteParams, Preconditions},
};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until},
};
use valkey_repl_engine::{Command, Decision, Memory, Phase, Record, decide};

use look::Look;

use super::{
    Shared,
    apply::Error,
    arrival::Arrival,
    builder::Built,
    endpoints::{Wanted, Ways},
    events,
    registry::Key,
    stored::Stored,
    withheld::Withheld,
};
use crate::{
    api::ValkeyReplication,
    carrier::{Hurry, Orders, Told},
    clock::boottime_ms,
    instance::{Link, Seen, Settings},
    resources::{
        Names,
        slice::{self, Server},
        trial::Verdict,
    },
};

/// The pause after the API server failed in something that can wait.
const PAUSE: Duration = Duration::from_secs(2);
/// How long an operator that has just begun to ask leaves people what its predecessor told them of instances that it has not heard of yet.
const INHERITED: Duration = Duration::from_secs(10);
/// The same, although they cannot be asked yet.
const INHERITED_AT_MOST: Duration = Duration::from_secs(60);
/// How often a status is written at most, apart from the record.
const STATUS_PACE: Duration = Duration::from_secs(1);

/// The task's state. All of it may be lost at any time.
pub(super) struct Keeper {
    shared: Arc<Shared>,
    api: Api<ValkeyReplication>,
    key: Key,
    resource: watch::Receiver<Arc<ValkeyReplication>>,
    built: watch::Receiver<Built>,
    replicas: watch::Sender<Option<u32>>,
    verdict: watch::Sender<Verdict>,
    waits: watch::Sender<bool>,
    news: Arc<Notify>,
    settings: Option<Settings>,
    links: BTreeMap<u32, Link>,
    memory: Memory,
    stored: Option<Stored>,
    orders: Orders,
    ways: Ways,
    arrival: Arrival,
    withheld: Withheld,
    /// Pods that this operator deleted, by name: their uid.
    deleted: HashMap<String, String>,
    told: Told,
    /// Of the conditions, as last counted.
    statuses: Vec<Option<bool>>,
    hurry: Hurry,
    /// Since when the instances can be asked: with thousands of resources, the passwords alone take their time.
    began: Option<Instant>,
    started: Instant,
    /// The record was read once.
    has_read: bool,
    /// Nothing that can wait is asked of the API server before.
    not_before: Option<Instant>,
    status_not_before: Option<Instant>,
}

impl Keeper {
    pub fn new(
        shared: Arc<Shared>,
        key: &Key,
        resource: watch::Receiver<Arc<ValkeyReplication>>,
        built: watch::Receiver<Built>,
        (replicas, verdict, waits): (watch::Sender<Option<u32>>, watch::Sender<Verdict>, watch::Sender<bool>),
        news: Arc<Notify>,
    ) -> Self {
        let ways = Ways::start(&shared, key);
        Self {
            api: Api::namespaced(shared.client.clone(), &key.0),
            withheld: Withheld::new(shared.client.clone(), shared.events.clone(), &key.0, news.clone()),
            shared,
            key: key.clone(),
            resource,
            built,
            replicas,
            verdict,
            waits,
            news,
            settings: None,
            links: BTreeMap::new(),
            memory: Memory::default(),
            stored: None,
            orders: Orders::default(),
            ways,
            arrival: Arrival::default(),
            deleted: HashMap::new(),
            told: Told::default(),
            statuses: Vec::new(),
            hurry: Hurry::default(),
            began: None,
            started: Instant::now(),
            has_read: false,
            not_before: None,
            status_not_before: None,
        }
    }

    pub async fn run(mut self) {
        let mut leads = self.shared.leads.clone();
        loop {
            let next = self.turn().await;
            tokio::select! {
                () = self.news.notified() => {}
                changed = self.resource.changed() => if changed.is_err() { return },
                changed = self.built.changed() => if changed.is_err() { return },
                changed = leads.changed() => if changed.is_err() { return },
                () = sleep_until(next) => {}
            }
        }
    }

    /// One turn; says when the next is due at the latest.
    async fn turn(&mut self) -> Instant {
        let resource = self.resource.borrow_and_update().clone();
        if resource.metadata.deletion_timestamp.is_some() {
            self.links.clear();
            return Instant::now() + Duration::from_secs(3600);
        }
        if let Err(error) = self.reread(&resource).await {
            self.shared.failed(&error, "the record cannot be read");
            return Instant::now() + PAUSE / 4;
        }
        let key = self.key.clone();
        let names = Names { name: &key.1, namespace: &key.0 };
        let look = self.look(&resource, &names);
        let mut decision = decide(&look.observation, &self.memory);
        self.memory = std::mem::take(&mut decision.memory);
        self.told.log(&decision);
        self.shared.desk.answer(&key, || look.explain(&decision));
        let statuses: Vec<_> = decision.conditions.iter().map(|condition| condition.status).collect();
        if self.statuses != statuses {
            self.shared.metrics.conditions(&key, &decision.conditions);
            self.statuses = statuses;
        }
        if look.observation.leader.is_none_or(|lead| boottime_ms() >= lead.until_ms) {
            return Instant::now() + PAUSE;
        }
        self.send(&decision.commands, &names);
        if let Some(record) = decision.record.take() {
            return self.record(&resource, record, &decision, &look).await;
        }
        self.replicas.send_if_modified(|replicas| {
            let wanted = Some(decision.scale_to);
            std::mem::replace(replicas, wanted) != wanted
        });
        self.verdict.send_if_modified(|verdict| {
            let said = look.verdict().after(verdict);
            *verdict != said && {
                *verdict = said;
                true
            }
        });
        self.waits.send_replace(look.waits);
        let phase = look.observation.record.as_ref().map(|record| record.phase);
        let hurries = self.ways.is_first(phase.is_some_and(|phase| phase != Phase::Stable));
        events::publish(&self.shared, &resource, std::mem::take(&mut decision.events));
        self.lead_clients(&resource, &names, &decision, &look, hurries);
        // Clients wait for the next step of a move; people can wait for a moment.
        if !hurries {
            self.tell_people(&resource, &names, &decision, &look).await;
            self.restart(&resource, &names, &decision, &look).await;
        }
        let wait = Duration::from_millis(decision.recheck_at_ms.saturating_sub(boottime_ms()).clamp(1, 5_000));
        Instant::now() + self.hurry.next(wait, look.observation.record.as_ref(), self.links.values())
    }

    fn has_just_begun(&self) -> bool {
        self.began.is_none_or(|at| at.elapsed() < INHERITED) && self.started.elapsed() < INHERITED_AT_MOST
    }

    /// How long a write may take before the next vote is due.
    fn patience(&self) -> Duration {
        let quorum = self.resource.borrow().engine_spec(Vec::new()).quorum_timeout_ms;
        Duration::from_millis((quorum / 3).clamp(500, 3_000))
    }

    /// Reads the record where there is none at hand, or where the watch shows one that somebody else wrote.
    async fn reread(&mut self, resource: &ValkeyReplication) -> Result<(), Error> {
        let doubt =
            self.stored.as_ref().is_none_or(|stored| !stored.is_of(resource) || stored.is_challenged_by(resource));
        if doubt {
            tracing::debug!(
                shown = resource.metadata.resource_version,
                known = self.stored.as_ref().and_then(Stored::version),
                "the record is read from the API server"
            );
            // With all others, when this operator begins to lead; later, each for itself.
            let _turn = if self.has_read { None } else { self.shared.reads.acquire().await.ok() };
            let gate = (&self.shared.urgent, self.patience());
            let read = Stored::read(&self.api, &self.key.1, gate, self.stored.as_ref()).await?;
            self.stored = Some(read);
            self.has_read = true;
        }
        Ok(())
    }

    fn send(&mut self, commands: &[Command], names: &Names<'_>) {
        self.orders.send(commands, |name| names.ordinal(name).and_then(|ordinal| self.links.get(&ordinal)));
    }

    /// Writes a record, before anything that follows from it is done. The next turn is due at once.
    async fn record(
        &mut self,
        resource: &ValkeyReplication,
        record: Record,
        decision: &Decision,
        look: &Look,
    ) -> Instant {
        let status = self.status(resource, Some(record.clone()), decision, look);
        let patience = self.patience();
        let gate = (&self.shared.urgent, patience);
        let Some(stored) = &mut self.stored else { return Instant::now() };
        let last_term = stored.record().map(|before| before.term);
        let last = stored.record().and_then(|before| before.failovers.first().cloned());
        match stored.write(&self.api, status, gate).await {
            Ok(()) => {
                if last_term != Some(record.term) {
                    tracing::info!(
                        term = record.term,
                        epoch = record.epoch,
                        phase = record.phase.as_str(),
                        primary = record.primary.as_ref().map(|life| life.name.as_str()),
                        target = record.target.as_ref().map(|life| life.name.as_str()),
                        "recorded"
                    );
                }
                if let Some(new) = record.failovers.first().filter(|new| Some(*new) != last.as_ref()) {
                    self.shared.metrics.failover(new);
                }
                events::publish(&self.shared, resource, decision.events.clone());
                // Only what is asked after a record can be evidence against it.
                self.links.values().for_each(Link::ask);
                Instant::now()
            }
            Err(error) if error.is_conflict() => {
                tracing::debug!("somebody else has written; reading anew");
                self.stored = None;
                Instant::now()
            }
            Err(error) => {
                self.shared.failed(&error, "the record cannot be written");
                if !matches!(error, Error::Busy) {
                    // It may have been written all the same.
                    self.stored = None;
                }
                Instant::now() + PAUSE / 4
            }
        }
    }

    /// Lets the Services lead to those who serve.
    fn lead_clients(
        &self,
        resource: &Arc<ValkeyReplication>,
        names: &Names<'_>,
        decision: &Decision,
        look: &Look,
        hurries: bool,
    ) {
        if look.observation.record.is_none() {
            return;
        }
        let server = |name: &String| {
            let pod = look.pods.iter().flatten().find(|pod| pod.name == *name)?;
            Some(Server {
                pod: pod.name.clone(),
                uid: pod.uid.clone(),
                ip: pod.ip?,
                node: pod.node.clone(),
                zone: pod.node.as_deref().and_then(|node| self.shared.nodes.zone(node)),
            })
        };
        // Nodes take in a change of a Service within tens of milliseconds: that time passes while the next primary is made.
        let rw = decision.endpoints.next.as_ref().or(decision.endpoints.rw.as_ref());
        let rw: Vec<_> = rw.into_iter().filter_map(server).collect();
        let mut ro: Vec<_> = decision.endpoints.ro.iter().filter_map(server).collect();
        if self.has_just_begun() {
            let live = self.shared.slice(names, &names.ro());
            let led = |server: &Server| live.as_ref().is_some_and(|live| slice::leads_to(live, server));
            ro.extend(decision.endpoints.unheard.iter().filter_map(server).filter(led));
            ro.sort_by(|a, b| a.pod.cmp(&b.pod));
        }
        self.ways.lead(Wanted {
            resource: resource.clone(),
            epoch: decision.endpoints.epoch,
            rw,
            // A node that has just taken in the one would take in the other only a second later.
            ro: (!hurries).then_some(ro),
            patience: self.patience(),
        });
    }

    /// Deletes the next pod that is to be made anew from a newer template.
    async fn restart(&mut self, resource: &ValkeyReplication, names: &Names<'_>, decision: &Decision, look: &Look) {
        let waits = self.not_before.is_some_and(|at| Instant::now() < at);
        if resource.spec.paused || waits || look.seen.iter().any(Seen::refuses_its_settings) {
            return;
        }
        let staying = look.staying(u32::try_from(resource.spec.instances).unwrap_or(1));
        let keeps = !resource.spec.storage.ephemeral || look.observation.record.is_none();
        let Some(pod) = staying.next(&decision.restartable, keeps) else { return };
        let api: Api<Pod> = Api::namespaced(self.shared.client.clone(), names.namespace);
        let only = Preconditions { uid: Some(pod.uid.clone()), resource_version: None };
        let parameters = DeleteParams::default().preconditions(only);
        match self.shared.calm.pass(self.patience(), api.delete(&pod.name, &parameters)).await {
            Ok(_) => {
                tracing::info!(pod = pod.name, "restarted for a new template");
                self.deleted.insert(pod.name.clone(), pod.uid.clone());
            }
            Err(error) => {
                self.shared.failed(&error, &format!("{} cannot be restarted", pod.name));
                self.not_before = Some(Instant::now() + PAUSE);
            }
        }
    }
}

/// Now, to the second, as Kubernetes writes it.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}
