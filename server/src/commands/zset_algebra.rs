//! Sorted sets made of several: ZUNION, ZINTER, ZDIFF, their storing forms, and ZINTERCARD. Plain sets count as sorted sets whose
//! scores are 1.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::ops::Range;

use super::error::{CommandError, NOT_INTEGER, SYNTAX, WRONG_TYPE};
use super::set::store;
use super::zset_range::{reply_member, reply_members};
use super::{Command, CommandResult, Ctx, Flags, Group, KeyUse, Keys};
use crate::config::NotifyEvents;
use crate::data::elem::Elem;
use crate::data::entry::Entry;
use crate::data::limits::Limits;
use crate::data::set::Set;
use crate::data::value::ValueRef;
use crate::data::zset::Zset;
use crate::keyspace::Db;
use crate::resp::Argv;
use crate::resp::number::{parse_f64, parse_i64};

const READ: Flags = Flags::READONLY.union(Flags::MOVABLE_KEYS);
const STORE: Flags = Flags::WRITE.union(Flags::DENYOOM).union(Flags::MOVABLE_KEYS);

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("zunion", -3, Group::SortedSet, zunion)
        .flags(READ)
        .keys(Keys::Counted(1))
        .doc("6.2.0", "Returns the members of several sorted sets, their scores combined."),
    Command::new("zunionstore", -4, Group::SortedSet, zunionstore)
        .flags(STORE)
        .keys(Keys::DynamicFrom(1, target_and_counted))
        .uses(&[KeyUse::OVERWRITES, KeyUse::READS])
        .doc("2.0.0", "Stores the members of several sorted sets, their scores combined, under another key."),
    Command::new("zinter", -3, Group::SortedSet, zinter)
        .flags(READ)
        .keys(Keys::Counted(1))
        .doc("6.2.0", "Returns the members that several sorted sets have in common, their scores combined."),
    Command::new("zinterstore", -4, Group::SortedSet, zinterstore)
        .flags(STORE)
        .keys(Keys::DynamicFrom(1, target_and_counted))
        .uses(&[KeyUse::OVERWRITES, KeyUse::READS])
        .doc("2.0.0", "Stores the members that several sorted sets have in common under another key."),
    Command::new("zintercard", -3, Group::SortedSet, zintercard)
        .flags(READ)
        .keys(Keys::Counted(1))
        .doc("7.0.0", "Returns how many members several sorted sets have in common."),
    Command::new("zdiff", -3, Group::SortedSet, zdiff)
        .flags(READ)
        .keys(Keys::Counted(1))
        .doc("6.2.0", "Returns the members of a sorted set that none of several others has."),
    Command::new("zdiffstore", -4, Group::SortedSet, zdiffstore)
        .flags(STORE)
        .keys(Keys::DynamicFrom(1, target_and_counted))
        .uses(&[KeyUse::OVERWRITES, KeyUse::READS])
        .doc("6.2.0", "Stores the members of a sorted set that none of several others has under another key."),
];

fn target_and_counted(argv: Argv<'_>) -> Vec<usize> {
    let sources = Keys::Counted(2).indexes(argv);
    if sources.is_empty() { sources } else { [1].into_iter().chain(sources).collect() }
}

/// A value that is gone through or searched.
#[derive(Clone, Copy)]
enum Source<'a> {
    Absent,
    Set(&'a Set),
    Zset(&'a Zset),
}

impl<'a> Source<'a> {
    fn len(self) -> usize {
        match self {
            Source::Absent => 0,
            Source::Set(set) => set.len(),
            Source::Zset(zset) => zset.len(),
        }
    }

    fn score(self, member: Elem<'_>) -> Option<f64> {
        match self {
            Source::Absent => None,
            Source::Set(set) => set.contains_elem(member).then_some(1.0),
            Source::Zset(zset) => member.with_text(|text| zset.score(text)),
        }
    }

    fn iter(self) -> impl Iterator<Item = (Elem<'a>, f64)> {
        let (set, zset) = match self {
            Source::Absent => (None, None),
            Source::Set(set) => (Some(set), None),
            Source::Zset(zset) => (None, Some(zset)),
        };
        let members = set.into_iter().flat_map(|set| set.iter().map(|member| (member, 1.0)));
        members.chain(zset.into_iter().flat_map(Zset::iter))
    }
}

/// A source, and what its scores are multiplied with.
#[derive(Clone, Copy)]
struct Input<'a> {
    source: Source<'a>,
    weight: f64,
}

impl<'a> Input<'a> {
    /// Its members with their weighted scores. An infinity that meets a weight of 0 gives 0.
    fn iter(self) -> impl Iterator<Item = (Elem<'a>, f64)> {
        self.source.iter().map(move |(member, score)| {
            let score = self.weight * score;
            (member, if score.is_nan() { 0.0 } else { score })
        })
    }
}

