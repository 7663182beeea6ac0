//! From a command's reply to Lua's values.

use mlua::{Error, Lua, Result, Table, Value};

/// The value that a whole reply stands for. Without a reply it is nil.
pub fn value(lua: &Lua, reply: &[u8]) -> Result<Value> {
    if reply.is_empty() { Ok(Value::Nil) } else { Reader { lua, rest: reply }.value() }
}

struct Reader<'a> {
    lua: &'a Lua,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn value(&mut self) -> Result<Value> {
        let (kind, head) = self.head()?;
        match kind {
            b'$' if head == b"-1" => Ok(Value::Boolean(false)),
            b'*' if head == b"-1" => Ok(Value::Boolean(false)),
            b'$' => {
                let text = self.bulk(head)?;
                self.string(text)
            }
            b':' => Ok(number(head).map_or(Value::Nil, Value::Integer)),
            b'+' => self.labelled("ok", head),
            b'-' => {
                let table = self.lua.create_table_with_capacity(0, 4)?;
                table.raw_set("err", self.lua.create_string(head)?)?;
                // The command counted it.
                table.raw_set("ignore_error_stats_update", true)?;
                Ok(Value::Table(table))
            }
            b'*' | b'>' => {
                let n = size(head)?;
                let table = self.lua.create_table_with_capacity(n, 0)?;
                for i in 1..=n {
                    table.raw_set(i, self.value()?)?;
                }
                Ok(Value::Table(table))
            }
            b'%' => {
                let n = size(head)?;
                let map = self.lua.create_table_with_capacity(0, n)?;
                for _ in 0..n {
                    let (key, value) = (self.value()?, self.value()?);
                    map.raw_set(key, value)?;
                }
                self.wrap("map", Value::Table(map))
            }
            b'~' => {
                let n = size(head)?;
                let set = self.lua.create_table_with_capacity(0, n)?;
                for _ in 0..n {
                    set.raw_set(self.value()?, true)?;
                }
                self.wrap("set", Value::Table(set))
            }
            b'_' => Ok(Value::Nil),
            b'#' => Ok(Value::Boolean(head == b"t")),
            b',' => {
                let number = crate::data::num::parse_double(head).or_else(|| special(head)).unwrap_or(f64::NAN);
                self.wrap("double", Value::Number(number))
            }
            b'(' => self.labelled("big_number", head),
            b'=' => {
                let text = self.bulk(head)?;
                let (format, text) = text.split_at_checked(4).unwrap_or((b"txt:", text));
                let verbatim = self.lua.create_table_with_capacity(0, 2)?;
                verbatim.raw_set("string", self.lua.create_string(text)?)?;
                verbatim.raw_set("format", self.lua.create_string(&format[..3])?)?;
                self.wrap("verbatim_string", Value::Table(verbatim))
            }
            b'|' => {
                for _ in 0..2 * size(head)? {
                    self.value()?;
                }
                self.value()
            }
            _ => Err(broken()),
        }
    }

    /// The kind of what comes next, and the rest of its line.
    fn head(&mut self) -> Result<(u8, &'a [u8])> {
        let end = memchr::memchr(b'\r', self.rest).filter(|end| *end > 0).ok_or_else(broken)?;
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest.get(2..).ok_or_else(broken)?;
        Ok((line[0], &line[1..]))
    }

    fn bulk(&mut self, head: &[u8]) -> Result<&'a [u8]> {
        let (text, rest) = self.rest.split_at_checked(size(head)?).ok_or_else(broken)?;
        self.rest = rest.get(2..).ok_or_else(broken)?;
        Ok(text)
    }

    fn string(&self, text: &[u8]) -> Result<Value> {
        Ok(Value::String(self.lua.create_string(text)?))
    }

    fn labelled(&self, label: &str, text: &[u8]) -> Result<Value> {
        let text = self.string(text)?;
        self.wrap(label, text)
    }

    fn wrap(&self, label: &str, value: Value) -> Result<Value> {
        let table: Table = self.lua.create_table_with_capacity(0, 1)?;
        table.raw_set(label, value)?;
        Ok(Value::Table(table))
    }
}

fn number(text: &[u8]) -> Option<i64> {
    crate::resp::number::parse_i64(text)
}

fn size(text: &[u8]) -> Result<usize> {
    number(text).and_then(|n| usize::try_from(n).ok()).ok_or_else(broken)
}

fn special(text: &[u8]) -> Option<f64> {
    match text {
        b"inf" => Some(f64::INFINITY),
        b"-inf" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// Our own commands wrote it, so this does not happen.
fn broken() -> Error {
    Error::runtime("ERR the command's reply can't be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reply as a Lua expression shows it.
    fn shown(reply: &str) -> String {
        let lua = Lua::new();
        let text: String = lua
            .load(
                "local v = ...
                 local function show(v)
                   if type(v) ~= 'table' then return tostring(v) end
                   local parts = {}
                   for i, e in ipairs(v) do parts[i] = show(e) end
                   local keys = {}
                   for k in pairs(v) do if type(k) ~= 'number' then keys[#keys + 1] = k end end
                   table.sort(keys)
                   for _, k in ipairs(keys) do parts[#parts + 1] = k .. '=' .. show(v[k]) end
                   return '{' .. table.concat(parts, ' ') .. '}'
                 end
                 return show(v)",
            )
            .call(value(&lua, reply.as_bytes()).unwrap())
            .unwrap();
        text
    }

    #[test]
    fn replies_of_both_protocol_versions_become_lua_values() {
        for (reply, expected) in [
            ("$5\r\nhello\r\n", "hello"),
            (":-7\r\n", "-7"),
            ("$-1\r\n", "false"),
            ("*-1\r\n", "false"),
            ("_\r\n", "nil"),
            ("#t\r\n", "true"),
            ("+OK\r\n", "{ok=OK}"),
            ("-ERR x\r\n", "{err=ERR x ignore_error_stats_update=true}"),
            ("*3\r\n:1\r\n$1\r\na\r\n*1\r\n:2\r\n", "{1 a {2}}"),
            ("%1\r\n$1\r\nk\r\n:1\r\n", "{map={k=1}}"),
            ("~1\r\n$1\r\nm\r\n", "{set={m=true}}"),
            (",1.5\r\n", "{double=1.5}"),
            ("(123\r\n", "{big_number=123}"),
            ("=6\r\ntxt:hi\r\n", "{verbatim_string={format=txt string=hi}}"),
        ] {
            assert_eq!(shown(reply), expected, "{reply:?}");
        }
    }
}
