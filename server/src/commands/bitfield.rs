//! BITFIELD: integers of any width at any place of a string.

use super::bitmap::bit_offset;
use super::error::SYNTAX;
use super::string::bytes_or_new;
use super::{Command, CommandError, CommandResult, Ctx, Flags, Group, KeyUse, Keys};
use crate::config::NotifyEvents;
use crate::data::elem::IntText;
use crate::resp::Argv;
use crate::resp::number::parse_i64;

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("bitfield", -2, Group::Bitmap, bitfield)
        .flags(Flags::WRITE.union(Flags::DENYOOM))
        .keys(Keys::FIRST)
        .uses(&[KeyUse::CHANGES.union(KeyUse::VARIABLE)])
        .use_by_arguments(|argv| if only_gets(argv) { KeyUse::READS } else { KeyUse::CHANGES })
        .doc("3.2.0", "Reads, sets and adds to integers of any width at any place of a string."),
    Command::new("bitfield_ro", -2, Group::Bitmap, bitfield)
        .flags(Flags::READONLY.union(Flags::FAST))
        .keys(Keys::FIRST)
        .doc("6.0.0", "Reads integers of any width at any place of a string."),
];

/// What becomes of a value that its field is too narrow for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overflow {
    /// The high bits are lost.
    Wrap,
    /// It becomes the nearest value that fits.
    Saturate,
    /// Nothing is written; the reply is null.
    Fail,
}

/// Where a field lies, and what it holds.
#[derive(Clone, Copy, Debug)]
struct Field {
    offset: usize,
    bits: u32,
    signed: bool,
}

#[derive(Clone, Copy, Debug)]
enum Action {
    Get,
    Set(i64),
    Add(i64),
}

struct Step {
    field: Field,
    action: Action,
    overflow: Overflow,
}

/// Whether no SET or INCRBY stands where a subcommand may.
fn only_gets(argv: Argv<'_>) -> bool {
    let mut i = 2;
    while i < argv.len() {
        let is = |name: &str| argv.get(i).eq_ignore_ascii_case(name.as_bytes());
        i += match () {
            () if is("get") && i + 2 < argv.len() => 3,
            () if is("overflow") && i + 1 < argv.len() => 2,
            () => return false,
        };
    }
    true
}

fn bitfield(ctx: &mut Ctx<'_>) -> CommandResult {
    let steps = parse(ctx)?;
    let key = ctx.arg(1);
    let writes = steps.iter().filter(|step| !matches!(step.action, Action::Get));
    let Some(end) = writes.map(|step| step.field.offset + step.field.bits as usize).max() else {
        return read(ctx, &steps);
    };
    if ctx.row.command.flags.contains(Flags::READONLY) {
        return Err(CommandError::fixed("ERR BITFIELD_RO only supports the GET subcommand"));
    }
    let (db, reply) = ctx.db_and_reply();
    let bytes = bytes_or_new(db, key)?;
    let longer = bytes.len() < end.div_ceil(8);
    if longer {
        bytes.resize(end.div_ceil(8), 0);
    }
    reply.array(steps.len());
    let mut changes = 0;
    for Step { field, action, overflow } in &steps {
        let old = field.get(bytes);
        let (value, answer_old) = match action {
            Action::Get => {
                reply.int(old);
                continue;
            }
            // Unsigned fields take it for an unsigned number, so that -1 is more than they hold.
            Action::Set(value) if !field.signed => (i128::from(*value as u64), true),
            Action::Set(value) => (i128::from(*value), true),
            Action::Add(by) => (i128::from(old) + i128::from(*by), false),
        };
        match field.fit(value, *overflow) {
            None => reply.null(),
            Some(new) => {
                reply.int(if answer_old { old } else { new });
                field.put(bytes, new);
                changes += u64::from(longer || old != new);
            }
        }
    }
    if changes > 0 {
        db.modified(key, NotifyEvents::STRING, "setbit");
        db.add_dirty(changes - 1);
    }
    Ok(())
}

/// Answers when all steps only read.
fn read(ctx: &mut Ctx<'_>, steps: &[Step]) -> CommandResult {
    let key = ctx.arg(1);
    let (db, reply) = ctx.db_and_reply();
    let mut digits = IntText::new();
    let text = db.read_str(key)?.map_or(&b""[..], |string| string.text(&mut digits));
    reply.array(steps.len());
    for step in steps {
        reply.int(step.field.get(text));
    }
    Ok(())
}

