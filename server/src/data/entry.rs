//! A key of a database with its value, in one allocation.
//!
//! # Layout
//! ```text
//! 0   u32  access time or frequency (24 bits), kind (3), representation (2), whether there is room for an expiry (1), whether the
//!          database has the key in its index of hashes with fields that expire (1)
//! 4   u32  length of the key; of an embedded string: of the key (24 bits) and of the string (8 bits)
//! 8  [i64  expiry, ms since 1970; i64::MIN for none]
//!    [payload: i64 | Packed | Vec<u8> | the value itself, such as a List]
//!     the key's bytes
//!    [the bytes of an embedded string]
//! ```
//! A 16-byte key with a 64-byte string and an expiry takes 96 bytes, which is an allocation class of its own; the table adds 13.
//!
//! # Hazards
//! * A key is at most 4 GiB long; callers must refuse longer ones.
//! * The databases keep an index of the entries that have an expiry. Only they may call
//!   [`Entry::set_expire_unindexed`]; commands set an expiry through the keyspace.
//! * An entry may move when its value or expiry is set: borrow it anew.

use super::elem::Elem;
use super::hash::Hash;
use super::list::List;
use super::num::parse_i64;
use super::packed::{PREFIX, Packed};
use super::set::Set;
use super::sizes::{size_class, vec_heap};
use super::stream::Stream;
use super::table::{Keyed, prefetch_address};
use super::value::{Kind, Str, StrMut, Value, ValueMut, ValueRef, for_each_object};
use super::zset::Zset;
use repr::{Repr, embeds, layout, packs, payload_size};
use std::alloc::{alloc, dealloc, handle_alloc_error, realloc};
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

mod repr;
#[cfg(test)]
mod tests;

const HEADER: usize = 8;
const ACCESS: u32 = 0x00ff_ffff;
const KIND_SHIFT: u32 = 24;
const REPR_SHIFT: u32 = 27;
const EXPIRY_BIT: u32 = 1 << 29;
const FIELDS_BIT: u32 = 1 << 30;
const NO_EXPIRY: i64 = i64::MIN;
const SHORT_KEY: u32 = 0x00ff_ffff;

/// A key with its value, expiry and access time. One pointer wide.
///
/// Invariant: the pointer owns an allocation of [`Entry::size`] bytes laid out as the module's documentation says, with the payload
/// that its representation calls for, initialised.
#[repr(transparent)]
pub struct Entry(NonNull<u8>);

// SAFETY: an entry owns its memory and everything behind it, and all of that is Send.
unsafe impl Send for Entry {}
// SAFETY: a shared entry is only read.
unsafe impl Sync for Entry {}

impl Entry {
    /// An entry with any value. Strings are embedded if they fit, and not looked at for being integers: see [`Str::parse`].
    pub fn new(key: &[u8], value: Value, expire_at: Option<i64>) -> Entry {
        match value {
            Value::Str(Str::Int(value)) => Entry::new_int(key, value, expire_at),
            Value::Str(Str::Bytes(bytes)) if embeds(key.len(), bytes.len(), expire_at.is_some()) => {
                Entry::build_embedded(key, &bytes, expire_at)
            }
            Value::Str(Str::Bytes(bytes)) if !packs(bytes.len()) => Entry::build_raw(key, bytes, expire_at),
            Value::Str(Str::Bytes(bytes)) => Entry::build_packed(key, &bytes, expire_at),
            value => Entry::build_object(key, value, expire_at),
        }
    }

    /// An entry with a string, encoded as is best: an integer if it is the text of one, embedded if it is short.
    /// `expire_at` is in ms since 1970.
    pub fn new_str(key: &[u8], text: &[u8], expire_at: Option<i64>) -> Entry {
        if let Some(value) = parse_i64(text) {
            Entry::new_int(key, value, expire_at)
        } else if embeds(key.len(), text.len(), expire_at.is_some()) {
            Entry::build_embedded(key, text, expire_at)
        } else {
            Entry::build_packed(key, text, expire_at)
        }
    }

