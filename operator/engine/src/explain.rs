//! What the engine would do now, what it waits for and which evidence it lacks, in words.

use crate::decision::{Command, ConditionKind, Decision};
use crate::evidence::Fate;
use crate::memory::Memory;
use crate::observe::{Answer, Connection, Instance, LinkState, Observation, Presence, Role};
use crate::record::{Life, Phase, Record};
use crate::rules::Rules;
use crate::turn::Turn;
use serde::{Deserialize, Serialize};

/// One look at a set, in sentences for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// What is written down.
    pub record: Vec<String>,
    /// The conditions, as they would be written now.
    pub conditions: Vec<String>,
    /// What would be written down and sent now.
    pub does: Vec<String>,
    /// What is waited for or refused, on which evidence, and what would unblock it.
    pub waits: Vec<String>,
    /// While the recorded primary does not serve: what would prove it dead, and what is seen instead.
    pub missing: Vec<String>,
    /// What is known of each instance.
    pub instances: Vec<String>,
}

/// Explains a decision by what it was made from.
pub fn explain(seen: &Observation, decision: &Decision) -> Explanation {
    let turn = Turn::new(seen, seen.leader, &Memory::default(), Rules::default());
    let written = decision.record.iter().map(|next| written(seen.record.as_ref(), next));
    Explanation {
        record: seen.record.as_ref().map_or_else(|| vec!["nothing is recorded yet".to_owned()], recorded),
        conditions: decision
            .conditions
            .iter()
            .map(|c| {
                let status = c.status.map_or("Unknown", |yes| if yes { "True" } else { "False" });
                format!("{}={status} {}: {}", c.kind.as_str(), c.reason, c.message)
            })
            .collect(),
        does: written.chain(decision.commands.iter().map(told)).collect(),
        waits: decision.reasons.iter().map(|r| format!("{}: {}", r.code.as_str(), r.message)).collect(),
        missing: missing(&turn, decision),
        instances: seen.instances.iter().map(|i| turn.describe(i)).collect(),
    }
}

fn recorded(record: &Record) -> Vec<String> {
    let names = |lives: &[Life]| match lives {
        [] => "nobody".to_owned(),
        lives => lives.iter().map(|l| l.name.as_str()).collect::<Vec<_>>().join(", "),
    };
    let name = |life: &Option<Life>| life.as_ref().map_or_else(|| "nobody".to_owned(), |l| l.name.clone());
    let mut lines = vec![
        format!("{}, epoch {}, term {}", record.phase.as_str(), record.epoch, record.term),
        match record.phase.serves() {
            true => format!("{} is primary; {} may take over", name(&record.primary), names(&record.successors)),
            false => format!(
                "{} was primary; {} is to be; {} could be",
                name(&record.primary),
                name(&record.target),
                names(&record.eligible)
            ),
        },
    ];
    lines.push(match record.guard {
        Some(guard) => format!(
            "the primary needs {} votes of others to accept writes and {} acknowledgements to answer them",
            guard.votes, guard.acks
        ),
        None => "the primary needs nobody to go on".to_owned(),
    });
    if let Some(lineage) = &record.lineage {
        lines.push(format!("its data set goes by {} and reached {} or more", lineage.replid, lineage.offset));
    }
    lines
}

fn written(before: Option<&Record>, next: &Record) -> String {
    let name = |life: &Option<Life>| life.as_ref().map_or("nobody", |l| l.name.as_str()).to_owned();
    let what = match (before.map(|b| b.phase), next.phase) {
        (_, Phase::Forming) => format!("that {} is to be the first primary", name(&next.target)),
        (Some(Phase::Stable | Phase::Arming), Phase::Takeover) => {
            format!("that {} is lost and {} takes over", name(&next.primary), name(&next.target))
        }
        (_, Phase::Takeover) => format!("that {} takes over", name(&next.target)),
        (_, Phase::Moving) => format!("that {} hands over to {}", name(&next.primary), name(&next.target)),
        (Some(Phase::Takeover | Phase::Forming | Phase::Moving), _) => {
            format!("that {} is primary of epoch {}", name(&next.primary), next.epoch)
        }
        (_, Phase::Arming) => "that successors are about to be added".to_owned(),
        (_, Phase::Stable) => {
            let successors: Vec<&str> = next.successors.iter().map(|l| l.name.as_str()).collect();
            format!("members {}, successors {}", next.members.join(", "), successors.join(", "))
        }
    };
    format!("write down {what} (term {})", next.term)
}

