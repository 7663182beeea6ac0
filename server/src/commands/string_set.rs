//! Setting strings: SET and its old shorthands, MSET, MSETNX, MSETEX.

use super::error::{SYNTAX, wrong_arity};
use super::expire::{self, Expiry};
use super::string::{is_text, reply_str};
use super::{Command, CommandError, CommandResult, Ctx, Flags, Group, KeyUse, Keys};
use crate::config::NotifyEvents;
use crate::keyspace::Ttl;
use crate::resp::number::parse_i64;
use crate::resp::{Argv, ReplyBuf};

const CHANGE: Flags = Flags::WRITE.union(Flags::DENYOOM);

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("set", -3, Group::String, set)
        .flags(CHANGE)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::CHANGES.union(KeyUse::VARIABLE)])
        .use_by_arguments(|argv| if gets(argv) { KeyUse::CHANGES } else { KeyUse::OVERWRITES })
        .doc("1.0.0", "Sets a key to a string, whatever it held, with an expiry or a condition if asked for."),
    Command::new("setnx", 3, Group::String, setnx)
        .flags(CHANGE.union(Flags::FAST))
        .keys(Keys::FIRST)
        .uses(&[KeyUse::CREATES])
        .doc("1.0.0", "Sets a key to a string if the key does not exist."),
    Command::new("setex", 4, Group::String, setex)
        .flags(CHANGE)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::OVERWRITES])
        .doc("2.0.0", "Sets a key to a string that expires after some seconds."),
    Command::new("psetex", 4, Group::String, setex)
        .flags(CHANGE)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::OVERWRITES])
        .doc("2.6.0", "Sets a key to a string that expires after some milliseconds."),
    Command::new("getset", 3, Group::String, getset)
        .flags(CHANGE.union(Flags::FAST))
        .keys(Keys::FIRST)
        .doc("1.0.0", "Returns the string of a key and sets another."),
    Command::new("mset", -3, Group::String, mset)
        .flags(CHANGE)
        .keys(Keys::Range { first: 1, last: -1, step: 2 })
        .uses(&[KeyUse::OVERWRITES])
        .doc("1.0.1", "Sets several keys to a string each."),
    Command::new("msetnx", -3, Group::String, msetnx)
        .flags(CHANGE)
        .keys(Keys::Range { first: 1, last: -1, step: 2 })
        .uses(&[KeyUse::CREATES])
        .doc("1.0.1", "Sets several keys to a string each if none of them exists."),
    Command::new("msetex", -4, Group::String, msetex)
        .flags(CHANGE.union(Flags::MOVABLE_KEYS))
        .keys(Keys::Dynamic(msetex_keys))
        .uses(&[KeyUse::OVERWRITES])
        .doc("9.1.0", "Sets several keys to a string each, with one expiry or a condition for all."),
];

/// When a string is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Condition<'a> {
    #[default]
    Always,
    /// `NX`
    IfAbsent,
    /// `XX`
    IfPresent,
    /// `IFEQ`: if the string is this.
    IfEqual(&'a [u8]),
}

/// What SET and MSETEX are told beyond keys and values.
#[derive(Clone, Copy, Debug, Default)]
struct Options<'a> {
    condition: Condition<'a>,
    /// The unit and the text of its number.
    expiry: Option<(Expiry, &'a [u8])>,
    keep_ttl: bool,
    /// The old string is the reply.
    get: bool,
}

impl<'a> Options<'a> {
    /// Reads the options from `from` on. `of_one_key`: GET and IFEQ are allowed.
    fn parse(argv: Argv<'a>, from: usize, of_one_key: bool) -> Result<Self, CommandError> {
        let mut options = Options::default();
        let mut i = from;
        while i < argv.len() {
            let word = argv.get(i);
            let next = (i + 1 < argv.len()).then(|| argv.get(i + 1));
            let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
            let free = |allowed| options.condition == Condition::Always || options.condition == allowed;
            if is("nx") && free(Condition::IfAbsent) {
                options.condition = Condition::IfAbsent;
            } else if is("xx") && free(Condition::IfPresent) {
                options.condition = Condition::IfPresent;
            } else if is("get") && of_one_key {
                options.get = true;
            } else if is("keepttl") && options.expiry.is_none() {
                options.keep_ttl = true;
            } else if let (true, Some(value), Condition::Always) = (is("ifeq") && of_one_key, next, options.condition) {
                options.condition = Condition::IfEqual(value);
                i += 1;
            } else if let (Some(unit), Some(value)) = (Expiry::from_option(word), next)
                && !options.keep_ttl
                && options.expiry.is_none_or(|(given, _)| given == unit)
            {
                options.expiry = Some((unit, value));
                i += 1;
            } else {
                return Err(SYNTAX);
            }
            i += 1;
        }
        Ok(options)
    }
}

