//! The directive table, the configuration file's syntax, CONFIG GET, SET and REWRITE.
//!
//! Nothing here knows what a directive's owner does with it: a change is reported as an [`Effect`].

mod checks;
mod choices;
mod effect;
mod events;
mod kinds;
mod numbers;
mod output_limits;
mod special;
mod table;
pub mod words;

pub use choices::*;
pub use effect::{Effect, Support};
pub use events::NotifyEvents;
pub use kinds::{Choice, Reason};
pub use output_limits::{OutputLimit, OutputLimits};
pub use special::{PrimaryAddress, SavePoint, ShutdownOptions, os_text};
pub use table::{Config, DIRECTIVES, Directive, Mark, find};
