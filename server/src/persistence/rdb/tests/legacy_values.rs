use super::*;
use crate::persistence::rdb::format::ValueType;
use crate::persistence::rdb::legacy::tests::{text, ziplist};
use crate::persistence::rdb::object_load::load_value;
use crate::persistence::rdb::reader::Reader;
use crate::persistence::rdb::writer::{Writer, WriterOptions};

fn as_string(bytes: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), WriterOptions::default());
    writer.string(bytes).unwrap();
    let (mut out, _) = writer.finish().unwrap();
    out.truncate(out.len() - 8);
    out
}

fn read(value_type: ValueType, bytes: &[u8]) -> Result<(Content, &'static str), String> {
    let limits = Limits::default();
    let value = load_value(&mut Reader::new(bytes), value_type, &value_options(&limits)).map_err(|e| e.to_string())?;
    let entry = Entry::new(b"key", value, None);
    Ok((content(entry.value()), entry.encoding()))
}

fn list(elements: &[&[u8]]) -> Content {
    Content::List(elements.iter().map(|e| e.to_vec()).collect())
}

#[test]
fn lists_of_old_servers_are_read() {
    let elements: &[&[u8]] = &[b"a", b"2", b"-70000", b""];
    let packed = as_string(&ziplist(&[text(b"a"), vec![0xf3], vec![0xd0, 0x90, 0xee, 0xfe, 0xff], text(b"")]));
    assert_eq!(read(ValueType::ListZiplist, &packed), Ok((list(elements), "listpack")));
    assert_eq!(read(ValueType::List, b"\x04\x01a\xc0\x02\xc2\x90\xee\xfe\xff\x00"), Ok((list(elements), "listpack")));
    let twice = [&[3][..], &packed, &as_string(&ziplist(&[])), &packed].concat();
    assert_eq!(read(ValueType::ListQuicklist, &twice).unwrap().0, list(&[elements, elements].concat()));
}

#[test]
fn a_list_in_one_large_ziplist_is_split_into_nodes() {
    let entries: Vec<Vec<u8>> = (0..3000).map(|i| text(format!("element {i}").as_bytes())).collect();
    let (content, encoding) = read(ValueType::ListZiplist, &as_string(&ziplist(&entries))).unwrap();
    assert_eq!(encoding, "quicklist");
    let Content::List(elements) = content else { panic!("a list") };
    assert_eq!((elements.len(), &elements[2999][..]), (3000, &b"element 2999"[..]));
}

#[test]
fn hashes_of_old_servers_are_read() {
    let fields = [(b"foo".to_vec(), (b"bar".to_vec(), None)), (b"n".to_vec(), (b"2".to_vec(), None))];
    let expected = Ok((Content::Hash(fields.into()), "listpack"));
    assert_eq!(read(ValueType::HashZipmap, &as_string(b"\x02\x03foo\x03\x00bar\x01n\x01\x002\xff")), expected);
    let packed = as_string(&ziplist(&[text(b"foo"), text(b"bar"), text(b"n"), vec![0xf3]]));
    assert_eq!(read(ValueType::HashZiplist, &packed), expected);
    assert_eq!(read(ValueType::Hash, b"\x02\x03foo\x03bar\x01n\xc0\x02"), expected);
}

#[test]
fn a_zipmap_with_a_long_value_becomes_a_table() {
    let zipmap = [&b"\x01\x01f\xc8\x00"[..], &[b'v'; 200], b"\xff"].concat();
    assert_eq!(read(ValueType::HashZipmap, &as_string(&zipmap)).unwrap().1, "hashtable");
}

#[test]
fn sorted_sets_of_old_servers_are_read() {
    let expected = Content::Zset(vec![(b"a".to_vec(), 1.5), (b"b".to_vec(), 2.0)]);
    let packed = as_string(&ziplist(&[text(b"a"), text(b"1.5"), text(b"b"), vec![0xf3]]));
    assert_eq!(read(ValueType::ZsetZiplist, &packed), Ok((expected.clone(), "listpack")));
    assert_eq!(read(ValueType::Zset, b"\x02\x01b\x012\x01a\x031.5"), Ok((expected, "listpack")));
}

#[test]
fn duplicates_and_halves_of_pairs_are_refused() {
    let refused = |value_type, bytes: &[u8]| read(value_type, bytes).unwrap_err();
    let doubled = as_string(&ziplist(&[text(b"a"), vec![0xf1], text(b"a"), vec![0xf2]]));
    let odd = as_string(&ziplist(&[text(b"a")]));
    for value_type in [ValueType::HashZiplist, ValueType::ZsetZiplist] {
        assert!(refused(value_type, &doubled).contains("ziplist integrity check failed"));
        assert!(refused(value_type, &odd).contains("ziplist integrity check failed"));
    }
    assert!(refused(ValueType::HashZipmap, &as_string(b"\x02\x01a\x01\x001\x01a\x01\x002\xff")).contains("Zipmap"));
    assert!(refused(ValueType::Set, b"\x02\x01a\x01a").starts_with("Duplicate set members detected"));
    assert!(refused(ValueType::Hash, b"\x02\x01a\x01b\x01a\x01c").starts_with("Duplicate hash fields detected"));
    assert!(refused(ValueType::Zset, b"\x02\x01a\x011\x01a\x012").starts_with("Duplicate zset fields detected"));
    assert!(refused(ValueType::Zset, b"\x01\x01a\xfd").starts_with("Zset with NAN score detected"));
}

#[test]
fn sorted_sets_out_of_order_are_put_in_order() {
    let mut bytes = vec![3];
    for (member, score) in [(b'x', 3.0f64), (b'y', 1.0), (b'z', 2.0)] {
        bytes.extend_from_slice(&[1, member]);
        bytes.extend_from_slice(&score.to_le_bytes());
    }
    let (content, _) = read(ValueType::Zset2, &bytes).unwrap();
    assert_eq!(content, Content::Zset(vec![(b"y".to_vec(), 1.0), (b"z".to_vec(), 2.0), (b"x".to_vec(), 3.0)]));
}