/// How the scores that a member has in several sources are combined.
#[derive(Clone, Copy, Debug, Default)]
enum Aggregate {
    #[default]
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn combine(self, a: f64, b: f64) -> f64 {
        match self {
            // Infinities of both signs give 0.
            Aggregate::Sum => Some(a + b).filter(|sum| !sum.is_nan()).unwrap_or(0.0),
            Aggregate::Min => {
                if b < a {
                    b
                } else {
                    a
                }
            }
            Aggregate::Max => {
                if b > a {
                    b
                } else {
                    a
                }
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Union,
    Intersection,
    Difference,
}

/// What is made of the members found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Reply,
    Store,
    Count,
}

/// What follows the keys.
#[derive(Clone, Copy, Default)]
struct Options {
    aggregate: Aggregate,
    with_scores: bool,
    /// Members to count at most, 0 for all.
    limit: usize,
}

/// A member as a key of the standard library's maps.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Member<'a>(Elem<'a>);

impl Hash for Member<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.with_text(|text| text.hash(state));
    }
}

/// What a key brings; `None` if that is of another type.
fn source(entry: Option<&Entry>) -> Option<Source<'_>> {
    match entry.map(Entry::value) {
        None => Some(Source::Absent),
        Some(ValueRef::Set(set)) => Some(Source::Set(set)),
        Some(ValueRef::Zset(zset)) => Some(Source::Zset(zset)),
        Some(_) => None,
    }
}

/// Looks up the sources, whose number stands at `at`; returns them and the index behind them.
fn inputs<'a>(db: &'a mut Db, argv: Argv<'_>, at: usize, name: &str) -> Result<(Vec<Input<'a>>, usize), CommandError> {
    let n = parse_i64(argv.get(at)).ok_or(NOT_INTEGER)?;
    if n < 1 {
        return Err(CommandError::text(format!("ERR at least 1 input key is needed for '{name}' command")));
    }
    let keys: Range<usize> = match usize::try_from(n) {
        Ok(n) if n < argv.len() - at => at + 1..at + 1 + n,
        _ => return Err(SYNTAX),
    };
    // First each is looked up as a reader does, up to one of another type; then all are held at the same time.
    for i in keys.clone() {
        if db.read(argv.get(i)).is_some_and(|entry| source(Some(entry)).is_none()) {
            return Err(WRONG_TYPE);
        }
    }
    let (db, end) = (&*db, keys.end);
    let input = |i| Input { source: source(db.get(argv.get(i))).unwrap_or(Source::Absent), weight: 1.0 };
    Ok((keys.map(input).collect(), end))
}

impl Options {
    /// Reads the options from `at` on, and the weights into `inputs`.
    fn parse(
        argv: Argv<'_>,
        mut at: usize,
        operation: Operation,
        purpose: Use,
        inputs: &mut [Input<'_>],
    ) -> Result<Options, CommandError> {
        let combines = operation != Operation::Difference && purpose != Use::Count;
        let mut options = Options::default();
        while at < argv.len() {
            let is = |i: usize, word: &str| argv.get(i).eq_ignore_ascii_case(word.as_bytes());
            let left = argv.len() - at;
            if combines && left > inputs.len() && is(at, "weights") {
                for (i, input) in inputs.iter_mut().enumerate() {
                    input.weight = parse_f64(argv.get(at + 1 + i))
                        .ok_or(CommandError::fixed("ERR weight value is not a float"))?;
                }
                at += 1 + inputs.len();
            } else if combines && left >= 2 && is(at, "aggregate") {
                options.aggregate = match () {
                    () if is(at + 1, "sum") => Aggregate::Sum,
                    () if is(at + 1, "min") => Aggregate::Min,
                    () if is(at + 1, "max") => Aggregate::Max,
                    () => return Err(SYNTAX),
                };
                at += 2;
            } else if purpose == Use::Reply && is(at, "withscores") {
                options.with_scores = true;
                at += 1;
            } else if purpose == Use::Count && left >= 2 && is(at, "limit") {
                let limit = parse_i64(argv.get(at + 1)).and_then(|n| usize::try_from(n).ok());
                options.limit = limit.ok_or(CommandError::fixed("ERR LIMIT can't be negative"))?;
                at += 2;
            } else {
                return Err(SYNTAX);
            }
        }
        Ok(options)
    }
}

/// The members that all inputs have.
fn intersection<'a>(inputs: &[Input<'a>], aggregate: Aggregate) -> impl Iterator<Item = (Elem<'a>, f64)> {
    let (first, others) = inputs.split_first().map_or((None, &[][..]), |(first, others)| (Some(*first), others));
    first.into_iter().flat_map(Input::iter).filter_map(move |(member, score)| {
        let combined = others
            .iter()
            .try_fold(score, |score, other| Some(aggregate.combine(score, other.source.score(member)? * other.weight)));
        combined.map(|score| (member, score))
    })
}

