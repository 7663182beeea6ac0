//! Strings, as a whole and in part: GET, MGET, GETEX, GETDEL, GETRANGE, SETRANGE, APPEND, STRLEN. Setting them is in
//! `string_set`, counting in `string_count`, comparing in `string_lcs`.

use super::error::SYNTAX;
use super::expire::{self, Expiry};
use super::{Command, CommandError, CommandResult, Ctx, Flags, Group, KeyUse, Keys};
use crate::config::NotifyEvents;
use crate::data::elem::{Elem, IntText};
use crate::data::value::{Str, Value};
use crate::keyspace::{Db, Ttl, WrongType};
use crate::resp::ReplyBuf;

const READ: Flags = Flags::READONLY.union(Flags::FAST);
const CHANGE: Flags = Flags::WRITE.union(Flags::DENYOOM);

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("get", 2, Group::String, get)
        .flags(READ)
        .keys(Keys::FIRST)
        .doc("1.0.0", "Returns the string of a key."),
    Command::new("mget", -2, Group::String, mget)
        .flags(READ)
        .keys(Keys::ALL)
        .doc("1.0.0", "Returns the strings of several keys."),
    Command::new("strlen", 2, Group::String, strlen)
        .flags(READ)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::LOOKS])
        .doc("2.2.0", "Returns the length of a string in bytes."),
    Command::new("getrange", 4, Group::String, getrange)
        .flags(Flags::READONLY)
        .keys(Keys::FIRST)
        .doc("2.4.0", "Returns a part of a string, told by the positions of its ends."),
    Command::new("substr", 4, Group::String, getrange)
        .flags(Flags::READONLY)
        .keys(Keys::FIRST)
        .doc("1.0.0", "The old name of GETRANGE."),
    Command::new("getex", -2, Group::String, getex)
        .flags(Flags::WRITE.union(Flags::FAST))
        .keys(Keys::FIRST)
        .doc("6.2.0", "Returns the string of a key, and sets or removes the key's expiry."),
    Command::new("getdel", 2, Group::String, getdel)
        .flags(Flags::WRITE.union(Flags::FAST))
        .keys(Keys::FIRST)
        .uses(&[KeyUse::TAKES])
        .doc("6.2.0", "Returns the string of a key and deletes the key."),
    Command::new("delifeq", 3, Group::String, delifeq)
        .flags(Flags::WRITE.union(Flags::FAST))
        .keys(Keys::FIRST)
        .uses(&[KeyUse::REMOVES])
        .doc("9.0.0", "Deletes a key if its string is the one given."),
    Command::new("setrange", 4, Group::String, setrange)
        .flags(CHANGE)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::UPDATES])
        .doc("2.2.0", "Overwrites a part of a string from an offset on, making the string longer if need be."),
    Command::new("append", 3, Group::String, append)
        .flags(CHANGE.union(Flags::FAST))
        .keys(Keys::FIRST)
        .uses(&[KeyUse::INSERTS])
        .doc("2.0.0", "Appends to a string, made if there is none."),
];

/// Writes a stored element as a bulk string.
pub fn reply_elem(reply: &mut ReplyBuf, elem: Elem<'_>) {
    match elem {
        Elem::Int(value) => reply.bulk_int(value),
        Elem::Bytes(bytes) => reply.bulk(bytes),
    }
}

/// Writes the string of a key, or null.
///
/// # Errors
/// If the key holds another type.
pub fn reply_str(db: &mut Db, reply: &mut ReplyBuf, key: &[u8]) -> Result<bool, WrongType> {
    match db.read_str(key)? {
        Some(string) => {
            reply_elem(reply, string);
            Ok(true)
        }
        None => {
            reply.null();
            Ok(false)
        }
    }
}

/// The bytes of a key's string, to be changed in place; an empty string is put in if there is no key.
///
/// # Errors
/// If the key holds another type.
pub fn bytes_or_new<'a>(db: &'a mut Db, key: &[u8]) -> Result<&'a mut Vec<u8>, WrongType> {
    let (entry, _) = db.write_or_insert(key, || Value::Str(Str::Bytes(Vec::new())));
    entry.as_str_mut().map(|string| string.into_mut()).ok_or(WrongType)
}

/// Refuses a string of `len` and `more` bytes if it would be longer than `proto-max-bulk-len`.
///
/// # Errors
/// Valkey's text.
pub fn check_length(ctx: &Ctx<'_>, len: usize, more: usize) -> CommandResult {
    let limit = ctx.server.config.proto_max_bulk_len as u64;
    if ctx.client.is_trusted_source() || len.checked_add(more).is_some_and(|total| total as u64 <= limit) {
        return Ok(());
    }
    Err(CommandError::fixed("ERR string exceeds maximum allowed size (proto-max-bulk-len)"))
}

fn get(ctx: &mut Ctx<'_>) -> CommandResult {
    let key = ctx.arg(1);
    let (db, reply) = ctx.db_and_reply();
    reply_str(db, reply, key)?;
    Ok(())
}

fn mget(ctx: &mut Ctx<'_>) -> CommandResult {
    let argv = ctx.argv;
    let (db, reply) = ctx.db_and_reply();
    reply.array(argv.len() - 1);
    db.prefetch(argv.iter().skip(1));
    for key in argv.iter().skip(1) {
        match db.read_str(key) {
            Ok(Some(string)) => reply_elem(reply, string),
            Ok(None) | Err(WrongType) => reply.null(),
        }
    }
    Ok(())
}

