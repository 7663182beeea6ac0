//! Looking up a key that must be of one type.

use super::db::Db;
use crate::data::elem::Elem;
use crate::data::hash::Hash;
use crate::data::list::List;
use crate::data::set::Set;
use crate::data::stream::Stream;
use crate::data::value::{StrMut, Value, ValueMut, ValueRef};
use crate::data::zset::Zset;

/// The key holds a value of another type than the command works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrongType;

impl std::fmt::Display for WrongType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WRONGTYPE Operation against a key holding the wrong kind of value")
    }
}

impl std::error::Error for WrongType {}

impl Db {
    /// The string of a key, looked up as by [`read`](Self::read).
    ///
    /// # Errors
    /// If the key holds another type.
    pub fn read_str(&mut self, key: &[u8]) -> Result<Option<Elem<'_>>, WrongType> {
        self.read(key).map(|entry| entry.as_str().ok_or(WrongType)).transpose()
    }

    /// The string of a key, looked up as by [`get`](Self::get).
    ///
    /// # Errors
    /// If the key holds another type.
    pub fn get_str(&self, key: &[u8]) -> Result<Option<Elem<'_>>, WrongType> {
        self.get(key).map(|entry| entry.as_str().ok_or(WrongType)).transpose()
    }

    /// The string of a key to be changed, looked up as by [`write`](Self::write).
    ///
    /// # Errors
    /// If the key holds another type.
    pub fn write_str(&mut self, key: &[u8]) -> Result<Option<StrMut<'_>>, WrongType> {
        self.write(key).map(|entry| entry.as_str_mut().ok_or(WrongType)).transpose()
    }
}

macro_rules! typed {
    ($($object:ident $read:ident $get:ident $write:ident $or_new:ident)*) => {
        impl Db {
            $(
                #[doc = concat!("The ", stringify!($object), " of a key, looked up as by [`read`](Self::read).")]
                ///
                /// # Errors
                /// If the key holds another type.
                pub fn $read(&mut self, key: &[u8]) -> Result<Option<&$object>, WrongType> {
                    match self.read(key).map(|entry| entry.value()) {
                        None => Ok(None),
                        Some(ValueRef::$object(object)) => Ok(Some(object)),
                        Some(_) => Err(WrongType),
                    }
                }

                #[doc = concat!("The ", stringify!($object), " of a key, looked up as by [`get`](Self::get).")]
                ///
                /// # Errors
                /// If the key holds another type.
                pub fn $get(&self, key: &[u8]) -> Result<Option<&$object>, WrongType> {
                    match self.get(key).map(|entry| entry.value()) {
                        None => Ok(None),
                        Some(ValueRef::$object(object)) => Ok(Some(object)),
                        Some(_) => Err(WrongType),
                    }
                }

                #[doc = concat!("The ", stringify!($object), " of a key to be changed, looked up as by [`write`](Self::write).")]
                ///
                /// # Errors
                /// If the key holds another type.
                pub fn $write(&mut self, key: &[u8]) -> Result<Option<&mut $object>, WrongType> {
                    match self.write(key).map(|entry| entry.value_mut()) {
                        None => Ok(None),
                        Some(ValueMut::$object(object)) => Ok(Some(object)),
                        Some(_) => Err(WrongType),
                    }
                }

                #[doc = concat!("The ", stringify!($object), " of a key to be changed, an empty one that is put in if there is no key.")]
                /// An empty collection must not stay: fill it, or call [`delete_if_empty`](Self::delete_if_empty).
                ///
                /// # Errors
                /// If the key holds another type.
                pub fn $or_new(&mut self, key: &[u8]) -> Result<&mut $object, WrongType> {
                    match self.write_or_insert(key, || Value::$object($object::new())).0.value_mut() {
                        ValueMut::$object(object) => Ok(object),
                        _ => Err(WrongType),
                    }
                }
            )*
        }
    };
}

typed! {
    List read_list get_list write_list list_or_new
    Set read_set get_set write_set set_or_new
    Hash read_hash get_hash write_hash hash_or_new
    Zset read_zset get_zset write_zset zset_or_new
    Stream read_stream get_stream write_stream stream_or_new
}
