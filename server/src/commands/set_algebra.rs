//! Sets made of several: SINTER, SUNION, SDIFF, their storing forms, and SINTERCARD.

use super::error::{CommandError, SYNTAX};
use super::set::store;
use super::{Command, CommandResult, Ctx, Flags, Group, KeyUse, Keys};
use crate::config::NotifyEvents;
use crate::data::elem::Elem;
use crate::data::limits::Limits;
use crate::data::set::{Set, SetRef};
use crate::keyspace::{Db, WrongType};
use crate::resp::{Argv, ReplyBuf};
use std::ops::Range;

const STORE: Flags = Flags::WRITE.union(Flags::DENYOOM);

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("sinter", -2, Group::Set, sinter)
        .flags(Flags::READONLY)
        .keys(Keys::ALL)
        .doc("1.0.0", "Returns the members that several sets have in common."),
    Command::new("sinterstore", -3, Group::Set, sinterstore)
        .flags(STORE)
        .keys(Keys::ALL)
        .uses(&[KeyUse::OVERWRITES, KeyUse::READS])
        .doc("1.0.0", "Stores the members that several sets have in common under another key."),
    Command::new("sintercard", -3, Group::Set, sintercard)
        .flags(Flags::READONLY.union(Flags::MOVABLE_KEYS))
        .keys(Keys::Counted(1))
        .doc("7.0.0", "Returns how many members several sets have in common."),
    Command::new("sunion", -2, Group::Set, sunion)
        .flags(Flags::READONLY)
        .keys(Keys::ALL)
        .doc("1.0.0", "Returns the members of several sets."),
    Command::new("sunionstore", -3, Group::Set, sunionstore)
        .flags(STORE)
        .keys(Keys::ALL)
        .uses(&[KeyUse::OVERWRITES, KeyUse::READS])
        .doc("1.0.0", "Stores the members of several sets under another key."),
    Command::new("sdiff", -2, Group::Set, sdiff)
        .flags(Flags::READONLY)
        .keys(Keys::ALL)
        .doc("1.0.0", "Returns the members of a set that none of several others has."),
    Command::new("sdiffstore", -3, Group::Set, sdiffstore)
        .flags(STORE)
        .keys(Keys::ALL)
        .uses(&[KeyUse::OVERWRITES, KeyUse::READS])
        .doc("1.0.0", "Stores the members of a set that none of several others has under another key."),
];

/// The sets of some keys, `None` for a key that does not exist.
fn sets<'a>(db: &'a mut Db, argv: Argv<'_>, keys: Range<usize>) -> Result<Vec<Option<&'a Set>>, WrongType> {
    // First each is looked up as a reader does; then all are held at the same time.
    for i in keys.clone() {
        db.read_set(argv.get(i))?;
    }
    let db = &*db;
    keys.map(|i| db.get_set(argv.get(i))).collect()
}

/// The members that all sets have.
fn intersection<'a>(sets: Vec<Option<&'a Set>>) -> impl Iterator<Item = Elem<'a>> {
    // Without one of the sets there is none. The smallest is gone through, and the smallest of the others asked first.
    let mut sets: Vec<&Set> = sets.into_iter().collect::<Option<_>>().unwrap_or_default();
    sets.sort_by_key(|set| set.len());
    let first = sets.first().copied();
    sets.retain(|set| first.is_some_and(|first| !std::ptr::eq(first, *set)));
    first.into_iter().flat_map(Set::iter).filter(move |member| sets.iter().all(|set| set.contains_elem(*member)))
}

fn sinter(ctx: &mut Ctx<'_>) -> CommandResult {
    let argv = ctx.argv;
    let (db, reply) = ctx.db_and_reply();
    let members = intersection(sets(db, argv, 1..argv.len())?);
    reply.deferred(ReplyBuf::set, |reply| members.map(|member| reply.elem(member)).count());
    Ok(())
}

fn sintercard(ctx: &mut Ctx<'_>) -> CommandResult {
    let argv = ctx.argv;
    let keys = ctx.int_from(1, 1, "ERR numkeys should be greater than 0")? as usize;
    if keys > argv.len() - 2 {
        return Err(CommandError::fixed("ERR Number of keys can't be greater than number of args"));
    }
    let end = 2 + keys;
    let mut limit = 0;
    for i in (end..argv.len()).step_by(2) {
        if !ctx.is(i, "limit") || i + 1 == argv.len() {
            return Err(SYNTAX);
        }
        limit = ctx.int_from(i + 1, 0, "ERR LIMIT can't be negative")? as usize;
    }
    let members = intersection(sets(ctx.db(), argv, 2..end)?);
    let n = members.take(if limit == 0 { usize::MAX } else { limit }).count();
    ctx.reply().int(n as i64);
    Ok(())
}

