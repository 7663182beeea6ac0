//! Configuration files and command lines.

use std::ffi::OsString;

use super::super::*;
use super::directory;

fn load_text(text: &str) -> Result<Loaded, LoadError> {
    load(None, text.as_bytes(), b"")
}

fn with_options(arguments: &[&str]) -> Result<Loaded, LoadError> {
    Invocation::from_arguments(&arguments.iter().map(OsString::from).collect::<Vec<_>>()).load()
}

fn shown(config: &Config, name: &str) -> String {
    String::from_utf8(find(name.as_bytes()).unwrap().show(config)).unwrap()
}

fn refusal(text: &str) -> String {
    let report = load_text(text).unwrap_err().report("9.1.2");
    report.lines().last().unwrap().to_owned()
}

/// The two files of an article on the basics of replication, which differ in port, pidfile, logfile and dir.
#[test]
fn the_configuration_files_of_a_common_tutorial_load() {
    let root = directory("tutorial");
    let file = |port: u16, name: &str| {
        let dir = root.join(name);
        std::fs::create_dir(&dir).unwrap();
        let dir = dir.to_str().unwrap().to_owned();
        let text = format!(
            "bind 127.0.0.1\nprotected-mode no\nport {port}\ndaemonize yes\npidfile /var/run/redis_{port}.pid\n\
             loglevel notice\nlogfile \"{dir}/redis.log\"\ndatabases 8\nalways-show-logo no\nsave 3600 1\n\
             rdbcompression yes\nrdbchecksum yes\ndir {dir}/\ndbfilename dump.rdb\nrequirepass adminredis\n\
             masterauth adminredis\nappendonly yes\nappendfilename \"redis.aof\"\nappenddirname \"aof\"\n"
        );
        (dir, load_text(&text).unwrap())
    };
    for (port, name) in [(7001, "rc1"), (7002, "rc2")] {
        let (dir, loaded) = file(port, name);
        let config = &loaded.config;
        assert_eq!((config.port, config.databases, config.protected_mode, config.daemonize), (port, 8, false, true));
        assert_eq!((&*config.requirepass, &*config.primaryauth), (&b"adminredis"[..], &b"adminredis"[..]));
        assert_eq!((shown(config, "dir"), shown(config, "save")), (dir, "3600 1".into()));
        assert_eq!(
            (shown(config, "appendfilename"), shown(config, "appenddirname")),
            ("redis.aof".into(), "aof".into())
        );
        assert!(config.appendonly && config.rdbcompression && config.rdbchecksum);
    }
    std::fs::remove_dir_all(root).unwrap();
}

#[test]
fn comments_blanks_and_the_case_of_names_do_not_matter() {
    let loaded = load_text("# port 1\n\n \t PORT\t7000 \r\n  # x\n\"timeout\" '5'\n").unwrap();
    assert_eq!((loaded.config.port, loaded.config.timeout), (7000, 5));
}

#[test]
fn the_later_line_wins_and_save_lines_add_up() {
    let config = load_text("port 1\nsave 60 1\nport 2\nsave 30 2 10 3\n").unwrap().config;
    assert_eq!((config.port, shown(&config, "save").as_str()), (2, "60 1 30 2 10 3"));
    let config = load_text("save 60 1\nsave \"\"\n").unwrap().config;
    assert_eq!(shown(&config, "save"), "");
    let config = load_text("save \"\"\nsave 60 1\n").unwrap().config;
    assert_eq!(shown(&config, "save"), "60 1");
    assert_eq!(shown(&load_text("port 1").unwrap().config, "save"), "3600 1 300 100 60 10000");
}

#[test]
fn directives_of_many_words_may_stand_in_one_quoted_word() {
    let config = load_text("bind \"127.0.0.1 -::1\"\nreplicaof \"10.0.0.1 6379\"\nsave '60 1 30 2'").unwrap().config;
    assert_eq!(shown(&config, "bind"), "127.0.0.1 -::1");
    assert_eq!(shown(&config, "replicaof"), "10.0.0.1 6379");
    assert_eq!(shown(&config, "save"), "60 1 30 2");
    assert_eq!(shown(&load_text("bind \"\"").unwrap().config, "bind"), "");
}

#[test]
fn old_and_new_names_mean_the_same() {
    for line in ["slaveof a 1", "replicaof a 1"] {
        assert_eq!(shown(&load_text(line).unwrap().config, "slaveof"), "a 1");
    }
    let config =
        load_text("masterauth x\nslave-priority 7\nhash-max-ziplist-entries 9\nlua-time-limit 1").unwrap().config;
    assert_eq!(config.primaryauth, b"x");
    assert_eq!((config.replica_priority, config.hash_max_listpack_entries, config.busy_reply_threshold), (7, 9, 1));
    assert_eq!(load_text("replicaof a 1\nreplicaof no one").unwrap().config.replicaof, None);
}

