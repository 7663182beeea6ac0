//! What people are told: status, labels, and the end of a wish that was carried out.

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::Patch};
use serde_json::json;
use tokio::time::Instant;
use valkey_repl_engine::{ConditionKind, Decision, Event, Phase, Record};

use super::{Keeper, PAUSE, STATUS_PACE, look::Look, now};
use crate::{
    api::{ACCEPT_DATA_LOSS, SWITCHOVER, ValkeyReplication, ValkeyReplicationStatus},
    controller::{
        apply::Error,
        events,
        report::{self, Facts},
        stored::Stored,
    },
    manager,
    resources::{Names, names::ROLE_LABEL},
};

impl Keeper {
    /// Status, labels, and the end of a wish that was carried out.
    pub(super) async fn tell_people(
        &mut self,
        resource: &ValkeyReplication,
        names: &Names<'_>,
        decision: &Decision,
        look: &Look,
    ) {
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

    pub(super) fn status(
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
                let (parameters, patch) = (manager::merge(), Patch::Merge(patch));
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
        let (parameters, patch) = (manager::merge(), Patch::Merge(patch));
        let patched = self.api.patch_metadata(&self.key.1, &parameters, &patch);
        self.shared.calm.pass(self.patience(), patched).await.map(|_| ())
    }
}
