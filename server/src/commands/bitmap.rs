//! Strings as bitmaps: SETBIT, GETBIT, BITCOUNT, BITPOS, BITOP. Bit 0 is the highest of the first byte. BITFIELD is in `bitfield`.

use super::error::SYNTAX;
use super::string::bytes_or_new;
use super::{Command, CommandError, CommandResult, Ctx, Flags, Group, KeyUse, Keys};
use crate::config::NotifyEvents;
use crate::data::elem::{Elem, IntText};
use crate::keyspace::Ttl;
use crate::resp::number::parse_i64;

const CHANGE: Flags = Flags::WRITE.union(Flags::DENYOOM);

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("setbit", 4, Group::Bitmap, setbit)
        .flags(CHANGE)
        .keys(Keys::FIRST)
        .doc("2.2.0", "Sets or clears a bit of a string, and returns what it was."),
    Command::new("getbit", 3, Group::Bitmap, getbit)
        .flags(Flags::READONLY.union(Flags::FAST))
        .keys(Keys::FIRST)
        .doc("2.2.0", "Returns a bit of a string."),
    Command::new("bitcount", -2, Group::Bitmap, bitcount)
        .flags(Flags::READONLY)
        .keys(Keys::FIRST)
        .doc("2.6.0", "Returns how many bits of a string, or of a part of it, are set."),
    Command::new("bitpos", -3, Group::Bitmap, bitpos)
        .flags(Flags::READONLY)
        .keys(Keys::FIRST)
        .doc("2.8.7", "Returns the position of the first bit of a string that is set, or not set."),
    Command::new("bitop", -4, Group::Bitmap, bitop)
        .flags(CHANGE)
        .keys(Keys::Range { first: 2, last: -1, step: 1 })
        .uses(&[KeyUse::OVERWRITES, KeyUse::READS])
        .doc("2.6.0", "Combines strings bit by bit and stores the result."),
];

/// Reads the number of a bit, `#n` being the nth group of `width` bits where that is given.
///
/// # Errors
/// If it is no such number, or beyond the longest string there may be.
pub fn bit_offset(ctx: &Ctx<'_>, text: &[u8], width: Option<u32>) -> Result<usize, CommandError> {
    let offset = match (text.strip_prefix(b"#"), width) {
        (Some(groups), Some(width)) => parse_i64(groups).and_then(|n| n.checked_mul(width.into())),
        _ => parse_i64(text),
    };
    let limit = ctx.server.config.proto_max_bulk_len;
    offset
        .filter(|bit| *bit >= 0 && (bit >> 3 < limit || ctx.client.is_trusted_source()))
        .and_then(|bit| usize::try_from(bit).ok())
        .ok_or(CommandError::fixed("ERR bit offset is not an integer or out of range"))
}

fn setbit(ctx: &mut Ctx<'_>) -> CommandResult {
    const NO_BIT: CommandError = CommandError::fixed("ERR bit is not an integer or out of range");
    let key = ctx.arg(1);
    let offset = bit_offset(ctx, ctx.arg(2), None)?;
    let on = match parse_i64(ctx.arg(3)) {
        Some(0) => false,
        Some(1) => true,
        _ => return Err(NO_BIT),
    };
    let bytes = bytes_or_new(ctx.db(), key)?;
    let (byte, mask) = (offset >> 3, 0x80u8 >> (offset & 7));
    let longer = byte >= bytes.len();
    if longer {
        bytes.resize(byte + 1, 0);
    }
    let was = bytes[byte] & mask != 0;
    if longer || was != on {
        bytes[byte] ^= if was != on { mask } else { 0 };
        ctx.db().modified(key, NotifyEvents::STRING, "setbit");
    }
    ctx.reply().int(i64::from(was));
    Ok(())
}

fn getbit(ctx: &mut Ctx<'_>) -> CommandResult {
    let key = ctx.arg(1);
    let offset = bit_offset(ctx, ctx.arg(2), None)?;
    let (db, reply) = ctx.db_and_reply();
    let mut digits = IntText::new();
    let text = db.read_str(key)?.map_or(&b""[..], |string| string.text(&mut digits));
    let on = text.get(offset >> 3).is_some_and(|byte| byte & (0x80 >> (offset & 7)) != 0);
    reply.int(i64::from(on));
    Ok(())
}

/// The part of a string that BITCOUNT and BITPOS look at, as they were told.
struct Part {
    start: i64,
    end: Option<i64>,
    /// Both are numbers of bits, not of bytes.
    in_bits: bool,
}

impl Part {
    /// Reads `[start [end [BIT|BYTE]]]` at the argument `at`.
    fn parse(ctx: &Ctx<'_>, at: usize) -> Result<Part, CommandError> {
        let mut part = Part { start: 0, end: None, in_bits: false };
        if ctx.argc() > at + 3 {
            return Err(SYNTAX);
        }
        if ctx.argc() > at {
            part.start = ctx.int(at)?;
        }
        if ctx.argc() > at + 2 {
            part.in_bits = ctx.is(at + 2, "bit");
            if !part.in_bits && !ctx.is(at + 2, "byte") {
                return Err(SYNTAX);
            }
        }
        if ctx.argc() > at + 1 {
            part.end = Some(ctx.int(at + 1)?);
        }
        Ok(part)
    }

    /// The first bit and the one after the last, in a string of `len` bytes; `None` if that is no bit at all.
    fn bits(&self, len: usize) -> Option<(usize, usize)> {
        let unit = if self.in_bits { 1 } else { 8 };
        let total = (len * 8 / unit) as i64;
        let from_front = |at: i64| if at < 0 { (total + at).max(0) } else { at };
        let (start, end) = (from_front(self.start), from_front(self.end.unwrap_or(-1)).min(total - 1));
        (start <= end).then(|| (start as usize * unit, (end as usize + 1) * unit))
    }
}

