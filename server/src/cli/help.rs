//! What the server says of its commands (COMMAND DOCS): the texts of `help`, the words that TAB completes, the syntax for hints.

use super::reply::Reply;
use super::session::Session;

/// One command or subcommand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandDoc {
    /// Name in upper case, one word or two: `CONFIG GET`.
    pub words: Vec<String>,
    /// What it does.
    pub summary: String,
    /// First version that has it.
    pub since: String,
    /// The group it belongs to.
    pub group: String,
    /// Its arguments.
    pub args: Vec<Arg>,
}

impl CommandDoc {
    /// Name in upper case.
    pub fn name(&self) -> String {
        self.words.join(" ")
    }
}

/// One argument in a command's syntax.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arg {
    /// What stands for the value in the syntax.
    pub display: String,
    /// Word that stands before the value, or alone.
    pub token: Option<String>,
    /// Kind of the value.
    pub kind: Kind,
    /// May be left out.
    pub optional: bool,
    /// May be repeated.
    pub multiple: bool,
    /// Its token is repeated with it.
    pub multiple_token: bool,
    /// The parts of a block, or the choices.
    pub parts: Vec<Arg>,
}

/// Kind of an argument's value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kind {
    /// Any word.
    #[default]
    Word,
    /// An integer.
    Integer,
    /// A number.
    Double,
    /// No value: the token alone.
    PureToken,
    /// One of the parts.
    OneOf,
    /// All of the parts.
    Block,
}

/// The documentation of all commands, in the order of their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Docs {
    commands: Vec<CommandDoc>,
}

impl Docs {
    /// Asks the server, connecting if need be and telling nobody when that fails. Empty when the server does not say.
    pub fn fetch(session: &mut Session) -> Self {
        if !session.is_connected() && session.connect(true).is_err() {
            return Self::default();
        }
        session.command(&["COMMAND", "DOCS"]).map_or_else(|_| Self::default(), |reply| Self::from_reply(&reply))
    }

    /// Reads the reply to COMMAND DOCS, of RESP2 or RESP3.
    pub fn from_reply(reply: &Reply) -> Self {
        let mut commands = Vec::new();
        for (name, doc) in reply.pairs().unwrap_or_default() {
            add_command(&mut commands, None, &text(name), doc);
        }
        commands.sort_by(|a, b| a.words.cmp(&b.words));
        Self { commands }
    }

    /// The command whose name begins the words, the longest name of several.
    pub fn find(&self, words: &[Vec<u8>]) -> Option<&CommandDoc> {
        let begins = |doc: &&CommandDoc| {
            doc.words.len() <= words.len()
                && doc.words.iter().zip(words).all(|(name, word)| name.as_bytes().eq_ignore_ascii_case(word))
        };
        self.commands.iter().filter(begins).max_by_key(|doc| doc.words.len())
    }

    /// What TAB may make of the line: the place where the replaced text starts, and the replacements. After `help`, groups count too.
    pub fn complete(&self, line: &str) -> (usize, Vec<String>) {
        let start = match line.get(..5) {
            Some(word) if word.eq_ignore_ascii_case("help ") => line.len() - line[5..].trim_start().len(),
            _ => 0,
        };
        let typed = &line[start..];
        let mut names: Vec<String> = self.commands.iter().map(CommandDoc::name).collect();
        if start > 0 {
            names.extend(self.groups().map(|group| format!("@{group}")));
        }
        names.retain(|name| name.get(..typed.len()).is_some_and(|head| head.eq_ignore_ascii_case(typed)));
        (start, names)
    }

    fn groups(&self) -> impl Iterator<Item = &str> {
        let mut groups: Vec<&str> = self.commands.iter().map(|doc| doc.group.as_str()).collect();
        groups.sort_unstable();
        groups.dedup();
        groups.into_iter()
    }

