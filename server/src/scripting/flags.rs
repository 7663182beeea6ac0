//! What a script or a function says of itself: flags, and the line `#!lua …` that holds them.

use bitflags::bitflags;

use crate::commands::Flags;
use crate::words;

bitflags! {
    /// See [`NAMES`] for what users call them.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct ScriptFlags: u8 {
        /// It writes nothing.
        const NO_WRITES = 1;
        /// It may run, and write, beyond `maxmemory`.
        const ALLOW_OOM = 1 << 1;
        /// It may run on a replica that has lost its primary.
        const ALLOW_STALE = 1 << 2;
        /// Not in cluster mode.
        const NO_CLUSTER = 1 << 3;
        /// It may use keys of several slots of a cluster.
        const ALLOW_CROSS_SLOT_KEYS = 1 << 4;
        /// It has no line that says anything: it is checked command by command.
        const UNDECLARED = 1 << 7;
    }
}

/// The names, in the order in which FUNCTION LIST shows them.
pub const NAMES: &[(ScriptFlags, &str)] = &[
    (ScriptFlags::NO_WRITES, "no-writes"),
    (ScriptFlags::ALLOW_OOM, "allow-oom"),
    (ScriptFlags::ALLOW_STALE, "allow-stale"),
    (ScriptFlags::NO_CLUSTER, "no-cluster"),
    (ScriptFlags::ALLOW_CROSS_SLOT_KEYS, "allow-cross-slot-keys"),
];

impl ScriptFlags {
    /// The flag of a name.
    pub fn named(name: &[u8]) -> Option<ScriptFlags> {
        NAMES.iter().find(|(_, known)| known.as_bytes().eq_ignore_ascii_case(name)).map(|(flag, _)| *flag)
    }

    /// The flags of a command that runs a script with these, in place of its own: those of what the script says it does.
    pub fn command_flags(self, own: Flags) -> Flags {
        if self.contains(ScriptFlags::UNDECLARED) {
            return own;
        }
        let mut flags = own - (Flags::STALE | Flags::DENYOOM | Flags::WRITE | Flags::MAY_REPLICATE);
        flags.set(Flags::DENYOOM, !self.intersects(ScriptFlags::ALLOW_OOM | ScriptFlags::NO_WRITES));
        flags.set(Flags::WRITE, !self.contains(ScriptFlags::NO_WRITES));
        flags.set(Flags::STALE, self.contains(ScriptFlags::ALLOW_STALE));
        flags
    }
}

/// The flags of a script's text, and where the text of the program begins: behind its first line's words, so that lines keep
/// their numbers.
///
/// # Errors
/// What is wrong with the first line.
pub fn of_script(body: &[u8]) -> Result<(ScriptFlags, usize), String> {
    if !body.starts_with(b"#!") {
        return Ok((ScriptFlags::UNDECLARED, 0));
    }
    let end = memchr::memchr(b'\n', body).ok_or("Invalid script shebang")?;
    let words = words::split(&body[..end]).filter(|words| !words.is_empty());
    let words = words.ok_or("Invalid engine in script shebang")?;
    if !words[0].eq_ignore_ascii_case(b"#!lua") {
        return Err(format!("Could not find scripting engine '{}'", String::from_utf8_lossy(&words[0][2..])));
    }
    let mut flags = ScriptFlags::empty();
    for word in &words[1..] {
        let Some(list) = word.strip_prefix(b"flags=") else {
            return Err(format!("Unknown lua shebang option: {}", String::from_utf8_lossy(word)));
        };
        for name in list.split(|c| *c == b',').filter(|_| !list.is_empty()) {
            let known = NAMES.iter().find(|(_, known)| known.as_bytes() == name);
            let (flag, _) =
                known.ok_or_else(|| format!("Unexpected flag in script shebang: {}", String::from_utf8_lossy(name)))?;
            flags |= *flag;
        }
    }
    Ok((flags, end))
}

/// What the first line of a library says.
#[derive(Debug, PartialEq, Eq)]
pub struct LibraryHead {
    /// The engine.
    pub engine: Vec<u8>,
    /// The library's name.
    pub name: Vec<u8>,
    /// Where the program begins.
    pub start: usize,
}

/// Reads the first line of a library.
///
/// # Errors
/// What is wrong with it.
pub fn of_library(code: &[u8]) -> Result<LibraryHead, String> {
    if !code.starts_with(b"#!") {
        return Err("Missing library metadata".to_owned());
    }
    let start = memchr::memchr(b'\n', code).ok_or("Invalid library metadata")?;
    let words = words::split(&code[..start]).filter(|words| !words.is_empty()).ok_or("Invalid library metadata")?;
    let mut name = None;
    for word in &words[1..] {
        match word.split_at_checked(5) {
            Some((key, value)) if key.eq_ignore_ascii_case(b"name=") => {
                if name.replace(value.to_vec()).is_some() {
                    return Err("Invalid metadata value, name argument was given multiple times".to_owned());
                }
            }
            _ => return Err(format!("Invalid metadata value given: {}", String::from_utf8_lossy(word))),
        }
    }
    let name = name.ok_or("Library name was not given")?;
    Ok(LibraryHead { engine: words[0][2..].to_vec(), name, start })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_without_a_first_line_of_its_own_is_checked_command_by_command() {
        assert_eq!(of_script(b"return 1"), Ok((ScriptFlags::UNDECLARED, 0)));
    }

    #[test]
    fn a_first_line_declares_flags_and_leaves_line_numbers_as_they_are() {
        let (flags, start) = of_script(b"#!lua flags=no-writes,allow-stale\nreturn 1").unwrap();
        assert_eq!(flags, ScriptFlags::NO_WRITES | ScriptFlags::ALLOW_STALE);
        assert_eq!(start, 33);
        assert_eq!(of_script(b"#!lua\n"), Ok((ScriptFlags::empty(), 5)));
    }

    #[test]
    fn a_wrong_first_line_is_refused_with_what_is_wrong() {
        let error = |text: &[u8]| of_script(text).unwrap_err();
        assert_eq!(error(b"#!lua"), "Invalid script shebang");
        assert_eq!(error(b"#!not-lua\n"), "Could not find scripting engine 'not-lua'");
        assert_eq!(error(b"#!lua badger=data\n"), "Unknown lua shebang option: badger=data");
        assert_eq!(error(b"#!lua flags=allow-what?\n"), "Unexpected flag in script shebang: allow-what?");
    }

    #[test]
    fn a_library_names_its_engine_and_itself() {
        let head = of_library(b"#!lua name=\"my lib\"\nx").unwrap();
        assert_eq!(head, LibraryHead { engine: b"lua".to_vec(), name: b"my lib".to_vec(), start: 19 });
        assert_eq!(of_library(b"x").unwrap_err(), "Missing library metadata");
        assert_eq!(of_library(b"#!lua\n").unwrap_err(), "Library name was not given");
        assert_eq!(of_library(b"#!lua name=x y=1\n").unwrap_err(), "Invalid metadata value given: y=1");
    }
}
