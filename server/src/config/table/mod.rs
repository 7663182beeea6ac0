//! The table of directives: one row each, from which the fields of [`Config`], their parsers and their texts follow.
//!
//! A row reads, under the description of the field:
//!
//! ```text
//! field: Type = default, "name" | "alias", type(range), Effect, Support, Mark, Mark;
//! ```
//!
//! The effect is what the owner does after CONFIG SET ([`Effect`]), the support says whether the server acts on the
//! directive at all ([`Support`]), the marks are its restrictions ([`Mark`]). Who makes the server act on a directive
//! turns `NoEffectHere` in its row into `Acts`; until then the server names it at start when it is set.
//!
//! The rows stand by area in the files of this folder; each area hands its rows on to the next, and the last to
//! `directives!`.

use std::fmt;

use super::checks;
use super::choices::*;
use super::effect::{Effect, Support};
use super::events::{Events, NotifyEvents};
use super::kinds::{Kind, Reason, Rewrite, Source, at_start, flag, one_of, optional_text, text};
use super::numbers::{
    INT_MAX, INT_MIN, LONG_MAX, LONG_MIN, UINT_MAX, ULONG_MAX, memory, memory_or_percent, number, octal,
};
use super::output_limits::{OutputBufferLimits, OutputLimits};
use super::special::*;

mod absent;
mod access;
mod memory;
mod network;
mod persistence;
mod process;
mod replication;
#[cfg(test)]
mod tests;
mod tls;

use absent::absent_rows;
use access::access_rows;
use memory::memory_rows;
use network::network_rows;
use persistence::persistence_rows;
use process::process_rows;
use replication::replication_rows;
use tls::tls_rows;

/// A restriction on a directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Set at start only.
    Immutable,
    /// Set at runtime only by those whom `enable-protected-configs` admits.
    Protected,
    /// Shown only when asked for by its exact name.
    Hidden,
    /// Holds a secret: its value is kept out of logs.
    Sensitive,
    /// Not set while a data set is loaded.
    DenyLoading,
    /// Takes effect again even when it is set to the value that it has.
    Reapply,
}

/// One directive.
pub struct Directive {
    /// The name under which CONFIG REWRITE writes it.
    pub name: &'static str,
    /// Other names that mean the same.
    pub aliases: &'static [&'static str],
    /// What the owner does when it changes.
    pub effect: Effect,
    /// Whether the server acts on it.
    pub support: Support,
    marks: &'static [Mark],
    slot: &'static dyn Slot,
}

impl Directive {
    /// Whether it has a restriction.
    pub fn is(&self, mark: Mark) -> bool {
        self.marks.contains(&mark)
    }

    /// Whether it takes any number of words instead of one.
    pub fn takes_many(&self) -> bool {
        self.slot.takes_many()
    }

    /// The text of CONFIG GET.
    pub fn show(&self, config: &Config) -> Vec<u8> {
        self.slot.show(config)
    }

    /// Whether it has its default value.
    pub fn is_default(&self, config: &Config) -> bool {
        self.slot.is_default(config)
    }

    /// Every name, the first one being [`Directive::name`].
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    /// Sets the value; says whether it is another than before.
    pub(super) fn set(&self, config: &mut Config, words: &[&[u8]], source: Source) -> Result<bool, Reason> {
        self.slot.set(config, words, source)
    }

    /// The lines of CONFIG REWRITE.
    pub(super) fn rewrite(&self, config: &Config) -> Rewrite {
        self.slot.rewrite(config)
    }
}

/// A field of [`Config`] and its type, whatever they are.
trait Slot: Sync {
    fn takes_many(&self) -> bool;
    fn set(&self, config: &mut Config, words: &[&[u8]], source: Source) -> Result<bool, Reason>;
    fn show(&self, config: &Config) -> Vec<u8>;
    fn is_default(&self, config: &Config) -> bool;
    fn rewrite(&self, config: &Config) -> Rewrite;
}

struct Field<K: Kind> {
    kind: K,
    get: fn(&Config) -> &K::Value,
    get_mut: fn(&mut Config) -> &mut K::Value,
    default: fn() -> K::Value,
}

impl<K: Kind> Slot for Field<K> {
    fn takes_many(&self) -> bool {
        K::MANY
    }

    fn set(&self, config: &mut Config, words: &[&[u8]], source: Source) -> Result<bool, Reason> {
        let value = self.kind.parse(words, (self.get)(config), source)?;
        let field = (self.get_mut)(config);
        let changed = *field != value;
        *field = value;
        Ok(changed)
    }

    fn show(&self, config: &Config) -> Vec<u8> {
        self.kind.show((self.get)(config))
    }

    fn is_default(&self, config: &Config) -> bool {
        *(self.get)(config) == (self.default)()
    }

    fn rewrite(&self, config: &Config) -> Rewrite {
        self.kind.rewrite((self.get)(config), &(self.default)())
    }
}

macro_rules! directives {
    ($(
        $(#[$doc:meta])*
        $field:ident: $type:ty = $default:expr,
        $name:literal $(| $alias:literal)*, $kind:expr, $effect:ident, $support:ident $(, $mark:ident)*;
    )*) => {
        /// The value of every directive. Owners read the fields; [`Config::set`](super::Config::set) changes them.
        #[derive(Clone, PartialEq)]
        pub struct Config {
            $($(#[$doc])* pub $field: $type,)*
        }

        impl Default for Config {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        /// Every directive, in the order of CONFIG GET.
        pub static DIRECTIVES: &[Directive] = &[$(Directive {
            name: $name,
            aliases: &[$($alias),*],
            effect: Effect::$effect,
            support: Support::$support,
            marks: &[$(Mark::$mark),*],
            slot: &Field {
                kind: $kind,
                get: |config| &config.$field,
                get_mut: |config| &mut config.$field,
                default: || $default,
            },
        }),*];
    };
}

/// Hands the rows collected so far to the next area, or to the macro that makes something of them.
macro_rules! next_area {
    ($then:ident [] $($rows:tt)*) => { $then! { $($rows)* } };
    ($then:ident [$first:ident $($more:ident)*] $($rows:tt)*) => { $first! { $then [$($more)*] $($rows)* } };
}

next_area! {
    directives
    [network_rows process_rows access_rows replication_rows persistence_rows memory_rows absent_rows tls_rows]
}

/// The directive of a name or alias, in any case.
pub fn find(name: &[u8]) -> Option<&'static Directive> {
    DIRECTIVES.iter().find(|directive| directive.names().any(|known| known.as_bytes().eq_ignore_ascii_case(name)))
}

impl fmt::Debug for Config {
    /// Shows what differs from the defaults, without secrets.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changed = DIRECTIVES.iter().filter(|directive| !directive.is_default(self));
        let shown = changed.map(|directive| {
            let secret = directive.is(Mark::Sensitive);
            let value = if secret { b"(redacted)".to_vec() } else { directive.show(self) };
            (directive.name, String::from_utf8_lossy(&value).into_owned())
        });
        formatter.debug_map().entries(shown).finish()
    }
}

/// The working directory of the process; `/` where it has none.
fn working_directory() -> Vec<u8> {
    std::env::current_dir().unwrap_or_else(|_| "/".into()).into_os_string().into_encoded_bytes()
}

/// An hour and a change, five minutes and 100, a minute and 10000.
fn default_save() -> Vec<SavePoint> {
    [(3600, 1), (300, 100), (60, 10000)].map(|(seconds, changes)| SavePoint { seconds, changes }).into()
}
