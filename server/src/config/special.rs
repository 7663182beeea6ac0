//! Directives of many words, or whose value has a shape of its own.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::kinds::{Choice, Kind, Reason, Rewrite, Source, choose, not_among, only};
use crate::words::{quote, quote_if_needed};

/// One `save` condition: a snapshot is due when both are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavePoint {
    /// Seconds since the last snapshot, at least 1.
    pub seconds: i64,
    /// Changes since the last snapshot.
    pub changes: i32,
}

/// The type of `save`.
pub(crate) struct SavePoints;

impl Kind for SavePoints {
    type Value = Vec<SavePoint>;
    const MANY: bool = true;

    fn parse(&self, words: &[&[u8]], current: &Self::Value, source: Source) -> Result<Self::Value, Reason> {
        // In a file the lines add up; the loader clears the default before the first of them.
        let mut points = if source == Source::File { current.clone() } else { Vec::new() };
        if words == [b""] {
            return Ok(Vec::new());
        }
        for pair in words.chunks(2) {
            let &[seconds, changes] = pair else { return Err("Invalid save parameters".into()) };
            match (decimal(seconds), decimal(changes).map(i32::try_from)) {
                (Some(seconds @ 1..), Some(Ok(changes @ 0..))) => points.push(SavePoint { seconds, changes }),
                _ => return Err("Invalid save parameters".into()),
            }
        }
        Ok(points)
    }

    fn show(&self, value: &Self::Value) -> Vec<u8> {
        let points: Vec<String> = value.iter().map(|point| format!("{} {}", point.seconds, point.changes)).collect();
        points.join(" ").into_bytes()
    }

    fn rewrite(&self, value: &Self::Value, _: &Self::Value) -> Rewrite {
        // Always written: no line at all would mean the default.
        Rewrite::line(if value.is_empty() { b"\"\"".to_vec() } else { self.show(value) }, true)
    }
}

/// The type of `bind`, `rdma-bind`: up to 16 addresses. A `-` before one means that it may be missing.
pub(crate) struct Addresses;

impl Kind for Addresses {
    type Value = Vec<Vec<u8>>;
    const MANY: bool = true;

    fn parse(&self, words: &[&[u8]], _: &Self::Value, _: Source) -> Result<Self::Value, Reason> {
        if words.len() > 16 {
            return Err("Too many bind addresses specified.".into());
        }
        Ok(if words == [b""] { Vec::new() } else { words.iter().map(|word| word.to_vec()).collect() })
    }

    fn show(&self, value: &Self::Value) -> Vec<u8> {
        value.join(&b' ')
    }

    fn rewrite(&self, value: &Self::Value, default: &Self::Value) -> Rewrite {
        if value == default {
            return Rewrite::Drop;
        }
        let words: Vec<Vec<u8>> = value.iter().map(|address| quote_if_needed(address)).collect();
        Rewrite::line(if value.is_empty() { b"\"\"".to_vec() } else { words.join(&b' ') }, true)
    }
}

/// The type of `oom-score-adj-values`: for a primary, a replica, a child.
pub(crate) struct OomScores;

impl Kind for OomScores {
    type Value = [i32; 3];
    const MANY: bool = true;

    fn parse(&self, words: &[&[u8]], _: &Self::Value, _: Source) -> Result<Self::Value, Reason> {
        let words: [&[u8]; 3] = words.try_into().map_err(|_| "wrong number of arguments")?;
        let mut scores = [0; 3];
        for (score, word) in scores.iter_mut().zip(words) {
            *score = decimal(word)
                .and_then(|value| i32::try_from(value).ok())
                .filter(|value| (-2000..=2000).contains(value))
                .ok_or("Invalid oom-score-adj-values, elements must be between -2000 and 2000.")?;
        }
        Ok(scores)
    }

    fn show(&self, [primary, replica, child]: &Self::Value) -> Vec<u8> {
        format!("{primary} {replica} {child}").into_bytes()
    }
}

