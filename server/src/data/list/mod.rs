//! The list type: one listpack while it is small, a quicklist of them when it is not.
//!
//! Indices are from 0 at the front; the meaning of negative ones is the command's affair. An empty list is possible here; whoever
//! empties one deletes its key.
//!
//! Encodings change where Valkey changes them: before growing, when the listpack and the text to come exceed one node's limit;
//! after shrinking, when a single node is left that is below half of it.

mod iter;
mod node;
mod quicklist;
#[cfg(test)]
mod tests;

pub use iter::Iter;
pub use node::{Node, NodeRef};

use super::elem::Elem;
use super::limits::Limits;
use super::listpack::{self, Listpack};
use super::one_word::{Mut, OneWord, Ref};
use super::sizes::size_class;
use node::NodeLimit;
use quicklist::Quicklist;

/// An end of a list, or of another ordered value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The first element's.
    Front,
    /// The last element's.
    Back,
}

/// A list of elements. See the module's documentation.
#[derive(Clone, Debug)]
pub struct List(OneWord<Listpack, Quicklist>);

impl List {
    /// An empty list.
    pub fn new() -> Self {
        List(OneWord::small(Listpack::new()))
    }

    /// A list from the nodes of a file, in their order. Empty packed nodes are left out. The encoding is chosen anew, so one
    /// node within the limit becomes a listpack.
    pub fn from_nodes(nodes: impl IntoIterator<Item = Node>, limits: &Limits) -> Self {
        List(OneWord::large(Quicklist::from_nodes(nodes))).built(limits)
    }

    /// An empty list for elements that come one by one; [`List::built`] ends that.
    pub fn to_build() -> Self {
        List(OneWord::large(Quicklist::from_nodes([])))
    }

    /// Chooses the encoding of a list that has all its elements: a listpack if they went into one node.
    pub fn built(mut self, limits: &Limits) -> Self {
        self.shrink_within(NodeLimit::of(limits).of_listpack());
        self
    }

    /// The name that `OBJECT ENCODING` gives: `listpack` or `quicklist`.
    pub fn encoding(&self) -> &'static str {
        match self.0.get() {
            Ref::Small(_) => "listpack",
            Ref::Large(_) => "quicklist",
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match self.0.get() {
            Ref::Small(lp) => lp.len(),
            Ref::Large(ql) => ql.len(),
        }
    }

    /// Is there no element?
    pub fn is_empty(&self) -> bool {
        match self.0.get() {
            Ref::Small(lp) => lp.is_empty(),
            Ref::Large(ql) => ql.len() == 0,
        }
    }

