//! Key specifications: how COMMAND tells a client where the keys of a command stand (<https://valkey.io/topics/key-specs/>). The server itself finds
//! them by [`Keys`], which knows more.

use super::command::words;
use super::table::Row;
use super::{KeyUse, Keys};
use crate::resp::ReplyBuf;

/// How keys are found, and what is done with them.
struct KeySpec {
    uses: KeyUse,
    /// Not all of the keys are found so.
    incomplete: bool,
    begin: Begin,
    find: Find,
    /// For people.
    notes: &'static str,
}

/// Where to begin.
enum Begin {
    /// Nobody can tell.
    Unknown,
    /// At this index.
    Index(i64),
    /// Behind this word, which is looked for from this index on (negative: from the end, backwards).
    Keyword(&'static str, i64),
}

/// How to go on from there.
enum Find {
    /// Nobody can tell.
    Unknown,
    /// To the last key (relative to the first; negative: from the end), every so many, in that part of what is left (0: in all of it).
    Range(i64, i64, i64),
    /// As many as are told there, from the next on, every so many.
    Counted(i64),
}

const ONE: Find = Find::Range(0, 1, 0);

const fn spec(uses: KeyUse, begin: Begin, find: Find) -> KeySpec {
    KeySpec { uses, incomplete: false, begin, find, notes: "" }
}

impl KeySpec {
    fn note(mut self, notes: &'static str) -> Self {
        self.notes = notes;
        self
    }
}

/// The key specifications of a command.
pub(super) fn describe(reply: &mut ReplyBuf, row: &Row) {
    let specs = told(&row.full_name).unwrap_or_else(|| derived(row));
    reply.set(specs.len());
    let noted = note(&row.full_name);
    for spec in specs {
        let notes = if spec.notes.is_empty() { noted } else { spec.notes };
        reply.map(3 + usize::from(!notes.is_empty()));
        if !notes.is_empty() {
            reply.bulk(b"notes");
            reply.bulk(notes.as_bytes());
        }
        let mut flags = spec.uses.names();
        if spec.incomplete {
            flags.push("incomplete");
        }
        reply.bulk(b"flags");
        words(reply, &flags);
        reply.bulk(b"begin_search");
        match spec.begin {
            Begin::Unknown => step(reply, "unknown", &[]),
            Begin::Index(at) => step(reply, "index", &[("index", Value::Number(at))]),
            Begin::Keyword(word, from) => {
                step(reply, "keyword", &[("keyword", Value::Word(word)), ("startfrom", Value::Number(from))]);
            }
        }
        reply.bulk(b"find_keys");
        let numbers = |reply: &mut ReplyBuf, kind, spec: [(&str, i64); 3]| {
            step(reply, kind, &spec.map(|(name, value)| (name, Value::Number(value))));
        };
        match spec.find {
            Find::Unknown => step(reply, "unknown", &[]),
            Find::Range(last, every, limit) => {
                numbers(reply, "range", [("lastkey", last), ("keystep", every), ("limit", limit)]);
            }
            Find::Counted(every) => {
                numbers(reply, "keynum", [("keynumidx", 0), ("firstkey", 1), ("keystep", every)]);
            }
        }
    }
}

enum Value {
    Number(i64),
    Word(&'static str),
}

fn step(reply: &mut ReplyBuf, kind: &str, spec: &[(&str, Value)]) {
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(kind.as_bytes());
    reply.bulk(b"spec");
    reply.map(spec.len());
    for (name, value) in spec {
        reply.bulk(name.as_bytes());
        match value {
            Value::Number(number) => reply.int(*number),
            Value::Word(word) => reply.bulk(word.as_bytes()),
        }
    }
}

/// What follows from where the row says that the keys are.
fn derived(row: &Row) -> Vec<KeySpec> {
    let command = row.command;
    let uses = command.key_uses();
    let of = |nth: usize, key_use: KeyUse| match command.keys {
        Keys::Range { first, last, step } => {
            let at = i64::from(first) + nth as i64 * i64::from(step);
            // The last specification is also that of the keys which follow.
            let last = match i64::from(last) {
                _ if nth + 1 < uses.len() => 0,
                last if last < 0 => last,
                last => last - at,
            };
            spec(key_use, Begin::Index(at), Find::Range(last, step.into(), 0))
        }
        Keys::Counted(at) => spec(key_use, Begin::Index(at as i64), Find::Counted(1)),
        Keys::DynamicFrom(first, _) if nth == 0 => spec(key_use, Begin::Index(first.into()), ONE),
        Keys::Dynamic(_) | Keys::DynamicFrom(..) | Keys::None => {
            KeySpec { incomplete: true, ..spec(key_use, Begin::Unknown, Find::Unknown) }
        }
    };
    match command.keys {
        Keys::None => Vec::new(),
        _ => uses.iter().enumerate().map(|(nth, key_use)| of(nth, *key_use)).collect(),
    }
}

/// The specifications of commands whose arguments tell where their keys are: what a client can know of that.
fn told(name: &str) -> Option<Vec<KeySpec>> {
    use Begin::{Index, Keyword, Unknown};
    let (reads, stores) = (KeyUse::READS, KeyUse::OVERWRITES);
    let first = || spec(reads, Index(1), ONE);
    let patterns = || {
        spec(reads, Unknown, Find::Unknown).note(
            "For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content of the key we sort",
        )
    };
    let radius = |from| {
        let stored = |word| spec(stores | KeyUse::VARIABLE, Keyword(word, from), ONE);
        vec![first(), stored("STORE"), stored("STOREDIST")]
    };
    let streams = |from| vec![spec(reads, Keyword("STREAMS", from), Find::Range(-1, 1, 2))];
    Some(match name {
        "georadius" => radius(6),
        "georadiusbymember" => radius(5),
        "migrate" => {
            let several = spec(KeyUse::TAKES, Keyword("KEYS", -2), Find::Range(-1, 1, 0));
            vec![spec(KeyUse::TAKES, Index(3), ONE), KeySpec { incomplete: true, ..several }]
        }
        "msetex" => vec![spec(stores, Index(1), Find::Counted(2))],
        "sort" => {
            let stored = spec(stores, Unknown, Find::Unknown).note(
                "For the optional STORE keyword. It is marked 'unknown' because the keyword can appear anywhere in the argument array",
            );
            vec![first(), patterns(), stored]
        }
        "sort_ro" => vec![first(), patterns()],
        "xread" => streams(1),
        "xreadgroup" => streams(4),
        "zdiffstore" | "zinterstore" | "zunionstore" => {
            vec![spec(stores, Index(1), ONE), spec(reads, Index(2), Find::Counted(1))]
        }
        _ => return None,
    })
}

/// Why a command's use of its keys is told as it is, in Valkey's words.
fn note(name: &str) -> &'static str {
    match name {
        "bitfield" => "This command allows both access and modification of the key",
        "eval" | "fcall" => "We cannot tell how the keys will be used so we assume the worst, RW and UPDATE",
        "eval_ro" | "fcall_ro" => "We cannot tell how the keys will be used so we assume the worst, RO and ACCESS",
        "getex" => "RW and UPDATE because it changes the TTL",
        "pfcount" => "RW because it may change the internal representation of the key, and propagate to replicas",
        "set" => "RW and ACCESS due to the optional `GET` argument",
        "xadd" => "UPDATE instead of INSERT because of the optional trimming feature",
        _ => "",
    }
}
