//! The table against what a running Valkey 9.1.2 answers to CONFIG GET.

use std::collections::HashSet;

use super::*;

/// The directives that only this server has.
const OURS: [&str; 3] = ["metrics-port", "primary-quorum-timeout", "min-replicas-to-ack"];

struct Known<'a> {
    name: &'a str,
    default: &'a str,
    mutable: bool,
    alias: &'a str,
    flags: Vec<&'a str>,
}

fn known() -> Vec<Known<'static>> {
    let file = include_str!("../../../tests/data/valkey-9.1.2-directives.tsv");
    let rows = file.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let [name, default, mutable, alias, flags] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("not a row: {line}");
        };
        Known { name, default, mutable: mutable == "yes", alias, flags: flags.split('+').collect() }
    });
    rows.collect()
}

#[test]
fn every_directive_of_valkey_is_here_with_its_default() {
    let config = Config::default();
    for row in known() {
        let directive = find(row.name.as_bytes()).unwrap_or_else(|| panic!("{} is missing", row.name));
        assert_eq!(directive.name, row.name);
        let default = match row.name {
            // Wherever the server started.
            "dir" => continue,
            // Deliberately not Valkey's 5: see the row.
            "repl-diskless-sync-delay" => "0",
            _ => row.default,
        };
        assert_eq!(String::from_utf8(directive.show(&config)).unwrap(), default, "{}", row.name);
    }
}

#[test]
fn every_directive_of_valkey_has_its_aliases_and_restrictions() {
    for row in known() {
        let directive = find(row.name.as_bytes()).unwrap();
        let aliases: Vec<&str> = row.alias.split_terminator(' ').collect();
        assert_eq!(directive.aliases, aliases, "{}", row.name);
        assert_eq!(directive.is(Mark::Immutable), !row.mutable, "{}", row.name);
        assert_eq!(directive.takes_many(), row.flags.contains(&"multi_arg"), "{}", row.name);
        for (mark, flag) in [
            (Mark::Hidden, "hidden"),
            (Mark::Protected, "protected"),
            (Mark::Sensitive, "sensitive"),
            (Mark::DenyLoading, "deny_loading"),
        ] {
            assert_eq!(directive.is(mark), row.flags.contains(&flag), "{} {flag}", row.name);
        }
    }
}

#[test]
fn nothing_else_is_here_but_what_is_our_own() {
    let valkeys: HashSet<&str> = known().iter().map(|row| row.name).collect();
    let others: Vec<&str> =
        DIRECTIVES.iter().map(|directive| directive.name).filter(|name| !valkeys.contains(name)).collect();
    assert_eq!(others, OURS);
}

#[test]
fn no_two_directives_share_a_name() {
    let mut seen = HashSet::new();
    for name in DIRECTIVES.iter().flat_map(Directive::names) {
        assert!(seen.insert(name), "{name}");
        assert_eq!(name, name.to_ascii_lowercase());
    }
}

#[test]
fn names_are_found_in_any_case_and_by_alias() {
    assert_eq!(find(b"MasterAuth").unwrap().name, "primaryauth");
    assert!(find(b"no-such").is_none());
}

#[test]
fn what_is_shown_is_understood_again() {
    let mut config = Config::default();
    for directive in DIRECTIVES.iter().filter(|directive| directive.name != "replicaof") {
        let shown = directive.show(&config);
        let words: Vec<&[u8]> =
            if directive.takes_many() { shown.split(|byte| *byte == b' ').collect() } else { vec![&shown] };
        // At runtime it is refused, whatever it is.
        let source = if directive.name == "rdma-bind" { Source::File } else { Source::Command };
        let changed = directive.set(&mut config, &words, source);
        assert_eq!(changed, Ok(false), "{}", directive.name);
    }
}

#[test]
fn a_debug_print_shows_no_secret() {
    let config = Config { requirepass: b"hush".to_vec(), port: 1, ..Config::default() };
    assert_eq!(format!("{config:?}"), r#"{"port": "1", "requirepass": "(redacted)"}"#);
}

#[test]
fn what_cannot_change_asks_nothing_of_its_owner() {
    let mut fixed = DIRECTIVES.iter().filter(|directive| directive.is(Mark::Immutable));
    assert!(fixed.all(|directive| directive.effect == Effect::None));
}

/// The source of everything but this module.
fn other_source(directory: &std::path::Path, text: &mut String) {
    for entry in directory.read_dir().unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("src/config") {
            other_source(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn a_directive_that_the_server_reads_is_not_said_to_be_without_effect() {
    let mut source = String::new();
    other_source(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut source);
    let is_read = |directive: &Directive| {
        let field = format!("config.{}", directive.name.replace('-', "_"));
        source.match_indices(&field).any(|(start, _)| {
            let next = source[start + field.len()..].chars().next();
            !next.is_some_and(|next| next.is_alphanumeric() || next == '_')
        })
    };
    for directive in DIRECTIVES.iter().filter(|directive| directive.support == Support::NoEffectHere) {
        assert!(!is_read(directive), "{} acts now: say so in its row", directive.name);
    }
}