/// The primary that `replicaof` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrimaryAddress {
    /// Host name or address.
    pub host: Vec<u8>,
    /// TCP port.
    pub port: u16,
}

/// The type of `replicaof`.
pub(crate) struct ReplicaOf;

impl Kind for ReplicaOf {
    type Value = Option<PrimaryAddress>;
    const MANY: bool = true;

    fn parse(&self, words: &[&[u8]], _: &Self::Value, _: Source) -> Result<Self::Value, Reason> {
        let &[host, port] = words else { return Err("wrong number of arguments".into()) };
        if host.eq_ignore_ascii_case(b"no") && port.eq_ignore_ascii_case(b"one") {
            return Ok(None);
        }
        let port = decimal(port).and_then(|port| u16::try_from(port).ok()).ok_or("Invalid primary port")?;
        Ok(Some(PrimaryAddress { host: host.to_vec(), port }))
    }

    fn show(&self, value: &Self::Value) -> Vec<u8> {
        value.as_ref().map_or_else(Vec::new, |primary| {
            [primary.host.as_slice(), b" ", primary.port.to_string().as_bytes()].concat()
        })
    }

    fn rewrite(&self, value: &Self::Value, _: &Self::Value) -> Rewrite {
        // The host may have come from a client: it must not break out of its line.
        value.as_ref().map_or(Rewrite::Drop, |PrimaryAddress { host, port }| {
            Rewrite::line([quote_if_needed(host).as_slice(), format!(" {port}").as_bytes()].concat(), true)
        })
    }
}

/// The type of `latency-tracking-info-percentiles`.
pub(crate) struct Percentiles;

impl Kind for Percentiles {
    type Value = Vec<f64>;
    const MANY: bool = true;

    fn parse(&self, words: &[&[u8]], _: &Self::Value, _: Source) -> Result<Self::Value, Reason> {
        if words == [b""] {
            return Ok(Vec::new());
        }
        words
            .iter()
            .map(|word| {
                let value = std::str::from_utf8(word).ok().and_then(|word| word.parse::<f64>().ok());
                match value.filter(|value| !value.is_nan()) {
                    None => Err("Invalid latency-tracking-info-percentiles parameters".into()),
                    Some(value) if (0.0..=100.0).contains(&value) => Ok(value),
                    Some(_) => {
                        Err("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]".into())
                    }
                }
            })
            .collect()
    }

    fn show(&self, value: &Self::Value) -> Vec<u8> {
        let texts: Vec<String> = value
            .iter()
            .map(|percentile| {
                let text = format!("{percentile:.6}");
                text.trim_end_matches('0').trim_end_matches('.').to_owned()
            })
            .collect();
        texts.join(" ").into_bytes()
    }

    fn rewrite(&self, value: &Self::Value, _: &Self::Value) -> Rewrite {
        Rewrite::line(if value.is_empty() { b"\"\"".to_vec() } else { self.show(value) }, true)
    }
}

/// The options of a shutdown by signal (`shutdown-on-sigint`, `shutdown-on-sigterm`). None of them is `default`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShutdownOptions(u8);

impl ShutdownOptions {
    /// Saves even without save points.
    pub const SAVE: Self = Self(1);
    /// Saves nothing.
    pub const NOSAVE: Self = Self(2);
    /// Does not wait for replicas.
    pub const NOW: Self = Self(4);
    /// Ignores failures that would keep the server from stopping.
    pub const FORCE: Self = Self(8);
    /// Refuses to stop where that would be harmful.
    pub const SAFE: Self = Self(16);
    /// Hands over to a replica first.
    pub const FAILOVER: Self = Self(32);

    /// Whether all of `other` are among these.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl std::ops::BitOrAssign for ShutdownOptions {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl Choice for ShutdownOptions {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("default", Self(0)),
        ("save", Self::SAVE),
        ("nosave", Self::NOSAVE),
        ("now", Self::NOW),
        ("force", Self::FORCE),
        ("safe", Self::SAFE),
        ("failover", Self::FAILOVER),
    ];
}

