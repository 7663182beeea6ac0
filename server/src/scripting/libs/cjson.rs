//! `cjson`: JSON. Its settings are the interpreter's, so they last from script to script.

use mlua::{Lua, Table, Value};

use super::cjson_number::general;
use super::cjson_parse::Parser;
use super::{Args, Body, Outcome, Wrong, one, type_name};

/// Its functions.
pub const FUNCTIONS: &[(&str, Body)] = &[
    ("encode", encode),
    ("decode", decode),
    ("encode_sparse_array", encode_sparse_array),
    ("encode_max_depth", |lua, args| number_setting(lua, args, 1, i64::from(i32::MAX), |s| &mut s.encode_depth)),
    ("decode_max_depth", |lua, args| number_setting(lua, args, 1, i64::from(i32::MAX), |s| &mut s.decode_depth)),
    ("encode_number_precision", |lua, args| number_setting(lua, args, 1, 14, |s| &mut s.precision)),
    ("encode_keep_buffer", |lua, args| flag_setting(lua, args, |s| &mut s.keep_buffer)),
    ("encode_invalid_numbers", encode_invalid_numbers),
    ("decode_invalid_numbers", |lua, args| flag_setting(lua, args, |s| &mut s.decode_invalid)),
];

/// What is made of numbers that JSON does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Invalid {
    Refused,
    Written,
    Null,
}

/// What the setting functions set.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    sparse_convert: bool,
    sparse_ratio: i64,
    sparse_safe: i64,
    encode_depth: i64,
    /// How deep the input may be nested.
    pub decode_depth: i64,
    precision: i64,
    /// Has no effect here: memory is always given back.
    keep_buffer: bool,
    encode_invalid: Invalid,
    /// Whether numbers are read that JSON does not have.
    pub decode_invalid: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            sparse_convert: false,
            sparse_ratio: 2,
            sparse_safe: 10,
            encode_depth: 1000,
            decode_depth: 1000,
            precision: 14,
            keep_buffer: true,
            encode_invalid: Invalid::Refused,
            decode_invalid: true,
        }
    }
}

/// Tables in tables beyond this are refused, whatever is set: they are walked by recursion, and the stack is not endless.
const DEEPEST: i64 = 1000;

fn settings(lua: &Lua) -> Settings {
    lua.app_data_ref::<Settings>().map(|settings| *settings).unwrap_or_default()
}

fn number_setting(lua: &Lua, args: &Args, least: i64, most: i64, field: fn(&mut Settings) -> &mut i64) -> Outcome {
    let mut settings = settings(lua);
    set_number(args, 0, least, most, field(&mut settings))?;
    lua.set_app_data(settings);
    one(lua, *field(&mut settings))
}

fn set_number(args: &Args, i: usize, least: i64, most: i64, to: &mut i64) -> Result<(), Wrong> {
    let wanted = args.integer_or(i, *to)?;
    if !(least..=most).contains(&wanted) {
        return Err(args.bad(i, &format!("expected integer between {least} and {most}")));
    }
    *to = wanted;
    Ok(())
}

fn flag(args: &Args, i: usize) -> Result<Option<bool>, Wrong> {
    match args.values.get(i) {
        None | Some(Value::Nil) => Ok(None),
        Some(Value::Boolean(on)) => Ok(Some(*on)),
        Some(Value::String(word)) if &*word.as_bytes() == b"on" => Ok(Some(true)),
        Some(Value::String(word)) if &*word.as_bytes() == b"off" => Ok(Some(false)),
        Some(_) => Err(args.bad(i, "invalid option")),
    }
}

fn flag_setting(lua: &Lua, args: &Args, field: fn(&mut Settings) -> &mut bool) -> Outcome {
    let mut settings = settings(lua);
    if let Some(on) = flag(args, 0)? {
        *field(&mut settings) = on;
        lua.set_app_data(settings);
    }
    one(lua, *field(&mut settings))
}

fn encode_invalid_numbers(lua: &Lua, args: &Args) -> Outcome {
    let mut settings = settings(lua);
    match args.values.front() {
        Some(Value::String(word)) if &*word.as_bytes() == b"null" => settings.encode_invalid = Invalid::Null,
        _ => {
            if let Some(on) = flag(args, 0)? {
                settings.encode_invalid = if on { Invalid::Written } else { Invalid::Refused };
            }
        }
    }
    lua.set_app_data(settings);
    match settings.encode_invalid {
        Invalid::Null => one(lua, "null"),
        other => one(lua, other == Invalid::Written),
    }
}

