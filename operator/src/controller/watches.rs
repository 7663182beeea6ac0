//! What is watched, and whom a change wakes.

use std::{collections::HashSet, fmt::Debug, sync::Arc};

use futures::{Stream, StreamExt, stream::BoxStream};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, Pod, Service},
    discovery::v1::EndpointSlice,
    policy::v1::PodDisruptionBudget,
};
use kube::{
    Api, Client, Resource,
    api::ObjectMeta,
    core::{DeserializeGuard, NamespaceResourceScope},
    runtime::{
        WatchStreamExt,
        reflector::{self, Lookup, Store},
        watcher::{self, Event, watcher},
    },
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::{Semaphore, watch};
use valkey_repl_engine::Leadership;

use super::{
    BUILDS, CALM, Desk, EVENTS, Options, READS, Shared, URGENT, Workshop, apply,
    gate::Gate,
    nodes,
    registry::{Key, Registry},
};
use crate::{
    api::ValkeyReplication,
    metrics::Metrics,
    resources::{CONFIG_ANNOTATION, names::NAME_LABEL},
};

/// What a watch says.
enum News {
    Shown(Box<ValkeyReplication>),
    Gone(Key),
    /// All that are there, after a new start of the watch.
    All(HashSet<Key>),
    /// A pod of this resource changed.
    Wake(Key),
    /// An object of this resource that the operator made changed.
    Touch(Key),
    WakeAll,
    /// All objects of one more kind are known.
    Listed,
}

/// Whom the tasks tell about themselves.
pub(super) struct Told {
    pub metrics: Arc<Metrics>,
    pub desk: Arc<Desk>,
}

/// Watches one namespace, or all, and looks after what it finds, until dropped.
pub(super) async fn run(
    client: Client,
    workshop: Workshop,
    namespace: Option<String>,
    options: Arc<Options>,
    leads: watch::Receiver<Option<Leadership>>,
    Told { metrics, desk }: Told,
    nodes: nodes::Nodes,
) {
    let scope = Scope { client, namespace };
    let standing = apply::Standing::default();
    let (pods, pod_news) = scope.reflect::<Pod>(slim_pod, News::Wake, None);
    let (sets, set_news) = scope.reflect::<StatefulSet>(slim, News::Touch, Some(standing.clone()));
    let (slices, slice_news) = scope.reflect::<EndpointSlice>(slim, News::Touch, None);
    let node_news = futures::stream::unfold(nodes.changes(), async |mut changes| {
        changes.changed().await.ok()?;
        Some((News::WakeAll, changes))
    });
    let shared = Arc::new(Shared {
        client: workshop.client,
        work: workshop.runtime,
        options,
        leads,
        metrics,
        desk,
        builds: Semaphore::new(BUILDS),
        reads: Semaphore::new(READS),
        urgent: Gate::new(URGENT),
        calm: Gate::new(CALM),
        events: Arc::new(Gate::new(EVENTS)),
        standing: standing.clone(),
        pods,
        sets,
        slices,
        nodes,
    });
    let mut registry = Registry::new(shared);
    let kinds = [
        pod_news,
        set_news,
        slice_news,
        scope.trace::<ConfigMap>(standing.clone()),
        scope.trace::<Service>(standing.clone()),
        scope.trace::<PodDisruptionBudget>(standing),
    ];
    // What is not listed yet must not be taken for absent.
    let mut missing = kinds.len();
    let mut objects = futures::stream::select_all(kinds.into_iter().chain([node_news.boxed()]));
    while missing > 0 {
        match objects.next().await {
            None => return,
            Some(News::Listed) => missing -= 1,
            Some(_) => {}
        }
    }
    let mut all = futures::stream::select(objects, scope.resources());
    while let Some(news) = all.next().await {
        match news {
            News::Shown(resource) => registry.show(*resource),
            News::Gone(key) => registry.forget(&key),
            News::All(keys) => registry.retain(&keys),
            News::Wake(key) => registry.wake(&key),
            News::Touch(key) => registry.touch(&key),
            News::WakeAll => registry.wake_all(),
            News::Listed => {}
        }
    }
}

/// A kind whose objects belong to a resource.
trait Made:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
    + Send
    + 'static
{
}

impl Made for Pod {}
impl Made for StatefulSet {}
impl Made for EndpointSlice {}
impl Made for ConfigMap {}
impl Made for Service {}
impl Made for PodDisruptionBudget {}

struct Scope {
    client: Client,
    namespace: Option<String>,
}

impl Scope {
    fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match &self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    /// Watches the objects of this kind that the operator made, keeps them at hand, and says whose changed.
    fn reflect<K>(
        &self,
        slim: fn(&mut K),
        news: fn(Key) -> News,
        standing: Option<apply::Standing>,
    ) -> (Store<K>, BoxStream<'static, News>)
    where
        K: Made + Lookup<DynamicType = ()> + Sync,
    {
        let (store, writer) = reflector::store();
        let stream = noted(self.watch::<K>(), standing);
        let stream = reflector::reflector(writer, stream.modify(slim));
        (store, changed(stream, news).boxed())
    }

    /// Watches the objects of this kind that the operator made, and says whose changed.
    fn trace<K>(&self, standing: apply::Standing) -> BoxStream<'static, News>
    where
        K: Made,
    {
        changed(noted(self.watch::<K>(), Some(standing)), News::Touch).boxed()
    }

    fn watch<K: Made>(&self) -> impl Stream<Item = Result<Event<K>, watcher::Error>> + Send + use<K> {
        watcher(self.api::<K>(), watcher::Config::default().labels(NAME_LABEL)).default_backoff()
    }

    /// Watches the resources themselves. One that cannot be read does not hide the others.
    fn resources(&self) -> BoxStream<'static, News> {
        let api: Api<DeserializeGuard<ValkeyReplication>> = match &self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        };
        let mut seen = HashSet::new();
        watcher(api, watcher::Config::default())
            .default_backoff()
            .filter_map(move |event| {
                let show = |guard: DeserializeGuard<ValkeyReplication>, seen: &mut HashSet<Key>| match guard.0 {
                    Ok(resource) => {
                        seen.extend(super::registry::key(&resource));
                        Some(News::Shown(Box::new(resource)))
                    }
                    Err(invalid) => {
                        // It is there: whoever looks after it goes on with what was last read of it.
                        seen.extend(named(&invalid.metadata));
                        tracing::error!(
                            namespace = invalid.metadata.namespace,
                            name = invalid.metadata.name,
                            "a resource that this operator cannot read is left as it is: {}",
                            invalid.error
                        );
                        None
                    }
                };
                let news = match event {
                    Ok(Event::Init) => {
                        seen.clear();
                        None
                    }
                    Ok(Event::InitApply(guard) | Event::Apply(guard)) => show(guard, &mut seen),
                    Ok(Event::InitDone) => Some(News::All(seen.clone())),
                    Ok(Event::Delete(guard)) => {
                        let meta = guard.0.map_or_else(|invalid| invalid.metadata, |resource| resource.metadata);
                        named(&meta).map(News::Gone)
                    }
                    Err(error) => {
                        tracing::warn!("resources are not watched: {error}");
                        None
                    }
                };
                futures::future::ready(news)
            })
            .boxed()
    }
}

