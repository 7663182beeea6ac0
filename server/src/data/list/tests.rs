use std::collections::VecDeque;

use super::*;
use crate::data::test_util::{TestRng, some_text};

fn check(list: &List, model: &VecDeque<Vec<u8>>) {
    assert_eq!(list.len(), model.len());
    assert!(list.iter().map(Elem::to_vec).eq(model.iter().cloned()));
    assert!(list.iter().rev().map(Elem::to_vec).eq(model.iter().rev().cloned()));
    for node in list.nodes() {
        if let (NodeRef::Packed(lp), "quicklist") = (node, list.encoding()) {
            assert!(!lp.is_empty());
        }
    }
}

fn limits(size: i32) -> Limits {
    Limits { list_max_listpack_size: size, ..Limits::default() }
}

fn built(n: usize, len: usize, limits: &Limits) -> List {
    let mut list = List::to_build();
    (0..n).for_each(|_| list.push(End::Back, &vec![b'x'; len], limits));
    list.built(limits)
}

fn filled(n: usize, len: usize, limits: &Limits) -> List {
    let mut list = List::new();
    for i in 0..n {
        list.push(End::Back, format!("{i:0len$}x").as_bytes(), limits);
    }
    list
}

#[test]
fn random_changes_match_a_plain_deque() {
    for seed in 1..60 {
        let mut rng = TestRng::new(seed);
        let mut limits = limits([-2, 3, -1, 128, 1][seed as usize % 5]);
        if seed % 3 == 0 {
            limits.quicklist_packed_threshold = 100;
        }
        let (mut list, mut model) = (List::new(), VecDeque::<Vec<u8>>::new());
        for _ in 0..400 {
            let text = if rng.below(40) == 0 { vec![b'L'; rng.below(20_000)] } else { some_text(&mut rng) };
            let n = model.len();
            let i = rng.below(n + 1);
            match rng.below(12) {
                0 | 1 => {
                    list.push(End::Front, &text, &limits);
                    model.push_front(text);
                }
                2 | 3 => {
                    list.push_all(End::Back, [&text[..], b"and", b"7"], &limits);
                    model.extend([text, b"and".to_vec(), b"7".to_vec()]);
                }
                4 => assert_eq!(list.pop(End::Front, &limits), model.pop_front()),
                5 => assert_eq!(list.pop(End::Back, &limits), model.pop_back()),
                6 => {
                    list.insert(i, &text, &limits);
                    model.insert(i, text);
                }
                7 => {
                    assert_eq!(list.set(i, &text, &limits), i < n);
                    if let Some(slot) = model.get_mut(i) {
                        *slot = text;
                    }
                }
                8 => {
                    let count = rng.below(3);
                    let from = if rng.below(2) == 0 { End::Front } else { End::Back };
                    let mut hits: Vec<_> = (0..n).filter(|i| model[*i] == text).collect();
                    if from == End::Back {
                        hits.reverse();
                    }
                    if count > 0 {
                        hits.truncate(count);
                    }
                    assert_eq!(list.remove_equal(&text, count, from, &limits), hits.len());
                    hits.sort_unstable();
                    for i in hits.into_iter().rev() {
                        model.remove(i);
                    }
                }
                9 if n > 60 => {
                    let count = rng.below(n);
                    list.remove_range(i, count, &limits);
                    model.drain(i..(i + count).min(n));
                }
                10 => {
                    let count = rng.below(8);
                    let expected: Vec<_> = model.iter().skip(i).take(count).cloned().collect();
                    assert!(list.range(i, count).map(Elem::to_vec).eq(expected.iter().cloned()));
                    assert!(list.range(i, count).rev().map(Elem::to_vec).eq(expected.iter().rev().cloned()));
                }
                _ => {
                    assert_eq!(list.get(i).map(Elem::to_vec), model.get(i).cloned());
                    assert_eq!(list.position(&text), model.iter().position(|t| *t == text));
                }
            }
            assert_eq!(list.len(), model.len());
        }
        check(&list, &model);
        let nodes: Vec<_> = list
            .nodes()
            .map(|n| match n {
                NodeRef::Packed(lp) => Node::Packed(Listpack::from_bytes(lp.as_bytes().to_vec()).unwrap()),
                NodeRef::Plain(text) => Node::Plain(text.into()),
            })
            .collect();
        check(&List::from_nodes(nodes, &limits), &model);
    }
}

