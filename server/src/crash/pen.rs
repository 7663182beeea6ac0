//! Text for the log, written with neither the heap nor a lock.

use std::fmt;

/// Gathers a line and writes it.
pub struct Pen {
    fd: libc::c_int,
    line: [u8; 256],
    len: usize,
}

impl Pen {
    /// Writes to the log.
    pub fn new() -> Self {
        Pen { fd: crate::log::descriptor(), line: [0; 256], len: 0 }
    }

    /// Begins a line as those of a signal handler begin: local time is not to be had in one.
    pub fn prefix(&mut self) {
        // SAFETY: both may be called in a handler, and neither keeps a pointer.
        let (pid, now) = unsafe { (libc::getpid(), libc::time(std::ptr::null_mut())) };
        let _ = fmt::Write::write_fmt(self, format_args!("{pid}:signal-handler ({now}) "));
    }

    /// Writes what was gathered.
    pub fn flush(&mut self) {
        write(self.fd, &self.line[..self.len]);
        self.len = 0;
    }
}

impl fmt::Write for Pen {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if self.len == self.line.len() {
                self.flush();
            }
            self.line[self.len] = byte;
            self.len += 1;
        }
        Ok(())
    }
}

impl Drop for Pen {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Writes all bytes, as far as the file takes them.
pub fn write(fd: libc::c_int, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // SAFETY: the pointer and the length are those of a live slice; write(2) may be called in a handler.
        let n = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
        match usize::try_from(n) {
            Ok(n) if n > 0 => bytes = &bytes[n.min(bytes.len())..],
            // SAFETY: errno is the calling thread's own.
            _ if unsafe { *libc::__errno_location() } == libc::EINTR => {}
            _ => return,
        }
    }
}

/// Writes lines in a signal handler, the first of them with its prefix: `tell!("crashed by signal {}", 11)`.
macro_rules! tell {
    ($($arg:tt)*) => {{
        let mut pen = $crate::crash::pen::Pen::new();
        pen.prefix();
        let _ = std::fmt::Write::write_fmt(&mut pen, format_args!($($arg)*));
        let _ = std::fmt::Write::write_str(&mut pen, "\n");
    }};
}

/// The same without a prefix: headings.
macro_rules! heading {
    ($($arg:tt)*) => {{
        let mut pen = $crate::crash::pen::Pen::new();
        let _ = std::fmt::Write::write_fmt(&mut pen, format_args!($($arg)*));
        let _ = std::fmt::Write::write_str(&mut pen, "\n");
    }};
}
pub(super) use {heading, tell};
