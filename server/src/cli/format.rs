//! How replies are shown: for people at a terminal, raw, as CSV or as JSON.

use super::quote;
use super::reply::Reply;
use crate::words;

/// The form in which replies are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// For people: types named, strings quoted, aggregates numbered and indented.
    Standard,
    /// Bytes as they are, between delimiters.
    Raw,
    /// One line of comma-separated values.
    Csv,
    /// One line of JSON.
    Json,
    /// One line of JSON in ASCII.
    QuotedJson,
}

/// Output form and the delimiters that the raw form uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    /// The form.
    pub output: Output,
    /// Between the elements of an aggregate, raw form.
    pub element_delimiter: Vec<u8>,
    /// After each reply, raw form.
    pub reply_delimiter: Vec<u8>,
}

impl Format {
    /// The reply as it is written to standard output. `as_text` is for commands whose reply is a report made to be read (INFO, CLIENT
    /// LIST …): it is written as it is, whatever the form.
    pub fn reply(&self, reply: &Reply, as_text: bool) -> Vec<u8> {
        let mut out = Vec::new();
        if as_text {
            self.raw(&mut out, reply);
            return out;
        }
        match self.output {
            Output::Standard => standard(&mut out, reply, 0),
            Output::Raw => {
                self.raw(&mut out, reply);
                out.extend_from_slice(&self.reply_delimiter);
            }
            Output::Csv => {
                csv(&mut out, reply);
                out.push(b'\n');
            }
            Output::Json => {
                json(&mut out, reply, quote::push_json);
                out.push(b'\n');
            }
            Output::QuotedJson => {
                json(&mut out, reply, quote::push_json_ascii);
                out.push(b'\n');
            }
        }
        out
    }

    /// A message that the server pushed of its own accord; invalidations of client-side caching are shortened for people.
    pub fn push(&self, push: &Reply) -> Vec<u8> {
        if self.output == Output::Standard
            && let Reply::Push(items) = push
            && let [Reply::Bulk(kind), Reply::Array(keys)] = items.as_slice()
            && kind == b"invalidate"
        {
            let mut out = b"-> invalidate: ".to_vec();
            for (i, key) in keys.iter().enumerate() {
                out.extend_from_slice(if i == 0 { b"'" } else { b", '" });
                out.extend_from_slice(key.text().unwrap_or_default());
                out.push(b'\'');
            }
            out.push(b'\n');
            return out;
        }
        self.reply(push, false)
    }

    fn raw(&self, out: &mut Vec<u8>, reply: &Reply) {
        match reply {
            Reply::Nil => {}
            Reply::Error(text) => {
                out.extend_from_slice(text);
                out.push(b'\n');
            }
            Reply::Status(text)
            | Reply::Bulk(text)
            | Reply::Verbatim(text)
            | Reply::Double(text)
            | Reply::BigNumber(text) => out.extend_from_slice(text),
            Reply::Integer(n) => push_integer(out, *n),
            Reply::Bool(yes) => out.extend_from_slice(if *yes { b"(true)" } else { b"(false)" }),
            Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => {
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.extend_from_slice(&self.element_delimiter);
                    }
                    self.raw(out, item);
                }
            }
            Reply::Map(pairs) => {
                for (i, (key, value)) in pairs.iter().enumerate() {
                    if i > 0 {
                        out.extend_from_slice(&self.element_delimiter);
                    }
                    self.raw(out, key);
                    out.push(b' ');
                    self.raw(out, value);
                }
            }
        }
    }
}

/// The form for people. `indent` is the column where the reply starts; lines after its first are moved there.
fn standard(out: &mut Vec<u8>, reply: &Reply, indent: usize) {
    match reply {
        Reply::Error(text) => {
            out.extend_from_slice(b"(error) ");
            out.extend_from_slice(text);
        }
        Reply::Status(text) | Reply::Verbatim(text) => out.extend_from_slice(text),
        Reply::Integer(n) => {
            out.extend_from_slice(b"(integer) ");
            push_integer(out, *n);
        }
        Reply::Double(text) => {
            out.extend_from_slice(b"(double) ");
            out.extend_from_slice(text);
        }
        Reply::BigNumber(text) => {
            out.extend_from_slice(b"(big number) ");
            out.extend_from_slice(text);
        }
        Reply::Bulk(text) => words::push_quoted(out, text),
        Reply::Nil => out.extend_from_slice(b"(nil)"),
        Reply::Bool(yes) => out.extend_from_slice(if *yes { b"(true)" } else { b"(false)" }),
        Reply::Array(items) if items.is_empty() => out.extend_from_slice(b"(empty array)"),
        Reply::Set(items) if items.is_empty() => out.extend_from_slice(b"(empty set)"),
        Reply::Push(items) if items.is_empty() => out.extend_from_slice(b"(empty push)"),
        Reply::Map(pairs) if pairs.is_empty() => out.extend_from_slice(b"(empty hash)"),
        Reply::Array(items) | Reply::Push(items) => return numbered(out, items, ')', indent),
        Reply::Set(items) => return numbered(out, items, '~', indent),
        Reply::Map(pairs) => {
            let width = digits(pairs.len());
            let inner = indent + width + 2;
            for (i, (key, value)) in pairs.iter().enumerate() {
                push_index(out, i, width, '#', indent);
                standard(out, key, inner);
                out.pop();
                out.extend_from_slice(b" => ");
                if takes_lines(value) {
                    // On a line of its own, so that its elements stand below each other.
                    out.push(b'\n');
                    out.resize(out.len() + inner, b' ');
                }
                standard(out, value, inner);
            }
            return;
        }
    }
    out.push(b'\n');
}

