//! The lines of a script, which of them is the current one, and which have a breakpoint.

/// Breakpoints that there may be at a time.
const MOST_BREAKPOINTS: usize = 64;

/// See the module's documentation. Lines are counted from 1.
pub struct Source {
    lines: Vec<Vec<u8>>,
    breakpoints: Vec<usize>,
    /// The line at which the script stands.
    pub current: usize,
}

/// Why there is no breakpoint more.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    TooMany,
    NoSuchLine,
}

impl Source {
    pub fn new(text: &[u8]) -> Self {
        let end = text.iter().rposition(|c| !matches!(c, b'\r' | b'\n')).map_or(0, |last| last + 1);
        let lines = text[..end].split(|c| *c == b'\n').map(<[u8]>::to_vec).collect();
        Source { lines, breakpoints: Vec::new(), current: 0 }
    }

    /// The lines with a breakpoint, in the order in which those were set.
    pub fn breakpoints(&self) -> &[usize] {
        &self.breakpoints
    }

    /// Whether the current line has a breakpoint.
    pub fn is_at_breakpoint(&self) -> bool {
        self.breakpoints.contains(&self.current)
    }

    /// Sets a breakpoint.
    pub fn set(&mut self, line: usize) -> Result<(), Refused> {
        if self.breakpoints.len() == MOST_BREAKPOINTS {
            return Err(Refused::TooMany);
        }
        if line == 0 || line > self.lines.len() {
            return Err(Refused::NoSuchLine);
        }
        if !self.breakpoints.contains(&line) {
            self.breakpoints.push(line);
        }
        Ok(())
    }

    /// Takes a breakpoint away; false when there is none.
    pub fn unset(&mut self, line: usize) -> bool {
        let before = self.breakpoints.len();
        self.breakpoints.retain(|other| *other != line);
        self.breakpoints.len() < before
    }

    /// Takes all breakpoints away.
    pub fn clear(&mut self) {
        self.breakpoints.clear();
    }

    /// A line as it is shown: with its number, an arrow when it is the current one, and a sign for a breakpoint.
    pub fn shown(&self, line: usize) -> Vec<u8> {
        let arrow = if line == self.current { "->" } else { "  " };
        let sign = if self.breakpoints.contains(&line) { '#' } else { ' ' };
        let text = line.checked_sub(1).and_then(|i| self.lines.get(i));
        let text = text.map_or(b"<out of range source code line>".as_slice(), Vec::as_slice);
        [format!("{arrow}{sign}{line:<3} ").as_bytes(), text].concat()
    }

    /// The lines around one, as they are shown.
    pub fn around(&self, line: usize, context: usize) -> impl Iterator<Item = Vec<u8>> {
        let first = line.saturating_sub(context).max(1);
        let last = line.saturating_add(context).min(self.lines.len());
        (first..=last).map(|line| self.shown(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(source: &Source, line: usize, context: usize) -> Vec<String> {
        source.around(line, context).map(|line| String::from_utf8(line).unwrap()).collect()
    }

    #[test]
    fn lines_are_shown_with_what_is_special_about_them() {
        let mut source = Source::new(b"one\ntwo\n\nfour\n\n");
        source.current = 2;
        source.set(2).unwrap();
        source.set(3).unwrap();
        assert_eq!(shown(&source, 1, 1_000_000), ["   1   one", "->#2   two", "  #3   ", "   4   four"]);
        assert_eq!(shown(&source, 4, 1), ["  #3   ", "   4   four"]);
        assert_eq!(source.shown(5), b"   5   <out of range source code line>");
    }

    #[test]
    fn breakpoints_are_on_lines_that_there_are_and_not_without_number() {
        let mut source = Source::new("\n".repeat(100).as_bytes());
        assert_eq!(source.set(2), Err(Refused::NoSuchLine));
        let mut source = Source::new(("x\n".repeat(100) + "x").as_bytes());
        assert_eq!((source.set(0), source.set(102)), (Err(Refused::NoSuchLine), Err(Refused::NoSuchLine)));
        (1..=MOST_BREAKPOINTS).for_each(|line| source.set(line).unwrap());
        assert_eq!(source.set(101), Err(Refused::TooMany));
        assert!(source.unset(7) && !source.unset(7));
        assert_eq!(source.set(101), Ok(()));
        source.clear();
        assert!(source.breakpoints().is_empty());
    }
}
