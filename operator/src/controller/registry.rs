//! The tasks of each resource.

use std::{collections::HashMap, sync::Arc};

use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};
use tracing::Instrument;

use super::{
    Shared,
    builder::{Builder, Built},
    keeper::Keeper,
};
use crate::{api::ValkeyReplication, resources::trial::Verdict};

/// Namespace and name.
pub(super) type Key = (String, String);

/// The resources that are looked after.
pub(super) struct Registry {
    shared: Arc<Shared>,
    tasks: HashMap<Key, Tasks>,
}

struct Tasks {
    shared: Arc<Shared>,
    key: Key,
    uid: Option<String>,
    resource: watch::Sender<Arc<ValkeyReplication>>,
    news: Arc<Notify>,
    touched: Arc<Notify>,
    handles: [JoinHandle<()>; 2],
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.handles.iter().for_each(JoinHandle::abort);
        self.shared.desk.leave(&self.key, &self.news);
    }
}

impl Registry {
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared, tasks: HashMap::new() }
    }

    /// A resource is there, or has changed.
    pub fn show(&mut self, resource: ValkeyReplication) {
        let Some(key) = key(&resource) else { return };
        let resource = Arc::new(resource);
        if let Some(tasks) = self.tasks.get(&key).filter(|tasks| tasks.uid == resource.metadata.uid) {
            tasks.resource.send_replace(resource);
            return;
        }
        let tasks = self.start(&key, resource);
        // What looked after one of the same name before ends here.
        self.tasks.insert(key, tasks);
        self.count();
    }

    /// A resource is gone.
    pub fn forget(&mut self, key: &Key) {
        if self.tasks.remove(key).is_some() {
            self.shared.metrics.forget(key);
            tracing::info!(namespace = key.0, name = key.1, "no longer looked after");
        }
        self.count();
    }

    /// Only these are there.
    pub fn retain(&mut self, keys: &std::collections::HashSet<Key>) {
        let gone: Vec<_> = self.tasks.keys().filter(|key| !keys.contains(*key)).cloned().collect();
        gone.iter().for_each(|key| self.forget(key));
    }

    /// A pod of a resource changed.
    pub fn wake(&self, key: &Key) {
        if let Some(tasks) = self.tasks.get(key) {
            tasks.news.notify_one();
        }
    }

    /// An object that was made for a resource changed.
    pub fn touch(&self, key: &Key) {
        if let Some(tasks) = self.tasks.get(key) {
            tasks.touched.notify_one();
            tasks.news.notify_one();
        }
    }

    /// Something changed that may concern every resource.
    pub fn wake_all(&self) {
        self.tasks.values().for_each(|tasks| tasks.news.notify_one());
    }

    fn start(&self, key: &Key, resource: Arc<ValkeyReplication>) -> Tasks {
        let uid = resource.metadata.uid.clone();
        let (resource, shown) = watch::channel(resource);
        let (replicas, asked) = watch::channel(None);
        let (verdict, tried) = watch::channel(Verdict::default());
        let (waits, waiting) = watch::channel(false);
        let (built, standing) = watch::channel(Built::default());
        let (news, touched) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let builder = Builder::new(self.shared.clone(), shown.clone(), asked, (tried, waiting), touched.clone(), built);
        let keeper = Keeper::new(self.shared.clone(), key, shown, standing, (replicas, verdict, waits), news.clone());
        self.shared.desk.enter(key, news.clone());
        let span = tracing::info_span!("valkey", namespace = key.0, name = key.1);
        Tasks {
            shared: self.shared.clone(),
            key: key.clone(),
            uid,
            resource,
            news,
            touched,
            handles: [
                self.shared.work.spawn(builder.run().instrument(span.clone())),
                self.shared.work.spawn(keeper.run().instrument(span)),
            ],
        }
    }

    fn count(&self) {
        self.shared.metrics.resources.set(i64::try_from(self.tasks.len()).unwrap_or(i64::MAX));
    }
}

pub(super) fn key(resource: &ValkeyReplication) -> Option<Key> {
    Some((resource.metadata.namespace.clone()?, resource.metadata.name.clone()?))
}
