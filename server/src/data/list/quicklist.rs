//! A deque of nodes. No node is empty.

use std::collections::VecDeque;

use super::super::elem::Elem;
use super::super::listpack::Listpack;
use super::super::sizes::{class_growth, estimate, size_class};
use super::End;
use super::node::{self, Node, NodeLimit, NodeRef, Stored};

#[derive(Clone, Debug)]
pub(super) struct Quicklist {
    nodes: VecDeque<Stored>,
    /// Elements in all nodes: derived, but asked for by every command.
    len: usize,
}

impl Quicklist {
    pub fn from_nodes(nodes: impl IntoIterator<Item = Node>) -> Self {
        let nodes: VecDeque<_> = nodes.into_iter().map(Stored::new).filter(|n| n.len() > 0).collect();
        let len = nodes.iter().map(Stored::len).sum();
        Quicklist { nodes, len }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn nodes(&self) -> &VecDeque<Stored> {
        &self.nodes
    }

    pub fn heap_size(&self, samples: usize) -> usize {
        size_class(self.nodes.capacity() * size_of::<Stored>())
            + estimate(self.nodes.len(), samples, self.nodes.iter().map(Stored::heap_size))
    }

    /// Takes the listpack out if it is the only node and within the limit.
    pub fn take_only_node(&mut self, limit: NodeLimit) -> Option<Listpack> {
        let [Stored::Packed { lp, len }] = self.nodes.make_contiguous() else { return None };
        (!limit.exceeded(lp.byte_len(), *len as usize)).then(|| std::mem::take(lp))
    }

    /// Node and index in it of an element's index; behind the last node for an index that is too large.
    pub fn locate(&self, index: usize) -> (usize, usize) {
        if index >= self.len {
            return (self.nodes.len(), 0);
        }
        if index < self.len / 2 {
            let mut left = index;
            for (i, node) in self.nodes.iter().enumerate() {
                match left.checked_sub(node.len()) {
                    Some(rest) => left = rest,
                    None => return (i, left),
                }
            }
        } else {
            let mut start = self.len;
            for (i, node) in self.nodes.iter().enumerate().rev() {
                start -= node.len();
                if index >= start {
                    return (i, index - start);
                }
            }
        }
        unreachable!("the nodes' lengths sum up to the list's")
    }

    pub fn get(&self, index: usize) -> Option<Elem<'_>> {
        let (node, at) = self.locate(index);
        match self.nodes.get(node)?.as_ref() {
            NodeRef::Packed(lp) => lp.at(at),
            NodeRef::Plain(text) => Some(Elem::Bytes(text)),
        }
    }

