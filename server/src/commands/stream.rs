//! Streams: adding, deleting and trimming entries.

use super::error::{CommandError, NO_SUCH_KEY, wrong_arity};
use super::stream_args::{NewId, Options, Trimming, id};
use super::{Command, CommandResult, Ctx, Flags, Group, KeyUse, Keys, error};
use crate::config::NotifyEvents;
use crate::data::limits::Limits;
use crate::data::stream::{AddError, Pair, Stream, StreamId, Trim};
use crate::keyspace::Db;

const CHANGE: Flags = Flags::WRITE.union(Flags::DENYOOM).union(Flags::FAST);

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("xadd", -5, Group::Stream, xadd)
        .flags(CHANGE)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::UPDATES])
        .doc("5.0.0", "Adds an entry to a stream, which is made if need be; may trim it."),
    Command::new("xdel", -3, Group::Stream, xdel)
        .flags(Flags::WRITE.union(Flags::FAST))
        .keys(Keys::FIRST)
        .uses(&[KeyUse::DELETES])
        .doc("5.0.0", "Deletes entries of a stream by their ids."),
    Command::new("xlen", 2, Group::Stream, xlen)
        .flags(Flags::READONLY.union(Flags::FAST))
        .keys(Keys::FIRST)
        .uses(&[KeyUse::LOOKS])
        .doc("5.0.0", "Returns the number of entries of a stream."),
    Command::new("xsetid", -3, Group::Stream, xsetid)
        .flags(CHANGE)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::UPDATES])
        .doc("5.0.0", "Sets what a stream knows of its past. For replication and files."),
    Command::new("xtrim", -4, Group::Stream, xtrim)
        .flags(Flags::WRITE)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::DELETES])
        .doc("5.0.0", "Removes the oldest entries of a stream."),
];

/// Adds an entry with the id that is asked for, or found; gives the id.
fn add<'a>(
    stream: &mut Stream,
    new_id: NewId,
    pairs: impl ExactSizeIterator<Item = Pair<'a>> + Clone,
    limits: &Limits,
    now_ms: i64,
) -> Result<StreamId, CommandError> {
    const NOT_AFTER_LAST: CommandError =
        CommandError::fixed("ERR The ID specified in XADD is equal or smaller than the target stream top item");
    const EXHAUSTED: CommandError =
        CommandError::fixed("ERR The stream has exhausted the last possible ID, unable to add more items");
    let last = stream.log().last_id();
    let after_last = last.next().ok_or(EXHAUSTED)?;
    let id = match new_id {
        NewId::Given(id) => id,
        // Never back in time, whatever the clock does.
        NewId::Auto => StreamId::new(u64::try_from(now_ms).unwrap_or(0), 0).max(after_last),
        NewId::AutoSeq(ms) if ms == last.ms => Some(after_last).filter(|id| id.ms == ms).ok_or(NOT_AFTER_LAST)?,
        NewId::AutoSeq(ms) => StreamId::new(ms, 0),
    };
    stream.log_mut().add(id, pairs, limits).map(|()| id).map_err(|error| match error {
        AddError::NotAfterLast => NOT_AFTER_LAST,
        AddError::TooLarge => CommandError::fixed("ERR Elements are too large to be stored"),
    })
}

fn xadd(ctx: &mut Ctx<'_>) -> CommandResult {
    let options = Options::parse(ctx, true)?;
    let (key, argv, fields_at) = (ctx.arg(1), ctx.argv, options.id_at + 1);
    if argv.len() < fields_at + 2 || !(argv.len() - fields_at).is_multiple_of(2) {
        return Err(wrong_arity(&ctx.row.full_name));
    }
    if options.id == NewId::Given(StreamId::MIN) {
        return Err(CommandError::fixed("ERR The ID specified in XADD must be greater than 0-0"));
    }
    let pairs = (fields_at..argv.len()).step_by(2).map(|i| (argv.get(i), argv.get(i + 1)));
    let now_ms = ctx.server.keyspace.now_ms();
    let (db, reply) = ctx.db_and_reply();
    let limits = db.limits();
    let id = match db.write_stream(key)? {
        Some(stream) => add(stream, options.id, pairs, &limits, now_ms)?,
        None if options.only_existing => {
            reply.null();
            return Ok(());
        }
        None => {
            let mut stream = Stream::new();
            let id = add(&mut stream, options.id, pairs, &limits, now_ms)?;
            db.write_or_insert(key, || stream.into());
            id
        }
    };
    let id_text = id.to_string();
    reply.bulk(id_text.as_bytes());
    db.modified(key, NotifyEvents::STREAM, "xadd");
    let mut rewritten = Rewritten::default();
    if let Some(trimming) = &options.trimming
        && trim(db, key, trimming, &mut rewritten)? > 0
    {
        db.notify(NotifyEvents::STREAM, "xtrim", key);
    }
    if !matches!(options.id, NewId::Given(_)) {
        rewritten.0.push((options.id_at, id_text));
    }
    db.signal_ready(key);
    rewritten.propagate(ctx);
    Ok(())
}