    /// The nodes from front to back, as an RDB file holds them. A listpack is one packed node.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = NodeRef<'_>> {
        let (one, many) = match self.0.get() {
            Ref::Small(lp) => (Some(lp), None),
            Ref::Large(ql) => (None, Some(ql)),
        };
        let count = many.map_or(1, |ql| ql.nodes().len());
        (0..count).map(move |i| match (one, many) {
            (Some(lp), _) => NodeRef::Packed(lp),
            (_, Some(ql)) => ql.nodes()[i].as_ref(),
            _ => unreachable!("one or the other"),
        })
    }

    /// Bytes on the heap. Of a quicklist, `samples` nodes are measured and the rest estimated from them (0: all are measured).
    pub fn heap_size(&self, samples: usize) -> usize {
        match self.0.get() {
            Ref::Small(lp) => lp.heap_size(),
            Ref::Large(ql) => size_class(size_of::<Quicklist>()) + ql.heap_size(samples),
        }
    }

    /// How many allocations it takes to free the list, about.
    pub fn free_effort(&self) -> usize {
        match self.0.get() {
            Ref::Small(_) => 1,
            Ref::Large(ql) => ql.nodes().len(),
        }
    }

    /// Appends elements at an end, one after the other: at the front, the last one given ends up first.
    pub fn push_all<'a, I>(&mut self, end: End, elems: I, limits: &Limits)
    where
        I: IntoIterator<Item = &'a [u8]>,
        I::IntoIter: Clone,
    {
        let elems = elems.into_iter();
        if self.0.as_small().is_some() {
            let (bytes, count) = elems.clone().fold((0, 0), |(bytes, n), e| (bytes + e.len(), n + 1));
            self.make_room(bytes, count, limits);
        }
        for elem in elems {
            match (self.0.get_mut(), end) {
                (Mut::Small(lp), End::Front) => lp.push_front(elem),
                (Mut::Small(lp), End::Back) => lp.push_back(elem),
                (Mut::Large(ql), end) => ql.push(end, elem, NodeLimit::of(limits)),
            }
        }
    }

    /// Appends one element at an end.
    pub fn push(&mut self, end: End, elem: &[u8], limits: &Limits) {
        self.push_all(end, std::iter::once(elem), limits);
    }

    /// The element at an end.
    pub fn peek(&self, end: End) -> Option<Elem<'_>> {
        match (self.0.get(), end) {
            (Ref::Small(lp), End::Front) => lp.iter().next(),
            (Ref::Small(lp), End::Back) => lp.iter().next_back(),
            (Ref::Large(ql), end) => ql.peek(end),
        }
    }

    /// Removes the element at an end, after `f` has seen it.
    pub fn pop_with<R>(&mut self, end: End, limits: &Limits, f: impl FnOnce(Elem<'_>) -> R) -> Option<R> {
        let result = f(self.peek(end)?);
        match (self.0.get_mut(), end) {
            (Mut::Small(lp), end) => {
                let at = if end == End::Front { lp.first() } else { lp.last() };
                at.into_iter().for_each(|at| lp.remove(at, 1));
            }
            (Mut::Large(ql), end) => {
                ql.pop(end);
                self.shrunk(limits);
            }
        }
        Some(result)
    }

    /// Removes the element at an end and gives it back.
    pub fn pop(&mut self, end: End, limits: &Limits) -> Option<Vec<u8>> {
        self.pop_with(end, limits, |e| e.to_vec())
    }

    /// The element with this index. Whole nodes are skipped, from the nearer end.
    pub fn get(&self, index: usize) -> Option<Elem<'_>> {
        match self.0.get() {
            Ref::Small(lp) => lp.at(index),
            Ref::Large(ql) => ql.get(index),
        }
    }

    /// Replaces the element with this index; false if there is none.
    pub fn set(&mut self, index: usize, elem: &[u8], limits: &Limits) -> bool {
        if index >= self.len() {
            return false;
        }
        self.make_room(elem.len(), 1, limits);
        match self.0.get_mut() {
            Mut::Small(lp) => {
                let at = lp.seek(index);
                at.into_iter().for_each(|at| lp.replace(at, elem));
            }
            Mut::Large(ql) => {
                ql.set(index, elem, NodeLimit::of(limits));
                self.shrunk(limits);
            }
        }
        true
    }

    /// Inserts an element before the one with this index; an index of at least the length appends.
    pub fn insert(&mut self, index: usize, elem: &[u8], limits: &Limits) {
        self.make_room(elem.len(), 1, limits);
        match self.0.get_mut() {
            Mut::Small(lp) => {
                let at = lp.seek(index).unwrap_or(lp.end());
                lp.insert(at, &[Elem::Bytes(elem)]);
            }
            Mut::Large(ql) => ql.insert(index, elem, NodeLimit::of(limits)),
        }
    }

    /// The index of the first element that equals `elem`.
    pub fn position(&self, elem: &[u8]) -> Option<usize> {
        let needle = Elem::parse(elem);
        self.iter().position(|e| e == needle)
    }

    /// Removes up to `count` elements that equal `elem` (0: all), counting from an end. How many were removed.
    pub fn remove_equal(&mut self, elem: &[u8], count: usize, from: End, limits: &Limits) -> usize {
        let needle = Elem::parse(elem);
        let count = if count == 0 { usize::MAX } else { count };
        match self.0.get_mut() {
            Mut::Small(lp) => node::remove_equal(lp, needle, count, from),
            Mut::Large(ql) => {
                let removed = ql.remove_equal(needle, count, from);
                self.shrunk(limits);
                removed
            }
        }
    }

    /// Removes `count` elements from an index on, fewer if the list ends before.
    pub fn remove_range(&mut self, start: usize, count: usize, limits: &Limits) {
        match self.0.get_mut() {
            Mut::Small(lp) => lp.remove_range(start, count),
            Mut::Large(ql) => {
                ql.remove_range(start, count);
                self.shrunk(limits);
            }
        }
    }

    /// The elements, from either end.
    pub fn iter(&self) -> Iter<'_> {
        self.range(0, usize::MAX)
    }

    /// `count` elements from an index on (fewer if the list ends before), from either end.
    pub fn range(&self, start: usize, count: usize) -> Iter<'_> {
        let len = self.len();
        let start = start.min(len);
        Iter::new(self, start, start.saturating_add(count).min(len))
    }

    /// Turns a listpack into a quicklist if it would exceed the limit with that much text and that many elements more.
    fn make_room(&mut self, add_bytes: usize, add_count: usize, limits: &Limits) {
        let limit = NodeLimit::of(limits);
        if let Mut::Small(lp) = self.0.get_mut()
            && (limit.exceeded(lp.byte_len().saturating_add(add_bytes), lp.len() + add_count))
        {
            let node = Node::Packed(std::mem::take(lp));
            self.0 = OneWord::large(Quicklist::from_nodes([node]));
        }
    }

    /// Turns a quicklist of one small node into a listpack. Half of the limit, so that a list at the limit does not go to and fro.
    fn shrunk(&mut self, limits: &Limits) {
        self.shrink_within(NodeLimit::of(limits).of_listpack().half());
    }

    fn shrink_within(&mut self, limit: NodeLimit) {
        let Mut::Large(ql) = self.0.get_mut() else { return };
        if ql.nodes().is_empty() {
            *self = List::new();
        } else if let Some(lp) = ql.take_only_node(limit) {
            self.0 = OneWord::small(lp);
        }
    }

    /// The elements of the listpack or of a node, and how many; `None` beyond the last node.
    fn node(&self, index: usize) -> Option<(NodeRef<'_>, usize)> {
        match self.0.get() {
            Ref::Small(lp) => (index == 0).then(|| (NodeRef::Packed(lp), lp.len())),
            Ref::Large(ql) => ql.nodes().get(index).map(|n| (n.as_ref(), n.len())),
        }
    }

    /// Node and index in it of an element's index.
    fn locate(&self, index: usize) -> (usize, usize) {
        match self.0.get() {
            Ref::Small(_) => (0, index),
            Ref::Large(ql) => ql.locate(index),
        }
    }
}

impl Default for List {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> IntoIterator for &'a List {
    type Item = Elem<'a>;
    type IntoIter = Iter<'a>;
    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Longest text that a list element may have in a packed node.
const MAX_PACKED: usize = listpack::MAX_BYTES / 2;
