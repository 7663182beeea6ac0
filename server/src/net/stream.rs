//! A connected socket, TCP or Unix, with TLS or without, never blocking.
//!
//! With TLS a socket may have something to read that the kernel does not tell of ([`Stream::has_input`]), and something to send that was
//! taken already ([`Stream::wants_write`]).

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::rc::Rc;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use crate::tls::Session;

/// A connected (or connecting) socket.
#[derive(Debug)]
pub struct Stream {
    socket: Socket,
    unix: bool,
    /// The encryption, which all handles to the socket share.
    tls: Option<Rc<RefCell<Session>>>,
}

/// The socket as a session of TLS sees it.
struct Raw<'a>(&'a Socket);

impl Read for Raw<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(self.0, out)?)
    }
}

impl Write for Raw<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(self.0, bytes, rustix::net::SendFlags::NOSIGNAL)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream {
    /// Takes over an accepted socket.
    ///
    /// # Errors
    /// When it can't be set to non-blocking.
    pub fn accepted(socket: Socket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let unix = socket.domain()? == Domain::UNIX;
        Ok(Stream { socket, unix, tls: None })
    }

    /// Begins a TCP connection, or one over Multipath TCP; writability tells that it ended, [`take_error`](Self::take_error) how.
    ///
    /// # Errors
    /// When it fails at once.
    pub fn connect(addr: SocketAddr, source: Option<SocketAddr>, multipath: bool) -> io::Result<Self> {
        let protocol = multipath.then_some(Protocol::MPTCP);
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, protocol)?;
        socket.set_nonblocking(true)?;
        if let Some(source) = source {
            socket.set_reuse_address(true)?;
            // As good as can be, as Valkey has it: an address that is not this machine's keeps nobody from connecting.
            if let Err(e) = socket.bind(&source.into()) {
                crate::log_warning!("bind-source-addr {}: {e}; another address is used", source.ip());
            }
        }
        match socket.connect(&addr.into()) {
            Ok(()) => {}
            Err(e) if e.raw_os_error() == Some(libc::EINPROGRESS) => {}
            Err(e) => return Err(e),
        }
        Ok(Stream { socket, unix: false, tls: None })
    }

    /// Another handle to the same socket.
    ///
    /// # Errors
    /// When the process is out of file descriptors.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Stream { socket: self.socket.try_clone()?, unix: self.unix, tls: self.tls.clone() })
    }

    /// The pending error of the socket, such as a refused connection.
    ///
    /// # Errors
    /// That error.
    pub fn take_error(&self) -> io::Result<()> {
        match self.socket.take_error()? {
            Some(e) => Err(e),
            None => Ok(()),
        }
    }

    /// Whether this is a Unix socket.
    pub fn is_unix(&self) -> bool {
        self.unix
    }

    /// No Nagle, and keep-alive probes after `keepalive` of silence (0: none). Failures do no harm.
    pub fn tune(&self, keepalive: Duration) {
        if self.unix {
            return;
        }
        let _ = self.socket.set_tcp_nodelay(true);
        if !keepalive.is_zero() {
            let probes = TcpKeepalive::new()
                .with_time(keepalive)
                .with_interval((keepalive / 3).max(Duration::from_secs(1)))
                .with_retries(3);
            let _ = self.socket.set_tcp_keepalive(&probes);
        }
    }

    /// Turns Nagle's algorithm on or off.
    pub fn set_nodelay(&self, nodelay: bool) {
        if !self.unix {
            let _ = self.socket.set_tcp_nodelay(nodelay);
        }
    }

    /// Encrypts from now on.
    pub fn set_tls(&mut self, session: Session) {
        self.tls = Some(Rc::new(RefCell::new(session)));
    }

    /// Whether it is encrypted.
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Appends up to `room` bytes to `buf`, whose spare capacity is at least that. 0: the peer closed.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there; otherwise the connection is broken.
    pub fn read_into(&self, buf: &mut Vec<u8>, room: usize) -> io::Result<usize> {
        debug_assert!(buf.capacity() - buf.len() >= room);
        match &self.tls {
            None => Ok(rustix::io::read(&self.socket, rustix::buffer::spare_capacity(buf))?),
            Some(tls) => tls.borrow_mut().read(&mut Raw(&self.socket), room, |piece| buf.extend_from_slice(piece)),
        }
    }

    /// Reads what is there. 0: the peer closed.
    ///
    /// # Errors
    /// Those of [`read_into`](Self::read_into).
    pub fn read(&self, out: &mut [u8]) -> io::Result<usize> {
        match &self.tls {
            None => Ok(rustix::io::read(&self.socket, out)?),
            Some(tls) => {
                let (room, mut at) = (out.len(), 0);
                tls.borrow_mut().read(&mut Raw(&self.socket), room, |piece| {
                    out[at..at + piece.len()].copy_from_slice(piece);
                    at += piece.len();
                })
            }
        }
    }

    /// Whether there is something to read that readiness does not tell of.
    pub fn has_input(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.borrow_mut().has_input())
    }

    /// Writes what the kernel takes.
    ///
    /// # Errors
    /// `WouldBlock` when it takes nothing; otherwise the connection is broken.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match &self.tls {
            None => Raw(&self.socket).write(bytes),
            Some(tls) => tls.borrow_mut().write(&mut Raw(&self.socket), bytes),
        }
    }

    /// Whether bytes that [`write`](Self::write) took have yet to be sent: [`send_taken`](Self::send_taken), when there is room.
    pub fn wants_write(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.borrow().wants_write())
    }

    /// Sends what was taken, as far as there is room.
    ///
    /// # Errors
    /// When the connection is broken.
    pub fn send_taken(&self) -> io::Result<()> {
        let Some(tls) = &self.tls else { return Ok(()) };
        match tls.borrow_mut().send(&mut Raw(&self.socket)) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(()),
            other => other,
        }
    }

    /// True once, when the encryption has been agreed upon.
    pub fn take_opened(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.borrow_mut().take_opened())
    }

    /// The certificate that the peer showed.
    pub fn peer_certificate(&self) -> Option<Vec<u8>> {
        self.tls.as_ref()?.borrow().peer_certificate()
    }

    /// Tells the peer that nothing follows, where the encryption has words for that.
    pub fn say_goodbye(&self) {
        if let Some(tls) = &self.tls {
            tls.borrow_mut().close(&mut Raw(&self.socket));
        }
    }

    /// Ends the connection in both directions, also for another process that holds the socket.
    pub fn shutdown(&self) {
        // The only failure is that it is ended already.
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
    }

    /// `ip:port` of the peer, or `path:0` of a Unix socket.
    pub fn peer(&self) -> String {
        describe(self.socket.peer_addr())
    }

    /// `ip:port` of this side.
    pub fn local(&self) -> String {
        describe(self.socket.local_addr())
    }

    /// The peer's address, when it is an IP address.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.socket.peer_addr().ok()?.as_socket()
    }

    /// Whether the peer is on this machine.
    pub fn is_local(&self) -> bool {
        self.unix || self.peer_addr().is_some_and(|a| a.ip().to_canonical().is_loopback())
    }

    /// The descriptor's number, as CLIENT LIST shows it.
    pub fn number(&self) -> i32 {
        self.socket.as_raw_fd()
    }

    /// Lets reads and writes block, `timeout` at most each: for the parts of a sync in which nothing else may run.
    pub fn set_blocking(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket.set_nonblocking(timeout.is_none())?;
        self.socket.set_read_timeout(timeout)?;
        self.socket.set_write_timeout(timeout)
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn describe(addr: io::Result<socket2::SockAddr>) -> String {
    match addr {
        Ok(a) => match (a.as_socket(), a.as_pathname()) {
            (Some(SocketAddr::V4(a)), _) => a.to_string(),
            (Some(SocketAddr::V6(a)), _) => match a.ip().to_ipv4_mapped() {
                Some(ip) => format!("{ip}:{}", a.port()),
                None => a.to_string(),
            },
            (None, Some(path)) => format!("{}:0", path.display()),
            (None, None) => "/unixsocket:0".to_owned(),
        },
        Err(_) => "?:0".to_owned(),
    }
}

/// The first bytes that wait on `fd` as seen by the kernel, without taking them; used to tell a dead peer.
pub fn peer_closed(fd: BorrowedFd<'_>) -> bool {
    let mut byte = [0u8; 1];
    matches!(
        rustix::net::recv(fd, &mut byte, rustix::net::RecvFlags::PEEK | rustix::net::RecvFlags::DONTWAIT),
        Ok((_, 0))
    ) && SockRef::from(&fd).take_error().is_ok()
}
