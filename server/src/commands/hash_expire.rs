//! When fields of a hash expire: HEXPIRE and its kin, HTTL and its kin, HPERSIST.

use super::error::{CommandError, NOT_INTEGER, SYNTAX, bad_expire};
use super::expire::{Conditions, Expiry, is_over};
use super::hash_fields::{Edit, View};
use super::{Command, CommandResult, Ctx, Flags, Group, KeyUse, Keys};
use crate::resp::number::parse_i64;

const CHANGE: Flags = Flags::WRITE.union(Flags::FAST);
const READ: Flags = Flags::READONLY.union(Flags::FAST);

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("hexpire", -6, Group::Hash, hexpire)
        .flags(CHANGE)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::UPDATES])
        .doc("9.0.0", "Has fields of a hash expire after some seconds."),
    Command::new("hpexpire", -6, Group::Hash, hexpire)
        .flags(CHANGE)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::UPDATES])
        .doc("9.0.0", "Has fields of a hash expire after some milliseconds."),
    Command::new("hexpireat", -6, Group::Hash, hexpire)
        .flags(CHANGE)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::UPDATES])
        .doc("9.0.0", "Has fields of a hash expire at a Unix time in seconds."),
    Command::new("hpexpireat", -6, Group::Hash, hexpire)
        .flags(CHANGE)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::UPDATES])
        .doc("9.0.0", "Has fields of a hash expire at a Unix time in milliseconds."),
    Command::new("httl", -5, Group::Hash, httl)
        .flags(READ)
        .keys(Keys::FIRST)
        .doc("9.0.0", "Returns in how many seconds fields of a hash expire."),
    Command::new("hpttl", -5, Group::Hash, httl)
        .flags(READ)
        .keys(Keys::FIRST)
        .doc("9.0.0", "Returns in how many milliseconds fields of a hash expire."),
    Command::new("hexpiretime", -5, Group::Hash, httl)
        .flags(READ)
        .keys(Keys::FIRST)
        .doc("9.0.0", "Returns the Unix times in seconds at which fields of a hash expire."),
    Command::new("hpexpiretime", -5, Group::Hash, httl)
        .flags(READ)
        .keys(Keys::FIRST)
        .doc("9.0.0", "Returns the Unix times in milliseconds at which fields of a hash expire."),
    Command::new("hpersist", -5, Group::Hash, hpersist)
        .flags(CHANGE)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::UPDATES])
        .doc("9.0.0", "Has fields of a hash expire no more."),
];

/// `-2`: there is no such field.
const NO_FIELD: i64 = -2;

/// A number of fields that is none, or not the number that follows.
pub(super) const WRONG_COUNT: CommandError =
    CommandError::fixed("ERR numfields should be greater than 0 and match the provided number of fields");

/// The index of the word `FIELDS` behind the options, which begin at `from`; it must have something behind it.
///
/// # Errors
/// If there is none.
pub(super) fn find_fields(ctx: &Ctx<'_>, from: usize) -> Result<usize, CommandError> {
    (from..ctx.argc() - 1).find(|i| ctx.is(*i, "fields")).ok_or(WRONG_COUNT)
}

/// Reads the count behind the word `FIELDS` at `at`, and returns the index of the first field. `each` arguments belong to a field.
///
/// # Errors
/// If it is no integer, or `mismatch` if not as many arguments follow.
pub(super) fn first_field(
    ctx: &Ctx<'_>,
    at: usize,
    each: usize,
    mismatch: CommandError,
) -> Result<usize, CommandError> {
    let count = ctx.int(at + 1)?;
    let given = ctx.argc() - (at + 2);
    let fits = usize::try_from(count).ok().and_then(|count| count.checked_mul(each)) == Some(given);
    if count > 0 && fits { Ok(at + 2) } else { Err(mismatch) }
}

/// As [`first_field`], where nothing stands between the key and `FIELDS`.
pub(super) fn first_field_behind_key(ctx: &Ctx<'_>, mismatch: CommandError) -> Result<usize, CommandError> {
    if ctx.is(2, "fields") { first_field(ctx, 2, 1, mismatch) } else { Err(SYNTAX) }
}

