use crate::decide;
use crate::memory::Memory;
use crate::observe::{
    Address, Answer, Connection, Fence, Instance, Leadership, LinkState, Observation, Presence, Role, Upstream,
};
use crate::record::{Life, Lineage, Phase, Record};
use crate::spec::{Acceptance, Durability, Spec};

const EPOCH: u64 = 7;
pub(crate) const HISTORY: &str = "history";

/// An instance that has restarted, and what it holds of the recorded history.
pub(crate) fn restarted(ordinal: u32, offset: u64, loading: bool) -> Instance {
    let name = format!("pair-{ordinal}");
    let uid = format!("uid-{ordinal}");
    let (host, port) = Address::NOWHERE;
    Instance {
        address: Address { host: name.clone(), port: 6379 },
        ordinal,
        presence: Presence::Running { uid: uid.clone() },
        connection: Connection::Connected,
        answer: Some(Answer {
            asked_ms: 9_900,
            received_ms: 9_901,
            uid,
            run_id: format!("second-life-{ordinal}"),
            role: Role::Replica,
            fence: Some(Fence {
                epoch: 0,
                term: 0,
                guard: true,
                votes: 1,
                acks: 0,
                token: 1,
                writable: false,
                acked_offset: 0,
                former_clients: false,
            }),
            replid: HISTORY.to_owned(),
            replid2: None,
            second_offset: None,
            offset,
            whole: true,
            loading,
            keys: 1,
            upstream: Some(Upstream {
                address: Address { host: host.to_owned(), port },
                link: LinkState::Connecting,
                since_ms: 10,
            }),
            replicas: Vec::new(),
            failover_in_progress: false,
        }),
        name,
    }
}

/// All have restarted with less than was recorded, and a person accepts the loss.
fn accepting(keep: Option<&str>, instances: Vec<Instance>) -> Observation {
    let life = |n| Life { name: format!("pair-{n}"), uid: format!("uid-{n}"), run_id: format!("first-life-{n}") };
    Observation {
        now_ms: 10_000,
        now_rfc3339: String::new(),
        leader: Some(Leadership { since_ms: 0, until_ms: 20_000 }),
        record: Some(Record {
            term: 20,
            epoch: EPOCH,
            phase: Phase::Stable,
            primary: Some(life(0)),
            successors: vec![life(1)],
            members: vec!["pair-0".to_owned(), "pair-1".to_owned()],
            lineage: Some(Lineage { replid: HISTORY.to_owned(), offset: 1_000, keys: 1, ..Lineage::default() }),
            ..Record::default()
        }),
        record_seen_ms: 0,
        record_read_ms: 9_000,
        spec: Spec {
            durability: Durability::Preferred,
            accept_data_loss: Some(Acceptance { epoch: Some(EPOCH), instance: keep.map(str::to_owned) }),
            ..Spec::default()
        },
        instances,
    }
}

fn kept(seen: &Observation) -> Option<String> {
    Some(decide(seen, &Memory::default()).record?.target?.name)
}

#[test]
fn who_accepts_a_loss_gets_the_most_that_is_left_and_not_what_was_loaded_first() {
    let seen = accepting(None, vec![restarted(0, 0, true), restarted(1, 400, false)]);
    assert_eq!(kept(&seen), None, "pair-0 may hold more when it has loaded");
    let said = decide(&seen, &Memory::default()).reasons;
    assert!(said.iter().any(|r| r.message.contains("pair-0 is loading") && r.message.contains("name the instance")));
    let seen = accepting(None, vec![restarted(0, 900, false), restarted(1, 400, false)]);
    assert_eq!(kept(&seen).as_deref(), Some("pair-0"));
}

#[test]
fn who_names_the_data_set_to_keep_does_not_wait_for_the_others() {
    let seen = accepting(Some("pair-1"), vec![restarted(0, 0, true), restarted(1, 400, false)]);
    assert_eq!(kept(&seen).as_deref(), Some("pair-1"));
}

