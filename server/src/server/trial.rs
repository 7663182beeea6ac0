//! Whether a start would end at a value that is right by itself (`QUORUM TRY`): with these data, on this machine.

use super::Server;
use crate::collation;
use crate::config::Config;

impl Server {
    /// Whether a server could start with this directive as `tried` has it. Changes nothing.
    ///
    /// # Errors
    /// What the start would end at.
    pub fn could_start(&self, directive: &str, tried: &Config) -> Result<(), String> {
        match directive {
            "databases" => self.fit_into(tried.databases),
            "locale-collate" if !collation::has_locale(&tried.locale_collate) => {
                Err(collation::unknown(&tried.locale_collate))
            }
            _ => Ok(()),
        }
    }

    fn fit_into(&self, databases: usize) -> Result<(), String> {
        match self.keyspace.dbs().iter().rposition(|db| !db.is_empty()) {
            Some(last) if last >= databases => {
                Err(format!("database {last} has keys: argument must be {} or more", last + 1))
            }
            _ => Ok(()),
        }
    }
}
