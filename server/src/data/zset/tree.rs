//! An order-statistics tree: a B+tree whose inner nodes count the keys below each child, so that a key's rank and the key of
//! a rank are found in one descent.
//!
//! The order of keys is not the tree's affair: every operation gets a function that compares a key with the one that is sought,
//! or that tells the keys before a place from those behind it. It must agree with the order of the keys that are in.
//!
//! # Shape
//! * All leaves are at the same depth. Leaves are not linked: a walk descends again for each leaf, once in some fifty keys.
//! * An inner node knows the smallest key of each child, so a descent compares within one array and touches only the nodes
//!   on its way. One leaf, and the arrays of two or three inner nodes, are all the memory that an insertion into a million keys
//!   looks at.
//! * Nodes grow by size classes of the allocator, not by doubling, and split in halves; but where keys come in order, at either
//!   edge of the tree, the full node stays full.
//! * Nodes below a quarter are joined with a neighbour if the two are not too much for one; no node is empty but a root.

#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::ops::Range;

use super::super::sizes::{reserve_class, shrink_class, size_class, vec_heap};

/// Keys in a leaf, and children of an inner node, at most.
const FULL: usize = 64;
/// Below this a node looks for a neighbour to join.
const SPARSE: usize = FULL / 4;
/// Two nodes are joined if they are this much together at most: not full, or the next insertion would split them again.
const JOINED: usize = FULL * 3 / 4;

/// Keys in their order. See the module's documentation.
pub(super) struct Tree<K> {
    root: Node<K>,
    len: usize,
}

enum Node<K> {
    Leaf(Vec<K>),
    Inner(Box<Inner<K>>),
}

/// Three arrays of the same length, one item for each child.
struct Inner<K> {
    /// Smallest key below the child.
    firsts: Vec<K>,
    /// Number of keys below the child.
    counts: Vec<usize>,
    children: Vec<Node<K>>,
}

/// The right part of a node that was split: its smallest key, its number of keys, and itself.
struct Split<K> {
    first: K,
    count: usize,
    node: Node<K>,
}

/// Whether a node is at an edge of the whole tree.
#[derive(Clone, Copy)]
struct Edges {
    left: bool,
    right: bool,
}

impl<K: Copy> Tree<K> {
    /// An empty tree.
    pub fn new() -> Self {
        Tree { root: Node::Leaf(Vec::new()), len: 0 }
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Puts a key in. `place` compares a key of the tree with it; none may be equal.
    pub fn insert(&mut self, key: K, place: impl Fn(&K) -> Ordering) {
        self.len += 1;
        let Some(right) = self.root.insert(key, &place, Edges { left: true, right: true }) else { return };
        let left = std::mem::replace(&mut self.root, Node::Leaf(Vec::new()));
        let mut inner = Inner::with_capacity(2);
        if let Some(first) = left.first() {
            inner.push(Split { first, count: self.len - right.count, node: left });
        }
        inner.push(right);
        self.root = Node::Inner(Box::new(inner));
    }

    /// Takes a key out. `place` compares a key of the tree with it.
    pub fn remove(&mut self, place: impl Fn(&K) -> Ordering) -> Option<K> {
        let key = self.root.remove(&place)?;
        self.shrunk(1);
        Some(key)
    }

    /// Takes keys out by their ranks, in order.
    pub fn remove_range(&mut self, ranks: Range<usize>, mut taken: impl FnMut(K)) {
        let mut left = ranks.end.min(self.len).saturating_sub(ranks.start);
        while left > 0 {
            let count = self.root.take(ranks.start, left, &mut taken);
            self.shrunk(count);
            left -= count;
        }
    }

    /// Number of keys before a place: those for which `before` is true, which all come before the others.
    pub fn partition(&self, before: impl Fn(&K) -> bool) -> usize {
        let (mut node, mut rank) = (&self.root, 0);
        loop {
            match node {
                Node::Leaf(keys) => return rank + keys.partition_point(&before),
                Node::Inner(inner) => {
                    let Some(i) = inner.firsts.partition_point(&before).checked_sub(1) else { return rank };
                    rank += inner.counts[..i].iter().sum::<usize>();
                    node = &inner.children[i];
                }
            }
        }
    }

    /// The key of a rank.
    pub fn get(&self, rank: usize) -> Option<&K> {
        let (leaf, at) = self.leaf(rank)?;
        leaf.get(at)
    }

    /// The keys of some ranks, from either end.
    pub fn range(&self, ranks: Range<usize>) -> Iter<'_, K> {
        let end = ranks.end.min(self.len);
        Iter { tree: self, start: ranks.start.min(end), end, front: [].iter(), back: [].iter() }
    }

