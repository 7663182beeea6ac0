//! A small blocking client that speaks RESP2 and RESP3: enough to ask a server anything and see exactly what it answers.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long a client waits for a connection or an answer unless told otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(20);

/// What a server answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// `+text`.
    Simple(String),
    /// `-text`, or RESP3's `!`.
    Error(String),
    /// `:n`.
    Int(i64),
    /// `$n`.
    Bulk(Vec<u8>),
    /// RESP2's `$-1` and `*-1`, RESP3's `_`.
    Null,
    /// `*n`.
    Array(Vec<Reply>),
    /// `%n`, in the order it came.
    Map(Vec<(Reply, Reply)>),
    /// `~n`, in the order it came.
    Set(Vec<Reply>),
    /// `,x`.
    Double(f64),
    /// `#t` or `#f`.
    Bool(bool),
    /// `(n`.
    BigNumber(String),
    /// `=n`: its three-letter format and its text.
    Verbatim(String, String),
    /// `>n`.
    Push(Vec<Reply>),
}

impl Reply {
    /// The text of a simple string, a bulk string, a verbatim string or a number; `None` for everything else.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Simple(text) | Self::BigNumber(text) | Self::Verbatim(_, text) => Some(text.clone()),
            Self::Bulk(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            Self::Int(n) => Some(n.to_string()),
            Self::Double(x) => Some(x.to_string()),
            _ => None,
        }
    }

    /// The bytes of a bulk string.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bulk(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The number of an integer reply.
    pub fn int(&self) -> Option<i64> {
        match self {
            Self::Int(n) => Some(*n),
            _ => None,
        }
    }

    /// The elements of an array, a set or a push message.
    pub fn items(&self) -> Option<&[Reply]> {
        match self {
            Self::Array(items) | Self::Set(items) | Self::Push(items) => Some(items),
            _ => None,
        }
    }

    /// The text of an error.
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Error(text) => Some(text),
            _ => None,
        }
    }

    /// Whether this is `+OK`.
    pub fn is_ok(&self) -> bool {
        matches!(self, Self::Simple(text) if text == "OK")
    }

    /// The value of a key in a map, or in the flat array that RESP2 sends for one.
    pub fn field(&self, name: &str) -> Option<&Reply> {
        match self {
            Self::Map(pairs) => pairs.iter().find(|(k, _)| k.text().as_deref() == Some(name)).map(|(_, v)| v),
            Self::Array(items) => items.chunks_exact(2).find(|p| p[0].text().as_deref() == Some(name)).map(|p| &p[1]),
            _ => None,
        }
    }
}

