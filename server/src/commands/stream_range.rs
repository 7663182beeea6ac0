//! Ranges of streams: XRANGE, XREVRANGE; and how entries are answered.

use super::error::SYNTAX;
use super::stream_args::{count, end, start};
use super::{Command, CommandResult, Ctx, Flags, Group, Keys};
use crate::data::stream::{Entry, StreamId};
use crate::resp::ReplyBuf;

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("xrange", -4, Group::Stream, |ctx| range(ctx, false))
        .flags(Flags::READONLY)
        .keys(Keys::FIRST)
        .doc("5.0.0", "Returns the entries of a stream in a range of ids."),
    Command::new("xrevrange", -4, Group::Stream, |ctx| range(ctx, true))
        .flags(Flags::READONLY)
        .keys(Keys::FIRST)
        .doc("5.0.0", "Returns the entries of a stream in a range of ids, the last first."),
];

/// Answers with an id.
pub(super) fn reply_id(reply: &mut ReplyBuf, id: StreamId) {
    reply.bulk(id.to_string().as_bytes());
}

/// Answers with an entry: its id, and names and values.
pub(super) fn reply_entry(reply: &mut ReplyBuf, entry: Entry<'_>) {
    reply.array(2);
    reply_id(reply, entry.id);
    reply.array(2 * entry.fields.len());
    for (name, value) in entry.fields {
        reply.elem(name);
        reply.elem(value);
    }
}

/// Answers with entries, so many at most (0: all).
pub(super) fn reply_entries<'a>(reply: &mut ReplyBuf, entries: impl Iterator<Item = Entry<'a>>, count: usize) {
    let most = if count == 0 { usize::MAX } else { count };
    reply.deferred(ReplyBuf::array, |reply| entries.take(most).map(|entry| reply_entry(reply, entry)).count());
}

fn range(ctx: &mut Ctx<'_>, backward: bool) -> CommandResult {
    let (first, last) = if backward { (3, 2) } else { (2, 3) };
    let (start, end) = (start(ctx.arg(first))?, end(ctx.arg(last))?);
    let mut most = None;
    let mut i = 4;
    while i < ctx.argc() {
        if !ctx.is(i, "count") || i + 1 == ctx.argc() {
            return Err(SYNTAX);
        }
        most = Some(count(ctx, i + 1)?);
        i += 2;
    }
    let key = ctx.arg(1);
    let (db, reply) = ctx.db_and_reply();
    let Some(stream) = db.read_stream(key)? else {
        reply.array(0);
        return Ok(());
    };
    match most {
        Some(0) => reply.null_array(),
        most if backward => reply_entries(reply, stream.log().range_back(start, end), most.unwrap_or(0)),
        most => reply_entries(reply, stream.log().range(start, end), most.unwrap_or(0)),
    }
    Ok(())
}
