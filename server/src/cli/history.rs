//! The history of commands, kept in a file between sessions, without the passwords that commands may hold.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Lines that are kept.
const MAX_LINES: usize = 1000;

/// Path of one of the user's files: what the first variable set says, else `name` in the home directory. None for `/dev/null`.
pub fn dotfile(variables: &[&str], name: &str, get: impl Fn(&str) -> Option<std::ffi::OsString>) -> Option<PathBuf> {
    match variables.iter().find_map(|variable| get(variable)).filter(|path| !path.is_empty()) {
        Some(path) if path == "/dev/null" => None,
        Some(path) => Some(path.into()),
        None => get("HOME").filter(|home| !home.is_empty()).map(|home| Path::new(&home).join(name)),
    }
}

/// The last lines of a history file, oldest first; none when it cannot be read.
pub fn load(path: &Path) -> Vec<String> {
    let bytes = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(MAX_LINES)..].iter().map(|line| (*line).to_owned()).collect()
}

/// Adds a line to a history file, which only its owner may read. Sessions side by side do not overwrite each other's lines. A file of
/// more than twice the lines that are kept is cut down to them first.
pub fn append(path: &Path, line: &str) -> io::Result<()> {
    if fs::read(path).is_ok_and(|bytes| memchr::memchr_iter(b'\n', &bytes).count() > 2 * MAX_LINES) {
        let kept = load(path).join("\n") + "\n";
        fs::write(path, kept)?;
    }
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    file.write_all(format!("{line}\n").as_bytes())
}

/// Whether a command may hold a password or a user's rights, so that it must not be written to a file.
pub fn is_sensitive(args: &[Vec<u8>]) -> bool {
    let words: Vec<String> = args.iter().map(|arg| String::from_utf8_lossy(arg).to_ascii_lowercase()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["auth", ..] | ["acl", "deluser" | "setuser" | "getuser", ..] => true,
        ["config", "set", settings @ ..] => settings.iter().step_by(2).any(|name| {
            matches!(
                *name,
                "masterauth"
                    | "masteruser"
                    | "primaryauth"
                    | "primaryuser"
                    | "requirepass"
                    | "tls-key-file-pass"
                    | "tls-client-key-file-pass"
            )
        }),
        ["hello", _, options @ ..] => options.contains(&"auth"),
        ["migrate", _, _, _, _, _, options @ ..] => {
            // Behind KEYS come names of keys.
            options.iter().take_while(|word| **word != "keys").any(|word| matches!(*word, "auth" | "auth2"))
        }
        ["sentinel", "config", "set", setting, ..] => matches!(*setting, "sentinel-pass" | "sentinel-user"),
        ["sentinel", "set", _, setting, ..] => matches!(*setting, "auth-pass" | "auth-user"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::split;

    #[test]
    fn commands_with_passwords_are_not_written_down() {
        let sensitive = [
            "AUTH secret",
            "auth user secret",
            "ACL SETUSER u >secret",
            "config set maxmemory 1 requirepass secret",
            "CONFIG SET primaryauth x",
            "HELLO 3 AUTH u p",
            "hello 3 setname auth auth u p",
            "migrate h 1 k 0 1000 auth p",
            "migrate h 1 k 0 1000 COPY AUTH2 u p keys a",
            "sentinel set m auth-pass p",
            "sentinel config set sentinel-pass p",
        ];
        for line in sensitive {
            assert!(is_sensitive(&split(line.as_bytes()).unwrap()), "{line}");
        }
        let open = [
            "get auth",
            "acl list",
            "config set maxmemory 1",
            "config get requirepass",
            "hello 3",
            "migrate h 1 \"\" 0 1000 keys auth",
        ];
        for line in open {
            assert!(!is_sensitive(&split(line.as_bytes()).unwrap()), "{line}");
        }
    }

    #[test]
    fn history_is_kept_for_its_owner_alone_and_does_not_grow_for_ever() {
        use std::os::unix::fs::PermissionsExt;
        let dir = std::env::temp_dir().join(format!("valkey-cli-history-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("history");
        append(&path, "get a").unwrap();
        append(&path, "get b").unwrap();
        assert_eq!(load(&path), ["get a", "get b"]);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "old\n".repeat(3 * MAX_LINES)).unwrap();
        append(&path, "new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), MAX_LINES + 1);
        assert_eq!(load(&path).last().map(String::as_str), Some("new"));
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn the_environment_may_move_or_forbid_the_file() {
        let with = |set: &'static [(&str, &str)]| {
            dotfile(&["NEW", "OLD"], ".history", move |name| {
                set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).into())
            })
        };
        assert_eq!(with(&[("HOME", "/h")]), Some("/h/.history".into()));
        assert_eq!(with(&[("HOME", "/h"), ("OLD", "/o")]), Some("/o".into()));
        assert_eq!(with(&[("NEW", "/n"), ("OLD", "/o")]), Some("/n".into()));
        assert_eq!(with(&[("HOME", "/h"), ("NEW", "/dev/null")]), None);
        assert_eq!(with(&[]), None);
    }
}
