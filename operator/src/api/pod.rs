//! `spec.resources`, `spec.podTemplate` and `spec.services`: what users adjust on the objects made for them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, Toleration, TopologySpreadConstraint};
use kube::core::{Message, Rule};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Scalar,
    rules::{DOMAIN, MOST_LABELS, NAME, label_value, object_name, qualified_name, qualified_names, says, text},
};

/// What the server's container asks for and may use at most.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = ["cpu", "memory", "ephemeral-storage"].map(within_limit)))]
pub struct Resources {
    /// What is reserved for it, such as `cpu: 500m` and `memory: 1Gi`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = MOST_RESOURCES, "additionalProperties" = amount("requests")))]
    #[schemars(extend("x-kubernetes-validations" = [kinds("requests")]))]
    pub requests: BTreeMap<String, Scalar>,
    /// What it may not exceed. When a memory limit is set and `config.maxmemory` is not, three quarters of the limit
    /// become `maxmemory`: the rest is for replication buffers and for the copy that a snapshot makes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = MOST_RESOURCES, "additionalProperties" = amount("limits")))]
    #[schemars(extend("x-kubernetes-validations" = [kinds("limits"), no_toy()]))]
    pub limits: BTreeMap<String, Scalar>,
}

/// How many kinds of resources may be named; the API server wants a bound to estimate what a rule costs.
const MOST_RESOURCES: u32 = 32;

/// The schema of an amount, which a StatefulSet would be refused for in words that do not say where it is.
fn amount(field: &str) -> serde_json::Value {
    let rule = Rule::new("isQuantity(string(self)) && !string(self).startsWith('-')").message(Message::Expression(format!(
        "'spec.resources.{field} has \\'' + string(self) + '\\', which is no amount: write such as 500m for cpu, 1Gi for memory'"
    )));
    json!({"x-kubernetes-int-or-string": true, "maxLength": 32, "x-kubernetes-validations": [rule]})
}

/// What a container may ask for: what Kubernetes knows itself, and what others bring under a domain of theirs.
fn kinds(field: &str) -> Rule {
    let known = "k in ['cpu', 'memory', 'ephemeral-storage'] || k.startsWith('hugepages-')";
    Rule::new(format!("self.all(k, {known} || k.matches('^{DOMAIN}/{NAME}$'))")).message(
        format!(
            "spec.resources.{field} has a key that is no resource of a container: write cpu, memory, ephemeral-storage, hugepages-2Mi or \
             another size, or a name with a domain such as example.com/device"
        )
        .as_str(),
    )
}

/// No server starts in less, and three quarters of one byte would be no limit at all.
fn no_toy() -> Rule {
    let limit = "string(self['memory'])";
    Rule::new(format!(
        "!('memory' in self) || !isQuantity({limit}) || quantity({limit}).compareTo(quantity('{LEAST_MEMORY}')) >= 0"
    ))
    .message(Message::Expression(format!(
        "'spec.resources.limits: memory ' + {limit} + ' is less than a server needs to start: write {LEAST_MEMORY} or more, or leave it out'"
    )))
}

/// The least limit of memory.
const LEAST_MEMORY: &str = "8Mi";

fn within_limit(what: &str) -> Rule {
    let (request, limit) = (format!("string(self.requests['{what}'])"), format!("string(self.limits['{what}'])"));
    Rule::new(format!(
        "!has(self.requests) || !has(self.limits) || !('{what}' in self.requests) || !('{what}' in self.limits) || !isQuantity({request}) \
         || !isQuantity({limit}) || quantity({request}).compareTo(quantity({limit})) <= 0"
    ))
    .message(Message::Expression(format!(
        "'spec.resources.requests: {what} ' + {request} + ' is more than its limit of ' + {limit} + ': lower the request or raise the limit'"
    )))
}

