//! Reads values, of every layout that Valkey reads, into today's encodings.

use std::io::Read;

use super::error::{ErrorKind, Result};
use super::format::{ValueType, module, quicklist_node};
use super::legacy::{Invalid, Ziplist, Zipmap};
use super::parser::KeyHead;
use super::reader::{Observer, Reader, Text};
use super::stream;
use crate::data::elem::{Elem, IntText};
use crate::data::entry::Entry;
use crate::data::hash::{FieldExpiry, Hash};
use crate::data::intset::Intset;
use crate::data::limits::Limits;
use crate::data::list::{End, List, Node};
use crate::data::listpack::Listpack;
use crate::data::set::Set;
use crate::data::value::{Str, Value};
use crate::data::zset::{Change, Zset};

/// How to read values.
#[derive(Clone, Copy, Debug)]
pub struct ValueOptions<'a> {
    /// Where compact encodings end.
    pub limits: &'a Limits,
    /// Whether to make sure that members of compact encodings are distinct and in order (`sanitize-dump-payload`).
    /// Everything else is always checked.
    pub deep: bool,
}

/// Reads the value of a key into an entry. An error does not name the key yet.
pub fn load_entry<R: Read, O: Observer>(
    reader: &mut Reader<R, O>,
    key: &[u8],
    head: &KeyHead,
    options: &ValueOptions<'_>,
) -> Result<Entry> {
    if u32::try_from(key.len()).is_err() {
        return Err(reader.corrupt("Key too long"));
    }
    if head.value_type != ValueType::String {
        let value = load_value(reader, head.value_type, options)?;
        return Ok(Entry::new(key, value, head.expire_at));
    }
    Ok(match reader.string()? {
        Text::Int(number) => Entry::new_int(key, number, head.expire_at),
        Text::Borrowed(bytes) => Entry::new_str(key, bytes, head.expire_at),
        Text::Owned(bytes) => Entry::new(key, Value::Str(Str::from_vec(bytes)), head.expire_at),
    })
}

/// Reads a value.
///
/// One without elements gives [`ErrorKind::EmptyValue`], with the reader at what follows it.
pub fn load_value<R: Read, O: Observer>(
    reader: &mut Reader<R, O>,
    value_type: ValueType,
    options: &ValueOptions<'_>,
) -> Result<Value> {
    use ValueType as T;
    Loader { reader, options }.value(value_type).and_then(|value| {
        let empty = match &value {
            Value::Str(_) | Value::Stream(_) => false,
            Value::List(list) => list.is_empty(),
            Value::Set(set) => set.is_empty(),
            Value::Hash(hash) => hash.is_empty(),
            Value::Zset(zset) => zset.is_empty(),
        };
        // An intset or zipmap is never written empty.
        match value_type {
            T::SetIntset | T::HashZipmap if empty => Err(reader.corrupt("Empty intset or zipmap")),
            _ if empty => Err(reader.error(ErrorKind::EmptyValue)),
            _ => Ok(value),
        }
    })
}

struct Loader<'r, 'o, R, O> {
    reader: &'r mut Reader<R, O>,
    options: &'r ValueOptions<'o>,
}

