//! Reads a whole RDB file without keeping a data set: is it sound, and what does it hold?

use std::io::Read;

use super::error::{ErrorKind, RdbError, Result};
use super::format::{ValueType, VersionCheck};
use super::object_load::{ValueOptions, load_entry};
use super::parser::{Checksum, Doing, Item, KeyHead, Parser};
use super::reader::{DEFAULT_BUFFER, Reader};
use crate::data::entry::Entry;
use crate::data::limits::Limits;

/// How to check.
#[derive(Clone, Copy, Debug)]
pub struct CheckOptions {
    /// Which versions to accept.
    pub version_check: VersionCheck,
    /// Whether to compare the checksum.
    pub checksum: bool,
    /// The present, in milliseconds of Unix time: keys that expire before it are counted apart.
    pub now_ms: i64,
}

/// What a file holds, as far as it could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Version that the file announced; 0 before that.
    pub version: u32,
    /// Keys read, the one whose value could not be among them.
    pub keys: u64,
    /// Keys with an expiry.
    pub expires: u64,
    /// Keys that expired before the given time.
    pub already_expired: u64,
    /// Values without elements; loading leaves such keys out.
    pub empty_values: u64,
    /// Function libraries.
    pub functions: u64,
    /// Lua scripts, which servers before 7.0 sent along.
    pub scripts: u64,
}

/// Something met on the way, told together with the position after it.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The file announced this version.
    Version(u32),
    /// An auxiliary field.
    Aux {
        /// Its name.
        name: &'a [u8],
        /// Its value.
        value: &'a [u8],
    },
    /// Data of the module type of this id that belongs to no key.
    ModuleAux(u64),
    /// A database begins.
    SelectDb(u64),
    /// A key.
    Key {
        /// What stands before its value.
        head: KeyHead,
        /// Its name.
        name: &'a [u8],
        /// The key with its value; none if the value is empty or a module's.
        entry: Option<&'a Entry>,
    },
    /// The end was reached.
    End(Checksum),
}

/// What is wrong with a file, and what was being read.
#[derive(Debug)]
pub struct Failure {
    /// What is wrong, where, in which key.
    pub error: RdbError,
    /// What was being read.
    pub doing: Doing,
}

