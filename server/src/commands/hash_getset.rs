//! Fields and their expiry in one go: HSETEX, HGETEX, HGETDEL.

use super::error::SYNTAX;
use super::expire::{Expiry, is_over};
use super::hash_expire::{WRONG_COUNT, find_fields, first_field, first_field_behind_key, propagate_removal, until};
use super::hash_fields::Edit;
use super::{Command, CommandError, CommandResult, Ctx, Flags, Group, KeyUse, Keys};
use crate::config::NotifyEvents;
use crate::data::hash::FieldExpiry;
use crate::resp::ReplyBuf;

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("hsetex", -6, Group::Hash, hsetex)
        .flags(Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST))
        .keys(Keys::FIRST)
        .uses(&[KeyUse::INSERTS])
        .doc("9.0.0", "Sets fields of a hash, which is made if need be, and when they expire."),
    Command::new("hgetex", -5, Group::Hash, hgetex)
        .flags(Flags::WRITE.union(Flags::FAST))
        .keys(Keys::FIRST)
        .doc("9.0.0", "Returns the values of fields of a hash and sets when they expire."),
    Command::new("hgetdel", -5, Group::Hash, hgetdel)
        .flags(Flags::WRITE.union(Flags::FAST))
        .keys(Keys::FIRST)
        .uses(&[KeyUse::TAKES])
        .doc("9.1.0", "Returns the values of fields of a hash and deletes them."),
];

/// Options of HSETEX that are conditions.
const CONDITIONS: [&str; 4] = ["nx", "xx", "fnx", "fxx"];

/// What may stand between the key and `FIELDS`.
#[derive(Default)]
struct Options<'a> {
    /// Only if there is no key (`true`: is one).
    key: Option<bool>,
    /// Only if there is none of the fields (`true`: are all).
    fields: Option<bool>,
    /// The index of the unit, the unit, and the number behind it.
    expiry: Option<(usize, Expiry, &'a [u8])>,
    keep: bool,
    persist: bool,
}

impl<'a> Options<'a> {
    /// Reads the options before the index `end`: those of HSETEX, or (without `set`) those of HGETEX.
    fn parse(ctx: &Ctx<'a>, end: usize, set: bool) -> Result<Self, CommandError> {
        let mut options = Options::default();
        let mut i = 2;
        while i < end {
            let free = !options.keep && !options.persist;
            let word = ctx.arg(i).to_ascii_lowercase();
            match word.as_slice() {
                b"nx" if set && options.key != Some(true) => options.key = Some(false),
                b"xx" if set && options.key != Some(false) => options.key = Some(true),
                b"fnx" if set && options.fields != Some(true) => options.fields = Some(false),
                b"fxx" if set && options.fields != Some(false) => options.fields = Some(true),
                b"keepttl" if set && options.expiry.is_none() => options.keep = true,
                b"persist" if !set && options.expiry.is_none() => options.persist = true,
                word => match Expiry::from_option(word) {
                    Some(unit) if i + 1 < end && free && options.expiry.is_none_or(|(_, given, _)| given == unit) => {
                        options.expiry = Some((i, unit, ctx.arg(i + 1)));
                        i += 1;
                    }
                    _ => return Err(SYNTAX),
                },
            }
            i += 1;
        }
        Ok(options)
    }

    /// When the fields are to expire, if that is said.
    fn until(&self, ctx: &Ctx<'_>) -> Result<Option<i64>, CommandError> {
        self.expiry.map(|(_, unit, text)| until(ctx, unit, text)).transpose()
    }

    /// Whether the fields of a hash meet the condition for fields.
    fn admit(&self, hash: Option<&Edit<'_>>, mut names: impl Iterator<Item = &'a [u8]>) -> bool {
        let there = |name| hash.is_some_and(|hash| hash.get(name).is_some());
        self.fields.is_none_or(|wanted| names.all(|name| there(name) == wanted))
    }
}

fn hsetex(ctx: &mut Ctx<'_>) -> CommandResult {
    let word = find_fields(ctx, 2)?;
    let options = Options::parse(ctx, word, true)?;
    let first = first_field(ctx, word, 2, WRONG_COUNT)?;
    let (key, argv) = (ctx.arg(1), ctx.argv);
    let pairs = || argv.iter().skip(first).step_by(2).zip(argv.iter().skip(first + 1).step_by(2));
    let names = || pairs().map(|(name, _)| name);
    let at = options.until(ctx);
    let (db, reply) = ctx.db_and_reply();
    let hash = Edit::open(db, key)?;
    if options.key.is_some_and(|wanted| hash.is_some() != wanted) {
        reply.int(0);
        return Ok(());
    }
    let at = at?;
    let admitted = options.admit(hash.as_ref(), names());
    reply.int(i64::from(admitted));
    if !admitted {
        return Ok(());
    }
    if at.is_some_and(|at| is_over(ctx, at)) {
        return remove_as_expired(ctx, names());
    }
    let db = ctx.db();
    let mut hash = Edit::open_or_new(db, key)?;
    let expiry = match at {
        Some(at) => FieldExpiry::At(at),
        None if options.keep => FieldExpiry::Keep,
        None => FieldExpiry::Clear,
    };
    let expired: Vec<&[u8]> = names().filter(|name| options.keep && hash.has_expired(name)).collect();
    for (name, value) in pairs() {
        hash.set(name, value, expiry);
    }
    hash.finish().publish(db, key, if at.is_some() { &["hset", "hexpire"] } else { &["hset"] });
    if !expired.is_empty() {
        // To others such a field has an expiry to be kept, until they hear that it is gone.
        propagate_removal(ctx, &expired);
    }
    propagate_hsetex(ctx, &options, word, at, !expired.is_empty());
    Ok(())
}

