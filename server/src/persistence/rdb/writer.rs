//! Writes the primitives of the format to a file, a pipe or a socket, with a running checksum.

use std::io::{self, Write};

use super::crc64::Crc64;
use super::format::{length, string};
use super::lzf;

/// Bytes collected before they are handed on.
pub const DEFAULT_BUFFER: usize = 128 * 1024;

/// Strings up to this length are not worth compressing.
const MAX_UNCOMPRESSED: usize = 20;
/// Compression must save this much, or the string is written as it is.
const MIN_SAVED: usize = 4;
/// Up to this length a string is not worth an attempt each time where attempts keep failing. Longer ones are cheap to give up.
const MAX_RATIONED: usize = 256;
/// After so many failures in a row attempts are rationed.
const PATIENCE: u32 = 32;
/// Then one string in so many is tried, until one succeeds.
const RATION: u32 = 4;
/// The longest text that can be an integer of 32 bits.
const MAX_INT_TEXT: usize = 11;

/// How to write.
#[derive(Clone, Copy, Debug)]
pub struct WriterOptions {
    /// Compress strings (`rdbcompression`).
    pub compression: bool,
    /// Compute the checksum (`rdbchecksum`); without it 0 is written, which readers take as "not computed".
    pub checksum: bool,
}

impl Default for WriterOptions {
    fn default() -> Self {
        WriterOptions { compression: true, checksum: true }
    }
}

/// A buffered writer of lengths, strings and numbers. Errors are those of the underlying writer.
pub struct Writer<W> {
    out: W,
    buffer: Vec<u8>,
    /// Bytes handed on already.
    flushed: u64,
    /// Checksum of the bytes handed on; of the whole buffer at once, which is much faster than piece by piece.
    crc: Option<Crc64>,
    compressor: Option<Compressor>,
}

/// What is needed to compress strings; can be kept from one writer to the next.
#[derive(Default)]
pub struct Compressor {
    encoder: lzf::Encoder,
    packed: Vec<u8>,
    /// Strings since the last success, tried or not.
    failures: u32,
}

impl Compressor {
    /// Compresses `text` into `packed`, if that is likely to save something and does.
    fn compress(&mut self, text: &[u8]) -> bool {
        let hopeless = text.len() <= MAX_RATIONED && self.failures >= PATIENCE;
        self.failures = self.failures.saturating_add(1);
        if hopeless && !self.failures.is_multiple_of(RATION) {
            return false;
        }
        self.packed.clear();
        let done = self.encoder.compress(text, text.len() - MIN_SAVED, &mut self.packed);
        if done {
            self.failures = 0;
        }
        done
    }
}

impl<W: Write> Writer<W> {
    /// A writer with the default buffer.
    pub fn new(out: W, options: WriterOptions) -> Self {
        let compressor = options.compression.then(Compressor::default);
        Self::with_parts(out, DEFAULT_BUFFER, options.checksum, compressor)
    }

    /// A writer with a buffer of `capacity` bytes that compresses with `compressor`, or not at all.
    pub fn with_parts(out: W, capacity: usize, checksum: bool, compressor: Option<Compressor>) -> Self {
        Writer { out, buffer: Vec::with_capacity(capacity), flushed: 0, crc: checksum.then(Crc64::new), compressor }
    }

    /// Bytes written so far, buffered ones included.
    pub fn position(&self) -> u64 {
        self.flushed + self.buffer.len() as u64
    }

