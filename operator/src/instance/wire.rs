//! How a command of the engine is spelled.
//!
//! The native server checks the run id and the term itself. For a stock one the link does, as well as can be: a
//! connection ends with the process, so a command never reaches another life; and terms never go back on it.

use valkey_repl_engine::{
    Command,
    observe::{Address, Millis},
    record::Quorum,
};

type Words = Vec<String>;

/// The words to send; none for what this kind of server has no word for.
pub(super) fn words(command: &Command, native: bool) -> Option<Words> {
    let (nowhere, port) = Address::NOWHERE;
    let nowhere = Address { host: nowhere.to_owned(), port };
    match (command, native) {
        (Command::Promote { run_id, term, epoch, quorum, .. }, true) => Some(quorum_command(
            "PROMOTE",
            &[run_id.clone(), term.to_string(), epoch.to_string(), quorum.votes.to_string(), quorum.acks.to_string()],
        )),
        (Command::Promote { .. }, false) => Some(replicaof("NO", "ONE")),
        (Command::Follow { run_id, term, address, .. }, true) => Some(follow(run_id, *term, address)),
        (Command::Follow { address, .. }, false) => Some(replicaof(&address.host, &address.port.to_string())),
        (Command::Detach { run_id, term, .. }, true) => Some(follow(run_id, *term, &nowhere)),
        (Command::Detach { .. }, false) => Some(replicaof(&nowhere.host, &nowhere.port.to_string())),
        (Command::Guard { run_id, term, quorum, .. }, true) => Some(guard(run_id, *term, *quorum)),
        (Command::Guard { quorum, .. }, false) => Some(vec![
            "CONFIG".into(),
            "SET".into(),
            "min-replicas-to-write".into(),
            quorum.map_or(0, |quorum| quorum.acks).to_string(),
        ]),
        (Command::Vote { run_id, epoch, token, .. }, true) => {
            Some(quorum_command("VOTE", &[run_id.clone(), epoch.to_string(), token.to_string()]))
        }
        (Command::Vote { .. }, false) => None,
        (Command::Failover { address, timeout_ms, .. }, _) => Some(failover(address, *timeout_ms)),
        (Command::AbortFailover { .. }, _) => Some(vec!["FAILOVER".into(), "ABORT".into()]),
        (Command::Hold { run_id, term, .. }, true) => Some(quorum_command("HOLD", &[run_id.clone(), term.to_string()])),
        (Command::Hold { .. }, false) => None,
        (Command::Dismiss { run_id, term, .. }, true) => {
            Some(quorum_command("DISMISS", &[run_id.clone(), term.to_string()]))
        }
        (Command::Dismiss { .. }, false) => {
            Some(["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"].map(String::from).to_vec())
        }
    }
}

/// The record that a command follows from; a vote follows from an epoch instead.
pub(super) fn term(command: &Command) -> Option<u64> {
    match command {
        Command::Promote { term, .. }
        | Command::Follow { term, .. }
        | Command::Detach { term, .. }
        | Command::Guard { term, .. }
        | Command::Failover { term, .. }
        | Command::AbortFailover { term, .. }
        | Command::Hold { term, .. }
        | Command::Dismiss { term, .. } => Some(*term),
        Command::Vote { .. } => None,
    }
}

fn quorum_command(verb: &str, rest: &[String]) -> Words {
    ["QUORUM".to_owned(), verb.to_owned()].into_iter().chain(rest.iter().cloned()).collect()
}

fn follow(run_id: &str, term: u64, address: &Address) -> Words {
    quorum_command("FOLLOW", &[run_id.to_owned(), term.to_string(), address.host.clone(), address.port.to_string()])
}

fn guard(run_id: &str, term: u64, quorum: Option<Quorum>) -> Words {
    let mut rest = vec![run_id.to_owned(), term.to_string()];
    match quorum {
        Some(Quorum { votes, acks }) => rest.extend(["ON".to_owned(), votes.to_string(), acks.to_string()]),
        None => rest.push("OFF".to_owned()),
    }
    quorum_command("GUARD", &rest)
}

fn replicaof(host: &str, port: &str) -> Words {
    vec!["REPLICAOF".into(), host.into(), port.into()]
}

fn failover(address: &Address, timeout_ms: Millis) -> Words {
    vec![
        "FAILOVER".into(),
        "TO".into(),
        address.host.clone(),
        address.port.to_string(),
        "TIMEOUT".into(),
        timeout_ms.to_string(),
    ]
}
