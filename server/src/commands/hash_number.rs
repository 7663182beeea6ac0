//! Fields that are numbers: HINCRBY, HINCRBYFLOAT.

use super::error::{CommandError, NOT_FLOAT};
use super::hash_fields::{Edit, Edited};
use super::{Command, CommandResult, Ctx, Flags, Group, Keys};
use crate::data::elem::Elem;
use crate::data::extended::Extended;
use crate::data::hash::FieldExpiry;
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

/// Puts a number in the place of another: the field keeps an expiry that is still to come. Tells others, if need be with what came of it,
/// so that they need neither calculate nor know what has expired.
fn replace(mut hash: Edit<'_>, name: &[u8], number: &[u8]) -> (Edited, Option<Outcome>) {
    let outcome = match hash.expire_at(name) {
        Some(Some(at)) => Some(Outcome::Expires(at)),
        _ if hash.has_expired(name) => Some(Outcome::Stays),
        _ => None,
    };
    hash.set(name, number, FieldExpiry::Keep);
    (hash.finish(), outcome)
}

/// What others are to be told of a field.
enum Outcome {
    Stays,
    Expires(i64),
}

fn propagate(ctx: &mut Ctx<'_>, number: &[u8], outcome: Outcome) {
    let (key, name) = (ctx.arg(1), ctx.arg(2));
    match outcome {
        Outcome::Stays => ctx.propagate_as(&[b"HSET", key, name, number]),
        Outcome::Expires(at) => {
            let at = at.to_string();
            ctx.propagate_as(&[b"HSETEX", key, b"PXAT", at.as_bytes(), b"FIELDS", b"1", name, number]);
        }
    }
}

fn hincrby(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, name, by) = (ctx.arg(1), ctx.arg(2), ctx.int(3)?);
    let (db, reply) = ctx.db_and_reply();
    let hash = Edit::open_or_new(db, key)?;
    let value = hash.get(name).map_or(Some(0), Elem::as_int);
    let value = value.ok_or(CommandError::fixed("ERR hash value is not an integer"))?;
    let sum = value.checked_add(by).ok_or(CommandError::fixed("ERR increment or decrement would overflow"))?;
    reply.int(sum);
    let mut text = itoa::Buffer::new();
    let text = text.format(sum).as_bytes();
    let (edited, outcome) = replace(hash, name, text);
    edited.publish(db, key, &["hincrby"]);
    if let Some(outcome) = outcome {
        propagate(ctx, text, outcome);
    }
    Ok(())
}

fn hincrbyfloat(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, name, text) = (ctx.arg(1), ctx.arg(2), ctx.arg(3));
    let by = Extended::parse(text).ok_or(NOT_FLOAT)?;
    if parse_f64(text).is_some_and(|by| by.is_infinite() && text.to_ascii_lowercase().contains(&b'i')) {
        return Err(CommandError::fixed("ERR value is NaN or Infinity"));
    }
    let (db, reply) = ctx.db_and_reply();
    let hash = Edit::open_or_new(db, key)?;
    let value = match hash.get(name) {
        None => Some(Extended::from_i64(0)),
        Some(Elem::Int(value)) => Some(Extended::from_i64(value)),
        Some(Elem::Bytes(text)) => Extended::parse(text),
    };
    let value = value.ok_or(CommandError::fixed("ERR hash value is not a float"))?;
    let sum = value.checked_add(by).ok_or(CommandError::fixed("ERR increment would produce NaN or Infinity"))?;
    let sum = sum.to_text();
    reply.bulk(&sum);
    let (edited, outcome) = replace(hash, name, &sum);
    edited.publish(db, key, &["hincrbyfloat"]);
    // Others may calculate differently: they are given the result.
    propagate(ctx, &sum, outcome.unwrap_or(Outcome::Stays));
    Ok(())
}
