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

/// Reads a floating point number as `strtod` would, the whole text and nothing else; `nan` is refused, `inf` accepted.
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    if text.is_empty() || text.len() > 256 {
        return None;
    }
    let lower = text.trim_start_matches(['+', '-']);
    if lower.starts_with(['n', 'N']) {
        return None;
    }
    if lower.len() > 2 && (lower.starts_with("0x") || lower.starts_with("0X")) {
        return parse_hex_float(text);
    }
    text.parse::<f64>().ok().filter(|v| !v.is_nan())
}

/// Hexadecimal integers, which `strtod` takes too.
fn parse_hex_float(text: &str) -> Option<f64> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X"))?;
    u64::from_str_radix(digits, 16).ok().map(|v| sign * v as f64)
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
}
