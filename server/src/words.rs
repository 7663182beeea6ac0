//! Splitting a line into words and quoting a word, by the rules of Valkey's configuration files and of its command line client.

/// Splits a line into words.
///
/// Words are separated by blanks. In double quotes stand the escapes `\n \r \t \b \a \xHH`, any other `\c` means `c`;
/// in single quotes only `\'` is one. Any part of a word may be quoted. A zero byte ends the line, as it would for a C string. `None` when
/// a quote is not closed.
pub fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = memchr::memchr(0, line).map_or(line, |end| &line[..end]);
    loop {
        rest = rest.iter().position(|byte| !is_blank(*byte)).map_or(&[][..], |start| &rest[start..]);
        if rest.is_empty() {
            return Some(words);
        }
        let mut word = Vec::new();
        rest = take_word(rest, &mut word)?;
        words.push(word);
    }
}

/// Takes one word off a text that begins with it; returns what follows.
fn take_word<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [] | [b' ' | b'\n' | b'\r' | b'\t', ..] => return Some(rest),
            [b'"', inside @ ..] => rest = take_double_quoted(inside, word)?,
            [b'\'', inside @ ..] => rest = take_single_quoted(inside, word)?,
            [byte, after @ ..] => {
                word.push(*byte);
                rest = after;
            }
        }
    }
}

fn take_double_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [] => return None,
            [b'"', after @ ..] => return Some(after),
            [b'\\', b'x', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                word.push(hex(*high) << 4 | hex(*low));
                rest = after;
            }
            [b'\\', escaped, after @ ..] => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                });
                rest = after;
            }
            [byte, after @ ..] => {
                word.push(*byte);
                rest = after;
            }
        }
    }
}

fn take_single_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [] => return None,
            [b'\'', after @ ..] => return Some(after),
            [b'\\', b'\'', after @ ..] => {
                word.push(b'\'');
                rest = after;
            }
            [byte, after @ ..] => {
                word.push(*byte);
                rest = after;
            }
        }
    }
}

/// Puts a word of any bytes into double quotes, so that [`split`] gives it back.
pub fn quote(word: &[u8]) -> Vec<u8> {
    let mut quoted = Vec::with_capacity(word.len() + 2);
    push_quoted(&mut quoted, word);
    quoted
}

/// Appends what [`quote`] makes of a word.
pub fn push_quoted(quoted: &mut Vec<u8>, word: &[u8]) {
    quoted.push(b'"');
    for &byte in word {
        match byte {
            b'\\' | b'"' => quoted.extend([b'\\', byte]),
            b'\n' => quoted.extend(b"\\n"),
            b'\r' => quoted.extend(b"\\r"),
            b'\t' => quoted.extend(b"\\t"),
            7 => quoted.extend(b"\\a"),
            8 => quoted.extend(b"\\b"),
            b' '..=b'~' => quoted.push(byte),
            _ => quoted.extend(format!("\\x{byte:02x}").into_bytes()),
        }
    }
    quoted.push(b'"');
}

/// The word as it is, or quoted where [`split`] would not give it back otherwise.
pub fn quote_if_needed(word: &[u8]) -> Vec<u8> {
    let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\');
    if !word.is_empty() && word.iter().all(plain) { word.to_vec() } else { quote(word) }
}

/// C's `isspace`.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Option<Vec<String>> {
        let words = split(line.as_bytes())?;
        Some(words.into_iter().map(|word| String::from_utf8_lossy(&word).into_owned()).collect())
    }

    #[test]
    fn words_are_separated_by_blanks() {
        assert_eq!(words(" save  3600\t1 "), Some(vec!["save".into(), "3600".into(), "1".into()]));
        assert_eq!(words(""), Some(vec![]));
        assert_eq!(words(" \t "), Some(vec![]));
    }

    /// As `sdssplitargs` does.
    #[test]
    fn a_line_is_split_at_blanks_outside_quotes() {
        let table: &[(&str, Option<&[&str]>)] = &[
            ("", Some(&[])),
            ("   ", Some(&[])),
            ("set key value", Some(&["set", "key", "value"])),
            ("  get   key \r\n", Some(&["get", "key"])),
            (r#"set key "a b""#, Some(&["set", "key", "a b"])),
            (r#"set key "\x41\n\q\\""#, Some(&["set", "key", r"A\nq\\"])),
            (r#"set key "\x4""#, Some(&["set", "key", "x4"])),
            (r"set key 'a\'b\n'", Some(&["set", "key", r"a\'b\\n"])),
            (r#"get ""k'e'"y""#, Some(&["get", "key"])),
            (r#"get """#, Some(&["get", ""])),
            (r#"get """" x"#, Some(&["get", "", "x"])),
            (r#"get "open"#, None),
            (r"get 'open", None),
            (r#"get "a\"#, None),
        ];
        for (line, want) in table {
            let want = want.map(|args| args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>());
            let escaped = |word: Vec<u8>| word.escape_ascii().to_string();
            let got = split(line.as_bytes()).map(|words| words.into_iter().map(escaped).collect::<Vec<_>>());
            assert_eq!(got, want, "{line}");
        }
        assert_eq!(split(b"get k\0 x"), split(b"get k"));
        assert_eq!(split(b"get \"k\0\""), None);
    }

    #[test]
    fn quotes_hold_blanks_and_escapes() {
        assert_eq!(words(r#"requirepass "a b\"\x41\n\q""#), Some(vec!["requirepass".into(), "a b\"A\nq".into()]));
        assert_eq!(words(r"requirepass 'a \x41 \' b'"), Some(vec!["requirepass".into(), r"a \x41 ' b".into()]));
        assert_eq!(words(r#"save """#), Some(vec!["save".into(), String::new()]));
        assert_eq!(split(br#""\xfF\x0g""#), Some(vec![b"\xffx0g".to_vec()]));
    }

    #[test]
    fn a_quote_that_is_not_closed_is_refused() {
        for line in [r#"a "b"#, r"a 'b", r#"a "b"'c"#, r#"a "b\"#, "\""] {
            assert_eq!(words(line), None, "{line}");
        }
        assert_eq!(words(r#"ab"c d"'e f'g"#), Some(vec!["abc de fg".into()]));
    }

    #[test]
    fn any_bytes_come_back_from_their_quoted_form() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(split(&quote(&all)), Some(vec![all]));
        assert_eq!(split(&quote_if_needed(&[])), Some(vec![vec![]]));
        assert_eq!(split(&quote_if_needed(b"a\nb")), Some(vec![b"a\nb".to_vec()]));
        assert_eq!(quote_if_needed(b"-::1"), b"-::1");
        assert_eq!(quote(b"a\"\\\n\x01"), br#""a\"\\\n\x01""#);
    }
}