fn numbered(out: &mut Vec<u8>, items: &[Reply], mark: char, indent: usize) {
    let width = digits(items.len());
    for (i, item) in items.iter().enumerate() {
        push_index(out, i, width, mark, indent);
        standard(out, item, indent + width + 2);
    }
}

/// `  1) ` in front of an element; the first stands where its aggregate starts, so it needs no indentation.
fn push_index(out: &mut Vec<u8>, i: usize, width: usize, mark: char, indent: usize) {
    if i > 0 {
        out.resize(out.len() + indent, b' ');
    }
    out.extend_from_slice(format!("{:>width$}{mark} ", i + 1).as_bytes());
}

fn digits(n: usize) -> usize {
    n.checked_ilog10().map_or(1, |log| log as usize + 1)
}

fn takes_lines(reply: &Reply) -> bool {
    match reply {
        Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => match items.as_slice() {
            [] => false,
            [one] => takes_lines(one),
            _ => true,
        },
        Reply::Map(pairs) => match pairs.as_slice() {
            [] => false,
            [(_, value)] => takes_lines(value),
            _ => true,
        },
        _ => false,
    }
}

fn csv(out: &mut Vec<u8>, reply: &Reply) {
    match reply {
        Reply::Error(text) => {
            out.extend_from_slice(b"ERROR,");
            words::push_quoted(out, text);
        }
        Reply::Status(text) | Reply::Bulk(text) | Reply::Verbatim(text) => words::push_quoted(out, text),
        Reply::Integer(n) => push_integer(out, *n),
        Reply::Double(text) | Reply::BigNumber(text) => out.extend_from_slice(text),
        Reply::Nil => out.extend_from_slice(b"NULL"),
        Reply::Bool(yes) => out.extend_from_slice(if *yes { b"true" } else { b"false" }),
        Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => {
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                csv(out, item);
            }
        }
        // CSV knows no maps: a flat list.
        Reply::Map(pairs) => {
            for (i, (key, value)) in pairs.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                csv(out, key);
                out.push(b',');
                csv(out, value);
            }
        }
    }
}

fn json(out: &mut Vec<u8>, reply: &Reply, push_string: fn(&mut Vec<u8>, &[u8])) {
    match reply {
        Reply::Error(text) => {
            out.extend_from_slice(b"error:");
            push_string(out, text);
        }
        Reply::Status(text) | Reply::Bulk(text) | Reply::Verbatim(text) => push_string(out, text),
        Reply::Integer(n) => push_integer(out, *n),
        Reply::Double(text) | Reply::BigNumber(text) => out.extend_from_slice(text),
        Reply::Nil => out.extend_from_slice(b"null"),
        Reply::Bool(yes) => out.extend_from_slice(if *yes { b"true" } else { b"false" }),
        Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                json(out, item, push_string);
            }
            out.push(b']');
        }
        Reply::Map(pairs) => {
            out.push(b'{');
            for (i, (key, value)) in pairs.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                json_key(out, key, push_string);
                out.push(b':');
                json(out, value, push_string);
            }
            out.push(b'}');
        }
    }
}

/// A key of a JSON object must be a string: other types are put in quotes.
fn json_key(out: &mut Vec<u8>, key: &Reply, push_string: fn(&mut Vec<u8>, &[u8])) {
    if key.text().is_some() {
        return json(out, key, push_string);
    }
    let mut text = Vec::new();
    json(&mut text, key, push_string);
    out.push(b'"');
    out.extend_from_slice(&text);
    out.push(b'"');
}

fn push_integer(out: &mut Vec<u8>, n: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
