//! The constants of the RDB format: opcodes, type codes, versions and the first bytes of a file.

use std::fmt;

/// The version of the newest format, the one that DUMP payloads and Valkey 9 files carry.
pub const VERSION: u32 = 80;
/// The last version of the line that Valkey shares with Redis; every supported peer reads it.
pub const VERSION_SHARED: u32 = 11;
/// Versions from here to [`FOREIGN_LAST`] belong to Redis 7.4 and later, which number their own additions.
pub const FOREIGN_FIRST: u32 = 12;
/// See [`FOREIGN_FIRST`].
pub const FOREIGN_LAST: u32 = 79;
/// Bytes of the magic word and version at the start of a file.
pub const MAGIC_LEN: usize = 9;
/// Files of this version or newer end in a checksum.
pub const FIRST_VERSION_WITH_CHECKSUM: u32 = 5;

/// The first byte of everything in a file that is not a key.
pub mod opcode {
    /// Name of an atomic slot import under way (Valkey 9 cluster).
    pub const SLOT_IMPORT: u8 = 243;
    /// Sizes of one cluster slot: a hint of foreign origin, skipped.
    pub const SLOT_INFO: u8 = 244;
    /// The code of a function library.
    pub const FUNCTION: u8 = 245;
    /// A function library as release candidates of Redis 7.0 wrote it; nobody reads it.
    pub const FUNCTION_PRE_GA: u8 = 246;
    /// Data of a module that belongs to no key.
    pub const MODULE_AUX: u8 = 247;
    /// Seconds since the last access of the next key.
    pub const IDLE: u8 = 248;
    /// Access frequency counter of the next key.
    pub const FREQ: u8 = 249;
    /// A named auxiliary field.
    pub const AUX: u8 = 250;
    /// Number of keys, and of keys that expire, of the current database.
    pub const RESIZEDB: u8 = 251;
    /// Expiry of the next key in milliseconds of Unix time.
    pub const EXPIRETIME_MS: u8 = 252;
    /// Expiry of the next key in seconds of Unix time.
    pub const EXPIRETIME: u8 = 253;
    /// The database that the following keys belong to.
    pub const SELECTDB: u8 = 254;
    /// End of the file; a checksum follows.
    pub const EOF: u8 = 255;
}

/// How a value is laid out; the byte before each key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ValueType {
    /// A string.
    String = 0,
    /// A count and that many strings.
    List = 1,
    /// A count and that many strings.
    Set = 2,
    /// A count and pairs of string and score; scores as text.
    Zset = 3,
    /// A count and pairs of strings.
    Hash = 4,
    /// A count and pairs of string and score; scores as binary doubles.
    Zset2 = 5,
    /// A module's value as Redis 4.0 pre-releases wrote it: cannot even be skipped.
    ModulePreGa = 6,
    /// A module's value, in typed pieces.
    Module2 = 7,
    /// A hash as a zipmap.
    HashZipmap = 9,
    /// A list as one ziplist.
    ListZiplist = 10,
    /// A set of integers as an intset.
    SetIntset = 11,
    /// A sorted set as a ziplist of member, score pairs.
    ZsetZiplist = 12,
    /// A hash as a ziplist of field, value pairs.
    HashZiplist = 13,
    /// A list as a count and that many ziplists.
    ListQuicklist = 14,
    /// A stream as Redis 5 wrote it.
    StreamListpacks = 15,
    /// A hash as a listpack.
    HashListpack = 16,
    /// A sorted set as a listpack.
    ZsetListpack = 17,
    /// A list as a count and that many nodes, each a listpack or one large element.
    ListQuicklist2 = 18,
    /// A stream as Redis 7.0 wrote it.
    StreamListpacks2 = 19,
    /// A set as a listpack.
    SetListpack = 20,
    /// A stream.
    StreamListpacks3 = 21,
    /// A count and triples of field, value and expiry in milliseconds (-1: none).
    Hash2 = 22,
}

impl ValueType {
    /// Whether all or some of it is one block of bytes that has a layout of its own.
    pub fn is_compact(self) -> bool {
        use ValueType::*;
        !matches!(self, String | List | Set | Zset | Hash | Zset2 | ModulePreGa | Module2 | Hash2)
    }