/// The type of `shutdown-on-sigint` and `shutdown-on-sigterm`.
pub(crate) struct Shutdown;

impl Kind for Shutdown {
    type Value = ShutdownOptions;
    const MANY: bool = true;

    fn parse(&self, words: &[&[u8]], _: &Self::Value, _: Source) -> Result<Self::Value, Reason> {
        if words.is_empty() {
            return Err(not_among(ShutdownOptions::NAMES));
        }
        let mut options = ShutdownOptions::default();
        for word in words {
            let option = choose(ShutdownOptions::NAMES, word).ok_or_else(|| not_among(ShutdownOptions::NAMES))?;
            options |= option;
        }
        if options.has(ShutdownOptions::SAVE) && options.has(ShutdownOptions::NOSAVE) {
            return Err("shutdown options SAVE and NOSAVE can't be used simultaneously".into());
        }
        Ok(options)
    }

    fn show(&self, value: &Self::Value) -> Vec<u8> {
        if *value == ShutdownOptions::default() {
            return b"default".to_vec();
        }
        let options = ShutdownOptions::NAMES.iter().skip(1).filter(|(_, option)| value.has(*option));
        options.map(|(name, _)| *name).collect::<Vec<_>>().join(" ").into_bytes()
    }
}

/// The type of `dir`: the working directory, always absolute.
///
/// A relative one follows from the one before. Nothing is entered here; that is the owner's part.
pub(crate) struct Directory;

impl Kind for Directory {
    type Value = Vec<u8>;

    fn parse(&self, words: &[&[u8]], current: &Self::Value, _: Source) -> Result<Self::Value, Reason> {
        let word = only(words)?;
        if word.is_empty() {
            return Err("dir can't be empty".into());
        }
        let path = Path::new(OsStr::from_bytes(current)).join(OsStr::from_bytes(word));
        // `dir/.` is what shows that a directory can be entered, as changing to it would.
        let entered = path.join(".").metadata().and_then(|_| path.canonicalize());
        entered.map(|path| path.into_os_string().into_encoded_bytes()).map_err(|error| os_text(&error).into())
    }

    fn show(&self, value: &Self::Value) -> Vec<u8> {
        value.clone()
    }

    fn rewrite(&self, value: &Self::Value, _: &Self::Value) -> Rewrite {
        Rewrite::line(quote(value), true)
    }
}

/// The system's own words for an error, as C's `strerror` gives them.
pub fn os_text(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error ").next().unwrap_or_default().to_owned()
}

