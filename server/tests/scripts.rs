//! What is promised of scripts and functions, beyond what Valkey's own suite looks at.

mod support;

use support::{Client, Server, check};

/// Runs a script without keys.
fn eval(client: &mut Client, script: &str) -> String {
    client.ask_words(&["EVAL", script, "0"])
}

/// Asks until a script that another client called keeps the server busy.
fn until_busy(client: &mut Client) -> String {
    loop {
        let answer = client.ask("PING");
        if answer.starts_with("-BUSY") {
            return answer;
        }
        assert_eq!(answer, "PONG");
    }
}

#[test]
fn no_pattern_exhausts_the_stack() {
    let server = Server::start(&[]);
    let client = &mut server.connect();
    for matcher in ["find(s, p)", "match(s, p)", "gmatch(s, p)()", "gsub(s, p, '')"] {
        let script = format!("local s, p = string.rep('a', 3e5), string.rep('a?', 3e5) return string.{matcher}");
        let error = "-ERR user_script:1: pattern too complex script: on @user_script:1.";
        assert_eq!(eval(client, &script), error, "{matcher}");
    }
    assert_eq!(eval(client, "local s = string.rep('a?', 3e5) return s:find(s, 1, true)"), ":1");
    assert_eq!(eval(client, "local s = string.rep('a', 3e5) return s:find(s)"), ":1");
}

#[test]
fn a_status_keeps_its_bytes() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.send(&["EVAL", "return {ok='\\255\\r\\254\\0x'}", "0"]);
    // A byte that is no text is read as one sign of the replacement.
    assert_eq!(client.receive(6), "+\u{fffd} \u{fffd}\r\n");
}

#[test]
fn an_error_says_where_in_the_script_it_came_about() {
    let server = Server::start(&[]);
    let client = &mut server.connect();
    for (script, error) in [
        ("return redis.call('nosuch')", "-ERR Unknown command called from script script: on @user_script:1."),
        (
            "local x\nreturn x.y",
            "-ERR user_script:2: attempt to index local 'x' (a nil value) script: on @user_script:2.",
        ),
        (
            "return cjson.decode('[')",
            "-ERR user_script:1: Expected value but found T_END at character 2 script: on @user_script:1.",
        ),
        ("error({err='MINE what'})", "-MINE what script: on @user_script:1."),
        ("error({err=5.5})", "-5.5 script: on @user_script:1."),
        ("return {err='MINE what'}", "-MINE what"),
        ("return redis.pcall('get')", "-ERR Wrong number of args calling command from script"),
        ("error(redis.error_reply('A\\r\\nB c'))", "-A  B c script: on @user_script:1."),
        ("return redis.error_reply('MINE ').err .. '.'", "MINE ."),
        ("return redis.pcall('EXPIRE', 'key', '1', 'x ').err .. '.'", "ERR Unsupported option x ."),
    ] {
        assert_eq!(eval(client, script), error, "{script}");
    }
}

#[test]
fn an_error_without_a_code_is_counted_as_err() {
    let server = Server::start(&[]);
    let client = &mut server.connect();
    for error in ["", "word", "a-first-word-of-31-bytes-is-none more", "a-first-word-of-30-bytes-is-it more"] {
        eval(client, &format!("return {{err='{error}'}}"));
        eval(client, &format!("return {{{{err='{error}'}}}}"));
    }
    let counts = "errorstat_ERR:count=6\r\nerrorstat_a-first-word-of-30-bytes-is-it:count=2\r\n";
    assert_eq!(client.ask("INFO errorstats"), format!("# Errorstats\r\n{counts}"));
}

#[test]
fn a_number_reaches_clients_and_commands_as_from_valkey() {
    let server = Server::start(&[]);
    let client = &mut server.connect();
    const LEAST: &str = ":-9223372036854775808";
    for (script, answer) in [
        ("return -3.99", ":-3"),
        ("return 2^63 - 1024", ":9223372036854774784"),
        ("return 2^63", LEAST),
        ("return -1e300", LEAST),
        ("return 0/0", LEAST),
        ("return redis.call('echo', 2^62)", "4611686018427387904"),
        ("return redis.call('echo', 2^62 + 1024)", "4611686018427389000"),
        ("return redis.call('echo', -5e18)", "-5e+18"),
        ("return redis.call('echo', -0)", "0"),
        ("return redis.call('echo', 0/0)", "-nan"),
        ("return redis.sha1hex(2^53) == redis.sha1hex(tostring(2^53))", ":1"),
    ] {
        assert_eq!(eval(client, script), answer, "{script}");
    }
}

