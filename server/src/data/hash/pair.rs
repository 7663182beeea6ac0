//! A field and its value in one allocation, with room for the field's expiry.
//!
//! ```text
//! flags u8 | length of the field (1 byte, or 8 LE) | expiry i64 LE, if it has one | field | value
//! ```

use super::super::block::Block;
use super::super::table::Keyed;

/// The field's length takes eight bytes.
const LONG_FIELD: u8 = 1;
/// There is an expiry.
const EXPIRES: u8 = 2;

/// A field and its value. See the module's documentation.
#[derive(Clone)]
pub(super) struct Pair(Block);

/// Where the parts of a pair begin.
struct Parts {
    /// Of the expiry, whose 8 bytes are there or not.
    expiry: usize,
    field: usize,
    value: usize,
}

impl Pair {
    pub fn new(field: &[u8], value: &[u8], expire_at: Option<i64>) -> Self {
        let long = field.len() > 255;
        let flags = if long { LONG_FIELD } else { 0 } | if expire_at.is_some() { EXPIRES } else { 0 };
        let len = (field.len() as u64).to_le_bytes();
        let len = if long { &len[..] } else { &len[..1] };
        let expiry = expire_at.unwrap_or(0).to_le_bytes();
        let expiry = if expire_at.is_some() { &expiry[..] } else { &[] };
        Pair(Block::concat(&[&[flags], len, expiry, field, value]))
    }

    #[inline]
    fn parts(&self) -> Parts {
        let bytes = self.0.bytes();
        let flags = bytes[0];
        let (len, expiry) = match (flags & LONG_FIELD, bytes[1..].first_chunk()) {
            (LONG_FIELD, Some(len)) => (u64::from_le_bytes(*len) as usize, 9),
            _ => (usize::from(bytes[1]), 2),
        };
        let field = expiry + if flags & EXPIRES != 0 { 8 } else { 0 };
        Parts { expiry, field, value: field + len }
    }

    pub fn value(&self) -> &[u8] {
        &self.0.bytes()[self.parts().value..]
    }

    /// Milliseconds since 1970.
    pub fn expire_at(&self) -> Option<i64> {
        let parts = self.parts();
        self.0.bytes()[parts.expiry..parts.field].first_chunk().map(|ms| i64::from_le_bytes(*ms))
    }

    pub fn set_value(&mut self, value: &[u8]) {
        self.0.replace_tail(self.parts().value, value);
    }

    pub fn set_expire(&mut self, expire_at: Option<i64>) {
        let parts = self.parts();
        match expire_at {
            Some(ms) if parts.expiry < parts.field => {
                self.0.bytes_mut()[parts.expiry..parts.field].copy_from_slice(&ms.to_le_bytes());
            }
            None if parts.expiry == parts.field => {}
            _ => *self = Pair::new(self.key(), self.value(), expire_at),
        }
    }

    pub fn heap_size(&self) -> usize {
        self.0.heap_size()
    }
}

impl Keyed for Pair {
    #[inline]
    fn key(&self) -> &[u8] {
        let parts = self.parts();
        &self.0.bytes()[parts.field..parts.value]
    }

    fn prefetch(&self) {
        self.0.prefetch();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_keeps_field_value_and_expiry_apart() {
        for field_len in [0, 1, 16, 254, 255, 256, 1000] {
            let field = vec![b'f'; field_len];
            let mut pair = Pair::new(&field, b"first", None);
            for (value_len, expire_at) in
                [(0, None), (64, Some(5)), (65, Some(i64::MIN)), (300, None), (3, Some(-1)), (3, None)]
            {
                let value = vec![b'v'; value_len];
                pair.set_value(&value);
                pair.set_expire(expire_at);
                assert_eq!((pair.key(), pair.value(), pair.expire_at()), (&field[..], &value[..], expire_at));
            }
        }
    }

    #[test]
    fn sixteen_and_sixty_four_bytes_take_an_allocation_of_ninety_six() {
        assert_eq!(Pair::new(&[0; 16], &[0; 64], None).heap_size(), 96);
    }
}