/// The time in ms since 1970 at which fields are to expire. 0 is one, too.
///
/// # Errors
/// If the text is no integer, negative, or too large.
pub(super) fn until(ctx: &Ctx<'_>, unit: Expiry, text: &[u8]) -> Result<i64, CommandError> {
    let number = parse_i64(text).ok_or(NOT_INTEGER)?;
    let at = (number >= 0).then(|| unit.resolve(number, ctx.server.now_ms())).flatten();
    at.ok_or_else(|| bad_expire(&ctx.row.full_name))
}

fn hexpire(ctx: &mut Ctx<'_>) -> CommandResult {
    let unit = match ctx.row.command.name {
        "hexpire" => Expiry::Seconds,
        "hpexpire" => Expiry::Millis,
        "hexpireat" => Expiry::UntilSeconds,
        _ => Expiry::UntilMillis,
    };
    let word = find_fields(ctx, 3)?;
    let conditions = Conditions::parse(ctx, 3, word)?;
    let first = first_field(ctx, word, 1, WRONG_COUNT)?;
    let at = until(ctx, unit, ctx.arg(2))?;
    let over = is_over(ctx, at);
    let (key, names) = (ctx.arg(1), ctx.argv.iter().skip(first));
    let (db, reply) = ctx.db_and_reply();
    let Some(mut hash) = Edit::open(db, key)? else {
        reply.array(names.len());
        names.for_each(|_| reply.int(NO_FIELD));
        return Ok(());
    };
    reply.array(names.len());
    let mut removed = Vec::new();
    for name in names {
        reply.int(match hash.expire_at(name) {
            None => NO_FIELD,
            Some(current) if !conditions.hold(current, at) => 0,
            Some(_) if over => {
                hash.remove(name);
                removed.push(name);
                2
            }
            Some(_) => {
                hash.set_expire(name, Some(at));
                1
            }
        });
    }
    let edited = hash.finish();
    if edited.changed == 0 {
        return Ok(());
    }
    if over {
        edited.publish_expired(db, key, removed.len());
        propagate_removal(ctx, &removed);
        return Ok(());
    }
    edited.publish(db, key, &["hexpire"]);
    if unit != Expiry::UntilMillis {
        let mut text = itoa::Buffer::new();
        let mut args = vec![&b"HPEXPIREAT"[..], key, text.format(at).as_bytes()];
        args.extend(ctx.argv.iter().skip(3));
        ctx.propagate_as(&args);
    }
    Ok(())
}

/// Propagates that fields are gone, instead of the call that gave them an expiry in the past.
pub(super) fn propagate_removal(ctx: &mut Ctx<'_>, names: &[&[u8]]) {
    let mut args = vec![b"HDEL", ctx.arg(1)];
    args.extend(names);
    ctx.propagate_as(&args);
}

fn httl(ctx: &mut Ctx<'_>) -> CommandResult {
    let (seconds, absolute) = match ctx.row.command.name {
        "httl" => (true, false),
        "hpttl" => (false, false),
        "hexpiretime" => (true, true),
        _ => (false, true),
    };
    let first = first_field_behind_key(ctx, SYNTAX)?;
    let now = ctx.server.now_ms();
    let (key, names) = (ctx.arg(1), ctx.argv.iter().skip(first));
    let (db, reply) = ctx.db_and_reply();
    let hash = View::read(db, key)?;
    reply.array(names.len());
    for name in names {
        reply.int(match hash.and_then(|hash| hash.expire_at(name)) {
            None => NO_FIELD,
            Some(None) => -1,
            Some(Some(at)) => {
                let millis = if absolute { at } else { at.saturating_sub(now) }.max(0);
                // Rounded, so that what was just set to 10 s reads 10.
                if seconds { millis / 1000 + i64::from(millis % 1000 >= 500) } else { millis }
            }
        });
    }
    Ok(())
}

fn hpersist(ctx: &mut Ctx<'_>) -> CommandResult {
    let first = first_field_behind_key(ctx, WRONG_COUNT)?;
    let (key, names) = (ctx.arg(1), ctx.argv.iter().skip(first));
    let (db, reply) = ctx.db_and_reply();
    let mut hash = Edit::open(db, key)?;
    reply.array(names.len());
    for name in names {
        reply.int(match hash.as_ref().and_then(|hash| hash.expire_at(name)) {
            None => NO_FIELD,
            Some(None) => -1,
            Some(Some(_)) => hash.as_mut().map_or(NO_FIELD, |hash| i64::from(hash.set_expire(name, None))),
        });
    }
    if let Some(hash) = hash {
        hash.finish().publish(db, key, &["hpersist"]);
    }
    Ok(())
}
