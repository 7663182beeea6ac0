//! The failover engine: observation in, decision with its reasons out. No I/O, no clock, no randomness, no Kubernetes.
//!
//! [`decide`] is a function: it gets what a carrier saw ([`Observation`]) and the little it asked the carrier to keep ([`Memory`]), and says
//! what to write down, what to send, who serves, and why ([`Decision`]). Two carriers carry out: the Kubernetes controller and the local mode.
//!
//! What a carrier promises:
//! 1. It calls [`decide`] whenever something changed and at the latest at [`Decision::recheck_at_ms`], one call at a time for one resource.
//! 2. If [`Decision::record`] is there, it writes that with the precondition that nobody else has written since the record in the observation
//!    (Kubernetes: `resourceVersion`), and calls [`decide`] again with what came of it. Commands that need that record come with that call;
//!    the votes that may stand beside a record are sent at once.
//! 3. It sends [`Decision::commands`] as they stand, in order for each instance; a lost, late or refused command is no error: the engine sees
//!    the effect or decides again.
//! 4. It keeps [`Decision::memory`] for the next call. Losing it (a restart) is safe and costs at most a wait.
//! 5. It reports the time at which a question was *asked*, never replaces an answer by one that was asked earlier, and after it became leader
//!    reads the record anew (a linearizable read, [`Observation::record_read_ms`]).
//!
//! All times are milliseconds of one monotonic clock of the carrier that goes on in suspension (CLOCK_BOOTTIME).
//!
//! | module | says |
//! |---|---|
//! | [`spec`] | what the user asked for |
//! | [`observe`] | what the carrier saw, and when |
//! | [`record`] | what is written down in status before it is acted upon |
//! | [`memory`] | what is kept between two calls, and may be lost |
//! | [`decision`] | what is to be done, and why |
//! | `decide` | the order in which things are decided |
//! | `turn` | one call while it is being thought through |
//! | `evidence` | who is alive, who is dead, who has let go |
//! | `lag` | how far behind a replica is, and whether it still hears from the primary |
//! | `lineage` | what a data set is known by, which of two is the more advanced |
//! | `quorum` | how many votes and acknowledgements a primary needs |
//! | `formation` | the first primary |
//! | `guard` | the guard of a serving primary, and who may succeed it |
//! | `follow` | who is attached to the primary, who joins and who leaves |
//! | `election` | who takes over from a lost primary |
//! | `takeover` | the steps of a takeover |
//! | `planned` | planned moves |
//! | `history` | what is written down of a failover |
//! | `conditions` | who serves, and what people are told |
//! | [`explain()`] | all of that in words |
//! | `rules` | the rules by name, for the simulation that leaves them out |

mod conditions;
mod decide;
pub mod decision;
mod election;
mod evidence;
mod explain;
mod follow;
mod formation;
mod guard;
mod history;
mod lag;
mod lineage;
pub mod memory;
pub mod observe;
mod planned;
mod quorum;
pub mod record;
mod rules;
#[cfg(test)]
mod sim;
pub mod spec;
mod takeover;
mod turn;

pub use decide::decide;
pub use decision::{Command, Condition, ConditionKind, Decision, Event, Reason, ReasonCode};
pub use explain::{Explanation, explain};
pub use memory::Memory;
pub use observe::{Address, Answer, Connection, Instance, Leadership, Observation, Presence};
pub use record::{Phase, Record};
pub use spec::{Durability, Spec};
