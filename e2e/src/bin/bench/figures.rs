//! The figures of all rounds, and their table.

use std::collections::BTreeMap;
use std::fmt;

/// Whose figure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// This repository's.
    Ours,
    /// The real Valkey's.
    Real,
}

/// What was measured, in the order in which it was first.
#[derive(Default)]
pub struct Figures {
    order: Vec<(String, &'static str)>,
    values: BTreeMap<(String, Side), Vec<f64>>,
}

impl Figures {
    /// Adds a figure to a line: what was measured, in which unit.
    pub fn add(&mut self, side: Side, what: &str, unit: &'static str, value: f64) {
        if !self.order.iter().any(|(name, _)| name == what) {
            self.order.push((what.to_owned(), unit));
        }
        self.values.entry((what.to_owned(), side)).or_default().push(value);
    }

    fn median(&self, what: &str, side: Side) -> Option<f64> {
        let mut values = self.values.get(&(what.to_owned(), side))?.clone();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        Some(if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) })
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<54} {:>10} / {:>10} = ratio", "what (unit)", "ours", "real")?;
        for (what, unit) in &self.order {
            let line = format!("{what} ({unit})");
            match (self.median(what, Side::Ours), self.median(what, Side::Real)) {
                (Some(ours), Some(real)) => {
                    writeln!(f, "{line:<54} {ours:>10.2} / {real:>10.2} = {:.2}", ours / real)?;
                }
                (ours, real) => {
                    let text = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
                    writeln!(f, "{line:<54} {:>10} / {:>10}", text(ours), text(real))?;
                }
            }
        }
        Ok(())
    }
}
