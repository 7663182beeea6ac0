//! Server-side apply that knows when there is nothing to do: an object is sent only when what is wanted has changed
//! since it was last sent, or when somebody else has changed the object. Who has just taken office has sent nothing yet: then the object
//! itself tells whether it stands as wanted ([`stands`](super::stands)).

use std::{
    collections::HashMap,
    fmt::Debug,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ObjectMeta, Patch},
    core::NamespaceResourceScope,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::time::timeout;

use super::stands::stands;
use crate::manager;

/// How long one call to the API server may take.
pub(super) const CALL: Duration = Duration::from_secs(5);

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("{}", words(.0))]
    Kube(#[from] kube::Error),
    #[error("the API server did not answer in time")]
    Late(#[from] tokio::time::error::Elapsed),
    #[error("more is to be asked of the API server than it can answer at once; it is asked again soon")]
    Busy,
    #[error("an object could not be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl Error {
    /// Whether somebody else has written in between.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Kube(kube::Error::Api(status)) if status.is_conflict())
    }
}

/// What the API server said, without the object that it said it in.
fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        error => error.to_string(),
    }
}

/// A call to the API server, bounded.
pub(super) async fn call<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Error> {
    Ok(timeout(CALL, call).await??)
}

/// The objects that stand, as the watches last saw them.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing(Arc<Mutex<HashMap<Key, Seen>>>);

#[derive(Debug)]
struct Seen {
    version: Option<String>,
    /// The object as JSON, where it stood before this operator took office; until somebody has looked at it or changed it.
    inherited: Option<Box<str>>,
}

/// Kind, namespace, name.
type Key = (String, String, String);

impl Standing {
    /// An object that stood before this operator took office.
    pub fn inherit<K: Resource<DynamicType = ()> + Serialize>(&self, object: &K) {
        // One that cannot be written as JSON is applied anew.
        let inherited = serde_json::to_string(object).ok().map(Box::from);
        self.all().insert(key::<K>(object.meta()), Seen { version: version(object.meta()), inherited });
    }

    /// An object was made or changed.
    pub fn note<K: Resource<DynamicType = ()>>(&self, meta: &ObjectMeta) {
        let version = version(meta);
        let mut all = self.all();
        match all.get_mut(&key::<K>(meta)) {
            Some(seen) if seen.version == version => {}
            _ => drop(all.insert(key::<K>(meta), Seen { version, inherited: None })),
        }
    }

    pub fn forget<K: Resource<DynamicType = ()>>(&self, meta: &ObjectMeta) {
        self.all().remove(&key::<K>(meta));
    }

    fn stands(&self, key: &Key) -> bool {
        self.all().contains_key(key)
    }

    fn version(&self, key: &Key) -> Option<String> {
        self.all().get(key)?.version.clone()
    }

    fn look(&self, key: &Key) -> Option<Box<str>> {
        self.all().get(key)?.inherited.clone()
    }

