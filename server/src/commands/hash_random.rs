//! Fields at random, and one after the other: HRANDFIELD, HSCAN.

use super::error::{CommandError, SYNTAX};
use super::hash_fields::View;
use super::scan::{self, Of};
use super::zset_range::reply_members;
use super::{Command, CommandResult, Ctx, Flags, Group, Keys};
use crate::data::hash::Field;
use crate::data::rng::Rng;
use crate::resp::ReplyBuf;

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("hrandfield", -2, Group::Hash, hrandfield)
        .flags(Flags::READONLY)
        .keys(Keys::FIRST)
        .doc("6.2.0", "Returns random fields of a hash, with their values if asked for."),
    Command::new("hscan", -3, Group::Hash, hscan)
        .flags(Flags::READONLY)
        .keys(Keys::FIRST)
        .doc("2.8.0", "Returns some of the fields of a hash, and the cursor to go on with."),
];

/// Reads `[count [WITH…]]` behind the key: the count, and whether `with` was given.
pub(super) fn sample_options(ctx: &Ctx<'_>, with: &str) -> Result<(Option<i64>, bool), CommandError> {
    if ctx.argc() == 2 {
        return Ok((None, false));
    }
    let count = ctx.signed(2)?;
    match ctx.argc() {
        3 => Ok((Some(count), false)),
        4 if ctx.is(3, with) => {
            // Twice the number of elements is to be a length, too.
            if count.abs() > i64::MAX / 2 {
                return Err(CommandError::fixed("ERR value is out of range"));
            }
            Ok((Some(count), true))
        }
        _ => Err(SYNTAX),
    }
}

fn reply_field(reply: &mut ReplyBuf, field: Field<'_>, with_value: bool) {
    if with_value && reply.resp3() {
        reply.array(2);
    }
    reply.elem(field.name);
    if with_value {
        reply.elem(field.value);
    }
}

/// A random field that has not expired.
fn random<'a>(hash: View<'a>, live: &[Field<'a>], rng: &mut Rng) -> Option<Field<'a>> {
    if hash.is_whole() { hash.whole().random(rng) } else { live.get(rng.below(live.len())).copied() }
}

fn hrandfield(ctx: &mut Ctx<'_>) -> CommandResult {
    let (count, with_values) = sample_options(ctx, "withvalues")?;
    let key = ctx.arg(1);
    let (db, reply) = ctx.db_and_reply();
    let mut rng = db.rng();
    let Some(hash) = View::read(db, key)? else {
        if count.is_some() {
            reply.array(0)
        } else {
            reply.null()
        }
        return Ok(());
    };
    // Where some may have expired, the choice is made among those that have not.
    let live: Vec<Field<'_>> = if hash.is_whole() { Vec::new() } else { hash.iter().collect() };
    let len = if hash.is_whole() { hash.len() } else { live.len() };
    match count {
        None => match random(hash, &live, &mut rng) {
            Some(field) => reply.elem(field.name),
            None => reply.null(),
        },
        Some(count @ 0..) => {
            let count = (count as usize).min(len);
            reply_members(reply, count, with_values);
            if hash.is_whole() {
                hash.whole().random_distinct(count, &mut rng, |field| reply_field(reply, field, with_values));
            } else {
                let mut left = count;
                for (i, field) in live.iter().enumerate() {
                    // Selection sampling: Knuth, The Art of Computer Programming 2, 3.4.2, algorithm S.
                    if rng.below(len - i) < left {
                        reply_field(reply, *field, with_values);
                        left -= 1;
                    }
                }
            }
        }
        // The same field may come several times.
        Some(count) => {
            let count = if len == 0 { 0 } else { count.unsigned_abs() as usize };
            reply_members(reply, count, with_values);
            reply.repeat(count, |reply| {
                if let Some(field) = random(hash, &live, &mut rng) {
                    reply_field(reply, field, with_values);
                }
            });
        }
    }
    Ok(())
}

fn hscan(ctx: &mut Ctx<'_>) -> CommandResult {
    let cursor = scan::cursor(ctx.arg(2))?;
    let (key, argv) = (ctx.arg(1), ctx.argv);
    let (db, reply) = ctx.db_and_reply();
    let Some(hash) = View::read(db, key)? else {
        scan::reply_empty(reply);
        return Ok(());
    };
    let options = scan::Options::parse(argv, 3, Of::Hash)?;
    scan::reply(reply, &options, cursor, |cursor, page| {
        hash.scan(cursor, |field| {
            if page.key(field.name) {
                field.value.with_text(|value| page.value(value));
            }
        })
    });
    Ok(())
}
