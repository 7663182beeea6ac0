//! The set type: an intset while all members are integers, a listpack while it is small, a hash table otherwise.
//!
//! It changes encoding where Valkey does: an intset with too many members becomes a table; an intset that gets a text becomes a
//! listpack if that is within its limits, else a table; a listpack beyond its limits becomes a table. It never goes back by itself;
//! [`Set::compact_ints`] is for results of set algebra. An empty set is possible here; whoever empties one deletes its key.

mod compact;
#[cfg(test)]
mod tests;

use super::block::Block;
use super::elem::{Elem, IntText, has_duplicates};
use super::intset::{self, Intset};
use super::limits::Limits;
use super::listpack::{self, Listpack};
use super::num;
use super::one_word::{Mut, OneWord, Ref};
use super::rng::Rng;
use super::sample::select;
use super::sizes::{estimate, size_class};
use super::table::{self, Keyed, Table};
use compact::{Compact, Kind, KindMut};

/// A set of distinct elements. See the module's documentation.
#[derive(Clone)]
pub struct Set(OneWord<Compact, Members>);

/// The members of the large encoding.
type Members = Table<Member>;

/// What there is, for reading.
enum Repr<'a> {
    Intset(&'a Intset),
    Listpack(&'a Listpack),
    Table(&'a Members),
}

/// What there is, for changing it in place.
enum ReprMut<'a> {
    Intset(&'a mut Intset),
    Listpack(&'a mut Listpack),
    Table(&'a mut Members),
}

/// A member in the table: its text.
struct Member(Block);

impl Keyed for Member {
    fn key(&self) -> &[u8] {
        self.0.bytes()
    }

    fn prefetch(&self) {
        self.0.prefetch();
    }
}

/// Members that a table reserves room for at most before they come: the number may be a lie.
const MAX_RESERVE: usize = 1 << 20;

/// What the set is stored as, for a codec that saves it as it is.
pub enum SetRef<'a> {
    /// An intset; save its bytes.
    Intset(&'a Intset),
    /// A listpack; save its bytes.
    Listpack(&'a Listpack),
    /// A table; save its members one by one.
    Table,
}

impl Set {
    /// An empty set, an intset.
    pub fn new() -> Self {
        Set::small(Intset::new())
    }

    fn small(compact: impl Into<Compact>) -> Self {
        Set(OneWord::small(compact.into()))
    }

    #[inline]
    fn repr(&self) -> Repr<'_> {
        match self.0.get() {
            Ref::Large(table) => Repr::Table(table),
            Ref::Small(compact) => match compact.kind() {
                Kind::Intset(ints) => Repr::Intset(ints),
                Kind::Listpack(lp) => Repr::Listpack(lp),
            },
        }
    }

    #[inline]
    fn repr_mut(&mut self) -> ReprMut<'_> {
        match self.0.get_mut() {
            Mut::Large(table) => ReprMut::Table(table),
            Mut::Small(compact) => match compact.kind_mut() {
                KindMut::Intset(ints) => ReprMut::Intset(ints),
                KindMut::Listpack(lp) => ReprMut::Listpack(lp),
            },
        }
    }

    /// An empty set for about `n` members of which `first` is one, in the encoding that will do.
    pub fn for_members(first: &[u8], n: usize, limits: &Limits) -> Self {
        if n <= limits.set_max_intset_entries && num::parse_i64(first).is_some() {
            Set::new()
        } else if n <= limits.set_max_listpack_entries {
            Set::small(Listpack::new())
        } else {
            Set::table_for(n)
        }
    }

    /// An empty set for `n` members from a file: an intset to begin with, or a table if they are too many for one.
    pub fn for_loading(n: usize, limits: &Limits) -> Self {
        if n > limits.set_max_intset_entries.max(limits.set_max_listpack_entries) {
            Set::table_for(n)
        } else {
            Set::new()
        }
    }

    /// An empty set in table encoding, with room for about `n` members.
    pub fn table_for(n: usize) -> Self {
        Set(OneWord::large(Table::with_capacity(n.min(MAX_RESERVE))))
    }

    /// A set that was saved as an intset; a table if it exceeds the limit.
    pub fn from_intset(ints: Intset, limits: &Limits) -> Self {
        let mut set = Set::small(ints);
        set.check_intset(limits);
        set
    }

    /// A set that was saved as a listpack; a table if it has too many members for one. With `check` it is `None` if a member comes twice;
    /// without, such a set has a wrong length until it becomes a table, and no worse.
    pub fn from_listpack(members: Listpack, check: bool, limits: &Limits) -> Option<Self> {
        if check && has_duplicates(members.iter()) {
            return None;
        }
        let mut set = Set::small(members);
        if set.len() > limits.set_max_listpack_entries {
            set.make_table(0);
        }
        Some(set)
    }

    /// The name that `OBJECT ENCODING` gives: `intset`, `listpack` or `hashtable`.
    pub fn encoding(&self) -> &'static str {
        match self.repr() {
            Repr::Intset(_) => "intset",
            Repr::Listpack(_) => "listpack",
            Repr::Table(_) => "hashtable",
        }
    }

    /// What the set is stored as.
    pub fn stored(&self) -> SetRef<'_> {
        match self.repr() {
            Repr::Intset(ints) => SetRef::Intset(ints),
            Repr::Listpack(lp) => SetRef::Listpack(lp),
            Repr::Table(_) => SetRef::Table,
        }
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        match self.repr() {
            Repr::Intset(ints) => ints.len(),
            Repr::Listpack(lp) => lp.len(),
            Repr::Table(table) => table.len(),
        }
    }

    /// Is there no member?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes on the heap. Of a table, `samples` members are measured and the rest estimated from them (0: all are measured).
    pub fn heap_size(&self, samples: usize) -> usize {
        match self.repr() {
            Repr::Intset(ints) => ints.heap_size(),
            Repr::Listpack(lp) => lp.heap_size(),
            Repr::Table(table) => {
                size_class(size_of::<Table<Member>>())
                    + table.memory_usage()
                    + estimate(table.len(), samples, table.iter().map(|m| m.0.heap_size()))
            }
        }
    }

    /// How many allocations it takes to free the set, about.
    pub fn free_effort(&self) -> usize {
        self.0.as_large().map_or(1, Table::len)
    }

    /// Buckets, children and chain lengths of the table, if there is one, for `DEBUG HTSTATS-KEY`.
    pub fn table_stats(&self) -> Option<((usize, usize), Vec<usize>)> {
        let table = self.0.as_large()?;
        Some((table.bucket_counts(), table.chain_lengths()))
    }

    /// Is it a member?
    pub fn contains(&self, member: &[u8]) -> bool {
        match self.repr() {
            Repr::Intset(ints) => num::parse_i64(member).is_some_and(|v| ints.contains(v)),
            Repr::Listpack(lp) => lp.find_first(member, 0).is_some(),
            Repr::Table(table) => table.contains(member),
        }
    }

    /// Is an element of some other value a member?
    pub fn contains_elem(&self, member: Elem<'_>) -> bool {
        match (self.repr(), member) {
            (Repr::Intset(ints), Elem::Int(v)) => ints.contains(v),
            _ => member.with_text(|text| self.contains(text)),
        }
    }

    /// Adds a member; false if it was there.
    pub fn add(&mut self, member: &[u8], limits: &Limits) -> bool {
        match self.repr_mut() {
            ReprMut::Intset(ints) => {
                if let Some(v) = num::parse_i64(member) {
                    return self.add_int(v, limits);
                }
                let longest = [ints.min(), ints.max()].into_iter().flatten().map(num::decimal_len).max().unwrap_or(0);
                let fits = ints.len() < limits.set_max_listpack_entries
                    && member.len().max(longest) <= limits.set_max_listpack_value
                    && member.len() <= listpack::MAX_BYTES / 2;
                if fits {
                    let mut lp: Listpack = ints.iter().map(Elem::Int).collect();
                    lp.push_back(member);
                    *self = Set::small(lp);
                } else {
                    self.make_table(1).insert_unique(table::hash(member), Member(Block::concat(&[member])));
                }
                true
            }
            ReprMut::Listpack(lp) => {
                if lp.find_first(member, 0).is_some() {
                    return false;
                }
                let fits = lp.len() < limits.set_max_listpack_entries
                    && member.len() <= limits.set_max_listpack_value
                    && lp.fits(member.len().saturating_add(16));
                if fits {
                    lp.push_back(member);
                } else {
                    self.make_table(1).insert_unique(table::hash(member), Member(Block::concat(&[member])));
                }
                true
            }
            ReprMut::Table(table) => insert(table, Elem::Bytes(member)),
        }
    }

    /// Adds an element of some other value; false if it was there.
    pub fn add_elem(&mut self, member: Elem<'_>, limits: &Limits) -> bool {
        match member {
            Elem::Int(v) if matches!(self.repr(), Repr::Intset(_)) => self.add_int(v, limits),
            _ => member.with_text(|text| self.add(text, limits)),
        }
    }

    /// Turns the set into a table if `n` members more would not leave it compact anyway.
    pub fn reserve(&mut self, n: usize, limits: &Limits) {
        let too_many = match self.repr() {
            Repr::Intset(_) => n > limits.set_max_intset_entries,
            Repr::Listpack(_) => n > limits.set_max_listpack_entries,
            Repr::Table(_) => false,
        };
        if too_many {
            self.make_table(n);
        }
    }

    /// Makes an intset of a set whose members are all integers, if they are not too many for one.
    pub fn compact_ints(&mut self, limits: &Limits) {
        if matches!(self.repr(), Repr::Intset(_)) || self.len() > limits.set_max_intset_entries.min(intset::MAX_MEMBERS)
        {
            return;
        }
        let mut ints = Intset::new();
        for member in self.iter() {
            let Some(v) = member.as_int() else { return };
            ints.insert(v);
        }
        *self = Set::small(ints);
    }

    /// Removes a member; false if it was not there.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match self.repr_mut() {
            ReprMut::Intset(ints) => num::parse_i64(member).is_some_and(|v| ints.remove(v)),
            ReprMut::Listpack(lp) => {
                let at = lp.find_first(member, 0);
                at.into_iter().for_each(|at| lp.remove(at, 1));
                at.is_some()
            }
            ReprMut::Table(table) => table.remove(member).is_some(),
        }
    }

    /// Removes an element of some other value; false if it was not there.
    pub fn remove_elem(&mut self, member: Elem<'_>) -> bool {
        match (self.repr_mut(), member) {
            (ReprMut::Intset(ints), Elem::Int(v)) => ints.remove(v),
            _ => member.with_text(|text| self.remove(text)),
        }
    }

    /// The members: of an intset in ascending order, of a listpack in that of addition, of a table in none.
    pub fn iter(&self) -> Iter<'_> {
        Iter(match self.repr() {
            Repr::Intset(ints) => Walk::Intset(ints, 0),
            Repr::Listpack(lp) => Walk::Listpack(lp.iter()),
            Repr::Table(table) => Walk::Table(table.iter()),
        })
    }

    /// Gives some members to `visit` and returns the cursor for the next call, 0 at the end (see [`Table::scan`]). Compact
    /// encodings give all at once.
    pub fn scan(&self, cursor: u64, mut visit: impl FnMut(Elem<'_>)) -> u64 {
        if let Repr::Table(table) = self.repr() {
            return table.scan(cursor, |m| visit(Elem::Bytes(m.key())));
        }
        self.iter().for_each(visit);
        0
    }

    /// A member, each about as likely as another.
    pub fn random(&self, rng: &mut Rng) -> Option<Elem<'_>> {
        match self.repr() {
            Repr::Intset(ints) => ints.get(rng.below(ints.len())).map(Elem::Int),
            Repr::Listpack(lp) => lp.at(rng.below(lp.len())),
            Repr::Table(table) => table.random(rng).map(|m| Elem::Bytes(m.key())),
        }
    }

    /// Gives `count` different members (all, if there are fewer) to `visit`, each choice about as likely as another.
    pub fn random_distinct<'a>(&'a self, count: usize, rng: &mut Rng, mut visit: impl FnMut(Elem<'a>)) {
        match self.repr() {
            Repr::Table(table) if count < table.len() / 3 => {
                let mut chosen = Table::<Chosen<'a>>::with_capacity(count);
                while chosen.len() < count {
                    let Some(member) = table.random(rng) else { return };
                    if chosen.insert(Chosen(member)).is_none() {
                        visit(Elem::Bytes(member.key()));
                    }
                }
            }
            _ => select(self.iter(), self.len(), count, rng, visit),
        }
    }

    /// Removes a member at random and gives it to `f`.
    pub fn pop_with<R>(&mut self, rng: &mut Rng, f: impl FnOnce(Elem<'_>) -> R) -> Option<R> {
        match self.repr_mut() {
            ReprMut::Intset(ints) => ints.remove_at(rng.below(ints.len())).map(|v| f(Elem::Int(v))),
            ReprMut::Listpack(lp) => {
                let at = lp.seek(rng.below(lp.len()))?;
                let result = f(lp.get(at)?);
                lp.remove(at, 1);
                Some(result)
            }
            ReprMut::Table(table) => {
                let chosen = table.random(rng)?;
                let (hash, slot) = (chosen.hash(), std::ptr::from_ref(chosen));
                let taken = table.remove_where(hash, |m| std::ptr::eq(m, slot))?;
                Some(f(Elem::Bytes(taken.key())))
            }
        }
    }

    /// Removes a member at random and gives it back.
    pub fn pop(&mut self, rng: &mut Rng) -> Option<Vec<u8>> {
        self.pop_with(rng, |m| m.to_vec())
    }

    fn add_int(&mut self, v: i64, limits: &Limits) -> bool {
        let ReprMut::Intset(ints) = self.repr_mut() else {
            return Elem::Int(v).with_text(|text| self.add(text, limits));
        };
        let added = ints.insert(v);
        if added {
            self.check_intset(limits);
        }
        added
    }

    /// Turns an intset that has become too large into a table.
    fn check_intset(&mut self, limits: &Limits) {
        if let Repr::Intset(ints) = self.repr()
            && ints.len() > limits.set_max_intset_entries.min(intset::MAX_MEMBERS)
        {
            self.make_table(0);
        }
    }

    /// Turns the set into a table with room for `more` members.
    fn make_table(&mut self, more: usize) -> &mut Table<Member> {
        self.0.make_large(|compact| {
            let (len, members) = match compact.kind() {
                Kind::Intset(ints) => (ints.len(), Walk::Intset(ints, 0)),
                Kind::Listpack(lp) => (lp.len(), Walk::Listpack(lp.iter())),
            };
            let mut table = Table::with_capacity(len + more.min(MAX_RESERVE));
            for member in Iter(members) {
                insert(&mut table, member);
            }
            table
        })
    }
}

