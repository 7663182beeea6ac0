//! Replies: what a client is sent, in the protocol version it speaks.

use std::collections::VecDeque;

use super::argv::encode_header;
use crate::data::elem::Elem;
use crate::data::num::DoubleText;

/// Bytes of output that a connection's own buffer holds; what is beyond counts as `omem`.
pub const OWN_BUFFER: usize = 16 * 1024;

/// A client's output: bytes written by commands and not yet taken by the socket.
#[derive(Debug)]
pub struct ReplyBuf {
    buf: Vec<u8>,
    sent: usize,
    peak: usize,
    /// 2 or 3.
    pub proto: u8,
    /// Nothing is kept while set: replies to the primary's stream, to an AOF being loaded, CLIENT REPLY OFF.
    pub muted: bool,
    /// Parts that may not be sent before replicas hold an offset: (position in `buf`, offset), ascending.
    gates: VecDeque<(usize, u64)>,
    /// Bytes that may be pending.
    ceiling: usize,
    overflowed: bool,
}

impl Default for ReplyBuf {
    fn default() -> Self {
        ReplyBuf {
            buf: Vec::new(),
            sent: 0,
            peak: 0,
            proto: 2,
            muted: false,
            gates: VecDeque::new(),
            ceiling: usize::MAX,
            overflowed: false,
        }
    }
}

impl ReplyBuf {
    /// A scratch buffer that speaks the given protocol version.
    pub fn with_proto(proto: u8) -> Self {
        ReplyBuf { proto, ..Self::default() }
    }

    /// Whether there is no limit to what may wait.
    pub fn is_unlimited(&self) -> bool {
        self.ceiling == usize::MAX
    }

    /// Sets how many bytes may be pending, the own buffer's among them. If more are, all are dropped: the client has to go, and must not
    /// cost memory until it does.
    pub fn set_ceiling(&mut self, bytes: usize) {
        self.ceiling = bytes;
    }

    /// Whether more was pending than may be: nothing will be sent any more.
    pub fn has_overflowed(&self) -> bool {
        self.overflowed
    }

    #[inline]
    fn keep_below_ceiling(&mut self) {
        if self.pending() > self.ceiling {
            self.overflow();
        }
    }

    #[cold]
    fn overflow(&mut self) {
        self.clear();
        self.buf = Vec::new();
        self.overflowed = true;
    }

    /// Bytes not yet sent.
    pub fn pending(&self) -> usize {
        self.buf.len() - self.sent
    }

    /// Bytes allocated.
    pub fn capacity(&self) -> usize {
        self.buf.capacity()
    }

    /// The most bytes that were pending since the last [`reset_peak`](Self::reset_peak).
    pub fn peak(&self) -> usize {
        self.peak.max(self.pending())
    }

    /// Begins to look for a new [`peak`](Self::peak).
    pub fn reset_peak(&mut self) {
        self.peak = self.pending();
    }

    /// What may be sent now: everything up to the first closed gate.
    pub fn sendable(&self) -> &[u8] {
        if self.overflowed {
            return &[];
        }
        let end = self.gates.front().map_or(self.buf.len(), |g| g.0);
        &self.buf[self.sent..end.max(self.sent)]
    }

    /// Takes note that `n` bytes were sent.
    pub fn consume(&mut self, n: usize) {
        self.peak = self.peak.max(self.pending());
        self.sent += n;
        if self.sent == self.buf.len() {
            self.buf.clear();
            self.sent = 0;
            if self.buf.capacity() > 64 * 1024 {
                self.buf.shrink_to(16 * 1024);
            }
        } else if self.sent > 1024 * 1024 && self.sent > self.buf.len() / 2 {
            let cut = self.sent;
            self.buf.drain(..cut);
            for gate in &mut self.gates {
                gate.0 -= cut;
            }
            self.sent = 0;
        }
    }

    /// Forgets everything unsent.
    pub fn clear(&mut self) {
        self.buf.clear();
        self.sent = 0;
        self.gates.clear();
    }

    /// Holds back what was written from `position` on (see [`position`](Self::position)) until `offset` is acknowledged.
    pub fn hold_from(&mut self, position: usize, offset: u64) {
        if position == self.buf.len() || self.overflowed {
            return;
        }
        if let Some(last) = self.gates.back_mut()
            && last.1 == offset
        {
            return;
        }
        self.gates.push_back((position, offset));
    }

    /// Opens the gates up to `acknowledged`; true when that freed something.
    pub fn release(&mut self, acknowledged: u64) -> bool {
        let before = self.gates.len();
        while self.gates.front().is_some_and(|g| g.1 <= acknowledged) {
            self.gates.pop_front();
        }
        before != self.gates.len()
    }

