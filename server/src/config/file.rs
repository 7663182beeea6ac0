//! Reading a configuration: the file's lines, what it includes, and the options that follow it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::include;
use super::kinds::{Reason, Source};
use super::load_error::{LoadError, Origin};
use super::special::os_text;
use super::table::{Config, Directive, find};
use crate::words;

/// Names that once were directives, and are taken with one value for the sake of old files.
const RETIRED: [&str; 7] = [
    "list-max-ziplist-entries",
    "list-max-ziplist-value",
    "lua-replicate-commands",
    "io-threads-do-reads",
    "dynamic-hz",
    "events-per-io-thread",
    "sanitize-dump-payload",
];

/// How deep files may include files; more is a circle.
const MAX_DEPTH: usize = 16;

/// A configuration as loaded, with the lines that are for others to understand.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    /// The directives.
    pub config: Config,
    /// The configuration file, which CONFIG REWRITE rewrites.
    pub path: Option<PathBuf>,
    /// The `user` lines.
    pub users: Vec<UserLine>,
    /// The `rename-command` lines.
    pub renamed_commands: Vec<RenamedCommand>,
    /// Directives of former versions that were met.
    pub retired: Vec<&'static str>,
}

/// A `user` line: the owner of users reads the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserLine {
    /// The user's name and rules.
    pub words: Vec<Vec<u8>>,
    /// Where it stands; `origin.error(..)` is the error to stop with.
    pub origin: Origin,
}

/// A `rename-command` line: the owner of the command table knows whether the name exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenamedCommand {
    /// The command.
    pub from: Vec<u8>,
    /// Its new name; empty: the command goes.
    pub to: Vec<u8>,
    /// Where it stands; `origin.error(..)` is the error to stop with.
    pub origin: Origin,
}

impl Loaded {
    /// Directives that were given a value that changes nothing here, for the server to name at start.
    pub fn without_effect(&self) -> Vec<&'static str> {
        let mut names = self.config.set_without_effect();
        names.extend(&self.retired);
        names
    }
}

/// Loads a configuration from a file, from what standard input had, and from options, in this order.
///
/// `options` are lines of a configuration file. Nothing is changed in the process: `dir` is entered by its owner.
pub fn load(path: Option<&Path>, stdin: &[u8], options: &[u8]) -> Result<Loaded, LoadError> {
    let mut text = path.map_or(Ok(Vec::new()), read)?;
    if !stdin.is_empty() && !text.is_empty() && !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    text.extend(stdin);
    // Options stand on a line of their own, also where there is nothing before them: errors count it.
    text.push(b'\n');
    text.extend(options);
    let mut loader = Loader::default();
    loader.read_lines(&text)?;
    let mut loaded = loader.loaded;
    loaded.path = path.map(Path::to_owned);
    check_logfile(&loaded.config)?;
    Ok(loaded)
}

/// What a configuration file with only this line would say: the directive's own name, and the configuration. Its value is the rest of the
/// line. Opens and changes nothing.
pub fn try_line(directive: &[u8], value: &[u8]) -> Result<(&'static str, Config), Reason> {
    let directive = find(directive).ok_or("Bad directive or wrong number of arguments")?;
    let values = words::split(value).ok_or("Unbalanced quotes in configuration line")?;
    let mut loader = Loader::default();
    loader.set(directive, &values)?;
    Ok((directive.name, loader.loaded.config))
}

#[derive(Default)]
struct Loader {
    loaded: Loaded,
    /// Whether a `save` line was met: the first one takes the place of the default, others add to it.
    save_seen: bool,
    depth: usize,
}

