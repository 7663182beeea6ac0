//! A large file that reaches the disk as it is written, and not all at its end, when everybody else on the machine would wait for it.

use std::fs::File;
use std::io::{self, Write};

use libc::{EINVAL, ENOSYS, EOPNOTSUPP, ESPIPE};

use crate::sys;

/// So many bytes at a time, as Valkey does.
const PIECE: u64 = 4 << 20;

/// A file that is written from its beginning.
pub struct Gradual<'a> {
    file: &'a mut File,
    /// Whether the kernel is told to write it back early.
    early: bool,
    written: u64,
    /// What it was told of.
    begun: u64,
}

impl<'a> Gradual<'a> {
    /// Writes to an empty file; `early`: with its disk in mind.
    pub fn new(file: &'a mut File, early: bool) -> Self {
        Self { file, early, written: 0, begun: 0 }
    }
}

impl Gradual<'_> {
    /// Has what was written since the last time begin its way to the disk. No more than two pieces are ever on it. An error of the disk is told here
    /// once, and by no `fsync` after it.
    fn write_back(&mut self) -> io::Result<()> {
        let before = self.begun;
        self.begun = self.written;
        sys::write_back(self.file, before, self.written - before, false)?;
        match before.checked_sub(PIECE) {
            Some(last) => sys::write_back(self.file, last, PIECE, true),
            None => Ok(()),
        }
    }
}

impl Write for Gradual<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.written += n as u64;
        if self.early && self.written - self.begun >= PIECE {
            match self.write_back() {
                // A file system that knows no such thing gets all of it at the end.
                Err(e) if matches!(e.raw_os_error(), Some(ENOSYS | EINVAL | ESPIPE | EOPNOTSUPP)) => self.early = false,
                done => done?,
            }
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
