//! How everything is called, and by which labels it is found.

use std::collections::BTreeMap;

use super::Error;
use crate::{api::ValkeyReplication, manager::MANAGER};

/// The highest number of instances that a resource can have.
pub const MOST_INSTANCES: u32 = 9;
/// The port of the protocol.
pub const PORT: u16 = 6379;
/// The port of metrics and health, on the native server.
pub const METRICS_PORT: u16 = 9121;
/// The name of the server's container.
pub const CONTAINER: &str = "valkey";
/// The label that every object of a resource carries, with the resource's name; pods are selected by it.
pub const NAME_LABEL: &str = "valkey-repl.dev/name";
/// The label on pods that says for people what the instance is; nothing is decided by it.
pub const ROLE_LABEL: &str = "valkey-repl.dev/role";

/// The names that follow from a resource's name.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// The resource's own.
    pub name: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
}

impl<'a> Names<'a> {
    /// Of this resource.
    ///
    /// # Errors
    /// When it did not come from an API server and lacks a name or a namespace.
    pub fn of(resource: &'a ValkeyReplication) -> Result<Self, Error> {
        Ok(Self {
            name: resource.metadata.name.as_deref().ok_or(Error::Incomplete("name"))?,
            namespace: resource.metadata.namespace.as_deref().ok_or(Error::Incomplete("namespace"))?,
        })
    }

    /// The StatefulSet and the PodDisruptionBudget.
    pub fn set(&self) -> String {
        self.name.to_owned()
    }

    /// The pod of an ordinal.
    pub fn pod(&self, ordinal: u32) -> String {
        format!("{}-{ordinal}", self.name)
    }

    /// The ordinal of a pod; `None`: it is none of the set.
    pub fn ordinal(&self, pod: &str) -> Option<u32> {
        pod.strip_prefix(self.name)?.strip_prefix('-')?.parse().ok()
    }

    /// The volume claim of an ordinal.
    pub fn claim(&self, ordinal: u32) -> String {
        format!("data-{}", self.pod(ordinal))
    }

    /// The ConfigMap.
    pub fn config(&self) -> String {
        format!("{}-config", self.name)
    }

    /// The Secret with the generated password.
    pub fn auth(&self) -> String {
        format!("{}-auth", self.name)
    }

    /// The Secret with the file that the server reads the password from.
    pub fn auth_conf(&self) -> String {
        format!("{}-auth-conf", self.name)
    }

    /// The Service that leads to the primary.
    pub fn rw(&self) -> String {
        format!("{}-rw", self.name)
    }

    /// The Service that leads to the replicas.
    pub fn ro(&self) -> String {
        format!("{}-ro", self.name)
    }

    /// The Service that gives pods their names.
    pub fn headless(&self) -> String {
        format!("{}-headless", self.name)
    }

    /// How peers reach a pod, and what it announces: the same string, because the server compares it literally. Without
    /// the cluster's domain, which the operator does not know.
    pub fn host(&self, pod: &str) -> String {
        format!("{pod}.{}.{}.svc", self.headless(), self.namespace)
    }

    /// The labels of every object of the resource.
    pub fn labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.selector();
        labels.insert("app.kubernetes.io/name".into(), "valkey".into());
        labels.insert("app.kubernetes.io/instance".into(), self.name.into());
        labels.insert("app.kubernetes.io/managed-by".into(), MANAGER.into());
        labels
    }

    /// The label that selects the pods.
    pub fn selector(&self) -> BTreeMap<String, String> {
        BTreeMap::from([(NAME_LABEL.to_owned(), self.name.to_owned())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_of_a_set_whose_name_ends_in_a_number_is_not_mistaken_for_anothers() {
        let names = Names { name: "pair", namespace: "shop" };
        assert_eq!(names.ordinal("pair-1"), Some(1));
        assert_eq!(names.ordinal("pair-1-0"), None);
        assert_eq!(names.ordinal("pairs-0"), None);
    }
}
