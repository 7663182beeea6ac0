//! Reads JSON into Lua's values.

use mlua::{Lua, Table, Value};

use super::Wrong;
use super::cjson::Settings;

/// A piece of JSON.
#[derive(Debug, PartialEq)]
enum Token {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    Text(Vec<u8>),
    Number(f64),
    Boolean(bool),
    Null,
    Colon,
    Comma,
    End,
    /// What is wrong.
    Error(&'static str),
}

impl Token {
    /// What error messages call it.
    fn name(&self) -> &'static str {
        match self {
            Token::ObjectBegin => "T_OBJ_BEGIN",
            Token::ObjectEnd => "T_OBJ_END",
            Token::ArrayBegin => "T_ARR_BEGIN",
            Token::ArrayEnd => "T_ARR_END",
            Token::Text(_) => "T_STRING",
            Token::Number(_) => "T_NUMBER",
            Token::Boolean(_) => "T_BOOLEAN",
            Token::Null => "T_NULL",
            Token::Colon => "T_COLON",
            Token::Comma => "T_COMMA",
            Token::End => "T_END",
            Token::Error(why) => why,
        }
    }
}

/// Reads one document.
pub struct Parser<'a> {
    lua: &'a Lua,
    text: &'a [u8],
    at: usize,
    /// Where the last token began, or what is wrong in it.
    token_at: usize,
    depth: i64,
    settings: Settings,
}

impl<'a> Parser<'a> {
    /// Begins.
    pub fn new(lua: &'a Lua, text: &'a [u8], settings: Settings) -> Self {
        Parser { lua, text, at: 0, token_at: 0, depth: 0, settings }
    }

