//! The libraries that scripts find beside Lua's own: `bit`, `struct`, `cmsgpack` and `cjson`, with the formats, limits and error texts
//! of the C libraries that Valkey has.
//!
//! A function comes to its results or to what is wrong, which is raised with the script's line in front.

mod bit;
mod cjson;
mod cjson_number;
mod cjson_parse;
mod cmsgpack;
mod structs;

use super::raise;
use mlua::{IntoLua, Lua, MultiValue, Result, Table, Value};

/// What a function of a library comes to: its results, or what is wrong.
pub type Outcome = std::result::Result<MultiValue, Wrong>;

/// Why a function of a library fails.
#[derive(Debug)]
pub enum Wrong {
    /// The script's fault.
    Text(String),
    /// Lua's own, such as a lack of memory.
    Lua(mlua::Error),
}

impl From<mlua::Error> for Wrong {
    fn from(error: mlua::Error) -> Self {
        Wrong::Lua(error)
    }
}

impl From<String> for Wrong {
    fn from(text: String) -> Self {
        Wrong::Text(text)
    }
}

impl From<&str> for Wrong {
    fn from(text: &str) -> Self {
        Wrong::Text(text.to_owned())
    }
}

/// A function of a library.
type Body = fn(&Lua, &Args) -> Outcome;

/// Puts all libraries into `native.libraries`.
///
/// # Errors
/// When memory is short.
pub fn register(lua: &Lua, native: &Table) -> Result<()> {
    let libraries = lua.create_table()?;
    for (name, functions) in [
        ("bit", bit::FUNCTIONS),
        ("struct", structs::FUNCTIONS),
        ("cmsgpack", cmsgpack::FUNCTIONS),
        ("cjson", cjson::FUNCTIONS),
    ] {
        let library = lua.create_table()?;
        for (name, body) in functions {
            library.raw_set(*name, function(lua, name, *body)?)?;
        }
        libraries.raw_set(name, library)?;
    }
    let cjson: Table = libraries.raw_get("cjson")?;
    cjson.raw_set("null", Value::NULL)?;
    for (library, version) in [(&cjson, "2.1.0"), (&libraries.raw_get("cmsgpack")?, "lua-cmsgpack 0.4.0")] {
        library.raw_set("_VERSION", version)?;
    }
    cjson.raw_set("_NAME", "cjson")?;
    let cmsgpack: Table = libraries.raw_get("cmsgpack")?;
    cmsgpack.raw_set("_NAME", "cmsgpack")?;
    cmsgpack.raw_set("_DESCRIPTION", "MessagePack C implementation for Lua")?;
    cmsgpack.raw_set("_COPYRIGHT", "Copyright (C) 2012, Redis Ltd.")?;
    lua.set_app_data(cjson::Settings::default());
    native.raw_set("libraries", libraries)
}

fn function(lua: &Lua, name: &'static str, body: Body) -> Result<mlua::Function> {
    lua.create_function(move |lua, values: MultiValue| {
        body(lua, &Args { name, values }).map_err(|wrong| match wrong {
            Wrong::Text(why) => raise::plain(lua, &why),
            Wrong::Lua(error) => error,
        })
    })
}

/// How many keys a table has, and the largest if all are numbers from 1 on (0 of none).
fn keys(table: &Table) -> Result<(i64, Option<i64>)> {
    let (mut count, mut largest) = (0, Some(0));
    table.for_each(|key: Value, _: Value| {
        count += 1;
        largest = match key {
            Value::Integer(n) if n > 0 => largest.map(|largest: i64| largest.max(n)),
            _ => None,
        };
        Ok(())
    })?;
    Ok((count, largest))
}

/// One result.
fn one(lua: &Lua, value: impl IntoLua) -> Outcome {
    Ok(MultiValue::from_vec(vec![value.into_lua(lua)?]))
}

/// The arguments of a call.
pub struct Args {
    name: &'static str,
    /// Themselves.
    pub values: MultiValue,
}

impl Args {
    /// The complaint about the argument at `i`, from 0.
    pub fn bad(&self, i: usize, why: &str) -> Wrong {
        Wrong::Text(format!("bad argument #{} to '{}' ({why})", i + 1, self.name))
    }

    fn expected(&self, i: usize, wanted: &str) -> Wrong {
        let found = match self.values.get(i) {
            None => "no value",
            Some(value) => type_name(value),
        };
        self.bad(i, &format!("{wanted} expected, got {found}"))
    }

    /// The number at `i`; a text may be one.
    ///
    /// # Errors
    /// When there is none.
    pub fn number(&self, i: usize) -> std::result::Result<f64, Wrong> {
        self.values.get(i).and_then(number).ok_or_else(|| self.expected(i, "number"))
    }

    /// The whole number at `i`, or `default` where there is no such argument.
    ///
    /// # Errors
    /// When it is none.
    pub fn integer_or(&self, i: usize, default: i64) -> std::result::Result<i64, Wrong> {
        match self.values.get(i) {
            None | Some(Value::Nil) => Ok(default),
            Some(_) => self.number(i).map(|n| n as i64),
        }
    }

    /// The text at `i`; a number is one.
    ///
    /// # Errors
    /// When there is none.
    pub fn text(&self, i: usize) -> std::result::Result<Vec<u8>, Wrong> {
        match self.values.get(i) {
            Some(Value::String(text)) => Ok(text.as_bytes().to_vec()),
            Some(Value::Integer(n)) => Ok(n.to_string().into_bytes()),
            Some(Value::Number(n)) => Ok(cjson_number::general(*n, 14).into_bytes()),
            _ => Err(self.expected(i, "string")),
        }
    }
}

/// A number, or a text that Lua takes for one.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(n) => Some(*n as f64),
        Value::Number(n) => Some(*n),
        Value::String(text) => text_as_number(&text.as_bytes()),
        _ => None,
    }
}

fn text_as_number(text: &[u8]) -> Option<f64> {
    let text = text.trim_ascii();
    match text.strip_prefix(b"0x").or_else(|| text.strip_prefix(b"0X")) {
        Some(digits) => u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok().map(|n| n as f64),
        None => crate::data::num::parse_double(text),
    }
}

/// What Lua calls the type of a value.
fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Integer(_) => "number",
        Value::LightUserData(_) | Value::UserData(_) | Value::Error(_) => "userdata",
        other => other.type_name(),
    }
}

#[cfg(test)]
mod tests {
    use crate::resp::OwnedArgv;
    use crate::scripting::stack::Stack;
    use crate::scripting::vm::{Kind, Vm};

    /// What a script returns in an interpreter of its own: its value, or its error, as text.
    pub fn run(script: &str) -> String {
        let script = script.to_owned();
        // As much stack as the data thread has.
        let thread = std::thread::Builder::new().stack_size(8 << 20).spawn(move || run_here(&script));
        thread.unwrap().join().unwrap()
    }

    fn run_here(script: &str) -> String {
        let vm = Vm::new(Kind::Eval, false).unwrap();
        let text = format!("local ok, v = pcall(function() {script} end) return tostring(v)");
        let function = vm.keep(vm.compile(text.as_bytes()).unwrap()).unwrap();
        let (program, none) = (vm.program(&function, Kind::Eval), OwnedArgv::new([]));
        let mut value = String::new();
        let mut finish = |stack: Stack<'_>, _| value = String::from_utf8_lossy(stack.bytes(-1)).into_owned();
        program.run(none.argv(), none.argv(), &mut finish).unwrap();
        value
    }
}
