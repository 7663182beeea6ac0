//! When blocked clients give up.

use std::collections::BTreeSet;

use crate::client::ClientId;

/// Deadlines in Unix ms, each with the client it belongs to.
#[derive(Debug, Default)]
pub struct Timers(BTreeSet<(i64, ClientId)>);

impl Timers {
    /// Adds a deadline.
    pub fn add(&mut self, deadline: i64, client: ClientId) {
        self.0.insert((deadline, client));
    }

    /// Removes a deadline.
    pub fn remove(&mut self, deadline: i64, client: ClientId) {
        self.0.remove(&(deadline, client));
    }

    /// How many wait for a deadline.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nobody does.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next deadline.
    pub fn next(&self) -> Option<i64> {
        self.0.first().map(|(deadline, _)| *deadline)
    }

    /// Takes a client whose deadline has come.
    pub fn pop_due(&mut self, now_ms: i64) -> Option<ClientId> {
        let first = *self.0.first()?;
        if first.0 > now_ms {
            return None;
        }
        self.0.remove(&first);
        Some(first.1)
    }
}
