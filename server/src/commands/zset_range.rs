//! Ranges of sorted sets: ZRANGE and its older forms, ZRANGESTORE, counting, and removing by range.

use std::ops::Range;

use super::error::{CommandError, NOT_INTEGER, SYNTAX};
use super::list::clamp;
use super::set::store;
use super::zset::removed;
use super::{Command, CommandResult, Ctx, Flags, Group, KeyUse, Keys};
use crate::config::NotifyEvents;
use crate::data::elem::Elem;
use crate::data::zset::{LexBound, LexRange, ScoreBound, ScoreRange, Zset};
use crate::resp::ReplyBuf;
use crate::resp::number::{parse_f64_clamped, parse_i64};

const READ: Flags = Flags::READONLY.union(Flags::FAST);

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("zrange", -4, Group::SortedSet, zrange)
        .flags(Flags::READONLY)
        .keys(Keys::FIRST)
        .doc("1.2.0", "Returns the members of a sorted set in a range of ranks, scores or texts."),
    Command::new("zrangestore", -5, Group::SortedSet, zrangestore)
        .flags(Flags::WRITE.union(Flags::DENYOOM))
        .keys(Keys::FIRST_TWO)
        .uses(&[KeyUse::OVERWRITES, KeyUse::READS])
        .doc("6.2.0", "Stores the members of a sorted set in a range of ranks, scores or texts under another key."),
    Command::new("zrevrange", -4, Group::SortedSet, zrevrange)
        .flags(Flags::READONLY)
        .keys(Keys::FIRST)
        .doc("1.2.0", "Returns the members of a sorted set in a range of ranks, the highest score first."),
    Command::new("zrangebyscore", -4, Group::SortedSet, zrangebyscore)
        .flags(Flags::READONLY)
        .keys(Keys::FIRST)
        .doc("1.0.5", "Returns the members of a sorted set in a range of scores."),
    Command::new("zrevrangebyscore", -4, Group::SortedSet, zrevrangebyscore)
        .flags(Flags::READONLY)
        .keys(Keys::FIRST)
        .doc("2.2.0", "Returns the members of a sorted set in a range of scores, the highest score first."),
    Command::new("zrangebylex", -4, Group::SortedSet, zrangebylex)
        .flags(Flags::READONLY)
        .keys(Keys::FIRST)
        .doc("2.8.9", "Returns the members of a sorted set with equal scores in a range of texts."),
    Command::new("zrevrangebylex", -4, Group::SortedSet, zrevrangebylex)
        .flags(Flags::READONLY)
        .keys(Keys::FIRST)
        .doc("2.8.9", "Returns the members of a sorted set with equal scores in a range of texts, the last first."),
    Command::new("zcount", 4, Group::SortedSet, zcount)
        .flags(READ)
        .keys(Keys::FIRST)
        .doc("2.0.0", "Returns the number of members of a sorted set in a range of scores."),
    Command::new("zlexcount", 4, Group::SortedSet, zlexcount)
        .flags(READ)
        .keys(Keys::FIRST)
        .doc("2.8.9", "Returns the number of members of a sorted set with equal scores in a range of texts."),
    Command::new("zremrangebyrank", 4, Group::SortedSet, zremrangebyrank)
        .flags(Flags::WRITE)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::DELETES])
        .doc("2.0.0", "Removes the members of a sorted set in a range of ranks."),
    Command::new("zremrangebyscore", 4, Group::SortedSet, zremrangebyscore)
        .flags(Flags::WRITE)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::DELETES])
        .doc("1.2.0", "Removes the members of a sorted set in a range of scores."),
    Command::new("zremrangebylex", 4, Group::SortedSet, zremrangebylex)
        .flags(Flags::WRITE)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::DELETES])
        .doc("2.8.9", "Removes the members of a sorted set with equal scores in a range of texts."),
];

/// What a range is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Lex,
}

/// A range of members.
#[derive(Clone, Copy, Debug)]
enum Span<'a> {
    /// From one rank to another, both included; negative ones count from the end.
    Ranks(i64, i64),
    Scores(ScoreRange),
    Texts(LexRange<'a>),
}

impl<'a> Span<'a> {
    fn parse(by: By, min: &'a [u8], max: &'a [u8]) -> Result<Span<'a>, CommandError> {
        match by {
            By::Rank => {
                let (start, end) = parse_i64(min).zip(parse_i64(max)).ok_or(NOT_INTEGER)?;
                Ok(Span::Ranks(start, end))
            }
            By::Score => {
                let (min, max) = score_bound(min)
                    .zip(score_bound(max))
                    .ok_or(CommandError::fixed("ERR min or max is not a float"))?;
                Ok(Span::Scores(ScoreRange { min, max }))
            }
            By::Lex => {
                let (min, max) = lex_bound(min)
                    .zip(lex_bound(max))
                    .ok_or(CommandError::fixed("ERR min or max not valid string range item"))?;
                Ok(Span::Texts(LexRange { min, max }))
            }
        }
    }

    /// The ranks of its members, from the lowest score; `reverse` says that the range's own ranks count from the highest.
    fn ranks(&self, zset: &Zset, reverse: bool) -> Range<usize> {
        match self {
            Span::Ranks(start, end) => {
                let len = zset.len();
                let ranks = clamp(*start, *end, len);
                if reverse { len - ranks.end..len - ranks.start } else { ranks }
            }
            Span::Scores(range) => zset.score_ranks(range),
            Span::Texts(range) => zset.lex_ranks(range),
        }
    }
}

