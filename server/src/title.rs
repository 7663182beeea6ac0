//! The process's title: what `ps` shows in the place of the command line.
//!
//! The kernel shows the memory in which it laid down the program's arguments when it started. A title is written over them, and over the
//! environment that follows them, of which the program has a copy from then on.

use std::ffi::{CStr, CString, OsStr, c_char};
use std::os::unix::ffi::OsStrExt;
use std::ptr;
use std::sync::OnceLock;

/// The longest title, as in Valkey.
const LONGEST: usize = 255;

/// The memory that the kernel shows.
#[derive(Debug)]
struct Area {
    start: usize,
    /// Bytes of arguments.
    args: usize,
    /// Bytes of arguments and environment.
    len: usize,
    /// What the program was called by.
    program: Vec<u8>,
}

static AREA: OnceLock<Area> = OnceLock::new();

/// What the program was called by; nothing where there are no titles.
pub fn program() -> &'static [u8] {
    AREA.get().map_or(b"", |area| &area.program)
}

/// Makes titles possible: finds the arguments' memory, and moves the environment away from behind them. Where that does not look
/// as expected, there are none.
///
/// # Safety
/// The process must have no other thread, and nobody may hold references into its arguments or environment, nor ask for its arguments
/// later.
pub unsafe fn prepare(program: &OsStr) {
    let Some([arg_start, arg_end, env_start, env_end]) = bounds() else { return };
    let end = if env_start == arg_end { env_end } else { arg_end };
    if end - arg_start <= program.len() || !is_writable(arg_start, end) {
        return;
    }
    let first = ptr::with_exposed_provenance::<c_char>(arg_start);
    // SAFETY: the memory from here to `end` is mapped, as was just seen, and stays so: it is the main thread's stack. The kernel put
    // strings there, each with its zero byte, and nobody writes to them meanwhile.
    if unsafe { CStr::from_ptr(first) }.to_bytes() != program.as_bytes() {
        return;
    }
    // SAFETY: no other thread exists, so that nobody reads the list while its entries change; whoever reads it later finds copies that
    // are never freed. Entries within the area are strings, as above.
    unsafe { move_environment(arg_end..end) };
    let area = Area {
        start: arg_start,
        args: arg_end - arg_start,
        len: end - arg_start,
        program: program.as_bytes().to_vec(),
    };
    // Whoever comes second (there is nobody) finds the area of the first.
    let _ = AREA.set(area);
}

/// Where the arguments and the environment begin and end, as the kernel knows it.
fn bounds() -> Option<[usize; 4]> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name, in parentheses, may hold anything. The next field is the third.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let mut bounds = [0; 4];
    for (bound, field) in bounds.iter_mut().zip(fields.get(45..49)?) {
        *bound = field.parse().ok()?;
    }
    let [arg_start, arg_end, env_start, env_end] = bounds;
    (0 < arg_start && arg_start < arg_end && arg_end <= env_start && env_start <= env_end).then_some(bounds)
}

/// Whether the process may read and write all of this memory.
fn is_writable(start: usize, end: usize) -> bool {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    maps.lines().any(|line| {
        let mut words = line.split_whitespace();
        let range = words.next().and_then(|range| range.split_once('-'));
        let range = range.and_then(|(from, to)| Some((address(from)?, address(to)?)));
        range.is_some_and(|(from, to)| from <= start && end <= to)
            && words.next().is_some_and(|is| is.starts_with("rw"))
    })
}

fn address(text: &str) -> Option<usize> {
    usize::from_str_radix(text, 16).ok()
}

/// Has the entries of the environment that lie in this range point to copies.
///
/// # Safety
/// No other thread may exist; entries in the range must be strings with a zero byte in it.
unsafe fn move_environment(range: std::ops::Range<usize>) {
    unsafe extern "C" {
        static mut environ: *mut *mut c_char;
    }
    // SAFETY: the C library's list of pointers, which ends with a null one; the caller sees to it that nobody else uses it.
    unsafe {
        let mut entry = environ;
        while !entry.is_null() && !(*entry).is_null() {
            if range.contains(&(*entry).addr()) {
                *entry = CString::from(CStr::from_ptr(*entry)).into_raw();
            }
            entry = entry.add(1);
        }
    }
}

/// Sets the title, as much of it as there is room for.
pub fn set(title: &[u8]) {
    let Some(area) = AREA.get() else { return };
    let shown = title.len().min(LONGEST).min(area.len - 1);
    let start = ptr::with_exposed_provenance_mut::<u8>(area.start);
    // SAFETY: `prepare` saw that this memory is mapped and writable, and left nobody to read it but the kernel. One thread sets titles at a
    // time: that of the data, and a forked child's only one.
    unsafe {
        ptr::write_bytes(start, 0, area.len);
        ptr::copy_nonoverlapping(title.as_ptr(), start, shown);
        // By its last byte the kernel tells whether the arguments were written over: then it shows what comes before the first zero.
        if shown + 1 < area.args {
            start.add(area.args - 1).write(b'.');
        }
    }
}
