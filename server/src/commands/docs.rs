//! COMMAND DOCS and the tips of COMMAND INFO: what a command's row says, and what `docs.txt` adds to it.
//!
//! That file is a text so that nothing of it needs to be put together before somebody asks. Where each command begins in it is found at
//! the first question; the lines are read anew for each answer.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::table::Row;
use crate::resp::ReplyBuf;

const TEXT: &str = include_str!("docs.txt");

/// The lines about each command, by its full name.
static SECTIONS: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| {
    let mut sections = HashMap::new();
    let mut rest = TEXT;
    while let Some((head, after)) = rest.split_once('\n') {
        let end = after.match_indices('\n').find(|(at, _)| !after[at + 1..].starts_with(' ')).map(|(at, _)| at + 1);
        let own = if after.starts_with(' ') { end.unwrap_or(after.len()) } else { 0 };
        if !head.starts_with('#') {
            sections.insert(head, &after[..own]);
        }
        rest = &after[own..];
    }
    sections
});

/// What the file says of a command.
#[derive(Clone, Copy)]
struct Doc(&'static str);

impl Doc {
    fn of(row: &Row) -> Self {
        Doc(SECTIONS.get(row.full_name.as_str()).copied().unwrap_or_default())
    }

    /// All values of a field.
    fn values(self, field: &str) -> impl Iterator<Item = &'static str> + Clone {
        self.0.lines().filter_map(move |line| line.strip_prefix("  ")?.strip_prefix(field)?.strip_prefix(' '))
    }

    fn arguments(self) -> Vec<Argument> {
        let mut lines = self.0.lines().skip_while(|line| !line.starts_with("  - ")).peekable();
        std::iter::from_fn(|| Argument::read(&mut lines, 2)).collect()
    }
}

/// An argument, or a part of one.
#[derive(Debug, Default, PartialEq, Eq)]
struct Argument {
    name: &'static str,
    kind: &'static str,
    display: Option<&'static str>,
    key: Option<i64>,
    token: Option<&'static str>,
    since: Option<&'static str>,
    deprecated: Option<&'static str>,
    flags: Vec<&'static str>,
    summary: Option<&'static str>,
    parts: Vec<Argument>,
}

impl Argument {
    /// Reads an argument whose line is set in by `indent`, and its parts.
    fn read(lines: &mut std::iter::Peekable<impl Iterator<Item = &'static str>>, indent: usize) -> Option<Self> {
        let line = lines.next_if(|line| line.len() - line.trim_start().len() == indent)?;
        let line = line.trim_start().strip_prefix("- ")?;
        let (line, summary) = match line.split_once(" : ") {
            Some((line, summary)) => (line, Some(summary)),
            None => (line, None),
        };
        let mut words = line.split(' ');
        let mut argument = Argument { name: words.next()?, kind: words.next()?, summary, ..Argument::default() };
        // Groups are shown as what is in them.
        argument.display = (!matches!(argument.kind, "oneof" | "block")).then_some(argument.name);
        for word in words {
            match word {
                "?" => argument.flags.push("optional"),
                "*" => argument.flags.push("multiple"),
                "+" => argument.flags.push("multiple_token"),
                _ if word.starts_with('=') => argument.display = Some(&word[1..]),
                _ if word.starts_with('#') => argument.key = word[1..].parse().ok(),
                _ if word.starts_with(">=") => argument.since = Some(&word[2..]),
                _ if word.starts_with('<') => argument.deprecated = Some(&word[1..]),
                _ => argument.token = Some(word.trim_matches('"')),
            }
        }
        argument.parts = std::iter::from_fn(|| Argument::read(lines, indent + 2)).collect();
        Some(argument)
    }

    fn write(&self, reply: &mut ReplyBuf) {
        let texts = [("display_text", self.display), ("token", self.token), ("summary", self.summary)];
        let versions = [("since", self.since), ("deprecated_since", self.deprecated)];
        let present = texts.iter().chain(&versions).filter(|(_, text)| text.is_some()).count();
        let rest = [self.key.is_some(), !self.flags.is_empty(), !self.parts.is_empty()];
        reply.map(2 + present + rest.iter().filter(|is_there| **is_there).count());
        text(reply, "name", self.name);
        text(reply, "type", self.kind);
        let (display, others) = (texts[0], [texts[1], texts[2], versions[0], versions[1]]);
        optional_text(reply, display);
        if let Some(key) = self.key {
            reply.bulk(b"key_spec_index");
            reply.int(key);
        }
        others.into_iter().for_each(|field| optional_text(reply, field));
        if !self.flags.is_empty() {
            reply.bulk(b"flags");
            reply.set(self.flags.len());
            self.flags.iter().for_each(|flag| reply.simple(flag));
        }
        if !self.parts.is_empty() {
            arguments(reply, &self.parts);
        }
    }
}

