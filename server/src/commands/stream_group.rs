//! Consumer groups: XGROUP, XACK, XPENDING; and how what happens to them is told to others.

use super::config::container;
use super::error::{CommandError, SYNTAX};
use super::stream_args::{count, end, id, id_or_end, no_group, start};
use super::stream_range::reply_id;
use super::{Command, CommandResult, Ctx, Flags, Group, KeyUse, Keys, help};
use crate::config::NotifyEvents;
use crate::data::stream::{self, ConsumerId, Pending, Stream, StreamId};
use crate::keyspace::{Db, Lookup, WrongType};
use crate::resp::ReplyBuf;
use crate::server::propagation::Propagation;

/// The key stands after the subcommand's name.
const KEY: Keys = Keys::Range { first: 2, last: 2, step: 1 };
const CHANGE: Flags = Flags::WRITE.union(Flags::DENYOOM);

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("xack", -4, Group::Stream, xack)
        .flags(Flags::WRITE.union(Flags::FAST))
        .keys(Keys::FIRST)
        .uses(&[KeyUse::UPDATES])
        .doc("5.0.0", "Takes entries off the list of what a consumer group has pending."),
    Command::new("xgroup", -2, Group::Stream, container)
        .doc("5.0.0", "A container of commands for consumer groups.")
        .subcommands(&[
            Command::new("create", -5, Group::Stream, create)
                .flags(CHANGE)
                .keys(KEY)
                .uses(&[KeyUse::INSERTS])
                .usage("<key> <groupname> <id|$> [MKSTREAM] [ENTRIESREAD entries_read]")
                .doc("5.0.0", "Create a consumer group, with MKSTREAM also the stream."),
            Command::new("createconsumer", 5, Group::Stream, createconsumer)
                .flags(CHANGE)
                .keys(KEY)
                .uses(&[KeyUse::INSERTS])
                .usage("<key> <groupname> <consumer>")
                .doc("6.2.0", "Create a consumer in a group."),
            Command::new("delconsumer", 5, Group::Stream, delconsumer)
                .flags(Flags::WRITE)
                .keys(KEY)
                .uses(&[KeyUse::DELETES])
                .usage("<key> <groupname> <consumer>")
                .doc("5.0.0", "Remove a consumer, with what it has pending."),
            Command::new("destroy", 4, Group::Stream, destroy)
                .flags(Flags::WRITE)
                .keys(KEY)
                .uses(&[KeyUse::DELETES])
                .usage("<key> <groupname>")
                .doc("5.0.0", "Remove a group."),
            Command::new("setid", -5, Group::Stream, setid)
                .flags(Flags::WRITE)
                .keys(KEY)
                .uses(&[KeyUse::UPDATES])
                .usage("<key> <groupname> <id|$> [ENTRIESREAD entries_read]")
                .doc("5.0.0", "Set how far a group has read."),
            help::row(Group::Stream, "5.0.0"),
        ]),
    Command::new("xpending", -3, Group::Stream, xpending)
        .flags(Flags::READONLY)
        .keys(Keys::FIRST)
        .doc("5.0.0", "Returns what consumers were given and have not acknowledged."),
];

/// Tells replicas and the append-only file what becomes of a group, by commands whose outcome depends on nothing else.
pub(super) struct Teller<'a> {
    /// Where it goes; `None` if nobody listens.
    pub to: Option<&'a mut Propagation>,
    /// The database.
    pub db: usize,
    /// The stream.
    pub key: &'a [u8],
    /// The group.
    pub group: &'a [u8],
}

