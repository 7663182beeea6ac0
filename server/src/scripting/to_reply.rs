//! From what a script returns to the client's reply.

use super::stack::{Kind, Name, Stack};
use crate::commands::error::error_code;
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
    pub errors: &'a mut Vec<Vec<u8>>,
}

impl Writer<'_> {
    /// Writes the value on top, and leaves it there. May jump.
    pub fn value(&mut self, stack: Stack<'_>, depth: usize) {
        match stack.kind(-1) {
            Kind::String => self.reply.bulk(stack.bytes(-1)),
            Kind::Boolean if self.resp3 => self.reply.bool(stack.boolean(-1)),
            Kind::Boolean if stack.boolean(-1) => self.reply.int(1),
            Kind::Number => self.reply.int(integer(stack.number(-1))),
            // A key and a value, and what is asked of that.
            Kind::Table if depth >= DEEPEST || !stack.reserve(4) => self.error(b"ERR reached lua stack limit", false),
            Kind::Table => {
                let table = stack.top();
                self.table(stack, table, depth);
                stack.set_top(table);
            }
            _ => self.reply.null(),
        }
    }

    fn error(&mut self, text: &[u8], counted: bool) {
        if !counted {
            self.errors.push(error_code(text).to_vec());
        }
        self.reply.error(text);
    }

    /// Leaves more on the stack than there was.
    fn table(&mut self, stack: Stack<'_>, table: i32, depth: usize) {
        if let Some(error) = error_of(stack, table) {
            self.error(error.text, error.counted);
            return;
        }
        if field(stack, table, Name::Ok, Kind::String) {
            let text = one_line(stack.bytes(-1));
            [&b"+"[..], &text, b"\r\n"].iter().for_each(|part| self.reply.raw(part));
        } else if field(stack, table, Name::Double, Kind::Number) {
            self.reply.double(stack.number(-1));
        } else if field(stack, table, Name::BigNumber, Kind::String) {
            self.big_number(&one_line(stack.bytes(-1)));
        } else if let Some((format, text)) = verbatim(stack, table) {
            self.verbatim(format, text);
        } else if field(stack, table, Name::Map, Kind::Table) {
            self.pairs(stack, ReplyBuf::map, true, depth);
        } else if field(stack, table, Name::Set, Kind::Table) {
            self.pairs(stack, ReplyBuf::set, false, depth);
        } else {
            self.items(stack, table, depth);
        }
    }

    fn items(&mut self, stack: Stack<'_>, table: i32, depth: usize) {
        let mut n = 0;
        loop {
            stack.push_item(table, n + 1);
            let ended = stack.kind(-1) == Kind::Nil;
            stack.pop();
            if ended {
                break;
            }
            n += 1;
        }
        self.reply.array(n);
        for i in 1..=n {
            stack.push_item(table, i);
            self.value(stack, depth + 1);
            stack.pop();
        }
    }

    /// The table on top.
    fn pairs(&mut self, stack: Stack<'_>, header: fn(&mut ReplyBuf, usize), values: bool, depth: usize) {
        let table = stack.top();
        let mut n = 0;
        stack.push_nil();
        while stack.next(table) {
            stack.pop();
            n += 1;
        }
        header(self.reply, n);
        stack.push_nil();
        while stack.next(table) {
            stack.push_value(-2);
            self.value(stack, depth + 1);
            stack.pop();
            if values {
                self.value(stack, depth + 1);
            }
            stack.pop();
        }
    }

    fn big_number(&mut self, text: &[u8]) {
        if self.reply.resp3() {
            [b"(", text, b"\r\n"].iter().for_each(|part| self.reply.raw(part));
        } else {
            self.reply.bulk(text);
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

/// A number without its fraction; one that is no integer of 64 bits is the least of these, as for a C compiler on x86.
fn integer(number: f64) -> i64 {
    /// Two to the power of 63, the first that is none.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    if (-BEYOND..BEYOND).contains(&number) { number as i64 } else { i64::MIN }
}

/// Pushes a field; whether it is of that kind. One that is not is dropped again.
fn field(stack: Stack<'_>, table: i32, name: Name, kind: Kind) -> bool {
    stack.push_field(table, name);
    let found = stack.kind(-1) == kind;
    if !found {
        stack.pop();
    }
    found
}

/// The format and the text of a verbatim string. They stay on the stack.
fn verbatim<'s>(stack: Stack<'s>, table: i32) -> Option<(&'s [u8], &'s [u8])> {
    if !field(stack, table, Name::Verbatim, Kind::Table) {
        return None;
    }
    let inner = stack.top();
    if field(stack, inner, Name::Format, Kind::String) && field(stack, inner, Name::String, Kind::String) {
        return Some((stack.bytes(inner + 1), stack.bytes(inner + 2)));
    }
    stack.set_top(inner - 1);
    None
}

/// An error that a script returned or raised.
#[derive(Clone, Copy, Debug)]
pub struct ScriptError<'s> {
    /// Its text, code first.
    pub text: &'s [u8],
    /// It was counted when it came about.
    pub counted: bool,
}

/// The error that the table at an index stands for, if it stands for one; its text stays on the stack then.
pub fn error_of(stack: Stack<'_>, table: i32) -> Option<ScriptError<'_>> {
    if !field(stack, table, Name::Err, Kind::String) {
        return None;
    }
    let text = stack.bytes(-1);
    stack.push_field(table, Name::Counted);
    let counted = stack.boolean(-1) && stack.kind(-1) == Kind::Boolean;
    stack.pop();
    Some(ScriptError { text, counted })
}

/// A text as one line, up to its first zero byte, as Valkey has it. Other bytes stay as they are: it need not be UTF-8.
fn one_line(text: &[u8]) -> Vec<u8> {
    text.iter().take_while(|c| **c != 0).map(|c| if matches!(c, b'\r' | b'\n') { b' ' } else { *c }).collect()
}
