//! Quoted strings: an argument of a person without its quotes, and JSON for programs.

use crate::words;

/// Removes the quoting of one argument. `None` when it is not exactly one argument, or a quote stays open.
pub fn unquote(text: &[u8]) -> Option<Vec<u8>> {
    let mut args = words::split(text)?;
    if args.len() == 1 { args.pop() } else { None }
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

/// Appends `bytes` as a JSON string of ASCII only: [`words::quote`] with its backslashes doubled.
pub fn push_json_ascii(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in words::quote(bytes) {
        if byte == b'\\' {
            out.push(b'\\');
        }
        out.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
