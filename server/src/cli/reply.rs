//! Replies of a server, and the parser that reads them from a stream of bytes as they come.

use std::fmt;

/// One reply, in RESP2 or RESP3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// `+OK`: a line without structure.
    Status(Vec<u8>),
    /// `-ERR …`, without the minus sign.
    Error(Vec<u8>),
    /// `:1`.
    Integer(i64),
    /// `,3.14`, kept as the server wrote it.
    Double(Vec<u8>),
    /// `(123…`: decimal digits.
    BigNumber(Vec<u8>),
    /// `$3`: bytes.
    Bulk(Vec<u8>),
    /// `=7`: text to be shown as it is. The format word is dropped.
    Verbatim(Vec<u8>),
    /// `_`, `$-1` or `*-1`.
    Nil,
    /// `#t`.
    Bool(bool),
    /// `*2`.
    Array(Vec<Reply>),
    /// `%1`: keys and values.
    Map(Vec<(Reply, Reply)>),
    /// `~2`.
    Set(Vec<Reply>),
    /// `>3`: sent by the server of its own accord.
    Push(Vec<Reply>),
}

impl Reply {
    /// The bytes of a string of any kind, or of an error.
    pub fn text(&self) -> Option<&[u8]> {
        match self {
            Self::Status(text) | Self::Error(text) | Self::Bulk(text) | Self::Verbatim(text) => Some(text),
            _ => None,
        }
    }

    /// The error's text.
    pub fn error(&self) -> Option<&[u8]> {
        if let Self::Error(text) = self { Some(text) } else { None }
    }

    /// The elements of an array, set or push.
    pub fn elements(&self) -> Option<&[Reply]> {
        match self {
            Self::Array(items) | Self::Set(items) | Self::Push(items) => Some(items),
            _ => None,
        }
    }

    /// The pairs of a map, or of an array that stands for one in RESP2. A value missing at the end is left out.
    pub fn pairs(&self) -> Option<Vec<(&Reply, &Reply)>> {
        match self {
            Self::Map(pairs) => Some(pairs.iter().map(|(key, value)| (key, value)).collect()),
            Self::Array(items) => Some(items.as_chunks::<2>().0.iter().map(|[key, value]| (key, value)).collect()),
            _ => None,
        }
    }

    /// Whether this is one of the messages by which SUBSCRIBE and its kin are confirmed and messages arrive. In RESP3 only a push is.
    pub fn is_pubsub_message(&self, resp3: bool) -> bool {
        let items = match self {
            Self::Push(items) if resp3 => items,
            Self::Array(items) if !resp3 => items,
            _ => return false,
        };
        match items.as_slice() {
            [Self::Bulk(kind), _, _, ..] => kind.ends_with(b"message") || kind.ends_with(b"subscribe"),
            _ => false,
        }
    }
}

/// What a server sent is not RESP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtocolError(String);

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Deepest nesting of aggregates that is followed; formatting them is recursive.
const MAX_DEPTH: usize = 256;

/// An incremental parser: bytes go in as they arrive, replies come out when complete. What was parsed is not parsed again when a reply
/// arrives in pieces.
#[derive(Default)]
pub struct Parser {
    buf: Vec<u8>,
    pos: usize,
    open: Vec<Frame>,
}

/// An aggregate whose elements are still arriving.
struct Frame {
    kind: u8,
    want: usize,
    items: Vec<Reply>,
}

impl Frame {
    /// The finished aggregate; `None` for attributes, which say something about the next reply and are not shown.
    fn finish(self) -> Option<Reply> {
        match self.kind {
            b'*' => Some(Reply::Array(self.items)),
            b'~' => Some(Reply::Set(self.items)),
            b'>' => Some(Reply::Push(self.items)),
            b'%' => {
                let mut items = self.items.into_iter();
                let mut pairs = Vec::with_capacity(self.want / 2);
                while let (Some(key), Some(value)) = (items.next(), items.next()) {
                    pairs.push((key, value));
                }
                Some(Reply::Map(pairs))
            }
            _ => None,
        }
    }
}

/// What one header in the stream stands for.
enum Item {
    Leaf(Reply),
    Open(Frame),
}

