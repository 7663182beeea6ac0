//! The floating point of INCRBYFLOAT and HINCRBYFLOAT: the 80-bit format of the x87, which is C's `long double` where Valkey is at
//! home. With less precision, 3 and 1.1 would not make 4.1.

use rustc_apfloat::ieee::X87DoubleExtended;
use rustc_apfloat::{Float, Round, Status};

/// A number with 64 bits of mantissa, or an infinity. Never `nan`.
#[derive(Clone, Copy, Debug)]
pub struct Extended(X87DoubleExtended);

/// The longest text that is read.
const MAX_TEXT: usize = 5 * 1024;
/// Bits of the mantissa.
const MANTISSA_BITS: i32 = 64;
/// Digits printed after the point at most.
const FRACTION_DIGITS: usize = 17;
const FRACTION_UNIT: u128 = 10u128.pow(FRACTION_DIGITS as u32);

impl Extended {
    /// Reads a number as `strtold` would, the whole text and nothing else; no `nan`, and nothing too large or too small for the
    /// format.
    pub fn parse(text: &[u8]) -> Option<Extended> {
        if text.len() >= MAX_TEXT {
            return None;
        }
        let text = std::str::from_utf8(text).ok()?;
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        if ["inf", "infinity"].iter().any(|name| unsigned.eq_ignore_ascii_case(name)) {
            let infinite = X87DoubleExtended::INFINITY;
            return Some(Extended(if text.starts_with('-') { -infinite } else { infinite }));
        }
        // The parser knows `nan` and other words, exponents without digits, and hexadecimal numbers only with an exponent.
        let hexadecimal = unsigned.starts_with("0x") || unsigned.starts_with("0X");
        let ends_well = |c: char| c.is_ascii_digit() || c == '.' || hexadecimal && c.is_ascii_hexdigit();
        if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') || !text.ends_with(ends_well) {
            return None;
        }
        let completed;
        let text = if hexadecimal && !unsigned.contains(['p', 'P']) {
            completed = format!("{text}p0");
            &completed
        } else {
            text
        };
        let parsed = X87DoubleExtended::from_str_r(text, Round::NearestTiesToEven).ok()?;
        let vanished = parsed.value.is_zero() && parsed.status.contains(Status::UNDERFLOW);
        (parsed.value.is_finite() && !vanished).then_some(Extended(parsed.value))
    }

    /// An integer, which every one of 64 bits can be.
    pub fn from_i64(value: i64) -> Extended {
        Extended(X87DoubleExtended::from_i128(value.into()).value)
    }

    /// The sum, unless it is infinite or no number.
    pub fn checked_add(self, other: Extended) -> Option<Extended> {
        let sum = (self.0 + other.0).value;
        sum.is_finite().then_some(Extended(sum))
    }

    /// The number as decimal text without exponent, with 17 digits after the point, less the zeros at the end. Must not be infinite.
    pub fn to_text(self) -> Vec<u8> {
        let bits = self.0.to_bits();
        let mantissa = bits as u64;
        // The value is `mantissa` times two to this power.
        let power = ((bits >> 64) as i32 & 0x7fff).max(1) - 16383 - (MANTISSA_BITS - 1);
        let (integer, fraction) = if power >= 0 {
            (shifted_decimal(mantissa, power as usize), 0)
        } else {
            let (integer, fraction) = split(mantissa, power.unsigned_abs());
            (itoa::Buffer::new().format(integer).as_bytes().to_vec(), fraction)
        };
        let mut text = Vec::with_capacity(integer.len() + FRACTION_DIGITS + 2);
        if self.0.is_negative() && (integer != b"0" || fraction != 0) {
            text.push(b'-');
        }
        text.extend_from_slice(&integer);
        if fraction != 0 {
            text.extend_from_slice(format!(".{fraction:0FRACTION_DIGITS$}").trim_end_matches('0').as_bytes());
        }
        text
    }
}

