//! Counters: what INFO stats, commandstats and errorstats show.

use std::collections::BTreeMap;

use crate::commands::table;

/// Counters of one command.
#[derive(Clone, Copy, Debug, Default)]
pub struct CommandStats {
    /// Executions.
    pub calls: u64,
    /// Time in them, in microseconds.
    pub micros: u64,
    /// Refused before execution.
    pub rejected: u64,
    /// Answered with an error by the command itself.
    pub failed: u64,
}

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
    pub expired_keys: u64,
    pub evicted_keys: u64,
    pub keyspace_hits: u64,
    pub keyspace_misses: u64,
    pub forks: u64,
    pub latest_fork_us: u64,
    pub reads: u64,
    pub writes: u64,
    pub client_output_limit_disconnections: u64,
    pub client_query_limit_disconnections: u64,
    pub peak_memory: u64,
    /// Operations per second over the last samples.
    pub ops_per_second: Rate,
    /// Input in bytes per second.
    pub input_rate: Rate,
    /// Output in bytes per second.
    pub output_rate: Rate,
}

impl Stats {
    /// A command's counters, by its row's id.
    #[inline]
    pub fn command(&mut self, id: usize) -> &mut CommandStats {
        if id >= self.commands.len() {
            self.commands.resize(table::rows().len(), CommandStats::default());
        }
        &mut self.commands[id]
    }

    /// Counters of all commands that have some.
    pub fn commands(&self) -> impl Iterator<Item = (&'static table::Row, &CommandStats)> {
        let used = |s: &&CommandStats| s.calls + s.rejected + s.failed > 0;
        table::rows().iter().zip(&self.commands).filter(move |(_, s)| used(s))
    }

    /// Counts an error reply by its code. Codes come from clients' scripts too: their number is bounded.
    pub fn error(&mut self, code: &[u8]) {
        self.error_replies += 1;
        if let Some(n) = self.errors.get_mut(code) {
            *n += 1;
        } else if self.errors.len() < 128 {
            self.errors.insert(code.to_vec(), 1);
        }
    }

    /// Error counts by code.
    pub fn errors(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.errors.iter().map(|(code, n)| (&**code, *n))
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
