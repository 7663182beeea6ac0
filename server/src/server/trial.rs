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
        let needed = |last: usize, why: &str| format!("database {last} {why}: argument must be {} or more", last + 1);
        if let Some(last) = self.keyspace.dbs().iter().rposition(|db| !db.is_empty())
            && last >= databases
        {
            return Err(needed(last, "has keys"));
        }
        let aof = &self.persistence.aof;
        if aof.is_on() && aof.selected.highest() >= databases {
            return Err(needed(aof.selected.highest(), "is in the append-only file until it is rewritten"));
        }
        Ok(())
    }
}
