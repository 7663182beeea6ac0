//! `bit`: operations on 32-bit integers.

use mlua::{Lua, MultiValue, Value};

use super::{Args, Body, Outcome, Wrong};

/// Its functions.
pub const FUNCTIONS: &[(&str, Body)] = &[
    ("tobit", |_, args| word(args, 0).map(result)),
    ("bnot", |_, args| word(args, 0).map(|n| result(!n))),
    ("band", |_, args| fold(args, |a, b| a & b)),
    ("bor", |_, args| fold(args, |a, b| a | b)),
    ("bxor", |_, args| fold(args, |a, b| a ^ b)),
    ("lshift", |_, args| shift(args, |n, by| n << by)),
    ("rshift", |_, args| shift(args, |n, by| n >> by)),
    ("arshift", |_, args| shift(args, |n, by| (n as i32 >> by) as u32)),
    ("rol", |_, args| shift(args, u32::rotate_left)),
    ("ror", |_, args| shift(args, u32::rotate_right)),
    ("bswap", |_, args| word(args, 0).map(|n| result(n.swap_bytes()))),
    ("tohex", tohex),
];

/// The argument at `i` as a word: the nearest integer, modulo 2^32.
fn word(args: &Args, i: usize) -> Result<u32, Wrong> {
    // Beyond 2^52 a double's last bit is worth one: adding such a number leaves the rounded integer in the lowest bits.
    const SHIFT: f64 = 6_755_399_441_055_744.0;
    args.number(i).map(|n| (n + SHIFT).to_bits() as u32)
}

fn result(n: u32) -> MultiValue {
    MultiValue::from_vec(vec![Value::Integer(i64::from(n as i32))])
}

fn fold(args: &Args, with: fn(u32, u32) -> u32) -> Outcome {
    let first = word(args, 0)?;
    (1..args.values.len()).try_fold(first, |n, i| word(args, i).map(|m| with(n, m))).map(result)
}

fn shift(args: &Args, with: fn(u32, u32) -> u32) -> Outcome {
    let (n, by) = (word(args, 0)?, word(args, 1)?);
    Ok(result(with(n, by & 31)))
}

fn tohex(lua: &Lua, args: &Args) -> Outcome {
    let n = word(args, 0)?;
    let digits = if args.values.len() > 1 { word(args, 1)? as i32 } else { 8 };
    let width = digits.unsigned_abs().min(8) as usize;
    let text = if digits < 0 { format!("{n:08X}") } else { format!("{n:08x}") };
    super::one(lua, &text[8 - width..])
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;

    #[test]
    fn results_are_signed_words() {
        assert_eq!(run("return bit.tobit(0xffffffff)"), "-1");
        assert_eq!(run("return bit.tobit(2^40 + 1234)"), "1234");
        assert_eq!(run("return bit.bnot(0)"), "-1");
        assert_eq!(run("return bit.bor(1, 2, 4, 8)"), "15");
        assert_eq!(run("return bit.band(0x12345678, 0xff)"), "120");
        assert_eq!(run("return bit.lshift(1, 31)"), "-2147483648");
        assert_eq!(run("return bit.arshift(-256, 8)"), "-1");
        assert_eq!(run("return bit.rshift(-256, 8)"), "16777215");
        assert_eq!(run("return bit.tohex(bit.rol(0x12345678, 12))"), "45678123");
        assert_eq!(run("return bit.tohex(bit.bswap(0x12345678))"), "78563412");
    }

    #[test]
    fn the_width_of_tohex_may_be_anything() {
        assert_eq!(run("return bit.tohex(65535, 4)"), "ffff");
        assert_eq!(run("return bit.tohex(-1, -4)"), "FFFF");
        assert_eq!(run("return bit.tohex(65535, -2147483648)"), "0000FFFF");
    }

    #[test]
    fn what_is_no_number_is_refused_with_the_line_of_the_call() {
        assert_eq!(
            run("return bit.band({}, 1)"),
            "user_script:1: bad argument #1 to 'band' (number expected, got table)"
        );
    }
}