impl Teller<'_> {
    /// An entry was given to a consumer.
    pub fn claim(&mut self, id: StreamId, pending: &Pending, group: &stream::Group) {
        let Some(to) = &mut self.to else { return };
        let (id, at) = (id.to_string(), pending.delivered_at.to_string());
        let (deliveries, last) = (pending.deliveries.to_string(), group.last_id.to_string());
        to.push(
            self.db,
            &[
                b"XCLAIM",
                self.key,
                self.group,
                group.consumer(pending.consumer).name(),
                b"0",
                id.as_bytes(),
                b"TIME",
                at.as_bytes(),
                b"RETRYCOUNT",
                deliveries.as_bytes(),
                b"FORCE",
                // They need not look the entry up.
                b"JUSTID",
                b"LASTID",
                last.as_bytes(),
            ],
        );
    }

    /// A group has read on.
    pub fn read(&mut self, group: &stream::Group) {
        let Some(to) = &mut self.to else { return };
        let (last, read) = (group.last_id.to_string(), entries_read_text(group));
        to.push(
            self.db,
            &[b"XGROUP", b"SETID", self.key, self.group, last.as_bytes(), b"ENTRIESREAD", read.as_bytes()],
        );
    }

    /// A consumer came into being.
    pub fn consumer(&mut self, name: &[u8]) {
        if let Some(to) = &mut self.to {
            to.push(self.db, &[b"XGROUP", b"CREATECONSUMER", self.key, self.group, name]);
        }
    }
}

/// How many entries a group has read, -1 if that is not known.
pub(super) fn entries_read_text(group: &stream::Group) -> String {
    group.entries_read.map_or_else(|| "-1".to_owned(), |read| read.to_string())
}

/// Finds a consumer or makes it, and notes that it was there. Gives it, and whether it is new. `None` if there is no such group.
///
/// # Errors
/// If the key holds another type.
pub(super) fn see_consumer(
    db: &mut Db,
    key: &[u8],
    group: &[u8],
    name: &[u8],
    now_ms: i64,
) -> Result<Option<(ConsumerId, bool)>, WrongType> {
    let Some(group) = db.write_stream(key)?.and_then(|stream| stream.groups_mut().get_mut(group)) else {
        return Ok(None);
    };
    if let Some(id) = group.find(name) {
        group.consumer_mut(id).seen_at = now_ms;
        return Ok(Some((id, false)));
    }
    let created = group.create(name, now_ms).map(|id| (id, true));
    created_consumer(db, key);
    Ok(created)
}

fn created_consumer(db: &Db, key: &[u8]) {
    db.notify(NotifyEvents::STREAM, "xgroup-createconsumer", key);
    db.add_dirty(1);
}

const NEEDS_KEY: CommandError = CommandError::fixed(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.",
);

/// The options of CREATE and SETID.
struct GroupOptions {
    make_stream: bool,
    entries_read: Option<u64>,
}

impl GroupOptions {
    fn parse(ctx: &Ctx<'_>, creates: bool) -> Result<GroupOptions, CommandError> {
        let mut options = GroupOptions { make_stream: false, entries_read: None };
        let mut i = 5;
        while i < ctx.argc() {
            if creates && ctx.is(i, "mkstream") {
                options.make_stream = true;
            } else if ctx.is(i, "entriesread") && i + 1 < ctx.argc() {
                i += 1;
                options.entries_read = match ctx.int(i)? {
                    -1 => None,
                    read => Some(
                        u64::try_from(read)
                            .map_err(|_| CommandError::fixed("ERR value for ENTRIESREAD must be positive or -1"))?,
                    ),
                };
            } else {
                return Err(help::refusal(ctx));
            }
            i += 1;
        }
        Ok(options)
    }
}

fn create(ctx: &mut Ctx<'_>) -> CommandResult {
    let options = GroupOptions::parse(ctx, true)?;
    let (key, name, from) = (ctx.arg(2), ctx.arg(3), ctx.arg(4));
    if ctx.db().write_stream(key)?.is_none() && !options.make_stream {
        return Err(NEEDS_KEY);
    }
    // Each option once.
    if ctx.argc() > 8 {
        return Err(help::refusal(ctx));
    }
    let db = ctx.db();
    let last_id = match db.write_stream(key)? {
        None if from == b"$" => StreamId::MIN,
        Some(stream) if from == b"$" => stream.log().last_id(),
        _ => id(from)?,
    };
    if db.write_stream(key)?.is_none() {
        db.stream_or_new(key)?;
        db.touched(key);
    }
    let groups = db.stream_or_new(key)?.groups_mut();
    if groups.contains_key(name) {
        return Err(CommandError::fixed("BUSYGROUP Consumer Group name already exists"));
    }
    groups.insert(name.into(), stream::Group::new(last_id, options.entries_read));
    changed(ctx, "xgroup-create");
    ctx.reply().ok();
    Ok(())
}

