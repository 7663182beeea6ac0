//! A session: when the script stops, and what it tells meanwhile.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use mlua::debug::{Debug, DebugEvent};
use mlua::{Function, HookTriggers, Lua, MultiValue, Result, Table, Value, VmState};

use super::commands::{self, Next};
use super::link::{Input, Link};
use super::source::Source;
use super::{current, show};
use crate::commands::CommandError;
use crate::data::num::DoubleText;
use crate::net::Stream;
use crate::scripting::call::Work;
use crate::scripting::vm::{SCRIPT, Vm};
use crate::scripting::{lend, raise};

/// Instructions between two looks at the clock.
const INSTRUCTIONS: u32 = 100_000;
/// Arguments of a command that are shown.
const ARGUMENTS_SHOWN: usize = 10;

/// See the module's documentation.
pub struct Session {
    pub link: RefCell<Link>,
    pub source: RefCell<Source>,
    /// It stops at the next line; until then it tells which commands it calls.
    pub step: Cell<bool>,
    /// It stops at the next line, as the script asked for with `server.breakpoint()`.
    breakpoint: Cell<bool>,
    /// Nobody is there any more.
    gone: Cell<bool>,
    /// Since when it has run without a stop.
    resumed: Cell<Instant>,
    /// For how long it may.
    patience: Duration,
    /// What `server` is in scripts, and its functions that a session replaces.
    server: Table,
    replaced: [(&'static str, Function); 4],
    /// `debug.getlocal`
    getlocal: Function,
}

impl Session {
    /// A session for a script.
    ///
    /// # Errors
    /// When memory is short.
    pub fn new(vm: &Vm, stream: Stream, script: &[u8], patience: Duration) -> Result<Self> {
        let made = vm.made()?;
        let server: Table = made.raw_get("server")?;
        let function = |name| Ok::<_, mlua::Error>((name, server.raw_get::<Function>(name)?));
        Ok(Session {
            link: RefCell::new(Link::new(stream)),
            source: RefCell::new(Source::new(script)),
            step: Cell::new(true),
            breakpoint: Cell::new(false),
            gone: Cell::new(false),
            resumed: Cell::new(Instant::now()),
            patience,
            replaced: [function("call")?, function("pcall")?, function("breakpoint")?, function("debug")?],
            server,
            getlocal: made.raw_get("getlocal")?,
        })
    }

    /// Puts the session's functions in the place of those that scripts otherwise see, and has each line looked at.
    ///
    /// # Errors
    /// When memory is short.
    pub fn begin(&self, vm: &Vm) -> Result<()> {
        let lua = vm.lua();
        let (_, pcall) = &self.replaced[1];
        self.server.raw_set("call", told(lua, pcall, true)?)?;
        self.server.raw_set("pcall", told(lua, pcall, false)?)?;
        self.server
            .raw_set("breakpoint", lua.create_function(|_, ()| Ok(current().is_some_and(|s| s.stop_next())))?)?;
        let debug = |_: &Lua, args: MultiValue| current().map_or(Ok(()), |session| session.debug(&args));
        self.server.raw_set("debug", lua.create_function(debug)?)?;
        let triggers = HookTriggers::new().every_line().every_nth_instruction(INSTRUCTIONS);
        lua.set_global_hook(triggers, |lua, debug| {
            current().map_or(Ok(()), |session| session.look(lua, debug)).map(|()| VmState::Continue)
        })
    }

    /// Puts everything back, and tells the client that this is the end.
    ///
    /// # Errors
    /// When memory is short.
    pub fn end(&self, vm: &Vm) -> Result<()> {
        let mut link = self.link.borrow_mut();
        link.line("<endsession>");
        link.answer();
        for (name, function) in &self.replaced {
            self.server.raw_set(*name, function)?;
        }
        vm.watch()
    }

    /// Sends bytes as they are.
    pub fn send(&self, bytes: &[u8]) {
        self.link.borrow().send(bytes);
    }

    /// The interpreter's hook: a line is about to begin, or many instructions have passed.
    fn look(&self, lua: &Lua, debug: &Debug<'_>) -> Result<()> {
        if debug.source().source.is_none_or(|source| source != SCRIPT) {
            return Ok(());
        }
        let mut source = self.source.borrow_mut();
        source.current = debug.current_line().unwrap_or(0);
        let breakpoint = source.is_at_breakpoint();
        let reason = if self.breakpoint.get() {
            "server.breakpoint() called"
        } else if breakpoint {
            "break point"
        } else if self.step.get() {
            "step over"
        } else if debug.event() == DebugEvent::Count && self.resumed.get().elapsed() >= self.patience {
            if self.gone.get() {
                return Err(refusal("ERR timeout during Lua debugging with client closing connection"));
            }
            "timeout reached, infinite loop?"
        } else {
            return Ok(());
        };
        self.step.set(false);
        self.breakpoint.set(false);
        if self.gone.get() {
            return Ok(());
        }
        let mut link = self.link.borrow_mut();
        link.line(format!("* Stopped at {}, stop reason = {reason}", source.current));
        link.line(source.shown(source.current));
        link.answer();
        drop((source, link));
        self.converse(lua)?;
        self.resumed.set(Instant::now());
        Ok(())
    }

    /// Obeys the client until the script is to go on.
    fn converse(&self, lua: &Lua) -> Result<()> {
        loop {
            // No borrow lasts while a command runs, for it may run Lua.
            let input = self.link.borrow_mut().next();
            match input {
                Input::Command(argv) => match commands::run(self, lua, argv.argv())? {
                    Next::Command => self.link.borrow_mut().answer(),
                    Next::Script => return Ok(()),
                },
                Input::Gone => {
                    // The script runs to its end, without stops.
                    self.gone.set(true);
                    self.source.borrow_mut().clear();
                    return Ok(());
                }
                Input::Broken(why) => return Err(refusal(why)),
            }
        }
    }

    /// `server.breakpoint()`
    fn stop_next(&self) -> bool {
        self.breakpoint.set(true);
        true
    }

    /// `server.debug(...)`
    fn debug(&self, args: &MultiValue) -> Result<()> {
        let mut line = format!("<debug> line {}:", self.source.borrow().current).into_bytes();
        for (i, value) in args.iter().enumerate() {
            line.extend_from_slice(if i == 0 { b" " } else { b", " });
            show::value(&mut line, value)?;
        }
        self.link.borrow_mut().line(line);
        Ok(())
    }

    /// Tells of a command that is called; not of what is none.
    fn tell_command(&self, args: &MultiValue) {
        let mut line = b"<command>".to_vec();
        for arg in args.iter().take(ARGUMENTS_SHOWN) {
            line.push(b' ');
            match arg {
                Value::String(text) => line.extend_from_slice(&text.as_bytes()),
                Value::Integer(n) => line.extend_from_slice(n.to_string().as_bytes()),
                Value::Number(n) => line.extend_from_slice(DoubleText::new(*n).as_bytes()),
                _ => return,
            }
        }
        if let Some(more @ 1..) = args.len().checked_sub(ARGUMENTS_SHOWN) {
            line.extend_from_slice(format!(" ... ({more} more)").as_bytes());
        }
        self.link.borrow_mut().line(line);
    }

    /// Tells what a command answered.
    fn tell_reply(&self, value: &Value) -> Result<()> {
        let resp3 = lend::with(|call| match &call.work {
            Work::Run { client, .. } => client.reply.resp3(),
            Work::Load(_) => false,
        });
        let mut line = b"<reply> ".to_vec();
        show::reply(&mut line, value, resp3.unwrap_or(false))?;
        let mut link = self.link.borrow_mut();
        link.value(line);
        if let Some(error) = error_of(value) {
            link.line([b"<error> -", error.text.as_slice()].concat());
        }
        Ok(())
    }

    /// The local variables of the function at a level of the stack, 0 being the one that is stopped; `None` beyond the last.
    pub fn locals(&self, lua: &Lua, level: usize) -> Option<Vec<(String, Value)>> {
        let ours =
            lua.inspect_stack(level, |frame| frame.source().source.is_some_and(|source| source != "@prelude"))?;
        // Seen from the function that looks, the level is one more.
        let local = |i: usize| self.getlocal.call::<(Option<String>, Value)>((level + 1, i)).ok();
        let found = (1..).map_while(|i| local(i).and_then(|(name, value)| Some((name?, value))));
        Some(if ours { found.filter(|(name, _)| !name.contains("(*temporary)")).collect() } else { Vec::new() })
    }
}

/// An error, as scripts see one of a command.
struct Failed {
    text: Vec<u8>,
    /// It is in the statistics.
    counted: bool,
}

/// The error that a value stands for.
fn error_of(value: &Value) -> Option<Failed> {
    let table = value.as_table()?;
    let Value::String(text) = table.raw_get("err").ok()? else { return None };
    let counted = matches!(table.raw_get("ignore_error_stats_update"), Ok(Value::Boolean(true)));
    Some(Failed { text: text.as_bytes().to_vec(), counted })
}

/// `server.call` or `server.pcall`, that tells what is called while the script goes step by step.
fn told(lua: &Lua, pcall: &Function, raises: bool) -> Result<Function> {
    let pcall = pcall.clone();
    lua.create_function(move |_, args: MultiValue| {
        let session = current().filter(|session| session.step.get());
        if let Some(session) = &session {
            session.tell_command(&args);
        }
        let value: Value = pcall.call(args)?;
        if let Some(session) = &session {
            session.tell_reply(&value)?;
        }
        match error_of(&value).filter(|_| raises) {
            Some(error) => Err(raise::table(&CommandError::bytes(error.text), error.counted)),
            None => Ok(value),
        }
    })
}

/// An error that ends the script.
pub fn refusal(why: &'static str) -> mlua::Error {
    raise::table(&CommandError::fixed(why), false)
}
