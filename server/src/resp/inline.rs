//! Inline commands and quoted arguments: the syntax of `telnet`, of configuration lines and of `valkey-cli`.

use super::argv::Span;

/// Splits a line into arguments, decoding quotes and escapes in place: a decoded argument is never longer than its
/// source. Parts of an argument may be quoted. Returns `None` when a quote is not closed.
pub fn split_in_place(line: &mut [u8], spans: &mut Vec<Span>) -> Option<()> {
    let (mut read, mut write) = (0, 0);
    loop {
        while read < line.len() && is_space(line[read]) {
            read += 1;
        }
        if read == line.len() {
            return Some(());
        }
        let start = write;
        let mut quote = None;
        loop {
            let Some(&c) = line.get(read) else {
                if quote.is_some() {
                    return None;
                }
                break;
            };
            match (quote, c) {
                (Some(b'"'), b'\\') if line.get(read + 1) == Some(&b'x') && hex(line, read + 2).is_some() => {
                    line[write] = hex(line, read + 2).unwrap_or(0);
                    write += 1;
                    read += 4;
                }
                (Some(b'"'), b'\\') if read + 1 < line.len() => {
                    line[write] = match line[read + 1] {
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        b'b' => 8,
                        b'a' => 7,
                        other => other,
                    };
                    write += 1;
                    read += 2;
                }
                (Some(b'\''), b'\\') if line.get(read + 1) == Some(&b'\'') => {
                    line[write] = b'\'';
                    write += 1;
                    read += 2;
                }
                (Some(q), c) if q == c => {
                    quote = None;
                    read += 1;
                }
                (None, b'"' | b'\'') => {
                    quote = Some(c);
                    read += 1;
                }
                (None, c) if is_space(c) => break,
                _ => {
                    line[write] = c;
                    write += 1;
                    read += 1;
                }
            }
        }
        spans.push(Span { start: start as u32, len: (write - start) as u32 });
        // A separator in the source becomes free room, so that arguments never overlap what is still to be read.
        write = write.max(start);
    }
}

fn is_space(c: u8) -> bool {
    matches!(c, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

fn hex(line: &[u8], at: usize) -> Option<u8> {
    let digit = |i: usize| (*line.get(i)? as char).to_digit(16);
    Some((digit(at)? * 16 + digit(at + 1)?) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Option<Vec<Vec<u8>>> {
        let mut line = text.as_bytes().to_vec();
        let mut spans = Vec::new();
        split_in_place(&mut line, &mut spans)?;
        Some(spans.iter().map(|s| line[s.start as usize..(s.start + s.len) as usize].to_vec()).collect())
    }

    #[test]
    fn quotes_and_escapes_are_decoded() {
        assert_eq!(split("set a b").unwrap(), [b"set".to_vec(), b"a".to_vec(), b"b".to_vec()]);
        assert_eq!(split(r#"  "a\x41\n" 'it\'s' x  "#).unwrap(), [b"aA\n".to_vec(), b"it's".to_vec(), b"x".to_vec()]);
        assert_eq!(split(r#""" a"#).unwrap(), [b"".to_vec(), b"a".to_vec()]);
        assert_eq!(split("").unwrap(), Vec::<Vec<u8>>::new());
        assert_eq!(split(r#""""te"s't-'key x''y"#).unwrap(), [b"test-key".to_vec(), b"xy".to_vec()]);
    }

    #[test]
    fn a_zero_byte_is_a_byte_like_others() {
        assert_eq!(split("set a\0b c\0").unwrap(), [b"set".to_vec(), b"a\0b".to_vec(), b"c\0".to_vec()]);
        assert_eq!(split("\0").unwrap(), [b"\0".to_vec()]);
    }

    #[test]
    fn an_open_quote_is_refused() {
        assert_eq!(split("\"a"), None);
        assert_eq!(split("a'b'\"c"), None);
        assert_eq!(split("'a"), None);
    }
}