/// Counts and publishes a change to a group, which watchers of the key do not hear of.
fn changed(ctx: &mut Ctx<'_>, event: &'static str) {
    let key = ctx.arg(2);
    let db = ctx.db();
    db.notify(NotifyEvents::STREAM, event, key);
    db.add_dirty(1);
}

/// The stream of a subcommand, which must exist.
fn existing<'a>(db: &'a mut Db, key: &[u8]) -> Result<&'a mut Stream, CommandError> {
    db.write_stream(key)?.ok_or(NEEDS_KEY)
}

/// The group of a subcommand, which must exist.
fn existing_group<'a>(db: &'a mut Db, key: &[u8], name: &[u8]) -> Result<&'a mut stream::Group, CommandError> {
    existing(db, key)?.groups_mut().get_mut(name).ok_or_else(|| no_such_group(key, name))
}

/// The error that a stream has no such group.
pub(super) fn no_such_group(key: &[u8], name: &[u8]) -> CommandError {
    CommandError::bytes([b"NOGROUP No such consumer group '", name, b"' for key name '", key, b"'"].concat())
}

fn setid(ctx: &mut Ctx<'_>) -> CommandResult {
    let options = GroupOptions::parse(ctx, false)?;
    let (key, name, from, fits) = (ctx.arg(2), ctx.arg(3), ctx.arg(4), [5, 7].contains(&ctx.argc()));
    let db = ctx.db();
    let last_id = existing(db, key)?.log().last_id();
    existing_group(db, key, name)?;
    if !fits {
        return Err(help::refusal(ctx));
    }
    let last_id = if from == b"$" { last_id } else { id_or_end(from, 0)? };
    let group = existing_group(db, key, name)?;
    group.last_id = last_id;
    group.entries_read = options.entries_read;
    changed(ctx, "xgroup-setid");
    ctx.reply().ok();
    Ok(())
}

fn destroy(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, name) = (ctx.arg(2), ctx.arg(3));
    let db = ctx.db();
    let removed = existing(db, key)?.take_group(name);
    let found = removed.is_some();
    if let Some(group) = removed {
        db.discard(group);
        // Who waits for entries of the group is told that there will be none.
        db.signal_ready(key);
        changed(ctx, "xgroup-destroy");
    }
    ctx.reply().int(i64::from(found));
    Ok(())
}

fn createconsumer(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, name, consumer) = (ctx.arg(2), ctx.arg(3), ctx.arg(4));
    let now_ms = ctx.server.keyspace.now_ms();
    let db = ctx.db();
    let created = existing_group(db, key, name)?.create(consumer, now_ms).is_some();
    if created {
        created_consumer(db, key);
    }
    ctx.reply().int(i64::from(created));
    Ok(())
}

fn delconsumer(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, name, consumer) = (ctx.arg(2), ctx.arg(3), ctx.arg(4));
    let removed = existing_group(ctx.db(), key, name)?.remove(consumer);
    if removed.is_some() {
        changed(ctx, "xgroup-delconsumer");
    }
    ctx.reply().int(removed.unwrap_or(0) as i64);
    Ok(())
}

fn xack(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, name, texts) = (ctx.arg(1), ctx.arg(2), ctx.argv.iter().skip(3));
    let (db, reply) = ctx.db_and_reply();
    // Valkey takes it for a reader's lookup.
    db.read_with(key, Lookup::NO_TOUCH);
    let Some(group) = db.write_stream(key)?.and_then(|stream| stream.groups_mut().get_mut(name)) else {
        reply.int(0);
        return Ok(());
    };
    // All of them are read first: it acknowledges all or, if one is no id, none.
    let ids = texts.map(id).collect::<Result<Vec<_>, _>>()?;
    let acknowledged = ids.into_iter().filter(|id| group.acknowledge(*id).is_some()).count();
    reply.int(acknowledged as i64);
    db.add_dirty(acknowledged as u64);
    Ok(())
}