    /// The text for `help TOPIC`: a command, all subcommands of one, or a group (`@string`).
    pub fn describe(&self, topic: &[Vec<u8>]) -> String {
        let mut out = String::new();
        let group = topic.first().and_then(|word| word.strip_prefix(b"@"));
        for doc in &self.commands {
            let wanted = match group {
                Some(group) => doc.group.as_bytes().eq_ignore_ascii_case(group),
                None => {
                    topic.len() <= doc.words.len()
                        && topic.iter().zip(&doc.words).all(|(word, name)| word.eq_ignore_ascii_case(name.as_bytes()))
                }
            };
            if !wanted {
                continue;
            }
            let syntax = super::hints::syntax(&doc.args);
            out += &format!("\r\n  \x1b[1m{}\x1b[0m \x1b[90m{syntax}\x1b[0m\r\n", doc.name());
            out += &format!("  \x1b[33msummary:\x1b[0m {}\r\n  \x1b[33msince:\x1b[0m {}\r\n", doc.summary, doc.since);
            if group.is_none() {
                out += &format!("  \x1b[33mgroup:\x1b[0m {}\r\n", doc.group);
            }
        }
        out + "\r\n"
    }
}

/// The text for `help` alone.
pub fn general() -> String {
    format!(
        "valkey-cli {}\n\
         To get help about Valkey commands type:\n\
         \x20     \"help @<group>\" to get a list of commands in <group>\n\
         \x20     \"help <command>\" for help on <command>\n\
         \x20     \"help <tab>\" to get a list of possible help topics\n\
         \x20     \"quit\" to exit\n\
         \n\
         To set valkey-cli preferences:\n\
         \x20     \":set hints\" enable online hints\n\
         \x20     \":set nohints\" disable online hints\n\
         Set your preferences in ~/.valkeyclirc\n",
        super::VERSION
    )
}

fn add_command(commands: &mut Vec<CommandDoc>, parent: Option<&str>, name: &str, doc: &Reply) {
    // A subcommand is named `parent|sub`.
    let own = name.rsplit('|').next().unwrap_or(name).to_ascii_uppercase();
    let mut command = CommandDoc {
        words: parent.into_iter().map(str::to_owned).chain([own.clone()]).collect(),
        summary: String::new(),
        since: String::new(),
        group: String::new(),
        args: Vec::new(),
    };
    let mut subcommands = Vec::new();
    for (key, value) in doc.pairs().unwrap_or_default() {
        match text(key).as_str() {
            "summary" => command.summary = text(value),
            "since" => command.since = text(value),
            "group" => command.group = text(value),
            "arguments" => command.args = arguments(value),
            "subcommands" => subcommands = value.pairs().unwrap_or_default(),
            _ => {}
        }
    }
    commands.push(command);
    for (name, doc) in subcommands {
        add_command(commands, Some(&own), &text(name), doc);
    }
}

fn arguments(reply: &Reply) -> Vec<Arg> {
    reply.elements().unwrap_or_default().iter().map(argument).collect()
}

fn argument(doc: &Reply) -> Arg {
    let mut arg = Arg::default();
    let mut name = String::new();
    for (key, value) in doc.pairs().unwrap_or_default() {
        match text(key).as_str() {
            "name" => name = text(value),
            "display_text" => arg.display = text(value),
            "token" => arg.token = Some(text(value)),
            "type" => {
                arg.kind = match text(value).as_str() {
                    "integer" | "unix-time" => Kind::Integer,
                    "double" => Kind::Double,
                    "pure-token" => Kind::PureToken,
                    "oneof" => Kind::OneOf,
                    "block" => Kind::Block,
                    _ => Kind::Word,
                }
            }
            "flags" => {
                for flag in value.elements().unwrap_or_default() {
                    match text(flag).as_str() {
                        "optional" => arg.optional = true,
                        "multiple" => arg.multiple = true,
                        "multiple_token" => arg.multiple_token = true,
                        _ => {}
                    }
                }
            }
            "arguments" => arg.parts = arguments(value),
            _ => {}
        }
    }
    if arg.display.is_empty() {
        arg.display = name;
    }
    arg
}

