//! The command logs: calls that took long, requests and replies that were large.

use std::collections::VecDeque;

use crate::client::Client;
use crate::commands::Row;
use crate::commands::redact::is_secret;
use crate::resp::Argv;

/// One remembered call.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Growing number.
    pub id: u64,
    /// Unix time in seconds.
    pub time: i64,
    /// Microseconds or bytes, by the kind of log.
    pub value: u64,
    /// The arguments, shortened.
    pub args: Vec<Vec<u8>>,
    /// The client's address.
    pub peer: String,
    /// The client's name.
    pub name: Vec<u8>,
}

/// The kinds of log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// By execution time.
    Slow = 0,
    /// By the size of the request.
    LargeRequest = 1,
    /// By the size of the reply.
    LargeReply = 2,
}

/// When and how much one log remembers.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// From this value on, in microseconds or bytes; negative: never.
    pub threshold: i64,
    /// Entries at most.
    pub max_len: usize,
}

/// A call that ended.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Who called.
    pub client: &'a Client,
    /// What.
    pub row: &'static Row,
    /// With which arguments.
    pub argv: Argv<'a>,
    /// Unix time in ms.
    pub now_ms: i64,
    /// Its duration in microseconds.
    pub micros: u64,
    /// Bytes of the request on the wire.
    pub request_bytes: u64,
    /// Bytes of the reply.
    pub reply_bytes: u64,
}

/// The three logs.
#[derive(Debug, Default)]
pub struct CommandLog {
    logs: [VecDeque<Entry>; 3],
    next_id: [u64; 3],
    rules: [Option<Rule>; 3],
}

impl CommandLog {
    /// Sets a log's rule, shortening it at once.
    pub fn set_rule(&mut self, kind: Kind, rule: Rule) {
        self.rules[kind as usize] = Some(rule);
        self.logs[kind as usize].truncate(rule.max_len);
    }

    /// Remembers a call in each log whose threshold it reaches.
    pub fn note(&mut self, call: &Call<'_>) {
        for (kind, value) in
            [(Kind::Slow, call.micros), (Kind::LargeRequest, call.request_bytes), (Kind::LargeReply, call.reply_bytes)]
        {
            let reached = |rule: &Rule| u64::try_from(rule.threshold).is_ok_and(|t| value >= t) && rule.max_len > 0;
            if let Some(rule) = self.rules[kind as usize].filter(reached) {
                self.add(kind, rule, value, call);
            }
        }
    }

    #[cold]
    fn add(&mut self, kind: Kind, rule: Rule, value: u64, call: &Call<'_>) {
        let log = &mut self.logs[kind as usize];
        let id = &mut self.next_id[kind as usize];
        log.push_front(Entry {
            id: *id,
            time: call.now_ms / 1000,
            value,
            args: shorten(call.row, call.argv),
            peer: call.client.peer.clone(),
            name: call.client.name.clone(),
        });
        *id += 1;
        log.truncate(rule.max_len);
    }

    /// Entries, newest first.
    pub fn entries(&self, kind: Kind) -> &VecDeque<Entry> {
        &self.logs[kind as usize]
    }

    /// Forgets a log's entries.
    pub fn reset(&mut self, kind: Kind) {
        self.logs[kind as usize].clear();
    }
}

/// At most 32 arguments of at most 128 bytes, saying how much was left out; secrets are not shown.
fn shorten(row: &Row, argv: Argv<'_>) -> Vec<Vec<u8>> {
    const ARGS: usize = 32;
    const BYTES: usize = 128;
    let n = argv.len();
    let shown = if n > ARGS { ARGS - 1 } else { n };
    let mut out: Vec<Vec<u8>> = argv
        .iter()
        .take(shown)
        .enumerate()
        .map(|(i, arg)| match arg.get(..BYTES) {
            _ if is_secret(row, argv, i) => b"(redacted)".to_vec(),
            Some(start) if arg.len() > BYTES => {
                let mut text = start.to_vec();
                text.extend_from_slice(format!("... ({} more bytes)", arg.len() - BYTES).as_bytes());
                text
            }
            _ => arg.to_vec(),
        })
        .collect();
    if n > ARGS {
        out.push(format!("... ({} more arguments)", n - shown).into_bytes());
    }
    out
}