fn xpending(ctx: &mut Ctx<'_>) -> CommandResult {
    let query = PendingQuery::parse(ctx)?;
    let (key, name) = (ctx.arg(1), ctx.arg(2));
    let now_ms = ctx.server.keyspace.now_ms();
    let (db, reply) = ctx.db_and_reply();
    let group = db.read_stream(key)?.and_then(|stream| stream.groups().get(name));
    let group = group.ok_or_else(|| no_group(key, name, ""))?;
    match query {
        Some(query) => query.reply(reply, group, now_ms),
        None => reply_summary(reply, group),
    }
    Ok(())
}

/// How many entries are pending, between which ids, and how many each consumer has.
fn reply_summary(reply: &mut ReplyBuf, group: &stream::Group) {
    let pending = group.pending();
    reply.array(4);
    reply.int(pending.len() as i64);
    let (Some((first, _)), Some((last, _))) = (pending.first_key_value(), pending.last_key_value()) else {
        reply.null();
        reply.null();
        reply.null_array();
        return;
    };
    reply_id(reply, *first);
    reply_id(reply, *last);
    reply.deferred(ReplyBuf::array, |reply| {
        let busy = group.consumers().filter(|consumer| !consumer.pending().is_empty());
        busy.map(|consumer| {
            reply.array(2);
            reply.bulk(consumer.name());
            reply.bulk_int(consumer.pending().len() as i64);
        })
        .count()
    });
}

/// Which pending entries are asked for.
struct PendingQuery<'a> {
    min_idle: i64,
    start: StreamId,
    end: StreamId,
    count: usize,
    consumer: Option<&'a [u8]>,
}

impl<'a> PendingQuery<'a> {
    fn parse(ctx: &Ctx<'a>) -> Result<Option<Self>, CommandError> {
        let argc = ctx.argc();
        if argc == 3 {
            return Ok(None);
        }
        if !(6..=9).contains(&argc) {
            return Err(SYNTAX);
        }
        let (mut at, mut min_idle) = (3, 0);
        if ctx.is(3, "idle") {
            min_idle = ctx.int(4)?;
            at = 5;
            if argc < 8 {
                return Err(SYNTAX);
            }
        }
        let count = count(ctx, at + 2)?;
        let (start, end) = (start(ctx.arg(at))?, end(ctx.arg(at + 1))?);
        let consumer = (at + 3 < argc).then(|| ctx.arg(at + 3));
        Ok(Some(PendingQuery { min_idle, start, end, count, consumer }))
    }

    fn reply(&self, reply: &mut ReplyBuf, group: &stream::Group, now_ms: i64) {
        let one = |reply: &mut ReplyBuf, id: StreamId, pending: &Pending| {
            reply.array(4);
            reply_id(reply, id);
            reply.bulk(group.consumer(pending.consumer).name());
            reply.int(now_ms.saturating_sub(pending.delivered_at).max(0));
            reply.int(pending.deliveries as i64);
        };
        let is_idle =
            |pending: &Pending| self.min_idle == 0 || now_ms.saturating_sub(pending.delivered_at) >= self.min_idle;
        if self.start > self.end {
            return reply.array(0);
        }
        let range = self.start..=self.end;
        match self.consumer {
            None => reply.deferred(ReplyBuf::array, |reply| {
                let found = group.pending().range(range).filter(|(_, pending)| is_idle(pending));
                found.take(self.count).map(|(id, pending)| one(reply, *id, pending)).count()
            }),
            Some(name) => {
                let Some(consumer) = group.find(name) else { return reply.array(0) };
                let ids = group.consumer(consumer).pending().range(range);
                reply.deferred(ReplyBuf::array, |reply| {
                    let found = ids.filter_map(|id| Some((*id, group.pending().get(id)?)));
                    let found = found.filter(|(_, pending)| is_idle(pending));
                    found.take(self.count).map(|(id, pending)| one(reply, id, pending)).count()
                });
            }
        }
    }
}
