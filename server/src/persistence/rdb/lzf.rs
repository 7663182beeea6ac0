//! LZF, the compression of strings in RDB files; the output can be decoded by liblzf and the other way round.
//!
//! A compressed text is a sequence of runs, each starting with a control byte:
//! `000LLLLL` and L+1 bytes as they are; `LLLooooo oooooooo` copies L+2 bytes (L is 1 to 6) from o+1 bytes back;
//! `111ooooo LLLLLLLL oooooooo` copies L+9 bytes.
//!
//! The encoder is this project's own. It differs from liblzf in that the table of earlier positions is kept from
//! call to call without being cleared, that bytes without a match are copied only once a match is found, and that the
//! search takes ever larger steps where it finds nothing, so that hopeless data costs little.

const MAX_LITERAL: usize = 32;
const MAX_DISTANCE: u32 = 1 << 13;
const MAX_MATCH: usize = 264;
const MIN_MATCH: usize = 3;
/// Bytes of room that liblzf asks for before a match, and behind all but the last bytes: a text is compressed where it would be there.
const MAX_RUN_END: usize = 4;
/// No run of n bytes stands for more than this many times n bytes.
const MAX_EXPANSION: usize = MAX_MATCH / 3;

const MIN_TABLE_BITS: u32 = 8;
const MAX_TABLE_BITS: u32 = 14;
/// The step grows by one after 2^this many misses.
const SKIP_SHIFT: u32 = 4;

/// Compresses strings one by one.
pub struct Encoder {
    /// Last position (plus `base`) at which a text with a given hash was seen.
    table: Box<[u32; 1 << MAX_TABLE_BITS]>,
    /// Added to positions, and raised by each text's length: what an earlier text left in the table is out of reach.
    base: u32,
}

impl Encoder {
    /// An encoder with an empty table of 64 KiB.
    pub fn new() -> Self {
        let table = vec![0; 1 << MAX_TABLE_BITS].into_boxed_slice();
        Encoder { table: table.try_into().unwrap_or_else(|_| unreachable!("made with this length")), base: 1 }
    }

    /// Appends the compressed form of `input` to `out` if it has at most `limit` bytes.
    /// Otherwise leaves `out` as it was and returns false.
    pub fn compress(&mut self, input: &[u8], limit: usize, out: &mut Vec<u8>) -> bool {
        let Ok(input_len) = u32::try_from(input.len()) else { return false };
        if self.base.checked_add(input_len).is_none() {
            self.table.fill(0);
            self.base = 1;
            if self.base.checked_add(input_len).is_none() {
                return false;
            }
        }
        let start = out.len();
        let done = self.compress_runs(input, start.saturating_add(limit), out);
        self.base += input_len;
        if !done {
            out.truncate(start);
        }
        done
    }

