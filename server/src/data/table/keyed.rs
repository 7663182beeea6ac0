//! What a table wants of its elements: a key, and its hash.

use super::super::rng::os_seed;
use rapidhash::v3::{RapidSecrets, rapidhash_v3_micro_inline};
use std::sync::OnceLock;

/// An element of a [`Table`](super::Table): something of at most 8 bytes that knows its key, such as a `Box` or another thin pointer.
pub trait Keyed {
    /// The bytes that the element is found by.
    fn key(&self) -> &[u8];

    /// The hash of the key. An element that stores its hash can say so here; it must equal [`hash`] of the key to be found by key.
    fn hash(&self) -> u64 {
        hash(self.key())
    }

    /// Asks the processor to load what [`key`](Self::key) will read. Worth implementing for pointers.
    fn prefetch(&self) {}
}

impl<T: Keyed> Keyed for Box<T> {
    fn key(&self) -> &[u8] {
        (**self).key()
    }

    fn hash(&self) -> u64 {
        (**self).hash()
    }

    fn prefetch(&self) {
        prefetch_address(std::ptr::from_ref::<T>(self));
    }
}

static SECRETS: OnceLock<RapidSecrets> = OnceLock::new();

/// Makes hashes the same in every process that is given the same seed, for a client that goes on with a SCAN at another server. Too
/// late once anything was hashed.
pub fn seed_hashes(seed: &[u8]) {
    let seed = rapidhash_v3_micro_inline::<true, true>(seed, &RapidSecrets::seed(0));
    let _ = SECRETS.set(RapidSecrets::seed(seed));
}

/// The hash of a key: rapidhash, with secrets drawn once for each process so that nobody outside can aim at a bucket.
pub fn hash(key: &[u8]) -> u64 {
    rapidhash_v3_micro_inline::<true, true>(key, SECRETS.get_or_init(|| RapidSecrets::seed(os_seed())))
}

/// Asks the processor to load the cache line at an address, which may be any: nothing is read.
pub fn prefetch_address<T>(address: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a prefetch is a hint and faults at no address; SSE is part of x86_64.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    // SAFETY: a prefetch is a hint and faults at no address.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{}]", in(reg) address, options(nostack, readonly, preserves_flags));
    }
    #[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
    let _ = address;
}
