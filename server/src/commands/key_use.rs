//! What a command does with each of its keys: what COMMAND tells of it, and what a user must be allowed to do.

use bitflags::bitflags;

bitflags! {
    /// What a command does with a key. One of the first four says how it treats the value as a whole, the others what becomes of
    /// the data: with none of them, the command learns no more than that the key exists, and of what kind.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct KeyUse: u16 {
        /// Reads the value.
        const RO = 1;
        /// Reads and writes the value.
        const RW = 1 << 1;
        /// Writes another value over it.
        const OW = 1 << 2;
        /// Removes it.
        const RM = 1 << 3;
        /// The data, or what tells of the data, is returned or copied.
        const ACCESS = 1 << 4;
        /// The data is changed.
        const UPDATE = 1 << 5;
        /// Data is added; what is there stays.
        const INSERT = 1 << 6;
        /// Data is removed.
        const DELETE = 1 << 7;
        /// It only looks like a key: the slots of a cluster are found by it.
        const NOT_KEY = 1 << 8;
        /// What it does depends on the arguments; the row tells the most it may do.
        const VARIABLE = 1 << 9;
    }
}

impl KeyUse {
    /// Looks whether it is there, of what type, how long.
    pub const LOOKS: KeyUse = KeyUse::RO;
    /// Reads its data.
    pub const READS: KeyUse = KeyUse::RO.union(KeyUse::ACCESS);
    /// Reads and changes its data.
    pub const CHANGES: KeyUse = KeyUse::RW.union(KeyUse::ACCESS).union(KeyUse::UPDATE);
    /// Changes its data without telling what they were.
    pub const UPDATES: KeyUse = KeyUse::RW.union(KeyUse::UPDATE);
    /// Adds data.
    pub const INSERTS: KeyUse = KeyUse::RW.union(KeyUse::INSERT);
    /// Removes data without telling what they were.
    pub const DELETES: KeyUse = KeyUse::RW.union(KeyUse::DELETE);
    /// Returns data and removes them.
    pub const TAKES: KeyUse = KeyUse::RW.union(KeyUse::ACCESS).union(KeyUse::DELETE);
    /// Sets another value, whatever there was.
    pub const OVERWRITES: KeyUse = KeyUse::OW.union(KeyUse::UPDATE);
    /// Sets a value where there was none.
    pub const CREATES: KeyUse = KeyUse::OW.union(KeyUse::INSERT);
    /// Removes the key.
    pub const REMOVES: KeyUse = KeyUse::RM.union(KeyUse::DELETE);
    /// Reads its data, and may store what it found out about them.
    pub const COUNTS: KeyUse = KeyUse::RW.union(KeyUse::ACCESS);
    /// Reads its data and adds to them.
    pub const MERGES: KeyUse = KeyUse::RW.union(KeyUse::ACCESS).union(KeyUse::INSERT);

    /// The names of COMMAND.
    pub fn names(self) -> Vec<&'static str> {
        let names = [
            (KeyUse::RO, "RO"),
            (KeyUse::RW, "RW"),
            (KeyUse::OW, "OW"),
            (KeyUse::RM, "RM"),
            (KeyUse::ACCESS, "access"),
            (KeyUse::UPDATE, "update"),
            (KeyUse::INSERT, "insert"),
            (KeyUse::DELETE, "delete"),
            (KeyUse::NOT_KEY, "not_key"),
            (KeyUse::VARIABLE, "variable_flags"),
        ];
        names.into_iter().filter(|(flag, _)| self.contains(*flag)).map(|(_, name)| name).collect()
    }

    /// Whether a user must be allowed to read the key.
    pub fn reads(self) -> bool {
        self.contains(KeyUse::ACCESS)
    }

    /// Whether a user must be allowed to write the key.
    pub fn writes(self) -> bool {
        self.intersects(KeyUse::UPDATE | KeyUse::INSERT | KeyUse::DELETE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::table::find_full;
    use crate::resp::OwnedArgv;

    fn uses(line: &str) -> Vec<(String, KeyUse)> {
        let argv = OwnedArgv::new(line.split(' ').map(str::as_bytes).collect::<Vec<_>>());
        let row = find_full(argv.argv().get(0)).unwrap();
        let name = |i| String::from_utf8_lossy(argv.argv().get(i)).into_owned();
        row.command.used_keys(argv.argv()).map(|(i, key_use)| (name(i), key_use)).collect()
    }

    #[test]
    fn each_key_has_its_own_use() {
        let of = |key: &str, key_use| (key.to_owned(), key_use);
        assert_eq!(uses("copy a b"), [of("a", KeyUse::READS), of("b", KeyUse::OVERWRITES)]);
        assert_eq!(uses("sort a store b"), [of("a", KeyUse::READS), of("b", KeyUse::OVERWRITES)]);
        assert_eq!(uses("georadius a 1 2 3 m"), [of("a", KeyUse::READS)]);
        let stored = [of("a", KeyUse::READS), of("c", KeyUse::OVERWRITES)];
        assert_eq!(uses("georadiusbymember a m 3 m store b storedist c"), stored);
        let sources = [of("a", KeyUse::READS), of("b", KeyUse::READS)];
        assert_eq!(uses("zunionstore d 2 a b"), [&[of("d", KeyUse::OVERWRITES)][..], &sources].concat());
    }

    #[test]
    fn set_reads_only_with_get_and_bitfield_writes_unless_it_only_gets() {
        for (line, key_use) in [
            ("set k v", KeyUse::OVERWRITES),
            ("set k get", KeyUse::OVERWRITES),
            ("set k v ex 1 GET", KeyUse::CHANGES),
            ("bitfield k get u8 0 overflow fail GET u8 8", KeyUse::READS),
            ("bitfield k get u8", KeyUse::CHANGES),
            ("bitfield k get u8 0 set u8 0 1", KeyUse::CHANGES),
        ] {
            assert_eq!(uses(line), [("k".to_owned(), key_use)], "{line}");
        }
    }

    #[test]
    fn a_key_that_is_only_read_is_not_written() {
        for row in crate::commands::table::rows().iter().filter(|row| !row.command.key_uses().is_empty()) {
            for key_use in row.command.key_uses() {
                let kinds = KeyUse::RO | KeyUse::RW | KeyUse::OW | KeyUse::RM | KeyUse::NOT_KEY;
                assert_eq!((*key_use & kinds).iter().count(), 1, "{}", row.full_name);
                assert!(!(key_use.contains(KeyUse::RO) && key_use.writes()), "{}", row.full_name);
            }
        }
    }
}
