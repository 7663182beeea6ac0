//! The hash type: a listpack of fields and values while it is small, a table of pairs otherwise.
//!
//! It becomes a table where Valkey's does: with too many fields, with a field or value that is too long, or with a field that
//! expires; it never goes back. An empty hash is possible here; whoever empties one deletes its key.
//!
//! A field may have an expiry. It is kept and given back; hiding and removing expired fields is the caller's affair.

mod pair;
#[cfg(test)]
mod tests;

use super::elem::{Elem, IntText, has_duplicates};
use super::limits::Limits;
use super::listpack::{self, Listpack, Pos};
use super::one_word::{Mut, OneWord, Ref};
use super::rng::Rng;
use super::sample::select;
use super::sizes::{estimate, size_class};
use super::table::{self, Keyed, Table};
use pair::Pair;

/// Fields with values. See the module's documentation.
#[derive(Clone)]
pub struct Hash(OneWord<Listpack, Fields>);

/// The fields of the large encoding. The small one is a listpack of field, value, field, value.
#[derive(Default)]
struct Fields {
    table: Table<Pair>,
    /// How many of them have an expiry: derived, but a save of the hash needs it first.
    expiring: usize,
}

/// A field of a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its name.
    pub name: Elem<'a>,
    /// Its value.
    pub value: Elem<'a>,
    /// When it expires, in milliseconds since 1970.
    pub expire_at: Option<i64>,
}

/// What a new value does to its field's expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldExpiry {
    /// Takes it away, as HSET does.
    Clear,
    /// Leaves it, as HINCRBY does.
    Keep,
    /// Replaces it: milliseconds since 1970.
    At(i64),
}

/// Fields that a table reserves room for at most before they come: the number may be a lie.
const MAX_RESERVE: usize = 1 << 20;

impl Hash {
    /// An empty hash, a listpack.
    pub fn new() -> Self {
        Hash(OneWord::small(Listpack::new()))
    }

    /// An empty hash for `n` fields from a file: a table if they are too many for a listpack.
    pub fn for_loading(n: usize, limits: &Limits) -> Self {
        let mut hash = Hash::new();
        hash.reserve(n, limits);
        hash
    }

    /// A hash that was saved as a listpack; a table if it has too many fields for one. `None` if a field has no value, and, with
    /// `check`, if a field comes twice. Without `check` such a hash has a wrong length until it becomes a table, and no worse.
    pub fn from_listpack(pairs: Listpack, check: bool, limits: &Limits) -> Option<Self> {
        let len = pairs.len();
        if !len.is_multiple_of(2) || (check && has_duplicates(pairs.iter().step_by(2))) {
            return None;
        }
        let mut hash = Hash(OneWord::small(pairs));
        if len / 2 > limits.hash_max_listpack_entries {
            hash.make_table(0);
        }
        Some(hash)
    }

