//! What the server offers to scripts: the functions of `server` (also called `redis`), and those that the prelude needs.
//!
//! Their errors are those of [`raise`].

use std::borrow::Cow;

use mlua::{Error, Function, Lua, LuaString, MultiValue, Result, Table, Value};
use sha1::{Digest, Sha1};

use super::call::{Call, NOT_NOW, Registration, Work};
use super::flags::ScriptFlags;
use super::invoke::{self, NO_ARGUMENTS, WRONG_ARGUMENTS};
use super::raise::{self, error_table};
use super::text::without_line_ends;
use super::{lend, random, stack};
use crate::acl;
use crate::commands::{CommandError, table as commands};
use crate::config::LogLevel;
use crate::data::num::DoubleText;
use crate::resp::{Argv, OwnedArgv};
use crate::server::propagation::Targets;
use crate::server::{REDIS_VERSION, VALKEY_VERSION};

/// All of them in a table.
///
/// # Errors
/// When memory is short.
pub fn table(lua: &Lua) -> Result<Table> {
    let native = lua.create_table()?;
    native.raw_set("constants", constants(lua)?)?;
    let seen = |lua: &Lua, value: Value| value.as_error().map(|error| raise::seen(lua, error)).transpose();
    native.raw_set("seen", lua.create_function(seen)?)?;
    native.raw_set("killed", lua.create_function(|_, ()| Ok(lend::with(|call| call.is_killed()).unwrap_or(false)))?)?;
    for (name, function) in [
        ("log", log as fn(&Lua, MultiValue) -> Result<Value>),
        ("setresp", setresp),
        ("set_repl", set_repl),
        ("sha1hex", sha1hex),
        ("acl_check_cmd", acl_check_cmd),
        ("error_reply", error_reply),
        ("status_reply", status_reply),
        ("register_function", register_function),
    ] {
        native.raw_set(name, lua.create_function(function)?)?;
    }
    native.raw_set("call", stack::closure(lua, invoke::call, &[])?)?;
    native.raw_set("pcall", stack::closure(lua, invoke::pcall, &[])?)?;
    random::register(lua, &native)?;
    Ok(native)
}

const REPL_AOF: i64 = 1;
const REPL_REPLICA: i64 = 2;

fn constants(lua: &Lua) -> Result<Table> {
    let constants = lua.create_table()?;
    for (name, number) in [
        ("LOG_DEBUG", 0),
        ("LOG_VERBOSE", 1),
        ("LOG_NOTICE", 2),
        ("LOG_WARNING", 3),
        ("REPL_NONE", 0),
        ("REPL_AOF", REPL_AOF),
        ("REPL_SLAVE", REPL_REPLICA),
        ("REPL_REPLICA", REPL_REPLICA),
        ("REPL_ALL", REPL_AOF | REPL_REPLICA),
        ("REDIS_VERSION_NUM", version_number(REDIS_VERSION)),
        ("VALKEY_VERSION_NUM", version_number(VALKEY_VERSION)),
    ] {
        constants.raw_set(name, number)?;
    }
    for (name, text) in
        [("REDIS_VERSION", REDIS_VERSION), ("VALKEY_VERSION", VALKEY_VERSION), ("SERVER_NAME", "valkey")]
    {
        constants.raw_set(name, text)?;
    }
    Ok(constants)
}

/// `1.2.3` as 0x010203.
fn version_number(text: &str) -> i64 {
    text.split('.').fold(0, |n, part| n << 8 | part.parse().unwrap_or(0))
}

fn fail(text: &'static str) -> Result<Value> {
    Err(raise::table(&CommandError::fixed(text), false))
}

fn log(lua: &Lua, args: MultiValue) -> Result<Value> {
    if args.len() < 2 {
        return fail("ERR server.log() requires two arguments or more.");
    }
    let Some(level) = args.front().and_then(number) else {
        return fail("ERR First argument must be a number (log level).");
    };
    let level = match level as i64 {
        0 => LogLevel::Debug,
        1 => LogLevel::Verbose,
        2 => LogLevel::Notice,
        3 => LogLevel::Warning,
        _ => return fail("ERR Invalid log level."),
    };
    let mut line = String::new();
    for text in args.into_iter().skip(1) {
        let Some(text) = lua.coerce_string(text)? else { continue };
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&String::from_utf8_lossy(&text.as_bytes()));
    }
    crate::log_at!(level, "{line}");
    Ok(Value::Nil)
}

