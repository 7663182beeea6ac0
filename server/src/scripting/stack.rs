//! Lua's stack, as its C API has it: for the way that each call of a script takes, where a binding's own references to values would cost more
//! than the script.
//!
//! **The hazard.** A function of that API may end in a jump to the protected call around it, over all Rust frames in between (an error in
//! what the collector finalizes, a table that grows too large). A jump runs no destructors. So while one of the methods below that say so
//! is under way, no frame up to the protected call may hold a value that has one: numbers, references and [`ManuallyDrop`] may stand there.
//!
//! [`ManuallyDrop`]: std::mem::ManuallyDrop

use std::ffi::c_int;
use std::marker::PhantomData;

use mlua::ffi;

/// The names that replies and errors have as tables, and those of a script's inputs: closures made by [`closure`] carry them, for finding a
/// string by its bytes takes the interpreter as long as much of a short script.
#[derive(Clone, Copy, Debug)]
#[repr(i32)]
pub enum Name {
    /// The text of an error.
    Err = 1,
    /// The text of a status.
    Ok,
    /// Whether an error is in the statistics already.
    Counted,
    /// A floating-point number of RESP3.
    Double,
    /// An integer of any length.
    BigNumber,
    /// A text with its format.
    Verbatim,
    /// The text of that.
    String,
    /// The format of that.
    Format,
    /// A map of RESP3.
    Map,
    /// A set of RESP3.
    Set,
    /// What an error came from.
    Source,
    /// And the line there.
    Line,
    /// The keys of a script.
    Keys,
    /// The arguments of a script.
    Argv,
}

/// In the order of [`Name`].
const NAMES: [&[u8]; 14] = [
    b"err",
    b"ok",
    b"ignore_error_stats_update",
    b"double",
    b"big_number",
    b"verbatim_string",
    b"string",
    b"format",
    b"map",
    b"set",
    b"source",
    b"line",
    b"KEYS",
    b"ARGV",
];

/// How many values of its own a closure may have beside the names: the stack has room for twenty values without asking.
pub const OWN_VALUES: usize = 4;

/// A value that a closure was made with, beside the names.
#[derive(Clone, Copy, Debug)]
pub struct Own(pub usize);

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Nil,
    /// Yes or no.
    Boolean,
    /// A number.
    Number,
    /// A string.
    String,
    /// A table.
    Table,
    /// A function, a coroutine, an object.
    Other,
}

/// The stack of a call. Indices count from 1, the bottom; -1 is the top.
#[derive(Clone, Copy, Debug)]
pub struct Stack<'s> {
    state: *mut ffi::lua_State,
    lives: PhantomData<&'s ()>,
}

/// Makes a closure of `function` that carries the names, and up to [`OWN_VALUES`] values of its own.
///
/// # Errors
/// When memory is short.
pub fn closure(lua: &mlua::Lua, function: mlua::lua_CFunction, own: &[&mlua::Value]) -> mlua::Result<mlua::Function> {
    debug_assert!(own.len() <= OWN_VALUES);
    let own: mlua::MultiValue = own.iter().map(|value| (*value).clone()).collect();
    let count = own.len() as c_int;
    // SAFETY: runs in a protected call that `exec_raw` makes, with the own values on the stack and room for twenty; it owns nothing. Up to
    // 14 names and 4 values fit. The closure takes them off and is what is returned.
    unsafe {
        lua.exec_raw(own, |state| {
            for (place, name) in NAMES.iter().enumerate() {
                ffi::lua_pushlstring(state, name.as_ptr().cast(), name.len());
                ffi::lua_insert(state, place as c_int + 1);
            }
            ffi::lua_pushcclosure(state, function, NAMES.len() as c_int + count);
        })
    }
}

