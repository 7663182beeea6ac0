//! Strings that are numbers: INCR, DECR, INCRBY, DECRBY, INCRBYFLOAT.

use super::error::{NOT_FLOAT, NOT_INTEGER};
use super::{Command, CommandError, CommandResult, Ctx, Flags, Group, Keys};
use crate::config::NotifyEvents;
use crate::data::elem::Elem;
use crate::data::extended::Extended;
use crate::data::value::Str;
use crate::keyspace::Ttl;

const CHANGE: Flags = Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST);

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("incr", 2, Group::String, incr)
        .flags(CHANGE)
        .keys(Keys::FIRST)
        .doc("1.0.0", "Adds one to an integer, which counts as 0 if there is none."),
    Command::new("decr", 2, Group::String, decr)
        .flags(CHANGE)
        .keys(Keys::FIRST)
        .doc("1.0.0", "Takes one from an integer, which counts as 0 if there is none."),
    Command::new("incrby", 3, Group::String, incrby)
        .flags(CHANGE)
        .keys(Keys::FIRST)
        .doc("1.0.0", "Adds to an integer, which counts as 0 if there is none."),
    Command::new("decrby", 3, Group::String, decrby)
        .flags(CHANGE)
        .keys(Keys::FIRST)
        .doc("1.0.0", "Takes from an integer, which counts as 0 if there is none."),
    Command::new("incrbyfloat", 3, Group::String, incrbyfloat)
        .flags(CHANGE)
        .keys(Keys::FIRST)
        .doc("2.6.0", "Adds to a number with a fraction, which counts as 0 if there is none."),
];

fn incr(ctx: &mut Ctx<'_>) -> CommandResult {
    add(ctx, 1)
}

fn decr(ctx: &mut Ctx<'_>) -> CommandResult {
    add(ctx, -1)
}

fn incrby(ctx: &mut Ctx<'_>) -> CommandResult {
    let by = ctx.int(2)?;
    add(ctx, by)
}

fn decrby(ctx: &mut Ctx<'_>) -> CommandResult {
    let by = ctx.int(2)?.checked_neg().ok_or(CommandError::fixed("ERR decrement would overflow"))?;
    add(ctx, by)
}

fn add(ctx: &mut Ctx<'_>, by: i64) -> CommandResult {
    let key = ctx.arg(1);
    let (db, reply) = ctx.db_and_reply();
    let sum = match db.write_str(key)? {
        Some(mut string) => {
            let value = string.get().as_int().ok_or(NOT_INTEGER)?;
            let sum = value.checked_add(by).ok_or(OVERFLOW)?;
            string.set_int(sum);
            sum
        }
        None => {
            db.set(key, Str::Int(by), Ttl::Clear);
            by
        }
    };
    db.modified(key, NotifyEvents::STRING, "incrby");
    reply.int(sum);
    Ok(())
}

const OVERFLOW: CommandError = CommandError::fixed("ERR increment or decrement would overflow");

/// Adds to a stored number in the precision that INCRBYFLOAT and HINCRBYFLOAT promise; gives the sum as it is to be stored.
///
/// # Errors
/// If either is no number, or the sum is none.
pub fn add_float(stored: Option<Elem<'_>>, by: &[u8]) -> Result<Vec<u8>, CommandError> {
    let value = match stored {
        None => Extended::from_i64(0),
        Some(Elem::Int(value)) => Extended::from_i64(value),
        Some(Elem::Bytes(text)) => Extended::parse(text).ok_or(NOT_FLOAT)?,
    };
    let by = Extended::parse(by).ok_or(NOT_FLOAT)?;
    let sum = value.checked_add(by);
    Ok(sum.ok_or(CommandError::fixed("ERR increment would produce NaN or Infinity"))?.to_text())
}

fn incrbyfloat(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, by) = (ctx.arg(1), ctx.arg(2));
    let db = ctx.db();
    let sum = add_float(db.write_str(key)?.as_ref().map(|string| string.get()), by)?;
    db.set(key, Str::Bytes(sum.clone()), Ttl::Keep);
    db.modified(key, NotifyEvents::STRING, "incrbyfloat");
    // Others may calculate differently: they are given the result.
    ctx.propagate_as(&[b"SET", key, &sum, b"KEEPTTL"]);
    ctx.reply().bulk(&sum);
    Ok(())
}
