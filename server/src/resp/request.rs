//! Requests: an incremental parser over a connection's query buffer. Pipelined commands are parsed in one go, each byte
//! once however the network cut them, and stay where they were received.

use super::argv::{Argv, Span};
use super::inline;
use super::number::parse_i64;

const INLINE_MAX: usize = 64 * 1024;
/// Nothing is set aside for arguments before they come, so this may be more than fits into memory.
const MULTIBULK_MAX: i64 = i32::MAX as i64;

/// What a connection may ask for.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest argument in bytes (`proto-max-bulk-len`).
    pub bulk: usize,
    /// Whether the client has logged in: before that it may hold little memory.
    pub authenticated: bool,
}

/// Why a connection can't be understood any more; the text follows `-ERR Protocol error: `.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtocolError(pub String);

/// One parsed command: where it stands in the buffer and in the batch's list of spans.
#[derive(Clone, Copy, Debug)]
struct Command {
    start: usize,
    end: usize,
    first_span: usize,
    last_span: usize,
    canonical: bool,
}

/// A command that has not arrived whole.
#[derive(Clone, Copy, Debug)]
struct Partial {
    /// Where its spans begin in the batch's list.
    first_span: usize,
    /// Where the next byte to look at is, relative to the command's start.
    cursor: usize,
    /// Arguments still to come.
    left: usize,
    /// Length of the argument whose header was read.
    bulk: Option<usize>,
}

/// Received bytes and the commands found in them.
#[derive(Debug, Default)]
pub struct QueryBuf {
    buf: Vec<u8>,
    /// Everything before this has been executed.
    done: usize,
    /// Everything before this has been parsed into `commands`.
    parsed: usize,
    commands: Vec<Command>,
    next: usize,
    spans: Vec<Span>,
    partial: Option<Partial>,
    /// `buf` is lent; see [`QueryBuf::borrow`].
    lent: bool,
}

/// Room that each read from a socket has at least.
const LEAST_AT_ONCE: usize = 16 * 1024;
/// The largest buffer that is shared.
const SHARED_MAX: usize = 2 * LEAST_AT_ONCE;
/// What a part of a long argument may take that has not come yet.
const MOST_AT_ONCE: usize = 1024 * 1024;

/// A list of spans that has become longer than this is not kept.
const SPANS_KEPT: usize = 4096;

/// How many commands are parsed ahead of execution.
const BATCH: usize = 64;

impl QueryBuf {
    /// Bytes received and not executed.
    pub fn len(&self) -> usize {
        self.buf.len() - self.done
    }

    /// What was received and not executed.
    pub fn unexecuted(&self) -> &[u8] {
        &self.buf[self.done..]
    }

    /// Bytes received of which nothing is known yet.
    pub fn unparsed(&self) -> usize {
        self.buf.len() - self.parsed - self.partial.map_or(0, |partial| partial.cursor)
    }

    /// Whether everything received has been executed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes allocated.
    pub fn capacity(&self) -> usize {
        self.buf.capacity() + self.spans.capacity() * size_of::<Span>()
    }

    /// Bytes allocated for what is received.
    pub fn room(&self) -> usize {
        self.buf.capacity()
    }

    /// Takes a buffer that all connections share, if there is none: most hold nothing when their requests have been executed, and
    /// need no memory of their own.
    pub fn borrow(&mut self, shared: &mut Vec<u8>) {
        if self.buf.capacity() == 0 {
            self.buf = std::mem::take(shared);
            self.lent = true;
        }
    }

    /// Gives the shared buffer back, unless something is left in it, or it has become large: then it is kept.
    pub fn give_back(&mut self, shared: &mut Vec<u8>) {
        if std::mem::take(&mut self.lent) && self.is_empty() && self.buf.capacity() <= SHARED_MAX {
            *shared = std::mem::take(&mut self.buf);
            shared.clear();
            (self.done, self.parsed) = (0, 0);
        }
    }

