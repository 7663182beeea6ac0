//! The order of texts in a locale (`locale-collate`), in which SORT … ALPHA answers. Scripts compare by it, too: Lua asks the C library.

use std::cmp::Ordering;
use std::ffi::{CStr, CString};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

/// Whether the order is that of the bytes.
static BY_BYTES: AtomicBool = AtomicBool::new(true);

/// Takes the order of a locale, for the whole process; without a name that of the environment. Returns false if the system does not have
/// it: the order stays as it was.
pub fn set_locale(name: &[u8]) -> bool {
    let Ok(name) = CString::new(name) else { return false };
    // SAFETY: the name ends with NUL; the other threads neither compare by locale nor ask for it.
    let taken = unsafe { libc::setlocale(libc::LC_COLLATE, name.as_ptr()) };
    if taken.is_null() {
        return false;
    }
    // SAFETY: it is a text that ends with NUL and that stays until the next call.
    let taken = unsafe { CStr::from_ptr(taken) };
    BY_BYTES.store(matches!(taken.to_bytes(), b"C" | b"POSIX"), Relaxed);
    true
}

/// Whether the system has a locale. Takes nothing.
pub fn has_locale(name: &[u8]) -> bool {
    let Ok(name) = CString::new(name) else { return false };
    // SAFETY: the name ends with NUL; there is no locale that the new one is to be made of.
    let made = unsafe { libc::newlocale(libc::LC_COLLATE_MASK, name.as_ptr(), std::ptr::null_mut()) };
    if !made.is_null() {
        // SAFETY: it was made here, and nobody uses it.
        unsafe { libc::freelocale(made) };
    }
    !made.is_null()
}

/// What a start says of a locale that the system does not have.
pub fn unknown(name: &[u8]) -> String {
    format!("Failed to configure LOCALE for invalid locale name: '{}'.", String::from_utf8_lossy(name))
}

/// Compares two texts in the order of the locale. What that takes for the same stands in the order of its bytes.
pub fn compare(a: &[u8], b: &[u8]) -> Ordering {
    if BY_BYTES.load(Relaxed) {
        return a.cmp(b);
    }
    let (first, second) = (terminated(a), terminated(b));
    // SAFETY: both end with NUL.
    let order = unsafe { libc::strcoll(first.as_ptr(), second.as_ptr()) };
    order.cmp(&0).then_with(|| a.cmp(b))
}

/// A text as C has it: it ends before its first NUL.
fn terminated(text: &[u8]) -> CString {
    let end = memchr::memchr(0, text).unwrap_or(text.len());
    CString::new(&text[..end]).unwrap_or_default()
}
