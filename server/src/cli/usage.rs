//! The text of `--help`.

/// Each option with its value and what it does; an empty name starts a group of that title.
const OPTIONS: &[(&str, &str)] = &[
    ("", "Connection"),
    ("-h HOST", "Host name or address of the server (127.0.0.1)."),
    ("-p PORT", "Port of the server (6379)."),
    ("-s SOCKET", "Unix socket of the server, instead of host and port."),
    (
        "-u URI",
        "All in one: valkey://user:password@host:port/db; redis:// will do too. With TLS: valkeys:// or rediss://.",
    ),
    ("--tls", "Encrypt the connection."),
    ("--sni NAME", "Name of the server to ask for, if not the host's."),
    ("--cacert FILE", "Certificates of the authorities to trust; without it those of the system."),
    ("--cacertdir DIR", "The same, in the files of a directory."),
    ("--insecure", "Trust any certificate."),
    ("--cert FILE, --key FILE", "Certificate and key to show to the server."),
    ("--tls-ciphers LIST", "Ciphers of TLS 1.2, separated by colons."),
    ("--tls-ciphersuites LIST", "Ciphers of TLS 1.3, separated by colons."),
    ("-t SECONDS", "Longest time to wait for a connection; 0 leaves it to the system (0)."),
    ("-4, -6", "Try IPv4 or IPv6 addresses of the host first."),
    ("--mptcp", "Connect by Multipath TCP."),
    ("-a, --pass PASSWORD", "Password. The variable VALKEYCLI_AUTH is safer: arguments can be seen by others."),
    ("--user USER", "ACL user that the password belongs to."),
    ("--askpass", "Ask for the password at the terminal."),
    ("--no-auth-warning", "Don't warn about a password among the arguments."),
    ("-n DB", "Database number (0)."),
    ("-2, -3", "Speak RESP2 or RESP3."),
    ("-c", "Follow a cluster's redirections."),
    ("", "Commands"),
    ("-r COUNT", "Run the command so many times; a negative number: for ever."),
    (
        "-i SECONDS",
        "Pause between runs, between the lines of --stat and --latency-history, between the steps of --scan, and after each 100 steps of --bigkeys, --memkeys and --hotkeys. Fractions are allowed.",
    ),
    ("-x", "Take the last argument from standard input."),
    ("-X TAG", "Take the argument that reads TAG from standard input."),
    ("--quoted-input", "The command's arguments are quoted strings with escapes."),
    ("-e", "End with status 1 when the server answers with an error."),
    ("--eval FILE", "Run the script in FILE; a lone comma parts its keys from its other arguments."),
    ("--ldb", "With --eval: run the script in the server's debugger, and undo what it changes."),
    ("--ldb-sync-mode", "The same without undoing; the server does nothing else meanwhile."),
    ("--pipe", "Send the protocol that comes from standard input, count the answers."),
    ("--pipe-timeout SECONDS", "Give up when no answer comes for so long after all was sent; 0: never (30)."),
    ("", "Output"),
    ("--raw", "Bytes as they are (the default when the output is no terminal)."),
    ("--no-raw", "For people (the default at a terminal)."),
    ("-d TEXT", "Between the elements of a raw reply (newline)."),
    ("-D TEXT", "After each raw reply (newline)."),
    ("--csv", "Comma-separated values."),
    ("--json", "JSON; asks for RESP3 unless -2 is given."),
    ("--quoted-json", "JSON in ASCII, other bytes escaped."),
    ("--show-pushes YES|NO", "Show what a RESP3 server sends of its own accord (yes at a terminal)."),
    ("", "Keys"),
    ("--scan", "List the keys."),
    ("--bigkeys", "Find the keys with most elements."),
    ("--memkeys", "Find the keys that take most memory."),
    ("--memkeys-samples N", "The same, looking at N elements of each key."),
    ("--hotkeys", "Find the 16 keys used most. Needs an LFU maxmemory-policy."),
    ("--hotkeys-count N", "The same for N keys."),
    ("--pattern PATTERN", "Of these keys only, as in SCAN ... MATCH."),
    ("--quoted-pattern TEXT", "The same as a quoted string with escapes."),
    ("--type TYPE", "Of keys of this type only, as in SCAN ... TYPE."),
    ("--count N", "Keys to look at in one step, as in SCAN ... COUNT (10)."),
    ("", "Server"),
    ("--stat", "Show memory, clients and requests, once a second or as -i says."),
    ("--latency", "Show the time of a PING; for one interval (1 s or -i) when the output is not for people."),
    ("--latency-history", "The same, one line per interval (15 s or -i)."),
    ("--latency-dist", "Draw the distribution of these times (1 s or -i). Needs 256 colours."),
    ("--intrinsic-latency SECONDS", "Show how long the system keeps a busy process from running. Needs no server."),
    ("--lru-test KEYS", "Use the server as a cache of so many keys, show how many reads find theirs. Writes to it."),
    ("--replica", "Show the commands that a replica of the server gets."),
    ("--rdb FILE", "Save a snapshot of the server to FILE; - is standard output."),
    ("--functions-rdb FILE", "The same with the functions only."),
    ("", "Other"),
    ("--cluster help", "Say what there is for clusters."),
    ("--verbose", "Say more."),
    ("--help", "Show this text."),
    ("-v, --version", "Show the version."),
];

