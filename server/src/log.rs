//! The log: Valkey's line format, which operators' eyes and tests rely on. Every line is flushed at once.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::config::LogLevel;

/// What the process is at the moment; the letter in each line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// A forked child.
    Child = b'C',
    /// A replica.
    Replica = b'S',
    /// A primary.
    Primary = b'M',
}

static LEVEL: AtomicU8 = AtomicU8::new(LogLevel::Notice as u8);
static ROLE: AtomicU8 = AtomicU8::new(Role::Primary as u8);
static SILENT: AtomicBool = AtomicBool::new(false);
static TARGET: OnceLock<Mutex<Option<File>>> = OnceLock::new();

/// Sets the lowest level that is written.
pub fn set_level(level: LogLevel) {
    LEVEL.store(level as u8, Relaxed);
}

/// Sets the letter of this process.
pub fn set_role(role: Role) {
    ROLE.store(role as u8, Relaxed);
}

/// Stops all output, for a child that must not write into its parent's log.
pub fn silence() {
    SILENT.store(true, Relaxed);
}

/// Sends the log to a file (appended to), or to standard output when `path` is empty.
///
/// # Errors
/// When the file can't be opened.
pub fn open(path: &[u8]) -> io::Result<()> {
    let file = match path {
        b"" => None,
        _ => Some(OpenOptions::new().create(true).append(true).open(Path::new(std::ffi::OsStr::from_bytes(path)))?),
    };
    let target = TARGET.get_or_init(Mutex::default);
    *target.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = file;
    Ok(())
}

/// Whether lines of this level are written.
pub fn enabled(level: LogLevel) -> bool {
    level as u8 >= LEVEL.load(Relaxed) && level != LogLevel::Nothing
}

/// Writes one line. Use the macros.
pub fn write(level: LogLevel, message: std::fmt::Arguments<'_>) {
    if SILENT.load(Relaxed) {
        return;
    }
    let mark = match level {
        LogLevel::Debug => '.',
        LogLevel::Verbose => '-',
        LogLevel::Notice => '*',
        _ => '#',
    };
    let role = ROLE.load(Relaxed) as char;
    let line = format!("{}:{role} {} {mark} {message}\n", std::process::id(), timestamp());
    emit(line.as_bytes());
}

/// Writes text without a prefix: the logo.
pub fn raw(text: &str) {
    emit(text.as_bytes());
}

fn emit(bytes: &[u8]) {
    let target = TARGET.get_or_init(Mutex::default);
    let mut target = target.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    // A full disk must not stop the server: a line that can't be written is lost.
    let _ = match target.as_mut() {
        Some(file) => file.write_all(bytes),
        None => io::stdout().lock().write_all(bytes).and_then(|()| io::stdout().flush()),
    };
}

/// `22 Nov 2026 08:19:04.303`, in local time.
fn timestamp() -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let t = crate::sys::local_time(now.as_secs() as i64);
    let month = MONTHS.get(t.month as usize).copied().unwrap_or("???");
    format!("{:02} {month} {} {:02}:{:02}:{:02}.{:03}", t.day, t.year, t.hour, t.minute, t.second, now.subsec_millis())
}

/// Writes a line of level `debug`.
#[macro_export]
macro_rules! log_debug { ($($arg:tt)*) => { $crate::log_at!($crate::config::LogLevel::Debug, $($arg)*) }; }
/// Writes a line of level `verbose`.
#[macro_export]
macro_rules! log_verbose { ($($arg:tt)*) => { $crate::log_at!($crate::config::LogLevel::Verbose, $($arg)*) }; }
/// Writes a line of level `notice`.
#[macro_export]
macro_rules! log_notice { ($($arg:tt)*) => { $crate::log_at!($crate::config::LogLevel::Notice, $($arg)*) }; }
/// Writes a line of level `warning`.
#[macro_export]
macro_rules! log_warning { ($($arg:tt)*) => { $crate::log_at!($crate::config::LogLevel::Warning, $($arg)*) }; }
/// Writes a line of the given level, if that level is written at all.
#[macro_export]
macro_rules! log_at {
    ($level:expr, $($arg:tt)*) => {
        if $crate::log::enabled($level) {
            $crate::log::write($level, format_args!($($arg)*));
        }
    };
}