    /// Reads all of it.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn document(&mut self) -> Result<Value, Wrong> {
        let token = self.token();
        let value = self.value(token)?;
        match self.token() {
            Token::End => Ok(value),
            token => Err(self.unexpected("the end", &token)),
        }
    }

    fn unexpected(&self, wanted: &str, found: &Token) -> Wrong {
        Wrong::Text(format!("Expected {wanted} but found {} at character {}", found.name(), self.token_at + 1))
    }

    fn value(&mut self, token: Token) -> Result<Value, Wrong> {
        Ok(match token {
            Token::Text(text) => Value::String(self.lua.create_string(text)?),
            Token::Number(n) => Value::Number(n),
            Token::Boolean(on) => Value::Boolean(on),
            Token::Null => Value::NULL,
            Token::ObjectBegin => self.nested(Self::object)?,
            Token::ArrayBegin => self.nested(Self::array)?,
            other => return Err(self.unexpected("value", &other)),
        })
    }

    fn nested(&mut self, body: fn(&mut Self, &Table) -> Result<(), Wrong>) -> Result<Value, Wrong> {
        self.depth += 1;
        if self.depth > self.settings.decode_depth {
            let (depth, at) = (self.depth, self.at);
            return Err(format!("Found too many nested data structures ({depth}) at character {at}").into());
        }
        let table = self.lua.create_table()?;
        body(self, &table)?;
        self.depth -= 1;
        Ok(Value::Table(table))
    }

    fn object(&mut self, table: &Table) -> Result<(), Wrong> {
        let mut token = self.token();
        if token == Token::ObjectEnd {
            return Ok(());
        }
        loop {
            let Token::Text(key) = token else { return Err(self.unexpected("object key string", &token)) };
            match self.token() {
                Token::Colon => {}
                token => return Err(self.unexpected("colon", &token)),
            }
            let token_of_value = self.token();
            let value = self.value(token_of_value)?;
            table.raw_set(self.lua.create_string(key)?, value)?;
            match self.token() {
                Token::ObjectEnd => return Ok(()),
                Token::Comma => {}
                token => return Err(self.unexpected("comma or object end", &token)),
            }
            token = self.token();
        }
    }

    fn array(&mut self, table: &Table) -> Result<(), Wrong> {
        let mut token = self.token();
        if token == Token::ArrayEnd {
            return Ok(());
        }
        for i in 1.. {
            let value = self.value(token)?;
            table.raw_set(i, value)?;
            match self.token() {
                Token::ArrayEnd => return Ok(()),
                Token::Comma => {}
                token => return Err(self.unexpected("comma or array end", &token)),
            }
            token = self.token();
        }
        Ok(())
    }

    fn token(&mut self) -> Token {
        let blanks = self.text[self.at..].iter().take_while(|c| matches!(c, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.at += blanks;
        self.token_at = self.at;
        let rest = &self.text[self.at..];
        let Some(first) = rest.first() else { return Token::End };
        let (token, len) = match first {
            b'{' => (Token::ObjectBegin, 1),
            b'}' => (Token::ObjectEnd, 1),
            b'[' => (Token::ArrayBegin, 1),
            b']' => (Token::ArrayEnd, 1),
            b':' => (Token::Colon, 1),
            b',' => (Token::Comma, 1),
            b'"' => return self.string(),
            b'-' | b'+' | b'0'..=b'9' => return self.number(),
            _ if rest.starts_with(b"true") => (Token::Boolean(true), 4),
            _ if rest.starts_with(b"false") => (Token::Boolean(false), 5),
            _ if rest.starts_with(b"null") => (Token::Null, 4),
            _ if self.settings.decode_invalid && is_special(rest) => return self.number(),
            _ => (Token::Error("invalid token"), 0),
        };
        self.at += len;
        token
    }

    fn number(&mut self) -> Token {
        let rest = &self.text[self.at..];
        let invalid = if self.settings.decode_invalid { special(rest) } else { None };
        let found = invalid.or_else(|| {
            let digits =
                rest.iter().take_while(|c| matches!(c, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E')).count();
            (1..=digits).rev().find_map(|len| Some((crate::data::num::parse_double(&rest[..len])?, len)))
        });
        // JSON has no zero in front of another digit, nor other bases.
        let plain = rest.strip_prefix(b"-").unwrap_or(rest);
        let after_zero = plain.strip_prefix(b"0").and_then(|after| after.first());
        let leading_zero = after_zero.is_some_and(|c| c.is_ascii_digit() || matches!(c, b'x' | b'X'));
        match found {
            Some((n, len)) if !leading_zero || self.settings.decode_invalid => {
                self.at += len;
                Token::Number(n)
            }
            _ => Token::Error("invalid number"),
        }
    }

    fn string(&mut self) -> Token {
        self.at += 1;
        let mut text = Vec::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
            text.extend_from_slice(&rest[..plain]);
            self.at += plain;
            match &rest[plain..] {
                [b'"', ..] => {
                    self.at += 1;
                    return Token::Text(text);
                }
                [b'\\', b'u', ..] => match unicode(&rest[plain..]) {
                    Some((c, len)) => {
                        text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                        self.at += len;
                    }
                    None => {
                        self.token_at = self.at;
                        return Token::Error("invalid unicode escape code");
                    }
                },
                [b'\\', escaped, ..] => {
                    text.push(match escaped {
                        b'"' | b'\\' | b'/' => *escaped,
                        b'b' => 8,
                        b'f' => 12,
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        _ => {
                            self.token_at = self.at;
                            return Token::Error("invalid escape code");
                        }
                    });
                    self.at += 2;
                }
                // The end, or a backslash at the end.
                _ => {
                    self.token_at = self.text.len();
                    return Token::Error("unexpected end of string");
                }
            }
        }
    }
}

/// The character of `\uXXXX`, or of two that make one, and how long it is.
fn unicode(escape: &[u8]) -> Option<(char, usize)> {
    let unit = |at: usize| {
        let digits = escape.get(at..at + 6)?.strip_prefix(b"\\u")?;
        digits.iter().try_fold(0, |n, digit| Some(n << 4 | char::from(*digit).to_digit(16)?))
    };
    let first = unit(0)?;
    if (0xd800..0xdc00).contains(&first) {
        let second = unit(6).filter(|second| (0xdc00..0xe000).contains(second))?;
        return char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)).map(|c| (c, 12));
    }
    char::from_u32(first).map(|c| (c, 6))
}

fn is_special(text: &[u8]) -> bool {
    special(text).is_some()
}

/// A number that JSON does not have, and how long it is.
fn special(text: &[u8]) -> Option<(f64, usize)> {
    let (sign, rest) = match text.strip_prefix(b"-") {
        Some(rest) => (-1.0, rest),
        None => (1.0, text),
    };
    let before = text.len() - rest.len();
    let is = |word: &[u8]| rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    if is(b"infinity") {
        Some((sign * f64::INFINITY, before + 8))
    } else if is(b"inf") {
        Some((sign * f64::INFINITY, before + 3))
    } else if is(b"nan") {
        Some((f64::NAN, before + 3))
    } else if is(b"0x") {
        let digits = rest[2..].iter().take_while(|c| c.is_ascii_hexdigit()).count();
        let text = std::str::from_utf8(&rest[2..2 + digits]).ok()?;
        u64::from_str_radix(text, 16).ok().map(|n| (sign * n as f64, before + 2 + digits))
    } else {
        None
    }
}
