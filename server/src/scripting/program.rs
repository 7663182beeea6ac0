//! A script or function ready to be run, and the way into the interpreter.

use std::ffi::c_int;

use mlua::{Lua, Value, lua_State};

use super::stack::{self, Name, Own, Stack};
use super::vm::Kind;
use crate::resp::Argv;

/// What the closure around [`enter`] has of its own: what makes an error of what was raised, and what scripts see as globals, but for
/// their protection.
const HANDLER: Own = Own(0);
const GLOBALS: Own = Own(1);

/// Where each script of an interpreter passes.
#[derive(Clone)]
pub struct Entrance {
    #[expect(dead_code, reason = "keeps the interpreter alive for a program that is still to run")]
    lua: Lua,
    /// The interpreter's main coroutine, where nothing runs between two scripts.
    main: *mut lua_State,
    /// The closure around [`enter`], by its key in the registry.
    enter: c_int,
}

/// A script or function to run, apart from the server that runs it.
pub struct Program {
    entrance: Entrance,
    /// Its key in the registry.
    function: c_int,
    /// Its keys and arguments are global.
    global_inputs: bool,
}

/// Takes what a script has come to, which is on top of the stack; whether that is a result, or an error. May jump.
pub type Finish<'a> = dyn FnMut(Stack<'_>, bool) + 'a;

/// What [`enter`] is called with.
struct Visit<'a> {
    program: &'a Program,
    keys: Argv<'a>,
    args: Argv<'a>,
    finish: &'a mut Finish<'a>,
}

impl Entrance {
    /// Makes one, with what the prelude made.
    ///
    /// # Errors
    /// When memory is short.
    pub fn new(lua: &Lua, handler: &Value, globals: &Value) -> mlua::Result<Entrance> {
        let enter = stack::closure(lua, enter, &[handler, globals])?;
        let (mut main, mut key) = (std::ptr::null_mut(), mlua::ffi::LUA_NOREF);
        // A key of the binding would give its place to another when it is dropped; this one is kept as long as the interpreter.
        // SAFETY: it takes note of the pointer, and moves the closure, which is on top of the stack, to the registry. Where memory is short
        // that jumps to the call around it, past nothing that has a destructor.
        unsafe {
            lua.exec_raw::<()>(enter, |state| {
                main = state;
                key = mlua::ffi::luaL_ref(state, mlua::ffi::LUA_REGISTRYINDEX);
            })?;
        }
        Ok(Entrance { lua: lua.clone(), main, enter: key })
    }

    /// A function that is kept under this key of the registry, which is to be so until it has been run.
    pub fn program(&self, function: c_int, kind: Kind) -> Program {
        Program { entrance: self.clone(), function, global_inputs: kind == Kind::Eval }
    }
}

impl Program {
    /// Runs it with keys and arguments. `finish` takes what it comes to.
    ///
    /// # Errors
    /// The interpreter's own, when memory is short. Then `finish` may have been called, and have ended early.
    pub fn run<'a>(&'a self, keys: Argv<'a>, args: Argv<'a>, finish: &'a mut Finish<'a>) -> Result<(), String> {
        let mut visit = Visit { program: self, keys, args, finish };
        let main = self.entrance.main;
        // SAFETY: `main` is the state of `entrance.lua`, which is alive, and is used by this thread alone, which has `Scripting`. Nothing of
        // what is called here allocates, so nothing jumps outside of the protected call: a read of the registry, a pointer, and
        // the call itself, for which there is room: at its bottom a stack has twenty free places, and each run leaves it as it was.
        // The pointer is used by `enter` alone, and before this returns. Of an error only the bytes are looked at, if it
        // is a string; no name is asked of this stack.
        unsafe {
            let top = mlua::ffi::lua_gettop(main);
            mlua::ffi::lua_rawgeti(main, mlua::ffi::LUA_REGISTRYINDEX, self.entrance.enter.into());
            mlua::ffi::lua_pushlightuserdata(main, (&raw mut visit).cast());
            let status = mlua::ffi::lua_pcall(main, 1, 0, 0);
            let result = match status {
                mlua::ffi::LUA_OK => Ok(()),
                _ => {
                    let text = Stack::new(main).bytes(-1);
                    Err(String::from_utf8_lossy(text).into_owned())
                }
            };
            mlua::ffi::lua_settop(main, top);
            result
        }
    }
}

/// Runs a [`Visit`], with nothing in its frame that has a destructor.
unsafe extern "C-unwind" fn enter(state: *mut lua_State) -> c_int {
    // SAFETY: `Program::run` calls it through Lua, as a closure of `stack::closure`, with a pointer to a `Visit` that nobody else uses until
    // it has returned. What has lifetimes in it lives as long.
    let (stack, visit) = unsafe {
        let visit = mlua::ffi::lua_touserdata(state, 1).cast::<Visit<'_>>();
        (Stack::new(state), &mut *visit)
    };
    stack.set_top(0);
    stack.push_own(HANDLER);
    stack.push_kept(visit.program.function);
    push_array(stack, visit.keys);
    push_array(stack, visit.args);
    if visit.program.global_inputs {
        stack.push_own(GLOBALS);
        for (name, input) in [(Name::Keys, 3), (Name::Argv, 4)] {
            stack.push_name(name);
            stack.push_value(input);
            stack.set_field(5);
        }
        stack.pop();
    }
    let succeeded = stack.call_protected(2, 1);
    (visit.finish)(stack, succeeded);
    0
}

fn push_array(stack: Stack<'_>, items: Argv<'_>) {
    stack.push_table(items.len(), 0);
    let table = stack.top();
    for (i, item) in items.iter().enumerate() {
        stack.push_bytes(item);
        stack.set_item(table, i + 1);
    }
}
