//! Numbers of directives: plain, amounts of memory, percentages, octal modes.

use std::marker::PhantomData;

use super::kinds::{Check, Kind, Reason, Rewrite, Source, only};

/// Largest value of C's `int`, in which Valkey states most ranges.
pub(crate) const INT_MAX: i128 = i32::MAX as i128;
/// Smallest value of C's `int`.
pub(crate) const INT_MIN: i128 = i32::MIN as i128;
/// Largest value of C's `unsigned int`.
pub(crate) const UINT_MAX: i128 = u32::MAX as i128;
/// Largest value of C's `long` and `long long`.
pub(crate) const LONG_MAX: i128 = i64::MAX as i128;
/// Smallest value of C's `long` and `long long`.
pub(crate) const LONG_MIN: i128 = i64::MIN as i128;
/// Largest value of C's `unsigned long` and `unsigned long long`.
pub(crate) const ULONG_MAX: i128 = u64::MAX as i128;

/// An integer type that a field can have.
pub(crate) trait Whole: Copy + PartialEq + Sync + 'static {
    /// The number, if the type can hold it.
    fn from_wide(wide: i128) -> Option<Self>;
    /// The number.
    fn wide(self) -> i128;
}

macro_rules! whole {
    ($($type:ty)*) => {$(
        impl Whole for $type {
            fn from_wide(wide: i128) -> Option<Self> {
                Self::try_from(wide).ok()
            }
            fn wide(self) -> i128 {
                self as i128
            }
        }
    )*};
}
whole!(u16 u32 u64 usize i32 i64);

/// How a number is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Plain,
    /// Bytes, with `k`, `kb`, `m`, `mb`, `g`, `gb` understood.
    Memory,
    /// Bytes, or a percentage, which is held as a negative number.
    MemoryOrPercent,
    /// A file mode.
    Octal,
}

/// A number within bounds.
pub(crate) struct Number<T> {
    min: i128,
    max: i128,
    unit: Unit,
    cap: Option<(i128, i128)>,
    check: Option<Check<T>>,
    value: PhantomData<fn() -> T>,
}

/// A number from `min` to `max`.
pub(crate) const fn number<T: Whole>(min: i128, max: i128) -> Number<T> {
    Number { min, max, unit: Unit::Plain, cap: None, check: None, value: PhantomData }
}

/// An amount of bytes from `min` to `max`.
pub(crate) const fn memory<T: Whole>(min: i128, max: i128) -> Number<T> {
    Number { unit: Unit::Memory, ..number(min, max) }
}

/// An amount of bytes up to `max`, or a percentage up to 100, held as a negative number.
pub(crate) const fn memory_or_percent<T: Whole>(max: i128) -> Number<T> {
    Number { unit: Unit::MemoryOrPercent, ..number(-100, max) }
}

/// A file mode from 0 to `max`, written in octal.
pub(crate) const fn octal<T: Whole>(max: i128) -> Number<T> {
    Number { unit: Unit::Octal, ..number(0, max) }
}

impl<T> Number<T> {
    /// The same, but a number outside of these narrower bounds becomes the nearest within.
    pub(crate) const fn capped(self, min: i128, max: i128) -> Self {
        Self { cap: Some((min, max)), ..self }
    }

    /// The same, with a further check.
    pub(crate) const fn checked(self, check: Check<T>) -> Self {
        Self { check: Some(check), ..self }
    }

    fn read(&self, word: &[u8]) -> Result<i128, Reason> {
        let (value, refusal) = match self.unit {
            Unit::Plain => (integer(word), "argument couldn't be parsed into an integer"),
            Unit::Memory => {
                (bytes(word).or_else(|| integer(word).filter(|_| self.min < 0)), "argument must be a memory value")
            }
            Unit::MemoryOrPercent => {
                (bytes(word).or_else(|| percent(word)), "argument must be a memory or percent value")
            }
            Unit::Octal => (mode(word), "argument couldn't be parsed as an octal number"),
        };
        value.ok_or_else(|| refusal.into())
    }

    fn out_of_range(&self, value: i128) -> Reason {
        let (min, max) = (self.min, self.max);
        match self.unit {
            Unit::MemoryOrPercent if value < 0 => format!("percentage argument must be less or equal to {}", -min),
            Unit::Octal => format!("argument must be between {min:o} and {max:o} inclusive"),
            _ => format!("argument must be between {min} and {max} inclusive"),
        }
        .into()
    }
}

impl<T: Whole> Kind for Number<T> {
    type Value = T;

    fn parse(&self, words: &[&[u8]], _: &T, _: Source) -> Result<T, Reason> {
        let wide = self.read(only(words)?)?;
        if wide < self.min || wide > self.max {
            return Err(self.out_of_range(wide));
        }
        let wide = self.cap.map_or(wide, |(min, max)| wide.clamp(min, max));
        let value = T::from_wide(wide).ok_or_else(|| self.out_of_range(wide))?;
        self.check.map_or(Ok(()), |check| check(&value))?;
        Ok(value)
    }

    fn show(&self, value: &T) -> Vec<u8> {
        let wide = value.wide();
        match self.unit {
            Unit::MemoryOrPercent if wide < 0 => format!("{}%", -wide),
            Unit::Octal => format!("{wide:o}"),
            _ => wide.to_string(),
        }
        .into_bytes()
    }

    fn rewrite(&self, value: &T, default: &T) -> Rewrite {
        let wide = value.wide();
        let text = match self.unit {
            Unit::Memory => short_bytes(wide).into_bytes(),
            Unit::MemoryOrPercent if wide >= 0 => short_bytes(wide).into_bytes(),
            _ => self.show(value),
        };
        Rewrite::line(text, value != default)
    }
}