    /// The type with this code; `None` for a code that the format does not have.
    pub fn from_code(code: u8) -> Option<Self> {
        use ValueType::*;
        Some(match code {
            0 => String,
            1 => List,
            2 => Set,
            3 => Zset,
            4 => Hash,
            5 => Zset2,
            6 => ModulePreGa,
            7 => Module2,
            9 => HashZipmap,
            10 => ListZiplist,
            11 => SetIntset,
            12 => ZsetZiplist,
            13 => HashZiplist,
            14 => ListQuicklist,
            15 => StreamListpacks,
            16 => HashListpack,
            17 => ZsetListpack,
            18 => ListQuicklist2,
            19 => StreamListpacks2,
            20 => SetListpack,
            21 => StreamListpacks3,
            22 => Hash2,
            _ => return None,
        })
    }

    /// The byte that stands for this type in a file.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// A short name for messages, as valkey-check-rdb prints it.
    pub fn name(self) -> &'static str {
        use ValueType::*;
        match self {
            String => "string",
            List => "list-linked",
            Set => "set-hashtable",
            Zset => "zset-v1",
            Hash => "hash-hashtable",
            Zset2 => "zset-v2",
            ModulePreGa => "module-pre-release",
            Module2 => "module-value",
            HashZipmap => "hash-zipmap",
            ListZiplist => "list-ziplist",
            SetIntset => "set-intset",
            ZsetZiplist => "zset-ziplist",
            HashZiplist => "hash-ziplist",
            ListQuicklist => "quicklist",
            StreamListpacks => "stream",
            HashListpack => "hash-listpack",
            ZsetListpack => "zset-listpack",
            ListQuicklist2 => "quicklist-v2",
            StreamListpacks2 => "stream-v2",
            SetListpack => "set-listpack",
            StreamListpacks3 => "stream-v3",
            Hash2 => "hash-volatile-items",
        }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The two most significant bits of a length's first byte, and the first bytes that stand for a wide length.
pub mod length {
    /// Largest length that fits the first byte.
    pub const MAX_6_BIT: u64 = (1 << 6) - 1;
    /// Largest length that fits two bytes.
    pub const MAX_14_BIT: u64 = (1 << 14) - 1;
    /// Top bits of a two-byte length.
    pub const TAG_14_BIT: u8 = 0x40;
    /// Four bytes follow, big-endian.
    pub const TAG_32_BIT: u8 = 0x80;
    /// Eight bytes follow, big-endian.
    pub const TAG_64_BIT: u8 = 0x81;
    /// Top bits of a byte whose other six say how a string is encoded; see [`super::string`].
    pub const TAG_ENCODED: u8 = 0xc0;
}

/// Special encodings of strings.
pub mod string {
    /// An 8-bit signed integer.
    pub const INT8: u8 = 0;
    /// A 16-bit signed integer, little-endian.
    pub const INT16: u8 = 1;
    /// A 32-bit signed integer, little-endian.
    pub const INT32: u8 = 2;
    /// Compressed length, plain length, LZF data.
    pub const LZF: u8 = 3;
}

/// How one node of a list of type [`ValueType::ListQuicklist2`] is kept.
pub mod quicklist_node {
    /// One large element.
    pub const PLAIN: u64 = 1;
    /// A listpack.
    pub const PACKED: u64 = 2;
}

/// The tags before each piece of a module's value.
pub mod module {
    /// No more pieces.
    pub const EOF: u64 = 0;
    /// A signed integer, written as a length.
    pub const SINT: u64 = 1;
    /// An unsigned integer, written as a length.
    pub const UINT: u64 = 2;
    /// A binary float of 4 bytes.
    pub const FLOAT: u64 = 3;
    /// A binary double of 8 bytes.
    pub const DOUBLE: u64 = 4;
    /// A string.
    pub const STRING: u64 = 5;

    /// The nine letters that a module's 64-bit type id spells.
    pub fn type_name(id: u64) -> String {
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        (0..9).map(|i| char::from(LETTERS[(id >> (58 - 6 * i) & 63) as usize])).collect()
    }
}

/// What a file announces in its first nine bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Magic {
    /// `REDIS` and four digits.
    Redis(u32),
    /// `VALKEY` and three digits.
    Valkey(u32),
}

impl Magic {
    /// The magic word that a file of `version` starts with.
    pub fn for_version(version: u32) -> Self {
        if version > FOREIGN_LAST { Magic::Valkey(version) } else { Magic::Redis(version) }
    }