    /// Bytes on the heap.
    pub fn heap_size(&self) -> usize {
        self.root.heap_size()
    }

    /// The leaf that holds a rank, and where in it.
    fn leaf(&self, rank: usize) -> Option<(&[K], usize)> {
        if rank >= self.len {
            return None;
        }
        let (mut node, mut at) = (&self.root, rank);
        loop {
            match node {
                Node::Leaf(keys) => return Some((keys, at)),
                Node::Inner(inner) => {
                    let i = inner.child_of_rank(&mut at);
                    node = &inner.children[i];
                }
            }
        }
    }

    /// After keys were taken out: a root with a single child is superfluous.
    fn shrunk(&mut self, removed: usize) {
        self.len -= removed;
        while let Node::Inner(inner) = &mut self.root
            && inner.children.len() <= 1
        {
            self.root = inner.children.pop().unwrap_or(Node::Leaf(Vec::new()));
        }
    }
}

impl<K: Copy> Node<K> {
    /// Keys of a leaf, or children.
    fn len(&self) -> usize {
        match self {
            Node::Leaf(keys) => keys.len(),
            Node::Inner(inner) => inner.children.len(),
        }
    }

    fn first(&self) -> Option<K> {
        match self {
            Node::Leaf(keys) => keys.first().copied(),
            Node::Inner(inner) => inner.firsts.first().copied(),
        }
    }

    fn insert(&mut self, key: K, place: &impl Fn(&K) -> Ordering, edges: Edges) -> Option<Split<K>> {
        match self {
            Node::Leaf(keys) => {
                let at = keys.partition_point(|k| place(k) == Ordering::Less);
                if keys.len() < FULL {
                    reserve_class(keys, 1);
                    keys.insert(at, key);
                    return None;
                }
                let right = if at == FULL && edges.right {
                    vec![key]
                } else if at == 0 && edges.left {
                    std::mem::replace(keys, vec![key])
                } else {
                    let mut right = keys.split_off(FULL / 2);
                    shrink_class(keys);
                    let (half, at) = if at <= FULL / 2 { (&mut *keys, at) } else { (&mut right, at - FULL / 2) };
                    reserve_class(half, 1);
                    half.insert(at, key);
                    right
                };
                Some(Split { first: *right.first()?, count: right.len(), node: Node::Leaf(right) })
            }
            Node::Inner(inner) => {
                let i = inner.firsts.partition_point(|k| place(k) == Ordering::Less).saturating_sub(1);
                let last = inner.children.len() - 1;
                let edges_below = Edges { left: edges.left && i == 0, right: edges.right && i == last };
                inner.counts[i] += 1;
                if i == 0 && place(&inner.firsts[0]) == Ordering::Greater {
                    inner.firsts[0] = key;
                }
                let split = inner.children[i].insert(key, place, edges_below)?;
                inner.counts[i] -= split.count;
                inner.insert(i + 1, split);
                if inner.children.len() <= FULL {
                    return None;
                }
                let at = if edges_below.right {
                    FULL
                } else if edges_below.left {
                    1
                } else {
                    FULL / 2
                };
                let right = inner.split_off(at);
                let count = right.counts.iter().sum();
                Some(Split { first: *right.firsts.first()?, count, node: Node::Inner(Box::new(right)) })
            }
        }
    }

    fn remove(&mut self, place: &impl Fn(&K) -> Ordering) -> Option<K> {
        match self {
            Node::Leaf(keys) => {
                let at = keys.binary_search_by(place).ok()?;
                let key = keys.remove(at);
                shrink_class(keys);
                Some(key)
            }
            Node::Inner(inner) => {
                let i = inner.firsts.partition_point(|k| place(k) != Ordering::Greater).checked_sub(1)?;
                let key = inner.children[i].remove(place)?;
                inner.shrunk(i, 1);
                Some(key)
            }
        }
    }

    /// Takes up to `max` keys out of the leaf that holds the rank, from there on. How many.
    fn take(&mut self, rank: usize, max: usize, taken: &mut impl FnMut(K)) -> usize {
        match self {
            Node::Leaf(keys) => {
                let end = rank.saturating_add(max).min(keys.len());
                keys.drain(rank..end).for_each(taken);
                shrink_class(keys);
                end - rank
            }
            Node::Inner(inner) => {
                let mut rank = rank;
                let i = inner.child_of_rank(&mut rank);
                let count = inner.children[i].take(rank, max, taken);
                inner.shrunk(i, count);
                count
            }
        }
    }