    /// An entry with a string that is an integer's text.
    pub fn new_int(key: &[u8], value: i64, expire_at: Option<i64>) -> Entry {
        let entry = Entry::allocate(Kind::Str, Repr::Int, key, 0, expire_at);
        // SAFETY: `allocate` left room for the payload of this representation, aligned to 8.
        unsafe { entry.payload().cast::<i64>().write(value) };
        ManuallyDrop::into_inner(entry)
    }

    /// For strings that are too long to be embedded. One that is better kept raw is.
    fn build_packed(key: &[u8], text: &[u8], expire_at: Option<i64>) -> Entry {
        if !packs(text.len()) {
            return Entry::build_raw(key, text.to_vec(), expire_at);
        }
        let entry = Entry::allocate(Kind::Str, Repr::Object, key, 0, expire_at);
        // SAFETY: as in `new_int`.
        unsafe { entry.payload().cast::<Packed>().write(Packed::new(false, &[text], 0)) };
        ManuallyDrop::into_inner(entry)
    }

    fn build_raw(key: &[u8], bytes: Vec<u8>, expire_at: Option<i64>) -> Entry {
        let entry = Entry::allocate(Kind::Str, Repr::Raw, key, 0, expire_at);
        // SAFETY: as in `new_int`.
        unsafe { entry.payload().cast::<Vec<u8>>().write(bytes) };
        ManuallyDrop::into_inner(entry)
    }

    /// For all values but strings.
    fn build_object(key: &[u8], value: Value, expire_at: Option<i64>) -> Entry {
        macro_rules! build {
            ($($object:ident $name:literal)*) => {
                match value {
                    Value::Str(_) => unreachable!("strings have representations of their own"),
                    $(Value::$object(object) => {
                        let entry = Entry::allocate(Kind::$object, Repr::Object, key, 0, expire_at);
                        // SAFETY: `allocate` left room for a payload of this kind, aligned to 8.
                        unsafe { entry.payload().cast::<$object>().write(object) };
                        ManuallyDrop::into_inner(entry)
                    })*
                }
            };
        }
        for_each_object!(build)
    }

    fn build_embedded(key: &[u8], text: &[u8], expire_at: Option<i64>) -> Entry {
        let entry = Entry::allocate(Kind::Str, Repr::Embedded, key, text.len(), expire_at);
        // SAFETY: `allocate` left room for `text.len()` bytes behind the key.
        unsafe { entry.key_end().copy_from_nonoverlapping(NonNull::from(text).cast(), text.len()) };
        ManuallyDrop::into_inner(entry)
    }

    /// An entry but for its payload and embedded string, which the caller writes before it may be dropped.
    fn allocate(kind: Kind, repr: Repr, key: &[u8], embedded: usize, expire_at: Option<i64>) -> ManuallyDrop<Entry> {
        let key_len = u32::try_from(key.len()).expect("keys above 4 GiB are refused where they come in");
        let key_at = HEADER + if expire_at.is_some() { 8 } else { 0 } + payload_size(kind, repr);
        let layout = layout(key_at + key.len() + embedded);
        let expiry = if expire_at.is_some() { EXPIRY_BIT } else { 0 };
        // SAFETY: the layout is not empty, and holds all that is written; header and expiry are aligned.
        let place = unsafe {
            let place = NonNull::new(alloc(layout)).unwrap_or_else(|| handle_alloc_error(layout));
            place.cast::<u32>().write((kind as u32) << KIND_SHIFT | (repr as u32) << REPR_SHIFT | expiry);
            place.cast::<u32>().add(1).write(key_len | (embedded as u32) << 24);
            if let Some(at) = expire_at {
                place.add(HEADER).cast::<i64>().write(at);
            }
            place.add(key_at).copy_from_nonoverlapping(NonNull::from(key).cast(), key.len());
            place
        };
        ManuallyDrop::new(Entry(place))
    }

    fn bits(&self) -> u32 {
        // SAFETY: the header is initialised and aligned.
        unsafe { self.0.cast::<u32>().read() }
    }

