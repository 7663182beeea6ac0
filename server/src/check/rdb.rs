//! `valkey-check-rdb`: is an RDB file sound, and what is in it?

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use super::statistics::{Layout, Statistics};
use super::{Outcome, Stop, complain, print_version};
use crate::data::entry::Entry;
use crate::persistence::rdb::check::{CheckOptions, Event, Failure, Report, check};
use crate::persistence::rdb::error::ErrorKind;
use crate::persistence::rdb::format::{FOREIGN_FIRST, FOREIGN_LAST, VERSION, VersionCheck, module};
use crate::persistence::rdb::parser::{Checksum, Doing};
use crate::sys::unix_ms;

/// What the arguments ask for.
#[derive(Debug)]
struct Arguments {
    file: PathBuf,
    stats: bool,
    layout: Layout,
    /// Where the statistics go, if not to the other results.
    output: Option<PathBuf>,
}

impl Arguments {
    fn parse(args: &[OsString]) -> Option<Self> {
        let (file, options) = args.split_first()?;
        let mut parsed = Arguments { file: file.into(), stats: false, layout: Layout::Table, output: None };
        let mut options = options.iter();
        while let Some(option) = options.next() {
            match option.to_str()? {
                "--stats" => parsed.stats = true,
                "--output" => parsed.output = Some(options.next()?.into()),
                "--format" => {
                    parsed.layout = match options.next()?.to_str()? {
                        "table" => Layout::Table,
                        "csv" => Layout::Csv,
                        "info" => Layout::Info,
                        _ => return None,
                    }
                }
                _ => return None,
            }
        }
        Some(parsed)
    }
}

/// The program.
pub fn main(out: &mut dyn Write, program: &OsStr, args: &[OsString]) -> Outcome {
    if args.first().is_some_and(|a| a == "-v" || a == "--version") {
        return print_version(out, "valkey-check-rdb");
    }
    let Some(args) = Arguments::parse(args) else {
        return complain(&format!(
            "Usage: {} <rdb-file-name> [--format table|info|csv] [--stats] [--output <file>]",
            program.display()
        ));
    };
    match File::open(&args.file) {
        Ok(file) => check_file(out, &args.file, file, args.stats.then_some(&args)).map(drop),
        Err(e) => {
            writeln!(out, "[offset 0] Checking RDB file {}", args.file.display())?;
            writeln!(out, "[offset 0] Check RDB returned error code 1 (0 means success)")?;
            complain(&format!("Cannot open file {}: {e}", args.file.display()))
        }
    }
}

/// Checks an RDB file, or the beginning of an append-only file that is one, and prints what is found; returns where it ends.
pub fn check_preamble(out: &mut dyn Write, path: &Path, source: impl Read) -> Outcome<u64> {
    check_file(out, path, source, None)
}

fn check_file(out: &mut dyn Write, path: &Path, source: impl Read, stats: Option<&Arguments>) -> Outcome<u64> {
    writeln!(out, "[offset 0] Checking RDB file {}", path.display())?;
    // Whatever can be understood: the last line says what a server takes.
    let options = CheckOptions { version_check: VersionCheck::Relaxed, checksum: true, now_ms: unix_ms() };
    let (mut statistics, mut db, mut end) = (Statistics::default(), 0, 0);
    let mut written = Ok(());
    let (report, result) = check(source, &options, |offset, event| {
        match event {
            Event::SelectDb(selected) => {
                db = selected;
                statistics.select(db);
            }
            Event::Key { head, name, entry } if stats.is_some() => {
                let expired = head.expire_at.map(|at| at < options.now_ms);
                statistics.key(db, name, entry.map(Entry::value), expired);
            }
            Event::End(_) => end = offset,
            _ => {}
        }
        if written.is_ok() {
            written = print_event(out, offset, &event);
        }
    });
    written?;
    let show = |out: &mut dyn Write| print_report(out, &report, stats.map(|args| (args, &statistics)));
    match result {
        Ok(()) => {
            writeln!(out, "[offset {end}] Check RDB returned error code 0 (0 means success)")?;
            if report.version > VERSION || is_foreign(report.version) {
                let what = "\\o/ RDB looks OK, but loading requires config 'rdb-version-check relaxed'";
                writeln!(out, "[offset {end}] {what}")?;
            } else {
                writeln!(out, "[offset {end}] \\o/ RDB looks OK! \\o/")?;
            }
            show(out)?;
            Ok(end)
        }
        Err(failure) => {
            print_failure(out, &failure)?;
            show(out)?;
            let offset = failure.error.offset();
            writeln!(out, "[offset {offset}] Check RDB returned error code 1 (0 means success)")?;
            Err(Stop::Found)
        }
    }
}

