//! Secrets among arguments, which logs and monitors do not show.

use super::Row;
use crate::config::{Mark, find};
use crate::resp::Argv;

/// Whether the argument at `i` is a secret, or names a user.
pub fn is_secret(row: &Row, argv: Argv<'_>, i: usize) -> bool {
    match row.full_name.as_str() {
        "config|set" => i > 2 && i % 2 == 1 && find(argv.get(i - 1)).is_some_and(|d| d.is(Mark::Sensitive)),
        "acl|setuser" | "acl|getuser" | "acl|deluser" => i > 1,
        "auth" => i > 0,
        "migrate" => super::migrate::is_credential(argv, i),
        "hello" => {
            let is_auth = |at: usize| argv.get(at).eq_ignore_ascii_case(b"auth");
            i > 2 && (is_auth(i - 1) || (i > 3 && is_auth(i - 2)))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::table::find_full;
    use crate::resp::OwnedArgv;

    fn shown(command: &str, line: &str) -> String {
        let argv = OwnedArgv::new(line.split(' ').map(str::as_bytes).collect::<Vec<_>>());
        let argv = argv.argv();
        let row = find_full(command.as_bytes()).unwrap();
        let word = |i| if is_secret(row, argv, i) { "*".into() } else { String::from_utf8_lossy(argv.get(i)) };
        (0..argv.len()).map(word).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(shown("config|set", "config set RequirePass x port 1"), "config set RequirePass * port 1");
        assert_eq!(shown("acl|setuser", "acl setuser bob >x"), "acl setuser * *");
        assert_eq!(shown("auth", "auth bob x"), "auth * *");
        assert_eq!(shown("migrate", "migrate h 1 k 0 9 copy auth x"), "migrate h 1 k 0 9 copy auth *");
        assert_eq!(shown("migrate", "migrate h 1 k 0 9 auth2 bob x"), "migrate h 1 k 0 9 auth2 * *");
        assert_eq!(shown("hello", "hello 3 auth bob x setname me"), "hello 3 auth * * setname me");
    }
}
