//! Reads a value of any type without keeping it, checking its structure on the way.

use std::io::Read;

use super::error::{ErrorKind, Result};
use super::format::{ValueType, quicklist_node};
use super::legacy::{Invalid, Ziplist, Zipmap};
use super::parser::skip_module_value;
use super::reader::{Observer, Reader, Text};
use crate::data::intset::Intset;
use crate::data::listpack::Listpack;

/// Consumes a value and returns how many elements, or nodes of a list, it has (a string has one). 0 only if it is empty.
///
/// Whether members are distinct and scores in order is not looked at: that takes building the value.
pub fn value<R: Read, O: Observer>(reader: &mut Reader<R, O>, value_type: ValueType) -> Result<u64> {
    use ValueType as T;
    match value_type {
        T::String => text(reader).map(|()| 1),
        T::List | T::Set => elements(reader, text),
        T::Zset => elements(reader, |r| {
            text(r)?;
            let score = r.text_double()?;
            number(r, score)
        }),
        T::Zset2 => elements(reader, |r| {
            text(r)?;
            let score = r.double()?;
            number(r, score)
        }),
        T::Hash => elements(reader, pair),
        T::Hash2 => elements(reader, |r| {
            pair(r)?;
            r.int64().map(drop)
        }),
        T::HashZipmap => blob(reader, "Zipmap integrity check failed", |bytes| {
            Zipmap::new(bytes)?.try_fold(0, |count, pair| pair.map(|_| count + 1))
        }),
        T::ListZiplist => blob(reader, "List ziplist integrity check failed", ziplist),
        T::ZsetZiplist => pairs(reader, "Zset ziplist integrity check failed", ziplist),
        T::HashZiplist => pairs(reader, "Hash ziplist integrity check failed", ziplist),
        T::SetIntset => blob(reader, "Intset integrity check failed", |bytes| {
            if Intset::validate(bytes, true) { Ok(bytes.len() as u64 - 8) } else { Err(Invalid) }
        }),
        T::SetListpack => blob(reader, "Set listpack integrity check failed", listpack),
        T::ZsetListpack => pairs(reader, "Zset listpack integrity check failed", listpack),
        T::HashListpack => pairs(reader, "Hash listpack integrity check failed", listpack),
        T::ListQuicklist => elements(reader, |r| blob(r, "Ziplist integrity check failed", ziplist).map(drop)),
        T::ListQuicklist2 => elements(reader, quicklist_node),
        T::StreamListpacks | T::StreamListpacks2 | T::StreamListpacks3 => stream(reader, value_type),
        T::Module2 => {
            reader.length()?;
            skip_module_value(reader).map(|()| 1)
        }
        T::ModulePreGa => Err(reader.error(ErrorKind::Unsupported("Pre-release module format not supported".into()))),
    }
}

/// Consumes a count and that many elements.
fn elements<R: Read, O: Observer>(
    reader: &mut Reader<R, O>,
    mut element: impl FnMut(&mut Reader<R, O>) -> Result<()>,
) -> Result<u64> {
    let count = reader.length()?;
    for _ in 0..count {
        element(reader)?;
    }
    Ok(count)
}

fn text<R: Read, O: Observer>(reader: &mut Reader<R, O>) -> Result<()> {
    reader.string().map(drop)
}

fn pair<R: Read, O: Observer>(reader: &mut Reader<R, O>) -> Result<()> {
    text(reader)?;
    text(reader)
}

fn number<R: Read, O: Observer>(reader: &Reader<R, O>, score: f64) -> Result<()> {
    if score.is_nan() { Err(reader.corrupt("Zset with NAN score detected")) } else { Ok(()) }
}

type Count = std::result::Result<u64, Invalid>;

/// Consumes a string that is a structure by itself; `count` checks it and counts its elements.
fn blob<R: Read, O: Observer>(
    reader: &mut Reader<R, O>,
    wrong: &'static str,
    count: impl FnOnce(&[u8]) -> Count,
) -> Result<u64> {
    let counted = match reader.string()? {
        Text::Int(number) => count(itoa::Buffer::new().format(number).as_bytes()),
        Text::Borrowed(bytes) => count(bytes),
        Text::Owned(bytes) => count(&bytes),
    };
    counted.map_err(|_| reader.corrupt(wrong))
}

/// As [`blob`], for pairs of elements.
fn pairs<R: Read, O: Observer>(
    reader: &mut Reader<R, O>,
    wrong: &'static str,
    count: impl FnOnce(&[u8]) -> Count,
) -> Result<u64> {
    blob(reader, wrong, |bytes| match count(bytes)? {
        odd if odd % 2 == 1 => Err(Invalid),
        even => Ok(even / 2),
    })
}

