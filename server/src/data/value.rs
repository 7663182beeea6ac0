//! The value of a key: what kinds there are, owned and borrowed.

use super::elem::Elem;
use super::entry::Entry;
use super::hash::Hash;
use super::list::List;
use super::num::parse_i64;
use super::set::Set;
use super::stream::Stream;
use super::zset::Zset;

/// Calls a macro with every type of value but strings: its name, and what `TYPE` answers. A type stands here and is then known to
/// the enums below and to [`Entry`]; it has `encoding()`, `is_empty()`, `heap_size(samples)` and `free_effort()`, and is at most 32
/// bytes itself.
macro_rules! for_each_object {
    ($callback:ident) => {
        $callback! { List "list" Set "set" Hash "hash" Zset "zset" Stream "stream" }
    };
}
pub(super) use for_each_object;

macro_rules! define {
    ($($object:ident $name:literal)*) => {
        /// The types that a key can have.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Kind {
            /// A string.
            Str,
            $(#[doc = concat!("A ", $name, ".")] $object,)*
        }

        impl Kind {
            /// All types, in the order of their numbers.
            pub(super) const ALL: &[Kind] = &[Kind::Str, $(Kind::$object),*];

            /// The name that `TYPE` answers.
            pub fn name(self) -> &'static str {
                match self {
                    Kind::Str => "string",
                    $(Kind::$object => $name,)*
                }
            }
        }

        /// A value on its own, outside of an entry.
        #[derive(Debug, Clone)]
        pub enum Value {
            /// A string.
            Str(Str),
            $(#[doc = concat!("A ", $name, ".")] $object($object),)*
        }

        impl Value {
            /// Its type.
            pub fn kind(&self) -> Kind {
                match self {
                    Value::Str(_) => Kind::Str,
                    $(Value::$object(_) => Kind::$object,)*
                }
            }

            /// Allocations that dropping the value frees, roughly; many are better freed on another thread.
            pub fn free_effort(&self) -> usize {
                match self {
                    Value::Str(_) => 1,
                    $(Value::$object(object) => object.free_effort(),)*
                }
            }
        }

        $(impl From<$object> for Value {
            fn from(value: $object) -> Value {
                Value::$object(value)
            }
        })*

        /// The value of an entry, for reading.
        #[derive(Debug, Clone, Copy)]
        pub enum ValueRef<'a> {
            /// A string.
            Str(Elem<'a>),
            $(#[doc = concat!("A ", $name, ".")] $object(&'a $object),)*
        }

        impl ValueRef<'_> {
            /// A deep copy.
            pub fn to_value(self) -> Value {
                match self {
                    ValueRef::Str(Elem::Int(v)) => Value::Str(Str::Int(v)),
                    ValueRef::Str(Elem::Bytes(bytes)) => Value::Str(Str::Bytes(bytes.to_vec())),
                    $(ValueRef::$object(object) => Value::$object(object.clone()),)*
                }
            }
        }

        /// The value of an entry, for changing it in place.
        #[derive(Debug)]
        pub enum ValueMut<'a> {
            /// A string.
            Str(StrMut<'a>),
            $(#[doc = concat!("A ", $name, ".")] $object(&'a mut $object),)*
        }
    };
}
for_each_object!(define);

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

impl From<Str> for Value {
    fn from(value: Str) -> Value {
        Value::Str(value)
    }
}

/// The string value of an entry, for changing it in place.
#[derive(Debug)]
pub struct StrMut<'a>(pub(super) &'a mut Entry);

impl<'a> StrMut<'a> {
    /// The string as it is.
    pub fn get(&self) -> Elem<'_> {
        self.0.as_str().unwrap_or(Elem::Bytes(b""))
    }

    /// The bytes, to be changed in any way (APPEND, SETRANGE, SETBIT). From here on the string is encoded `raw`, whatever its
    /// length, until it is set anew.
    pub fn to_mut(&mut self) -> &mut Vec<u8> {
        self.0.raw_mut()
    }

    /// As [`to_mut`](Self::to_mut), for as long as the entry is borrowed.
    pub fn into_mut(self) -> &'a mut Vec<u8> {
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
