//! Hashes: setting, reading and deleting fields.

use super::error::wrong_arity;
use super::hash_fields::{Edit, View};
use super::{Command, CommandResult, Ctx, Flags, Group, KeyUse, Keys};
use crate::data::elem::Elem;
use crate::data::hash::{Field, FieldExpiry, Hash};
use crate::resp::ReplyBuf;

const CHANGE: Flags = Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST);
const READ: Flags = Flags::READONLY.union(Flags::FAST);

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("hset", -4, Group::Hash, hset)
        .flags(CHANGE)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::UPDATES])
        .doc("2.0.0", "Sets fields of a hash, which is made if need be."),
    Command::new("hmset", -4, Group::Hash, hmset)
        .flags(CHANGE)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::UPDATES])
        .doc("2.0.0", "Sets fields of a hash, as HSET does, with another reply."),
    Command::new("hsetnx", 4, Group::Hash, hsetnx)
        .flags(CHANGE)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::INSERTS])
        .doc("2.0.0", "Sets a field of a hash if there is no such field."),
    Command::new("hdel", -3, Group::Hash, hdel)
        .flags(Flags::WRITE.union(Flags::FAST))
        .keys(Keys::FIRST)
        .uses(&[KeyUse::DELETES])
        .doc("2.0.0", "Deletes fields of a hash."),
    Command::new("hget", 3, Group::Hash, hget)
        .flags(READ)
        .keys(Keys::FIRST)
        .doc("2.0.0", "Returns the value of a field of a hash."),
    Command::new("hmget", -3, Group::Hash, hmget)
        .flags(READ)
        .keys(Keys::FIRST)
        .doc("2.0.0", "Returns the values of several fields of a hash."),
    Command::new("hgetall", 2, Group::Hash, hgetall)
        .flags(Flags::READONLY)
        .keys(Keys::FIRST)
        .doc("2.0.0", "Returns the fields of a hash and their values."),
    Command::new("hkeys", 2, Group::Hash, hkeys)
        .flags(Flags::READONLY)
        .keys(Keys::FIRST)
        .doc("2.0.0", "Returns the names of the fields of a hash."),
    Command::new("hvals", 2, Group::Hash, hvals)
        .flags(Flags::READONLY)
        .keys(Keys::FIRST)
        .doc("2.0.0", "Returns the values of the fields of a hash."),
    Command::new("hlen", 2, Group::Hash, hlen)
        .flags(READ)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::LOOKS])
        .doc("2.0.0", "Returns the number of fields of a hash."),
    Command::new("hexists", 3, Group::Hash, hexists)
        .flags(READ)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::LOOKS])
        .doc("2.0.0", "Returns whether a hash has a field."),
    Command::new("hstrlen", 3, Group::Hash, hstrlen)
        .flags(READ)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::LOOKS])
        .doc("3.2.0", "Returns the length of the value of a field of a hash."),
];

/// Sets the fields that stand in the arguments from index 2 on; returns how many are new.
fn set_fields(ctx: &mut Ctx<'_>) -> Result<usize, super::CommandError> {
    if !ctx.argc().is_multiple_of(2) {
        return Err(wrong_arity(&ctx.row.full_name));
    }
    let (key, argv) = (ctx.arg(1), ctx.argv);
    let db = ctx.db();
    let mut hash = Edit::open_or_new(db, key)?;
    let pairs = argv.len() / 2 - 1;
    hash.reserve(pairs);
    let new = (1..=pairs).filter(|i| hash.set(argv.get(2 * i), argv.get(2 * i + 1), FieldExpiry::Clear)).count();
    hash.finish().publish(db, key, &["hset"]);
    Ok(new)
}

fn hset(ctx: &mut Ctx<'_>) -> CommandResult {
    let new = set_fields(ctx)?;
    ctx.reply().int(new as i64);
    Ok(())
}

fn hmset(ctx: &mut Ctx<'_>) -> CommandResult {
    set_fields(ctx)?;
    ctx.reply().ok();
    Ok(())
}

fn hsetnx(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, name, value) = (ctx.arg(1), ctx.arg(2), ctx.arg(3));
    let (db, reply) = ctx.db_and_reply();
    let mut hash = Edit::open_or_new(db, key)?;
    let there = hash.get(name).is_some();
    reply.int(i64::from(!there));
    if there {
        return Ok(());
    }
    let replaced = hash.has_expired(name);
    hash.set(name, value, FieldExpiry::Clear);
    hash.finish().publish(db, key, &["hset"]);
    if replaced {
        // To others the field has not expired until they hear so.
        ctx.propagate_as(&[b"HSET", key, name, value]);
    }
    Ok(())
}

fn hdel(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, names) = (ctx.arg(1), ctx.argv.iter().skip(2));
    let (db, reply) = ctx.db_and_reply();
    let Some(mut hash) = Edit::open(db, key)? else {
        reply.int(0);
        return Ok(());
    };
    let removed = names.filter(|name| hash.remove(name)).count();
    reply.int(removed as i64);
    hash.finish().publish(db, key, &["hdel"]);
    Ok(())
}

fn hget(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, name) = (ctx.arg(1), ctx.arg(2));
    let (db, reply) = ctx.db_and_reply();
    match View::read(db, key)?.and_then(|hash| hash.get(name)) {
        Some(value) => reply.elem(value),
        None => reply.null(),
    }
    Ok(())
}

fn hmget(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, names) = (ctx.arg(1), ctx.argv.iter().skip(2));
    let (db, reply) = ctx.db_and_reply();
    let hash = View::read(db, key)?;
    reply.array(names.len());
    for name in names {
        match hash.and_then(|hash| hash.get(name)) {
            Some(value) => reply.elem(value),
            None => reply.null(),
        }
    }
    Ok(())
}

/// Answers with something of each field of a hash.
fn reply_fields(
    ctx: &mut Ctx<'_>,
    header: fn(&mut ReplyBuf, usize),
    each: fn(&mut ReplyBuf, Field<'_>),
) -> CommandResult {
    let key = ctx.arg(1);
    let (db, reply) = ctx.db_and_reply();
    let hash = View::read(db, key)?;
    header(reply, hash.map_or(0, View::len));
    hash.into_iter().flat_map(View::iter).for_each(|field| each(reply, field));
    Ok(())
}

fn hgetall(ctx: &mut Ctx<'_>) -> CommandResult {
    reply_fields(ctx, ReplyBuf::map, |reply, field| {
        reply.elem(field.name);
        reply.elem(field.value);
    })
}

fn hkeys(ctx: &mut Ctx<'_>) -> CommandResult {
    reply_fields(ctx, ReplyBuf::array, |reply, field| reply.elem(field.name))
}

fn hvals(ctx: &mut Ctx<'_>) -> CommandResult {
    reply_fields(ctx, ReplyBuf::array, |reply, field| reply.elem(field.value))
}

fn hlen(ctx: &mut Ctx<'_>) -> CommandResult {
    let key = ctx.arg(1);
    let len = ctx.db().read_hash(key)?.map_or(0, Hash::len);
    ctx.reply().int(len as i64);
    Ok(())
}

fn hexists(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, name) = (ctx.arg(1), ctx.arg(2));
    let there = View::read(ctx.db(), key)?.is_some_and(|hash| hash.get(name).is_some());
    ctx.reply().int(i64::from(there));
    Ok(())
}

fn hstrlen(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, name) = (ctx.arg(1), ctx.arg(2));
    let len = View::read(ctx.db(), key)?.and_then(|hash| hash.get(name)).map_or(0, Elem::len);
    ctx.reply().int(len as i64);
    Ok(())
}
