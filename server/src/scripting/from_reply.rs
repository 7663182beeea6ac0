//! From a command's reply to Lua's values.

use super::stack::{Name, Stack};

/// A reply that cannot be read. Our own commands wrote it, so this does not happen.
#[derive(Clone, Copy, Debug)]
pub struct Broken;

/// Pushes the value that a whole reply stands for. Without a reply it is nil. May jump.
///
/// # Errors
/// When it is no reply; what was pushed then is the caller's to drop.
pub fn push(stack: Stack<'_>, reply: &[u8]) -> Result<(), Broken> {
    if reply.is_empty() {
        stack.push_nil();
        return Ok(());
    }
    Reader { stack, rest: reply }.value()
}

/// Pushes an error as scripts see one. May jump.
pub fn push_error(stack: Stack<'_>, text: &[u8], counted: bool) {
    stack.push_table(0, 4);
    let table = stack.top();
    stack.push_name(Name::Err);
    stack.push_bytes(text);
    stack.set_field(table);
    if counted {
        stack.push_name(Name::Counted);
        stack.push_boolean(true);
        stack.set_field(table);
    }
}

struct Reader<'a> {
    stack: Stack<'a>,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn value(&mut self) -> Result<(), Broken> {
        let stack = self.stack;
        // A table, a table in it, a key and a value.
        if !stack.reserve(4) {
            return Err(Broken);
        }
        let (kind, head) = self.head()?;
        match kind {
            b'$' | b'*' if head == b"-1" => stack.push_boolean(false),
            b'$' => stack.push_bytes(self.bulk(head)?),
            b':' => match number(head) {
                Some(n) => stack.push_number(n as f64),
                None => stack.push_nil(),
            },
            b'+' => self.wrapped(Name::Ok, |stack| stack.push_bytes(head)),
            // The command counted it.
            b'-' => push_error(stack, head, true),
            b'*' | b'>' => {
                let n = size(head)?;
                stack.push_table(n, 0);
                let table = stack.top();
                for i in 1..=n {
                    self.value()?;
                    stack.set_item(table, i);
                }
            }
            b'%' => self.pairs(Name::Map, size(head)?, Self::value)?,
            b'~' => self.pairs(Name::Set, size(head)?, |reader| {
                reader.stack.push_boolean(true);
                Ok(())
            })?,
            b'_' => stack.push_nil(),
            b'#' => stack.push_boolean(head == b"t"),
            b',' => {
                let number = crate::data::num::parse_double(head).or_else(|| special(head)).unwrap_or(f64::NAN);
                self.wrapped(Name::Double, |stack| stack.push_number(number));
            }
            b'(' => self.wrapped(Name::BigNumber, |stack| stack.push_bytes(head)),
            b'=' => {
                let text = self.bulk(head)?;
                let (format, text) = text.split_at_checked(4).unwrap_or((b"txt:", text));
                self.wrapped(Name::Verbatim, |stack| {
                    stack.push_table(0, 2);
                    let verbatim = stack.top();
                    for (name, text) in [(Name::String, text), (Name::Format, &format[..3])] {
                        stack.push_name(name);
                        stack.push_bytes(text);
                        stack.set_field(verbatim);
                    }
                });
            }
            b'|' => {
                for _ in 0..2 * size(head)? {
                    self.value()?;
                    stack.pop();
                }
                return self.value();
            }
            _ => return Err(Broken),
        }
        Ok(())
    }

    /// A table of `n` keys, each with what `value` pushes, within a table under that name.
    fn pairs(&mut self, name: Name, n: usize, value: fn(&mut Self) -> Result<(), Broken>) -> Result<(), Broken> {
        let stack = self.stack;
        stack.push_table(0, 1);
        let outer = stack.top();
        stack.push_name(name);
        stack.push_table(0, n);
        let inner = stack.top();
        for _ in 0..n {
            self.value()?;
            value(self)?;
            stack.set_field(inner);
        }
        stack.set_field(outer);
        Ok(())
    }

    /// A table with one field of that name.
    fn wrapped(&self, name: Name, push: impl FnOnce(Stack<'a>)) {
        self.stack.push_table(0, 1);
        let table = self.stack.top();
        self.stack.push_name(name);
        push(self.stack);
        self.stack.set_field(table);
    }

    /// The kind of what comes next, and the rest of its line.
    fn head(&mut self) -> Result<(u8, &'a [u8]), Broken> {
        let end = memchr::memchr(b'\r', self.rest).filter(|end| *end > 0).ok_or(Broken)?;
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest.get(2..).ok_or(Broken)?;
        Ok((line[0], &line[1..]))
    }

    fn bulk(&mut self, head: &[u8]) -> Result<&'a [u8], Broken> {
        let (text, rest) = self.rest.split_at_checked(size(head)?).ok_or(Broken)?;
        self.rest = rest.get(2..).ok_or(Broken)?;
        Ok(text)
    }
}

fn number(text: &[u8]) -> Option<i64> {
    crate::resp::number::parse_i64(text)
}

fn size(text: &[u8]) -> Result<usize, Broken> {
    number(text).and_then(|n| usize::try_from(n).ok()).ok_or(Broken)
}

fn special(text: &[u8]) -> Option<f64> {
    match text {
        b"inf" => Some(f64::INFINITY),
        b"-inf" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripting::stack;
    use mlua::{Lua, Value, ffi, lua_State};

    /// Replaces a reply by what it stands for.
    unsafe extern "C-unwind" fn read(state: *mut lua_State) -> std::ffi::c_int {
        // SAFETY: Lua calls it as a closure of `stack::closure`, and nothing here has a destructor.
        let stack = unsafe { Stack::new(state) };
        push(stack, stack.bytes(1)).unwrap();
        // SAFETY: the same.
        unsafe { ffi::lua_gettop(state) - 1 }
    }

    /// The reply as a Lua expression shows it.
    fn shown(reply: &str) -> String {
        let lua = Lua::new();
        let read = stack::closure(&lua, read, &[]).unwrap();
        let value: Value = read.call(lua.create_string(reply).unwrap()).unwrap();
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
            .call(value)
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
            ("|1\r\n$1\r\na\r\n:1\r\n:2\r\n", "2"),
        ] {
            assert_eq!(shown(reply), expected, "{reply:?}");
        }
    }
}