#[test]
fn both_ends_of_an_iterator_meet_in_the_middle() {
    let list = filled(5000, 10, &Limits::default());
    assert_eq!(list.encoding(), "quicklist");
    let mut iter = list.range(100, 4000);
    let mut seen = 0;
    while iter.next().is_some() {
        seen += 1;
        seen += usize::from(iter.next_back().is_some());
    }
    assert_eq!(seen, 4000);
    assert_eq!(iter.next_back(), None);
    assert_eq!(list.range(4990, 100).len(), 10);
    assert_eq!(list.range(6000, 100).len(), 0);
}

#[test]
fn a_list_becomes_a_quicklist_when_it_exceeds_one_node() {
    let limits = limits(3);
    let mut list = filled(3, 1, &limits);
    assert_eq!(list.encoding(), "listpack");
    list.push(End::Front, b"x", &limits);
    assert_eq!(list.encoding(), "quicklist");

    let limits = Limits::default();
    let mut list = List::new();
    list.push(End::Back, &[b'a'; 8185], &limits);
    assert_eq!(list.encoding(), "listpack");
    list.push(End::Back, b"x", &limits);
    assert_eq!(list.encoding(), "quicklist");
}

#[test]
fn one_push_of_many_elements_is_judged_as_a_whole() {
    let mut list = List::new();
    list.push_all(End::Back, std::iter::repeat_n(&[b'a'; 100][..], 82), &Limits::default());
    assert_eq!(list.encoding(), "quicklist");
}

#[test]
fn a_list_becomes_a_listpack_again_below_half_of_the_limit() {
    let limits = limits(4);
    let mut list = filled(5, 1, &limits);
    let mut encodings = Vec::new();
    while !list.is_empty() {
        list.pop(End::Back, &limits);
        encodings.push(list.encoding());
    }
    assert_eq!(encodings, ["quicklist", "quicklist", "listpack", "listpack", "listpack"]);
}

#[test]
fn a_list_that_is_built_is_a_listpack_if_its_elements_went_into_one_node() {
    for (size, n, len, encoding) in [
        (-2, 2, 4086, "listpack"),
        (-2, 2, 4087, "quicklist"),
        (-2, 1, 8178, "listpack"),
        (-2, 1, 8179, "quicklist"),
        // A limit in elements is none in bytes, but for an element that has a node of its own.
        (1, 1, 8192, "listpack"),
        (1, 1, 8193, "quicklist"),
        (1, 2, 1, "quicklist"),
    ] {
        assert_eq!(built(n, len, &limits(size)).encoding(), encoding, "{n} of {len} bytes, limit {size}");
    }
    let limits = limits(4);
    let mut list = filled(2, 4096, &limits);
    assert_eq!(list.encoding(), "quicklist");
    list.pop(End::Back, &limits);
    assert_eq!(list.encoding(), "listpack");
}

#[test]
fn large_elements_have_nodes_of_their_own() {
    let limits = Limits::default();
    let large = vec![b'L'; 8193];
    let mut list = List::new();
    for text in [&b"a"[..], &large, b"b", b"c"] {
        list.push(End::Back, text, &limits);
    }
    let kinds: Vec<_> = list.nodes().map(|n| matches!(n, NodeRef::Plain(_))).collect();
    assert_eq!(kinds, [false, true, false]);
    list.set(2, &large, &limits);
    let kinds: Vec<_> = list.nodes().map(|n| matches!(n, NodeRef::Plain(_))).collect();
    assert_eq!(kinds, [false, true, true, false]);
    list.insert(2, b"between", &limits);
    assert_eq!(list.get(2), Some(Elem::Bytes(b"between")));
    assert_eq!(list.remove_equal(&large, 0, End::Front, &limits), 2);
    assert_eq!(list.len(), 3);
}

#[test]
fn insertions_into_the_middle_leave_full_nodes_not_crumbs() {
    let limits = limits(-1);
    let mut list = filled(2000, 10, &limits);
    let mut rng = TestRng::new(3);
    for _ in 0..2000 {
        let i = rng.below(list.len());
        list.insert(i, b"0123456789y", &limits);
    }
    let bytes: usize = list.nodes().map(|n| if let NodeRef::Packed(lp) = n { lp.byte_len() } else { 0 }).sum();
    assert!(list.nodes().len() * 4096 < 3 * bytes, "{} nodes for {bytes} bytes", list.nodes().len());
}

#[test]
fn files_may_bring_empty_nodes() {
    let limits = Limits::default();
    let list = List::from_nodes([Node::Packed(Listpack::new())], &limits);
    assert!(list.is_empty());
    let list = List::from_nodes([Node::Packed(Listpack::new()), Node::Plain((*b"p").into())], &limits);
    assert_eq!((list.len(), list.encoding()), (1, "quicklist"));
    let one: Listpack = [Elem::Int(1)].into_iter().collect();
    assert_eq!(List::from_nodes([Node::Packed(one)], &limits).encoding(), "listpack");
}