fn text(reply: &Reply) -> String {
    String::from_utf8_lossy(reply.text().unwrap_or_default()).into_owned()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// COMMAND DOCS of a few commands, as a server sends them in RESP2.
    pub(crate) fn sample() -> Docs {
        fn list(items: Vec<Reply>) -> Reply {
            Reply::Array(items)
        }
        fn word(text: &str) -> Reply {
            Reply::Bulk(text.as_bytes().to_vec())
        }
        fn flags(names: &[&str]) -> Reply {
            list(names.iter().map(|name| Reply::Status(name.as_bytes().to_vec())).collect())
        }
        fn simple(name: &str, kind: &str) -> Vec<Reply> {
            vec![word("name"), word(name), word("type"), word(kind)]
        }
        fn with(mut arg: Vec<Reply>, key: &str, value: Reply) -> Vec<Reply> {
            arg.extend([word(key), value]);
            arg
        }
        fn doc(summary: &str, group: &str, args: Vec<Vec<Reply>>) -> Vec<Reply> {
            let args = args.into_iter().map(list).collect();
            vec![
                word("summary"),
                word(summary),
                word("since"),
                word("1.0.0"),
                word("group"),
                word(group),
                word("arguments"),
                list(args),
            ]
        }
        let count = with(with(simple("count", "integer"), "token", word("COUNT")), "flags", flags(&["optional"]));
        let xrange = vec![simple("key", "key"), simple("start", "string"), simple("end", "string"), count];
        let data = vec![list(simple("field", "string")), list(simple("value", "string"))];
        let data = with(with(simple("data", "block"), "flags", flags(&["multiple"])), "arguments", list(data));
        let nx = with(simple("nx", "pure-token"), "token", word("NX"));
        let xx = with(simple("xx", "pure-token"), "token", word("XX"));
        let choice = with(simple("condition", "oneof"), "arguments", list(vec![list(nx), list(xx)]));
        let set = vec![
            simple("key", "key"),
            with(simple("value", "string"), "display_text", word("new-value")),
            with(choice, "flags", flags(&["optional"])),
            with(with(simple("seconds", "integer"), "token", word("EX")), "flags", flags(&["optional"])),
        ];
        let sub = doc("Returns a setting.", "server", vec![simple("parameter", "string")]);
        let config = with(doc("Settings.", "server", vec![]), "subcommands", list(vec![word("config|get"), list(sub)]));
        Docs::from_reply(&list(vec![
            word("xrange"),
            list(doc("Reads a stream.", "stream", xrange)),
            word("config"),
            list(config),
            word("hset"),
            list(doc("Sets fields.", "hash", vec![simple("key", "key"), data])),
            word("set"),
            list(doc("Sets a string.", "string", set)),
        ]))
    }

    #[test]
    fn help_on_a_command_shows_its_syntax_and_summary() {
        let shown = sample().describe(&[b"xrange".to_vec()]);
        let want = "\r\n  \x1b[1mXRANGE\x1b[0m \x1b[90mkey start end [COUNT count]\x1b[0m\r\n  \x1b[33msummary:\x1b[0m Reads a \
                    stream.\r\n  \x1b[33msince:\x1b[0m 1.0.0\r\n  \x1b[33mgroup:\x1b[0m stream\r\n\r\n";
        assert_eq!(shown, want);
    }

    #[test]
    fn help_on_a_group_or_a_container_lists_what_is_in_it() {
        let docs = sample();
        let group = docs.describe(&[b"@SERVER".to_vec()]);
        assert!(group.contains("CONFIG\x1b") && group.contains("CONFIG GET") && !group.contains("group:"));
        let container = docs.describe(&[b"config".to_vec()]);
        assert!(container.contains("CONFIG GET") && container.contains("group:"));
        assert_eq!(docs.describe(&[b"nosuch".to_vec()]), "\r\n");
    }

    #[test]
    fn tab_completes_commands_and_after_help_groups_too() {
        let docs = sample();
        assert_eq!(docs.complete("co"), (0, vec!["CONFIG".to_owned(), "CONFIG GET".to_owned()]));
        assert_eq!(docs.complete("config g"), (0, vec!["CONFIG GET".to_owned()]));
        assert_eq!(docs.complete("help  @s"), (6, vec!["@server".into(), "@stream".into(), "@string".into()]));
        assert_eq!(docs.complete("@s"), (0, vec![]));
    }
}
