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

mod decide;
pub mod decision;
pub mod memory;
pub mod observe;
pub mod record;
pub mod spec;

pub use decide::decide;
pub use decision::{Command, Condition, ConditionKind, Decision, Event, Reason, ReasonCode};
pub use memory::Memory;
pub use observe::{Address, Answer, Connection, Instance, Leadership, Observation, Presence};
pub use record::{Phase, Record};
pub use spec::{Durability, Spec};