/// Stores what `make` makes of the sets named from the second argument on under the first, and answers with its size.
fn store_result(
    ctx: &mut Ctx<'_>,
    event: &'static str,
    make: impl FnOnce(Vec<Option<&Set>>, &Limits) -> Set,
) -> CommandResult {
    let argv = ctx.argv;
    let (db, reply) = ctx.db_and_reply();
    let limits = db.limits();
    let result = make(sets(db, argv, 2..argv.len())?, &limits);
    reply.int(result.len() as i64);
    store(db, argv.get(1), (!result.is_empty()).then_some(result), NotifyEvents::SET, event);
    Ok(())
}

fn sinterstore(ctx: &mut Ctx<'_>) -> CommandResult {
    store_result(ctx, "sinterstore", |sets, limits| {
        let mut result = Set::new();
        intersection(sets).for_each(|member| {
            result.add_elem(member, limits);
        });
        result.compact_ints(limits);
        result
    })
}

/// Adds the members of all sets to `result`.
fn unite(sets: &[Option<&Set>], mut result: Set, limits: &Limits) -> Set {
    for member in sets.iter().flatten().flat_map(|set| set.iter()) {
        result.add_elem(member, limits);
    }
    result
}

fn sunion(ctx: &mut Ctx<'_>) -> CommandResult {
    let argv = ctx.argv;
    let (db, reply) = ctx.db_and_reply();
    let limits = db.limits();
    let sets = sets(db, argv, 1..argv.len())?;
    let result = unite(&sets, scratch(&sets), &limits);
    reply.set(result.len());
    result.iter().for_each(|member| reply.elem(member));
    Ok(())
}

fn sunionstore(ctx: &mut Ctx<'_>) -> CommandResult {
    store_result(ctx, "sunionstore", |sets, limits| unite(&sets, Set::new(), limits))
}

/// An empty set to collect members of these sets in: a table, which is quick to search, unless an intset will do.
fn scratch(sets: &[Option<&Set>]) -> Set {
    if sets.iter().flatten().all(|set| matches!(set.stored(), SetRef::Intset(_))) {
        Set::new()
    } else {
        Set::table_for(sets.iter().flatten().map(|set| set.len()).max().unwrap_or(0))
    }
}

/// The members of the first set that none of the others has, collected in `result`, which is empty.
fn subtract(sets: Vec<Option<&Set>>, mut result: Set, limits: &Limits) -> Set {
    let Some((Some(first), others)) = sets.split_first() else { return result };
    let mut others: Vec<&Set> = others.iter().flatten().copied().collect();
    if others.iter().any(|set| std::ptr::eq(*first, *set)) {
        return result;
    }
    // Either each member is looked for in the others, which ends with the first that has it and so deserves preference, or the
    // others are gone through and their members removed.
    let lookups = first.len() * (others.len() + 1) / 2;
    let removals = first.len() + others.iter().map(|set| set.len()).sum::<usize>();
    if lookups <= removals {
        others.sort_by_key(|set| std::cmp::Reverse(set.len()));
        for member in first.iter().filter(|member| !others.iter().any(|set| set.contains_elem(*member))) {
            result.add_elem(member, limits);
        }
        return result;
    }
    result = unite(&sets[..1], result, limits);
    for set in others {
        if result.is_empty() {
            break;
        }
        set.iter().for_each(|member| {
            result.remove_elem(member);
        });
    }
    result
}

fn sdiff(ctx: &mut Ctx<'_>) -> CommandResult {
    let argv = ctx.argv;
    let (db, reply) = ctx.db_and_reply();
    let limits = db.limits();
    let sets = sets(db, argv, 1..argv.len())?;
    let result = scratch(&sets[..1]);
    let result = subtract(sets, result, &limits);
    reply.set(result.len());
    result.iter().for_each(|member| reply.elem(member));
    Ok(())
}

fn sdiffstore(ctx: &mut Ctx<'_>) -> CommandResult {
    store_result(ctx, "sdiffstore", |sets, limits| subtract(sets, Set::new(), limits))
}