    pub fn peek(&self, end: End) -> Option<Elem<'_>> {
        let node = if end == End::Front { self.nodes.front() } else { self.nodes.back() }?;
        match (node.as_ref(), end) {
            (NodeRef::Packed(lp), End::Front) => lp.iter().next(),
            (NodeRef::Packed(lp), End::Back) => lp.iter().next_back(),
            (NodeRef::Plain(text), _) => Some(Elem::Bytes(text)),
        }
    }

    fn end_mut(&mut self, end: End) -> Option<&mut Stored> {
        if end == End::Front { self.nodes.front_mut() } else { self.nodes.back_mut() }
    }

    pub fn push(&mut self, end: End, elem: &[u8], limit: NodeLimit) {
        self.len += 1;
        if let Some((lp, len)) = self.end_mut(end).and_then(|n| n.with_room(elem.len(), limit)) {
            *len += 1;
            match end {
                End::Front => lp.push_front(elem),
                End::Back => lp.push_back(elem),
            }
            return;
        }
        if self.nodes.len() == self.nodes.capacity() {
            self.nodes.reserve_exact(class_growth::<Stored>(self.nodes.len()));
        }
        let node = new_node(elem, limit);
        match end {
            End::Front => self.nodes.push_front(node),
            End::Back => self.nodes.push_back(node),
        }
    }

    pub fn pop(&mut self, end: End) {
        let index = if end == End::Front { 0 } else { self.nodes.len().wrapping_sub(1) };
        let Some(node) = self.nodes.get_mut(index) else { return };
        self.len -= 1;
        match node {
            Stored::Packed { lp, len } if *len > 1 => {
                *len -= 1;
                let at = if end == End::Front { lp.first() } else { lp.last() };
                at.into_iter().for_each(|at| lp.remove(at, 1));
            }
            _ => {
                self.nodes.remove(index);
            }
        }
    }

    pub fn set(&mut self, index: usize, elem: &[u8], limit: NodeLimit) {
        let (node, at) = self.locate(index);
        match self.nodes.get_mut(node) {
            Some(Stored::Packed { lp, .. }) if !limit.is_large(elem.len()) => {
                let at = lp.seek(at);
                at.into_iter().for_each(|at| lp.replace(at, elem));
                self.split_oversized(node, limit);
            }
            Some(node @ Stored::Plain(_)) if limit.is_large(elem.len()) => *node = Stored::plain(elem),
            Some(_) => {
                // The new element needs another kind of node.
                self.insert(index, elem, limit);
                self.remove_range(index + 1, 1);
            }
            None => {}
        }
    }

    /// Inserts before the element with this index.
    pub fn insert(&mut self, index: usize, elem: &[u8], limit: NodeLimit) {
        let (node, at) = self.locate(index);
        if node == self.nodes.len() {
            return self.push(End::Back, elem, limit);
        }
        self.len += 1;
        if let Some((lp, len)) = self.nodes[node].with_room(elem.len(), limit) {
            *len += 1;
            let at = lp.seek(at).unwrap_or(lp.end());
            lp.insert(at, &[Elem::Bytes(elem)]);
            return;
        }
        // Between two elements of a full node: make two nodes of it.
        let gap = if at == 0 { node } else { self.split(node, at) };
        if let Some(before) = gap.checked_sub(1)
            && let Some((lp, len)) = self.nodes[before].with_room(elem.len(), limit)
        {
            *len += 1;
            lp.push_back(elem);
        } else if let Some((lp, len)) = self.nodes[gap].with_room(elem.len(), limit) {
            *len += 1;
            lp.push_front(elem);
        } else {
            self.nodes.insert(gap, new_node(elem, limit));
        }
        if at > 0 {
            self.merge_near(gap, limit);
        }
    }

    pub fn remove_equal(&mut self, needle: Elem<'_>, count: usize, from: End) -> usize {
        let mut left = count;
        let mut visit = |node: &mut Stored| {
            let removed = match node {
                Stored::Packed { lp, len } => {
                    let removed = node::remove_equal(lp, needle, left, from);
                    *len -= removed as u32;
                    removed
                }
                Stored::Plain(text) if left > 0 && Elem::Bytes(text.bytes()) == needle => {
                    *node = Stored::new(Node::Packed(Listpack::new()));
                    1
                }
                Stored::Plain(_) => 0,
            };
            left -= removed;
            left > 0
        };
        match from {
            End::Front => self.nodes.iter_mut().all(&mut visit),
            End::Back => self.nodes.iter_mut().rev().all(&mut visit),
        };
        let removed = count - left;
        if removed > 0 {
            self.nodes.retain(|n| n.len() > 0);
            self.len -= removed;
        }
        removed
    }

    pub fn remove_range(&mut self, start: usize, count: usize) {
        let count = count.min(self.len.saturating_sub(start));
        if count == 0 {
            return;
        }
        let (mut node, at) = self.locate(start);
        self.len -= count;
        let mut left = count;
        if at > 0 {
            left -= self.cut(node, at, left);
            node += 1;
        }
        let mut whole = node;
        while let Some(len) = self.nodes.get(whole).map(Stored::len).filter(|len| *len <= left) {
            left -= len;
            whole += 1;
        }
        self.nodes.drain(node..whole);
        if left > 0 {
            self.cut(node, 0, left);
        }
        if self.nodes.capacity() > 4 * self.nodes.len() {
            self.nodes.shrink_to(2 * self.nodes.len());
        }
    }

    /// Removes up to `count` elements of a packed node from an index on, but never all of them. How many.
    fn cut(&mut self, node: usize, at: usize, count: usize) -> usize {
        let Stored::Packed { lp, len } = &mut self.nodes[node] else { return 0 };
        let count = count.min(*len as usize - at);
        lp.remove_range(at, count);
        *len -= count as u32;
        count
    }

    /// Makes two nodes of a packed one; gives the index of the second, which begins with the element that was at `at`.
    fn split(&mut self, node: usize, at: usize) -> usize {
        let Stored::Packed { lp, len } = &mut self.nodes[node] else { return node };
        let tail = lp.split_off(at);
        let tail_len = *len - at as u32;
        *len = at as u32;
        self.nodes.insert(node + 1, Stored::Packed { lp: tail, len: tail_len });
        node + 1
    }

    /// Splits a node that a longer element has made larger than the limit.
    fn split_oversized(&mut self, node: usize, limit: NodeLimit) {
        if let Stored::Packed { lp, len } = &self.nodes[node]
            && *len > 1
            && limit.exceeded(lp.byte_len(), 0)
        {
            let middle = *len as usize / 2;
            self.split(node, middle);
        }
    }

    /// Joins what a split has left smaller than need be: the nodes before and behind `gap`, where they can.
    fn merge_near(&mut self, gap: usize, limit: NodeLimit) {
        for second in [gap + 2, gap + 1, gap, gap.wrapping_sub(1)] {
            if second == 0 || second >= self.nodes.len() {
                continue;
            }
            if self.nodes[second - 1].mergeable(&self.nodes[second], limit)
                && let Some(Stored::Packed { lp: tail, len: n }) = self.nodes.remove(second)
                && let Stored::Packed { lp, len } = &mut self.nodes[second - 1]
            {
                lp.append(&tail);
                *len += n;
            }
        }
    }
}

/// A node for one element, packed if it is not large.
fn new_node(elem: &[u8], limit: NodeLimit) -> Stored {
    if limit.is_large(elem.len()) {
        return Stored::plain(elem);
    }
    let mut lp = Listpack::new();
    lp.push_back(elem);
    Stored::Packed { lp, len: 1 }
}