#[test]
fn what_a_script_finds_it_cannot_change_for_others() {
    let server = Server::start(&[]);
    let client = &mut server.connect();
    for script in [
        "x = 1",
        "string.x = 1",
        "redis.call = nil",
        "rawset(_G, 'x', 1)",
        "rawset(string, 'x', 1)",
        "table.insert(math, 1)",
        "setmetatable(redis, {})",
        "getmetatable(_G).__index = {}",
        "getmetatable('').__index = {}",
        "getmetatable('').__index.upper = nil",
        "getmetatable(redis).x = 1",
        "local _, t = pairs(string) t.x = 1",
        "for k in pairs(_G) do _G[k] = nil end",
        "local co = coroutine.wrap(function() x = 1 end) co()",
        "loadstring('x = 1')()",
        "load(function(done) return nil end)() x = 1",
    ] {
        let answer = eval(client, script);
        assert!(answer.contains("Attempt to modify a readonly table"), "{script}: {answer}");
    }
    let probe = "return {tostring(rawget(_G, 'x')), tostring(rawget(string, 'x')), ('a'):upper(), type(redis.call)}";
    assert_eq!(eval(client, probe), "[nil, nil, A, function]");
}

#[test]
fn what_leads_out_of_the_sandbox_is_not_there() {
    let server = Server::start(&["--enable-protected-configs", "yes"]);
    let client = &mut server.connect();
    for name in
        ["print", "dofile", "loadfile", "require", "module", "package", "io", "debug", "getfenv", "setfenv", "newproxy"]
    {
        let answer = eval(client, &format!("return {name}"));
        assert!(answer.contains(&format!("nonexistent global variable '{name}'")), "{answer}");
    }
    assert_eq!(
        eval(client, "local n = 0 for k in pairs(os) do n = n + 1 end return {n, type(os.clock())}"),
        "[:1, number]"
    );
    let binary = "local f, why = loadstring(string.dump(function() return 1 end)) return {tostring(f), why}";
    assert_eq!(eval(client, binary), "[nil, binary programs are not loaded]");
    let pieces = "local s, i = string.dump(function() return 1 end), 0
        local f, why = load(function() i = i + 1 return #s >= i and s:sub(i, i) or nil end) return {tostring(f), why}";
    assert_eq!(eval(client, pieces), "[nil, binary programs are not loaded]");
    assert_eq!(client.ask("CONFIG SET lua-enable-insecure-api yes"), "OK");
    assert_eq!(eval(client, "return type(newproxy) .. type(getfenv(0))"), "functiontable");
}

#[test]
fn scripts_that_want_to_exhaust_the_interpreter_get_an_error_and_nobody_else_notices() {
    let server = Server::start(&[]);
    let client = &mut server.connect();
    for script in [
        "local function f() return 1 + f() end return f()",
        "local function f() return 1 + select(2, pcall(f)) end return f()",
        "return unpack({}, 0, 2147483647)",
        "return unpack({}, -2147483648, 2147483647)",
        "return loadstring(('('):rep(100000))()",
        "return loadstring('return ' .. ('{'):rep(100000))()",
        "return cjson.decode(('['):rep(100000))",
        "return cmsgpack.unpack(('\\145'):rep(100000))",
        "return struct.unpack('c2147483647', 'x')",
        "local t = setmetatable({}, {__index = function(t, k) return t[k] end}) return t.x",
        "return ('x'):gsub('x', function() error({}) end)",
        "return coroutine.wrap(function(f) return f(f) end)(function(f) return coroutine.wrap(f)(f) end)",
    ] {
        let answer = eval(client, script);
        assert!(answer.starts_with("-ERR"), "{script}: {answer}");
    }
    let endless = "local t = {} t[1] = t return t";
    assert!(eval(client, endless).contains("-ERR reached lua stack limit"));
    assert_eq!(eval(client, "return 'well'"), "well");
}

#[test]
fn a_script_cannot_stop_the_collector_for_those_after_it() {
    let server = Server::start(&[]);
    let client = &mut server.connect();
    assert_eq!(eval(client, "return {collectgarbage('stop'), collectgarbage('setpause', 100000)}"), "[:0, :200]");
    let memory = |client: &mut Client| -> u64 {
        let info = client.ask("INFO memory");
        let line = info.lines().find_map(|line| line.strip_prefix("used_memory_lua:"));
        line.unwrap().parse().unwrap()
    };
    for _ in 0..50 {
        eval(client, "for i = 1, 20 do local s = ('x'):rep(100000) .. i end");
    }
    assert!(memory(client) < 10_000_000);
}

#[test]
fn a_script_may_do_what_its_caller_may() {
    let server = Server::start(&[]);
    let (admin, client) = (&mut server.connect(), &mut server.connect());
    let setuser = "ACL SETUSER limited on nopass +@all -@dangerous ~mine:* %R~shared:*";
    check(admin, &[(setuser, "OK"), ("SET theirs 1", "OK"), ("SET shared:a 2", "OK")]);
    assert_eq!(client.ask("AUTH limited x"), "OK");
    let denied = eval(client, "return redis.call('get', 'theirs')");
    assert!(denied.starts_with("-ERR ACL failure in script"), "{denied}");
    let log = admin.ask("ACL LOG");
    assert!(log.contains("context, lua, object, theirs, username, limited"), "{log}");
    assert!(log.contains("cmd=eval user=limited"), "it tells of who called the script: {log}");

    let checks = "return {redis.acl_check_cmd('get', 'theirs'), redis.acl_check_cmd('get', 'mine:a'),
        redis.acl_check_cmd('get', 'shared:a'), redis.acl_check_cmd('set', 'shared:a', '1'), redis.acl_check_cmd('keys', '*')}";
    assert_eq!(eval(client, checks), "[nil, :1, :1, nil, nil]");
    let write = "redis.call('set', 'mine:a', redis.call('get', 'shared:a')) return redis.call('get', 'mine:a')";
    assert_eq!(eval(client, write), "2");
    assert!(eval(client, "return redis.call('set', 'shared:a', 1)").starts_with("-ERR ACL failure in script"));
    assert!(eval(client, "return redis.pcall('keys', '*')").starts_with("-ERR ACL failure in script"));

    assert_eq!(admin.ask("ACL SETUSER limited resetkeys ~theirs"), "OK");
    assert_eq!(eval(client, "return redis.call('get', 'theirs')"), "1", "a change holds for the next script");
    assert!(eval(client, "return redis.call('get', 'mine:a')").starts_with("-ERR ACL failure in script"));
    assert_eq!(eval(admin, "return redis.call('get', 'mine:a')"), "2", "nothing of one caller is left for another");
    assert!(admin.ask("INFO errorstats").contains("errorstat_NOPERM:"));
}

