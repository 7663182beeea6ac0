//! The look-up of commands by name, built from the rows of all groups. Nothing lists a command twice.

use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};

use super::error::{CommandError, wrong_arity};
use super::spec::Command;
use crate::resp::Argv;

/// A row with its place in the table.
#[derive(Debug)]
pub struct Row {
    /// The row itself.
    pub command: &'static Command,
    /// `get`, or `config|get` for a subcommand.
    pub full_name: String,
    /// Index into per-command statistics.
    pub id: usize,
    subcommands: Vec<usize>,
}

/// Ids of rows by lower-case name.
type Names = HashMap<&'static [u8], usize, rapidhash::fast::RandomState>;

struct Table {
    rows: Vec<Row>,
    by_name: Names,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table { rows: Vec::new(), by_name: Names::default() };
    for command in super::GROUPS.iter().copied().flatten() {
        let id = table.rows.len();
        table.rows.push(Row { command, full_name: command.name.to_owned(), id, subcommands: Vec::new() });
        let previous = table.by_name.insert(command.name.as_bytes(), id);
        debug_assert!(previous.is_none(), "command {} has two rows", command.name);
        for sub in command.subcommands {
            let sub_id = table.rows.len();
            let full_name = format!("{}|{}", command.name, sub.name);
            table.rows.push(Row { command: sub, full_name, id: sub_id, subcommands: Vec::new() });
            table.rows[id].subcommands.push(sub_id);
        }
    }
    table
});

/// The names in force, where some were changed.
static NAMES: OnceLock<Names> = OnceLock::new();

/// The longest command name that exists, with room to spare.
const NAME_MAX: usize = 64;

/// All rows: commands, each followed by its subcommands.
pub fn rows() -> &'static [Row] {
    &TABLE.rows
}

/// The row of a top-level command.
pub fn find(name: &[u8]) -> Option<&'static Row> {
    find_among(NAMES.get().unwrap_or(&TABLE.by_name), name)
}

/// The row of a top-level command, by the name that it has before `rename-command`.
fn find_original(name: &[u8]) -> Option<&'static Row> {
    find_among(&TABLE.by_name, name)
}

fn find_among(names: &Names, name: &[u8]) -> Option<&'static Row> {
    let mut lower = [0u8; NAME_MAX];
    let lower = lower.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    names.get(&*lower).map(|id| &TABLE.rows[*id])
}

/// Changes names of commands, one after the other; an empty new name takes the command away. Once, at start.
///
/// # Errors
/// The number of the pair that is wrong, and why.
pub fn rename<'a>(pairs: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Result<(), (usize, &'static str)> {
    let mut names = TABLE.by_name.clone();
    for (nth, (from, to)) in pairs.into_iter().enumerate() {
        let (from, to) = (from.to_ascii_lowercase(), to.to_ascii_lowercase());
        let id = names.remove(from.as_slice()).ok_or((nth, "No such command in rename-command"))?;
        if to.len() > NAME_MAX {
            return Err((nth, "Target command name is too long"));
        }
        if !to.is_empty() {
            // It lives as long as the server.
            let previous = names.insert(to.leak(), id);
            if previous.is_some() {
                return Err((nth, "Target command name already exists"));
            }
        }
    }
    // Whoever comes second (there is nobody) finds the names of the first.
    let _ = NAMES.set(names);
    Ok(())
}

/// The row for `container|sub` in one text, or for a plain name.
pub fn find_full(name: &[u8]) -> Option<&'static Row> {
    find_path(name, find)
}

/// The same, by the names that commands have before `rename-command`: rules of users mean those.
pub fn find_full_original(name: &[u8]) -> Option<&'static Row> {
    find_path(name, find_original)
}

fn find_path(name: &[u8], find: fn(&[u8]) -> Option<&'static Row>) -> Option<&'static Row> {
    match memchr::memchr(b'|', name) {
        Some(bar) => find(&name[..bar])?.find_sub(&name[bar + 1..]),
        None => find(name),
    }
}

impl Row {
    /// The subcommand of that name.
    pub fn find_sub(&self, name: &[u8]) -> Option<&'static Row> {
        self.subcommands().find(|r| r.command.name.as_bytes().eq_ignore_ascii_case(name))
    }

    /// All subcommands.
    pub fn subcommands(&self) -> impl Iterator<Item = &'static Row> {
        self.subcommands.iter().map(|id| &TABLE.rows[*id])
    }
}

/// Finds what `argv` calls, down to the subcommand, and checks the number of arguments.
///
/// # Errors
/// Valkey's texts for an unknown command, an unknown subcommand and a wrong number of arguments.
pub fn resolve(argv: Argv<'_>) -> Result<&'static Row, Unresolved> {
    resolve_after(None, argv)
}

/// As [`resolve`], for a client whose last call was this: it is likely to be the same, which is quicker to see than to look up.
///
/// # Errors
/// Those of [`resolve`].
pub fn resolve_after(last: Option<&'static Row>, argv: Argv<'_>) -> Result<&'static Row, Unresolved> {
    let again = |row: &&Row| NAMES.get().is_none() && row.full_name.as_bytes().eq_ignore_ascii_case(argv.get(0));
    let Some(row) = last.filter(again).or_else(|| find(argv.get(0))) else {
        return Err(Unresolved { row: None, error: unknown_command(argv) });
    };
    let row = if row.subcommands.is_empty() || argv.len() < 2 {
        row
    } else {
        row.find_sub(argv.get(1))
            .ok_or_else(|| Unresolved { row: None, error: unknown_subcommand(row, argv.get(1)) })?
    };
    if row.command.accepts(argv.len()) {
        Ok(row)
    } else {
        Err(Unresolved { row: Some(row), error: wrong_arity(&row.full_name) })
    }
}

/// Why arguments are no call.
#[derive(Debug)]
pub struct Unresolved {
    /// The command, where only its arguments are wrong.
    pub row: Option<&'static Row>,
    /// The reply.
    pub error: CommandError,
}

fn unknown_command(argv: Argv<'_>) -> CommandError {
    let mut text = b"ERR unknown command '".to_vec();
    text.extend_from_slice(&argv.get(0)[..argv.get(0).len().min(128)]);
    text.extend_from_slice(b"', with args beginning with: ");
    let start = text.len();
    for arg in argv.iter().skip(1) {
        let room = 128usize.saturating_sub(text.len() - start);
        if room == 0 {
            break;
        }
        text.push(b'\'');
        text.extend_from_slice(&arg[..arg.len().min(room)]);
        text.extend_from_slice(b"' ");
    }
    CommandError::bytes(text)
}

fn unknown_subcommand(row: &Row, sub: &[u8]) -> CommandError {
    let mut text = b"ERR unknown subcommand '".to_vec();
    text.extend_from_slice(&sub[..sub.len().min(128)]);
    text.extend_from_slice(b"'. Try ");
    text.extend_from_slice(row.command.name.to_ascii_uppercase().as_bytes());
    text.extend_from_slice(b" HELP.");
    CommandError::bytes(text)
}