    fn set_bits(&mut self, bits: u32) {
        // SAFETY: as in `bits`.
        unsafe { self.0.cast::<u32>().write(bits) };
    }

    fn lens(&self) -> u32 {
        // SAFETY: the header is initialised and aligned.
        unsafe { self.0.cast::<u32>().add(1).read() }
    }

    fn repr(&self) -> Repr {
        match self.bits() >> REPR_SHIFT & 3 {
            0 => Repr::Embedded,
            1 => Repr::Int,
            2 => Repr::Raw,
            _ => Repr::Object,
        }
    }

    fn key_len(&self) -> usize {
        let short = self.repr() == Repr::Embedded;
        (if short { self.lens() & SHORT_KEY } else { self.lens() }) as usize
    }

    fn embedded_len(&self) -> usize {
        if self.repr() == Repr::Embedded { (self.lens() >> 24) as usize } else { 0 }
    }

    fn has_room_for_expiry(&self) -> bool {
        self.bits() & EXPIRY_BIT != 0
    }

    fn payload_at(&self) -> usize {
        HEADER + if self.has_room_for_expiry() { 8 } else { 0 }
    }

    fn key_at(&self) -> usize {
        self.payload_at() + payload_size(self.kind(), self.repr())
    }

    /// Bytes of the allocation.
    fn size(&self) -> usize {
        self.key_at() + self.key_len() + self.embedded_len()
    }

    fn payload(&self) -> NonNull<u8> {
        // SAFETY: within the allocation.
        unsafe { self.0.add(self.payload_at()) }
    }

    fn key_end(&self) -> NonNull<u8> {
        // SAFETY: within the allocation or at its end.
        unsafe { self.0.add(self.key_at() + self.key_len()) }
    }

    /// The type of the value.
    pub fn kind(&self) -> Kind {
        Kind::ALL[(self.bits() >> KIND_SHIFT & 7) as usize]
    }

    /// When the key expires, in ms since 1970.
    pub fn expire_at(&self) -> Option<i64> {
        if !self.has_room_for_expiry() {
            return None;
        }
        // SAFETY: the flag says that the expiry lies behind the header, aligned.
        let at = unsafe { self.0.add(HEADER).cast::<i64>().read() };
        (at != NO_EXPIRY).then_some(at)
    }

    /// Sets when the key expires, in ms since 1970. For the database only, which has an index to keep; `i64::MIN` is no time.
    pub(crate) fn set_expire_unindexed(&mut self, expire_at: Option<i64>) {
        if !self.has_room_for_expiry() {
            if expire_at.is_some() {
                self.relocate(None, expire_at);
            }
            return;
        }
        // SAFETY: the flag says that the expiry lies behind the header, aligned.
        unsafe { self.0.add(HEADER).cast::<i64>().write(expire_at.unwrap_or(NO_EXPIRY)) };
    }

    /// Whether the database has this key in its index of hashes with fields that expire.
    pub(crate) fn has_indexed_fields(&self) -> bool {
        self.bits() & FIELDS_BIT != 0
    }

    /// Notes what [`has_indexed_fields`](Self::has_indexed_fields) says. For the database only.
    pub(crate) fn set_has_indexed_fields(&mut self, indexed: bool) {
        self.set_bits(self.bits() & !FIELDS_BIT | if indexed { FIELDS_BIT } else { 0 });
    }

    /// The access field, 24 bits: what it means is the eviction policy's business.
    pub fn access(&self) -> u32 {
        self.bits() & ACCESS
    }

    /// Sets the access field (24 bits). It dirties the entry's memory page: not to be done while a forked child shares it.
    pub fn set_access(&mut self, access: u32) {
        self.set_bits(self.bits() & !ACCESS | access & ACCESS);
    }

