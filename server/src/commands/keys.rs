//! Keys of any type: DEL, EXISTS, TYPE, KEYS, RENAME, COPY, MOVE and others.

use super::error::{BAD_DB, NO_SUCH_KEY, SYNTAX};
use super::spec::Databases;
use super::{Command, CommandError, CommandResult, Ctx, Flags, Group, KeyUse, Keys};
use crate::config::NotifyEvents;
use crate::data::table::Keyed;
use crate::glob;
use crate::keyspace::Lookup;
use crate::resp::{Argv, ReplyBuf};

const READ: Flags = Flags::READONLY.union(Flags::FAST);
const CHANGE: Flags = Flags::WRITE.union(Flags::FAST);

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("del", -2, Group::Generic, del)
        .flags(Flags::WRITE)
        .keys(Keys::ALL)
        .uses(&[KeyUse::REMOVES])
        .doc("1.0.0", "Deletes keys."),
    Command::new("unlink", -2, Group::Generic, unlink)
        .flags(CHANGE)
        .keys(Keys::ALL)
        .uses(&[KeyUse::REMOVES])
        .doc("4.0.0", "Deletes keys; the memory of large values is freed in the background."),
    Command::new("exists", -2, Group::Generic, exists)
        .flags(READ)
        .keys(Keys::ALL)
        .uses(&[KeyUse::LOOKS])
        .doc("1.0.0", "Returns how many of the keys exist; a key given twice counts twice."),
    Command::new("touch", -2, Group::Generic, touch)
        .flags(READ)
        .keys(Keys::ALL)
        .uses(&[KeyUse::LOOKS])
        .doc("3.2.1", "Uses keys without reading them, and returns how many of them exist."),
    Command::new("type", 2, Group::Generic, type_)
        .flags(READ)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::LOOKS])
        .doc("1.0.0", "Returns the type of a key's value."),
    Command::new("keys", 2, Group::Generic, keys)
        .flags(Flags::READONLY)
        .acl(super::Category::DANGEROUS)
        .doc("1.0.0", "Returns all keys that match a pattern."),
    Command::new("randomkey", 1, Group::Generic, randomkey)
        .flags(Flags::READONLY.union(Flags::TOUCHES_ARBITRARY_KEYS))
        .doc("1.0.0", "Returns a random key."),
    Command::new("rename", 3, Group::Generic, rename)
        .flags(Flags::WRITE)
        .keys(Keys::FIRST_TWO)
        .uses(&[KeyUse::TAKES, KeyUse::OVERWRITES])
        .doc("1.0.0", "Gives a key another name, replacing what is there."),
    Command::new("renamenx", 3, Group::Generic, renamenx)
        .flags(CHANGE)
        .keys(Keys::FIRST_TWO)
        .uses(&[KeyUse::TAKES, KeyUse::CREATES])
        .doc("1.0.0", "Gives a key another name if no key has that name."),
    Command::new("move", 3, Group::Generic, move_)
        .flags(CHANGE)
        .keys(Keys::FIRST)
        .databases(Databases::SelectedAnd(|_| vec![2]))
        .doc("1.0.0", "Moves a key to another database."),
    Command::new("copy", -3, Group::Generic, copy)
        .flags(Flags::WRITE.union(Flags::DENYOOM))
        .keys(Keys::FIRST_TWO)
        .uses(&[KeyUse::READS, KeyUse::OVERWRITES])
        .databases(Databases::SelectedAnd(copy_databases))
        .doc("6.2.0", "Copies the value of a key to another key."),
];

const BEYOND_INT: CommandError =
    CommandError::fixed("ERR value is out of range, value must between -2147483648 and 2147483647");
const SAME_OBJECT: CommandError = CommandError::fixed("ERR source and destination objects are the same");

/// The number after each DB, of which the last one counts.
fn copy_databases(argv: Argv<'_>) -> Vec<usize> {
    (3..argv.len().saturating_sub(1)).filter(|i| argv.get(*i).eq_ignore_ascii_case(b"db")).map(|i| i + 1).collect()
}

fn del(ctx: &mut Ctx<'_>) -> CommandResult {
    let lazily = ctx.server.config.lazyfree_lazy_user_del;
    delete(ctx, lazily)
}

fn unlink(ctx: &mut Ctx<'_>) -> CommandResult {
    delete(ctx, true)
}

fn delete(ctx: &mut Ctx<'_>, lazily: bool) -> CommandResult {
    let argv = ctx.argv;
    let (db, reply) = ctx.db_and_reply();
    db.prefetch(argv.iter().skip(1));
    let deleted = argv.iter().skip(1).filter(|key| db.del(key, lazily)).count();
    reply.int(deleted as i64);
    Ok(())
}

fn exists(ctx: &mut Ctx<'_>) -> CommandResult {
    count(ctx, Lookup::NO_TOUCH)
}

fn touch(ctx: &mut Ctx<'_>) -> CommandResult {
    // Also for a client that leaves no traces otherwise, and in its scripts.
    let touches = ctx.server.keyspace.touches();
    ctx.server.keyspace.set_touch(ctx.server.persistence.child.is_none());
    let counted = count(ctx, Lookup::READ);
    ctx.server.keyspace.set_touch(touches);
    counted
}

