//! The manifest: which files the append-only file consists of, in which order.
//!
//! Lines `file <name> seq <n> type <b|h|i>`: at most one base, then increments by number; history is what the next
//! clean-up deletes. The manifest is replaced by renaming, so there is always one whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::resp::argv::Span;
use crate::resp::inline::split_in_place;

/// The longest line of a manifest: a name has 255 bytes at most.
const LINE_MAX: usize = 1024;

/// What a file of the manifest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileType {
    /// The data set at some moment.
    Base,
    /// What came after, in order.
    Incr,
    /// No longer needed.
    History,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name within the directory.
    pub name: String,
    /// Its number.
    pub seq: u64,
    /// See [`FileType`].
    pub file_type: FileType,
}

/// All files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// In the order of the file.
    pub parts: Vec<Part>,
}

impl Manifest {
    /// The name of the manifest of an append-only file called `stem`.
    pub fn file_name(stem: &str) -> String {
        format!("{stem}.manifest")
    }

    /// Reads the manifest in `dir`; `None` where there is none.
    ///
    /// # Errors
    /// A text that names file and line.
    pub fn load(dir: &Path, stem: &str) -> Result<Option<Self>, String> {
        Self::read(&dir.join(Self::file_name(stem)))
    }

    /// Reads a manifest; `None` where there is none.
    ///
    /// # Errors
    /// A text that names file and line.
    pub fn read(path: &Path) -> Result<Option<Self>, String> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => {
                return Err(format!(
                    "Fatal error: can't open the AOF manifest file {} for reading: {e}",
                    path.display()
                ));
            }
        };
        Self::parse(&text).map(Some).map_err(|(line, why)| {
            format!("*** FATAL AOF MANIFEST FILE ERROR ***: reading {}, at line {line}: {why}", path.display())
        })
    }

    fn parse(text: &[u8]) -> Result<Self, (usize, &'static str)> {
        let mut parts: Vec<Part> = Vec::new();
        let mut last_incr = None;
        let lines = text.strip_suffix(b"\n").unwrap_or(text);
        for (i, line) in lines.split(|c| *c == b'\n').enumerate().filter(|_| !text.is_empty()) {
            if line.len() >= LINE_MAX {
                return Err((i + 1, "The AOF manifest file contains too long line"));
            }
            if line.first() == Some(&b'#') {
                continue;
            }
            let mut line = line.to_vec();
            let part = parse_line(&mut line).map_err(|why| (i + 1, why))?;
            match part.file_type {
                FileType::Base if parts.iter().any(|p| p.file_type == FileType::Base) => {
                    return Err((i + 1, "Found duplicate base file information"));
                }
                FileType::Incr if last_incr.replace(part.seq).is_some_and(|last| part.seq <= last) => {
                    return Err((i + 1, "Found a non-monotonic sequence number"));
                }
                _ => {}
            }
            parts.push(part);
        }
        if parts.is_empty() {
            return Err((1, "Found an empty AOF manifest"));
        }
        Ok(Manifest { parts })
    }

    /// The file's text.
    pub fn format(&self) -> String {
        let mut out = String::new();
        // Bases, what they replaced, and what follows them.
        let order = [FileType::Base, FileType::History, FileType::Incr];
        for p in order.iter().flat_map(|t| self.parts.iter().filter(move |p| p.file_type == *t)) {
            let kind = match p.file_type {
                FileType::Base => 'b',
                FileType::Incr => 'i',
                FileType::History => 'h',
            };
            let name = if p.name.contains([' ', '"', '\'', '\\']) { format!("{:?}", p.name) } else { p.name.clone() };
            out.push_str(&format!("file {name} seq {} type {kind}\n", p.seq));
        }
        out
    }

    /// Replaces the manifest in `dir`, durably.
    ///
    /// # Errors
    /// What failed.
    pub fn store(&self, dir: &Path, stem: &str) -> io::Result<()> {
        let path = dir.join(Self::file_name(stem));
        let temp = dir.join(format!("temp-{}", Self::file_name(stem)));
        let mut file = File::create(&temp)?;
        file.write_all(self.format().as_bytes())?;
        file.sync_all()?;
        fs::rename(&temp, &path)?;
        File::open(dir)?.sync_all()
    }

    /// The base, if there is one.
    pub fn base(&self) -> Option<&Part> {
        self.parts.iter().find(|p| p.file_type == FileType::Base)
    }

    /// What is to be loaded, in order.
    pub fn live(&self) -> impl Iterator<Item = &Part> {
        let incr = self.parts.iter().filter(|p| p.file_type == FileType::Incr);
        self.base().into_iter().chain(incr)
    }

    /// The number for the next file of this type.
    pub fn next_seq(&self, file_type: FileType) -> u64 {
        let infix = if file_type == FileType::Base { ".base." } else { ".incr." };
        let same = |p: &&Part| match p.file_type {
            FileType::History => p.name.contains(infix),
            other => other == file_type,
        };
        self.parts.iter().filter(same).map(|p| p.seq).max().unwrap_or(0) + 1
    }

    /// The name of a file.
    pub fn name(stem: &str, seq: u64, file_type: FileType, rdb: bool) -> String {
        match (file_type, rdb) {
            (FileType::Base, true) => format!("{stem}.{seq}.base.rdb"),
            (FileType::Base, false) => format!("{stem}.{seq}.base.aof"),
            _ => format!("{stem}.{seq}.incr.aof"),
        }
    }

    /// Replaces base and increments by a new base and the increments from `first_incr` on. What they replace is history, the
    /// latest first.
    pub fn rebase(&mut self, base: Part, first_incr: u64) {
        let needed = |p: &Part| p.file_type == FileType::Incr && p.seq >= first_incr;
        let (kept, old): (Vec<Part>, Vec<Part>) = self.parts.drain(..).partition(needed);
        let (mut history, replaced): (Vec<Part>, Vec<Part>) =
            old.into_iter().partition(|p| p.file_type == FileType::History);
        for part in replaced.into_iter().filter(|p| p.name != base.name) {
            history.insert(0, Part { file_type: FileType::History, ..part });
        }
        self.parts.push(base);
        self.parts.extend(history);
        self.parts.extend(kept);
    }

    /// Takes what is history out; returns its paths.
    pub fn forget_history(&mut self, dir: &Path) -> Vec<PathBuf> {
        let history = self.parts.extract_if(.., |p| p.file_type == FileType::History);
        history.map(|p| dir.join(p.name)).collect()
    }
}

