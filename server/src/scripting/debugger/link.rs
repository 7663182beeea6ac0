//! The line to the client of a session: commands in, lists of status lines out. Waiting, as nothing else is to do.

use std::io::{self, ErrorKind};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::net::Stream;
use crate::resp::argv::encode_header;
use crate::resp::request::Limits;
use crate::resp::{OwnedArgv, QueryBuf};

/// How long a client may take none of what it is sent.
const PATIENCE: Duration = Duration::from_secs(5);
/// What a client may send before a command is complete.
const MOST_INPUT: usize = 1 << 20;
/// Bytes of a value that are shown, unless told otherwise.
const SHOWN: usize = 256;
/// The least that can be asked for.
const SHOWN_AT_LEAST: usize = 60;

/// What comes in.
pub enum Input {
    /// A command.
    Command(OwnedArgv),
    /// The client is gone.
    Gone,
    /// It sends what is no command.
    Broken(&'static str),
}

/// See the module's documentation.
pub struct Link {
    stream: Stream,
    input: QueryBuf,
    lines: Vec<Vec<u8>>,
    shown: usize,
    /// The client knows that values can be shown in full.
    hinted: bool,
}

impl Link {
    pub fn new(stream: Stream) -> Self {
        Link { stream, input: QueryBuf::default(), lines: Vec::new(), shown: SHOWN, hinted: false }
    }

    /// Bytes of a value that are shown; 0: all.
    pub fn shown(&self) -> usize {
        self.shown
    }

    /// Sets how many bytes of a value are shown. Returns how many it comes to.
    pub fn show(&mut self, bytes: usize) -> usize {
        self.hinted = true;
        self.shown = if bytes == 0 { 0 } else { bytes.max(SHOWN_AT_LEAST) };
        self.shown
    }

    /// Adds a line to the next answer.
    pub fn line(&mut self, line: impl Into<Vec<u8>>) {
        self.lines.push(line.into());
    }

    /// Adds a line with a value in it, which may be long.
    pub fn value(&mut self, mut line: Vec<u8>) {
        let cut = self.shown > 0 && line.len() > self.shown;
        if cut {
            line.truncate(self.shown);
            line.extend_from_slice(b" ...");
        }
        self.line(line);
        if cut && !self.hinted {
            self.hinted = true;
            self.line("<hint> The above reply was trimmed. Use 'maxlen 0' to disable trimming.");
        }
    }

    /// Sends the answer. Whoever does not take it is found gone at the next read.
    pub fn answer(&mut self) {
        let mut out = Vec::new();
        encode_header(&mut out, b'*', self.lines.len());
        for mut line in self.lines.drain(..) {
            line.iter_mut().filter(|c| matches!(**c, b'\r' | b'\n')).for_each(|c| *c = b' ');
            out.push(b'+');
            out.extend_from_slice(&line);
            out.extend_from_slice(b"\r\n");
        }
        self.send(&out);
    }

    /// Sends bytes as they are.
    pub fn send(&self, mut bytes: &[u8]) {
        let sent: io::Result<()> = (|| {
            while !bytes.is_empty() || self.stream.wants_write() {
                match self.stream.write(bytes) {
                    Ok(n) => bytes = &bytes[n..],
                    Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                    Err(e) => return Err(e),
                }
                self.stream.send_taken()?;
                if (!bytes.is_empty() || self.stream.wants_write()) && !self.wait(PollFlags::OUT, Some(PATIENCE))? {
                    return Err(ErrorKind::TimedOut.into());
                }
            }
            Ok(())
        })();
        if let Err(error) = sent {
            crate::log_verbose!("Writing to the client of a debugging session: {error}");
        }
    }

    /// Waits for the next command.
    pub fn next(&mut self) -> Input {
        let limits = Limits { bulk: MOST_INPUT, authenticated: true };
        loop {
            match self.input.parse(limits) {
                Err(_) => return Input::Broken("ERR protocol error"),
                Ok(0) => {}
                Ok(_) => {
                    let argv = self.input.current().map(|argv| argv.to_owned());
                    self.input.advance();
                    match argv {
                        Some(argv) if !argv.argv().is_empty() => return Input::Command(argv),
                        _ => continue,
                    }
                }
            }
            if self.input.len() > MOST_INPUT {
                return Input::Broken("ERR max client buffer reached");
            }
            if !self.read().is_ok_and(|more| more) {
                return Input::Gone;
            }
        }
    }

    /// Reads what is there, or waits for it; false at the end.
    fn read(&mut self) -> io::Result<bool> {
        let mut bytes = [0; 4096];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return Ok(false),
                Ok(n) => {
                    self.input.push(&bytes[..n]);
                    return Ok(true);
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    self.wait(PollFlags::IN, None)?;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Waits until the socket is ready; false when that takes too long.
    fn wait(&self, what: PollFlags, patience: Option<Duration>) -> io::Result<bool> {
        let timeout = patience.map(|patience| Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: 0 });
        loop {
            match poll(&mut [PollFd::new(&self.stream, what)], timeout.as_ref()) {
                Err(rustix::io::Errno::INTR) => {}
                other => return Ok(other? > 0),
            }
        }
    }
}
