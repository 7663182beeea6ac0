//! Popping members of sorted sets by score: ZPOPMIN, ZPOPMAX, ZMPOP.

use super::error::{CommandError, NOT_POSITIVE, SYNTAX};
use super::list_move::Query;
use super::zset::removed;
use super::{Command, CommandResult, Ctx, Flags, Group, KeyUse, Keys};
use crate::data::list::End;
use crate::data::zset::Zset;
use crate::keyspace::Db;
use crate::resp::ReplyBuf;

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("zpopmin", -2, Group::SortedSet, zpopmin)
        .flags(Flags::WRITE.union(Flags::FAST))
        .keys(Keys::FIRST)
        .uses(&[KeyUse::TAKES])
        .doc("5.0.0", "Removes the members with the lowest scores from a sorted set and returns them."),
    Command::new("zpopmax", -2, Group::SortedSet, zpopmax)
        .flags(Flags::WRITE.union(Flags::FAST))
        .keys(Keys::FIRST)
        .uses(&[KeyUse::TAKES])
        .doc("5.0.0", "Removes the members with the highest scores from a sorted set and returns them."),
    Command::new("zmpop", -4, Group::SortedSet, zmpop)
        .flags(Flags::WRITE.union(Flags::MOVABLE_KEYS))
        .keys(Keys::Counted(1))
        .uses(&[KeyUse::TAKES])
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
        3 => Some(ctx.natural(2).map_err(|_| NOT_POSITIVE)?),
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
