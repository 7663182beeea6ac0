//! Popping members of sorted sets by score: ZPOPMIN, ZPOPMAX, ZMPOP.

use super::error::{CommandError, SYNTAX};
use super::zset::removed;
use super::{Command, CommandResult, Ctx, Flags, Group, Keys};
use crate::data::list::End;
use crate::data::zset::Zset;
use crate::keyspace::Db;
use crate::resp::ReplyBuf;

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("zpopmin", -2, Group::SortedSet, zpopmin)
        .flags(Flags::WRITE.union(Flags::FAST))
        .keys(Keys::FIRST)
        .doc("5.0.0", "Removes the members with the lowest scores from a sorted set and returns them."),
    Command::new("zpopmax", -2, Group::SortedSet, zpopmax)
        .flags(Flags::WRITE.union(Flags::FAST))
        .keys(Keys::FIRST)
        .doc("5.0.0", "Removes the members with the highest scores from a sorted set and returns them."),
    Command::new("zmpop", -4, Group::SortedSet, zmpop)
        .flags(Flags::WRITE.union(Flags::MOVABLE_KEYS))
        .keys(Keys::Counted(1))
        .doc("7.0.0", "Removes the members with the lowest or highest scores from the first sorted set that exists."),
];

/// The name under which replicas are told of a pop.
pub(super) fn name(end: End) -> &'static [u8] {
    if end == End::Front { b"ZPOPMIN" } else { b"ZPOPMAX" }
}

/// Removes up to `count` members from an end after having answered with them, in pairs of their own if `nested`. How many.
pub(super) fn pop_many(zset: &mut Zset, end: End, count: usize, nested: bool, reply: &mut ReplyBuf) -> usize {
    let len = zset.len();
    let count = count.min(len);
    let ranks = if end == End::Front { 0..count } else { len - count..len };
    let mut one = |member, score| {
        if nested {
            reply.array(2);
        }
        reply.elem(member);
        reply.double(score);
    };
    let members = zset.range(ranks.clone());
    if end == End::Front {
        members.for_each(|(member, score)| one(member, score));
    } else {
        members.rev().for_each(|(member, score)| one(member, score));
    }
    zset.remove_range(ranks, |_, _| {});
    count
}

/// Tells that members were popped.
pub(super) fn popped(db: &mut Db, key: &[u8], end: End, count: usize, empty: bool) {
    removed(db, key, if end == End::Front { "zpopmin" } else { "zpopmax" }, count, empty);
}

fn zpopmin(ctx: &mut Ctx<'_>) -> CommandResult {
    pop(ctx, End::Front)
}

fn zpopmax(ctx: &mut Ctx<'_>) -> CommandResult {
    pop(ctx, End::Back)
}

fn pop(ctx: &mut Ctx<'_>, end: End) -> CommandResult {
    let count = match ctx.argc() {
        2 => None,
        3 => Some(ctx.natural(2)?),
        _ => return Err(SYNTAX),
    };
    let key = ctx.arg(1);
    let (db, reply) = ctx.db_and_reply();
    let nested = reply.resp3() && count.is_some();
    let count = count.unwrap_or(1);
    let Some(zset) = db.write_zset(key)?.filter(|_| count > 0) else {
        reply.array(0);
        return Ok(());
    };
    let count = count.min(zset.len());
    reply.array(if nested { count } else { 2 * count });
    pop_many(zset, end, count, nested, reply);
    let empty = zset.is_empty();
    popped(db, key, end, count, empty);
    Ok(())
}

/// What ZMPOP and BZMPOP ask for.
pub(super) struct Query {
    /// Index of the first key.
    pub first_key: usize,
    /// Index behind the last key.
    pub end_of_keys: usize,
    /// From where to pop.
    pub end: End,
    /// Members to pop at most.
    pub count: usize,
}

impl Query {
    /// Reads `numkeys key … MIN|MAX [COUNT n]`, for lists `LEFT|RIGHT`, from the argument at `at` on.
    pub fn parse(ctx: &Ctx<'_>, at: usize, front: &str, back: &str) -> Result<Query, CommandError> {
        let keys = ctx.int_from(at, 1, "ERR numkeys should be greater than 0")? as usize;
        let first_key = at + 1;
        let end_of_keys = first_key.saturating_add(keys);
        let end = match () {
            () if end_of_keys >= ctx.argc() => return Err(SYNTAX),
            () if ctx.is(end_of_keys, front) => End::Front,
            () if ctx.is(end_of_keys, back) => End::Back,
            () => return Err(SYNTAX),
        };
        let option = end_of_keys + 1;
        let count = match ctx.argc() - option {
            0 => 1,
            1 => return Err(SYNTAX),
            _ if !ctx.is(option, "count") => return Err(SYNTAX),
            n => {
                let count = ctx.int_from(option + 1, 1, "ERR count should be greater than 0")?;
                if n > 2 {
                    return Err(SYNTAX);
                }
                count as usize
            }
        };
        Ok(Query { first_key, end_of_keys, end, count })
    }
}

/// Pops from the first of the keys that holds a sorted set, answers and rewrites the command. Whether there was one.
pub(super) fn pop_first(ctx: &mut Ctx<'_>, query: &Query) -> Result<bool, CommandError> {
    for i in query.first_key..query.end_of_keys {
        let key = ctx.arg(i);
        let (db, reply) = ctx.db_and_reply();
        let Some(zset) = db.write_zset(key)? else { continue };
        let count = query.count.min(zset.len());
        reply.array(2);
        reply.bulk(key);
        reply.array(count);
        pop_many(zset, query.end, count, true, reply);
        let empty = zset.is_empty();
        popped(db, key, query.end, count, empty);
        ctx.propagate_as(&[name(query.end), key, itoa::Buffer::new().format(count).as_bytes()]);
        return Ok(true);
    }
    Ok(false)
}

fn zmpop(ctx: &mut Ctx<'_>) -> CommandResult {
    let query = Query::parse(ctx, 1, "min", "max")?;
    if !pop_first(ctx, &query)? {
        ctx.reply().null_array();
    }
    Ok(())
}
