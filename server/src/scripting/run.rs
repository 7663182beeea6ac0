//! A script's run, from the command that calls it to the reply.

use std::ops::Range;
use std::time::Instant;

use super::call::{Call, Work};
use super::flags::ScriptFlags;
use super::program::Program;
use super::stack::{Kind as ValueKind, Name, Stack};
use super::to_reply::{self, ScriptError, Writer};
use super::vm::Kind;
use super::{Running, lend};
use crate::commands::spec::Flags;
use crate::commands::{CommandError, CommandResult, Ctx};
use crate::resp::ReplyBuf;
use crate::server::Server;
use crate::server::propagation::Targets;

/// What to run, and how.
pub struct Run {
    /// Which interpreter has it.
    pub kind: Kind,
    /// Its digest or name.
    pub name: Vec<u8>,
    /// Its flags.
    pub flags: ScriptFlags,
    /// Itself.
    pub program: Program,
    /// Which of the command's arguments are keys. The arguments of the script follow them.
    pub keys: Range<usize>,
}

/// The arguments that are keys, told by the number of them.
///
/// # Errors
/// When there can't be so many.
pub fn keys(count: i64, argc: usize) -> Result<Range<usize>, CommandError> {
    const FIRST: usize = 3;
    match usize::try_from(count) {
        Err(_) => Err(CommandError::fixed("ERR Number of keys can't be negative")),
        Ok(n) if n > argc - FIRST => {
            Err(CommandError::fixed("ERR Number of keys can't be greater than number of args"))
        }
        Ok(n) => Ok(FIRST..FIRST + n),
    }
}

impl Run {
    /// Runs it, and answers with its result.
    ///
    /// # Errors
    /// Why it may not run, or what it failed with.
    pub fn run(self, ctx: &mut Ctx<'_>) -> CommandResult {
        let read_only = ctx.row.command.flags.contains(Flags::READONLY);
        let obeyed = ctx.client.is_trusted_source();
        admit(ctx.server, self.flags, read_only, obeyed)?;
        let declared = !self.flags.contains(ScriptFlags::UNDECLARED);
        let program = self.program;
        let mut client = ctx.server.scripting.borrow_client(ctx.client);
        ctx.server.scripting.running = Some(Running {
            is_eval: self.kind == Kind::Eval,
            name: self.name,
            since: ctx.server.batch_clock.unwrap_or_else(Instant::now),
            read_only: read_only || declared && self.flags.contains(ScriptFlags::NO_WRITES),
            allow_oom: declared && self.flags.contains(ScriptFlags::ALLOW_OOM),
            wrote: false,
            obeyed,
            killed: false,
            busy: None,
            targets: Targets::ALL,
        });
        let argv = ctx.argv;
        let position = ctx.client.reply.position();
        let mut answer = Answer { reply: &mut ctx.client.reply, errors: Vec::new(), failure: None };
        let outcome = {
            let mut call = Call { server: ctx.server, work: Work::Run { client: &mut client, argv } };
            let (keys, args) = (argv.range(self.keys.clone()), argv.tail(self.keys.end));
            let mut finish = |stack: Stack<'_>, succeeded| answer.take(stack, succeeded);
            lend::lend(&mut call, || program.run(keys, args, &mut finish))
        };
        let Answer { errors, failure, .. } = answer;
        ctx.client.commands += std::mem::take(&mut client.commands);
        ctx.server.scripting.return_client(client);
        let running = ctx.server.scripting.running.take();
        // What it called is propagated, not itself.
        ctx.propagate_nothing();
        if let Some(Running { busy: Some(_), .. }) = running {
            ctx.server.busy_script_ended();
        }
        for code in errors {
            ctx.server.stats.script_error(&code);
        }
        let name = running.map(|running| running.name).unwrap_or_default();
        match (outcome, failure) {
            (Ok(()), None) => Ok(()),
            (Ok(()), Some(Failure::Error { text, counted })) => Err(count(ctx.server, one_line(text), counted)),
            (Ok(()), Some(Failure::Other(why))) => Err(broken(&name, &why)),
            (Err(why), _) => {
                ctx.client.reply.truncate(position);
                Err(broken(&name, &why))
            }
        }
    }
}

/// What a script has come to.
struct Answer<'a> {
    reply: &'a mut ReplyBuf,
    /// Codes of errors within its result that are to be counted.
    errors: Vec<Vec<u8>>,
    /// Why there is no reply.
    failure: Option<Failure>,
}

