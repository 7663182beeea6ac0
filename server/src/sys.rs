//! The few system calls that have no safe wrapper elsewhere: time zones, fork, memory figures.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::Ordering::{Acquire, Release};

/// A moment in local time.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct LocalTime {
    pub year: i32,
    /// 0 to 11.
    pub month: i32,
    pub day: i32,
    pub hour: i32,
    pub minute: i32,
    pub second: i32,
    /// Seconds east of Greenwich.
    pub offset: i64,
}

/// Splits a Unix time (seconds) by the machine's time zone.
pub fn local_time(unix: i64) -> LocalTime {
    // SAFETY: all-zero bytes are a valid `tm` (integers and a null pointer).
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live values of the right types; localtime_r keeps neither.
    unsafe { libc::localtime_r(&unix, &mut tm) };
    LocalTime {
        year: tm.tm_year + 1900,
        month: tm.tm_mon,
        day: tm.tm_mday,
        hour: tm.tm_hour,
        minute: tm.tm_min,
        second: tm.tm_sec,
        offset: tm.tm_gmtoff,
    }
}

/// Milliseconds of CLOCK_BOOTTIME: monotonic, and goes on while the machine is suspended.
pub fn boottime_ms() -> u64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    t.tv_sec as u64 * 1000 + t.tv_nsec as u64 / 1_000_000
}

/// Unix time in milliseconds.
pub fn unix_ms() -> i64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    t.tv_sec * 1000 + t.tv_nsec / 1_000_000
}

/// Unix time in microseconds.
pub fn unix_us() -> i64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    t.tv_sec * 1_000_000 + t.tv_nsec / 1000
}

/// The two sides of a fork.
pub enum Fork {
    /// In the parent: the child's process id.
    Parent(i32),
    /// In the child.
    Child,
}

/// Forks the process.
///
/// Only the calling thread lives on in the child. The child must therefore take no lock that another thread may have
/// held at that moment and must end with [`exit_now`]. The allocator is safe: jemalloc installs fork handlers; so is
/// the log, which the child silences or writes to only after the parent's data thread, the only one to log, forked.
///
/// # Errors
/// Those of `fork`, such as a lack of memory under strict overcommit.
pub fn fork() -> io::Result<Fork> {
    // SAFETY: the child obeys the rule above; fork itself has no precondition.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(pid)),
    }
}

/// Ends a forked child without running destructors or exit handlers, which belong to the parent.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit ends the process; nothing of it is used afterwards.
    unsafe { libc::_exit(code) }
}

/// Closes a descriptor in a forked child. The parent's stays open.
pub fn close_in_child(fd: BorrowedFd<'_>) {
    // SAFETY: its owner is a copy of the parent's that no code of the child uses, and that is never dropped: the child ends
    // with `exit_now`.
    unsafe { libc::close(fd.as_raw_fd()) };
}

/// Keeps huge pages out of this process where the kernel gives them to all: after a fork each write would copy a huge one.
pub fn refuse_huge_pages() {
    let given = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
    if given.contains("[always]") {
        // SAFETY: PR_SET_THP_DISABLE takes numbers and touches no memory.
        unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) };
    }
}

/// Has the kernel begin to bring a part of a file to the disk; with `wait`, ends when it is there. Says nothing of the file's size or name: that is for
/// `fsync`.
///
/// # Errors
/// Those of `sync_file_range`.
pub fn write_back(file: &std::fs::File, offset: u64, length: u64, wait: bool) -> io::Result<()> {
    let all = libc::SYNC_FILE_RANGE_WAIT_BEFORE | libc::SYNC_FILE_RANGE_WRITE | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    let flags = if wait { all } else { libc::SYNC_FILE_RANGE_WRITE };
    let (offset, length) = (offset as libc::off64_t, length as libc::off64_t);
    // SAFETY: the descriptor is open while `file` lives, and no memory is touched.
    match unsafe { libc::sync_file_range(file.as_raw_fd(), offset, length, flags) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Asks the kernel to kill this process when its parent dies.
pub fn die_with_parent() {
    // SAFETY: PR_SET_PDEATHSIG takes a signal number and touches no memory.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
}

/// Detaches from the terminal: the parent exits, the child goes on in a session of its own with its standard streams
/// on /dev/null.
///
/// # Errors
/// Those of `fork` and `open`.
pub fn daemonize() -> io::Result<()> {
    match fork()? {
        Fork::Parent(_) => exit_now(0),
        Fork::Child => {}
    }
    rustix::process::setsid()?;
    let null = std::fs::File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}

/// CPU seconds used: (user, system) of this process and (user, system) of its reaped children.
pub fn cpu_seconds() -> [(f64, f64); 2] {
    [libc::RUSAGE_SELF, libc::RUSAGE_CHILDREN].map(usage)
}

/// CPU seconds used by the calling thread: (user, system).
pub fn thread_cpu_seconds() -> (f64, f64) {
    usage(libc::RUSAGE_THREAD)
}

fn usage(who: i32) -> (f64, f64) {
    // SAFETY: all-zero bytes are a valid `rusage`.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live `rusage`.
    unsafe { libc::getrusage(who, &mut usage) };
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
    (seconds(usage.ru_utime), seconds(usage.ru_stime))
}

/// Resident memory in bytes, from /proc; 0 where that can't be read.
pub fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
    pages * rustix::param::page_size() as u64
}

/// Memory of the machine in bytes.
pub fn total_memory() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram as u64 * u64::from(info.mem_unit)
}