fn ziplist(bytes: &[u8]) -> Count {
    Ziplist::new(bytes)?.try_fold(0, |count, element| element.map(|_| count + 1))
}

fn listpack(bytes: &[u8]) -> Count {
    Listpack::from_bytes(bytes.to_vec()).map(|listpack| listpack.len() as u64).map_err(|_| Invalid)
}

fn quicklist_node<R: Read, O: Observer>(reader: &mut Reader<R, O>) -> Result<()> {
    match reader.length()? {
        quicklist_node::PLAIN => text(reader),
        quicklist_node::PACKED => blob(reader, "Listpack integrity check failed", listpack).map(drop),
        _ => Err(reader.corrupt("Quicklist integrity check failed")),
    }
}

/// Entries in listpacks, then what the stream knows of itself, then its consumer groups with what was delivered to whom.
fn stream<R: Read, O: Observer>(reader: &mut Reader<R, O>, value_type: ValueType) -> Result<u64> {
    const ID: u64 = 16;
    const TIME: u64 = 8;
    elements(reader, |r| {
        text(r)?;
        blob(r, "Stream listpack integrity check failed", listpack).map(drop)
    })?;
    // Length and last id; then first id, highest deleted id and the count of all entries ever added.
    let numbers = if value_type == ValueType::StreamListpacks { 3 } else { 8 };
    for _ in 0..numbers {
        reader.length()?;
    }
    elements(reader, |r| {
        text(r)?;
        let numbers = if value_type == ValueType::StreamListpacks { 2 } else { 3 };
        for _ in 0..numbers {
            r.length()?;
        }
        elements(r, |r| {
            r.skip(ID + TIME)?;
            r.length().map(drop)
        })?;
        elements(r, |r| {
            text(r)?;
            r.skip(if value_type == ValueType::StreamListpacks3 { 2 * TIME } else { TIME })?;
            elements(r, |r| r.skip(ID)).map(drop)
        })
        .map(drop)
    })?;
    // A stream may be empty.
    Ok(1)
}

#[cfg(test)]
mod tests {
    use super::super::legacy::tests::{text as entry, ziplist as ziplist_of};
    use super::*;
    use crate::persistence::rdb::writer::{Writer, WriterOptions};

    fn walked(value_type: ValueType, bytes: &[u8]) -> std::result::Result<u64, String> {
        let mut reader = Reader::new(bytes);
        let count = value(&mut reader, value_type).map_err(|error| error.to_string())?;
        assert_eq!(reader.offset(), bytes.len() as u64, "all consumed");
        Ok(count)
    }

    fn as_string(bytes: &[u8]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), WriterOptions::default());
        writer.string(bytes).unwrap();
        let (mut out, _) = writer.finish().unwrap();
        out.truncate(out.len() - 8);
        out
    }

    #[test]
    fn old_compact_forms_are_walked() {
        let three = as_string(&ziplist_of(&[entry(b"a"), vec![0xf3], entry(&[b'x'; 100])]));
        let two = as_string(&ziplist_of(&[entry(b"a"), vec![0xf3]]));
        assert_eq!(walked(ValueType::ListZiplist, &three), Ok(3));
        assert_eq!(walked(ValueType::HashZiplist, &two), Ok(1));
        assert_eq!(walked(ValueType::ZsetZiplist, &two), Ok(1));
        assert!(walked(ValueType::ZsetZiplist, &three).unwrap_err().starts_with("Zset ziplist integrity check failed"));
        assert_eq!(walked(ValueType::ListQuicklist, &[&[2][..], &three, &two].concat()), Ok(2));
        let zipmap = as_string(b"\x02\x03foo\x03\x00bar\x05hello\x05\x00world\xff");
        assert_eq!(walked(ValueType::HashZipmap, &zipmap), Ok(2));
        assert_eq!(walked(ValueType::Zset, b"\x01\x01m\x031.5"), Ok(1));
    }

    #[test]
    fn a_module_value_can_be_skipped_but_not_a_pre_release_one() {
        assert_eq!(walked(ValueType::Module2, b"\x05\x02\x07\x05\x01x\x00"), Ok(1));
        assert!(walked(ValueType::Module2, b"\x05\x09").unwrap_err().starts_with("Unknown tag in a module's value"));
        assert!(walked(ValueType::ModulePreGa, b"").unwrap_err().starts_with("Pre-release module format"));
    }

    #[test]
    fn scores_that_are_no_numbers_and_unknown_containers_are_refused() {
        assert!(walked(ValueType::Zset, b"\x01\x01m\xfd").is_err());
        assert!(walked(ValueType::Zset2, &[b"\x01\x01m", &f64::NAN.to_le_bytes()[..]].concat()).is_err());
        assert!(walked(ValueType::ListQuicklist2, b"\x01\x03\x01x").is_err());
    }
}
