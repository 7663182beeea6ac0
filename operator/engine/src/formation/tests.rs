use crate::decide;
use crate::election::tests::restarted;
use crate::memory::Memory;
use crate::observe::{Instance, Leadership, Observation};
use crate::spec::Spec;

/// Nothing is recorded; one instance is asked for, and so many have a volume from before.
fn made_anew(volumes: Option<u32>, instances: Vec<Instance>) -> Observation {
    Observation {
        now_ms: 10_000,
        now_rfc3339: String::new(),
        leader: Some(Leadership { since_ms: 0, until_ms: 20_000 }),
        record: None,
        record_seen_ms: 0,
        record_read_ms: 9_000,
        spec: Spec { instances: 1, volumes, ..Spec::default() },
        instances,
    }
}

#[test]
fn the_newest_data_are_kept_although_their_instance_is_not_asked_for_again() {
    let silent = || Instance { answer: None, ..restarted(1, 0, false) };
    let waits = decide(&made_anew(Some(2), vec![restarted(0, 400, false), silent()]), &Memory::default());
    assert_eq!(waits.record, None);
    assert_eq!(waits.scale_to, 2, "it is started, so that it can be heard");
    assert!(waits.reasons.iter().any(|r| r.message.contains("pair-1 has a volume from before and has not answered")));

    let both =
        decide(&made_anew(Some(2), vec![restarted(0, 400, false), restarted(1, 900, false)]), &Memory::default());
    assert_eq!(both.record.and_then(|record| record.target).map(|life| life.name).as_deref(), Some("pair-1"));
    assert_eq!(both.scale_to, 2);
}

#[test]
fn nobody_is_chosen_before_it_is_known_whose_volumes_there_are() {
    let unknown = decide(&made_anew(None, vec![restarted(0, 400, false)]), &Memory::default());
    assert_eq!(unknown.record, None);
    assert!(unknown.reasons.iter().any(|r| r.message.contains("which volumes there are")));
    let none = decide(&made_anew(Some(1), vec![restarted(0, 400, false)]), &Memory::default());
    assert!(none.record.is_some());
    assert_eq!(none.scale_to, 1);
}