    /// Gives up the memory that nothing is in; returns whether there was any.
    pub fn shrink(&mut self) -> bool {
        let before = self.capacity();
        if self.is_empty() {
            *self = QueryBuf::default();
        } else {
            self.compact();
            self.buf.shrink_to_fit();
        }
        self.capacity() < before
    }

    /// Room for at least `n` more bytes, handed to `read`, which says how many it filled.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn fill(&mut self, read: impl FnOnce(&mut Vec<u8>, usize) -> std::io::Result<usize>) -> std::io::Result<usize> {
        self.compact();
        // A long argument gets its room at once; a very long one what is likely to come soon.
        let missing = match self.partial {
            Some(Partial { bulk: Some(n), cursor, .. }) => {
                (self.parsed + cursor + n + 2).saturating_sub(self.buf.len())
            }
            _ => 0,
        };
        let want = missing.min(MOST_AT_ONCE) + LEAST_AT_ONCE;
        let (len, free) = (self.buf.len(), self.buf.capacity() - self.buf.len());
        if missing == 0 {
            self.buf.reserve(want);
        } else if free < missing.min(MOST_AT_ONCE) {
            // Memory of clients is limited, so it is not doubled; by how much it grows keeps the cost of moving it within bounds.
            self.buf.reserve_exact(want.max(len / 4));
        } else {
            self.buf.reserve(LEAST_AT_ONCE);
        }
        let room = self.buf.capacity() - self.buf.len();
        read(&mut self.buf, room)
    }

    /// Appends bytes received elsewhere.
    pub fn push(&mut self, bytes: &[u8]) {
        self.compact();
        self.buf.extend_from_slice(bytes);
    }

    /// Drops what has been executed, when that is everything or a good part.
    fn compact(&mut self) {
        if self.done == 0 || self.next < self.commands.len() {
            return;
        }
        if self.done == self.buf.len() {
            self.buf.clear();
            if self.buf.capacity() > 256 * 1024 {
                self.buf = Vec::new();
            }
        } else if self.done > 4096 && self.done > self.buf.len() / 2 {
            self.buf.drain(..self.done);
        } else {
            return;
        }
        self.parsed -= self.done;
        self.done = 0;
    }

    /// Parses ahead up to a batch of commands; returns how many wait to be executed. When none does, see to
    /// [what was passed over](Self::passed_over).
    ///
    /// # Errors
    /// When the bytes are no request; what was parsed before them may still be executed.
    pub fn parse(&mut self, limits: Limits) -> Result<usize, ProtocolError> {
        if self.next == self.commands.len() {
            self.commands.clear();
            self.next = 0;
            match &mut self.partial {
                None => {
                    self.spans.clear();
                    if self.spans.capacity() > SPANS_KEPT {
                        self.spans = Vec::new();
                    }
                }
                Some(p) => {
                    self.spans.drain(..p.first_span);
                    p.first_span = 0;
                }
            }
        }
        // What comes after AUTH may be longer than what came before it.
        let batch = if limits.authenticated { BATCH } else { 1 };
        while self.commands.len() - self.next < batch && self.parsed < self.buf.len() {
            if !self.parse_one(limits)? {
                break;
            }
        }
        Ok(self.commands.len() - self.next)
    }

    /// The commands that were parsed and not yet executed, first to last.
    pub fn upcoming(&self) -> impl Iterator<Item = Argv<'_>> {
        self.commands[self.next..].iter().map(|c| self.view(c))
    }

    /// The next command, if one waits. It stays readable until the next call that changes the buffer.
    pub fn current(&self) -> Option<Argv<'_>> {
        self.commands.get(self.next).map(|c| self.view(c))
    }

    /// Marks the current command as executed; returns the number of bytes it took on the wire.
    pub fn advance(&mut self) -> usize {
        let Some(c) = self.commands.get(self.next) else { return 0 };
        let taken = c.end - self.done;
        self.done = c.end;
        self.next += 1;
        taken
    }

    /// The bytes from the end of the last executed command to the end of the current one.
    pub fn current_wire(&self) -> &[u8] {
        self.commands.get(self.next).map_or(&[], |c| &self.buf[self.done..c.end])
    }

    /// Empty lines and arrays since the last command, when no command waits: they are part of the wire and ask for nothing.
    pub fn passed_over(&self) -> &[u8] {
        if self.next == self.commands.len() { &self.buf[self.done..self.parsed] } else { &[] }
    }

    /// Forgets what was passed over.
    pub fn drop_passed_over(&mut self) {
        if self.next == self.commands.len() {
            self.done = self.parsed;
        }
    }

    fn view(&self, c: &Command) -> Argv<'_> {
        Argv::new(&self.buf[c.start..c.end], &self.spans[c.first_span..c.last_span], c.canonical)
    }

    /// Parses one command; false when it has not arrived whole. Empty lines and empty arrays are passed over.
    fn parse_one(&mut self, limits: Limits) -> Result<bool, ProtocolError> {
        if self.partial.is_some() || self.buf[self.parsed] == b'*' {
            self.parse_array(limits)
        } else {
            self.parse_inline()
        }
    }

    fn parse_inline(&mut self) -> Result<bool, ProtocolError> {
        let rest = &mut self.buf[self.parsed..];
        let Some(newline) = memchr::memchr(b'\n', rest) else {
            return if rest.len() > INLINE_MAX { err("too big inline request") } else { Ok(false) };
        };
        let line_end = if newline > 0 && rest[newline - 1] == b'\r' { newline - 1 } else { newline };
        let first_span = self.spans.len();
        if inline::split_in_place(&mut rest[..line_end], &mut self.spans).is_none() {
            return err("unbalanced quotes in request");
        }
        self.finish(self.parsed + newline + 1, first_span, false);
        Ok(true)
    }

    fn parse_array(&mut self, limits: Limits) -> Result<bool, ProtocolError> {
        let mut p = match self.partial {
            Some(p) => p,
            None => {
                let Some((text, next)) = line(&self.buf[self.parsed..], 1)? else {
                    return self.unfinished_line(self.parsed, "too big mbulk count string");
                };
                let n = parse_i64(text).filter(|n| *n <= MULTIBULK_MAX);
                match n {
                    None => return err("invalid multibulk length"),
                    Some(n) if n > 10 && !limits.authenticated => return err("unauthenticated multibulk length"),
                    Some(n) if n <= 0 => {
                        self.parsed += next;
                        return Ok(true);
                    }
                    Some(n) => Partial { first_span: self.spans.len(), cursor: next, left: n as usize, bulk: None },
                }
            }
        };
        let start = self.parsed;
        while p.left > 0 {
            let rest = &self.buf[start..];
            let len = match p.bulk {
                Some(len) => len,
                None => {
                    if let Some(&c) = rest.get(p.cursor)
                        && c != b'$'
                    {
                        return err(&format!("expected '$', got '{}'", c as char));
                    }
                    let Some((text, next)) = line(rest, p.cursor + 1)? else {
                        self.partial = Some(p);
                        return self.unfinished_line(start + p.cursor, "too big bulk count string");
                    };
                    let len = parse_i64(text).and_then(|n| usize::try_from(n).ok()).filter(|n| *n <= limits.bulk);
                    match len {
                        None => return err("invalid bulk length"),
                        Some(n) if n > 16384 && !limits.authenticated => return err("unauthenticated bulk length"),
                        Some(n) => {
                            p.cursor = next;
                            n
                        }
                    }
                }
            };
            if rest.len() < p.cursor + len + 2 {
                p.bulk = Some(len);
                self.partial = Some(p);
                return Ok(false);
            }
            if !rest[p.cursor + len..].starts_with(b"\r\n") {
                return err(BAD_LINE_END);
            }
            let (Ok(at), Ok(size)) = (u32::try_from(p.cursor), u32::try_from(len)) else {
                return err("too big request");
            };
            self.spans.push(Span { start: at, len: size });
            p.cursor += len + 2;
            p.bulk = None;
            p.left -= 1;
        }
        self.partial = None;
        self.finish(start + p.cursor, p.first_span, true);
        Ok(true)
    }

    fn finish(&mut self, end: usize, first_span: usize, canonical: bool) {
        if self.spans.len() > first_span {
            let last_span = self.spans.len();
            self.commands.push(Command { start: self.parsed, end, first_span, last_span, canonical });
        }
        self.parsed = end;
    }

    fn unfinished_line(&self, from: usize, what: &str) -> Result<bool, ProtocolError> {
        if self.buf.len() - from > INLINE_MAX { err(what) } else { Ok(false) }
    }
}