impl Parser {
    /// Adds bytes that arrived.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.pos > 0 && (self.pos == self.buf.len() || self.pos > 64 * 1024) {
            self.buf.drain(..self.pos);
            self.pos = 0;
        }
        self.buf.extend_from_slice(bytes);
    }

    /// Whether bytes are waiting that no reply has used yet, or a reply is half read.
    pub fn is_mid_reply(&self) -> bool {
        self.pos < self.buf.len() || !self.open.is_empty()
    }

    /// Takes bytes out unparsed: for the parts of the replication protocol that are not replies.
    pub fn take_raw(&mut self, out: &mut [u8]) -> usize {
        let waiting = &self.buf[self.pos..];
        let n = waiting.len().min(out.len());
        out[..n].copy_from_slice(&waiting[..n]);
        self.pos += n;
        n
    }

    /// The next complete reply, or `None` until more bytes are fed.
    pub fn next_reply(&mut self) -> Result<Option<Reply>, ProtocolError> {
        while let Some(item) = self.item()? {
            let mut done = match item {
                Item::Open(frame) if frame.want > 0 => {
                    if self.open.len() == MAX_DEPTH {
                        return Err(error("Protocol error, replies nested too deeply"));
                    }
                    self.open.push(frame);
                    continue;
                }
                Item::Open(frame) => frame.finish(),
                Item::Leaf(reply) => Some(reply),
            };
            while let Some(reply) = done {
                let Some(frame) = self.open.last_mut() else { return Ok(Some(reply)) };
                frame.items.push(reply);
                done = None;
                if frame.items.len() == frame.want {
                    done = self.open.pop().and_then(Frame::finish);
                }
            }
        }
        Ok(None)
    }

    /// Reads one leaf or one aggregate's header, whole or not at all.
    fn item(&mut self) -> Result<Option<Item>, ProtocolError> {
        let waiting = &self.buf[self.pos..];
        let Some(&kind) = waiting.first() else { return Ok(None) };
        if !b"+-:,_$*%|~#=>(".contains(&kind) {
            let shown = crate::words::quote(&[kind]);
            return Err(ProtocolError(format!(
                "Protocol error, got {} as reply type byte",
                String::from_utf8_lossy(&shown)
            )));
        }
        let Some(end) = memchr::memmem::find(waiting, b"\r\n") else { return Ok(None) };
        let line = &waiting[1..end];
        let mut used = end + 2;
        let item = match kind {
            b'+' => Item::Leaf(Reply::Status(line.to_vec())),
            b'-' => Item::Leaf(Reply::Error(line.to_vec())),
            b':' => Item::Leaf(Reply::Integer(number(line).ok_or_else(|| error("Bad integer value"))?)),
            b',' => Item::Leaf(Reply::Double(line.to_vec())),
            b'(' => Item::Leaf(Reply::BigNumber(line.to_vec())),
            b'_' => Item::Leaf(Reply::Nil),
            b'#' => Item::Leaf(match line {
                b"t" | b"T" => Reply::Bool(true),
                b"f" | b"F" => Reply::Bool(false),
                _ => return Err(error("Bad bool value")),
            }),
            b'$' | b'=' => match number(line).ok_or_else(|| error("Bad bulk string length"))? {
                -1 => Item::Leaf(Reply::Nil),
                len => {
                    let len = usize::try_from(len).map_err(|_| error("Bulk string length out of range"))?;
                    let Some(body) = waiting.get(used..used.saturating_add(len)) else { return Ok(None) };
                    if waiting.len() < used + len + 2 {
                        return Ok(None);
                    }
                    used += len + 2;
                    Item::Leaf(if kind == b'$' {
                        Reply::Bulk(body.to_vec())
                    } else if body.get(3) == Some(&b':') {
                        Reply::Verbatim(body[4..].to_vec())
                    } else {
                        return Err(error(
                            "Verbatim string 4 bytes of content type are missing or incorrectly encoded.",
                        ));
                    })
                }
            },
            _ => match number(line).ok_or_else(|| error("Bad multi-bulk length"))? {
                -1 => Item::Leaf(Reply::Nil),
                count => {
                    let count = u32::try_from(count).map_err(|_| error("Multi-bulk length out of range"))? as usize;
                    let want = if matches!(kind, b'%' | b'|') { count * 2 } else { count };
                    Item::Open(Frame { kind, want, items: Vec::with_capacity(want.min(1024)) })
                }
            },
        };
        self.pos += used;
        Ok(Some(item))
    }
}

