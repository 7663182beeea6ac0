use std::collections::BTreeMap;

use super::*;
use crate::data::elem::Elem;
use crate::data::limits::Limits;
use crate::data::listpack::Listpack;
use crate::data::test_util::{TestRng, some_text};

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn id(ms: u64, seq: u64) -> StreamId {
    StreamId::new(ms, seq)
}

fn limits(bytes: usize, entries: u64) -> Limits {
    Limits { stream_node_max_bytes: bytes, stream_node_max_entries: entries, ..Limits::default() }
}

fn add(log: &mut Log, id: StreamId, pairs: &Pairs, limits: &Limits) -> Result<(), AddError> {
    log.add(id, pairs.iter().map(|(name, value)| (&name[..], &value[..])), limits)
}

fn owned(entry: Entry<'_>) -> (StreamId, Pairs) {
    (entry.id, entry.fields.map(|(name, value)| (name.to_vec(), value.to_vec())).collect())
}

/// A stream of entries `1-0` to `n-0`, so many in a node.
fn stream_of(n: u64, per_node: u64) -> Stream {
    let mut stream = Stream::new();
    for ms in 1..=n {
        let pairs = vec![(b"n".to_vec(), ms.to_string().into_bytes())];
        add(stream.log_mut(), id(ms, 0), &pairs, &limits(0, per_node)).unwrap();
    }
    stream
}

#[test]
fn ids_count_through_their_second_part() {
    assert_eq!(id(1, u64::MAX).next(), Some(id(2, 0)));
    assert_eq!(id(2, 0).previous(), Some(id(1, u64::MAX)));
    assert_eq!((StreamId::MAX.next(), StreamId::MIN.previous()), (None, None));
    assert!(id(1, 9) < id(2, 0) && id(2, 0).to_bytes() > id(1, 9).to_bytes());
    assert_eq!(StreamId::from_bytes(id(7, 9).to_bytes()), id(7, 9));
    assert_eq!(id(7, 9).to_string(), "7-9");
}

#[test]
fn random_changes_match_a_sorted_map() {
    let rounds = if cfg!(miri) { 2 } else { 40 };
    for seed in 1..rounds {
        let mut rng = TestRng::new(seed);
        let limits = limits([0, 100, 4096][rng.below(3)], [0, 1, 7, 100][rng.below(4)]);
        let (mut log, mut model) = (Log::default(), BTreeMap::<StreamId, Pairs>::new());
        let (mut last, mut added, mut max_deleted) = (StreamId::MIN, 0, StreamId::MIN);
        for _ in 0..600 {
            let some_id = id(rng.below(last.ms as usize + 2) as u64, rng.below(3) as u64);
            match rng.below(8) {
                0..=4 => {
                    let new = id(last.ms + rng.below(2) as u64, rng.below(4) as u64);
                    let same_fields = rng.below(2) == 0;
                    let pairs: Pairs = (0..1 + rng.below(3))
                        .map(|i| {
                            if same_fields {
                                (vec![b'a' + i as u8], some_text(&mut rng))
                            } else {
                                (some_text(&mut rng), some_text(&mut rng))
                            }
                        })
                        .collect();
                    let expected = if new > last { Ok(()) } else { Err(AddError::NotAfterLast) };
                    assert_eq!(add(&mut log, new, &pairs, &limits), expected);
                    if expected.is_ok() {
                        model.insert(new, pairs);
                        (last, added) = (new, added + 1);
                    }
                }
                5 => {
                    let there = model.remove(&some_id).is_some();
                    assert_eq!(log.delete([some_id, some_id].into_iter()), u64::from(there));
                    if there {
                        max_deleted = max_deleted.max(some_id);
                    }
                }
                6 if rng.below(6) == 0 => {
                    let max = rng.below(model.len() + 2);
                    let before = model.len();
                    assert_eq!(log.trim(Trim::MaxLen(max as u64), false, 0), before.saturating_sub(max) as u64);
                    while model.len() > max {
                        model.pop_first();
                    }
                }
                6 if rng.below(6) == 0 => {
                    let before = model.len();
                    model.retain(|id, _| *id >= some_id);
                    assert_eq!(log.trim(Trim::MinId(some_id), false, 0), (before - model.len()) as u64);
                }
                _ => {
                    let other = id(rng.below(last.ms as usize + 2) as u64, rng.below(3) as u64);
                    let expected: Vec<_> = model.iter().filter(|(id, _)| (some_id..=other).contains(id)).collect();
                    let found: Vec<_> = log.range(some_id, other).map(owned).collect();
                    assert!(found.iter().map(|(id, pairs)| (id, pairs)).eq(expected.iter().copied()));
                    let found: Vec<_> = log.range_back(some_id, other).map(owned).collect();
                    assert!(found.iter().map(|(id, pairs)| (id, pairs)).eq(expected.into_iter().rev()));
                    assert_eq!(log.get(some_id).map(|entry| owned(entry).1).as_ref(), model.get(&some_id));
                }
            }
            assert_eq!(log.len(), model.len() as u64);
            assert_eq!(log.first_id(), model.keys().next().copied().unwrap_or_default());
            assert_eq!(log.last_entry_id(), model.keys().next_back().copied());
            assert_eq!((log.last_id(), log.added(), log.max_deleted_id()), (last, added, max_deleted));
        }
        assert!(log.is_in_order());
        assert!(log.clone().iter().map(owned).eq(model));
    }
}