/// Whether SET may tell the old value: GET stands somewhere after the value.
fn gets(argv: Argv<'_>) -> bool {
    argv.iter().skip(3).any(|word| word.eq_ignore_ascii_case(b"get"))
}

fn set(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, value) = (ctx.arg(1), ctx.arg(2));
    if ctx.argc() == 3 {
        let (db, reply) = ctx.db_and_reply();
        db.set_str(key, value, Ttl::Clear);
        db.modified(key, NotifyEvents::STRING, "set");
        reply.ok();
        return Ok(());
    }
    let options = Options::parse(ctx.argv, 3, true)?;
    set_with(ctx, value, options, ReplyBuf::ok, ReplyBuf::null)
}

fn setnx(ctx: &mut Ctx<'_>) -> CommandResult {
    let options = Options { condition: Condition::IfAbsent, ..Options::default() };
    set_with(ctx, ctx.arg(2), options, |reply| reply.int(1), |reply| reply.int(0))
}

fn setex(ctx: &mut Ctx<'_>) -> CommandResult {
    let unit = if ctx.row.command.name == "setex" { Expiry::Seconds } else { Expiry::Millis };
    let options = Options { expiry: Some((unit, ctx.arg(2))), ..Options::default() };
    set_with(ctx, ctx.arg(3), options, ReplyBuf::ok, ReplyBuf::null)
}

/// Sets the first argument's key to `value`; answers with `done` or `refused`, unless the old string is asked for.
fn set_with(
    ctx: &mut Ctx<'_>,
    value: &[u8],
    options: Options<'_>,
    done: fn(&mut ReplyBuf),
    refused: fn(&mut ReplyBuf),
) -> CommandResult {
    let key = ctx.arg(1);
    let at = options.expiry.map(|(unit, text)| unit.until(ctx, text)).transpose()?;
    if options.get {
        let (db, reply) = ctx.db_and_reply();
        reply_str(db, reply, key)?;
    }
    let mut found = false;
    if options.condition != Condition::Always || at.is_some() {
        let entry = ctx.db().write(key);
        found = entry.is_some();
        let holds = match options.condition {
            Condition::Always => true,
            Condition::IfAbsent => !found,
            Condition::IfPresent => found,
            Condition::IfEqual(wanted) => match entry {
                Some(entry) => is_text(entry.as_str().ok_or(crate::keyspace::WrongType)?, wanted),
                None => false,
            },
        };
        if !holds {
            if !options.get {
                refused(ctx.reply());
            }
            return Ok(());
        }
    }
    // Not worth storing what has expired already.
    if at.is_some_and(|at| expire::is_over(ctx, at)) {
        if found {
            expire::delete_as_expired(ctx, key);
        }
        if !options.get {
            ctx.reply().ok();
        }
        return Ok(());
    }
    let ttl = match at {
        Some(at) => Ttl::At(at),
        None if options.keep_ttl => Ttl::Keep,
        None => Ttl::Clear,
    };
    ctx.db().set_str(key, value, ttl);
    ctx.db().modified(key, NotifyEvents::STRING, "set");
    if let Some(at) = at {
        ctx.db().notify(NotifyEvents::GENERIC, "expire", key);
        if options.expiry.is_some_and(|(unit, _)| unit != Expiry::UntilMillis) {
            ctx.propagate_as(&[b"SET", key, value, b"PXAT", itoa::Buffer::new().format(at).as_bytes()]);
        }
    }
    if options.get {
        if at.is_none() {
            // The stream needs no GET: nobody reads the reply.
            let argv = ctx.argv;
            let kept = argv.iter().enumerate().filter(|(i, arg)| *i < 3 || !arg.eq_ignore_ascii_case(b"get"));
            ctx.propagate_as(&kept.map(|(_, arg)| arg).collect::<Vec<_>>());
        }
    } else {
        done(ctx.reply());
    }
    Ok(())
}

