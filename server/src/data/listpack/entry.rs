//! The byte layout of one listpack entry: encoding, data, and its length again at the end, for walking backwards.
//!
//! | first byte | then | entry |
//! |---|---|---|
//! | `0xxxxxxx` | | 7-bit unsigned integer |
//! | `10xxxxxx` | data | string of up to 63 bytes |
//! | `110xxxxx` | 1 byte | 13-bit signed integer, high bits first |
//! | `1110xxxx` | 1 length byte, data | string of up to 4095 bytes, high bits first |
//! | `0xF0` | 4 length bytes LE, data | string |
//! | `0xF1` `0xF2` `0xF3` `0xF4` | 2, 3, 4, 8 bytes LE | signed integer |
//! | `0xFF` | | the end of the listpack |
//!
//! The length at the end (`backlen`) counts encoding and data, seven bits a byte, most significant first; every byte but the
//! first has its high bit set.

use super::super::elem::Elem;

/// Longest encoding and length bytes, integers' data included.
const MAX_HEAD: usize = 9;
const MAX_BACKLEN: usize = 5;

/// The byte that ends a listpack.
pub(super) const END: u8 = 0xff;

/// Bytes that `backlen` takes for an entry of `len` bytes. The odd bounds are the format's.
pub(super) fn backlen_size(len: usize) -> usize {
    match len {
        0..=127 => 1,
        128..=16_382 => 2,
        16_383..=2_097_150 => 3,
        2_097_151..=268_435_454 => 4,
        _ => 5,
    }
}

fn backlen(len: usize) -> ([u8; MAX_BACKLEN], usize) {
    let size = backlen_size(len);
    let mut bytes = [0; MAX_BACKLEN];
    for (i, byte) in bytes[..size].iter_mut().enumerate() {
        let high_bit = if i == 0 { 0 } else { 0x80 };
        *byte = (len >> (7 * (size - 1 - i))) as u8 & 0x7f | high_bit;
    }
    (bytes, size)
}

/// An entry taken apart, to be written.
pub(super) struct Encoded<'a> {
    head: [u8; MAX_HEAD],
    head_len: usize,
    data: &'a [u8],
}

impl<'a> Encoded<'a> {
    /// Encodes an element in the shortest way, texts of integers as integers.
    pub fn new(elem: Elem<'a>) -> Self {
        match elem {
            Elem::Int(v) => Self::int(v),
            Elem::Bytes(text) => match Elem::parse(text) {
                Elem::Int(v) => Self::int(v),
                Elem::Bytes(text) => Self::string(text),
            },
        }
    }

    fn int(v: i64) -> Self {
        let mut head = [0; MAX_HEAD];
        let head_len = match v {
            0..=127 => {
                head[0] = v as u8;
                1
            }
            -4096..=4095 => {
                head[0] = 0xc0 | (v >> 8) as u8 & 0x1f;
                head[1] = v as u8;
                2
            }
            _ => {
                let (tag, width) = match v {
                    -0x8000..=0x7fff => (0xf1, 2),
                    -0x80_0000..=0x7f_ffff => (0xf2, 3),
                    -0x8000_0000..=0x7fff_ffff => (0xf3, 4),
                    _ => (0xf4, 8),
                };
                head[0] = tag;
                head[1..=width].copy_from_slice(&v.to_le_bytes()[..width]);
                width + 1
            }
        };
        Encoded { head, head_len, data: &[] }
    }

    fn string(data: &'a [u8]) -> Self {
        let mut head = [0; MAX_HEAD];
        let head_len = match data.len() {
            len @ 0..=63 => {
                head[0] = 0x80 | len as u8;
                1
            }
            len @ 64..=4095 => {
                head[0] = 0xe0 | (len >> 8) as u8;
                head[1] = len as u8;
                2
            }
            len => {
                head[0] = 0xf0;
                head[1..5].copy_from_slice(&(len as u32).to_le_bytes());
                5
            }
        };
        Encoded { head, head_len, data }
    }

    /// Bytes that the whole entry takes.
    pub fn size(&self) -> usize {
        let len = self.head_len + self.data.len();
        len + backlen_size(len)
    }

    /// Writes the entry at the start of `out`; gives the rest back.
    pub fn write<'o>(&self, out: &'o mut [u8]) -> &'o mut [u8] {
        let len = self.head_len + self.data.len();
        let (back, back_len) = backlen(len);
        let (head, out) = out.split_at_mut(self.head_len);
        head.copy_from_slice(&self.head[..self.head_len]);
        let (data, out) = out.split_at_mut(self.data.len());
        data.copy_from_slice(self.data);
        let (end, out) = out.split_at_mut(back_len);
        end.copy_from_slice(&back[..back_len]);
        out
    }
}

/// Reads the entry at the start of `bytes`: the element, and its length without `backlen`. `None` at the end byte, for an
/// unknown encoding, and if the entry reaches beyond `bytes`.
#[inline]
pub(super) fn decode(bytes: &[u8]) -> Option<(Elem<'_>, usize)> {
    let (&first, rest) = bytes.split_first()?;
    let string = |head: usize, len: usize| Some((Elem::Bytes(bytes.get(head..head.checked_add(len)?)?), head + len));
    Some(match first {
        0..=0x7f => (Elem::Int(i64::from(first)), 1),
        0x80..=0xbf => return string(1, usize::from(first & 0x3f)),
        0xc0..=0xdf => {
            // Thirteen bits, the sign in the top one of them: shifted up and back to spread it.
            let raw = i16::from(first & 0x1f) << 8 | i16::from(*rest.first()?);
            (Elem::Int(i64::from(raw << 3 >> 3)), 2)
        }
        0xe0..=0xef => return string(2, usize::from(first & 0x0f) << 8 | usize::from(*rest.first()?)),
        0xf0 => return string(5, u32::from_le_bytes(*rest.first_chunk()?) as usize),
        0xf1 => (Elem::Int(i64::from(i16::from_le_bytes(*rest.first_chunk()?))), 3),
        0xf2 => {
            let [a, b, c] = *rest.first_chunk()?;
            (Elem::Int(i64::from(i32::from_le_bytes([0, a, b, c]) >> 8)), 4)
        }
        0xf3 => (Elem::Int(i64::from(i32::from_le_bytes(*rest.first_chunk()?))), 5),
        0xf4 => (Elem::Int(i64::from_le_bytes(*rest.first_chunk()?)), 9),
        0xf5..=0xff => return None,
    })
}

/// Whole length of the entry at the start of `bytes`, `backlen` included; `None` as for [`decode`].
#[inline]
pub(super) fn size(bytes: &[u8]) -> Option<usize> {
    let (_, len) = decode(bytes)?;
    Some(len + backlen_size(len))
}

/// Where the entry begins that ends just before `end`. `None` if what stands there is no backlen, or one that leads to before
/// `start`.
#[inline]
pub(super) fn previous(bytes: &[u8], start: usize, end: usize) -> Option<usize> {
    let mut len = 0usize;
    for i in 0..MAX_BACKLEN {
        let byte = *bytes.get(end.checked_sub(i + 1)?)?;
        len |= usize::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return end.checked_sub(len + backlen_size(len)).filter(|at| *at >= start);
        }
    }
    None
}

/// As [`size`], for bytes nobody has checked: the backlen must be there and be the canonical one.
pub(super) fn checked_size(bytes: &[u8]) -> Option<usize> {
    let (_, len) = decode(bytes)?;
    let (back, back_len) = backlen(len);
    (bytes.get(len..len + back_len)? == &back[..back_len]).then_some(len + back_len)
}