#[test]
fn a_member_is_unheard_of_until_it_answers_refuses_or_has_been_silent_for_too_long() {
    let heard = |connection: Connection, answers: bool| {
        let mut other = restarted(1, 0, false);
        other.connection = connection;
        other.answer = other.answer.filter(|_| answers);
        decide(&accepting(None, vec![restarted(0, 0, false), other]), &Memory::default()).endpoints.unheard
    };
    let nobody: Vec<String> = Vec::new();
    assert_eq!(heard(Connection::Untried, false), ["pair-1"]);
    assert_eq!(heard(Connection::Silent { since_ms: 9_000 }, false), ["pair-1"]);
    assert_eq!(heard(Connection::Silent { since_ms: 1_000 }, false), nobody);
    assert_eq!(heard(Connection::Refused { asked_ms: 9_999, uid: None }, false), nobody);
    assert_eq!(heard(Connection::Connected, true), nobody);
}

#[test]
fn only_a_replicas_answer_that_moves_nothing_but_times_and_counts_says_the_same() {
    let before = restarted(1, 100, false).answer.unwrap();
    let later = Answer { asked_ms: 10_500, received_ms: 10_501, offset: 200, keys: 7, ..before.clone() };
    assert!(later.says_the_same(&before));
    let fence = before.fence.clone().map(|fence| Fence { term: 21, ..fence });
    for other in [
        Answer { role: Role::Primary, upstream: None, ..later.clone() },
        Answer { run_id: "third-life".to_owned(), ..later.clone() },
        Answer { replid: "another".to_owned(), ..later.clone() },
        Answer { loading: true, ..later.clone() },
        Answer { whole: false, ..later.clone() },
        Answer { upstream: None, ..later.clone() },
        Answer { fence, ..later },
    ] {
        assert!(!other.says_the_same(&before), "{other:?}");
    }
}

/// A pair in step whose primary stands idle; this operator heard of it last at 9.9 s, and its replica at `heard_ms`.
fn cut_from_the_primary(spec: Spec, heard_ms: u64) -> Observation {
    let life = |n: u32| Life { name: format!("pair-{n}"), uid: format!("uid-{n}"), run_id: format!("second-life-{n}") };
    let mut seen = accepting(None, vec![restarted(0, 500, false), restarted(1, 500, false)]);
    seen.spec = spec;
    if let Some(record) = &mut seen.record {
        record.primary = Some(life(0));
        record.successors = vec![life(1)];
        record.guard = Some(crate::record::Quorum { votes: 1, acks: 1 });
    }
    let (address, silent) = (seen.instances[0].address.clone(), Connection::Silent { since_ms: 10_000 });
    let [primary, replica] = seen.instances.as_mut_slice() else { panic!("a pair") };
    primary.connection = silent;
    let answer = primary.answer.as_mut().unwrap();
    answer.role = Role::Primary;
    answer.upstream = None;
    answer.fence.as_mut().unwrap().epoch = EPOCH;
    let answer = replica.answer.as_mut().unwrap();
    (answer.asked_ms, answer.received_ms) = (heard_ms, heard_ms);
    answer.upstream = Some(Upstream { address, link: LinkState::Up, since_ms: 60_000 });
    seen
}

/// Whether the primary is taken over from when its replica was last sent something at 9.9 s and said so at 10 s.
fn taken_over(spec: &Spec, at_ms: u64) -> bool {
    let before = cut_from_the_primary(spec.clone(), 9_950);
    let memory = decide(&before, &Memory::default()).memory;
    let mut seen = cut_from_the_primary(spec.clone(), at_ms - 20);
    seen.now_ms = at_ms;
    decide(&seen, &memory).record.is_some_and(|record| record.phase == Phase::Takeover)
}

