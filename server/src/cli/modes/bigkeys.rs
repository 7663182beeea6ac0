//! `--bigkeys` and `--memkeys`: looks at every key for the largest of each type.

use std::fmt::Write as _;

use super::super::reply::Reply;
use super::super::session::Session;
use super::super::stop::{Stop, print};
use super::scan::{Progress, Walk};
use super::{percent, ratio};
use crate::words;

/// What makes a key big.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// The number of its elements.
    Elements,
    /// The memory it takes, estimated from so many elements (`None`: the server's default).
    Memory(Option<u64>),
}

/// What was found of one type.
struct Type {
    name: String,
    /// Command that counts the elements; types of modules have none.
    size_command: Option<&'static str>,
    unit: &'static str,
    count: u64,
    total: u64,
    biggest: u64,
    /// As it is shown.
    biggest_key: Option<String>,
}

impl Type {
    fn new(name: &str, size_command: Option<&'static str>, unit: &'static str) -> Self {
        Self { name: name.to_owned(), size_command, unit, count: 0, total: 0, biggest: 0, biggest_key: None }
    }
}

/// What was found so far.
struct Survey {
    measure: Measure,
    progress: Progress,
    key_bytes: u64,
    types: Vec<Type>,
}

/// Surveys the keys.
///
/// # Errors
/// When the server refuses or is lost.
pub fn run(session: &mut Session, measure: Measure) -> Result<(), Stop> {
    let progress = Progress::start(session)?;
    print(
        b"\n# Scanning the entire keyspace to find biggest keys as well as\n\
          # average sizes per key type.  You can use -i 0.1 to sleep 0.1 sec\n\
          # per 100 SCAN commands (not usually needed).\n\n",
    )?;
    let mut survey = Survey::new(measure, progress);
    let mut walk = Walk::new();
    while let Some(keys) = walk.next_keys(session)? {
        let mark = survey.progress.mark();
        let types = survey.types_of(session, &keys)?;
        let sizes = survey.sizes_of(session, &keys, &types)?;
        let mut news = String::new();
        for ((key, kind), size) in keys.iter().zip(types).zip(sizes) {
            // A key may be gone since SCAN told its name.
            if let Some(kind) = kind {
                survey.note(key, kind, size, &mark, &mut news);
            }
        }
        print(news.as_bytes())?;
        if walk.steps.is_multiple_of(100) {
            std::thread::sleep(session.options.interval);
        }
    }
    print(survey.summary(walk.interrupted).as_bytes())
}

impl Survey {
    fn new(measure: Measure, progress: Progress) -> Self {
        let types = vec![
            Type::new("string", Some("STRLEN"), "bytes"),
            Type::new("list", Some("LLEN"), "items"),
            Type::new("set", Some("SCARD"), "members"),
            Type::new("hash", Some("HLEN"), "fields"),
            Type::new("zset", Some("ZCARD"), "members"),
            Type::new("stream", Some("XLEN"), "entries"),
        ];
        Self { measure, progress, key_bytes: 0, types }
    }

    /// Each key's type, as an index into `types`; `None` for a key that is gone.
    fn types_of(&mut self, session: &mut Session, keys: &[Vec<u8>]) -> Result<Vec<Option<usize>>, Stop> {
        let connection = session.connection()?;
        for key in keys {
            connection.append(&[b"TYPE", key.as_slice()]);
        }
        let mut types = Vec::with_capacity(keys.len());
        for key in keys {
            let name = match connection.own_reply()? {
                Reply::Status(name) => String::from_utf8_lossy(&name).into_owned(),
                Reply::Error(text) => {
                    return Err(Stop::because(format!("TYPE returned an error: {}", String::from_utf8_lossy(&text))));
                }
                _ => {
                    let key = String::from_utf8_lossy(key);
                    return Err(Stop::because(format!("Invalid reply type for TYPE on key '{key}'!")));
                }
            };
            types.push(if name == "none" {
                None
            } else {
                let known = self.types.iter().position(|kind| kind.name == name);
                Some(known.unwrap_or_else(|| {
                    self.types.push(Type::new(&name, None, "?"));
                    self.types.len() - 1
                }))
            });
        }
        Ok(types)
    }

