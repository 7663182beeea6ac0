//! Reads the primitives of the format from a file, a pipe, a socket or memory, with a running checksum.
//!
//! Nothing is allocated on the word of the input: memory grows only as data arrives, so that a damaged or hostile
//! length costs nothing but an error.

use std::io::{self, Read};

use super::crc64::Crc64;
use super::error::{ErrorKind, RdbError, Result};
use super::format::{length, string};
use super::lzf;
use crate::data::elem::{Elem, IntText};

/// Bytes of the buffer; longer strings go past it.
pub const DEFAULT_BUFFER: usize = 128 * 1024;

/// Most bytes to ask for, and to make room for, ahead of their arrival.
const MAX_STEP: usize = 1 << 20;
/// A scratch buffer above this size is given back after use.
const MAX_KEPT_SCRATCH: usize = 1 << 20;

/// Is told of bytes as they arrive.
pub trait Observer {
    /// `bytes` have been read from the source so far. An error ends the reading; its text becomes the reader's.
    fn progress(&mut self, bytes: u64) -> std::result::Result<(), String>;
}

/// Nobody wants to know.
impl Observer for () {
    fn progress(&mut self, _bytes: u64) -> std::result::Result<(), String> {
        Ok(())
    }
}

/// A string as it was found. Integers are not turned into text, and bytes are not copied where that can be avoided.
#[derive(Debug, PartialEq, Eq)]
pub enum Text<'a> {
    /// The decimal text of this number.
    Int(i64),
    /// These bytes, which the next reading overwrites.
    Borrowed(&'a [u8]),
    /// These bytes, too many for the reader's buffer.
    Owned(Vec<u8>),
}

impl Text<'_> {
    /// The bytes of the string; `digits` holds them if it was an integer.
    pub fn bytes<'b>(&'b self, digits: &'b mut IntText) -> &'b [u8] {
        match self {
            Text::Int(number) => digits.format(*number).as_bytes(),
            Text::Borrowed(bytes) => bytes,
            Text::Owned(bytes) => bytes,
        }
    }

    /// The string as an element.
    pub fn elem(&self) -> Elem<'_> {
        match self {
            Text::Int(number) => Elem::Int(*number),
            Text::Borrowed(bytes) => Elem::Bytes(bytes),
            Text::Owned(bytes) => Elem::Bytes(bytes),
        }
    }

    /// The bytes of the string in an allocation of its own.
    pub fn into_vec(self) -> Vec<u8> {
        match self {
            Text::Owned(bytes) => bytes,
            other => other.bytes(&mut IntText::new()).to_vec(),
        }
    }
}

/// A buffered reader of lengths, strings and numbers.
///
/// It never asks its source for more while it holds what is needed, so on a socket it does not wait for bytes beyond
/// the end of a file; it may have read some, see [`Reader::into_rest`].
pub struct Reader<R, O = ()> {
    source: R,
    observer: O,
    buffer: Box<[u8]>,
    /// `buffer[at..filled]` is yet to be consumed.
    at: usize,
    filled: usize,
    /// Bytes received from the source.
    received: u64,
    next_progress: u64,
    progress_interval: u64,
    crc: Option<Crc64>,
    /// `buffer[crc_from..at]` is consumed but not yet in the checksum.
    crc_from: usize,
    /// Decompressed strings.
    scratch: Vec<u8>,
}

enum Length {
    Plain(u64),
    Encoded(u8),
}

impl<R: Read> Reader<R> {
    /// A reader that computes the checksum and tells nobody of its progress.
    pub fn new(source: R) -> Self {
        Reader::with_observer(source, (), u64::MAX, DEFAULT_BUFFER, true)
    }
}

impl<R: Read, O: Observer> Reader<R, O> {
    /// A reader with a buffer of `capacity` bytes that tells `observer` each time some `interval` bytes have arrived.
    /// Without `checksum` none is computed.
    pub fn with_observer(source: R, observer: O, interval: u64, capacity: usize, checksum: bool) -> Self {
        let interval = if interval == 0 { u64::MAX } else { interval };
        Reader {
            source,
            observer,
            buffer: vec![0; capacity.max(16)].into_boxed_slice(),
            at: 0,
            filled: 0,
            received: 0,
            next_progress: interval,
            progress_interval: interval,
            crc: checksum.then(Crc64::new),
            crc_from: 0,
            scratch: Vec::new(),
        }
    }

    /// Whoever is told of progress.
    pub fn observer(&mut self) -> &mut O {
        &mut self.observer
    }

    /// Bytes consumed so far.
    pub fn offset(&self) -> u64 {
        self.received - (self.filled - self.at) as u64
    }

    /// Stops computing the checksum.
    pub fn forget_checksum(&mut self) {
        self.crc = None;
    }

