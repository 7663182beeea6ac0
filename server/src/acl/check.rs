//! Whether a user may do what is asked.

use super::selector::Selector;
use super::{Rights, User};
use crate::client::pubsub::Kind;
use crate::commands::spec::Databases;
use crate::commands::{Category, Flags, KeyUse, Row};
use crate::resp::Argv;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The command.
    pub row: &'static Row,
    /// Its arguments.
    pub argv: Argv<'a>,
    /// The database it is to work on.
    pub db: usize,
    /// How many databases there are.
    pub databases: usize,
}

/// What a user may not do. Of several reasons the greatest is told, and of those the one with the last argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Denied {
    /// Use the database that is the argument at this index; 0 where it is the selected one, or all of them.
    Database(usize),
    /// Run the command.
    Command,
    /// Use the key at this index.
    Key(usize),
    /// Use the channel at this index.
    Channel(usize),
}

impl Denied {
    /// What is denied: the key, channel or database as it was given, or else the command.
    pub fn object<'a>(self, row: &'static Row, argv: Argv<'a>) -> &'a [u8] {
        match self {
            Denied::Command | Denied::Database(0) => row.full_name.as_bytes(),
            Denied::Database(at) | Denied::Key(at) | Denied::Channel(at) => argv.get(at),
        }
    }

    /// The reason in ACL LOG.
    pub fn reason(self) -> &'static str {
        match self {
            Denied::Database(_) => "database",
            Denied::Command => "command",
            Denied::Key(_) => "key",
            Denied::Channel(_) => "channel",
        }
    }

    /// The words for a client; with `object` those of ACL DRYRUN, which name what is denied.
    pub fn text(self, user: &[u8], row: &Row, object: Option<&[u8]>) -> Vec<u8> {
        let user = || [b"User ", user, b" has no permissions to "].concat();
        let quoted =
            |object: &[u8], what: &str| [&user(), &b"access the '"[..], object, b"' ", what.as_bytes()].concat();
        match (self, object) {
            (Denied::Command, _) => [&user(), &b"run the '"[..], row.full_name.as_bytes(), b"' command"].concat(),
            (Denied::Key(_), Some(key)) => quoted(key, "key"),
            (Denied::Key(_), None) => b"No permissions to access a key".to_vec(),
            (Denied::Channel(_), Some(channel)) => quoted(channel, "channel"),
            (Denied::Channel(_), None) => b"No permissions to access a channel".to_vec(),
            (Denied::Database(_), Some(db)) => [&user(), &b"access database "[..], db].concat(),
            (Denied::Database(_), None) => b"No permissions to access database".to_vec(),
        }
    }
}

impl User {
    /// Whether the user may make this call.
    ///
    /// # Errors
    /// What is denied.
    #[inline]
    pub fn check(&self, call: Call<'_>) -> Result<(), Denied> {
        if self.is_unlimited() { Ok(()) } else { self.rights().check(call) }
    }
}

impl Rights {
    /// Whether a selector allows the call.
    ///
    /// # Errors
    /// What is denied: the most telling of the selectors' reasons.
    pub fn check(&self, call: Call<'_>) -> Result<(), Denied> {
        let mut worst = None;
        for selector in self.all_selectors() {
            match selector.check(call) {
                Ok(()) => return Ok(()),
                Err(denied) => worst = worst.max(Some(denied)),
            }
        }
        worst.map_or(Ok(()), Err)
    }

    /// Whether a call is allowed to one who may use any key so: what the command does with keys that it finds by itself.
    pub fn allows_with_any_key(&self, call: Call<'_>, key_use: KeyUse) -> bool {
        self.all_selectors().any(|selector| selector.check(call).is_ok() && selector.allows_any_key(key_use))
    }

    /// Whether a channel may be listened to.
    pub fn allows_channel(&self, channel: &[u8], kind: Kind) -> bool {
        self.all_selectors().any(|selector| selector.allows_channel(channel, kind == Kind::Pattern))
    }

    /// Whether whoever had `before` may have subscriptions that these rights do not allow.
    pub fn takes_channels_from(&self, before: &Rights) -> bool {
        if self.all_selectors().any(|selector| selector.all_channels) {
            return false;
        }
        let kept = |channel| self.all_selectors().any(|selector| selector.channels().contains(channel));
        before.all_selectors().any(|old| old.all_channels || !old.channels().iter().all(kept))
    }
}

impl Selector {
    fn check(&self, call: Call<'_>) -> Result<(), Denied> {
        let Call { row, argv, .. } = call;
        let first = if row.full_name.contains('|') { 2 } else { 1 };
        let first = (argv.len() > first).then(|| argv.get(first));
        if !row.command.flags.contains(Flags::NO_AUTH) && !self.allows_command(row, first) {
            return Err(Denied::Command);
        }
        self.check_databases(call)?;
        if !self.all_keys {
            for (at, key_use) in row.command.used_keys(argv) {
                if !key_use.contains(KeyUse::NOT_KEY) && !self.allows_key(argv.get(at), key_use) {
                    return Err(Denied::Key(at));
                }
            }
        }
        if !self.all_channels
            && let Some(channels) = &row.command.channels
        {
            let is_pattern = channels.kind == Kind::Pattern;
            for at in channels.indexes(argv.len()) {
                if !self.allows_channel(argv.get(at), is_pattern) {
                    return Err(Denied::Channel(at));
                }
            }
        }
        Ok(())
    }

    fn check_databases(&self, call: Call<'_>) -> Result<(), Denied> {
        if self.allows_all_databases() {
            return Ok(());
        }
        let named = |indexes: &mut dyn Iterator<Item = usize>| {
            for at in indexes {
                // What is no database is for the command to refuse.
                let db = crate::resp::number::parse_i64(call.argv.get(at)).and_then(|n| usize::try_from(n).ok());
                if db.is_some_and(|db| db < call.databases && !self.allows_database(db)) {
                    return Err(Denied::Database(at));
                }
            }
            Ok(())
        };
        let selected = || if self.allows_database(call.db) { Ok(()) } else { Err(Denied::Database(0)) };
        match call.row.command.databases {
            Databases::Selected if uses_data(call.row) => selected(),
            Databases::Selected => Ok(()),
            Databases::Named(indexes) => named(&mut indexes.iter().copied()),
            Databases::SelectedAnd(tell) => {
                named(&mut tell(call.argv).into_iter())?;
                selected()
            }
            Databases::All if (0..call.databases).all(|db| self.allows_database(db)) => Ok(()),
            Databases::All => Err(Denied::Database(0)),
        }
    }
}

/// Whether a command looks at keys, those that it is given or others.
fn uses_data(row: &Row) -> bool {
    row.command.is_keyed() || row.command.categories().intersects(Category::KEYSPACE | Category::READ | Category::WRITE)
}
