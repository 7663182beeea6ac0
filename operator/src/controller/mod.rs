//! The operator in a cluster. Policy is the engine's; here things are seen, kept, written and told.
//!
//! For each resource there are two tasks. The [`keeper`] is the fast one: it looks at the instances and their pods, asks
//! the engine, writes the record, sends commands. The [`builder`] is the slow one: it makes the objects and keeps them as
//! they should be. Watches and connections wake them; neither waits for the other.
//!
//! | file | says |
//! |---|---|
//! | `watches` | what is watched, and whom a change wakes |
//! | `registry` | the tasks of each resource |
//! | `keeper` | one turn: observe → decide → record → commands → endpoints → status; `keeper::look` is what it sees, `keeper::people` what it tells |
//! | `stored` | the record as it stands in the API server, read and written with its version |
//! | `builder` | validate → build → apply |
//! | `gate` | how much is asked of the API server at once |
//! | `desk` | people's questions |
//! | `apply` | server-side apply that knows when there is nothing to do |
//! | `strays` | what leads a Service elsewhere although the operator did not say so |
//! | `stands` | whether an object stands as it would be applied (pure) |
//! | `observe` | pods and answers put together for the engine (pure) |
//! | `trouble` | why a pod's server does not run (pure) |
//! | `withheld` | why a pod is not made or not set up, of which only events tell |
//! | `rollout` | who restarts next (pure) |
//! | `report` | what status says, and when that is worth a write (pure) |
//! | `endpoints` | the EndpointSlices |
//! | `nodes` | which nodes are gone or draining |
//! | `events` | events for people |

mod apply;
mod arrival;
mod builder;
mod desk;
mod endpoints;
mod events;
mod gate;
mod keeper;
mod nodes;
mod observe;
mod registry;
pub(crate) mod report;
mod rollout;
mod stands;
mod stored;
mod strays;
mod trouble;
mod watches;
mod withheld;

use std::sync::Arc;

use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Pod, discovery::v1::EndpointSlice};
use kube::{
    Client,
    runtime::reflector::{ObjectRef, Store},
};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, watch},
};
use valkey_repl_engine::Leadership;

pub use desk::Desk;

use crate::{metrics::Metrics, resources::Names};

/// How the controller is to work.
#[derive(Clone, Debug)]
pub struct Options {
    /// The image of the native server, for resources that name none.
    pub server_image: String,
    /// The namespaces to look at; none: all.
    pub namespaces: Vec<String>,
    /// Who this operator is: its pod's name.
    pub identity: String,
    /// Whether it may look at nodes.
    pub watch_nodes: bool,
}

/// How many resources may be built at once, so that the start of an operator does not drown the API server.
const BUILDS: usize = 16;
/// How many may read what they begin with at once, records and passwords: more at a time would not come sooner, and all of them too late.
const READS: usize = 32;
/// How many calls may be under way at once that clients wait for: records and the ways of the Services.
const URGENT: usize = 32;
/// How many for people: status, labels, and so on.
const CALM: usize = 8;
/// How many of and for events.
const EVENTS: usize = 4;

/// What the tasks of all resources in one scope share.
struct Shared {
    client: Client,
    /// Where the tasks of resources run.
    work: Handle,
    options: Arc<Options>,
    leads: watch::Receiver<Option<Leadership>>,
    metrics: Arc<Metrics>,
    desk: Arc<Desk>,
    builds: Semaphore,
    reads: Semaphore,
    urgent: gate::Gate,
    calm: gate::Gate,
    events: Arc<gate::Gate>,
    standing: apply::Standing,
    pods: Store<Pod>,
    sets: Store<StatefulSet>,
    slices: Store<EndpointSlice>,
    nodes: nodes::Nodes,
}

impl Shared {
    /// Notes what the API server did not do.
    fn failed(&self, error: &apply::Error, what: &str) {
        if matches!(error, apply::Error::Busy) {
            tracing::debug!("{what}: {error}");
        } else {
            tracing::warn!("{what}: {error}");
            self.metrics.api_failures.inc();
        }
    }

    fn pod(&self, names: &Names<'_>, ordinal: u32) -> Option<Arc<Pod>> {
        self.pods.get(&ObjectRef::new(&names.pod(ordinal)).within(names.namespace))
    }

    fn set(&self, names: &Names<'_>) -> Option<Arc<StatefulSet>> {
        self.sets.get(&ObjectRef::new(&names.set()).within(names.namespace))
    }

    fn slice(&self, names: &Names<'_>, service: &str) -> Option<Arc<EndpointSlice>> {
        self.slices.get(&ObjectRef::new(service).within(names.namespace))
    }
}

/// Where what happens to the resources runs: a runtime and a client of its own. However much there is to do, the Lease is renewed and the
/// watches are read meanwhile.
#[derive(Clone)]
pub struct Workshop {
    /// The runtime.
    pub runtime: Handle,
    /// A client whose connections nobody outside of that runtime uses.
    pub client: Client,
}

/// Looks after all resources until dropped. To be run only while leading; dropping it stops everything at once.
/// `client` is for the watches.
pub async fn run(
    client: Client,
    workshop: Workshop,
    options: Arc<Options>,
    leads: watch::Receiver<Option<Leadership>>,
    metrics: Arc<Metrics>,
    desk: Arc<Desk>,
) {
    let nodes = nodes::Nodes::watch(client.clone(), options.watch_nodes);
    let scopes =
        if options.namespaces.is_empty() { vec![None] } else { options.namespaces.iter().cloned().map(Some).collect() };
    let watches = scopes.into_iter().map(|namespace| {
        let told = watches::Told { metrics: metrics.clone(), desk: desk.clone() };
        watches::run(client.clone(), workshop.clone(), namespace, options.clone(), leads.clone(), told, nodes.clone())
    });
    futures::future::join_all(watches).await;
}
