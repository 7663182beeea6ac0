//! What a command's function works with.

use super::error::{CommandError, NOT_FLOAT, NOT_INTEGER, NOT_POSITIVE, SYNTAX};
use super::table::Row;
use crate::client::Client;
use crate::keyspace::{Db, Keyspace};
use crate::resp::number::{parse_f64, parse_i64};
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

    /// Replaces what replicas and the append-only file get for this call.
    pub fn propagate_as(&mut self, args: &[&[u8]]) {
        self.server.propagation.replace(self.client.db, args);
    }

    /// Adds a further command for replicas and the append-only file, after what was given before.
    pub fn propagate_also(&mut self, args: &[&[u8]]) {
        self.server.propagation.push(self.client.db, args);
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