/// Propagates HSETEX without its conditions, which others need not look at again, and with the time instead of a duration.
fn propagate_hsetex(ctx: &mut Ctx<'_>, options: &Options<'_>, word: usize, at: Option<i64>, force: bool) {
    let relative = options.expiry.filter(|(_, unit, _)| *unit != Expiry::UntilMillis);
    if relative.is_none() && options.key.is_none() && options.fields.is_none() && !force {
        return;
    }
    let at = at.unwrap_or_default().to_string();
    let mut args: Vec<&[u8]> = vec![ctx.arg(0), ctx.arg(1)];
    for i in 2..word {
        match relative {
            Some((unit, _, _)) if i == unit => args.extend([b"PXAT", at.as_bytes()]),
            Some((unit, _, _)) if i == unit + 1 => {}
            _ if CONDITIONS.iter().any(|condition| ctx.is(i, condition)) => {}
            _ => args.push(ctx.arg(i)),
        }
    }
    args.extend(ctx.argv.iter().skip(word));
    ctx.propagate_as(&args);
}

/// What becomes of fields that HSETEX sets and that expire at once: they are as good as set, and go, with all events of that.
fn remove_as_expired<'a>(ctx: &mut Ctx<'a>, names: impl ExactSizeIterator<Item = &'a [u8]>) -> CommandResult {
    let (key, count) = (ctx.arg(1), names.len());
    let db = ctx.db();
    let mut hash = Edit::open(db, key)?;
    let removed: Vec<&[u8]> = names.filter(|name| hash.as_mut().is_some_and(|hash| hash.remove(name))).collect();
    let edited = hash.map(Edit::finish);
    db.notify(NotifyEvents::HASH, "hset", key);
    db.notify(NotifyEvents::HASH, "hexpire", key);
    match edited {
        Some(edited) => edited.publish_expired(db, key, count),
        None => {
            db.note_expired_fields(key, count);
            db.notify(NotifyEvents::GENERIC, "del", key);
        }
    }
    if removed.is_empty() {
        ctx.propagate_nothing();
    } else {
        propagate_removal(ctx, &removed);
    }
    Ok(())
}

/// Answers with the value of a field, if there is one.
fn reply_value(reply: &mut ReplyBuf, hash: Option<&Edit<'_>>, name: &[u8]) {
    match hash.and_then(|hash| hash.get(name)) {
        Some(value) => reply.elem(value),
        None => reply.null(),
    }
}

fn hgetex(ctx: &mut Ctx<'_>) -> CommandResult {
    let word = find_fields(ctx, 2)?;
    let options = Options::parse(ctx, word, false)?;
    let first = first_field(ctx, word, 1, WRONG_COUNT)?;
    let (key, names) = (ctx.arg(1), ctx.argv.iter().skip(first));
    let at = options.until(ctx);
    let over = at.as_ref().is_ok_and(|at| at.is_some_and(|at| is_over(ctx, at)));
    let (db, reply) = ctx.db_and_reply();
    // Counted as a hit or a miss.
    db.read_hash(key)?;
    let at = at?;
    let mut hash = Edit::open(db, key)?;
    reply.array(names.len());
    let mut changed: Vec<&[u8]> = Vec::new();
    for name in names {
        reply_value(reply, hash.as_ref(), name);
        let Some(hash) = &mut hash else { continue };
        let done = match (at, hash.expire_at(name)) {
            (Some(_), _) if over => hash.remove(name),
            (Some(at), _) => hash.set_expire(name, Some(at)),
            (None, Some(Some(_))) => options.persist && hash.set_expire(name, None),
            (None, _) => false,
        };
        if done {
            changed.push(name);
        }
    }
    let Some(hash) = hash.filter(|_| !changed.is_empty()) else { return Ok(()) };
    let edited = hash.finish();
    if over {
        edited.publish_expired(db, key, changed.len());
        propagate_removal(ctx, &changed);
        return Ok(());
    }
    edited.publish(db, key, &[if at.is_some() { "hexpire" } else { "hpersist" }]);
    let (at, count) = (at.map(|at| at.to_string()), changed.len().to_string());
    let mut args: Vec<&[u8]> = match &at {
        Some(at) => vec![b"HPEXPIREAT", key, at.as_bytes()],
        None => vec![b"HPERSIST", key],
    };
    args.extend([b"FIELDS", count.as_bytes()]);
    args.extend(changed);
    ctx.propagate_as(&args);
    Ok(())
}

fn hgetdel(ctx: &mut Ctx<'_>) -> CommandResult {
    let first = first_field_behind_key(ctx, WRONG_COUNT)?;
    let (key, names) = (ctx.arg(1), ctx.argv.iter().skip(first));
    let (db, reply) = ctx.db_and_reply();
    let mut hash = Edit::open(db, key)?;
    reply.array(names.len());
    for name in names {
        reply_value(reply, hash.as_ref(), name);
        if let Some(hash) = &mut hash {
            hash.remove(name);
        }
    }
    if let Some(hash) = hash {
        hash.finish().publish(db, key, &["hdel"]);
    }
    Ok(())
}
