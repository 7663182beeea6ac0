//! A Lua interpreter, with what scripts may use and nothing else.

use std::fmt;

use mlua::chunk::ChunkMode;
use mlua::state::{GcIncParams, GcMode};
use mlua::{Function, HookTriggers, Lua, LuaOptions, Result, StdLib, Table, VmState};

use super::program::{Entrance, Program};
use super::{api, lend, libs, patterns};

/// Instructions between two looks at the clock.
const INSTRUCTIONS: u32 = 100_000;
/// The longest program in bytes: the interpreter's parser counts lines and signs with 32 bits.
const LONGEST: usize = 1 << 30;
/// Names of programs in error messages. The interpreter's parser (5.1.5) does not protect the string that it makes of such a name
/// from its own garbage collector; where an equal one is in use, it uses that. So these are kept for ever.
pub const SCRIPT: &str = "@user_script";
const FUNCTION: &str = "@user_function";

/// What an interpreter is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Scripts of EVAL.
    Eval,
    /// Libraries of FUNCTION LOAD.
    Functions,
}

/// A function that is kept. The binding's own references stand in a stack of a few thousand places, too few for all functions.
pub type Handle = mlua::RegistryKey;

/// An interpreter.
pub struct Vm {
    lua: Lua,
    /// Where each script passes.
    entrance: Entrance,
    /// Puts the globals in place that a library sees while it is loaded, or those that its functions see.
    loading: Function,
}

impl Vm {
    /// An interpreter. `insecure`: with what `lua-enable-insecure-api` allows.
    ///
    /// # Errors
    /// When memory is short.
    pub fn new(kind: Kind, insecure: bool) -> Result<Vm> {
        let libraries = StdLib::TABLE | StdLib::STRING | StdLib::MATH | StdLib::OS | StdLib::DEBUG;
        let options = LuaOptions::new().catch_rust_panics(false);
        // SAFETY: what makes these libraries unsafe is `debug`, and loading programs from bytes. The prelude keeps both to itself: of
        // `debug` it uses `getinfo`, and it refuses bytes to `load` and `loadstring`.
        let lua = unsafe { Lua::unsafe_new_with(libraries, options) };
        patterns::limit(&lua)?;
        let native = api::table(&lua)?;
        libs::register(&lua, &native)?;
        native.raw_set("insecure", insecure)?;
        native.raw_set("longest", LONGEST)?;
        native.raw_set("functions", kind == Kind::Functions)?;
        native.raw_set("names", [SCRIPT, FUNCTION])?;
        let made: Table = lua.load(include_str!("prelude.lua")).set_name("@prelude").call(native)?;
        let entrance = Entrance::new(&lua, &made.raw_get("handler")?, &made.raw_get("globals")?)?;
        let vm = Vm { entrance, loading: made.raw_get("loading")?, lua };
        vm.lua.set_globals(made.raw_get("environment")?)?;
        vm.lua.set_named_registry_value("prelude", made)?;
        vm.watch()?;
        // A cycle begins when a fifth has come to what the last one left, and ends soon: scripts leave little, and much garbage.
        vm.lua.gc_set_mode(GcMode::Incremental(GcIncParams::default().pause(120).step_multiplier(500)));
        vm.lua.gc_collect()?;
        Ok(vm)
    }

    /// Has the clock looked at every so many instructions.
    ///
    /// # Errors
    /// When memory is short.
    pub fn watch(&self) -> Result<()> {
        self.lua.set_global_hook(HookTriggers::new().every_nth_instruction(INSTRUCTIONS), |_, _| {
            lend::with(|call| call.tick()).unwrap_or(Ok(())).map(|()| VmState::Continue)
        })
    }

    /// The interpreter itself.
    pub fn lua(&self) -> &Lua {
        &self.lua
    }

    /// What the prelude made.
    ///
    /// # Errors
    /// When memory is short.
    pub fn made(&self) -> Result<Table> {
        self.lua.named_registry_value("prelude")
    }

    /// Bytes that it holds.
    pub fn memory(&self) -> usize {
        self.lua.used_memory()
    }

    /// Compiles a script.
    ///
    /// # Errors
    /// What the compiler says.
    pub fn compile(&self, text: &[u8]) -> Result<Function> {
        self.compile_as(SCRIPT, text)
    }

    /// Compiles a library, for [`Program::load`].
    ///
    /// # Errors
    /// What the compiler says.
    pub fn compile_library(&self, text: &[u8]) -> Result<Function> {
        self.compile_as(FUNCTION, text)
    }

    fn compile_as(&self, name: &str, text: &[u8]) -> Result<Function> {
        // Lua would take it for a compiled program, and believe what it says.
        if text.starts_with(b"\x1b") {
            return Err(mlua::Error::runtime(format!("{}:1: unexpected symbol near '<\\27>'", &name[1..])));
        }
        if text.len() > LONGEST {
            return Err(mlua::Error::runtime("chunk has too many lines"));
        }
        self.lua.load(text).set_name(name).set_mode(ChunkMode::Text).into_function()
    }

    /// Keeps a function in the interpreter, for as long as the handle lives.
    ///
    /// # Errors
    /// When memory is short.
    pub fn keep(&self, function: Function) -> Result<Handle> {
        self.lua.expire_registry_values();
        self.lua.create_registry_value(function)
    }

    /// A kept function, ready to be run while it is kept.
    pub fn program(&self, function: &Handle, kind: Kind) -> Program {
        self.entrance.program(function.id(), kind)
    }

    /// Puts the globals for loading libraries in place, or takes them away.
    ///
    /// # Errors
    /// When memory is short.
    pub fn set_loading(&self, on: bool) -> Result<()> {
        self.loading.call(on)
    }
}

impl fmt::Debug for Vm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vm").field("memory", &self.memory()).finish_non_exhaustive()
    }
}
