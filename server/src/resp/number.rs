//! Numbers as Valkey reads and prints them.

use crate::data::num::DoubleText;

/// Reads a canonical decimal integer: no sign `+`, no leading zero, no space, within `i64`.
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    match digits {
        [] => return None,
        [b'0'] => return (!negative).then_some(0),
        [b'0', ..] => return None,
        _ if digits.len() > 19 => return None,
        _ => {}
    }
    let mut magnitude: u64 = 0;
    for &c in digits {
        let digit = c.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        magnitude = magnitude.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

/// Longest text that is read as a double: more than any of them needs, written out.
const MAX_DOUBLE_TEXT: usize = 5 * 1024;

/// Reads a decimal number, or an infinity by name: the whole text and nothing else. `nan` is refused, and so is what is too large
/// or too small for a double.
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    let value = parse_f64_clamped(text)?;
    let exact = if value.is_infinite() {
        !text.iter().any(u8::is_ascii_digit)
    } else {
        // Zero is written with no other digit before the exponent.
        value != 0.0 || !text.iter().take_while(|c| !matches!(c, b'e' | b'E')).any(|c| matches!(c, b'1'..=b'9'))
    };
    exact.then_some(value)
}

/// As [`parse_f64`], but what is too large for a double is infinite, and what is too small is 0.
pub fn parse_f64_clamped(text: &[u8]) -> Option<f64> {
    if text.len() > MAX_DOUBLE_TEXT {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse::<f64>().ok().filter(|value| !value.is_nan())
}

/// Appends the text of a double as Valkey prints it; see [`DoubleText`].
pub fn write_f64(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(DoubleText::new(value).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_must_be_canonical() {
        assert_eq!(parse_i64(b"0"), Some(0));
        assert_eq!(parse_i64(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(parse_i64(b"9223372036854775807"), Some(i64::MAX));
        for bad in ["", "-", "-0", "01", "+1", " 1", "1 ", "9223372036854775808", "1.0", "99999999999999999999"] {
            assert_eq!(parse_i64(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn doubles_must_be_within_range_unless_an_infinity_is_meant() {
        for (text, value) in [("1.5e2", 150.0), (".5", 0.5), ("5.", 5.0), ("-INF", f64::NEG_INFINITY), ("0e400", 0.0)] {
            assert_eq!(parse_f64(text.as_bytes()), Some(value), "{text:?}");
        }
        for bad in ["", "-", ".", "1e", "nan", "0x10", " 1", "1 ", "1e400", "1e-400", "1_0"] {
            assert_eq!(parse_f64(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(parse_f64_clamped(b"-1e400"), Some(f64::NEG_INFINITY));
        assert_eq!(parse_f64_clamped(b"1e-400"), Some(0.0));
    }
}
