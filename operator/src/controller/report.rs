//! What status says to people, and when it is worth a write. Pure.

use std::collections::BTreeSet;

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};
use valkey_repl_engine::{
    Connection, Decision, Instance, Record,
    observe::{Attached, LinkState, Role},
};

use crate::{
    api::{self, ACCEPT_DATA_LOSS, InstanceStatus, ValkeyReplicationStatus},
    instance::Seen,
};

/// What a status is made of, besides what was decided.
pub(super) struct Facts<'a> {
    /// The generation of the spec that was acted upon; nothing while the objects could not be made.
    pub generation: Option<i64>,
    /// Why no objects can be made.
    pub blocked: Option<&'a str>,
    /// How many instances were asked for.
    pub wanted: i32,
    /// How many pods there are.
    pub pods: i32,
    /// How many of those that are to stay are made from the newest template.
    pub updated: usize,
    /// Selects the pods.
    pub selector: String,
    /// What was observed.
    pub instances: &'a [Instance],
    /// What was seen of each of them.
    pub seen: &'a [Seen],
    /// Now.
    pub now: Timestamp,
}

/// The status that follows from a record and a decision. What people read keeps its date where it says the same.
pub(super) fn status(
    before: Option<&ValkeyReplicationStatus>,
    record: Option<Record>,
    decision: &Decision,
    facts: &Facts<'_>,
) -> ValkeyReplicationStatus {
    let mut status = before.cloned().unwrap_or_default();
    let instances: Vec<_> = instances(facts.instances, facts.seen, record.as_ref(), facts.now)
        .into_iter()
        .map(|now| {
            let standing = status.instances.iter().find(|old| old.name == now.name);
            standing.filter(|old| old.says_the_same(&now)).cloned().unwrap_or(now)
        })
        .collect();
    let in_step = instances.iter().filter(|instance| instance.in_step).count();
    status.instances = instances;
    status.ready = format!("{in_step}/{}", facts.wanted);
    status.instance_count = facts.pods;
    status.selector.clone_from(&facts.selector);
    status.observed_generation = facts.generation.or(status.observed_generation);
    if let Some(record) = record {
        status.set_record(record);
    } else if status.record.is_none() {
        valkey_repl_engine::Phase::default().as_str().clone_into(&mut status.phase);
    }
    status.conditions = conditions(&status, decision, facts);
    status
}

/// Each instance as it is now.
pub(crate) fn instances(
    all: &[Instance],
    seen: &[Seen],
    record: Option<&Record>,
    now: Timestamp,
) -> Vec<InstanceStatus> {
    let pairs = all.iter().zip(seen);
    pairs.map(|(instance, seen)| describe(instance, seen, record, attached(all, record, instance), now)).collect()
}

/// An instance as the primary sees it.
fn attached<'a>(all: &'a [Instance], record: Option<&Record>, instance: &Instance) -> Option<&'a Attached> {
    let primary = record?.primary.as_ref()?;
    let answer = all.iter().find(|other| other.name == primary.name)?.answer.as_ref()?;
    answer.replicas.iter().find(|replica| replica.address == instance.address)
}

fn describe(
    instance: &Instance,
    seen: &Seen,
    record: Option<&Record>,
    attached: Option<&Attached>,
    now: Timestamp,
) -> InstanceStatus {
    let reachable = seen.connection == Connection::Connected && seen.problem.is_none();
    let answer = instance.answer.as_ref().filter(|_| reachable);
    let primary = record.and_then(|record| record.primary.as_ref());
    let is_primary = primary.is_some_and(|life| life.name == instance.name);
    let successor = record.is_some_and(|record| record.successors.iter().any(|life| life.name == instance.name));
    let lag = attached.filter(|_| reachable).map(|attached| attached.lag_ms).filter(|lag| *lag < u64::MAX);
    InstanceStatus {
        name: instance.name.clone(),
        reachable,
        role: answer.map(|answer| answer.role),
        link: answer.filter(|answer| answer.role == Role::Replica).and_then(|answer| {
            let upstream = answer.upstream.as_ref()?;
            (!upstream.address.is_nowhere()).then_some(upstream.link)
        }),
        in_step: reachable
            && if is_primary {
                answer.is_some_and(|answer| answer.role == Role::Primary)
            } else {
                successor
                    && answer.is_some_and(|answer| answer.upstream.as_ref().is_some_and(|up| up.link == LinkState::Up))
            },
        offset: answer.map(|answer| answer.offset),
        lag_ms: lag,
        problem: seen.problem.clone().or_else(|| unset(seen)),
        as_of: Time(now),
    }
}