fn told(command: &Command) -> String {
    let who = command.instance();
    match command {
        Command::Promote { epoch, .. } => format!("tell {who} to become primary of epoch {epoch}, closed for now"),
        Command::Follow { primary, .. } => format!("tell {who} to follow {primary}"),
        Command::Detach { .. } => format!("tell {who} to let go and keep what it holds"),
        Command::Guard { quorum: Some(q), .. } => {
            format!("tell {who} to need {} votes and {} acknowledgements", q.votes, q.acks)
        }
        Command::Guard { quorum: None, .. } => format!("tell {who} to go on alone"),
        Command::Vote { .. } => format!("vote for {who}"),
        Command::Failover { to, .. } => format!("tell {who} to hand over to {to}"),
        Command::AbortFailover { .. } => format!("tell {who} to give up its handover"),
        Command::Hold { .. } => format!("tell {who} to have clients wait with their writes for a moment"),
        Command::Dismiss { .. } => format!("tell {who} to send the clients away that came while it was primary"),
    }
}

/// What would prove the recorded primary dead, where that is the question.
fn missing(turn: &Turn<'_>, decision: &Decision) -> Vec<String> {
    let Some(primary) = turn.seen.record.as_ref().and_then(|r| r.primary.as_ref()) else { return Vec::new() };
    let ready = |c: &&crate::Condition| c.kind == ConditionKind::Ready && c.status == Some(true);
    if decision.conditions.iter().any(|c| ready(&c)) || turn.fresh_life(primary).is_some() {
        return Vec::new();
    }
    let name = &primary.name;
    let instance = turn.instance(name);
    match turn.fate(primary) {
        Fate::Dead => return vec![format!("nothing: {name} of pod {} is proven dead", primary.uid)],
        Fate::Replaced => {
            return vec![format!(
                "another pod answers as {name}; that pod {} has ended is likely and not proven: its lease is waited for",
                primary.uid
            )];
        }
        Fate::Unknown => {}
    }
    let presence = instance.map_or_else(|| "nothing is known of its pod".to_owned(), platform);
    let connection = instance.map_or_else(|| "no connection".to_owned(), |i| turn.port(i));
    vec![
        format!("its port refuses while pod {} stands; seen: {connection}", primary.uid),
        format!("its container is reported ended, or its node is gone or tainted out-of-service; seen: {presence}"),
        format!("another process answers in pod {}; seen: none", primary.uid),
    ]
}

fn platform(instance: &Instance) -> String {
    match &instance.presence {
        Presence::Unknown => "nothing is known of its pod".to_owned(),
        Presence::Waiting { uid } => format!("pod {uid} was not started yet"),
        Presence::Running { uid } => format!("pod {uid} is reported running"),
        Presence::Ended { uid, run_id: Some(_) } => format!("the container of pod {uid} is reported ended"),
        Presence::Ended { uid, run_id: None } => {
            format!("a container of pod {uid} is reported ended, which one cannot be told")
        }
        Presence::Gone => "there is no pod, which proves nothing".to_owned(),
        Presence::NodeGone { uid } => format!("the node of pod {uid} is gone"),
    }
}