/// `file <name> seq <n> type <t>`; pairs of other versions (`startoffset`, `endoffset`) are passed over.
fn parse_line(line: &mut [u8]) -> Result<Part, &'static str> {
    const INVALID: &str = "Invalid AOF manifest file format";
    let mut spans: Vec<Span> = Vec::new();
    split_in_place(line, &mut spans).ok_or(INVALID)?;
    let word = |s: &Span| String::from_utf8_lossy(&line[s.start as usize..(s.start + s.len) as usize]).into_owned();
    let words: Vec<String> = spans.iter().map(word).collect();
    if words.len() < 6 || !words.len().is_multiple_of(2) {
        return Err(INVALID);
    }
    let (mut name, mut seq, mut file_type) = (None, None, None);
    for pair in words.chunks_exact(2) {
        let [key, value] = pair else { continue };
        match key.as_str() {
            "file" if value.contains('/') || matches!(value.as_str(), "" | "." | "..") => {
                return Err("File can't be a path, just a filename");
            }
            "file" => name = Some(value.clone()),
            "seq" => seq = value.parse().ok(),
            "type" => {
                file_type = match value.as_str() {
                    "b" => Some(FileType::Base),
                    "i" => Some(FileType::Incr),
                    "h" => Some(FileType::History),
                    _ => return Err("Unknown AOF file type"),
                }
            }
            _ => {}
        }
    }
    match (name, seq, file_type) {
        (Some(name), Some(seq), Some(file_type)) => Ok(Part { name, seq, file_type }),
        _ => Err(INVALID),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_reads_back_as_it_was_written() {
        let text = "file a.aof.2.base.rdb seq 2 type b\nfile a.aof.1.incr.aof seq 1 type h\nfile \"a b.3.incr.aof\" seq 3 type i\n";
        let m = Manifest::parse(text.as_bytes()).unwrap();
        assert_eq!(m.format(), text);
        assert_eq!(m.live().map(|p| p.seq).collect::<Vec<_>>(), [2, 3]);
        assert_eq!((m.next_seq(FileType::Incr), m.next_seq(FileType::Base)), (4, 3));
    }

    #[test]
    fn a_new_base_makes_history_of_what_it_replaces() {
        let part = |name: &str, seq, file_type| Part { name: name.to_owned(), seq, file_type };
        let mut m = Manifest { parts: vec![part("b1", 1, FileType::Base), part("i1", 1, FileType::Incr)] };
        for n in 2..4 {
            m.parts.push(part(&format!("i{n}"), n, FileType::Incr));
            m.rebase(part(&format!("b{n}"), n, FileType::Base), n);
        }
        let names: Vec<_> = m.parts.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["b3", "i2", "b2", "i1", "b1", "i3"]);
        assert_eq!(m.forget_history(Path::new("d")).len(), 4);
        assert_eq!(m.live().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["b3", "i3"]);
    }

    #[test]
    fn offsets_of_other_versions_are_tolerated() {
        let m = Manifest::parse(b"# c\nfile x seq 1 type i startoffset 0 endoffset 9\n").unwrap();
        assert_eq!(m.parts.len(), 1);
    }

    #[test]
    fn a_bad_manifest_says_where() {
        for (text, line) in [
            ("file x seq 1 type z\n", 1),
            ("file x seq 1 type b\nfile y seq\n", 2),
            ("file ../x seq 1 type b\n", 1),
            ("file \"\" seq 1 type b\n", 1),
            ("file .. seq 1 type b\n", 1),
            ("file x seq 2 type i\nfile y seq 1 type i\nfile z seq 3 type i\n", 2),
            ("# c\nfile x seq 1 type b\nfile y seq 2 type b\nfile z seq 3 type i\n", 3),
            ("file x seq 1 type i\n\nfile y seq 2 type i\n", 2),
            (&format!("file x seq 1 type i{}\n", " k v".repeat(300)), 1),
            ("", 1),
        ] {
            assert_eq!(Manifest::parse(text.as_bytes()).unwrap_err().0, line, "{text:?}");
        }
    }
}