    /// Whether something is held back.
    pub fn is_held(&self) -> bool {
        !self.gates.is_empty()
    }

    /// Where the next byte will be written.
    pub fn position(&self) -> usize {
        self.buf.len()
    }

    /// What was written since `position`.
    pub fn written_since(&self, position: usize) -> &[u8] {
        self.buf.get(position..).unwrap_or(&[])
    }

    /// Drops what was written since `position`.
    pub fn truncate(&mut self, position: usize) {
        self.buf.truncate(position);
    }

    /// Whether the client speaks RESP3.
    pub fn resp3(&self) -> bool {
        self.proto == 3
    }

    /// Appends bytes that are a reply already.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        if !self.muted {
            self.raw_always(bytes);
        }
    }

    /// Appends bytes that are no answer: messages reach a client that wants no replies, too.
    #[inline]
    pub fn raw_always(&mut self, bytes: &[u8]) {
        self.buf.extend_from_slice(bytes);
        self.keep_below_ceiling();
    }

    /// `+text`
    pub fn simple(&mut self, text: &str) {
        if !self.muted {
            self.buf.push(b'+');
            self.buf.extend_from_slice(text.as_bytes());
            self.raw_always(b"\r\n");
        }
    }

    /// `+OK`
    #[inline]
    pub fn ok(&mut self) {
        self.raw(b"+OK\r\n");
    }

    /// `-text`; line breaks become spaces. The text begins with its code, such as `ERR `.
    pub fn error(&mut self, text: &[u8]) {
        if !self.muted {
            self.buf.push(b'-');
            self.buf.extend(text.iter().map(|c| if matches!(c, b'\r' | b'\n') { b' ' } else { *c }));
            self.raw_always(b"\r\n");
        }
    }

    fn header(&mut self, kind: u8, n: usize) {
        if !self.muted {
            encode_header(&mut self.buf, kind, n);
        }
    }

    /// `:n`
    #[inline]
    pub fn int(&mut self, n: i64) {
        match n {
            0 => self.raw(b":0\r\n"),
            1 => self.raw(b":1\r\n"),
            _ if self.muted => {}
            _ => {
                self.buf.push(b':');
                self.buf.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
                self.raw_always(b"\r\n");
            }
        }
    }

    /// A bulk string.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        if !self.muted {
            self.buf.reserve(bytes.len() + 24);
            encode_header(&mut self.buf, b'$', bytes.len());
            self.buf.extend_from_slice(bytes);
            self.raw_always(b"\r\n");
        }
    }

    /// An integer as a bulk string.
    pub fn bulk_int(&mut self, n: i64) {
        self.bulk(itoa::Buffer::new().format(n).as_bytes());
    }

    /// An element of a value as a bulk string.
    #[inline]
    pub fn elem(&mut self, elem: Elem<'_>) {
        match elem {
            Elem::Bytes(bytes) => self.bulk(bytes),
            Elem::Int(n) => self.bulk_int(n),
        }
    }

    /// Null: RESP3's own, or RESP2's null bulk string.
    #[inline]
    pub fn null(&mut self) {
        if self.resp3() { self.raw(b"_\r\n") } else { self.raw(b"$-1\r\n") }
    }

    /// Null where an array was expected.
    pub fn null_array(&mut self) {
        if self.resp3() { self.raw(b"_\r\n") } else { self.raw(b"*-1\r\n") }
    }

    /// An array of `n` elements, which follow.
    pub fn array(&mut self, n: usize) {
        self.header(b'*', n);
    }

    /// A map of `n` pairs, which follow; in RESP2 a flat array.
    pub fn map(&mut self, n: usize) {
        if self.resp3() { self.header(b'%', n) } else { self.header(b'*', 2 * n) }
    }

    /// A set of `n` elements, which follow; in RESP2 an array.
    pub fn set(&mut self, n: usize) {
        self.header(if self.resp3() { b'~' } else { b'*' }, n);
    }

    /// An out-of-band message of `n` elements, which follow; in RESP2 an array.
    pub fn push(&mut self, n: usize) {
        self.header(if self.resp3() { b'>' } else { b'*' }, n);
    }

    /// A boolean: RESP3's own, or `:1` / `:0`.
    pub fn bool(&mut self, value: bool) {
        match (self.resp3(), value) {
            (true, true) => self.raw(b"#t\r\n"),
            (true, false) => self.raw(b"#f\r\n"),
            (false, _) => self.int(i64::from(value)),
        }
    }

    /// A double: RESP3's own, or its text as a bulk string.
    pub fn double(&mut self, value: f64) {
        self.double_text(DoubleText::new(value).as_bytes());
    }

    /// As [`double`](Self::double), of a text that is one already.
    pub fn double_text(&mut self, text: &[u8]) {
        if self.muted {
            return;
        }
        if self.resp3() {
            self.buf.push(b',');
            self.buf.extend_from_slice(text);
            self.raw_always(b"\r\n");
        } else {
            self.bulk(text);
        }
    }

    /// Text for people: RESP3's verbatim string of format `txt`, or a bulk string.
    pub fn verbatim(&mut self, text: &[u8]) {
        if self.resp3() {
            if !self.muted {
                encode_header(&mut self.buf, b'=', text.len() + 4);
                self.buf.extend_from_slice(b"txt:");
                self.buf.extend_from_slice(text);
                self.raw_always(b"\r\n");
            }
        } else {
            self.bulk(text);
        }
    }

    /// Calls `each` `n` times, a number that may be anything, but not after the output has overflowed.
    pub fn repeat(&mut self, n: usize, mut each: impl FnMut(&mut ReplyBuf)) {
        for _ in 0..n {
            if self.overflowed {
                return;
            }
            each(self);
        }
    }

    /// Writes an aggregate whose length is known only afterwards: `body` writes the elements and returns their number,
    /// `header` then puts the aggregate's start in front of them.
    pub fn deferred(&mut self, header: fn(&mut ReplyBuf, usize), body: impl FnOnce(&mut ReplyBuf) -> usize) {
        if self.muted {
            body(self);
            return;
        }
        let start = self.buf.len();
        let n = body(self);
        // What its header has yet to come for is not for the own buffer.
        if self.buf.len() - start.min(self.buf.len()) > self.ceiling.saturating_sub(OWN_BUFFER) {
            self.overflow();
        }
        if self.overflowed {
            return;
        }
        let elements_end = self.buf.len();
        header(self, n);
        let header_len = self.buf.len() - elements_end;
        self.buf[start..].rotate_right(header_len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_may_be_pending_is_dropped_and_costs_no_memory() {
        let mut reply = ReplyBuf::default();
        reply.set_ceiling(OWN_BUFFER + 1000);
        reply.bulk(&[0; OWN_BUFFER]);
        reply.consume(800);
        reply.bulk(&[0; 1700]);
        assert!(!reply.has_overflowed() && reply.sendable().len() > OWN_BUFFER + 900);
        reply.deferred(ReplyBuf::array, |reply| {
            (0..1000).for_each(|_| reply.bulk(&[0; 100]));
            1000
        });
        reply.hold_from(5000, 7);
        assert!(reply.has_overflowed() && reply.sendable().is_empty() && reply.capacity() <= 2 * OWN_BUFFER);
        reply.ok();
        assert!(reply.sendable().is_empty());
    }

    #[test]
    fn an_aggregate_whose_length_is_told_afterwards_has_no_place_in_the_own_buffer() {
        for (elements, overflows) in [(8, false), (12, true)] {
            let mut reply = ReplyBuf::default();
            reply.set_ceiling(OWN_BUFFER + 1000);
            reply.deferred(ReplyBuf::array, |reply| {
                (0..elements).for_each(|_| reply.bulk(&[0; 100]));
                elements
            });
            assert_eq!(reply.has_overflowed(), overflows);
        }
    }

    #[test]
    fn each_protocol_version_gets_its_own_types() {
        let mut two = ReplyBuf::default();
        let mut three = ReplyBuf::with_proto(3);
        for r in [&mut two, &mut three] {
            r.null();
            r.map(1);
            r.bool(true);
            r.double(1.5);
            r.deferred(ReplyBuf::array, |r| {
                r.int(7);
                r.int(-1);
                2
            });
        }
        assert_eq!(two.sendable(), b"$-1\r\n*2\r\n:1\r\n$3\r\n1.5\r\n*2\r\n:7\r\n:-1\r\n");
        assert_eq!(three.sendable(), b"_\r\n%1\r\n#t\r\n,1.5\r\n*2\r\n:7\r\n:-1\r\n");
    }

    #[test]
    fn a_held_reply_waits_for_its_offset_and_so_does_what_follows_it() {
        let mut r = ReplyBuf::default();
        r.ok();
        let at = r.position();
        r.int(1);
        r.hold_from(at, 100);
        let at = r.position();
        r.int(2);
        r.hold_from(at, 200);
        assert_eq!(r.sendable(), b"+OK\r\n");
        assert!(r.release(150));
        assert_eq!(r.sendable(), b"+OK\r\n:1\r\n");
        r.consume(9);
        assert!(r.release(200));
        assert_eq!(r.sendable(), b":2\r\n");
    }
}
