//! The databases that the files select: with fewer they could not be loaded, also when there are no keys in them any more.

use crate::resp::Argv;
use crate::resp::number::parse_i64;

/// The database that a SELECT names, of so many.
///
/// # Errors
/// There is none of that number: what follows would change another one.
pub fn database(number: &[u8], databases: usize) -> Result<usize, String> {
    let there = parse_i64(number).and_then(|db| usize::try_from(db).ok()).filter(|db| *db < databases);
    there.ok_or_else(|| {
        let number = String::from_utf8_lossy(number);
        format!("database {number}, and this server has {databases}: see 'databases'")
    })
}

/// The highest database of the files, from 0 on.
#[derive(Debug, Default)]
pub struct Selected {
    in_all: usize,
    /// In those from the last rewrite on.
    since_rewrite: usize,
}

impl Selected {
    /// Commands in this database are appended, or were loaded.
    pub fn note(&mut self, db: usize) {
        self.in_all = self.in_all.max(db);
        self.since_rewrite = self.since_rewrite.max(db);
    }

    /// A command is loaded.
    ///
    /// # Errors
    /// It selects a database that there is not.
    pub fn note_loaded(&mut self, command: &str, argv: Argv<'_>, databases: usize) -> Result<(), String> {
        if command != "select" || argv.len() < 2 {
            return Ok(());
        }
        self.note(database(argv.get(1), databases).map_err(|why| format!("it selects {why}"))?);
        Ok(())
    }

    /// A new file begins, with which a rewrite may.
    pub fn begin_file(&mut self) {
        self.since_rewrite = 0;
    }

    /// A base has taken the place of the files before the rewrite. Which databases it has is known by their keys, or by what deleted them.
    pub fn rewritten(&mut self) {
        self.in_all = self.since_rewrite;
    }

    /// The highest.
    pub fn highest(&self) -> usize {
        self.in_all
    }
}