/// Why nothing is heard of an instance.
fn problem(instance: &Instance, seen: &Seen) -> Option<String> {
    Some(format!("{}: {}", instance.name, seen.problem.as_ref()?))
}

/// What it does not run with as it was told.
fn unset(seen: &Seen) -> Option<String> {
    let said: Vec<_> = seen.unset.iter().map(|(directive, says)| format!("{directive} is not set: {says}")).collect();
    (!said.is_empty()).then(|| said.join("; "))
}

/// The conditions of the engine, and of what it does not know of: objects that cannot be made, pods of an older
/// template.
fn conditions(standing: &ValkeyReplicationStatus, decision: &Decision, facts: &Facts<'_>) -> Vec<Condition> {
    let before = &standing.conditions;
    let mut conditions: Vec<_> = decision
        .conditions
        .iter()
        .map(|condition| Condition {
            type_: condition.kind.as_str().to_owned(),
            status: match condition.status {
                Some(true) => "True",
                Some(false) => "False",
                None => "Unknown",
            }
            .to_owned(),
            reason: condition.reason.clone(),
            message: condition.message.replace("accept-data-loss to", &format!("the annotation {ACCEPT_DATA_LOSS} to")),
            observed_generation: standing.observed_generation,
            last_transition_time: Time(facts.now),
        })
        .collect();
    let wanted = usize::try_from(facts.wanted).unwrap_or(0);
    if let Some(progressing) = conditions.iter_mut().find(|condition| condition.type_ == "Progressing") {
        if let Some(blocked) = facts.blocked {
            progressing.status = "False".into();
            progressing.reason = "CannotBuild".into();
            progressing.message = blocked.to_owned();
        } else if facts.updated < wanted && progressing.status == "False" && progressing.reason == "Steady" {
            progressing.status = "True".into();
            progressing.reason = "RollingOut".into();
            progressing.message = format!("{} of {wanted} instances are up to date", facts.updated);
        }
    }
    if let (Some(blocked), Some(degraded)) =
        (facts.blocked, conditions.iter_mut().find(|condition| condition.type_ == "Degraded"))
    {
        degraded.status = "True".into();
        degraded.reason = "CannotBuild".into();
        degraded.message = blocked.to_owned();
    }
    let native = |seen: &Seen| seen.process.as_ref().is_some_and(|process| process.native);
    if facts.seen.iter().any(native) {
        for condition in conditions.iter_mut().filter(|condition| condition.reason == "Unfenced") {
            condition.message.push_str(
                "; the image holds this project's server, which has one: make a new resource with flavor Native and move the data over",
            );
        }
    }
    let unheard: Vec<_> = facts.instances.iter().zip(facts.seen).filter_map(|(i, seen)| problem(i, seen)).collect();
    let bad = |condition: &&mut Condition| {
        matches!((condition.type_.as_str(), condition.status.as_str()), ("Degraded", "True") | ("Ready", "False"))
    };
    for condition in conditions.iter_mut().filter(bad).filter(|_| !unheard.is_empty()) {
        condition.message = format!("{} ({})", condition.message, unheard.join("; "));
    }
    let other =
        facts.instances.iter().zip(facts.seen).find_map(|(instance, seen)| Some((&instance.name, seen, unset(seen)?)));
    if let (Some((name, seen, what)), Some(degraded)) =
        (other, conditions.iter_mut().find(|condition| condition.type_ == "Degraded" && condition.status == "False"))
    {
        degraded.status = "True".into();
        degraded.reason = "ConfigNotTaken".into();
        let fields: BTreeSet<&str> = seen.unset.keys().map(|directive| api::field(directive)).collect();
        degraded.message = format!(
            "{name}: {what}; correct it in {}: it is not in the file that servers start from, and nothing is restarted for a new template until then",
            Vec::from_iter(fields).join(" and ")
        );
    }
    for condition in &mut conditions {
        let same = before.iter().find(|old| old.type_ == condition.type_ && old.status == condition.status);
        if let Some(old) = same {
            condition.last_transition_time = old.last_transition_time.clone();
        }
    }
    conditions
}

/// The reasons whose message is the news: it says what is wrong, and changes only when something else is.
const TELLING: [&str; 2] = ["CannotBuild", "ConfigNotTaken"];

