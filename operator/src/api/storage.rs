//! `spec.storage` and `spec.persistence`.

use kube::core::{Message, Rule};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::{object_name, says};

/// Where an instance keeps its data directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = [
    Rule::new("self.ephemeral == oldSelf.ephemeral")
    .message("spec.storage.ephemeral cannot change: make a new resource and move the data over").field_path(".ephemeral"),
    Rule::new("has(self.storageClassName) == has(oldSelf.storageClassName) && (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)")
    .message("spec.storage.storageClassName cannot change: make a new resource and move the data over").field_path(".storageClassName"),
]))]
pub struct Storage {
    /// Size of the volume claim of each instance. It may grow, when the storage class can expand volumes; it cannot
    /// shrink. A good size is three times the memory limit: the data set, the next snapshot and a log.
    #[schemars(length(max = 64))]
    #[schemars(extend("x-kubernetes-validations" = [
        Rule::new("isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))")
        .message(says("spec.storage.size", "must be an amount above zero such as 10Gi")),
        Rule::new("!isQuantity(self) || !isQuantity(oldSelf) || quantity(self).compareTo(quantity(oldSelf)) >= 0")
        .message(Message::Expression(
            "'spec.storage.size cannot shrink from ' + oldSelf + ' to ' + self + ': keep it at ' + oldSelf + ' or above'".into())),
    ]))]
    pub size: String,
    /// Storage class of the claims; the cluster's default class when left out. Cannot be changed later.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253), extend("x-kubernetes-validations" = [object_name("spec.storage.storageClassName")]))]
    pub storage_class_name: Option<String>,
    /// Keep the data in an `emptyDir` of at most `size`, which a deleted pod takes with it: for caches. Cannot be
    /// changed later.
    pub ephemeral: bool,
    /// What becomes of the claims when the resource is deleted; claims of instances that were scaled away are kept
    /// too. `Retain` keeps them, and a new resource of the same name finds its data again.
    pub when_deleted: Retention,
}

impl Default for Storage {
    fn default() -> Self {
        Self { size: "1Gi".into(), storage_class_name: None, ephemeral: false, when_deleted: Retention::Retain }
    }
}

/// What becomes of a volume claim that is no longer used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Retention {
    /// It stays until somebody deletes it.
    #[default]
    Retain,
    /// It is deleted with the resource.
    Delete,
}

/// What an instance writes to its data directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Persistence {
    /// Write a snapshot (RDB) at the save points, and when an instance shuts down: it then restarts with a partial
    /// resynchronisation instead of a full one.
    pub rdb: bool,
    /// When a snapshot is written: pairs of seconds and the least number of changes, as in the `save` directive.
    #[schemars(length(max = 200), extend("x-kubernetes-validations" = [
        Rule::new("self.matches('^0*[1-9][0-9]* [0-9]+( 0*[1-9][0-9]* [0-9]+)*$') && self.split(' ').all(n, n.size() <= 10 && int(n) <= 2147483647)")
        .message(says("spec.persistence.savePoints", "must be pairs of seconds and changes such as 3600 1 300 100, with seconds of 1 or more and no number above 2147483647; to write no snapshot set rdb to false")),
    ]))]
    pub save_points: String,
    /// Log each write to an append-only file as well.
    pub aof: bool,
    /// How often the append-only file is forced to disk.
    pub aof_fsync: AofFsync,
}

impl Default for Persistence {
    fn default() -> Self {
        Self { rdb: true, save_points: "3600 1 300 100 60 10000".into(), aof: false, aof_fsync: AofFsync::default() }
    }
}

/// The values of `appendfsync`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AofFsync {
    /// Before each answer.
    Always,
    /// Once a second.
    #[default]
    EverySecond,
    /// When the kernel sees fit.
    Never,
}

impl AofFsync {
    /// The directive's value.
    pub fn directive(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::EverySecond => "everysec",
            Self::Never => "no",
        }
    }
}