impl<'s> Stack<'s> {
    /// The stack of a C function under way.
    ///
    /// # Safety
    /// `state` must be what Lua called a closure of [`closure`] with, which has not returned; `'s` must end before it does. What the module
    /// says of destructors must hold for all frames between that function and each call of a method that may jump.
    pub unsafe fn new(state: *mut ffi::lua_State) -> Stack<'s> {
        Stack { state, lives: PhantomData }
    }

    /// How many values there are.
    pub fn top(self) -> i32 {
        // SAFETY: here and in all methods below: by the contract of `new`, `state` is valid and its function is under way. Indices outside of
        // the stack are the callers' duty, which are in this folder: each stays within what it pushed, after `reserve` or within the twenty
        // places that a function has.
        unsafe { ffi::lua_gettop(self.state) }
    }

    /// Drops what is above the first `n` values.
    pub fn set_top(self, n: i32) {
        // SAFETY: as in `top`.
        unsafe { ffi::lua_settop(self.state, n) }
    }

    /// Drops the top.
    pub fn pop(self) {
        self.set_top(-2);
    }

    /// Makes room for `n` more values; false when there is none. May jump.
    pub fn reserve(self, n: i32) -> bool {
        // SAFETY: as in `top`.
        unsafe { ffi::lua_checkstack(self.state, n) != 0 }
    }

    /// What stands at an index.
    pub fn kind(self, at: i32) -> Kind {
        // SAFETY: as in `top`.
        match unsafe { ffi::lua_type(self.state, at) } {
            ffi::LUA_TNIL | ffi::LUA_TNONE => Kind::Nil,
            ffi::LUA_TBOOLEAN => Kind::Boolean,
            ffi::LUA_TNUMBER => Kind::Number,
            ffi::LUA_TSTRING => Kind::String,
            ffi::LUA_TTABLE => Kind::Table,
            _ => Kind::Other,
        }
    }

    /// The boolean there.
    pub fn boolean(self, at: i32) -> bool {
        // SAFETY: as in `top`.
        unsafe { ffi::lua_toboolean(self.state, at) != 0 }
    }

    /// The number there.
    pub fn number(self, at: i32) -> f64 {
        // SAFETY: as in `top`. It converts strings without changing what stands there.
        unsafe { ffi::lua_tonumber(self.state, at) }
    }

    /// The bytes of the string there; nothing of any other value. They may be used while it stands there.
    pub fn bytes(self, at: i32) -> &'s [u8] {
        if self.kind(at) != Kind::String {
            return b"";
        }
        let mut len = 0;
        // SAFETY: as in `top`; the value is a string, so nothing is converted, and nothing allocated. Strings do not move or change while
        // the stack refers to them; that the bytes are not used longer is the callers' duty, as with indices.
        unsafe {
            let first = ffi::lua_tolstring(self.state, at, &mut len);
            std::slice::from_raw_parts(first.cast(), len)
        }
    }

    /// Pushes a string. May jump.
    pub fn push_bytes(self, bytes: &[u8]) {
        // SAFETY: as in `top`; Lua copies the bytes.
        unsafe { ffi::lua_pushlstring(self.state, bytes.as_ptr().cast(), bytes.len()) };
    }

    /// Pushes a number.
    pub fn push_number(self, number: f64) {
        // SAFETY: as in `top`.
        unsafe { ffi::lua_pushnumber(self.state, number) };
    }

    /// Pushes the text of a number. May jump.
    pub fn push_number_as_text(self, number: f64) {
        self.push_number(number);
        // SAFETY: as in `top`; the number, which is the top, is replaced by its text.
        unsafe { ffi::lua_tolstring(self.state, -1, std::ptr::null_mut()) };
    }

    /// Pushes a boolean.
    pub fn push_boolean(self, yes: bool) {
        // SAFETY: as in `top`.
        unsafe { ffi::lua_pushboolean(self.state, yes.into()) };
    }

    /// Pushes nil.
    pub fn push_nil(self) {
        // SAFETY: as in `top`.
        unsafe { ffi::lua_pushnil(self.state) };
    }

    /// Pushes what stands at an index once more.
    pub fn push_value(self, at: i32) {
        // SAFETY: as in `top`.
        unsafe { ffi::lua_pushvalue(self.state, at) };
    }

    /// Pushes a name.
    pub fn push_name(self, name: Name) {
        // SAFETY: as in `top`; every closure that a stack is made in has the names first.
        unsafe { ffi::lua_pushvalue(self.state, ffi::lua_upvalueindex(name as c_int)) };
    }

    /// Pushes a value that the closure was made with.
    pub fn push_own(self, own: Own) {
        // SAFETY: as in `push_name`; after the names come the own values. One that is not there is nil.
        unsafe { ffi::lua_pushvalue(self.state, ffi::lua_upvalueindex((NAMES.len() + 1 + own.0) as c_int)) };
    }

    /// Pushes what is kept under a key of the registry.
    pub fn push_kept(self, id: c_int) {
        // SAFETY: as in `top`.
        unsafe { ffi::lua_rawgeti(self.state, ffi::LUA_REGISTRYINDEX, id.into()) };
    }

    /// Pushes a table with room for `items` and `fields`. May jump.
    pub fn push_table(self, items: usize, fields: usize) {
        // Room is only a hint.
        let hint = |n: usize| c_int::try_from(n).unwrap_or(c_int::MAX).min(1 << 24);
        // SAFETY: as in `top`.
        unsafe { ffi::lua_createtable(self.state, hint(items), hint(fields)) };
    }

    /// Takes the top into the table at an index, as its `n`th item. May jump.
    pub fn set_item(self, table: i32, n: usize) {
        // SAFETY: as in `top`; callers pass a table.
        unsafe { ffi::lua_rawseti(self.state, table, n as ffi::lua_Integer) };
    }

    /// Takes a key and a value, the top, into the table at an index. May jump, above all where the key is nil.
    pub fn set_field(self, table: i32) {
        // SAFETY: as in `set_item`.
        unsafe { ffi::lua_rawset(self.state, table) };
    }

    /// Pushes the `n`th item of the table at an index.
    pub fn push_item(self, table: i32, n: usize) {
        // SAFETY: as in `set_item`.
        unsafe { ffi::lua_rawgeti(self.state, table, n as ffi::lua_Integer) };
    }

    /// Pushes the field of that name of the table at an index.
    pub fn push_field(self, table: i32, name: Name) {
        self.push_name(name);
        // SAFETY: as in `set_item`; `table` counts from the bottom.
        unsafe { ffi::lua_rawget(self.state, table) };
    }

    /// Replaces the key on top by the table's next key and its value; takes it off and says false where there is none.
    /// May jump, where the table lacks the key.
    pub fn next(self, table: i32) -> bool {
        // SAFETY: as in `set_item`; `table` counts from the bottom.
        unsafe { ffi::lua_next(self.state, table) != 0 }
    }

    /// Calls the function below `args` values, which are taken off, for one result. `handler` is the index of what makes the error that
    /// takes the result's place. True: it succeeded.
    pub fn call_protected(self, args: i32, handler: i32) -> bool {
        // SAFETY: as in `top`.
        unsafe { ffi::lua_pcall(self.state, args, 1, handler) == ffi::LUA_OK }
    }

    /// Raises the top as an error. Jumps.
    pub fn raise(self) -> ! {
        // SAFETY: as in `top`.
        unsafe { ffi::lua_error(self.state) }
    }
}