impl Clone for Members {
    fn clone(&self) -> Self {
        let mut copy = Table::with_capacity(self.len());
        for member in self {
            copy.insert_unique(member.hash(), Member(member.0.clone()));
        }
        copy
    }
}

impl Default for Set {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Set {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// A member that was chosen before.
struct Chosen<'a>(&'a Member);

impl Keyed for Chosen<'_> {
    fn key(&self) -> &[u8] {
        self.0.key()
    }
}

fn insert(table: &mut Table<Member>, member: Elem<'_>) -> bool {
    let mut buffer = IntText::new();
    let text = member.text(&mut buffer);
    table.find_or_insert_with(text, || Member(Block::concat(&[text]))).1
}

/// The members of a set; see [`Set::iter`].
pub struct Iter<'a>(Walk<'a>);

enum Walk<'a> {
    Intset(&'a Intset, usize),
    Listpack(listpack::Iter<'a>),
    Table(table::Iter<'a, Member>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = Elem<'a>;

    fn next(&mut self) -> Option<Elem<'a>> {
        match &mut self.0 {
            Walk::Intset(ints, index) => {
                let v = ints.get(*index)?;
                *index += 1;
                Some(Elem::Int(v))
            }
            Walk::Listpack(iter) => iter.next(),
            Walk::Table(iter) => iter.next().map(|m| Elem::Bytes(m.key())),
        }
    }
}
