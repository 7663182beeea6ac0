//! Sets: adding and removing members, moving one, asking for them, walking through them.

use super::scan::{self, Of};
use super::{Command, CommandResult, Ctx, Flags, Group, KeyUse, Keys};
use crate::config::NotifyEvents;
use crate::data::set::Set;
use crate::data::value::{Value, ValueMut};
use crate::keyspace::{Db, Ttl, WrongType};

const CHANGE: Flags = Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST);
const READ: Flags = Flags::READONLY.union(Flags::FAST);

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("sadd", -3, Group::Set, sadd)
        .flags(CHANGE)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::INSERTS])
        .doc("1.0.0", "Adds members to a set, which is made if need be."),
    Command::new("srem", -3, Group::Set, srem)
        .flags(Flags::WRITE.union(Flags::FAST))
        .keys(Keys::FIRST)
        .uses(&[KeyUse::DELETES])
        .doc("1.0.0", "Removes members from a set."),
    Command::new("smove", 4, Group::Set, smove)
        .flags(Flags::WRITE.union(Flags::FAST))
        .keys(Keys::FIRST_TWO)
        .uses(&[KeyUse::TAKES, KeyUse::INSERTS])
        .doc("1.0.0", "Moves a member from one set to another."),
    Command::new("scard", 2, Group::Set, scard)
        .flags(READ)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::LOOKS])
        .doc("1.0.0", "Returns the number of members of a set."),
    Command::new("sismember", 3, Group::Set, sismember)
        .flags(READ)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::LOOKS])
        .doc("1.0.0", "Returns whether a set has a member."),
    Command::new("smismember", -3, Group::Set, smismember)
        .flags(READ)
        .keys(Keys::FIRST)
        .doc("6.2.0", "Returns for each of several texts whether a set has it as a member."),
    Command::new("smembers", 2, Group::Set, smembers)
        .flags(Flags::READONLY)
        .keys(Keys::FIRST)
        .doc("1.0.0", "Returns all members of a set."),
    Command::new("sscan", -3, Group::Set, sscan)
        .flags(Flags::READONLY)
        .keys(Keys::FIRST)
        .doc("2.8.0", "Returns some of the members of a set, and the cursor to go on with."),
];

/// The set of a key to be changed; if there is none, one that suits `n` members of which `first` is one.
pub(super) fn set_for<'a>(db: &'a mut Db, key: &[u8], first: &[u8], n: usize) -> Result<&'a mut Set, WrongType> {
    let limits = db.limits();
    let (entry, new) = db.write_or_insert(key, || Value::Set(Set::for_members(first, n, &limits)));
    let ValueMut::Set(set) = entry.value_mut() else { return Err(WrongType) };
    if !new {
        set.reserve(n, &limits);
    }
    Ok(set)
}

fn sadd(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, members) = (ctx.arg(1), ctx.argv.iter().skip(2));
    let (db, reply) = ctx.db_and_reply();
    let limits = db.limits();
    let set = set_for(db, key, members.clone().next().unwrap_or_default(), members.len())?;
    let added = members.filter(|member| set.add(member, &limits)).count();
    reply.int(added as i64);
    if added > 0 {
        db.modified(key, NotifyEvents::SET, "sadd");
        db.add_dirty(added as u64 - 1);
    }
    Ok(())
}

fn srem(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, members) = (ctx.arg(1), ctx.argv.iter().skip(2));
    let (db, reply) = ctx.db_and_reply();
    let Some(set) = db.write_set(key)? else {
        reply.int(0);
        return Ok(());
    };
    let removed = members.filter(|member| set.remove(member)).count();
    reply.int(removed as i64);
    if removed > 0 {
        let empty = set.is_empty();
        db.modified(key, NotifyEvents::SET, "srem");
        db.add_dirty(removed as u64 - 1);
        if empty {
            db.delete_if_empty(key);
        }
    }
    Ok(())
}

fn smove(ctx: &mut Ctx<'_>) -> CommandResult {
    let (from, to, member) = (ctx.arg(1), ctx.arg(2), ctx.arg(3));
    let (db, reply) = ctx.db_and_reply();
    let Some(source) = db.write_set(from)? else {
        reply.int(0);
        return Ok(());
    };
    let there = source.contains(member);
    db.write_set(to)?;
    if from == to || !there {
        reply.int(i64::from(there));
        return Ok(());
    }
    let Some(source) = db.write_set(from)? else { return Ok(()) };
    source.remove(member);
    let empty = source.is_empty();
    db.modified(from, NotifyEvents::SET, "srem");
    if empty {
        db.delete_if_empty(from);
    }
    let limits = db.limits();
    if set_for(db, to, member, 1)?.add(member, &limits) {
        db.modified(to, NotifyEvents::SET, "sadd");
    }
    reply.int(1);
    Ok(())
}

fn scard(ctx: &mut Ctx<'_>) -> CommandResult {
    let key = ctx.arg(1);
    let len = ctx.db().read_set(key)?.map_or(0, Set::len);
    ctx.reply().int(len as i64);
    Ok(())
}

fn sismember(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, member) = (ctx.arg(1), ctx.arg(2));
    let there = ctx.db().read_set(key)?.is_some_and(|set| set.contains(member));
    ctx.reply().int(i64::from(there));
    Ok(())
}

fn smismember(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, members) = (ctx.arg(1), ctx.argv.iter().skip(2));
    let (db, reply) = ctx.db_and_reply();
    let set = db.read_set(key)?;
    reply.array(members.len());
    for member in members {
        reply.int(i64::from(set.is_some_and(|set| set.contains(member))));
    }
    Ok(())
}

fn smembers(ctx: &mut Ctx<'_>) -> CommandResult {
    let key = ctx.arg(1);
    let (db, reply) = ctx.db_and_reply();
    let set = db.read_set(key)?;
    reply.set(set.map_or(0, Set::len));
    for member in set.into_iter().flat_map(Set::iter) {
        reply.elem(member);
    }
    Ok(())
}

fn sscan(ctx: &mut Ctx<'_>) -> CommandResult {
    let cursor = scan::cursor(ctx.arg(2))?;
    let (key, argv) = (ctx.arg(1), ctx.argv);
    let (db, reply) = ctx.db_and_reply();
    let Some(set) = db.read_set(key)? else {
        scan::reply_empty(reply);
        return Ok(());
    };
    let options = scan::Options::parse(argv, 3, Of::Set)?;
    scan::reply(reply, &options, cursor, |cursor, page| {
        set.scan(cursor, |member| {
            page.key(member);
        })
    });
    Ok(())
}

/// Stores the result of a command under a key, whatever it held; with none, deletes the key.
pub(super) fn store(
    db: &mut Db,
    key: &[u8],
    result: Option<impl Into<Value>>,
    class: NotifyEvents,
    event: &'static str,
) {
    match result {
        Some(value) => {
            db.set(key, value, Ttl::Clear);
            db.modified(key, class, event);
        }
        None if db.delete(key) => db.modified(key, NotifyEvents::GENERIC, "del"),
        None => {}
    }
}
