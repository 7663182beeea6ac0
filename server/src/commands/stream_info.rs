//! XINFO: what a stream, its groups and their consumers are like inside.

use super::config::container;
use super::error::{CommandError, NO_SUCH_KEY};
use super::stream_group::no_such_group;
use super::stream_range::{reply_entries, reply_entry, reply_id};
use super::{Command, CommandResult, Ctx, Flags, Group, Keys, help};
use crate::data::stream::{self, Stream, StreamId};
use crate::resp::ReplyBuf;

/// The key stands after the subcommand's name.
const KEY: Keys = Keys::Range { first: 2, last: 2, step: 1 };

/// The rows.
pub const COMMANDS: &[Command] = &[Command::new("xinfo", -2, Group::Stream, container)
    .doc("5.0.0", "A container of commands that look into streams.")
    .subcommands(&[
        Command::new("consumers", 4, Group::Stream, consumers)
            .flags(Flags::READONLY)
            .keys(KEY)
            .usage("<key> <groupname>")
            .doc("5.0.0", "Show the consumers of a group."),
        Command::new("groups", 3, Group::Stream, groups)
            .flags(Flags::READONLY)
            .keys(KEY)
            .usage("<key>")
            .doc("5.0.0", "Show the consumer groups of a stream."),
        Command::new("stream", -3, Group::Stream, info)
            .flags(Flags::READONLY)
            .keys(KEY)
            .usage("<key> [FULL [COUNT <count>]]")
            .doc("5.0.0", "Show information about a stream."),
        help::row(Group::Stream, "5.0.0"),
    ])];

fn consumers(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, name) = (ctx.arg(2), ctx.arg(3));
    let now_ms = ctx.server.keyspace.now_ms();
    let (db, reply) = ctx.db_and_reply();
    let stream = db.read_stream(key)?.ok_or(NO_SUCH_KEY)?;
    let group = stream.groups().get(name).ok_or_else(|| no_such_group(key, name))?;
    reply.array(group.consumers().len());
    for consumer in group.consumers() {
        reply.map(4);
        reply.bulk(b"name");
        reply.bulk(consumer.name());
        reply.bulk(b"pending");
        reply.int(consumer.pending().len() as i64);
        reply.bulk(b"idle");
        reply.int(now_ms.saturating_sub(consumer.seen_at).max(0));
        reply.bulk(b"inactive");
        reply.int(if consumer.active_at == -1 { -1 } else { now_ms.saturating_sub(consumer.active_at) });
    }
    Ok(())
}

fn groups(ctx: &mut Ctx<'_>) -> CommandResult {
    let key = ctx.arg(2);
    let (db, reply) = ctx.db_and_reply();
    let stream = db.read_stream(key)?.ok_or(NO_SUCH_KEY)?;
    reply.array(stream.groups().len());
    for (name, group) in stream.groups() {
        reply.map(6);
        reply.bulk(b"name");
        reply.bulk(name);
        reply.bulk(b"consumers");
        reply.int(group.consumers().len() as i64);
        reply.bulk(b"pending");
        reply.int(group.pending().len() as i64);
        reply_progress(reply, stream, group);
    }
    Ok(())
}

/// How far a group has read: its last id, how many entries that were, and how many are to come.
fn reply_progress(reply: &mut ReplyBuf, stream: &Stream, group: &stream::Group) {
    reply.bulk(b"last-delivered-id");
    reply_id(reply, group.last_id);
    for (name, number) in [(&b"entries-read"[..], group.entries_read), (b"lag", stream.lag(group))] {
        reply.bulk(name);
        match number {
            Some(number) => reply.int(number as i64),
            None => reply.null(),
        }
    }
}

