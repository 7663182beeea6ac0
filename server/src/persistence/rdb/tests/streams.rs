use super::*;
use crate::data::stream::{Group, Pending, Stream, StreamId};
use crate::data::value::Value;
use crate::persistence::rdb::format::ValueType;
use crate::persistence::rdb::object_load::load_value;
use crate::persistence::rdb::object_save::save_value;
use crate::persistence::rdb::parser::{Item, Parser};
use crate::persistence::rdb::reader::Reader;
use crate::persistence::rdb::writer::{Writer, WriterOptions};

/// A stream in lines: entries, what it remembers, groups with consumers and what these have pending.
pub(super) fn describe(stream: &Stream) -> Vec<String> {
    let log = stream.log();
    let mut lines: Vec<String> = Vec::new();
    for entry in log.iter() {
        let fields: Vec<_> =
            entry.fields.map(|(n, v)| format!(" {}={}", lossy(&n.to_vec()), lossy(&v.to_vec()))).collect();
        lines.push(format!("{}{}", entry.id, fields.concat()));
    }
    lines.push(format!(
        "{} of {}, {} to {}, deleted to {}",
        log.len(),
        log.added(),
        log.first_id(),
        log.last_id(),
        log.max_deleted_id()
    ));
    for (name, group) in stream.groups() {
        lines.push(format!("group {} at {}, read {:?}", lossy(name), group.last_id, group.entries_read));
        for consumer in group.consumers() {
            let pending: Vec<_> = consumer.pending().iter().map(|id| (*id, group.pending()[id])).collect();
            let pending = pending.iter().map(|(id, p)| format!(" {id}*{}", p.deliveries));
            lines.push(format!("  {}:{}", lossy(consumer.name()), pending.collect::<String>()));
        }
    }
    lines
}

/// A small stream with all that one can have.
pub(super) fn sample() -> Value {
    let (mut stream, limits) = (Stream::new(), Limits { stream_node_max_entries: 2, ..Limits::default() });
    for (ms, pairs) in [
        (1, vec![(&b"a"[..], &b"1"[..]), (b"b", b"2")]),
        (2, vec![(b"a", b"3"), (b"b", b"x")]),
        (3, vec![(b"c", b"y")]),
        (5, vec![(b"", b"")]),
    ] {
        stream.log_mut().add(StreamId::new(ms, ms), pairs.into_iter(), &limits).unwrap();
    }
    stream.log_mut().delete([StreamId::new(2, 2)].into_iter());
    let mut group = Group::new(StreamId::new(3, 3), Some(3));
    for (name, ms) in [(&b"alice"[..], 1), (b"bob", 2)] {
        let consumer = group.create(name, 1000).unwrap();
        group.assign(StreamId::new(ms, ms), Pending { consumer, delivered_at: 2000, deliveries: ms });
    }
    group.create(b"idle", 3000);
    stream.groups_mut().insert(b"g"[..].into(), group);
    stream.groups_mut().insert(b"h"[..].into(), Group::new(StreamId::MAX, None));
    Value::Stream(stream)
}

macro_rules! fixture {
    ($name:literal) => {
        &include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/rdb/", $name))[..]
    };
}

#[test]
fn streams_of_real_servers_are_there_after_loading() {
    for bytes in
        [fixture!("valkey-9.1-streams.rdb"), fixture!("valkey-8.1-streams.rdb"), fixture!("redis-7.0-streams.rdb")]
    {
        let all = loaded(bytes);
        let lines = |key: &str| match &all.keys[&(0, key.to_string())].content {
            Content::Stream(lines) => lines.clone(),
            other => panic!("{key} is {other:?}"),
        };
        assert_eq!(
            lines("log"),
            [
                "1-1 temperature=20 place=kitchen",
                "2-0 humidity=40",
                "3-5 temperature=22 place=garden",
                "3 of 4, 1-1 to 3-5, deleted to 1-2",
                "group idle at 2-0, read None",
                "group readers at 3-5, read Some(4)",
                "  alice: 2-0*1",
                "  bob: 3-5*1",
            ]
        );
        assert_eq!(lines("fresh"), ["0 of 0, 0-0 to 0-0, deleted to 0-0", "group nobody at 0-0, read None"]);
        let many = lines("many");
        assert_eq!((many.len(), &*many[300]), (302, "301-0 n=300"));
        assert_eq!(all.keys.len(), 4);
    }
}

