//! Sorted set commands that wait for a member: BZPOPMIN, BZPOPMAX, BZMPOP.

use super::list_move::Query;
use super::zset_pop::{name, pop_first, pop_many, popped};
use super::{Command, CommandResult, Ctx, Flags, Group, KeyUse, Keys};
use crate::data::list::End;

const POP: Flags = Flags::WRITE.union(Flags::BLOCKING);
/// Keys from the first argument to the last but one, which is the timeout.
const BEFORE_TIMEOUT: Keys = Keys::Range { first: 1, last: -2, step: 1 };

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("bzpopmin", -3, Group::SortedSet, bzpopmin)
        .flags(POP.union(Flags::FAST))
        .keys(BEFORE_TIMEOUT)
        .uses(&[KeyUse::TAKES])
        .doc("5.0.0", "Removes the member with the lowest score from the first sorted set that exists; waits for one."),
    Command::new("bzpopmax", -3, Group::SortedSet, bzpopmax)
        .flags(POP.union(Flags::FAST))
        .keys(BEFORE_TIMEOUT)
        .uses(&[KeyUse::TAKES])
        .doc(
            "5.0.0",
            "Removes the member with the highest score from the first sorted set that exists; waits for one.",
        ),
    Command::new("bzmpop", -5, Group::SortedSet, bzmpop)
        .flags(POP.union(Flags::MOVABLE_KEYS))
        .keys(Keys::Counted(2))
        .uses(&[KeyUse::TAKES])
        .doc(
            "7.0.0",
            "Removes members from the first sorted set that exists, by score; waits for one if there is none.",
        ),
];

fn bzpopmin(ctx: &mut Ctx<'_>) -> CommandResult {
    pop(ctx, End::Front)
}

fn bzpopmax(ctx: &mut Ctx<'_>) -> CommandResult {
    pop(ctx, End::Back)
}

fn pop(ctx: &mut Ctx<'_>, end: End) -> CommandResult {
    let last = ctx.argc() - 1;
    let deadline = ctx.deadline(last)?;
    for i in 1..last {
        let key = ctx.arg(i);
        let (db, reply) = ctx.db_and_reply();
        let Some(zset) = db.write_zset(key)? else { continue };
        reply.array(3);
        reply.bulk(key);
        pop_many(zset, end, 1, false, reply);
        let empty = zset.is_empty();
        popped(db, key, end, 1, empty);
        ctx.propagate_as(&[name(end), key]);
        return Ok(());
    }
    let keys: Vec<&[u8]> = (1..last).map(|i| ctx.arg(i)).collect();
    ctx.wait_for_keys(&keys, deadline);
    Ok(())
}

fn bzmpop(ctx: &mut Ctx<'_>) -> CommandResult {
    let query = Query::parse(ctx, 2, "min", "max")?;
    let deadline = ctx.deadline(1)?;
    if !pop_first(ctx, &query)? {
        let keys: Vec<&[u8]> = (query.first_key..query.end_of_keys).map(|i| ctx.arg(i)).collect();
        ctx.wait_for_keys(&keys, deadline);
    }
    Ok(())
}
