//! Sorted sets: adding and removing members, scores and ranks.

use super::error::{CommandError, SYNTAX, wrong_arity};
use super::{Command, CommandResult, Ctx, Flags, Group, KeyUse, Keys};
use crate::config::NotifyEvents;
use crate::data::value::{Value, ValueMut};
use crate::data::zset::{Change, Zset};
use crate::keyspace::{Db, WrongType};
use crate::resp::ReplyBuf;

const CHANGE: Flags = Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST);
const READ: Flags = Flags::READONLY.union(Flags::FAST);

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("zadd", -4, Group::SortedSet, zadd)
        .flags(CHANGE)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::UPDATES])
        .doc("1.2.0", "Adds members with scores to a sorted set, or changes their scores."),
    Command::new("zincrby", 4, Group::SortedSet, zincrby)
        .flags(CHANGE)
        .keys(Keys::FIRST)
        .doc("1.2.0", "Adds to the score of a member of a sorted set."),
    Command::new("zrem", -3, Group::SortedSet, zrem)
        .flags(Flags::WRITE.union(Flags::FAST))
        .keys(Keys::FIRST)
        .uses(&[KeyUse::DELETES])
        .doc("1.2.0", "Removes members from a sorted set."),
    Command::new("zcard", 2, Group::SortedSet, zcard)
        .flags(READ)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::LOOKS])
        .doc("1.2.0", "Returns the number of members of a sorted set."),
    Command::new("zscore", 3, Group::SortedSet, zscore)
        .flags(READ)
        .keys(Keys::FIRST)
        .doc("1.2.0", "Returns the score of a member of a sorted set."),
    Command::new("zmscore", -3, Group::SortedSet, zmscore)
        .flags(READ)
        .keys(Keys::FIRST)
        .doc("6.2.0", "Returns the scores of several members of a sorted set."),
    Command::new("zrank", -3, Group::SortedSet, zrank)
        .flags(READ)
        .keys(Keys::FIRST)
        .doc("2.0.0", "Returns the rank of a member of a sorted set, counted from the lowest score."),
    Command::new("zrevrank", -3, Group::SortedSet, zrevrank)
        .flags(READ)
        .keys(Keys::FIRST)
        .doc("2.0.0", "Returns the rank of a member of a sorted set, counted from the highest score."),
];

/// What ZADD does with members that are there, and with those that are not.
#[derive(Clone, Copy, Default)]
pub(super) struct Options {
    /// `NX`: changes no score.
    pub(super) only_new: bool,
    /// `XX`: adds no member.
    pub(super) only_old: bool,
    /// `GT`: raises scores only.
    only_greater: bool,
    /// `LT`: lowers scores only.
    only_less: bool,
    /// `CH`: answers with the number of changes.
    pub(super) count_changes: bool,
    /// `INCR`: adds to the score.
    add: bool,
}

impl Options {
    /// Reads options from index 2 on; returns the index behind them.
    fn parse(&mut self, ctx: &Ctx<'_>) -> Result<usize, CommandError> {
        let mut at = 2;
        while at < ctx.argc() {
            let option = match ctx.arg(at).len() {
                2 if ctx.is(at, "nx") => &mut self.only_new,
                2 if ctx.is(at, "xx") => &mut self.only_old,
                2 if ctx.is(at, "gt") => &mut self.only_greater,
                2 if ctx.is(at, "lt") => &mut self.only_less,
                2 if ctx.is(at, "ch") => &mut self.count_changes,
                4 if ctx.is(at, "incr") => &mut self.add,
                _ => break,
            };
            *option = true;
            at += 1;
        }
        let rest = ctx.argc() - at;
        if rest == 0 || !rest.is_multiple_of(2) {
            return Err(SYNTAX);
        }
        if self.only_new && self.only_old {
            return Err(CommandError::fixed("ERR XX and NX options at the same time are not compatible"));
        }
        if (self.only_greater && self.only_less) || (self.only_new && (self.only_greater || self.only_less)) {
            return Err(CommandError::fixed("ERR GT, LT, and/or NX options at the same time are not compatible"));
        }
        if self.add && rest > 2 {
            return Err(CommandError::fixed("ERR INCR option supports a single increment-element pair"));
        }
        Ok(at)
    }

    /// The score to give to a member that has `old`, if any.
    fn decide(self, old: Option<f64>, given: f64) -> Option<f64> {
        match old {
            None => (!self.only_old).then_some(given),
            Some(_) if self.only_new => None,
            Some(old) => {
                let score = if self.add { old + given } else { given };
                let refused = (self.only_greater && score <= old) || (self.only_less && score >= old);
                (!refused).then_some(score)
            }
        }
    }
}

/// The sorted set of a key to be changed; if there is none, one for `n` members of up to `longest` bytes.
fn zset_for<'a>(db: &'a mut Db, key: &[u8], n: usize, longest: usize) -> Result<&'a mut Zset, WrongType> {
    let limits = db.limits();
    let (entry, new) = db.write_or_insert(key, || Value::Zset(Zset::for_members(n, longest, &limits)));
    let ValueMut::Zset(zset) = entry.value_mut() else { return Err(WrongType) };
    if !new {
        zset.reserve(n, longest, &limits);
    }
    Ok(zset)
}

fn zadd(ctx: &mut Ctx<'_>) -> CommandResult {
    add(ctx, Options::default())
}

fn zincrby(ctx: &mut Ctx<'_>) -> CommandResult {
    add(ctx, Options { add: true, ..Options::default() })
}