    fn compress_runs(&mut self, input: &[u8], end_limit: usize, out: &mut Vec<u8>) -> bool {
        // A small text gets a small part of the table, to touch few cache lines.
        let bits = (usize::BITS - input.len().leading_zeros()).clamp(MIN_TABLE_BITS, MAX_TABLE_BITS);
        let shift = 32 - bits;
        let mut at = 0;
        let mut literals_from = 0;
        let mut misses = 0u32;
        while let Some(next) = word(input, at) {
            let slot = &mut self.table[hash(next, shift)];
            let distance = (self.base + at as u32).wrapping_sub(*slot);
            *slot = self.base + at as u32;
            // One comparison for "in this text" and "near enough": the distance to another text's position exceeds `at`.
            let found = distance.wrapping_sub(1) < MAX_DISTANCE.min(at as u32)
                && word(input, at - distance as usize).is_some_and(|before| (before ^ next) << 8 == 0);
            if !found {
                misses += 1;
                at += 1 + (misses >> SKIP_SHIFT) as usize;
                continue;
            }
            misses = 0;
            let distance = distance as usize;
            let mut length =
                MIN_MATCH + common_prefix(input, at - distance + MIN_MATCH, at + MIN_MATCH, MAX_MATCH - MIN_MATCH);
            // The search may have stepped over the beginning of the match.
            while at > literals_from && at > distance && length < MAX_MATCH && input[at - 1] == input[at - 1 - distance]
            {
                at -= 1;
                length += 1;
            }
            put_literals(&input[literals_from..at], out);
            if out.len() + MAX_RUN_END >= end_limit {
                return false;
            }
            put_match(distance, length, out);
            at += length;
            literals_from = at;
            // The end of the match is a likely beginning of the next one.
            for before in [at - 2, at - 1] {
                if let Some(text) = word(input, before) {
                    self.table[hash(text, shift)] = self.base + before as u32;
                }
            }
        }
        let rest = &input[literals_from..];
        let but_last = rest.len().saturating_sub(MIN_MATCH - 1);
        if out.len() + but_last + but_last / MAX_LITERAL + MAX_RUN_END > end_limit {
            return false;
        }
        put_literals(rest, out);
        true
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

/// The four bytes at `at`; the first three, which a match needs, in the lower bits.
#[inline]
fn word(input: &[u8], at: usize) -> Option<u32> {
    input.get(at..at + 4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

/// Index of the first three bytes of `word` in a table of 2^(32 - shift) slots.
#[inline]
fn hash(word: u32, shift: u32) -> usize {
    // Fibonacci hashing; the mask tells the compiler that the index is in bounds.
    ((word << 8).wrapping_mul(0x9e37_79b1) >> shift) as usize & ((1 << MAX_TABLE_BITS) - 1)
}

/// How many bytes from `a` on equal those from `b` on (`a < b`), at most `max`.
fn common_prefix(input: &[u8], a: usize, b: usize, max: usize) -> usize {
    let ahead = &input[b..input.len().min(b + max)];
    let behind = &input[a..a + ahead.len()];
    let mut equal = 0;
    for (x, y) in behind.chunks_exact(8).zip(ahead.chunks_exact(8)) {
        let differing =
            u64::from_le_bytes(x.try_into().unwrap_or_default()) ^ u64::from_le_bytes(y.try_into().unwrap_or_default());
        if differing != 0 {
            return equal + differing.trailing_zeros() as usize / 8;
        }
        equal += 8;
    }
    equal + behind[equal..].iter().zip(&ahead[equal..]).take_while(|(x, y)| x == y).count()
}

fn put_literals(bytes: &[u8], out: &mut Vec<u8>) {
    for run in bytes.chunks(MAX_LITERAL) {
        out.push(run.len() as u8 - 1);
        out.extend_from_slice(run);
    }
}

fn put_match(distance: usize, length: usize, out: &mut Vec<u8>) {
    let [low, high, ..] = (distance - 1).to_le_bytes();
    if length < 9 {
        out.extend_from_slice(&[(length as u8 - 2) << 5 | high, low]);
    } else {
        out.extend_from_slice(&[7 << 5 | high, (length - 9) as u8, low]);
    }
}

/// Why compressed data cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid;

/// Appends to `out` the `plain_len` bytes that `input` stands for.
///
/// Fails when the data is cut short, refers to bytes before its beginning or stands for another number of bytes; `out`
/// may then hold a part. Memory in proportion to `input` is reserved at most, whatever `plain_len` announces.
pub fn decompress(input: &[u8], plain_len: usize, out: &mut Vec<u8>) -> Result<(), Invalid> {
    if plain_len > input.len().saturating_mul(MAX_EXPANSION) {
        return Err(Invalid);
    }
    out.reserve(plain_len);
    let start = out.len();
    let end = start + plain_len;
    let mut rest = input;
    while let [control, after @ ..] = rest {
        if *control < MAX_LITERAL as u8 {
            let (run, after) = after.split_at_checked(usize::from(*control) + 1).ok_or(Invalid)?;
            if out.len() + run.len() > end {
                return Err(Invalid);
            }
            out.extend_from_slice(run);
            rest = after;
            continue;
        }
        let (length, low, after) = match (control >> 5, after) {
            (7, [more, low, after @ ..]) => (usize::from(*more) + 9, *low, after),
            (short, [low, after @ ..]) if short < 7 => (usize::from(short) + 2, *low, after),
            _ => return Err(Invalid),
        };
        let distance = usize::from(u16::from_be_bytes([control & 0x1f, low])) + 1;
        if distance > out.len() - start || out.len() + length > end {
            return Err(Invalid);
        }
        copy_back(out, distance, length);
        rest = after;
    }
    if out.len() == end { Ok(()) } else { Err(Invalid) }
}

/// Appends `length` bytes from `distance` back, which may reach into what is being appended.
#[inline]
fn copy_back(out: &mut Vec<u8>, distance: usize, length: usize) {
    let from = out.len() - distance;
    let mut left = length;
    while left > 0 {
        let piece = left.min(out.len() - from);
        out.extend_from_within(from..from + piece);
        left -= piece;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(seed: &mut u64) -> u64 {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        *seed
    }

    fn compressed(encoder: &mut Encoder, input: &[u8]) -> Option<Vec<u8>> {
        let mut out = b"before".to_vec();
        let limit = input.len().saturating_sub(4);
        let done = encoder.compress(input, limit, &mut out);
        assert!(out.starts_with(b"before"));
        let body = out.split_off(6);
        assert!(if done { body.len() <= limit } else { body.is_empty() });
        done.then_some(body)
    }

    fn plain(input: &[u8], len: usize) -> Result<Vec<u8>, Invalid> {
        let mut out = Vec::new();
        decompress(input, len, &mut out).map(|()| out)
    }

    #[test]
    fn repetitive_text_becomes_much_smaller_and_comes_back_unchanged() {
        let mut encoder = Encoder::new();
        for text in [vec![b'a'; 21], vec![0; 100], vec![b'x'; 100_000], b"the cat and the hat ".repeat(30)] {
            let small = compressed(&mut encoder, &text).expect("compressible");
            assert!(small.len() < text.len() / 2, "{} of {}", small.len(), text.len());
            assert_eq!(plain(&small, text.len()).unwrap(), text);
        }
    }

    #[test]
    fn a_small_hyperloglog_is_compressed_where_liblzf_does_it() {
        let mut encoder = Encoder::new();
        for (registers, is_compressed) in [
            (&b"\x80\x5b\x51\x84\x64\xac"[..], false),
            (b"\x80\x44\x3c\x88\x58\xde\x80\x49\x24\x80\x45\x01\x84\x46\x32\x80\x48\x77\x88\x46\x0b", false),
            (b"\x7f\xff", false),
            (b"\0\0\0\0\0\0\x7f\xff", true),
        ] {
            let text = [b"HYLL\x01\0\0\0\0\0\0\0\0\0\0", registers].concat();
            assert_eq!(compressed(&mut encoder, &text).is_some(), is_compressed, "{text:x?}");
        }
    }

    #[test]
    fn text_of_every_redundancy_and_length_comes_back_unchanged() {
        let mut encoder = Encoder::new();
        let mut seed = 42;
        let (mut kept, mut cases) = (0, 0);
        for letters in [2, 3, 8, 30, 256] {
            for len in (0..300).chain([1000, 8190, 8193, 9000, 20_000]) {
                let text: Vec<u8> = (0..len).map(|_| (random(&mut seed) % letters) as u8).collect();
                cases += 1;
                if let Some(small) = compressed(&mut encoder, &text) {
                    assert_eq!(plain(&small, text.len()).unwrap(), text);
                    kept += 1;
                }
            }
        }
        assert!(kept > cases / 3, "{kept} of {cases} were compressed");
    }

    #[test]
    fn repetitions_further_apart_than_the_format_can_say_are_left_alone() {
        let mut encoder = Encoder::new();
        let mut seed = 7;
        for gap in [8190usize, 8191, 8192, 8193, 8194, 70_000] {
            let mut text: Vec<u8> = (0..gap).map(|_| random(&mut seed) as u8).collect();
            text.extend_from_within(..400.min(gap));
            if let Some(small) = compressed(&mut encoder, &text) {
                assert_eq!(plain(&small, text.len()).unwrap(), text);
            }
        }
    }

    #[test]
    fn random_data_is_not_compressed() {
        let mut encoder = Encoder::new();
        let mut seed = 3;
        for len in [21, 100, 5000, 1 << 20] {
            let text: Vec<u8> = (0..len).map(|_| random(&mut seed) as u8).collect();
            assert_eq!(compressed(&mut encoder, &text), None);
        }
    }

    #[test]
    fn the_table_survives_the_overflow_of_its_positions() {
        let mut encoder = Encoder::new();
        encoder.base = u32::MAX - 100;
        for _ in 0..4 {
            let text = b"0123456789".repeat(9);
            let small = compressed(&mut encoder, &text).expect("compressible");
            assert_eq!(plain(&small, text.len()).unwrap(), text);
        }
    }

    #[test]
    fn data_compressed_by_liblzf_is_read() {
        // "aaaaaaaaaaaaaaaaaaaaaaaaa" (25 letters): two literals, then 23 bytes from one back.
        assert_eq!(plain(&[1, b'a', b'a', 0xe0, 14, 0], 25).unwrap(), vec![b'a'; 25]);
    }

    #[test]
    fn damaged_data_is_refused() {
        for (input, len) in [
            (&[5, 1, 2][..], 6),    // a run that is cut short
            (&[0, 1, 0x20], 5),     // a copy without its distance
            (&[0, 1, 0xe0, 1], 11), // likewise, long form
            (&[0, 1, 0x20, 1], 5),  // from before the beginning
            (&[0, 1, 0x20, 0], 3),  // one byte too many
            (&[0, 1, 0x20, 0], 5),  // one too few
            (&[0, 1], usize::MAX),  // absurd announcement
            (&[], 1),
        ] {
            assert_eq!(plain(input, len), Err(Invalid), "{input:?}");
        }
        assert_eq!(plain(&[], 0), Ok(vec![]));
    }

    #[test]
    fn no_damage_makes_the_decoder_fail_otherwise_than_by_an_error() {
        let mut encoder = Encoder::new();
        let mut seed = 11;
        let text: Vec<u8> = (0..600).map(|_| (random(&mut seed) % 3) as u8).collect();
        let good = compressed(&mut encoder, &text).expect("compressible");
        for _ in 0..5000 {
            let mut bad = good.clone();
            for _ in 0..1 + random(&mut seed) % 3 {
                let at = random(&mut seed) as usize % bad.len();
                bad[at] ^= 1 << (random(&mut seed) % 8);
            }
            bad.truncate(bad.len() - random(&mut seed) as usize % 4);
            if let Ok(out) = plain(&bad, text.len()) {
                assert_eq!(out.len(), text.len());
            }
        }
    }
}
