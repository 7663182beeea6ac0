//! The handlers of signals that the program cannot survive, and what they do in the process that failed.
//!
//! All that runs here, but in the children, may run in a signal handler: system calls, memory of its own stack, and atomics. Which is why
//! `unsafe` is here and in `pen` alone.

use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering::Relaxed};

use super::pen::{heading, tell};
use super::report::{self, ADDRESSES, PARTS, Part, STACK, Scene};
use super::{CALL, ENABLED, EXIT_ON_PANIC, OWNER, PIDFILE, SERVER, registers};

/// The signals by which the program fails.
const FATAL: [(libc::c_int, &str); 5] = [
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGABRT, "SIGABRT"),
];

/// Milliseconds that a child may do nothing, and that it may calculate: it waits for a lock that nobody will open, or goes round in what
/// is broken. On a busy machine a child that gets on takes as long as it takes.
const IDLE: i64 = 2000;
const CALCULATING: i64 = 3000;
/// Children that may be waited for in vain: the next would fare no better.
const IN_VAIN: u32 = 2;

/// Room for a handler, and for a child that puts names to a stack: the usual room of a few KB is too small.
const STACK_BYTES: usize = 1 << 20;

/// The thread that reports; 0 while none does.
static REPORTER: AtomicI32 = AtomicI32::new(0);
/// This is a child that writes a part.
static IN_CHILD: AtomicBool = AtomicBool::new(false);

type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

fn handle(signal: libc::c_int, handler: Handler, flags: libc::c_int) {
    // SAFETY: all-zero bytes are a valid `sigaction`.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | flags;
    // SAFETY: the handler has the type that goes with SA_SIGINFO, and calls only what a handler may call. All signals wait
    // for its end: a second fault meanwhile finds its signal blocked, and the kernel ends the process.
    unsafe {
        libc::sigfillset(&mut action.sa_mask);
        libc::sigaction(signal, &action, ptr::null_mut());
    }
}

/// Catches the signals by which the program fails.
pub fn install() {
    for (signal, _) in FATAL {
        handle(signal, on_fatal_signal, 0);
    }
}

/// Has the log tell where the program is when SIGALRM comes, which ends nothing.
pub fn install_alarm() {
    handle(libc::SIGALRM, on_alarm, libc::SA_RESTART);
}

