//! Fields at random, and one after the other: HRANDFIELD, HSCAN.

use super::error::{CommandError, SYNTAX};
use super::hash_fields::View;
use super::scan::{self, Of};
use super::zset_range::reply_members;
use super::{Command, CommandResult, Ctx, Flags, Group, Keys};
use crate::data::hash::Field;
use crate::data::rng::Rng;
use crate::resp::ReplyBuf;
use std::collections::HashSet;

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

/// Draws at random from the fields that have not expired.
struct Draw<'a> {
    hash: View<'a>,
    rng: Rng,
    /// All of them, once too many were drawn that have expired.
    live: Option<Vec<Field<'a>>>,
}

impl<'a> Draw<'a> {
    /// How often it is tried before the whole hash is looked through.
    const TRIES: usize = 100;

    /// A field, each about as likely as another.
    fn one(&mut self) -> Option<Field<'a>> {
        if self.live.is_none() {
            for _ in 0..Self::TRIES {
                let field = self.hash.whole().random(&mut self.rng)?;
                if self.hash.shows(field) {
                    return Some(field);
                }
            }
            self.live = Some(self.hash.iter().collect());
        }
        let live = self.live.as_deref().unwrap_or_default();
        live.get(self.rng.below(live.len())).copied()
    }

    /// `count` different fields; all, if there are fewer.
    fn different(&mut self, count: usize) -> Vec<Field<'a>> {
        if count < self.hash.whole().len() / 3 {
            let (mut drawn, mut names) = (Vec::with_capacity(count), HashSet::new());
            for _ in 0..Self::TRIES + 4 * count {
                match self.one() {
                    Some(field) if drawn.len() < count => {
                        if names.insert(field.name.to_vec()) {
                            drawn.push(field);
                        }
                    }
                    _ => break,
                }
            }
            if drawn.len() == count {
                return drawn;
            }
        }
        let mut live: Vec<Field<'a>> = self.hash.iter().collect();
        let count = count.min(live.len());
        for i in 0..count {
            let other = i + self.rng.below(live.len() - i);
            live.swap(i, other);
        }
        live.truncate(count);
        live
    }
}

fn hrandfield(ctx: &mut Ctx<'_>) -> CommandResult {
    let (count, with_values) = sample_options(ctx, "withvalues")?;
    let key = ctx.arg(1);
    let (db, reply) = ctx.db_and_reply();
    let rng = db.rng();
    let Some(hash) = View::read(db, key)? else {
        if count.is_some() {
            reply.array(0)
        } else {
            reply.null()
        }
        return Ok(());
    };
    let mut draw = Draw { hash, rng, live: None };
    match count {
        None => match draw.one() {
            Some(field) => reply.elem(field.name),
            None => reply.null(),
        },
        Some(count @ 0..) if hash.is_whole() => {
            let count = (count as usize).min(hash.len());
            reply_members(reply, count, with_values);
            hash.whole().random_distinct(count, &mut draw.rng, |field| reply_field(reply, field, with_values));
        }
        Some(count @ 0..) => {
            let fields = draw.different(count as usize);
            reply_members(reply, fields.len(), with_values);
            fields.into_iter().for_each(|field| reply_field(reply, field, with_values));
        }
        // The same field may come several times.
        Some(count) => {
            let count = if draw.one().is_some() { count.unsigned_abs() as usize } else { 0 };
            reply_members(reply, count, with_values);
            reply.repeat(count, |reply| {
                if let Some(field) = draw.one() {
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