/// `mantissa` / 2^`shift` as an integer and a fraction in units of 10^-17, rounded to the nearest, ties to even.
fn split(mantissa: u64, shift: u32) -> (u64, u128) {
    let integer = mantissa.checked_shr(shift).unwrap_or(0);
    let rest = u128::from(mantissa) - (u128::from(integer) << shift.min(64));
    // Below 2^64 times 10^17, so below 2^121.
    let scaled = rest * FRACTION_UNIT;
    if shift > 122 {
        return (integer, 0);
    }
    let (mut fraction, remainder) = (scaled >> shift, scaled & ((1 << shift) - 1));
    let half = 1u128 << (shift - 1);
    if remainder > half || remainder == half && fraction & 1 == 1 {
        fraction += 1;
    }
    if fraction == FRACTION_UNIT { (integer + 1, 0) } else { (integer, fraction) }
}

/// The decimal digits of `mantissa` times 2^`shift`.
fn shifted_decimal(mantissa: u64, mut shift: usize) -> Vec<u8> {
    const BASE: u64 = 1_000_000_000;
    // Least significant first, nine digits each.
    let mut limbs = vec![mantissa % BASE, mantissa / BASE % BASE, mantissa / BASE / BASE];
    while shift > 0 {
        let step = shift.min(32);
        let mut carry = 0;
        for limb in &mut limbs {
            let value = (*limb << step) + carry;
            (*limb, carry) = (value % BASE, value / BASE);
        }
        while carry > 0 {
            limbs.push(carry % BASE);
            carry /= BASE;
        }
        shift -= step;
    }
    let mut digits: Vec<u8> = limbs.iter().rev().flat_map(|limb| format!("{limb:09}").into_bytes()).collect();
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    digits.drain(..zeros.min(digits.len() - 1));
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(a: &str, b: &str) -> String {
        let (a, b) = (Extended::parse(a.as_bytes()).unwrap(), Extended::parse(b.as_bytes()).unwrap());
        String::from_utf8(a.checked_add(b).unwrap().to_text()).unwrap()
    }

    #[test]
    fn decimal_fractions_add_up_as_people_expect() {
        for (a, b, expected) in [
            ("3", "1.1", "4.1"),
            ("0.1", "0.2", "0.3"),
            ("5.0e3", "2.0e2", "5200"),
            ("10.5", "-10.5", "0"),
            ("-0", "0", "0"),
            ("1", "-1.1", "-0.1"),
            ("17179869184", "1.5", "17179869185.5"),
            ("1e-18", "0", "0"),
            ("-1e-18", "0", "0"),
            ("6e-18", "0", "0.00000000000000001"),
            ("0.999999999999999999", "0", "1"),
            ("9223372036854775807", "1", "9223372036854775808"),
            ("0x10", ".5", "16.5"),
            ("0x1p-1", "+2.", "2.5"),
        ] {
            assert_eq!(sum(a, b), expected, "{a} + {b}");
        }
    }

    #[test]
    fn large_numbers_are_written_out() {
        assert_eq!(sum("1e20", "1"), "100000000000000000000");
        assert_eq!(sum("36893488147419103232", "0"), "36893488147419103232");
        let text = sum("1e4000", "0");
        assert_eq!(text.len(), 4000);
        assert!(text.starts_with("9999999999999999999965463873099623784932"));
        assert!(text.ends_with("972190272729951206648276349901340672"));
    }

    #[test]
    fn only_numbers_are_read() {
        for text in ["", "-", ".", "nan", "-nan", " 1", "1 ", "1x", "1e", "0x", "one", "1e9999", "1e-9999", "infin"] {
            assert!(Extended::parse(text.as_bytes()).is_none(), "{text:?}");
        }
        assert!(Extended::parse(&[b'1'; MAX_TEXT]).is_none());
        assert!(Extended::parse(b"\xff").is_none());
    }

    #[test]
    fn infinity_can_be_read_but_not_added() {
        let infinite = Extended::parse(b"-Inf").unwrap();
        assert!(infinite.checked_add(Extended::from_i64(1)).is_none());
        let huge = Extended::parse(b"1e4932").unwrap();
        assert!(huge.checked_add(huge).is_none());
    }
}