    /// The value.
    pub fn value(&self) -> ValueRef<'_> {
        macro_rules! object {
            ($($object:ident $name:literal)*) => {
                match self.kind() {
                    Kind::Str => {
                        ValueRef::Str(Elem::Bytes(&self.payload().cast::<Packed>().as_ref().bytes()[PREFIX..]))
                    }
                    $(Kind::$object => ValueRef::$object(self.payload().cast::<$object>().as_ref()),)*
                }
            };
        }
        // SAFETY: kind and representation say what the payload is; the borrow is of `self`.
        unsafe {
            match self.repr() {
                Repr::Embedded => {
                    ValueRef::Str(Elem::Bytes(std::slice::from_raw_parts(self.key_end().as_ptr(), self.embedded_len())))
                }
                Repr::Int => ValueRef::Str(Elem::Int(self.payload().cast::<i64>().read())),
                Repr::Raw => ValueRef::Str(Elem::Bytes(self.payload().cast::<Vec<u8>>().as_ref())),
                Repr::Object => for_each_object!(object),
            }
        }
    }

    /// The value, to be changed in place.
    pub fn value_mut(&mut self) -> ValueMut<'_> {
        macro_rules! object {
            ($($object:ident $name:literal)*) => {
                match self.kind() {
                    Kind::Str => ValueMut::Str(StrMut(self)),
                    // SAFETY: the kind says what the payload is; the borrow is of `self`.
                    $(Kind::$object => ValueMut::$object(unsafe { self.payload().cast::<$object>().as_mut() }),)*
                }
            };
        }
        for_each_object!(object)
    }

    /// The string, if the value is one.
    pub fn as_str(&self) -> Option<Elem<'_>> {
        match self.value() {
            ValueRef::Str(elem) => Some(elem),
            _ => None,
        }
    }

    /// The string, if the value is one, to be changed in place.
    pub fn as_str_mut(&mut self) -> Option<StrMut<'_>> {
        match self.value_mut() {
            ValueMut::Str(string) => Some(string),
            _ => None,
        }
    }

    /// The string's bytes in a vector within the entry, moved there if they are not yet. The value must be a string.
    pub(super) fn raw_mut(&mut self) -> &mut Vec<u8> {
        if self.repr() != Repr::Raw {
            let bytes = self.as_str().map(Elem::to_vec).unwrap_or_default();
            self.replace_with(Entry::build_raw(self.key(), bytes, self.expire_at()));
        }
        // SAFETY: the representation is `Raw` now.
        unsafe { self.payload().cast::<Vec<u8>>().as_mut() }
    }

    /// Replaces the value, whatever its type was. Returns the old one where it may be much to free.
    /// Expiry and access field stay.
    pub fn set_value(&mut self, value: Value) -> Option<Value> {
        let old = self.replace_with(Entry::new(self.key(), value, self.expire_at()));
        let much = old.repr() == Repr::Raw || old.repr() == Repr::Object && old.kind() != Kind::Str;
        much.then(|| old.into_value())
    }

    /// Replaces the value by a string, with the best encoding. Expiry and access field stay.
    pub fn set_str(&mut self, text: &[u8]) {
        if let Some(value) = parse_i64(text) {
            return self.set_int(value);
        }
        let embeds = embeds(self.key_len(), text.len(), self.expire_at().is_some());
        match self.repr() {
            Repr::Embedded if embeds => self.set_embedded(text),
            Repr::Object if !embeds && self.kind() == Kind::Str && packs(text.len()) => self.set_packed(text),
            // SAFETY: the representation says that the payload is a vector.
            Repr::Raw if !embeds && !packs(text.len()) => unsafe {
                *self.payload().cast::<Vec<u8>>().as_mut() = text.to_vec();
            },
            _ if embeds => drop(self.replace_with(Entry::build_embedded(self.key(), text, self.expire_at()))),
            _ => drop(self.replace_with(Entry::build_packed(self.key(), text, self.expire_at()))),
        }
    }

    /// Replaces the value by an integer, in place if it was one. Expiry and access field stay.
    pub fn set_int(&mut self, value: i64) {
        if self.repr() == Repr::Int {
            // SAFETY: the representation is `Int`.
            unsafe { self.payload().cast::<i64>().write(value) };
        } else {
            self.replace_with(Entry::new_int(self.key(), value, self.expire_at()));
        }
    }

    /// The value alone.
    pub fn into_value(mut self) -> Value {
        macro_rules! take {
            ($($object:ident $name:literal)*) => {
                match self.kind() {
                    Kind::Str => match self.as_str() {
                        Some(Elem::Int(value)) => Value::Str(Str::Int(value)),
                        Some(Elem::Bytes(text)) if self.repr() != Repr::Raw => Value::Str(Str::Bytes(text.to_vec())),
                        _ => Value::Str(Str::Bytes(std::mem::take(self.raw_mut()))),
                    },
                    $(Kind::$object => {
                        let mut this = ManuallyDrop::new(self);
                        // SAFETY: the kind says what the payload is. It is moved out, and the allocation freed without dropping it.
                        let object = unsafe { this.payload().cast::<$object>().read() };
                        this.free();
                        Value::$object(object)
                    })*
                }
            };
        }
        for_each_object!(take)
    }

    /// The same value, encoding, expiry and access field under another key (`RENAME`).
    pub fn with_key(mut self, key: &[u8]) -> Entry {
        self.relocate(Some(key), self.expire_at());
        self
    }

    /// The same value, encoding and expiry under another key (`COPY`).
    pub fn copy(&self, key: &[u8]) -> Entry {
        match (self.repr(), self.as_str()) {
            (Repr::Raw, Some(text)) => Entry::build_raw(key, text.to_vec(), self.expire_at()),
            _ => Entry::new(key, self.value().to_value(), self.expire_at()),
        }
    }

    /// The name that `OBJECT ENCODING` answers.
    pub fn encoding(&self) -> &'static str {
        macro_rules! object {
            ($($object:ident $name:literal)*) => {
                match self.value() {
                    ValueRef::Str(_) => "raw",
                    $(ValueRef::$object(object) => object.encoding(),)*
                }
            };
        }
        match self.repr() {
            Repr::Embedded => "embstr",
            Repr::Int => "int",
            Repr::Raw => "raw",
            Repr::Object => for_each_object!(object),
        }
    }

    /// Bytes that the allocator hands out for the entry and its value. Of a large collection, `samples` elements are measured and
    /// the rest estimated from them (0: all are measured).
    pub fn heap_size(&self, samples: usize) -> usize {
        macro_rules! object {
            ($($object:ident $name:literal)*) => {
                match self.value() {
                    // SAFETY: a string of this representation is packed.
                    ValueRef::Str(_) => unsafe { self.payload().cast::<Packed>().as_ref() }.capacity(),
                    $(ValueRef::$object(object) => object.heap_size(samples),)*
                }
            };
        }
        let value = match self.repr() {
            Repr::Embedded | Repr::Int => 0,
            // SAFETY: the representation says that the payload is a vector.
            Repr::Raw => vec_heap(unsafe { self.payload().cast::<Vec<u8>>().as_ref() }),
            Repr::Object => for_each_object!(object),
        };
        size_class(self.size()) + value
    }

    /// Allocations that dropping the entry frees, roughly; many are better freed on another thread.
    pub fn free_effort(&self) -> usize {
        macro_rules! object {
            ($($object:ident $name:literal)*) => {
                match self.value() {
                    ValueRef::Str(_) => 1,
                    $(ValueRef::$object(object) => object.free_effort(),)*
                }
            };
        }
        for_each_object!(object)
    }

    /// Whether the value is a collection without elements, which must not stay in a database.
    pub fn is_empty_collection(&self) -> bool {
        macro_rules! object {
            ($($object:ident $name:literal)*) => {
                match self.value() {
                    ValueRef::Str(_) => false,
                    $(ValueRef::$object(object) => object.is_empty(),)*
                }
            };
        }
        for_each_object!(object)
    }

    /// Puts another entry in the place of this one, with this one's access field, and returns this one.
    fn replace_with(&mut self, mut new: Entry) -> Entry {
        new.set_access(self.access());
        std::mem::replace(self, new)
    }

    /// Writes an embedded string over another.
    fn set_embedded(&mut self, text: &[u8]) {
        if text.len() != self.embedded_len() {
            let new = layout(self.key_at() + self.key_len() + text.len());
            let lens = self.key_len() as u32 | (text.len() as u32) << 24;
            // SAFETY: the allocation has the layout of its size; `new` is not empty; the header is kept, then says the new size.
            unsafe {
                let moved = realloc(self.0.as_ptr(), layout(self.size()), new.size());
                self.0 = NonNull::new(moved).unwrap_or_else(|| handle_alloc_error(new));
                self.0.cast::<u32>().add(1).write(lens);
            }
        }
        // SAFETY: there is room for `text.len()` bytes behind the key.
        unsafe { self.key_end().copy_from_nonoverlapping(NonNull::from(text).cast(), text.len()) };
    }

    /// Writes a packed string over another, in its place if it takes as much memory.
    fn set_packed(&mut self, text: &[u8]) {
        // SAFETY: the representation, of a string, says that the payload is a run of bytes.
        let packed = unsafe { self.payload().cast::<Packed>().as_mut() };
        if packed.len() == PREFIX + text.len() {
            packed.bytes_from_mut(PREFIX).copy_from_slice(text);
        } else {
            *packed = Packed::new(false, &[text], 0);
        }
    }

    /// Moves the entry to a new allocation, with another key or expiry and all else as it was.
    fn relocate(&mut self, key: Option<&[u8]>, expire_at: Option<i64>) {
        let key_len = key.map_or(self.key_len(), <[u8]>::len);
        if self.repr() == Repr::Embedded && !embeds(key_len, self.embedded_len(), expire_at.is_some()) {
            self.raw_mut();
        }
        let (repr, embedded) = (self.repr(), self.embedded_len());
        let new = Entry::allocate(self.kind(), repr, key.unwrap_or(self.key()), embedded, expire_at);
        // SAFETY: both have the same representation, so the same room for the payload and, behind the keys, the string. Moving the
        // payload's bytes moves the value: the old allocation is freed below without dropping it.
        unsafe {
            new.payload().copy_from_nonoverlapping(self.payload(), payload_size(self.kind(), repr));
            new.key_end().copy_from_nonoverlapping(self.key_end(), embedded);
        }
        let mut new = ManuallyDrop::into_inner(new);
        new.set_has_indexed_fields(self.has_indexed_fields());
        ManuallyDrop::new(self.replace_with(new)).free();
    }

    /// Frees the allocation, not what the payload owns.
    fn free(&mut self) {
        // SAFETY: the allocation has the layout of its size; the callers do not use the entry again.
        unsafe { dealloc(self.0.as_ptr(), layout(self.size())) };
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        macro_rules! object {
            ($($object:ident $name:literal)*) => {
                match self.kind() {
                    Kind::Str => self.payload().cast::<Packed>().drop_in_place(),
                    $(Kind::$object => self.payload().cast::<$object>().drop_in_place(),)*
                }
            };
        }
        // SAFETY: kind and representation say what the payload is; nobody uses it after this.
        unsafe {
            match self.repr() {
                Repr::Embedded | Repr::Int => {}
                Repr::Raw => self.payload().cast::<Vec<u8>>().drop_in_place(),
                Repr::Object => for_each_object!(object),
            }
        }
        self.free();
    }
}

impl Keyed for Entry {
    fn key(&self) -> &[u8] {
        // SAFETY: the key lies there with that length; the borrow is of `self`.
        unsafe { std::slice::from_raw_parts(self.0.add(self.key_at()).as_ptr(), self.key_len()) }
    }

    fn prefetch(&self) {
        prefetch_address(self.0.as_ptr());
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry")
            .field("key", &String::from_utf8_lossy(self.key()))
            .field("value", &self.value())
            .field("expire_at", &self.expire_at())
            .finish()
    }
}
