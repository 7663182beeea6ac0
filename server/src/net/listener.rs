//! Listening sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::Stream;
use crate::log_warning;

/// What came in through a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Clients over TCP.
    Tcp,
    /// Clients over TLS.
    Tls,
    /// Clients over a Unix socket.
    Unix,
    /// HTTP for metrics and probes.
    Metrics,
}

/// A listening socket; a Unix socket's file goes with it.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    path: Option<PathBuf>,
    /// What it listens for.
    pub kind: Kind,
    /// The address of `bind` and the port; nothing for a Unix socket.
    pub place: (String, u16),
}

/// What a TCP socket listens with.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Connections that may wait to be accepted.
    pub backlog: i32,
    /// The mark that its packets bear for the firewall; 0 for none.
    pub mark: u32,
    /// Whether it takes Multipath TCP.
    pub multipath: bool,
}

impl Listener {
    /// Listens on one address of `bind`: `*`, `::*`, an IP address, or a name.
    ///
    /// # Errors
    /// Those of the look-up, `bind` and `listen`.
    pub fn tcp(address: &str, port: u16, kind: Kind, options: Options) -> io::Result<Self> {
        let ip: IpAddr = match address {
            "*" => Ipv4Addr::UNSPECIFIED.into(),
            "::*" => Ipv6Addr::UNSPECIFIED.into(),
            _ => match address.parse() {
                Ok(ip) => ip,
                Err(_) => {
                    let mut found = std::net::ToSocketAddrs::to_socket_addrs(&(address, port))?;
                    found.next().ok_or_else(|| io::Error::other("name has no address"))?.ip()
                }
            },
        };
        let addr = SocketAddr::new(ip, port);
        let protocol = options.multipath.then_some(Protocol::MPTCP);
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, protocol)?;
        if options.mark != 0
            && let Err(e) = socket.set_mark(options.mark)
        {
            log_warning!("socket-mark-id {} is not set on port {port}: {e}", options.mark);
        }
        if addr.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_reuse_address(true)?;
        socket.bind(&addr.into())?;
        Self::listen(socket, options.backlog, None, kind, (address.to_owned(), port))
    }

    /// Listens on a Unix socket at `path`, replacing a left-over one; `mode` are its permission bits, 0 for the default, and
    /// `group` whose it is, empty for the process's.
    ///
    /// # Errors
    /// Those of `bind`, `chmod`, `chown` and `listen`; there is no such group.
    pub fn unix(path: &Path, mode: u32, group: &str, backlog: i32) -> io::Result<Self> {
        let _ = std::fs::remove_file(path);
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&SockAddr::unix(path)?)?;
        if mode != 0 {
            std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))?;
        }
        if !group.is_empty() {
            std::os::unix::fs::chown(path, None, Some(group_id(group)?))?;
        }
        Self::listen(socket, backlog, Some(path.to_owned()), Kind::Unix, (String::new(), 0))
    }

    fn listen(
        socket: Socket,
        backlog: i32,
        path: Option<PathBuf>,
        kind: Kind,
        place: (String, u16),
    ) -> io::Result<Self> {
        socket.listen(backlog)?;
        socket.set_nonblocking(true)?;
        Ok(Listener { socket, path, kind, place })
    }

    /// The next waiting connection.
    ///
    /// # Errors
    /// `WouldBlock` when none waits.
    pub fn accept(&self) -> io::Result<Stream> {
        let (socket, _) = self.socket.accept()?;
        Stream::accepted(socket)
    }

    /// Removes a Unix socket's file.
    pub fn unlink(&self) {
        if let Some(path) = &self.path {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The number of a group that this machine's own list names.
fn group_id(name: &str) -> io::Result<u32> {
    let groups = std::fs::read_to_string("/etc/group")?;
    let named = groups.lines().map(|line| line.split(':')).find_map(|mut fields| {
        let found = fields.next() == Some(name);
        found.then(|| fields.nth(1)?.parse().ok())?
    });
    named.ok_or_else(|| io::Error::other(format!("unixsocketgroup: /etc/group has no group '{name}'")))
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