/// Adjustments to the pods. A change here restarts the instances one by one, the primary last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PodTemplate {
    /// Labels to add.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = MOST_LABELS, "additionalProperties" = label_value("spec.podTemplate.labels")))]
    #[schemars(extend("x-kubernetes-validations" = [
        Rule::new("self.all(k, !k.startsWith('valkey-repl.dev/') && !k.startsWith('app.kubernetes.io/'))")
        .message("spec.podTemplate.labels may not use the prefixes valkey-repl.dev/ and app.kubernetes.io/: they are the operator's"),
        qualified_names("spec.podTemplate.labels"),
    ]))]
    pub labels: BTreeMap<String, String>,
    /// Annotations to add.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = MOST_LABELS, "x-kubernetes-validations" = [
        Rule::new("self.all(k, !k.startsWith('valkey-repl.dev/'))")
        .message("spec.podTemplate.annotations may not use the prefix valkey-repl.dev/: it is the operator's"),
        qualified_names("spec.podTemplate.annotations"),
    ]))]
    pub annotations: BTreeMap<String, String>,
    /// Node labels that a pod's node must have.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = MOST_LABELS, "additionalProperties" = label_value("spec.podTemplate.nodeSelector")))]
    #[schemars(extend("x-kubernetes-validations" = [qualified_names("spec.podTemplate.nodeSelector")]))]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the pods tolerate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("maxItems" = MOST_LABELS, "x-kubernetes-validations" = tolerations()))]
    pub tolerations: Vec<Toleration>,
    /// Where pods may and should run; replaces the default, which is to prefer a node without another instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(transform = affinity)]
    pub affinity: Option<Affinity>,
    /// How the pods spread over zones and other domains.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("maxItems" = MOST_SPREADS, "x-kubernetes-validations" = spreads()))]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// Priority class of the pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), extend("x-kubernetes-validations" = [object_name("spec.podTemplate.priorityClassName")]))]
    pub priority_class_name: Option<String>,
    /// Service account of the pods; the namespace's default when left out. Its token is not mounted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), extend("x-kubernetes-validations" = [object_name("spec.podTemplate.serviceAccountName")]))]
    pub service_account_name: Option<String>,
    /// Names of the Secrets that the image is pulled with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("maxItems" = MOST_LABELS, "items" = pull_secret(), "x-kubernetes-validations" = [
        Rule::new("self.all(a, self.exists_one(b, b == a))")
        .message("spec.podTemplate.imagePullSecrets names a Secret twice: name each once"),
    ]))]
    pub image_pull_secrets: Vec<String>,
    /// How long an instance may take to write its last snapshot when it is told to stop, in seconds.
    #[schemars(range(min = 1, max = 3600))]
    pub termination_grace_period_seconds: i64,
}

/// What a pod would be refused for: operators that there are not, weights out of range, terms of nothing.
fn affinity(schema: &mut Schema) {
    const OF_LABELS: [&str; 4] = ["In", "NotIn", "Exists", "DoesNotExist"];
    let mut root = std::mem::take(schema).to_value();
    for (kind, operators) in [
        ("nodeAffinity", [&OF_LABELS[..], &["Gt", "Lt"]].concat()),
        ("podAffinity", OF_LABELS.to_vec()),
        ("podAntiAffinity", OF_LABELS.to_vec()),
    ] {
        if let Some(schema) = root.pointer_mut(&format!("/properties/{kind}")) {
            bound(schema, &operators);
        }
    }
    *schema = Schema::try_from(root).unwrap_or_default();
}

fn bound(schema: &mut Value, operators: &[&str]) {
    let Some(schema) = schema.as_object_mut() else { return };
    for (name, below) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        let bounds = match name.as_str() {
            "operator" => json!({"enum": operators}),
            "weight" => json!({"minimum": 1, "maximum": 100}),
            "topologyKey" => json!({"minLength": 1}),
            "nodeSelectorTerms" => json!({"minItems": 1}),
            _ => json!({}),
        };
        if let (Value::Object(bounds), Some(below)) = (bounds, below.as_object_mut()) {
            below.extend(bounds);
        }
        bound(below, operators);
    }
    if let Some(items) = schema.get_mut("items") {
        bound(items, operators);
    }
}

/// What a pod would be refused for.
fn tolerations() -> Vec<Rule> {
    let rule = |holds: &str, what: &str| {
        Rule::new(format!("self.all(t, {holds})"))
            .message(format!("spec.podTemplate.tolerations has one {what}").as_str())
    };
    vec![
        rule(
            "!has(t.operator) || t.operator in ['', 'Equal', 'Exists']",
            "with another operator than Equal and Exists: write one of the two, or leave it out for Equal",
        ),
        rule(
            "!has(t.operator) || t.operator != 'Exists' || !has(t.value) || t.value == ''",
            "with operator Exists and a value: remove the value, or use Equal",
        ),
        rule(
            "(has(t.key) && t.key != '') || (has(t.operator) && t.operator == 'Exists')",
            "without a key: name the taint's, or use operator Exists, which then means every taint",
        ),
        rule(
            "!has(t.effect) || t.effect in ['', 'NoSchedule', 'PreferNoSchedule', 'NoExecute']",
            "with an effect that there is not: NoSchedule, PreferNoSchedule or NoExecute, or leave it out for all",
        ),
        rule(
            "!has(t.tolerationSeconds) || (has(t.effect) && t.effect == 'NoExecute')",
            "with tolerationSeconds for another effect than NoExecute: remove them, or set effect to NoExecute",
        ),
    ]
}

