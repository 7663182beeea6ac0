//! Lists: pushing, popping, reading, and changing elements in place.

use std::ops::Range;

use super::error::{CommandError, INDEX_OUT_OF_RANGE, NO_SUCH_KEY, NOT_POSITIVE, SYNTAX, wrong_arity};
use super::{Command, CommandResult, Ctx, Flags, Group, KeyUse, Keys};
use crate::config::NotifyEvents;
use crate::data::elem::Elem;
use crate::data::limits::Limits;
use crate::data::list::{End, List};
use crate::keyspace::Db;
use crate::resp::ReplyBuf;

const PUSH: Flags = Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST);
const CHANGE: Flags = Flags::WRITE.union(Flags::DENYOOM);

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("lpush", -3, Group::List, lpush)
        .flags(PUSH)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::INSERTS])
        .doc("1.0.0", "Puts elements before the first of a list, which is made if need be."),
    Command::new("rpush", -3, Group::List, rpush)
        .flags(PUSH)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::INSERTS])
        .doc("1.0.0", "Puts elements behind the last of a list, which is made if need be."),
    Command::new("lpushx", -3, Group::List, lpushx)
        .flags(PUSH)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::INSERTS])
        .doc("2.2.0", "Puts elements before the first of a list if the list exists."),
    Command::new("rpushx", -3, Group::List, rpushx)
        .flags(PUSH)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::INSERTS])
        .doc("2.2.0", "Puts elements behind the last of a list if the list exists."),
    Command::new("lpop", -2, Group::List, lpop)
        .flags(Flags::WRITE.union(Flags::FAST))
        .keys(Keys::FIRST)
        .uses(&[KeyUse::TAKES])
        .doc("1.0.0", "Removes the first element of a list, or the first few, and returns them."),
    Command::new("rpop", -2, Group::List, rpop)
        .flags(Flags::WRITE.union(Flags::FAST))
        .keys(Keys::FIRST)
        .uses(&[KeyUse::TAKES])
        .doc("1.0.0", "Removes the last element of a list, or the last few, and returns them."),
    Command::new("llen", 2, Group::List, llen)
        .flags(Flags::READONLY.union(Flags::FAST))
        .keys(Keys::FIRST)
        .uses(&[KeyUse::LOOKS])
        .doc("1.0.0", "Returns the length of a list."),
    Command::new("lindex", 3, Group::List, lindex)
        .flags(Flags::READONLY)
        .keys(Keys::FIRST)
        .doc("1.0.0", "Returns the element of a list that has an index."),
    Command::new("lrange", 4, Group::List, lrange)
        .flags(Flags::READONLY)
        .keys(Keys::FIRST)
        .doc("1.0.0", "Returns the elements of a list between two indexes."),
    Command::new("lset", 4, Group::List, lset)
        .flags(CHANGE)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::UPDATES])
        .doc("1.0.0", "Replaces the element of a list that has an index."),
    Command::new("linsert", 5, Group::List, linsert)
        .flags(CHANGE)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::INSERTS])
        .doc("2.2.0", "Inserts an element into a list before or after another one."),
    Command::new("ltrim", 4, Group::List, ltrim)
        .flags(Flags::WRITE)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::DELETES])
        .doc("1.0.0", "Removes the elements of a list that are not between two indexes."),
    Command::new("lrem", 4, Group::List, lrem)
        .flags(Flags::WRITE)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::DELETES])
        .doc("1.0.0", "Removes the elements of a list that equal a text, or some of them."),
    Command::new("lpos", -3, Group::List, lpos)
        .flags(Flags::READONLY)
        .keys(Keys::FIRST)
        .doc("6.0.6", "Returns the index of an element that equals a text, or of several."),
];

/// The part of `0..len` from one index to another, both included; negative ones count from the end.
pub(super) fn clamp(start: i64, end: i64, len: usize) -> Range<usize> {
    let from_front = |index: i64| if index < 0 { index.saturating_add(len as i64) } else { index };
    let start = from_front(start).max(0) as usize;
    let end = (from_front(end).saturating_add(1).max(0) as usize).min(len);
    start.min(end)..end
}

/// The place of an index that may be negative, if there is one.
fn place(index: i64, len: usize) -> Option<usize> {
    usize::try_from(if index < 0 { index.checked_add(len as i64)? } else { index }).ok().filter(|at| *at < len)
}

/// The names of what happens at an end: the events of pushing and popping.
pub(super) fn push_event(end: End) -> &'static str {
    if end == End::Front { "lpush" } else { "rpush" }
}

/// Tells that `count` elements were popped from an end, and deletes the list if it is empty now.
pub(super) fn popped(db: &mut Db, key: &[u8], end: End, count: usize, empty: bool) {
    db.modified(key, NotifyEvents::LIST, if end == End::Front { "lpop" } else { "rpop" });
    db.add_dirty(count as u64 - 1);
    if empty {
        db.delete_if_empty(key);
    }
}

