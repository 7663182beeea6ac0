//! Reading streams, by oneself or as a consumer of a group, and waiting for entries: XREAD, XREADGROUP.

use super::error::{CommandError, SYNTAX};
use super::stream_args::{count, id, no_group};
use super::stream_group::{Teller, see_consumer};
use super::stream_range::{reply_entries, reply_entry, reply_id};
use super::{Command, CommandResult, Ctx, Flags, Group, KeyUse, Keys};
use crate::data::stream::{self, ConsumerId, Log, Pending, StreamId};
use crate::resp::{Argv, OwnedArgv, ReplyBuf};

const MOVABLE: Flags = Flags::BLOCKING.union(Flags::MOVABLE_KEYS);

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("xread", -4, Group::Stream, xread)
        .flags(Flags::READONLY.union(MOVABLE))
        .keys(Keys::Dynamic(keys))
        .doc("5.0.0", "Returns entries of streams after the given ids; may wait for some."),
    Command::new("xreadgroup", -7, Group::Stream, xreadgroup)
        .flags(Flags::WRITE.union(MOVABLE))
        .keys(Keys::Dynamic(keys))
        .uses(&[KeyUse::READS])
        .doc("5.0.0", "Gives entries of streams to a consumer of a group; may wait for some."),
];

/// The keys: the first half of what follows STREAMS.
fn keys(argv: Argv<'_>) -> Vec<usize> {
    let mut i = 1;
    while i < argv.len() {
        let arg = argv.get(i);
        let is = |word: &[u8]| arg.eq_ignore_ascii_case(word);
        if is(b"block") || is(b"count") {
            i += 1;
        } else if is(b"group") {
            i += 2;
        } else if is(b"streams") {
            let count = (argv.len() - i - 1) / 2;
            return (i + 1..=i + count).collect();
        } else if !is(b"noack") {
            break;
        }
        i += 1;
    }
    Vec::new()
}

/// What is asked.
struct Query<'a> {
    /// The group and the consumer.
    group: Option<(&'a [u8], &'a [u8])>,
    no_ack: bool,
    /// Entries of each stream at most; 0: all.
    count: usize,
    /// Whether to wait, and how long.
    wait: Option<Option<i64>>,
    /// The first key.
    first: usize,
    streams: usize,
}

/// From where a stream is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    /// After this id.
    After(StreamId),
    /// What the group was not given yet.
    New,
}

