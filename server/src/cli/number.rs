//! Numbers among the options, read as C's `strtol` and `strtod` read them: what follows the number does not count, and where there is none
//! it is 0. Scripts rely on it: `-n "$DB"` with an empty variable is database 0.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

/// An integer; `None` where the text does not begin with one.
pub fn leading_int(text: &OsStr) -> Option<i64> {
    let text = text.as_bytes().trim_ascii_start();
    let signs = usize::from(matches!(text.first(), Some(b'+' | b'-')));
    let digits = text[signs..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = std::str::from_utf8(&text[..signs + digits]).ok().filter(|_| digits > 0)?;
    let extreme = if number.starts_with('-') { i64::MIN } else { i64::MAX };
    Some(number.parse().unwrap_or(extreme))
}

/// An integer.
pub fn int(text: &OsStr) -> i64 {
    leading_int(text).unwrap_or(0)
}

/// An integer of C's `int`, into which a longer one is cut.
pub fn short_int(text: &OsStr) -> i32 {
    int(text) as i32
}

/// A number that is not negative.
pub fn natural(text: &OsStr) -> u64 {
    u64::try_from(int(text)).unwrap_or(0)
}

/// Seconds, also parts of one; none where the number is negative, as nobody can wait for that.
pub fn seconds(text: &OsStr) -> Duration {
    let text = text.to_string_lossy();
    let text = text.trim_ascii_start();
    // The longest beginning that is a number.
    let ends = (1..=text.len()).rev().filter(|end| text.is_char_boundary(*end));
    let number = ends.filter_map(|end| text[..end].parse::<f64>().ok()).next();
    Duration::try_from_secs_f64(number.unwrap_or(0.0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_far_as_they_go() {
        for (text, want) in [("3", 3), ("3abc", 3), (" +2", 2), ("-1", -1), ("0x2", 0), ("abc", 0), ("", 0), ("-", 0)] {
            assert_eq!(int(OsStr::new(text)), want, "{text}");
        }
        assert_eq!(int(OsStr::new("99999999999999999999")), i64::MAX);
        assert_eq!(short_int(OsStr::new("99999999999")), 1_215_752_191);
        assert_eq!(natural(OsStr::new("-5")), 0);
        for (text, want) in [("1.5", 1500), ("1.5s", 1500), (".25", 250), ("abc", 0), ("-1", 0), ("", 0)] {
            assert_eq!(seconds(OsStr::new(text)), Duration::from_millis(want), "{text}");
        }
    }
}