/// Raises the limit of open files to `wanted`, or as near as is allowed; returns the limit reached.
pub fn raise_file_limit(wanted: u64) -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Nofile);
    let current = now.current.unwrap_or(u64::MAX);
    if current >= wanted {
        return current;
    }
    let reachable = wanted.min(now.maximum.unwrap_or(u64::MAX));
    match setrlimit(Resource::Nofile, Rlimit { current: Some(reachable), maximum: now.maximum }) {
        Ok(()) => reachable,
        Err(_) => current,
    }
}

/// Fills `buffer` from the kernel's random source.
pub fn random_bytes(buffer: &mut [u8]) {
    let mut filled = 0;
    while filled < buffer.len() {
        match rustix::rand::getrandom(&mut buffer[filled..], rustix::rand::GetRandomFlags::empty()) {
            Ok(n) => filled += n,
            Err(rustix::io::Errno::INTR) => {}
            // There is no system without it since Linux 3.17; a weaker source would be a silent lie.
            Err(e) => panic!("getrandom: {e}"),
        }
    }
}

/// 40 random hexadecimal digits: run ids and replication ids.
pub fn random_hex40() -> [u8; 40] {
    let mut raw = [0u8; 20];
    random_bytes(&mut raw);
    let mut out = [0u8; 40];
    for (i, byte) in raw.iter().enumerate() {
        out[2 * i] = b"0123456789abcdef"[usize::from(byte >> 4)];
        out[2 * i + 1] = b"0123456789abcdef"[usize::from(byte & 15)];
    }
    out
}

/// Has the end of a terminal, and what tells other daemons to read their configuration again, end nothing.
pub fn ignore_hangups() {
    // SAFETY: no handler is installed.
    unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) };
}

/// The file that is lost with the work that SIGINT ends at once; null while it ends nothing.
static UNFINISHED: AtomicPtr<CString> = AtomicPtr::new(std::ptr::null_mut());

/// Does something long during which SIGINT ends the program at once, and the unfinished file at `path` with it.
pub fn interruptible<T>(path: &Path, work: impl FnOnce() -> T) -> T {
    /// The pointer goes before what it points to, also when the work panics.
    struct Forget;
    impl Drop for Forget {
        fn drop(&mut self) {
            UNFINISHED.store(std::ptr::null_mut(), Release);
        }
    }
    let mut path = CString::new(path.as_os_str().as_bytes()).unwrap_or_default();
    let _forget = Forget;
    UNFINISHED.store(&mut path, Release);
    work()
}

/// Has SIGINT end what is [`interruptible`].
///
/// # Errors
/// Those of the system.
pub fn end_on_insistence() -> io::Result<()> {
    let act = || {
        let path = UNFINISHED.load(Acquire);
        if path.is_null() {
            return;
        }
        let told = b"You insist... exiting now.\n";
        // SAFETY: the path lives as long as the pointer is set, and the handler runs in between; write(2), unlink(2) and _exit(2)
        // may be called in a handler.
        unsafe {
            libc::write(crate::log::descriptor(), told.as_ptr().cast(), told.len());
            libc::unlink((*path).as_ptr());
            libc::_exit(1);
        }
    };
    // SAFETY: the action does only what a handler may do.
    unsafe { signal_hook::low_level::register(libc::SIGINT, act) }.map(|_| ())
}

/// In a forked child: signals act as if nobody had ever handled them, but for SIGINT, which a terminal sends to the
/// whole group and which is the parent's business.
pub fn default_signals() {
    for (signal, action) in [
        (libc::SIGTERM, libc::SIG_DFL),
        (libc::SIGUSR1, libc::SIG_DFL),
        (libc::SIGCHLD, libc::SIG_DFL),
        (libc::SIGINT, libc::SIG_IGN),
    ] {
        // SAFETY: SIG_DFL and SIG_IGN are valid actions for these signals; no handler of ours is referenced.
        unsafe { libc::signal(signal, action) };
    }
}

/// Takes the end of a child, if one ended: its process id, and its exit code or the signal that killed it.
pub fn reap_child() -> Option<(i32, Result<i32, i32>)> {
    use rustix::process::{WaitOptions, wait};
    let (pid, status) = wait(WaitOptions::NOHANG).ok()??;
    let end = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Ok(code),
        (None, Some(signal)) => Err(signal),
        (None, None) => return None,
    };
    Some((pid.as_raw_nonzero().get(), end))
}

/// Waits for the end of a child that has been killed.
pub fn wait_for_child(pid: i32) {
    use rustix::process::{Pid, WaitOptions, waitpid};
    while matches!(waitpid(Pid::from_raw(pid), WaitOptions::empty()), Err(rustix::io::Errno::INTR)) {}
}

/// Kills a process.
pub fn kill(pid: i32, signal: i32) {
    // SAFETY: kill touches no memory.
    unsafe { libc::kill(pid, signal) };
}
