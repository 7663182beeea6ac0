//! Debugging sessions of scripts, beside those of the real server: the same commands have the same answers.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use valkey_repl_e2e::programs;
use valkey_repl_e2e::resp::{Client, Reply};
use valkey_repl_e2e::server::{Program, Server};

/// All lines that a session shows, and the script's own reply at the end.
fn session(server: &Server, mode: &str, eval: &[&str], commands: &[&str]) -> Vec<String> {
    let client = &mut server.client().unwrap();
    assert!(client.cmd(&["SCRIPT", "DEBUG", mode]).unwrap().is_ok());
    client.send(&[&["EVAL"], eval].concat()).unwrap();
    let mut shown = Vec::new();
    let mut commands = commands.iter();
    while !answer(client, &mut shown) {
        let Some(command) = commands.next() else { panic!("the session goes on: {shown:#?}") };
        shown.push(format!("> {command}"));
        client.send(&command.split(' ').collect::<Vec<_>>()).unwrap();
    }
    assert_eq!(commands.next(), None, "{shown:#?}");
    shown.push(format!("{:?}", client.read().unwrap()));
    assert!(client.read().is_err(), "the end of the session is the end of the connection");
    shown
}

/// Takes one answer; whether it is the session's last one.
fn answer(client: &mut Client, shown: &mut Vec<String>) -> bool {
    let reply = client.read().unwrap();
    let Some(lines) = reply.items() else { panic!("{reply:?} after {shown:#?}") };
    for line in lines {
        let Reply::Simple(line) = line else { panic!("{line:?}") };
        // The real one shows the end of a line of its protocol as blanks.
        shown.push(line.trim_end().to_owned());
    }
    shown.last().is_some_and(|line| line == "<endsession>")
}

const LONG: &str = "local a = 1
local t = {1, 2, 'x'}
local m = {k = 'v'}
local r = server.call('set', 'key', 'text')
server.debug('hello', a, t, nil, true)
local function f(x)
  local y = x + 1
  return y
end
local z = f(3)
server.breakpoint()
local g = redis.call('get', 'key')
local e = redis.pcall('incr', 'key')
return {z, g, KEYS[1], ARGV[1]}";

const TYPES: &str = "local deep = {{{{{{{{{{{{1}}}}}}}}}}}}
local gap, none, third, large = {[2] = 1}, {}, 1 / 3, 1e20
redis.call('rpush', 'list', 1, 'two', '\\1\\r\\n\"')
redis.call('lrange', 'list', 0, -1)
redis.call('get', 'none')
redis.call('hset', 'hash', 'f', 'v')
redis.call('zadd', 'zset', 1.5, 'm')
redis.setresp(3)
redis.call('hgetall', 'hash')
redis.call('zscore', 'zset', 'm')
redis.call('get', 'none')
return 'end'";

const DEEP: &str = "local function deep(n)
  if n == 0 then
    return 0
  end
  local r = deep(n - 1)
  return r
end
deep(2)
return 1";