/// Arguments that others are to get in another form.
#[derive(Default)]
struct Rewritten(Vec<(usize, String)>);

impl Rewritten {
    fn propagate(self, ctx: &mut Ctx<'_>) {
        if !self.0.is_empty() {
            let mut args: Vec<&[u8]> = ctx.argv.iter().collect();
            for (i, text) in &self.0 {
                args[*i] = text.as_bytes();
            }
            ctx.propagate_as(&args);
        }
    }
}

/// Trims a stream; gives how many entries that took. How far an approximate trimming went is for others to repeat exactly.
fn trim(db: &mut Db, key: &[u8], trimming: &Trimming, rewritten: &mut Rewritten) -> Result<u64, CommandError> {
    let Some(stream) = db.write_stream(key)? else { return Ok(0) };
    let log = stream.log_mut();
    let removed = log.trim(trimming.to, trimming.approximately, trimming.limit);
    if trimming.approximately {
        let to = match trimming.to {
            Trim::MaxLen(_) => log.len().to_string(),
            Trim::MinId(_) => log.first_kept_id().unwrap_or(StreamId::MAX).to_string(),
        };
        rewritten.0.extend([(trimming.at - 1, "=".to_owned()), (trimming.at, to)]);
    }
    Ok(removed)
}

fn xtrim(ctx: &mut Ctx<'_>) -> CommandResult {
    let options = Options::parse(ctx, false)?;
    let Some(trimming) = options.trimming else { return Err(error::SYNTAX) };
    let key = ctx.arg(1);
    let (db, reply) = ctx.db_and_reply();
    let mut rewritten = Rewritten::default();
    let removed = trim(db, key, &trimming, &mut rewritten)?;
    reply.int(removed as i64);
    if removed > 0 {
        db.modified(key, NotifyEvents::STREAM, "xtrim");
        db.add_dirty(removed - 1);
        rewritten.propagate(ctx);
    }
    Ok(())
}

fn xdel(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, texts) = (ctx.arg(1), ctx.argv.iter().skip(2));
    let (db, reply) = ctx.db_and_reply();
    let Some(stream) = db.write_stream(key)? else {
        reply.int(0);
        return Ok(());
    };
    // All of them are read first: it deletes all or, if one is no id, none.
    let ids = texts.map(id).collect::<Result<Vec<_>, _>>()?;
    let deleted = stream.log_mut().delete(ids.into_iter());
    reply.int(deleted as i64);
    if deleted > 0 {
        db.modified(key, NotifyEvents::STREAM, "xdel");
        db.add_dirty(deleted - 1);
    }
    Ok(())
}

fn xlen(ctx: &mut Ctx<'_>) -> CommandResult {
    let key = ctx.arg(1);
    let len = ctx.db().read_stream(key)?.map_or(0, |stream| stream.log().len());
    ctx.reply().int(len as i64);
    Ok(())
}

fn xsetid(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, last_id) = (ctx.arg(1), id(ctx.arg(2))?);
    let (mut added, mut max_deleted) = (None, StreamId::MIN);
    let mut i = 3;
    while i < ctx.argc() {
        if ctx.is(i, "entriesadded") && i + 1 < ctx.argc() {
            let n = u64::try_from(ctx.int(i + 1)?);
            added = Some(n.map_err(|_| CommandError::fixed("ERR entries_added must be positive"))?);
        } else if ctx.is(i, "maxdeletedid") && i + 1 < ctx.argc() {
            max_deleted = id(ctx.arg(i + 1))?;
            if last_id < max_deleted {
                return Err(CommandError::fixed(
                    "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
                ));
            }
        } else {
            return Err(error::SYNTAX);
        }
        i += 2;
    }
    let db = ctx.db();
    let log = db.write_stream(key)?.ok_or(NO_SUCH_KEY)?.log_mut();
    if last_id < log.max_deleted_id() {
        return Err(CommandError::fixed("ERR The ID specified in XSETID is smaller than current max_deleted_entry_id"));
    }
    if log.last_entry_id().is_some_and(|last_entry| last_id < last_entry) {
        return Err(CommandError::fixed("ERR The ID specified in XSETID is smaller than the target stream top item"));
    }
    if !log.is_empty() && added.is_some_and(|added| added < log.len()) {
        return Err(CommandError::fixed(
            "ERR The entries_added specified in XSETID is smaller than the target stream length",
        ));
    }
    log.set_last_id(last_id);
    if let Some(added) = added {
        log.set_added(added);
    }
    if !max_deleted.is_zero() {
        log.set_max_deleted_id(max_deleted);
    }
    db.notify(NotifyEvents::STREAM, "xsetid", key);
    db.add_dirty(1);
    ctx.reply().ok();
    Ok(())
}
