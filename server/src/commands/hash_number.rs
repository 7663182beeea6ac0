//! Fields that are numbers: HINCRBY, HINCRBYFLOAT.

use super::error::{CommandError, NOT_FLOAT};
use super::hash::has_expired;
use super::{Command, CommandResult, Ctx, Flags, Group, Keys};
use crate::config::NotifyEvents;
use crate::data::elem::Elem;
use crate::data::extended::Extended;
use crate::data::hash::{FieldExpiry, Hash};
use crate::resp::number::parse_f64;

const CHANGE: Flags = Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST);

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("hincrby", 4, Group::Hash, hincrby)
        .flags(CHANGE)
        .keys(Keys::FIRST)
        .doc("2.0.0", "Adds to the integer in a field of a hash, which counts as 0 if there is none."),
    Command::new("hincrbyfloat", 4, Group::Hash, hincrbyfloat)
        .flags(CHANGE)
        .keys(Keys::FIRST)
        .doc("2.6.0", "Adds to the number in a field of a hash, which counts as 0 if there is none."),
];

/// What a field holds, and what becomes of its expiry when it is set to a number: it keeps one that is still to come.
fn current<'a>(hash: &'a Hash, name: &[u8], clock: i64) -> (Option<Elem<'a>>, FieldExpiry) {
    if has_expired(hash, name, clock) { (None, FieldExpiry::Clear) } else { (hash.get(name), FieldExpiry::Keep) }
}

fn hincrby(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, name, by) = (ctx.arg(1), ctx.arg(2), ctx.int(3)?);
    let (db, reply) = ctx.db_and_reply();
    let (limits, clock) = (db.limits(), db.expiry_clock());
    let hash = db.hash_or_new(key)?;
    let (value, expiry) = current(hash, name, clock);
    let value = value.map_or(Some(0), Elem::as_int).ok_or(CommandError::fixed("ERR hash value is not an integer"))?;
    let sum = value.checked_add(by).ok_or(CommandError::fixed("ERR increment or decrement would overflow"))?;
    hash.set_with(name, itoa::Buffer::new().format(sum).as_bytes(), expiry, &limits);
    reply.int(sum);
    db.modified(key, NotifyEvents::HASH, "hincrby");
    Ok(())
}

fn hincrbyfloat(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, name, text) = (ctx.arg(1), ctx.arg(2), ctx.arg(3));
    let by = Extended::parse(text).ok_or(NOT_FLOAT)?;
    if parse_f64(text).is_some_and(|by| by.is_infinite() && text.to_ascii_lowercase().contains(&b'i')) {
        return Err(CommandError::fixed("ERR value is NaN or Infinity"));
    }
    let (db, reply) = ctx.db_and_reply();
    let (limits, clock) = (db.limits(), db.expiry_clock());
    let hash = db.hash_or_new(key)?;
    let (value, expiry) = current(hash, name, clock);
    let value = match value {
        None => Some(Extended::from_i64(0)),
        Some(Elem::Int(value)) => Some(Extended::from_i64(value)),
        Some(Elem::Bytes(text)) => Extended::parse(text),
    };
    let value = value.ok_or(CommandError::fixed("ERR hash value is not a float"))?;
    let sum = value.checked_add(by).ok_or(CommandError::fixed("ERR increment would produce NaN or Infinity"))?;
    let sum = sum.to_text();
    hash.set_with(name, &sum, expiry, &limits);
    reply.bulk(&sum);
    db.modified(key, NotifyEvents::HASH, "hincrbyfloat");
    // Others may calculate differently: they are given the result.
    ctx.propagate_as(&[b"HSET", key, name, &sum]);
    Ok(())
}