/// Tells the appliers what stands, and what stood when the watch began.
fn noted<K: Made>(
    stream: impl Stream<Item = Result<Event<K>, watcher::Error>> + Send,
    standing: Option<apply::Standing>,
) -> impl Stream<Item = Result<Event<K>, watcher::Error>> + Send {
    let mut begun = false;
    stream.inspect(move |event| {
        let (Some(standing), Ok(event)) = (&standing, event) else { return };
        match event {
            Event::InitApply(object) if !begun => standing.inherit(object),
            Event::InitApply(object) | Event::Apply(object) => standing.note::<K>(object.meta()),
            Event::Delete(object) => standing.forget::<K>(object.meta()),
            Event::InitDone => begun = true,
            Event::Init => {}
        }
    })
}

/// Turns what a watch says into whose object changed, and once that all are known.
fn changed<K: Made>(
    stream: impl Stream<Item = Result<Event<K>, watcher::Error>> + Send,
    news: fn(Key) -> News,
) -> impl Stream<Item = News> + Send {
    let mut listed = false;
    stream.filter_map(move |event| {
        let said = match &event {
            Ok(Event::Apply(object) | Event::InitApply(object) | Event::Delete(object)) => {
                owner(object.meta()).map(news)
            }
            Ok(Event::InitDone) => (!std::mem::replace(&mut listed, true)).then_some(News::Listed),
            Ok(Event::Init) => None,
            Err(error) => {
                tracing::warn!("not watched: {error}");
                None
            }
        };
        futures::future::ready(said)
    })
}

/// The resource that an object was made for.
fn owner(meta: &ObjectMeta) -> Option<Key> {
    Some((meta.namespace.clone()?, meta.labels.as_ref()?.get(NAME_LABEL)?.clone()))
}

fn named(meta: &ObjectMeta) -> Option<Key> {
    Some((meta.namespace.clone()?, meta.name.clone()?))
}

fn slim<K: Resource>(object: &mut K) {
    object.meta_mut().managed_fields = None;
}

fn slim_pod(pod: &mut Pod) {
    slim(pod);
    if let Some(annotations) = &mut pod.metadata.annotations {
        annotations.retain(|name, _| name == CONFIG_ANNOTATION);
    }
    if let Some(spec) = &mut pod.spec {
        spec.containers.clear();
        spec.volumes = None;
        spec.affinity = None;
    }
}
