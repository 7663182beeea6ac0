//! Errors that the server's functions raise in a script.
//!
//! The binding raises an object of its own. Scripts never see one: wherever an error is caught, the prelude asks for what a script is
//! to see instead ([`seen`]).

use std::fmt;

use mlua::{Error, Lua, Result, Value};

use super::text;
use crate::commands::CommandError;

/// An error that is a table in scripts, as those of commands are.
#[derive(Debug)]
struct Raised {
    text: Vec<u8>,
    counted: bool,
}

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.text))
    }
}

impl std::error::Error for Raised {}

/// An error in the form of a command's. `counted`: it is in the statistics already.
pub fn table(error: &CommandError, counted: bool) -> Error {
    Error::external(Raised { text: error.0.to_vec(), counted })
}

/// An error in the form of Lua's own, with the line of the script in front that called the function under way.
pub fn plain(lua: &Lua, why: &str) -> Error {
    let place = lua.inspect_stack(1, |caller| {
        let source = caller.source().short_src?;
        let line = caller.current_line()?;
        Some(format!("{source}:{line}: "))
    });
    Error::runtime(place.flatten().unwrap_or_default() + why)
}

/// What a script sees of an error.
///
/// # Errors
/// When memory is short.
pub fn seen(lua: &Lua, error: &Error) -> Result<Value> {
    match error.downcast_ref::<Raised>() {
        Some(raised) => error_table(lua, &raised.text, raised.counted),
        None => Ok(Value::String(lua.create_string(text::of(error))?)),
    }
}

/// An error as scripts see one of a command.
///
/// # Errors
/// When memory is short.
pub fn error_table(lua: &Lua, text: &[u8], counted: bool) -> Result<Value> {
    let table = lua.create_table_with_capacity(0, 4)?;
    table.raw_set("err", lua.create_string(text)?)?;
    if counted {
        table.raw_set("ignore_error_stats_update", true)?;
    }
    Ok(Value::Table(table))
}
