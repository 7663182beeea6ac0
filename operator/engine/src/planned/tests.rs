use crate::decide;
use crate::decision::Command;
use crate::guard::tests::alone;
use crate::memory::Memory;
use crate::observe::{Connection, Fence, Observation};
use crate::record::{Phase, Record, Why};

fn change(seen: &mut Observation, ordinal: usize, change: impl FnOnce(&mut Fence)) {
    if let Some(fence) = seen.instances[ordinal].answer.as_mut().and_then(|answer| answer.fence.as_mut()) {
        change(fence);
    }
}

fn told(seen: &Observation) -> Vec<Command> {
    decide(seen, &Memory::default()).commands
}

#[test]
fn clients_are_sent_away_from_the_old_primary_when_the_next_one_accepts_writes_and_not_before() {
    let mut seen = alone(Connection::Connected);
    if let Some(record) = &mut seen.record {
        // What is to be said of members and guard has been said.
        *record = Record { members: vec!["pair-0".to_owned()], ..record.clone() };
    }
    seen.spec.instances = 1;
    let dismissed = |seen: &Observation| {
        told(seen).iter().any(|c| matches!(c, Command::Dismiss { instance, .. } if instance == "pair-1"))
    };
    change(&mut seen, 0, |primary| primary.guard = false);
    change(&mut seen, 1, |old| old.former_clients = true);
    assert!(!dismissed(&seen), "{:?}", told(&seen));
    change(&mut seen, 0, |primary| primary.writable = true);
    assert!(dismissed(&seen), "{:?}", told(&seen));
    change(&mut seen, 1, |old| old.former_clients = false);
    assert!(!dismissed(&seen), "{:?}", told(&seen));
}

/// `pair-0` has handed over to `pair-1` and follows it.
fn handed_over() -> Observation {
    let mut seen = alone(Connection::Connected);
    let [old, heir] = &mut seen.instances[..] else { unreachable!("a pair") };
    let (Some(old), Some(heir)) = (&mut old.answer, &mut heir.answer) else { unreachable!("both answer") };
    (old.role, heir.role) = (heir.role, old.role);
    (old.upstream, heir.upstream) = (heir.upstream.take(), None);
    if let Some(record) = &mut seen.record {
        let target = Some(crate::turn::life("pair-1", heir));
        *record = Record { phase: Phase::Moving, epoch: record.epoch + 1, target, ..record.clone() };
    }
    seen
}

#[test]
fn a_move_is_not_called_off_because_the_old_primary_was_heard_later_than_the_next_one() {
    let called_off = |seen: &Observation| {
        decide(seen, &Memory::default()).record.is_some_and(|record| record.why == Some(Why::CalledOff))
    };
    let mut seen = handed_over();
    let old = seen.instances[0].answer.as_mut();
    old.map(|old| (old.asked_ms, old.received_ms, old.offset) = (9_950, 9_951, 1_037)).unwrap_or_default();
    assert!(!called_off(&seen));
    // Asked again, it holds less: something was lost.
    let heir = seen.instances[1].answer.as_mut();
    heir.map(|heir| (heir.asked_ms, heir.received_ms) = (9_960, 9_961)).unwrap_or_default();
    assert!(called_off(&seen));
}

#[test]
fn clients_that_come_to_the_next_primary_early_are_kept_waiting() {
    let mut seen = alone(Connection::Connected);
    if let Some(record) = &mut seen.record {
        let heir = seen.instances[1].answer.as_ref().map(|answer| crate::turn::life("pair-1", answer));
        *record = Record { phase: Phase::Moving, target: heir, ..record.clone() };
    }
    let held = |c: &Command| matches!(c, Command::Hold { instance, .. } if instance == "pair-1");
    assert!(told(&seen).iter().any(held), "{:?}", told(&seen));
}

/// `pair-0` leads, `pair-1` may succeed it, and somebody wants the primary moved.
fn asked_to_move(id: &str) -> Observation {
    let mut seen = alone(Connection::Connected);
    let follower = crate::turn::life("pair-1", seen.instances[1].answer.as_ref().unwrap());
    let record = seen.record.as_mut().unwrap();
    record.successors = vec![follower];
    record.guard = Some(crate::record::Quorum { votes: 1, acks: 1 });
    change(&mut seen, 0, |primary| (primary.guard, primary.votes, primary.acks) = (true, 1, 1));
    seen.spec.switchover = Some(crate::spec::Switchover { id: id.to_owned(), to: None });
    seen
}

