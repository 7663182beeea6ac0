//! An RDB file as a sequence of items: auxiliary fields, databases, keys, the end.
//!
//! The parser knows the frame of a file, not its values: at a key it stops before the value, which the caller reads
//! or skips.

use std::io::Read;

use super::error::{ErrorKind, RdbError, Result};
use super::format::{self, FIRST_VERSION_WITH_CHECKSUM, Magic, ValueType, VersionCheck, module, opcode};
use super::reader::{Observer, Reader};

/// A slot import is named like a node of a cluster.
const SLOT_IMPORT_NAME_LEN: usize = 40;

/// What comes next in a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Item {
    /// An auxiliary field: its name is in [`Parser::name`], its value in [`Parser::text`].
    Aux,
    /// The following keys belong to this database.
    SelectDb(u64),
    /// The current database has this many keys, of which some expire. Only a hint, and not to be trusted.
    Resize {
        /// Keys.
        keys: u64,
        /// Keys with an expiry.
        expires: u64,
    },
    /// A function library, whose code is in [`Parser::text`].
    Function,
    /// Data of the module type of this id that belongs to no key; [`Parser::skip_module_value`] comes next.
    ModuleAux(u64),
    /// A cluster's slot import was under way.
    SlotImport,
    /// A key, whose name is in [`Parser::name`]; the reader stands at its value.
    Key(KeyHead),
    /// The end of the file, its checksum right or absent as told.
    End(Checksum),
}

/// What precedes a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KeyHead {
    /// How the value is laid out.
    pub value_type: ValueType,
    /// When the key expires, in milliseconds of Unix time.
    pub expire_at: Option<i64>,
    /// Seconds since the last access.
    pub idle_seconds: Option<u64>,
    /// Access frequency counter (LFU).
    pub frequency: Option<u8>,
}

/// What became of the checksum at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// It is right.
    Verified,
    /// The file says that none was computed.
    Disabled,
    /// It was not looked at, as asked.
    Ignored,
    /// So old a file has none.
    Absent,
}

/// What was being read when something turned out to be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// The first nine bytes.
    Start,
    /// The byte that says what comes next.
    Type,
    /// The expiry of a key.
    Expiry,
    /// The name of a key.
    Key,
    /// A value.
    Value,
    /// The checksum at the end.
    Checksum,
    /// The number of a database, or how many keys it has.
    Length,
    /// An auxiliary field.
    Aux,
    /// Data of a module that belongs to no key.
    ModuleAux,
    /// A function library.
    Function,
}

impl Doing {
    /// As valkey-check-rdb prints it.
    pub fn name(self) -> &'static str {
        match self {
            Doing::Start => "start",
            Doing::Type => "read-type",
            Doing::Expiry => "read-expire",
            Doing::Key => "read-key",
            Doing::Value => "read-object-value",
            Doing::Checksum => "check-sum",
            Doing::Length => "read-len",
            Doing::Aux => "read-aux",
            Doing::ModuleAux => "read-module-aux",
            Doing::Function => "read-functions",
        }
    }
}

/// Reads a file item by item.
pub struct Parser<R, O> {
    /// The reader; at a key, it stands at the value.
    pub reader: Reader<R, O>,
    /// Name of the present key or auxiliary field.
    pub name: Vec<u8>,
    /// Value of the present auxiliary field, or code of the present function library.
    pub text: Vec<u8>,
    /// What is being read, or was when an error came.
    pub doing: Doing,
    magic: Magic,
}

impl<R: Read, O: Observer> Parser<R, O> {
    /// Reads the first nine bytes and refuses what is no file of a version that can be read.
    pub fn new(mut reader: Reader<R, O>, check: VersionCheck) -> Result<Self> {
        let Some(magic) = Magic::parse(&reader.array()?) else { return Err(reader.error(ErrorKind::WrongSignature)) };
        if !magic.accepted(check) {
            return Err(reader.error(ErrorKind::UnsupportedVersion(magic.version())));
        }
        Ok(Parser { reader, name: Vec::new(), text: Vec::new(), doing: Doing::Start, magic })
    }

    /// The version that the file announced.
    pub fn version(&self) -> u32 {
        self.magic.version()
    }

    /// Whether the numbers of a value types and opcodes may mean something else than here.
    fn is_foreign(&self) -> bool {
        (format::FOREIGN_FIRST..=format::FOREIGN_LAST).contains(&self.version())
    }