#[test]
fn a_stream_of_valkey_9_is_written_as_it_was_read() {
    let (bytes, limits) = (fixture!("valkey-9.1-streams.rdb"), Limits::default());
    let mut parser = Parser::new(Reader::new(bytes), VersionCheck::Strict).unwrap();
    let mut streams = 0;
    loop {
        match parser.next_item().unwrap() {
            Item::Key(head) => {
                let start = parser.reader.offset() as usize;
                let value = load_value(&mut parser.reader, head.value_type, &value_options(&limits)).unwrap();
                let mut writer = Writer::new(Vec::new(), WriterOptions { compression: false, checksum: true });
                save_value(&mut writer, Entry::new(b"k", value, None).value()).unwrap();
                let (written, _) = writer.finish().unwrap();
                assert!(written.starts_with(&bytes[start..parser.reader.offset() as usize]));
                streams += usize::from(head.value_type == ValueType::StreamListpacks3);
            }
            Item::End(_) => break,
            _ => {}
        }
    }
    assert_eq!(streams, 3);
}

/// A stream as Redis 5 wrote it, with one entry, `1-0`, in a group that has read up to `last`.
fn of_redis_5(last: u64) -> Vec<u8> {
    let node: crate::data::listpack::Listpack =
        [1, 0, 1, 7, 0, 2, 0, 0, 8, 4].map(crate::data::elem::Elem::Int).into_iter().collect();
    let mut writer = Writer::new(Vec::new(), WriterOptions::default());
    let mut write = || {
        writer.byte(15)?;
        writer.string(b"s")?;
        writer.length(1)?;
        writer.string(&StreamId::new(1, 0).to_bytes())?;
        writer.string(node.as_bytes())?;
        // Length and last id; one group, its last id, one pending entry, one consumer that has it.
        for number in [1, 4, 0, 1] {
            writer.length(number)?;
        }
        writer.string(b"g")?;
        for number in [last, 0, 1] {
            writer.length(number)?;
        }
        writer.bytes(&StreamId::new(1, 0).to_bytes())?;
        writer.int64(777)?;
        writer.length(3)?;
        writer.length(1)?;
        writer.string(b"c")?;
        writer.int64(888)?;
        writer.length(1)?;
        writer.bytes(&StreamId::new(1, 0).to_bytes())
    };
    write().unwrap();
    let (mut bytes, _) = writer.finish().unwrap();
    bytes.truncate(bytes.len() - 8);
    file(&bytes)
}

#[test]
fn what_a_stream_of_redis_5_does_not_say_is_found_where_it_can_be() {
    for (last, read) in [(1, Some(1)), (0, Some(0)), (4, Some(1)), (3, None)] {
        let all = loaded(&of_redis_5(last));
        let expected = [
            "1-0 7=8".to_owned(),
            "1 of 1, 1-0 to 4-0, deleted to 0-0".to_owned(),
            format!("group g at {last}-0, read {read:?}"),
            "  c: 1-0*3".to_owned(),
        ];
        assert_eq!(all.keys[&(0, "s".to_string())].content, Content::Stream(expected.into()));
    }
}

#[test]
fn a_stream_without_entries_is_no_empty_value() {
    let bytes = file(b"\x15\x01s\x00\x00\x07\x00\x00\x00\x00\x00\x02\x00");
    let all = loaded(&bytes);
    let expected = Content::Stream(vec!["0 of 2, 0-0 to 7-0, deleted to 0-0".to_owned()]);
    assert_eq!(all.keys[&(0, "s".to_string())].content, expected);
}
