use crate::decide;
use crate::decision::{Condition, ConditionKind};
use crate::election::tests::{HISTORY, restarted};
use crate::memory::Memory;
use crate::observe::{
    Address, Answer, Attached, Connection, Instance, Leadership, LinkState, Observation, Presence, Role, Upstream,
};
use crate::record::{Life, Lineage, Phase, Record};
use crate::spec::{Durability, Spec};

const EPOCH: u64 = 2;

/// One that has been at it for a while: the primary, or the replica that follows it.
fn instance(ordinal: u32, role: Role, connection: Connection) -> Instance {
    let known = restarted(ordinal, 1_000, false);
    let upstream =
        Upstream { address: Address { host: "pair-0".to_owned(), port: 6379 }, link: LinkState::Up, since_ms: 5_000 };
    let answer = known.answer.map(|mut answer| {
        answer.fence.iter_mut().for_each(|fence| fence.epoch = EPOCH);
        let upstream = (role == Role::Replica).then_some(upstream);
        Answer { role, run_id: format!("run-{ordinal}"), upstream, ..answer }
    });
    Instance { connection, answer, ..known }
}

/// `pair-0` serves alone, and `pair-1` was in sync with it a moment ago.
pub(crate) fn alone(replica: Connection) -> Observation {
    Observation {
        now_ms: 10_000,
        now_rfc3339: String::new(),
        leader: Some(Leadership { since_ms: 0, until_ms: 20_000 }),
        record: Some(Record {
            term: 10,
            epoch: EPOCH,
            phase: Phase::Stable,
            primary: Some(Life { name: "pair-0".to_owned(), uid: "uid-0".to_owned(), run_id: "run-0".to_owned() }),
            members: vec!["pair-0".to_owned(), "pair-1".to_owned()],
            lineage: Some(Lineage { replid: HISTORY.to_owned(), offset: 1_000, keys: 1, ..Lineage::default() }),
            ..Record::default()
        }),
        record_seen_ms: 9_000,
        record_read_ms: 9_000,
        spec: Spec { instances: 2, durability: Durability::Preferred, ..Spec::default() },
        instances: vec![instance(0, Role::Primary, Connection::Connected), instance(1, Role::Replica, replica)],
    }
}

#[test]
fn writes_wait_for_a_replica_only_while_there_is_a_connection_to_it() {
    let arms = |seen: &Observation| {
        decide(seen, &Memory::default()).record.is_some_and(|record| record.phase == Phase::Arming)
    };
    assert!(arms(&alone(Connection::Connected)));
    // Its pod was deleted; what it last said is still young.
    assert!(!arms(&alone(Connection::Untried)));
    assert!(!arms(&alone(Connection::Silent { since_ms: 9_950 })));
}

#[test]
fn readers_are_not_led_to_a_pod_that_is_not_there_any_more() {
    let ro = |connection| decide(&alone(connection), &Memory::default()).endpoints.ro;
    assert_eq!(ro(Connection::Connected), ["pair-1"]);
    assert!(ro(Connection::Untried).is_empty());
    let mut moved = alone(Connection::Silent { since_ms: 9_950 });
    moved.instances[1].presence = Presence::Running { uid: "another".to_owned() };
    assert!(decide(&moved, &Memory::default()).endpoints.ro.is_empty());
    // One that is silent for a moment may be slow.
    assert_eq!(ro(Connection::Silent { since_ms: 9_950 }), ["pair-1"]);
}

#[test]
fn what_is_told_together_with_a_record_is_of_that_record() {
    let mut seen = alone(Connection::Refused { asked_ms: 9_950, uid: Some("uid-1".to_owned()) });
    let record = seen.record.as_mut().unwrap();
    record.successors = vec![Life { name: "pair-1".to_owned(), uid: "uid-1".to_owned(), run_id: "run-1".to_owned() }];
    let decision = decide(&seen, &Memory::default());
    assert!(decision.record.is_some_and(|record| record.successors.is_empty()), "it has lost its successor");
    let degraded = decision.conditions.iter().find(|condition| condition.kind == ConditionKind::Degraded).unwrap();
    assert_eq!((degraded.status, degraded.reason.as_str()), (Some(true), "TooFewSuccessors"));
}

