//! Walking a list from either end, from any index.

use super::super::elem::Elem;
use super::super::listpack;
use super::{List, NodeRef};

/// Elements of a list between two indices, from either end. Finding the place to start at costs a walk over the nodes, and only
/// the end that is used pays for it.
pub struct Iter<'a> {
    list: &'a List,
    start: usize,
    end: usize,
    front: Option<Walk<'a>>,
    back: Option<Walk<'a>>,
}

/// Where a walk stands: in which node, and what is left of it.
struct Walk<'a> {
    node: usize,
    rest: Rest<'a>,
}

enum Rest<'a> {
    Packed(listpack::Iter<'a>),
    Plain(&'a [u8]),
    Nothing,
}

impl<'a> Iter<'a> {
    pub(super) fn new(list: &'a List, start: usize, end: usize) -> Self {
        Iter { list, start, end, front: None, back: None }
    }
}

impl<'a> Rest<'a> {
    fn take(&mut self, step: fn(&mut listpack::Iter<'a>) -> Option<Elem<'a>>) -> Option<Elem<'a>> {
        match std::mem::replace(self, Rest::Nothing) {
            Rest::Packed(mut iter) => {
                let elem = step(&mut iter);
                *self = Rest::Packed(iter);
                elem
            }
            Rest::Plain(text) => Some(Elem::Bytes(text)),
            Rest::Nothing => None,
        }
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Elem<'a>;

    fn next(&mut self) -> Option<Elem<'a>> {
        if self.start >= self.end {
            return None;
        }
        let list = self.list;
        let walk = match &mut self.front {
            Some(walk) => walk,
            none => {
                let (node, at) = list.locate(self.start);
                none.insert(Walk { node, rest: from(list.node(node)?.0, at) })
            }
        };
        self.start += 1;
        loop {
            if let Some(elem) = walk.rest.take(listpack::Iter::next) {
                return Some(elem);
            }
            walk.node += 1;
            walk.rest = from(list.node(walk.node)?.0, 0);
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.end.saturating_sub(self.start);
        (left, Some(left))
    }
}

impl<'a> DoubleEndedIterator for Iter<'a> {
    fn next_back(&mut self) -> Option<Elem<'a>> {
        if self.start >= self.end {
            return None;
        }
        let list = self.list;
        self.end -= 1;
        let walk = match &mut self.back {
            Some(walk) => walk,
            none => {
                let (node, at) = list.locate(self.end);
                none.insert(Walk { node, rest: until(list.node(node)?.0, at + 1) })
            }
        };
        loop {
            if let Some(elem) = walk.rest.take(listpack::Iter::next_back) {
                return Some(elem);
            }
            walk.node = walk.node.checked_sub(1)?;
            let (node, len) = list.node(walk.node)?;
            walk.rest = until(node, len);
        }
    }
}

impl ExactSizeIterator for Iter<'_> {}

/// The elements of a node from an index on.
fn from(node: NodeRef<'_>, at: usize) -> Rest<'_> {
    match node {
        NodeRef::Packed(lp) => Rest::Packed(lp.iter_from(lp.seek(at).unwrap_or(lp.end()))),
        NodeRef::Plain(text) => Rest::Plain(text),
    }
}

/// The elements of a node before an index.
fn until(node: NodeRef<'_>, at: usize) -> Rest<'_> {
    match node {
        NodeRef::Packed(lp) => Rest::Packed(lp.iter_until(lp.seek(at).unwrap_or(lp.end()))),
        NodeRef::Plain(text) => Rest::Plain(text),
    }
}
