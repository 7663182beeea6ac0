//! Lua's values as a session shows them: as what they are, and as the replies that they stand for.

use mlua::{Result, Table, Value};

/// How deep tables are shown in each other.
const DEEPEST: usize = 10;

/// Appends a value.
///
/// # Errors
/// Those of Lua, when memory is short.
pub fn value(out: &mut Vec<u8>, value: &Value) -> Result<()> {
    append(out, value, 0)
}

fn append(out: &mut Vec<u8>, value: &Value, depth: usize) -> Result<()> {
    if depth == DEEPEST {
        out.extend_from_slice(b"<max recursion level reached! Nested table?>");
        return Ok(());
    }
    match value {
        Value::Nil => out.extend_from_slice(b"nil"),
        Value::Boolean(yes) => out.extend_from_slice(yes.to_string().as_bytes()),
        Value::Integer(n) => out.extend_from_slice(short_number(*n as f64).as_bytes()),
        Value::Number(n) => out.extend_from_slice(short_number(*n).as_bytes()),
        Value::String(text) => out.extend_from_slice(&text.as_bytes()),
        Value::Table(table) => {
            out.push(b'{');
            append_table(out, table, depth)?;
            out.push(b'}');
        }
        other => {
            let kind = match other {
                Value::Function(_) => "function",
                Value::Thread(_) => "thread",
                Value::LightUserData(_) => "light-userdata",
                _ => "userdata",
            };
            out.extend_from_slice(format!(" \"{kind}@{:p}\"", other.to_pointer()).as_bytes());
        }
    }
    Ok(())
}

/// A table is shown as an array when it is one as far as one can see: when its keys are 1, 2 and so on in this order.
fn append_table(out: &mut Vec<u8>, table: &Table, depth: usize) -> Result<()> {
    let mut expected = 1;
    let mut is_array = true;
    table.for_each(|key: Value, _: Value| {
        is_array &= key.as_number().or_else(|| key.as_integer().map(|n| n as f64)) == Some(f64::from(expected));
        expected += 1;
        Ok(())
    })?;
    table.for_each(|key: Value, value: Value| {
        if !is_array {
            out.push(b'[');
            append(out, &key, depth + 1)?;
            out.extend_from_slice(b"]=");
        }
        append(out, &value, depth + 1)?;
        out.extend_from_slice(b"; ");
        Ok(())
    })
}

/// A number in six digits at most, as C's `%g` writes it.
fn short_number(n: f64) -> String {
    if !n.is_finite() {
        let text = if n.is_nan() { "nan" } else { "inf" };
        return if n.is_sign_negative() { format!("-{text}") } else { text.to_owned() };
    }
    let scientific = format!("{n:.5e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trimmed = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if (-4..6).contains(&exponent) {
        return trimmed(&format!("{n:.*}", (5 - exponent) as usize));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trimmed(digits), exponent.abs())
}

/// Appends what a command answered, from the value that the script sees of it.
///
/// # Errors
/// Those of Lua, when memory is short.
pub fn reply(out: &mut Vec<u8>, value: &Value, resp3: bool) -> Result<()> {
    match value {
        Value::Nil => out.extend_from_slice(b"(null)"),
        Value::Boolean(true) => out.extend_from_slice(b"#true"),
        Value::Boolean(false) => out.extend_from_slice(if resp3 { b"#false" } else { b"NULL" }),
        Value::Integer(n) => out.extend_from_slice(n.to_string().as_bytes()),
        Value::Number(n) => out.extend_from_slice(n.to_string().as_bytes()),
        Value::String(text) => quoted(out, b"", &text.as_bytes()),
        Value::Table(table) => return reply_table(out, table, resp3),
        _ => {}
    }
    Ok(())
}

fn reply_table(out: &mut Vec<u8>, table: &Table, resp3: bool) -> Result<()> {
    for (field, mark) in [("ok", b"+".as_slice()), ("err", b"-"), ("big_number", b"")] {
        if let Value::String(text) = table.raw_get(field)? {
            quoted(out, mark, &text.as_bytes());
            return Ok(());
        }
    }
    if let Value::Table(verbatim) = table.raw_get("verbatim_string")? {
        return reply(out, &verbatim.raw_get("string")?, resp3);
    }
    let double: Value = table.raw_get("double")?;
    if let Some(n) = double.as_number().or_else(|| double.as_integer().map(|n| n as f64)) {
        out.extend_from_slice(b"(double) ");
        out.extend_from_slice(crate::data::num::DoubleText::new(n).as_bytes());
        return Ok(());
    }
    let mut first = true;
    let mut comma = |out: &mut Vec<u8>| {
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
    };
    if let Value::Table(map) = table.raw_get("map")? {
        out.push(b'{');
        map.for_each(|key: Value, value: Value| {
            comma(out);
            reply(out, &key, resp3)?;
            out.extend_from_slice(b" => ");
            reply(out, &value, resp3)
        })?;
        out.push(b'}');
        return Ok(());
    }
    if let Value::Table(set) = table.raw_get("set")? {
        out.extend_from_slice(b"~(");
        set.for_each(|member: Value, _: Value| {
            comma(out);
            reply(out, &member, resp3)
        })?;
        out.push(b')');
        return Ok(());
    }
    out.push(b'[');
    for i in 1..=table.raw_len() {
        comma(out);
        reply(out, &table.raw_get(i)?, resp3)?;
    }
    out.push(b']');
    Ok(())
}

/// Appends a text in quotes, in which what is not printable is told by its number.
fn quoted(out: &mut Vec<u8>, mark: &[u8], text: &[u8]) {
    out.push(b'"');
    for c in mark.iter().chain(text) {
        match c {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *c]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x07 => out.extend_from_slice(b"\\a"),
            0x08 => out.extend_from_slice(b"\\b"),
            b' '..=b'~' => out.push(*c),
            _ => out.extend_from_slice(format!("\\x{c:02x}").as_bytes()),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_in_six_digits() {
        for (n, text) in [
            (0.0, "0"),
            (1.0 / 3.0, "0.333333"),
            (-2.5, "-2.5"),
            (100_000.0, "100000"),
            (1_234_567.0, "1.23457e+06"),
            (1e20, "1e+20"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (999_999.5, "1e+06"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(short_number(n), text);
        }
    }
}
