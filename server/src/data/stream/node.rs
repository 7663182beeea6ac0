//! One node of a stream: a listpack of entries, in Valkey's layout, because RDB files hold it as it is.
//!
//! ```text
//! live | deleted | n | name 1 ... name n | 0 | entry ...
//!
//! entry: flags | ms | seq | [m | name 1 | value 1 ... name m | value m] | length
//!    or: flags | ms | seq | [value 1 ... value n]                       | length
//! ```
//!
//! The first row tells how many entries live and are deleted, and the names of the fields of the entry that the node was made for.
//! An entry with the same names (flag 2) has values only. Its id is given as the distance from the node's. A deleted
//! entry (flag 1) stays where it is. `length` counts the elements before it, for walking backwards; the 0 does so for the first row.
//!
//! A [`Node`] is always well formed: [`Node::from_listpack`] checks every entry, and nothing else makes one from foreign bytes. That
//! ids ascend is not part of it: of a node from an unchecked file they may not, and then the stream's order is wrong and nothing else.

use super::id::StreamId;
use crate::data::elem::Elem;
use crate::data::listpack::{self, Listpack, MAX_BYTES, Pos};

const DELETED: i64 = 1;
const SAME_FIELDS: i64 = 2;
/// Elements of an entry before its fields: flags, ms, seq.
const HEAD: usize = 3;
/// What an element takes at most beside its text: its encoding, and its length at the end.
const ELEMENT_OVERHEAD: usize = 10;

/// A name and a value.
pub type Pair<'a> = (&'a [u8], &'a [u8]);

/// Entries in one listpack. See the module's documentation.
#[derive(Clone, Debug)]
pub struct Node(Listpack);

/// Where an entry stands in its node, and what its head says.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// Its first element, the flags.
    at: Pos,
    flags: i64,
    /// Its id.
    pub id: StreamId,
    /// How many fields it has.
    fields: usize,
    /// Its first name, or value.
    body: Pos,
}

impl Record {
    /// Whether it was deleted.
    pub fn is_deleted(&self) -> bool {
        self.flags & DELETED != 0
    }

    fn has_same_fields(&self) -> bool {
        self.flags & SAME_FIELDS != 0
    }
}

/// The most bytes that a node of one entry with these fields takes. More than [`MAX_BYTES`] cannot be kept.
pub fn bound<'a>(pairs: impl Iterator<Item = Pair<'a>>) -> usize {
    let fixed = 8 + (HEAD + 5) * ELEMENT_OVERHEAD;
    // The names stand in the first row as well as, in another node, in the entry: never in both.
    pairs.fold(fixed, |sum, (name, value)| {
        sum.saturating_add(name.len()).saturating_add(value.len()).saturating_add(2 * ELEMENT_OVERHEAD)
    })
}