const EXAMPLES: &str = "
Examples:
  valkey-cli -u valkey://default:PASSWORD@localhost:6379/0 ping
  valkey-cli -x set key < file
  valkey-cli -D '' --raw dump key > file
  valkey-cli -X CONTENT restore key 0 CONTENT replace < file
  valkey-cli -r 100 -i 1 info memory | grep used_memory_human
  valkey-cli --quoted-input set '\"zero \\x00 byte\"' value
  valkey-cli --eval script.lua key1 key2 , arg1 arg2
  valkey-cli --ldb --eval script.lua key1 , arg1
  valkey-cli --scan --pattern 'user:*' --type hash

Without a command, valkey-cli reads commands from its prompt; type \"help\" there.
";

/// Column where the descriptions start.
const COLUMN: usize = 30;
/// Column where they end.
const WIDTH: usize = 110;

/// The whole text.
pub fn text() -> String {
    let mut out = format!("valkey-cli {}\n\nUsage: valkey-cli [OPTIONS] [COMMAND [ARGUMENT ...]]\n", super::VERSION);
    for (option, description) in OPTIONS {
        if option.is_empty() {
            out += &format!("\n{description}:\n");
            continue;
        }
        let mut line = format!("  {option:<width$}", width = COLUMN - 2);
        for word in description.split(' ') {
            if line.len() + 1 + word.len() > WIDTH {
                out += &format!("{line}\n");
                line = " ".repeat(COLUMN);
            }
            line += &format!(" {word}");
        }
        out += &format!("{line}\n");
    }
    out + EXAMPLES
}

#[cfg(test)]
mod tests {
    #[test]
    fn help_fits_a_wide_terminal_and_names_only_options_that_exist() {
        let text = super::text();
        assert!(text.lines().all(|line| line.len() <= super::WIDTH));
        for (option, _) in super::OPTIONS.iter().filter(|(option, _)| !option.is_empty()) {
            // `-a, --pass PASSWORD`: the value goes with each name.
            for name in option.split(", ").filter_map(|name| name.split(' ').next()) {
                let value = option.rsplit(", ").next().and_then(|last| last.split_once(' '));
                let words: Vec<std::ffi::OsString> =
                    [Some(name), value.map(|_| "1")].into_iter().flatten().map(Into::into).collect();
                let parsed = super::super::args::parse(&words, false);
                let known = !matches!(&parsed, Err(text) if text.starts_with("Unrecognized"));
                assert!(known, "{name}: {parsed:?}");
            }
        }
    }
}
