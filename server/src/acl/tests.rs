//! What users are promised.

use super::*;
use crate::commands::table;
use crate::resp::OwnedArgv;

fn user(rules: &str) -> User {
    let mut rights = Rights::none(false);
    rights.apply_words(rules.split(' ').map(str::as_bytes), false).unwrap();
    User::new(b"u", rights)
}

fn refusal(rules: &str) -> String {
    let error = Rights::none(false).apply_words(rules.split(' ').map(str::as_bytes), false).unwrap_err();
    String::from_utf8(error.text()).unwrap()
}

/// What a user is denied by a call in database 0 of 16.
fn ask(rules: &str, line: &str) -> Result<(), Denied> {
    let argv = OwnedArgv::new(line.split(' ').map(str::as_bytes).collect::<Vec<_>>());
    let row = table::resolve(argv.argv()).unwrap();
    user(rules).check(Call { row, argv: argv.argv(), db: 0, databases: 16 })
}

fn described(rules: &str) -> String {
    String::from_utf8(user(rules).rights().describe()).unwrap()
}

#[test]
fn a_new_user_may_nothing_and_cannot_log_in() {
    let rights = Rights::none(false);
    assert!(!rights.accepts(b""));
    assert_eq!(ask("on", "get k"), Err(Denied::Command));
    assert_eq!(described("on"), "on resetchannels -@all");
}

#[test]
fn only_an_enabled_user_with_a_known_password_logs_in() {
    assert!(!user(">a").rights().accepts(b"a"));
    let rights = user("on >a >b <a").rights().clone();
    assert!(rights.accepts(b"b") && !rights.accepts(b"a") && !rights.accepts(b"") && !rights.accepts(b"bb"));
    assert!(user("on nopass").rights().accepts(b"whatever"));
    assert!(!user("on nopass resetpass").rights().accepts(b""));
    let digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert!(user(&format!("on #{digest}")).rights().accepts(b"hello"));
    assert!(!user(&format!("on #{digest} !{digest}")).rights().accepts(b"hello"));
}

#[test]
fn no_password_is_shown() {
    assert_eq!(
        described("on >hello"),
        "on #2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 resetchannels -@all"
    );
}

#[test]
fn the_rules_shown_make_the_same_user() {
    for rules in [
        "on nopass ~* &* +@all",
        "off %R~a %W~b ~c resetchannels &x db=1,3 -@all +@hash -hget +config|get +select|0 (~d resetchannels +get)",
        "on resetchannels resetdbs +@all -@dangerous (%RW~x &* alldbs +@all)",
    ] {
        let once = described(rules);
        assert_eq!(described(&once), once, "{rules}");
    }
}

#[test]
fn commands_are_allowed_by_name_category_and_subcommand() {
    assert_eq!(ask("~* +@all -get", "get k"), Err(Denied::Command));
    assert_eq!(ask("~* +@hash", "hget k f"), Ok(()));
    assert_eq!(ask("~* +@hash -@read", "hget k f"), Err(Denied::Command));
    assert_eq!(ask("+config|get", "config get x"), Ok(()));
    assert_eq!(ask("+config|get", "config set x y"), Err(Denied::Command));
    assert_eq!(ask("+config -config|set", "config set x y"), Err(Denied::Command));
    assert_eq!(ask("-@all", "auth x"), Ok(()), "who logs in needs no permission for that");
}

#[test]
fn a_first_argument_can_be_all_that_is_allowed() {
    assert_eq!(ask("+select|3", "select 3"), Ok(()));
    assert_eq!(ask("+select|3", "select 4"), Err(Denied::Command));
    assert_eq!(ask("+select|3 -select", "select 3"), Err(Denied::Command));
}

#[test]
fn keys_are_allowed_for_what_is_done_with_them() {
    let rules = "+@all %R~r* %W~w* ~b*";
    assert_eq!(ask(rules, "get r"), Ok(()));
    assert_eq!(ask(rules, "get w"), Err(Denied::Key(1)));
    assert_eq!(ask(rules, "set w x"), Ok(()));
    assert_eq!(ask(rules, "set w x get"), Err(Denied::Key(1)), "what it held is told");
    assert_eq!(ask(rules, "exists r w"), Ok(()), "either will do to learn that a key exists");
    assert_eq!(ask(rules, "copy r w"), Ok(()));
    assert_eq!(ask(rules, "copy w r"), Err(Denied::Key(1)));
    assert_eq!(ask(rules, "mget r b x"), Err(Denied::Key(3)));
}

