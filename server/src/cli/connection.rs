//! A blocking connection to a server: commands out, replies in.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::reply::{Parser, ProtocolError, Reply};
use super::sys;
use super::tls::TlsOptions;
use crate::tls::Session;

/// Seconds of silence after which the kernel probes the server: a command may run for long, a dead host should be noticed.
const KEEP_ALIVE_SECONDS: i32 = 15;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Host name or address, and port.
    Tcp(String, u16),
    /// Path of a Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Which addresses of a host name are tried first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Family {
    /// In the resolver's order.
    #[default]
    Any,
    /// IPv4 first.
    V4,
    /// IPv6 first.
    V6,
}

/// How to connect by TCP.
#[derive(Debug, Clone, Copy, Default)]
pub struct Way {
    /// Addresses to try first.
    pub family: Family,
    /// By Multipath TCP, which falls back to TCP where the server does not speak it.
    pub mptcp: bool,
}

/// Why a connection is of no more use.
#[derive(Debug)]
pub enum Failure {
    /// The server closed it.
    Closed,
    /// A system call failed.
    Io(io::Error),
    /// The server does not speak RESP.
    Protocol(ProtocolError),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("Server closed the connection"),
            Self::Io(error) => f.write_str(&reason(error)),
            Self::Protocol(error) => error.fmt(f),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The operating system's words for an error, without the number and prefix that the standard library adds.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
    text.split(" (os error ").next().unwrap_or(text).to_owned()
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(buf),
            Stream::Unix(stream) => stream.read(buf),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write(bytes),
            Stream::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One connection.
pub struct Connection {
    stream: Stream,
    tls: Option<Session>,
    parser: Parser,
    out: Vec<u8>,
}

impl Connection {
    /// Connects, trying each address of a host name in turn. `timeout` bounds each try; zero leaves it to the kernel.
    pub fn open(target: &Target, timeout: Duration, way: Way, tls: Option<&TlsOptions>) -> io::Result<Self> {
        let host = match target {
            Target::Tcp(host, _) => host,
            Target::Unix(_) => "",
        };
        let mut tls = tls.map(|options| options.session(host)).transpose()?;
        let mut stream = match target {
            Target::Unix(path) => Stream::Unix(UnixStream::connect(path)?),
            Target::Tcp(host, port) => {
                let mut addresses: Vec<SocketAddr> = (host.as_str(), *port).to_socket_addrs()?.collect();
                match way.family {
                    Family::Any => {}
                    Family::V4 => addresses.sort_by_key(SocketAddr::is_ipv6),
                    Family::V6 => addresses.sort_by_key(SocketAddr::is_ipv4),
                }
                let stream = connect_any(&addresses, timeout, way.mptcp)?;
                stream.set_nodelay(true)?;
                sys::keep_alive(stream.as_fd(), KEEP_ALIVE_SECONDS)?;
                Stream::Tcp(stream)
            }
        };
        if let Some(tls) = &mut tls {
            tls.handshake(&mut stream)?;
        }
        Ok(Self { stream, tls, parser: Parser::default(), out: Vec::new() })
    }

    /// Queues a command; it is sent with the next [`flush`](Self::flush) or read.
    pub fn append<A: AsRef<[u8]>>(&mut self, args: &[A]) {
        self.out.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
        for arg in args {
            let arg = arg.as_ref();
            self.out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            self.out.extend_from_slice(arg);
            self.out.extend_from_slice(b"\r\n");
        }
    }

    /// Queues bytes as they are.
    pub fn append_raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Sends what is queued.
    pub fn flush(&mut self) -> Result<(), Failure> {
        let out = std::mem::take(&mut self.out);
        let Some(tls) = &mut self.tls else { return Ok(self.stream.write_all(&out)?) };
        let mut rest = &out[..];
        while !rest.is_empty() {
            let n = tls.write(&mut self.stream, rest)?;
            rest = &rest[n..];
        }
        Ok(tls.send(&mut self.stream)?)
    }

