//! Quoted strings: how a line typed by a person becomes arguments, and how bytes are shown to one.

/// Splits a line into arguments as Valkey's own client, configuration file and inline protocol do.
///
/// Double quotes know the escapes `\n \r \t \b \a \xHH` and `\c` for any other `c`; single quotes know `\'` only. A quote may open
/// anywhere in an argument and text may follow a closed one (`a"b c"d` is one argument). `None` when a quote stays open.
pub fn split_args(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut args = Vec::new();
    let mut rest = line;
    loop {
        while let [c, tail @ ..] = rest
            && is_space(*c)
        {
            rest = tail;
        }
        // A NUL ends the line, as it would for a C string.
        if matches!(rest, [] | [0, ..]) {
            return Some(args);
        }
        let (arg, tail) = take_arg(rest)?;
        args.push(arg);
        rest = tail;
    }
}

/// Takes one argument off the front of `input`, which does not start with a space. Returns it and what is left.
fn take_arg(mut input: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut arg = Vec::new();
    loop {
        match input {
            [] | [0, ..] => return Some((arg, &[])),
            [b' ' | b'\n' | b'\r' | b'\t', tail @ ..] => return Some((arg, tail)),
            [b'"', tail @ ..] => input = take_double_quoted(tail, &mut arg)?,
            [b'\'', tail @ ..] => input = take_single_quoted(tail, &mut arg)?,
            [c, tail @ ..] => {
                arg.push(*c);
                input = tail;
            }
        }
    }
}

fn take_double_quoted<'a>(mut input: &'a [u8], arg: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let (byte, tail) = match input {
            [] | [0, ..] => return None,
            [b'"', tail @ ..] => return Some(tail),
            [b'\\', b'x', high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                (hex(*high) << 4 | hex(*low), tail)
            }
            [b'\\', c, tail @ ..] => {
                let byte = match c {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                };
                (byte, tail)
            }
            [c, tail @ ..] => (*c, tail),
        };
        arg.push(byte);
        input = tail;
    }
}

fn take_single_quoted<'a>(mut input: &'a [u8], arg: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let (byte, tail) = match input {
            [] | [0, ..] => return None,
            [b'\\', b'\'', tail @ ..] => (b'\'', tail),
            [b'\'', tail @ ..] => return Some(tail),
            [c, tail @ ..] => (*c, tail),
        };
        arg.push(byte);
        input = tail;
    }
}

/// Removes the quoting of one argument. `None` when it is not exactly one argument, or a quote stays open.
pub fn unquote(text: &[u8]) -> Option<Vec<u8>> {
    let mut args = split_args(text)?;
    if args.len() == 1 { args.pop() } else { None }
}

/// Appends `bytes` in double quotes, every byte outside printable ASCII escaped; [`split_args`] reads it back.
pub fn push_repr(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            7 => out.extend_from_slice(b"\\a"),
            8 => out.extend_from_slice(b"\\b"),
            b' '..=b'~' => out.push(byte),
            _ => out.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
        }
    }
    out.push(b'"');
}

/// [`push_repr`] into a new vector.
pub fn repr(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 2);
    push_repr(&mut out, bytes);
    out
}

/// Appends `bytes` as a JSON string (RFC 8259 section 7). Bytes above 0x7f pass as they are: valid UTF-8 stays readable.
pub fn push_json(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            12 => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            8 => out.extend_from_slice(b"\\b"),
            0..=0x1f => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// Appends `bytes` as a JSON string of ASCII only: [`push_repr`] with its backslashes doubled.
pub fn push_json_ascii(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in repr(bytes) {
        if byte == b'\\' {
            out.push(b'\\');
        }
        out.push(byte);
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 11 | 12 | b'\r')
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

    fn split(line: &str) -> Option<Vec<String>> {
        split_args(line.as_bytes())
            .map(|args| args.into_iter().map(|arg| arg.escape_ascii().to_string()).collect::<Vec<_>>())
    }

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
            assert_eq!(split(line), want, "{line}");
        }
    }

    #[test]
    fn any_bytes_survive_being_shown_and_read_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut line = b"set ".to_vec();
        push_repr(&mut line, &bytes);
        assert_eq!(split_args(&line), Some(vec![b"set".to_vec(), bytes]));
    }

    #[test]
    fn a_quoted_argument_must_be_one_argument() {
        assert_eq!(unquote(br#""\x41\x41""#), Some(b"AA".to_vec()));
        assert_eq!(unquote(b"plain"), Some(b"plain".to_vec()));
        assert_eq!(unquote(b"two words"), None);
        assert_eq!(unquote(b"\"open"), None);
        assert_eq!(unquote(b""), None);
    }

    #[test]
    fn json_strings_escape_control_characters_and_keep_the_rest() {
        let mut out = Vec::new();
        push_json(&mut out, b"a\"\\/\n\x01\x0c\x7f\xf0e");
        assert_eq!(out, b"\"a\\\"\\\\/\\n\\u0001\\f\x7f\xf0e\"");
        let mut out = Vec::new();
        push_json_ascii(&mut out, b"\xf0e\x00");
        assert_eq!(out, br#""\\xf0e\\x00""#);
    }
}
