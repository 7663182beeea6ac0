//! SORT: the elements of a list, set or sorted set in another order, or what other keys hold for them.

use super::error::{SYNTAX, WRONG_TYPE};
use super::string::reply_elem;
use super::{Category, Command, CommandError, CommandResult, Ctx, Flags, Group, KeyUse, Keys};
use crate::acl::Call;
use crate::client::ClientFlags;
use crate::collation;
use crate::config::NotifyEvents;
use crate::data::elem::Elem;
use crate::data::list::{End, List};
use crate::data::value::ValueRef;
use crate::keyspace::{Db, Ttl};
use crate::resp::Argv;
use std::cmp::Ordering;
use std::ops::Range;

const CATEGORIES: Category = Category::SET.union(Category::SORTEDSET).union(Category::LIST).union(Category::DANGEROUS);

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("sort", -2, Group::Generic, sort)
        .flags(Flags::WRITE.union(Flags::DENYOOM).union(Flags::MOVABLE_KEYS))
        .keys(Keys::DynamicFrom(1, sort_keys))
        .uses(&[KeyUse::READS, KeyUse::OVERWRITES])
        .acl_instead_of_group(CATEGORIES)
        .doc("1.0.0", "Sorts the elements of a list, set or sorted set, and returns or stores them."),
    Command::new("sort_ro", -2, Group::Generic, sort)
        .flags(Flags::READONLY.union(Flags::MOVABLE_KEYS))
        .keys(Keys::FIRST)
        .acl_instead_of_group(CATEGORIES)
        .doc("7.0.0", "Sorts the elements of a list, set or sorted set, and returns them."),
];

/// The key that is sorted, and the one that is stored to.
fn sort_keys(argv: Argv<'_>) -> Vec<usize> {
    let mut keys = vec![1];
    let mut i = 2;
    while i < argv.len() {
        let is = |name: &str| argv.get(i).eq_ignore_ascii_case(name.as_bytes());
        if is("store") && i + 1 < argv.len() {
            // The last one counts.
            keys.truncate(1);
            keys.push(i + 1);
        }
        i += if is("limit") {
            3
        } else if is("get") || is("by") {
            2
        } else {
            1
        };
    }
    keys
}

#[derive(Debug, Default)]
struct Options<'a> {
    descending: bool,
    alpha: bool,
    start: i64,
    /// None, or negative: no limit.
    count: Option<i64>,
    by: Option<&'a [u8]>,
    get: Vec<&'a [u8]>,
    store: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    fn parse(ctx: &Ctx<'a>) -> Result<Options<'a>, CommandError> {
        let read_only = ctx.row.command.flags.contains(Flags::READONLY);
        let mut options = Options::default();
        let mut i = 2;
        while i < ctx.argc() {
            let left = ctx.argc() - i - 1;
            if ctx.is(i, "asc") {
                options.descending = false;
            } else if ctx.is(i, "desc") {
                options.descending = true;
            } else if ctx.is(i, "alpha") {
                options.alpha = true;
            } else if ctx.is(i, "limit") && left >= 2 {
                (options.start, options.count) = (ctx.int(i + 1)?, Some(ctx.int(i + 2)?));
                i += 2;
            } else if ctx.is(i, "store") && left >= 1 && !read_only {
                i += 1;
                options.store = Some(ctx.arg(i));
            } else if ctx.is(i, "by") && left >= 1 {
                i += 1;
                options.by = Some(ctx.arg(i));
            } else if ctx.is(i, "get") && left >= 1 {
                i += 1;
                options.get.push(ctx.arg(i));
            } else {
                return Err(SYNTAX);
            }
            i += 1;
        }
        Ok(options)
    }

    /// Whether the elements stay in their own order: a BY that is the same for all of them.
    fn keeps_order(&self) -> bool {
        self.by.is_some_and(|pattern| !pattern.contains(&b'*'))
    }

    /// The part of so many elements that is asked for.
    fn window(&self, len: usize) -> Range<usize> {
        let start = usize::try_from(self.start).unwrap_or(0).min(len);
        let count = self.count.and_then(|count| usize::try_from(count).ok()).unwrap_or(len);
        start..start.saturating_add(count).min(len)
    }
}

