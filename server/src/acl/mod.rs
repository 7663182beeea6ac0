//! Users and what they may do. Knows commands by their rows; nothing of connections.
//!
//! [`Acl`] holds the users, [`User`] one of them, [`rights`] and [`selector`] what they may do and the rules that say so. The one question
//! of the rest of the server is [`User::check`].

mod check;
mod file;
pub mod log;
mod password;
pub mod rights;
mod rule;
pub mod selector;
#[cfg(test)]
mod tests;
mod user;

use std::collections::BTreeMap;
use std::rc::Rc;

pub use check::{Call, Denied};
pub use file::{FileError, load, save};
pub use log::AclLog;
pub use rights::Rights;
pub use rule::{RuleError, SetError, merge_selectors};
pub use user::User;

/// The user that every connection begins as.
pub const DEFAULT: &[u8] = b"default";

/// All users.
#[derive(Debug)]
pub struct Acl {
    users: BTreeMap<Vec<u8>, Rc<User>>,
    default: Rc<User>,
    /// What was denied.
    pub log: AclLog,
}

impl Default for Acl {
    fn default() -> Self {
        let default = Rc::new(User::new(DEFAULT, Rights::everything()));
        let users = BTreeMap::from([(DEFAULT.to_vec(), Rc::clone(&default))]);
        Acl { users, default, log: AclLog::default() }
    }
}

impl Acl {
    /// The user of that name.
    pub fn get(&self, name: &[u8]) -> Option<&Rc<User>> {
        self.users.get(name)
    }

    /// The user that every connection begins as.
    pub fn default_user(&self) -> &Rc<User> {
        &self.default
    }

    /// All users, by name.
    pub fn users(&self) -> impl ExactSizeIterator<Item = &Rc<User>> {
        self.users.values()
    }

    /// Whether a connection may do what `default` may without a password.
    pub fn default_is_open(&self) -> bool {
        let rights = self.default.rights();
        rights.enabled && rights.nopass
    }

    /// The password of `requirepass`, which is the only one of `default`; empty for none.
    pub fn set_default_password(&self, password: &[u8]) {
        let mut rights = self.default.rights().clone();
        rights.set_only_password(password);
        self.default.set_rights(rights);
    }

    /// The user whose password this is; `None` where that is wrong, or the user may not log in.
    pub fn log_in(&self, name: &[u8], password: &[u8]) -> Option<Rc<User>> {
        let user = self.users.get(name)?;
        user.rights().accepts(password).then(|| Rc::clone(user))
    }

    /// Gives a user rights, new or not.
    pub fn set(&mut self, name: &[u8], rights: Rights) {
        match self.users.get(name) {
            Some(user) => user.set_rights(rights),
            None => {
                self.users.insert(name.to_vec(), Rc::new(User::new(name, rights)));
            }
        }
    }

    /// Removes a user other than `default`; says whether there was one.
    pub fn remove(&mut self, name: &[u8]) -> Option<Rc<User>> {
        if name == DEFAULT { None } else { self.users.remove(name) }
    }

    /// A line for each user: what CONFIG REWRITE and ACL SAVE write after the word `user`.
    pub fn lines(&self) -> Vec<Vec<u8>> {
        self.users.values().map(|user| user.line()).collect()
    }
}

/// Whether this may be a user's name.
pub fn is_name(name: &[u8]) -> bool {
    !has_blank(name)
}

/// Whether a text has blanks or zero bytes, which names and patterns have not.
fn has_blank(text: &[u8]) -> bool {
    text.iter().any(|byte| byte.is_ascii_whitespace() || matches!(byte, 0 | 0x0b))
}