fn bitcount(ctx: &mut Ctx<'_>) -> CommandResult {
    let key = ctx.arg(1);
    let part = Part::parse(ctx, 2)?;
    let (db, reply) = ctx.db_and_reply();
    let mut digits = IntText::new();
    let text = db.read_str(key)?.map_or(&b""[..], |string| string.text(&mut digits));
    // Counted from the end both, they may not be the wrong way round.
    let crossed = part.start < 0 && part.end.is_some_and(|end| end < 0 && part.start > end);
    let bits = if crossed { None } else { part.bits(text.len()) };
    reply.int(bits.map_or(0, |(start, end)| count_ones(text, start, end)) as i64);
    Ok(())
}

/// How many of the bits from `start` on, up to but not `end`, are set.
fn count_ones(text: &[u8], start: usize, end: usize) -> usize {
    let bytes = &text[start / 8..end.div_ceil(8)];
    let (words, rest) = bytes.as_chunks::<8>();
    let words: usize = words.iter().map(|word| u64::from_ne_bytes(*word).count_ones() as usize).sum();
    let rest: usize = rest.iter().map(|byte| byte.count_ones() as usize).sum();
    let before = text[start / 8] & !(0xff >> (start % 8));
    let after = if end.is_multiple_of(8) { 0 } else { text[end / 8] & (0xff >> (end % 8)) };
    words + rest - (before.count_ones() + after.count_ones()) as usize
}

fn bitpos(ctx: &mut Ctx<'_>) -> CommandResult {
    let key = ctx.arg(1);
    let wanted = match ctx.int(2)? {
        0 => false,
        1 => true,
        _ => return Err(CommandError::fixed("ERR The bit argument must be 1 or 0.")),
    };
    let part = Part::parse(ctx, 3)?;
    let (db, reply) = ctx.db_and_reply();
    let Some(string) = db.read_str(key)? else {
        // As if there were no end of zeros.
        reply.int(if wanted { -1 } else { 0 });
        return Ok(());
    };
    let mut digits = IntText::new();
    let text = string.text(&mut digits);
    let position = match part.bits(text.len()) {
        None => None,
        // To the right of the string are zeros, unless an end was given.
        Some((start, end)) => {
            find_bit(text, wanted, start, end).or((!wanted && part.end.is_none()).then_some(text.len() * 8))
        }
    };
    reply.int(position.map_or(-1, |position| position as i64));
    Ok(())
}

/// The first of the bits from `start` on, up to but not `end`, that is as wanted.
fn find_bit(text: &[u8], wanted: bool, start: usize, end: usize) -> Option<usize> {
    let flip = if wanted { 0 } else { 0xff };
    let first = start / 8;
    let in_first = (text[first] ^ flip) & (0xff >> (start % 8));
    let byte = if in_first != 0 {
        first
    } else {
        let rest = &text[first + 1..end.div_ceil(8)];
        // Eight at a time as far as there is nothing.
        let skipped = rest.as_chunks::<8>().0.iter().take_while(|word| **word == [flip; 8]).count() * 8;
        first + 1 + skipped + rest[skipped..].iter().position(|byte| *byte != flip)?
    };
    let bits = if byte == first { in_first } else { text[byte] ^ flip };
    let position = byte * 8 + bits.leading_zeros() as usize;
    (position < end).then_some(position)
}

/// How BITOP combines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    And,
    Or,
    Xor,
    Not,
}

fn bitop(ctx: &mut Ctx<'_>) -> CommandResult {
    let operation = match ctx.arg(1).to_ascii_lowercase().as_slice() {
        b"and" => Operation::And,
        b"or" => Operation::Or,
        b"xor" => Operation::Xor,
        b"not" => Operation::Not,
        _ => return Err(SYNTAX),
    };
    if operation == Operation::Not && ctx.argc() != 4 {
        return Err(CommandError::fixed("ERR BITOP NOT must be called with a single source key."));
    }
    let (argv, target) = (ctx.argv, ctx.arg(2));
    let db = ctx.db();
    let mut longest = 0;
    for key in argv.iter().skip(3) {
        longest = longest.max(db.read_str(key)?.map_or(0, Elem::len));
    }
    let len = longest as i64;
    if longest == 0 {
        if db.delete(target) {
            db.modified(target, NotifyEvents::GENERIC, "del");
        }
        ctx.reply().int(len);
        return Ok(());
    }
    let mut result = Vec::with_capacity(longest);
    let mut digits = IntText::new();
    for (i, key) in argv.iter().skip(3).enumerate() {
        let text = db.get_str(key)?.map_or(&b""[..], |string| string.text(&mut digits));
        if i == 0 {
            result.extend_from_slice(text);
            result.resize(longest, 0);
        } else {
            combine(&mut result, text, operation);
        }
    }
    if operation == Operation::Not {
        result.iter_mut().for_each(|byte| *byte = !*byte);
    }
    db.set_str(target, b"", Ttl::Clear);
    *bytes_or_new(db, target)? = result;
    db.modified(target, NotifyEvents::STRING, "set");
    ctx.reply().int(len);
    Ok(())
}

/// Combines `result` with a string that is at most as long, and goes on with zeros.
fn combine(result: &mut [u8], text: &[u8], operation: Operation) {
    let pairs = result.iter_mut().zip(text);
    match operation {
        Operation::And => {
            pairs.for_each(|(byte, other)| *byte &= other);
            result[text.len()..].fill(0);
        }
        Operation::Or => pairs.for_each(|(byte, other)| *byte |= other),
        Operation::Xor => pairs.for_each(|(byte, other)| *byte ^= other),
        Operation::Not => {}
    }
}