impl<'a> Query<'a> {
    fn parse(ctx: &Ctx<'a>, grouped: bool) -> Result<Query<'a>, CommandError> {
        let mut query = Query { group: None, no_ack: false, count: 0, wait: None, first: 0, streams: 0 };
        let mut i = 1;
        while i < ctx.argc() {
            let more = ctx.argc() - i - 1;
            if ctx.is(i, "block") && more > 0 {
                i += 1;
                query.wait = Some(ctx.deadline_ms(i)?);
            } else if ctx.is(i, "count") && more > 0 {
                i += 1;
                query.count = count(ctx, i)?;
            } else if ctx.is(i, "streams") && more > 0 {
                query.first = i + 1;
                query.streams = more / 2;
                if !more.is_multiple_of(2) {
                    let (name, symbol) = if grouped { ("xreadgroup", '>') } else { ("xread", '$') };
                    return Err(CommandError::text(format!(
                        "ERR Unbalanced '{name}' list of streams: for each stream key an ID or '{symbol}' must be specified."
                    )));
                }
                break;
            } else if ctx.is(i, "group") && more >= 2 {
                if !grouped {
                    return Err(CommandError::fixed(
                        "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.",
                    ));
                }
                query.group = Some((ctx.arg(i + 1), ctx.arg(i + 2)));
                i += 2;
            } else if ctx.is(i, "noack") {
                if !grouped {
                    return Err(CommandError::fixed(
                        "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.",
                    ));
                }
                query.no_ack = true;
            } else {
                return Err(SYNTAX);
            }
            i += 1;
        }
        if query.first == 0 {
            return Err(SYNTAX);
        }
        if grouped && query.group.is_none() {
            return Err(CommandError::fixed("ERR Missing GROUP option for XREADGROUP"));
        }
        Ok(query)
    }

    /// The place of the id that belongs to a key.
    fn id_at(&self, key_at: usize) -> usize {
        key_at + self.streams
    }

    fn keys_at(&self) -> std::ops::Range<usize> {
        self.first..self.first + self.streams
    }

    /// Waits for entries, or answers that there are none. `$` is from here on what it is now.
    fn wait(&self, ctx: &mut Ctx<'_>, from: &[From]) {
        let Some(deadline) = self.wait else { return ctx.reply().null_array() };
        let keys: Vec<&[u8]> = self.keys_at().map(|i| ctx.arg(i)).collect();
        let mut texts: Vec<(usize, String)> = Vec::new();
        for (i, from) in self.keys_at().zip(from) {
            if let From::After(id) = from
                && ctx.arg(self.id_at(i)) == b"$"
            {
                texts.push((self.id_at(i), id.to_string()));
            }
        }
        let mut args: Vec<&[u8]> = ctx.argv.iter().collect();
        for (i, text) in &texts {
            args[*i] = text.as_bytes();
        }
        ctx.wait_as(OwnedArgv::new(args).argv(), &keys, deadline, self.group.is_some());
    }
}

/// What starts the answer of some streams.
fn header(reply: &ReplyBuf) -> fn(&mut ReplyBuf, usize) {
    if reply.resp3() { ReplyBuf::map } else { ReplyBuf::array }
}

/// Starts the answer of one stream.
fn reply_key(reply: &mut ReplyBuf, key: &[u8]) {
    if !reply.resp3() {
        reply.array(2);
    }
    reply.bulk(key);
}

fn xread(ctx: &mut Ctx<'_>) -> CommandResult {
    let query = Query::parse(ctx, false)?;
    let mut from = Vec::with_capacity(query.streams);
    for i in query.keys_at() {
        let (key, text) = (ctx.arg(i), ctx.arg(query.id_at(i)));
        let last = ctx.db().read_stream(key)?.map(|stream| stream.log().last_id());
        from.push(From::After(match text {
            b"$" => last.unwrap_or_default(),
            b"+" => match last {
                Some(last) => last.previous().unwrap_or_default(),
                None => StreamId::MIN,
            },
            b">" => {
                return Err(CommandError::fixed(
                    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
                ));
            }
            _ => id(text)?,
        }));
    }
    let argv = ctx.argv;
    let (db, reply) = ctx.db_and_reply();
    let mut ready = Vec::new();
    for (i, from) in query.keys_at().zip(&from) {
        let From::After(after) = *from else { continue };
        let Some(stream) = db.read_stream(argv.get(i))? else { continue };
        let last = stream.log().last_entry_id();
        if let Some(start) = after.next()
            && last.is_some_and(|last| last > after)
        {
            ready.push((argv.get(i), start));
        }
    }
    if ready.is_empty() {
        query.wait(ctx, &from);
        return Ok(());
    }
    header(reply)(reply, ready.len());
    for (key, start) in ready {
        reply_key(reply, key);
        match db.get_stream(key)? {
            Some(stream) => reply_entries(reply, stream.log().range(start, StreamId::MAX), query.count),
            None => reply.array(0),
        }
    }
    Ok(())
}

fn xreadgroup(ctx: &mut Ctx<'_>) -> CommandResult {
    // Others are told what it did.
    ctx.propagate_nothing();
    let query = Query::parse(ctx, true)?;
    let Some((group_name, consumer_name)) = query.group else { return Err(SYNTAX) };
    let mut from = Vec::with_capacity(query.streams);
    for i in query.keys_at() {
        let (key, text) = (ctx.arg(i), ctx.arg(query.id_at(i)));
        let exists = ctx.db().read_stream(key)?.is_some_and(|stream| stream.groups().contains_key(group_name));
        if !exists {
            return Err(no_group(key, group_name, " in XREADGROUP with GROUP option"));
        }
        from.push(match text {
            b">" => From::New,
            b"$" | b"+" => return Err(meaningless(text)),
            _ => match id(text)? {
                StreamId::MAX => From::New,
                id => From::After(id),
            },
        });
    }
    let now_ms = ctx.server.keyspace.now_ms();
    let listened_to = ctx.server.wants_propagation();
    let (argv, db_number) = (ctx.argv, ctx.client.db);
    let server = &mut *ctx.server;
    let (db, reply) = (server.keyspace.db_mut(db_number), &mut ctx.client.reply);
    let mut teller =
        Teller { to: listened_to.then_some(&mut server.propagation), db: db_number, key: b"", group: group_name };
    // A stream may be named twice: what the first mention takes, the second has not.
    let (start, mut served) = (reply.position(), 0);
    reply.deferred(header(reply), |reply| {
        for (i, from) in query.keys_at().zip(&from) {
            let key = argv.get(i);
            let Ok(Some((consumer, new))) = see_consumer(db, key, group_name, consumer_name, now_ms) else { continue };
            teller.key = key;
            if new && query.no_ack {
                // Nothing else would tell of it.
                teller.consumer(consumer_name);
            }
            let Ok(Some(stream)) = db.write_stream(key) else { continue };
            let Some((log, group)) = stream.log_and_group(group_name) else { continue };
            match *from {
                From::After(after) => {
                    reply_key(reply, key);
                    reply_history(reply, log, group, consumer, after, query.count, now_ms);
                }
                From::New if log.last_entry_id().is_some_and(|last| last > group.last_id) => {
                    reply_key(reply, key);
                    let delivery = Delivery { log, group, consumer, now_ms, no_ack: query.no_ack };
                    delivery.deliver(reply, query.count, &mut teller);
                }
                From::New => continue,
            }
            served += 1;
            db.add_dirty(1);
        }
        served
    });
    if served == 0 {
        reply.truncate(start);
        query.wait(ctx, &from);
    }
    Ok(())
}

fn meaningless(text: &[u8]) -> CommandError {
    let symbol = String::from_utf8_lossy(text);
    CommandError::text(format!(
        "ERR The {symbol} ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The {symbol} ID would just return an empty result set."
    ))
}

/// Answers with what a consumer has already, after an id. Of entries that were deleted it is told the ids.
fn reply_history(
    reply: &mut ReplyBuf,
    log: &Log,
    group: &mut stream::Group,
    consumer: ConsumerId,
    after: StreamId,
    count: usize,
    now_ms: i64,
) {
    let most = if count == 0 { usize::MAX } else { count };
    let Some(start) = after.next() else { return reply.array(0) };
    let ids: Vec<StreamId> = group.consumer(consumer).pending().range(start..).take(most).copied().collect();
    reply.array(ids.len());
    for id in ids {
        match log.get(id) {
            Some(entry) => {
                reply_entry(reply, entry);
                group.redeliver(id, now_ms);
            }
            None => {
                reply.array(2);
                reply_id(reply, id);
                reply.null_array();
            }
        }
    }
}

/// New entries on their way to a consumer.
struct Delivery<'a> {
    log: &'a Log,
    group: &'a mut stream::Group,
    consumer: ConsumerId,
    now_ms: i64,
    no_ack: bool,
}

