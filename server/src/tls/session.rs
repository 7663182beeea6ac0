//! One connection's encryption, between a socket and the bytes that it carries.

use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};

/// Bytes that are read from a socket at once.
const AT_ONCE: usize = 32 * 1024;

/// A session over a socket, which is handed to each call and may block or not: [`ErrorKind::WouldBlock`] is passed on.
#[derive(Debug)]
pub struct Session {
    connection: Connection,
    /// Received and not yet decrypted: what was decrypted before had to be taken first.
    incoming: Vec<u8>,
    /// The handshake was seen to have ended.
    open: bool,
}

impl Session {
    /// The session of a server.
    ///
    /// # Errors
    /// When the rules allow none.
    pub fn server(config: Arc<ServerConfig>) -> io::Result<Self> {
        let connection = ServerConnection::new(config).map_err(io::Error::other)?;
        Ok(Session { connection: connection.into(), incoming: Vec::new(), open: false })
    }

    /// The session of a client. `name` is what it asks for; a text that is no name is left out.
    ///
    /// # Errors
    /// When the rules allow none.
    pub fn client(config: Arc<ClientConfig>, name: &str) -> io::Result<Self> {
        let name = ServerName::try_from(name.to_owned())
            .unwrap_or(ServerName::IpAddress(std::net::IpAddr::from(std::net::Ipv4Addr::UNSPECIFIED).into()));
        let connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
        Ok(Session { connection: connection.into(), incoming: Vec::new(), open: false })
    }

    /// Waits for the handshake to end, over a socket that blocks.
    ///
    /// # Errors
    /// Those of the socket, and those of the protocol.
    pub fn handshake(&mut self, socket: &mut (impl Read + Write)) -> io::Result<()> {
        while self.connection.is_handshaking() {
            self.send(socket)?;
            self.receive(socket)?;
        }
        self.send(socket)
    }

    /// Reads what the peer sent, `room` bytes at most, and hands it to `put` in pieces; returns how many bytes. 0: it has closed.
    ///
    /// # Errors
    /// Those of the socket, and those of the protocol.
    pub fn read(
        &mut self,
        socket: &mut (impl Read + Write),
        room: usize,
        mut put: impl FnMut(&[u8]),
    ) -> io::Result<usize> {
        let mut got = 0;
        loop {
            loop {
                let mut reader = self.connection.reader();
                let chunk = match reader.fill_buf() {
                    // A peer that ends without a word has ended, too: what we carry says by itself when it is complete.
                    Ok([]) => return Ok(got),
                    Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Ok(got),
                    // Nothing is there, and more may come.
                    Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                    Ok(chunk) => &chunk[..chunk.len().min(room - got)],
                    Err(e) => return Err(e),
                };
                let n = chunk.len();
                put(chunk);
                reader.consume(n);
                got += n;
                if got == room {
                    return Ok(got);
                }
            }
            if got > 0 && self.incoming.is_empty() {
                return Ok(got);
            }
            self.receive(socket)?;
        }
    }

    /// Decrypts some more of what came, reading the socket when nothing is left of the last time.
    fn receive(&mut self, socket: &mut (impl Read + Write)) -> io::Result<()> {
        let mut buffer = [0; AT_ONCE];
        let kept = std::mem::take(&mut self.incoming);
        let mut rest = if kept.is_empty() {
            let n = socket.read(&mut buffer)?;
            &buffer[..n]
        } else {
            &kept[..]
        };
        if self.connection.read_tls(&mut rest)? == 0 && self.connection.is_handshaking() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let understood = self.connection.process_new_packets();
        self.incoming = rest.to_vec();
        // Also the reason of a failure is sent, if the peer listens.
        let sent = self.send(socket);
        understood.map_err(|e| io::Error::new(ErrorKind::InvalidData, e))?;
        match sent {
            Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(()),
            other => other,
        }
    }

    /// Takes bytes to be sent, some of them or all, and sends what the socket takes. What is taken and not sent is sent by later
    /// calls, of [`send`](Self::send) at the latest; nothing is taken while something is left.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is taken.
    pub fn write(&mut self, socket: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
        self.send(socket)?;
        let n = self.connection.writer().write(bytes)?;
        if n == 0 && !bytes.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        match self.send(socket) {
            Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(n),
            other => other.map(|()| n),
        }
    }

    /// Sends what was taken.
    ///
    /// # Errors
    /// `WouldBlock` when something is left.
    pub fn send(&mut self, socket: &mut impl Write) -> io::Result<()> {
        while self.connection.wants_write() {
            if self.connection.write_tls(socket)? == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }

    /// Whether something was taken and not sent.
    pub fn wants_write(&self) -> bool {
        self.connection.wants_write()
    }

    /// Whether there is something to read that the socket does not tell of.
    pub fn has_input(&mut self) -> bool {
        !self.incoming.is_empty()
            || self.connection.process_new_packets().is_ok_and(|state| state.plaintext_bytes_to_read() > 0)
    }

    /// Tells the peer that nothing follows.
    pub fn close(&mut self, socket: &mut impl Write) {
        self.connection.send_close_notify();
        // It may be gone.
        let _ = self.send(socket);
    }

    /// True once, after the handshake has ended.
    pub fn take_opened(&mut self) -> bool {
        !self.connection.is_handshaking() && !std::mem::replace(&mut self.open, true)
    }

    /// The peer's certificate, if it showed one.
    pub fn peer_certificate(&self) -> Option<Vec<u8>> {
        self.connection.peer_certificates()?.first().map(|certificate| certificate.as_ref().to_vec())
    }
}
