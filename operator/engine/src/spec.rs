//! What the user asked for.

use crate::observe::Millis;
use serde::{Deserialize, Serialize};

/// When a write is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Durability {
    /// At once, as Valkey does. A failover may lose what the replica had not received.
    #[default]
    Async,
    /// When another instance holds it, as long as one keeps up; when none does, that is recorded and the primary goes on alone.
    Preferred,
    /// When another instance holds it; with none attached, writes are refused.
    Sync,
}

impl Durability {
    /// Whether an answer waits for another instance's acknowledgement.
    pub fn waits(self) -> bool {
        self != Self::Async
    }
}

/// Whether a replica that may lack acknowledged writes may be promoted when nothing better is left. Counts only under [`Durability::Async`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum StaleReplica {
    /// Hold, and say what would unblock it.
    #[default]
    Refuse,
    /// Promote it once the primary is proven dead, and say what that cost.
    Allow,
}

/// When a server without the lease (a stock image) is taken over from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum UnfencedTakeover {
    /// Only on evidence of its death. A primary that is merely unreachable is waited for.
    #[default]
    OnDeath,
    /// Also after `detection_timeout_ms` of silence. Two primaries may then accept writes until the old one is reached again.
    OnSilence,
}

/// A wish to move the primary, carried out once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switchover {
    /// Names this wish; the same id is not carried out twice ([`crate::Record::switchover_done`]).
    pub id: String,
    /// The instance to become primary; `None`: the most advanced replica.
    pub to: Option<String>,
}

/// A person's word that what the instances hold is all there will ever be: the value of the annotation `accept-data-loss`.
/// It never replaces evidence of the old primary's death.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// Must be the recorded epoch (0: nothing is recorded yet). The takeover raises the epoch, so the word counts once. `None`: it names none.
    pub epoch: Option<u64>,
    /// The instance whose data set is to be kept; `None`: the most advanced.
    pub instance: Option<String>,
}

/// What the user asked for, reduced to what the engine needs. Defaults are those of the resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// How many instances there should be.
    pub instances: u32,
    /// How many instances have a volume from before, counted to the last that has one; `None`: that is not known yet. Of interest only
    /// while nothing is recorded.
    pub volumes: Option<u32>,
    /// When a write is answered.
    pub durability: Durability,
    /// How long an instance may be silent before that counts against it.
    pub detection_timeout_ms: Millis,
    /// T: how long a vote lasts, `primary-quorum-timeout`.
    pub quorum_timeout_ms: Millis,
    /// Under `Async`, how far (in time) a replica may be behind and still be a successor.
    pub max_lag_ms: Millis,
    /// How often the high-water mark in the record is renewed at most.
    pub lineage_refresh_ms: Millis,
    /// How long clients' ways take to follow. The primary hands over so much after the move was recorded, and its clients find the next one at once.
    pub lead_ms: Millis,
    /// From when on clients' ways follow as fast as that: they have just been changed, and no move is begun before.
    pub settled_at_ms: Millis,
    /// How long a planned move may take before it is called off.
    pub move_timeout_ms: Millis,
    /// Whether a replica that may lack acknowledged writes may be promoted.
    pub stale_replica: StaleReplica,
    /// When a server without the lease is taken over from.
    pub unfenced_takeover: UnfencedTakeover,
    /// Whether the instances keep their data over a restart (a volume, and RDB or AOF on it). Without, a set that restarts as a whole
    /// is expected to come back empty and is formed anew.
    pub persistent: bool,
    /// Whether an instance has on its disk all that it ever answered (an AOF that is synced before each answer).
    pub complete_log: bool,
    /// Instances that should not be primary, because they are about to be restarted, drained or removed.
    pub avoid: Vec<String>,
    /// A wish to move the primary.
    pub switchover: Option<Switchover>,
    /// Where the primary should be: it is moved there once for each value. It does not go back there by itself after a failover.
    pub place: Option<String>,
    /// A person's word that what is left is all there is.
    pub accept_data_loss: Option<Acceptance>,
    /// Look, say, but begin nothing; a takeover or move under way is brought to its end. Votes for the recorded primary go on: without them it would stop accepting writes.
    pub paused: bool,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            instances: 2,
            volumes: Some(0),
            durability: Durability::default(),
            detection_timeout_ms: 5_000,
            quorum_timeout_ms: 5_000,
            max_lag_ms: 10_000,
            lineage_refresh_ms: 30_000,
            lead_ms: 0,
            settled_at_ms: 0,
            move_timeout_ms: 30_000,
            stale_replica: StaleReplica::default(),
            unfenced_takeover: UnfencedTakeover::default(),
            persistent: true,
            complete_log: false,
            avoid: Vec::new(),
            switchover: None,
            place: None,
            accept_data_loss: None,
            paused: false,
        }
    }
}

impl Spec {
    /// How long after the last possible vote for it an unreachable primary has certainly stopped accepting writes: T, an eighth of it for clocks
    /// that run at different rates, and one tick for rounding.
    pub fn lease_end_ms(&self) -> Millis {
        self.quorum_timeout_ms + self.quorum_timeout_ms / 8 + 1
    }
}
