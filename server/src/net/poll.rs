//! Readiness from the kernel: a thin, level-triggered view of epoll.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::epoll;

/// Who an event is for. Packed into epoll's 64 bits of user data: the kind above, the index below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// A listening socket, by its number.
    Listener(u32),
    /// A client, by its slot.
    Client(u32),
    /// The pipe that signal handlers write to.
    Signal,
    /// Background threads have something to say.
    Waker,
    /// The pipe on which a forked child reports.
    Child,
    /// The pipe on which a child sends a snapshot for replicas.
    Snapshot,
    /// The connection to the primary, before it is a client.
    PrimaryLink,
    /// The connection that carries the primary's stream while the snapshot comes over another.
    MainChannel,
    /// An HTTP connection to `metrics-port`, by its slot.
    Metrics(u32),
}

impl Token {
    fn pack(self) -> u64 {
        let (kind, index) = match self {
            Token::Listener(i) => (0u64, i),
            Token::Client(i) => (1, i),
            Token::Signal => (2, 0),
            Token::Waker => (3, 0),
            Token::Child => (4, 0),
            Token::Snapshot => (5, 0),
            Token::PrimaryLink => (6, 0),
            Token::Metrics(i) => (7, i),
            Token::MainChannel => (8, 0),
        };
        kind << 32 | u64::from(index)
    }

    fn unpack(data: u64) -> Self {
        let index = data as u32;
        match data >> 32 {
            0 => Token::Listener(index),
            1 => Token::Client(index),
            2 => Token::Signal,
            3 => Token::Waker,
            4 => Token::Child,
            5 => Token::Snapshot,
            6 => Token::PrimaryLink,
            8 => Token::MainChannel,
            _ => Token::Metrics(index),
        }
    }
}

/// What to be told about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Bytes to read, or the peer's end.
    Read,
    /// Room to write.
    Write,
    /// Both.
    ReadWrite,
    /// Only errors and hang-ups, which the kernel always tells.
    None,
}

impl Interest {
    fn flags(self) -> epoll::EventFlags {
        match self {
            Interest::Read => epoll::EventFlags::IN,
            Interest::Write => epoll::EventFlags::OUT,
            Interest::ReadWrite => epoll::EventFlags::IN | epoll::EventFlags::OUT,
            Interest::None => epoll::EventFlags::empty(),
        }
    }
}

/// What became possible.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// Who it is for.
    pub token: Token,
    /// Reading will not block (it may say that the peer is gone).
    pub readable: bool,
    /// Writing will not block (it may say that the peer is gone).
    pub writable: bool,
}

/// An epoll instance and room for what it returns.
pub struct Poll {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

impl Poll {
    /// # Errors
    /// When the process is out of file descriptors.
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Poll { epoll, events: Vec::with_capacity(1024) })
    }

    /// Starts watching `fd`.
    ///
    /// # Errors
    /// Those of `epoll_ctl`.
    pub fn add(&self, fd: impl AsFd, token: Token, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, fd, epoll::EventData::new_u64(token.pack()), interest.flags())?)
    }

    /// Changes what a watched `fd` is watched for.
    ///
    /// # Errors
    /// Those of `epoll_ctl`.
    pub fn modify(&self, fd: impl AsFd, token: Token, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, fd, epoll::EventData::new_u64(token.pack()), interest.flags())?)
    }

    /// Stops watching `fd`; closing the last descriptor of a file does so too.
    pub fn remove(&self, fd: impl AsFd) {
        // The only failure is that it was not watched, which is what the caller wants.
        let _ = epoll::delete(&self.epoll, fd);
    }

    /// Waits for events, `timeout` at most; an interruption by a signal returns none. `out` is cleared first.
    ///
    /// # Errors
    /// Those of `epoll_wait`.
    pub fn wait(&mut self, timeout: Duration, out: &mut Vec<Event>) -> io::Result<()> {
        out.clear();
        self.events.clear();
        // Rounded up by the kernel's clock tick; below a millisecond epoll_pwait2 keeps the precision.
        let timeout = rustix::event::Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.events), Some(&timeout)) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(()),
            Err(e) => return Err(e.into()),
        }
        let ended = epoll::EventFlags::ERR | epoll::EventFlags::HUP;
        out.extend(self.events.iter().map(|e| {
            let flags = e.flags;
            Event {
                token: Token::unpack(e.data.u64()),
                readable: flags.intersects(epoll::EventFlags::IN | ended),
                writable: flags.intersects(epoll::EventFlags::OUT | ended),
            }
        }));
        Ok(())
    }
}
