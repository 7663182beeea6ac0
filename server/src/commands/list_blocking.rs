//! List commands that wait for an element: BLPOP, BRPOP, BLMPOP, BLMOVE, BRPOPLPUSH.

use super::list::popped;
use super::list_move::{Query, end, move_between, pop_first, pop_name};
use super::{Command, CommandResult, Ctx, Flags, Group, KeyUse, Keys};
use crate::data::list::End;

const POP: Flags = Flags::WRITE.union(Flags::BLOCKING);
const MOVE: Flags = Flags::WRITE.union(Flags::DENYOOM).union(Flags::BLOCKING);
/// Keys from the first argument to the last but one, which is the timeout.
const BEFORE_TIMEOUT: Keys = Keys::Range { first: 1, last: -2, step: 1 };

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("blpop", -3, Group::List, blpop)
        .flags(POP)
        .keys(BEFORE_TIMEOUT)
        .uses(&[KeyUse::TAKES])
        .doc("2.0.0", "Removes the first element of the first list that exists; waits for one if there is none."),
    Command::new("brpop", -3, Group::List, brpop)
        .flags(POP)
        .keys(BEFORE_TIMEOUT)
        .uses(&[KeyUse::TAKES])
        .doc("2.0.0", "Removes the last element of the first list that exists; waits for one if there is none."),
    Command::new("blmpop", -5, Group::List, blmpop)
        .flags(POP.union(Flags::MOVABLE_KEYS))
        .keys(Keys::Counted(2))
        .uses(&[KeyUse::TAKES])
        .doc("7.0.0", "Removes elements from an end of the first list that exists; waits for one if there is none."),
    Command::new("blmove", 6, Group::List, blmove)
        .flags(MOVE)
        .keys(Keys::FIRST_TWO)
        .uses(&[KeyUse::TAKES, KeyUse::INSERTS])
        .doc("6.2.0", "Moves an element from one list to another; waits for one if there is none."),
    Command::new("brpoplpush", 4, Group::List, brpoplpush)
        .flags(MOVE)
        .keys(Keys::FIRST_TWO)
        .uses(&[KeyUse::TAKES, KeyUse::INSERTS])
        .doc("2.2.0", "Moves the last element of a list to the front of another; waits for one if there is none."),
];

fn blpop(ctx: &mut Ctx<'_>) -> CommandResult {
    pop(ctx, End::Front)
}

fn brpop(ctx: &mut Ctx<'_>) -> CommandResult {
    pop(ctx, End::Back)
}

fn pop(ctx: &mut Ctx<'_>, end: End) -> CommandResult {
    let last = ctx.argc() - 1;
    let deadline = ctx.deadline(last)?;
    for i in 1..last {
        let key = ctx.arg(i);
        let (db, reply) = ctx.db_and_reply();
        let limits = db.limits();
        let Some(list) = db.write_list(key)? else { continue };
        reply.array(2);
        reply.bulk(key);
        list.pop_with(end, &limits, |elem| reply.elem(elem));
        let empty = list.is_empty();
        popped(db, key, end, 1, empty);
        ctx.propagate_as(&[pop_name(end), key]);
        return Ok(());
    }
    let keys: Vec<&[u8]> = (1..last).map(|i| ctx.arg(i)).collect();
    ctx.wait_for_keys(&keys, deadline);
    Ok(())
}

fn blmpop(ctx: &mut Ctx<'_>) -> CommandResult {
    let query = Query::parse(ctx, 2, "left", "right")?;
    let deadline = ctx.deadline(1)?;
    if !pop_first(ctx, &query)? {
        let keys: Vec<&[u8]> = (query.first_key..query.end_of_keys).map(|i| ctx.arg(i)).collect();
        ctx.wait_for_keys(&keys, deadline);
    }
    Ok(())
}

/// Waits for an element to move. The one reply that is not that of a timeout: where nothing may wait, it is a null by itself.
fn wait_for_source(ctx: &mut Ctx<'_>, deadline: Option<i64>) {
    if ctx.may_wait() {
        ctx.wait_for_keys(&[ctx.arg(1)], deadline);
    } else {
        ctx.reply().null();
    }
}

fn blmove(ctx: &mut Ctx<'_>) -> CommandResult {
    let (from, to) = (end(ctx, 3)?, end(ctx, 4)?);
    let deadline = ctx.deadline(5)?;
    if move_between(ctx, from, to)? {
        ctx.propagate_as(&[b"LMOVE", ctx.arg(1), ctx.arg(2), ctx.arg(3), ctx.arg(4)]);
    } else {
        wait_for_source(ctx, deadline);
    }
    Ok(())
}

fn brpoplpush(ctx: &mut Ctx<'_>) -> CommandResult {
    let deadline = ctx.deadline(3)?;
    if move_between(ctx, End::Back, End::Front)? {
        ctx.propagate_as(&[b"RPOPLPUSH", ctx.arg(1), ctx.arg(2)]);
    } else {
        wait_for_source(ctx, deadline);
    }
    Ok(())
}
