//! The file of `aclfile`: a line for each user.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::{Acl, DEFAULT, Rights, RuleError, SetError, is_name};
use crate::config::{os_text, replace_file};

/// Why a file of users was not taken: the text of the reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError(pub Vec<u8>);

/// Reads a file of users: each user's rights, by name. `default` is always among them.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(path: &Path, all_channels: bool) -> Result<BTreeMap<Vec<u8>, Rights>, FileError> {
    let name = path.display();
    let text = std::fs::read(path)
        .map_err(|e| FileError(format!("Error loading ACLs, opening file '{name}': {}", os_text(&e)).into_bytes()))?;
    let mut users = BTreeMap::new();
    let mut errors = Vec::new();
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let place = format!("{name}:{}", index + 1);
        if let Err(mut error) = read_line(line, &place, index + 1, all_channels, &mut users) {
            errors.append(&mut error);
        }
    }
    if !errors.is_empty() {
        errors.extend_from_slice(
            b"WARNING: ACL errors detected, no change to the previously active ACL rules was performed",
        );
        return Err(FileError(errors));
    }
    users.entry(DEFAULT.to_vec()).or_insert_with(Rights::everything);
    Ok(users)
}

fn read_line(
    line: &[u8],
    place: &str,
    number: usize,
    all_channels: bool,
    users: &mut BTreeMap<Vec<u8>, Rights>,
) -> Result<(), Vec<u8>> {
    let mut words = line.split(|byte| *byte == b' ').map(<[u8]>::trim_ascii);
    let (Some(b"user"), Some(user)) = (words.next(), words.next()) else {
        return Err(format!("{place} should start with user keyword followed by the username. ").into_bytes());
    };
    if !is_name(user) {
        return Err([b"'", place.as_bytes(), b": username '", user, b"' contains invalid characters. "].concat());
    }
    if users.contains_key(user) {
        let place = format!("' found on line {number}. ");
        return Err([b"WARNING: Duplicate user '", user, place.as_bytes()].concat());
    }
    let mut rights = Rights::none(all_channels);
    rights.apply_words(words, all_channels).map_err(|error| match error {
        // A rule may hold a password, the name of a command does not.
        SetError::Rule { rule, why: why @ RuleError::Unknown } => {
            let operation = [b": Error in applying operation '", rule.as_slice(), b"': "].concat();
            [place.as_bytes(), &operation, why.text().as_bytes(), b". "].concat()
        }
        SetError::Rule { why, .. } => format!("{place}: {}. ", why.text()).into_bytes(),
        SetError::Unmatched(_) => format!("{place}: Unmatched parenthesis in selector definition.").into_bytes(),
    })?;
    users.insert(user.to_vec(), rights);
    Ok(())
}

/// Writes all users to a file, as a whole: a crash leaves the old one or the new one.
///
/// # Errors
/// When it can't be written; it is then what it was.
pub fn save(acl: &Acl, path: &Path) -> io::Result<()> {
    let mut text = Vec::new();
    for line in acl.lines() {
        text.extend_from_slice(b"user ");
        text.extend(line);
        text.push(b'\n');
    }
    replace_file(path, &text)
}