fn is_foreign(version: u32) -> bool {
    (FOREIGN_FIRST..=FOREIGN_LAST).contains(&version)
}

fn print_event(out: &mut dyn Write, offset: u64, event: &Event<'_>) -> io::Result<()> {
    match event {
        Event::Version(version) if *version > VERSION => {
            writeln!(out, "[offset {offset}] Future RDB version {version} detected")
        }
        Event::Version(version) if is_foreign(*version) => {
            writeln!(out, "[offset {offset}] Foreign RDB version {version} detected")
        }
        Event::Aux { name, value } => {
            write!(out, "[offset {offset}] AUX FIELD ")?;
            out.write_all(name)?;
            write!(out, " = '")?;
            out.write_all(value)?;
            writeln!(out, "'")
        }
        Event::ModuleAux(id) => writeln!(out, "[offset {offset}] MODULE AUX for: {}", module::type_name(*id)),
        Event::SelectDb(db) => writeln!(out, "[offset {offset}] Selecting DB ID {db}"),
        Event::End(Checksum::Verified) => writeln!(out, "[offset {offset}] Checksum OK"),
        Event::End(Checksum::Disabled) => {
            writeln!(out, "[offset {offset}] RDB file was saved with checksum disabled: no check performed.")
        }
        Event::Version(_) | Event::Key { .. } | Event::End(_) => Ok(()),
    }
}

fn print_failure(out: &mut dyn Write, Failure { error, doing }: &Failure) -> io::Result<()> {
    let offset = error.offset();
    let what = match error.kind() {
        ErrorKind::WrongChecksum { .. } => "RDB CRC error".to_owned(),
        ErrorKind::UnknownType { code, version } if is_foreign(*version) => {
            format!("Unknown object type {code} in RDB file with foreign version {version}")
        }
        ErrorKind::UnknownType { code, version } if *version > VERSION => {
            format!("Unknown object type {code} in RDB file with future version {version}")
        }
        ErrorKind::UnknownType { code, .. } => format!("Invalid object type: {code}"),
        // Apart from what is between the keys, which is told as it is.
        ErrorKind::Corrupt(what) | ErrorKind::Unsupported(what) if *doing != Doing::Type => {
            format!("Internal error in RDB reading offset {offset} -> {what}")
        }
        kind => kind.to_string(),
    };
    writeln!(out, "--- RDB ERROR DETECTED ---")?;
    writeln!(out, "[offset {offset}] {what}")?;
    writeln!(out, "[additional info] While doing: {}", doing.name())?;
    if let Some((key, value_type)) = error.key() {
        write!(out, "[additional info] Reading key '")?;
        out.write_all(key)?;
        writeln!(out, "'")?;
        writeln!(out, "[additional info] Reading type {} ({})", value_type.code(), value_type.name())?;
    }
    Ok(())
}

fn print_report(out: &mut dyn Write, report: &Report, stats: Option<(&Arguments, &Statistics)>) -> Outcome {
    writeln!(out, "[info] {} keys read", report.keys)?;
    writeln!(out, "[info] {} expires", report.expires)?;
    writeln!(out, "[info] {} already expired", report.already_expired)?;
    writeln!(out, "[info] {} functions", report.functions)?;
    if report.scripts > 0 {
        writeln!(out, "[info] {} lua scripts read", report.scripts)?;
    }
    if report.empty_values > 0 {
        writeln!(out, "[info] {} empty keys, which loading leaves out", report.empty_values)?;
    }
    let Some((args, statistics)) = stats else { return Ok(()) };
    let Some(path) = &args.output else { return Ok(statistics.print(out, args.layout)?) };
    let written = File::create(path).and_then(|file| {
        let mut file = BufWriter::new(file);
        statistics.print(&mut file, args.layout)?;
        file.flush()
    });
    written.or_else(|e| complain(&format!("Cannot open output file: '{}': {e}", path.display())))
}
