//! Makes and keeps the objects of one resource. A task of its own, so that a slow API server does not hold up a failover.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use k8s_openapi::{
    ByteString,
    api::{
        core::v1::{ConfigMap, PersistentVolumeClaim, Secret},
        policy::v1::PodDisruptionBudget,
    },
};
use kube::{
    Api,
    api::{ListParams, Patch},
};
use serde_json::json;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until},
};

use super::{
    Shared,
    apply::{self, Applier, call},
    stands::stands,
    strays,
};
use crate::{
    api::ValkeyReplication,
    instance::{Directives, Password},
    manager,
    resources::{
        self, Context, Files, Names, auth, files, memory,
        names::MOST_INSTANCES,
        trial::{self, Verdict},
    },
};

/// How often the password is looked at although nothing is known to have changed: secrets are not watched, so that the
/// operator needs no right to list them. With the claims and slices, that is less than one request a minute for a pair.
const REVIEW: Duration = Duration::from_secs(85);
/// How often claims are, what was rendered of the password, and what leads Services elsewhere unseen by the watch: while no pod waits.
const REVIEW_CLAIMS: Duration = Duration::from_secs(900);
/// For how long all that changes is a reason to look for what leads a Service elsewhere, once somebody had it do so.
const STRAYS: Duration = Duration::from_secs(60);
/// The first and the longest pause after a failure.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));

/// What the builder tells the keeper.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Built {
    /// The generation whose objects stand.
    pub generation: Option<i64>,
    /// What the instances ask for: the password in force, and the one before it. Empty: not known yet.
    pub passwords: Vec<Password>,
    /// The password of the operator's own user; none where it was never made.
    pub own: Option<Password>,
    /// What the instances are told and asked of their configuration.
    pub directives: Directives,
    /// How many instances have a volume from before, counted to the last that has one; none where that was not looked up, nor asked for.
    pub volumes: Option<u32>,
    /// Why the objects cannot be made.
    pub problem: Option<String>,
}

