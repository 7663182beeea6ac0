//! `spec.replication` and `spec.failover`: what an answered write is worth, and how fast a pair moves.

use kube::core::{Duration, Message, Rule};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use valkey_repl_engine::{
    Durability,
    spec::{StaleReplica, UnfencedTakeover},
};

use super::rules::says;

/// How instances replicate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Replication {
    /// What an answered write is worth. `Async`: Valkey's own promise, the primary answers at once; what no replica
    /// had yet received is lost when the primary dies. `Sync`: a write is answered when another instance holds it;
    /// with none in step, writes wait. `Preferred`: as `Sync` while a replica keeps up; when none does, the
    /// operator first records that, and then lets the primary go on alone. Default: `Preferred`; with `flavor: Stock`
    /// it is `Async`, because stock servers have no other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub durability: Option<Durability>,
    /// How much of the replication stream an instance remembers, so that a replica that was away for a while is served
    /// the missing part instead of everything. A number of bytes with an optional unit: k, kb, m, mb, g, gb.
    #[schemars(length(max = 64), extend("x-kubernetes-validations" = [
        Rule::new("self.matches('^[1-9]([0-9]{0,11}([kKmM][bB]?)?|[0-9]{0,8}[gG][bB]?)$')")
        .message(says("spec.replication.backlogSize", "must be a number of bytes above zero, with one of the units k, kb, m, mb, g, gb or none, such as 64mb; it may have at most 12 digits, and 9 before g and gb")),
    ]))]
    pub backlog_size: String,
    /// Send a full synchronisation straight to the sockets, with no file in between.
    pub diskless: bool,
}

impl Default for Replication {
    fn default() -> Self {
        Self { durability: None, backlog_size: "64mb".into(), diskless: true }
    }
}

/// What is a duration to a rule; anything else, and one of more nanoseconds than 63 bits hold, would end it with an error that names no field.
macro_rules! is_duration {
    ($field:literal) => {
        concat!(
            "(",
            $field,
            ".size() <= 16 && ",
            $field,
            ".matches('^([0-9]{1,6}([.][0-9]+)?[smh]|[0-9]{1,12}([.][0-9]+)?[num]s)+$'))"
        )
    };
}

/// The longest text of a duration that a rule gets to see. Beyond it the API server refuses the text without saying what it is.
const LONGEST: u32 = 64;

/// The rule of a duration with a least and a greatest value.
fn between(field: &str, least: &str, greatest: &str, example: &str) -> Rule {
    let is = is_duration!("self");
    Rule::new(format!("{is} && duration(self) >= duration('{least}') && duration(self) <= duration('{greatest}')"))
        .message(says(
            &format!("spec.failover.{field}"),
            &format!("must be a duration from {least} to {greatest}, such as {example}"),
        ))
}

/// When the operator moves the primary, and how long each step may take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = [
    Rule::new(concat!("!", is_duration!("self.detectionTimeout"), " || !", is_duration!("self.quorumTimeout"),
        " || duration(self.detectionTimeout) <= duration(self.quorumTimeout)"))
    .message(Message::Expression(
        "'spec.failover.detectionTimeout (' + self.detectionTimeout + ') may not exceed quorumTimeout (' + self.quorumTimeout + \
         '): an isolated primary would refuse writes before anybody looks for another; lower the first or raise the second'"
            .into()))
    .field_path(".detectionTimeout"),
]))]
pub struct Failover {
    /// How long an instance may be silent before it counts as gone. A closed connection is noticed at once and does not
    /// wait for this. Between 500ms and 60s.
    #[schemars(length(max = LONGEST), extend("x-kubernetes-validations" = [between("detectionTimeout", "500ms", "60s", "3s")]))]
    pub detection_timeout: Duration,
    /// How long the votes of a majority let a primary accept writes: one that hears of nobody for this long refuses
    /// them, and no other is let in before. Between 1s and 60s. Not for stock images. It cannot be lowered: an instance
    /// that runs with the old one would be given up on too early.
    #[schemars(length(max = LONGEST), extend("x-kubernetes-validations" = [
        between("quorumTimeout", "1s", "60s", "5s"),
        Rule::new(concat!("!", is_duration!("self"), " || duration(self) >= duration(oldSelf)"))
            .message(Message::Expression(
                "'spec.failover.quorumTimeout cannot be lowered from ' + oldSelf + ' to ' + self + ': an instance that still runs with \
                 the old one would be given up on too early; keep it, or make a new resource and move the data over'"
                    .into())),
    ]))]
    pub quorum_timeout: Duration,
    /// How long a planned move may take; after that it is given up and the old primary goes on. The primary holds back
    /// writes for at most half of it at a time, while the next one catches up. Between 1s and 5m.
    #[schemars(length(max = LONGEST), extend("x-kubernetes-validations" = [between("switchoverTimeout", "1s", "5m", "10s")]))]
    pub switchover_timeout: Duration,
    /// Whether a replica that is known to be behind may become primary when the primary is proven dead. `Allow` trades
    /// the writes that it lacks for being up again; only with `durability: Async`. `Refuse` waits for the primary or
    /// for a person.
    pub stale_replica: StaleReplica,
    /// Under `durability: Async`, how far behind in time a replica may be and still take over without being asked for.
    /// Between 1s and 5m.
    #[schemars(length(max = LONGEST), extend("x-kubernetes-validations" = [between("maxLag", "1s", "5m", "10s")]))]
    pub max_lag: Duration,
    /// With `flavor: Stock`, when the primary is taken over from. `OnDeath`: only when it is proven dead. `OnSilence`:
    /// also when it has been silent for `detectionTimeout`; if it is alive, it goes on taking writes, which are lost
    /// when it is reached again.
    pub unfenced_takeover: UnfencedTakeover,
}

impl Default for Failover {
    fn default() -> Self {
        let seconds = |n| Duration::from(std::time::Duration::from_secs(n));
        Self {
            detection_timeout: seconds(3),
            quorum_timeout: seconds(5),
            switchover_timeout: seconds(10),
            stale_replica: StaleReplica::default(),
            max_lag: seconds(10),
            unfenced_takeover: UnfencedTakeover::default(),
        }
    }
}