#[test]
fn a_replica_that_hears_no_more_often_than_an_idle_primary_speaks_keeps_it_in_office() {
    let usual = Spec { detection_timeout_ms: 3_000, quorum_timeout_ms: 5_000, ..Spec::default() };
    assert!(taken_over(&usual, 13_000), "the replica hears nothing either");
    // It asks for votes every second: the replica has not missed one yet.
    let quick = Spec { detection_timeout_ms: 500, ..usual.clone() };
    assert!(!taken_over(&quick, 10_900));
    assert!(taken_over(&quick, 12_000), "the replica hears nothing either");
    // It asks for votes every four seconds.
    let patient = Spec { quorum_timeout_ms: 20_000, ..usual };
    assert!(!taken_over(&patient, 13_900));
    assert!(taken_over(&patient, 18_000), "the replica hears nothing either");
}

#[test]
fn a_data_set_that_was_emptied_is_not_replaced_by_an_older_one_that_was_not() {
    // The resource was made anew: nothing is recorded, the volumes are there.
    let first = |emptied: Instance| {
        let mut seen = accepting(None, vec![restarted(0, 400, false), emptied]);
        (seen.record, seen.spec.accept_data_loss) = (None, None);
        kept(&seen)
    };
    let mut emptied = restarted(1, 900, false);
    emptied.answer.as_mut().unwrap().keys = 0;
    assert_eq!(first(emptied.clone()).as_deref(), Some("pair-1"));
    emptied.answer.as_mut().unwrap().replid = "one of its own".to_owned();
    assert_eq!(first(emptied).as_deref(), Some("pair-0"), "a new volume holds nothing");
}

#[test]
fn a_move_to_an_instance_that_is_not_there_is_refused_aloud() {
    let wish = |to: &str| Some(crate::spec::Switchover { id: "a wish".to_owned(), to: Some(to.to_owned()) });
    let said = |to: &str| {
        let mut seen = cut_from_the_primary(Spec { switchover: wish(to), ..Spec::default() }, 9_950);
        seen.instances[0].connection = Connection::Connected;
        seen.record.as_mut().unwrap().guard = None;
        seen.record.as_mut().unwrap().successors.clear();
        seen.record.as_mut().unwrap().members.truncate(1);
        seen.instances.truncate(1);
        decide(&seen, &Memory::default())
    };
    let refused = said("pair-7");
    assert!(refused.events.iter().any(|e| e.warning && e.message.contains("pair-7")), "{refused:?}");
    assert_eq!(refused.record.unwrap().switchover_done.as_deref(), Some("a wish"));
    assert!(said("pair-0").events.is_empty(), "it is there already");
}

#[test]
fn nobody_takes_over_unasked_from_a_primary_that_went_on_alone_and_lost_its_disk() {
    // pair-1 holds all that was recorded when it was lost; what pair-0 answered since, nobody holds.
    let after = |old: Instance, guard: Option<crate::record::Quorum>| {
        let mut seen = accepting(None, vec![old, restarted(1, 1_000, false)]);
        seen.spec.accept_data_loss = None;
        let record = seen.record.as_mut().unwrap();
        record.guard = guard;
        record.successors.retain(|_| guard.is_some());
        seen
    };
    let mut empty = restarted(0, 0, false);
    empty.answer.as_mut().unwrap().replid = "one of its own".to_owned();
    for old in [empty.clone(), restarted(0, 300, false)] {
        let seen = after(old, None);
        assert_eq!(kept(&seen), None);
        let held = decide(&seen, &Memory::default());
        let risk = held.conditions.iter().find(|c| c.kind == crate::ConditionKind::DatasetAtRisk).unwrap();
        assert_eq!((risk.status, risk.reason.as_str()), (Some(true), "NoSuccessor"), "{risk:?}");
    }
    // There is a third one, which may hold more.
    let mut seen = after(empty.clone(), None);
    seen.spec.instances = 3;
    seen.instances.push(Instance { answer: None, connection: Connection::Untried, ..restarted(2, 0, false) });
    let said = decide(&seen, &Memory::default()).reasons;
    assert!(said.iter().any(|r| r.message.contains("pair-2 may hold more and does not answer")), "{said:?}");
    let epoch = Acceptance { epoch: Some(EPOCH), instance: None };
    let mut seen = after(empty.clone(), None);
    seen.spec.accept_data_loss = Some(epoch);
    assert_eq!(kept(&seen).as_deref(), Some("pair-1"), "a person may say so");
    assert_eq!(kept(&after(restarted(0, 1_200, false), None)).as_deref(), Some("pair-0"), "it lost nothing");
    let waited = Some(crate::record::Quorum { votes: 1, acks: 1 });
    assert_eq!(kept(&after(empty, waited)).as_deref(), Some("pair-1"), "its writes waited for pair-1");
}