fn error(text: &str) -> ProtocolError {
    ProtocolError(text.to_owned())
}

fn number(line: &[u8]) -> Option<i64> {
    std::str::from_utf8(line).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Result<Option<Reply>, ProtocolError> {
        let mut parser = Parser::default();
        parser.feed(bytes);
        parser.next_reply()
    }

    fn bulk(text: &str) -> Reply {
        Reply::Bulk(text.as_bytes().to_vec())
    }

    #[test]
    fn every_kind_of_reply_is_read() {
        let table: &[(&[u8], Reply)] = &[
            (b"+OK\r\n", Reply::Status(b"OK".to_vec())),
            (b"-ERR no\r\n", Reply::Error(b"ERR no".to_vec())),
            (b":-5\r\n", Reply::Integer(-5)),
            (b",1.5e3\r\n", Reply::Double(b"1.5e3".to_vec())),
            (b"(123456789012345678901\r\n", Reply::BigNumber(b"123456789012345678901".to_vec())),
            (b"$4\r\na\r\nb\r\n", bulk("a\r\nb")),
            (b"$0\r\n\r\n", bulk("")),
            (b"=6\r\ntxt:hi\r\n", Reply::Verbatim(b"hi".to_vec())),
            (b"$-1\r\n", Reply::Nil),
            (b"*-1\r\n", Reply::Nil),
            (b"_\r\n", Reply::Nil),
            (b"#t\r\n", Reply::Bool(true)),
            (b"*0\r\n", Reply::Array(vec![])),
            (b"*2\r\n*1\r\n:1\r\n$1\r\nx\r\n", Reply::Array(vec![Reply::Array(vec![Reply::Integer(1)]), bulk("x")])),
            (b"%1\r\n$1\r\nk\r\n~1\r\n:1\r\n", Reply::Map(vec![(bulk("k"), Reply::Set(vec![Reply::Integer(1)]))])),
            (b">1\r\n$1\r\nx\r\n", Reply::Push(vec![bulk("x")])),
            (b"|1\r\n+ttl\r\n:9\r\n*1\r\n|0\r\n:7\r\n", Reply::Array(vec![Reply::Integer(7)])),
        ];
        for (bytes, want) in table {
            assert_eq!(parse(bytes), Ok(Some(want.clone())), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn replies_that_arrive_byte_by_byte_are_read_whole() {
        let stream = b"*2\r\n$3\r\nfoo\r\n%1\r\n+a\r\n*0\r\n:1\r\n";
        let mut parser = Parser::default();
        let mut replies = Vec::new();
        for byte in stream {
            parser.feed(&[*byte]);
            while let Some(reply) = parser.next_reply().unwrap() {
                replies.push(reply);
            }
        }
        let map = Reply::Map(vec![(Reply::Status(b"a".to_vec()), Reply::Array(vec![]))]);
        assert_eq!(replies, [Reply::Array(vec![bulk("foo"), map]), Reply::Integer(1)]);
        assert!(!parser.is_mid_reply());
    }

    #[test]
    fn bytes_that_are_no_reply_are_refused_with_the_reason() {
        let table: &[(&[u8], &str)] = &[
            (b"HTTP/1.1 400\r\n", "Protocol error, got \"H\" as reply type byte"),
            (b":x\r\n", "Bad integer value"),
            (b"$x\r\n", "Bad bulk string length"),
            (b"$-2\r\n", "Bulk string length out of range"),
            (b"*99999999999\r\n", "Multi-bulk length out of range"),
        ];
        for (bytes, want) in table {
            assert_eq!(parse(bytes).unwrap_err().to_string(), *want);
        }
        assert!(parse(&b"*1\r\n".repeat(1000)).is_err());
    }

    #[test]
    fn pubsub_messages_are_told_from_other_replies() {
        let message = vec![bulk("message"), bulk("ch"), bulk("hi")];
        assert!(Reply::Array(message.clone()).is_pubsub_message(false));
        assert!(Reply::Push(message.clone()).is_pubsub_message(true));
        assert!(!Reply::Array(message).is_pubsub_message(true));
        assert!(!Reply::Push(vec![bulk("invalidate"), Reply::Nil]).is_pubsub_message(true));
    }
}