impl Node {
    /// A node without entries, for entries with such fields.
    pub fn new<'a>(pairs: impl ExactSizeIterator<Item = Pair<'a>>) -> Self {
        let mut row = Vec::with_capacity(4 + pairs.len());
        row.extend([Elem::Int(0), Elem::Int(0), Elem::Int(pairs.len() as i64)]);
        row.extend(pairs.map(|(name, _)| Elem::Bytes(name)));
        row.push(Elem::Int(0));
        let mut listpack = Listpack::new();
        listpack.insert(listpack.end(), &row);
        Node(listpack)
    }

    /// The listpack.
    pub fn listpack(&self) -> &Listpack {
        &self.0
    }

    /// Entries that were not deleted.
    pub fn live(&self) -> u64 {
        self.count(self.0.first())
    }

    /// Entries that were deleted.
    pub fn deleted(&self) -> u64 {
        self.count(self.0.first().and_then(|at| self.0.next(at)))
    }

    fn count(&self, at: Option<Pos>) -> u64 {
        at.and_then(|at| self.0.get(at)).and_then(Elem::as_int).and_then(|n| u64::try_from(n).ok()).unwrap_or(0)
    }

    /// Whether it has room for `bytes` bytes more (see [`bound`]).
    pub fn fits(&self, bytes: usize) -> bool {
        self.0.fits(bytes)
    }

    /// Gives memory back, when no entry will follow.
    pub fn shrink_to_fit(&mut self) {
        self.0.shrink_to_fit();
    }

    /// Appends an entry. `base` is the node's id. There must be [room](Self::fits).
    pub fn push<'a>(&mut self, base: StreamId, id: StreamId, pairs: impl ExactSizeIterator<Item = Pair<'a>> + Clone) {
        self.add_to_counts(1, 0);
        let same = {
            let row = Row::of(&self.0);
            row.fields == pairs.len()
                && row.names(&self.0).zip(pairs.clone()).all(|(elem, (name, _))| elem == Elem::Bytes(name))
        };
        let mut entry = Vec::with_capacity(HEAD + 2 + 2 * pairs.len());
        entry.push(Elem::Int(if same { SAME_FIELDS } else { 0 }));
        entry.push(Elem::Int(id.ms.wrapping_sub(base.ms) as i64));
        entry.push(Elem::Int(id.seq.wrapping_sub(base.seq) as i64));
        if same {
            entry.extend(pairs.map(|(_, value)| Elem::Bytes(value)));
        } else {
            entry.push(Elem::Int(pairs.len() as i64));
            entry.extend(pairs.flat_map(|(name, value)| [Elem::Bytes(name), Elem::Bytes(value)]));
        }
        entry.push(Elem::Int(entry.len() as i64));
        self.0.insert(self.0.end(), &entry);
    }

    /// Marks entries as deleted; those must not be so yet. `records` were read from this node since its last change.
    pub fn delete(&mut self, records: &[Record]) {
        for record in records {
            // Flags are one byte, so nothing moves.
            self.0.replace(record.at, record.flags | DELETED);
        }
        let n = records.len() as i64;
        self.add_to_counts(-n, n);
    }

    fn add_to_counts(&mut self, live: i64, deleted: i64) {
        let (live, deleted) = (self.live() as i64 + live, self.deleted() as i64 + deleted);
        let Some(at) = self.0.first() else { return };
        self.0.replace(at, live.max(0));
        let Some(at) = self.0.next(at) else { return };
        self.0.replace(at, deleted.max(0));
    }

    /// The entries, deleted ones too, from the first on or (`backward`) from the last. `base` is the node's id.
    pub fn records(&self, base: StreamId, backward: bool) -> Records<'_> {
        let row = Row::of(&self.0);
        let next = if backward { Some(self.0.end()) } else { row.after };
        Records { listpack: &self.0, base, fields: row.fields, first: row.after, next, backward }
    }

    /// The fields of an entry.
    pub fn fields(&self, record: &Record) -> Fields<'_> {
        let names = record.has_same_fields().then(|| Row::of(&self.0).names(&self.0));
        Fields { names, rest: self.0.iter_from(record.body), left: record.fields }
    }

    /// Takes a listpack from outside, if it is laid out as a node. With `check`, and `base` the node's id, ids of entries that live must
    /// ascend, and the counts must be right; else wrong ones are put right, because some versions of Redis wrote such.
    pub fn from_listpack(mut listpack: Listpack, base: StreamId, check: bool) -> Option<Self> {
        let (live, deleted) = validate(&listpack, base, check)?;
        let first = listpack.first()?;
        if listpack.get(first) != Some(Elem::Int(live)) {
            listpack.replace(first, live);
            let second = listpack.next(first)?;
            listpack.replace(second, deleted);
        }
        Some(Node(listpack))
    }
}

/// What the first row says.
struct Row {
    fields: usize,
    /// The first name.
    names: Pos,
    /// Where the first entry is, or would be.
    after: Option<Pos>,
}

impl Row {
    fn of(listpack: &Listpack) -> Row {
        let mut iter = listpack.iter();
        let fields = iter.nth(2).and_then(Elem::as_int).and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        let names = iter.pos();
        // The names, and the zero.
        let after = iter.nth(fields).map(|_| iter.pos());
        Row { fields, names, after }
    }

    fn names<'a>(&self, listpack: &'a Listpack) -> std::iter::Take<listpack::Iter<'a>> {
        listpack.iter_from(self.names).take(self.fields)
    }
}

