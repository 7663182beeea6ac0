//! When keys expire: EXPIRE and its kin, TTL and its kin, PERSIST; and what other commands with an expiry share.

use super::error::{NOT_INTEGER, bad_expire};
use super::{Command, CommandError, CommandResult, Ctx, Flags, Group, KeyUse, Keys};
use crate::config::NotifyEvents;
use crate::keyspace::Lookup;
use crate::resp::number::parse_i64;

const CHANGE: Flags = Flags::WRITE.union(Flags::FAST);
const READ: Flags = Flags::READONLY.union(Flags::FAST);

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("expire", -3, Group::Generic, expire)
        .flags(CHANGE)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::UPDATES])
        .doc("1.0.0", "Has a key expire after some seconds."),
    Command::new("pexpire", -3, Group::Generic, expire)
        .flags(CHANGE)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::UPDATES])
        .doc("2.6.0", "Has a key expire after some milliseconds."),
    Command::new("expireat", -3, Group::Generic, expire)
        .flags(CHANGE)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::UPDATES])
        .doc("1.2.0", "Has a key expire at a Unix time in seconds."),
    Command::new("pexpireat", -3, Group::Generic, expire)
        .flags(CHANGE)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::UPDATES])
        .doc("2.6.0", "Has a key expire at a Unix time in milliseconds."),
    Command::new("ttl", 2, Group::Generic, ttl)
        .flags(READ)
        .keys(Keys::FIRST)
        .doc("1.0.0", "Returns in how many seconds a key expires."),
    Command::new("pttl", 2, Group::Generic, ttl)
        .flags(READ)
        .keys(Keys::FIRST)
        .doc("2.6.0", "Returns in how many milliseconds a key expires."),
    Command::new("expiretime", 2, Group::Generic, ttl)
        .flags(READ)
        .keys(Keys::FIRST)
        .doc("7.0.0", "Returns the Unix time in seconds at which a key expires."),
    Command::new("pexpiretime", 2, Group::Generic, ttl)
        .flags(READ)
        .keys(Keys::FIRST)
        .doc("7.0.0", "Returns the Unix time in milliseconds at which a key expires."),
    Command::new("persist", 2, Group::Generic, persist)
        .flags(CHANGE)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::UPDATES])
        .doc("2.2.0", "Has a key expire no more."),
];

/// How an expiry is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// `EX`: seconds from now.
    Seconds,
    /// `PX`: milliseconds from now.
    Millis,
    /// `EXAT`: Unix time in seconds.
    UntilSeconds,
    /// `PXAT`: Unix time in milliseconds.
    UntilMillis,
}

impl Expiry {
    /// The one that an option names, in any case.
    pub fn from_option(word: &[u8]) -> Option<Expiry> {
        let is = |name: &[u8]| word.eq_ignore_ascii_case(name);
        match word.len() {
            2 if is(b"ex") => Some(Expiry::Seconds),
            2 if is(b"px") => Some(Expiry::Millis),
            4 if is(b"exat") => Some(Expiry::UntilSeconds),
            4 if is(b"pxat") => Some(Expiry::UntilMillis),
            _ => None,
        }
    }

    /// Whether it tells a time, not a duration.
    pub fn is_absolute(self) -> bool {
        matches!(self, Expiry::UntilSeconds | Expiry::UntilMillis)
    }

    /// The time in ms since 1970 that a positive number of this unit tells.
    ///
    /// # Errors
    /// If it is no integer, not positive, or too large.
    pub fn until(self, ctx: &Ctx<'_>, text: &[u8]) -> Result<i64, CommandError> {
        let number = parse_i64(text).ok_or(NOT_INTEGER)?;
        let invalid = || bad_expire(&ctx.row.full_name);
        if number <= 0 { Err(invalid()) } else { self.resolve(number, ctx.server.now_ms()).ok_or_else(invalid) }
    }

    /// The time in ms since 1970 that any number of this unit tells; `None` if it is out of range.
    pub fn resolve(self, number: i64, now_ms: i64) -> Option<i64> {
        let millis = match self {
            Expiry::Seconds | Expiry::UntilSeconds => number.checked_mul(1000)?,
            Expiry::Millis | Expiry::UntilMillis => number,
        };
        if self.is_absolute() { Some(millis) } else { millis.checked_add(now_ms) }
    }
}

/// Whether a key that is to expire at `at` (ms since 1970) need not be kept at all. Where deletions come from elsewhere (a primary's
/// stream, a file being loaded) it is kept until they come.
pub fn is_over(ctx: &Ctx<'_>, at: i64) -> bool {
    at <= ctx.server.now_ms()
        && ctx.server.is_primary()
        && ctx.server.loading.progress.is_none()
        && !ctx.server.config.import_mode
}

