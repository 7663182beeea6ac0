//! One node of a quicklist: a listpack of elements, or one element by itself because it is large.

use super::super::block::Block;
use super::super::elem::Elem;
use super::super::limits::Limits;
use super::super::listpack::Listpack;
use super::{End, MAX_PACKED};

/// A node as a file brings it (RDB type 18, container 2 or 1).
#[derive(Clone, Debug)]
pub enum Node {
    /// A listpack of elements.
    Packed(Listpack),
    /// One large element.
    Plain(Box<[u8]>),
}

/// A node as a file gets it.
#[derive(Clone, Copy, Debug)]
pub enum NodeRef<'a> {
    /// A listpack of elements; its bytes are [`Listpack::as_bytes`].
    Packed(&'a Listpack),
    /// One large element.
    Plain(&'a [u8]),
}

/// A node in its quicklist, which keeps the number of elements beside it so that a walk need not touch the listpacks. Two words.
#[derive(Clone)]
pub(super) enum Stored {
    Packed { lp: Listpack, len: u32 },
    Plain(Block),
}

impl Stored {
    pub fn new(node: Node) -> Self {
        match node {
            Node::Packed(lp) => Stored::Packed { len: lp.len() as u32, lp },
            Node::Plain(text) => Stored::plain(&text),
        }
    }

    pub fn plain(text: &[u8]) -> Self {
        Stored::Plain(Block::concat(&[text]))
    }

    pub fn len(&self) -> usize {
        match self {
            Stored::Packed { len, .. } => *len as usize,
            Stored::Plain(_) => 1,
        }
    }

    pub fn as_ref(&self) -> NodeRef<'_> {
        match self {
            Stored::Packed { lp, .. } => NodeRef::Packed(lp),
            Stored::Plain(text) => NodeRef::Plain(text.bytes()),
        }
    }

    pub fn heap_size(&self) -> usize {
        match self {
            Stored::Packed { lp, .. } => lp.heap_size(),
            Stored::Plain(text) => text.heap_size(),
        }
    }

    /// The listpack, if one more element with `add` bytes of text may go into it.
    pub fn with_room(&mut self, add: usize, limit: NodeLimit) -> Option<(&mut Listpack, &mut u32)> {
        // Encoding and backlen of an entry; an overestimate only ends the node a little early.
        const ENTRY_OVERHEAD: usize = 8;
        match self {
            Stored::Packed { lp, len }
                if !limit.is_large(add) && !limit.exceeded(lp.byte_len() + add + ENTRY_OVERHEAD, *len as usize + 1) =>
            {
                Some((lp, len))
            }
            _ => None,
        }
    }

    /// May the two be one node?
    pub fn mergeable(&self, other: &Self, limit: NodeLimit) -> bool {
        match (self, other) {
            (Stored::Packed { lp: a, len: m }, Stored::Packed { lp: b, len: n }) => {
                !limit.exceeded(a.byte_len() + b.byte_len(), *m as usize + *n as usize)
            }
            _ => false,
        }
    }
}

impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_ref().fmt(f)
    }
}

/// Removes up to `count` elements that equal `needle` from a listpack, counting from an end. How many were removed.
pub(super) fn remove_equal(lp: &mut Listpack, needle: Elem<'_>, count: usize, from: End) -> usize {
    // From the back: all but so many of the first.
    let matches = lp.iter().filter(|e| *e == needle).count();
    let removed = matches.min(count);
    let mut spared = if from == End::Back { matches - removed } else { 0 };
    let mut left = removed;
    if removed > 0 {
        lp.retain(1, |e| {
            if left == 0 || e != needle {
                return true;
            }
            if spared > 0 {
                spared -= 1;
                return true;
            }
            left -= 1;
            false
        });
    }
    removed
}

/// What one node may hold, by `list-max-listpack-size`.
#[derive(Clone, Copy)]
pub(super) struct NodeLimit {
    bytes: usize,
    count: usize,
    large: usize,
}

impl NodeLimit {
    /// A limit in elements is one in bytes too.
    const SAFE_BYTES: usize = 8192;

    pub fn of(limits: &Limits) -> Self {
        let (bytes, count) = match limits.list_max_listpack_size {
            n @ 0.. => (Self::SAFE_BYTES, n.clamp(1, i32::from(i16::MAX)) as usize),
            n => (4096 << (n.saturating_neg().min(5) - 1), usize::MAX),
        };
        let large = match limits.quicklist_packed_threshold {
            0 => bytes + 1,
            n => n.min(MAX_PACKED),
        };
        NodeLimit { bytes, count, large }
    }

    /// The limit within which the only node of a quicklist may become a listpack: one in elements is not one in bytes here.
    pub fn of_listpack(self) -> Self {
        NodeLimit { bytes: if self.count == usize::MAX { self.bytes } else { usize::MAX }, ..self }
    }

    /// The limit below which a quicklist becomes a listpack again.
    pub fn half(self) -> Self {
        NodeLimit {
            bytes: self.bytes / 2,
            count: if self.count == usize::MAX { self.count } else { self.count / 2 },
            ..self
        }
    }

    /// Is a listpack of that size too much for a node?
    pub fn exceeded(self, bytes: usize, count: usize) -> bool {
        bytes > self.bytes || count > self.count
    }

    /// Does an element of that size get a node for itself?
    pub fn is_large(self, len: usize) -> bool {
        len >= self.large
    }
}