/// Lets these signals end the program at once again.
pub fn remove() {
    for (signal, _) in FATAL {
        // SAFETY: no handler is installed.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Gives the calling thread, which lives as long as the process, a stack of its own for handlers: they also run when the usual one is full.
pub fn guard_thread() {
    let page = rustix::param::page_size();
    // SAFETY: new memory, which nothing else refers to and which is never unmapped. Its lowest page stays out of bounds, so that
    // even this stack cannot run into other memory. The thread that had another stack for handlers is not in a handler.
    unsafe {
        let (any, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        let memory = libc::mmap(ptr::null_mut(), STACK_BYTES, any, flags | libc::MAP_NORESERVE, -1, 0);
        if memory == libc::MAP_FAILED {
            return;
        }
        libc::mprotect(memory, page, libc::PROT_NONE);
        let stack = libc::stack_t { ss_sp: memory.byte_add(page), ss_flags: 0, ss_size: STACK_BYTES - page };
        libc::sigaltstack(&stack, ptr::null_mut());
    }
}

/// Writes where nobody may: SIGSEGV, as DEBUG SEGFAULT asks for.
pub fn fault() {
    // SAFETY: a page of its own, which nothing refers to; that it cannot be written to is the purpose, and the processor's to tell.
    unsafe {
        let memory = libc::mmap(ptr::null_mut(), 4096, libc::PROT_READ, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0);
        memory.cast::<u8>().write_volatile(b'x');
    }
}

extern "C" fn on_fatal_signal(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    be_the_only_reporter();
    leave_the_network();
    // SAFETY: the kernel passes both for the time of the handler.
    let (info, context) = unsafe { (&*info, &*context.cast::<libc::ucontext_t>()) };
    let registers = registers::of(context);
    begin();
    let name = FATAL.iter().find(|(known, _)| *known == signal).map_or("?", |(_, name)| name);
    tell!(
        "valkey {} (valkey-repl {}) crashed by signal: {signal} ({name}), si_code: {}",
        crate::server::VALKEY_VERSION,
        env!("CARGO_PKG_VERSION"),
        info.si_code
    );
    if info.si_code <= 0 {
        // SAFETY: with such a code, the sender's fields are the ones that are set.
        let (pid, uid) = unsafe { (info.si_pid(), info.si_uid()) };
        tell!("Killed by PID: {pid}, UID: {uid}");
    } else {
        // SAFETY: with such a code, the address is what is set.
        tell!("Accessing address: {:p}", unsafe { info.si_addr() });
    }
    if let Some((_, at)) = registers.first() {
        tell!("Crashed running the instruction at: {at:#x}");
    }
    let mut left = IN_VAIN;
    stack(&mut left);
    heading!("\n------ REGISTERS ------");
    for four in registers.chunks(4) {
        let mut pen = super::pen::Pen::new();
        for (name, value) in four {
            let _ = std::fmt::Write::write_fmt(&mut pen, format_args!("{name}:{value:016x} "));
        }
        let _ = std::fmt::Write::write_str(&mut pen, "\n");
    }
    parts(&mut left);
    end();
    end_by(signal)
}

/// The end after a panic: not in a handler, but nothing is known of what is locked or broken.
pub fn end_after_panic(told: &str) -> ! {
    be_the_only_reporter();
    leave_the_network();
    let enabled = ENABLED.load(Relaxed);
    if enabled {
        begin();
    }
    heading!("------------------------------------------------");
    tell!("!!! Software Failure. Press left mouse button to continue");
    tell!("Guru Meditation: {told}");
    heading!("------------------------------------------------");
    if enabled {
        let mut left = IN_VAIN;
        stack(&mut left);
        parts(&mut left);
        end();
    }
    remove_pidfile();
    if EXIT_ON_PANIC.load(Relaxed) {
        crate::sys::exit_now(1)
    }
    end_by(libc::SIGABRT)
}

extern "C" fn on_alarm(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: errno is the calling thread's own; what was interrupted finds it as it was.
    let errno = unsafe { *libc::__errno_location() };
    tell!("Received SIGALRM");
    stack(&mut { IN_VAIN });
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

/// One report is enough: a thread that fails during another one's waits for the end of the process, and a report that fails is over.
fn be_the_only_reporter() {
    if IN_CHILD.load(Relaxed) {
        crate::sys::exit_now(1)
    }
    // SAFETY: it may be called in a handler.
    let me = unsafe { libc::gettid() };
    match REPORTER.compare_exchange(0, me, Relaxed, Relaxed) {
        Ok(_) => {}
        Err(other) if other == me => end_by(libc::SIGABRT),
        Err(_) => loop {
            // SAFETY: it may be called in a handler.
            unsafe { libc::pause() };
        },
    }
}

fn begin() {
    heading!("\n\n=== VALKEY BUG REPORT START: Cut & paste starting from here ===");
}

fn end() {
    heading!(
        "\n=== VALKEY BUG REPORT END. Make sure to include from START to END. ===\n\n       Please report the crash by opening an issue:\n\n           {}/issues\n\n  Suspect RAM error? Use valkey-server --test-memory to verify it.\n\n  Some other issues could be detected by valkey-server --check-system",
        env!("CARGO_PKG_REPOSITORY")
    );
}

fn stack(left: &mut u32) {
    if !part(STACK, left) {
        part(ADDRESSES, &mut 1);
    }
    heading!("\n------ STACK TRACE DONE ------");
}

fn parts(left: &mut u32) {
    for one in PARTS {
        part(one, left);
    }
}

/// Has a child write a part, unless too many were waited for in vain. Whether it could.
fn part(part: Part, left: &mut u32) -> bool {
    if *left == 0 {
        return false;
    }
    heading!("\n------ {} ------", part.0);
    // SAFETY: a copy of the process with this thread only, which shares no memory with it and sends no signal at its end; all other arguments
    // are unused. fork(3) would wait for locks of the allocator.
    let written = match unsafe { libc::syscall(libc::SYS_clone, 0, 0, 0, 0, 0) } {
        0 => {
            in_child(part);
            crate::sys::exit_now(0)
        }
        pid => pid > 0 && ends_well(pid as libc::pid_t),
    };
    if !written {
        tell!("This part could not be written.");
        *left -= 1;
    }
    written
}

/// Closes all but the standard streams and the log. Files lose nothing: what was written is the kernel's. Other threads find their
/// descriptors gone, and do no harm without them.
fn leave_the_network() {
    let log = crate::log::descriptor() as libc::c_uint;
    // SAFETY: no destructor of an owner of these descriptors runs: the process ends without any. The calls touch no memory.
    unsafe {
        if log > 3 {
            libc::syscall(libc::SYS_close_range, 3, log - 1, 0);
        }
        libc::syscall(libc::SYS_close_range, (log + 1).max(3), libc::c_uint::MAX, 0);
    }
}

/// In the child: a fault ends it, and so does the end of its parent.
fn in_child(part: Part) {
    IN_CHILD.store(true, Relaxed);
    remove();
    // SAFETY: the call touches no memory.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    // SAFETY: a pointer that is set points to what lived when the process failed, and nothing of it goes in this copy, in which no other
    // code runs. It may be halfway through a change; what is read then may be wrong, or another fault, which ends this child.
    let (server, call) = unsafe { (SERVER.load(Relaxed).as_ref(), CALL.load(Relaxed).as_ref()) };
    report::write(part, &Scene { server, call });
}

/// Waits for a child's end; one that gets nowhere is killed. Whether it ended well.
fn ends_well(pid: libc::pid_t) -> bool {
    let (mut calculated, mut since) = (0, now_ms());
    let mut status = 0;
    loop {
        // SAFETY: `status` is live; `__WALL` is for children that send no signal at their end.
        let ended = unsafe { libc::waitpid(pid, &mut status, libc::WNOHANG | libc::__WALL) };
        if ended == pid {
            return status == 0;
        }
        let now = cpu_time(pid);
        if now > calculated {
            (calculated, since) = (now, now_ms());
        }
        if ended < 0 || now_ms() - since >= IDLE || calculated / 1_000_000 >= CALCULATING {
            // SAFETY: as above, and the child is not yet reaped: the number is nobody else's.
            unsafe {
                libc::kill(pid, libc::SIGKILL);
                libc::waitpid(pid, &mut status, libc::__WALL);
            }
            return false;
        }
        let pause = libc::timespec { tv_sec: 0, tv_nsec: 1_000_000 };
        // SAFETY: `pause` is live.
        unsafe { libc::nanosleep(&pause, ptr::null_mut()) };
    }
}

/// Nanoseconds that a child has calculated for.
fn cpu_time(pid: libc::pid_t) -> i64 {
    let mut clock = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: both are live; the calls are system calls and nothing else.
    let known =
        unsafe { libc::clock_getcpuclockid(pid, &mut clock) == 0 && libc::clock_gettime(clock, &mut time) == 0 };
    if known { time.tv_sec * 1_000_000_000 + time.tv_nsec } else { 0 }
}

fn now_ms() -> i64 {
    crate::sys::boottime_ms() as i64
}

/// A child of the server leaves the file alone.
fn remove_pidfile() {
    let path = PIDFILE.load(Relaxed);
    // SAFETY: the path is a string that is never freed; both calls may be made in a handler.
    unsafe {
        if !path.is_null() && libc::getpid() == OWNER.load(Relaxed) {
            libc::unlink(path);
        }
    }
}

/// Ends the process by this signal, so that whoever started it sees which, and has a core file if the system makes any.
fn end_by(signal: libc::c_int) -> ! {
    remove_pidfile();
    // SAFETY: all may be called in a handler; the set is live, and made before it is used.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        let mut only: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut only);
        libc::sigaddset(&mut only, signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &only, ptr::null_mut());
        libc::kill(libc::getpid(), signal);
    }
    // The first process of a container has no signal end it that it sends itself: the code is what a shell makes of the signal.
    crate::sys::exit_now(128 + signal)
}