fn union<'a>(inputs: &[Input<'a>], aggregate: Aggregate) -> Vec<(Elem<'a>, f64)> {
    let longest = inputs.iter().map(|input| input.source.len()).max().unwrap_or(0);
    let mut scores: HashMap<Member<'a>, f64, rapidhash::fast::RandomState> = HashMap::default();
    scores.reserve(longest);
    for (member, score) in inputs.iter().flat_map(|input| input.iter()) {
        scores.entry(Member(member)).and_modify(|old| *old = aggregate.combine(*old, score)).or_insert(score);
    }
    scores.into_iter().map(|(member, score)| (member.0, score)).collect()
}

/// The members of the first input that none of the others has.
fn difference<'a>(inputs: &[Input<'a>]) -> Vec<(Elem<'a>, f64)> {
    let Some((first, others)) = inputs.split_first() else { return Vec::new() };
    // Either each member is looked for in the others, or all of theirs are collected first.
    let total: usize = inputs.iter().map(|input| input.source.len()).sum();
    if first.source.len() * inputs.len() / 2 <= total {
        let is_left = |member| others.iter().all(|other| other.source.score(member).is_none());
        first.source.iter().filter(|(member, _)| is_left(*member)).collect()
    } else {
        let taken: HashSet<Member<'_>, rapidhash::fast::RandomState> =
            others.iter().flat_map(|other| other.source.iter()).map(|(member, _)| Member(member)).collect();
        first.source.iter().filter(|(member, _)| !taken.contains(&Member(*member))).collect()
    }
}

fn combine(ctx: &mut Ctx<'_>, operation: Operation, purpose: Use) -> CommandResult {
    let (argv, name) = (ctx.argv, &ctx.row.full_name);
    let at = if purpose == Use::Store { 2 } else { 1 };
    let (db, reply) = ctx.db_and_reply();
    let limits = db.limits();
    let (mut inputs, end) = inputs(db, argv, at, name)?;
    let options = Options::parse(argv, end, operation, purpose, &mut inputs)?;
    if operation != Operation::Difference {
        inputs.sort_by_key(|input| input.source.len());
    }
    if purpose == Use::Count {
        let limit = if options.limit == 0 { usize::MAX } else { options.limit };
        reply.int(intersection(&inputs, Aggregate::Sum).take(limit).count() as i64);
        return Ok(());
    }
    let mut members: Vec<(Elem<'_>, f64)> = match operation {
        Operation::Union => union(&inputs, options.aggregate),
        Operation::Intersection => intersection(&inputs, options.aggregate).collect(),
        Operation::Difference => difference(&inputs),
    };
    members.sort_unstable_by(|a, b| a.1.partial_cmp(&b.1).unwrap_or(Ordering::Equal).then_with(|| a.0.cmp(&b.0)));
    if purpose == Use::Store {
        reply.int(members.len() as i64);
        let result = (!members.is_empty()).then(|| collect(&members, &limits));
        let event = match operation {
            Operation::Union => "zunionstore",
            Operation::Intersection => "zinterstore",
            Operation::Difference => "zdiffstore",
        };
        store(db, argv.get(1), result, NotifyEvents::ZSET, event);
        return Ok(());
    }
    reply_members(reply, members.len(), options.with_scores);
    for (member, score) in members {
        reply_member(reply, member, options.with_scores.then_some(score));
    }
    Ok(())
}

/// A sorted set of these members, in the encoding that suits their number and lengths.
fn collect(members: &[(Elem<'_>, f64)], limits: &Limits) -> Zset {
    let longest = members.iter().map(|(member, _)| member.len()).max().unwrap_or(0);
    let mut zset = Zset::for_members(members.len(), longest, limits);
    for (member, score) in members {
        member.with_text(|text| zset.insert(text, *score, limits));
    }
    zset
}

fn zunion(ctx: &mut Ctx<'_>) -> CommandResult {
    combine(ctx, Operation::Union, Use::Reply)
}

fn zunionstore(ctx: &mut Ctx<'_>) -> CommandResult {
    combine(ctx, Operation::Union, Use::Store)
}

fn zinter(ctx: &mut Ctx<'_>) -> CommandResult {
    combine(ctx, Operation::Intersection, Use::Reply)
}

fn zinterstore(ctx: &mut Ctx<'_>) -> CommandResult {
    combine(ctx, Operation::Intersection, Use::Store)
}

fn zintercard(ctx: &mut Ctx<'_>) -> CommandResult {
    combine(ctx, Operation::Intersection, Use::Count)
}

fn zdiff(ctx: &mut Ctx<'_>) -> CommandResult {
    combine(ctx, Operation::Difference, Use::Reply)
}

fn zdiffstore(ctx: &mut Ctx<'_>) -> CommandResult {
    combine(ctx, Operation::Difference, Use::Store)
}