impl<R: Read, O: Observer> Loader<'_, '_, R, O> {
    fn value(&mut self, value_type: ValueType) -> Result<Value> {
        use ValueType as T;
        Ok(match value_type {
            T::String => Value::Str(match self.reader.string()? {
                Text::Int(number) => Str::Int(number),
                Text::Borrowed(bytes) => Str::parse(bytes),
                Text::Owned(bytes) => Str::from_vec(bytes),
            }),
            T::List => Value::List(self.list()?),
            T::ListZiplist => Value::List(self.list_of_ziplist()?),
            T::ListQuicklist => Value::List(self.list_of_ziplists()?),
            T::ListQuicklist2 => Value::List(self.list_of_nodes()?),
            T::Set => Value::Set(self.set()?),
            T::SetIntset => Value::Set(self.set_of_intset()?),
            T::SetListpack => Value::Set(self.set_of_listpack()?),
            T::Hash | T::Hash2 => Value::Hash(self.hash(value_type == T::Hash2)?),
            T::HashZipmap => Value::Hash(self.hash_of_zipmap()?),
            T::HashZiplist => {
                const WRONG: &str = "Hash ziplist integrity check failed";
                let pairs = self.ziplist(WRONG)?;
                self.compact_hash(pairs, true, WRONG)?
            }
            T::HashListpack => {
                const WRONG: &str = "Hash listpack integrity check failed";
                let pairs = self.listpack(WRONG)?;
                self.compact_hash(pairs, self.options.deep, WRONG)?
            }
            T::Zset | T::Zset2 => Value::Zset(self.zset(value_type == T::Zset2)?),
            T::ZsetZiplist => {
                const WRONG: &str = "Zset ziplist integrity check failed";
                let pairs = self.ziplist(WRONG)?;
                self.compact_zset(pairs, true, WRONG)?
            }
            T::ZsetListpack => {
                const WRONG: &str = "Zset listpack integrity check failed";
                let pairs = self.listpack(WRONG)?;
                self.compact_zset(pairs, self.options.deep, WRONG)?
            }
            T::StreamListpacks | T::StreamListpacks2 | T::StreamListpacks3 => {
                Value::Stream(stream::load(self.reader, value_type, self.options.deep)?)
            }
            T::ModulePreGa => return Err(self.unsupported("Pre-release module format not supported")),
            T::Module2 => {
                let name = module::type_name(self.reader.length()?);
                let what = format!("The RDB file contains module data I can't load: no matching module type '{name}'");
                return Err(self.reader.error(ErrorKind::Unsupported(what.into())));
            }
        })
    }

    #[cold]
    fn unsupported(&self, what: &'static str) -> super::error::RdbError {
        self.reader.error(ErrorKind::Unsupported(what.into()))
    }

    /// A count of elements. More than this machine could hold are taken as that many: the input ends before.
    fn count(&mut self) -> Result<usize> {
        self.reader.length().map(|count| usize::try_from(count).unwrap_or(usize::MAX))
    }

    fn listpack(&mut self, wrong: &'static str) -> Result<Listpack> {
        let bytes = self.reader.blob()?;
        Listpack::from_bytes(bytes).map_err(|_| self.reader.corrupt(wrong))
    }

    /// A ziplist, as a listpack.
    fn ziplist(&mut self, wrong: &'static str) -> Result<Listpack> {
        let bytes = self.reader.blob()?;
        let convert = || -> std::result::Result<Listpack, Invalid> {
            let mut listpack = Listpack::with_capacity(bytes.len());
            for element in Ziplist::new(&bytes)? {
                push(&mut listpack, element?)?;
            }
            listpack.shrink_to_fit();
            Ok(listpack)
        };
        convert().map_err(|Invalid| self.reader.corrupt(wrong))
    }

    fn list(&mut self) -> Result<List> {
        let mut list = List::to_build();
        for _ in 0..self.count()? {
            let text = self.reader.string()?;
            list.push(End::Back, text.bytes(&mut IntText::new()), self.options.limits);
        }
        Ok(list.built(self.options.limits))
    }

    /// One ziplist of any size, which becomes as many nodes as its elements need.
    fn list_of_ziplist(&mut self) -> Result<List> {
        let bytes = self.reader.blob()?;
        let convert = || -> std::result::Result<List, Invalid> {
            let mut list = List::new();
            for element in Ziplist::new(&bytes)? {
                list.push(End::Back, element?.text(&mut IntText::new()), self.options.limits);
            }
            Ok(list)
        };
        convert().map_err(|Invalid| self.reader.corrupt("List ziplist integrity check failed"))
    }

    fn list_of_ziplists(&mut self) -> Result<List> {
        let mut nodes = Vec::new();
        for _ in 0..self.count()? {
            nodes.push(Node::Packed(self.ziplist("Ziplist integrity check failed")?));
        }
        Ok(List::from_nodes(nodes, self.options.limits))
    }

    fn list_of_nodes(&mut self) -> Result<List> {
        let mut nodes = Vec::new();
        for _ in 0..self.count()? {
            let node = match self.reader.length()? {
                quicklist_node::PACKED => Node::Packed(self.listpack("Listpack integrity check failed")?),
                quicklist_node::PLAIN => match self.reader.blob()? {
                    empty if empty.is_empty() => return Err(self.reader.corrupt("Empty quicklist node")),
                    bytes => Node::Plain(bytes.into_boxed_slice()),
                },
                _ => return Err(self.reader.corrupt("Quicklist integrity check failed")),
            };
            nodes.push(node);
        }
        Ok(List::from_nodes(nodes, self.options.limits))
    }