/// A decimal number that may have a sign and leading zeros.
fn decimal(word: &[u8]) -> Option<i64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<K: Kind>(kind: &K, line: &str, current: &K::Value, source: Source) -> Result<K::Value, String> {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        kind.parse(&words, current, source).map_err(Reason::into_owned)
    }

    fn set<K: Kind>(kind: &K, line: &str, current: &K::Value) -> Result<K::Value, String> {
        read(kind, line, current, Source::Command)
    }

    #[test]
    fn save_points_come_in_pairs() {
        let points = set(&SavePoints, "3600 1 300 100", &vec![]).unwrap();
        assert_eq!(SavePoints.show(&points), b"3600 1 300 100");
        for wrong in ["3600", "0 1", "1 -1", "x 1", "60 1 60", "60 99999999999", "60  1"] {
            assert_eq!(set(&SavePoints, wrong, &vec![]), Err("Invalid save parameters".into()), "{wrong}");
        }
    }

    #[test]
    fn save_adds_up_in_a_file_and_is_replaced_by_a_command() {
        let before = set(&SavePoints, "60 1", &vec![]).unwrap();
        let file = read(&SavePoints, "30 2", &before, Source::File).unwrap();
        assert_eq!(SavePoints.show(&file), b"60 1 30 2");
        assert_eq!(SavePoints.show(&set(&SavePoints, "30 2", &before).unwrap()), b"30 2");
        assert_eq!(read(&SavePoints, "", &before, Source::File), Ok(vec![]));
    }

    #[test]
    fn no_save_points_are_written_as_an_empty_word() {
        assert_eq!(SavePoints.rewrite(&vec![], &vec![]), Rewrite::line(b"\"\"".to_vec(), true));
    }

    #[test]
    fn bind_takes_up_to_sixteen_addresses_and_an_empty_word_for_none() {
        assert_eq!(Addresses.show(&set(&Addresses, "127.0.0.1 -::1 *", &vec![]).unwrap()), b"127.0.0.1 -::1 *");
        assert_eq!(set(&Addresses, "", &vec![]), Ok(vec![]));
        let many = vec!["::1"; 17].join(" ");
        assert_eq!(set(&Addresses, &many, &vec![]), Err("Too many bind addresses specified.".into()));
    }

    #[test]
    fn oom_scores_are_three_numbers_within_the_kernels_range() {
        assert_eq!(set(&OomScores, "0 -5 2000", &[0; 3]), Ok([0, -5, 2000]));
        assert_eq!(set(&OomScores, "0 1", &[0; 3]), Err("wrong number of arguments".into()));
        let refusal = "Invalid oom-score-adj-values, elements must be between -2000 and 2000.";
        for wrong in ["0 1 2001", "0 1 x"] {
            assert_eq!(set(&OomScores, wrong, &[0; 3]), Err(refusal.into()));
        }
    }

    #[test]
    fn replicaof_names_a_primary_or_no_one() {
        let primary = set(&ReplicaOf, "10.0.0.1 6379", &None).unwrap();
        assert_eq!(ReplicaOf.show(&primary), b"10.0.0.1 6379");
        assert_eq!(set(&ReplicaOf, "NO One", &primary), Ok(None));
        assert_eq!(set(&ReplicaOf, "host 65536", &None), Err("Invalid primary port".into()));
        assert_eq!(set(&ReplicaOf, "host", &None), Err("wrong number of arguments".into()));
    }

    #[test]
    fn percentiles_are_shown_without_needless_zeros() {
        let values = set(&Percentiles, "50 99.0 99.99 0 100", &vec![]).unwrap();
        assert_eq!(Percentiles.show(&values), b"50 99 99.99 0 100");
        assert_eq!(
            set(&Percentiles, "100.1", &vec![]),
            Err("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]".into())
        );
        for wrong in ["x", "nan", "50  99"] {
            let refusal = "Invalid latency-tracking-info-percentiles parameters";
            assert_eq!(set(&Percentiles, wrong, &vec![]), Err(refusal.into()), "{wrong}");
        }
    }

    #[test]
    fn shutdown_options_combine_except_save_with_nosave() {
        let options = set(&Shutdown, "force NOW", &ShutdownOptions::default()).unwrap();
        assert!(options.has(ShutdownOptions::NOW) && options.has(ShutdownOptions::FORCE));
        assert_eq!(Shutdown.show(&options), b"now force");
        assert_eq!(Shutdown.show(&ShutdownOptions::default()), b"default");
        assert_eq!(
            set(&Shutdown, "save nosave", &options),
            Err("shutdown options SAVE and NOSAVE can't be used simultaneously".into())
        );
        assert_eq!(
            set(&Shutdown, "later", &options),
            Err("argument(s) must be one of the following: default, save, nosave, now, force, safe, failover".into())
        );
    }

    #[test]
    fn dir_must_be_a_directory_that_can_be_entered() {
        let root = std::env::temp_dir().canonicalize().unwrap().into_os_string().into_encoded_bytes();
        assert_eq!(set(&Directory, ".", &root), Ok(root.clone()));
        assert_eq!(set(&Directory, "no/such", &root), Err("No such file or directory".into()));
        assert_eq!(set(&Directory, "/dev/null", &root), Err("Not a directory".into()));
        assert_eq!(set(&Directory, "", &root), Err("dir can't be empty".into()));
    }
}