    /// Reads up to and including the next item. After [`Item::End`] there is none.
    pub fn next_item(&mut self) -> Result<Item> {
        let mut expire_at = None;
        let mut idle_seconds = None;
        let mut frequency = None;
        loop {
            self.doing = Doing::Type;
            let code = self.reader.byte()?;
            if self.is_foreign() && (ValueType::Hash2.code()..=opcode::SLOT_IMPORT).contains(&code) {
                return Err(self.unknown_type(code));
            }
            match code {
                opcode::EXPIRETIME => {
                    self.doing = Doing::Expiry;
                    expire_at = Some(i64::from(self.reader.int32()?) * 1000);
                }
                opcode::EXPIRETIME_MS => {
                    self.doing = Doing::Expiry;
                    expire_at = Some(self.reader.int64()?);
                }
                opcode::FREQ => frequency = Some(self.reader.byte()?),
                opcode::IDLE => idle_seconds = Some(self.reader.length()?),
                opcode::SLOT_INFO => {
                    for _ in 0..3 {
                        self.reader.length()?;
                    }
                }
                opcode::AUX => {
                    self.doing = Doing::Aux;
                    self.reader.string_into(&mut self.name)?;
                    self.reader.string_into(&mut self.text)?;
                    return Ok(Item::Aux);
                }
                opcode::SELECTDB => {
                    self.doing = Doing::Length;
                    return self.reader.length().map(Item::SelectDb);
                }
                opcode::RESIZEDB => {
                    self.doing = Doing::Length;
                    return Ok(Item::Resize { keys: self.reader.length()?, expires: self.reader.length()? });
                }
                opcode::FUNCTION => {
                    self.doing = Doing::Function;
                    self.reader.string_into(&mut self.text)?;
                    return Ok(Item::Function);
                }
                opcode::FUNCTION_PRE_GA => {
                    let what = "Pre-release function format not supported";
                    return Err(self.reader.error(ErrorKind::Unsupported(what.into())));
                }
                opcode::MODULE_AUX => return self.module_aux(),
                opcode::SLOT_IMPORT => return self.slot_import(),
                opcode::EOF => return self.end().map(Item::End),
                code => {
                    let value_type = ValueType::from_code(code).ok_or_else(|| self.unknown_type(code))?;
                    self.doing = Doing::Key;
                    self.reader.string_into(&mut self.name)?;
                    self.doing = Doing::Value;
                    return Ok(Item::Key(KeyHead { value_type, expire_at, idle_seconds, frequency }));
                }
            }
        }
    }

    #[cold]
    fn unknown_type(&self, code: u8) -> RdbError {
        self.reader.error(ErrorKind::UnknownType { code, version: self.version() })
    }

    fn module_aux(&mut self) -> Result<Item> {
        self.doing = Doing::ModuleAux;
        let id = self.reader.length()?;
        let when_tag = self.reader.length()?;
        self.reader.length()?;
        if when_tag != module::UINT {
            return Err(self.reader.corrupt("bad when_opcode"));
        }
        Ok(Item::ModuleAux(id))
    }

    /// Skips a module's data, in typed pieces up to an end mark.
    pub fn skip_module_value(&mut self) -> Result<()> {
        skip_module_value(&mut self.reader)
    }

    fn slot_import(&mut self) -> Result<Item> {
        if self.reader.string()?.elem().len() != SLOT_IMPORT_NAME_LEN {
            return Err(self.reader.corrupt("Invalid slot import job name length in RDB"));
        }
        for _ in 0..self.reader.length()? {
            self.reader.length()?;
            self.reader.length()?;
        }
        Ok(Item::SlotImport)
    }

    fn end(&mut self) -> Result<Checksum> {
        if self.version() < FIRST_VERSION_WITH_CHECKSUM {
            return Ok(Checksum::Absent);
        }
        self.doing = Doing::Checksum;
        let computed = self.reader.checksum();
        let stored = u64::from_le_bytes(self.reader.array()?);
        match computed {
            None => Ok(Checksum::Ignored),
            Some(_) if stored == 0 => Ok(Checksum::Disabled),
            Some(computed) if computed == stored => Ok(Checksum::Verified),
            Some(computed) => Err(self.reader.error(ErrorKind::WrongChecksum { computed, stored })),
        }
    }
}

