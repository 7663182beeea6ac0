use crate::decide;
use crate::decision::Command;
use crate::guard::tests::alone;
use crate::memory::Memory;
use crate::observe::{Connection, Fence, Observation};
use crate::record::{Phase, Record};

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