/// `kube-proxy` takes in changes once a second: clients of a move that follows at once on another change would be led astray for that long.
#[test]
fn no_move_begins_while_nodes_have_yet_to_take_in_where_services_lead() {
    let mut seen = asked_to_move("any@1");
    let moves = |seen: &Observation| {
        decide(seen, &Memory::default()).record.is_some_and(|record| record.phase == Phase::Moving)
    };
    assert!(moves(&seen));
    seen.spec.settled_at_ms = seen.now_ms + 400;
    assert!(!moves(&seen));
    assert!(seen.record.as_ref().is_some_and(|record| record.switchover_done.is_none()), "the wish stands");
}

#[test]
fn a_move_is_not_called_off_by_an_operator_that_has_yet_to_hear_the_old_primary() {
    let mut seen = handed_over();
    // Another has just taken office, and asked both before it read what was under way; the next primary has answered again since.
    seen.record_seen_ms = 9_990;
    let heir = seen.instances[1].answer.as_mut();
    heir.map(|heir| (heir.asked_ms, heir.received_ms) = (9_991, 9_992)).unwrap_or_default();
    let decided = decide(&seen, &Memory::default()).record;
    assert!(decided.as_ref().is_none_or(|record| record.why != Some(Why::CalledOff)), "{decided:?}");
}

#[test]
fn a_move_is_not_called_off_by_an_operator_that_has_yet_to_hear_the_next_primary() {
    let mut seen = alone(Connection::Connected);
    if let Some(record) = &mut seen.record {
        let heir = seen.instances[1].answer.take().map(|answer| crate::turn::life("pair-1", &answer));
        *record = Record { phase: Phase::Moving, target: heir, ..record.clone() };
    }
    seen.instances[1].connection = Connection::Untried;
    let decision = decide(&seen, &Memory::default());
    assert_eq!(decision.record, None);
    assert!(!decision.commands.iter().any(|c| matches!(c, Command::Failover { .. })), "{:?}", decision.commands);
    // It refuses: there is no next primary any more.
    seen.instances[1].connection = Connection::Refused { asked_ms: 9_990, uid: Some("uid-1".to_owned()) };
    let events = decide(&seen, &Memory::default()).events;
    assert!(
        events.iter().any(|event| event.message.contains("pair-1 was lost, or is not in sync any more")),
        "{events:?}"
    );
}

#[test]
fn a_wish_stands_when_its_move_was_called_off_because_the_target_was_lost() {
    let mut seen = alone(Connection::Connected);
    let heir = seen.instances[1].answer.take().map(|answer| crate::turn::life("pair-1", &answer));
    seen.instances[1].connection = Connection::Refused { asked_ms: 9_990, uid: Some("uid-1".to_owned()) };
    let record = seen.record.as_mut().unwrap();
    record.phase = Phase::Moving;
    record.target = heir;
    record.why = Some(Why::Requested);
    record.switchover_done = Some("any@1".to_owned());
    seen.spec.switchover = Some(crate::spec::Switchover { id: "any@1".to_owned(), to: None });
    let decision = decide(&seen, &Memory::default());
    let called_off = decision.record.unwrap();
    assert_eq!((called_off.why, called_off.switchover_done), (Some(Why::CalledOff), None));

    // Where the specification wants the primary to be stands as well, and what was wished and done before is not done again.
    let record = seen.record.as_mut().unwrap();
    record.placed = Some("pair-1".to_owned());
    seen.spec.place = Some("pair-1".to_owned());
    let called_off = decide(&seen, &Memory::default()).record.unwrap();
    assert_eq!((called_off.placed, called_off.switchover_done.as_deref()), (None, Some("any@1")));

    // The next attempt waits; a wish that has come since does not.
    let begins = |id: &str| {
        let decided = decide(&asked_to_move(id), &decision.memory).record;
        decided.is_some_and(|record| record.phase == Phase::Moving)
    };
    assert!(!begins("any@1"));
    assert!(begins("any@2"));
}

#[test]
fn a_primary_that_is_to_be_elsewhere_and_cannot_yet_is_on_its_way() {
    use crate::decision::ConditionKind;
    let mut seen = asked_to_move("any@1");
    change(&mut seen, 0, |primary| (primary.writable, primary.acks) = (true, 0));
    seen.record.as_mut().unwrap().guard = Some(crate::record::Quorum { votes: 1, acks: 0 });
    (seen.spec.durability, seen.spec.settled_at_ms) = (crate::Durability::Async, seen.now_ms + 400);
    let told = |seen: &Observation| {
        let conditions = decide(seen, &Memory::default()).conditions;
        conditions.into_iter().find(|c| c.kind == ConditionKind::Progressing).unwrap()
    };
    let wished = told(&seen);
    assert_eq!((wished.status, wished.reason.as_str()), (Some(true), "CannotMove"), "{wished:?}");
    seen.spec.switchover = None;
    assert_eq!(told(&seen).status, Some(false));
}