    /// The name that `OBJECT ENCODING` gives: `listpack` or `hashtable`.
    pub fn encoding(&self) -> &'static str {
        match self.0.get() {
            Ref::Small(_) => "listpack",
            Ref::Large(_) => "hashtable",
        }
    }

    /// The listpack, if the hash is one, for a codec that saves it as it is.
    pub fn as_listpack(&self) -> Option<&Listpack> {
        self.0.as_small()
    }

    /// Number of fields.
    pub fn len(&self) -> usize {
        match self.0.get() {
            Ref::Small(lp) => lp.len() / 2,
            Ref::Large(fields) => fields.table.len(),
        }
    }

    /// Is there no field?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of fields that have an expiry.
    pub fn expiring(&self) -> usize {
        self.0.as_large().map_or(0, |fields| fields.expiring)
    }

    /// Bytes on the heap. Of a table, `samples` fields are measured and the rest estimated from them (0: all are measured).
    pub fn heap_size(&self, samples: usize) -> usize {
        match self.0.get() {
            Ref::Small(lp) => lp.heap_size(),
            Ref::Large(fields) => {
                size_class(size_of::<Fields>())
                    + fields.table.memory_usage()
                    + estimate(fields.table.len(), samples, fields.table.iter().map(Pair::heap_size))
            }
        }
    }

    /// How many allocations it takes to free the hash, about.
    pub fn free_effort(&self) -> usize {
        self.0.as_large().map_or(1, |fields| fields.table.len())
    }

    /// Buckets, children and chain lengths of the table, if there is one, for `DEBUG HTSTATS-KEY`.
    pub fn table_stats(&self) -> Option<((usize, usize), Vec<usize>)> {
        let fields = self.0.as_large()?;
        Some((fields.table.bucket_counts(), fields.table.chain_lengths()))
    }

    /// A field's value.
    pub fn get(&self, name: &[u8]) -> Option<Elem<'_>> {
        match self.0.get() {
            Ref::Small(lp) => lp.get(find(lp, name)?.1),
            Ref::Large(fields) => fields.table.get(name).map(|p| Elem::Bytes(p.value())),
        }
    }

    /// Is there such a field?
    pub fn contains(&self, name: &[u8]) -> bool {
        match self.0.get() {
            Ref::Small(lp) => lp.find_first(name, 1).is_some(),
            Ref::Large(fields) => fields.table.contains(name),
        }
    }

    /// Length of a field's value; 0 if there is no such field.
    pub fn value_len(&self, name: &[u8]) -> usize {
        self.get(name).map_or(0, Elem::len)
    }

    /// Sets a field's value and takes its expiry away. True if the field is new.
    pub fn set(&mut self, name: &[u8], value: &[u8], limits: &Limits) -> bool {
        self.set_with(name, value, FieldExpiry::Clear, limits)
    }

    /// Sets a field's value and decides on its expiry. True if the field is new.
    pub fn set_with(&mut self, name: &[u8], value: &[u8], expiry: FieldExpiry, limits: &Limits) -> bool {
        if let Mut::Small(lp) = self.0.get_mut() {
            let fits = name.len().max(value.len()) <= limits.hash_max_listpack_value
                && !matches!(expiry, FieldExpiry::At(_))
                && lp.fits(name.len().saturating_add(value.len()).saturating_add(32));
            if fits {
                let new = match find(lp, name) {
                    Some((_, at)) => {
                        lp.replace(at, value);
                        false
                    }
                    None => {
                        lp.insert(lp.end(), &[Elem::Bytes(name), Elem::Bytes(value)]);
                        true
                    }
                };
                if new && lp.len() / 2 > limits.hash_max_listpack_entries {
                    self.make_table(0);
                }
                return new;
            }
        }
        self.make_table(1).set(name, value, expiry)
    }

    /// Turns a listpack into a table if `n` fields more are too many for it by themselves.
    pub fn reserve(&mut self, n: usize, limits: &Limits) {
        if n > limits.hash_max_listpack_entries {
            self.make_table(n);
        }
    }

    /// Removes a field; false if there was none.
    pub fn remove(&mut self, name: &[u8]) -> bool {
        match self.0.get_mut() {
            Mut::Small(lp) => {
                let at = lp.find_first(name, 1);
                at.into_iter().for_each(|at| lp.remove(at, 2));
                at.is_some()
            }
            Mut::Large(fields) => {
                let removed = fields.table.remove(name);
                fields.expiring -= usize::from(removed.as_ref().is_some_and(|p| p.expire_at().is_some()));
                removed.is_some()
            }
        }
    }

    /// When a field expires, in milliseconds since 1970: `None` if there is no such field, `Some(None)` if it does not expire.
    pub fn expire_at(&self, name: &[u8]) -> Option<Option<i64>> {
        match self.0.get() {
            Ref::Small(lp) => lp.find_first(name, 1).map(|_| None),
            Ref::Large(fields) => fields.table.get(name).map(Pair::expire_at),
        }
    }

    /// Sets or takes away a field's expiry; false if there is no such field. A hash that gets one becomes a table.
    pub fn set_expire(&mut self, name: &[u8], expire_at: Option<i64>) -> bool {
        if self.0.as_small().is_some() && (expire_at.is_none() || !self.contains(name)) {
            return self.contains(name);
        }
        let fields = self.make_table(0);
        let Some(pair) = fields.table.get_mut(name) else { return false };
        fields.expiring -= usize::from(pair.expire_at().is_some());
        fields.expiring += usize::from(expire_at.is_some());
        pair.set_expire(expire_at);
        true
    }

    /// The fields: of a listpack in the order of their addition, of a table in none.
    pub fn iter(&self) -> Iter<'_> {
        Iter(match self.0.get() {
            Ref::Small(lp) => Walk::Listpack(lp.iter()),
            Ref::Large(fields) => Walk::Table(fields.table.iter()),
        })
    }

    /// Gives some fields to `visit` and returns the cursor for the next call, 0 at the end (see [`Table::scan`]). A listpack
    /// gives all at once.
    pub fn scan(&self, cursor: u64, mut visit: impl FnMut(Field<'_>)) -> u64 {
        if let Ref::Large(fields) = self.0.get() {
            return fields.table.scan(cursor, |p| visit(field(p)));
        }
        self.iter().for_each(visit);
        0
    }

    /// A field, each about as likely as another.
    pub fn random(&self, rng: &mut Rng) -> Option<Field<'_>> {
        match self.0.get() {
            Ref::Small(lp) => {
                let at = lp.seek(rng.below(lp.len() / 2) * 2)?;
                Iter(Walk::Listpack(lp.iter_from(at))).next()
            }
            Ref::Large(fields) => fields.table.random(rng).map(field),
        }
    }

    /// Gives `count` different fields (all, if there are fewer) to `visit`, each choice about as likely as another.
    pub fn random_distinct<'a>(&'a self, count: usize, rng: &mut Rng, mut visit: impl FnMut(Field<'a>)) {
        match self.0.get() {
            Ref::Large(fields) if count < fields.table.len() / 3 => {
                let mut chosen = Table::<Chosen<'a>>::with_capacity(count);
                while chosen.len() < count {
                    let Some(pair) = fields.table.random(rng) else { return };
                    if chosen.insert(Chosen(pair)).is_none() {
                        visit(field(pair));
                    }
                }
            }
            _ => select(self.iter(), self.len(), count, rng, visit),
        }
    }

    /// Turns the hash into a table with room for `more` fields.
    fn make_table(&mut self, more: usize) -> &mut Fields {
        self.0.make_large(|lp| {
            let mut fields = Fields::default();
            fields.table.reserve(lp.len() / 2 + more.min(MAX_RESERVE));
            for Field { name, value, .. } in Iter(Walk::Listpack(lp.iter())) {
                let (mut name_text, mut value_text) = (IntText::new(), IntText::new());
                fields.set(name.text(&mut name_text), value.text(&mut value_text), FieldExpiry::Clear);
            }
            fields
        })
    }
}