#[test]
fn what_a_script_reads_and_writes_its_caller_reads_and_writes() {
    let server = Server::start(&[]);
    let (caching, other) = (&mut server.connect(), &mut server.connect());
    assert!(caching.ask("HELLO 3").starts_with('{'));
    let read = "redis.call('get', 'inside') return 0";
    check(caching, &[("CLIENT TRACKING on NOLOOP", "OK"), ("SET inside 0", "OK")]);
    for command in ["EVAL", "EVAL_RO"] {
        assert_eq!(caching.ask_words(&[command, read, "1", "named"]), ":0");
        check(other, &[("SET named 1", "OK"), ("SET inside 1", "OK")]);
        assert_eq!(caching.answer(), "[invalidate, [inside]]", "what is only named was not read");
    }
    caching.ask_words(&["EVAL", "redis.call('get', 'inside') redis.call('set', 'inside', 2)", "0"]);
    assert_eq!(caching.ask("PING"), "PONG", "who asks not to be told of its own changes is not told of its scripts'");
}

#[test]
fn a_script_that_runs_for_too_long_can_be_ended_however_it_clings_to_life() {
    let server = Server::start(&["--busy-reply-threshold", "1"]);
    let (caller, other) = (&mut server.connect(), &mut server.connect());
    for script in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "while true do xpcall(function() while true do end end, function(e) return e end) end",
        "local f; f = function() xpcall(function() while true do end end, f) end; while true do f() end",
        "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
        "while true do local co = coroutine.wrap(function() while true do end end) pcall(co) end",
        "while true do redis.pcall('get', 'x') end",
        "local t = setmetatable({}, {__index = function() while true do end end}) return t.x",
    ] {
        caller.send(&["EVAL", script, "0"]);
        let busy = until_busy(other);
        assert_eq!(busy, "-BUSY Valkey is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.");
        assert!(other.ask("FUNCTION KILL").starts_with("-BUSY"), "it is no function");
        assert_eq!(other.ask("REPLCONF listening-port 1"), "OK", "replicas go on to tell of themselves");
        assert_eq!(other.ask("SCRIPT KILL"), "OK");
        let answer = caller.answer();
        assert!(answer.starts_with("-ERR Script killed by user with SCRIPT KILL."), "{script}: {answer}");
        assert_eq!(other.ask("PING"), "PONG");
    }
}

