use crate::decide;
use crate::memory::Memory;
use crate::observe::{
    Address, Answer, Connection, Fence, Instance, Leadership, LinkState, Observation, Presence, Role, Upstream,
};
use crate::record::{Life, Lineage, Phase, Record};
use crate::spec::{Acceptance, Durability, Spec};

const EPOCH: u64 = 7;
const HISTORY: &str = "history";

/// An instance that has restarted, and what it holds of the recorded history.
fn restarted(ordinal: u32, offset: u64, loading: bool) -> Instance {
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
            accept_data_loss: Some(Acceptance { epoch: EPOCH, instance: keep.map(str::to_owned) }),
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