impl Loader {
    fn read_lines(&mut self, text: &[u8]) -> Result<(), LoadError> {
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = trim(line);
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let origin = Origin { line: index + 1, text: line.to_vec() };
            let words = words::split(line).ok_or_else(|| origin.error("Unbalanced quotes in configuration line"))?;
            if let Some((name, values)) = words.split_first() {
                self.read_line(&name.to_ascii_lowercase(), values, &origin)?;
            }
        }
        Ok(())
    }

    fn read_line(&mut self, name: &[u8], values: &[Vec<u8>], origin: &Origin) -> Result<(), LoadError> {
        if let Some(directive) = find(name) {
            return self.set(directive, values).map_err(|reason| origin.error(reason));
        }
        if let (Some(retired), [_]) = (RETIRED.iter().find(|retired| retired.as_bytes() == name), values) {
            if !self.loaded.retired.contains(retired) {
                self.loaded.retired.push(retired);
            }
            return Ok(());
        }
        match (name, values) {
            (b"include", [file]) => self.include(file, origin),
            (b"user", [_, ..]) => {
                self.loaded.users.push(UserLine { words: values.to_vec(), origin: origin.clone() });
                Ok(())
            }
            (b"rename-command", [from, to]) => {
                let (from, to, origin) = (from.clone(), to.clone(), origin.clone());
                self.loaded.renamed_commands.push(RenamedCommand { from, to, origin });
                Ok(())
            }
            (b"loadmodule", [_, ..]) => Err(origin.error("this server has no modules: 'loadmodule' must not be used")),
            (b"sentinel", _) => Err(origin.error("sentinel directive while not in sentinel mode")),
            (_, []) if name.contains(&b'.') => Err(origin.error("Module config specified without value")),
            (_, _) if name.contains(&b'.') => {
                Err(origin.error("Module Configuration detected without loadmodule directive"))
            }
            _ => Err(origin.error("Bad directive or wrong number of arguments")),
        }
    }

    fn set(&mut self, directive: &Directive, values: &[Vec<u8>]) -> Result<(), Reason> {
        // `name "a b c"` is `name a b c` where many words may stand.
        let split = match values {
            [one] if directive.takes_many() && !one.is_empty() => {
                Some(words::split(one).ok_or("Unbalanced quotes in configuration line")?)
            }
            _ => None,
        };
        let values: Vec<&[u8]> = split.as_deref().unwrap_or(values).iter().map(Vec::as_slice).collect();
        if !directive.takes_many() && values.len() != 1 {
            return Err("wrong number of arguments".into());
        }
        if directive.name == "save" && !std::mem::replace(&mut self.save_seen, true) {
            self.loaded.config.save.clear();
        }
        directive.set(&mut self.loaded.config, &values, Source::File).map(|_| ())
    }

    fn include(&mut self, name: &[u8], origin: &Origin) -> Result<(), LoadError> {
        if self.depth == MAX_DEPTH {
            return Err(origin.error("files include each other too deeply"));
        }
        self.depth += 1;
        let mut text = Vec::new();
        for path in include::files(name, &self.loaded.config.dir) {
            text.extend(read(&path)?);
        }
        self.read_lines(&text)?;
        self.depth -= 1;
        Ok(())
    }
}

fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    std::fs::read(path)
        .map_err(|error| LoadError::Unreadable { path: path.to_string_lossy().into_owned(), reason: os_text(&error) })
}

/// A log that cannot be opened would leave the server without words, so it must be openable at start.
fn check_logfile(config: &Config) -> Result<(), LoadError> {
    if config.logfile.is_empty() {
        return Ok(());
    }
    let path = Path::new(OsStr::from_bytes(&config.dir)).join(OsStr::from_bytes(&config.logfile));
    match std::fs::OpenOptions::new().append(true).create(true).open(path) {
        Ok(_) => Ok(()),
        Err(error) => Err(LoadError::Whole { reason: format!("Can't open the log file: {}", os_text(&error)).into() }),
    }
}

/// A line without its outer blanks.
fn trim(line: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let start = line.iter().position(|byte| !is_blank(byte)).unwrap_or(line.len());
    let end = line.iter().rposition(|byte| !is_blank(byte)).map_or(start, |last| last + 1);
    &line[start..end]
}