fn count(ctx: &mut Ctx<'_>, lookup: Lookup) -> CommandResult {
    let argv = ctx.argv;
    let (db, reply) = ctx.db_and_reply();
    db.prefetch(argv.iter().skip(1));
    let found = argv.iter().skip(1).filter(|key| db.read_with(key, lookup).is_some()).count();
    reply.int(found as i64);
    Ok(())
}

fn type_(ctx: &mut Ctx<'_>) -> CommandResult {
    let key = ctx.arg(1);
    let (db, reply) = ctx.db_and_reply();
    reply.simple(db.read_with(key, Lookup::NO_TOUCH).map_or("none", |entry| entry.kind().name()));
    Ok(())
}

fn keys(ctx: &mut Ctx<'_>) -> CommandResult {
    let pattern = ctx.arg(1);
    let (db, reply) = ctx.db_and_reply();
    reply.deferred(ReplyBuf::array, |reply| {
        let mut n = 0;
        for entry in db.iter() {
            if (pattern == b"*" || glob::matches(pattern, entry.key(), false)) && !db.is_expired(entry) {
                reply.bulk(entry.key());
                n += 1;
            }
        }
        n
    });
    Ok(())
}

fn randomkey(ctx: &mut Ctx<'_>) -> CommandResult {
    let (db, reply) = ctx.db_and_reply();
    match db.random_key() {
        Some(key) => reply.bulk(&key),
        None => reply.null(),
    }
    Ok(())
}

fn rename(ctx: &mut Ctx<'_>) -> CommandResult {
    rename_to(ctx, false)?;
    ctx.reply().ok();
    Ok(())
}

fn renamenx(ctx: &mut Ctx<'_>) -> CommandResult {
    let renamed = rename_to(ctx, true)?;
    ctx.reply().int(i64::from(renamed));
    Ok(())
}

/// Renames unless, with `only_if_free`, there is a key of the new name. Whether it did.
fn rename_to(ctx: &mut Ctx<'_>, only_if_free: bool) -> Result<bool, CommandError> {
    let (from, to) = (ctx.arg(1), ctx.arg(2));
    let db = ctx.db();
    if db.write(from).is_none() {
        return Err(NO_SUCH_KEY);
    }
    if from == to || only_if_free && db.write(to).is_some() {
        return Ok(false);
    }
    // A key of that name that has expired is deleted as such, not overwritten.
    db.write(to);
    db.rename(from, to);
    db.touched(from);
    db.touched(to);
    db.notify(NotifyEvents::GENERIC, "rename_from", from);
    db.notify(NotifyEvents::GENERIC, "rename_to", to);
    db.add_dirty(1);
    Ok(true)
}

/// The database that an argument names.
pub(super) fn database(ctx: &Ctx<'_>, i: usize) -> Result<usize, CommandError> {
    let db = i32::try_from(ctx.int(i)?).map_err(|_| BEYOND_INT)?;
    usize::try_from(db).ok().filter(|db| *db < ctx.server.keyspace.count()).ok_or(BAD_DB)
}

fn move_(ctx: &mut Ctx<'_>) -> CommandResult {
    let (from, to, key) = (ctx.client.db, database(ctx, 2)?, ctx.arg(1));
    if from == to {
        return Err(SAME_OBJECT);
    }
    let keyspace = ctx.keyspace();
    let moved = keyspace.move_key(key, from, to);
    if moved {
        for (db, event) in [(from, "move_from"), (to, "move_to")] {
            keyspace.db_mut(db).touched(key);
            keyspace.db_mut(db).notify(NotifyEvents::GENERIC, event, key);
        }
        keyspace.add_dirty(1);
    }
    ctx.reply().int(i64::from(moved));
    Ok(())
}

fn copy(ctx: &mut Ctx<'_>) -> CommandResult {
    let from = ctx.client.db;
    let (mut to, mut replace) = (from, false);
    let mut i = 3;
    while i < ctx.argc() {
        if ctx.is(i, "replace") {
            replace = true;
        } else if ctx.is(i, "db") && i + 1 < ctx.argc() {
            i += 1;
            to = database(ctx, i)?;
        } else {
            return Err(SYNTAX);
        }
        i += 1;
    }
    let (key, new_key) = (ctx.arg(1), ctx.arg(2));
    if from == to && key == new_key {
        return Err(SAME_OBJECT);
    }
    let keyspace = ctx.keyspace();
    if replace
        && keyspace.db_mut(from).read_with(key, Lookup::SILENT).is_some()
        && keyspace.db_mut(to).write(new_key).is_some()
    {
        keyspace.db_mut(to).delete(new_key);
    }
    let copied = keyspace.copy_key(key, from, new_key, to);
    if copied {
        keyspace.db_mut(to).modified(new_key, NotifyEvents::GENERIC, "copy_to");
    }
    ctx.reply().int(i64::from(copied));
    Ok(())
}