fn add(ctx: &mut Ctx<'_>, mut options: Options) -> CommandResult {
    let first = options.parse(ctx)?;
    let argv = ctx.argv;
    let n = (argv.len() - first) / 2;
    // All scores are read before anything changes. One needs no room of its own.
    let (one, many);
    let scores: &[f64] = if n == 1 {
        one = [ctx.float(first)?];
        &one
    } else {
        many = (0..n).map(|i| ctx.float(first + 2 * i)).collect::<Result<Vec<f64>, _>>()?;
        &many
    };
    add_members(ctx, options, scores, argv.iter().skip(first + 1).step_by(2))
}

/// Gives members their scores, as the options allow, and answers.
pub(super) fn add_members<'a>(
    ctx: &mut Ctx<'a>,
    options: Options,
    scores: &[f64],
    members: impl Iterator<Item = &'a [u8]> + Clone,
) -> CommandResult {
    let (key, n) = (ctx.arg(1), scores.len());
    let (db, reply) = ctx.db_and_reply();
    let limits = db.limits();
    if options.only_old && db.write_zset(key)?.is_none() {
        if options.add {
            reply.null()
        } else {
            reply.int(0)
        }
        return Ok(());
    }
    let longest = members.clone().map(<[u8]>::len).max().unwrap_or(0);
    let zset = zset_for(db, key, n, longest)?;
    let (mut added, mut updated, mut result) = (0, 0, None);
    for (member, given) in members.zip(scores) {
        let change = zset.update(member, &limits, |old| {
            result = options.decide(old, *given);
            result
        });
        added += u64::from(change == Change::Added);
        updated += u64::from(change == Change::Updated);
    }
    if result.is_some_and(f64::is_nan) {
        return Err(CommandError::fixed("ERR resulting score is not a number (NaN)"));
    }
    match (options.add, result) {
        (true, Some(score)) => reply.double(score),
        (true, None) => reply.null(),
        (false, _) => reply.int((if options.count_changes { added + updated } else { added }) as i64),
    }
    if added + updated > 0 {
        db.modified(key, NotifyEvents::ZSET, if options.add { "zincr" } else { "zadd" });
        db.add_dirty(added + updated - 1);
    }
    Ok(())
}

/// Tells that members were removed, and deletes the sorted set if it is empty now.
pub(super) fn removed(db: &mut Db, key: &[u8], event: &'static str, count: usize, empty: bool) {
    if count > 0 {
        db.modified(key, NotifyEvents::ZSET, event);
        db.add_dirty(count as u64 - 1);
    }
    if empty {
        db.delete_if_empty(key);
    }
}

fn zrem(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, members) = (ctx.arg(1), ctx.argv.iter().skip(2));
    let (db, reply) = ctx.db_and_reply();
    let Some(zset) = db.write_zset(key)? else {
        reply.int(0);
        return Ok(());
    };
    let count = members.filter(|member| zset.remove(member).is_some()).count();
    reply.int(count as i64);
    let empty = zset.is_empty();
    removed(db, key, "zrem", count, empty);
    Ok(())
}

fn zcard(ctx: &mut Ctx<'_>) -> CommandResult {
    let key = ctx.arg(1);
    let len = ctx.db().read_zset(key)?.map_or(0, Zset::len);
    ctx.reply().int(len as i64);
    Ok(())
}

fn zscore(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, member) = (ctx.arg(1), ctx.arg(2));
    match ctx.db().read_zset(key)?.and_then(|zset| zset.score(member)) {
        Some(score) => ctx.reply().double(score),
        None => ctx.reply().null(),
    }
    Ok(())
}

fn zmscore(ctx: &mut Ctx<'_>) -> CommandResult {
    reply_scores(ctx, ReplyBuf::double, ReplyBuf::null)
}

/// Answers with something of the score of each member that is named.
pub(super) fn reply_scores(
    ctx: &mut Ctx<'_>,
    reply_one: fn(&mut ReplyBuf, f64),
    reply_missing: fn(&mut ReplyBuf),
) -> CommandResult {
    let (key, members) = (ctx.arg(1), ctx.argv.iter().skip(2));
    let (db, reply) = ctx.db_and_reply();
    let zset = db.read_zset(key)?;
    reply.array(members.len());
    for member in members {
        match zset.and_then(|zset| zset.score(member)) {
            Some(score) => reply_one(reply, score),
            None => reply_missing(reply),
        }
    }
    Ok(())
}

fn zrank(ctx: &mut Ctx<'_>) -> CommandResult {
    rank(ctx, false)
}

fn zrevrank(ctx: &mut Ctx<'_>) -> CommandResult {
    rank(ctx, true)
}

fn rank(ctx: &mut Ctx<'_>, reverse: bool) -> CommandResult {
    let with_score = ctx.argc() > 3;
    if ctx.argc() > 4 {
        return Err(wrong_arity(&ctx.row.full_name));
    }
    if with_score && !ctx.is(3, "withscore") {
        return Err(SYNTAX);
    }
    let (key, member) = (ctx.arg(1), ctx.arg(2));
    let (db, reply) = ctx.db_and_reply();
    let found = db.read_zset(key)?.and_then(|zset| {
        let (rank, score) = zset.rank(member)?;
        Some((if reverse { zset.len() - 1 - rank } else { rank }, score))
    });
    match found {
        None if with_score => reply.null_array(),
        None => reply.null(),
        Some((rank, score)) => {
            if with_score {
                reply.array(2);
            }
            reply.int(rank as i64);
            if with_score {
                reply.double(score);
            }
        }
    }
    Ok(())
}
