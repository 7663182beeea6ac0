//! Listpack: a sequence of elements in one run of bytes, Valkey's layout to the byte, because RDB files hold it as it is.
//!
//! ```text
//! total bytes u32 LE | elements u16 LE (0xFFFF: count them) | entry ... | 0xFF
//! ```
//!
//! The entries' layout stands in `entry.rs`. A [`Listpack`] is always well formed: [`Listpack::from_bytes`] checks every entry, and nothing
//! else makes one from foreign bytes. What the elements mean (fields and values, members and scores) is the owner's affair.
//!
//! A [`Pos`] names an element by its place in the bytes. Any change to the listpack makes all of them void but the one that the
//! change returned; a void one gives a wrong element, none, or a panic, never a read outside.

mod entry;
#[cfg(test)]
mod tests;

use super::elem::Elem;
use super::one_word::Small;
use super::packed::{PREFIX, Packed};
use entry::{END, Encoded};

const HEADER: usize = 6;
const COUNT_UNKNOWN: u16 = u16::MAX;
/// No listpack grows beyond this many bytes (1 GiB), so that its 32-bit length is never in danger.
pub const MAX_BYTES: usize = 1 << 30;

/// Place of an element in a listpack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pos(usize);

/// A sequence of elements in one run of bytes. See the module's documentation.
///
/// One word: the header's `total bytes` are the length of the run that it points to.
#[derive(Clone, PartialEq, Eq)]
#[repr(transparent)]
pub struct Listpack(Packed);

// SAFETY: it is a `Packed`; nothing here relies on its content for more than answers.
unsafe impl Small for Listpack {}

impl Listpack {
    /// An empty listpack.
    pub fn new() -> Self {
        Self::with_capacity(0)
    }

    /// An empty listpack with room for `bytes` bytes of entries.
    pub fn with_capacity(bytes: usize) -> Self {
        Listpack(Packed::new(false, &[&[0, 0, END]], HEADER + 1 + bytes))
    }