impl Turn<'_> {
    fn port(&self, instance: &Instance) -> String {
        let ago = |ms| self.now.saturating_sub(ms);
        match &instance.connection {
            Connection::Untried => "not tried".to_owned(),
            Connection::Connected => "connected".to_owned(),
            Connection::Refused { asked_ms, .. } => format!("its port refused {} ms ago", ago(*asked_ms)),
            Connection::Silent { since_ms } => format!("silent for {} ms", ago(*since_ms)),
        }
    }

    fn describe(&self, instance: &Instance) -> String {
        let says = instance.answer.as_ref().map_or_else(|| "it never answered".to_owned(), |a| self.words(a));
        format!("{}: {}; {}; {says}", instance.name, platform(instance), self.port(instance))
    }

    fn words(&self, answer: &Answer) -> String {
        let ago = self.now.saturating_sub(answer.asked_ms);
        let whole = if answer.loading {
            ", loading"
        } else if !answer.whole {
            ", its data set not whole"
        } else {
            ""
        };
        let role = match (answer.role, &answer.upstream) {
            (Role::Primary, _) => {
                let writes = match &answer.fence {
                    Some(fence) if fence.writable => ", accepting writes",
                    Some(_) => ", refusing writes",
                    None => "",
                };
                format!("primary of epoch {}{writes}", answer.epoch())
            }
            (Role::Replica, Some(up)) if !up.address.is_nowhere() => {
                let link = match up.link {
                    LinkState::Up => "up",
                    LinkState::Connecting => "connecting",
                    LinkState::Sync => "in a full sync",
                    LinkState::Down => "down",
                };
                format!("replica of {}, link {link} for {} ms", up.address.host, up.since_ms)
            }
            (Role::Replica, _) => "replica of nobody".to_owned(),
        };
        format!("{ago} ms ago it was {role}, at {} of {}{whole}", answer.offset, answer.replid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide;
    use crate::observe::{Address, Leadership};

    fn instance(ordinal: u32, connection: Connection) -> Instance {
        let name = format!("pair-{ordinal}");
        Instance {
            address: Address { host: name.clone(), port: 6379 },
            name,
            ordinal,
            presence: Presence::Running { uid: format!("uid-{ordinal}") },
            connection,
            answer: None,
        }
    }

    fn life(ordinal: u32) -> Life {
        Life { name: format!("pair-{ordinal}"), uid: format!("uid-{ordinal}"), run_id: format!("run-{ordinal}") }
    }

    fn explained(connection: Connection, record: Option<Record>) -> Explanation {
        let seen = Observation {
            now_ms: 10_000,
            now_rfc3339: String::new(),
            leader: Some(Leadership { since_ms: 0, until_ms: 20_000 }),
            record,
            record_seen_ms: 0,
            record_read_ms: 0,
            spec: crate::Spec::default(),
            instances: vec![instance(0, connection), instance(1, Connection::Untried)],
        };
        explain(&seen, &decide(&seen, &Memory::default()))
    }

    #[test]
    fn a_silent_primary_is_said_to_lack_proof_of_its_death() {
        let record = Record { term: 4, epoch: 2, phase: Phase::Stable, primary: Some(life(0)), ..Record::default() };
        let told = explained(Connection::Silent { since_ms: 9_000 }, Some(record.clone()));
        assert!(told.record[1].contains("pair-0 is primary; nobody may take over"), "{told:?}");
        assert!(told.waits.iter().any(|w| w.starts_with("WaitingForSilence")), "{told:?}");
        assert!(told.missing[0].contains("seen: silent for 1000 ms"), "{told:?}");
        assert!(told.missing[1].contains("seen: pod uid-0 is reported running"), "{told:?}");

        let dead = Connection::Refused { asked_ms: 9_500, uid: Some("uid-0".into()) };
        let told = explained(dead, Some(record));
        assert_eq!(told.missing, ["nothing: pair-0 of pod uid-0 is proven dead"]);
    }

    #[test]
    fn a_set_that_is_not_formed_says_whom_it_waits_for() {
        let told = explained(Connection::Untried, None);
        assert_eq!(told.record, ["nothing is recorded yet"]);
        assert!(told.waits.iter().any(|w| w.contains("pair-0 has not answered; it may hold data")), "{told:?}");
        assert!(told.does.is_empty() && told.missing.is_empty());
    }
}
