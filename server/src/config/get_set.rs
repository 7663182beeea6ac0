//! CONFIG GET and CONFIG SET on the table.

use std::fmt;

use super::choices::ProtectedAction;
use super::effect::{Effect, Support};
use super::kinds::{Reason, Source};
use super::table::{Config, DIRECTIVES, Directive, Mark, find};
use crate::glob;

/// What CONFIG SET depends on besides the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circumstances {
    /// Whether the client is on this machine.
    pub client_is_local: bool,
    /// Whether a data set is being loaded.
    pub loading: bool,
}

/// The values of before, for the case that an owner cannot do what a change asks of it.
pub struct Snapshot(Box<Config>);

/// What a CONFIG SET did.
pub struct Change {
    /// What the owners do now, in the order of the arguments, each once, with the directive that asks for it first.
    pub effects: Vec<(Effect, &'static str)>,
    /// The values of before.
    pub before: Snapshot,
}

/// Why a CONFIG SET was refused; its text is the reply without the error's class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetError {
    /// No directive has this name.
    Unknown(Vec<u8>),
    /// The directive cannot be set while a data set is loaded: the reply is the `-LOADING` one.
    Loading,
    /// A directive was not set.
    Failed {
        /// Its name, as it was given or as the table has it.
        argument: Vec<u8>,
        /// Why.
        reason: Reason,
    },
}

impl SetError {
    /// The refusal of an owner that could not do what a change asked of it.
    pub fn failed(argument: &str, reason: impl Into<Reason>) -> Self {
        Self::Failed { argument: argument.into(), reason: reason.into() }
    }

    /// The text of the reply after `-ERR `; for [`SetError::Loading`] the owner has its own.
    pub fn text(&self) -> Vec<u8> {
        match self {
            Self::Unknown(name) => {
                [b"Unknown option or number of arguments for CONFIG SET - '", name.as_slice(), b"'"].concat()
            }
            Self::Loading => b"the server is loading the dataset in memory".to_vec(),
            Self::Failed { argument, reason } => {
                [b"CONFIG SET failed (possibly related to argument '".as_slice(), argument, b"') - ", reason.as_bytes()]
                    .concat()
            }
        }
    }
}

impl fmt::Display for SetError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&String::from_utf8_lossy(&self.text()))
    }
}

impl std::error::Error for SetError {}

impl Config {
    /// CONFIG GET: the directives that names and patterns ask for, each once, with the name asked for.
    ///
    /// An exact name is answered under itself, alias or not, in the case in which it was given. A pattern matches
    /// names and aliases in any case, and leaves hidden directives out. The answer is in the order of the names.
    pub fn get(&self, patterns: &[&[u8]]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut found: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let mut add = |name: &[u8], directive: &Directive| {
            if !found.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
                found.push((name.to_vec(), directive.show(self)));
            }
        };
        for &pattern in patterns {
            if !pattern.iter().any(|byte| matches!(byte, b'*' | b'?' | b'[')) {
                if let Some(directive) = find(pattern) {
                    add(pattern, directive);
                }
                continue;
            }
            for directive in DIRECTIVES.iter().filter(|directive| !directive.is(Mark::Hidden)) {
                for name in directive.names().filter(|name| glob::matches(pattern, name.as_bytes(), true)) {
                    add(name.as_bytes(), directive);
                }
            }
        }
        found.sort();
        found
    }

    /// CONFIG SET: sets all pairs of name and value, or none of them.
    ///
    /// The caller then has the owners do the effects. When one of them fails, it calls [`Config::restore`], repeats
    /// the effects that were already done, and answers with [`SetError::failed`].
    pub fn set(&mut self, pairs: &[(&[u8], &[u8])], circumstances: Circumstances) -> Result<Change, SetError> {
        let directives = self.admitted(pairs, circumstances)?;
        let mut next = self.clone();
        let mut effects: Vec<(Effect, &'static str)> = Vec::new();
        for (&(_, value), (name, directive)) in pairs.iter().zip(directives) {
            // Many words are separated by exactly one blank each; no text is no words.
            let words: Vec<&[u8]> = match value {
                b"" if directive.takes_many() => Vec::new(),
                _ if directive.takes_many() => value.split(|byte| *byte == b' ').collect(),
                _ => vec![value],
            };
            let changed =
                directive.set(&mut next, &words, Source::Command).map_err(|reason| SetError::failed(name, reason))?;
            let due = changed || directive.is(Mark::Reapply);
            if due && directive.effect != Effect::None && !effects.iter().any(|(known, _)| *known == directive.effect) {
                effects.push((directive.effect, name));
            }
        }
        let before = Snapshot(Box::new(std::mem::replace(self, next)));
        Ok(Change { effects, before })
    }

    /// Brings the values of before back, after an owner failed.
    pub fn restore(&mut self, before: Snapshot) {
        *self = *before.0;
    }

    /// Directives that differ from their defaults although nothing here acts on them.
    pub fn set_without_effect(&self) -> Vec<&'static str> {
        let idle = DIRECTIVES.iter().filter(|directive| directive.support == Support::NoEffectHere);
        idle.filter(|directive| !directive.is_default(self)).map(|directive| directive.name).collect()
    }

    /// The directives to set, with the names that errors call them by; or why one of them may not be set.
    fn admitted(
        &self,
        pairs: &[(&[u8], &[u8])],
        circumstances: Circumstances,
    ) -> Result<Vec<(&'static str, &'static Directive)>, SetError> {
        let mut admitted: Vec<(&'static str, &'static Directive)> = Vec::with_capacity(pairs.len());
        for &(given, _) in pairs {
            let refused = |reason: &'static str| SetError::Failed { argument: given.to_vec(), reason: reason.into() };
            let directive = find(given).ok_or_else(|| SetError::Unknown(given.to_vec()))?;
            if directive.is(Mark::Immutable) {
                return Err(refused("can't set immutable config"));
            }
            if directive.is(Mark::Protected) && !self.enable_protected_configs.admits(circumstances.client_is_local) {
                return Err(refused("can't set protected config"));
            }
            if directive.is(Mark::DenyLoading) && circumstances.loading {
                return Err(SetError::Loading);
            }
            let name = directive.names().find(|name| name.as_bytes().eq_ignore_ascii_case(given));
            let name = name.unwrap_or(directive.name);
            // A directive and its alias may both be given; the later one wins.
            if admitted.iter().any(|(known, _)| *known == name) {
                return Err(refused("duplicate parameter"));
            }
            admitted.push((name, directive));
        }
        Ok(admitted)
    }
}

impl ProtectedAction {
    /// Whether a client may, who is on this machine or not.
    pub fn admits(self, client_is_local: bool) -> bool {
        match self {
            Self::No => false,
            Self::Yes => true,
            Self::Local => client_is_local,
        }
    }
}
