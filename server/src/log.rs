//! The log: Valkey's line formats, which operators' eyes, tools and tests rely on. Every line is flushed at once.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::config::{LogFormat, LogLevel, LogTimestampFormat};
use crate::syslog::{SOCKET, Syslog};

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
static FORMAT: AtomicU8 = AtomicU8::new(LogFormat::Legacy as u8);
static TIME_FORMAT: AtomicU8 = AtomicU8::new(LogTimestampFormat::Legacy as u8);
static SILENT: AtomicBool = AtomicBool::new(false);
/// The descriptor that lines go to, for who may use no lock.
static DESCRIPTOR: AtomicI32 = AtomicI32::new(1);
static TARGET: OnceLock<Mutex<Option<LogFile>>> = OnceLock::new();
static SYSLOG: OnceLock<Syslog> = OnceLock::new();

/// The file that lines go to.
struct LogFile {
    path: PathBuf,
    file: File,
    /// Device and inode, which tell when another file, or none, goes by the name: who rotates logs renames them.
    identity: (u64, u64),
}

impl LogFile {
    fn open(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let found = file.metadata()?;
        Ok(Self { path, file, identity: (found.dev(), found.ino()) })
    }

    /// Appends, to the file that goes by the name now.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !fs::metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.identity)
            && let Ok(anew) = Self::open(self.path.clone())
        {
            DESCRIPTOR.store(anew.file.as_raw_fd(), Relaxed);
            *self = anew;
        }
        self.file.write_all(bytes)
    }
}

/// Sets the lowest level that is written.
pub fn set_level(level: LogLevel) {
    LEVEL.store(level as u8, Relaxed);
}

/// Sets the shape of lines, and of the time in them.
pub fn set_format(format: LogFormat, time: LogTimestampFormat) {
    FORMAT.store(format as u8, Relaxed);
    TIME_FORMAT.store(time as u8, Relaxed);
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
        _ => Some(LogFile::open(std::path::absolute(std::ffi::OsStr::from_bytes(path))?)?),
    };
    DESCRIPTOR.store(file.as_ref().map_or(1, |log| log.file.as_raw_fd()), Relaxed);
    let target = TARGET.get_or_init(Mutex::default);
    *target.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = file;
    Ok(())
}

/// Sends the lines to the system's log as well.
pub fn also_to(syslog: Syslog) {
    let _ = SYSLOG.set(syslog);
}

/// Where lines go to, as a signal handler may use it.
pub fn descriptor() -> i32 {
    DESCRIPTOR.load(Relaxed)
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
    if let Some(syslog) = SYSLOG.get() {
        syslog.send(SOCKET.as_ref(), level, &short_time(), &message.to_string());
    }
    let (mark, level) = match level {
        LogLevel::Debug => ('.', "debug"),
        LogLevel::Verbose => ('-', "verbose"),
        LogLevel::Notice => ('*', "notice"),
        _ => ('#', "warning"),
    };
    let letter = ROLE.load(Relaxed);
    let role = match letter {
        b'C' => "RDB/AOF",
        b'S' => "replica",
        _ => "primary",
    };
    let (pid, time) = (std::process::id(), timestamp());
    let line = match FORMAT.load(Relaxed) {
        f if f == LogFormat::Json as u8 => {
            let message = escape_json(&message.to_string());
            format!(
                "{{\"pid\":{pid},\"role\":\"{role}\",\"timestamp\":\"{time}\",\"level\":\"{level}\",\"message\":\"{message}\"}}\n"
            )
        }
        f if f == LogFormat::Logfmt as u8 => {
            let message = message.to_string().replace('"', "'").replace(['\r', '\n'], " ");
            format!("pid={pid} role={role} timestamp=\"{time}\" level={level} message=\"{message}\"\n")
        }
        _ => format!("{pid}:{} {time} {mark} {message}\n", letter as char),
    };
    emit(line.as_bytes());
}

/// The inside of a JSON string.
fn escape_json(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out
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
        Some(log) => log.append(bytes),
        None => io::stdout().lock().write_all(bytes).and_then(|()| io::stdout().flush()),
    };
}

/// The time as the system's log wants it: `Nov 22 08:19:04`.
fn short_time() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let t = crate::sys::local_time(now.as_secs() as i64);
    format!("{} {:2} {:02}:{:02}:{:02}", month(t.month), t.day, t.hour, t.minute, t.second)
}

fn month(month: i32) -> &'static str {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    usize::try_from(month).ok().and_then(|month| MONTHS.get(month).copied()).unwrap_or("???")
}

/// The time as `log-timestamp-format` wants it; local time, `22 Nov 2026 08:19:04.303`, by default.
fn timestamp() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let format = TIME_FORMAT.load(Relaxed);
    if format == LogTimestampFormat::Milliseconds as u8 {
        return now.as_millis().to_string();
    }
    let t = crate::sys::local_time(now.as_secs() as i64);
    if format == LogTimestampFormat::Iso8601 as u8 {
        let (sign, offset) = (if t.offset < 0 { '-' } else { '+' }, t.offset.unsigned_abs() / 60);
        return format!(
            "{}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}{sign}{:02}:{:02}",
            t.year,
            t.month + 1,
            t.day,
            t.hour,
            t.minute,
            t.second,
            now.subsec_millis(),
            offset / 60,
            offset % 60
        );
    }
    let month = month(t.month);
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

#[cfg(test)]
mod tests {
    #[test]
    fn a_message_in_json_is_one_string_whatever_is_in_it() {
        assert_eq!(super::escape_json("a \"b\" \\ \t\r\n\u{8}\u{c}\u{1} \u{e9}"), r#"a \"b\" \\ \t\r\n\b\f\u0001 é"#);
    }
}