    /// Takes foreign bytes, if they are a well-formed listpack (see [`validate`](Self::validate)); else gives them back.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, Vec<u8>> {
        if Self::validate(&bytes, true) {
            // Validated: the first four bytes say what the length is.
            Ok(Listpack(Packed::new(false, &[&bytes[PREFIX..]], 0)))
        } else {
            Err(bytes)
        }
    }

    /// Are the bytes a listpack? Not `deep`: lengths and end byte only, in constant time. `deep`: every entry too, that the
    /// entries end exactly at the end byte, and their number.
    pub fn validate(bytes: &[u8], deep: bool) -> bool {
        let Some((&[a, b, c, d, e, f], _)) = bytes.split_first_chunk::<HEADER>() else { return false };
        let count = u16::from_le_bytes([e, f]);
        let total = u32::from_le_bytes([a, b, c, d]) as usize;
        let Some((&END, entries)) = bytes[HEADER..].split_last() else { return false };
        if total != bytes.len() || total > MAX_BYTES {
            return false;
        }
        if !deep {
            return true;
        }
        let (mut rest, mut seen) = (entries, 0usize);
        while !rest.is_empty() {
            let Some(size) = entry::checked_size(rest) else { return false };
            rest = &rest[size..];
            seen += 1;
        }
        count == COUNT_UNKNOWN || usize::from(count) == seen
    }

    /// The bytes, as RDB files hold them.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.bytes()
    }

    /// Length of the whole in bytes.
    pub fn byte_len(&self) -> usize {
        self.0.len()
    }

    /// Bytes on the heap.
    pub fn heap_size(&self) -> usize {
        self.0.capacity()
    }

    /// Asks the processor to load the first cache lines.
    pub fn prefetch(&self, lines: usize) {
        self.0.prefetch(lines);
    }

    /// May text of `add` bytes more still go in (see [`MAX_BYTES`])?
    pub fn fits(&self, add: usize) -> bool {
        add <= MAX_BYTES && self.byte_len() + add <= MAX_BYTES
    }

    /// Number of elements. From 65535 on they are counted one by one.
    pub fn len(&self) -> usize {
        match self.header_count() {
            COUNT_UNKNOWN => self.iter().count(),
            n => usize::from(n),
        }
    }

    /// Is there no element?
    pub fn is_empty(&self) -> bool {
        self.byte_len() == HEADER + 1
    }

    /// The elements from front to back (or from the back: the iterator has two ends).
    pub fn iter(&self) -> Iter<'_> {
        Iter { bytes: self.as_bytes(), front: HEADER, back: self.end().0 }
    }

    /// The elements from `at` on to the back.
    pub fn iter_from(&self, at: Pos) -> Iter<'_> {
        Iter { bytes: self.as_bytes(), front: at.0, back: self.end().0 }
    }

    /// The elements before `at`; take them from the back to walk away from it.
    pub fn iter_until(&self, at: Pos) -> Iter<'_> {
        Iter { bytes: self.as_bytes(), front: HEADER, back: at.0 }
    }

    /// The elements from one place on to another.
    pub fn iter_between(&self, from: Pos, to: Pos) -> Iter<'_> {
        Iter { bytes: self.as_bytes(), front: from.0, back: to.0 }
    }

    /// Place of the first element.
    pub fn first(&self) -> Option<Pos> {
        (!self.is_empty()).then_some(Pos(HEADER))
    }

    /// Place of the last element.
    pub fn last(&self) -> Option<Pos> {
        self.prev(self.end())
    }

    /// The place behind the last element, where an insertion appends.
    pub fn end(&self) -> Pos {
        Pos(self.byte_len() - 1)
    }

    /// Place of the element after this one, `None` after the last.
    pub fn next(&self, at: Pos) -> Option<Pos> {
        let next = at.0 + entry::size(self.as_bytes().get(at.0..)?)?;
        (next < self.end().0).then_some(Pos(next))
    }

    /// Place of the element before this one (or before the end), `None` before the first.
    pub fn prev(&self, at: Pos) -> Option<Pos> {
        entry::previous(self.as_bytes(), HEADER, at.0).filter(|p| *p < at.0).map(Pos)
    }

    /// The element at a place, `None` at the end.
    pub fn get(&self, at: Pos) -> Option<Elem<'_>> {
        entry::decode(self.as_bytes().get(at.0..)?).map(|(elem, _)| elem)
    }

    /// Place of the element with this index, walked to from the nearer end. The index of the end gives the end.
    pub fn seek(&self, index: usize) -> Option<Pos> {
        let known = usize::from(self.header_count());
        if self.header_count() != COUNT_UNKNOWN && index > known / 2 {
            let mut at = self.end();
            for _ in index..known {
                at = self.prev(at)?;
            }
            return (index <= known).then_some(at);
        }
        let mut iter = self.iter();
        for _ in 0..index {
            iter.next()?;
        }
        Some(Pos(iter.front))
    }

    /// The element with this index.
    pub fn at(&self, index: usize) -> Option<Elem<'_>> {
        self.get(self.seek(index)?)
    }

    /// Place of the first element from `from` on that equals `needle`, looking at one element, then leaving out `skip`, and so
    /// on: 1 finds the field of a field-value sequence.
    pub fn find(&self, from: Pos, needle: &[u8], skip: usize) -> Option<Pos> {
        let int = super::num::parse_i64(needle);
        let mut at = from.0;
        let bytes = self.as_bytes();
        let end = bytes.len() - 1;
        while at < end {
            let (elem, len) = entry::decode(&bytes[at..])?;
            let hit = match elem {
                Elem::Int(v) => int == Some(v),
                Elem::Bytes(text) => text == needle,
            };
            if hit {
                return Some(Pos(at));
            }
            at += len + entry::backlen_size(len);
            for _ in 0..skip {
                at += entry::size(bytes.get(at..)?)?;
            }
        }
        None
    }

    /// Place of the element in the first of each group of `skip + 1` that equals `needle`.
    pub fn find_first(&self, needle: &[u8], skip: usize) -> Option<Pos> {
        self.find(Pos(HEADER), needle, skip)
    }

    /// Appends an element.
    ///
    /// # Panics
    /// As all that insert, if the listpack would grow beyond [`MAX_BYTES`]: owners ask [`fits`](Self::fits) before.
    pub fn push_back<'a>(&mut self, elem: impl Into<Elem<'a>>) {
        self.splice(self.end().0, 0, 0, &[elem.into()]);
    }

    /// Prepends an element. Panics as [`push_back`](Self::push_back).
    pub fn push_front<'a>(&mut self, elem: impl Into<Elem<'a>>) {
        self.splice(HEADER, 0, 0, &[elem.into()]);
    }

    /// Inserts elements before a place (which may be the end), in their order. Panics as [`push_back`](Self::push_back).
    pub fn insert(&mut self, at: Pos, elems: &[Elem<'_>]) {
        self.splice(at.0, 0, 0, elems);
    }

    /// Replaces the element at a place; the place stays its own. Panics as [`push_back`](Self::push_back).
    pub fn replace<'a>(&mut self, at: Pos, elem: impl Into<Elem<'a>>) {
        let Some(size) = entry::size(&self.as_bytes()[at.0..]) else { return };
        self.splice(at.0, size, 1, &[elem.into()]);
    }

    /// Removes `count` elements from a place on (fewer if the listpack ends before). The place is now that of the element that
    /// followed them, or the end.
    pub fn remove(&mut self, at: Pos, count: usize) {
        let mut iter = self.iter_from(at);
        let removed = iter.by_ref().take(count).count();
        let size = iter.front - at.0;
        self.splice(at.0, size, removed, &[]);
        self.0.shrink();
    }

    /// Removes `count` elements from an index on.
    pub fn remove_range(&mut self, index: usize, count: usize) {
        if let Some(at) = self.seek(index) {
            self.remove(at, count);
        }
    }

    /// Removes all elements for which `keep` says no, looking at groups of `group` elements: `keep` gets the first of each.
    /// In one pass.
    pub fn retain(&mut self, group: usize, mut keep: impl FnMut(Elem<'_>) -> bool) {
        let end = self.end().0;
        let (mut read, mut write, mut removed) = (HEADER, HEADER, 0);
        while read < end {
            let Some((elem, _)) = entry::decode(&self.as_bytes()[read..]) else { break };
            let kept = keep(elem);
            let (mut next, mut n) = (read, 0);
            while n < group && next < end {
                let Some(size) = entry::size(&self.as_bytes()[next..]) else { break };
                next += size;
                n += 1;
            }
            if kept {
                self.0.bytes_from_mut(HEADER).copy_within(read - HEADER..next - HEADER, write - HEADER);
                write += next - read;
            } else {
                removed += n;
            }
            read = next;
        }
        if removed > 0 {
            self.splice(write, end - write, removed, &[]);
            self.0.shrink();
        }
    }

    /// Takes the elements from an index on out into a listpack of their own.
    pub fn split_off(&mut self, index: usize) -> Listpack {
        let Some(at) = self.seek(index) else { return Listpack::new() };
        let mut tail = Listpack::with_capacity(self.end().0 - at.0);
        tail.append_entries(&self.as_bytes()[at.0..self.end().0], self.len() - index);
        self.splice(at.0, self.end().0 - at.0, tail.len(), &[]);
        self.0.shrink();
        tail
    }

    /// Appends all elements of another listpack. Panics as [`push_back`](Self::push_back).
    pub fn append(&mut self, other: &Listpack) {
        self.append_entries(&other.as_bytes()[HEADER..other.end().0], other.len());
    }

    /// Gives memory back that is not used.
    pub fn shrink_to_fit(&mut self) {
        self.0.shrink_to_fit();
    }

    fn append_entries(&mut self, entries: &[u8], count: usize) {
        let at = self.end().0;
        self.make_gap(at, 0, entries.len());
        self.0.bytes_from_mut(at)[..entries.len()].copy_from_slice(entries);
        self.add_count(0, count);
    }

    /// The count in the header; it is exact unless it is [`COUNT_UNKNOWN`].
    fn header_count(&self) -> u16 {
        u16::from_le_bytes([self.as_bytes()[4], self.as_bytes()[5]])
    }

    fn set_header_count(&mut self, count: usize) {
        let count = u16::try_from(count).unwrap_or(COUNT_UNKNOWN);
        self.0.bytes_from_mut(PREFIX)[..2].copy_from_slice(&count.to_le_bytes());
    }

    /// Corrects the count after the entries have changed. A count that has become knowable again is found by counting.
    fn add_count(&mut self, removed: usize, added: usize) {
        match self.header_count() {
            COUNT_UNKNOWN if removed > added => self.set_header_count(self.iter().count()),
            COUNT_UNKNOWN => {}
            n => self.set_header_count(usize::from(n) + added - removed),
        }
    }

    /// Puts elements in the place of `old` bytes at `at` that hold `old_count` elements.
    fn splice(&mut self, at: usize, old: usize, old_count: usize, elems: &[Elem<'_>]) {
        if let [elem] = elems {
            // The usual case, encoded once.
            let encoded = Encoded::new(*elem);
            self.make_gap(at, old, encoded.size());
            encoded.write(self.0.bytes_from_mut(at));
        } else {
            let new = elems.iter().map(|e| Encoded::new(*e).size()).sum();
            self.make_gap(at, old, new);
            let mut out = self.0.bytes_from_mut(at);
            for elem in elems {
                out = Encoded::new(*elem).write(out);
            }
        }
        self.add_count(old_count, elems.len());
    }

    /// Makes the `old` bytes at `at` into `new` bytes of any content.
    fn make_gap(&mut self, at: usize, old: usize, new: usize) {
        assert!(self.byte_len() - old + new <= MAX_BYTES, "a listpack may not grow beyond 1 GiB");
        self.0.splice(at, old, new);
    }
}

impl From<Listpack> for Packed {
    fn from(this: Listpack) -> Packed {
        this.0
    }
}

impl Default for Listpack {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Listpack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a> IntoIterator for &'a Listpack {
    type Item = Elem<'a>;
    type IntoIter = Iter<'a>;
    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl<'a> Extend<Elem<'a>> for Listpack {
    fn extend<I: IntoIterator<Item = Elem<'a>>>(&mut self, elems: I) {
        for elem in elems {
            self.push_back(elem);
        }
    }
}

impl<'a> FromIterator<Elem<'a>> for Listpack {
    fn from_iter<I: IntoIterator<Item = Elem<'a>>>(elems: I) -> Self {
        let mut list = Listpack::new();
        list.extend(elems);
        list
    }
}

/// The elements of a listpack, from either end.
#[derive(Clone)]
pub struct Iter<'a> {
    bytes: &'a [u8],
    front: usize,
    back: usize,
}

impl Iter<'_> {
    /// Place of the element that [`next`](Iterator::next) will give, or where the walk from the back has come to.
    pub fn pos(&self) -> Pos {
        Pos(self.front)
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Elem<'a>;

    #[inline]
    fn next(&mut self) -> Option<Elem<'a>> {
        if self.front >= self.back {
            return None;
        }
        let (elem, len) = entry::decode(&self.bytes[self.front..])?;
        self.front += len + entry::backlen_size(len);
        Some(elem)
    }
}

impl<'a> DoubleEndedIterator for Iter<'a> {
    #[inline]
    fn next_back(&mut self) -> Option<Elem<'a>> {
        if self.front >= self.back {
            return None;
        }
        let at = entry::previous(self.bytes, self.front, self.back).filter(|at| *at < self.back)?;
        let (elem, _) = entry::decode(&self.bytes[at..])?;
        self.back = at;
        Some(elem)
    }
}