#[test]
fn a_script_that_has_written_is_not_killed_and_others_see_its_writes_together() {
    let server = Server::start(&["--busy-reply-threshold", "1", "--enable-debug-command", "yes"]);
    let (caller, other) = (&mut server.connect(), &mut server.connect());
    assert_eq!(other.ask("DEBUG SET-DISABLE-DENY-SCRIPTS 1"), "OK");
    // It ends when a client of that name is there.
    let script = "redis.call('set', 'a', 1)
        repeat until redis.call('client', 'list'):find('name=enough', 1, true)
        redis.call('set', 'b', 2) return 'ended'";
    caller.send(&["EVAL", script, "0"]);
    until_busy(other);
    assert!(other.ask("SCRIPT KILL").starts_with("-UNKILLABLE"));
    assert!(other.ask("GET a").starts_with("-BUSY"));
    assert!(other.ask("SHUTDOWN").starts_with("-BUSY"), "half of it is not saved");
    assert_eq!(other.ask("HELLO 2 SETNAME enough").split(',').next(), Some("[server"));
    assert_eq!(caller.answer(), "ended");
    assert_eq!(other.ask("MGET a b"), "[1, 2]");
}

#[test]
fn a_transaction_begun_while_a_script_is_busy_is_spoiled_by_what_was_refused() {
    let server = Server::start(&["--busy-reply-threshold", "1"]);
    let (caller, other) = (&mut server.connect(), &mut server.connect());
    caller.send(&["EVAL", "while true do end", "0"]);
    until_busy(other);
    assert_eq!(other.ask("MULTI"), "OK");
    assert!(other.ask("SET a 1").starts_with("-BUSY"));
    assert_eq!(server.connect().ask("SCRIPT KILL"), "OK");
    caller.answer();
    check(other, &[("EXEC", "-EXECABORT Transaction discarded because of previous errors."), ("EXISTS a", ":0")]);
}

#[test]
fn a_library_that_does_not_come_to_an_end_is_given_up() {
    let server = Server::start(&[]);
    let client = &mut server.connect();
    let answer = client.ask_words(&["FUNCTION", "LOAD", "#!lua name=l\nwhile true do end"]);
    assert_eq!(answer, "-ERR Error registering functions: ERR FUNCTION LOAD timeout");
    let refused = client.ask_words(&["FUNCTION", "LOAD", "#!lua name=l\nredis.call('set', 'a', 1)"]);
    assert!(refused.contains("nonexistent global variable 'call'"), "{refused}");
    check(client, &[("EXISTS a", ":0"), ("FUNCTION LIST", "[]")]);
}

