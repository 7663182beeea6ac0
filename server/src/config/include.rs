//! The files that an `include` names, which may be a pattern.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::glob;

/// The files that `include name` means, in order: the one named, or all that match where the name is a pattern.
///
/// A pattern may match nothing, so that an empty `conf.d` can be included; a plain name stays, there or not.
pub(super) fn files(name: &[u8], directory: &[u8]) -> Vec<PathBuf> {
    let base = Path::new(OsStr::from_bytes(directory));
    if !is_pattern(name) {
        return vec![base.join(OsStr::from_bytes(name))];
    }
    let absolute = base.join(OsStr::from_bytes(name));
    let mut found = vec![PathBuf::from("/")];
    for part in absolute.as_os_str().as_bytes().split(|byte| *byte == b'/').filter(|part| !part.is_empty()) {
        found = if is_pattern(part) {
            found.iter().flat_map(|parent| matching(parent, part)).collect()
        } else {
            found.into_iter().map(|parent| parent.join(OsStr::from_bytes(part))).filter(|path| path.exists()).collect()
        };
    }
    found
}

fn is_pattern(name: &[u8]) -> bool {
    name.iter().any(|byte| matches!(byte, b'*' | b'?' | b'['))
}

/// The entries of a directory that match one part of a pattern, sorted; those that begin with a dot only where the
/// pattern does.
fn matching(parent: &Path, part: &[u8]) -> Vec<PathBuf> {
    // In file name patterns `[!…]` means what `[^…]` does elsewhere.
    let mut pattern = part.to_vec();
    for index in 1..pattern.len() {
        if pattern[index] == b'!' && pattern[index - 1] == b'[' {
            pattern[index] = b'^';
        }
    }
    let Ok(entries) = parent.read_dir() else { return Vec::new() };
    let mut names: Vec<_> = entries.filter_map(Result::ok).map(|entry| entry.file_name()).collect();
    names.retain(|name| {
        let hidden = name.as_bytes().starts_with(b".") && !part.starts_with(b".");
        !hidden && glob::matches(&pattern, name.as_bytes(), false)
    });
    names.sort();
    names.into_iter().map(|name| parent.join(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_what_it_matches_in_order() {
        let root = crate::config::tests::directory("include");
        std::fs::create_dir(root.join("conf.d")).unwrap();
        for name in ["b.conf", "a.conf", ".hidden.conf", "c.txt"] {
            std::fs::write(root.join("conf.d").join(name), "").unwrap();
        }
        let directory = root.as_os_str().as_bytes();
        let names = |pattern: &str| -> Vec<String> {
            let found = files(pattern.as_bytes(), directory);
            found.iter().map(|path| path.strip_prefix(&root).unwrap().to_string_lossy().into_owned()).collect()
        };
        assert_eq!(names("conf.d/*.conf"), ["conf.d/a.conf", "conf.d/b.conf"]);
        assert_eq!(names("conf.?/[!a].*"), ["conf.d/b.conf", "conf.d/c.txt"]);
        assert_eq!(names("no.d/*.conf"), [""; 0]);
        assert_eq!(names("plain.conf"), ["plain.conf"]);
        std::fs::remove_dir_all(root).unwrap();
    }
}
