//! One call of [`crate::decide`] while it is being thought through: what was seen, and what is being put together from it.

use crate::decision::{Command, Event, Reason, ReasonCode};
use crate::memory::Memory;
use crate::observe::{Answer, Instance, Leadership, Millis, Observation};
use crate::record::{Life, Record};
use crate::rules::Rules;
use crate::spec::{Durability, Spec};

/// What was seen, and what is being decided.
pub(crate) struct Turn<'a> {
    pub(crate) seen: &'a Observation,
    pub(crate) spec: &'a Spec,
    pub(crate) now: Millis,
    /// Since when this operator both leads and remembers: what happened before may have been another's doing.
    pub(crate) since: Millis,
    pub(crate) rules: Rules,
    pub(crate) memory: Memory,
    pub(crate) commands: Vec<Command>,
    pub(crate) reasons: Vec<Reason>,
    pub(crate) events: Vec<Event>,
}

impl<'a> Turn<'a> {
    pub(crate) fn new(seen: &'a Observation, lead: Option<Leadership>, memory: &Memory, rules: Rules) -> Self {
        let mut memory = memory.clone();
        let remembers = *memory.since_ms.get_or_insert(seen.now_ms);
        Self {
            seen,
            spec: &seen.spec,
            now: seen.now_ms,
            since: remembers.max(lead.map_or(0, |l| l.since_ms)),
            rules,
            memory,
            commands: Vec::new(),
            reasons: Vec::new(),
            events: Vec::new(),
        }
    }

    /// An instance by its name.
    pub(crate) fn instance(&self, name: &str) -> Option<&'a Instance> {
        self.seen.instances.iter().find(|i| i.name == name)
    }

    /// The last answer of an instance, however old.
    pub(crate) fn answer(&self, name: &str) -> Option<&'a Answer> {
        self.instance(name)?.answer.as_ref()
    }

    /// Whether an instance is to stay: an instance beyond the number asked for leaves.
    pub(crate) fn stays(&self, name: &str) -> bool {
        self.instance(name).is_some_and(|i| i.ordinal < self.spec.instances.max(1))
    }

    /// Whether there is and is to be a single instance, so that durability across instances has no meaning.
    pub(crate) fn single(&self, record: &Record) -> bool {
        self.spec.instances <= 1 && record.members.len() <= 1 && record.members.iter().all(|m| self.stays(m))
    }

    /// The durability that this primary can keep: a server without the fence promises no more than `Async`.
    pub(crate) fn durability(&self, primary: &Answer, record: &Record) -> Durability {
        if primary.fence.is_none() || self.single(record) { Durability::Async } else { self.spec.durability }
    }

    /// Whether an instance may be a server that accepts writes as soon as it is told to be primary. One that this operator has never heard
    /// is taken for what the others are.
    pub(crate) fn may_be_unfenced(&self, name: &str) -> bool {
        let own = self.answer(name).map(|a| a.fence.is_some());
        !own.unwrap_or_else(|| self.seen.instances.iter().filter_map(|i| i.answer.as_ref()).any(|a| a.fence.is_some()))
    }

    /// Says something about an instance, or about the set.
    pub(crate) fn say(&mut self, code: ReasonCode, instance: Option<&str>, message: impl Into<String>) {
        self.reasons.push(Reason { code, instance: instance.map(str::to_owned), message: message.into() });
    }

    /// Tells people that something happened.
    pub(crate) fn event(&mut self, warning: bool, reason: &str, message: impl Into<String>) {
        self.events.push(Event { warning, reason: reason.to_owned(), message: message.into() });
    }

    /// Tells an instance to let go of whom it follows, or to stop being primary, and to keep what it holds.
    pub(crate) fn detach(&mut self, record: &Record, name: &str, answer: &Answer) {
        self.commands.push(Command::Detach {
            instance: name.to_owned(),
            run_id: answer.run_id.clone(),
            term: record.term,
        });
        self.send_clients_away(record, name, answer);
    }

    /// Tells an instance to follow the primary.
    pub(crate) fn follow(&mut self, record: &Record, name: &str, answer: &Answer, primary: &str) {
        let Some(address) = self.instance(primary).map(|i| i.address.clone()) else { return };
        self.commands.push(Command::Follow {
            instance: name.to_owned(),
            run_id: answer.run_id.clone(),
            term: record.term,
            primary: primary.to_owned(),
            address,
        });
        self.send_clients_away(record, name, answer);
    }

    fn send_clients_away(&mut self, record: &Record, name: &str, answer: &Answer) {
        if answer.is_primary() {
            self.dismiss(record, name, answer);
        }
    }

    /// Many a client stays where it is connected and is refused there for ever. It is sent away when the primary accepts writes.
    pub(crate) fn dismiss_former_clients(&mut self, record: &Record, primary: &str) {
        let opens = |c: &Command| matches!(c, Command::Guard { instance, .. } if instance == primary);
        let open = self.answer(primary).and_then(|a| a.fence.as_ref()).is_some_and(|fence| fence.writable);
        if !open && !self.commands.iter().any(opens) {
            return;
        }
        for instance in self.seen.instances.iter().filter(|i| i.name != primary) {
            let former = |a: &&Answer| !a.is_primary() && a.fence.as_ref().is_some_and(|fence| fence.former_clients);
            if let Some(answer) = self.fresh(&instance.name).filter(former) {
                self.dismiss(record, &instance.name, answer);
            }
        }
    }

    fn dismiss(&mut self, record: &Record, name: &str, answer: &Answer) {
        self.commands.push(Command::Dismiss {
            instance: name.to_owned(),
            run_id: answer.run_id.clone(),
            term: record.term,
        });
    }
}

/// The life that an answer came from.
pub(crate) fn life(name: &str, answer: &Answer) -> Life {
    Life { name: name.to_owned(), uid: answer.uid.clone(), run_id: answer.run_id.clone() }
}

/// The record that follows another one.
pub(crate) fn next(record: &Record) -> Record {
    Record { term: record.term + 1, ..record.clone() }
}
