//! A selector: commands, keys, channels and databases that belong together.

use std::collections::{BTreeMap, BTreeSet};

use super::has_blank;
use super::rule::RuleError;
use crate::commands::{Category, KeyUse, Row, table};
use crate::glob;

/// What a selector allows.
#[derive(Clone, Debug, Default)]
pub struct Selector {
    /// Every command, also those that are not known yet.
    pub(super) future_commands: bool,
    /// A bit for each row of the table of commands.
    allowed: Vec<u64>,
    /// First arguments with which a command is allowed that is not as such, by the row's id.
    first_arguments: BTreeMap<usize, Vec<Vec<u8>>>,
    /// The rules about commands, in their order: whether they allow, and what.
    rules: Vec<(bool, String)>,
    pub(super) all_keys: bool,
    keys: Vec<KeyPattern>,
    pub(super) all_channels: bool,
    channels: Vec<Vec<u8>>,
    /// The databases; `None` for all.
    databases: Option<BTreeSet<i32>>,
}

#[derive(Clone, Debug)]
struct KeyPattern {
    read: bool,
    write: bool,
    pattern: Vec<u8>,
}

impl KeyPattern {
    /// The rule that makes it.
    fn describe(&self) -> Vec<u8> {
        let sign: &[u8] = match (self.read, self.write) {
            (true, false) => b"%R~",
            (false, true) => b"%W~",
            _ => b"~",
        };
        [sign, &self.pattern].concat()
    }

    /// Whether it allows what a command does.
    fn allows(&self, key_use: KeyUse) -> bool {
        (self.read || !key_use.reads()) && (self.write || !key_use.writes())
    }
}

impl Selector {
    /// One that allows nothing in all databases; `all_channels` is what `acl-pubsub-default` says.
    pub fn new(all_channels: bool) -> Self {
        Selector { allowed: vec![0; table::rows().len().div_ceil(64)], all_channels, ..Self::default() }
    }

    /// One that allows everything.
    pub fn everything() -> Self {
        let mut selector = Selector { all_keys: true, ..Self::new(true) };
        selector.set_all_commands(true);
        selector
    }

    /// Whether there is nothing that it does not allow.
    pub fn is_unlimited(&self) -> bool {
        // Every command, and not merely those that are known.
        let no_exceptions = self.future_commands && !self.rules.iter().any(|(allow, _)| !allow);
        no_exceptions && self.all_keys && self.all_channels && self.databases.is_none()
    }

    /// Applies a rule.
    ///
    /// # Errors
    /// When it is none.
    pub fn apply(&mut self, rule: &[u8]) -> Result<(), RuleError> {
        match rule.to_ascii_lowercase().as_slice() {
            b"allkeys" | b"~*" => (self.all_keys, self.keys) = (true, Vec::new()),
            b"resetkeys" => (self.all_keys, self.keys) = (false, Vec::new()),
            b"allchannels" | b"&*" => (self.all_channels, self.channels) = (true, Vec::new()),
            b"resetchannels" => (self.all_channels, self.channels) = (false, Vec::new()),
            b"allcommands" | b"+@all" => self.set_all_commands(true),
            b"nocommands" | b"-@all" => self.set_all_commands(false),
            b"alldbs" => self.databases = None,
            b"resetdbs" => self.databases = Some(BTreeSet::new()),
            [b'd', b'b', b'=', list @ ..] => self.databases = Some(databases(list)?),
            _ => match rule {
                [b'~', pattern @ ..] => self.add_keys(true, true, pattern)?,
                [b'%', how @ ..] => {
                    let (read, write, pattern) = key_permission(how)?;
                    self.add_keys(read, write, pattern)?;
                }
                [b'&', pattern @ ..] => self.add_channels(pattern)?,
                [b'+', b'@', category @ ..] => self.set_category(category, true)?,
                [b'-', b'@', category @ ..] => self.set_category(category, false)?,
                [b'+', name @ ..] => self.allow(name)?,
                [b'-', name @ ..] => {
                    let row = table::find_full_original(name).ok_or(RuleError::Unknown)?;
                    self.set_command(row, false);
                    self.note_rule(&row.full_name, false);
                }
                _ => return Err(RuleError::Syntax),
            },
        }
        Ok(())
    }