/// Removes up to `count` elements from an end after having answered with them, the outermost first. How many.
pub(super) fn pop_many(list: &mut List, end: End, count: usize, limits: &Limits, reply: &mut ReplyBuf) -> usize {
    let count = count.min(list.len());
    let start = if end == End::Front { 0 } else { list.len() - count };
    reply.array(count);
    let elements = list.range(start, count);
    if end == End::Front {
        elements.for_each(|elem| reply.elem(elem));
    } else {
        elements.rev().for_each(|elem| reply.elem(elem));
    }
    list.remove_range(start, count, limits);
    count
}

fn lpush(ctx: &mut Ctx<'_>) -> CommandResult {
    push(ctx, End::Front, true)
}

fn rpush(ctx: &mut Ctx<'_>) -> CommandResult {
    push(ctx, End::Back, true)
}

fn lpushx(ctx: &mut Ctx<'_>) -> CommandResult {
    push(ctx, End::Front, false)
}

fn rpushx(ctx: &mut Ctx<'_>) -> CommandResult {
    push(ctx, End::Back, false)
}

fn push(ctx: &mut Ctx<'_>, end: End, make: bool) -> CommandResult {
    let (key, elements) = (ctx.arg(1), ctx.argv.iter().skip(2));
    let (db, reply) = ctx.db_and_reply();
    let limits = db.limits();
    let list = if make { Some(db.list_or_new(key)?) } else { db.write_list(key)? };
    let Some(list) = list else {
        reply.int(0);
        return Ok(());
    };
    let added = elements.len();
    list.push_all(end, elements, &limits);
    reply.int(list.len() as i64);
    db.modified(key, NotifyEvents::LIST, push_event(end));
    db.add_dirty(added as u64 - 1);
    Ok(())
}

fn lpop(ctx: &mut Ctx<'_>) -> CommandResult {
    pop(ctx, End::Front)
}

fn rpop(ctx: &mut Ctx<'_>) -> CommandResult {
    pop(ctx, End::Back)
}

fn pop(ctx: &mut Ctx<'_>, end: End) -> CommandResult {
    if ctx.argc() > 3 {
        return Err(wrong_arity(&ctx.row.full_name));
    }
    let count = if ctx.argc() == 3 { Some(ctx.natural(2).map_err(|_| NOT_POSITIVE)?) } else { None };
    let key = ctx.arg(1);
    let (db, reply) = ctx.db_and_reply();
    let limits = db.limits();
    let Some(list) = db.write_list(key)? else {
        if count.is_some() {
            reply.null_array()
        } else {
            reply.null()
        }
        return Ok(());
    };
    let count = match count {
        None => {
            list.pop_with(end, &limits, |elem| reply.elem(elem));
            1
        }
        Some(0) => {
            reply.array(0);
            return Ok(());
        }
        Some(count) => pop_many(list, end, count, &limits, reply),
    };
    let empty = list.is_empty();
    popped(db, key, end, count, empty);
    Ok(())
}

fn llen(ctx: &mut Ctx<'_>) -> CommandResult {
    let key = ctx.arg(1);
    let len = ctx.db().read_list(key)?.map_or(0, List::len);
    ctx.reply().int(len as i64);
    Ok(())
}

fn lindex(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, index) = (ctx.arg(1), ctx.int(2));
    let (db, reply) = ctx.db_and_reply();
    let Some(list) = db.read_list(key)? else {
        reply.null();
        return Ok(());
    };
    match place(index?, list.len()).and_then(|at| list.get(at)) {
        Some(elem) => reply.elem(elem),
        None => reply.null(),
    }
    Ok(())
}

fn lrange(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, start, end) = (ctx.arg(1), ctx.int(2)?, ctx.int(3)?);
    let (db, reply) = ctx.db_and_reply();
    let Some(list) = db.read_list(key)? else {
        reply.array(0);
        return Ok(());
    };
    let range = clamp(start, end, list.len());
    reply.array(range.len());
    list.range(range.start, range.len()).for_each(|elem| reply.elem(elem));
    Ok(())
}

fn lset(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, index, elem) = (ctx.arg(1), ctx.int(2), ctx.arg(3));
    let db = ctx.db();
    let limits = db.limits();
    let list = db.write_list(key)?.ok_or(NO_SUCH_KEY)?;
    let at = place(index?, list.len()).ok_or(INDEX_OUT_OF_RANGE)?;
    list.set(at, elem, &limits);
    db.modified(key, NotifyEvents::LIST, "lset");
    ctx.reply().ok();
    Ok(())
}

