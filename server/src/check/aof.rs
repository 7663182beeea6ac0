//! `valkey-check-aof`: is an append-only file sound? It can cut off what is not, or what came after a time.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::{Outcome, Stop, complain, print_version, rdb};
use crate::persistence::aof::check::{Record, Records};
use crate::persistence::aof::manifest::{FileType, Manifest};
use crate::persistence::rdb::format::{MAGIC_LEN, Magic};

/// What to do beside checking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Check,
    /// Cut off what is not whole, if the user agrees.
    Fix,
    /// Cut off what is later than this second of Unix time.
    Until(i64),
}

/// How a file that does not stop the check turned out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Valid,
    Empty,
    Fixed,
    CutToTimestamp,
}

/// The program.
pub fn main(out: &mut dyn Write, program: &OsStr, args: &[OsString]) -> Outcome {
    let (mode, path) = match args {
        [version] if version == "-v" || version == "--version" => return print_version(out, "valkey-check-aof"),
        [path] => (Mode::Check, path),
        [fix, path] if fix == "--fix" => (Mode::Fix, path),
        [until, timestamp, path] if until == "--truncate-to-timestamp" => {
            let Some(timestamp) = timestamp.to_str().and_then(|t| t.parse().ok()) else {
                writeln!(out, "Invalid timestamp, aborting...")?;
                return Err(Stop::Found);
            };
            (Mode::Until(timestamp), path)
        }
        _ => {
            let options = "[--fix|--truncate-to-timestamp $timestamp] <file.manifest|file.aof>";
            writeln!(out, "Usage: {} {options}", program.display())?;
            return Err(Stop::Found);
        }
    };
    let path = Path::new(path);
    let beginning = open(out, path, false).and_then(|file| Ok(Beginning::of(file)?))?;
    if beginning.is_manifest {
        return check_all(out, path, mode);
    }
    writeln!(out, "Start checking Old-Style AOF")?;
    let part = Part { name: &path.display().to_string(), path, is_rdb: beginning.is_rdb, is_last: true };
    let verdict = part.check(out, mode)?;
    print_verdict(out, verdict, "AOF", part.name, mode)
}

/// Checks all files that a manifest names, in their order.
fn check_all(out: &mut dyn Write, manifest: &Path, mode: Mode) -> Outcome {
    writeln!(out, "Start checking Multi Part AOF")?;
    let parts = match Manifest::read(manifest) {
        Ok(parts) => parts.unwrap_or_default(),
        // After what was told so far.
        Err(why) => return out.flush().map_err(Stop::Output).and_then(|()| complain(&why)),
    };
    let dir = manifest.parent().unwrap_or(Path::new(""));
    let live: Vec<_> = parts.live().collect();
    let mut in_increments = false;
    for (i, part) in live.iter().enumerate() {
        let path = dir.join(&part.name);
        let is_base = part.file_type == FileType::Base;
        // Of increments none is one.
        let is_rdb = is_base && open(out, &path, false).and_then(|file| Ok(Beginning::of(file)?.is_rdb))?;
        if is_base {
            writeln!(out, "Start to check BASE AOF ({} format).", if is_rdb { "RDB" } else { "RESP" })?;
        } else if !std::mem::replace(&mut in_increments, true) {
            writeln!(out, "Start to check INCR files.")?;
        }
        let file = Part { name: &part.name, path: &path, is_rdb, is_last: i + 1 == live.len() };
        let verdict = file.check(out, mode)?;
        print_verdict(out, verdict, if is_base { "BASE AOF" } else { "INCR AOF" }, file.name, mode)?;
    }
    Ok(writeln!(out, "All AOF files and manifest are valid")?)
}

fn print_verdict(out: &mut dyn Write, verdict: Verdict, kind: &str, name: &str, mode: Mode) -> Outcome {
    match (verdict, mode) {
        (Verdict::Empty, _) => writeln!(out, "{kind} {name} is empty")?,
        (Verdict::Fixed, _) => writeln!(out, "Successfully truncated AOF {name}")?,
        (Verdict::CutToTimestamp, Mode::Until(timestamp)) => {
            writeln!(out, "Successfully truncated AOF {name} to timestamp {timestamp}")?;
        }
        (Verdict::Valid | Verdict::CutToTimestamp, _) => writeln!(out, "{kind} {name} is valid")?,
    }
    Ok(())
}

fn open(out: &mut dyn Write, path: &Path, writable: bool) -> Outcome<File> {
    match OpenOptions::new().read(true).write(writable).open(path) {
        Ok(file) => Ok(file),
        Err(e) => {
            writeln!(out, "Cannot open file {}: {e}, aborting...", path.display())?;
            Err(Stop::Found)
        }
    }
}

/// What the first bytes of a file say it is.
struct Beginning {
    is_manifest: bool,
    is_rdb: bool,
}

impl Beginning {
    fn of(file: File) -> io::Result<Self> {
        let mut input = BufReader::new(file);
        let mut magic = Vec::new();
        input.by_ref().take(MAGIC_LEN as u64).read_to_end(&mut magic)?;
        let is_rdb = magic.len() == MAGIC_LEN && Magic::begins(&magic);
        input.rewind()?;
        // The first line that is no comment.
        loop {
            let mut first = Vec::new();
            input.by_ref().take(b"file".len() as u64).read_until(b'\n', &mut first)?;
            if first.first() != Some(&b'#') {
                return Ok(Beginning { is_manifest: first == b"file", is_rdb });
            }
            if first.last() != Some(&b'\n') {
                input.skip_until(b'\n')?;
            }
        }
    }
}

