//! `status`: the record that the operator goes by, and what it says about it to people.

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use valkey_repl_engine::{
    Record,
    observe::{LinkState, Role},
    record::Failover,
};

/// What the operator recorded and what it sees.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ValkeyReplicationStatus {
    /// The instance that takes the writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,
    /// The number of its primaryship: one more with each change of the primary.
    #[serde(default)]
    pub epoch: u64,
    /// Where in its life the set is: `Forming` (the first primary is being made), `Stable`, `Arming` (a replica is back
    /// and about to count as successor), `Moving` (the primary moves by plan), `Takeover` (another primary is being
    /// made).
    #[serde(default)]
    pub phase: String,
    /// How many instances are in step, of those wanted, such as `2/2`.
    #[serde(default)]
    pub ready: String,
    /// How many pods there are; for the scale subresource.
    #[serde(default)]
    pub instance_count: i32,
    /// Selects the pods; for the scale subresource.
    #[serde(default)]
    pub selector: String,
    /// The generation of the spec that was last acted upon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Progressing`, `Degraded`, `DatasetAtRisk`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Each instance as it was when something about it last changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instances: Vec<InstanceStatus>,
    /// The last ten changes of the primary, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failovers: Vec<Failover>,
    /// What the operator goes by. It is written before anything is done, and everything above follows from it. Editing
    /// it by hand can lose data; to override a decision, use the annotation that the conditions name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Record>,
}

impl ValkeyReplicationStatus {
    /// The record, whole: its failovers stand beside it, where people find them.
    pub fn record(&self) -> Option<Record> {
        self.record.clone().map(|record| Record { failovers: self.failovers.clone(), ..record })
    }

    /// Puts a record in, and what is read off it.
    pub fn set_record(&mut self, mut record: Record) {
        self.primary = record.primary.as_ref().map(|life| life.name.clone());
        self.epoch = record.epoch;
        record.phase.as_str().clone_into(&mut self.phase);
        self.failovers = std::mem::take(&mut record.failovers);
        self.record = Some(record);
    }
}

/// One instance, as it was when something about it last changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceStatus {
    /// The pod.
    pub name: String,
    /// Whether the operator has a connection to it that answers.
    pub reachable: bool,
    /// What it says it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The state of its link to the primary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkState>,
    /// Whether it is the primary, or a replica that may take over from it.
    #[serde(default)]
    pub in_step: bool,
    /// Bytes of the replication stream that it held then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// How long ago the primary had then last heard of it, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_ms: Option<u64>,
    /// Why nothing is known of it, such as a wrong password, or what it does not run with as it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// When that was.
    pub as_of: Time,
}

impl InstanceStatus {
    /// Whether two say the same, leaving out what changes with every write.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let still =
            |status: &Self| Self { offset: None, lag_ms: None, as_of: Time(Timestamp::UNIX_EPOCH), ..status.clone() };
        still(self) == still(other)
    }
}
