//! The view of one stored element, whatever it is encoded as.

use std::cmp::Ordering;

use super::{num, table};

/// An element of a list, set, hash or sorted set as it is stored: an integer, or bytes. Two elements are equal when their
/// texts are, and they are ordered as texts, so `Int(5)` equals `Bytes(b"5")` and comes after `Int(10)`.
#[derive(Clone, Copy, Debug)]
pub enum Elem<'a> {
    /// Stored as an integer; the element is its decimal text.
    Int(i64),
    /// Stored as bytes.
    Bytes(&'a [u8]),
}

/// Room for the text of an integer element.
pub type IntText = itoa::Buffer;

impl<'a> Elem<'a> {
    /// `Int` if the text is a canonical 64-bit integer, else `Bytes`.
    pub fn parse(text: &'a [u8]) -> Self {
        num::parse_i64(text).map_or(Elem::Bytes(text), Elem::Int)
    }

    /// Length of the text in bytes.
    pub fn len(self) -> usize {
        match self {
            Elem::Int(v) => num::decimal_len(v),
            Elem::Bytes(b) => b.len(),
        }
    }

    /// Is the text empty?
    pub fn is_empty(self) -> bool {
        matches!(self, Elem::Bytes([]))
    }

    /// The text; `buffer` holds it if the element is an integer.
    pub fn text<'b>(self, buffer: &'b mut IntText) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            Elem::Int(v) => buffer.format(v).as_bytes(),
            Elem::Bytes(b) => b,
        }
    }

    /// Calls `f` with the text.
    pub fn with_text<R>(self, f: impl FnOnce(&[u8]) -> R) -> R {
        f(self.text(&mut IntText::new()))
    }

    /// A copy of the text.
    pub fn to_vec(self) -> Vec<u8> {
        self.with_text(<[u8]>::to_vec)
    }

    /// Appends the text.
    pub fn append_to(self, out: &mut Vec<u8>) {
        self.with_text(|t| out.extend_from_slice(t));
    }

    /// The element as an integer, if its text is a canonical one.
    pub fn as_int(self) -> Option<i64> {
        match self {
            Elem::Int(v) => Some(v),
            Elem::Bytes(b) => num::parse_i64(b),
        }
    }

    /// The element as a double, if its text is one (not `nan`).
    pub fn as_double(self) -> Option<f64> {
        match self {
            Elem::Int(v) => Some(v as f64),
            Elem::Bytes(b) => num::parse_double(b),
        }
    }
}

impl<'a> From<&'a [u8]> for Elem<'a> {
    /// As [`Elem::parse`].
    fn from(text: &'a [u8]) -> Self {
        Elem::parse(text)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Elem<'a> {
    fn from(text: &'a [u8; N]) -> Self {
        Elem::parse(text)
    }
}

impl From<i64> for Elem<'_> {
    fn from(v: i64) -> Self {
        Elem::Int(v)
    }
}

impl PartialEq for Elem<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (*self, *other) {
            (Elem::Bytes(a), Elem::Bytes(b)) => a == b,
            (Elem::Int(a), b) | (b, Elem::Int(a)) => b.as_int() == Some(a),
        }
    }
}

impl Eq for Elem<'_> {}

impl Ord for Elem<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let (mut a, mut b) = (IntText::new(), IntText::new());
        self.text(&mut a).cmp(other.text(&mut b))
    }
}

impl PartialOrd for Elem<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Does any element come twice? For values from outside, before they are trusted to be sets.
pub fn has_duplicates<'a>(elems: impl Iterator<Item = Elem<'a>> + Clone) -> bool {
    let mut hashes: Vec<u64> = elems.clone().map(|e| e.with_text(table::hash)).collect();
    hashes.sort_unstable();
    // Equal hashes are almost certainly equal elements, but almost is not enough to refuse a file.
    hashes.windows(2).any(|pair| pair[0] == pair[1]) && {
        let mut texts: Vec<Vec<u8>> = elems.map(Elem::to_vec).collect();
        texts.sort_unstable();
        texts.windows(2).any(|pair| pair[0] == pair[1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_is_its_text_however_it_is_stored() {
        assert_eq!(Elem::Int(5), Elem::Bytes(b"5"));
        assert_ne!(Elem::Int(5), Elem::Bytes(b"05"));
        assert!(Elem::Int(10) < Elem::Int(5));
        assert!(Elem::Bytes(b"abc") > Elem::Int(i64::MAX));
        assert!(matches!(Elem::parse(b"-12"), Elem::Int(-12)));
        assert!(matches!(Elem::parse(b"-012"), Elem::Bytes(b"-012")));
        assert_eq!(Elem::Int(-120).len(), 4);
        assert_eq!(Elem::Int(-120).to_vec(), b"-120");
    }

    #[test]
    fn elements_with_the_same_text_are_duplicates() {
        let distinct = [Elem::Int(1), Elem::Bytes(b"01"), Elem::Bytes(b"")];
        assert!(!has_duplicates(distinct.into_iter()));
        assert!(has_duplicates([Elem::Int(1), Elem::Bytes(b""), Elem::Bytes(b"1")].into_iter()));
        assert!(!has_duplicates(std::iter::empty()));
    }
}
