//! Lends what a command has borrowed, the server among it, to the functions that a script calls.
//!
//! Those functions live as long as the interpreter, so they cannot hold a borrow. The command that runs a script puts its borrow
//! here for the time of the run, and each function takes it out for the time of its own.

use std::cell::Cell;
use std::ptr::NonNull;

use super::call::Call;

thread_local! {
    static LENT: Cell<Option<NonNull<Call<'static>>>> = const { Cell::new(None) };
}

/// Puts the former value back, also when a panic passes by.
struct Restore(Option<NonNull<Call<'static>>>);

impl Drop for Restore {
    fn drop(&mut self) {
        LENT.set(self.0);
    }
}

/// Runs `run`, during which [`with`] hands out `call`.
pub fn lend<R>(call: &mut Call<'_>, run: impl FnOnce() -> R) -> R {
    let pointer = NonNull::from(call).cast::<Call<'static>>();
    let _restore = Restore(LENT.replace(Some(pointer)));
    run()
}

/// Hands out what is lent, if something is and nobody else has taken it: a script that comes to run inside such a function
/// does not get it a second time.
pub fn with<R>(use_it: impl for<'a, 'b> FnOnce(&'a mut Call<'b>) -> R) -> Option<R> {
    let pointer = LENT.take()?;
    let _restore = Restore(Some(pointer));
    // SAFETY: the pointer was made by `lend` from a unique borrow that is in force: `lend` holds it until its own end, when the pointer
    // is taken out of the cell again. Nobody else uses that borrow meanwhile: its owner is inside `lend`, and the cell, which only
    // this thread sees, is empty while somebody has the pointer. `use_it` takes any lifetimes, so it can neither keep the reference
    // nor put anything into it that lives shorter.
    Some(use_it(unsafe { &mut *pointer.as_ptr() }))
}