fn score_bound(text: &[u8]) -> Option<ScoreBound> {
    // No digits at all are a zero, as for Valkey.
    let score = |text: &[u8]| if text.is_empty() { Some(0.0) } else { parse_f64_clamped(text) };
    match text.strip_prefix(b"(") {
        Some(text) => score(text).map(ScoreBound::Excluded),
        None => score(text).map(ScoreBound::Included),
    }
}

fn lex_bound(text: &[u8]) -> Option<LexBound<'_>> {
    match text {
        b"-" => Some(LexBound::Min),
        b"+" => Some(LexBound::Max),
        [b'[', text @ ..] => Some(LexBound::Included(text)),
        [b'(', text @ ..] => Some(LexBound::Excluded(text)),
        _ => None,
    }
}

/// What ZRANGE and its relatives ask for.
struct Query<'a> {
    span: Span<'a>,
    reverse: bool,
    with_scores: bool,
    offset: i64,
    /// Members at most; negative: all.
    limit: i64,
}

impl<'a> Query<'a> {
    /// Reads the range at `at` and the options behind it. What `by` or `reverse` says already is no option, nor are scores when
    /// the result is to be stored.
    fn parse(
        ctx: &Ctx<'a>,
        at: usize,
        by: Option<By>,
        reverse: Option<bool>,
        store: bool,
    ) -> Result<Query<'a>, CommandError> {
        let (given_by, given_reverse) = (by, reverse);
        let (mut by, mut reverse) = (by.unwrap_or(By::Rank), reverse.unwrap_or(false));
        let (mut with_scores, mut offset, mut limit) = (false, 0, -1);
        let mut chosen = given_by.is_some();
        let mut i = at + 2;
        while i < ctx.argc() {
            if !store && ctx.is(i, "withscores") {
                with_scores = true;
            } else if ctx.is(i, "limit") && i + 2 < ctx.argc() {
                (offset, limit) = (ctx.int(i + 1)?, ctx.int(i + 2)?);
                i += 2;
            } else if given_reverse.is_none() && !reverse && ctx.is(i, "rev") {
                reverse = true;
            } else if !chosen && ctx.is(i, "bylex") {
                (by, chosen) = (By::Lex, true);
            } else if !chosen && ctx.is(i, "byscore") {
                (by, chosen) = (By::Score, true);
            } else {
                return Err(SYNTAX);
            }
            i += 1;
        }
        if by == By::Rank {
            if limit != -1 {
                return Err(CommandError::fixed(
                    "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
                ));
            }
            // As if nothing had been said.
            offset = 0;
        }
        if with_scores && by == By::Lex {
            return Err(CommandError::fixed("ERR syntax error, WITHSCORES not supported in combination with BYLEX"));
        }
        let (mut min, mut max) = (ctx.arg(at), ctx.arg(at + 1));
        if reverse && by != By::Rank {
            std::mem::swap(&mut min, &mut max);
        }
        Ok(Query { span: Span::parse(by, min, max)?, reverse, with_scores, offset, limit })
    }

    /// The ranks, from the lowest score, that are asked for.
    fn ranks(&self, zset: &Zset) -> Range<usize> {
        let ranks = self.span.ranks(zset, self.reverse);
        let skip = match usize::try_from(self.offset) {
            Ok(skip) => skip.min(ranks.len()),
            // A skiplist counts a negative offset from the end; in a listpack it runs past the end.
            Err(_) if zset.as_listpack().is_none() => {
                let back = usize::try_from(self.offset.unsigned_abs()).unwrap_or(usize::MAX);
                ranks.len().checked_sub(back).unwrap_or(ranks.len())
            }
            Err(_) => ranks.len(),
        };
        let take = usize::try_from(self.limit).unwrap_or(usize::MAX).min(ranks.len() - skip);
        let start = if self.reverse { ranks.end - skip - take } else { ranks.start + skip };
        start..start + take
    }

    /// Gives the members in the order asked for.
    fn for_each<'z>(&self, zset: &'z Zset, ranks: Range<usize>, mut visit: impl FnMut(Elem<'z>, f64)) {
        let members = zset.range(ranks);
        if self.reverse {
            members.rev().for_each(|(member, score)| visit(member, score));
        } else {
            members.for_each(|(member, score)| visit(member, score));
        }
    }
}

