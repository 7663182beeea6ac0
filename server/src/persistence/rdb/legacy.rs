//! Ziplists and zipmaps: the compact forms that servers before Redis 7.0 wrote, read here once and turned into today's.
//!
//! A ziplist is a 32-bit total size, a 32-bit offset of the last entry, a 16-bit count (65535: unknown), entries, and
//! 255. An entry is the length of the entry before (one byte, or 254 and four bytes), an encoding byte that tells a
//! string of some length from an integer of some width, and the content. All little-endian, but for string lengths.
//!
//! A zipmap is a count byte (254 or more: unknown), and for each pair: field length, field, value length, a count of
//! unused bytes, value, the unused bytes; then 255. A length is one byte, or 254 and four bytes little-endian.

use crate::data::elem::Elem;

/// The bytes are not of the form that they claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid;

const END: u8 = 255;
const ZIPLIST_HEADER: usize = 10;

/// The elements of a ziplist in order, checked on the way.
///
/// The last item is an error if any of its rules is broken, so elements count only once the iteration has ended.
pub struct Ziplist<'a> {
    /// Entries and end marker.
    rest: &'a [u8],
    /// Size of the entry before.
    previous: usize,
    /// Where the last entry must begin, counted in bytes from the ziplist's end.
    tail_from_end: usize,
    /// Where the entry before began, likewise.
    last_from_end: Option<usize>,
    announced: Option<usize>,
    count: usize,
    ended: bool,
}

impl<'a> Ziplist<'a> {
    /// Checks the header.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Invalid> {
        let (header, rest) = bytes.split_at_checked(ZIPLIST_HEADER).ok_or(Invalid)?;
        let (size, tail) = (le32(header, 0), le32(header, 4));
        if size != bytes.len() || rest.last() != Some(&END) || tail >= bytes.len() {
            return Err(Invalid);
        }
        let announced = usize::from(u16::from_le_bytes([header[8], header[9]]));
        Ok(Ziplist {
            rest,
            previous: 0,
            tail_from_end: bytes.len() - tail,
            last_from_end: None,
            announced: (announced != usize::from(u16::MAX)).then_some(announced),
            count: 0,
            ended: false,
        })
    }

    fn entry(&mut self) -> Result<Elem<'a>, Invalid> {
        let entry = self.rest;
        let (previous, after) = match entry {
            [254, a, b, c, d, after @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, after),
            [previous, after @ ..] if *previous < 254 => (usize::from(*previous), after),
            _ => return Err(Invalid),
        };
        if previous != self.previous {
            return Err(Invalid);
        }
        let (element, after) = content(after)?;
        self.last_from_end = Some(entry.len());
        self.previous = entry.len() - after.len();
        self.rest = after;
        self.count += 1;
        Ok(element)
    }

    fn check_end(&self) -> Result<(), Invalid> {
        let tail_right = self.last_from_end.is_none_or(|last| last == self.tail_from_end);
        let count_right = self.announced.is_none_or(|announced| announced == self.count);
        if self.rest == [END] && tail_right && count_right { Ok(()) } else { Err(Invalid) }
    }
}

impl<'a> Iterator for Ziplist<'a> {
    type Item = Result<Elem<'a>, Invalid>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let item = if self.rest.first() == Some(&END) { self.check_end().err().map(Err) } else { Some(self.entry()) };
        self.ended = !matches!(item, Some(Ok(_)));
        item
    }
}

/// The element that an encoding byte starts, and what follows it.
fn content(bytes: &[u8]) -> Result<(Elem<'_>, &[u8]), Invalid> {
    let (encoding, rest) = bytes.split_first().ok_or(Invalid)?;
    let (len, rest) = match (encoding >> 6, rest) {
        (0, rest) => (usize::from(encoding & 0x3f), rest),
        (1, [low, rest @ ..]) => (usize::from(u16::from_be_bytes([encoding & 0x3f, *low])), rest),
        (2, [a, b, c, d, rest @ ..]) => (u32::from_be_bytes([*a, *b, *c, *d]) as usize, rest),
        (3, rest) => return integer(*encoding, rest),
        _ => return Err(Invalid),
    };
    let (text, rest) = rest.split_at_checked(len).ok_or(Invalid)?;
    Ok((Elem::Bytes(text), rest))
}

