//! `--pipe`: sends the protocol that comes from standard input as fast as the server takes it, and counts the answers.

use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::super::connection::{Connection, Failure, reason};
use super::super::reply::Reply;
use super::super::session::Session;
use super::super::stop::{Stop, print};
use super::super::sys::{self, Interest};

/// Answers counted so far.
#[derive(Default)]
struct Count {
    replies: u64,
    errors: u64,
    /// The answer to the last command, which is ours, has come.
    done: bool,
}

/// Sends everything and waits for the last answer, which is known by an ECHO of a random text behind the input.
///
/// # Errors
/// When the connection is lost, or an answer was an error, or none came for the time that the user set.
pub fn run(session: &mut Session) -> Result<(), Stop> {
    let timeout = Some(Duration::from_secs(session.options.pipe_timeout)).filter(|timeout| !timeout.is_zero());
    let connection = session.connection()?;
    connection.set_nonblocking().map_err(Failure::Io)?;
    let stdin = io::stdin();
    let mut input = io::stdin().lock();
    let mut out = Pending::default();
    let magic = magic();
    let mut at_end = false;
    let mut count = Count::default();
    let mut last_read = Instant::now();
    while !count.done {
        let (mut server_ready, mut input_ready) = (Interest::read(connection.as_fd()), Interest::read(stdin.as_fd()));
        server_ready.writable = !out.is_empty() || connection.has_unsent();
        input_ready.readable = out.is_empty() && !at_end;
        let mut ready = [server_ready, input_ready];
        sys::poll(&mut ready, Some(Duration::from_secs(1))).map_err(Failure::Io)?;
        let (readable, writable, more_input) = (ready[0].readable, ready[0].writable, ready[1].readable);
        if readable {
            let end = receive(connection, &mut count, at_end.then_some(&magic), &mut last_read)?;
            if let Some(failure) = end.filter(|_| !count.done) {
                return Err(Stop::because(format!("Error reading replies from server: {failure}")));
            }
        }
        if more_input && !out.fill(&mut input)? {
            at_end = true;
            last_read = Instant::now();
            out.set(&final_command(&magic));
            print(b"All data transferred. Waiting for the last reply...\n")?;
        }
        if writable || more_input {
            connection.send_written().map_err(Failure::Io)?;
            out.send(connection)?;
        }
        if at_end && timeout.is_some_and(|timeout| last_read.elapsed() > timeout) {
            eprintln!("No replies for {} seconds: exiting.", session.options.pipe_timeout);
            count.errors += 1;
            break;
        }
    }
    if count.done {
        print(b"Last reply received from server.\n")?;
    }
    let Count { replies, errors, .. } = count;
    print(format!("errors: {errors}, replies: {replies}\n").as_bytes())?;
    if errors > 0 { Err(Stop::NotConnected) } else { Ok(()) }
}

/// Reads what has come and counts it. Returns why nothing more will come, if so: what came before that is counted all the same.
fn receive(
    connection: &mut Connection,
    count: &mut Count,
    magic: Option<&String>,
    last_read: &mut Instant,
) -> Result<Option<Failure>, Stop> {
    let end = match connection.fill() {
        Ok(()) => None,
        Err(Failure::Io(error)) if error.kind() == ErrorKind::WouldBlock => None,
        Err(failure) => Some(failure),
    };
    while let Some(reply) = connection.buffered_reply()? {
        *last_read = Instant::now();
        match &reply {
            Reply::Push(_) => continue,
            Reply::Bulk(text) if magic.is_some_and(|magic| magic.as_bytes() == text) => {
                count.done = true;
                continue;
            }
            Reply::Error(text) => {
                eprintln!("{}", String::from_utf8_lossy(text));
                count.errors += 1;
            }
            _ => {}
        }
        count.replies += 1;
    }
    Ok(end)
}

/// Input that the server has not taken yet.
#[derive(Default)]
struct Pending {
    buf: Vec<u8>,
    sent: usize,
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.sent == self.buf.len()
    }

    fn set(&mut self, bytes: &[u8]) {
        self.buf = bytes.to_vec();
        self.sent = 0;
    }

    /// Reads more input; false at its end.
    fn fill(&mut self, input: &mut impl Read) -> Result<bool, Stop> {
        self.buf.resize(64 * 1024, 0);
        self.sent = 0;
        let n = loop {
            match input.read(&mut self.buf) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Stop::because(format!("Error reading from stdin: {}", reason(&error)))),
                Ok(n) => break n,
            }
        };
        self.buf.truncate(n);
        Ok(n > 0)
    }

    fn send(&mut self, connection: &mut Connection) -> Result<(), Stop> {
        while !self.is_empty() {
            match connection.write_some(&self.buf[self.sent..]) {
                Ok(n) => self.sent += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(Stop::because(format!("Error writing to the server: {}", reason(&error))));
                }
            }
        }
        Ok(())
    }
}

/// A text that no answer to the user's own commands will be.
fn magic() -> String {
    use std::hash::{BuildHasher, Hasher};
    // Each state of the standard library's hasher is seeded at random.
    let random = || std::hash::RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}

/// The last command. An empty line comes first, in case the input ends in the middle of a line.
fn final_command(magic: &str) -> Vec<u8> {
    format!("\r\n*2\r\n$4\r\nECHO\r\n${}\r\n{magic}\r\n", magic.len()).into_bytes()
}