#[test]
fn selectors_are_alternatives_that_do_not_add_up() {
    let rules = "-@all (+get %R~r) (+set %W~w)";
    assert_eq!(ask(rules, "get r"), Ok(()));
    assert_eq!(ask(rules, "set w x"), Ok(()));
    assert_eq!(ask(rules, "set r x"), Err(Denied::Key(1)));
    assert_eq!(ask("+@all (~a) (~b)", "mget a b"), Err(Denied::Key(1)));
}

#[test]
fn channels_match_by_pattern_and_patterns_literally() {
    let rules = "+@all &news.* &x";
    assert_eq!(ask(rules, "publish news.1 m"), Ok(()));
    assert_eq!(ask(rules, "subscribe x y"), Err(Denied::Channel(2)));
    assert_eq!(ask(rules, "psubscribe news.*"), Ok(()));
    assert_eq!(ask(rules, "psubscribe news.1*"), Err(Denied::Channel(1)));
    assert_eq!(ask(rules, "unsubscribe y"), Ok(()));
}

#[test]
fn databases_are_asked_for_where_data_is_touched() {
    let rules = "+@all ~* db=1,2";
    assert_eq!(ask(rules, "get k"), Err(Denied::Database(0)));
    assert_eq!(ask(rules, "keys *"), Err(Denied::Database(0)));
    assert_eq!(ask(rules, "ping"), Ok(()));
    assert_eq!(ask(rules, "select 1"), Ok(()));
    assert_eq!(ask(rules, "select 3"), Err(Denied::Database(1)));
    assert_eq!(ask(rules, "select 99"), Ok(()), "that there is none, SELECT itself says");
    assert_eq!(ask(rules, "swapdb 1 2"), Ok(()));
    assert_eq!(ask(rules, "swapdb 1 0"), Err(Denied::Database(2)));
    assert_eq!(ask("+@all ~* db=0,1", "copy a b db 1 db 2"), Err(Denied::Database(6)));
    assert_eq!(ask(rules, "flushall"), Err(Denied::Database(0)));
    assert_eq!(ask("+@all db=0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15", "flushall"), Ok(()));
}

#[test]
fn a_wrong_rule_changes_nothing() {
    let mut rights = Rights::none(false);
    rights.apply_words([&b"on"[..], b"+get", b"+nope"], false).unwrap_err();
    assert_eq!(rights.describe(), b"off resetchannels -@all");
    for (rules, why) in [
        ("+nope", "Error in ACL SETUSER modifier '+nope': Unknown command or category name in ACL"),
        ("%~x", "Error in ACL SETUSER modifier '%~x': Syntax error"),
        ("db=1,", "Error in ACL SETUSER modifier 'db=1,': Syntax error"),
        ("db=-1", "Error in ACL SETUSER modifier 'db=-1': The provided database ID is out of range"),
        ("(+get", "Unmatched parenthesis in acl selector starting at '(+get'."),
    ] {
        assert_eq!(refusal(rules), why);
    }
}

#[test]
fn nothing_is_asked_of_a_user_who_may_do_everything() {
    assert!(user("on ~* &* +@all").is_unlimited());
    for rules in ["~* &* +@all -get", "~* +@all", "&* +@all", "~* &* +@all db=0", "~* &* +@read +@write"] {
        assert!(!user(rules).is_unlimited(), "{rules}");
    }
}

#[test]
fn a_file_of_users_is_taken_as_a_whole() {
    let path = std::env::temp_dir().join(format!("users-{}.acl", std::process::id()));
    std::fs::write(&path, "user a on nopass +get ~x\nuser b on +nope\nuser a on\nx\n").unwrap();
    let text = String::from_utf8(load(&path, false).unwrap_err().0).unwrap();
    for part in ["operation '+nope'", "Duplicate user 'a' found on line 3", "should start with user keyword"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    std::fs::write(&path, "\nuser a on nopass +get ~x (+set ~y)\n").unwrap();
    let users = load(&path, false).unwrap();
    assert_eq!(users.keys().map(|name| name.as_slice()).collect::<Vec<_>>(), [&b"a"[..], DEFAULT]);
    let mut acl = Acl::default();
    users.into_iter().for_each(|(name, rights)| acl.set(&name, rights));
    save(&acl, &path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(
        text,
        "user a on nopass ~x resetchannels -@all +get (~y resetchannels -@all +set)\nuser default on nopass ~* &* +@all\n"
    );
    std::fs::remove_file(&path).unwrap();
}