/// Skips a module's data, in typed pieces up to an end mark.
pub fn skip_module_value<R: Read, O: Observer>(reader: &mut Reader<R, O>) -> Result<()> {
    loop {
        match reader.length()? {
            module::EOF => return Ok(()),
            module::SINT | module::UINT => reader.length().map(drop)?,
            module::FLOAT => reader.skip(4)?,
            module::DOUBLE => reader.skip(8)?,
            module::STRING => reader.skip_string()?,
            _ => return Err(reader.corrupt("Unknown tag in a module's value")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persistence::rdb::writer::{Writer, WriterOptions};

    fn file(magic: &[u8; 9], body: &[u8]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), WriterOptions::default());
        writer.bytes(magic).unwrap();
        writer.bytes(body).unwrap();
        writer.byte(opcode::EOF).unwrap();
        writer.finish().unwrap().0
    }

    fn parser(bytes: &[u8]) -> Parser<&[u8], ()> {
        Parser::new(Reader::new(bytes), VersionCheck::Strict).unwrap()
    }

    fn open_error(bytes: &[u8], check: VersionCheck) -> String {
        Parser::new(Reader::new(bytes), check).err().map(|e| e.to_string()).unwrap_or_default()
    }

    #[test]
    fn what_stands_before_a_key_belongs_to_that_key_only() {
        let bytes = file(
            b"VALKEY080",
            b"\xfe\x05\xfb\x02\x01\xfc\x01\x00\x00\x00\x00\x00\x00\x00\xf9\x07\x00\x01a\x01x\xfd\x01\x00\x00\x00\xf8\x09\x00\x01b\x01y\x00\x01c\x01z",
        );
        let mut parser = parser(&bytes);
        assert_eq!(parser.next_item().unwrap(), Item::SelectDb(5));
        assert_eq!(parser.next_item().unwrap(), Item::Resize { keys: 2, expires: 1 });
        let mut key = |name: &[u8], expire_at, idle_seconds, frequency| {
            let head = KeyHead { value_type: ValueType::String, expire_at, idle_seconds, frequency };
            assert_eq!(parser.next_item().unwrap(), Item::Key(head));
            assert_eq!(parser.name, name);
            parser.reader.skip_string().unwrap();
        };
        key(b"a", Some(1), None, Some(7));
        key(b"b", Some(1000), Some(9), None);
        key(b"c", None, None, None);
        assert_eq!(parser.next_item().unwrap(), Item::End(Checksum::Verified));
    }

    #[test]
    fn auxiliary_fields_and_functions_are_reported_and_slot_sizes_skipped() {
        let bytes = file(b"REDIS0011", b"\xfa\x03foo\xc0\x07\xf4\x01\x02\x03\xf5\x04code");
        let mut parser = parser(&bytes);
        assert_eq!(parser.next_item().unwrap(), Item::Aux);
        assert_eq!((&parser.name[..], &parser.text[..]), (&b"foo"[..], &b"7"[..]));
        assert_eq!(parser.next_item().unwrap(), Item::Function);
        assert_eq!(parser.text, b"code");
        assert_eq!(parser.next_item().unwrap(), Item::End(Checksum::Verified));
    }

    #[test]
    fn data_of_a_module_can_be_skipped() {
        let bytes = file(b"REDIS0011", b"\xf7\x01\x02\x01\x01\x05\x02\x06\x03aaaa\x04bbbbbbbb\x05\x02cc\x00");
        let mut parser = parser(&bytes);
        assert_eq!(parser.next_item().unwrap(), Item::ModuleAux(1));
        parser.skip_module_value().unwrap();
        assert_eq!(parser.next_item().unwrap(), Item::End(Checksum::Verified));
    }

    #[test]
    fn what_is_no_rdb_file_or_of_a_foreign_version_is_refused_at_once() {
        let strict = |bytes| open_error(bytes, VersionCheck::Strict);
        assert_eq!(strict(b"hello world"), "Wrong signature trying to load DB from file at byte 9");
        assert_eq!(strict(b"REDIS0012"), "Can't handle RDB format version 12 at byte 9");
        assert_eq!(strict(b"VALKEY081"), "Can't handle RDB format version 81 at byte 9");
        assert_eq!(strict(b"REDIS"), "Unexpected EOF reading RDB file at byte 5");
    }

    #[test]
    fn under_the_relaxed_check_foreign_types_are_refused_one_by_one() {
        let bytes = file(b"REDIS0075", b"\x00\x01a\x01b\x96");
        let mut parser = Parser::new(Reader::new(&bytes[..]), VersionCheck::Relaxed).unwrap();
        assert!(matches!(parser.next_item(), Ok(Item::Key(_))));
        parser.reader.skip_string().unwrap();
        let error = parser.next_item().unwrap_err().to_string();
        assert_eq!(error, "Can't handle foreign type or opcode 150 in RDB with version 75 at byte 15");
    }

    #[test]
    fn a_wrong_checksum_is_an_error_and_zero_means_that_none_was_computed() {
        let mut bytes = file(b"REDIS0011", b"\xfe\x00");
        let end = bytes.len() - 8;
        bytes[end] ^= 1;
        let mut bad = parser(&bytes);
        bad.next_item().unwrap();
        assert!(bad.next_item().unwrap_err().to_string().starts_with("Wrong RDB checksum expected: ("));
        bytes[end..].fill(0);
        let mut disabled = parser(&bytes);
        disabled.next_item().unwrap();
        assert_eq!(disabled.next_item().unwrap(), Item::End(Checksum::Disabled));
        let mut ignored = parser(&bytes);
        ignored.reader.forget_checksum();
        ignored.next_item().unwrap();
        assert_eq!(ignored.next_item().unwrap(), Item::End(Checksum::Ignored));
        let mut old = parser(b"REDIS0004\xff");
        assert_eq!(old.next_item().unwrap(), Item::End(Checksum::Absent));
    }
}