fn integer(encoding: u8, rest: &[u8]) -> Result<(Elem<'_>, &[u8]), Invalid> {
    let width = match encoding {
        0xf1..=0xfd => return Ok((Elem::Int(i64::from(encoding & 0x0f) - 1), rest)),
        0xfe => 1,
        0xc0 => 2,
        0xf0 => 3,
        0xd0 => 4,
        0xe0 => 8,
        _ => return Err(Invalid),
    };
    let (bytes, rest) = rest.split_at_checked(width).ok_or(Invalid)?;
    // At the upper end of eight bytes, so that the shift down brings the sign along.
    let mut wide = [0; 8];
    wide[8 - width..].copy_from_slice(bytes);
    Ok((Elem::Int(i64::from_le_bytes(wide) >> (64 - 8 * width)), rest))
}

fn le32(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize
}

/// The pairs of a zipmap in order, checked on the way; as with [`Ziplist`], the last item tells whether all was well.
pub struct Zipmap<'a> {
    rest: &'a [u8],
    announced: u8,
    count: usize,
    ended: bool,
}

impl<'a> Zipmap<'a> {
    /// Checks the frame.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Invalid> {
        match bytes {
            [announced, rest @ ..] if rest.last() == Some(&END) => {
                Ok(Zipmap { rest, announced: *announced, count: 0, ended: false })
            }
            _ => Err(Invalid),
        }
    }

    /// One byte, or, for lengths that it cannot hold, four behind a mark. A short length behind the mark is refused, as by Valkey:
    /// nobody wrote that.
    fn length(&mut self) -> Result<usize, Invalid> {
        let (len, rest) = match self.rest {
            [254, a, b, c, d, rest @ ..] => match u32::from_le_bytes([*a, *b, *c, *d]) {
                0..254 => return Err(Invalid),
                len => (len as usize, rest),
            },
            [len, rest @ ..] if *len < 254 => (usize::from(*len), rest),
            _ => return Err(Invalid),
        };
        self.rest = rest;
        Ok(len)
    }

    fn bytes(&mut self, len: usize) -> Result<&'a [u8], Invalid> {
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(Invalid)?;
        self.rest = rest;
        Ok(bytes)
    }

    fn pair(&mut self) -> Result<(&'a [u8], &'a [u8]), Invalid> {
        let field_len = self.length()?;
        let field = self.bytes(field_len)?;
        let value_len = self.length()?;
        let unused = self.bytes(1)?[0];
        let value = self.bytes(value_len)?;
        self.bytes(usize::from(unused))?;
        self.count += 1;
        Ok((field, value))
    }

    fn check_end(&self) -> Result<(), Invalid> {
        let count_right = self.announced >= 254 || usize::from(self.announced) == self.count;
        if self.rest == [END] && self.count > 0 && count_right { Ok(()) } else { Err(Invalid) }
    }
}