#[test]
fn a_node_ends_where_its_bytes_or_its_entries_do() {
    assert_eq!(stream_of(100, 100).log().node_count(), 1);
    assert_eq!(stream_of(101, 100).log().node_count(), 2);
    assert_eq!(stream_of(101, 0).log().node_count(), 1);
    let pairs = vec![(b"name".to_vec(), vec![b'x'; 1000])];
    let mut log = Log::default();
    for ms in 1..=8 {
        add(&mut log, id(ms, 0), &pairs, &limits(4096, 100)).unwrap();
    }
    assert_eq!(log.node_count(), 2);
    // Deleted entries count as well: they keep their room.
    let mut stream = stream_of(10, 10);
    stream.log_mut().delete((1..=9).map(|ms| id(ms, 0)));
    add(stream.log_mut(), id(11, 0), &pairs, &limits(0, 10)).unwrap();
    assert_eq!(stream.log().node_count(), 2);
}

#[test]
fn names_that_repeat_are_kept_once() {
    let pairs: Pairs = vec![(vec![b'n'; 500], b"1".to_vec()), (b"7".to_vec(), b"2".to_vec())];
    let mut log = Log::default();
    for ms in 1..=50 {
        add(&mut log, id(ms, 0), &pairs, &limits(0, 0)).unwrap();
    }
    let bytes: usize = log.nodes().map(|(_, listpack)| listpack.byte_len()).sum();
    assert!(bytes < 2000, "{bytes}");
    let other: Pairs = vec![(b"7".to_vec(), b"2".to_vec()), (vec![b'n'; 500], b"1".to_vec())];
    add(&mut log, id(51, 0), &other, &limits(0, 0)).unwrap();
    assert_eq!(owned(log.get(id(51, 0)).unwrap()).1, other);
    assert_eq!(owned(log.get(id(50, 0)).unwrap()).1, pairs);
}

#[test]
fn approximate_trimming_takes_whole_nodes_and_no_more_than_the_limit() {
    for (to, approximately, limit, left) in [
        (Trim::MaxLen(25), true, 0, 30),
        (Trim::MaxLen(25), false, 0, 25),
        (Trim::MaxLen(25), true, 10, 90),
        (Trim::MaxLen(25), true, 9, 100),
        (Trim::MaxLen(100), true, 0, 100),
        (Trim::MaxLen(0), true, 0, 0),
        (Trim::MinId(id(45, 0)), true, 0, 60),
        (Trim::MinId(id(45, 0)), false, 0, 56),
        (Trim::MinId(id(1, 0)), false, 0, 100),
        (Trim::MinId(id(101, 0)), true, 0, 0),
    ] {
        let mut stream = stream_of(100, 10);
        let log = stream.log_mut();
        assert_eq!(log.trim(to, approximately, limit), 100 - left, "{to:?} {approximately} {limit}");
        assert_eq!(log.len(), left);
        assert_eq!(log.first_id(), if left == 0 { id(0, 0) } else { id(101 - left, 0) });
        assert_eq!((log.last_id(), log.added()), (id(100, 0), 100));
    }
}

#[test]
fn what_was_trimmed_inside_a_node_still_shows_as_the_first_kept() {
    let mut stream = stream_of(20, 10);
    let log = stream.log_mut();
    log.trim(Trim::MinId(id(15, 0)), false, 0);
    assert_eq!((log.first_id(), log.first_kept_id()), (id(15, 0), Some(id(11, 0))));
    log.delete((15..=20).map(|ms| id(ms, 0)));
    assert_eq!((log.first_id(), log.first_kept_id(), log.node_count()), (id(0, 0), None, 0));
}

#[test]
fn an_entry_that_no_node_could_hold_is_refused() {
    // The same gigabyte twice: nothing of it is copied before the refusal.
    let large = vec![0u8; 1 << 29];
    let pairs = [(&b"a"[..], &large[..]), (b"b", &large)];
    let mut log = Log::default();
    assert_eq!(log.add(id(1, 0), pairs.into_iter(), &Limits::default()), Err(AddError::TooLarge));
    assert_eq!((log.len(), log.last_id()), (0, StreamId::MIN));
}