fn parse(ctx: &Ctx<'_>) -> Result<Vec<Step>, CommandError> {
    let mut steps = Vec::new();
    let mut overflow = Overflow::Wrap;
    let mut i = 2;
    while i < ctx.argc() {
        let left = ctx.argc() - i - 1;
        if ctx.is(i, "overflow") && left >= 1 {
            overflow = match ctx.arg(i + 1).to_ascii_lowercase().as_slice() {
                b"wrap" => Overflow::Wrap,
                b"sat" => Overflow::Saturate,
                b"fail" => Overflow::Fail,
                _ => return Err(CommandError::fixed("ERR Invalid OVERFLOW type specified")),
            };
            i += 2;
            continue;
        }
        let make: Option<fn(i64) -> Action> = if ctx.is(i, "get") && left >= 2 {
            None
        } else if ctx.is(i, "set") && left >= 3 {
            Some(Action::Set)
        } else if ctx.is(i, "incrby") && left >= 3 {
            Some(Action::Add)
        } else {
            return Err(SYNTAX);
        };
        let (signed, bits) = parse_type(ctx.arg(i + 1))?;
        let offset = bit_offset(ctx, ctx.arg(i + 2), Some(bits))?;
        let action = match make {
            Some(make) => make(ctx.int(i + 3)?),
            None => Action::Get,
        };
        i += if make.is_some() { 4 } else { 3 };
        steps.push(Step { field: Field { offset, bits, signed }, action, overflow });
    }
    Ok(steps)
}

/// Reads a type such as `u8` or `i64`: whether it is signed, and its width.
fn parse_type(text: &[u8]) -> Result<(bool, u32), CommandError> {
    let parsed = match text {
        [b'i', bits @ ..] => parse_i64(bits).filter(|bits| (1..=64).contains(bits)).map(|bits| (true, bits as u32)),
        [b'u', bits @ ..] => parse_i64(bits).filter(|bits| (1..=63).contains(bits)).map(|bits| (false, bits as u32)),
        _ => None,
    };
    parsed.ok_or(CommandError::fixed(
        "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
    ))
}

impl Field {
    /// The bytes that the field may touch, at most nine, as one number; and how many bits lie to the right of the field in it.
    fn window(&self, bytes: &[u8]) -> (u128, u32) {
        let mut window = [0; 16];
        let tail = bytes.get(self.offset / 8..).unwrap_or(&[]);
        let n = tail.len().min(9);
        window[..n].copy_from_slice(&tail[..n]);
        (u128::from_be_bytes(window), 128 - (self.offset % 8) as u32 - self.bits)
    }

    fn mask(&self) -> u128 {
        (1 << self.bits) - 1
    }

    /// The value; beyond the bytes are zeros.
    fn get(&self, bytes: &[u8]) -> i64 {
        let (window, right) = self.window(bytes);
        let raw = (window >> right & self.mask()) as u64;
        if self.signed { (raw << (64 - self.bits)) as i64 >> (64 - self.bits) } else { raw as i64 }
    }

    /// Writes the low bits of a value, for which there is room.
    fn put(&self, bytes: &mut [u8], value: i64) {
        let (window, right) = self.window(bytes);
        let window = window & !(self.mask() << right) | (value as u128 & self.mask()) << right;
        let tail = &mut bytes[self.offset / 8..];
        let n = tail.len().min(9);
        tail[..n].copy_from_slice(&window.to_be_bytes()[..n]);
    }

    /// The value as the field can hold it; `None` if it cannot and that is a failure.
    fn fit(&self, value: i128, overflow: Overflow) -> Option<i64> {
        let (min, max) = if self.signed {
            (-(1i128 << (self.bits - 1)), (1i128 << (self.bits - 1)) - 1)
        } else {
            (0, (1i128 << self.bits) - 1)
        };
        if (min..=max).contains(&value) {
            return Some(value as i64);
        }
        match overflow {
            Overflow::Fail => None,
            Overflow::Saturate => Some(value.clamp(min, max) as i64),
            Overflow::Wrap => {
                let low = (value as u128 & self.mask()) as u64;
                Some(if self.signed { (low << (64 - self.bits)) as i64 >> (64 - self.bits) } else { low as i64 })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_reads_what_was_written_and_leaves_its_neighbours() {
        for bits in 1..=64u32 {
            for offset in 0..16 {
                let field = Field { offset, bits, signed: true };
                for fill in [0u8, 0xff] {
                    let mut bytes = vec![fill; 12];
                    let value = if fill == 0 { -1 } else { 0 };
                    field.put(&mut bytes, value);
                    assert_eq!(field.get(&bytes), value);
                    let changed: u32 = bytes.iter().map(|byte| (byte ^ fill).count_ones()).sum();
                    assert_eq!(changed, bits);
                    let first = bytes.iter().position(|byte| *byte != fill).unwrap();
                    assert_eq!(first * 8 + (bytes[first] ^ fill).leading_zeros() as usize, offset);
                }
            }
        }
    }

    #[test]
    fn what_is_too_large_wraps_saturates_or_fails() {
        let signed = Field { offset: 0, bits: 8, signed: true };
        assert_eq!(signed.fit(128, Overflow::Wrap), Some(-128));
        assert_eq!(signed.fit(128, Overflow::Saturate), Some(127));
        assert_eq!(signed.fit(-129, Overflow::Saturate), Some(-128));
        assert_eq!(signed.fit(-129, Overflow::Fail), None);
        let unsigned = Field { offset: 0, bits: 8, signed: false };
        assert_eq!(unsigned.fit(256, Overflow::Wrap), Some(0));
        assert_eq!(unsigned.fit(-1, Overflow::Wrap), Some(255));
        assert_eq!(unsigned.fit(-1, Overflow::Saturate), Some(0));
    }
}
