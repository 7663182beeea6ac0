//! Writes values: which layout each gets, and its bytes.

use std::io::{self, Write};

use super::format::{ValueType, quicklist_node};
use super::stream;
use super::writer::Writer;
use crate::data::elem::Elem;
use crate::data::hash::Hash;
use crate::data::list::{List, NodeRef};
use crate::data::set::{Set, SetRef};
use crate::data::value::ValueRef;
use crate::data::zset::Zset;

/// The layout that a value is written in, which follows from how it is kept. Compact encodings are written as they are.
pub fn value_type(value: ValueRef<'_>) -> ValueType {
    match value {
        ValueRef::Str(_) => ValueType::String,
        ValueRef::List(_) => ValueType::ListQuicklist2,
        ValueRef::Set(set) => match set.stored() {
            SetRef::Intset(_) => ValueType::SetIntset,
            SetRef::Listpack(_) => ValueType::SetListpack,
            SetRef::Table => ValueType::Set,
        },
        ValueRef::Hash(hash) if hash.as_listpack().is_some() => ValueType::HashListpack,
        ValueRef::Hash(hash) if hash.expiring() > 0 => ValueType::Hash2,
        ValueRef::Hash(_) => ValueType::Hash,
        ValueRef::Zset(zset) if zset.as_listpack().is_some() => ValueType::ZsetListpack,
        ValueRef::Zset(_) => ValueType::Zset2,
        ValueRef::Stream(_) => ValueType::StreamListpacks3,
    }
}

/// Writes a value, without its type code.
pub fn save_value<W: Write>(writer: &mut Writer<W>, value: ValueRef<'_>) -> io::Result<()> {
    match value {
        ValueRef::Str(text) => element(writer, text),
        ValueRef::List(list) => save_list(writer, list),
        ValueRef::Set(set) => save_set(writer, set),
        ValueRef::Hash(hash) => save_hash(writer, hash),
        ValueRef::Zset(zset) => save_zset(writer, zset),
        ValueRef::Stream(stream) => stream::save(writer, stream),
    }
}

#[inline]
fn element<W: Write>(writer: &mut Writer<W>, element: Elem<'_>) -> io::Result<()> {
    match element {
        Elem::Int(number) => writer.int_string(number),
        Elem::Bytes(bytes) => writer.string(bytes),
    }
}

fn save_list<W: Write>(writer: &mut Writer<W>, list: &List) -> io::Result<()> {
    let nodes = list.nodes();
    writer.length(nodes.len() as u64)?;
    for node in nodes {
        match node {
            NodeRef::Packed(listpack) => {
                writer.length(quicklist_node::PACKED)?;
                writer.string(listpack.as_bytes())?;
            }
            NodeRef::Plain(bytes) => {
                writer.length(quicklist_node::PLAIN)?;
                writer.string(bytes)?;
            }
        }
    }
    Ok(())
}

fn save_set<W: Write>(writer: &mut Writer<W>, set: &Set) -> io::Result<()> {
    match set.stored() {
        SetRef::Intset(intset) => writer.string(&intset.to_bytes()),
        SetRef::Listpack(listpack) => writer.string(listpack.as_bytes()),
        SetRef::Table => {
            writer.length(set.len() as u64)?;
            set.iter().try_for_each(|member| element(writer, member))
        }
    }
}

fn save_hash<W: Write>(writer: &mut Writer<W>, hash: &Hash) -> io::Result<()> {
    if let Some(listpack) = hash.as_listpack() {
        return writer.string(listpack.as_bytes());
    }
    let with_expiry = hash.expiring() > 0;
    writer.length(hash.len() as u64)?;
    for field in hash.iter() {
        element(writer, field.name)?;
        element(writer, field.value)?;
        if with_expiry {
            writer.int64(field.expire_at.unwrap_or(-1))?;
        }
    }
    Ok(())
}

fn save_zset<W: Write>(writer: &mut Writer<W>, zset: &Zset) -> io::Result<()> {
    if let Some(listpack) = zset.as_listpack() {
        return writer.string(listpack.as_bytes());
    }
    writer.length(zset.len() as u64)?;
    // From the highest score down, as upstream: its loader then always inserts at the front of its skip list.
    for (member, score) in zset.range(0..zset.len()).rev() {
        element(writer, member)?;
        writer.double(score)?;
    }
    Ok(())
}