/// What keeps the objects from being made.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Resource(#[from] resources::Error),
    #[error(transparent)]
    Api(#[from] apply::Error),
    #[error("Secret {name} has no key {key}; make it, or let spec.auth name another")]
    NoPassword { name: String, key: String },
    #[error(
        "spec.storage.size: {claim} cannot grow to {size}: {why}; the storage class must be able to expand volumes"
    )]
    Claim { claim: String, size: String, why: apply::Error },
    #[error("no random numbers for a password: {0}")]
    Random(#[from] getrandom::Error),
    #[error("the resource breaks a rule of its definition: {0}")]
    Rule(String),
    #[error("a Secret could not be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// The task's state.
pub(super) struct Builder {
    shared: Arc<Shared>,
    resource: watch::Receiver<Arc<ValkeyReplication>>,
    /// How many pods the engine wants; nothing until it has spoken.
    replicas: watch::Receiver<Option<u32>>,
    /// What running servers say of the directives.
    verdict: watch::Receiver<Verdict>,
    /// Whether a pod is missing, or waits for its node to set it up. It is looked at with the next review, and no reason for one by itself.
    waits: watch::Receiver<bool>,
    /// Something of the resource changed in the cluster.
    touched: Arc<Notify>,
    built: watch::Sender<Built>,
    applier: Applier,
    /// The generation that breaks no rule.
    checked: Option<i64>,
    /// `valkey.conf` as it was last applied, for each start-up that pods were made for.
    files: Files,
    /// The one of them that pods are made for now.
    file: Option<String>,
    /// What was last rendered.
    passwords: Vec<Password>,
    own: Option<Password>,
    reviewed: Option<Instant>,
    strays_until: Instant,
    claims_reviewed: Option<Instant>,
    /// The size that each claim was last seen to ask for.
    claims: HashMap<String, u64>,
}

impl Builder {
    pub fn new(
        shared: Arc<Shared>,
        resource: watch::Receiver<Arc<ValkeyReplication>>,
        replicas: watch::Receiver<Option<u32>>,
        (verdict, waits): (watch::Receiver<Verdict>, watch::Receiver<bool>),
        touched: Arc<Notify>,
        built: watch::Sender<Built>,
    ) -> Self {
        let applier = Applier::new(shared.client.clone(), shared.standing.clone());
        Self {
            shared,
            resource,
            replicas,
            verdict,
            waits,
            touched,
            built,
            applier,
            checked: None,
            files: Files::new(),
            file: None,
            passwords: Vec::new(),
            own: None,
            reviewed: None,
            strays_until: Instant::now(),
            claims_reviewed: None,
            claims: HashMap::new(),
        }
    }

    pub async fn run(mut self) {
        let mut pause = PAUSES.0;
        loop {
            let resource = self.resource.borrow_and_update().clone();
            let next = match self.build(&resource).await {
                Ok(()) => {
                    pause = PAUSES.0;
                    self.report(|built| {
                        built.generation = resource.metadata.generation;
                        built.problem = None;
                    });
                    self.review()
                }
                Err(error) => {
                    tracing::warn!("objects not made: {error}");
                    self.shared.metrics.build_failures.inc();
                    self.reviewed = None;
                    self.report(|built| built.problem = Some(error.to_string()));
                    pause = (pause * 2).min(PAUSES.1);
                    pause
                }
            };
            let deadline = Instant::now() + next;
            tokio::select! {
                changed = self.resource.changed() => if changed.is_err() { return },
                changed = self.replicas.changed() => if changed.is_err() { return },
                changed = self.verdict.changed() => if changed.is_err() { return },
                () = self.touched.notified() => {}
                () = sleep_until(deadline) => {}
            }
        }
    }

    /// Each resource at a time of its own: thousands of them do not ask all at once.
    fn review(&self) -> Duration {
        let mut hasher = DefaultHasher::new();
        self.resource.borrow().metadata.uid.hash(&mut hasher);
        let share = u32::try_from(hasher.finish() % 1_000).unwrap_or(0);
        REVIEW * 3 / 4 + REVIEW * share / 2_000
    }

    fn report(&self, change: impl FnOnce(&mut Built)) {
        self.built.send_if_modified(|built| {
            let before = built.clone();
            change(built);
            *built != before
        });
    }

    async fn build(&mut self, resource: &ValkeyReplication) -> Result<(), Error> {
        let shared = self.shared.clone();
        let names = Names::of(resource)?;
        if resource.metadata.deletion_timestamp.is_some() {
            return Ok(());
        }
        if self.checked.is_none() || self.checked != resource.metadata.generation {
            resource.check().map_err(|errors| Error::Rule(errors.to_string()))?;
            self.checked = resource.metadata.generation;
        }
        let due = self.reviewed.is_none_or(|at| at.elapsed() >= self.review());
        // What is reviewed seldom may be what a pod lacks.
        let waits = due && *self.waits.borrow();
        let thorough = waits || self.claims_reviewed.is_none_or(|at| at.elapsed() >= REVIEW_CLAIMS);
        if due || thorough {
            // Without the password nobody is asked how it is: that does not wait for what others have to build.
            let _turn = shared.reads.acquire().await;
            self.secrets(resource, &names, thorough).await?;
        }
        if resource.spec.paused {
            return Ok(());
        }
        let _turn = shared.builds.acquire().await;
        self.count_volumes(resource, &names).await?;
        let live = self.shared.set(&names);
        let asked = resource.spec.instances;
        let replicas = match *self.replicas.borrow_and_update() {
            Some(replicas) => i32::try_from(replicas).unwrap_or(asked),
            // Not before the engine has spoken: who is to leave may still be needed.
            None => live.as_ref().and_then(|set| set.spec.as_ref()?.replicas).unwrap_or(asked).max(asked),
        };
        let directives = resources::render(resource)?.directives(resource);
        self.report(|built| built.directives = directives.clone());
        let verdict = self.verdict.borrow_and_update().clone();
        if self.files.is_empty() {
            let standing: Option<ConfigMap> = self.applier.find(names.namespace, &names.config()).await?;
            self.files = standing.map(files::read).unwrap_or_default();
            self.file = files::newest(live.as_deref(), &self.files);
        }
        let accepted = trial::accepted(resource, &directives, &verdict, self.file.as_deref());
        let pods: Vec<_> = (0..MOST_INSTANCES).filter_map(|ordinal| shared.pod(&names, ordinal)).collect();
        let kept = files::in_use(pods.iter().map(|pod| &**pod), live.as_deref(), &self.files, self.file.as_deref());
        let server_image = &shared.options.server_image;
        let context = Context { server_image, replicas, live: live.as_deref(), kept: &kept };
        let desired = resources::build(&accepted, &context)?;
        // What pods mount and are found by stands before the pods do.
        self.applier.apply(&desired.config).await?;
        self.files = files::read(desired.config);
        self.file = files::newest(Some(&desired.stateful_set), &self.files);
        for service in &desired.services {
            if let Some(standing) = self.applier.apply(service).await?
                && strays::drop_selector(&shared, service, &standing).await?
            {
                // What the platform's controllers make of it comes in a moment.
                self.strays_until = Instant::now() + STRAYS;
            }
        }
        if due || Instant::now() < self.strays_until {
            strays::sweep(&shared, &names).await?;
        }
        // Not when an operator begins, with thousands of resources at once.
        if thorough && self.claims_reviewed.is_some() {
            strays::sweep_unlabelled(&shared, &names).await?;
        }
        match &desired.budget {
            Some(budget) => drop(self.applier.apply(budget).await?),
            None => self.applier.remove::<PodDisruptionBudget>(names.namespace, &names.set()).await?,
        }
        self.applier.apply(&desired.stateful_set).await?;
        self.grow_claims(resource, &names, replicas, thorough).await?;
        if thorough {
            self.claims_reviewed = Some(Instant::now());
        }
        if due {
            self.reviewed = Some(Instant::now());
        }
        Ok(())
    }

    /// Looks up which volumes there are from before, for a set of which nothing is recorded: the newest data may be on one that was not asked
    /// for again.
    async fn count_volumes(&self, resource: &ValkeyReplication, names: &Names<'_>) -> Result<(), Error> {
        let record = resource.status.as_ref().and_then(|status| status.record.as_ref());
        if record.is_some_and(|record| record.phase.is_formed()) || resource.spec.storage.ephemeral {
            return Ok(());
        }
        let api: Api<PersistentVolumeClaim> = Api::namespaced(self.shared.client.clone(), names.namespace);
        let named = names.selector().into_iter().map(|(label, name)| format!("{label}={name}")).collect::<Vec<_>>();
        let claims = call(api.list_metadata(&ListParams::default().labels(&named.join(",")))).await?.items;
        let is = |ordinal: &u32| {
            let name = names.claim(*ordinal);
            claims.iter().any(|claim| claim.metadata.name.as_ref() == Some(&name))
        };
        let last = (0..MOST_INSTANCES).rev().find(is);
        self.report(|built| built.volumes = Some(last.map_or(0, |ordinal| ordinal + 1)));
        Ok(())
    }

    /// Reads the password, makes one if there is none, and renders the file that the servers read. `thorough`: also when nothing changed.
    async fn secrets(&mut self, resource: &ValkeyReplication, names: &Names<'_>, thorough: bool) -> Result<(), Error> {
        let api: Api<Secret> = Api::namespaced(self.shared.client.clone(), names.namespace);
        let (name, key) = auth::source(resource, names);
        let value = |secret: &Secret| secret.data.as_ref()?.get(key).map(|ByteString(bytes)| bytes.clone());
        let mut password = call(api.get_opt(&name)).await?.as_ref().and_then(value);
        // Who deleted the one may have deleted the other, too.
        let thorough = thorough || password.is_none();
        if password.is_none() && resource.spec.auth.secret_name.is_none() && !resource.spec.paused {
            // Clients have the one in force, if there is one.
            let conf = call(api.get_opt(&names.auth_conf())).await?;
            let in_force = conf.as_ref().and_then(|conf| auth::in_force(resource, conf));
            let in_force = in_force.or_else(|| self.passwords.first().map(|known| known.0.to_vec()));
            let again = in_force.is_some();
            let wanted = in_force.map_or_else(|| auth::password().map(String::into_bytes), Ok)?;
            let secret = auth::generated(resource, names, &wanted)?;
            match call(api.create(&manager::write(), &secret)).await {
                Ok(secret) => {
                    let what = if again { "the Secret was gone and is made anew" } else { "a password was generated" };
                    tracing::info!(secret = name, "{what}");
                    password = value(&secret);
                }
                // Another was faster, or a person emptied it; the next look will tell.
                Err(apply::Error::Kube(kube::Error::Api(status))) if status.is_already_exists() => {}
                Err(error) => return Err(error.into()),
            }
        }
        if !thorough && password.is_some() && self.rendered_from(password.as_deref()) {
            return Ok(());
        }
        let standing = call(api.get_opt(&names.auth_conf())).await?;
        // Servers that run know the one that was told them.
        let known = || self.own.as_ref().and_then(|own| String::from_utf8(own.0.to_vec()).ok());
        let own = match standing.as_ref().and_then(auth::own).or_else(known) {
            None if !resource.spec.paused => Some(auth::password()?),
            own => own,
        };
        let secret = |bytes: Vec<u8>| Password(bytes.into());
        let made = password.ok_or_else(|| Error::NoPassword { name, key: key.to_owned() }).and_then(|password| {
            let previous = standing.as_ref().and_then(|standing| auth::previous(standing, &password));
            let rendered = auth::rendered(resource, names, &password, previous.as_deref(), own.as_deref())?;
            Ok((rendered, [Some(password), previous].into_iter().flatten().map(secret).collect::<Vec<_>>()))
        });
        let own = own.map(|own| secret(own.into_bytes()));
        let (rendered, passwords) = match made {
            Ok(made) => made,
            Err(error) => {
                // The servers go on with what they were last told, and so do we.
                let told: Vec<_> = standing.iter().flat_map(auth::standing).map(secret).collect();
                if !told.is_empty() {
                    self.report(|built| (built.passwords, built.own) = (told, own));
                }
                return Err(error);
            }
        };
        let other = match &standing {
            Some(standing) => !stands(&serde_json::to_value(&rendered)?, &serde_json::to_value(standing)?),
            None => true,
        };
        if other && !resource.spec.paused {
            // Before any server is told: one that starts from now on reads it there.
            apply::server_side_apply(&self.shared.client, &rendered).await?;
        }
        self.passwords.clone_from(&passwords);
        self.own.clone_from(&own);
        self.report(|built| (built.passwords, built.own) = (passwords, own));
        Ok(())
    }

    /// Whether this password is the one in force, and all that follows from it stands.
    fn rendered_from(&self, password: Option<&[u8]>) -> bool {
        let built = self.built.borrow();
        self.passwords.first().map(|current| &*current.0) == password
            && (&built.passwords, &built.own) == (&self.passwords, &self.own)
    }

    /// Asks for the wanted size where a claim stands that asks for less.
    async fn grow_claims(
        &mut self,
        resource: &ValkeyReplication,
        names: &Names<'_>,
        replicas: i32,
        due: bool,
    ) -> Result<(), Error> {
        let storage = &resource.spec.storage;
        let Some(wanted) = memory::bytes(&storage.size).filter(|_| !storage.ephemeral) else { return Ok(()) };
        let api: Api<PersistentVolumeClaim> = Api::namespaced(self.shared.client.clone(), names.namespace);
        for ordinal in 0..u32::try_from(replicas).unwrap_or(0) {
            let name = names.claim(ordinal);
            if !due && self.claims.get(&name).is_some_and(|size| *size >= wanted) {
                continue;
            }
            let Some(claim) = call(api.get_opt(&name)).await? else {
                self.claims.remove(&name);
                continue;
            };
            let asks = claim
                .spec
                .as_ref()
                .and_then(|spec| spec.resources.as_ref()?.requests.as_ref()?.get("storage"))
                .and_then(|size| memory::bytes(&size.0))
                .unwrap_or(0);
            if asks < wanted {
                let grown = json!({"spec": {"resources": {"requests": {"storage": storage.size}}}});
                let patched = call(api.patch(&name, &manager::merge(), &Patch::Merge(grown))).await;
                patched.map_err(|why| Error::Claim { claim: name.clone(), size: storage.size.clone(), why })?;
                tracing::info!(claim = name, size = storage.size, "the claim grows");
            }
            self.claims.insert(name, asks.max(wanted));
        }
        Ok(())
    }
}
