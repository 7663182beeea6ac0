//! The `ValkeyReplication` resource: types, defaults and the rules that the API server checks. No I/O.
//!
//! Doc comments here are what `kubectl explain` prints. The definition is generated from these types by
//! `valkey-operator crd`; nothing in `crds/` or in the chart is edited by hand.

mod config;
mod pod;
mod reduce;
mod replication;
mod rules;
mod scalar;
mod status;
mod storage;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;

use kube::{
    CustomResource, CustomResourceExt,
    core::{Message, Rule},
};
use rules::{object_name, says};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use valkey_repl_engine::Durability;

pub use config::{MAX_DIRECTIVES, OWNED, field, owned};
pub use pod::{PodTemplate, Resources, ServiceKind, ServiceTemplate, Services};
pub use reduce::{ACCEPT_DATA_LOSS, SWITCHOVER};
pub use replication::{Failover, Replication};
pub use scalar::Scalar;
pub use status::{InstanceStatus, ValkeyReplicationStatus};
pub use storage::{AofFsync, Persistence, Retention, Storage};

/// The API group, and the prefix of every label and annotation of the operator.
pub const GROUP: &str = "valkey-repl.dev";

/// Instances of Valkey, one of them the primary, the others its replicas, and what keeps them so.
#[derive(CustomResource, JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "valkey-repl.dev",
    version = "v1alpha1",
    kind = "ValkeyReplication",
    plural = "valkeyreplications",
    shortname = "vkr",
    category = "all",
    namespaced,
    status = "ValkeyReplicationStatus",
    cel,
    derive = "PartialEq",
    doc = "A replicated Valkey: one primary, its replicas, and the Services that lead to them. Clients write to the Service `<name>-rw` and read from `<name>-ro`; the password is in the Secret `<name>-auth`.",
    scale(
        spec_replicas_path = ".spec.instances",
        status_replicas_path = ".status.instanceCount",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Primary", type_ = "string", json_path = ".status.primary", description = "The instance that takes the writes"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.ready", description = "Instances that are in step, of those wanted"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase", description = "What the operator is at"),
    printcolumn(name = "Epoch", type_ = "integer", json_path = ".status.epoch", priority = 1, description = "How often the primary changed"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.size() <= 52")
        .message("metadata.name may have at most 52 characters: the names of pods and Services are made from it; take a shorter one"),
    validation = Rule::new("!has(self.spec.primary) || (self.spec.primary.startsWith(self.metadata.name) && self.spec.primary.size() == self.metadata.name.size() + 2)")
        .message(Message::Expression(
            "'spec.primary \\'' + self.spec.primary + '\\' is no pod of this resource: write the name of one, such as NAME-0, or leave it out'".into())),
    validation = Rule::new("!has(self.spec.auth.secretName) || self.spec.auth.secretName != self.metadata.name + '-auth-conf'")
        .message(Message::Expression(
            "'spec.auth.secretName \\'' + self.spec.auth.secretName + '\\' is the Secret that the operator writes for the servers: name one of your own, or leave it out'".into())),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
        .message("metadata.name must be lower-case letters, digits and dashes and start with a letter: Services are named after it")
)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = [
    Rule::new("!has(self.replication.durability) || self.replication.durability != 'Sync' || self.instances >= 2")
    .message("spec.replication.durability Sync with spec.instances 1 would refuse every write: use 2 instances or more, or Preferred"),
    Rule::new("self.failover.staleReplica != 'Allow' || (has(self.replication.durability) ? self.replication.durability == 'Async' : self.flavor == 'Stock')")
    .message("spec.failover.staleReplica Allow gives up writes that were answered: set spec.replication.durability to Async, or staleReplica to Refuse"),
    primary_is_one_of_the_pods(),
    Rule::new("self.flavor != 'Stock' || has(self.image)")
    .message("spec.flavor Stock needs spec.image, such as valkey/valkey:9.1"),
    Rule::new("self.flavor != 'Native' || !has(self.config) || !('loadmodule' in self.config)")
    .message("spec.config.loadmodule would stop every start of this server, which has no modules: remove it, or use spec.flavor Stock"),
    Rule::new("self.flavor != 'Stock' || !has(self.replication.durability) || self.replication.durability == 'Async'")
    .message("spec.flavor Stock has no acknowledged writes: set spec.replication.durability to Async, or use the project's own server image"),
]))]
pub struct ValkeyReplicationSpec {
    /// How many instances: one primary, the others replicas.
    #[schemars(range(min = 1, max = 9))]
    pub instances: i32,
    /// The server's image. When left out, the one that the operator comes with when the pods are first made; a later
    /// operator with a newer one does not restart them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 500), extend("x-kubernetes-validations" = [
        Rule::new("self.matches('^([a-zA-Z0-9.-]+(:[0-9]+)?/)?[a-z0-9]+([._/-]+[a-z0-9]+)*(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@[a-z0-9]+:[0-9a-f]+)?$')")
        .message(says("spec.image", "is no name of an image: write it as in valkey/valkey:9.1, in lower case but for the tag, without spaces")),
    ]))]
    pub image: Option<String>,
    /// When the image is pulled; Kubernetes' own rule when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<PullPolicy>,
    /// What kind of server the image holds. `Native`: the server of this project. `Stock`: valkey-server 8.0 or newer
    /// of the Valkey project, which knows neither the quorum lease nor acknowledged writes; an isolated primary then
    /// goes on taking writes until it is reached. Cannot be changed later.
    #[schemars(extend("x-kubernetes-validations" = [
        Rule::new("self == oldSelf")
        .message("spec.flavor cannot change: make a new resource and move the data over"),
    ]))]
    pub flavor: Flavor,
    /// What the server's container asks for and may use.
    pub resources: Resources,
    /// Where the data is kept.
    pub storage: Storage,
    /// Directives of `valkey.conf`, such as `maxmemory-policy: allkeys-lru`. A value is the rest of the directive's
    /// line. Write yes and no in quotes: YAML reads them as booleans. What has a field of its own, or is the
    /// operator's to decide, is refused.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = MAX_DIRECTIVES))]
    #[schemars(extend("x-kubernetes-validations" = config::rules()))]
    pub config: BTreeMap<String, Scalar>,
    /// The password.
    pub auth: Auth,
    /// What is written to disk.
    pub persistence: Persistence,
    /// How instances replicate, and what an answered write is worth.
    pub replication: Replication,
    /// When and how the primary moves.
    pub failover: Failover,
    /// The pod that should be primary, such as `pair-1`. A new value moves the primary there once, with nothing lost; after a
    /// failover it stays where it is. To move it once without this, annotate `valkey-repl.dev/switchover`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub primary: Option<String>,
    /// Adjustments to the pods.
    pub pod_template: PodTemplate,
    /// Adjustments to the Services.
    pub services: Services,
    /// Leave everything as it is: the operator changes no object, moves no primary and lifts no guard. It still gives
    /// its vote, so that a healthy primary goes on.
    pub paused: bool,
}

