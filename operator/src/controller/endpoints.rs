//! Writes the EndpointSlices behind `<name>-rw` and `<name>-ro`, in a task of its own: what comes next in a move does not wait for it.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::ResourceExt;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Duration, Instant},
};
use tracing::Instrument;
use valkey_repl_engine::observe::Millis;

use super::{
    Shared,
    apply::{Error, server_side_apply},
    registry::Key,
};
use crate::{
    api::ValkeyReplication,
    clock::boottime_ms,
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
/// How long the primary's Service comes before all else while the primary moves.
const FIRST: Duration = Duration::from_secs(1);
/// How long after one change nodes may take for the next: `kube-proxy` takes in changes once a second.
const SETTLE_MS: u64 = 1_100;
/// The pause after a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// Where the Services of a resource are to lead. It follows from a record that is written.
#[derive(Clone)]
pub(super) struct Wanted {
    pub resource: Arc<ValkeyReplication>,
    pub epoch: u64,
    pub rw: Vec<Server>,
    /// `None`: as it is.
    pub ro: Option<Vec<Server>>,
    /// How long one write may take.
    pub patience: Duration,
}

/// The Services of one resource, led where they are to lead by a task that ends when this is dropped.
pub(super) struct Ways {
    wanted: watch::Sender<Option<Wanted>>,
    /// When a Service was last led anew.
    led_ms: Arc<AtomicU64>,
    /// Since when the primary moves.
    moves: Option<Instant>,
    task: JoinHandle<()>,
}

impl Ways {
    pub fn start(shared: &Arc<Shared>, key: &Key) -> Self {
        let (wanted, told) = watch::channel(None);
        let span = tracing::info_span!("valkey", namespace = key.0, name = key.1);
        let writer = Writer::default();
        let led_ms = writer.led_ms.clone();
        let task = shared.work.spawn(writer.run(shared.clone(), told).instrument(span));
        Self { wanted, led_ms, moves: None, task }
    }

    /// Leads them there, and looks again whether they still do.
    pub fn lead(&self, wanted: Wanted) {
        self.wanted.send_replace(Some(wanted));
    }

    /// From when on nodes take in the next change as fast as they mostly do.
    pub fn settled_at_ms(&self) -> Millis {
        match self.led_ms.load(Ordering::Relaxed) {
            0 => 0,
            led_ms => led_ms + SETTLE_MS,
        }
    }

    /// Whether nothing but the primary's Service is to be led anew for now.
    pub fn is_first(&mut self, moves: bool) -> bool {
        let since = if moves { Some(*self.moves.get_or_insert_with(Instant::now)) } else { None };
        self.moves = since;
        since.is_some_and(|since| since.elapsed() < FIRST)
    }
}

impl Drop for Ways {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What was written to the slices of one resource.
#[derive(Default)]
struct Writer {
    written: HashMap<String, Written>,
    /// Since when a Service should lead to nobody and leads to somebody.
    vacant: HashMap<String, Instant>,
    not_before: Option<Instant>,
    led_ms: Arc<AtomicU64>,
}

struct Written {
    servers: Vec<Server>,
    version: Option<String>,
    at: Instant,
}

impl Writer {
    async fn run(mut self, shared: Arc<Shared>, mut told: watch::Receiver<Option<Wanted>>) {
        while told.changed().await.is_ok() {
            let Some(wanted) = told.borrow_and_update().clone() else { continue };
            let Ok(names) = Names::of(&wanted.resource) else { continue };
            let ways = [(names.rw(), Some(&wanted.rw)), (names.ro(), wanted.ro.as_ref())];
            for (service, servers) in ways {
                let leads = shared.leads.borrow().is_some_and(|lead| boottime_ms() < lead.until_ms);
                let Some(servers) = servers.filter(|_| leads) else { continue };
                let live = shared.slice(&names, &service);
                let through = (&*shared, wanted.patience);
                let written =
                    self.write(through, &wanted.resource, &service, wanted.epoch, servers, live.as_deref()).await;
                if let Err(error) = written {
                    shared.failed(&error, &format!("{service} cannot be led anew"));
                }
            }
        }
    }

    /// Makes a slice lead to these servers, unless it does. `live` is the slice as the watch last saw it.
    async fn write(
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
                self.led_ms.store(boottime_ms(), Ordering::Relaxed);
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
