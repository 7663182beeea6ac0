//! The command line: a configuration file, options that are appended to its text, `-` for standard input.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::file::{Loaded, load};
use super::load_error::LoadError;
use super::special::os_text;
use crate::words;

/// What the command line asks for, the program's name and options like `--version` aside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invocation {
    /// The configuration file, absolute: its place does not follow later changes of directory.
    pub file: Option<PathBuf>,
    /// Whether standard input is read after the file.
    pub stdin: bool,
    /// The options as lines of a configuration file, to be read last.
    pub options: Vec<u8>,
}

impl Invocation {
    /// Reads the arguments after the program's name.
    ///
    /// The first is the configuration file unless it begins with a dash; `-`, first or last, is standard input.
    /// `--name` begins an option, and what follows is its values, even where the first of them begins with `--`; only
    /// an option that has a value already ends there. `--save` without values means `save ""`.
    pub fn from_arguments(arguments: &[OsString]) -> Self {
        let mut invocation = Self::default();
        let mut rest = arguments;
        if let Some((first, more)) = arguments.split_first()
            && !first.as_bytes().starts_with(b"-")
        {
            invocation.file = Some(std::path::absolute(first).unwrap_or_else(|_| first.into()));
            rest = more;
        }
        let at_start = rest.len() == arguments.len();
        // Whether the option before has a value, so that another may begin.
        let mut complete = true;
        for (index, argument) in rest.iter().enumerate() {
            let next = rest.get(index + 1);
            let argument = argument.as_bytes();
            if argument == b"-" && (next.is_none() || (index == 0 && at_start)) {
                invocation.stdin = true;
            } else if let Some(option) = argument.strip_prefix(b"--").filter(|_| complete) {
                // An argument such as `--port 6380`, blank and all, brings its value along.
                let is_bare = words::split(argument).is_some_and(|words| words.len() == 1);
                complete = invocation.begin_option(option, is_bare, next);
            } else {
                invocation.options.extend(words::quote(argument));
                invocation.options.push(b' ');
                complete = true;
            }
        }
        invocation
    }

    /// Begins a line with an option; says whether it has its values already.
    fn begin_option(&mut self, option: &[u8], is_bare: bool, next: Option<&OsString>) -> bool {
        if !self.options.is_empty() {
            self.options.push(b'\n');
        }
        self.options.extend(option);
        self.options.push(b' ');
        let no_value_follows = next.is_none_or(|next| next.as_bytes().starts_with(b"--"));
        if is_bare && option.eq_ignore_ascii_case(b"save") && no_value_follows {
            self.options.extend(b"\"\"");
            return true;
        }
        !is_bare
    }

    /// Loads the configuration: the file, standard input, the options; what comes later wins.
    pub fn load(&self) -> Result<Loaded, LoadError> {
        let mut text = Vec::new();
        if self.stdin {
            std::io::stdin()
                .read_to_end(&mut text)
                .map_err(|error| LoadError::Unreadable { path: "-".into(), reason: os_text(&error) })?;
        }
        load(self.file.as_deref(), &text, &self.options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(arguments: &[&str]) -> String {
        String::from_utf8(invocation(arguments).options).unwrap()
    }

    fn invocation(arguments: &[&str]) -> Invocation {
        Invocation::from_arguments(&arguments.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn each_option_becomes_a_line() {
        assert_eq!(options(&["--port", "1", "--save", "3600", "1"]), "port \"1\" \nsave \"3600\" \"1\" ");
        assert_eq!(options(&["--port 6380", "--port", "1"]), "port 6380 \nport \"1\" ");
    }

    #[test]
    fn a_value_may_begin_with_dashes_where_a_value_is_due() {
        assert_eq!(options(&["--requirepass", "--port", "--port", "1"]), "requirepass \"--port\" \nport \"1\" ");
        assert_eq!(options(&["--port", "-1"]), "port \"-1\" ");
    }

    #[test]
    fn save_without_values_is_save_of_nothing() {
        assert_eq!(options(&["--save", "--port", "1"]), "save \"\"\nport \"1\" ");
        assert_eq!(options(&["--save"]), "save \"\"");
        assert_eq!(options(&["--save", ""]), "save \"\" ");
    }

    #[test]
    fn the_file_comes_first_and_is_made_absolute() {
        assert_eq!(invocation(&["/etc/v.conf", "--port", "1"]).file, Some("/etc/v.conf".into()));
        let relative = invocation(&["v.conf"]).file.unwrap();
        assert!(relative.is_absolute() && relative.ends_with("v.conf"));
        assert_eq!(invocation(&["--port", "1"]).file, None);
    }

    #[test]
    fn a_dash_first_or_last_is_standard_input() {
        assert!(invocation(&["-"]).stdin);
        assert!(invocation(&["-", "--port", "1"]).stdin);
        assert!(invocation(&["v.conf", "--port", "1", "-"]).stdin);
        assert!(!invocation(&["--requirepass", "-", "--port", "1"]).stdin);
        assert!(!invocation(&["v.conf", "-", "--port", "1"]).stdin);
    }
}