#[test]
fn functions_survive_a_restart_and_reach_a_replica() {
    for base in ["yes", "no"] {
        let server =
            Server::start(&["--appendonly", "yes", "--aof-use-rdb-preamble", base, "--enable-debug-command", "yes"]);
        let client = &mut server.connect();
        let code = "#!lua name=lib\nredis.register_function('hi', function(keys, args) return {keys[1], args[1]} end)";
        assert_eq!(client.ask_words(&["FUNCTION", "LOAD", code]), "lib");
        check(client, &[("FCALL hi 1 a b", "[a, b]"), ("FCALL HI 1 a b", "[a, b]")]);
        let replica = Server::start(&["--replicaof", "127.0.0.1", &server.port().to_string()]);
        let reader = &mut replica.connect();
        while reader.ask("FUNCTION STATS")
            != "[running_script, nil, engines, [LUA, [libraries_count, :1, functions_count, :1]]]"
        {}
        assert_eq!(
            client.ask("FCALL_RO hi 1 a b"),
            "-ERR Can not execute a script with write flag using *_ro command."
        );
        // What was appended, then what was written anew.
        check(client, &[("DEBUG LOADAOF", "OK"), ("FCALL hi 1 a b", "[a, b]")]);
        client.ask("BGREWRITEAOF");
        while !client.ask("INFO persistence").contains("aof_rewrite_in_progress:0") {}
        check(client, &[("DEBUG LOADAOF", "OK"), ("FCALL hi 1 a b", "[a, b]")]);
        check(client, &[("DEBUG RELOAD", "OK"), ("FCALL hi 1 a b", "[a, b]"), ("FLUSHALL", "OK")]);
        assert_eq!(client.ask("FCALL hi 1 a b"), "[a, b]");
        assert_eq!(client.ask("FUNCTION DELETE lib"), "OK");
        while reader.ask("FUNCTION LIST") != "[]" {}
    }
}

#[test]
fn what_a_script_writes_reaches_a_replica_as_one_transaction() {
    let server = Server::start(&[]);
    let client = &mut server.connect();
    let replica = Server::start(&["--replicaof", "127.0.0.1", &server.port().to_string()]);
    let reader = &mut replica.connect();
    let monitor = &mut replica.connect();
    while !reader.ask("INFO replication").contains("master_link_status:up") {}
    assert_eq!(monitor.ask("MONITOR"), "OK");
    let script = "redis.call('set', 'a', 1) redis.call('select', 3) redis.call('incr', 'b') redis.call('get', 'b')";
    client.ask_words(&["EVAL", script, "0"]);
    let mut seen = Vec::new();
    while seen.last().is_none_or(|line: &String| line != "exec") {
        let line = monitor.answer();
        let words: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
        seen.push(words.join(" ").to_lowercase());
    }
    let first = seen.iter().position(|line| line == "multi").unwrap();
    let written: Vec<&str> =
        seen[first..].iter().map(String::as_str).filter(|line| !line.starts_with("select")).collect();
    assert_eq!(written, ["multi", "set a 1", "incr b", "exec"]);
}

#[test]
fn keys_of_a_script_are_told_also_when_there_are_none() {
    let server = Server::start(&[]);
    check(
        &mut server.connect(),
        &[
            ("COMMAND GETKEYS EVAL x 2 a b c", "[a, b]"),
            ("COMMAND GETKEYS EVAL_RO x 0 a", "[]"),
            ("COMMAND GETKEYS FCALL f 1 a", "[a]"),
        ],
    );
}

#[test]
fn scripts_are_found_by_digest_until_they_are_flushed() {
    let server = Server::start(&[]);
    let client = &mut server.connect();
    let digest = client.ask_words(&["SCRIPT", "LOAD", "return ARGV[1]"]);
    check(
        client,
        &[
            (&format!("EVALSHA {digest} 0 x"), "x"),
            (&format!("EVALSHA {} 0 x", digest.to_uppercase()), "x"),
            (&format!("SCRIPT SHOW {digest}"), "return ARGV[1]"),
            (&format!("SCRIPT EXISTS {digest} x"), "[:1, :0]"),
            ("SCRIPT FLUSH ASYNC", "OK"),
            (&format!("EVALSHA {digest} 0 x"), "-NOSCRIPT No matching script."),
        ],
    );
}