/// BY and GET read whatever keys the elements name: only a user who may read every key may do that.
fn check_permission(ctx: &Ctx<'_>, options: &Options<'_>) -> CommandResult {
    let Some(user) = &ctx.client.user else { return Ok(()) };
    let by = options.by.is_some_and(|pattern| pattern.contains(&b'*'));
    let get = options.get.iter().any(|pattern| *pattern != b"#");
    if user.is_unlimited() || !(by || get) {
        return Ok(());
    }
    let (row, argv) = (ctx.row, ctx.argv);
    let call = Call { row, argv, db: ctx.client.db, databases: ctx.server.config.databases };
    if user.rights().allows_with_any_key(call, KeyUse::READS) {
        return Ok(());
    }
    let option = if by { "BY" } else { "GET" };
    Err(CommandError::text(format!("ERR {option} option of SORT denied due to insufficient ACL permissions.")))
}

fn sort(ctx: &mut Ctx<'_>) -> CommandResult {
    let mut options = Options::parse(ctx)?;
    check_permission(ctx, &options)?;
    let key = ctx.arg(1);
    let in_script = ctx.client.flags.contains(ClientFlags::IN_SCRIPT);
    let db = ctx.db();
    let mut is_set = false;
    let len = match db.read(key).map(|entry| entry.value()) {
        None => 0,
        Some(ValueRef::List(list)) => list.len(),
        Some(ValueRef::Zset(zset)) => zset.len(),
        Some(ValueRef::Set(set)) => {
            is_set = true;
            set.len()
        }
        Some(_) => return Err(WRONG_TYPE),
    };
    if options.keeps_order() && is_set && (options.store.is_some() || in_script) {
        // A set has no order of its own that a replica, or a script's next run, would share.
        (options.alpha, options.by) = (true, None);
    }
    let window = options.window(len);
    let elements = if options.keeps_order() {
        in_own_order(db, key, window, options.descending)
    } else {
        let mut elements = in_own_order(db, key, 0..len, false);
        sort_elements(db, &mut elements, &options)?;
        elements.truncate(window.end);
        elements.drain(..window.start);
        elements
    };
    match options.store {
        None => reply_elements(ctx, &elements, &options.get),
        Some(target) => store_elements(ctx, &elements, &options.get, target),
    }
    Ok(())
}

/// Copies of a part of the elements in the order in which they are kept, or from the end.
fn in_own_order(db: &Db, key: &[u8], window: Range<usize>, from_end: bool) -> Vec<Vec<u8>> {
    let Some(entry) = db.get(key) else { return Vec::new() };
    let part = |len: usize| {
        if from_end { len - window.end..len - window.start } else { window.clone() }
    };
    let mut elements: Vec<Vec<u8>> = match entry.value() {
        ValueRef::List(list) => {
            let part = part(list.len());
            list.range(part.start, part.len()).map(Elem::to_vec).collect()
        }
        ValueRef::Zset(zset) => zset.range(part(zset.len())).map(|(member, _)| member.to_vec()).collect(),
        ValueRef::Set(set) => set.iter().skip(window.start).take(window.len()).map(Elem::to_vec).collect(),
        _ => Vec::new(),
    };
    if from_end && !matches!(entry.value(), ValueRef::Set(_)) {
        elements.reverse();
    }
    elements
}

fn sort_elements(db: &mut Db, elements: &mut Vec<Vec<u8>>, options: &Options<'_>) -> CommandResult {
    let taken = std::mem::take(elements);
    if options.alpha {
        let mut weighed: Vec<(Option<Vec<u8>>, Vec<u8>)> = taken
            .into_iter()
            .map(|element| (options.by.and_then(|pattern| lookup(db, pattern, &element)), element))
            .collect();
        // What is stored does not depend on the locale: replicas may have another.
        let order = if options.store.is_some() { <[u8]>::cmp } else { collation::compare };
        match options.by {
            // What has no weight comes first.
            Some(_) => weighed.sort_by(|(a, _), (b, _)| {
                let ordering = match (a, b) {
                    (Some(a), Some(b)) => order(a, b),
                    (a, b) => a.is_some().cmp(&b.is_some()),
                };
                directed(ordering, options.descending)
            }),
            None => weighed.sort_by(|(_, a), (_, b)| directed(order(a, b), options.descending)),
        }
        elements.extend(weighed.into_iter().map(|(_, element)| element));
        return Ok(());
    }
    let mut all_numbers = true;
    let mut weighed: Vec<(f64, Vec<u8>)> = Vec::with_capacity(taken.len());
    for element in taken {
        let score = match options.by {
            None => score(&element),
            Some(pattern) => lookup(db, pattern, &element).map_or(Some(0.0), |weight| score(&weight)),
        };
        all_numbers &= score.is_some();
        weighed.push((score.unwrap_or(0.0), element));
    }
    if !all_numbers {
        return Err(CommandError::fixed("ERR One or more scores can't be converted into double"));
    }
    // Equal ones are ordered by their text, so that the result does not depend on how they are kept.
    weighed.sort_unstable_by(|(a, a_text), (b, b_text)| {
        directed(a.partial_cmp(b).unwrap_or(Ordering::Equal).then_with(|| a_text.cmp(b_text)), options.descending)
    });
    elements.extend(weighed.into_iter().map(|(_, element)| element));
    Ok(())
}

