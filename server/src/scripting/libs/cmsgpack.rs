//! `cmsgpack`: MessagePack.

use mlua::{Lua, MultiValue, Table, Value};

use super::{Args, Body, Outcome, Wrong, one};

/// Its functions.
pub const FUNCTIONS: &[(&str, Body)] =
    &[("pack", pack), ("unpack", unpack), ("unpack_one", unpack_one), ("unpack_limit", unpack_limit)];

/// Tables that stand deeper in each other than this are packed as nil.
const DEEPEST_PACKED: usize = 16;
/// Deeper input is refused.
const DEEPEST_UNPACKED: usize = 1000;
/// The most results that a function of Lua can return, with some room.
const MOST_RESULTS: usize = 7900;

fn pack(lua: &Lua, args: &Args) -> Outcome {
    if args.values.is_empty() {
        return Err("bad argument #0 to 'pack' (MessagePack pack needs input.)".into());
    }
    let mut out = Vec::new();
    for value in args.values.iter() {
        put(&mut out, value, 0)?;
    }
    one(lua, lua.create_string(out)?)
}

fn put(out: &mut Vec<u8>, value: &Value, depth: usize) -> Result<(), Wrong> {
    match value {
        Value::Boolean(false) => out.push(0xc2),
        Value::Boolean(true) => out.push(0xc3),
        Value::Integer(n) => put_integer(out, *n),
        // What is an integer comes as one, unless it is too large.
        Value::Number(n) if f64::from(*n as f32) == *n => {
            out.push(0xca);
            out.extend_from_slice(&(*n as f32).to_be_bytes());
        }
        Value::Number(n) => {
            out.push(0xcb);
            out.extend_from_slice(&n.to_be_bytes());
        }
        Value::String(text) => {
            let text = text.as_bytes();
            put_size(out, text.len(), [(31, 0xa0), (0xff, 0xd9), (0xffff, 0xda)], 0xdb);
            out.extend_from_slice(&text);
        }
        Value::Table(table) if depth < DEEPEST_PACKED => put_table(out, table, depth)?,
        _ => out.push(0xc0),
    }
    Ok(())
}