    /// Checksum of the bytes consumed so far; `None` if it is not computed.
    pub fn checksum(&mut self) -> Option<u64> {
        self.digest();
        self.crc.as_ref().map(Crc64::value)
    }

    /// The source, the observer, and the bytes that were received but not consumed.
    pub fn into_rest(self) -> (R, O, Vec<u8>) {
        (self.source, self.observer, self.buffer[self.at..self.filled].to_vec())
    }

    /// An error at the present position.
    #[cold]
    pub fn error(&self, kind: ErrorKind) -> RdbError {
        RdbError::new(kind, self.offset())
    }

    /// An error at the present position: the content breaks the format's rules.
    #[cold]
    pub fn corrupt(&self, what: &'static str) -> RdbError {
        self.error(ErrorKind::Corrupt(what.into()))
    }

    /// Brings what was consumed into the checksum.
    fn digest(&mut self) {
        if let Some(crc) = &mut self.crc {
            crc.update(&self.buffer[self.crc_from..self.at]);
        }
        self.crc_from = self.at;
    }

    /// One read from the source. 0 bytes are the end.
    fn receive(source: &mut R, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match source.read(into) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// Takes note of what a read gave.
    fn received(&mut self, result: io::Result<usize>) -> Result<usize> {
        let count = match result {
            Ok(0) => return Err(RdbError::new(ErrorKind::UnexpectedEof, self.received)),
            Ok(count) => count,
            Err(error) => return Err(self.error(ErrorKind::Io(error))),
        };
        self.received += count as u64;
        if self.received >= self.next_progress {
            self.next_progress = self.received.saturating_add(self.progress_interval);
            if let Err(why) = self.observer.progress(self.received) {
                return Err(self.error(ErrorKind::Refused(why)));
            }
        }
        Ok(count)
    }

    /// Makes `count` bytes, at most the buffer's size, stand at `self.at`.
    #[cold]
    fn fill(&mut self, count: usize) -> Result<()> {
        // Also when little is left to move, to ask the source for much at once.
        if self.at + count > self.buffer.len() || self.at > self.buffer.len() / 2 {
            self.digest();
            self.buffer.copy_within(self.at..self.filled, 0);
            self.filled -= self.at;
            self.at = 0;
            self.crc_from = 0;
        }
        while self.filled - self.at < count {
            let result = Self::receive(&mut self.source, &mut self.buffer[self.filled..]);
            // Counted before anything else looks at the position.
            if let Ok(count) = result {
                self.filled += count;
            }
            self.received(result)?;
        }
        Ok(())
    }

    /// Consumes `count` bytes, at most the buffer's size.
    #[inline]
    fn take(&mut self, count: usize) -> Result<&[u8]> {
        if self.filled - self.at < count {
            self.fill(count)?;
        }
        let from = self.at;
        self.at += count;
        Ok(&self.buffer[from..from + count])
    }

    /// Consumes N bytes.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// Consumes one byte.
    #[inline]
    pub fn byte(&mut self) -> Result<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Consumes a signed number of 4 bytes.
    pub fn int32(&mut self) -> Result<i32> {
        self.array().map(i32::from_le_bytes)
    }

    /// Consumes a signed number of 8 bytes.
    pub fn int64(&mut self) -> Result<i64> {
        self.array().map(i64::from_le_bytes)
    }

    /// Consumes a binary double.
    pub fn double(&mut self) -> Result<f64> {
        self.array().map(f64::from_le_bytes)
    }

    /// Consumes a double in the old form: a length byte and the decimal text, or one of three special length bytes.
    pub fn text_double(&mut self) -> Result<f64> {
        match self.byte()? {
            253 => Ok(f64::NAN),
            254 => Ok(f64::INFINITY),
            255 => Ok(f64::NEG_INFINITY),
            len => {
                let text = self.take(usize::from(len))?;
                let value = std::str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok());
                value.ok_or_else(|| self.corrupt("Invalid double as text"))
            }
        }
    }

    /// Consumes a plain length.
    #[inline]
    pub fn length(&mut self) -> Result<u64> {
        match self.raw_length()? {
            Length::Plain(len) => Ok(len),
            Length::Encoded(_) => Err(self.corrupt("A string encoding where a length should be")),
        }
    }

    #[inline]
    fn raw_length(&mut self) -> Result<Length> {
        let first = self.byte()?;
        Ok(match first >> 6 {
            0 => Length::Plain(u64::from(first)),
            1 => Length::Plain(u64::from(first & 0x3f) << 8 | u64::from(self.byte()?)),
            3 => Length::Encoded(first & 0x3f),
            _ => match first {
                length::TAG_32_BIT => Length::Plain(u64::from(u32::from_be_bytes(self.array()?))),
                length::TAG_64_BIT => Length::Plain(u64::from_be_bytes(self.array()?)),
                _ => {
                    let what = format!("Unknown length encoding {first} in rdbLoadLen()");
                    return Err(self.error(ErrorKind::Corrupt(what.into())));
                }
            },
        })
    }