#[test]
fn a_word_that_does_not_end_a_hold_is_answered() {
    let told = |epoch: Option<u64>, instance: Option<&str>| {
        let mut seen = accepting(None, vec![restarted(0, 300, false), restarted(1, 400, false)]);
        seen.spec.accept_data_loss = Some(Acceptance { epoch, instance: instance.map(str::to_owned) });
        let held = decide(&seen, &Memory::default());
        assert!(held.record.is_none(), "{held:?}");
        held.conditions.into_iter().find(|c| c.kind == crate::ConditionKind::DatasetAtRisk).unwrap().message
    };
    assert!(told(Some(EPOCH - 1), None).ends_with("or \"7:INSTANCE\" (what it says now is of epoch 6)"));
    assert!(told(None, None).contains("begins with no number"));
    assert!(told(Some(EPOCH), Some("pair-9")).contains("pair-9, which it names now, is not an instance"));
}

#[test]
fn what_a_failover_cost_is_counted_from_the_old_primarys_log_unless_that_is_of_an_older_volume() {
    // pair-0 was promoted at offset 1,000, and pair-1 is back with what its log holds.
    let counted = |offset: u64| {
        let mut seen = accepting(None, vec![restarted(0, 1_100, false), restarted(1, offset, false)]);
        seen.spec = Spec { complete_log: true, ..Spec::default() };
        let promoted = seen.instances[0].answer.as_mut().unwrap();
        (promoted.role, promoted.upstream) = (Role::Primary, None);
        promoted.fence.as_mut().unwrap().epoch = EPOCH;
        promoted.replid = "promoted".to_owned();
        (promoted.replid2, promoted.second_offset) = (Some(HISTORY.to_owned()), Some(1_001));
        let primary = Life { name: "pair-0".into(), uid: "uid-0".into(), run_id: promoted.run_id.clone() };
        let failover = crate::record::Failover {
            at: String::new(),
            epoch: EPOCH,
            from: Some("pair-1".into()),
            to: "pair-0".into(),
            why: crate::record::Why::Died,
            timeline: crate::record::Timeline::default(),
            bytes_possibly_lost: None,
        };
        let record = seen.record.as_mut().unwrap();
        record.lineage = Some(crate::lineage::of_primary(promoted, EPOCH));
        (record.primary, record.failovers) = (Some(primary), vec![failover]);
        let decided = decide(&seen, &Memory::default());
        decided.record.and_then(|r| r.failovers.first().and_then(|f| f.bytes_possibly_lost))
    };
    assert_eq!(counted(1_000), Some(0));
    assert_eq!(counted(1_250), Some(250));
    assert_eq!(counted(400), None, "what it answered later was on the volume that is gone");
}

#[test]
fn a_successor_that_lost_its_link_is_given_up_once_the_primary_has_outlived_that() {
    // Both are asked at the same moments. The replica lost its link so long ago.
    let kept = |since_ms: u64| {
        let mut seen = cut_from_the_primary(Spec { detection_timeout_ms: 3_000, ..Spec::default() }, 9_900);
        let [primary, replica] = seen.instances.as_mut_slice() else { panic!("a pair") };
        primary.connection = Connection::Connected;
        primary.answer.as_mut().unwrap().fence.as_mut().unwrap().acks = 1;
        let upstream = replica.answer.as_mut().unwrap().upstream.as_mut().unwrap();
        (upstream.link, upstream.since_ms) = (LinkState::Down, since_ms);
        decide(&seen, &Memory::default()).record.is_none_or(|record| !record.successors.is_empty())
    };
    assert!(kept(0), "the primary may have died of what cut the link");
    assert!(!kept(500), "it goes on alone");
}