/// Why a script has no result.
enum Failure {
    /// It returned an error, or ended with one.
    Error { text: Vec<u8>, counted: bool },
    /// It ended with something else.
    Other(String),
}

impl Answer<'_> {
    /// Takes what is on top of the stack. May jump, before or after it has taken something.
    fn take(&mut self, stack: Stack<'_>, succeeded: bool) {
        let value = stack.top();
        if !succeeded {
            self.failure = Some(failure(stack, value));
            return;
        }
        if stack.kind(value) == ValueKind::Table
            && let Some(ScriptError { text, counted }) = to_reply::error_of(stack, value)
        {
            self.failure = Some(Failure::Error { text: text.to_vec(), counted });
            return;
        }
        stack.set_top(value);
        let resp3 = lend::with(|call| matches!(&call.work, Work::Run { client, .. } if client.reply.resp3()));
        Writer { reply: self.reply, resp3: resp3 == Some(true), errors: &mut self.errors }.value(stack, 0);
    }
}

/// The error that a script ended with, with the place where it came about.
fn failure(stack: Stack<'_>, value: i32) -> Failure {
    if stack.kind(value) != ValueKind::Table {
        let why = if stack.kind(value) == ValueKind::String { stack.bytes(value) } else { b"execution failure" };
        return Failure::Other(String::from_utf8_lossy(why).into_owned());
    }
    stack.push_field(value, Name::Err);
    // Raised, unlike returned, a number is a text.
    if stack.kind(-1) == ValueKind::Number {
        stack.push_name(Name::Err);
        stack.push_number_as_text(stack.number(-2));
        stack.set_field(value);
    }
    let error = to_reply::error_of(stack, value);
    let ScriptError { text, counted } = error.unwrap_or(ScriptError { text: b"ERR unknown error", counted: false });
    let at = stack.top();
    stack.push_field(value, Name::Source);
    stack.push_field(value, Name::Line);
    let text = match (stack.kind(at + 1), stack.kind(at + 2)) {
        (ValueKind::String, ValueKind::Number) => {
            let line = format!(":{}.", stack.number(at + 2));
            [text, b" script: on ", stack.bytes(at + 1), line.as_bytes()].concat()
        }
        _ => text.to_vec(),
    };
    Failure::Error { text, counted }
}

/// Whether a script may run at all: where it declares what it does, that is looked at before.
fn admit(server: &Server, flags: ScriptFlags, read_only: bool, obeyed: bool) -> CommandResult {
    let stale = server.serves_no_stale_data();
    if flags.contains(ScriptFlags::UNDECLARED) {
        return match stale {
            true => Err(CommandError::fixed(
                "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
            )),
            false => Ok(()),
        };
    }
    if stale && !flags.contains(ScriptFlags::ALLOW_STALE) {
        return Err(CommandError::fixed(
            "MASTERDOWN Link with MASTER is down, replica-serve-stale-data is set to 'no' and 'allow-stale' flag is not set on the script.",
        ));
    }
    if !flags.contains(ScriptFlags::NO_WRITES) {
        if !server.is_primary() && server.config.replica_read_only && !obeyed {
            return Err(CommandError::fixed("READONLY Can not run script with write flag on readonly replica"));
        }
        if read_only {
            return Err(CommandError::fixed("ERR Can not execute a script with write flag using *_ro command."));
        }
        if !obeyed {
            server.check_writable(Flags::WRITE)?;
        }
    }
    let full = server.config.maxmemory > 0 && server.scripting.out_of_memory && !obeyed;
    if full && !flags.intersects(ScriptFlags::ALLOW_OOM | ScriptFlags::NO_WRITES) {
        return Err(CommandError::fixed(
            "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'",
        ));
    }
    Ok(())
}

/// Counts an error that a script ends with, unless that was done when it came about.
fn count(server: &mut Server, error: CommandError, counted: bool) -> CommandError {
    match error.code() {
        _ if counted => {}
        b"ERR" => server.stats.error(b"ERR"),
        made_up => server.stats.script_error(made_up),
    }
    server.scripting.error_counted = true;
    error
}

/// An error whose text may be a script's: its code ends where its line does.
fn one_line(mut text: Vec<u8>) -> CommandError {
    text.iter_mut().filter(|c| matches!(**c, b'\r' | b'\n')).for_each(|c| *c = b' ');
    CommandError::bytes(text)
}

fn broken(name: &[u8], why: &str) -> CommandError {
    let why: String = why.chars().take(100).collect();
    CommandError::text(format!("ERR Error running script {}, {why}", String::from_utf8_lossy(name)))
}
