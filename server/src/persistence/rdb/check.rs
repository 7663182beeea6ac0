//! Walks a whole RDB file without building a data set: is it sound, and what does it hold?

use std::io::Read;

use super::error::{RdbError, Result};
use super::format::{ValueType, VersionCheck};
use super::parser::{Checksum, Item, KeyHead, Parser};
use super::reader::{DEFAULT_BUFFER, Reader};
use super::walk;

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
    /// Keys read.
    pub keys: u64,
    /// Keys with an expiry.
    pub expires: u64,
    /// Keys that expired before the given time.
    pub already_expired: u64,
    /// Values without elements; loading leaves such keys out.
    pub empty_values: u64,
    /// Function libraries.
    pub functions: u64,
    /// What became of the checksum; `None` when the end was not reached.
    pub checksum: Option<Checksum>,
    /// Keys of each type, for the types that occur, in the order of their codes.
    pub types: Vec<(ValueType, u64)>,
}

/// Something met on the way, told together with the position after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// An auxiliary field.
    Aux {
        /// Its name.
        name: &'a [u8],
        /// Its value.
        value: &'a [u8],
    },
    /// A database begins.
    SelectDb(u64),
    /// The end was reached.
    End(Checksum),
}

/// What was being read when something turned out to be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// The first nine bytes.
    Start,
    /// An opcode, a key's name, the end.
    Frame,
    /// A value.
    Value,
}

/// What is wrong with a file, and what was being read.
#[derive(Debug)]
pub struct Failure {
    /// What is wrong, where, in which key.
    pub error: RdbError,
    /// What was being read.
    pub doing: Doing,
}

/// Reads `source` to the end of the RDB file in it. The report is of what came before a failure.
pub fn check<R: Read>(
    source: R,
    options: &CheckOptions,
    mut told: impl FnMut(u64, Event<'_>),
) -> (Report, std::result::Result<(), Failure>) {
    let reader = Reader::with_observer(source, (), 0, DEFAULT_BUFFER, options.checksum);
    let mut report = Report::default();
    let mut doing = Doing::Start;
    let result = run(reader, options, &mut told, &mut report, &mut doing);
    report.types.sort_by_key(|(value_type, _)| value_type.code());
    (report, result.map_err(|error| Failure { error, doing }))
}

fn run<R: Read>(
    reader: Reader<R>,
    options: &CheckOptions,
    told: &mut impl FnMut(u64, Event<'_>),
    report: &mut Report,
    doing: &mut Doing,
) -> Result<()> {
    let mut parser = Parser::new(reader, options.version_check)?;
    report.version = parser.version();
    loop {
        *doing = Doing::Frame;
        match parser.next_item()? {
            Item::Aux => told(parser.reader.offset(), Event::Aux { name: &parser.name, value: &parser.text }),
            Item::SelectDb(db) => told(parser.reader.offset(), Event::SelectDb(db)),
            Item::Function => report.functions += 1,
            Item::ModuleAux(_) => parser.skip_module_value()?,
            Item::Resize { .. } | Item::SlotImport => {}
            Item::Key(head) => {
                *doing = Doing::Value;
                let elements = walk::value(&mut parser.reader, head.value_type)
                    .map_err(|error| error.in_key(&parser.name, head.value_type))?;
                report.count(head, elements == 0, options.now_ms);
            }
            Item::End(checksum) => {
                report.checksum = Some(checksum);
                told(parser.reader.offset(), Event::End(checksum));
                return Ok(());
            }
        }
    }
}

impl Report {
    fn count(&mut self, head: KeyHead, empty: bool, now_ms: i64) {
        self.keys += 1;
        self.expires += u64::from(head.expire_at.is_some());
        self.already_expired += u64::from(head.expire_at.is_some_and(|at| at < now_ms));
        self.empty_values += u64::from(empty);
        match self.types.iter_mut().find(|(value_type, _)| *value_type == head.value_type) {
            Some((_, count)) => *count += 1,
            None => self.types.push((head.value_type, 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persistence::rdb::error::ErrorKind;

    const OPTIONS: CheckOptions =
        CheckOptions { version_check: VersionCheck::Strict, checksum: true, now_ms: 1_700_000_000_000 };

    macro_rules! file {
        ($name:literal) => {
            &include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/rdb/", $name))[..]
        };
    }

    fn sound(bytes: &[u8]) -> Report {
        let (report, result) = check(bytes, &OPTIONS, |_, _| ());
        assert!(result.is_ok(), "{result:?}");
        report
    }

    #[test]
    fn the_files_of_real_servers_are_sound_and_their_keys_are_counted() {
        use ValueType::*;
        for (bytes, version) in [
            (file!("valkey-9.1-values.rdb"), 80),
            (file!("valkey-8.1-values.rdb"), 11),
            (file!("redis-7.0-values.rdb"), 10),
        ] {
            let report = sound(bytes);
            assert_eq!((report.version, report.keys, report.expires), (version, 21, 2));
            assert_eq!(report.checksum, Some(Checksum::Verified));
            // Redis 7.0 has no listpack sets yet.
            let sets = if version == 10 { vec![(Set, 2)] } else { vec![(Set, 1)] };
            let listpack_sets = if version == 10 { vec![] } else { vec![(SetListpack, 1)] };
            let types = [
                vec![(String, 10)],
                sets,
                vec![(Hash, 1), (Zset2, 1), (SetIntset, 2), (HashListpack, 1), (ZsetListpack, 1), (ListQuicklist2, 3)],
                listpack_sets,
            ];
            assert_eq!(report.types, types.concat());
        }
    }

    #[test]
    fn streams_functions_and_fields_with_expiry_are_walked_too() {
        for bytes in [file!("valkey-9.1-streams.rdb"), file!("valkey-8.1-streams.rdb"), file!("redis-7.0-streams.rdb")]
        {
            assert_eq!(sound(bytes).keys, 4);
        }
        for bytes in
            [file!("valkey-9.1-functions.rdb"), file!("valkey-8.1-functions.rdb"), file!("redis-7.0-functions.rdb")]
        {
            assert_eq!((sound(bytes).keys, sound(bytes).functions), (1, 1));
        }
        assert_eq!(sound(file!("valkey-9.1-field-ttl.rdb")).types, [(ValueType::String, 1), (ValueType::Hash2, 1)]);
        assert_eq!(sound(file!("valkey-9.1-plain.rdb")).checksum, Some(Checksum::Disabled));
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
        assert!(report.keys > 0 && report.checksum.is_none());
        let mut bad = good.to_vec();
        let at = bad.len() - 1;
        bad[at] ^= 1;
        let failure = check(&bad[..], &OPTIONS, |_, _| ()).1.unwrap_err();
        assert_eq!(failure.doing, Doing::Frame);
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
