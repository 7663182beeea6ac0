//! Writes the EndpointSlices behind `<name>-rw` and `<name>-ro`.

use std::collections::HashMap;

use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::ResourceExt;
use tokio::time::{Duration, Instant};

use super::{
    Shared,
    apply::{Error, server_side_apply},
};
use crate::{
    api::ValkeyReplication,
    resources::{
        Names,
        slice::{self, Server},
    },
};

/// On a slice: the epoch that it follows from. Never goes back.
const EPOCH: &str = "valkey-repl.dev/epoch";
/// How long the watch may take to show a write of ours before another's is suspected.
const ECHO: Duration = Duration::from_secs(2);
/// How long a Service may lead to somebody who no longer serves before it is made to lead to nobody. A successor is mostly
/// there sooner, and nodes take in changes no oftener than once a second: an empty slice in between would cost that second.
/// Who was replaced accepts no writes meanwhile.
const VACANCY: Duration = Duration::from_secs(1);
/// How long the replicas' Service may wait for the primary's, for the same reason.
const FIRST: Duration = Duration::from_secs(1);
/// The pause after a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// What was written to the slices of one resource.
#[derive(Default)]
pub(super) struct Writer {
    written: HashMap<String, Written>,
    /// Since when a Service should lead to nobody and leads to somebody.
    vacant: HashMap<String, Instant>,
    not_before: Option<Instant>,
    /// Since when the primary moves.
    moves: Option<Instant>,
}

struct Written {
    servers: Vec<Server>,
    version: Option<String>,
    at: Instant,
}

impl Writer {
    /// Whether the replicas' Service is left alone for now, because the primary's is about to change: a node that has just taken in the one
    /// would take in the other only a second later.
    pub fn rests(&mut self, moves: bool) -> bool {
        let since = if moves { Some(*self.moves.get_or_insert_with(Instant::now)) } else { None };
        self.moves = since;
        since.is_some_and(|since| since.elapsed() < FIRST)
    }

    /// Makes a slice lead to these servers, unless it does. `live` is the slice as the watch last saw it.
    pub async fn write(
        &mut self,
        (shared, patience): (&Shared, Duration),
        resource: &ValkeyReplication,
        service: &str,
        epoch: u64,
        servers: &[Server],
        live: Option<&EndpointSlice>,
    ) -> Result<(), Error> {
        if self.not_before.is_some_and(|at| Instant::now() < at) {
            return Ok(());
        }
        let Ok(names) = Names::of(resource) else { return Ok(()) };
        let Ok(mut wanted) = slice::build(resource, &names, service, servers) else { return Ok(()) };
        if servers.is_empty() && live.is_some_and(|live| !live.endpoints.is_empty()) {
            let since = self.vacant.entry(service.to_owned()).or_insert_with(Instant::now);
            if since.elapsed() < VACANCY {
                return Ok(());
            }
        } else {
            self.vacant.remove(service);
        }
        match live {
            None if servers.is_empty() => return Ok(()),
            // Its family cannot be changed; one without addresses says nothing about it.
            Some(live) if servers.is_empty() => wanted.address_type.clone_from(&live.address_type),
            _ => {}
        }
        let known = live.and_then(EndpointSlice::resource_version);
        if let Some(written) = self.written.get(service)
            && written.servers == servers
            && (written.version == known || written.at.elapsed() < ECHO)
        {
            return Ok(());
        }
        if let Some(live) = live {
            let newer =
                live.annotations().get(EPOCH).and_then(|text| text.parse().ok()).is_some_and(|was: u64| was > epoch);
            if newer {
                tracing::warn!(service, epoch, "left alone: it follows from a newer epoch");
                return Ok(());
            }
            if !self.written.contains_key(service) && says_the_same(live, &wanted, epoch) {
                let written = Written { servers: servers.to_vec(), version: known, at: Instant::now() };
                self.written.insert(service.to_owned(), written);
                return Ok(());
            }
        }
        wanted.annotations_mut().insert(EPOCH.into(), epoch.to_string());
        // Whoever wrote since we looked knew better than we.
        let standing = self.written.get(service).filter(|w| w.at.elapsed() < ECHO).and_then(|w| w.version.clone());
        wanted.metadata.resource_version = standing.or(known);
        match shared.urgent.pass(patience, server_side_apply(&shared.client, &wanted)).await {
            Ok(slice) => {
                let pods = servers.iter().map(|server| server.pod.as_str()).collect::<Vec<_>>().join(", ");
                tracing::info!(service, epoch, "leads to [{pods}]");
                self.written.insert(
                    service.to_owned(),
                    Written { servers: servers.to_vec(), version: slice.resource_version(), at: Instant::now() },
                );
                Ok(())
            }
            Err(error) => {
                self.not_before = Some(Instant::now() + if error.is_conflict() { PAUSE / 10 } else { PAUSE });
                self.written.remove(service);
                Err(error)
            }
        }
    }
}

/// Whether a slice that stands, of our predecessor's writing, needs nothing from us.
fn says_the_same(live: &EndpointSlice, wanted: &EndpointSlice, epoch: u64) -> bool {
    live.annotations().get(EPOCH).is_some_and(|text| *text == epoch.to_string())
        && live.address_type == wanted.address_type
        && live.endpoints == wanted.endpoints
        && live.ports == wanted.ports
        && live.labels() == wanted.labels()
        && live.owner_references() == wanted.owner_references()
}
