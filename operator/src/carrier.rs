//! What every carrier of the engine does alike, in a cluster and on one machine.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;
use valkey_repl_engine::{Command, Decision, Phase, Record};

use crate::instance::Link;

/// The same command is not repeated sooner: its effect is to be seen first. A hand-over takes its time.
const REPEAT: Duration = Duration::from_millis(250);
const REPEAT_HANDOVER: Duration = Duration::from_secs(2);

/// How often instances are asked while something is under way: each step waits for an answer.
const HURRY: Duration = Duration::from_millis(100);
/// How often at first, and for how long: a planned move is over by then, and clients wait for each of its steps.
const FAST: Duration = Duration::from_millis(15);
const AT_FIRST: Duration = Duration::from_secs(1);

/// The commands on their way.
#[derive(Debug, Default)]
pub struct Orders {
    sent: HashMap<String, Vec<(Command, Instant)>>,
}

impl Orders {
    /// Sends each command to its instance, unless the same was sent just now. One for an instance without a connection
    /// is dropped, as a lost one: the engine decides again.
    pub fn send<'a>(&mut self, commands: &[Command], link: impl Fn(&str) -> Option<&'a Link>) {
        for command in commands {
            let Some(link) = link(command.instance()) else { continue };
            let sent = self.sent.entry(command.instance().to_owned()).or_default();
            sent.retain(|(command, at)| {
                at.elapsed() < if matches!(command, Command::Failover { .. }) { REPEAT_HANDOVER } else { REPEAT }
            });
            if sent.iter().any(|(other, _)| other == command) {
                continue;
            }
            sent.push((command.clone(), Instant::now()));
            link.tell(command.clone());
        }
    }
}

/// What the log already says.
#[derive(Debug, Default)]
pub struct Told(Vec<String>);

impl Told {
    /// Says what is waited for, when that changes.
    pub fn log(&mut self, decision: &Decision) {
        let reasons: Vec<_> = decision
            .reasons
            .iter()
            .map(|reason| format!("{}/{}", reason.code.as_str(), reason.instance.as_deref().unwrap_or("-")))
            .collect();
        if reasons != self.0 {
            for reason in &decision.reasons {
                tracing::info!(code = reason.code.as_str(), instance = reason.instance, "{}", reason.message);
            }
            self.0 = reasons;
        }
    }
}

/// When the instances were last asked out of turn, and since when they are.
#[derive(Debug, Default)]
pub struct Hurry {
    asked: Option<Instant>,
    since: Option<Instant>,
}

impl Hurry {
    /// Asks the instances more often than they are asked anyway, while something is under way. How long the next turn may
    /// wait, and `wait` at most.
    pub fn next<'a>(
        &mut self,
        wait: Duration,
        record: Option<&Record>,
        links: impl Iterator<Item = &'a Link>,
    ) -> Duration {
        if record.is_none_or(|record| record.phase == Phase::Stable) {
            self.since = None;
            return wait;
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        let pace = if since.elapsed() < AT_FIRST { FAST } else { HURRY };
        if self.asked.is_none_or(|at| at.elapsed() >= pace) {
            self.asked = Some(Instant::now());
            links.for_each(Link::ask);
        }
        wait.min(pace)
    }
}
