//! The order in which things are decided.

use crate::decision::{Decision, Reason, ReasonCode};
use crate::memory::Memory;
use crate::observe::Observation;

/// Says what is to be done now. A pure function of what was seen and what was kept.
pub fn decide(seen: &Observation, memory: &Memory) -> Decision {
    let mut decision = Decision {
        memory: memory.clone(),
        scale_to: seen.spec.instances,
        recheck_at_ms: seen.now_ms + seen.spec.quorum_timeout_ms / 4,
        ..Decision::default()
    };
    match seen.leader {
        Some(lead) if seen.now_ms < lead.until_ms => {
            if seen.record_read_ms < lead.since_ms {
                decision.reasons.push(Reason {
                    code: ReasonCode::RecordNotRead,
                    instance: None,
                    message: "the record has not been read since this operator became leader".to_owned(),
                });
            }
        }
        _ => decision.reasons.push(Reason {
            code: ReasonCode::NotLeading,
            instance: None,
            message: "this operator does not hold the Lease".to_owned(),
        }),
    }
    decision
}