    /// Sends what is queued and waits for the next reply of any kind.
    pub fn read_reply(&mut self) -> Result<Reply, Failure> {
        self.flush()?;
        loop {
            if let Some(reply) = self.parser.next_reply().map_err(Failure::Protocol)? {
                return Ok(reply);
            }
            self.fill()?;
        }
    }

    /// Reads once from the socket into the parser.
    pub fn fill(&mut self) -> Result<(), Failure> {
        let mut chunk = [0; 16 * 1024];
        loop {
            match self.read_stream(&mut chunk)? {
                0 => return Err(Failure::Closed),
                n => self.parser.feed(&chunk[..n]),
            }
            // Nobody who waits for the socket would hear of what is left.
            if !self.tls.as_mut().is_some_and(Session::has_input) {
                return Ok(());
            }
        }
    }

    /// The next reply that has arrived already.
    pub fn buffered_reply(&mut self) -> Result<Option<Reply>, Failure> {
        self.parser.next_reply().map_err(Failure::Protocol)
    }

    /// Whether a reply, or a part of one, has arrived that nobody has read.
    pub fn is_mid_reply(&self) -> bool {
        self.parser.is_mid_reply()
    }

    /// Runs a command for the client's own use: pushes that come meanwhile are dropped.
    pub fn command<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Result<Reply, Failure> {
        self.append(args);
        self.own_reply()
    }

    /// The next reply to a queued command, pushes dropped.
    pub fn own_reply(&mut self) -> Result<Reply, Failure> {
        loop {
            match self.read_reply()? {
                Reply::Push(_) => {}
                reply => return Ok(reply),
            }
        }
    }

    /// Reads bytes that are not replies; at most `buf.len()`, at least one.
    pub fn read_raw(&mut self, buf: &mut [u8]) -> Result<usize, Failure> {
        let n = self.parser.take_raw(buf);
        if n > 0 {
            return Ok(n);
        }
        match self.read_stream(buf)? {
            0 => Err(Failure::Closed),
            n => Ok(n),
        }
    }

    /// Writes at once what the socket takes. For non-blocking use.
    pub fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => tls.write(&mut self.stream, bytes),
            None => self.stream.write(bytes),
        }
    }

    /// Whether something that was written waits for room in the socket: [`send_written`](Self::send_written) sends it.
    pub fn has_unsent(&self) -> bool {
        self.tls.as_ref().is_some_and(Session::wants_write)
    }

    /// Sends what was written, as far as there is room.
    pub fn send_written(&mut self) -> io::Result<()> {
        match self.tls.as_mut().map(|tls| tls.send(&mut self.stream)) {
            Some(Err(error)) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }

    /// Makes reads and writes return at once with `WouldBlock` instead of waiting.
    pub fn set_nonblocking(&mut self) -> io::Result<()> {
        match &self.stream {
            Stream::Tcp(stream) => stream.set_nonblocking(true),
            Stream::Unix(stream) => stream.set_nonblocking(true),
        }
    }

    fn read_stream(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let got = match &mut self.tls {
                None => self.stream.read(buf),
                Some(tls) => {
                    let (room, mut at) = (buf.len(), 0);
                    tls.read(&mut self.stream, room, |piece| {
                        buf[at..at + piece.len()].copy_from_slice(piece);
                        at += piece.len();
                    })
                }
            };
            match got {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.stream {
            Stream::Tcp(stream) => stream.as_fd(),
            Stream::Unix(stream) => stream.as_fd(),
        }
    }
}

fn connect_any(addresses: &[SocketAddr], timeout: Duration, mptcp: bool) -> io::Result<TcpStream> {
    let mut last = io::Error::other("Can't create socket: no address");
    for address in addresses {
        match connect(*address, timeout, mptcp) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn connect(address: SocketAddr, timeout: Duration, mptcp: bool) -> io::Result<TcpStream> {
    let protocol = if mptcp { Protocol::MPTCP } else { Protocol::TCP };
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(protocol))?;
    let address = address.into();
    if timeout.is_zero() {
        socket.connect(&address)?
    } else {
        socket.connect_timeout(&address, timeout)?
    }
    Ok(socket.into())
}
