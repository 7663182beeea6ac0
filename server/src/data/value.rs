//! The value of a key: what kinds there are, owned and borrowed.

use super::elem::Elem;
use super::entry::Entry;
use super::num::parse_i64;

/// The types that a key can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A string.
    Str,
}

impl Kind {
    /// The name that `TYPE` answers.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Str => "string",
        }
    }
}

/// An owned string value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Str {
    /// A string that is the decimal text of this integer.
    Int(i64),
    /// Any bytes.
    Bytes(Vec<u8>),
}

impl Str {
    /// `Int` if the text is a canonical 64-bit integer, else `Bytes`.
    pub fn parse(text: &[u8]) -> Str {
        parse_i64(text).map_or_else(|| Str::Bytes(text.to_vec()), Str::Int)
    }

    /// As [`parse`](Self::parse), keeping the buffer.
    pub fn from_vec(text: Vec<u8>) -> Str {
        parse_i64(&text).map_or(Str::Bytes(text), Str::Int)
    }

    /// The string as a borrowed element.
    pub fn as_elem(&self) -> Elem<'_> {
        match self {
            Str::Int(v) => Elem::Int(*v),
            Str::Bytes(bytes) => Elem::Bytes(bytes),
        }
    }
}

/// A value on its own, outside of an entry.
#[derive(Debug, Clone)]
pub enum Value {
    /// A string.
    Str(Str),
}

impl Value {
    /// Its type.
    pub fn kind(&self) -> Kind {
        match self {
            Value::Str(_) => Kind::Str,
        }
    }
}

impl From<Str> for Value {
    fn from(value: Str) -> Value {
        Value::Str(value)
    }
}

/// The value of an entry, for reading.
#[derive(Debug, Clone, Copy)]
pub enum ValueRef<'a> {
    /// A string.
    Str(Elem<'a>),
}

impl ValueRef<'_> {
    /// A deep copy.
    pub fn to_value(self) -> Value {
        match self {
            ValueRef::Str(Elem::Int(v)) => Value::Str(Str::Int(v)),
            ValueRef::Str(Elem::Bytes(bytes)) => Value::Str(Str::Bytes(bytes.to_vec())),
        }
    }
}

/// The value of an entry, for changing it in place.
#[derive(Debug)]
pub enum ValueMut<'a> {
    /// A string.
    Str(StrMut<'a>),
}

/// The string value of an entry, for changing it in place.
#[derive(Debug)]
pub struct StrMut<'a>(pub(super) &'a mut Entry);

impl StrMut<'_> {
    /// The string as it is.
    pub fn get(&self) -> Elem<'_> {
        match self.0.value() {
            ValueRef::Str(elem) => elem,
        }
    }

    /// The bytes, to be changed in any way (APPEND, SETRANGE, SETBIT). From here on the string is encoded `raw`, whatever its
    /// length, until it is set anew.
    pub fn to_mut(&mut self) -> &mut Vec<u8> {
        self.0.raw_mut()
    }

    /// Replaces the string, with the best encoding.
    pub fn set(&mut self, text: &[u8]) {
        self.0.set_str(text);
    }

    /// Replaces the string by an integer, in place if it was one.
    pub fn set_int(&mut self, value: i64) {
        self.0.set_int(value);
    }
}
