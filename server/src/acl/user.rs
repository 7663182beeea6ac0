//! A user. Connections hold it, so a change of its rights is one of all its connections.

use std::cell::{Cell, Ref, RefCell};

use super::Rights;

/// A user.
#[derive(Debug)]
pub struct User {
    name: Box<[u8]>,
    rights: RefCell<Rights>,
    /// Nothing is forbidden: looked at before each command.
    unlimited: Cell<bool>,
}

impl User {
    /// A user with rights.
    pub fn new(name: &[u8], rights: Rights) -> Self {
        let unlimited = Cell::new(rights.is_unlimited());
        User { name: name.into(), rights: RefCell::new(rights), unlimited }
    }

    /// The name.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// What the user may do.
    pub fn rights(&self) -> Ref<'_, Rights> {
        self.rights.borrow()
    }

    /// Changes what the user may do.
    pub fn set_rights(&self, rights: Rights) {
        self.unlimited.set(rights.is_unlimited());
        self.rights.replace(rights);
    }

    /// Whether there is nothing that the user may not do.
    #[inline]
    pub fn is_unlimited(&self) -> bool {
        self.unlimited.get()
    }

    /// Name and rules, as they stand after the word `user`.
    pub fn line(&self) -> Vec<u8> {
        [self.name(), b" ", &self.rights().describe()].concat()
    }
}