    /// Each key's size; 0 where it cannot be told.
    fn sizes_of(&self, session: &mut Session, keys: &[Vec<u8>], types: &[Option<usize>]) -> Result<Vec<u64>, Stop> {
        let connection = session.connection()?;
        let asked: Vec<Option<&str>> = types
            .iter()
            .map(|kind| match (kind, self.measure) {
                (None, _) => None,
                (Some(kind), Measure::Elements) => self.types[*kind].size_command,
                (Some(_), Measure::Memory(_)) => Some("MEMORY USAGE"),
            })
            .collect();
        for (key, command) in keys.iter().zip(&asked) {
            match (command, self.measure) {
                (None, _) => {}
                (Some(command), Measure::Elements) => connection.append(&[command.as_bytes(), key]),
                (Some(_), Measure::Memory(None)) => connection.append(&[b"MEMORY".as_slice(), b"USAGE", key]),
                (Some(_), Measure::Memory(Some(samples))) => {
                    let samples = samples.to_string();
                    connection.append(&[b"MEMORY".as_slice(), b"USAGE", key, b"SAMPLES", samples.as_bytes()]);
                }
            }
        }
        let mut sizes = Vec::with_capacity(keys.len());
        for (key, command) in keys.iter().zip(&asked) {
            let Some(command) = command else {
                sizes.push(0);
                continue;
            };
            sizes.push(match connection.own_reply()? {
                Reply::Integer(size) => u64::try_from(size).unwrap_or(0),
                _ => {
                    let key = String::from_utf8_lossy(key);
                    eprintln!("Warning:  {command} on '{key}' failed (may have changed type)");
                    0
                }
            });
        }
        Ok(sizes)
    }

    fn unit(&self, kind: &Type) -> &'static str {
        if self.measure == Measure::Elements { kind.unit } else { "bytes" }
    }

    fn note(&mut self, key: &[u8], kind: usize, size: u64, mark: &str, news: &mut String) {
        self.progress.sampled += 1;
        self.key_bytes += key.len() as u64;
        let unit = self.unit(&self.types[kind]);
        let kind = &mut self.types[kind];
        kind.count += 1;
        kind.total += size;
        if size > kind.biggest {
            kind.biggest = size;
            let shown = String::from_utf8_lossy(&words::quote(key)).into_owned();
            let _ = writeln!(news, "{mark} Biggest {:<6} found so far '{shown}' with {size} {unit}", kind.name);
            kind.biggest_key = Some(shown);
        }
        if self.progress.sampled.is_multiple_of(1_000_000) {
            let _ = writeln!(news, "{mark} Sampled {} keys so far", self.progress.sampled);
        }
    }

    fn summary(&self, interrupted: bool) -> String {
        let sampled = self.progress.sampled;
        let mut out = "\n-------- Summary --------\n\n".to_owned();
        if interrupted {
            out += &format!("{} ", self.progress.mark());
        }
        let _ = writeln!(out, "Sampled {sampled} keys in the keyspace!");
        let average = ratio(self.key_bytes, sampled);
        let _ = writeln!(out, "Total key length in bytes is {} (avg len {average:.2})\n", self.key_bytes);
        for kind in &self.types {
            if let Some(key) = &kind.biggest_key {
                let unit = self.unit(kind);
                let _ = writeln!(out, "Biggest {:>6} found '{key}' has {} {unit}", kind.name, kind.biggest);
            }
        }
        out.push('\n');
        for kind in &self.types {
            let _ = writeln!(
                out,
                "{} {}s with {} {} ({:05.2}% of keys, avg size {:.2})",
                kind.count,
                kind.name,
                kind.total,
                self.unit(kind),
                percent(kind.count, sampled),
                ratio(kind.total, kind.count)
            );
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_survey_names_the_biggest_key_of_each_type() {
        let mut survey = Survey::new(Measure::Elements, Progress { total: 4, sampled: 0 });
        let mut news = String::new();
        survey.note(b"a", 0, 3, "[00.00%]", &mut news);
        survey.note(b"bb\n", 0, 5, "[00.00%]", &mut news);
        survey.note(b"c", 0, 4, "[00.00%]", &mut news);
        survey.note(b"l", 1, 7, "[75.00%]", &mut news);
        assert_eq!(
            news,
            "[00.00%] Biggest string found so far '\"a\"' with 3 bytes\n\
             [00.00%] Biggest string found so far '\"bb\\n\"' with 5 bytes\n\
             [75.00%] Biggest list   found so far '\"l\"' with 7 items\n"
        );
        let want = "\n-------- Summary --------\n\n\
                    Sampled 4 keys in the keyspace!\n\
                    Total key length in bytes is 6 (avg len 1.50)\n\n\
                    Biggest string found '\"bb\\n\"' has 5 bytes\n\
                    Biggest   list found '\"l\"' has 7 items\n\n\
                    3 strings with 12 bytes (75.00% of keys, avg size 4.00)\n\
                    1 lists with 7 items (25.00% of keys, avg size 7.00)\n\
                    0 sets with 0 members (00.00% of keys, avg size 0.00)\n\
                    0 hashs with 0 fields (00.00% of keys, avg size 0.00)\n\
                    0 zsets with 0 members (00.00% of keys, avg size 0.00)\n\
                    0 streams with 0 entries (00.00% of keys, avg size 0.00)\n";
        assert_eq!(survey.summary(false), want);
        assert!(survey.summary(true).contains("\n[100.00%] Sampled 4 keys"));
    }
}