    fn set(&mut self) -> Result<Set> {
        let count = self.count()?;
        let mut set = Set::for_loading(count, self.options.limits);
        for _ in 0..count {
            let new = set.add_elem(self.reader.string()?.elem(), self.options.limits);
            if !new {
                return Err(self.reader.corrupt("Duplicate set members detected"));
            }
        }
        Ok(set)
    }

    fn set_of_intset(&mut self) -> Result<Set> {
        let bytes = self.reader.blob()?;
        let ints = Intset::from_bytes(bytes).map_err(|_| self.reader.corrupt("Intset integrity check failed"))?;
        Ok(Set::from_intset(ints, self.options.limits))
    }

    fn set_of_listpack(&mut self) -> Result<Set> {
        const WRONG: &str = "Set listpack integrity check failed";
        let members = self.listpack(WRONG)?;
        Set::from_listpack(members, self.options.deep, self.options.limits).ok_or_else(|| self.reader.corrupt(WRONG))
    }

    fn hash(&mut self, with_expiry: bool) -> Result<Hash> {
        let count = self.count()?;
        let mut hash = Hash::for_loading(count, self.options.limits);
        let mut name = Vec::new();
        let mut value = Vec::new();
        for _ in 0..count {
            self.reader.string_into(&mut name)?;
            let new = if with_expiry {
                self.reader.string_into(&mut value)?;
                let expire_at = Some(self.reader.int64()?).filter(|at| *at >= 0);
                let expiry = expire_at.map_or(FieldExpiry::Clear, FieldExpiry::At);
                hash.set_with(&name, &value, expiry, self.options.limits)
            } else {
                let value = self.reader.string()?;
                hash.set(&name, value.bytes(&mut IntText::new()), self.options.limits)
            };
            if !new {
                return Err(self.reader.corrupt("Duplicate hash fields detected"));
            }
        }
        Ok(hash)
    }

    fn hash_of_zipmap(&mut self) -> Result<Hash> {
        let bytes = self.reader.blob()?;
        let convert = || -> std::result::Result<Hash, Invalid> {
            let mut hash = Hash::new();
            for pair in Zipmap::new(&bytes)? {
                let (name, value) = pair?;
                if !hash.set(name, value, self.options.limits) {
                    return Err(Invalid);
                }
            }
            Ok(hash)
        };
        convert().map_err(|Invalid| self.reader.corrupt("Zipmap integrity check failed"))
    }

    fn compact_hash(&self, pairs: Listpack, check: bool, wrong: &'static str) -> Result<Value> {
        let hash = Hash::from_listpack(pairs, check, self.options.limits);
        hash.map(Value::Hash).ok_or_else(|| self.reader.corrupt(wrong))
    }

    fn zset(&mut self, binary_scores: bool) -> Result<Zset> {
        let count = self.count()?;
        let mut zset = Zset::for_members(count, 0, self.options.limits);
        let mut member = Vec::new();
        for _ in 0..count {
            self.reader.string_into(&mut member)?;
            let score = if binary_scores { self.reader.double()? } else { self.reader.text_double()? };
            if score.is_nan() {
                return Err(self.reader.corrupt("Zset with NAN score detected"));
            }
            if zset.insert(&member, score, self.options.limits) != Change::Added {
                return Err(self.reader.corrupt("Duplicate zset fields detected"));
            }
        }
        // The limits may be wider than where it was written.
        zset.compact(self.options.limits);
        Ok(zset)
    }

    fn compact_zset(&self, pairs: Listpack, check: bool, wrong: &'static str) -> Result<Value> {
        let zset = Zset::from_listpack(pairs, check, self.options.limits);
        zset.map(Value::Zset).ok_or_else(|| self.reader.corrupt(wrong))
    }
}

/// Appends an element of a ziplist, unless the listpack would grow too large.
fn push(listpack: &mut Listpack, element: Elem<'_>) -> std::result::Result<(), Invalid> {
    match element {
        Elem::Int(number) => listpack.push_back(number),
        Elem::Bytes(text) if listpack.fits(text.len().saturating_add(16)) => listpack.push_back(text),
        Elem::Bytes(_) => return Err(Invalid),
    }
    Ok(())
}