#[test]
fn a_lag_is_told_where_it_can_be_known() {
    let mut stream = stream_of(10, 100);
    let lag = |stream: &Stream, last, read| stream.lag(&Group::new(id(last, 0), read));
    assert_eq!(lag(&stream, 0, None), Some(10));
    assert_eq!(lag(&stream, 1, None), Some(9));
    assert_eq!(lag(&stream, 5, None), None);
    assert_eq!(lag(&stream, 5, Some(5)), Some(5));
    assert_eq!(lag(&stream, 10, None), Some(0));
    assert_eq!(lag(&stream, 11, None), None);
    stream.log_mut().delete([id(7, 0)].into_iter());
    assert_eq!(lag(&stream, 5, Some(5)), None);
    assert_eq!(lag(&stream, 8, Some(8)), Some(2));
    stream.log_mut().trim(Trim::MinId(id(9, 0)), false, 0);
    assert_eq!(lag(&stream, 0, None), Some(2));
    assert_eq!(lag(&stream, 5, None), None);
    assert_eq!(lag(&stream, 5, Some(5)), None);
    assert_eq!(lag(&stream, 7, None), Some(2));
    assert_eq!(lag(&stream, 8, None), Some(2));
    stream.log_mut().trim(Trim::MaxLen(0), false, 0);
    assert_eq!(lag(&stream, 3, None), Some(0));
    assert_eq!(Stream::new().lag(&Group::new(id(9, 9), Some(5))), Some(0));
}

#[test]
fn what_is_pending_has_one_consumer_whatever_happens() {
    for seed in 1..if cfg!(miri) { 2 } else { 30 } {
        let mut rng = TestRng::new(seed);
        let mut group = Group::new(StreamId::MIN, None);
        let mut model: BTreeMap<StreamId, (Vec<u8>, i64)> = BTreeMap::new();
        for now in 0..500 {
            let name = vec![b'a' + rng.below(5) as u8];
            let entry = id(1, rng.below(30) as u64);
            match rng.below(10) {
                0..=5 => {
                    let consumer = group.find(&name).or_else(|| group.create(&name, now)).unwrap();
                    group.assign(entry, Pending { consumer, delivered_at: now, deliveries: 1 });
                    model.insert(entry, (name, now));
                }
                6 | 7 => assert_eq!(group.acknowledge(entry).is_some(), model.remove(&entry).is_some()),
                8 => {
                    let there = group.find(&name).is_some();
                    let had = model.values().filter(|(owner, _)| *owner == name).count();
                    model.retain(|_, (owner, _)| *owner != name);
                    assert_eq!(group.remove(&name), there.then_some(had));
                }
                _ => {
                    let there = group.find(&name).is_some();
                    assert_eq!(group.create(&name, now).is_none(), there);
                }
            }
            let found = group
                .pending()
                .iter()
                .map(|(id, pending)| (*id, (group.consumer(pending.consumer).name().to_vec(), pending.delivered_at)));
            assert!(found.eq(model.clone()));
            let by_consumer = group.consumers().flat_map(|c| c.pending().iter().map(|id| (*id, c.name().to_vec())));
            let by_consumer: BTreeMap<_, _> = by_consumer.collect();
            assert!(by_consumer.into_iter().eq(model.iter().map(|(id, (name, _))| (*id, name.clone()))));
        }
    }
}

#[test]
fn a_group_that_is_taken_out_leaves_the_rest() {
    let mut stream = stream_of(3, 10);
    for name in [&b"one"[..], b"two"] {
        stream.groups_mut().insert(name.into(), Group::new(id(1, 0), None));
    }
    let taken = stream.take_group(b"one").unwrap();
    assert!(taken.groups().keys().map(|name| &name[..]).eq([b"one"]) && taken.log().is_empty());
    assert!(stream.groups().keys().map(|name| &name[..]).eq([b"two"]) && stream.log().len() == 3);
    assert!(stream.take_group(b"one").is_none());
}

#[test]
fn memory_is_counted_for_entries_and_for_what_is_pending() {
    let mut stream = stream_of(10_000, 100);
    let entries = stream.heap_size(0);
    assert!((40_000..200_000).contains(&entries), "{entries}");
    assert!(stream.heap_size(5).abs_diff(entries) < entries / 10);
    let mut group = Group::new(StreamId::MIN, None);
    let consumer = group.create(b"c", 0).unwrap();
    for ms in 1..=1000 {
        group.assign(id(ms, 0), Pending { consumer, delivered_at: 0, deliveries: 1 });
    }
    stream.groups_mut().insert(b"g"[..].into(), group);
    // An id twice, and what is noted of it: 56 bytes, and what B-trees leave free.
    let pending = stream.heap_size(0) - entries;
    assert!((56_000..150_000).contains(&pending), "{pending}");
    assert!(stream.free_effort() > 300);
}

