//! A large file that reaches the disk as it is written, and not all at its end, when everybody else on the machine would wait for it.

use std::fs::File;
use std::io::{self, Write};

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

impl Write for Gradual<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.written += n as u64;
        if self.early && self.written - self.begun >= PIECE {
            let before = self.begun;
            sys::write_back(self.file, before, self.written - before, false)?;
            // The piece before has had time: no more than two are ever on their way.
            if let Some(last) = before.checked_sub(PIECE) {
                sys::write_back(self.file, last, PIECE, true)?;
            }
            self.begun = self.written;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