impl Fields {
    /// True if the field is new.
    fn set(&mut self, name: &[u8], value: &[u8], expiry: FieldExpiry) -> bool {
        let given = if let FieldExpiry::At(ms) = expiry { Some(ms) } else { None };
        let (pair, new) = self.table.find_or_insert_with(name, || Pair::new(name, value, given));
        if new {
            self.expiring += usize::from(given.is_some());
            return true;
        }
        pair.set_value(value);
        if expiry != FieldExpiry::Keep {
            self.expiring -= usize::from(pair.expire_at().is_some());
            self.expiring += usize::from(given.is_some());
            pair.set_expire(given);
        }
        false
    }
}

impl Clone for Fields {
    fn clone(&self) -> Self {
        let mut table = Table::with_capacity(self.table.len());
        for pair in &self.table {
            table.insert_unique(pair.hash(), pair.clone());
        }
        Fields { table, expiring: self.expiring }
    }
}

impl Default for Hash {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter().map(|f| (f.name, f.value))).finish()
    }
}

/// Places of a field's name and value.
fn find(lp: &Listpack, name: &[u8]) -> Option<(Pos, Pos)> {
    let at = lp.find_first(name, 1)?;
    Some((at, lp.next(at)?))
}

fn field(pair: &Pair) -> Field<'_> {
    Field { name: Elem::Bytes(pair.key()), value: Elem::Bytes(pair.value()), expire_at: pair.expire_at() }
}

/// A field that was chosen before.
struct Chosen<'a>(&'a Pair);

impl Keyed for Chosen<'_> {
    fn key(&self) -> &[u8] {
        self.0.key()
    }
}

/// The fields of a hash; see [`Hash::iter`].
pub struct Iter<'a>(Walk<'a>);

enum Walk<'a> {
    Listpack(listpack::Iter<'a>),
    Table(table::Iter<'a, Pair>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        match &mut self.0 {
            Walk::Listpack(iter) => Some(Field { name: iter.next()?, value: iter.next()?, expire_at: None }),
            Walk::Table(iter) => iter.next().map(field),
        }
    }
}
