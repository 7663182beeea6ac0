//! Which nodes are gone or about to be.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Node;
use kube::{
    Api, Client,
    runtime::{
        WatchStreamExt,
        reflector::{self, ObjectRef, Store},
        watcher,
    },
};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};

use super::{apply::call, observe::NodeView};

/// How long the API server's word that a node does or does not exist is believed.
const BELIEVED: Duration = Duration::from_secs(5);

/// Taints that say that a node is about to be emptied or removed.
const DRAINING: &[&str] = &[
    "node.kubernetes.io/unschedulable",
    "node.cloudprovider.kubernetes.io/shutdown",
    "ToBeDeletedByClusterAutoscaler",
    "karpenter.sh/disrupted",
    "karpenter.sh/disruption",
];
/// A person's word that a node is off and will not come back by itself.
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";
/// The zone of a node.
const ZONE: &str = "topology.kubernetes.io/zone";

/// The nodes of the cluster.
#[derive(Clone)]
pub(super) struct Nodes(Arc<Inner>);

struct Inner {
    client: Client,
    store: Store<Node>,
    /// What the API server said of nodes that the watch does not show.
    asked: Mutex<HashMap<String, Asked>>,
    /// Moves on with every change.
    version: watch::Receiver<u64>,
    allowed: bool,
    task: JoinHandle<()>,
}

#[derive(Clone, Copy)]
struct Asked {
    at: Instant,
    gone: Option<bool>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Nodes {
    /// Watches them. Without the right to look at nodes, nothing is known of any: none is ever taken for gone or draining.
    pub fn watch(client: Client, allowed: bool) -> Self {
        let (store, writer) = reflector::store();
        let (bump, version) = watch::channel(0);
        let nodes =
            watcher(Api::<Node>::all(client.clone()), watcher::Config::default()).default_backoff().modify(slim);
        let mut nodes = Box::pin(reflector::reflector(writer, nodes));
        let task = tokio::spawn(async move {
            while allowed && let Some(event) = nodes.next().await {
                match event {
                    Ok(_) => bump.send_modify(|version| *version += 1),
                    Err(error) => tracing::warn!("nodes are not watched: {error}"),
                }
            }
        });
        Self(Arc::new(Inner { client, store, asked: Mutex::default(), version, allowed, task }))
    }

    /// To wait for changes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.version.clone()
    }

    /// The zone of a node.
    pub fn zone(&self, name: &str) -> Option<String> {
        self.0.store.get(&ObjectRef::new(name))?.metadata.labels.as_ref()?.get(ZONE).cloned()
    }

    /// What is known of a node. The watch may be behind, so that it does not show one is no evidence: the API server is
    /// asked, and `news` is notified of its answer.
    pub fn view(&self, name: &str, news: &Arc<Notify>) -> NodeView {
        let Some(node) = self.0.store.get(&ObjectRef::new(name)) else {
            return NodeView { gone: self.is_gone(name, news), draining: false };
        };
        let spec = node.spec.as_ref();
        let taints = spec.and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
        NodeView {
            gone: taints.iter().any(|taint| taint.key == OUT_OF_SERVICE),
            draining: spec.and_then(|spec| spec.unschedulable) == Some(true)
                || taints.iter().any(|taint| DRAINING.contains(&taint.key.as_str())),
        }
    }

    fn is_gone(&self, name: &str, news: &Arc<Notify>) -> bool {
        if !self.0.allowed {
            return false;
        }
        let mut asked = self.0.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let known = asked.get(name).copied();
        if known.is_none_or(|known| known.at.elapsed() >= BELIEVED) {
            // The old answer stands for nothing while the new one is under way.
            asked.insert(name.to_owned(), Asked { at: Instant::now(), gone: None });
            let (nodes, name, news) = (self.clone(), name.to_owned(), news.clone());
            tokio::spawn(async move {
                let api: Api<Node> = Api::all(nodes.0.client.clone());
                let gone = match call(api.get_metadata_opt(&name)).await {
                    Ok(node) => Some(node.is_none()),
                    Err(_) => None,
                };
                let mut asked = nodes.0.asked.lock().unwrap_or_else(PoisonError::into_inner);
                asked.retain(|_, known| known.at.elapsed() < BELIEVED * 10);
                asked.insert(name, Asked { at: Instant::now(), gone });
                news.notify_one();
            });
            return known.and_then(|known| known.gone) == Some(true)
                && known.is_some_and(|k| k.at.elapsed() < BELIEVED * 2);
        }
        known.and_then(|known| known.gone) == Some(true)
    }
}

/// Keeps what is asked for; node objects are large, and change every few seconds.
fn slim(node: &mut Node) {
    node.metadata.managed_fields = None;
    node.metadata.annotations = None;
    node.status = None;
}