fn text(reply: &mut ReplyBuf, name: &str, text: &str) {
    reply.bulk(name.as_bytes());
    reply.bulk(text.as_bytes());
}

fn optional_text(reply: &mut ReplyBuf, (name, value): (&str, Option<&str>)) {
    if let Some(value) = value {
        text(reply, name, value);
    }
}

fn arguments(reply: &mut ReplyBuf, list: &[Argument]) {
    reply.bulk(b"arguments");
    reply.array(list.len());
    list.iter().for_each(|argument| argument.write(reply));
}

/// What COMMAND INFO tells clients that talk to many servers at once.
pub fn tips(row: &Row) -> Vec<&'static str> {
    Doc::of(row).values("tip").collect()
}

/// Writes a command's name, and what there is to say of it.
pub fn document(reply: &mut ReplyBuf, row: &Row) {
    reply.bulk(row.full_name.as_bytes());
    let doc = Doc::of(row);
    let (command, subcommands) = (row.command, row.subcommands().count());
    reply.deferred(ReplyBuf::map, |reply| {
        text(reply, "summary", command.summary);
        text(reply, "since", command.since);
        text(reply, "group", command.group.name());
        let mut n = 3;
        for value in doc.values("complexity") {
            text(reply, "complexity", value);
            n += 1;
        }
        let flags = doc.values("doc_flag");
        if flags.clone().next().is_some() {
            reply.bulk(b"doc_flags");
            reply.set(flags.clone().count());
            flags.for_each(|flag| reply.simple(flag));
            n += 1;
        }
        for name in ["deprecated_since", "replaced_by"] {
            for value in doc.values(name) {
                text(reply, name, value);
                n += 1;
            }
        }
        let history = doc.values("history");
        if history.clone().next().is_some() {
            reply.bulk(b"history");
            reply.set(history.clone().count());
            for change in history {
                let (since, what) = change.split_once(' ').unwrap_or((change, ""));
                reply.array(2);
                reply.bulk(since.as_bytes());
                reply.bulk(what.as_bytes());
            }
            n += 1;
        }
        let list = doc.arguments();
        if !list.is_empty() {
            arguments(reply, &list);
            n += 1;
        }
        if subcommands > 0 {
            reply.bulk(b"subcommands");
            reply.map(subcommands);
            row.subcommands().for_each(|sub| document(reply, sub));
            n += 1;
        }
        n
    });
}

#[cfg(test)]
mod tests {
    use super::super::table;
    use super::*;

    #[test]
    fn the_file_tells_of_all_commands_that_valkey_has_and_of_no_others() {
        let named = |name: &&&str| table::find_full_original(name.as_bytes()).is_none();
        assert_eq!(SECTIONS.keys().find(named), None);
        // QUORUM is our own.
        let known = |row: &Row| SECTIONS.contains_key(row.full_name.as_str()) || row.full_name.starts_with("quorum");
        let silent = |row: &&Row| !known(row);
        let silent: Vec<&str> = table::rows().iter().filter(silent).map(|row| row.full_name.as_str()).collect();
        assert_eq!(silent, [""; 0]);
    }

    #[test]
    fn all_lines_of_the_file_are_understood() {
        fn count(list: &[Argument]) -> usize {
            list.iter().map(|argument| 1 + count(&argument.parts)).sum()
        }
        for (name, section) in SECTIONS.iter() {
            let doc = Doc(section);
            let fields = ["complexity", "doc_flag", "deprecated_since", "replaced_by", "history", "tip"];
            let fields: usize = fields.iter().map(|field| doc.values(field).count()).sum();
            assert_eq!(fields + count(&doc.arguments()), section.lines().count(), "{name}");
        }
    }

    #[test]
    fn an_argument_is_its_line_and_the_lines_below() {
        let mut lines = [
            "  - condition oneof ?",
            "    - nx pure-token \"NX\" >=2.6.12",
            "    - value string =other \"IFEQ\" <9.0.0 * + : Only if so.",
            "  - key key #0",
        ]
        .into_iter()
        .peekable();
        let first = Argument::read(&mut lines, 2).unwrap();
        assert_eq!((first.display, first.flags.as_slice(), first.parts.len()), (None, &["optional"][..], 2));
        assert_eq!((first.parts[0].token, first.parts[0].since), (Some("NX"), Some("2.6.12")));
        let second = &first.parts[1];
        assert_eq!(
            (second.display, second.deprecated, second.summary),
            (Some("other"), Some("9.0.0"), Some("Only if so."))
        );
        assert_eq!(Argument::read(&mut lines, 2).unwrap().key, Some(0));
        assert_eq!(Argument::read(&mut lines, 2), None);
    }
}