    /// Consumes a string.
    #[inline]
    pub fn string(&mut self) -> Result<Text<'_>> {
        match self.raw_length()? {
            Length::Plain(len) if len <= self.buffer.len() as u64 => self.take(len as usize).map(Text::Borrowed),
            Length::Plain(len) => self.long(len).map(Text::Owned),
            Length::Encoded(encoding) => self.encoded_string(encoding),
        }
    }

    fn encoded_string(&mut self, encoding: u8) -> Result<Text<'_>> {
        match encoding {
            string::INT8 => self.array().map(|b| Text::Int(i8::from_le_bytes(b).into())),
            string::INT16 => self.array().map(|b| Text::Int(i16::from_le_bytes(b).into())),
            string::INT32 => self.array().map(|b| Text::Int(i32::from_le_bytes(b).into())),
            string::LZF => self.lzf_string(),
            _ => {
                let what = format!("Unknown RDB string encoding type {encoding}");
                Err(self.error(ErrorKind::Corrupt(what.into())))
            }
        }
    }

    fn lzf_string(&mut self) -> Result<Text<'_>> {
        const WRONG: &str = "Invalid LZF compressed string";
        let packed_len = self.length()?;
        let plain_len = self.length()?;
        let Ok(plain_len) = usize::try_from(plain_len) else { return Err(self.corrupt(WRONG)) };
        let mut plain = std::mem::take(&mut self.scratch);
        plain.clear();
        if plain.capacity() > MAX_KEPT_SCRATCH {
            plain = Vec::new();
        }
        let done = if packed_len <= self.buffer.len() as u64 {
            lzf::decompress(self.take(packed_len as usize)?, plain_len, &mut plain)
        } else {
            lzf::decompress(&self.long(packed_len)?, plain_len, &mut plain)
        };
        if done.is_err() {
            return Err(self.corrupt(WRONG));
        }
        if plain.len() > MAX_KEPT_SCRATCH {
            return Ok(Text::Owned(plain));
        }
        self.scratch = plain;
        Ok(Text::Borrowed(&self.scratch))
    }

    /// Consumes a string into an allocation of its own, exactly as long.
    pub fn blob(&mut self) -> Result<Vec<u8>> {
        self.string().map(Text::into_vec)
    }

    /// Consumes a string into `out`, whose former content is dropped.
    #[inline]
    pub fn string_into(&mut self, out: &mut Vec<u8>) -> Result<()> {
        match self.string()? {
            Text::Owned(bytes) => *out = bytes,
            text => {
                out.clear();
                out.extend_from_slice(text.bytes(&mut IntText::new()));
            }
        }
        Ok(())
    }

    /// Consumes a string and forgets it.
    pub fn skip_string(&mut self) -> Result<()> {
        match self.raw_length()? {
            Length::Plain(len) => self.skip(len),
            Length::Encoded(string::LZF) => {
                let packed_len = self.length()?;
                self.length()?;
                self.skip(packed_len)
            }
            Length::Encoded(encoding) => self.encoded_string(encoding).map(drop),
        }
    }

    /// Consumes `count` bytes and forgets them.
    pub fn skip(&mut self, count: u64) -> Result<()> {
        let mut left = count;
        while left > 0 {
            let step = left.min(self.buffer.len() as u64);
            self.take(step as usize)?;
            left -= step;
        }
        Ok(())
    }

    /// Consumes more bytes than the buffer holds, making room in steps as they arrive.
    #[cold]
    fn long(&mut self, len: u64) -> Result<Vec<u8>> {
        let len = usize::try_from(len).map_err(|_| self.error(ErrorKind::UnexpectedEof))?;
        let mut bytes = self.buffer[self.at..self.filled.min(self.at.saturating_add(len))].to_vec();
        let mut filled = bytes.len();
        self.at += filled;
        self.digest();
        while filled < len {
            if filled == bytes.len() {
                // Never more room than as much again as has arrived, or one step.
                let room = (len - filled).min(filled.max(MAX_STEP));
                bytes.reserve_exact(room);
                bytes.resize(filled + room, 0);
            }
            let until = bytes.len().min(filled + MAX_STEP);
            let result = Self::receive(&mut self.source, &mut bytes[filled..until]);
            let count = self.received(result)?;
            if let Some(crc) = &mut self.crc {
                crc.update(&bytes[filled..filled + count]);
            }
            filled += count;
        }
        bytes.shrink_to_fit();
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests;
