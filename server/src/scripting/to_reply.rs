//! From what a script returns to the client's reply.

use mlua::{LuaString, Result, Table, Value};

use crate::resp::ReplyBuf;

/// How deep tables may stand in each other.
const DEEPEST: usize = 1000;

/// Writes a script's result.
pub struct Writer<'a> {
    /// Where to.
    pub reply: &'a mut ReplyBuf,
    /// The script speaks RESP3: its booleans are booleans.
    pub resp3: bool,
    /// Codes of errors within the result that are to be counted.
    pub errors: Vec<Vec<u8>>,
}

impl Writer<'_> {
    /// Writes a value.
    ///
    /// # Errors
    /// Those of Lua, when memory is short.
    pub fn value(&mut self, value: &Value, depth: usize) -> Result<()> {
        if depth > DEEPEST {
            self.error(b"ERR reached lua stack limit", false);
            return Ok(());
        }
        match value {
            Value::String(text) => self.reply.bulk(&text.as_bytes()),
            Value::Boolean(yes) if self.resp3 => self.reply.bool(*yes),
            Value::Boolean(true) => self.reply.int(1),
            Value::Integer(n) => self.reply.int(*n),
            // Without its fraction; `as` keeps to the range.
            Value::Number(n) => self.reply.int(*n as i64),
            Value::Table(table) => return self.table(table, depth),
            _ => self.reply.null(),
        }
        Ok(())
    }

    fn error(&mut self, text: &[u8], counted: bool) {
        if !counted {
            self.errors.push(text.split(|c| *c == b' ').next().unwrap_or(b"ERR").to_vec());
        }
        self.reply.error(text);
    }

    fn table(&mut self, table: &Table, depth: usize) -> Result<()> {
        if let Some(error) = error_of(table)? {
            self.error(&error.text, error.counted);
            return Ok(());
        }
        if let Value::String(text) = table.raw_get("ok")? {
            self.reply.simple(&one_line(&text));
            return Ok(());
        }
        match table.raw_get("double")? {
            Value::Number(n) => {
                self.reply.double(n);
                return Ok(());
            }
            Value::Integer(n) => {
                self.reply.double(n as f64);
                return Ok(());
            }
            _ => {}
        }
        if let Value::String(text) = table.raw_get("big_number")? {
            self.big_number(&one_line(&text));
            return Ok(());
        }
        if let Value::Table(verbatim) = table.raw_get("verbatim_string")?
            && let (Value::String(format), Value::String(text)) =
                (verbatim.raw_get("format")?, verbatim.raw_get("string")?)
        {
            self.verbatim(&format.as_bytes(), &text.as_bytes());
            return Ok(());
        }
        if let Value::Table(map) = table.raw_get("map")? {
            return self.pairs(&map, ReplyBuf::map, true, depth);
        }
        if let Value::Table(set) = table.raw_get("set")? {
            return self.pairs(&set, ReplyBuf::set, false, depth);
        }
        let mut n = 0;
        while !table.raw_get::<Value>(n + 1)?.is_nil() {
            n += 1;
        }
        self.reply.array(n);
        for i in 1..=n {
            self.value(&table.raw_get(i)?, depth + 1)?;
        }
        Ok(())
    }

    fn pairs(&mut self, table: &Table, header: fn(&mut ReplyBuf, usize), values: bool, depth: usize) -> Result<()> {
        let mut n = 0;
        table.for_each(|_: Value, _: Value| {
            n += 1;
            Ok(())
        })?;
        header(self.reply, n);
        table.for_each(|key: Value, value: Value| {
            self.value(&key, depth + 1)?;
            if values { self.value(&value, depth + 1) } else { Ok(()) }
        })
    }

    fn big_number(&mut self, text: &str) {
        if self.reply.resp3() {
            self.reply.raw(format!("({text}\r\n").as_bytes());
        } else {
            self.reply.bulk(text.as_bytes());
        }
    }

    fn verbatim(&mut self, format: &[u8], text: &[u8]) {
        if self.reply.resp3() {
            let mut three = *b"txt";
            three.iter_mut().zip(format).for_each(|(to, from)| *to = *from);
            self.reply.raw(format!("={}\r\n", text.len() + 4).as_bytes());
            self.reply.raw(&three);
            self.reply.raw(b":");
            self.reply.raw(text);
            self.reply.raw(b"\r\n");
        } else {
            self.reply.bulk(text);
        }
    }
}

/// An error that a script returned or raised.
pub struct ScriptError {
    /// Its text, code first.
    pub text: Vec<u8>,
    /// It was counted when it came about.
    pub counted: bool,
}

/// The error that a table stands for, if it stands for one.
///
/// # Errors
/// Those of Lua, when memory is short.
pub fn error_of(table: &Table) -> Result<Option<ScriptError>> {
    let Value::String(text) = table.raw_get("err")? else { return Ok(None) };
    let counted = matches!(table.raw_get("ignore_error_stats_update")?, Value::Boolean(true));
    let text = text.as_bytes().to_vec();
    Ok(Some(ScriptError { text, counted }))
}

fn one_line(text: &LuaString) -> String {
    String::from_utf8_lossy(&text.as_bytes()).replace(['\r', '\n'], " ")
}