#[test]
fn a_monitor_sees_a_script_and_then_its_commands() {
    let server = Server::start(&[]);
    let (client, monitor) = (&mut server.connect(), &mut server.connect());
    assert_eq!(monitor.ask("MONITOR"), "OK");
    eval(client, "redis.call('select', 2) return redis.call('set', 'a', 1)");
    assert!(monitor.answer().contains("\"EVAL\""));
    assert!(monitor.answer().ends_with("lua] \"select\" \"2\""));
    assert!(monitor.answer().ends_with("[2 lua] \"set\" \"a\" \"1\""));
}

#[test]
fn the_slow_log_knows_the_commands_of_a_script_and_who_called_it() {
    let server = Server::start(&[]);
    let client = &mut server.connect();
    check(
        client,
        &[("CLIENT SETNAME me", "OK"), ("CONFIG SET slowlog-log-slower-than 0", "OK"), ("SLOWLOG RESET", "OK")],
    );
    eval(client, "redis.call('set', 'a', 1)");
    let log = client.ask("SLOWLOG GET 2");
    let entries: Vec<&str> = log.split("me]").collect();
    assert!(entries[0].contains("[EVAL, redis.call('set', 'a', 1), 0]"), "{log}");
    assert!(entries[1].contains("[set, a, 1]"), "{log}");
}

#[test]
fn a_primary_without_a_majority_refuses_what_scripts_write_and_answers_what_they_read() {
    let server = Server::start(&["--primary-quorum-timeout", "1000"]);
    let client = &mut server.connect();
    assert!(eval(client, "return redis.call('set', 'a', 1)").starts_with("-NOQUORUM"));
    assert!(eval(client, "#!lua\nreturn 1").starts_with("-NOQUORUM"), "it does not say that it only reads");
    assert_eq!(eval(client, "return redis.call('exists', 'a')"), ":0");
    assert_eq!(eval(client, "#!lua flags=no-writes\nreturn redis.call('exists', 'a')"), ":0");
}

#[test]
fn the_answer_of_a_script_that_wrote_waits_for_a_replica() {
    let server = Server::start(&["--min-replicas-to-ack", "1"]);
    let (client, other) = (&mut server.connect(), &mut server.connect());
    assert_eq!(eval(client, "return redis.call('exists', 'a')"), ":0");
    client.send(&["EVAL", "redis.call('set', 'a', 1) return 'written'", "0"]);
    while other.ask("EXISTS a") != ":1" {}
    let replica = Server::start(&["--replicaof", "127.0.0.1", &server.port().to_string()]);
    assert_eq!(client.answer(), "written");
    assert_eq!(replica.connect().ask("GET a"), "1");
}

#[test]
fn a_command_takes_as_many_arguments_as_the_interpreter_can_pass() {
    let server = Server::start(&[]);
    let client = &mut server.connect();
    let push = "local t = {} for i = 1, 7998 do t[i] = i end return redis.call('rpush', 'list', unpack(t))";
    assert_eq!(eval(client, push), ":7998");
    assert_eq!(eval(client, "return #redis.call('lrange', 'list', 0, -1)"), ":7998");
}

#[test]
fn errors_in_finalizers_end_a_script_at_most_and_harm_no_other() {
    // Only with this directive has a script finalizers. An error in one comes up wherever the collector is at work, also within a call.
    let server = Server::start(&["--lua-enable-insecure-api", "yes"]);
    let client = &mut server.connect();
    client.ask_words(&["SET", "long", &"x".repeat(5000)]);
    let trap = "for i = 1, 3000 do
                  local p = newproxy(true)
                  getmetatable(p).__gc = function() redis.pcall('incr', 'finalized') error('trap') end
                  pcall(redis.call, 'get', 'long')
                  pcall(redis.call, 'mget', 'long', 'long', 'none')
                end
                return 'done'";
    for _ in 0..20 {
        eval(client, trap);
        assert_eq!(eval(client, "return redis.call('get', 'long')"), "x".repeat(5000));
    }
    assert_ne!(client.ask("GET finalized"), "(nil)", "finalizers ran");
}
