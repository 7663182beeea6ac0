//! Scripts and functions, in Lua 5.1.
//!
//! There are two interpreters ([`vm::Vm`]), as in Valkey: one for the scripts of EVAL, kept by the digests of their texts in a
//! [`cache`], one for the functions of [`library`]. They are made when they are first needed. What a script may touch is
//! decided in `prelude.lua`; what it asks of the server is answered in [`api`]; [`call`] is the one way from a script to a command.
//! Where each call passes, from the command to the script ([`program`]), to its commands and back ([`invoke`], [`from_reply`]) and to the reply
//! ([`to_reply`]), Lua's own [`stack`] is worked on; elsewhere it is the binding.
//!
//! A script runs inside the command that called it, on the data thread, and the server is lent to it for that time ([`lend`]).
//! Every so many instructions a hook looks whether it has become too long ([`run`]). A client may have one stop at each line
//! ([`debugger`]).

pub mod api;
pub mod cache;
pub mod call;
pub mod debugger;
pub mod flags;
mod from_reply;
mod invoke;
pub mod lend;
pub mod library;
pub mod libs;
mod patterns;
pub mod program;
mod raise;
pub mod random;
pub mod run;
mod stack;
pub mod text;
mod to_reply;
pub mod vm;

use std::time::Instant;

use crate::client::{Client, ClientFlags};
use crate::commands::CommandError;
use crate::resp::OwnedArgv;
use cache::Cache;
use library::Libraries;
use program::Program;
use vm::{Handle, Kind, Vm};

/// Everything that the data thread keeps for scripts and functions.
#[derive(Debug, Default)]
pub struct Scripting {
    eval: Option<Vm>,
    functions: Option<Vm>,
    /// The scripts of EVAL and SCRIPT LOAD.
    pub cache: Cache<Handle>,
    /// The libraries of FUNCTION LOAD.
    pub libraries: Libraries<Handle>,
    /// The script under way.
    pub running: Option<Running>,
    /// The error that the call under way ends with was counted when it came about.
    pub error_counted: bool,
    /// Memory was full, and nothing could be evicted, when the command under way was admitted.
    pub out_of_memory: bool,
    /// DEBUG SET-DISABLE-DENY-SCRIPTS: scripts may call every command.
    pub any_command: bool,
    /// Stands for the client in the calls of scripts; kept between them.
    client: Option<Box<Client>>,
}

/// What is known of the script under way.
#[derive(Debug)]
pub struct Running {
    /// EVAL, as opposed to FCALL.
    pub is_eval: bool,
    /// The script's digest, or the function's name.
    pub name: Vec<u8>,
    /// When it began.
    pub since: Instant,
    /// It may not write.
    pub read_only: bool,
    /// It may write beyond `maxmemory`.
    pub allow_oom: bool,
    /// It has called a command that writes: it can neither be killed nor refused further writes.
    pub wrote: bool,
    /// It comes from our primary, or from our own file.
    pub obeyed: bool,
    /// It is to end.
    pub killed: bool,
    /// Set when it had run for `busy-reply-threshold`: the command that called it. Others are answered BUSY from then on.
    pub busy: Option<OwnedArgv>,
    /// Who gets what it writes.
    pub targets: crate::server::propagation::Targets,
}

impl Scripting {
    /// The interpreter of a kind, which is made if there is none yet.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn vm(&mut self, kind: Kind, insecure: bool) -> Result<&Vm, CommandError> {
        let slot = match kind {
            Kind::Eval => &mut self.eval,
            Kind::Functions => &mut self.functions,
        };
        match slot {
            Some(vm) => Ok(vm),
            None => {
                let vm = Vm::new(kind, insecure)
                    .map_err(|e| CommandError::text(format!("ERR The interpreter can't be made: {}", text::of(&e))))?;
                Ok(slot.insert(vm))
            }
        }
    }

    /// A function of an interpreter, ready to be run.
    ///
    /// # Errors
    /// When there is no such interpreter.
    pub fn program(&self, kind: Kind, function: &Handle) -> Result<Program, CommandError> {
        let vm = match kind {
            Kind::Eval => &self.eval,
            Kind::Functions => &self.functions,
        };
        let vm = vm.as_ref().ok_or(CommandError::fixed("ERR The interpreter of this function is gone"))?;
        Ok(vm.program(function, kind))
    }

    /// Bytes that an interpreter holds.
    pub fn vm_memory(&self, kind: Kind) -> usize {
        let vm = match kind {
            Kind::Eval => &self.eval,
            Kind::Functions => &self.functions,
        };
        vm.as_ref().map_or(0, Vm::memory)
    }

    /// Whether a script has run for so long that others are answered BUSY.
    pub fn is_busy(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.busy.is_some())
    }

    /// SCRIPT FLUSH: forgets all scripts, and their interpreter with them.
    pub fn flush_scripts(&mut self) -> Retired {
        Retired { vm: self.eval.take(), scripts: std::mem::take(&mut self.cache), libraries: Libraries::default() }
    }

    /// FUNCTION FLUSH: forgets all libraries, and their interpreter with them.
    pub fn flush_functions(&mut self) -> Retired {
        Retired { vm: self.functions.take(), scripts: Cache::default(), libraries: std::mem::take(&mut self.libraries) }
    }

    /// The stand-in for a client, made to look like the one that calls.
    fn borrow_client(&mut self, caller: &Client) -> Box<Client> {
        let mut client = self.client.take().unwrap_or_else(|| Box::new(Client::new(0, None, caller.created_ms)));
        let inherited =
            ClientFlags::PRIMARY | ClientFlags::AOF_LOADER | ClientFlags::NO_TOUCH | ClientFlags::IMPORT_SOURCE;
        // Keys that the script reads are cached by its caller, and those that it changes are changed by its caller.
        client.id = caller.id;
        // As in a transaction, nothing waits.
        client.flags = caller.flags & inherited | ClientFlags::IN_SCRIPT | ClientFlags::IN_EXEC;
        client.authenticated = caller.authenticated;
        client.user.clone_from(&caller.user);
        client.db = caller.db;
        // What WAIT is about.
        client.last_write_offset = caller.last_write_offset;
        client.reply.proto = 2;
        // What is told of it, in the log of denials for one, is told of its caller.
        client.peer.clone_from(&caller.peer);
        client.local.clone_from(&caller.local);
        client.name.clone_from(&caller.name);
        client.last_command = caller.last_command;
        (client.created_ms, client.active_ms) = (caller.created_ms, caller.active_ms);
        client
    }

    /// Gives the stand-in back.
    fn return_client(&mut self, mut client: Box<Client>) {
        client.reply.clear();
        client.user = None;
        self.client = Some(client);
    }
}

/// An interpreter that nobody uses any more, with all that belongs to it. Dropping it takes time.
#[derive(Debug)]
#[expect(dead_code, reason = "it is there to be dropped")]
pub struct Retired {
    scripts: Cache<Handle>,
    libraries: Libraries<Handle>,
    vm: Option<Vm>,
}

// SAFETY: an interpreter and the functions in it refer to each other without locks, so they may only be used by one thread at a time.
// A `Retired` has them all: the interpreter was taken out of `Scripting`, together with the cache or the libraries, which hold all
// handles into it that outlive a command; and no script runs, for commands that retire an interpreter are not callable from
// scripts nor while one is busy. The callbacks in it own nothing that other threads could see (`api` and `libs` keep their state
// in the interpreter), and nothing in it is tied to the thread that made it. Whoever gets it can only drop it.
unsafe impl Send for Retired {}