/// Answers with a member, and its score if asked for: RESP3 has pairs, RESP2 one after the other.
pub(super) fn reply_member(reply: &mut ReplyBuf, member: Elem<'_>, score: Option<f64>) {
    if score.is_some() && reply.resp3() {
        reply.array(2);
    }
    reply.elem(member);
    if let Some(score) = score {
        reply.double(score);
    }
}

/// Begins an array of so many members for [`reply_member`].
pub(super) fn reply_members(reply: &mut ReplyBuf, n: usize, with_scores: bool) {
    reply.array(if with_scores && !reply.resp3() { 2 * n } else { n });
}

fn range(ctx: &mut Ctx<'_>, by: Option<By>, reverse: Option<bool>) -> CommandResult {
    let query = Query::parse(ctx, 2, by, reverse, false)?;
    let key = ctx.arg(1);
    let (db, reply) = ctx.db_and_reply();
    let Some(zset) = db.read_zset(key)? else {
        reply.array(0);
        return Ok(());
    };
    let ranks = query.ranks(zset);
    reply_members(reply, ranks.len(), query.with_scores);
    query.for_each(zset, ranks, |member, score| reply_member(reply, member, query.with_scores.then_some(score)));
    Ok(())
}

fn zrange(ctx: &mut Ctx<'_>) -> CommandResult {
    range(ctx, None, None)
}

fn zrevrange(ctx: &mut Ctx<'_>) -> CommandResult {
    range(ctx, Some(By::Rank), Some(true))
}

fn zrangebyscore(ctx: &mut Ctx<'_>) -> CommandResult {
    range(ctx, Some(By::Score), Some(false))
}

fn zrevrangebyscore(ctx: &mut Ctx<'_>) -> CommandResult {
    range(ctx, Some(By::Score), Some(true))
}

fn zrangebylex(ctx: &mut Ctx<'_>) -> CommandResult {
    range(ctx, Some(By::Lex), Some(false))
}

fn zrevrangebylex(ctx: &mut Ctx<'_>) -> CommandResult {
    range(ctx, Some(By::Lex), Some(true))
}

fn zrangestore(ctx: &mut Ctx<'_>) -> CommandResult {
    let query = Query::parse(ctx, 3, None, None, true)?;
    let (to, from) = (ctx.arg(1), ctx.arg(2));
    let (db, reply) = ctx.db_and_reply();
    let limits = db.limits();
    let mut result = Zset::new();
    if let Some(zset) = db.read_zset(from)? {
        let ranks = query.ranks(zset);
        // Only ranks tell the size of the result beforehand; otherwise it grows into its encoding.
        if let Span::Ranks(..) = query.span {
            result.reserve(ranks.len(), 0, &limits);
        }
        query.for_each(zset, ranks, |member, score| {
            member.with_text(|text| result.insert(text, score, &limits));
        });
    }
    reply.int(result.len() as i64);
    let value = (!result.is_empty()).then_some(result);
    store(db, to, value, NotifyEvents::ZSET, "zrangestore");
    Ok(())
}

fn count(ctx: &mut Ctx<'_>, by: By) -> CommandResult {
    let span = Span::parse(by, ctx.arg(2), ctx.arg(3))?;
    let key = ctx.arg(1);
    let n = ctx.db().read_zset(key)?.map_or(0, |zset| span.ranks(zset, false).len());
    ctx.reply().int(n as i64);
    Ok(())
}

fn zcount(ctx: &mut Ctx<'_>) -> CommandResult {
    count(ctx, By::Score)
}

fn zlexcount(ctx: &mut Ctx<'_>) -> CommandResult {
    count(ctx, By::Lex)
}

fn remove(ctx: &mut Ctx<'_>, by: By, event: &'static str) -> CommandResult {
    let span = Span::parse(by, ctx.arg(2), ctx.arg(3))?;
    let key = ctx.arg(1);
    let (db, reply) = ctx.db_and_reply();
    let Some(zset) = db.write_zset(key)? else {
        reply.int(0);
        return Ok(());
    };
    let ranks = span.ranks(zset, false);
    let count = ranks.len();
    zset.remove_range(ranks, |_, _| {});
    reply.int(count as i64);
    let empty = zset.is_empty();
    removed(db, key, event, count, empty);
    Ok(())
}

fn zremrangebyrank(ctx: &mut Ctx<'_>) -> CommandResult {
    remove(ctx, By::Rank, "zremrangebyrank")
}

fn zremrangebyscore(ctx: &mut Ctx<'_>) -> CommandResult {
    remove(ctx, By::Score, "zremrangebyscore")
}

fn zremrangebylex(ctx: &mut Ctx<'_>) -> CommandResult {
    remove(ctx, By::Lex, "zremrangebylex")
}