/// Deletes a key because the call gave it an expiry in the past. The deletion is propagated instead of the call.
pub fn delete_as_expired(ctx: &mut Ctx<'_>, key: &[u8]) {
    ctx.db().expire_now(key);
    ctx.propagate_nothing();
}

/// The conditions of EXPIRE.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conditions {
    absent: bool,
    present: bool,
    greater: bool,
    less: bool,
}

impl Conditions {
    /// Adds the one that an option names; false if it names none.
    fn add(&mut self, word: &[u8]) -> bool {
        let flag = match word.to_ascii_lowercase().as_slice() {
            b"nx" => &mut self.absent,
            b"xx" => &mut self.present,
            b"gt" => &mut self.greater,
            b"lt" => &mut self.less,
            _ => return false,
        };
        *flag = true;
        true
    }

    /// Reads those that stand in the arguments from `from` to before `to`.
    ///
    /// # Errors
    /// What is none, and what cannot be asked for together.
    pub fn parse(ctx: &Ctx<'_>, from: usize, to: usize) -> Result<Self, CommandError> {
        let mut conditions = Conditions::default();
        for i in from..to {
            if !conditions.add(ctx.arg(i)) {
                return Err(CommandError::bytes([b"ERR Unsupported option ", ctx.arg(i)].concat()));
            }
        }
        conditions.check()?;
        Ok(conditions)
    }

    fn check(self) -> CommandResult {
        if self.absent && (self.present || self.greater || self.less) {
            return Err(CommandError::fixed("ERR NX and XX, GT or LT options at the same time are not compatible"));
        }
        if self.greater && self.less {
            return Err(CommandError::fixed("ERR GT and LT options at the same time are not compatible"));
        }
        Ok(())
    }

    /// Whether an expiry may become `new`. No expiry is later than any other.
    pub fn hold(self, current: Option<i64>, new: i64) -> bool {
        !(self.absent && current.is_some()
            || self.present && current.is_none()
            || self.greater && current.is_none_or(|at| new <= at)
            || self.less && current.is_some_and(|at| new >= at))
    }
}

fn expire(ctx: &mut Ctx<'_>) -> CommandResult {
    let unit = match ctx.row.command.name {
        "expire" => Expiry::Seconds,
        "pexpire" => Expiry::Millis,
        "expireat" => Expiry::UntilSeconds,
        _ => Expiry::UntilMillis,
    };
    let conditions = Conditions::parse(ctx, 3, ctx.argc())?;
    let at = unit.resolve(ctx.int(2)?, ctx.server.now_ms()).ok_or_else(|| bad_expire(&ctx.row.full_name))?;
    let key = ctx.arg(1);
    let current = ctx.db().write(key).map(|entry| entry.expire_at());
    if !current.is_some_and(|current| conditions.hold(current, at)) {
        ctx.reply().int(0);
        return Ok(());
    }
    if is_over(ctx, at) {
        delete_as_expired(ctx, key);
    } else {
        ctx.db().set_expire(key, Some(at.max(i64::MIN + 1)));
        ctx.db().modified(key, NotifyEvents::GENERIC, "expire");
        if unit != Expiry::UntilMillis {
            let mut text = itoa::Buffer::new();
            let mut args = vec![b"PEXPIREAT", key, text.format(at).as_bytes()];
            args.extend(ctx.argv.iter().skip(3));
            ctx.propagate_as(&args);
        }
    }
    ctx.reply().int(1);
    Ok(())
}

fn ttl(ctx: &mut Ctx<'_>) -> CommandResult {
    let key = ctx.arg(1);
    let (seconds, absolute) = match ctx.row.command.name {
        "ttl" => (true, false),
        "pttl" => (false, false),
        "expiretime" => (true, true),
        _ => (false, true),
    };
    let now = ctx.server.now_ms();
    let (db, reply) = ctx.db_and_reply();
    let answer = match db.read_with(key, Lookup::NO_TOUCH).map(|entry| entry.expire_at()) {
        None => -2,
        Some(None) => -1,
        Some(Some(at)) => {
            let millis = if absolute { at } else { at.saturating_sub(now) }.max(0);
            // Rounded, so that what was just set to 10 s reads 10.
            if seconds { millis / 1000 + i64::from(millis % 1000 >= 500) } else { millis }
        }
    };
    reply.int(answer);
    Ok(())
}

fn persist(ctx: &mut Ctx<'_>) -> CommandResult {
    let key = ctx.arg(1);
    let (db, reply) = ctx.db_and_reply();
    let expires = db.write(key).is_some_and(|entry| entry.expire_at().is_some());
    if expires {
        db.set_expire(key, None);
        db.modified(key, NotifyEvents::GENERIC, "persist");
    }
    reply.int(i64::from(expires));
    Ok(())
}