/// What a message says behind the word that would accept a loss: why the one that is there does not count. It is the answer to a person
/// who waits for it.
fn answer(message: &str) -> &str {
    message.rsplit_once(":INSTANCE\"").map_or("", |(_, why)| why)
}

/// Whether the difference is worth a write now. The words of a message may change with every look ("silent for 420
/// ms"), so they alone are mostly not; they go along with the next write.
pub(super) fn differs(before: Option<&ValkeyReplicationStatus>, after: &ValkeyReplicationStatus) -> bool {
    let Some(before) = before else { return true };
    let quiet = |status: &ValkeyReplicationStatus| {
        let mut status = status.clone();
        let wordy = |condition: &&mut Condition| !TELLING.contains(&condition.reason.as_str());
        let words = status.conditions.iter_mut().filter(wordy).map(|condition| &mut condition.message);
        words.for_each(|message| *message = answer(message).to_owned());
        status
    };
    quiet(before) != quiet(after)
}

#[cfg(test)]
mod tests {
    use valkey_repl_engine::{ConditionKind, Phase, Presence, observe::Address, record::Life};

    use super::*;

    fn decision(message: &str) -> Decision {
        Decision {
            conditions: vec![
                valkey_repl_engine::Condition {
                    kind: ConditionKind::Ready,
                    status: Some(true),
                    reason: "Serving".into(),
                    message: "pair-0 accepts writes".into(),
                },
                valkey_repl_engine::Condition {
                    kind: ConditionKind::Progressing,
                    status: Some(false),
                    reason: "Steady".into(),
                    message: message.into(),
                },
                valkey_repl_engine::Condition {
                    kind: ConditionKind::DatasetAtRisk,
                    status: Some(true),
                    reason: "NoLineage".into(),
                    message: "set accept-data-loss to \"3\"".into(),
                },
            ],
            ..Decision::default()
        }
    }

    fn instance(name: &str) -> Instance {
        Instance {
            name: name.into(),
            ordinal: 0,
            address: Address { host: name.into(), port: 1 },
            presence: Presence::Gone,
            connection: Connection::Untried,
            answer: None,
        }
    }

    fn facts<'a>(instances: &'a [Instance], seen: &'a [Seen], second: i64) -> Facts<'a> {
        Facts {
            generation: Some(4),
            blocked: None,
            wanted: 2,
            pods: 2,
            updated: 2,
            selector: "a=b".into(),
            instances,
            seen,
            now: Timestamp::from_second(second).unwrap(),
        }
    }

    fn record() -> Record {
        Record {
            term: 1,
            epoch: 3,
            phase: Phase::Stable,
            primary: Some(Life { name: "pair-0".into(), uid: "u".into(), run_id: "r".into() }),
            ..Record::default()
        }
    }

    #[test]
    fn a_status_that_says_the_same_is_not_written_again() {
        let instances = [instance("pair-0"), instance("pair-1")];
        let seen = [Seen::default(), Seen::default()];
        let first = status(None, Some(record()), &decision("a"), &facts(&instances, &seen, 1));
        assert!(differs(None, &first));
        let second = status(Some(&first), Some(record()), &decision("b"), &facts(&instances, &seen, 2));
        assert!(!differs(Some(&first), &second));
        assert_eq!(first.conditions[0].last_transition_time, second.conditions[0].last_transition_time);
        assert_eq!(first.instances, second.instances);
        assert_eq!((first.ready.as_str(), first.primary.as_deref(), first.epoch), ("0/2", Some("pair-0"), 3));
    }

    #[test]
    fn why_an_acceptance_does_not_count_is_written_when_it_changes() {
        let says = |silent: u32, why: &str| {
            let risk = valkey_repl_engine::Condition {
                kind: ConditionKind::DatasetAtRisk,
                status: Some(true),
                reason: "NoQuorum".into(),
                message: format!(
                    "pair-1 (silent for {silent} s); set accept-data-loss to \"3\" or \"3:INSTANCE\"{why}"
                ),
            };
            let decision = Decision { conditions: vec![risk], ..Decision::default() };
            status(None, Some(record()), &decision, &facts(&[], &[], 1))
        };
        let other_epoch = " (what it says now is of epoch 2)";
        assert!(differs(Some(&says(1, "")), &says(1, other_epoch)));
        assert!(differs(Some(&says(1, other_epoch)), &says(1, " (what it says now begins with no number)")));
        assert!(!differs(Some(&says(1, other_epoch)), &says(2, other_epoch)));
    }

