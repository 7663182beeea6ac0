//! Command lines and what they mean.

use super::*;

fn parse_line(line: &str, tty: bool) -> Result<Request, String> {
    let words: Vec<OsString> =
        crate::words::split(line.as_bytes()).unwrap().into_iter().map(OsString::from_vec).collect();
    parse(&words, tty)
}

fn run(line: &str) -> (Options, Vec<String>) {
    match parse_line(line, false).unwrap() {
        Request::Run(options, command) => {
            (*options, command.into_iter().map(|arg| String::from_utf8(arg).unwrap()).collect())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn options_end_where_the_command_begins() {
    let (options, command) = run("-h host -p 7000 -n 3 set -n 5");
    assert_eq!((options.target(), options.db), (Target::Tcp("host".into(), 7000), 3));
    assert_eq!(command, ["set", "-n", "5"]);
    let (options, command) = run("");
    assert_eq!(options.target(), Target::Tcp("127.0.0.1".into(), 6379));
    assert!(command.is_empty());
}

#[test]
fn the_output_is_for_people_at_a_terminal_and_raw_elsewhere() {
    let output = |line: &str, tty| match parse_line(line, tty).unwrap() {
        Request::Run(options, _) => (options.format.output, options.protocol, options.show_pushes),
        other => panic!("{other:?}"),
    };
    assert_eq!(output("", true), (Output::Standard, Protocol::Default, true));
    assert_eq!(output("", false), (Output::Raw, Protocol::Default, false));
    assert_eq!(output("--no-raw --show-pushes yes", false), (Output::Standard, Protocol::Default, true));
    assert_eq!(output("--json", false), (Output::Json, Protocol::PreferResp3, false));
    assert_eq!(output("-2 --json", false), (Output::Json, Protocol::Resp2, false));
    assert_eq!(output("--quoted-json -3", false), (Output::QuotedJson, Protocol::Resp3, false));
    assert_eq!(output("--csv", true), (Output::Csv, Protocol::Default, true));
}

#[test]
fn an_address_sets_what_it_names() {
    let (options, _) = run("-p 7000 -n 2 -u valkey://u:p@h/5 ping");
    assert_eq!(options.target(), Target::Tcp("h".into(), 7000));
    assert_eq!((options.db, options.user, options.password), (5, Some(b"u".to_vec()), Some(b"p".to_vec())));
    let (options, _) = run("-s /tmp/sock -h other");
    assert_eq!(options.target(), Target::Unix("/tmp/sock".into()));
}

#[test]
fn a_password_among_the_arguments_is_warned_of_and_goes_before_the_environment() {
    let environment = |name: &str| match name {
        "VALKEYCLI_AUTH" => Some("new".into()),
        "REDISCLI_AUTH" => Some("old".into()),
        _ => None,
    };
    let (mut options, _) = run("-a arg ping");
    options.apply_environment(environment);
    assert_eq!((options.password.as_deref(), options.warn_password), (Some(b"arg".as_slice()), true));
    let (mut options, _) = run("--no-auth-warning --pass arg ping");
    options.apply_environment(environment);
    assert_eq!((options.password.as_deref(), options.warn_password), (Some(b"arg".as_slice()), false));
    let (mut options, _) = run("ping");
    options.apply_environment(environment);
    assert_eq!((options.password.as_deref(), options.warn_password), (Some(b"new".as_slice()), false));
    let (mut options, _) = run("ping");
    options.apply_environment(|name| (name == "REDISCLI_AUTH").then(|| "old".into()));
    assert_eq!(options.password.as_deref(), Some(b"old".as_slice()));
}

#[test]
fn modes_take_their_values() {
    let table = [
        ("--scan", Mode::Scan),
        ("--bigkeys", Mode::BigKeys),
        ("--memkeys", Mode::MemKeys(None)),
        ("--memkeys-samples 5", Mode::MemKeys(Some(5))),
        ("--hotkeys", Mode::HotKeys(16)),
        ("--hotkeys-count 3", Mode::HotKeys(3)),
        ("--latency", Mode::Latency { history: false }),
        ("--latency-history --latency", Mode::Latency { history: true }),
        ("--latency --latency-history", Mode::Latency { history: true }),
        ("--latency-dist", Mode::LatencyDist),
        ("--intrinsic-latency 2", Mode::IntrinsicLatency(2)),
        ("--lru-test 100", Mode::LruTest(100)),
        ("--stat", Mode::Stat),
        ("--pipe", Mode::Pipe),
        ("--rdb f", Mode::Rdb { path: "f".into(), functions_only: false }),
        ("--functions-rdb f", Mode::Rdb { path: "f".into(), functions_only: true }),
        ("--replica", Mode::Replica),
        ("--slave", Mode::Replica),
        ("--eval f k , a", Mode::Eval("f".into())),
        ("get k", Mode::Commands),
    ];
    for (line, want) in table {
        assert_eq!(run(line).0.mode, want, "{line}");
    }
    let (options, _) = run("--scan --quoted-pattern '\"a\\x2a\"' --count 50 --type hash -i 0.25");
    assert_eq!((options.pattern.as_deref(), options.count), (Some(b"a*".as_slice()), 50));
    assert_eq!((options.key_type.as_deref(), options.interval), (Some(b"hash".as_slice()), Duration::from_millis(250)));
    assert_eq!(run("-r -1 ping").0.repeat, -1);
    assert_eq!(run("-d , -D '' get k").0.format.reply_delimiter, b"");
    assert_eq!(run("-X tag set k tag").0.stdin_arg, StdinArg::Tag(b"tag".to_vec()));
    assert_eq!(run("-t 1.5 ping").0.connect_timeout, Duration::from_millis(1500));
}

#[test]
fn help_and_version_are_asked_for_in_two_ways_each() {
    for line in ["--help", "-h", "-p 1 --help"] {
        assert_eq!(parse_line(line, false), Ok(Request::Help), "{line}");
    }
    for line in ["--version", "-v"] {
        assert_eq!(parse_line(line, false), Ok(Request::Version), "{line}");
    }
}

#[test]
fn encryption_is_asked_for_by_an_option_or_by_the_address() {
    assert_eq!(run("--cacert ca ping").0.tls(), None);
    let (options, _) = run("--tls --cacert ca --cert c --key k --sni name");
    let tls = options.tls().unwrap();
    assert_eq!((tls.authorities.as_deref(), tls.name.as_deref()), (Some("ca".as_ref()), Some("name")));
    assert!(run("-u rediss://h").0.tls().is_some());
    assert!(run("--tls --insecure").0.tls().is_some_and(|tls| tls.insecure));
}

const LDB_ALONE: &str =
    "Options --ldb and --ldb-sync-mode require --eval.\nTry valkey-cli --help for more information.";

#[test]
fn a_number_that_is_none_is_zero_as_scripts_with_empty_variables_expect() {
    for (line, db) in [("-n abc ping", 0), ("-n '' ping", 0), ("-n 3x ping", 3), ("-n -1 ping", -1)] {
        assert_eq!(run(line).0.db, db, "{line}");
    }
    assert_eq!((run("-r x ping").0.repeat, run("-r 2x ping").0.repeat), (0, 2));
    assert_eq!(run("-i x ping").0.interval, Duration::ZERO);
    assert_eq!(run("--scan --count x").0.count, 0);
    assert_eq!(run("-p 7000x ping").0.port, 7000);
}

#[test]
fn options_that_change_nothing_here_do_not_keep_a_command_from_running() {
    let (options, command) = run("--cluster-yes --cluster-replicas 1 --mptcp --show-pushes maybe ping");
    assert_eq!(command, ["ping"]);
    assert!(options.mptcp && !options.show_pushes);
}

#[test]
fn whoever_asks_about_clusters_gets_a_text() {
    assert_eq!(parse_line("--cluster help", false), Ok(Request::ClusterHelp));
}

#[test]
fn what_cannot_be_done_is_refused_with_the_reason() {
    let table = [
        ("--bogus", "Unrecognized option or bad number of args for: '--bogus'"),
        ("-X", "Unrecognized option or bad number of args for: '-X'"),
        ("--rdb", "Unrecognized option or bad number of args for: '--rdb'"),
        ("-p x", "Invalid server port."),
        ("-p 65536", "Invalid server port."),
        ("-t -1", "Invalid connection timeout for -t."),
        ("-t 1e400", "Invalid connection timeout for -t."),
        ("-x -X t", "Options -x and -X are mutually exclusive."),
        ("-2 -3", "Options -2 and -3 are mutually exclusive."),
        ("-4 -6", "Options -4 and -6 are mutually exclusive."),
        ("-c -s /tmp/sock", "Options -c and -s are mutually exclusive."),
        ("--rdb a --functions-rdb b", "Option --functions-rdb and --rdb are mutually exclusive."),
        ("--scan --bigkeys", "Only one mode can be chosen at a time."),
        ("--quoted-pattern '\"open'", "Invalid quoted string specified for --quoted-pattern."),
        (
            "--cluster info h:1",
            "'--cluster info' is not supported: this valkey-cli manages no clusters. Try --cluster help.",
        ),
        ("--cluster nosuch", "Unknown --cluster subcommand"),
        ("--lru-test none", "Invalid value for --lru-test: 'none'"),
        ("--ldb", LDB_ALONE),
        ("--ldb-sync-mode --scan", LDB_ALONE),
    ];
    for (line, want) in table {
        assert_eq!(parse_line(line, false).unwrap_err(), want, "{line}");
    }
}