    /// Appends a node of the same depth.
    fn join(&mut self, other: Self) {
        match (self, other) {
            (Node::Leaf(keys), Node::Leaf(mut more)) => {
                reserve_class(keys, more.len());
                keys.append(&mut more);
            }
            (Node::Inner(inner), Node::Inner(mut more)) => {
                inner.firsts.append(&mut more.firsts);
                inner.counts.append(&mut more.counts);
                inner.children.append(&mut more.children);
            }
            _ => unreachable!("all leaves are at the same depth"),
        }
    }

    fn heap_size(&self) -> usize {
        match self {
            Node::Leaf(keys) => vec_heap(keys),
            Node::Inner(inner) => {
                size_class(size_of::<Inner<K>>())
                    + vec_heap(&inner.firsts)
                    + vec_heap(&inner.counts)
                    + vec_heap(&inner.children)
                    + inner.children.iter().map(Node::heap_size).sum::<usize>()
            }
        }
    }
}

impl<K: Copy> Inner<K> {
    fn with_capacity(n: usize) -> Self {
        Inner { firsts: Vec::with_capacity(n), counts: Vec::with_capacity(n), children: Vec::with_capacity(n) }
    }

    fn push(&mut self, child: Split<K>) {
        self.insert(self.children.len(), child);
    }

    fn insert(&mut self, at: usize, child: Split<K>) {
        reserve_class(&mut self.firsts, 1);
        self.firsts.insert(at, child.first);
        reserve_class(&mut self.counts, 1);
        self.counts.insert(at, child.count);
        reserve_class(&mut self.children, 1);
        self.children.insert(at, child.node);
    }

    fn split_off(&mut self, at: usize) -> Self {
        let right = Inner {
            firsts: self.firsts.split_off(at),
            counts: self.counts.split_off(at),
            children: self.children.split_off(at),
        };
        self.shrink();
        right
    }

    fn remove_child(&mut self, i: usize) -> Node<K> {
        self.firsts.remove(i);
        self.counts.remove(i);
        let child = self.children.remove(i);
        self.shrink();
        child
    }

    fn shrink(&mut self) {
        shrink_class(&mut self.firsts);
        shrink_class(&mut self.counts);
        shrink_class(&mut self.children);
    }

    /// The child that holds a rank, which becomes the rank within it.
    fn child_of_rank(&self, rank: &mut usize) -> usize {
        for (i, count) in self.counts.iter().enumerate() {
            match rank.checked_sub(*count) {
                Some(rest) => *rank = rest,
                None => return i,
            }
        }
        unreachable!("the rank is below the sum of the counts")
    }

    /// After `removed` keys were taken out of a child.
    fn shrunk(&mut self, i: usize, removed: usize) {
        self.counts[i] -= removed;
        let Some(first) = self.children[i].first() else {
            self.remove_child(i);
            return;
        };
        self.firsts[i] = first;
        if self.children[i].len() < SPARSE {
            let joinable = |left: &usize| {
                self.children.get(left + 1).is_some_and(|right| self.children[*left].len() + right.len() <= JOINED)
            };
            let left = Some(i).filter(joinable).or(i.checked_sub(1).filter(joinable));
            if let Some(left) = left {
                let count = self.counts[left + 1];
                let right = self.remove_child(left + 1);
                self.counts[left] += count;
                self.children[left].join(right);
            }
        }
    }
}

/// Keys of a tree by rank; see [`Tree::range`].
pub(super) struct Iter<'a, K> {
    tree: &'a Tree<K>,
    start: usize,
    end: usize,
    front: std::slice::Iter<'a, K>,
    back: std::slice::Iter<'a, K>,
}

impl<'a, K: Copy> Iterator for Iter<'a, K> {
    type Item = &'a K;

    #[inline]
    fn next(&mut self) -> Option<&'a K> {
        if self.start >= self.end {
            return None;
        }
        if self.front.len() == 0 {
            let (leaf, at) = self.tree.leaf(self.start)?;
            self.front = leaf[at..].iter();
        }
        self.start += 1;
        self.front.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.end - self.start, Some(self.end - self.start))
    }
}

impl<'a, K: Copy> DoubleEndedIterator for Iter<'a, K> {
    #[inline]
    fn next_back(&mut self) -> Option<&'a K> {
        if self.start >= self.end {
            return None;
        }
        self.end -= 1;
        if self.back.len() == 0 {
            let (leaf, at) = self.tree.leaf(self.end)?;
            self.back = leaf[..=at].iter();
        }
        self.back.next_back()
    }
}

impl<K: Copy> ExactSizeIterator for Iter<'_, K> {}