    #[test]
    fn the_override_is_named_by_its_whole_annotation() {
        let status = status(None, Some(record()), &decision(""), &facts(&[], &[], 1));
        assert!(status.conditions[2].message.contains("the annotation valkey-repl.dev/accept-data-loss to \"3\""));
    }

    #[test]
    fn objects_that_cannot_be_made_are_said_where_people_look() {
        let facts = Facts { blocked: Some("no such Secret"), generation: None, ..facts(&[], &[], 1) };
        let status = status(None, None, &decision("a"), &facts);
        assert_eq!(status.conditions[1].message, "no such Secret");
        assert_eq!(status.observed_generation, None);
        assert_eq!(status.phase, "Forming");
        // It was made, and the next thing is wrong.
        let next =
            self::status(Some(&status), None, &decision("a"), &Facts { blocked: Some("no such class"), ..facts });
        assert!(differs(Some(&status), &next));
        assert_eq!(next.conditions[1].message, "no such class");
    }

    #[test]
    fn why_nothing_is_heard_of_an_instance_is_said_where_people_look() {
        let seen = [Seen { problem: Some("InvalidImageName: a b".into()), ..Seen::default() }];
        let mut ready = decision("");
        ready.conditions[0].status = Some(false);
        "pair-0 has not answered".clone_into(&mut ready.conditions[0].message);
        let status = status(None, None, &ready, &facts(&[instance("pair-0")], &seen, 1));
        assert_eq!(status.conditions[0].message, "pair-0 has not answered (pair-0: InvalidImageName: a b)");
        assert_eq!(status.instances[0].problem.as_deref(), Some("InvalidImageName: a b"));
    }

    #[test]
    fn a_directive_that_a_server_did_not_take_is_said_where_people_look() {
        let unset = [("hz".to_owned(), "it runs with 10".to_owned())].into();
        let seen = [Seen { unset, connection: Connection::Connected, ..Seen::default() }];
        let degraded = valkey_repl_engine::Condition {
            kind: ConditionKind::Degraded,
            status: Some(false),
            reason: "Complete".into(),
            message: String::new(),
        };
        let decision = Decision { conditions: vec![degraded], ..Decision::default() };
        let first = status(None, Some(record()), &decision, &facts(&[instance("pair-0")], &seen, 1));
        assert_eq!(first.instances[0].problem.as_deref(), Some("hz is not set: it runs with 10"));
        assert!(first.instances[0].reachable);
        assert_eq!(
            (first.conditions[0].status.as_str(), first.conditions[0].reason.as_str()),
            ("True", "ConfigNotTaken")
        );
        let says = |directive: &str| {
            let seen = Seen { unset: [(directive.to_owned(), "ERR".to_owned())].into(), ..seen[0].clone() };
            status(None, Some(record()), &decision, &facts(&[instance("pair-0")], &[seen], 1)).conditions[0]
                .message
                .clone()
        };
        for (directive, field) in [
            ("hz", "spec.config"),
            ("save", "spec.persistence.savePoints"),
            ("repl-backlog-size", "spec.replication.backlogSize"),
        ] {
            assert!(says(directive).contains(&format!("correct it in {field}: ")), "{}", says(directive));
        }
    }

    #[test]
    fn a_server_that_could_do_more_than_its_flavor_is_named() {
        let process =
            crate::instance::Process { uid: "u".into(), run_id: "r".into(), started_unix_ms: None, native: true };
        let unfenced = valkey_repl_engine::Condition {
            kind: ConditionKind::Degraded,
            status: Some(false),
            reason: "Unfenced".into(),
            message: "a stock server has no lease".into(),
        };
        let decision = Decision { conditions: vec![unfenced], ..Decision::default() };
        let says = |seen: Seen| {
            let status = status(None, Some(record()), &decision, &facts(&[instance("pair-0")], &[seen], 1));
            status.conditions[0].message.contains("flavor Native")
        };
        assert!(says(Seen { process: Some(process.clone()), ..Seen::default() }));
        assert!(!says(Seen {
            process: Some(crate::instance::Process { native: false, ..process }),
            ..Seen::default()
        }));
    }

    #[test]
    fn a_rollout_is_progress() {
        let status = status(None, Some(record()), &decision("a"), &Facts { updated: 1, ..facts(&[], &[], 1) });
        assert_eq!(
            (status.conditions[1].status.as_str(), status.conditions[1].reason.as_str()),
            ("True", "RollingOut")
        );
    }
}
