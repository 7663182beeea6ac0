//! Numbers as values store them: canonical integers and the text of doubles.

use super::grisu;

/// Room for the text of any double or integer that this module writes.
pub const NUMBER_TEXT: usize = 32;

/// Reads a canonical decimal integer (no `+`, no leading zeros, no `-0`, no spaces), so that printing it gives the same
/// text again. Anything else, also what does not fit 64 bits, is `None`.
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    // 19 digits always fit a u64.
    let mut magnitude = 0u64;
    for c in digits {
        let digit = c.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        magnitude = magnitude * 10 + u64::from(digit);
    }
    if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

/// Length of the integer's decimal text.
pub fn decimal_len(v: i64) -> usize {
    usize::from(v < 0) + v.unsigned_abs().checked_ilog10().map_or(1, |d| d as usize + 1)
}

/// The double as an integer, where it is one and lies within ±2^62. A negative zero is 0.
pub fn double_as_i64(v: f64) -> Option<i64> {
    const BOUND: f64 = (1i64 << 62) as f64;
    if !(-BOUND..=BOUND).contains(&v) {
        return None;
    }
    let int = v as i64;
    (int as f64 == v).then_some(int)
}

/// Reads a double from the text that [`DoubleText`] makes (and from any plain decimal). `nan` is refused.
pub fn parse_double(text: &[u8]) -> Option<f64> {
    if let Some(v) = parse_i64(text) {
        return Some(v as f64);
    }
    std::str::from_utf8(text).ok()?.parse::<f64>().ok().filter(|v| !v.is_nan())
}

/// The text of a double as Valkey stores and prints it: integers within ±2^62 without point or exponent, others by the digits of
/// [`grisu`] and the layout of its printer, `fpconv`.
pub struct DoubleText {
    buf: [u8; NUMBER_TEXT],
    len: usize,
}

impl DoubleText {
    /// Formats `v`.
    pub fn new(v: f64) -> Self {
        let Some(int) = double_as_i64(v).filter(|_| v != 0.0) else { return DoubleText::shortest(v) };
        let mut text = DoubleText { buf: [0; NUMBER_TEXT], len: 0 };
        text.put(itoa::Buffer::new().format(int).as_bytes());
        text
    }

    /// Formats `v` by the printer's rules alone, also where it is an integer.
    pub fn shortest(v: f64) -> Self {
        let mut text = DoubleText { buf: [0; NUMBER_TEXT], len: 0 };
        if v.is_nan() {
            text.put(b"nan");
        } else if v.is_infinite() {
            text.put(if v > 0.0 { b"inf" } else { b"-inf" });
        } else if v == 0.0 {
            text.put(if v.is_sign_negative() { b"-0" } else { b"0" });
        } else {
            text.put_shortest(v);
        }
        text
    }

    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.buf[..self.len]
    }

    fn put(&mut self, bytes: &[u8]) {
        self.buf[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn zeros(&mut self, n: usize) {
        self.buf[self.len..self.len + n].fill(b'0');
        self.len += n;
    }

    fn put_shortest(&mut self, v: f64) {
        if v < 0.0 {
            self.put(b"-");
        }
        let (digits, len, scale) = grisu::digits(v.abs());
        let digits = &digits[..len];
        let n = len as i32;
        let exponent = scale + n - 1;
        if scale >= 0 && exponent < n + 7 {
            self.put(digits);
            self.zeros(scale as usize);
        } else if scale < 0 && (scale > -7 || exponent.abs() < 4) {
            let point = n + scale;
            if point <= 0 {
                self.put(b"0.");
                self.zeros(-point as usize);
                self.put(digits);
            } else {
                let (int, fraction) = digits.split_at(point as usize);
                self.put(int);
                self.put(b".");
                self.put(fraction);
            }
        } else {
            self.put(&digits[..1]);
            if n > 1 {
                self.put(b".");
                self.put(&digits[1..]);
            }
            self.put(if exponent < 0 { b"e-" } else { b"e+" });
            self.put(itoa::Buffer::new().format(exponent.unsigned_abs()).as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(v: f64) -> String {
        String::from_utf8(DoubleText::new(v).as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn only_integers_that_print_the_same_are_integers() {
        for good in ["0", "7", "-1", "10", "9223372036854775807", "-9223372036854775808"] {
            assert_eq!(parse_i64(good.as_bytes()).map(|v| v.to_string()).as_deref(), Some(good));
        }
        let bad =
            ["", "-", "-0", "00", "01", "+1", " 1", "1 ", "1.0", "9223372036854775808", "-9223372036854775809", "1a"];
        for bad in bad {
            assert_eq!(parse_i64(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(parse_i64(b"18446744073709551617"), None);
    }

    #[test]
    fn the_length_of_an_integer_is_that_of_its_text() {
        for v in [0, 9, 10, 99, 100, -1, -10, i64::MAX, i64::MIN] {
            assert_eq!(decimal_len(v), v.to_string().len());
        }
    }

    #[test]
    fn doubles_print_as_in_valkey() {
        let table = [
            (0.0, "0"),
            (-0.0, "-0"),
            (3.0, "3"),
            (-17.0, "-17"),
            (0.1, "0.1"),
            (-2.5, "-2.5"),
            (1.5e-10, "1.5e-10"),
            (0.00001, "0.00001"),
            (1e-7, "1e-7"),
            (1.23e-7, "1.23e-7"),
            (123456789.125, "123456789.125"),
            (1e17, "100000000000000000"),
            (1e20, "1e+20"),
            (1e300, "1e+300"),
            (1.7976931348623157e308, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (1.2345678901234567e19, "12345678901234567000"),
            (1.0001e21, "1.0001e+21"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ];
        for (v, expected) in table {
            assert_eq!(text(v), expected);
        }
    }

    #[test]
    fn the_text_of_a_double_reads_back_as_the_same_number() {
        let mut state = 0x9e3779b97f4a7c15u64;
        for _ in 0..20_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let v = f64::from_bits(state);
            if !v.is_nan() {
                assert_eq!(parse_double(DoubleText::new(v).as_bytes()), Some(v), "{v:?}");
            }
        }
    }
}
