//! The fast task of one resource: one turn after another of observe → decide → record → commands → endpoints → status.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use k8s_openapi::{
    api::{apps::v1::StatefulSet, core::v1::Pod},
    jiff::Timestamp,
};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
};
use serde_json::json;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until},
};
use valkey_repl_engine::{
    Command, ConditionKind, Connection, Decision, Event, Explanation, Memory, Observation, Phase, Record, Spec, decide,
    explain,
};

use super::{
    Shared,
    apply::{Error, MANAGER},
    builder::Built,
    endpoints::{Wanted, Ways},
    events,
    observe::{self, NodeView, PodView},
    registry::Key,
    report::{self, Facts},
    rollout::Pods,
    stored::Stored,
    withheld::{Wait, Withheld},
};
use crate::{
    api::{ACCEPT_DATA_LOSS, SWITCHOVER, ValkeyReplication, ValkeyReplicationStatus},
    carrier::{Hurry, Orders, Told},
    clock::boottime_ms,
    instance::{Link, Seen, Settings, Target},
    resources::{
        Names,
        names::{PORT, ROLE_LABEL},
        slice::{self, Server},
    },
};

/// The highest ordinal that a resource can have, and one more.
const MOST_INSTANCES: u32 = 9;
/// The pause after the API server failed in something that can wait.
const PAUSE: Duration = Duration::from_secs(2);
/// How long an operator that has just begun to ask leaves people what its predecessor told them of instances that it has not heard of yet.
const INHERITED: Duration = Duration::from_secs(10);
/// How long nodes mostly take until their Services lead elsewhere.
const LEAD_MS: u64 = 75;
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
    news: Arc<Notify>,
    settings: Option<Settings>,
    links: BTreeMap<u32, Link>,
    memory: Memory,
    stored: Option<Stored>,
    orders: Orders,
    ways: Ways,
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

/// What one look shows.
struct Look {
    observation: Observation,
    /// By ordinal, as the instances.
    pods: Vec<Option<PodView>>,
    seen: Vec<Seen>,
    nodes: Vec<NodeView>,
    revision: Option<String>,
}

