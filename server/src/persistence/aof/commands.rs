//! A data set as commands: the base of an append-only file without RDB preamble.

use std::io::{self, Write};

use crate::data::table::Keyed;
use crate::data::value::ValueRef;
use crate::resp::argv::encode_command;
use crate::server::Server;

/// Elements of a collection in one command.
const BATCH: usize = 64;

/// Writes all function libraries and all keys as commands that make them.
///
/// # Errors
/// Those of writing.
pub fn write(server: &Server, out: &mut impl Write) -> io::Result<()> {
    let mut bytes = Vec::new();
    for library in server.scripting.libraries.iter() {
        encode_command(&mut bytes, [&b"FUNCTION"[..], b"LOAD", &library.code]);
    }
    for db in server.keyspace.dbs() {
        if db.is_empty() {
            continue;
        }
        encode_command(&mut bytes, [&b"SELECT"[..], db.id().to_string().as_bytes()]);
        for entry in db.iter() {
            let key = entry.key();
            let mut batch = Batch { out: &mut bytes, key, name: b"", items: Vec::new(), per_command: BATCH };
            match entry.value() {
                ValueRef::Str(text) => batch.single(b"SET", &text.to_vec()),
                ValueRef::List(list) => {
                    batch.name = b"RPUSH";
                    list.iter().for_each(|item| batch.push([item.to_vec()]));
                }
                ValueRef::Set(set) => {
                    batch.name = b"SADD";
                    set.iter().for_each(|item| batch.push([item.to_vec()]));
                }
                ValueRef::Hash(hash) => {
                    batch.name = b"HMSET";
                    for field in hash.iter() {
                        let (name, value) = (field.name.to_vec(), field.value.to_vec());
                        match field.expire_at {
                            None => batch.push([name, value]),
                            Some(at) => batch.expiring(name, value, at),
                        }
                    }
                }
                ValueRef::Stream(stream) => super::stream::write(batch.out, key, stream),
                ValueRef::Zset(zset) => {
                    batch.name = b"ZADD";
                    zset.iter().for_each(|(member, score)| {
                        let mut text = Vec::new();
                        crate::resp::number::write_f64(&mut text, score);
                        batch.push([text, member.to_vec()]);
                    });
                }
            }
            batch.flush();
            if let Some(at) = entry.expire_at() {
                encode_command(&mut bytes, [&b"PEXPIREAT"[..], key, at.to_string().as_bytes()]);
            }
            if bytes.len() > 64 * 1024 {
                out.write_all(&bytes)?;
                bytes.clear();
            }
        }
    }
    out.write_all(&bytes)
}

/// Gathers elements into commands of bounded length.
struct Batch<'a> {
    out: &'a mut Vec<u8>,
    key: &'a [u8],
    name: &'static [u8],
    items: Vec<Vec<u8>>,
    per_command: usize,
}

impl Batch<'_> {
    fn single(&mut self, name: &[u8], value: &[u8]) {
        encode_command(self.out, [name, self.key, value]);
    }

    /// A field of a hash with its expiry.
    fn expiring(&mut self, name: Vec<u8>, value: Vec<u8>, at: i64) {
        let at = at.to_string();
        encode_command(self.out, [b"HSETEX", self.key, b"PXAT", at.as_bytes(), b"FIELDS", b"1", &name, &value]);
    }

    fn push<const N: usize>(&mut self, element: [Vec<u8>; N]) {
        self.items.extend(element);
        if self.items.len() >= self.per_command * N {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if !self.items.is_empty() {
            let args: Vec<&[u8]> = [self.name, self.key].into_iter().chain(self.items.iter().map(|i| &i[..])).collect();
            encode_command(self.out, args);
            self.items.clear();
        }
    }
}
