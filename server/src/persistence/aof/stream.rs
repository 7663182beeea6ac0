//! A stream as commands that make it.

use crate::data::elem::Elem;
use crate::data::stream::{Group, Stream};
use crate::resp::argv::encode_command;

/// Appends the commands.
pub fn write(out: &mut Vec<u8>, key: &[u8], stream: &Stream) {
    let log = stream.log();
    for entry in log.iter() {
        let (id, fields) = (entry.id.to_string(), entry.fields.flat_map(|(name, value)| [name, value]));
        let fields: Vec<Vec<u8>> = fields.map(Elem::to_vec).collect();
        let args: Vec<&[u8]> = [b"XADD", key, id.as_bytes()].into_iter().chain(fields.iter().map(|f| &f[..])).collect();
        encode_command(out, args);
    }
    if log.is_empty() {
        // One that is trimmed at once: how an empty stream comes to be.
        encode_command(out, [&b"XADD"[..], key, b"MAXLEN", b"0", b"0-1", b"x", b"y"]);
    }
    // The last entry may have been deleted since, and others before it.
    let (last, added, deleted) = (log.last_id().to_string(), log.added().to_string(), log.max_deleted_id().to_string());
    encode_command(
        out,
        [&b"XSETID"[..], key, last.as_bytes(), b"ENTRIESADDED", added.as_bytes(), b"MAXDELETEDID", deleted.as_bytes()],
    );
    stream.groups().iter().for_each(|(name, group)| write_group(out, key, name, group));
}

fn write_group(out: &mut Vec<u8>, key: &[u8], name: &[u8], group: &Group) {
    let last = group.last_id.to_string();
    let read = group.entries_read.map_or_else(|| "-1".to_owned(), |read| read.to_string());
    encode_command(out, [&b"XGROUP"[..], b"CREATE", key, name, last.as_bytes(), b"ENTRIESREAD", read.as_bytes()]);
    for consumer in group.consumers() {
        if consumer.pending().is_empty() {
            encode_command(out, [&b"XGROUP"[..], b"CREATECONSUMER", key, name, consumer.name()]);
        }
        for id in consumer.pending() {
            let Some(pending) = group.pending().get(id) else { continue };
            let (id, at, count) = (id.to_string(), pending.delivered_at.to_string(), pending.deliveries.to_string());
            encode_command(
                out,
                [
                    &b"XCLAIM"[..],
                    key,
                    name,
                    consumer.name(),
                    b"0",
                    id.as_bytes(),
                    b"TIME",
                    at.as_bytes(),
                    b"RETRYCOUNT",
                    count.as_bytes(),
                    b"JUSTID",
                    b"FORCE",
                ],
            );
        }
    }
}
