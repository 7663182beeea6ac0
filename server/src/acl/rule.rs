//! Rules: the words that say what a user may do, and why one is refused.

/// Why a rule is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleError {
    /// No such command or category.
    Unknown,
    /// It is no rule.
    Syntax,
    /// A pattern of keys after the one that matches all.
    AfterAllKeys,
    /// A pattern of channels after the one that matches all.
    AfterAllChannels,
    /// The password to be removed is not there.
    NoSuchPassword,
    /// No SHA-256.
    BadDigest,
    /// A first argument of what is a subcommand already.
    ArgumentOfSubcommand,
    /// No number of a database.
    BadDatabase,
}

impl RuleError {
    /// Valkey's words.
    pub fn text(self) -> &'static str {
        match self {
            RuleError::Unknown => "Unknown command or category name in ACL",
            RuleError::Syntax => "Syntax error",
            RuleError::AfterAllKeys => {
                "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. Try 'resetkeys' to start with an empty list of patterns"
            }
            RuleError::AfterAllChannels => {
                "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. Try 'resetchannels' to start with an empty list of channels"
            }
            RuleError::NoSuchPassword => "The password you are trying to remove from the user does not exist",
            RuleError::BadDigest => {
                "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
            }
            RuleError::ArgumentOfSubcommand => "Allowing first-arg of a subcommand is not supported",
            RuleError::BadDatabase => "The provided database ID is out of range",
        }
    }
}

/// Why a list of rules is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetError {
    /// A selector has no end: the word it begins with.
    Unmatched(Vec<u8>),
    /// A rule is wrong.
    Rule {
        /// The rule; it may hold a password.
        rule: Vec<u8>,
        /// Why.
        why: RuleError,
    },
}

impl SetError {
    /// Valkey's words.
    pub fn text(&self) -> Vec<u8> {
        match self {
            SetError::Unmatched(word) => {
                [b"Unmatched parenthesis in acl selector starting at '", word.as_slice(), b"'."].concat()
            }
            SetError::Rule { rule, why } => {
                [b"Error in ACL SETUSER modifier '", rule.as_slice(), b"': ", why.text().as_bytes()].concat()
            }
        }
    }

    /// The same for a log, without what may be a password.
    pub fn text_for_log(&self) -> Vec<u8> {
        match self {
            SetError::Rule { why: why @ RuleError::Unknown, .. }
            | SetError::Rule { why: why @ RuleError::BadDatabase, .. } => {
                let SetError::Rule { rule, .. } = self else { return Vec::new() };
                [b"'", rule.as_slice(), b"': ", why.text().as_bytes()].concat()
            }
            SetError::Rule { why, .. } => why.text().as_bytes().to_vec(),
            unmatched @ SetError::Unmatched(_) => unmatched.text(),
        }
    }
}

/// Puts selectors together that came as several words: from one that begins with `(` to one that ends with `)`.
///
/// # Errors
/// One that has no end.
pub fn merge_selectors<'a>(words: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Vec<u8>>, SetError> {
    let mut merged = Vec::new();
    let mut open: Option<(&[u8], Vec<u8>)> = None;
    for word in words {
        if let Some((_, selector)) = &mut open {
            selector.push(b' ');
            selector.extend_from_slice(word);
            if word.ends_with(b")") {
                merged.extend(open.take().map(|(_, selector)| selector));
            }
        } else if word.starts_with(b"(") && !word.ends_with(b")") {
            open = Some((word, word.to_vec()));
        } else {
            merged.push(word.to_vec());
        }
    }
    match open {
        Some((word, _)) => Err(SetError::Unmatched(word.to_vec())),
        None => Ok(merged),
    }
}