    /// Writes bytes as they are.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > self.buffer.capacity() - self.buffer.len() {
            return self.bytes_beyond_buffer(bytes);
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    #[cold]
    fn bytes_beyond_buffer(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.flush()?;
        if bytes.len() < self.buffer.capacity() {
            self.buffer.extend_from_slice(bytes);
            return Ok(());
        }
        if let Some(crc) = &mut self.crc {
            crc.update(bytes);
        }
        self.flushed += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    /// Hands everything on, without asking the underlying writer to flush.
    pub fn flush(&mut self) -> io::Result<()> {
        if let Some(crc) = &mut self.crc {
            crc.update(&self.buffer);
        }
        self.flushed += self.buffer.len() as u64;
        let written = self.out.write_all(&self.buffer);
        self.buffer.clear();
        written
    }

    /// Writes one byte.
    #[inline]
    pub fn byte(&mut self, byte: u8) -> io::Result<()> {
        self.bytes(&[byte])
    }

    /// Writes a length, in the fewest bytes.
    #[inline]
    pub fn length(&mut self, len: u64) -> io::Result<()> {
        if len <= length::MAX_6_BIT {
            self.byte(len as u8)
        } else if len <= length::MAX_14_BIT {
            self.bytes(&[length::TAG_14_BIT | (len >> 8) as u8, len as u8])
        } else if let Ok(len) = u32::try_from(len) {
            let [a, b, c, d] = len.to_be_bytes();
            self.bytes(&[length::TAG_32_BIT, a, b, c, d])
        } else {
            self.byte(length::TAG_64_BIT)?;
            self.bytes(&len.to_be_bytes())
        }
    }

    /// Writes a string: as an integer if it is the shortest text of one of 32 bits, else compressed if that saves
    /// something, else as it is.
    #[inline]
    pub fn string(&mut self, text: &[u8]) -> io::Result<()> {
        if text.len() <= MAX_INT_TEXT {
            if let Some(number) = canonical_i32(text) {
                return self.small_int(number);
            }
        } else if text.len() > MAX_UNCOMPRESSED && self.compressed_string(text)? {
            return Ok(());
        }
        self.plain_string(text)
    }

    /// Writes a string as it is.
    #[inline]
    pub fn plain_string(&mut self, text: &[u8]) -> io::Result<()> {
        self.length(text.len() as u64)?;
        self.bytes(text)
    }

    /// Writes the string that is the decimal text of `number`.
    pub fn int_string(&mut self, number: i64) -> io::Result<()> {
        match i32::try_from(number) {
            Ok(small) => self.small_int(small),
            Err(_) => self.plain_string(itoa::Buffer::new().format(number).as_bytes()),
        }
    }

    fn small_int(&mut self, number: i32) -> io::Result<()> {
        if let Ok(number) = i8::try_from(number) {
            self.bytes(&[length::TAG_ENCODED | string::INT8, number as u8])
        } else if let Ok(number) = i16::try_from(number) {
            let [a, b] = number.to_le_bytes();
            self.bytes(&[length::TAG_ENCODED | string::INT16, a, b])
        } else {
            let [a, b, c, d] = number.to_le_bytes();
            self.bytes(&[length::TAG_ENCODED | string::INT32, a, b, c, d])
        }
    }

    /// Returns whether the string was written: not if compression is off or saves too little.
    fn compressed_string(&mut self, text: &[u8]) -> io::Result<bool> {
        let Some(compressor) = &mut self.compressor else { return Ok(false) };
        if !compressor.compress(text) {
            return Ok(false);
        }
        let packed = std::mem::take(&mut compressor.packed);
        let written = self.lzf_string(&packed, text.len());
        if let Some(compressor) = &mut self.compressor {
            compressor.packed = packed;
        }
        written.map(|()| true)
    }

    fn lzf_string(&mut self, packed: &[u8], plain_len: usize) -> io::Result<()> {
        self.byte(length::TAG_ENCODED | string::LZF)?;
        self.length(packed.len() as u64)?;
        self.length(plain_len as u64)?;
        self.bytes(packed)
    }

    /// Writes a double in binary, 8 bytes.
    #[inline]
    pub fn double(&mut self, value: f64) -> io::Result<()> {
        self.bytes(&value.to_le_bytes())
    }

    /// Writes a time or other 64-bit number in binary, 8 bytes.
    #[inline]
    pub fn int64(&mut self, value: i64) -> io::Result<()> {
        self.bytes(&value.to_le_bytes())
    }

    /// The compressor, for further use.
    pub fn into_compressor(self) -> Option<Compressor> {
        self.compressor
    }

    /// Writes the checksum of everything so far, 8 bytes (0 if it is not computed), and hands everything on.
    /// Returns the underlying writer, not flushed, and the compressor for further use.
    pub fn finish(mut self) -> io::Result<(W, Option<Compressor>)> {
        if let Some(crc) = &mut self.crc {
            crc.update(&self.buffer);
        }
        // The buffer is in the checksum now: what follows must not be.
        let checksum = self.crc.take().map_or(0, |crc| crc.value());
        self.bytes(&checksum.to_le_bytes())?;
        self.flush()?;
        Ok((self.out, self.compressor))
    }
}

/// The number that `text` is the shortest decimal text of, if it fits 32 bits.
#[inline]
fn canonical_i32(text: &[u8]) -> Option<i32> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let canonical = match digits {
        [] => false,
        [b'0'] => digits.len() == text.len(),
        [first, ..] => *first != b'0',
    };
    if !canonical {
        return None;
    }
    let mut number = 0i64;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + i64::from(digit);
    }
    i32::try_from(if digits.len() < text.len() { -number } else { number }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persistence::rdb::crc64;

    fn written(options: WriterOptions, write: impl FnOnce(&mut Writer<Vec<u8>>) -> io::Result<()>) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), options);
        write(&mut writer).unwrap();
        let position = writer.position();
        let (mut out, _) = writer.finish().unwrap();
        assert_eq!(out.len() as u64, position + 8);
        out.truncate(position as usize);
        out
    }

    fn string(text: &[u8]) -> Vec<u8> {
        written(WriterOptions::default(), |w| w.string(text))
    }

    #[test]
    fn a_length_takes_as_few_bytes_as_it_needs() {
        for (len, expected) in [
            (0, &[0][..]),
            (63, &[63]),
            (64, &[0x40, 64]),
            (16383, &[0x7f, 0xff]),
            (16384, &[0x80, 0, 0, 0x40, 0]),
            (u64::from(u32::MAX), &[0x80, 255, 255, 255, 255]),
            (u64::from(u32::MAX) + 1, &[0x81, 0, 0, 0, 1, 0, 0, 0, 0]),
        ] {
            assert_eq!(written(WriterOptions::default(), |w| w.length(len)), expected);
        }
    }

    #[test]
    fn a_string_that_is_a_number_of_32_bits_is_written_in_binary() {
        assert_eq!(string(b"0"), [0xc0, 0]);
        assert_eq!(string(b"-128"), [0xc0, 0x80]);
        assert_eq!(string(b"128"), [0xc1, 0x80, 0]);
        assert_eq!(string(b"-32768"), [0xc1, 0, 0x80]);
        assert_eq!(string(b"32768"), [0xc2, 0, 0x80, 0, 0]);
        assert_eq!(string(b"-2147483648"), [0xc2, 0, 0, 0, 0x80]);
        assert_eq!(string(b"2147483647"), [0xc2, 0xff, 0xff, 0xff, 0x7f]);
    }

    #[test]
    fn a_string_that_only_resembles_a_number_is_written_as_it_is() {
        for text in [
            &b""[..],
            b"-",
            b"-0",
            b"00",
            b"01",
            b"+1",
            b" 1",
            b"1 ",
            b"1.0",
            b"2147483648",
            b"-2147483649",
            b"99999999999",
        ] {
            let mut plain = vec![text.len() as u8];
            plain.extend_from_slice(text);
            assert_eq!(string(text), plain);
        }
    }

    #[test]
    fn an_integer_value_beyond_32_bits_is_written_as_its_digits() {
        let of = |n| written(WriterOptions::default(), |w| w.int_string(n));
        assert_eq!(of(-1), [0xc0, 0xff]);
        assert_eq!(of(2_147_483_648), b"\x0a2147483648");
        assert_eq!(of(i64::MIN), b"\x14-9223372036854775808");
    }

    #[test]
    fn compression_is_tried_above_20_bytes_only_and_can_be_switched_off() {
        assert_eq!(string(&[b'a'; 20])[0], 20);
        assert_eq!(string(&[b'a'; 21])[0], 0xc3);
        let off = WriterOptions { compression: false, ..Default::default() };
        assert_eq!(written(off, |w| w.string(&[b'a'; 21]))[0], 21);
    }

    #[test]
    fn short_strings_are_compressed_again_soon_after_many_that_could_not_be() {
        let mut writer = Writer::new(Vec::new(), WriterOptions::default());
        let random: Vec<u8> = (0..100u32).map(|i| (i * i * 7 + i * 31) as u8).collect();
        for _ in 0..1000 {
            writer.string(&random).unwrap();
        }
        let before = writer.position();
        for _ in 0..100 {
            writer.string(&[b'a'; 100]).unwrap();
        }
        assert!(writer.position() - before < 2000, "{} bytes", writer.position() - before);
    }

    #[test]
    fn a_file_ends_in_the_checksum_of_what_came_before_whatever_the_size_of_the_pieces() {
        let piece = vec![7; 1000];
        let large = vec![9; 3 * DEFAULT_BUFFER];
        let mut writer = Writer::new(Vec::new(), WriterOptions::default());
        for _ in 0..500 {
            writer.bytes(&piece).unwrap();
        }
        writer.bytes(&large).unwrap();
        writer.bytes(&piece).unwrap();
        let (out, _) = writer.finish().unwrap();
        let (body, end) = out.split_last_chunk::<8>().unwrap();
        assert_eq!(body.len(), 501 * piece.len() + large.len());
        assert_eq!(u64::from_le_bytes(*end), crc64::checksum(body));
    }

    #[test]
    fn without_checksum_the_file_ends_in_zero() {
        let mut writer = Writer::new(Vec::new(), WriterOptions { checksum: false, compression: true });
        writer.bytes(b"abc").unwrap();
        assert_eq!(writer.finish().unwrap().0, b"abc\0\0\0\0\0\0\0\0");
    }
}