/// A number, or a text that is one.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(n) => Some(*n as f64),
        Value::Number(n) => Some(*n),
        Value::String(text) => crate::resp::number::parse_f64(&text.as_bytes()),
        _ => None,
    }
}

/// A text, or a number as one.
fn as_text(value: &Value) -> Option<Cow<'static, [u8]>> {
    match value {
        Value::String(text) => Some(Cow::Owned(text.as_bytes().to_vec())),
        Value::Integer(n) => Some(Cow::Owned(n.to_string().into_bytes())),
        Value::Number(n) => Some(Cow::Owned(DoubleText::new(*n).as_bytes().to_vec())),
        _ => None,
    }
}

fn setresp(_: &Lua, args: MultiValue) -> Result<Value> {
    if args.len() != 1 {
        return fail("ERR server.setresp() requires one argument.");
    }
    let version = match args.front().and_then(number).map(|n| n as i64) {
        Some(2) => 2,
        Some(3) => 3,
        _ => return fail("ERR RESP version must be 2 or 3."),
    };
    let done = lend::with(|call| match &mut call.work {
        Work::Run { client, .. } => client.reply.proto = version,
        Work::Load(_) => {}
    });
    done.map_or_else(not_now, |()| Ok(Value::Nil))
}

fn not_now() -> Result<Value> {
    Err(raise::table(&NOT_NOW, false))
}

fn set_repl(_: &Lua, args: MultiValue) -> Result<Value> {
    if args.len() != 1 {
        return fail("ERR server.set_repl() requires one argument.");
    }
    let wanted = args.front().and_then(number).unwrap_or(0.0) as i64;
    if wanted & !(REPL_AOF | REPL_REPLICA) != 0 {
        return fail("ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.");
    }
    let targets = Targets { aof: wanted & REPL_AOF != 0, replicas: wanted & REPL_REPLICA != 0 };
    lend::with(|call| {
        if let Some(running) = &mut call.server.scripting.running {
            running.targets = targets;
        }
    });
    Ok(Value::Nil)
}

fn sha1hex(lua: &Lua, mut args: MultiValue) -> Result<Value> {
    if args.len() != 1 {
        return fail("ERR wrong number of arguments");
    }
    let text = args.pop_front().map(|value| lua.coerce_string(value)).transpose()?.flatten();
    let digest = text.map_or_else(|| sha1_hex(b""), |text| sha1_hex(&text.as_bytes()));
    Ok(Value::String(lua.create_string(digest)?))
}

/// The digest of a text, in hexadecimal digits.
pub fn sha1_hex(text: &[u8]) -> [u8; 40] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hex = [0; 40];
    for (pair, byte) in hex.chunks_exact_mut(2).zip(Sha1::digest(text)) {
        pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
    hex
}

fn acl_check_cmd(_: &Lua, args: MultiValue) -> Result<Value> {
    if args.is_empty() {
        return fail(NO_ARGUMENTS);
    }
    let Some(argv) = args.iter().map(as_text).collect::<Option<Vec<_>>>() else { return fail(WRONG_ARGUMENTS) };
    let argv = OwnedArgv::new(argv.iter().map(|arg| &**arg));
    let argv = argv.argv();
    let row = commands::find(argv.get(0)).map(|row| row.find_sub(argv.get(1)).unwrap_or(row));
    let Some(row) = row else { return fail("ERR Invalid command passed to server.acl_check_cmd()") };
    let may = |call: &mut Call<'_>, argv: Argv<'_>| match &call.work {
        Work::Run { client, .. } => {
            let (db, databases) = (client.db, call.server.config.databases);
            let asked = acl::Call { row, argv, db, databases };
            client.user.as_ref().is_none_or(|user| user.check(asked).is_ok())
        }
        Work::Load(_) => false,
    };
    lend::with(|call| may(call, argv)).map_or_else(not_now, |may| Ok(Value::Boolean(may)))
}

/// The one text that a function was given, if that is what it was given.
fn only_text(args: &MultiValue) -> Option<&LuaString> {
    args.front().filter(|_| args.len() == 1)?.as_string()
}

const WRONG_TYPE: &str = "ERR wrong number or type of arguments";

fn error_reply(lua: &Lua, args: MultiValue) -> Result<Value> {
    let Some(text) = only_text(&args) else { return error_table(lua, WRONG_TYPE.as_bytes(), false) };
    let text = text.as_bytes();
    let text = without_line_ends(text.strip_prefix(b"-").unwrap_or(&text));
    let coded = if text.contains(&b' ') { text.to_vec() } else { [b"ERR ", text].concat() };
    error_table(lua, &coded, false)
}