/// A file of an append-only file, or all of an old one.
struct Part<'a> {
    name: &'a str,
    path: &'a Path,
    is_rdb: bool,
    is_last: bool,
}

impl Part<'_> {
    fn check(&self, out: &mut dyn Write, mode: Mode) -> Outcome<Verdict> {
        let name = self.name;
        let mut file = open(out, self.path, mode != Mode::Check)?;
        let size = file.metadata()?.len();
        if size == 0 {
            return Ok(Verdict::Empty);
        }
        let mut start = 0;
        if self.is_rdb {
            match rdb::check_preamble(out, self.path, &file) {
                Ok(end) => start = end,
                Err(Stop::Found) => {
                    writeln!(out, "RDB preamble of AOF file is not sane, aborting.")?;
                    return Err(Stop::Found);
                }
                Err(stop) => return Err(stop),
            }
            writeln!(out, "RDB preamble is OK, proceeding with AOF tail...")?;
            file.seek(SeekFrom::Start(start))?;
        }
        let mut records =
            Records::new(BufReader::with_capacity(256 * 1024, &file), self.path.display().to_string(), start);
        loop {
            let at = records.offset();
            match records.next_record() {
                Ok(None) => break,
                Ok(Some(Record::Annotation(text))) => {
                    if let Mode::Until(until) = mode
                        && is_later(out, &text, until)?
                    {
                        return self.cut_to_timestamp(out, &file, at, until);
                    }
                }
                Ok(Some(Record::Command)) => {}
                Err(wrong) if wrong.at.is_none() => {
                    writeln!(out, "AOF {name} {wrong}")?;
                    break;
                }
                Err(wrong) => {
                    writeln!(out, "{wrong}")?;
                    break;
                }
            }
        }
        let (whole, line) = (records.whole(), records.line());
        let diff = size.saturating_sub(whole);
        if let Mode::Until(until) = mode
            && diff == 0
        {
            writeln!(out, "Truncate nothing in AOF {name} to timestamp {until}")?;
            return Ok(Verdict::Valid);
        }
        writeln!(
            out,
            "AOF analyzed: filename={name}, size={size}, ok_up_to={whole}, ok_up_to_line={line}, diff={diff}"
        )?;
        match mode {
            _ if diff == 0 => Ok(Verdict::Valid),
            Mode::Fix => self.fix(out, &file, size, whole),
            _ => {
                writeln!(out, "AOF {name} is not valid. Use the --fix option to try fixing it.")?;
                Err(Stop::Found)
            }
        }
    }

    fn cut_to_timestamp(&self, out: &mut dyn Write, file: &File, at: u64, until: i64) -> Outcome<Verdict> {
        let name = self.path.display();
        if at == 0 {
            writeln!(out, "AOF {name} has nothing before timestamp {until}, aborting...")?;
        } else if !self.is_last {
            let why = "because it is not the last file";
            writeln!(out, "Failed to truncate AOF {name} to timestamp {until} to offset {at} {why}.")?;
            writeln!(
                out,
                "If you insist, please delete all files after this file according to the manifest file and delete the corresponding records in manifest file manually. Then re-run valkey-check-aof."
            )?;
        } else if let Err(e) = file.set_len(at).and_then(|()| file.sync_all()) {
            writeln!(out, "Failed to truncate AOF {name} to timestamp {until}: {e}")?;
        } else {
            return Ok(Verdict::CutToTimestamp);
        }
        Err(Stop::Found)
    }

    fn fix(&self, out: &mut dyn Write, file: &File, size: u64, whole: u64) -> Outcome<Verdict> {
        let name = self.name;
        if !self.is_last {
            writeln!(out, "Failed to truncate AOF {name} because it is not the last file")?;
            return Err(Stop::Found);
        }
        let less = size - whole;
        writeln!(out, "This will shrink the AOF {name} from {size} bytes, with {less} bytes, to {whole} bytes")?;
        write!(out, "Continue? [y/N]: ")?;
        out.flush()?;
        let mut answer = String::new();
        let answered = io::stdin().lock().read_line(&mut answer);
        if answered.is_err() || !answer.starts_with(['y', 'Y']) {
            writeln!(out, "Aborting...")?;
            return Err(Stop::Found);
        }
        match file.set_len(whole).and_then(|()| file.sync_all()) {
            Ok(()) => Ok(Verdict::Fixed),
            Err(e) => {
                writeln!(out, "Failed to truncate AOF {name}: {e}")?;
                Err(Stop::Found)
            }
        }
    }
}

/// Whether an annotation says that what follows is later.
fn is_later(out: &mut dyn Write, annotation: &[u8], until: i64) -> Outcome<bool> {
    let Some(text) = annotation.strip_prefix(b"#TS:") else { return Ok(false) };
    match std::str::from_utf8(text).ok().and_then(|text| text.parse::<i64>().ok()) {
        Some(at) => Ok(at > until),
        None => {
            writeln!(out, "Invalid timestamp annotation")?;
            Err(Stop::Found)
        }
    }
}
