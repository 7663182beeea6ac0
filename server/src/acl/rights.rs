//! What a user may do: whether and how to log in, and the selectors, any of which may allow a call.

use super::password::Digested;
use super::rule::{RuleError, SetError, merge_selectors};
use super::selector::Selector;

/// A user's rights.
#[derive(Clone, Debug)]
pub struct Rights {
    /// May log in.
    pub enabled: bool,
    /// Any password will do.
    pub nopass: bool,
    passwords: Vec<Digested>,
    /// The user's own rules.
    pub root: Selector,
    /// Those in parentheses.
    pub selectors: Vec<Selector>,
}

impl Rights {
    /// Those of a new user: none. `all_channels` is what `acl-pubsub-default` says.
    pub fn none(all_channels: bool) -> Self {
        let root = Selector::new(all_channels);
        Rights { enabled: false, nopass: false, passwords: Vec::new(), root, selectors: Vec::new() }
    }

    /// Those of `default` before anything else is said of it.
    pub fn everything() -> Self {
        Rights { enabled: true, nopass: true, root: Selector::everything(), ..Self::none(true) }
    }

    /// Makes rules of words and applies all of them, or none.
    ///
    /// # Errors
    /// The first rule that is wrong.
    pub fn apply_words<'a>(
        &mut self,
        words: impl IntoIterator<Item = &'a [u8]>,
        all_channels: bool,
    ) -> Result<(), SetError> {
        let mut next = self.clone();
        for rule in merge_selectors(words)? {
            next.apply(&rule, all_channels).map_err(|why| SetError::Rule { rule, why })?;
        }
        *self = next;
        Ok(())
    }

    /// Applies one rule.
    ///
    /// # Errors
    /// When it is none.
    pub fn apply(&mut self, rule: &[u8], all_channels: bool) -> Result<(), RuleError> {
        match rule.to_ascii_lowercase().as_slice() {
            b"on" => self.enabled = true,
            b"off" => self.enabled = false,
            // DUMP payloads are always checked: what these chose is no choice any more.
            b"" | b"sanitize-payload" | b"skip-sanitize-payload" => {}
            b"nopass" => (self.nopass, self.passwords) = (true, Vec::new()),
            b"resetpass" => (self.nopass, self.passwords) = (false, Vec::new()),
            b"clearselectors" => self.selectors.clear(),
            b"reset" => *self = Self::none(all_channels),
            _ => match rule {
                [b'>', password @ ..] => self.add_password(Digested::of(password)),
                [b'#', digits @ ..] => self.add_password(Digested::parse(digits).ok_or(RuleError::BadDigest)?),
                [b'<', password @ ..] => self.remove_password(&Digested::of(password))?,
                [b'!', digits @ ..] => self.remove_password(&Digested::parse(digits).ok_or(RuleError::BadDigest)?)?,
                [b'(', inside @ .., b')'] => {
                    let mut selector = Selector::new(all_channels);
                    for rule in inside.split(u8::is_ascii_whitespace).filter(|rule| !rule.is_empty()) {
                        selector.apply(rule)?;
                    }
                    self.selectors.push(selector);
                }
                rule => self.root.apply(rule)?,
            },
        }
        Ok(())
    }

    fn add_password(&mut self, password: Digested) {
        if !self.passwords.contains(&password) {
            self.passwords.push(password);
        }
        self.nopass = false;
    }

    fn remove_password(&mut self, password: &Digested) -> Result<(), RuleError> {
        let at = self.passwords.iter().position(|known| known == password).ok_or(RuleError::NoSuchPassword)?;
        self.passwords.remove(at);
        Ok(())
    }

    /// Makes a password the only one; an empty one means that none is needed.
    pub fn set_only_password(&mut self, password: &[u8]) {
        self.nopass = password.is_empty();
        self.passwords = if self.nopass { Vec::new() } else { vec![Digested::of(password)] };
    }

    /// Whether the user may log in with this password.
    pub fn accepts(&self, password: &[u8]) -> bool {
        let given = Digested::of(password);
        // All are looked at, so that the time does not tell which one it was.
        let known = self.passwords.iter().fold(false, |known, password| known | password.is(&given));
        self.enabled && (self.nopass || known)
    }

    /// All selectors, the user's own rules first.
    pub fn all_selectors(&self) -> impl Iterator<Item = &Selector> + Clone {
        std::iter::once(&self.root).chain(&self.selectors)
    }

    /// Whether there is nothing that is not allowed.
    pub fn is_unlimited(&self) -> bool {
        self.root.is_unlimited()
    }

    /// The words that say whether and how the user may log in.
    pub fn flags(&self) -> Vec<&'static str> {
        let mut flags = vec![if self.enabled { "on" } else { "off" }];
        if self.nopass {
            flags.push("nopass");
        }
        flags
    }

    /// The digests of the passwords.
    pub fn passwords(&self) -> impl ExactSizeIterator<Item = &str> {
        self.passwords.iter().map(Digested::as_str)
    }

    /// The rules that make these rights of none.
    pub fn describe(&self) -> Vec<u8> {
        let mut text = self.flags().join(" ").into_bytes();
        for password in self.passwords() {
            text.extend_from_slice(b" #");
            text.extend_from_slice(password.as_bytes());
        }
        text.push(b' ');
        text.extend(self.root.describe());
        for selector in &self.selectors {
            text.extend_from_slice(b" (");
            text.extend(selector.describe());
            text.push(b')');
        }
        text
    }
}
