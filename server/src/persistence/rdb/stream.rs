//! Streams in their three layouts: Redis 5 (type 15), Redis 7.0 (19, with the stream's history and what groups have read) and today's (21,
//! with when consumers were active).

use std::io::{self, Read, Write};

use super::error::{ErrorKind, RdbError, Result};
use super::format::ValueType;
use super::reader::{Observer, Reader};
use super::writer::Writer;
use crate::data::listpack::Listpack;
use crate::data::stream::{Builder, Group, GroupBuilder, History, Malformed, Stream, StreamId, Totals};

/// Writes a stream in today's layout, without its type code.
pub fn save<W: Write>(writer: &mut Writer<W>, stream: &Stream) -> io::Result<()> {
    let log = stream.log();
    writer.length(log.node_count() as u64)?;
    for (base, listpack) in log.nodes() {
        writer.string(&base.to_bytes())?;
        writer.string(listpack.as_bytes())?;
    }
    writer.length(log.len())?;
    for id in [log.last_id(), log.first_id(), log.max_deleted_id()] {
        save_id(writer, id)?;
    }
    writer.length(log.added())?;
    writer.length(stream.groups().len() as u64)?;
    stream.groups().iter().try_for_each(|(name, group)| save_group(writer, name, group))
}

/// An id as two numbers, as it stands where it is one of its kind.
fn save_id<W: Write>(writer: &mut Writer<W>, id: StreamId) -> io::Result<()> {
    writer.length(id.ms)?;
    writer.length(id.seq)
}

fn save_group<W: Write>(writer: &mut Writer<W>, name: &[u8], group: &Group) -> io::Result<()> {
    writer.string(name)?;
    save_id(writer, group.last_id)?;
    writer.length(group.entries_read.unwrap_or(UNKNOWN))?;
    writer.length(group.pending().len() as u64)?;
    for (id, pending) in group.pending() {
        writer.bytes(&id.to_bytes())?;
        writer.int64(pending.delivered_at)?;
        writer.length(pending.deliveries)?;
    }
    writer.length(group.consumers().len() as u64)?;
    for consumer in group.consumers() {
        writer.string(consumer.name())?;
        writer.int64(consumer.seen_at)?;
        writer.int64(consumer.active_at)?;
        writer.length(consumer.pending().len() as u64)?;
        consumer.pending().iter().try_for_each(|id| writer.bytes(&id.to_bytes()))?;
    }
    Ok(())
}

/// What a group has read, where that is not known: -1.
const UNKNOWN: u64 = u64::MAX;

/// Reads a stream. `check` also makes sure that entries are in order.
pub fn load<R: Read, O: Observer>(reader: &mut Reader<R, O>, value_type: ValueType, check: bool) -> Result<Stream> {
    let has_history = value_type != ValueType::StreamListpacks;
    let mut builder = Builder::new(check);
    for _ in 0..reader.length()? {
        let base = <[u8; 16]>::try_from(reader.blob()?);
        let base = base.map_err(|_| reader.corrupt("Stream node key entry is not the size of a stream ID"))?;
        let listpack = Listpack::from_bytes(reader.blob()?);
        let listpack = listpack.map_err(|_| reader.corrupt("Stream listpack integrity check failed"))?;
        let added = builder.node(StreamId::from_bytes(base), listpack);
        added.map_err(|malformed| refused(reader, malformed))?;
    }
    let (len, last_id) = (reader.length()?, load_id(reader)?);
    let history = if has_history {
        // The first entry is where it is.
        load_id(reader)?;
        Some(History { max_deleted: load_id(reader)?, added: reader.length()? })
    } else {
        None
    };
    let totals = builder.totals(Totals { len, last_id, history });
    totals.map_err(|malformed| refused(reader, malformed))?;
    for _ in 0..reader.length()? {
        load_group(reader, value_type, &mut builder)?;
    }
    Ok(builder.finish())
}

fn load_group<R: Read, O: Observer>(
    reader: &mut Reader<R, O>,
    value_type: ValueType,
    builder: &mut Builder,
) -> Result<()> {
    let name = reader.blob()?;
    let last_id = load_id(reader)?;
    let entries_read = match value_type {
        ValueType::StreamListpacks => builder.position(last_id),
        _ => Some(reader.length()?).filter(|read| *read != UNKNOWN),
    };
    let mut group = GroupBuilder::new(last_id, entries_read);
    for _ in 0..reader.length()? {
        let id = StreamId::from_bytes(reader.array()?);
        let (delivered_at, deliveries) = (reader.int64()?, reader.length()?);
        let added = group.pending(id, delivered_at, deliveries);
        added.map_err(|malformed| refused(reader, malformed))?;
    }
    for _ in 0..reader.length()? {
        let name = reader.blob()?;
        let seen_at = reader.int64()?;
        let active_at = if value_type == ValueType::StreamListpacks3 { reader.int64()? } else { seen_at };
        let added = group.consumer(&name, seen_at, active_at);
        let mut consumer = added.map_err(|malformed| refused(reader, malformed))?;
        for _ in 0..reader.length()? {
            let assigned = consumer.assign(StreamId::from_bytes(reader.array()?));
            assigned.map_err(|malformed| refused(reader, malformed))?;
        }
    }
    builder.group(&name, group).map_err(|malformed| refused(reader, malformed))
}

fn load_id<R: Read, O: Observer>(reader: &mut Reader<R, O>) -> Result<StreamId> {
    Ok(StreamId { ms: reader.length()?, seq: reader.length()? })
}

#[cold]
fn refused<R: Read, O: Observer>(reader: &Reader<R, O>, Malformed(why): Malformed) -> RdbError {
    reader.error(ErrorKind::Corrupt(why.into()))
}
