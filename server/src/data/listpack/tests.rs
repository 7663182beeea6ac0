use super::*;
use crate::data::test_util::{TestRng, some_text};

fn texts(list: &Listpack) -> Vec<Vec<u8>> {
    list.iter().map(Elem::to_vec).collect()
}

fn check(list: &Listpack, model: &[Vec<u8>]) {
    assert!(Listpack::validate(list.as_bytes(), true));
    assert_eq!(list.len(), model.len());
    assert_eq!(texts(list), model);
    let backwards: Vec<_> = list.iter().rev().map(Elem::to_vec).collect();
    assert!(backwards.iter().eq(model.iter().rev()));
}

#[test]
fn the_bytes_are_those_that_valkey_writes() {
    let mut list = Listpack::new();
    assert_eq!(list.as_bytes(), [7, 0, 0, 0, 0, 0, 0xff]);
    list.push_back(b"hello");
    list.push_back(b"100");
    list.push_back(b"-1");
    list.push_back(b"4096");
    let expected = [
        &[24, 0, 0, 0, 4, 0][..],
        &[0x85, b'h', b'e', b'l', b'l', b'o', 6],
        &[100, 1],
        &[0xdf, 0xff, 2],
        &[0xf1, 0x00, 0x10, 3],
        &[0xff],
    ];
    assert_eq!(list.as_bytes()[6..], expected.concat()[6..]);
    assert_eq!(usize::from(list.as_bytes()[0]), list.byte_len());
}

#[test]
fn integers_of_every_width_come_back() {
    let mut list = Listpack::new();
    let mut model = Vec::new();
    for bit in 0..64 {
        for around in -1i64..=1 {
            let v = (1i64 << bit).wrapping_add(around);
            for v in [v, v.wrapping_neg()] {
                list.push_back(v);
                model.push(v.to_string().into_bytes());
            }
        }
    }
    check(&list, &model);
    assert!(list.iter().all(|e| matches!(e, Elem::Int(_))));
}

#[test]
fn strings_of_every_length_class_come_back() {
    let mut list = Listpack::new();
    let mut model = Vec::new();
    for len in [0, 1, 62, 63, 64, 125, 126, 127, 128, 4095, 4096, 16_377, 16_378, 16_381, 16_382, 16_383, 2_097_150] {
        let text = vec![b'x'; len];
        list.push_back(&text[..]);
        model.push(text);
    }
    check(&list, &model);
}

#[test]
fn random_changes_match_a_plain_vector() {
    for seed in 1..40 {
        let mut rng = TestRng::new(seed);
        let (mut list, mut model) = (Listpack::new(), Vec::<Vec<u8>>::new());
        for _ in 0..300 {
            let text = some_text(&mut rng);
            let n = model.len();
            let i = rng.below(n + 1);
            match rng.below(9) {
                0 => {
                    list.push_front(&text[..]);
                    model.insert(0, text);
                }
                1 => {
                    list.push_back(&text[..]);
                    model.push(text);
                }
                2 | 3 => {
                    let at = list.seek(i).unwrap();
                    list.insert(at, &[Elem::Bytes(&text), Elem::Int(i as i64)]);
                    model.splice(i..i, [text, i.to_string().into_bytes()]);
                }
                4 if i < n => {
                    list.replace(list.seek(i).unwrap(), &text[..]);
                    model[i] = text;
                }
                5 => {
                    let count = rng.below(4);
                    list.remove_range(i, count);
                    model.drain(i..(i + count).min(n));
                }
                6 if n > 100 => {
                    let tail = list.split_off(i);
                    let model_tail = model.split_off(i);
                    check(&tail, &model_tail);
                    if rng.below(2) == 0 {
                        list.append(&tail);
                        model.extend(model_tail);
                    }
                }
                7 => {
                    let skip = rng.below(3);
                    let expected = (0..n).step_by(skip + 1).find(|i| model[*i] == text);
                    assert_eq!(list.find_first(&text, skip), expected.map(|i| list.seek(i).unwrap()));
                }
                8 if n > 150 => {
                    list.retain(1, |e| e.len() % 2 == 0);
                    model.retain(|t| t.len() % 2 == 0);
                }
                _ => assert_eq!(list.at(i).map(Elem::to_vec), model.get(i).cloned()),
            }
            assert_eq!(list.len(), model.len());
        }
        check(&list, &model);
        let again = Listpack::from_bytes(list.as_bytes().to_vec()).unwrap();
        check(&again, &model);
    }
}

