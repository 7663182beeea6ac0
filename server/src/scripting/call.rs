//! The one way from a script to a command: what it is checked for, and the call.

use std::time::{Duration, Instant};

use mlua::Error;

use super::flags::ScriptFlags;
use super::vm::Handle;
use crate::acl::log::Context;
use crate::client::Client;
use crate::commands::spec::{Flags, Group};
use crate::commands::table::{self, Row};
use crate::commands::{CommandError, dispatch};
use crate::resp::Argv;
use crate::server::Server;
use crate::{log_notice, log_warning};

/// What is lent to the functions that Lua calls.
pub struct Call<'a> {
    /// The server.
    pub server: &'a mut Server,
    /// What it is lent for.
    pub work: Work<'a>,
}

/// What Lua is run for.
pub enum Work<'a> {
    /// A script or a function.
    Run {
        /// Stands for the client that called it.
        client: &'a mut Client,
        /// The command that called it.
        argv: Argv<'a>,
    },
    /// A library is being loaded.
    Load(Load),
}

/// What a library has come to while it is being loaded.
#[derive(Debug, Default)]
pub struct Load {
    /// When it has taken too long.
    pub deadline: Option<Instant>,
    /// The functions that it registered.
    pub functions: Vec<Registration>,
}

/// A function that a library registered.
#[derive(Debug)]
pub struct Registration {
    /// Its name.
    pub name: Vec<u8>,
    /// What it says of itself.
    pub description: Option<Vec<u8>>,
    /// Its flags.
    pub flags: ScriptFlags,
    /// Itself.
    pub callback: Handle,
}

impl Call<'_> {
    /// Calls a command for the script; the reply is the stand-in's.
    ///
    /// # Errors
    /// When the command was refused before it began. The error was counted then.
    pub fn command(&mut self, argv: Argv<'_>) -> Result<(), CommandError> {
        let server = &mut *self.server;
        let Work::Run { client, .. } = &mut self.work else { return Err(NOT_NOW) };
        let resolved = table::resolve(argv).map_err(|unresolved| match unresolved.row {
            Some(row) => (Some(row), CommandError::fixed("ERR Wrong number of args calling command from script")),
            None if table::find(argv.get(0)).is_some() => (None, unresolved.error),
            None => (None, CommandError::fixed("ERR Unknown command called from script")),
        });
        let checked =
            resolved.and_then(|row| check(server, client, row, argv).map(|()| row).map_err(|e| (Some(row), e)));
        let row = match checked {
            Ok(row) => row,
            Err((row, error)) => {
                if let Some(row) = row {
                    server.stats.command(row.id).rejected += 1;
                }
                server.stats.error(error.code());
                // The statistics know what a script is not told: its code is ERR, as in Valkey.
                return Err(match error.0.strip_prefix(b"NOPERM ") {
                    Some(text) => CommandError::bytes([b"ERR ", text].concat()),
                    None => error,
                });
            }
        };
        let (collected, targets) = (server.propagation.ops.len(), server.propagation_targets());
        if row.command.flags.contains(Flags::WRITE)
            && let Some(running) = &mut server.scripting.running
        {
            running.wrote = true;
        }
        dispatch::call(server, client, row, argv);
        for op in server.propagation.ops.iter_mut().skip(collected) {
            op.targets = targets;
        }
        Ok(())
    }

    /// Looks, every so many instructions, whether Lua has run for too long; serves others meanwhile.
    ///
    /// # Errors
    /// When it is to end.
    pub fn tick(&mut self) -> Result<(), Error> {
        let argv = match &self.work {
            Work::Run { argv, .. } => *argv,
            Work::Load(load) if load.deadline.is_some_and(|at| Instant::now() > at) => {
                return Err(Error::runtime("FUNCTION LOAD timeout"));
            }
            Work::Load(_) => return Ok(()),
        };
        let server = &mut *self.server;
        let threshold = Duration::from_millis(server.config.busy_reply_threshold);
        let Some(running) = &mut server.scripting.running else { return Ok(()) };
        let elapsed = running.since.elapsed();
        if threshold.is_zero() || elapsed < threshold {
            return Ok(());
        }
        let killer = if running.is_eval { "SCRIPT KILL" } else { "FUNCTION KILL" };
        if running.busy.is_none() {
            log_warning!(
                "Slow script detected: still in execution after {} milliseconds. You can try killing the script using the {killer} command. Script name is: {}.",
                elapsed.as_millis(),
                String::from_utf8_lossy(&running.name)
            );
            running.busy = Some(argv.to_owned());
        }
        server.serve_while_busy();
        if self.is_killed() {
            let text = format!("Script killed by user with {killer}.");
            log_notice!("{text}");
            return Err(Error::runtime(text));
        }
        Ok(())
    }

    /// Whether the script is to end, whatever it does about it.
    pub fn is_killed(&self) -> bool {
        self.server.exit.is_some() || self.server.scripting.running.as_ref().is_some_and(|running| running.killed)
    }
}

/// What the functions that need a script under way answer without one.
pub const NOT_NOW: CommandError = CommandError::fixed("ERR server.call can only be called inside a script invocation");

/// The checks before a script's command, in Valkey's order.
fn check(server: &mut Server, client: &Client, row: &'static Row, argv: Argv<'_>) -> Result<(), CommandError> {
    let flags = row.command.flags;
    if server.scripting.running.is_none() {
        return Err(NOT_NOW);
    }
    // A script within a script there is not, whatever DEBUG says.
    let any = server.scripting.any_command && row.command.group != Group::Scripting;
    if flags.contains(Flags::NOSCRIPT) && !any {
        return Err(CommandError::fixed("ERR This Valkey command is not allowed from script"));
    }
    if !flags.contains(Flags::STALE) && server.serves_no_stale_data() {
        return Err(CommandError::fixed("ERR Can not execute the command on a stale replica"));
    }
    if let Err(denied) = server.check_permission(client, row, argv, Context::Script) {
        let text = server.denial_text(client, row, denied);
        return Err(CommandError::bytes([b"NOPERM ACL failure in script: ", &*text].concat()));
    }
    let Some(running) = &server.scripting.running else { return Err(NOT_NOW) };
    if running.read_only && flags.intersects(Flags::WRITE | Flags::MAY_REPLICATE) {
        return Err(CommandError::fixed("ERR Write commands are not allowed from read-only scripts."));
    }
    // What has begun to write is not stopped in the middle.
    if running.wrote || running.obeyed {
        return Ok(());
    }
    if flags.contains(Flags::WRITE) {
        server.check_writable(flags)?;
    }
    let full = server.config.maxmemory > 0 && server.scripting.out_of_memory;
    if full && flags.contains(Flags::DENYOOM) && !running.allow_oom {
        return Err(CommandError::fixed("OOM command not allowed when used memory > 'maxmemory'."));
    }
    Ok(())
}
