use std::collections::BTreeSet;

use super::*;
use crate::data::test_util::TestRng;

impl<K: Copy + Ord> Tree<K> {
    /// Checks the shape; gives depth and leaves.
    fn check(&self) -> (usize, usize) {
        fn walk<K: Copy + Ord>(node: &Node<K>, root: bool) -> (usize, usize, usize) {
            match node {
                Node::Leaf(keys) => {
                    assert!(keys.len() <= FULL && (root || !keys.is_empty()));
                    assert!(keys.is_sorted_by(|a, b| a < b));
                    (keys.len(), 1, 1)
                }
                Node::Inner(inner) => {
                    assert!(inner.children.len() <= FULL && inner.children.len() > usize::from(root));
                    assert!(inner.firsts.is_sorted_by(|a, b| a < b));
                    let below: Vec<_> = inner.children.iter().map(|c| walk(c, false)).collect();
                    assert!(below.iter().all(|b| b.1 == below[0].1), "all leaves at one depth");
                    for (i, child) in inner.children.iter().enumerate() {
                        assert!(child.first() == Some(inner.firsts[i]));
                        assert_eq!(below[i].0, inner.counts[i]);
                    }
                    let total = below.iter().map(|b| b.0).sum();
                    (total, below[0].1 + 1, below.iter().map(|b| b.2).sum())
                }
            }
        }
        let (len, depth, leaves) = walk(&self.root, true);
        assert_eq!(len, self.len);
        (depth, leaves)
    }
}

fn tree_of(keys: impl IntoIterator<Item = u64>) -> Tree<u64> {
    let mut tree = Tree::new();
    for key in keys {
        tree.insert(key, |k| k.cmp(&key));
    }
    tree
}

#[test]
fn random_changes_match_a_tree_of_the_standard_library() {
    for seed in 1..12 {
        let mut rng = TestRng::new(seed);
        let (mut tree, mut model) = (Tree::new(), BTreeSet::new());
        let bound = [300, 20_000, 1 << 60][seed as usize % 3];
        for step in 0..12_000 {
            let key = rng.below(bound) as u64;
            // Growing, shrinking, growing.
            let grow = if (step / 3000) % 2 == 0 { 8 } else { 2 };
            if rng.below(10) < grow {
                if model.insert(key) {
                    tree.insert(key, |k| k.cmp(&key));
                }
            } else {
                let key = if rng.below(2) == 0 { model.range(key..).next().copied().unwrap_or(key) } else { key };
                assert_eq!(tree.remove(|k| k.cmp(&key)), model.take(&key));
            }
            if rng.below(400) == 0 {
                let (a, b) = (rng.below(model.len() + 1), rng.below(300));
                let gone: Vec<_> = model.iter().skip(a).take(b).copied().collect();
                let mut taken = Vec::new();
                tree.remove_range(a..a + b, |k| taken.push(k));
                assert_eq!(taken, gone);
                gone.iter().for_each(|k| assert!(model.remove(k)));
            }
            if rng.below(100) == 0 {
                tree.check();
                let rank = tree.partition(|k| *k < key);
                assert_eq!(rank, model.range(..key).count());
                assert_eq!(tree.get(rank), model.range(key..).next());
                let ranks = rank..rank + rng.below(200);
                assert!(tree.range(ranks.clone()).eq(model.iter().skip(rank).take(ranks.len())));
                let backwards: Vec<_> = tree.range(ranks.clone()).rev().collect();
                assert!(backwards.into_iter().rev().eq(model.iter().skip(rank).take(ranks.len())));
            }
        }
        tree.check();
        assert!(tree.range(0..usize::MAX).eq(model.iter()));
        tree.remove_range(0..usize::MAX, |_| {});
        assert_eq!((tree.len(), tree.check()), (0, (1, 1)));
    }
}

#[test]
fn keys_that_come_in_order_fill_the_leaves() {
    for tree in [tree_of(0..100_000), tree_of((0..100_000).rev())] {
        let (depth, leaves) = tree.check();
        assert_eq!(depth, 3);
        assert!(leaves < 100_000 / FULL + 3, "{leaves} leaves");
    }
}

#[test]
fn a_gap_filled_backwards_does_not_make_the_tree_deep() {
    let mut tree = tree_of((0..1000).chain(1_000_000..1_001_000));
    for key in (1000..100_000).rev() {
        tree.insert(key, |k| k.cmp(&key));
    }
    let (depth, leaves) = tree.check();
    assert!(depth <= 4 && leaves < 102_000 / FULL * 3, "{depth} deep, {leaves} leaves");
}

#[test]
fn both_ends_of_an_iterator_meet_in_the_middle() {
    let tree = tree_of(0..1000);
    let mut iter = tree.range(10..900);
    let mut seen = Vec::new();
    while let Some(k) = iter.next() {
        seen.push(*k);
        seen.extend(iter.next_back());
    }
    seen.sort_unstable();
    assert!(seen.into_iter().eq(10..900));
    assert_eq!(tree.range(990..2000).len(), 10);
    assert_eq!(tree.range(2000..3000).len(), 0);
}

#[test]
fn memory_is_close_to_what_the_keys_take() {
    let mut rng = TestRng::new(9);
    let mut keys: Vec<u64> = (0..100_000).map(|_| rng.next()).collect();
    keys.sort_unstable();
    keys.dedup();
    let n = keys.len();
    for i in 0..n {
        keys.swap(i, rng.below(n));
    }
    let tree = tree_of(keys);
    assert!(tree.heap_size() < n * 8 * 5 / 4, "{} bytes for {n} keys", tree.heap_size());
}