    fn set_all_commands(&mut self, allow: bool) {
        self.future_commands = allow;
        self.allowed.fill(if allow { u64::MAX } else { 0 });
        self.first_arguments.clear();
        self.rules.clear();
    }

    fn set_bit(&mut self, id: usize, allow: bool) {
        let mask = 1 << (id % 64);
        if allow {
            self.allowed[id / 64] |= mask;
        } else {
            self.allowed[id / 64] &= !mask;
        }
    }

    /// Allows or forbids a command with all its subcommands.
    fn set_command(&mut self, row: &Row, allow: bool) {
        self.set_bit(row.id, allow);
        self.first_arguments.remove(&row.id);
        for sub in row.subcommands() {
            self.set_bit(sub.id, allow);
        }
    }

    fn set_category(&mut self, name: &[u8], allow: bool) -> Result<(), RuleError> {
        let name = name.to_ascii_lowercase();
        let known = Category::all().iter_names().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(&name));
        let (known, category) = known.ok_or(RuleError::Unknown)?;
        self.note_rule(&format!("@{}", known.to_ascii_lowercase()), allow);
        for row in table::rows().iter().filter(|row| row.command.categories().contains(category)) {
            self.set_command(row, allow);
        }
        Ok(())
    }

    /// `+name`, `+container|sub`, `+name|first-argument`.
    fn allow(&mut self, name: &[u8]) -> Result<(), RuleError> {
        let Some(bar) = memchr::memrchr(b'|', name) else {
            let row = table::find_full_original(name).ok_or(RuleError::Unknown)?;
            self.set_command(row, true);
            self.note_rule(&row.full_name, true);
            return Ok(());
        };
        let (command, argument) = (&name[..bar], &name[bar + 1..]);
        let row = table::find_full_original(command).ok_or(RuleError::Unknown)?;
        if command.contains(&b'|') {
            return Err(RuleError::ArgumentOfSubcommand);
        }
        if argument.is_empty() {
            return Err(RuleError::Syntax);
        }
        if row.subcommands().next().is_some() {
            let sub = row.find_sub(argument).ok_or(RuleError::Unknown)?;
            self.set_command(sub, true);
        } else {
            let arguments = self.first_arguments.entry(row.id).or_default();
            if !arguments.iter().any(|known| known.eq_ignore_ascii_case(argument)) {
                arguments.push(argument.to_vec());
            }
        }
        self.note_rule(&String::from_utf8_lossy(name).to_ascii_lowercase(), true);
        Ok(())
    }

    /// Remembers a rule about commands in place of those that it makes void: the same one, and those about its subcommands.
    fn note_rule(&mut self, rule: &str, allow: bool) {
        self.rules.retain(|(_, known)| {
            known.strip_prefix(rule).is_none_or(|rest| !rest.is_empty() && !rest.starts_with('|'))
        });
        self.rules.push((allow, rule.to_owned()));
    }

    fn add_keys(&mut self, read: bool, write: bool, pattern: &[u8]) -> Result<(), RuleError> {
        if self.all_keys {
            return Err(RuleError::AfterAllKeys);
        }
        if has_blank(pattern) {
            return Err(RuleError::Syntax);
        }
        match self.keys.iter_mut().find(|known| known.pattern == pattern) {
            Some(known) => (known.read, known.write) = (known.read | read, known.write | write),
            None => self.keys.push(KeyPattern { read, write, pattern: pattern.to_vec() }),
        }
        Ok(())
    }

    fn add_channels(&mut self, pattern: &[u8]) -> Result<(), RuleError> {
        if self.all_channels {
            return Err(RuleError::AfterAllChannels);
        }
        if has_blank(pattern) {
            return Err(RuleError::Syntax);
        }
        if !self.channels.iter().any(|known| known == pattern) {
            self.channels.push(pattern.to_vec());
        }
        Ok(())
    }

    /// Whether a command is allowed, by its row or by its first argument.
    pub fn allows_command(&self, row: &Row, first_argument: Option<&[u8]>) -> bool {
        if self.allowed[row.id / 64] & (1 << (row.id % 64)) != 0 {
            return true;
        }
        let (Some(argument), Some(known)) = (first_argument, self.first_arguments.get(&row.id)) else { return false };
        known.iter().any(|known| known.eq_ignore_ascii_case(argument))
    }

    /// Whether a key may be used so.
    pub fn allows_key(&self, key: &[u8], key_use: KeyUse) -> bool {
        self.all_keys || self.keys.iter().any(|p| p.allows(key_use) && glob::matches(&p.pattern, key, false))
    }

    /// Whether any key may be used so.
    pub fn allows_any_key(&self, key_use: KeyUse) -> bool {
        self.all_keys || self.keys.iter().any(|p| p.allows(key_use) && p.pattern == b"*")
    }

    /// Whether a channel may be used. A pattern of channels must be one of the rules' own, literally.
    pub fn allows_channel(&self, channel: &[u8], is_pattern: bool) -> bool {
        let allows = |known: &Vec<u8>| if is_pattern { known == channel } else { glob::matches(known, channel, false) };
        self.all_channels || self.channels.iter().any(allows)
    }

    /// Whether every database may be used, however many there are.
    pub fn allows_all_databases(&self) -> bool {
        self.databases.is_none()
    }

    /// Whether a database may be used.
    pub fn allows_database(&self, db: usize) -> bool {
        let among = |dbs: &BTreeSet<i32>| i32::try_from(db).is_ok_and(|db| dbs.contains(&db));
        self.databases.as_ref().is_none_or(among)
    }

    /// The patterns of channels.
    pub fn channels(&self) -> &[Vec<u8>] {
        &self.channels
    }

    /// The rules about commands.
    pub fn describe_commands(&self) -> String {
        let mut text = if self.future_commands { "+@all" } else { "-@all" }.to_owned();
        for (allow, rule) in &self.rules {
            text.push_str(if *allow { " +" } else { " -" });
            text.push_str(rule);
        }
        text
    }

    /// The rules about keys.
    pub fn describe_keys(&self) -> Vec<u8> {
        if self.all_keys {
            return b"~*".to_vec();
        }
        self.keys.iter().map(KeyPattern::describe).collect::<Vec<_>>().join(&b' ')
    }

    /// The rules about channels.
    pub fn describe_channels(&self) -> Vec<u8> {
        if self.all_channels {
            return b"&*".to_vec();
        }
        self.channels.iter().map(|channel| [b"&", channel.as_slice()].concat()).collect::<Vec<_>>().join(&b' ')
    }

    /// The rule about databases; empty when none is allowed.
    pub fn describe_databases(&self) -> String {
        match &self.databases {
            None => "alldbs".to_owned(),
            Some(dbs) if dbs.is_empty() => String::new(),
            Some(dbs) => format!("db={}", dbs.iter().map(i32::to_string).collect::<Vec<_>>().join(",")),
        }
    }

    /// The rules that make it of a new one.
    pub fn describe(&self) -> Vec<u8> {
        let mut words = vec![self.describe_keys()];
        if !self.all_channels {
            words.push(b"resetchannels".to_vec());
        }
        words.push(self.describe_channels());
        words.push(match &self.databases {
            None => Vec::new(),
            Some(dbs) if dbs.is_empty() => b"resetdbs".to_vec(),
            Some(_) => self.describe_databases().into_bytes(),
        });
        words.push(self.describe_commands().into_bytes());
        words.retain(|word| !word.is_empty());
        words.join(&b' ')
    }
}

/// What follows the `%` of a rule: `R`, `W` or both, and after a `~` the pattern.
fn key_permission(how: &[u8]) -> Result<(bool, bool, &[u8]), RuleError> {
    let (mut read, mut write) = (false, false);
    for (i, letter) in how.iter().enumerate() {
        match letter {
            b'R' | b'r' if !read => read = true,
            b'W' | b'w' if !write => write = true,
            b'~' if read || write => return Ok((read, write, &how[i + 1..])),
            _ => return Err(RuleError::Syntax),
        }
    }
    // Valkey takes `%R` for `%R~`.
    if read || write { Ok((read, write, b"")) } else { Err(RuleError::Syntax) }
}

/// Numbers of databases, separated by commas.
fn databases(list: &[u8]) -> Result<BTreeSet<i32>, RuleError> {
    let number = |digits: &[u8]| {
        let n = crate::resp::number::parse_i64(digits).ok_or(RuleError::Syntax)?;
        i32::try_from(n).ok().filter(|n| *n >= 0).ok_or(RuleError::BadDatabase)
    };
    list.split(|byte| *byte == b',').map(number).collect()
}