#[test]
fn a_password_may_have_any_byte() {
    let secret = b"\x00 \"'\\\n\xff#".to_vec();
    let line = [b"requirepass ".to_vec(), crate::words::quote(&secret)].concat();
    assert_eq!(load(None, &line, b"").unwrap().config.requirepass, secret);
}

#[test]
fn each_class_of_clients_has_its_own_limits() {
    let text = "client-output-buffer-limit replica 1gb 512mb 30\nclient-output-buffer-limit pubsub 1mb 0 0";
    let limits = load_text(text).unwrap().config.client_output_buffer_limit;
    assert_eq!(
        (limits.replica.hard_bytes, limits.replica.soft_seconds, limits.pubsub.hard_bytes),
        (1 << 30, 30, 1 << 20)
    );
    assert_eq!(limits.normal, OutputLimits::DEFAULT.normal);
}

#[test]
fn errors_name_the_line_and_the_reason() {
    let report = load_text("port 1\n\n  prot 2 \n").unwrap_err().report("9.1.2");
    assert_eq!(
        report,
        "\n*** FATAL CONFIG FILE ERROR (Version 9.1.2) ***\nReading the configuration file, at line 3\n\
         >>> 'prot 2'\nBad directive or wrong number of arguments\n"
    );
    for (line, reason) in [
        ("port", "wrong number of arguments"),
        ("port 1 2", "wrong number of arguments"),
        ("port x", "argument couldn't be parsed into an integer"),
        ("port 65536", "argument must be between 0 and 65535 inclusive"),
        ("dir \"/tmp", "Unbalanced quotes in configuration line"),
        ("dir /no/such", "No such file or directory"),
        ("appendonly maybe", "argument must be 'yes' or 'no'"),
        ("appendfsync never", "argument(s) must be one of the following: everysec, always, no"),
        ("maxmemory 1tb", "argument must be a memory value"),
        ("save 1", "Invalid save parameters"),
        ("replicaof host", "wrong number of arguments"),
        ("client-output-buffer-limit \"\"", "Wrong number of arguments in buffer limit configuration."),
        ("dbfilename a/b", "dbfilename can't be a path, just a filename"),
        ("include a b", "Bad directive or wrong number of arguments"),
        ("user", "Bad directive or wrong number of arguments"),
        ("list-max-ziplist-entries 1 2", "Bad directive or wrong number of arguments"),
        ("sentinel monitor x", "sentinel directive while not in sentinel mode"),
        ("a.b", "Module config specified without value"),
        ("logfile /no/such/log", "Can't open the log file: No such file or directory"),
    ] {
        assert_eq!(refusal(line), reason, "{line}");
    }
}

#[test]
fn what_this_server_does_not_have_keeps_it_from_starting() {
    for (line, name) in [
        ("cluster-enabled yes", "cluster-enabled"),
        ("tls-protocols TLSv1", "tls-protocols"),
        ("rdma-port 6380", "rdma-port"),
        ("loadmodule /x.so", "loadmodule"),
    ] {
        assert!(refusal(line).contains(name), "{line}");
    }
    assert!(load_text("cluster-enabled no\nrdma-port 0").is_ok());
}

#[test]
fn what_has_no_effect_here_is_named() {
    let text = "tls-dh-params-file /x\nignore-warnings x\nactivedefrag no\ndynamic-hz yes\nport 1\nrdma-bind 10.0.0.1\n\
                crash-memcheck-enabled no";
    assert_eq!(
        load_text(text).unwrap().without_effect(),
        ["rdma-bind", "ignore-warnings", "crash-memcheck-enabled", "tls-dh-params-file", "dynamic-hz"]
    );
}

#[test]
fn users_and_renamed_commands_are_left_to_their_owners() {
    let loaded = load_text("user alice on \">a b\" ~*\nrename-command CONFIG \"\"\n").unwrap();
    let [user] = &loaded.users[..] else { panic!("one user") };
    assert_eq!(user.words, [b"alice".to_vec(), b"on".to_vec(), b">a b".to_vec(), b"~*".to_vec()]);
    let [renamed] = &loaded.renamed_commands[..] else { panic!("one command") };
    assert_eq!((renamed.from.as_slice(), renamed.to.as_slice()), (&b"CONFIG"[..], &b""[..]));
    let report = renamed.origin.error("No such command in rename-command").report("9.1.2");
    assert!(report.contains("at line 2") && report.ends_with("No such command in rename-command\n"));
}