/// The most constraints on how pods spread; the API server wants a bound to estimate what a rule costs.
const MOST_SPREADS: u32 = 16;

/// What a pod would be refused for.
fn spreads() -> Vec<Rule> {
    let rule = |holds: &str, message: &str| {
        Rule::new(format!("self.all(t, {holds})"))
            .message(format!("spec.podTemplate.topologySpreadConstraints has one {message}").as_str())
    };
    vec![
        rule("t.maxSkew >= 1", "with a maxSkew below 1: write 1 or more, by how many pods domains may differ"),
        rule(
            "t.whenUnsatisfiable in ['DoNotSchedule', 'ScheduleAnyway']",
            "with a whenUnsatisfiable that there is not: write DoNotSchedule or ScheduleAnyway",
        ),
        rule(
            "t.topologyKey != ''",
            "without a topologyKey: name a label of nodes, such as topology.kubernetes.io/zone or kubernetes.io/hostname",
        ),
        rule(
            "!has(t.minDomains) || (t.minDomains >= 1 && t.whenUnsatisfiable == 'DoNotSchedule')",
            "with a minDomains that means nothing: it must be 1 or more, and whenUnsatisfiable DoNotSchedule; or remove it",
        ),
        rule(
            "['', 'Honor', 'Ignore'].exists(p, p == (has(t.nodeAffinityPolicy) ? t.nodeAffinityPolicy : '')) \
             && ['', 'Honor', 'Ignore'].exists(p, p == (has(t.nodeTaintsPolicy) ? t.nodeTaintsPolicy : ''))",
            "with a nodeAffinityPolicy or nodeTaintsPolicy that there is not: write Honor or Ignore, or leave it out",
        ),
    ]
}

fn pull_secret() -> serde_json::Value {
    text(253, object_name("spec.podTemplate.imagePullSecrets"))
}

impl Default for PodTemplate {
    fn default() -> Self {
        Self {
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            node_selector: BTreeMap::new(),
            tolerations: Vec::new(),
            affinity: None,
            topology_spread_constraints: Vec::new(),
            priority_class_name: None,
            service_account_name: None,
            image_pull_secrets: Vec::new(),
            termination_grace_period_seconds: 60,
        }
    }
}

/// The Services that clients connect to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Services {
    /// `<name>-rw`, which leads to the primary.
    pub rw: ServiceTemplate,
    /// `<name>-ro`, which leads to the replicas that are in step; with a single instance, to that.
    pub ro: ServiceTemplate,
}

/// Adjustments to one Service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = ["loadBalancerClass", "loadBalancerSourceRanges"].map(only_with_a_balancer)))]
pub struct ServiceTemplate {
    /// How the Service is reached.
    #[serde(rename = "type")]
    pub kind: ServiceKind,
    /// Labels to add.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = MOST_LABELS, "additionalProperties" = label_value("spec.services: labels")))]
    #[schemars(extend("x-kubernetes-validations" = [qualified_names("spec.services: labels")]))]
    pub labels: BTreeMap<String, String>,
    /// Annotations to add, such as a load balancer's settings.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = MOST_LABELS, "x-kubernetes-validations" = [qualified_names("spec.services: annotations")]))]
    pub annotations: BTreeMap<String, String>,
    /// Which load balancer implementation serves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), extend("x-kubernetes-validations" = [qualified_name("spec.services: loadBalancerClass")]))]
    pub load_balancer_class: Option<String>,
    /// Which client addresses a load balancer lets in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("maxItems" = MOST_LABELS, "items" = address_range()))]
    pub load_balancer_source_ranges: Vec<String>,
}

/// What the other types of Service have no use for; the API server would refuse it there.
fn only_with_a_balancer(field: &str) -> Rule {
    Rule::new(format!("!has(self.{field}) || self.type == 'LoadBalancer'")).message(Message::Expression(format!(
        "'spec.services: {field} has no meaning for type ' + self.type + ': set type to LoadBalancer, or remove it'"
    )))
}

fn address_range() -> serde_json::Value {
    let what = "is no range of addresses: write such as 10.0.0.0/8";
    text(64, Rule::new("isCIDR(self)").message(says("spec.services: loadBalancerSourceRanges", what)))
}

/// How a Service is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ServiceKind {
    /// Inside the cluster.
    #[default]
    ClusterIP,
    /// On a port of each node as well.
    NodePort,
    /// Through a load balancer as well.
    LoadBalancer,
}

impl ServiceKind {
    /// The name in a Service's `spec.type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::ClusterIP => "ClusterIP",
            Self::NodePort => "NodePort",
            Self::LoadBalancer => "LoadBalancer",
        }
    }
}