/// The entries of a node; see [`Node::records`].
#[derive(Clone)]
pub struct Records<'a> {
    listpack: &'a Listpack,
    base: StreamId,
    /// Fields that the first row names.
    fields: usize,
    first: Option<Pos>,
    /// Where the next record begins; backward, where it ends.
    next: Option<Pos>,
    backward: bool,
}

impl Records<'_> {
    /// The record at a place, and where the one after it begins.
    fn read(&self, at: Pos) -> Option<(Record, Pos)> {
        let mut iter = self.listpack.iter_from(at);
        let flags = iter.next()?.as_int()?;
        let id = StreamId {
            ms: self.base.ms.wrapping_add(iter.next()?.as_int()? as u64),
            seq: self.base.seq.wrapping_add(iter.next()?.as_int()? as u64),
        };
        let same = flags & SAME_FIELDS != 0;
        let fields = if same { self.fields } else { usize::try_from(iter.next()?.as_int()?).ok()? };
        let body = iter.pos();
        let elements = if same { fields } else { fields.checked_mul(2)? };
        iter.nth(elements)?;
        Some((Record { at, flags, id, fields, body }, iter.pos()))
    }
}

impl Iterator for Records<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        let next = self.next.take()?;
        if self.backward {
            let mut at = self.listpack.prev(next).filter(|at| self.first.is_some_and(|first| *at >= first))?;
            for _ in 0..self.listpack.get(at)?.as_int()? {
                at = self.listpack.prev(at)?;
            }
            let (record, _) = self.read(at)?;
            self.next = Some(at);
            Some(record)
        } else {
            let (record, after) = self.read(next)?;
            self.next = Some(after);
            Some(record)
        }
    }
}

/// The fields of an entry, in the order in which they were given.
#[derive(Clone)]
pub struct Fields<'a> {
    /// Names that stand in the first row.
    names: Option<std::iter::Take<listpack::Iter<'a>>>,
    rest: listpack::Iter<'a>,
    left: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (Elem<'a>, Elem<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let name = match &mut self.names {
            Some(names) => names.next()?,
            None => self.rest.next()?,
        };
        Some((name, self.rest.next()?))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Fields<'_> {}

/// Checks the layout of a node from outside; gives the numbers of entries that live and are deleted.
fn validate(listpack: &Listpack, base: StreamId, check: bool) -> Option<(i64, i64)> {
    let mut iter = listpack.iter();
    let int = |iter: &mut listpack::Iter<'_>| iter.next()?.as_int();
    let stated = (int(&mut iter)?, int(&mut iter)?);
    let names = usize::try_from(int(&mut iter)?).ok()?;
    if names > 0 {
        iter.nth(names - 1)?;
    }
    if int(&mut iter)? != 0 {
        return None;
    }
    let (mut live, mut deleted, mut last) = (0, 0, None);
    while iter.pos() < listpack.end() {
        let flags = int(&mut iter)?;
        let (ms, seq) = (int(&mut iter)?, int(&mut iter)?);
        let id = StreamId { ms: base.ms.wrapping_add(ms as u64), seq: base.seq.wrapping_add(seq as u64) };
        let same = flags & SAME_FIELDS != 0;
        let elements = if same { names } else { usize::try_from(int(&mut iter)?).ok()?.checked_mul(2)? };
        if elements > 0 {
            iter.nth(elements - 1)?;
        }
        let length = HEAD + usize::from(!same) + elements;
        // Flags of more than one byte could not be changed in place.
        if int(&mut iter)? != length as i64 || !(0..=DELETED | SAME_FIELDS).contains(&flags) {
            return None;
        }
        if flags & DELETED != 0 {
            deleted += 1;
            continue;
        }
        live += 1;
        if check && (id < base || last.is_some_and(|last| id <= last)) {
            return None;
        }
        last = Some(id);
    }
    let counts_fit = if check { stated == (live, deleted) } else { stated.0.checked_add(stated.1)? == live + deleted };
    (counts_fit && listpack.byte_len() <= MAX_BYTES).then_some((live, deleted))
}