fn encode_sparse_array(lua: &Lua, args: &Args) -> Outcome {
    let mut settings = settings(lua);
    if let Some(on) = flag(args, 0)? {
        settings.sparse_convert = on;
    }
    set_number(args, 1, 0, i64::from(i32::MAX), &mut settings.sparse_ratio)?;
    set_number(args, 2, 0, i64::from(i32::MAX), &mut settings.sparse_safe)?;
    lua.set_app_data(settings);
    let values = [
        Value::Boolean(settings.sparse_convert),
        Value::Integer(settings.sparse_ratio),
        Value::Integer(settings.sparse_safe),
    ];
    Ok(mlua::MultiValue::from_iter(values))
}

fn decode(lua: &Lua, args: &Args) -> Outcome {
    if args.values.len() != 1 {
        return Err(args.bad(0, "expected 1 argument"));
    }
    let text = args.text(0)?;
    if text.len() >= 2 && (text[0] == 0 || text[1] == 0) {
        return Err("JSON parser does not support UTF-16 or UTF-32".into());
    }
    let mut settings = settings(lua);
    settings.decode_depth = settings.decode_depth.min(DEEPEST);
    one(lua, Parser::new(lua, &text, settings).document()?)
}

fn encode(lua: &Lua, args: &Args) -> Outcome {
    if args.values.len() != 1 {
        return Err(args.bad(0, "expected 1 argument"));
    }
    let mut encoder = Encoder { out: Vec::new(), settings: settings(lua) };
    encoder.value(&args.values[0], 0)?;
    one(lua, lua.create_string(encoder.out)?)
}

struct Encoder {
    out: Vec<u8>,
    settings: Settings,
}

/// The refusal of a value, with why.
fn refused(value: &Value, why: &str) -> Wrong {
    Wrong::Text(format!("Cannot serialise {}: {why}", type_name(value)))
}

impl Encoder {
    fn value(&mut self, value: &Value, depth: i64) -> Result<(), Wrong> {
        match value {
            Value::Nil => self.out.extend_from_slice(b"null"),
            value if *value == Value::NULL => self.out.extend_from_slice(b"null"),
            Value::Boolean(on) => self.out.extend_from_slice(if *on { b"true" } else { b"false" }),
            Value::Integer(n) => self.number(value, *n as f64)?,
            Value::Number(n) => self.number(value, *n)?,
            Value::String(text) => self.text(&text.as_bytes()),
            Value::Table(table) => self.table(table, depth + 1)?,
            other => return Err(refused(other, "type not supported")),
        }
        Ok(())
    }

    fn number(&mut self, value: &Value, n: f64) -> Result<(), Wrong> {
        if !n.is_finite() {
            match self.settings.encode_invalid {
                Invalid::Refused => return Err(refused(value, "must not be NaN or Inf")),
                Invalid::Null => {
                    self.out.extend_from_slice(b"null");
                    return Ok(());
                }
                Invalid::Written => {}
            }
        }
        self.out.extend_from_slice(general(n, self.settings.precision as usize).as_bytes());
        Ok(())
    }

    fn text(&mut self, text: &[u8]) {
        self.out.reserve(text.len() + 2);
        self.out.push(b'"');
        for c in text {
            match c {
                b'"' => self.out.extend_from_slice(b"\\\""),
                b'\\' => self.out.extend_from_slice(b"\\\\"),
                b'/' => self.out.extend_from_slice(b"\\/"),
                8 => self.out.extend_from_slice(b"\\b"),
                9 => self.out.extend_from_slice(b"\\t"),
                10 => self.out.extend_from_slice(b"\\n"),
                12 => self.out.extend_from_slice(b"\\f"),
                13 => self.out.extend_from_slice(b"\\r"),
                0..32 | 127 => self.out.extend_from_slice(format!("\\u{c:04x}").as_bytes()),
                _ => self.out.push(*c),
            }
        }
        self.out.push(b'"');
    }

    fn table(&mut self, table: &Table, depth: i64) -> Result<(), Wrong> {
        if depth > self.settings.encode_depth.min(DEEPEST) {
            return Err(format!("Cannot serialise, excessively nested ({depth})").into());
        }
        match self.array_length(table)? {
            Some(length) if length > 0 => {
                self.out.push(b'[');
                for i in 1..=length {
                    if i > 1 {
                        self.out.push(b',');
                    }
                    self.value(&table.raw_get(i)?, depth)?;
                }
                self.out.push(b']');
            }
            _ => self.object(table, depth)?,
        }
        Ok(())
    }

    fn object(&mut self, table: &Table, depth: i64) -> Result<(), Wrong> {
        self.out.push(b'{');
        let (mut first, mut wrong) = (true, None);
        table.for_each(|key: Value, value: Value| {
            if wrong.is_none() {
                if !std::mem::take(&mut first) {
                    self.out.push(b',');
                }
                wrong = self.pair(&key, &value, depth).err();
            }
            Ok(())
        })?;
        self.out.push(b'}');
        wrong.map_or(Ok(()), Err)
    }