    /// An object that stood before this operator took office, and its version. Only once: then it is known.
    fn inherited(&self, key: &Key) -> Option<(Value, Option<String>)> {
        let mut all = self.all();
        let seen = all.get_mut(key)?;
        let (object, version) = (seen.inherited.take()?, seen.version.clone());
        drop(all);
        Some((serde_json::from_str(&object).ok()?, version))
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Key, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key<K: Resource<DynamicType = ()>>(meta: &ObjectMeta) -> Key {
    (K::kind(&()).into_owned(), meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
}

/// What changes when somebody changes the object on purpose: the generation, which a status leaves alone, where the
/// kind has one.
fn version(meta: &ObjectMeta) -> Option<String> {
    meta.generation.map(|generation| format!("g{generation}")).or_else(|| meta.resource_version.clone())
}

/// Applies the objects of one resource.
pub(super) struct Applier {
    client: Client,
    standing: Standing,
    /// What was sent last, and the version that came of it.
    sent: HashMap<Key, (u64, Option<String>)>,
}

impl Applier {
    pub fn new(client: Client, standing: Standing) -> Self {
        Self { client, standing, sent: HashMap::new() }
    }

    /// Applies an object unless it stands as wanted. The object as it was written, if it was.
    pub async fn apply<K>(&mut self, object: &K) -> Result<Option<K>, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Serialize + DeserializeOwned + Clone + Debug,
    {
        let key = key::<K>(object.meta());
        let mut hasher = DefaultHasher::new();
        serde_json::to_string(object)?.hash(&mut hasher);
        let wanted = hasher.finish();
        match self.sent.get(&key) {
            Some((sent, version)) if *sent == wanted && self.standing.version(&key) == *version => return Ok(None),
            Some(_) => {}
            None => {
                if let Some((found, version)) = self.standing.inherited(&key)
                    && stands(&serde_json::to_value(object)?, &found)
                {
                    self.sent.insert(key, (wanted, version));
                    return Ok(None);
                }
            }
        }
        let written = server_side_apply(&self.client, object).await?;
        tracing::debug!(kind = key.0, name = key.2, "applied");
        self.sent.insert(key, (wanted, version(written.meta())));
        Ok(Some(written))
    }

    /// An object as it stands, if it does.
    pub async fn find<K>(&self, namespace: &str, name: &str) -> Result<Option<K>, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned + Clone + Debug,
    {
        let meta = ObjectMeta { namespace: Some(namespace.into()), name: Some(name.into()), ..ObjectMeta::default() };
        let key = key::<K>(&meta);
        match self.standing.look(&key) {
            Some(object) => Ok(Some(serde_json::from_str(&object)?)),
            None if self.standing.stands(&key) => {
                call(Api::namespaced(self.client.clone(), namespace).get_opt(name)).await
            }
            None => Ok(None),
        }
    }

    /// Deletes an object that is no longer wanted, if it stands.
    pub async fn remove<K>(&mut self, namespace: &str, name: &str) -> Result<(), Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned + Clone + Debug,
    {
        let meta = ObjectMeta { namespace: Some(namespace.into()), name: Some(name.into()), ..ObjectMeta::default() };
        let key = key::<K>(&meta);
        if !self.standing.stands(&key) {
            return Ok(());
        }
        self.sent.remove(&key);
        delete::<K>(&self.client, namespace, name).await
    }
}

/// Deletes an object, if it stands.
pub(super) async fn delete<K>(client: &Client, namespace: &str, name: &str) -> Result<(), Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned + Clone + Debug,
{
    let api = Api::<K>::namespaced(client.clone(), namespace);
    match call(api.delete(name, &DeleteParams::default())).await {
        Err(Error::Kube(kube::Error::Api(status))) if status.is_not_found() => Ok(()),
        deleted => deleted.map(|_| ()),
    }
}

/// Applies an object. A resource version in its metadata makes it fail when somebody else has written since.
pub(super) async fn server_side_apply<K>(client: &Client, object: &K) -> Result<K, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Serialize + DeserializeOwned + Clone + Debug,
{
    let api = Api::<K>::namespaced(client.clone(), &object.namespace().unwrap_or_default());
    call(api.patch(&object.name_any(), &manager::apply(), &Patch::Apply(object))).await
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::ConfigMap};

    use super::*;

    fn meta(generation: Option<i64>, version: &str) -> ObjectMeta {
        ObjectMeta {
            namespace: Some("shop".into()),
            name: Some("pair".into()),
            generation,
            resource_version: Some(version.into()),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn a_change_of_status_is_no_reason_to_apply_anew() {
        let standing = Standing::default();
        let named = key::<StatefulSet>(&meta(None, ""));
        standing.note::<StatefulSet>(&meta(Some(3), "10"));
        let before = standing.version(&named);
        standing.note::<StatefulSet>(&meta(Some(3), "11"));
        assert_eq!(standing.version(&named), before);
        assert!(!standing.stands(&key::<ConfigMap>(&meta(None, ""))));
        standing.forget::<StatefulSet>(&meta(None, ""));
        assert!(!standing.stands(&named));
    }

    #[test]
    fn what_was_inherited_is_looked_at_once_and_not_after_a_change() {
        let standing = Standing::default();
        let named = key::<StatefulSet>(&meta(None, ""));
        let set = StatefulSet { metadata: meta(Some(3), "10"), ..StatefulSet::default() };
        assert_eq!(standing.inherited(&named), None);
        standing.inherit(&set);
        standing.note::<StatefulSet>(&meta(Some(3), "11"));
        let (found, version) = standing.inherited(&named).unwrap();
        assert_eq!((found["metadata"]["name"].as_str(), version.as_deref()), (Some("pair"), Some("g3")));
        assert_eq!(standing.inherited(&named), None);
        standing.inherit(&set);
        standing.note::<StatefulSet>(&meta(Some(4), "12"));
        assert_eq!(standing.inherited(&named), None);
    }
}
