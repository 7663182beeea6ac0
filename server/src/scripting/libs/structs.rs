//! `struct`: values as the bytes of C structures.
//!
//! A format is a list of letters: `b B` (1 byte), `h H` (2), `i I` (4, or as many as follow), `l L T` (8), `f d` (floating point), `s`
//! (ends with a zero byte), `c` (one byte, or as many as follow; `c0`: the whole text, or as many as the number before says), `x` (a byte
//! of padding). `<` and `>` set the order of bytes, `!` the largest alignment. Capitals are unsigned.

use mlua::{Lua, MultiValue, Value};

use super::{Args, Body, Outcome, Wrong, one};

/// Its functions.
pub const FUNCTIONS: &[(&str, Body)] = &[("pack", pack), ("unpack", unpack), ("size", size)];

/// The widest integer in bytes.
const WIDEST: usize = 32;
const NATIVE_ALIGNMENT: usize = 8;
const TWO_POW_64: f64 = 18_446_744_073_709_551_616.0;

/// A format, read letter by letter.
struct Format<'a> {
    args: &'a Args,
    rest: &'a [u8],
    little: bool,
    alignment: usize,
}

/// A letter of a format, with the size of its value.
#[derive(Clone, Copy)]
struct Item {
    letter: u8,
    size: usize,
    /// Bytes of padding before it.
    padding: usize,
}

impl<'a> Format<'a> {
    fn new(args: &'a Args, text: &'a [u8]) -> Self {
        Format { args, rest: text, little: true, alignment: 1 }
    }

    /// The next letter that stands for bytes, for a value that would begin at `at`.
    fn next(&mut self, at: usize) -> Result<Option<Item>, Wrong> {
        while let Some((letter, rest)) = self.rest.split_first() {
            self.rest = rest;
            let size = match letter {
                b' ' => continue,
                b'<' | b'>' => {
                    self.little = *letter == b'<';
                    continue;
                }
                b'!' => {
                    let alignment = self.number(NATIVE_ALIGNMENT)?;
                    if !alignment.is_power_of_two() {
                        return Err(format!("alignment {alignment} is not a power of 2").into());
                    }
                    self.alignment = alignment;
                    continue;
                }
                b'b' | b'B' | b'x' => 1,
                b'h' | b'H' => 2,
                b'l' | b'L' | b'T' | b'd' => 8,
                b'f' => 4,
                b's' => 0,
                b'c' => self.number(1)?,
                b'i' | b'I' => match self.number(4)? {
                    size @ 0..=WIDEST => size,
                    size => return Err(format!("integral size {size} is larger than limit of {WIDEST}").into()),
                },
                other => return Err(self.args.bad(0, &format!("invalid format option '{}'", char::from(*other)))),
            };
            let unit = size.min(self.alignment);
            let padding = if unit == 0 || *letter == b'c' { 0 } else { at.next_multiple_of(unit) - at };
            return Ok(Some(Item { letter: *letter, size, padding }));
        }
        Ok(None)
    }

    /// The number that follows a letter.
    fn number(&mut self, default: usize) -> Result<usize, Wrong> {
        let digits = self.rest.iter().take_while(|c| c.is_ascii_digit()).count();
        if digits == 0 {
            return Ok(default);
        }
        let (number, rest) = self.rest.split_at(digits);
        self.rest = rest;
        let number = std::str::from_utf8(number).ok().and_then(|n| n.parse::<i32>().ok());
        number.and_then(|n| usize::try_from(n).ok()).ok_or_else(|| "integral size overflow".into())
    }

    /// Puts bytes in this format's order, from the little-endian one.
    fn ordered(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        if !self.little {
            bytes.reverse();
        }
        bytes
    }
}

fn pack(lua: &Lua, args: &Args) -> Outcome {
    let text = args.text(0)?;
    let mut format = Format::new(args, &text);
    let (mut out, mut next) = (Vec::new(), 1);
    while let Some(item) = format.next(out.len())? {
        out.resize(out.len() + item.padding, 0);
        match item.letter {
            b'x' => out.push(0),
            b's' | b'c' => {
                let value = args.text(next)?;
                let size = if item.letter == b's' || item.size == 0 { value.len() } else { item.size };
                out.extend_from_slice(value.get(..size).ok_or_else(|| args.bad(next + 1, "string too short"))?);
                if item.letter == b's' {
                    out.push(0);
                }
                next += 1;
            }
            b'f' => {
                out.extend(format.ordered((args.number(next)? as f32).to_le_bytes().to_vec()));
                next += 1;
            }
            b'd' => {
                out.extend(format.ordered(args.number(next)?.to_le_bytes().to_vec()));
                next += 1;
            }
            _ => {
                let n = args.number(next)?;
                // What no integer can hold is none.
                let word =
                    if n < 0.0 { n as i64 as u64 } else { Some(n).filter(|n| *n < TWO_POW_64).unwrap_or(0.0) as u64 };
                let mut bytes = word.to_le_bytes().to_vec();
                bytes.resize(item.size, 0);
                out.extend(format.ordered(bytes));
                next += 1;
            }
        }
    }
    one(lua, lua.create_string(out)?)
}

