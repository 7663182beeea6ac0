//! A value in one word: small and packed, or large and boxed.
//!
//! An `enum` of the two takes two words, because a compiler does not use the bits of a pointer that its alignment leaves free.
//! This one does: bit 2 tells a box from a [`Packed`], which has a use for the two bits below.
//!
//! # Safety
//! The word is either that of a `S`, which is a [`Packed`] and so has bit 2 clear, or the address that `Box::leak` gave for an
//! `L`, aligned to 8, with bit 2 set; and it owns what it points to.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use super::packed::Packed;

const LARGE: usize = 4;

/// What a [`Packed`] holds, such as a listpack.
///
/// # Safety
/// The type is a [`Packed`] and nothing else (`repr(transparent)`), and sound whatever the run holds: the wrong content may give wrong
/// answers and panics, no more.
pub unsafe trait Small: Sized {
    /// A run seen as this.
    fn of(packed: &Packed) -> &Self {
        // SAFETY: the type is a `Packed` by another name, and takes any.
        unsafe { &*std::ptr::from_ref(packed).cast::<Self>() }
    }

    /// As [`of`](Self::of), for changing it.
    fn of_mut(packed: &mut Packed) -> &mut Self {
        // SAFETY: as in `of`.
        unsafe { &mut *std::ptr::from_mut(packed).cast::<Self>() }
    }
}

/// One of two, in one word. See the module's documentation.
#[repr(transparent)]
pub struct OneWord<S: Small, L>(NonNull<u8>, PhantomData<(S, Box<L>)>);

/// What there is, for reading.
pub enum Ref<'a, S, L> {
    /// A small value.
    Small(&'a S),
    /// A large one.
    Large(&'a L),
}

/// What there is, for changing it in place.
pub enum Mut<'a, S, L> {
    /// A small value.
    Small(&'a mut S),
    /// A large one.
    Large(&'a mut L),
}

// SAFETY: the word owns its value and shares it with nobody.
unsafe impl<S: Small + Send, L: Send> Send for OneWord<S, L> {}
// SAFETY: a shared word only lends its value out.
unsafe impl<S: Small + Sync, L: Sync> Sync for OneWord<S, L> {}

impl<S: Small, L> OneWord<S, L> {
    /// A small value.
    pub fn small(value: S) -> Self {
        const { assert!(size_of::<S>() == size_of::<NonNull<u8>>()) };
        let value = ManuallyDrop::new(value);
        // SAFETY: the value is a `Packed`, so a non-null pointer, and is not used again.
        OneWord(unsafe { std::ptr::from_ref(&*value).cast::<NonNull<u8>>().read() }, PhantomData)
    }

    /// A large value.
    pub fn large(value: L) -> Self {
        const { assert!(align_of::<L>() >= 2 * LARGE) };
        let place = NonNull::from(Box::leak(Box::new(value))).cast::<u8>();
        OneWord(place.map_addr(|address| address | LARGE), PhantomData)
    }

    #[inline]
    fn boxed(&self) -> Option<NonNull<L>> {
        if self.0.addr().get() & LARGE == 0 {
            return None;
        }
        NonNull::new(self.0.as_ptr().map_addr(|address| address & !LARGE).cast::<L>())
    }

    /// What there is.
    #[inline]
    pub fn get(&self) -> Ref<'_, S, L> {
        match self.boxed() {
            // SAFETY: the word owns the value that was boxed; it is borrowed from the word.
            Some(large) => Ref::Large(unsafe { large.as_ref() }),
            // SAFETY: without the bit the word is that of a small value.
            None => Ref::Small(unsafe { &*std::ptr::from_ref(self).cast::<S>() }),
        }
    }

    /// What there is, to be changed in place.
    #[inline]
    pub fn get_mut(&mut self) -> Mut<'_, S, L> {
        match self.boxed() {
            // SAFETY: as in `get`; `&mut self` makes the borrow the only one.
            Some(mut large) => Mut::Large(unsafe { large.as_mut() }),
            // SAFETY: as in `get`. Whatever small value is put there has the bit clear, too.
            None => Mut::Small(unsafe { &mut *std::ptr::from_mut(self).cast::<S>() }),
        }
    }

    /// The small value, if it is one.
    pub fn as_small(&self) -> Option<&S> {
        if let Ref::Small(value) = self.get() { Some(value) } else { None }
    }

    /// The large value, if it is one.
    pub fn as_large(&self) -> Option<&L> {
        if let Ref::Large(value) = self.get() { Some(value) } else { None }
    }

    /// The large value, which is made of the small one if there is none yet.
    pub fn make_large(&mut self, make: impl FnOnce(&mut S) -> L) -> &mut L {
        if let Mut::Small(value) = self.get_mut() {
            let large = make(value);
            *self = OneWord::large(large);
        }
        match self.get_mut() {
            Mut::Large(value) => value,
            Mut::Small(_) => unreachable!("made a line ago"),
        }
    }
}

impl<S: Small, L> Drop for OneWord<S, L> {
    fn drop(&mut self) {
        match self.boxed() {
            // SAFETY: the pointer came from a box, and nobody uses it after this.
            Some(large) => drop(unsafe { Box::from_raw(large.as_ptr()) }),
            // SAFETY: without the bit the word is that of a small value, which nobody uses after this.
            None => unsafe { std::ptr::from_mut(self).cast::<S>().drop_in_place() },
        }
    }
}

impl<S: Small + Clone, L: Clone> Clone for OneWord<S, L> {
    fn clone(&self) -> Self {
        match self.get() {
            Ref::Small(value) => OneWord::small(value.clone()),
            Ref::Large(value) => OneWord::large(value.clone()),
        }
    }
}

impl<S: Small + std::fmt::Debug, L: std::fmt::Debug> std::fmt::Debug for OneWord<S, L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.get() {
            Ref::Small(value) => value.fmt(f),
            Ref::Large(value) => value.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::elem::Elem;
    use crate::data::listpack::Listpack;
    use std::sync::Arc;

    type Word = OneWord<Listpack, (u64, Arc<str>)>;

    #[test]
    fn a_word_holds_either_and_frees_what_it_holds() {
        let text: Arc<str> = "large".into();
        let mut word = Word::small([Elem::Int(1)].into_iter().collect());
        assert_eq!(size_of_val(&word), 8);
        if let Mut::Small(lp) = word.get_mut() {
            lp.push_back(b"two");
            // Another value in its place, which may lie anywhere.
            let copy = lp.clone();
            *lp = copy;
        }
        assert_eq!(word.as_small().map(Listpack::len), Some(2));
        assert!(word.as_large().is_none());
        let copy = word.clone();
        word.make_large(|lp| (lp.len() as u64, text.clone())).0 += 40;
        assert_eq!(word.as_large().map(|(n, _)| *n), Some(42));
        assert!(word.as_small().is_none());
        assert_eq!(copy.as_small().map(Listpack::len), Some(2));
        assert_eq!(Arc::strong_count(&text), 2);
        let second = word.clone();
        assert_eq!(Arc::strong_count(&text), 3);
        drop((word, second));
        assert_eq!(Arc::strong_count(&text), 1);
    }
}