impl<'a> Iterator for Zipmap<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), Invalid>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let item = if self.rest.first() == Some(&END) { self.check_end().err().map(Err) } else { Some(self.pair()) };
        self.ended = !matches!(item, Some(Ok(_)));
        item
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A ziplist of encoded entries: each is the encoding byte and what belongs to it.
    pub fn ziplist(entries: &[Vec<u8>]) -> Vec<u8> {
        let (mut body, mut previous, mut tail) = (Vec::new(), 0usize, ZIPLIST_HEADER);
        for entry in entries {
            tail = ZIPLIST_HEADER + body.len();
            let before = body.len();
            match u8::try_from(previous) {
                Ok(short) if short < 254 => body.push(short),
                _ => {
                    body.push(254);
                    body.extend_from_slice(&(previous as u32).to_le_bytes());
                }
            }
            body.extend_from_slice(entry);
            previous = body.len() - before;
        }
        let mut all = ((ZIPLIST_HEADER + body.len() + 1) as u32).to_le_bytes().to_vec();
        all.extend_from_slice(&(tail as u32).to_le_bytes());
        all.extend_from_slice(&(entries.len() as u16).to_le_bytes());
        all.extend_from_slice(&body);
        all.push(END);
        all
    }

    /// An entry that is a string.
    pub fn text(text: &[u8]) -> Vec<u8> {
        let len = text.len();
        let mut entry = match len {
            0..64 => vec![len as u8],
            64..16384 => vec![0x40 | (len >> 8) as u8, len as u8],
            _ => [&[0x80][..], &(len as u32).to_be_bytes()].concat(),
        };
        entry.extend_from_slice(text);
        entry
    }

    fn read(bytes: &[u8]) -> Result<Vec<Elem<'_>>, Invalid> {
        Ziplist::new(bytes)?.collect()
    }

    #[test]
    fn the_ziplist_of_2_and_5_from_its_description_is_read() {
        let bytes = [0x0f, 0, 0, 0, 0x0c, 0, 0, 0, 2, 0, 0, 0xf3, 2, 0xf6, 0xff];
        assert_eq!(read(&bytes), Ok(vec![Elem::Int(2), Elem::Int(5)]));
    }

    #[test]
    fn a_ziplist_with_every_encoding_is_read() {
        let (short, middle, long) = (vec![b'a'; 63], vec![b'b'; 300], vec![b'c'; 20_000]);
        let bytes = ziplist(&[
            vec![0xf1],
            vec![0xfd],
            vec![0xfe, 0x80],
            vec![0xc0, 0x00, 0x80],
            vec![0xf0, 0x00, 0x00, 0x80],
            vec![0xd0, 0x00, 0x00, 0x00, 0x80],
            [&[0xe0][..], &i64::MIN.to_le_bytes()].concat(),
            text(b""),
            text(&short),
            text(&middle),
            text(&long),
            text(b"Hello World"),
        ]);
        let ints = [0, 12, -128, -32768, -8_388_608, -2_147_483_648, i64::MIN].map(Elem::Int);
        let texts = [b"", &short[..], &middle, &long, b"Hello World"].map(Elem::Bytes);
        assert_eq!(read(&bytes), Ok([&ints[..], &texts].concat()));
        assert_eq!(read(&ziplist(&[])), Ok(vec![]));
    }

    #[test]
    fn a_damaged_ziplist_is_refused() {
        let good = ziplist(&[text(b"abc"), vec![0xf3], text(&[b'x'; 100])]);
        assert!(read(&good).is_ok());
        let spoilt = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            read(&bytes).is_err()
        };
        assert!(spoilt(0, 1), "size");
        assert!(spoilt(4, 10), "offset of the last entry");
        assert!(spoilt(8, 2), "count");
        assert!(spoilt(10, 1), "length of the entry before the first");
        assert!(spoilt(11, 0x3f), "string beyond the end");
        assert!(spoilt(16, 0xff), "encoding");
        assert!(spoilt(good.len() - 1, 0), "end marker");
        for cut in 0..good.len() {
            assert!(read(&good[..cut]).is_err());
        }
    }

    type Pair<'a> = (&'a [u8], &'a [u8]);

    fn pairs(bytes: &[u8]) -> Result<Vec<Pair<'_>>, Invalid> {
        Zipmap::new(bytes)?.collect()
    }

    #[test]
    fn the_zipmap_from_its_description_is_read() {
        let bytes = b"\x02\x03foo\x03\x00bar\x05hello\x05\x00world\xff";
        assert_eq!(pairs(bytes), Ok(vec![(&b"foo"[..], &b"bar"[..]), (b"hello", b"world")]));
    }

    #[test]
    fn unused_bytes_and_long_lengths_in_a_zipmap_are_understood() {
        let bytes = [&b"\xfe\x01f\xfe\x2c\x01\x00\x00\x02"[..], &[b'v'; 300], b"??\xff"].concat();
        assert_eq!(pairs(&bytes), Ok(vec![(&b"f"[..], &[b'v'; 300][..])]));
    }

    #[test]
    fn a_damaged_zipmap_is_refused() {
        for bytes in [
            &b""[..],
            b"\xff",
            b"\x00\xff",                         // empty
            b"\x02\x01a\x01\x00b\xff",           // wrong count
            b"\x01\x01a\x01\x00b",               // no end
            b"\x01\x01a\x09\x00b\xff",           // value beyond the end
            b"\x01\x01a\x01\x09b\xff",           // unused bytes beyond the end
            b"\x01\x09a\x01\x00b\xff",           // field beyond the end
            b"\x01\xfe\x01a\x01\x00b\xff",       // length of lengths beyond the end
            b"\x01\x01a\xff",                    // no value
            b"\x01\xfe\x01\0\0\0a\x01\x00b\xff", // short length in the long form
        ] {
            assert_eq!(pairs(bytes), Err(Invalid), "{bytes:?}");
        }
    }
}