impl Default for ValkeyReplicationSpec {
    fn default() -> Self {
        Self {
            instances: 2,
            image: None,
            image_pull_policy: None,
            flavor: Flavor::default(),
            resources: Resources::default(),
            storage: Storage::default(),
            config: BTreeMap::new(),
            auth: Auth::default(),
            persistence: Persistence::default(),
            replication: Replication::default(),
            failover: Failover::default(),
            primary: None,
            pod_template: PodTemplate::default(),
            services: Services::default(),
            paused: false,
        }
    }
}

/// Spelled out, because the API server's estimate of what a rule costs knows no bound for text that a rule puts together.
fn primary_is_one_of_the_pods() -> Rule {
    let pods: Vec<_> = (0..9).map(|i| format!("(self.instances > {i} && self.primary.endsWith('-{i}'))")).collect();
    let message = "'spec.primary \\'' + self.primary + '\\' is none of the pods that spec.instances asks for: they end in -0, -1 and so on; write the name of one, or leave it out'";
    Rule::new(format!("!has(self.primary) || {}", pods.join(" || "))).message(Message::Expression(message.into()))
}

/// What kind of server an image holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Flavor {
    /// The server of this project.
    #[default]
    Native,
    /// valkey-server of the Valkey project.
    Stock,
}

/// When an image is pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PullPolicy {
    /// At each start.
    Always,
    /// When the node does not have it.
    IfNotPresent,
    /// Never: the node must have it.
    Never,
}

impl PullPolicy {
    /// The name in a container's `imagePullPolicy`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

/// Where the password comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = [
    Rule::new("has(self.secretName) || !has(self.key) || self.key == 'password'").message(Message::Expression(
        "'spec.auth.key \\'' + self.key + '\\' is a key in a Secret of yours, and none is named: name it in spec.auth.secretName, or remove the key'".into())),
]))]
pub struct Auth {
    /// Name of a Secret of yours in the same namespace. When left out, `<name>-auth` is made with a random password.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), extend("x-kubernetes-validations" = [object_name("spec.auth.secretName")]))]
    pub secret_name: Option<String>,
    /// The key in that Secret. Its value may hold any byte but none that ends a C string.
    #[schemars(length(min = 1, max = 253), extend("x-kubernetes-validations" = [
        Rule::new("self.matches('^[-._a-zA-Z0-9]+$') && self != '.' && !self.startsWith('..')")
        .message(says("spec.auth.key", "is no key of a Secret: letters, digits, dashes, dots and underscores, and no two dots first")),
    ]))]
    pub key: String,
}

impl Default for Auth {
    fn default() -> Self {
        Self { secret_name: None, key: "password".into() }
    }
}

impl ValkeyReplicationSpec {
    /// The durability in force: the one that was asked for, or the flavor's own.
    pub fn durability(&self) -> Durability {
        self.replication.durability.unwrap_or(match self.flavor {
            Flavor::Native => Durability::Preferred,
            Flavor::Stock => Durability::Async,
        })
    }
}

/// The CustomResourceDefinition as YAML, as it stands in `crds/` and in the chart.
///
/// # Errors
/// When the definition cannot be written as YAML, which no input of a user can cause.
pub fn crd_yaml() -> Result<String, serde_saphyr::ser::Error> {
    let body = serde_saphyr::to_string(&ValkeyReplication::crd())?;
    Ok(format!("# Generated by `valkey-operator crd` from operator/src/api; do not edit.\n{body}"))
}