/// A decimal number without blanks, plus sign or leading zeros, within 64 bits.
fn integer(word: &[u8]) -> Option<i128> {
    let digits = word.strip_prefix(b"-").unwrap_or(word);
    let first = *digits.first()?;
    if !digits.iter().all(u8::is_ascii_digit) || (first == b'0' && word != b"0") {
        return None;
    }
    std::str::from_utf8(word).ok()?.parse::<i64>().ok().map(i128::from)
}

/// An amount of bytes: digits and a unit in any case. No digits are zero, as Valkey has it.
pub(crate) fn bytes(word: &[u8]) -> Option<i128> {
    let digits = word.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, unit) = word.split_at_checked(digits)?;
    let factor: i128 = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => 1 << 10,
        b"m" => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1_000_000_000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    let count: u64 = if digits.is_empty() { 0 } else { std::str::from_utf8(digits).ok()?.parse().ok()? };
    i128::from(count).checked_mul(factor).filter(|total| *total <= ULONG_MAX)
}

/// A percentage as the negative number that stands for it.
fn percent(word: &[u8]) -> Option<i128> {
    integer(word.strip_suffix(b"%")?).filter(|value| *value >= 0).map(|value| -value)
}

/// An octal number.
fn mode(word: &[u8]) -> Option<i128> {
    i64::from_str_radix(std::str::from_utf8(word).ok()?, 8).ok().map(i128::from)
}

/// Bytes in the largest of `gb`, `mb`, `kb` that divides them.
pub(crate) fn short_bytes(value: i128) -> String {
    for (shift, unit) in [(30, "gb"), (20, "mb"), (10, "kb")] {
        if value != 0 && value % (1 << shift) == 0 {
            return format!("{}{unit}", value >> shift);
        }
    }
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: Whole>(kind: &Number<T>, word: &str) -> Result<T, String> {
        kind.parse(&[word.as_bytes()], &T::from_wide(0).unwrap(), Source::Command).map_err(Reason::into_owned)
    }

    #[test]
    fn a_port_is_a_number_within_its_range() {
        let port = number::<u16>(0, 65535);
        assert_eq!(read(&port, "6380"), Ok(6380));
        for word in ["65536", "-1"] {
            assert_eq!(read(&port, word), Err("argument must be between 0 and 65535 inclusive".into()));
        }
        for word in ["", "x", "6379x", "+1", "01", " 1", "-", "99999999999999999999999999999999999999999999"] {
            assert_eq!(read(&port, word), Err("argument couldn't be parsed into an integer".into()), "{word:?}");
        }
    }

    #[test]
    fn memory_takes_units_of_a_thousand_and_of_1024_in_any_case() {
        let any = memory::<u64>(0, ULONG_MAX);
        for (word, value) in [
            ("1", 1),
            ("7B", 7),
            ("1k", 1000),
            ("1Kb", 1024),
            ("2m", 2_000_000),
            ("2MB", 2 << 20),
            ("3g", 3_000_000_000),
        ] {
            assert_eq!(read(&any, word), Ok(value), "{word}");
        }
        assert_eq!(read(&any, "1GB"), Ok(1 << 30));
        for word in ["-1", "1tb", "1 gb", "gigabyte", "18446744073709551616", "18446744073709551615k"] {
            assert_eq!(read(&any, word), Err("argument must be a memory value".into()), "{word}");
        }
        let bulk = memory::<i64>(1 << 20, LONG_MAX);
        assert!(read(&bulk, "1k").unwrap_err().starts_with("argument must be between 1048576 and"));
    }

    #[test]
    fn a_share_of_memory_may_be_a_percentage() {
        let clients = memory_or_percent::<i64>(LONG_MAX);
        assert_eq!(read(&clients, "5%"), Ok(-5));
        assert_eq!(clients.show(&-5), b"5%");
        assert_eq!(read(&clients, "1mb"), Ok(1 << 20));
        assert_eq!(read(&clients, "101%"), Err("percentage argument must be less or equal to 100".into()));
        for word in ["-5%", "%", "x%", "-1"] {
            assert_eq!(read(&clients, word), Err("argument must be a memory or percent value".into()), "{word}");
        }
        assert_eq!(clients.rewrite(&-5, &0), Rewrite::line(b"5%".to_vec(), true));
        assert_eq!(clients.rewrite(&2048, &0), Rewrite::line(b"2kb".to_vec(), true));
    }

    #[test]
    fn a_mode_is_octal_both_ways() {
        let mode = octal::<u32>(0o777);
        assert_eq!(read(&mode, "0755"), Ok(0o755));
        assert_eq!(mode.show(&0o755), b"755");
        assert_eq!(read(&mode, "1000"), Err("argument must be between 0 and 777 inclusive".into()));
        assert_eq!(read(&mode, "789"), Err("argument couldn't be parsed as an octal number".into()));
    }

    #[test]
    fn a_hint_beyond_its_cap_is_brought_to_it() {
        let hz = number::<u32>(0, INT_MAX).capped(1, 500);
        assert_eq!((read(&hz, "0"), read(&hz, "100"), read(&hz, "9999")), (Ok(1), Ok(100), Ok(500)));
    }

    #[test]
    fn a_rewritten_amount_uses_the_largest_unit_that_divides_it() {
        for (value, text) in [(0, "0"), (1, "1"), (1024, "1kb"), (3 << 20, "3mb"), (1 << 30, "1gb"), (1500, "1500")] {
            assert_eq!(short_bytes(value), text);
        }
    }
}
