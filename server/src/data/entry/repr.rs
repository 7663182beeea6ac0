//! How an entry keeps its value, and what room that takes.

use super::super::hash::Hash;
use super::super::list::List;
use super::super::packed::{PREFIX, Packed};
use super::super::set::Set;
use super::super::sizes::size_class;
use super::super::stream::Stream;
use super::super::value::{Kind, for_each_object};
use super::super::zset::Zset;
use std::alloc::Layout;

const ALIGN: usize = 8;

/// How the value is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repr {
    /// A string behind the key.
    Embedded,
    /// An integer in the payload.
    Int,
    /// A string that was changed in place: a `Vec<u8>` in the payload.
    Raw,
    /// A value of another type in the payload; of a string, one too long to be embedded: a [`Packed`].
    Object,
}

/// Bytes of the payload, a multiple of 8.
pub(super) fn payload_size(kind: Kind, repr: Repr) -> usize {
    macro_rules! object_size {
        ($($object:ident $name:literal)*) => {
            match kind {
                Kind::Str => size_of::<Packed>(),
                $(Kind::$object => const {
                    assert!(size_of::<$object>() <= 32 && align_of::<$object>() <= ALIGN);
                    size_of::<$object>().next_multiple_of(ALIGN)
                },)*
            }
        };
    }
    match repr {
        Repr::Embedded => 0,
        Repr::Int => size_of::<i64>(),
        Repr::Raw => size_of::<Vec<u8>>(),
        Repr::Object => for_each_object!(object_size),
    }
}

/// Whether a string is kept in the allocation of its key: if Valkey 9.1 would (`shouldEmbedStringObject`: its object, key and
/// string within 128 bytes), so that `OBJECT ENCODING` says the same. Ours then fits 128 bytes, too, being smaller.
pub(super) fn embeds(key: usize, value: usize, expiry: bool) -> bool {
    let key_header = if key < 32 { 1 } else { 3 };
    8 + (key_header + key + 2) + 8 * usize::from(expiry) + (3 + value + 1) <= 128
}

/// Longest string that is packed. Beyond some pages a copy costs more than the two words that it saves, and size classes waste more
/// than the pages that a vector gets.
const MAX_PACKED: usize = 16 << 10;

/// Whether a string that is not embedded takes less memory [packed](Packed) than in a vector: if the four bytes of its length do not
/// lead to a larger size class, which they do at powers of two.
pub(super) fn packs(len: usize) -> bool {
    len <= MAX_PACKED && size_class(len + PREFIX) < size_class(len) + size_of::<Vec<u8>>() - size_of::<Packed>()
}

/// The layout of an allocation of so many bytes.
pub(super) fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, ALIGN).expect("an entry is far smaller than the address space")
}
