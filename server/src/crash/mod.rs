//! What the log is told of a crash: a signal that the program cannot survive, or a panic.
//!
//! A fault may come anywhere: within the allocator, under a lock, halfway through a change. So the process that failed does
//! only what a signal handler may (`handler`): it writes what it knows itself, and leaves each part that needs more, the
//! names in the stack, INFO, the clients, to a child, which is a copy of the process at that moment (`report`). A child that waits for a
//! lock that nobody will open, goes round in circles or faults as well is given up after seconds; after two of them there is an end,
//! as nobody takes over from a server that is neither there nor gone. What a child does reaches no client and no file of
//! the data: of all descriptors it keeps those of the log.
//!
//! Before that it leaves the network: whoever waits for it, clients and those who may take over, learns at once that it is gone, and not
//! only when the report is written.
//!
//! To do everything in the handler, as Valkey does, would be simpler, and would hang where the heap is broken or in use.

mod addresses;
mod handler;
mod pen;
mod registers;
mod report;

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::panic::PanicHookInfo;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, Ordering::Relaxed};

use crate::commands::Ctx;
use crate::server::Server;

pub use handler::{fault, guard_thread, install, install_alarm, remove};

/// The server of this process, while it serves.
static SERVER: AtomicPtr<Server> = AtomicPtr::new(ptr::null_mut());
/// The innermost call under way.
static CALL: AtomicPtr<Ctx<'static>> = AtomicPtr::new(ptr::null_mut());
/// Where the process id was written; no process but the one of [`OWNER`] removes it.
static PIDFILE: AtomicPtr<libc::c_char> = AtomicPtr::new(ptr::null_mut());
/// The process that serves; its children have other ids.
static OWNER: AtomicI32 = AtomicI32::new(0);
/// Whether reports are written: `crash-log-enabled`.
static ENABLED: AtomicBool = AtomicBool::new(true);
/// Whether a panic ends with an exit code: `use-exit-on-panic`.
static EXIT_ON_PANIC: AtomicBool = AtomicBool::new(false);

/// From here on reports tell of this server, until [`forget_server`].
pub fn watch_server(server: &mut Server) {
    OWNER.store(std::process::id() as i32, Relaxed);
    SERVER.store(server, Relaxed);
}

/// The server is about to go.
pub fn forget_server() {
    SERVER.store(ptr::null_mut(), Relaxed);
}

/// A call begins; returns the one that it is part of, for [`leave_call`].
#[inline]
pub fn enter_call(ctx: &mut Ctx<'_>) -> *mut Ctx<'static> {
    // Only this thread calls: an exchange in one instruction, which locks the bus, is not needed.
    let outer = CALL.load(Relaxed);
    CALL.store(ptr::from_mut(ctx).cast(), Relaxed);
    outer
}

/// The call has ended.
#[inline]
pub fn leave_call(outer: *mut Ctx<'static>) {
    CALL.store(outer, Relaxed);
}

/// The file to remove when this process crashes.
pub fn remove_at_crash(pidfile: &Path) {
    let absolute = std::path::absolute(pidfile).unwrap_or_else(|_| pidfile.to_owned());
    if let Ok(path) = CString::new(absolute.as_os_str().as_bytes()) {
        OWNER.store(std::process::id() as i32, Relaxed);
        // Kept for the rest of the process's life.
        PIDFILE.store(path.into_raw(), Relaxed);
    }
}

/// What the configuration says. The signals of a process that holds a server without being one, as a fuzzer's does, are its own.
pub fn configure(enabled: bool, exit_on_panic: bool) {
    ENABLED.store(enabled, Relaxed);
    EXIT_ON_PANIC.store(exit_on_panic, Relaxed);
    match (SERVER.load(Relaxed).is_null(), enabled) {
        (true, _) => {}
        (false, true) => install(),
        (false, false) => remove(),
    }
}

/// Has a panic, in whichever thread, end the process with a report in the log: nothing that runs on after one can be trusted.
pub fn end_on_panic() {
    std::panic::set_hook(Box::new(|info| handler::end_after_panic(&told(info))));
}

/// The panic's message and place.
fn told(info: &PanicHookInfo<'_>) -> String {
    let message = info.payload_as_str().unwrap_or("no message");
    match info.location() {
        Some(at) => format!("{message} #{}:{}", at.file(), at.line()),
        None => message.to_owned(),
    }
}
