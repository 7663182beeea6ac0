//! The small encodings of a set, in one word: an intset or a listpack.

use super::super::intset::{self, Intset};
use super::super::listpack::Listpack;
use super::super::one_word::Small;
use super::super::packed::Packed;

/// An intset or a listpack: the mark of the run of bytes says which.
#[derive(Clone)]
#[repr(transparent)]
pub(super) struct Compact(Packed);

// SAFETY: it is a `Packed`, and its kinds are sound whatever that holds.
unsafe impl Small for Compact {}

/// What it is, for reading.
pub(super) enum Kind<'a> {
    Intset(&'a Intset),
    Listpack(&'a Listpack),
}

/// What it is, for changing it in place.
pub(super) enum KindMut<'a> {
    Intset(&'a mut Intset),
    Listpack(&'a mut Listpack),
}

impl Compact {
    #[inline]
    pub fn kind(&self) -> Kind<'_> {
        if self.0.mark() == intset::MARK {
            Kind::Intset(Intset::of(&self.0))
        } else {
            Kind::Listpack(Listpack::of(&self.0))
        }
    }

    #[inline]
    pub fn kind_mut(&mut self) -> KindMut<'_> {
        if self.0.mark() == intset::MARK {
            KindMut::Intset(Intset::of_mut(&mut self.0))
        } else {
            KindMut::Listpack(Listpack::of_mut(&mut self.0))
        }
    }
}

impl From<Intset> for Compact {
    fn from(ints: Intset) -> Self {
        Compact(ints.into())
    }
}

impl From<Listpack> for Compact {
    fn from(listpack: Listpack) -> Self {
        Compact(listpack.into())
    }
}
