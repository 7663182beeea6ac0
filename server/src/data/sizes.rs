//! How much memory the allocator really hands out for a request.

/// The allocator's size class for `n` bytes: multiples of 8 up to 64, then four classes for each doubling (jemalloc's spacing, as
/// [`allocator`](crate::allocator) has it built). Buffers grow to this size, because the rest of the class would be lost anyway.
/// Beyond 32 KiB whole pages are handed out, but a buffer that grew by pages would be copied too often.
pub fn size_class(n: usize) -> usize {
    match n {
        0 => 0,
        1..=64 => (n + 7) & !7,
        _ => {
            let spacing = 1usize << ((n - 1).ilog2() - 2);
            n.checked_next_multiple_of(spacing).unwrap_or(n)
        }
    }
}

/// Makes room for `additional` more items, to the end of the allocator's size class and no further: a vector's usual
/// doubling wastes up to half of a value that has stopped growing.
pub fn reserve_class<T>(vec: &mut Vec<T>, additional: usize) {
    let needed = vec.len() + additional;
    if needed > vec.capacity() {
        vec.reserve_exact(class_growth::<T>(needed - 1) + additional - 1);
    }
}

/// How many items more than `len`, one at least, go into the next size class that holds them.
pub fn class_growth<T>(len: usize) -> usize {
    let item = size_of::<T>().max(1);
    let capacity = size_class((len + 1).saturating_mul(item)) / item;
    capacity.max(len + 1) - len
}

/// Gives memory back when less than half of the buffer is used.
pub fn shrink_class<T>(vec: &mut Vec<T>) {
    let item = size_of::<T>().max(1);
    let capacity = size_class(vec.len() * item) / item;
    if capacity * 2 <= vec.capacity() {
        vec.shrink_to(capacity);
    }
}

/// Bytes on the heap behind a vector.
pub fn vec_heap<T>(vec: &Vec<T>) -> usize {
    size_class(vec.capacity() * size_of::<T>())
}

/// The sum of `len` sizes, estimated from the first `samples` of them (0: from all).
pub fn estimate(len: usize, samples: usize, sizes: impl Iterator<Item = usize>) -> usize {
    let measured = if samples == 0 { len } else { samples.min(len) };
    let sum: usize = sizes.take(measured).sum();
    if measured == len { sum } else { (sum as f64 / measured as f64 * len as f64) as usize }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_those_of_the_allocator() {
        for n in 1..=32 << 10 {
            // SAFETY: it computes a size and touches no memory.
            assert_eq!(size_class(n), unsafe { tikv_jemalloc_sys::nallocx(n, 0) }, "{n}");
        }
        assert_eq!(size_class(usize::MAX), usize::MAX);
    }

    #[test]
    fn a_growing_buffer_keeps_no_more_than_its_class() {
        let mut v: Vec<u8> = Vec::new();
        for n in 1..5000 {
            reserve_class(&mut v, 1);
            v.push(0);
            assert_eq!(v.capacity(), size_class(n));
        }
        v.truncate(10);
        shrink_class(&mut v);
        assert!(v.capacity() <= 32);
    }
}