fn unpack(lua: &Lua, args: &Args) -> Outcome {
    let (text, data) = (args.text(0)?, args.text(1)?);
    let start = args.integer_or(2, 1)?;
    if start == 0 {
        return Err(args.bad(2, "offset must be 1 or greater"));
    }
    let mut format = Format::new(args, &text);
    let short = || args.bad(1, "data string too short");
    let mut at = usize::try_from(start.saturating_sub(1)).ok().filter(|at| *at <= data.len()).ok_or_else(short)?;
    let mut values: Vec<Value> = Vec::new();
    while let Some(item) = format.next(at)? {
        at = at.checked_add(item.padding).ok_or_else(short)?;
        let mut size = item.size;
        if item.letter == b'c' && size == 0 {
            let before = values.pop().as_ref().and_then(super::number);
            let before = before.ok_or("format 'c0' needs a previous size")?;
            size = if before < 0.0 { usize::MAX } else { before as usize };
        }
        let rest = data.get(at..).ok_or_else(short)?;
        let bytes = match item.letter {
            b's' => {
                let end = memchr::memchr(0, rest).ok_or("unfinished string in data")?;
                at += 1;
                &rest[..end]
            }
            _ => rest.get(..size).ok_or_else(short)?,
        };
        at += bytes.len();
        match item.letter {
            b'x' => {}
            b's' | b'c' => values.push(Value::String(lua.create_string(bytes)?)),
            letter => values.push(decode(letter, &format.ordered(bytes.to_vec()))),
        }
    }
    values.push(Value::Integer(at as i64 + 1));
    Ok(MultiValue::from_vec(values))
}

/// The number that bytes in little-endian order stand for.
fn decode(letter: u8, bytes: &[u8]) -> Value {
    let mut eight = [0; 8];
    eight.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    let word = u64::from_le_bytes(eight);
    match letter {
        b'f' => Value::Number(f64::from(f32::from_bits(word as u32))),
        b'd' => Value::Number(f64::from_bits(word)),
        b'B' | b'H' | b'L' | b'T' | b'I' => Value::Number(word as f64),
        _ => {
            // The sign, carried into the bits that are not there.
            let unused = 64 - 8 * bytes.len().clamp(1, 8) as u32;
            Value::Number(((word << unused) as i64 >> unused) as f64)
        }
    }
}

fn size(lua: &Lua, args: &Args) -> Outcome {
    let text = args.text(0)?;
    let mut format = Format::new(args, &text);
    let mut total: usize = 0;
    while let Some(item) = format.next(total)? {
        if item.letter == b's' {
            return Err(args.bad(0, "option 's' has no fixed size"));
        }
        if item.letter == b'c' && item.size == 0 {
            return Err(args.bad(0, "option 'c0' has no fixed size"));
        }
        total = total.saturating_add(item.padding + item.size);
    }
    one(lua, total)
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;

    #[test]
    fn integers_have_size_order_and_sign() {
        assert_eq!(
            run("return (struct.pack('>I2i4<h', 258, -2, 1):gsub('.', function(c) return c:byte() .. ' ' end))"),
            "1 2 255 255 255 254 1 0 "
        );
        assert_eq!(
            run(
                "return table.concat({struct.unpack('bBhHlL', struct.pack('bBhHlL', -1, 255, -2, 65535, -3, 4))}, ' ')"
            ),
            "-1 255 -2 65535 -3 4 23"
        );
        assert_eq!(run("return struct.size('!8bl')"), "16");
        assert_eq!(run("return #struct.pack('I32', 1)"), "32");
    }

    #[test]
    fn texts_end_with_a_zero_byte_or_have_a_length() {
        assert_eq!(
            run("return table.concat({struct.unpack('sBc0', struct.pack('sBc0', 'hi', 3, 'you'))}, ' ')"),
            "hi you 8"
        );
        assert_eq!(run("return table.concat({struct.unpack('c2c', 'abc')}, ' ')"), "ab c 4");
        assert_eq!(run("return struct.unpack('d', struct.pack('d', 1.5))"), "1.5");
    }

    #[test]
    fn what_goes_beyond_the_data_or_the_limits_is_refused() {
        for (script, error) in [
            ("return struct.unpack('I4', 'abc')", "bad argument #2 to 'unpack' (data string too short)"),
            ("return struct.unpack('Bc0', '\\255abc')", "bad argument #2 to 'unpack' (data string too short)"),
            ("return struct.unpack('c0', 'abc')", "format 'c0' needs a previous size"),
            ("return struct.unpack('b', 'abc', 0)", "bad argument #3 to 'unpack' (offset must be 1 or greater)"),
            ("return struct.unpack('b', 'abc', 2^53)", "bad argument #2 to 'unpack' (data string too short)"),
            ("return struct.unpack('s', 'abc')", "unfinished string in data"),
            ("return struct.pack('I33', 1)", "integral size 33 is larger than limit of 32"),
            ("return struct.pack('I999999999999', 1)", "integral size overflow"),
            ("return struct.pack('!3b', 1)", "alignment 3 is not a power of 2"),
            ("return struct.pack('y', 1)", "bad argument #1 to 'pack' (invalid format option 'y')"),
        ] {
            assert_eq!(run(script), format!("user_script:1: {error}"), "{script}");
        }
    }
}
