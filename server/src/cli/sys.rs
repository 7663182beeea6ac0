//! The few system calls that the standard library has no word for: waiting on two descriptors, key presses, ^C, keepalive.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

/// What to wait for on one descriptor, and after [`poll`] what has come.
#[derive(Debug, Clone, Copy)]
pub struct Interest<'fd> {
    fd: BorrowedFd<'fd>,
    /// Bytes can be read, or the other end is gone.
    pub readable: bool,
    /// Bytes can be written.
    pub writable: bool,
}

impl<'fd> Interest<'fd> {
    /// Waits for bytes to read.
    pub fn read(fd: BorrowedFd<'fd>) -> Self {
        Self { fd, readable: true, writable: false }
    }
}

/// Waits until one of `interests` is met or `timeout` has passed (`None`: for ever), and leaves in each what was met. A signal ends the
/// wait early with nothing met.
pub fn poll(interests: &mut [Interest<'_>], timeout: Option<Duration>) -> io::Result<()> {
    let mut fds: Vec<libc::pollfd> = interests
        .iter()
        .map(|interest| libc::pollfd {
            fd: interest.fd.as_raw_fd(),
            events: if interest.readable { libc::POLLIN } else { 0 }
                | if interest.writable { libc::POLLOUT } else { 0 },
            revents: 0,
        })
        .collect();
    let millis = timeout.map_or(-1, |t| i32::try_from(t.as_millis()).unwrap_or(i32::MAX));
    // SAFETY: `fds` is a valid array of `fds.len()` entries for the length of the call.
    let n = unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, millis) };
    if n < 0 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    for (interest, fd) in interests.iter_mut().zip(&fds) {
        let ended = fd.revents & (libc::POLLHUP | libc::POLLERR) != 0;
        interest.readable = interest.readable && (ended || fd.revents & libc::POLLIN != 0);
        interest.writable = interest.writable && (ended || fd.revents & libc::POLLOUT != 0);
    }
    Ok(())
}

/// Makes the kernel probe a silent TCP peer after `seconds`, so that a dead one is noticed within some 30 s more.
pub fn keep_alive(fd: BorrowedFd<'_>, seconds: i32) -> io::Result<()> {
    set_option(fd, libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1)?;
    set_option(fd, libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, seconds)?;
    set_option(fd, libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, (seconds / 3).max(1))?;
    set_option(fd, libc::IPPROTO_TCP, libc::TCP_KEEPCNT, 3)
}

fn set_option(fd: BorrowedFd<'_>, level: i32, name: i32, value: i32) -> io::Result<()> {
    // SAFETY: the pointer and length describe `value`, which lives through the call.
    let done = unsafe {
        libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const value).cast(), size_of::<i32>() as libc::socklen_t)
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A terminal whose local modes were changed; dropping this puts them back.
#[derive(Debug)]
pub struct TtyMode {
    fd: RawFd,
    before: libc::termios,
}

impl TtyMode {
    /// Clears `flags` (such as `ECHO` and `ICANON`) of standard input. `None` when that is no terminal.
    fn without(flags: libc::tcflag_t) -> Option<Self> {
        let fd = io::stdin().as_raw_fd();
        let mut mode = std::mem::MaybeUninit::<libc::termios>::uninit();
        // SAFETY: the pointer is valid for a write of a termios; it is read only when the call said it filled it.
        let before = unsafe {
            if libc::tcgetattr(fd, mode.as_mut_ptr()) != 0 {
                return None;
            }
            mode.assume_init()
        };
        let mut changed = before;
        changed.c_lflag &= !flags;
        // SAFETY: `changed` is an initialised termios, read during the call only.
        let done = unsafe { libc::tcsetattr(fd, libc::TCSANOW, &raw const changed) };
        (done == 0).then_some(Self { fd, before })
    }

    /// Every key can be read at once and is not shown.
    pub fn any_key() -> Option<Self> {
        Self::without(libc::ECHO | libc::ICANON)
    }

    /// What is typed is not shown; lines are read as usual.
    pub fn no_echo() -> Option<Self> {
        Self::without(libc::ECHO)
    }
}

impl Drop for TtyMode {
    fn drop(&mut self) {
        // SAFETY: `before` is the initialised termios that tcgetattr gave.
        unsafe { libc::tcsetattr(self.fd, libc::TCSANOW, &raw const self.before) };
    }
}

/// Set by ^C while a stream of messages is shown, or while a long loop runs.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// The socket whose stream ^C ends, or -1: then ^C ends the process.
static STREAM: AtomicI32 = AtomicI32::new(-1);

/// Whether ^C was pressed since the last call.
pub fn take_interrupt() -> bool {
    INTERRUPTED.swap(false, Ordering::SeqCst)
}

/// From now on ^C asks the running loop to stop ([`take_interrupt`] tells it) and a second one ends the process.
pub fn stop_loop_on_interrupt() {
    extern "C" fn handler(_: libc::c_int) {
        INTERRUPTED.store(true, Ordering::SeqCst);
    }
    install(handler, libc::SA_RESTART | libc::SA_RESETHAND);
}

/// From now on ^C ends the process with status 1, unless a [`StreamGuard`] lives: then it ends that stream.
pub fn end_stream_on_interrupt() {
    extern "C" fn handler(_: libc::c_int) {
        let fd = STREAM.load(Ordering::SeqCst);
        if fd < 0 {
            // SAFETY: `_exit` is async-signal-safe and ends the process without running anything of ours.
            unsafe { libc::_exit(1) };
        }
        INTERRUPTED.store(true, Ordering::SeqCst);
        // SAFETY: `shutdown` is async-signal-safe; the guard that stored `fd` keeps the socket open. A read under way then ends at once.
        unsafe { libc::shutdown(fd, libc::SHUT_RDWR) };
    }
    install(handler, libc::SA_RESTART);
}

fn install(handler: extern "C" fn(libc::c_int), flags: libc::c_int) {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: all zeroes is a valid sigaction (empty mask, no flags); the handlers above only use atomics and async-signal-safe calls.
    unsafe {
        let action = action.assume_init_mut();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = flags;
        libc::sigaction(libc::SIGINT, &raw const *action, std::ptr::null_mut());
    }
}

/// While this lives, ^C ends the stream of messages on one socket instead of the process. The socket must outlive it.
#[derive(Debug)]
pub struct StreamGuard(());

impl StreamGuard {
    /// Names the socket that ^C shuts down.
    pub fn new(fd: BorrowedFd<'_>) -> Self {
        STREAM.store(fd.as_raw_fd(), Ordering::SeqCst);
        Self(())
    }
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        STREAM.store(-1, Ordering::SeqCst);
    }
}
