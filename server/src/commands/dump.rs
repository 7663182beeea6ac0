//! DUMP and RESTORE: a value as bytes that another server can make it of.

use super::error::SYNTAX;
use super::expire::is_over;
use super::{Category, Command, CommandError, CommandResult, Ctx, Flags, Group, KeyUse, Keys};
use crate::config::{NotifyEvents, RdbVersionCheck};
use crate::data::entry::Entry;
use crate::keyspace::{Access, Ttl};
use crate::log_verbose;
use crate::persistence::rdb::dump::{Dumper, RestoreError, restore as restore_value};
use crate::persistence::rdb::format::{ValueType, VersionCheck};
use crate::persistence::rdb::object_load::ValueOptions;
use std::cell::RefCell;

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("dump", 2, Group::Generic, dump)
        .flags(Flags::READONLY)
        .keys(Keys::FIRST)
        .doc("2.6.0", "Returns the value of a key as bytes that RESTORE makes it of."),
    Command::new("restore", -4, Group::Generic, restore)
        .flags(Flags::WRITE.union(Flags::DENYOOM))
        .keys(Keys::FIRST)
        .uses(&[KeyUse::OVERWRITES])
        .acl(Category::DANGEROUS)
        .doc("2.6.0", "Makes a key of the bytes that DUMP returned."),
    Command::new("restore-asking", -4, Group::Server, restore)
        .flags(Flags::WRITE.union(Flags::DENYOOM).union(Flags::ASKING))
        .keys(Keys::FIRST)
        .uses(&[KeyUse::OVERWRITES])
        .acl(Category::DANGEROUS.union(Category::KEYSPACE))
        .doc("3.0.0", "Is RESTORE for servers in cluster mode."),
];

thread_local! {
    /// Keeps the compressor's memory between calls.
    static DUMPER: RefCell<Dumper> = RefCell::default();
}

/// The bytes that RESTORE makes a key's value of.
pub(super) fn payload(entry: &Entry, compression: bool) -> Vec<u8> {
    DUMPER.with_borrow_mut(|dumper| dumper.dump(entry.value(), compression))
}

fn dump(ctx: &mut Ctx<'_>) -> CommandResult {
    let key = ctx.arg(1);
    let compression = ctx.server.config.rdbcompression;
    let (db, reply) = ctx.db_and_reply();
    match db.read(key) {
        Some(entry) => reply.bulk(&payload(entry, compression)),
        None => reply.null(),
    }
    Ok(())
}

#[derive(Default)]
struct Options {
    replace: bool,
    absolute: bool,
    access: Option<Access>,
}

impl Options {
    fn parse(ctx: &Ctx<'_>) -> Result<Options, CommandError> {
        let mut options = Options::default();
        let mut i = 4;
        while i < ctx.argc() {
            let has_value = i + 1 < ctx.argc();
            if ctx.is(i, "replace") {
                options.replace = true;
            } else if ctx.is(i, "absttl") {
                options.absolute = true;
            } else if ctx.is(i, "idletime") && has_value && !matches!(options.access, Some(Access::Frequency(_))) {
                i += 1;
                let seconds = u64::try_from(ctx.int(i)?)
                    .map_err(|_| CommandError::fixed("ERR Invalid IDLETIME value, must be >= 0"))?;
                options.access = Some(Access::Idle(u32::try_from(seconds).unwrap_or(u32::MAX)));
            } else if ctx.is(i, "freq") && has_value && !matches!(options.access, Some(Access::Idle(_))) {
                i += 1;
                let frequency = u8::try_from(ctx.int(i)?)
                    .map_err(|_| CommandError::fixed("ERR Invalid FREQ value, must be >= 0 and <= 255"))?;
                options.access = Some(Access::Frequency(frequency));
            } else {
                return Err(SYNTAX);
            }
            i += 1;
        }
        Ok(options)
    }
}

fn restore(ctx: &mut Ctx<'_>) -> CommandResult {
    let options = Options::parse(ctx)?;
    let (key, payload) = (ctx.arg(1), ctx.arg(3));
    if !options.replace && ctx.db().write(key).is_some() {
        return Err(CommandError::fixed("BUSYKEY Target key name already exists."));
    }
    let ttl = ctx.int(2)?;
    if ttl < 0 {
        return Err(CommandError::fixed("ERR Invalid TTL value, must be >= 0"));
    }
    let now = ctx.server.now_ms();
    let limits = ctx.db().limits();
    let value_options = ValueOptions { limits: &limits, deep: true };
    let check = match ctx.server.config.rdb_version_check {
        RdbVersionCheck::Strict => VersionCheck::Strict,
        RdbVersionCheck::Relaxed => VersionCheck::Relaxed,
    };
    let restored = restore_value(payload, check, ctx.server.skip_checksum, &value_options);
    let compact = payload.first().and_then(|code| ValueType::from_code(*code)).is_some_and(ValueType::is_compact);
    if compact && !matches!(restored, Err(RestoreError::WrongFrame)) {
        ctx.server.stats.payloads_sanitized += 1;
    }
    let value = restored.map_err(|e| match e {
        RestoreError::WrongFrame => CommandError::fixed("ERR DUMP payload version or checksum are wrong"),
        RestoreError::BadData(error) => {
            log_verbose!("Internal error in RDB, in a payload to restore: {error}");
            CommandError::fixed("ERR Bad data format")
        }
    })?;
    let deleted = options.replace && ctx.db().delete(key);
    let at = (ttl > 0).then(|| if options.absolute { ttl } else { ttl.saturating_add(now) });
    if at.is_some_and(|at| is_over(ctx, at)) {
        if deleted {
            let lazily = ctx.server.config.lazyfree_lazy_server_del;
            ctx.db().modified(key, NotifyEvents::GENERIC, "del");
            ctx.propagate_as(&[if lazily { b"UNLINK" } else { b"DEL" }, key]);
        }
        ctx.reply().ok();
        return Ok(());
    }
    let db = ctx.db();
    db.set(key, value, at.map_or(Ttl::Clear, Ttl::At));
    if let Some(access) = options.access {
        db.set_access(key, access);
    }
    db.modified(key, NotifyEvents::GENERIC, "restore");
    if let Some(at) = at.filter(|_| !options.absolute) {
        let mut text = itoa::Buffer::new();
        let mut args: Vec<&[u8]> = ctx.argv.iter().collect();
        args[2] = text.format(at).as_bytes();
        args.push(b"ABSTTL");
        ctx.propagate_as(&args);
    }
    ctx.reply().ok();
    Ok(())
}