fn listpack(elems: &[i64]) -> Listpack {
    elems.iter().map(|n| Elem::Int(*n)).collect()
}

fn built(listpack: Listpack, check: bool) -> Result<Stream, Malformed> {
    let mut builder = Builder::new(check);
    builder.node(id(5, 0), listpack)?;
    builder.totals(Totals { len: 1, last_id: id(9, 0), history: None })?;
    Ok(builder.finish())
}

#[test]
fn a_node_from_a_file_must_be_laid_out_as_one() {
    // One live entry 5-0 with a field named 7, one deleted entry 5-1 with two fields of its own.
    let good = [1, 1, 1, 7, 0, 2, 0, 0, 8, 4, 1, 0, 1, 2, 1, 2, 3, 4, 8];
    let stream = built(listpack(&good), true).unwrap();
    let pair = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    assert!(stream.log().iter().map(owned).eq([(id(5, 0), vec![pair("7", "8")])]));
    assert_eq!((stream.log().len(), stream.log().first_id()), (1, id(5, 0)));
    for cut in 0..good.len() {
        assert!(built(listpack(&good[..cut]), false).is_err(), "{cut}");
    }
    // Places whose number has to be that one, and a number that it may not be.
    for (at, wrong) in [(0, 2), (0, -1), (1, i64::MAX), (2, 2), (2, -1), (2, i64::MAX), (4, 1), (5, 4), (5, 0)] {
        let mut bad = good;
        bad[at] = wrong;
        assert!(built(listpack(&bad), false).is_err(), "{at}: {wrong}");
    }
    for (at, wrong) in [(9, 5), (10, 3), (13, 1), (13, -2), (13, i64::MAX), (18, 7)] {
        let mut bad = good;
        bad[at] = wrong;
        assert!(built(listpack(&bad), false).is_err(), "{at}: {wrong}");
    }
}

#[test]
fn counts_that_do_not_fit_the_entries_are_put_right_unless_they_are_checked() {
    let wrong = listpack(&[0, 2, 1, 7, 0, 2, 0, 0, 8, 4, 3, 0, 1, 8, 4]);
    assert!(built(wrong.clone(), true).is_err());
    let stream = built(wrong, false).unwrap();
    let node = stream.log().nodes().next().unwrap().1;
    assert_eq!((node.at(0), node.at(1)), (Some(Elem::Int(1)), Some(Elem::Int(1))));
    assert_eq!(stream.log().len(), 1);
}

#[test]
fn entries_out_of_order_are_refused_where_that_is_checked_and_harmless_where_not() {
    for seqs in [[3, 2], [3, 3], [i64::MIN, 3]] {
        let node = listpack(&[2, 0, 1, 7, 0, 2, 0, seqs[0], 8, 4, 2, 0, seqs[1], 8, 4]);
        let checked = built(node.clone(), true);
        assert!(checked.is_err(), "{seqs:?}");
        let mut stream = built(node, false).unwrap();
        let log = stream.log_mut();
        let _ = (log.range(id(5, 0), id(5, 9)).count(), log.range_back(id(5, 0), id(5, 9)).count());
        log.delete([id(5, 3), id(5, 2)].into_iter());
        log.trim(Trim::MaxLen(0), false, 0);
        assert_eq!(log.len(), 0);
    }
    // A last id that is not the last, and a length that is not the length.
    for (len, last_id, good) in [(1, id(4, 9), false), (2, id(9, 0), false), (1, id(5, 0), true)] {
        let mut builder = Builder::new(true);
        builder.node(id(5, 0), listpack(&[1, 0, 0, 0, 2, 0, 0, 3])).unwrap();
        assert_eq!(builder.totals(Totals { len, last_id, history: None }).is_ok(), good);
    }
}

#[test]
fn what_is_pending_in_a_file_must_be_some_consumers() {
    let mut group = GroupBuilder::new(id(1, 0), None);
    group.pending(id(1, 0), 7, 1).unwrap();
    assert!(group.pending(id(1, 0), 7, 1).is_err());
    let mut consumer = group.consumer(b"c", 1, -1).unwrap();
    assert!(consumer.assign(id(2, 0)).is_err());
    consumer.assign(id(1, 0)).unwrap();
    assert!(consumer.assign(id(1, 0)).is_err());
    assert!(group.consumer(b"c", 1, 1).is_err());
    group.pending(id(3, 0), 7, 1).unwrap();
    let mut builder = Builder::new(false);
    assert!(builder.group(b"g", group).is_err());
    builder.group(b"g", GroupBuilder::new(id(1, 0), None)).unwrap();
    assert!(builder.group(b"g", GroupBuilder::new(id(1, 0), None)).is_err());
}