impl Delivery<'_> {
    fn deliver(self, reply: &mut ReplyBuf, count: usize, teller: &mut Teller<'_>) {
        let Delivery { log, group, consumer, now_ms, no_ack } = self;
        let most = if count == 0 { usize::MAX } else { count };
        let Some(start) = group.last_id.next() else { return reply.array(0) };
        reply.deferred(ReplyBuf::array, |reply| {
            let mut delivered = 0;
            for entry in log.range(start, StreamId::MAX).take(most) {
                let id = entry.id;
                reply_entry(reply, entry);
                delivered += 1;
                // The counter counts on where nothing is missing up to the end, and is found anew where it can be.
                let is_whole = group.last_id >= log.first_id() && !log.has_gap_from(group.last_id);
                group.entries_read = match group.entries_read {
                    Some(read) if is_whole => Some(read.wrapping_add(1)),
                    read if log.added() == 0 => read,
                    _ => log.position(id),
                };
                group.last_id = id;
                if !no_ack {
                    let pending = Pending { consumer, delivered_at: now_ms, deliveries: 1 };
                    group.assign(id, pending);
                    group.consumer_mut(consumer).active_at = now_ms;
                    teller.claim(id, &pending, group);
                }
            }
            if delivered > 0 {
                teller.read(group);
            }
            delivered
        });
    }
}