/// One connection.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Connects, waiting no longer than [`TIMEOUT`] for the connection and for each answer.
    ///
    /// # Errors
    /// No address, or none that takes the connection.
    pub fn connect(address: impl ToSocketAddrs) -> io::Result<Self> {
        Self::connect_within(address, TIMEOUT)
    }

    /// Connects, waiting no longer than `timeout` for the connection and for each answer.
    ///
    /// # Errors
    /// No address, or none that takes the connection in time.
    pub fn connect_within(address: impl ToSocketAddrs, timeout: Duration) -> io::Result<Self> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in address.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, timeout) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    stream.set_read_timeout(Some(timeout))?;
                    stream.set_write_timeout(Some(timeout))?;
                    return Ok(Self { stream: BufReader::new(stream) });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Waits no longer than `timeout` for each answer from now on.
    ///
    /// # Errors
    /// The socket is gone.
    pub fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.stream.get_ref().set_read_timeout(Some(timeout))
    }

    /// Sends a command and returns its reply; an error reply is `Ok(Reply::Error)`.
    ///
    /// # Errors
    /// The connection failed, the server closed it, or what came is not RESP.
    pub fn cmd<A: AsRef<[u8]>>(&mut self, args: &[A]) -> io::Result<Reply> {
        self.send(args)?;
        self.read()
    }

    /// Sends a line of words split at white space: `client.line("CONFIG SET appendonly yes")`.
    ///
    /// # Errors
    /// As for [`Client::cmd`].
    pub fn line(&mut self, words: &str) -> io::Result<Reply> {
        self.cmd(&words.split_whitespace().collect::<Vec<_>>())
    }

    /// Sends a command and asks for success: an error reply becomes an `Err` with its text.
    ///
    /// # Errors
    /// As for [`Client::cmd`], and an error reply.
    pub fn ask<A: AsRef<[u8]>>(&mut self, args: &[A]) -> io::Result<Reply> {
        match self.cmd(args)? {
            Reply::Error(text) => Err(io::Error::other(text)),
            reply => Ok(reply),
        }
    }

    /// Sends commands in one write and reads as many replies.
    ///
    /// # Errors
    /// As for [`Client::cmd`].
    pub fn pipeline<A: AsRef<[u8]>>(&mut self, commands: &[Vec<A>]) -> io::Result<Vec<Reply>> {
        let mut out = Vec::new();
        commands.iter().for_each(|args| encode(args, &mut out));
        self.send_raw(&out)?;
        commands.iter().map(|_| self.read()).collect()
    }

    /// Sends a command without reading its reply.
    ///
    /// # Errors
    /// The connection failed.
    pub fn send<A: AsRef<[u8]>>(&mut self, args: &[A]) -> io::Result<()> {
        let mut out = Vec::new();
        encode(args, &mut out);
        self.send_raw(&out)
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// The connection failed.
    pub fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Reads the next reply, or the next push message.
    ///
    /// # Errors
    /// As for [`Client::cmd`].
    pub fn read(&mut self) -> io::Result<Reply> {
        let line = self.read_line()?;
        let Some((kind, rest)) = line.split_at_checked(1) else { return Err(malformed("an empty line")) };
        Ok(match kind {
            "+" => Reply::Simple(rest.to_owned()),
            "-" => Reply::Error(rest.to_owned()),
            ":" => Reply::Int(number(rest)?),
            "(" => Reply::BigNumber(rest.to_owned()),
            "_" => Reply::Null,
            "#" => Reply::Bool(rest == "t"),
            "," => Reply::Double(rest.parse().map_err(|_| malformed(&line))?),
            "$" | "!" | "=" if rest == "-1" => Reply::Null,
            "$" => Reply::Bulk(self.blob(rest)?),
            "!" => Reply::Error(String::from_utf8_lossy(&self.blob(rest)?).into_owned()),
            "=" => {
                let text = String::from_utf8_lossy(&self.blob(rest)?).into_owned();
                let (format, text) = text.split_once(':').ok_or_else(|| malformed("a verbatim string"))?;
                Reply::Verbatim(format.to_owned(), text.to_owned())
            }
            "*" if rest == "-1" => Reply::Null,
            "*" => Reply::Array(self.list(number(rest)?)?),
            "~" => Reply::Set(self.list(number(rest)?)?),
            ">" => Reply::Push(self.list(number(rest)?)?),
            "%" => Reply::Map(self.pairs(number(rest)?)?),
            "|" => {
                // Attributes say something about the reply that follows; nobody here asks for them.
                self.pairs(number(rest)?)?;
                self.read()?
            }
            _ => return Err(malformed(&line)),
        })
    }

    /// Reads a line without its CRLF.
    ///
    /// # Errors
    /// The connection failed or was closed.
    pub fn read_line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection"));
        }
        line.pop_if(|last| *last == b'\r');
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    /// Reads so many bytes as they are.
    ///
    /// # Errors
    /// The connection failed or was closed.
    pub fn read_bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// The fields of `INFO section`, without comments and headings.
    ///
    /// # Errors
    /// As for [`Client::ask`].
    pub fn info(&mut self, section: &str) -> io::Result<BTreeMap<String, String>> {
        let text = self.ask(&["INFO", section])?.text().unwrap_or_default();
        Ok(text.lines().filter_map(|l| l.trim_end().split_once(':')).map(|(k, v)| (k.into(), v.into())).collect())
    }

    fn blob(&mut self, length: &str) -> io::Result<Vec<u8>> {
        let bytes = self.read_bytes(number(length)?)?;
        self.read_bytes(2)?;
        Ok(bytes)
    }

    fn list(&mut self, count: usize) -> io::Result<Vec<Reply>> {
        (0..count).map(|_| self.read()).collect()
    }

    fn pairs(&mut self, count: usize) -> io::Result<Vec<(Reply, Reply)>> {
        (0..count).map(|_| Ok((self.read()?, self.read()?))).collect()
    }
}

fn encode<A: AsRef<[u8]>>(args: &[A], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
    for arg in args {
        let arg = arg.as_ref();
        out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}

fn number<T: std::str::FromStr>(text: &str) -> io::Result<T> {
    text.parse().map_err(|_| malformed(text))
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not RESP: {what:?}"))
}
