//! Hints: what may still follow on the line being typed, by the command's syntax.
//!
//! The words typed are matched against the arguments in order; a run of optional arguments may come in any order. What is matched is left
//! out of the syntax that is shown.

use super::help::{Arg, Docs, Kind};
use crate::words;

/// The whole syntax of arguments, as `help` shows it.
pub fn syntax(args: &[Arg]) -> String {
    show_sequence(&mut Matched::all_of(args), " ")
}

/// The hint for a line: what may follow. `None` when the line begins no known command, `""` when nothing may follow. The last word counts
/// only once a space follows it.
pub fn hint(docs: &Docs, line: &str) -> Option<String> {
    let mut words = words::split(line.as_bytes())?;
    if !ends_with_space(line) {
        words.pop();
    }
    let doc = docs.find(&words)?;
    let words = &words[doc.words.len()..];
    let mut matched = Matched::all_of(&doc.args);
    let used = match_sequence(&mut matched, words);
    Some(if used == words.len() { show_sequence(&mut matched, " ") } else { String::new() })
}

/// Whether the line's last word is finished.
pub fn ends_with_space(line: &str) -> bool {
    line.ends_with(|c: char| c.is_ascii_whitespace())
}

/// How much of an argument the words typed so far have given.
struct Matched<'a> {
    arg: &'a Arg,
    /// Words used.
    words: usize,
    /// The token is there.
    token: bool,
    /// The value is there.
    value: bool,
    /// Nothing is missing.
    whole: bool,
    parts: Vec<Matched<'a>>,
}

impl<'a> Matched<'a> {
    fn new(arg: &'a Arg) -> Self {
        Self { arg, words: 0, token: false, value: false, whole: false, parts: Self::all_of(&arg.parts) }
    }

    fn all_of(args: &'a [Arg]) -> Vec<Self> {
        args.iter().map(Self::new).collect()
    }

    fn clear(&mut self) {
        *self = Self::new(self.arg);
    }

    /// Matches the argument as often as it may be repeated. Returns the number of words used.
    fn take(&mut self, words: &[Vec<u8>]) -> usize {
        let mut used = self.take_once(words);
        if !self.arg.multiple {
            return used;
        }
        while self.whole && used < words.len() {
            self.clear();
            let rest = &words[used..];
            used += if self.arg.token.is_some() && !self.arg.multiple_token {
                // The token stands before the first only.
                let n = self.take_value(rest);
                self.token = n > 0;
                n
            } else {
                self.take_once(rest)
            };
        }
        // Another may always follow.
        self.whole = false;
        used
    }

    fn take_once(&mut self, words: &[Vec<u8>]) -> usize {
        let Some(token) = &self.arg.token else { return self.take_value(words) };
        let Some((first, rest)) = words.split_first() else { return 0 };
        if !first.eq_ignore_ascii_case(token.as_bytes()) {
            return 0;
        }
        self.token = true;
        self.words = 1;
        if self.arg.kind == Kind::PureToken {
            self.whole = true;
        } else if !rest.is_empty() && self.take_value(rest) == 0 {
            self.clear();
        }
        self.words
    }

    fn take_value(&mut self, words: &[Vec<u8>]) -> usize {
        let Some(word) = words.first() else { return 0 };
        match self.arg.kind {
            Kind::Block => {
                self.words += match_sequence(&mut self.parts, words);
                self.whole = self.parts.iter().all(|part| part.whole);
            }
            Kind::OneOf => {
                if let Some(chosen) = self.parts.iter_mut().find_map(|part| (part.take(words) > 0).then_some(part)) {
                    self.words += chosen.words;
                    self.whole = chosen.whole;
                }
            }
            Kind::Integer if !parses::<i64>(word) => self.clear(),
            Kind::Double if !parses::<f64>(word) => self.clear(),
            _ => {
                self.words += 1;
                self.value = true;
                self.whole = true;
            }
        }
        self.words
    }
}

fn parses<N: std::str::FromStr>(word: &[u8]) -> bool {
    std::str::from_utf8(word).is_ok_and(|word| word.parse::<N>().is_ok())
}