fn strlen(ctx: &mut Ctx<'_>) -> CommandResult {
    let key = ctx.arg(1);
    let (db, reply) = ctx.db_and_reply();
    reply.int(db.read_str(key)?.map_or(0, |string| string.len() as i64));
    Ok(())
}

fn getrange(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, start, end) = (ctx.arg(1), ctx.int(2)?, ctx.int(3)?);
    let (db, reply) = ctx.db_and_reply();
    let Some(string) = db.read_str(key)? else {
        reply.bulk(b"");
        return Ok(());
    };
    let mut digits = IntText::new();
    let text = string.text(&mut digits);
    reply.bulk(part(text, start, end));
    Ok(())
}

/// The part from `start` to `end`, both counted from the end when negative, the last one included.
fn part(text: &[u8], start: i64, end: i64) -> &[u8] {
    if start < 0 && end < 0 && start > end {
        return b"";
    }
    let len = text.len() as i64;
    let from_front = |at: i64| if at < 0 { (len + at).max(0) } else { at };
    let (start, end) = (from_front(start), from_front(end).min(len - 1));
    if start > end { b"" } else { &text[start as usize..=end as usize] }
}

fn getex(ctx: &mut Ctx<'_>) -> CommandResult {
    let mut expiry: Option<(Expiry, &[u8])> = None;
    let mut persist = false;
    let mut i = 2;
    while i < ctx.argc() {
        let decided = persist || expiry.is_some();
        if ctx.is(i, "persist") && expiry.is_none() {
            persist = true;
        } else if let Some(unit) = Expiry::from_option(ctx.arg(i))
            && i + 1 < ctx.argc()
            && (!decided || expiry.is_some_and(|(given, _)| given == unit))
        {
            i += 1;
            expiry = Some((unit, ctx.arg(i)));
        } else {
            return Err(SYNTAX);
        }
        i += 1;
    }
    let at = expiry.map(|(unit, text)| unit.until(ctx, text)).transpose()?;
    let key = ctx.arg(1);
    let (db, reply) = ctx.db_and_reply();
    if !reply_str(db, reply, key)? {
        return Ok(());
    }
    match at {
        Some(at) if expire::is_over(ctx, at) && expiry.is_some_and(|(unit, _)| unit.is_absolute()) => {
            expire::delete_as_expired(ctx, key);
        }
        Some(at) => {
            ctx.db().set_expire(key, Some(at));
            ctx.db().modified(key, NotifyEvents::GENERIC, "expire");
            ctx.propagate_as(&[b"PEXPIREAT", key, itoa::Buffer::new().format(at).as_bytes()]);
        }
        None if persist && ctx.db().peek(key).is_some_and(|entry| entry.expire_at().is_some()) => {
            ctx.db().set_expire(key, None);
            ctx.db().modified(key, NotifyEvents::GENERIC, "persist");
            ctx.propagate_as(&[b"PERSIST", key]);
        }
        None => {}
    }
    Ok(())
}

fn getdel(ctx: &mut Ctx<'_>) -> CommandResult {
    let key = ctx.arg(1);
    let (db, reply) = ctx.db_and_reply();
    if reply_str(db, reply, key)? {
        ctx.db().del(key, false);
        ctx.propagate_as(&[b"DEL", key]);
    }
    Ok(())
}

fn delifeq(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, wanted) = (ctx.arg(1), ctx.arg(2));
    let same = ctx.db().write_str(key)?.is_some_and(|string| is_text(string.get(), wanted));
    if same {
        ctx.db().del(key, false);
        ctx.propagate_as(&[b"DEL", key]);
    }
    ctx.reply().int(i64::from(same));
    Ok(())
}

/// Whether a string has this text.
pub fn is_text(string: Elem<'_>, text: &[u8]) -> bool {
    string.with_text(|stored| stored == text)
}

fn setrange(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, offset, value) = (ctx.arg(1), ctx.int(2)?, ctx.arg(3));
    let offset = usize::try_from(offset).map_err(|_| CommandError::fixed("ERR offset is out of range"))?;
    if value.is_empty() {
        let len = ctx.db().write_str(key)?.map_or(0, |string| string.get().len());
        ctx.reply().int(len as i64);
        return Ok(());
    }
    if let Err(too_long) = check_length(ctx, offset, value.len()) {
        ctx.db().write_str(key)?;
        return Err(too_long);
    }
    let end = offset + value.len();
    let bytes = bytes_or_new(ctx.db(), key)?;
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(value);
    let len = bytes.len();
    ctx.db().modified(key, NotifyEvents::STRING, "setrange");
    ctx.reply().int(len as i64);
    Ok(())
}

fn append(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, more) = (ctx.arg(1), ctx.arg(2));
    let len = ctx.db().write_str(key)?.map(|string| string.get().len());
    let total = match len {
        None => {
            ctx.db().set_str(key, more, Ttl::Clear);
            more.len()
        }
        Some(len) => {
            check_length(ctx, len, more.len())?;
            let bytes = bytes_or_new(ctx.db(), key)?;
            bytes.extend_from_slice(more);
            bytes.len()
        }
    };
    ctx.db().modified(key, NotifyEvents::STRING, "append");
    ctx.reply().int(total as i64);
    Ok(())
}
