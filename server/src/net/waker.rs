//! Messages from background threads to the event loop.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use rustix::event::EventfdFlags;

/// The receiving end, owned by the data thread.
#[derive(Debug)]
pub struct Mailbox<T> {
    fd: Arc<OwnedFd>,
    sender: Sender<T>,
    receiver: Receiver<T>,
}

/// A sending end, for a background thread.
#[derive(Debug)]
pub struct Postbox<T> {
    fd: Arc<OwnedFd>,
    sender: Sender<T>,
}

impl<T> Clone for Postbox<T> {
    fn clone(&self) -> Self {
        Postbox { fd: self.fd.clone(), sender: self.sender.clone() }
    }
}

impl<T> Mailbox<T> {
    /// # Errors
    /// When the process is out of file descriptors.
    pub fn new() -> io::Result<Self> {
        let fd = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let (sender, receiver) = channel();
        Ok(Mailbox { fd: Arc::new(fd), sender, receiver })
    }

    /// Another sending end.
    pub fn postbox(&self) -> Postbox<T> {
        Postbox { fd: self.fd.clone(), sender: self.sender.clone() }
    }

    /// Everything that has arrived.
    pub fn take(&self) -> Vec<T> {
        let mut count = [0u8; 8];
        let _ = rustix::io::read(&*self.fd, &mut count);
        self.receiver.try_iter().collect()
    }
}

impl<T> Postbox<T> {
    /// Sends a message and wakes the loop. When the server is gone there is nobody to tell.
    pub fn post(&self, message: T) {
        let _ = self.sender.send(message);
        let _ = rustix::io::write(&*self.fd, &1u64.to_ne_bytes());
    }
}

impl<T> AsFd for Mailbox<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
