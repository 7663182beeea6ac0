//! The directive table, the configuration file's syntax, CONFIG GET, SET and REWRITE.
//!
//! Nothing here knows what a directive's owner does with it: a change is reported as an [`Effect`].
//!
//! At start: `Invocation::from_arguments(..).load()` gives a [`Loaded`] or a [`LoadError`] to print. At runtime:
//! [`Config::get`], [`Config::set`], [`rewrite()`].

mod arguments;
mod checks;
mod choices;
mod effect;
mod events;
mod file;
mod get_set;
mod include;
mod kinds;
mod load_error;
mod numbers;
mod output_limits;
mod rewrite;
mod special;
mod table;
pub mod template;
#[cfg(test)]
mod tests;

pub use arguments::Invocation;
pub use choices::*;
pub use effect::{Effect, Support};
pub use events::NotifyEvents;
pub use file::{Loaded, RenamedCommand, UserLine, load, try_line};
pub use get_set::{Change, Circumstances, SetError, Snapshot};
pub use kinds::{Choice, Reason};
pub use load_error::{LoadError, Origin};
pub use output_limits::{OutputLimit, OutputLimits};
pub use rewrite::{Users, Which, compose, replace_file, rewrite};
pub use special::{PrimaryAddress, SavePoint, ShutdownOptions, os_text};
pub use table::{Config, DIRECTIVES, Directive, Mark, find};
