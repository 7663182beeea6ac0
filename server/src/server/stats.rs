//! Counters: what INFO stats, commandstats and errorstats show.

use std::collections::BTreeMap;

use std::time::{Duration, Instant};

use super::histogram::Histogram;
use crate::commands::table;

/// Counters of one command.
#[derive(Debug, Default)]
pub struct CommandStats {
    /// Executions.
    pub calls: u64,
    /// Time in them, in microseconds.
    pub micros: u64,
    /// Refused before execution.
    pub rejected: u64,
    /// Answered with an error by the command itself.
    pub failed: u64,
    /// Its latencies, from the first call on that was tracked.
    pub latency: Option<Histogram>,
}

/// What errors are counted under when there are too many codes.
const OVERFLOW: &[u8] = b"ERRORSTATS_OVERFLOW";

/// All counters that CONFIG RESETSTAT clears.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct Stats {
    commands: Vec<CommandStats>,
    errors: BTreeMap<Vec<u8>, u64>,
    pub connections_received: u64,
    pub rejected_connections: u64,
    pub commands_processed: u64,
    pub error_replies: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub repl_bytes_in: u64,
    pub repl_bytes_out: u64,
    pub sync_full: u64,
    pub sync_partial_ok: u64,
    pub sync_partial_err: u64,
    pub forks: u64,
    pub latest_fork_us: u64,
    pub reads: u64,
    pub writes: u64,
    pub client_output_limit_disconnections: u64,
    pub client_query_limit_disconnections: u64,
    pub evicted_clients: u64,
    pub unexpected_error_replies: u64,
    /// Scripts of EVAL that had to make room for others.
    pub evicted_scripts: u64,
    pub denied: Denied,
    /// Time spent in active expiry, in microseconds.
    pub expire_us: u64,
    /// Objects that background threads had freed at the last reset.
    pub freed_objects_at_reset: u64,
    pub peak_memory: u64,
    /// Compact values to restore of which each element was looked at.
    pub payloads_sanitized: u64,
    /// Memory beyond `maxmemory`.
    pub beyond_limit: BeyondLimit,
    /// The event loop.
    pub turns: Turns,
    /// Clients' buffers of the last seconds.
    pub recent_buffers: RecentBuffers,
    /// Operations per second over the last samples.
    pub ops_per_second: Rate,
    /// Input in bytes per second.
    pub input_rate: Rate,
    /// Output in bytes per second.
    pub output_rate: Rate,
    /// Input from our primary in bytes per second.
    pub repl_input_rate: Rate,
    /// Output to replicas in bytes per second.
    pub repl_output_rate: Rate,
}

/// What users were denied.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct Denied {
    pub logins: u64,
    pub commands: u64,
    pub keys: u64,
    pub channels: u64,
    pub databases: u64,
    pub certificates: u64,
}

/// For how long memory has been beyond its limit.
#[derive(Debug, Default)]
pub struct BeyondLimit {
    since: Option<Instant>,
    before: Duration,
}

impl BeyondLimit {
    /// Takes note of whether it is.
    pub fn note(&mut self, beyond: bool) {
        if beyond {
            self.since.get_or_insert_with(Instant::now);
        } else if let Some(since) = self.since.take() {
            self.before += since.elapsed();
        }
    }

    /// The time that has not ended.
    pub fn current(&self) -> Duration {
        self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// All times together.
    pub fn total(&self) -> Duration {
        self.before + self.current()
    }
}

impl Stats {
    /// Begins anew, but for what is no counter. `freed_objects` is what background threads have freed by now.
    pub fn reset(&mut self, freed_objects: u64) {
        *self = Stats { peak_memory: self.peak_memory, freed_objects_at_reset: freed_objects, ..Stats::default() };
    }

    /// A command's counters, by its row's id.
    #[inline]
    pub fn command(&mut self, id: usize) -> &mut CommandStats {
        if id >= self.commands.len() {
            self.commands.resize_with(table::rows().len(), CommandStats::default);
        }
        &mut self.commands[id]
    }

    /// A command's latencies, by its row's id, if some were tracked.
    pub fn latency(&self, id: usize) -> Option<&Histogram> {
        self.commands.get(id)?.latency.as_ref()
    }

    /// Counters of all commands that have some.
    pub fn commands(&self) -> impl Iterator<Item = (&'static table::Row, &CommandStats)> {
        let used = |s: &&CommandStats| s.calls + s.rejected + s.failed > 0;
        table::rows().iter().zip(&self.commands).filter(move |(_, s)| used(s))
    }

