//! Moving elements between lists, and popping from the first of several: LMOVE, RPOPLPUSH, LMPOP.

use super::error::{CommandError, SYNTAX};
use super::list::{pop_many, popped, push_event};
use super::{Command, CommandResult, Ctx, Flags, Group, KeyUse, Keys};
use crate::config::NotifyEvents;
use crate::data::list::End;

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("lmove", 5, Group::List, lmove)
        .flags(Flags::WRITE.union(Flags::DENYOOM))
        .keys(Keys::FIRST_TWO)
        .uses(&[KeyUse::TAKES, KeyUse::INSERTS])
        .doc("6.2.0", "Moves an element from an end of a list to an end of another, and returns it."),
    Command::new("rpoplpush", 3, Group::List, rpoplpush)
        .flags(Flags::WRITE.union(Flags::DENYOOM))
        .keys(Keys::FIRST_TWO)
        .uses(&[KeyUse::TAKES, KeyUse::INSERTS])
        .doc("1.2.0", "Moves the last element of a list to the front of another, and returns it."),
    Command::new("lmpop", -4, Group::List, lmpop)
        .flags(Flags::WRITE.union(Flags::MOVABLE_KEYS))
        .keys(Keys::Counted(1))
        .uses(&[KeyUse::TAKES])
        .doc("7.0.0", "Removes elements from an end of the first list that exists, and returns them."),
];

/// The end that the argument at `i` names.
///
/// # Errors
/// A syntax error.
pub(super) fn end(ctx: &Ctx<'_>, i: usize) -> Result<End, CommandError> {
    match () {
        () if ctx.is(i, "left") => Ok(End::Front),
        () if ctx.is(i, "right") => Ok(End::Back),
        () => Err(SYNTAX),
    }
}

/// Moves an element between the lists named by the first two arguments and answers with it. False, and no answer, if there is no
/// list to take it from.
///
/// # Errors
/// If one of the keys holds another type.
pub(super) fn move_between(ctx: &mut Ctx<'_>, from: End, to: End) -> Result<bool, CommandError> {
    let (source, target) = (ctx.arg(1), ctx.arg(2));
    let (db, reply) = ctx.db_and_reply();
    let limits = db.limits();
    if db.write_list(source)?.is_none() {
        return Ok(false);
    }
    db.write_list(target)?;
    let Some(list) = db.write_list(source)? else { return Ok(false) };
    let Some(elem) = list.pop(from, &limits) else { return Ok(false) };
    let empty = list.is_empty() && source != target;
    db.list_or_new(target)?.push(to, &elem, &limits);
    reply.bulk(&elem);
    db.touched(target);
    db.notify(NotifyEvents::LIST, push_event(to), target);
    popped(db, source, from, 1, empty);
    Ok(true)
}

fn lmove(ctx: &mut Ctx<'_>) -> CommandResult {
    let (from, to) = (end(ctx, 3)?, end(ctx, 4)?);
    if !move_between(ctx, from, to)? {
        ctx.reply().null();
    }
    Ok(())
}

fn rpoplpush(ctx: &mut Ctx<'_>) -> CommandResult {
    if !move_between(ctx, End::Back, End::Front)? {
        ctx.reply().null();
    }
    Ok(())
}

/// What LMPOP, ZMPOP and their blocking forms ask for.
pub(super) struct Query {
    /// Index of the first key.
    pub first_key: usize,
    /// Index behind the last key.
    pub end_of_keys: usize,
    /// From where to pop.
    pub end: End,
    /// How many to pop at most.
    pub count: usize,
}

impl Query {
    /// Reads `numkeys key … FRONT|BACK [COUNT n]` from the argument at `at` on, where `front` and `back` name the ends.
    ///
    /// # Errors
    /// Valkey's texts.
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

/// The name under which replicas are told of a pop.
pub(super) fn pop_name(end: End) -> &'static [u8] {
    if end == End::Front { b"LPOP" } else { b"RPOP" }
}

/// Pops from the first of the keys that holds a list, answers and rewrites the command. Whether there was one.
///
/// # Errors
/// If a key holds another type.
pub(super) fn pop_first(ctx: &mut Ctx<'_>, query: &Query) -> Result<bool, CommandError> {
    for i in query.first_key..query.end_of_keys {
        let key = ctx.arg(i);
        let (db, reply) = ctx.db_and_reply();
        let limits = db.limits();
        let Some(list) = db.write_list(key)? else { continue };
        reply.array(2);
        reply.bulk(key);
        let count = pop_many(list, query.end, query.count, &limits, reply);
        let empty = list.is_empty();
        popped(db, key, query.end, count, empty);
        ctx.propagate_as(&[pop_name(query.end), key, itoa::Buffer::new().format(count).as_bytes()]);
        return Ok(true);
    }
    Ok(false)
}

fn lmpop(ctx: &mut Ctx<'_>) -> CommandResult {
    let query = Query::parse(ctx, 1, "left", "right")?;
    if !pop_first(ctx, &query)? {
        ctx.reply().null_array();
    }
    Ok(())
}