/// Reads `source` to the end of the RDB file in it, and tells of what it meets. The report is of what came before a failure.
///
/// Each value is built and dropped again, so what passes here can be loaded; but for modules' values, which are skipped.
pub fn check<R: Read>(
    source: R,
    options: &CheckOptions,
    mut told: impl FnMut(u64, Event<'_>),
) -> (Report, std::result::Result<(), Failure>) {
    let reader = Reader::with_observer(source, (), 0, DEFAULT_BUFFER, options.checksum);
    let mut report = Report::default();
    let mut doing = Doing::Start;
    let result = Parser::new(reader, options.version_check).and_then(|mut parser| {
        let result = run(&mut parser, options, &mut told, &mut report);
        doing = parser.doing;
        result
    });
    (report, result.map_err(|error| Failure { error, doing }))
}

fn run<R: Read>(
    parser: &mut Parser<R, ()>,
    options: &CheckOptions,
    told: &mut impl FnMut(u64, Event<'_>),
    report: &mut Report,
) -> Result<()> {
    report.version = parser.version();
    told(parser.reader.offset(), Event::Version(report.version));
    let limits = Limits::default();
    loop {
        match parser.next_item()? {
            Item::Aux => {
                report.scripts += u64::from(parser.name.eq_ignore_ascii_case(b"lua"));
                told(parser.reader.offset(), Event::Aux { name: &parser.name, value: &parser.text });
            }
            Item::SelectDb(db) => told(parser.reader.offset(), Event::SelectDb(db)),
            Item::Function => report.functions += 1,
            Item::ModuleAux(id) => {
                told(parser.reader.offset(), Event::ModuleAux(id));
                parser.skip_module_value()?;
            }
            Item::Resize { .. } | Item::SlotImport => {}
            Item::Key(head) => {
                report.keys += 1;
                let entry = value(parser, &head, &limits).map_err(|e| e.in_key(&parser.name, head.value_type))?;
                report.count(&head, matches!(entry, Found::Empty), options.now_ms);
                let entry = if let Found::Built(entry) = &entry { Some(entry) } else { None };
                told(parser.reader.offset(), Event::Key { head, name: &parser.name, entry });
            }
            Item::End(checksum) => {
                told(parser.reader.offset(), Event::End(checksum));
                return Ok(());
            }
        }
    }
}

/// What a value turned out to be.
enum Found {
    Built(Entry),
    Empty,
    Module,
}

fn value<R: Read>(parser: &mut Parser<R, ()>, head: &KeyHead, limits: &Limits) -> Result<Found> {
    if head.value_type == ValueType::Module2 {
        parser.reader.length()?;
        return parser.skip_module_value().map(|()| Found::Module);
    }
    match load_entry(&mut parser.reader, &parser.name, head, &ValueOptions { limits, deep: false }) {
        Ok(entry) => Ok(Found::Built(entry)),
        Err(error) if matches!(error.kind(), ErrorKind::EmptyValue) => Ok(Found::Empty),
        Err(error) => Err(error),
    }
}

impl Report {
    fn count(&mut self, head: &KeyHead, empty: bool, now_ms: i64) {
        self.expires += u64::from(head.expire_at.is_some());
        self.already_expired += u64::from(head.expire_at.is_some_and(|at| at < now_ms));
        self.empty_values += u64::from(empty);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::table::Keyed;

    const OPTIONS: CheckOptions =
        CheckOptions { version_check: VersionCheck::Strict, checksum: true, now_ms: 1_700_000_000_000 };

    macro_rules! file {
        ($name:literal) => {
            &include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/rdb/", $name))[..]
        };
    }

    type Types = Vec<(ValueType, u64)>;

    /// The report of a sound file, how many keys of each type it holds, and what became of its checksum.
    fn sound(bytes: &[u8]) -> (Report, Types, Checksum) {
        let (mut types, mut end) = (Types::new(), None);
        let (report, result) = check(bytes, &OPTIONS, |_, event| match event {
            Event::Key { head, name, entry } => {
                assert_eq!(entry.map(Keyed::key), Some(name));
                match types.iter_mut().find(|(value_type, _)| *value_type == head.value_type) {
                    Some((_, count)) => *count += 1,
                    None => types.push((head.value_type, 1)),
                }
            }
            Event::End(checksum) => end = Some(checksum),
            _ => {}
        });
        assert!(result.is_ok(), "{result:?}");
        types.sort_by_key(|(value_type, _)| value_type.code());
        (report, types, end.unwrap())
    }

    #[test]
    fn the_files_of_real_servers_are_sound_and_their_keys_are_counted() {
        use ValueType::*;
        for (bytes, version) in [
            (file!("valkey-9.1-values.rdb"), 80),
            (file!("valkey-8.1-values.rdb"), 11),
            (file!("redis-7.0-values.rdb"), 10),
        ] {
            let (report, types, checksum) = sound(bytes);
            assert_eq!((report.version, report.keys, report.expires), (version, 21, 2));
            assert_eq!(checksum, Checksum::Verified);
            // Redis 7.0 has no listpack sets yet.
            let sets = if version == 10 { vec![(Set, 2)] } else { vec![(Set, 1)] };
            let listpack_sets = if version == 10 { vec![] } else { vec![(SetListpack, 1)] };
            let expected = [
                vec![(String, 10)],
                sets,
                vec![(Hash, 1), (Zset2, 1), (SetIntset, 2), (HashListpack, 1), (ZsetListpack, 1), (ListQuicklist2, 3)],
                listpack_sets,
            ];
            assert_eq!(types, expected.concat());
        }
    }

    #[test]
    fn streams_functions_and_fields_with_expiry_are_read_too() {
        for bytes in [file!("valkey-9.1-streams.rdb"), file!("valkey-8.1-streams.rdb"), file!("redis-7.0-streams.rdb")]
        {
            assert_eq!(sound(bytes).0.keys, 4);
        }
        for bytes in
            [file!("valkey-9.1-functions.rdb"), file!("valkey-8.1-functions.rdb"), file!("redis-7.0-functions.rdb")]
        {
            let (report, _, _) = sound(bytes);
            assert_eq!((report.keys, report.functions), (1, 1));
        }
        assert_eq!(sound(file!("valkey-9.1-field-ttl.rdb")).1, [(ValueType::String, 1), (ValueType::Hash2, 1)]);
        assert_eq!(sound(file!("valkey-9.1-plain.rdb")).2, Checksum::Disabled);
    }

    #[test]
    fn modules_values_are_skipped_and_keys_without_elements_are_no_error_but_counted() {
        let bytes = b"REDIS0011\xfe\x00\x07\x01m\x05\x02\x07\x05\x01x\x00\x02\x01s\x00\xff\0\0\0\0\0\0\0\0";
        let mut entries = Vec::new();
        let (report, result) = check(&bytes[..], &OPTIONS, |_, event| {
            if let Event::Key { entry, .. } = event {
                entries.push(entry.is_some());
            }
        });
        assert!(result.is_ok(), "{result:?}");
        assert_eq!((report.keys, report.empty_values, entries), (2, 1, vec![false, false]));
    }

    #[test]
    fn auxiliary_fields_are_told_with_their_positions() {
        let mut told = Vec::new();
        let (_, result) = check(file!("valkey-9.1-values.rdb"), &OPTIONS, |at, event| {
            if let Event::Aux { name, value } = event {
                told.push((at, name.to_vec(), value.to_vec()));
            }
        });
        assert!(result.is_ok());
        assert_eq!(told[0], (27, b"valkey-ver".to_vec(), b"9.1.2".to_vec()));
        let names: Vec<_> = told.iter().map(|(_, name, _)| std::str::from_utf8(name).unwrap()).collect();
        assert_eq!(names, ["valkey-ver", "redis-bits", "ctime", "used-mem", "aof-base"]);
    }

    #[test]
    fn damage_is_reported_with_its_position_and_what_was_being_read() {
        let good = file!("valkey-9.1-values.rdb");
        let (report, result) = check(&good[..5000], &OPTIONS, |_, _| ());
        let failure = result.unwrap_err();
        assert_eq!(failure.error.offset(), 5000);
        assert_eq!(failure.doing, Doing::Value);
        assert!(report.keys > 0);
        let mut bad = good.to_vec();
        let at = bad.len() - 1;
        bad[at] ^= 1;
        let failure = check(&bad[..], &OPTIONS, |_, _| ()).1.unwrap_err();
        assert_eq!(failure.doing, Doing::Checksum);
        assert!(matches!(failure.error.kind(), ErrorKind::WrongChecksum { .. }));
        assert!(check(&bad[..], &CheckOptions { checksum: false, ..OPTIONS }, |_, _| ()).1.is_ok());
    }

    #[test]
    fn keys_that_have_expired_already_are_counted() {
        let later = CheckOptions { now_ms: 4_200_000_000_000, ..OPTIONS };
        let (report, _) = check(file!("valkey-9.1-values.rdb"), &later, |_, _| ());
        assert_eq!((report.expires, report.already_expired), (2, 2));
    }
}