fn status_reply(lua: &Lua, args: MultiValue) -> Result<Value> {
    let Some(text) = only_text(&args) else { return error_table(lua, WRONG_TYPE.as_bytes(), false) };
    let table = lua.create_table_with_capacity(0, 1)?;
    table.raw_set("ok", text)?;
    Ok(Value::Table(table))
}

fn register_function(lua: &Lua, args: MultiValue) -> Result<Value> {
    let registration = match args.len() {
        1 => named_registration(lua, &args[0]),
        2 => positional_registration(lua, &args[0], &args[1]),
        _ => Err(Refused::Text("wrong number of arguments to server.register_function")),
    };
    let registered = lend::with(|call| {
        let Work::Load(load) = &mut call.work else { return None };
        Some(registration.and_then(|new| {
            if !super::library::is_name(&new.name) {
                return Err(Refused::Text(BAD_FUNCTION_NAME));
            }
            if load.functions.iter().any(|known| known.name.eq_ignore_ascii_case(&new.name)) {
                return Err(Refused::Text(FUNCTION_EXISTS));
            }
            load.functions.push(new);
            Ok(())
        }))
    });
    match registered.flatten() {
        Some(Ok(())) => Ok(Value::Nil),
        Some(Err(Refused::Text(text))) => Err(raise::table(&CommandError::text(format!("ERR {text}")), false)),
        Some(Err(Refused::Lua(error))) => Err(error),
        None => fail("ERR server.register_function can only be called on FUNCTION LOAD command"),
    }
}

/// The refusal of a function's name.
pub const BAD_FUNCTION_NAME: &str =
    "Function names can only contain letters, numbers, or underscores(_) and must be at least one character long";
/// The refusal of a function that the library has already.
pub const FUNCTION_EXISTS: &str = "Function already exists in the library";

enum Refused {
    Text(&'static str),
    Lua(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Refused::Lua(error)
    }
}

type Registered = std::result::Result<Registration, Refused>;

fn positional_registration(lua: &Lua, name: &Value, callback: &Value) -> Registered {
    let name = as_text(name).ok_or(Refused::Text("first argument to server.register_function must be a string"))?;
    let Some(callback) = callback.as_function() else {
        return Err(Refused::Text("second argument to server.register_function must be a function"));
    };
    Ok(Registration {
        name: name.into_owned(),
        description: None,
        flags: ScriptFlags::empty(),
        callback: lua.create_registry_value(callback)?,
    })
}

fn named_registration(lua: &Lua, args: &Value) -> Registered {
    let Some(args) = args.as_table() else {
        return Err(Refused::Text(
            "calling server.register_function with a single argument is only applicable to Lua table (representing named arguments).",
        ));
    };
    let (mut name, mut description, mut callback, mut flags) = (None, None, None, ScriptFlags::empty());
    for pair in args.pairs::<Value, Value>() {
        let (key, value) = pair?;
        let Some(key) = as_text(&key) else {
            return Err(Refused::Text("named argument key given to server.register_function is not a string"));
        };
        match key.to_ascii_lowercase().as_slice() {
            b"function_name" => {
                let error = "function_name argument given to server.register_function must be a string";
                name = Some(as_text(&value).ok_or(Refused::Text(error))?.into_owned());
            }
            b"description" => {
                let error = "description argument given to server.register_function must be a string";
                description = Some(as_text(&value).ok_or(Refused::Text(error))?.into_owned());
            }
            b"callback" => {
                let error = "callback argument given to server.register_function must be a function";
                callback = Some(value.as_function().ok_or(Refused::Text(error))?.clone());
            }
            b"flags" => {
                let error = "flags argument to server.register_function must be a table representing function flags";
                flags = read_flags(value.as_table().ok_or(Refused::Text(error))?)?;
            }
            _ => return Err(Refused::Text("unknown argument given to server.register_function")),
        }
    }
    let name = name.ok_or(Refused::Text("server.register_function must get a function name argument"))?;
    let callback: Function = callback.ok_or(Refused::Text("server.register_function must get a callback argument"))?;
    Ok(Registration { name, description, flags, callback: lua.create_registry_value(callback)? })
}

fn read_flags(list: &Table) -> std::result::Result<ScriptFlags, Refused> {
    let mut flags = ScriptFlags::empty();
    for i in 1.. {
        let value: Value = list.raw_get(i)?;
        if value.is_nil() {
            break;
        }
        flags |=
            as_text(&value).and_then(|name| ScriptFlags::named(&name)).ok_or(Refused::Text("unknown flag given"))?;
    }
    Ok(flags)
}
