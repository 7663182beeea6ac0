//! Walking through a table that nobody changes meanwhile.

use super::Table;
use super::bucket::{Bucket, SLOTS};

impl<E> Table<E> {
    /// All elements, in the order of the buckets, which is no order that a user should see.
    pub fn iter(&self) -> Iter<'_, E> {
        Iter { table: self, index: 0, bucket: None, slot: 0, left: self.len }
    }
}

/// The elements of a table; see [`Table::iter`].
pub struct Iter<'a, E> {
    table: &'a Table<E>,
    index: usize,
    bucket: Option<&'a Bucket<E>>,
    slot: usize,
    left: usize,
}

impl<'a, E> Iterator for Iter<'a, E> {
    type Item = &'a E;

    fn next(&mut self) -> Option<&'a E> {
        loop {
            let Some(bucket) = self.bucket else {
                if self.index == self.table.buckets {
                    return None;
                }
                self.bucket = Some(self.table.store.bucket(self.index));
                self.index += 1;
                continue;
            };
            while self.slot < SLOTS {
                self.slot += 1;
                if let Some(element) = bucket.get(self.slot - 1) {
                    self.left -= 1;
                    return Some(element);
                }
            }
            self.slot = 0;
            self.bucket = bucket.child();
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<E> ExactSizeIterator for Iter<'_, E> {}

impl<'a, E> IntoIterator for &'a Table<E> {
    type Item = &'a E;
    type IntoIter = Iter<'a, E>;

    fn into_iter(self) -> Iter<'a, E> {
        self.iter()
    }
}