    fn pair(&mut self, key: &Value, value: &Value, depth: i64) -> Result<(), Wrong> {
        match key {
            Value::String(text) => self.text(&text.as_bytes()),
            Value::Integer(_) | Value::Number(_) => {
                self.out.push(b'"');
                self.number(key, super::number(key).unwrap_or(0.0))?;
                self.out.push(b'"');
            }
            other => return Err(refused(other, "table key must be a number or string")),
        }
        self.out.push(b':');
        self.value(value, depth)
    }

    /// The largest key, if the table is an array: all keys are numbers from 1 on, and not too many are left out.
    fn array_length(&self, table: &Table) -> Result<Option<i64>, Wrong> {
        let (count, largest) = super::keys(table)?;
        let Some(length) = largest else { return Ok(None) };
        let Settings { sparse_convert, sparse_ratio, sparse_safe, .. } = self.settings;
        let sparse = count.saturating_mul(sparse_ratio);
        if sparse_ratio > 0 && length > sparse && length > sparse_safe {
            return match sparse_convert {
                true => Ok(None),
                false => Err(refused(&Value::Table(table.clone()), "excessively sparse array")),
            };
        }
        Ok(Some(length))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;

    fn encoded(value: &str) -> String {
        run(&format!("return cjson.encode({value})"))
    }

    #[test]
    fn values_are_encoded() {
        for (value, json) in [
            ("{1, 2, {a = true}}", r#"[1,2,{"a":true}]"#),
            ("{}", "{}"),
            ("{[1] = 1, [3] = 3}", "[1,null,3]"),
            ("{[2.5] = 'x'}", r#"{"2.5":"x"}"#),
            ("cjson.null", "null"),
            ("0.1", "0.1"),
            ("2^53", "9.007199254741e+15"),
            (r#"'a"b\\c/d\n\1\127é'"#, r#""a\"b\\c\/d\n\u0001\u007fé""#),
        ] {
            assert_eq!(encoded(value), json, "{value}");
        }
    }

    #[test]
    fn what_json_does_not_have_is_refused() {
        for (value, error) in [
            ("0/0", "Cannot serialise number: must not be NaN or Inf"),
            ("print and 1 or function() end", "Cannot serialise function: type not supported"),
            ("{[true] = 1}", "Cannot serialise boolean: table key must be a number or string"),
            ("{[100] = 1}", "Cannot serialise table: excessively sparse array"),
        ] {
            let value = value.replace("print and 1 or ", "");
            assert_eq!(encoded(&value), format!("user_script:1: {error}"));
        }
        let deep = "local t = {} for i = 1, 1000 do t = {t} end return cjson.encode(t)";
        assert_eq!(run(deep), "user_script:1: Cannot serialise, excessively nested (1001)");
    }

    #[test]
    fn settings_last() {
        assert_eq!(run("cjson.encode_number_precision(3) return cjson.encode(1/3)"), "0.333");
        assert_eq!(run("cjson.encode_invalid_numbers('null') return cjson.encode({1/0})"), "[null]");
        assert_eq!(run("cjson.encode_sparse_array(true) return cjson.encode({[100] = 1})"), r#"{"100":1}"#);
        assert_eq!(run("return cjson.encode_max_depth()"), "1000");
        assert_eq!(
            run("cjson.encode_max_depth(0)"),
            "user_script:1: bad argument #1 to 'encode_max_depth' (expected integer between 1 and 2147483647)"
        );
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        let script = r#"local t = cjson.decode('{"a":[1,-2.5e3,"x\\u00e9\\ud83d\\ude00\\/",true,null],"b":{}}')
            return table.concat({t.a[1], t.a[2], t.a[3], tostring(t.a[4]), tostring(t.a[5] == cjson.null), #t.a}, ' ')"#;
        assert_eq!(run(script), "1 -2500 xé😀/ true true 5");
    }

    #[test]
    fn wrong_json_is_refused_with_the_place() {
        for (json, error) in [
            ("", "Expected value but found T_END at character 1"),
            ("[1", "Expected comma or array end but found T_END at character 3"),
            ("[1,]", "Expected value but found T_ARR_END at character 4"),
            ("{1:2}", "Expected object key string but found T_NUMBER at character 2"),
            (r#"{"a" 1}"#, "Expected colon but found T_NUMBER at character 6"),
            ("nul", "Expected value but found invalid token at character 1"),
            ("1 2", "Expected the end but found T_NUMBER at character 3"),
            (r#""\\u12"#, "Expected value but found invalid unicode escape code at character 2"),
            (r#""abc"#, "Expected value but found unexpected end of string at character 5"),
        ] {
            assert_eq!(run(&format!("return cjson.decode('{json}')")), format!("user_script:1: {error}"), "{json}");
        }
        assert_eq!(
            run("return cjson.decode(string.rep('[', 1001))"),
            "user_script:1: Found too many nested data structures (1001) at character 1001"
        );
    }
}
