//! Texts with variables: `{name}` stands for a value, `{{` for a brace.

/// The text with its variables replaced; `None` when it is not well formed, or `value` does not know a variable.
pub fn expand(template: &[u8], value: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = template;
    while let Some(brace) = rest.iter().position(|byte| *byte == b'{') {
        out.extend_from_slice(&rest[..brace]);
        rest = &rest[brace + 1..];
        if let Some(after) = rest.strip_prefix(b"{") {
            out.push(b'{');
            rest = after;
            continue;
        }
        let end = rest.iter().position(|byte| *byte == b'}')?;
        out.extend_from_slice(&value(&rest[..end])?);
        rest = &rest[end + 1..];
    }
    out.extend_from_slice(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_and_double_braces_are_one() {
        let value = |name: &[u8]| (name == b"port").then(|| b"6379".to_vec());
        let expanded = |text: &str| expand(text.as_bytes(), value).map(|text| String::from_utf8(text).unwrap());
        assert_eq!(expanded("on {port}: {{port} {port}").as_deref(), Some("on 6379: {port} 6379"));
        assert_eq!(expanded("}"), Some("}".to_owned()));
        assert_eq!(expanded("{other}"), None);
        assert_eq!(expanded("{port"), None);
    }
}