fn info(ctx: &mut Ctx<'_>) -> CommandResult {
    let key = ctx.arg(2);
    // The key is looked at before the options.
    if ctx.db().read_stream(key)?.is_none() {
        return Err(NO_SUCH_KEY);
    }
    let full = full_count(ctx)?;
    let (db, reply) = ctx.db_and_reply();
    let Some(stream) = db.get_stream(key)? else { return Err(NO_SUCH_KEY) };
    let log = stream.log();
    reply.map(if full.is_some() { 9 } else { 10 });
    reply.bulk(b"length");
    reply.int(log.len() as i64);
    reply.bulk(b"radix-tree-keys");
    reply.int(log.node_count() as i64);
    // Where Valkey has a radix tree, here is an ordered map: each of its nodes, and its root.
    reply.bulk(b"radix-tree-nodes");
    reply.int(log.node_count() as i64 + 1);
    for (name, id) in [(&b"last-generated-id"[..], log.last_id()), (b"max-deleted-entry-id", log.max_deleted_id())] {
        reply.bulk(name);
        reply_id(reply, id);
    }
    reply.bulk(b"entries-added");
    reply.int(log.added() as i64);
    reply.bulk(b"recorded-first-entry-id");
    reply_id(reply, log.first_id());
    let Some(count) = full else {
        reply.bulk(b"groups");
        reply.int(stream.groups().len() as i64);
        let ends = [log.iter().next(), log.range_back(StreamId::MIN, StreamId::MAX).next()];
        for (name, entry) in [&b"first-entry"[..], b"last-entry"].into_iter().zip(ends) {
            reply.bulk(name);
            match entry {
                Some(entry) => reply_entry(reply, entry),
                None => reply.null(),
            }
        }
        return Ok(());
    };
    reply.bulk(b"entries");
    reply_entries(reply, log.iter(), count);
    reply.bulk(b"groups");
    reply.array(stream.groups().len());
    for (name, group) in stream.groups() {
        reply_full_group(reply, stream, name, group, if count == 0 { usize::MAX } else { count });
    }
    Ok(())
}

/// How many entries of each list FULL asks for (0: all); `None` without FULL.
fn full_count(ctx: &Ctx<'_>) -> Result<Option<usize>, CommandError> {
    const DEFAULT: usize = 10;
    match ctx.argc() {
        3 => Ok(None),
        4 if ctx.is(3, "full") => Ok(Some(DEFAULT)),
        6 if ctx.is(3, "full") && ctx.is(4, "count") => Ok(Some(usize::try_from(ctx.int(5)?).unwrap_or(DEFAULT))),
        _ => Err(help::refusal(ctx)),
    }
}

fn reply_full_group(reply: &mut ReplyBuf, stream: &Stream, name: &[u8], group: &stream::Group, most: usize) {
    reply.map(7);
    reply.bulk(b"name");
    reply.bulk(name);
    reply_progress(reply, stream, group);
    reply.bulk(b"pel-count");
    reply.int(group.pending().len() as i64);
    reply.bulk(b"pending");
    reply.array(group.pending().len().min(most));
    for (id, pending) in group.pending().iter().take(most) {
        reply.array(4);
        reply_id(reply, *id);
        reply.bulk(group.consumer(pending.consumer).name());
        reply.int(pending.delivered_at);
        reply.int(pending.deliveries as i64);
    }
    reply.bulk(b"consumers");
    reply.array(group.consumers().len());
    for consumer in group.consumers() {
        reply.map(5);
        reply.bulk(b"name");
        reply.bulk(consumer.name());
        reply.bulk(b"seen-time");
        reply.int(consumer.seen_at);
        reply.bulk(b"active-time");
        reply.int(consumer.active_at);
        reply.bulk(b"pel-count");
        reply.int(consumer.pending().len() as i64);
        reply.bulk(b"pending");
        reply.deferred(ReplyBuf::array, |reply| {
            let pending = consumer.pending().iter().take(most);
            pending
                .filter_map(|id| Some((*id, group.pending().get(id)?)))
                .map(|(id, pending)| {
                    reply.array(3);
                    reply_id(reply, id);
                    reply.int(pending.delivered_at);
                    reply.int(pending.deliveries as i64);
                })
                .count()
        });
    }
}