fn directed(ordering: Ordering, descending: bool) -> Ordering {
    if descending { ordering.reverse() } else { ordering }
}

/// The number that a text is: decimal or infinite, and neither too large nor too small for a double.
fn score(text: &[u8]) -> Option<f64> {
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    let (mantissa, _) = text.split_at(text.iter().position(|c| matches!(c, b'e' | b'E')).unwrap_or(text.len()));
    let too_large = value.is_infinite() && text.iter().any(u8::is_ascii_digit);
    let too_small = value == 0.0 && mantissa.iter().any(|c| (b'1'..=b'9').contains(c));
    (!value.is_nan() && !too_large && !too_small).then_some(value)
}

/// The string that a pattern leads to from an element: of the key, or the field of the hash (`key->field`), that the pattern names when
/// its first `*` is replaced by the element. `#` is the element itself.
fn lookup(db: &mut Db, pattern: &[u8], element: &[u8]) -> Option<Vec<u8>> {
    if pattern == b"#" {
        return Some(element.to_vec());
    }
    let star = memchr::memchr(b'*', pattern)?;
    let (prefix, rest) = (&pattern[..star], &pattern[star + 1..]);
    let (suffix, field) = match memchr::memmem::find(rest, b"->") {
        Some(arrow) if arrow + 2 < rest.len() => (&rest[..arrow], Some(&rest[arrow + 2..])),
        _ => (rest, None),
    };
    let key = [prefix, element, suffix].concat();
    db.read(&key)?;
    let db = &*db;
    match (db.get(&key)?.value(), field) {
        (ValueRef::Str(string), None) => Some(string.to_vec()),
        (ValueRef::Hash(hash), Some(field)) => {
            let value = hash.get(field)?;
            let expired = hash.expiring() > 0 && db.has_expired(hash.expire_at(field).flatten());
            (!expired).then(|| value.to_vec())
        }
        _ => None,
    }
}

fn reply_elements(ctx: &mut Ctx<'_>, elements: &[Vec<u8>], get: &[&[u8]]) {
    let (db, reply) = ctx.db_and_reply();
    reply.array(elements.len() * get.len().max(1));
    for element in elements {
        if get.is_empty() {
            reply.bulk(element);
        }
        for pattern in get {
            match lookup(db, pattern, element) {
                Some(value) => reply_elem(reply, Elem::Bytes(&value)),
                None => reply.null(),
            }
        }
    }
}

fn store_elements(ctx: &mut Ctx<'_>, elements: &[Vec<u8>], get: &[&[u8]], target: &[u8]) {
    let db = ctx.db();
    let limits = db.limits();
    let mut list = List::to_build();
    for element in elements {
        if get.is_empty() {
            list.push(End::Back, element, &limits);
        }
        for pattern in get {
            list.push(End::Back, &lookup(db, pattern, element).unwrap_or_default(), &limits);
        }
    }
    let stored = list.len();
    if stored > 0 {
        db.set(target, list.built(&limits), Ttl::Clear);
        db.modified(target, NotifyEvents::LIST, "sortstore");
        db.add_dirty(stored as u64 - 1);
    } else if db.delete(target) {
        db.modified(target, NotifyEvents::GENERIC, "del");
    }
    ctx.reply().int(stored as i64);
}
