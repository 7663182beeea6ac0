//! Events for people. Each is emitted once by the engine, so they are written as they are, without counting repeats.

use std::sync::Arc;

use k8s_openapi::{api::events::v1::Event as Object, apimachinery::pkg::apis::meta::v1::MicroTime, jiff::Timestamp};
use kube::{Api, Resource, ResourceExt, api::ObjectMeta};
use valkey_repl_engine::Event;

use super::{Shared, apply::CALL};
use crate::{
    api::ValkeyReplication,
    manager::{self, MANAGER},
};

/// The API server's limit for a note.
const LONGEST_NOTE: usize = 1_000;

/// Writes events about a resource, without waiting for them.
pub(super) fn publish(shared: &Arc<Shared>, resource: &ValkeyReplication, events: Vec<Event>) {
    if events.is_empty() {
        return;
    }
    let objects: Vec<_> =
        events.into_iter().map(|event| object(resource, &shared.options.identity, event, Timestamp::now())).collect();
    let api: Api<Object> =
        Api::namespaced(shared.client.clone(), resource.metadata.namespace.as_deref().unwrap_or("default"));
    let gate = shared.events.clone();
    tokio::spawn(async move {
        for object in objects {
            if let Err(error) = gate.pass_eventually(CALL, api.create(&manager::write(), &object)).await {
                tracing::debug!("event not written: {error}");
            }
        }
    });
}

fn object(resource: &ValkeyReplication, identity: &str, event: Event, now: Timestamp) -> Object {
    let mut note = event.message;
    note.truncate(note.floor_char_boundary(LONGEST_NOTE));
    Object {
        metadata: ObjectMeta {
            name: Some(format!("{}.{:x}", resource.name_any(), now.as_nanosecond())),
            namespace: resource.metadata.namespace.clone(),
            ..ObjectMeta::default()
        },
        event_time: Some(MicroTime(now)),
        action: Some(event.reason.clone()),
        reason: Some(event.reason),
        note: Some(note),
        regarding: Some(resource.object_ref(&())),
        reporting_controller: Some(MANAGER.into()),
        reporting_instance: Some(identity.to_owned()),
        type_: Some(if event.warning { "Warning" } else { "Normal" }.into()),
        ..Object::default()
    }
}