fn getset(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, value) = (ctx.arg(1), ctx.arg(2));
    let (db, reply) = ctx.db_and_reply();
    reply_str(db, reply, key)?;
    db.set_str(key, value, Ttl::Clear);
    db.modified(key, NotifyEvents::STRING, "set");
    ctx.propagate_as(&[b"SET", key, value]);
    Ok(())
}

fn mset(ctx: &mut Ctx<'_>) -> CommandResult {
    if ctx.argc().is_multiple_of(2) {
        return Err(wrong_arity("mset"));
    }
    set_pairs(ctx, 1, (ctx.argc() - 1) / 2, Ttl::Clear);
    ctx.reply().ok();
    Ok(())
}

fn msetnx(ctx: &mut Ctx<'_>) -> CommandResult {
    if ctx.argc().is_multiple_of(2) {
        return Err(wrong_arity("msetnx"));
    }
    let pairs = (ctx.argc() - 1) / 2;
    let free = (0..pairs).all(|i| {
        let key = ctx.arg(1 + 2 * i);
        ctx.db().write(key).is_none()
    });
    if free {
        set_pairs(ctx, 1, pairs, Ttl::Clear);
    }
    ctx.reply().int(i64::from(free));
    Ok(())
}

/// Sets `n` keys; keys and values alternate from argument `first` on.
fn set_pairs(ctx: &mut Ctx<'_>, first: usize, n: usize, ttl: Ttl) {
    let argv = ctx.argv;
    let db = ctx.db();
    db.prefetch((0..n).map(|i| argv.get(first + 2 * i)));
    for i in 0..n {
        let (key, value) = (argv.get(first + 2 * i), argv.get(first + 2 * i + 1));
        db.set_str(key, value, ttl);
        db.modified(key, NotifyEvents::STRING, "set");
        if let Ttl::At(_) = ttl {
            db.notify(NotifyEvents::GENERIC, "expire", key);
        }
    }
}

/// The number of pairs of MSETEX, which its first argument tells.
fn msetex_pairs(argv: Argv<'_>) -> Result<usize, CommandError> {
    const BAD_NUMBER: CommandError = CommandError::fixed("ERR invalid numkeys value or out of range");
    let n = parse_i64(argv.get(1)).and_then(|n| i32::try_from(n).ok()).filter(|n| *n > 0).ok_or(BAD_NUMBER)?;
    if n as usize <= argv.len().saturating_sub(2) / 2 { Ok(n as usize) } else { Err(SYNTAX) }
}

fn msetex_keys(argv: Argv<'_>) -> Vec<usize> {
    (0..msetex_pairs(argv).unwrap_or(0)).map(|i| 2 + 2 * i).collect()
}

fn msetex(ctx: &mut Ctx<'_>) -> CommandResult {
    let argv = ctx.argv;
    let pairs = msetex_pairs(argv)?;
    let options = Options::parse(argv, 2 + 2 * pairs, false)?;
    let at = options.expiry.map(|(unit, text)| unit.until(ctx, text)).transpose()?;
    let holds = match options.condition {
        Condition::Always | Condition::IfEqual(_) => true,
        Condition::IfAbsent => (0..pairs).all(|i| ctx.db().write(argv.get(2 + 2 * i)).is_none()),
        Condition::IfPresent => (0..pairs).all(|i| ctx.db().write(argv.get(2 + 2 * i)).is_some()),
    };
    if !holds {
        ctx.reply().int(0);
        return Ok(());
    }
    let ttl = match at {
        Some(at) => Ttl::At(at),
        None if options.keep_ttl => Ttl::Keep,
        None => Ttl::Clear,
    };
    // A time in the past is stored: unlike with SET, the keys go when they are next looked at.
    set_pairs(ctx, 2, pairs, ttl);
    if let (Some(at), Some((unit, _))) = (at, options.expiry)
        && unit != Expiry::UntilMillis
    {
        let mut text = itoa::Buffer::new();
        let text = text.format(at).as_bytes();
        let mut args: Vec<&[u8]> = argv.iter().collect();
        for i in 2 + 2 * pairs..args.len() {
            if Expiry::from_option(args[i]).is_some() {
                args[i] = b"PXAT";
                args[i + 1] = text;
            }
        }
        ctx.propagate_as(&args);
    }
    ctx.reply().int(1);
    Ok(())
}