fn put_integer(out: &mut Vec<u8>, n: i64) {
    match n {
        -32..=0x7f => out.push(n as u8),
        0x80..=0xff => out.extend_from_slice(&[0xcc, n as u8]),
        0x100..=0xffff => {
            out.push(0xcd);
            out.extend_from_slice(&(n as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(0xce);
            out.extend_from_slice(&(n as u32).to_be_bytes());
        }
        0x1_0000_0000.. => {
            out.push(0xcf);
            out.extend_from_slice(&n.to_be_bytes());
        }
        -0x80..=-33 => out.extend_from_slice(&[0xd0, n as u8]),
        -0x8000..=-0x81 => {
            out.push(0xd1);
            out.extend_from_slice(&(n as i16).to_be_bytes());
        }
        -0x8000_0000..=-0x8001 => {
            out.push(0xd2);
            out.extend_from_slice(&(n as i32).to_be_bytes());
        }
        _ => {
            out.push(0xd3);
            out.extend_from_slice(&n.to_be_bytes());
        }
    }
}

/// A size in the shortest form that holds it: in the tag itself up to the first limit, then in one, two or four bytes.
fn put_size<const N: usize>(out: &mut Vec<u8>, size: usize, forms: [(usize, u8); N], widest: u8) {
    match forms.into_iter().find(|(limit, _)| size <= *limit) {
        Some((limit, tag)) if limit < 0xff => out.push(tag | size as u8),
        Some((0xff, tag)) => out.extend_from_slice(&[tag, size as u8]),
        Some((_, tag)) => {
            out.push(tag);
            out.extend_from_slice(&(size as u16).to_be_bytes());
        }
        None => {
            out.push(widest);
            out.extend_from_slice(&(size as u32).to_be_bytes());
        }
    }
}

fn put_table(out: &mut Vec<u8>, table: &Table, depth: usize) -> Result<(), Wrong> {
    // An array has the numbers from 1 on for keys, none left out.
    let (count, largest) = super::keys(table)?;
    if largest == Some(count) {
        put_size(out, count as usize, [(15, 0x90), (0xffff, 0xdc)], 0xdd);
        for i in 1..=count {
            put(out, &table.raw_get(i)?, depth + 1)?;
        }
        return Ok(());
    }
    put_size(out, count as usize, [(15, 0x80), (0xffff, 0xde)], 0xdf);
    let mut wrong = None;
    table.for_each(|key: Value, value: Value| {
        if wrong.is_none() {
            wrong = put(out, &key, depth + 1).and_then(|()| put(out, &value, depth + 1)).err();
        }
        Ok(())
    })?;
    wrong.map_or(Ok(()), Err)
}

fn unpack(lua: &Lua, args: &Args) -> Outcome {
    let data = args.text(0)?;
    several(lua, &data, 0, usize::MAX).map(|(values, _)| values)
}

fn unpack_one(lua: &Lua, args: &Args) -> Outcome {
    with_offset(lua, args, 1, args.integer_or(1, 0)?)
}

fn unpack_limit(lua: &Lua, args: &Args) -> Outcome {
    let limit = args.number(1)? as i64;
    with_offset(lua, args, limit, args.integer_or(2, 0)?)
}

/// At most `limit` values from `offset` on, after the offset of what follows: -1 at the end.
fn with_offset(lua: &Lua, args: &Args, limit: i64, offset: i64) -> Outcome {
    let data = args.text(0)?;
    let (Ok(from), Ok(most)) = (usize::try_from(offset), usize::try_from(limit)) else {
        // The C library says so, whatever the limit was.
        let limit = data.len();
        return Err(format!("Invalid request to unpack with offset of {offset} and limit of {limit}.").into());
    };
    if from > data.len() {
        let text = format!("Start offset {offset} greater than input length {}.", data.len());
        return Err(text.into());
    }
    if most == 0 && from == 0 {
        return several(lua, &data, 0, usize::MAX).map(|(values, _)| values);
    }
    let (mut values, next) = several(lua, &data, from, most)?;
    let next = if next == data.len() { -1 } else { next as i64 };
    values.push_front(Value::Integer(next));
    Ok(values)
}

fn several(lua: &Lua, data: &[u8], from: usize, most: usize) -> Result<(MultiValue, usize), Wrong> {
    let mut input = Input { lua, data, at: from };
    let mut values = Vec::new();
    while input.at < data.len() && values.len() < most {
        if values.len() >= MOST_RESULTS {
            return Err("too many results to unpack".into());
        }
        values.push(input.value(0)?);
    }
    Ok((MultiValue::from_vec(values), input.at))
}

struct Input<'a> {
    lua: &'a Lua,
    data: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    fn bytes(&mut self, n: usize) -> Result<&'a [u8], Wrong> {
        let bytes = self.data[self.at..].get(..n).ok_or("Missing bytes in input.")?;
        self.at += n;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Wrong> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N)?);
        Ok(array)
    }

    fn size(&mut self, width: usize) -> Result<usize, Wrong> {
        Ok(self.bytes(width)?.iter().fold(0, |n, byte| n << 8 | usize::from(*byte)))
    }

    fn value(&mut self, depth: usize) -> Result<Value, Wrong> {
        if depth > DEEPEST_UNPACKED {
            return Err("Too many nested structures in input.".into());
        }
        let tag = self.array::<1>()?[0];
        Ok(match tag {
            0x00..=0x7f => Value::Integer(tag.into()),
            0xe0..=0xff => Value::Integer((tag as i8).into()),
            0x80..=0x8f => self.map((tag & 15).into(), depth)?,
            0x90..=0x9f => self.list((tag & 15).into(), depth)?,
            0xa0..=0xbf => self.text((tag & 31).into())?,
            0xc0 => Value::Nil,
            0xc2 => Value::Boolean(false),
            0xc3 => Value::Boolean(true),
            0xca => Value::Number(f32::from_be_bytes(self.array()?).into()),
            0xcb => Value::Number(f64::from_be_bytes(self.array()?)),
            0xcc..=0xce => Value::Integer(self.size(1 << (tag - 0xcc))? as i64),
            // As in the C library, also where the sign was none.
            0xcf => Value::Integer(i64::from_be_bytes(self.array()?)),
            0xd0 => Value::Integer(i8::from_be_bytes(self.array()?).into()),
            0xd1 => Value::Integer(i16::from_be_bytes(self.array()?).into()),
            0xd2 => Value::Integer(i32::from_be_bytes(self.array()?).into()),
            0xd3 => Value::Integer(i64::from_be_bytes(self.array()?)),
            0xd9..=0xdb => {
                let n = self.size(1 << (tag - 0xd9))?;
                self.text(n)?
            }
            0xdc | 0xdd => {
                let n = self.size(2 << (tag - 0xdc))?;
                self.list(n, depth)?
            }
            0xde | 0xdf => {
                let n = self.size(2 << (tag - 0xde))?;
                self.map(n, depth)?
            }
            _ => return Err("Bad data format in input.".into()),
        })
    }

    fn text(&mut self, n: usize) -> Result<Value, Wrong> {
        let text = self.bytes(n)?;
        Ok(Value::String(self.lua.create_string(text)?))
    }

    fn list(&mut self, n: usize, depth: usize) -> Result<Value, Wrong> {
        let table = self.lua.create_table()?;
        for i in 1..=n {
            table.raw_set(i, self.value(depth + 1)?)?;
        }
        Ok(Value::Table(table))
    }

    fn map(&mut self, n: usize, depth: usize) -> Result<Value, Wrong> {
        let table = self.lua.create_table()?;
        for _ in 0..n {
            let key = self.value(depth + 1)?;
            let value = self.value(depth + 1)?;
            if matches!(key, Value::Nil) || matches!(key, Value::Number(n) if n.is_nan()) {
                return Err("Bad data format in input.".into());
            }
            table.raw_set(key, value)?;
        }
        Ok(Value::Table(table))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;

    /// What a Lua expression is packed to, in hexadecimal digits.
    fn packed(value: &str) -> String {
        run(&format!(
            "return (cmsgpack.pack({value}):gsub('.', function(c) return string.format('%02x', c:byte()) end))"
        ))
    }

    #[test]
    fn values_are_packed_in_the_shortest_form() {
        for (value, bytes) in [
            ("nil", "c0"),
            ("true", "c3"),
            ("127", "7f"),
            ("-32", "e0"),
            ("-33", "d0df"),
            ("255", "ccff"),
            ("65536", "ce00010000"),
            ("-70000", "d2fffeee90"),
            ("2^40", "cf0000010000000000"),
            ("0.5", "ca3f000000"),
            ("0.1", "cb3fb999999999999a"),
            ("'abc'", "a3616263"),
            ("{1, 2}", "920102"),
            ("{a = 1}", "81a16101"),
            ("{[2] = 1}", "810201"),
            ("{}", "90"),
            ("1, 'a'", "01a161"),
        ] {
            assert_eq!(packed(value), bytes, "{value}");
        }
    }

    #[test]
    fn a_text_of_any_length_comes_back() {
        for n in [31, 32, 255, 256, 65535, 65536] {
            assert_eq!(
                run(&format!("local s = string.rep('x', {n}) return cmsgpack.unpack(cmsgpack.pack(s)) == s")),
                "true"
            );
        }
    }

    #[test]
    fn tables_in_tables_come_back_up_to_a_depth() {
        let script = "local t = {} for i = 1, 20 do t = {t} end
            t = cmsgpack.unpack(cmsgpack.pack(t)) local n = 0 while t do n = n + 1 t = t[1] end return n";
        assert_eq!(run(script), "16");
    }

    #[test]
    fn values_are_unpacked_one_by_one() {
        assert_eq!(run("return table.concat({cmsgpack.unpack_one(cmsgpack.pack(1, 2, 3), 1)}, ' ')"), "2 2");
        assert_eq!(run("return table.concat({cmsgpack.unpack_one(cmsgpack.pack(1, 2, 3), 2)}, ' ')"), "-1 3");
        assert_eq!(run("return table.concat({cmsgpack.unpack_limit(cmsgpack.pack(1, 2, 3), 2)}, ' ')"), "2 1 2");
    }

    #[test]
    fn input_that_breaks_off_or_makes_no_sense_is_refused() {
        for (script, error) in [
            ("return cmsgpack.unpack('\\219\\255\\255\\255\\255x')", "Missing bytes in input."),
            ("return cmsgpack.unpack('\\221\\255\\255\\255\\255')", "Missing bytes in input."),
            ("return cmsgpack.unpack('\\193')", "Bad data format in input."),
            ("return cmsgpack.unpack('\\129\\192\\1')", "Bad data format in input."),
            ("return cmsgpack.unpack(string.rep('\\145', 5000))", "Too many nested structures in input."),
            ("return cmsgpack.unpack_one('x', -1)", "Invalid request to unpack with offset of -1 and limit of 1."),
            ("return cmsgpack.unpack_one('x', 7)", "Start offset 7 greater than input length 1."),
            ("return cmsgpack.unpack(string.rep('\\1', 9000))", "too many results to unpack"),
        ] {
            assert_eq!(run(script), format!("user_script:1: {error}"), "{script}");
        }
    }
}
