//! ACL LOG: what was denied lately.

use std::collections::VecDeque;

/// Entries that alike ones are looked for among.
const SEARCHED: usize = 10;
/// Milliseconds within which what is alike is one entry.
const ALIKE_WITHIN_MS: i64 = 60_000;

/// Where a command was denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// In a request of its own.
    Toplevel,
    /// In a transaction.
    Multi,
    /// In a script.
    Script,
}

impl Context {
    /// Its name in ACL LOG.
    pub fn name(self) -> &'static str {
        match self {
            Context::Toplevel => "toplevel",
            Context::Multi => "multi",
            Context::Script => "lua",
        }
    }
}

/// Something that was denied.
#[derive(Clone, Debug)]
pub struct Denial {
    /// `auth`, or [`Denied::reason`](super::Denied::reason).
    pub reason: &'static str,
    /// Where.
    pub context: Context,
    /// The command, key, channel or database.
    pub object: Vec<u8>,
    /// The user who asked.
    pub user: Vec<u8>,
    /// The client, as CLIENT LIST describes it.
    pub client: Vec<u8>,
}

/// An entry: denials that are alike.
#[derive(Debug)]
pub struct Entry {
    /// The last of them.
    pub denial: Denial,
    /// How many they are.
    pub count: u64,
    /// Its number.
    pub id: u64,
    /// Unix time of the first, in ms.
    pub created_ms: i64,
    /// Unix time of the last, in ms.
    pub updated_ms: i64,
}

/// The log; the latest comes first.
#[derive(Debug, Default)]
pub struct AclLog {
    entries: VecDeque<Entry>,
    next_id: u64,
}

impl AclLog {
    /// Adds a denial. `max_len` is how many entries are kept.
    pub fn add(&mut self, denial: Denial, now_ms: i64, max_len: usize) {
        if max_len == 0 {
            return self.entries.clear();
        }
        let alike = |entry: &Entry| {
            let known = &entry.denial;
            (known.reason, known.context, &known.object, &known.user)
                == (denial.reason, denial.context, &denial.object, &denial.user)
                && now_ms.abs_diff(entry.updated_ms) <= ALIKE_WITHIN_MS.unsigned_abs()
        };
        let known = self.entries.iter().take(SEARCHED).position(alike).and_then(|at| self.entries.remove(at));
        let entry = match known {
            Some(known) => Entry { denial, count: known.count + 1, updated_ms: now_ms, ..known },
            None => {
                self.next_id += 1;
                Entry { denial, count: 1, id: self.next_id - 1, created_ms: now_ms, updated_ms: now_ms }
            }
        };
        self.entries.push_front(entry);
        self.entries.truncate(max_len);
    }

    /// The entries, the latest first.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Forgets all of it.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}