impl Keeper {
    pub fn new(
        shared: Arc<Shared>,
        key: &Key,
        resource: watch::Receiver<Arc<ValkeyReplication>>,
        built: watch::Receiver<Built>,
        replicas: watch::Sender<Option<u32>>,
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
            news,
            settings: None,
            links: BTreeMap::new(),
            memory: Memory::default(),
            stored: None,
            orders: Orders::default(),
            ways,
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

    /// Looks at everything, and sees to it that every instance has a connection to where its pod is now.
    fn look(&mut self, resource: &ValkeyReplication, names: &Names<'_>) -> Look {
        let asked = u32::try_from(resource.spec.instances).unwrap_or(1);
        let mut pods: Vec<Option<PodView>> = (0..MOST_INSTANCES)
            .map(|ordinal| self.shared.pod(names, ordinal).as_deref().and_then(PodView::read))
            .collect();
        let highest = pods.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        pods.truncate(highest.max(usize::try_from(asked).unwrap_or(1)));
        for pod in pods.iter_mut().flatten() {
            pod.leaving |= self.deleted.get(&pod.name) == Some(&pod.uid);
        }
        self.aim(resource, &pods);
        let nodes: Vec<NodeView> = pods
            .iter()
            .map(|pod| {
                let node = pod.as_ref().and_then(|pod| pod.node.as_deref());
                node.map(|node| self.shared.nodes.view(node, &self.news)).unwrap_or_default()
            })
            .collect();
        let set = self.shared.set(names);
        let mut seen: Vec<Seen> = self.links.values().take(pods.len()).map(Link::seen).collect();
        for ((ordinal, pod), seen) in (0..).zip(&pods).zip(&mut seen) {
            let set = set.as_ref().filter(|set| ordinal < asked && makes(set, ordinal));
            let wait = set.and_then(|set| Wait::of(pod.as_ref(), set.metadata.uid.as_deref()));
            let withheld = self.withheld.why(&names.pod(ordinal), wait);
            if seen.connection != Connection::Connected {
                let trouble = || pod.as_ref()?.trouble.clone();
                seen.problem = seen.problem.take().or_else(trouble).or(withheld);
            }
        }
        let revision = set.as_ref().and_then(|set| {
            let status = set.status.as_ref()?;
            let current = status.observed_generation == set.metadata.generation;
            status.update_revision.clone().filter(|_| current)
        });
        let record = self.stored.as_ref().and_then(Stored::record);
        let look = Look {
            observation: Observation {
                now_ms: boottime_ms(),
                now_rfc3339: now().to_string(),
                leader: *self.shared.leads.borrow(),
                record: record.cloned(),
                record_seen_ms: self.stored.as_ref().map_or(0, |stored| stored.seen_ms),
                record_read_ms: self.stored.as_ref().map_or(0, |stored| stored.read_ms),
                spec: Spec::default(),
                instances: (0..)
                    .zip(&pods)
                    .zip(nodes.iter().zip(&seen))
                    .map(|((ordinal, pod), (node, seen))| observe::instance(names, ordinal, pod.as_ref(), *node, seen))
                    .collect(),
            },
            pods,
            seen,
            nodes,
            revision,
        };
        let primary = look.observation.record.as_ref().and_then(|record| record.primary.as_ref());
        let avoid = look.avoid(asked, primary.map(|life| life.name.as_str()));
        let spec = Spec { lead_ms: LEAD_MS, ..resource.engine_spec(avoid) };
        Look { observation: Observation { spec, ..look.observation }, ..look }
    }

    fn aim(&mut self, resource: &ValkeyReplication, pods: &[Option<PodView>]) {
        let native = resource.spec.flavor == crate::api::Flavor::Native;
        let spec = resource.engine_spec(Vec::new());
        let settings = Settings::new(native, spec.detection_timeout_ms, spec.quorum_timeout_ms);
        if self.settings != Some(settings) {
            self.links.clear();
            self.settings = Some(settings);
        }
        let built = self.built.borrow_and_update().clone();
        if !built.passwords.is_empty() {
            self.began.get_or_insert_with(Instant::now);
        }
        for (ordinal, pod) in (0..).zip(pods) {
            let link = self.links.entry(ordinal).or_insert_with(|| Link::start(settings, self.news.clone()));
            let target = pod.as_ref().filter(|_| !built.passwords.is_empty()).and_then(|pod| {
                Some(Target {
                    uid: pod.uid.clone(),
                    address: (pod.ip?, PORT).into(),
                    own: built.own.clone(),
                    passwords: built.passwords.clone(),
                    settings: built.settings.clone(),
                })
            });
            link.aim(target);
        }
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

    /// Status, labels, and the end of a wish that was carried out.
    async fn tell_people(&mut self, resource: &ValkeyReplication, names: &Names<'_>, decision: &Decision, look: &Look) {
        if self.not_before.is_some_and(|at| Instant::now() < at) {
            return;
        }
        let told = async {
            self.write_status(resource, decision, look).await?;
            self.label(names, look).await?;
            self.end_wish(resource, look).await?;
            self.end_acceptance(resource, decision, look).await
        };
        if let Err(error) = told.await {
            if error.is_conflict() {
                self.stored = None;
                return;
            }
            self.shared.failed(&error, "status not written");
            self.not_before = Some(Instant::now() + PAUSE);
        }
    }

    async fn write_status(
        &mut self,
        resource: &ValkeyReplication,
        decision: &Decision,
        look: &Look,
    ) -> Result<(), Error> {
        if self.has_just_begun() && !decision.endpoints.unheard.is_empty() {
            return Ok(());
        }
        let record = look.observation.record.clone();
        let status = self.status(resource, record, decision, look);
        let gate = (&self.shared.calm, self.patience());
        let Some(stored) = &mut self.stored else { return Ok(()) };
        if !report::differs(stored.status(), &status) || self.status_not_before.is_some_and(|at| Instant::now() < at) {
            return Ok(());
        }
        self.status_not_before = Some(Instant::now() + STATUS_PACE);
        stored.write(&self.api, status, gate).await
    }

    fn status(
        &self,
        resource: &ValkeyReplication,
        record: Option<Record>,
        decision: &Decision,
        look: &Look,
    ) -> ValkeyReplicationStatus {
        let built = self.built.borrow().clone();
        let facts = Facts {
            generation: built.generation.filter(|_| built.problem.is_none()),
            blocked: built.problem.as_deref(),
            wanted: resource.spec.instances,
            pods: i32::try_from(look.pods.iter().flatten().count()).unwrap_or(i32::MAX),
            updated: look.staying(u32::try_from(resource.spec.instances).unwrap_or(1)).updated(),
            selector: format!("{}={}", crate::resources::names::NAME_LABEL, self.key.1),
            instances: &look.observation.instances,
            seen: &look.seen,
            now: now(),
        };
        report::status(self.stored.as_ref().and_then(Stored::status), record, decision, &facts)
    }

    /// Says on each pod, for people, what it is. Nothing is ever read off it.
    async fn label(&self, names: &Names<'_>, look: &Look) -> Result<(), Error> {
        let Some(record) = look.observation.record.as_ref().filter(|record| record.phase.serves()) else {
            return Ok(());
        };
        let api: Api<Pod> = Api::namespaced(self.shared.client.clone(), names.namespace);
        for pod in look.pods.iter().flatten().filter(|pod| !pod.leaving) {
            let primary = record.primary.as_ref().is_some_and(|life| life.name == pod.name && life.uid == pod.uid);
            let role = if primary { "primary" } else { "replica" };
            if pod.role_label.as_deref() != Some(role) {
                let patch = json!({"metadata": {"uid": pod.uid, "labels": {(ROLE_LABEL): role}}});
                let parameters = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
                let patch = Patch::Merge(patch);
                let patched = api.patch_metadata(&pod.name, &parameters, &patch);
                self.shared.calm.pass(self.patience(), patched).await?;
            }
        }
        Ok(())
    }

    /// Takes the annotation away that asked for a move, so that the same can be asked for again.
    async fn end_wish(&self, resource: &ValkeyReplication, look: &Look) -> Result<(), Error> {
        let record = look.observation.record.as_ref().filter(|record| record.phase == Phase::Stable);
        let done = record.and_then(|record| record.switchover_done.as_ref());
        let asked = look.observation.spec.switchover.as_ref().map(|wish| &wish.id);
        if done.is_none() || done != asked {
            return Ok(());
        }
        self.take_annotation(resource, SWITCHOVER).await
    }

    /// Takes the word away that a loss of data is accepted, while nothing is lost: it would be taken for an answer to a later loss.
    async fn end_acceptance(
        &self,
        resource: &ValkeyReplication,
        decision: &Decision,
        look: &Look,
    ) -> Result<(), Error> {
        let Some(word) = resource.metadata.annotations.as_ref().and_then(|all| all.get(ACCEPT_DATA_LOSS)) else {
            return Ok(());
        };
        let is = |kind, status| decision.conditions.iter().any(|c| c.kind == kind && c.status == Some(status));
        if !is(ConditionKind::Ready, true) || is(ConditionKind::DatasetAtRisk, true) {
            return Ok(());
        }
        self.take_annotation(resource, ACCEPT_DATA_LOSS).await?;
        let spent = look.observation.spec.accept_data_loss.as_ref().and_then(|word| word.epoch);
        if look.observation.record.as_ref().is_none_or(|record| spent.is_none_or(|epoch| epoch >= record.epoch)) {
            let message = format!("{ACCEPT_DATA_LOSS}={word} was taken away: no data set is in danger");
            let event = Event { warning: true, reason: "NothingToAccept".into(), message };
            events::publish(&self.shared, resource, vec![event]);
        }
        Ok(())
    }

    /// Takes an annotation away, if nobody has written the resource since.
    async fn take_annotation(&self, resource: &ValkeyReplication, key: &str) -> Result<(), Error> {
        let version = &resource.metadata.resource_version;
        let patch = json!({"metadata": {"resourceVersion": version, "annotations": {(key): null}}});
        let parameters = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
        let patch = Patch::Merge(patch);
        let patched = self.api.patch_metadata(&self.key.1, &parameters, &patch);
        self.shared.calm.pass(self.patience(), patched).await.map(|_| ())
    }

    /// Deletes the next pod that is to be made anew from a newer template.
    async fn restart(&mut self, resource: &ValkeyReplication, names: &Names<'_>, decision: &Decision, look: &Look) {
        let waits = self.not_before.is_some_and(|at| Instant::now() < at);
        if resource.spec.paused || waits || look.seen.iter().any(Seen::refuses_its_settings) {
            return;
        }
        let staying = look.staying(u32::try_from(resource.spec.instances).unwrap_or(1));
        let Some(pod) = staying.next(&decision.restartable) else { return };
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

impl Look {
    /// What the engine says of it, and what is known besides of why an instance does not answer.
    fn explain(&self, decision: &Decision) -> Explanation {
        let mut told = explain(&self.observation, decision);
        for (line, seen) in told.instances.iter_mut().zip(&self.seen) {
            if let Some(problem) = &seen.problem {
                line.extend(["; ", problem]);
            }
        }
        told
    }

    /// The pods that are to stay, against what they should be.
    fn staying(&self, asked: u32) -> Pods<'_> {
        let wanted = usize::try_from(asked).unwrap_or(1);
        Pods { staying: self.pods.iter().take(wanted).flatten().collect(), wanted, revision: self.revision.as_deref() }
    }

    /// Who should not be primary: who leaves, who runs on a node that is being drained while another does not, and an
    /// outdated primary when all others are up to date.
    fn avoid(&self, asked: u32, primary: Option<&str>) -> Vec<String> {
        let somewhere_better = self
            .pods
            .iter()
            .zip(&self.nodes)
            .any(|(pod, node)| pod.as_ref().is_some_and(|pod| !pod.leaving) && !node.draining && !node.gone);
        let staying = self.staying(asked);
        self.pods
            .iter()
            .zip(&self.nodes)
            .filter_map(|(pod, node)| {
                let pod = pod.as_ref()?;
                let due = primary == Some(pod.name.as_str()) && staying.primary_is_due(&pod.name);
                (pod.leaving || due || node.draining && somewhere_better).then(|| pod.name.clone())
            })
            .collect()
    }
}

/// Whether a StatefulSet is to make the pod of this ordinal.
fn makes(set: &StatefulSet, ordinal: u32) -> bool {
    let replicas = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    u32::try_from(replicas).is_ok_and(|replicas| ordinal < replicas)
}

/// Now, to the second, as Kubernetes writes it.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}