#[test]
fn included_files_stand_where_they_are_included() {
    let root = directory("files");
    let inner = "port 2\ninclude conf.d/*.conf\n";
    std::fs::write(root.join("inner.conf"), inner).unwrap();
    std::fs::create_dir(root.join("conf.d")).unwrap();
    std::fs::write(root.join("conf.d/secret.conf"), "requirepass hush\n").unwrap();
    let text = format!("port 1\ntimeout 1\ndir {}\ninclude inner.conf\ntimeout 2\n", root.display());
    let main = root.join("main.conf");
    std::fs::write(&main, text).unwrap();
    let loaded = load(Some(&main), b"", b"").unwrap();
    assert_eq!((loaded.config.port, loaded.config.timeout), (2, 2));
    assert_eq!(loaded.config.requirepass, b"hush");
    assert_eq!(loaded.path, Some(main));
    std::fs::write(root.join("inner.conf"), "include inner.conf\n").unwrap();
    let circle = format!("dir {}\ninclude inner.conf", root.display());
    assert_eq!(refusal(&circle), "files include each other too deeply");
    std::fs::remove_dir_all(root).unwrap();
}

#[test]
fn a_file_that_cannot_be_read_is_for_the_log() {
    for error in [load_text("include /no/such").unwrap_err(), load(Some("/no/such".as_ref()), b"", b"").unwrap_err()] {
        assert!(!error.is_for_stderr());
        assert_eq!(error.report("9.1.2"), "Fatal error, can't open config file '/no/such': No such file or directory");
    }
    assert!(load_text("include /no/such/*.conf").is_ok());
}

#[test]
fn options_follow_the_file_and_win() {
    let root = directory("options");
    let file = root.join("v.conf");
    std::fs::write(&file, "port 1\nsave 60 1\nrequirepass x").unwrap();
    let path = file.to_str().unwrap();
    let config = with_options(&[path, "--port 2", "--port", "3", "--save", "30", "2"]).unwrap().config;
    assert_eq!((config.port, shown(&config, "save").as_str()), (3, "60 1 30 2"));
    let config = with_options(&[path, "--save", "--requirepass", "--port"]).unwrap().config;
    assert_eq!((config.port, shown(&config, "save").as_str()), (1, ""));
    assert_eq!(config.requirepass, b"--port");
    std::fs::remove_dir_all(root).unwrap();
}

#[test]
fn wrong_options_are_reported_as_lines_after_the_file() {
    let report = with_options(&["--port", "1", "2"]).unwrap_err().report("9.1.2");
    assert!(report.contains("at line 2\n>>> 'port \"1\" \"2\"'\nwrong number of arguments"), "{report}");
    let root = directory("lines");
    let file = root.join("v.conf");
    std::fs::write(&file, "port 1\n").unwrap();
    let report = with_options(&[file.to_str().unwrap(), "--port", "1", "--nope"]).unwrap_err().report("9.1.2");
    assert!(report.contains("at line 4\n>>> 'nope'\nBad directive"), "{report}");
    std::fs::remove_dir_all(root).unwrap();
}

#[test]
fn standard_input_follows_the_file() {
    let root = directory("stdin");
    let file = root.join("v.conf");
    std::fs::write(&file, "port 1").unwrap();
    let config = load(Some(&file), b"timeout 3\nport 2\n", b"port 4").unwrap().config;
    assert_eq!((config.port, config.timeout), (4, 3));
    std::fs::remove_dir_all(root).unwrap();
}

#[test]
fn no_text_whatever_makes_loading_panic() {
    // A fixed sequence, so that a failure can be repeated.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let pieces: Vec<&[u8]> = vec![
        b" ", b"\"", b"'", b"\\", b"\\x", b"\n", b"\0", b"\xff", b"-", b"%", b"9", b"0", b"kb", b"yes", b"no", b"{",
        b"}",
    ];
    for _ in 0..20_000 {
        let directive = &DIRECTIVES[random(DIRECTIVES.len())];
        if directive.name == "logfile" {
            continue; // It would create files.
        }
        let mut text = directive.name.as_bytes().to_vec();
        for _ in 0..random(8) {
            text.extend(pieces[random(pieces.len())]);
        }
        if let Ok(loaded) = load(None, &text, b"") {
            let rewritten = compose(&text, &loaded.config, Users::Here(&[]), Which::Needed);
            assert_eq!(load(None, &rewritten, b"").map(|again| again.config), Ok(loaded.config), "{text:?}");
        }
    }
}