fn condition(seen: &Observation, kind: ConditionKind) -> Condition {
    let decision = decide(seen, &Memory::default());
    decision.conditions.into_iter().find(|condition| condition.kind == kind).unwrap()
}

/// `pair-0` serves, its guard as recorded, with nothing more to be done.
fn settled() -> Observation {
    let mut seen = alone(Connection::Connected);
    let record = seen.record.as_mut().unwrap();
    record.successors = vec![Life { name: "pair-1".to_owned(), uid: "uid-1".to_owned(), run_id: "run-1".to_owned() }];
    record.guard = Some(crate::record::Quorum { votes: 1, acks: 1 });
    let address = seen.instances[1].address.clone();
    let primary = seen.instances[0].answer.as_mut().unwrap();
    primary
        .fence
        .iter_mut()
        .for_each(|fence| (fence.guard, fence.votes, fence.acks, fence.writable) = (true, 1, 1, true));
    primary.replicas = vec![Attached { address, online: true, ack_offset: 1_000, lag_ms: 900 }];
    seen
}

#[test]
fn nothing_is_said_to_be_as_it_should_be_beside_what_is_not() {
    let mut seen = settled();
    assert_eq!(condition(&seen, ConditionKind::Ready).status, Some(true));
    assert_eq!(condition(&seen, ConditionKind::Progressing).reason, "Steady");
    // The votes are late, and nothing else is amiss.
    seen.instances[0].answer.iter_mut().flat_map(|answer| &mut answer.fence).for_each(|fence| fence.writable = false);
    assert_eq!(decide(&seen, &Memory::default()).reasons[0].code, crate::ReasonCode::Steady);
    for kind in [ConditionKind::Ready, ConditionKind::Progressing, ConditionKind::Degraded] {
        let told = condition(&seen, kind);
        assert_eq!(told.status, Some(kind != ConditionKind::Ready), "{told:?}");
        assert!(!told.message.contains("as it should be") && told.reason != "Steady", "{told:?}");
    }
    let progressing = condition(&seen, ConditionKind::Progressing);
    assert_eq!(progressing.reason, "WaitingForGuard");
    assert!(progressing.message.contains("pair-0 is primary and accepts no writes until the votes"), "{progressing:?}");
}

#[test]
fn a_set_whose_writes_are_not_answered_is_not_ready() {
    let ready = |durability, lag_ms: Option<u64>| {
        let mut seen = settled();
        seen.spec.durability = durability;
        let address = seen.instances[1].address.clone();
        let primary = seen.instances[0].answer.as_mut().unwrap();
        primary.replicas =
            lag_ms.map(|lag_ms| Attached { address, online: true, ack_offset: 1_000, lag_ms }).into_iter().collect();
        let ready = condition(&seen, ConditionKind::Ready);
        (ready.status, ready.reason)
    };
    for durability in [Durability::Sync, Durability::Preferred] {
        assert_eq!(ready(durability, Some(900)), (Some(true), "Serving".to_owned()));
        // Frozen: it is connected and says nothing.
        assert_eq!(ready(durability, Some(60_000)), (Some(false), "WritesWait".to_owned()));
    }
    assert_eq!(ready(Durability::Sync, None), (Some(false), "WritesWait".to_owned()));
    assert_eq!(ready(Durability::Async, None).0, Some(true));
}

#[test]
fn one_that_has_gone_is_not_taken_in_again_on_its_last_word() {
    let memory = Memory { since_ms: Some(0), ..Memory::default() };
    let mut seen = alone(Connection::Connected);
    seen.spec.instances = 3;
    let mut ended = instance(2, Role::Replica, Connection::Silent { since_ms: 9_900 });
    ended.presence = Presence::Ended { uid: "uid-2".to_owned(), run_id: Some("run-2".to_owned()) };
    seen.instances.push(ended);
    seen.record.as_mut().unwrap().members.push("pair-2".to_owned());
    let parted = decide(&seen, &memory).record.unwrap();
    assert_eq!(parted.members, ["pair-0", "pair-1"]);
    seen.record = Some(parted);
    let next = decide(&seen, &memory).record;
    assert!(next.as_ref().is_none_or(|record| record.members == ["pair-0", "pair-1"]), "{next:?}");
}