#[test]
fn positions_lead_forth_and_back() {
    let list: Listpack = (0..50).map(Elem::Int).collect();
    let mut at = list.first();
    for i in 0..50 {
        let here = at.unwrap();
        assert_eq!(list.get(here), Some(Elem::Int(i)));
        assert_eq!(list.prev(list.next(here).unwrap_or(list.end())), Some(here));
        at = list.next(here);
    }
    assert_eq!(at, None);
    assert_eq!(list.prev(list.first().unwrap()), None);
    assert_eq!(list.get(list.end()), None);
    assert_eq!(list.at(50), None);
    assert_eq!(Listpack::new().first(), None);
    assert_eq!(Listpack::new().last(), None);
}

#[test]
fn pairs_are_removed_by_their_first_element() {
    let mut list: Listpack = (0..20).map(Elem::Int).collect();
    list.retain(2, |field| field.as_int().is_some_and(|v| v % 4 == 0));
    let left: Vec<_> = list.iter().filter_map(Elem::as_int).collect();
    assert_eq!(left, [0, 1, 4, 5, 8, 9, 12, 13, 16, 17]);
    assert!(Listpack::validate(list.as_bytes(), true));
}

#[test]
fn more_elements_than_the_header_can_say_are_counted() {
    let mut list = Listpack::new();
    for _ in 0..70_000 {
        list.push_back(1i64);
    }
    assert_eq!(list.as_bytes()[4..6], [0xff, 0xff]);
    assert_eq!(list.len(), 70_000);
    assert!(Listpack::validate(list.as_bytes(), true));
    assert_eq!(list.seek(70_000), Some(list.end()));
    list.remove_range(10, 10_000);
    assert_eq!(list.as_bytes()[4..6], 60_000u16.to_le_bytes());
    assert_eq!(list.len(), 60_000);
}

#[test]
fn damaged_bytes_are_refused_or_stay_harmless() {
    let mut rng = TestRng::new(7);
    for _ in 0..3000 {
        let mut list = Listpack::new();
        for _ in 0..rng.below(12) {
            list.push_back(&some_text(&mut rng)[..]);
        }
        let mut bytes = list.as_bytes().to_vec();
        for _ in 0..1 + rng.below(3) {
            let at = rng.below(bytes.len());
            bytes[at] = rng.next() as u8;
        }
        if rng.below(8) == 0 {
            bytes.truncate(rng.below(bytes.len()));
        }
        Listpack::validate(&bytes, false);
        if let Ok(list) = Listpack::from_bytes(bytes) {
            let model = texts(&list);
            check(&list, &model);
        }
    }
}

#[test]
fn a_header_that_lies_is_refused() {
    let mut list = Listpack::new();
    list.push_back(b"abc");
    let good = list.as_bytes().to_vec();
    assert!(Listpack::validate(&good, true));
    for (at, byte) in [(0, 6), (4, 2), (6, 0x84), (10, 5), (11, 0)] {
        let mut bad = good.clone();
        bad[at] = byte;
        assert!(!Listpack::validate(&bad, true), "byte {at}");
    }
    assert!(!Listpack::validate(&[], true));
    assert!(!Listpack::validate(&[6, 0, 0, 0, 0, 0], true));
    assert!(!Listpack::validate(&[255; 12], true));
}

#[test]
fn an_integer_kept_as_text_is_found_by_its_text() {
    // Other writers may not have encoded it as an integer.
    let bytes = vec![11, 0, 0, 0, 1, 0, 0x82, b'4', b'2', 3, 0xff];
    let list = Listpack::from_bytes(bytes).unwrap();
    assert!(list.find_first(b"42", 0).is_some());
    assert_eq!(list.at(0), Some(Elem::Int(42)));
}