fn linsert(ctx: &mut Ctx<'_>) -> CommandResult {
    let after = match () {
        () if ctx.is(2, "after") => 1,
        () if ctx.is(2, "before") => 0,
        () => return Err(SYNTAX),
    };
    let (key, pivot, elem) = (ctx.arg(1), ctx.arg(3), ctx.arg(4));
    let (db, reply) = ctx.db_and_reply();
    let limits = db.limits();
    let Some(list) = db.write_list(key)? else {
        reply.int(0);
        return Ok(());
    };
    let Some(at) = list.position(pivot) else {
        reply.int(-1);
        return Ok(());
    };
    list.insert(at + after, elem, &limits);
    reply.int(list.len() as i64);
    db.modified(key, NotifyEvents::LIST, "linsert");
    Ok(())
}

fn ltrim(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, start, end) = (ctx.arg(1), ctx.int(2)?, ctx.int(3)?);
    let (db, reply) = ctx.db_and_reply();
    let limits = db.limits();
    let list = db.write_list(key)?;
    reply.ok();
    let Some(list) = list else { return Ok(()) };
    let before = list.len();
    let keep = clamp(start, end, before);
    list.remove_range(keep.end, before - keep.end, &limits);
    list.remove_range(0, keep.start, &limits);
    // Notified even if nothing had to go; only a change counts, is propagated, and ends a WATCH.
    if keep.len() < before {
        db.touched(key);
    }
    db.notify(NotifyEvents::LIST, "ltrim", key);
    db.add_dirty((before - keep.len()) as u64);
    if keep.is_empty() {
        db.delete_if_empty(key);
    }
    Ok(())
}

fn lrem(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, count, elem) = (ctx.arg(1), ctx.signed(2)?, ctx.arg(3));
    let (db, reply) = ctx.db_and_reply();
    let limits = db.limits();
    let Some(list) = db.write_list(key)? else {
        reply.int(0);
        return Ok(());
    };
    let from = if count < 0 { End::Back } else { End::Front };
    let removed = list.remove_equal(elem, count.unsigned_abs() as usize, from, &limits);
    reply.int(removed as i64);
    if removed > 0 {
        let empty = list.is_empty();
        db.modified(key, NotifyEvents::LIST, "lrem");
        db.add_dirty(removed as u64 - 1);
        if empty {
            db.delete_if_empty(key);
        }
    }
    Ok(())
}

/// What LPOS looks for.
struct Search {
    /// The how many-th match is the first of interest.
    rank: usize,
    from: End,
    /// Matches to return, 0 for all; without it one is returned by itself.
    count: Option<usize>,
    /// Elements to look at.
    limit: usize,
}

impl Search {
    fn parse(ctx: &Ctx<'_>) -> Result<Search, CommandError> {
        let mut search = Search { rank: 1, from: End::Front, count: None, limit: usize::MAX };
        for i in (3..ctx.argc()).step_by(2) {
            if i + 1 == ctx.argc() {
                return Err(SYNTAX);
            } else if ctx.is(i, "rank") {
                let rank = ctx.signed(i + 1)?;
                if rank == 0 {
                    return Err(CommandError::fixed(
                        "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list",
                    ));
                }
                search.rank = rank.unsigned_abs() as usize;
                search.from = if rank < 0 { End::Back } else { End::Front };
            } else if ctx.is(i, "count") {
                search.count = Some(ctx.int_from(i + 1, 0, "ERR COUNT can't be negative")? as usize);
            } else if ctx.is(i, "maxlen") {
                let limit = ctx.int_from(i + 1, 0, "ERR MAXLEN can't be negative")? as usize;
                search.limit = if limit == 0 { usize::MAX } else { limit };
            } else {
                return Err(SYNTAX);
            }
        }
        Ok(search)
    }

    /// The indexes of matches, the first of interest and those behind it.
    fn run<'a>(&self, list: &'a List, elem: &'a [u8]) -> impl Iterator<Item = usize> + use<'a> {
        let len = list.len();
        let seen = self.limit.min(len);
        let back = self.from == End::Back;
        let mut elements = list.range(if back { len - seen } else { 0 }, seen);
        let needle = Elem::parse(elem);
        (0..seen)
            .filter(move |_| (if back { elements.next_back() } else { elements.next() }) == Some(needle))
            .map(move |at| if back { len - 1 - at } else { at })
            .skip(self.rank - 1)
    }
}

fn lpos(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, elem) = (ctx.arg(1), ctx.arg(2));
    let search = Search::parse(ctx)?;
    let (db, reply) = ctx.db_and_reply();
    let list = db.read_list(key)?;
    let mut matches = list.into_iter().flat_map(|list| search.run(list, elem));
    match search.count {
        None => match matches.next() {
            Some(at) => reply.int(at as i64),
            None => reply.null(),
        },
        Some(count) => {
            let count = if count == 0 { usize::MAX } else { count };
            reply.deferred(ReplyBuf::array, |reply| matches.take(count).map(|at| reply.int(at as i64)).count());
        }
    }
    Ok(())
}