    /// Reads the first nine bytes of a file; `None` when they are no RDB file's.
    pub fn parse(bytes: &[u8; MAGIC_LEN]) -> Option<Self> {
        if let Some(digits) = bytes.strip_prefix(b"VALKEY") {
            decimal(digits).map(Magic::Valkey)
        } else if let Some(digits) = bytes.strip_prefix(b"REDIS") {
            decimal(digits).map(Magic::Redis)
        } else {
            None
        }
    }

    /// Whether a file that begins with these bytes is meant to be an RDB file.
    pub fn begins(bytes: &[u8]) -> bool {
        bytes.starts_with(b"REDIS") || bytes.starts_with(b"VALKEY")
    }

    /// The nine bytes.
    pub fn bytes(self) -> [u8; MAGIC_LEN] {
        let text = match self {
            Magic::Redis(version) => format!("REDIS{version:04}"),
            Magic::Valkey(version) => format!("VALKEY{version:03}"),
        };
        let mut bytes = [0; MAGIC_LEN];
        bytes.copy_from_slice(&text.as_bytes()[..MAGIC_LEN]);
        bytes
    }

    /// The version number.
    pub fn version(self) -> u32 {
        match self {
            Magic::Redis(version) | Magic::Valkey(version) => version,
        }
    }

    /// Whether a file that starts like this can be read.
    pub fn accepted(self, check: VersionCheck) -> bool {
        let consistent = match self {
            Magic::Redis(version) => version <= FOREIGN_LAST,
            Magic::Valkey(version) => version > FOREIGN_LAST,
        };
        consistent && version_accepted(self.version(), check)
    }
}

fn decimal(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0u32, |n, d| d.is_ascii_digit().then(|| n * 10 + u32::from(d - b'0')))
}

/// How strict to be with a version that is not ours (`rdb-version-check`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VersionCheck {
    /// Only 1 to 11 and 80.
    #[default]
    Strict,
    /// Any version: what cannot be understood is refused when it is met.
    Relaxed,
}

/// Whether data of this version can be read, whatever magic word it came with (a DUMP payload has none).
pub fn version_accepted(version: u32, check: VersionCheck) -> bool {
    let ours = version <= VERSION && !(FOREIGN_FIRST..=FOREIGN_LAST).contains(&version);
    version >= 1 && (ours || check == VersionCheck::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_code_stands_for_one_type_and_back() {
        for code in 0..=u8::MAX {
            if let Some(found) = ValueType::from_code(code) {
                assert_eq!(found.code(), code);
            } else {
                assert!(code == 8 || code > 22, "{code}");
            }
        }
    }

    #[test]
    fn files_of_valkey_9_and_of_redis_up_to_7_2_are_accepted_and_foreign_ones_refused() {
        let accepted = |text: &[u8; 9]| Magic::parse(text).is_some_and(|m| m.accepted(VersionCheck::Strict));
        for text in [b"REDIS0001", b"REDIS0010", b"REDIS0011", b"VALKEY080"] {
            assert!(accepted(text), "{}", String::from_utf8_lossy(text));
        }
        for text in [b"REDIS0000", b"REDIS0012", b"REDIS0079", b"REDIS0080", b"VALKEY011", b"VALKEY081", b"REDIS00x1"] {
            assert!(!accepted(text), "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn the_relaxed_check_accepts_foreign_and_newer_versions_but_not_a_wrong_magic_word() {
        let accepted = |text: &[u8; 9]| Magic::parse(text).is_some_and(|m| m.accepted(VersionCheck::Relaxed));
        assert!(accepted(b"REDIS0012"));
        assert!(accepted(b"VALKEY099"));
        assert!(!accepted(b"VALKEY012"));
        assert!(!accepted(b"REDIS0080"));
    }

    #[test]
    fn a_file_starts_with_the_magic_word_that_its_version_calls_for() {
        assert_eq!(&Magic::for_version(11).bytes(), b"REDIS0011");
        assert_eq!(&Magic::for_version(80).bytes(), b"VALKEY080");
    }

    #[test]
    fn a_module_type_id_spells_nine_letters() {
        // "ReJSON-RL", encoding version 3.
        let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let id = b"ReJSON-RL".iter().fold(0u64, |id, c| id << 6 | letters.iter().position(|l| l == c).unwrap() as u64);
        assert_eq!(module::type_name(id << 10 | 3), "ReJSON-RL");
    }
}
