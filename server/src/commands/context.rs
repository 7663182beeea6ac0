//! What a command's function works with.

use super::error::{CommandError, NOT_FLOAT, NOT_INTEGER, NOT_POSITIVE, SYNTAX};
use super::table::Row;
use crate::client::{Client, ClientFlags};
use crate::data::extended::Extended;
use crate::keyspace::{Db, Keyspace};
use crate::resp::number::{parse_f64, parse_f64_clamped, parse_i64};
use crate::resp::{Argv, ReplyBuf};
use crate::server::Server;

/// One call: the server, the client that asks, and its arguments.
pub struct Ctx<'a> {
    /// Everything the data thread owns. The calling client is not in its registry for the time of the call.
    pub server: &'a mut Server,
    /// The client that asks.
    pub client: &'a mut Client,
    /// The arguments; the command's name is the first.
    pub argv: Argv<'a>,
    /// The command.
    pub row: &'static Row,
}

impl<'a> Ctx<'a> {
    /// The argument at `i`, which outlives the borrow of the context.
    #[inline]
    pub fn arg(&self, i: usize) -> &'a [u8] {
        self.argv.get(i)
    }

    /// The number of arguments, the name included.
    pub fn argc(&self) -> usize {
        self.argv.len()
    }

    /// Where to write the reply.
    #[inline]
    pub fn reply(&mut self) -> &mut ReplyBuf {
        &mut self.client.reply
    }

    /// The client's database.
    #[inline]
    pub fn db(&mut self) -> &mut Db {
        self.server.keyspace.db_mut(self.client.db)
    }

    /// The client's database and its reply, for functions that read one into the other.
    #[inline]
    pub fn db_and_reply(&mut self) -> (&mut Db, &mut ReplyBuf) {
        (self.server.keyspace.db_mut(self.client.db), &mut self.client.reply)
    }

    /// All databases.
    pub fn keyspace(&mut self) -> &mut Keyspace {
        &mut self.server.keyspace
    }

    /// The argument at `i` as an integer.
    ///
    /// # Errors
    /// `value is not an integer or out of range`
    pub fn int(&self, i: usize) -> Result<i64, CommandError> {
        parse_i64(self.arg(i)).ok_or(NOT_INTEGER)
    }

    /// The argument at `i` as an integer of at least zero.
    ///
    /// # Errors
    /// `value is out of range, must be positive`
    pub fn natural(&self, i: usize) -> Result<usize, CommandError> {
        match parse_i64(self.arg(i)) {
            Some(n) => usize::try_from(n).map_err(|_| NOT_POSITIVE),
            None => Err(NOT_INTEGER),
        }
    }

    /// The argument at `i` as an integer of at least `least`.
    ///
    /// # Errors
    /// `error`, also for what is no integer.
    pub fn int_from(&self, i: usize, least: i64, error: &'static str) -> Result<i64, CommandError> {
        parse_i64(self.arg(i)).filter(|n| *n >= least).ok_or(CommandError::fixed(error))
    }

    /// The argument at `i` as an integer whose sign can be taken away.
    ///
    /// # Errors
    /// That it is no integer, or is out of range.
    pub fn signed(&self, i: usize) -> Result<i64, CommandError> {
        match self.int(i)? {
            i64::MIN => Err(CommandError::fixed(
                "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
            )),
            n => Ok(n),
        }
    }

    /// The argument at `i` as a double.
    ///
    /// # Errors
    /// `value is not a valid float`
    pub fn float(&self, i: usize) -> Result<f64, CommandError> {
        parse_f64(self.arg(i)).ok_or(NOT_FLOAT)
    }

    /// Whether the argument at `i` is this word, in any case.
    pub fn is(&self, i: usize, word: &str) -> bool {
        self.arg(i).eq_ignore_ascii_case(word.as_bytes())
    }

    /// Fails unless there are exactly `n` arguments.
    ///
    /// # Errors
    /// A syntax error.
    pub fn exactly(&self, n: usize) -> Result<(), CommandError> {
        if self.argc() == n { Ok(()) } else { Err(SYNTAX) }
    }

    /// When a wait of the seconds at `i` ends, in Unix ms; `None`: never, as 0 asks for.
    ///
    /// # Errors
    /// Valkey's texts.
    pub fn deadline(&self, i: usize) -> Result<Option<i64>, CommandError> {
        let text = self.arg(i);
        // The rare number that is written in another way is one to Valkey, too.
        let seconds = parse_f64_clamped(text).or_else(|| parse_f64_clamped(&Extended::parse(text)?.to_text()));
        let seconds = seconds.ok_or(CommandError::fixed("ERR timeout is not a float or out of range"))?;
        let ms = (seconds * 1000.0).ceil();
        if ms < 0.0 {
            return Err(CommandError::fixed("ERR timeout is negative"));
        }
        if ms == 0.0 {
            return Ok(None);
        }
        let ms = if ms < i64::MAX as f64 { ms as i64 } else { i64::MAX };
        let at = self.server.now_ms().checked_add(ms);
        at.map(Some).ok_or(CommandError::fixed("ERR timeout is out of range"))
    }

    /// When a wait of the milliseconds at `i` ends, in Unix ms; `None`: never, as 0 asks for.
    ///
    /// # Errors
    /// Valkey's texts.
    pub fn deadline_ms(&self, i: usize) -> Result<Option<i64>, CommandError> {
        let ms = parse_i64(self.arg(i)).ok_or(CommandError::fixed("ERR timeout is not an integer or out of range"))?;
        match ms {
            ..0 => Err(CommandError::fixed("ERR timeout is negative")),
            0 => Ok(None),
            _ => {
                let at = self.server.now_ms().checked_add(ms);
                at.map(Some).ok_or(CommandError::fixed("ERR timeout is out of range"))
            }
        }
    }

    /// Whether the client may be blocked: not in a transaction or a script, nor in a stream of commands from elsewhere.
    pub fn may_wait(&self) -> bool {
        !self
            .client
            .flags
            .intersects(ClientFlags::IN_EXEC | ClientFlags::IN_SCRIPT | ClientFlags::PRIMARY | ClientFlags::AOF_LOADER)
    }

    /// Blocks the client until one of `keys` is filled; then the command runs again. Where it may not be blocked, it is answered as
    /// at its deadline.
    pub fn wait_for_keys(&mut self, keys: &[&[u8]], deadline: Option<i64>) {
        self.wait_as(self.argv, keys, deadline, false);
    }

    /// As [`wait_for_keys`](Self::wait_for_keys), with `argv` as what runs again; `on_deletion`: also when one is deleted or
    /// becomes something else.
    pub fn wait_as(&mut self, argv: Argv<'_>, keys: &[&[u8]], deadline: Option<i64>, on_deletion: bool) {
        if self.may_wait() {
            self.server.block_on_keys(self.client, self.row, argv, keys, deadline, on_deletion);
        } else {
            (self.row.command.timeout_reply)(&mut self.client.reply);
        }
    }

    /// Replaces what replicas and the append-only file get for this call.
    pub fn propagate_as(&mut self, args: &[&[u8]]) {
        if self.server.wants_propagation() {
            self.server.propagation.replace(self.client.db, args);
        }
    }

    /// Adds a further command for replicas and the append-only file, after what was given before.
    pub fn propagate_also(&mut self, args: &[&[u8]]) {
        if self.server.wants_propagation() {
            self.server.propagation.push(self.client.db, args);
        }
    }

    /// Keeps this call from replicas and the append-only file.
    pub fn propagate_nothing(&mut self) {
        self.server.propagation.suppress();
    }

    /// Sends this call to replicas and the append-only file although it changed nothing.
    pub fn force_propagation(&mut self) {
        self.server.propagation.force();
    }
}