/// See [`line`].
const SHORT_LINE: usize = 8;
const BAD_LINE_END: &str = "invalid CRLF in request";

/// The text from `from` up to `\r\n`, and the offset after it; `None` if it has not arrived whole.
fn line(buf: &[u8], from: usize) -> Result<Option<(&[u8], usize)>, ProtocolError> {
    let Some(rest) = buf.get(from..) else { return Ok(None) };
    // Most are lengths of a few digits, and a search is set up for longer ones.
    let near = rest.iter().take(SHORT_LINE).position(|c| *c == b'\r');
    let Some(end) = near.or_else(|| memchr::memchr(b'\r', rest)) else { return Ok(None) };
    match rest.get(end + 1) {
        None => Ok(None),
        Some(b'\n') => Ok(Some((&rest[..end], from + end + 2))),
        Some(_) => err(BAD_LINE_END),
    }
}

fn err<T>(text: &str) -> Result<T, ProtocolError> {
    Err(ProtocolError(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const OPEN: Limits = Limits { bulk: 512 << 20, authenticated: true };

    fn all(q: &mut QueryBuf) -> Vec<Vec<Vec<u8>>> {
        let mut out = Vec::new();
        while q.parse(OPEN).unwrap() > 0 {
            while let Some(argv) = q.current() {
                out.push(argv.iter().map(<[u8]>::to_vec).collect());
                q.advance();
            }
        }
        out
    }

    #[test]
    fn what_asks_for_nothing_is_part_of_the_wire() {
        let mut query = QueryBuf::default();
        let wire = b"\r\n*0\r\n*1\r\n$4\r\nPING\r\n";
        query.push(wire);
        query.push(b"*-1\r\n\n*1\r\n$4");
        assert_eq!(query.parse(OPEN), Ok(1));
        assert_eq!(query.current_wire(), wire);
        assert!(query.passed_over().is_empty());
        assert_eq!(query.advance(), wire.len());
        assert_eq!(query.parse(OPEN), Ok(0));
        assert_eq!(query.passed_over(), b"*-1\r\n\n");
        query.drop_passed_over();
        assert_eq!(query.unexecuted(), b"*1\r\n$4");
    }

    #[test]
    fn a_pipeline_is_parsed_the_same_however_the_network_cuts_it() {
        let wire = b"*2\r\n$3\r\nGET\r\n$1\r\na\r\nPING \"x y\"\r\n\r\n*0\r\n*3\r\n$3\r\nSET\r\n$0\r\n\r\n$5\r\n\r\n\r\n!\r\n*1\r\n$4\r\nQUIT\r\n";
        let mut whole = QueryBuf::default();
        whole.push(wire);
        let expected = all(&mut whole);
        assert_eq!(expected.len(), 4);
        assert_eq!(expected[1], [b"PING".to_vec(), b"x y".to_vec()]);
        assert_eq!(expected[2], [b"SET".to_vec(), b"".to_vec(), b"\r\n\r\n!".to_vec()]);
        for step in 1..wire.len() {
            let (mut q, mut got, mut taken) = (QueryBuf::default(), Vec::new(), 0);
            for piece in wire.chunks(step) {
                q.push(piece);
                while q.parse(OPEN).unwrap() > 0 {
                    while let Some(argv) = q.current() {
                        got.push(argv.iter().map(<[u8]>::to_vec).collect::<Vec<_>>());
                        taken += q.advance();
                    }
                }
            }
            assert_eq!(got, expected, "pieces of {step}");
            assert!(taken <= wire.len());
            assert!(q.is_empty());
        }
    }

    #[test]
    fn what_is_forwarded_verbatim_is_the_command_as_it_came() {
        let mut q = QueryBuf::default();
        q.push(b"*1\r\n$4\r\nPING\r\nPING\r\n");
        q.parse(OPEN).unwrap();
        assert_eq!(q.current().unwrap().raw(), Some(&b"*1\r\n$4\r\nPING\r\n"[..]));
        q.advance();
        assert_eq!(q.current().unwrap().raw(), None);
        assert_eq!(q.current().unwrap().to_owned().argv().raw(), Some(&b"*1\r\n$4\r\nPING\r\n"[..]));
    }

    #[test]
    fn bad_requests_say_what_is_wrong() {
        for (wire, why) in [
            ("*1\r\n:3\r\n", "expected '$', got ':'"),
            ("*x\r\n", "invalid multibulk length"),
            ("*2147483648\r\n", "invalid multibulk length"),
            ("*1\r\n$-1\r\n", "invalid bulk length"),
            ("*1\r\n$536870913\r\n", "invalid bulk length"),
            ("*1\rx$4\r\nPING\r\n", "invalid CRLF in request"),
            ("*1x\n$4\r\nPING\r\n", "invalid multibulk length"),
            ("*1\r\n$4\rxPING\r\n", "invalid CRLF in request"),
            ("*1\r\n$4\r\nPINGx\n", "invalid CRLF in request"),
            ("*1\r\n$4\r\nPING\rx", "invalid CRLF in request"),
            ("\"a\r\n", "unbalanced quotes in request"),
        ] {
            let mut q = QueryBuf::default();
            q.push(wire.as_bytes());
            assert_eq!(q.parse(OPEN).unwrap_err().0, why, "{wire:?}");
        }
    }

    #[test]
    fn a_client_without_a_password_may_not_hold_memory() {
        let limits = Limits { bulk: 512 << 20, authenticated: false };
        for (wire, why) in
            [("*11\r\n", "unauthenticated multibulk length"), ("*1\r\n$16385\r\n", "unauthenticated bulk length")]
        {
            let mut q = QueryBuf::default();
            q.push(wire.as_bytes());
            assert_eq!(q.parse(limits).unwrap_err().0, why);
        }
    }

    #[test]
    fn a_buffer_is_shared_by_those_who_have_nothing_in_it() {
        let mut shared = Vec::with_capacity(LEAST_AT_ONCE);
        let (mut first, mut second) = (QueryBuf::default(), QueryBuf::default());
        first.borrow(&mut shared);
        first.push(b"PING\r\nPI");
        assert_eq!(all(&mut first), [[b"PING"]]);
        first.give_back(&mut shared);
        assert_eq!((shared.capacity(), first.unparsed()), (0, 2), "it keeps what it has begun to receive");
        second.borrow(&mut shared);
        second.push(b"ECHO a\r\n");
        assert_eq!(all(&mut second), [[b"ECHO".to_vec(), b"a".to_vec()]]);
        second.give_back(&mut shared);
        assert!(shared.capacity() > 0 && shared.is_empty() && second.room() == 0);
        first.push(b"NG\r\n");
        assert_eq!(all(&mut first), [[b"PING"]]);
        first.give_back(&mut shared);
        assert!(first.room() > 0, "what it did not borrow it does not give back");
        assert!(first.shrink() && first.room() == 0);
    }

    #[test]
    fn a_buffer_gives_up_the_room_for_what_does_not_come() {
        let mut q = QueryBuf::default();
        q.push(b"*2\r\n$3\r\nGET\r\n$100000\r\n");
        assert!(all(&mut q).is_empty());
        q.fill(|buf, _| Ok(buf.write(b"abc").unwrap())).unwrap();
        assert!(q.room() > 100_000 && q.unparsed() == 3);
        assert!(q.shrink() && q.room() < 1000);
        q.push(&[b'd'; 99_997]);
        q.push(b"\r\n");
        assert_eq!(all(&mut q)[0][1].len(), 100_000);
    }
}