/// Matches arguments in order. Returns the number of words used; 0 when a required argument does not fit.
fn match_sequence(args: &mut [Matched<'_>], words: &[Vec<u8>]) -> usize {
    let mut used = 0;
    let mut next = 0;
    while used < words.len() && next < args.len() {
        if args[next].arg.optional {
            let run = args[next..].iter().take_while(|matched| matched.arg.optional).count();
            used += match_any_order(&mut args[next..next + run], &words[used..]);
            next += run;
        } else {
            match args[next].take(&words[used..]) {
                0 => return 0,
                n => used += n,
            }
            next += 1;
        }
    }
    used
}

/// Matches a run of optional arguments in whatever order they come.
fn match_any_order(args: &mut [Matched<'_>], words: &[Vec<u8>]) -> usize {
    let mut used = 0;
    let mut last: Option<usize> = None;
    while used < words.len() {
        let found = (0..args.len()).find_map(|i| {
            if args[i].words > 0 {
                return None;
            }
            let n = args[i].take(&words[used..]);
            (n > 0).then_some((i, n))
        });
        let Some((i, n)) = found else { break };
        // Whatever the one before could still have taken, it is over now.
        if let Some(last) = last.replace(i) {
            args[last].whole = true;
        }
        used += n;
    }
    used
}

/// The part of a sequence that is still to come.
fn show_sequence(args: &mut [Matched<'_>], separator: &str) -> String {
    let mut shown = Vec::new();
    let mut rest = args;
    while !rest.is_empty() {
        let run = rest.iter().take_while(|matched| matched.arg.optional).count();
        if run == 0 {
            let (first, after) = rest.split_at_mut(1);
            shown.push(first[0].show());
            rest = after;
            continue;
        }
        let (optional, after) = rest.split_at_mut(run);
        // One that is begun comes first, for it must be finished.
        let begun: Vec<bool> = optional.iter().map(|matched| matched.words > 0 && !matched.whole).collect();
        for (matched, _) in optional.iter_mut().zip(&begun).filter(|(_, begun)| **begun) {
            shown.push(matched.show());
        }
        // Once the required argument behind them is given, it is too late for the others.
        if after.first().is_none_or(|matched| matched.words == 0) {
            for (matched, _) in optional.iter_mut().zip(&begun).filter(|(_, begun)| !**begun) {
                shown.push(matched.show());
            }
        }
        rest = after;
    }
    shown.retain(|text| !text.is_empty());
    shown.join(separator)
}

/// The argument's token as it is typed: MIGRATE has one that is the empty string.
fn token(arg: &Arg) -> Option<String> {
    arg.token.as_ref().map(|token| if token.is_empty() { "\"\"".to_owned() } else { token.clone() })
}

impl Matched<'_> {
    /// The part of the argument that is still to come.
    fn show(&mut self) -> String {
        if self.whole {
            return String::new();
        }
        let mut out = String::new();
        if self.arg.optional && self.words == 0 {
            out.push('[');
        }
        let mut shown = Vec::new();
        if !self.token {
            shown.extend(token(self.arg));
        }
        match self.arg.kind {
            Kind::OneOf if self.words > 0 => {
                shown.extend(self.parts.iter_mut().filter(|part| part.words > 0).map(Self::show));
            }
            Kind::OneOf => shown.push(show_sequence(&mut self.parts, "|")),
            Kind::Block => shown.push(show_sequence(&mut self.parts, " ")),
            Kind::PureToken => {}
            _ if self.value => {}
            _ => shown.push(self.arg.display.clone()),
        }
        shown.retain(|text| !text.is_empty());
        out += &shown.join(" ");
        if self.arg.multiple {
            // From here on it is as if nothing had been typed. So the closing bracket below is written without an opening one when a
            // repeated optional argument is begun, as valkey-cli does it and its tests expect it.
            self.clear();
            let mut repeated = Vec::new();
            if self.arg.multiple_token {
                repeated.extend(token(self.arg));
            }
            match self.arg.kind {
                Kind::OneOf => repeated.push(show_sequence(&mut self.parts, "|")),
                Kind::Block => repeated.push(show_sequence(&mut self.parts, " ")),
                Kind::PureToken => {}
                _ => repeated.push(self.arg.display.clone()),
            }
            if !out.is_empty() {
                out.push(' ');
            }
            out += &format!("[{} ...]", repeated.join(" "));
        }
        if self.arg.optional && self.words == 0 {
            out.push(']');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::super::help::tests::sample;
    use super::*;

    #[test]
    fn the_hint_is_what_may_still_follow() {
        let docs = sample();
        let table = [
            ("XRANGE ", Some("key start end [COUNT count]")),
            ("xrange k", Some("key start end [COUNT count]")),
            ("xrange k 4 2 ", Some("[COUNT count]")),
            ("xrange k 4 2 COUNT ", Some("count")),
            ("xrange k 4 2 COUNT x ", Some("")),
            ("xrange k 4 2 COUNT 3 ", Some("")),
            ("hset k ", Some("field value [field value ...]")),
            ("hset k f ", Some("value [field value ...]")),
            ("hset k f v ", Some("[field value ...]")),
            ("set k v ", Some("[NX|XX] [EX seconds]")),
            ("set k v EX 5 ", Some("[NX|XX]")),
            ("set k v NX ", Some("[EX seconds]")),
            ("set k v EX ", Some("seconds [NX|XX]")),
            ("set k v BOGUS ", Some("")),
            ("config get ", Some("parameter")),
            ("config ", Some("")),
            ("nosuch ", None),
            ("set \"open ", None),
            ("", None),
        ];
        for (line, want) in table {
            assert_eq!(hint(&docs, line).as_deref(), want, "{line}");
        }
    }
}