    /// Counts an error reply by its code.
    pub fn error(&mut self, code: &[u8]) {
        const MOST: usize = 1024;
        self.count_error(code, MOST);
    }

    /// Counts an error reply whose code a script may have made up: beyond a number of codes, new ones are counted as one.
    pub fn script_error(&mut self, code: &[u8]) {
        const MOST: usize = 128;
        self.count_error(code, MOST);
    }

    fn count_error(&mut self, code: &[u8], most: usize) {
        self.error_replies += 1;
        let code = if self.errors.contains_key(code) || self.errors.len() < most { code } else { OVERFLOW };
        match self.errors.get_mut(code) {
            Some(n) => *n += 1,
            None => {
                self.errors.insert(code.to_vec(), 1);
            }
        }
    }

    /// Error counts by code.
    pub fn errors(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.errors.iter().map(|(code, n)| (&**code, *n))
    }
}

/// What the event loop did.
#[derive(Debug, Default)]
pub struct Turns {
    /// Turns.
    pub count: u64,
    /// Time in them without waiting, in microseconds.
    pub busy_us: u64,
    /// Time in commands, in microseconds.
    pub commands_us: u64,
    /// Time in regular work, in microseconds.
    pub cron_us: u64,
    /// Time in writing the append-only file, in microseconds.
    pub aof_us: u64,
    /// The longest turn, in microseconds.
    pub longest_us: u64,
    /// The most commands in a turn.
    pub most_commands: u64,
    /// Turns per second.
    pub rate: Rate,
    /// Busy microseconds per second.
    pub busy_rate: Rate,
    /// When the turn under way was woken, and the commands until then.
    woken: Option<(Instant, u64)>,
}

impl Stats {
    /// The loop was woken.
    pub fn turn_begins(&mut self) {
        self.turns.woken = Some((Instant::now(), self.commands_processed));
    }

    /// The loop is about to wait.
    pub fn turn_ends(&mut self) {
        let Some((woken, commands)) = self.turns.woken.take() else { return };
        let micros = woken.elapsed().as_micros() as u64;
        let turns = &mut self.turns;
        turns.count += 1;
        turns.busy_us += micros;
        turns.longest_us = turns.longest_us.max(micros);
        turns.most_commands = turns.most_commands.max(self.commands_processed.saturating_sub(commands));
    }
}

/// The largest buffers of clients, by second, of the last seconds.
#[derive(Debug, Default)]
pub struct RecentBuffers {
    slots: [(usize, usize); 8],
    second: i64,
}

impl RecentBuffers {
    /// Begins a look at all clients.
    pub fn begin(&mut self, now_ms: i64) {
        let second = now_ms / 1000;
        let len = self.slots.len() as i64;
        for passed in (self.second.max(second - len) + 1)..=second {
            self.slots[(passed % len) as usize] = (0, 0);
        }
        self.second = second;
    }

    /// A client's buffers of requests and replies, in bytes.
    pub fn note(&mut self, input: usize, output: usize) {
        let slot = &mut self.slots[(self.second % self.slots.len() as i64) as usize];
        *slot = (slot.0.max(input), slot.1.max(output));
    }

    /// The largest buffer of requests.
    pub fn input(&self) -> usize {
        self.slots.iter().map(|slot| slot.0).max().unwrap_or(0)
    }

    /// The largest buffer of replies.
    pub fn output(&self) -> usize {
        self.slots.iter().map(|slot| slot.1).max().unwrap_or(0)
    }
}

/// A rate per second, as the mean of the last 16 samples of a growing counter.
#[derive(Debug, Default)]
pub struct Rate {
    samples: [u64; 16],
    next: usize,
    last: Option<(i64, u64)>,
}

impl Rate {
    /// Takes the counter's value at `now_ms`.
    pub fn sample(&mut self, now_ms: i64, value: u64) {
        if let Some((then, before)) = self.last {
            let elapsed = u64::try_from(now_ms - then).unwrap_or(0).max(1);
            self.samples[self.next] = value.saturating_sub(before) * 1000 / elapsed;
            self.next = (self.next + 1) % self.samples.len();
        }
        self.last = Some((now_ms, value));
    }

    /// The rate per second.
    pub fn per_second(&self) -> u64 {
        self.samples.iter().sum::<u64>() / self.samples.len() as u64
    }
}
