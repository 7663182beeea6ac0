//! One writer to several sockets: a child that sends a snapshot to replicas itself.

use std::io::{self, Write};
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{SendFlags, send};

use super::child::Reporter;

/// The sockets; one that fails is left out, and only the last one's failure is the writer's.
#[derive(Debug)]
pub struct Fan<'a> {
    sockets: Vec<OwnedFd>,
    /// Seconds without room at a socket after which it is given up.
    patience: u32,
    reporter: &'a Reporter,
}

impl<'a> Fan<'a> {
    /// A writer to all of these.
    pub fn new(sockets: Vec<OwnedFd>, patience: u32, reporter: &'a Reporter) -> Self {
        Fan { sockets, patience, reporter }
    }
}

impl Write for Fan<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut last = None;
        self.sockets.retain(|socket| match send_all(socket, bytes, self.patience) {
            Ok(()) => true,
            Err(e) => {
                crate::log_warning!("Diskless rdb transfer, write error sending DB to replica: {e}");
                last = Some(e);
                false
            }
        });
        match last {
            Some(e) if self.sockets.is_empty() => Err(e),
            _ => {
                self.reporter.sent(bytes.len() * self.sockets.len());
                Ok(bytes.len())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The sockets do not block, as they are the server's too: waits for room by itself.
fn send_all(socket: &OwnedFd, mut bytes: &[u8], patience: u32) -> io::Result<()> {
    let timeout = Timespec { tv_sec: i64::from(patience), tv_nsec: 0 };
    while !bytes.is_empty() {
        match send(socket, bytes, SendFlags::NOSIGNAL) {
            Ok(n) => bytes = &bytes[n..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => match poll(&mut [PollFd::new(socket, PollFlags::OUT)], Some(&timeout)) {
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                Ok(_) | Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            },
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}