#[test]
fn a_session_shows_what_the_real_server_shows() {
    let sessions: &[(&[&str], &[&str])] = &[
        (
            &[LONG, "1", "key", "argument"],
            &[
                "s",
                "next",
                "n",
                "p",
                "print t",
                "p KEYS",
                "p ARGV",
                "p none",
                "w",
                "l",
                "list 2",
                "l 2 1",
                "t",
                "b",
                "b 7",
                "b",
                "b 99",
                "b x",
                "b -8",
                "b 7 8",
                "b -7",
                "b 7",
                "b 0",
                "break 7",
                "bogus",
                "e 1+1",
                "e a",
                "e return {1,2}",
                "e no code",
                "eval error('x')",
                "e x=1",
                "r get key",
                "server set key value",
                "redis",
                "s",
                "s",
                "c",
                "t",
                "p",
                "p x",
                "p y",
                "p z",
                "s",
                "c",
                "s",
                "s",
                "maxlen",
                "maxlen 5",
                "max 70",
                "max x",
                "m",
                "s",
            ],
        ),
        (&[TYPES, "0"], &["s", "s", "p", "s", "s", "s", "s", "s", "s", "s", "s", "s", "p third", "p large", "c"]),
        (&[DEEP, "0"], &["b 3", "c", "t", "p n", "p r", "e server.breakpoint()", "e server.debug(1, 2)", "c", "c"]),
        (&["local x = string.rep('y', 1000)\nreturn 1", "0"], &["s", "p", "p", "max 0", "p x", "c"]),
        (&["local a = 1\nreturn redis.call('set', 'a', a)", "0"], &["s", "abort"]),
        (&["this is no script", "0"], &[]),
        (&["local a\nerror('oops')", "0"], &["c"]),
        (&["return redis.call('incr', 'key')", "0"], &["s"]),
        (&["return {err='MINE what'}", "0"], &["c"]),
        (&["#!lua flags=no-writes\nreturn redis.call('set', 'a', 'b')", "0"], &["w", "s"]),
        (&["return 1\n\n", "0"], &["w", "c"]),
    ];
    let (ours, real) = (Program::Ours, Program::Valkey91);
    let (ours, real) = (Server::start::<&str>(ours, &[]).unwrap(), Server::start::<&str>(real, &[]).unwrap());
    for (eval, commands) in sessions {
        for mode in ["SYNC", "YES"] {
            let [ours, real] = [&ours, &real].map(|server| session(server, mode, eval, commands).join("\n"));
            assert_eq!(ours, real, "{mode}");
        }
    }
}

#[test]
fn who_may_debug_what_is_as_in_the_real_server() {
    let [ours, real] = [Program::Ours, Program::Valkey91].map(|program| {
        let server = Server::start::<&str>(program, &[]).unwrap();
        let client = &mut server.client().unwrap();
        let mut answers = Vec::new();
        for line in [
            "SCRIPT DEBUG perhaps",
            "SCRIPT DEBUG",
            "SCRIPT DEBUG YES lua",
            "EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0",
            "SCRIPT DEBUG NO other",
            "SCRIPT DEBUG NO",
            "EVAL server.breakpoint()server.debug(1) 0",
            "EVAL return{server.breakpoint(),server.debug(1)} 0",
            "MULTI",
            "SCRIPT DEBUG YES",
            "EXEC",
        ] {
            answers.push(format!("{line}: {:?}", client.line(line).unwrap()));
        }
        answers.join("\n")
    });
    assert_eq!(ours, real);
}

/// What a command line shows of its input's commands and of what becomes of the script.
fn command_line(cli: &Path, server: &Server, args: &[&str], input: &str) -> String {
    assert!(server.client().unwrap().cmd(&["FLUSHALL"]).unwrap().is_ok());
    let mut command = Command::new(cli);
    command.args(["-p", &server.port().to_string()]).args(args).env_remove("TERM");
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    process.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let out = process.wait_with_output().unwrap();
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn our_command_line_debugs_as_the_real_one_does() {
    let server = Server::start::<&str>(Program::Ours, &[]).unwrap();
    let clis = [
        programs::ours("valkey-repl-server", "valkey-cli").unwrap(),
        programs::peer("valkey-9.1", "valkey-cli").unwrap(),
    ];
    let scripts = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = scripts.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = file("good", "local a = KEYS[1] .. ARGV[1]\nredis.call('set', 'changed', a)\nreturn {a, 2}");
    let bad = file("bad", "this is no script");
    let steps = "help\np\nn\ne a  ..  'x'\neval return  'two  blanks'\nr get changed\ns\nrestart\nc\nget changed\nquit\nget x\n";
    for args in [&["--ldb"][..], &["--ldb-sync-mode"]] {
        for script in [&good, &bad] {
            let args = [args, &["--eval", script, "key", ",", "arg"]].concat();
            let [ours, real] = clis.each_ref().map(|cli| command_line(cli, &server, &args, steps));
            assert_eq!(ours, real, "{args:?}");
        }
    }
}
