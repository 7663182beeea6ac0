//! Patterns of strings, kept from exhausting the stack.
//!
//! The interpreter's matcher calls itself once for each repeated item of a pattern that it stands in, and has no limit of its own: a
//! pattern of a few hundred thousand of them ends the process.

use std::ffi::c_int;

use mlua::{Function, Lua, Result, Table, ffi, lua_State};

/// How many repeated items a pattern may have: about a tenth of what the stack of eight megabytes takes.
const MOST: usize = 10_000;

/// The functions that take a pattern as their second argument, and whether a fourth one can say that it is none.
const MATCHERS: [(&str, bool); 5] =
    [("find", true), ("match", false), ("gmatch", false), ("gfind", false), ("gsub", false)];

/// Puts each function that matches behind a look at its pattern.
///
/// # Errors
/// When memory is short.
pub fn limit(lua: &Lua) -> Result<()> {
    let string: Table = lua.globals().raw_get("string")?;
    for (name, may_be_plain) in MATCHERS {
        let original: Function = string.raw_get(name)?;
        // SAFETY: runs in a protected call with the two values on the stack; the closure takes them off and is what is returned.
        let limited: Function =
            unsafe { lua.exec_raw((original, may_be_plain), |state| ffi::lua_pushcclosure(state, limited, 2)) }?;
        string.raw_set(name, limited)?;
    }
    Ok(())
}

/// Refuses a pattern with too many repeated items, or goes on as the original, in the same frame: its errors are those of the original.
unsafe extern "C-unwind" fn limited(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls it as a closure of `limit`, so that the first value kept is a C function without any of its own. The bytes of a
    // string stay while it stands on the stack, and nothing here has a destructor when an error jumps.
    unsafe {
        let plain = ffi::lua_toboolean(state, ffi::lua_upvalueindex(2)) != 0 && ffi::lua_toboolean(state, 4) != 0;
        if !plain && ffi::lua_type(state, 2) == ffi::LUA_TSTRING {
            let mut len = 0;
            let first = ffi::lua_tolstring(state, 2, &mut len);
            if len > MOST && repeated(std::slice::from_raw_parts(first.cast(), len)) > MOST {
                return ffi::luaL_error(state, c"pattern too complex".as_ptr());
            }
        }
        match ffi::lua_tocfunction(state, ffi::lua_upvalueindex(1)) {
            Some(original) => original(state),
            None => 0,
        }
    }
}

/// How many items of a pattern are repeated, at most.
fn repeated(pattern: &[u8]) -> usize {
    pattern.iter().filter(|c| matches!(c, b'?' | b'*' | b'+' | b'-')).count()
}
