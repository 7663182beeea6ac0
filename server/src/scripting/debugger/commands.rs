//! What the client of a session may ask for while the script is stopped.

use mlua::chunk::ChunkMode;
use mlua::{Function, Lua, Result, Value};

use super::session::{Session, refusal};
use super::show;
use super::source::Refused;
use crate::resp::Argv;
use crate::resp::number::parse_i64;
use crate::scripting::vm::SCRIPT;
use crate::scripting::{lend, text};

/// What comes after a command.
pub enum Next {
    /// Its answer, and another command.
    Command,
    /// The script goes on.
    Script,
}

/// A command. It is known by its name, and by the first letters of that.
struct Command {
    name: &'static str,
    /// How many letters suffice; 0: none but all.
    letters: usize,
    /// Its arguments, as the help shows them.
    usage: &'static str,
    /// How many there have to be, and may be at most.
    arguments: (usize, usize),
    /// What the help says; nothing for other names of a command.
    text: &'static str,
    run: fn(&Session, &Lua, Argv<'_>) -> Result<Next>,
}

const fn command(
    name: &'static str,
    letters: usize,
    usage: &'static str,
    arguments: (usize, usize),
    text: &'static str,
    run: fn(&Session, &Lua, Argv<'_>) -> Result<Next>,
) -> Command {
    Command { name, letters, usage, arguments, text, run }
}

const ANY: (usize, usize) = (1, usize::MAX);

const COMMANDS: &[Command] = &[
    command("help", 1, "", (0, 0), "Shows this help.", help),
    command(
        "maxlen",
        3,
        "[len]",
        (0, 1),
        "Sets how many bytes of a reply or a value are shown; 0: all. Without [len] it tells how many are.",
        maxlen,
    ),
    command("step", 1, "", (0, 0), "Runs the current line and stops again.", step),
    command("next", 1, "", (0, 0), "The same as step.", step),
    command("continue", 1, "", (0, 0), "Runs until the next breakpoint.", |_, _, _| Ok(Next::Script)),
    command(
        "list",
        1,
        "[line] [ctx]",
        (0, 2),
        "Lists the source around a line, or around the current one. [ctx] says how many lines before and after it.",
        list,
    ),
    command("whole", 1, "", (0, 0), "Lists all of the source.", whole),
    command(
        "print",
        1,
        "[var]",
        (0, 1),
        "Shows the value of a variable, KEYS and ARGV among them. Without [var] it shows all local variables.",
        print,
    ),
    command(
        "break",
        1,
        "[line|-line]",
        (0, 1),
        "Sets a breakpoint, or with a minus takes it away; 0 takes all away. Without a line it shows all of them.",
        breakpoints,
    ),
    command("trace", 1, "", (0, 0), "Shows which function was called from where.", trace),
    command("eval", 1, "<code>", ANY, "Runs Lua code, which does not see the script's local variables.", eval),
    command("valkey", 1, "<cmd>", ANY, "Calls a command.", call),
    command("redis", 1, "<cmd>", ANY, "", call),
    command("server", 0, "<cmd>", ANY, "", call),
    command("abort", 1, "", (0, 0), "Ends the script. What it has changed stays changed in sync mode.", abort),
];

/// Runs a command.
///
/// # Errors
/// When the script is to end.
pub fn run(session: &Session, lua: &Lua, argv: Argv<'_>) -> Result<Next> {
    let (name, arguments) = (argv.get(0), argv.len() - 1);
    let called = |command: &&Command| {
        let (least, most) = command.arguments;
        let short = &command.name[..command.letters];
        (name.eq_ignore_ascii_case(command.name.as_bytes()) || name.eq_ignore_ascii_case(short.as_bytes()))
            && (least..=most).contains(&arguments)
    };
    match COMMANDS.iter().find(called) {
        Some(command) => (command.run)(session, lua, argv),
        None => {
            session.link.borrow_mut().line("<error> Unknown debugger command or wrong number of arguments.");
            Ok(Next::Command)
        }
    }
}

/// Columns of a command's name with its arguments, and of the text beside.
const COLUMNS: (usize, usize) = (21, 49);

fn help(session: &Session, _: &Lua, _: Argv<'_>) -> Result<Next> {
    let mut link = session.link.borrow_mut();
    link.line("LUA debugger help:");
    for command in COMMANDS.iter().filter(|command| !command.text.is_empty()) {
        let (short, rest) = command.name.split_at(command.letters);
        let mut head = format!("[{short}]{rest} {}", command.usage);
        if head.len() > COLUMNS.0 {
            link.line(std::mem::take(&mut head));
        }
        let mut line = String::new();
        for word in command.text.split(' ') {
            if !line.is_empty() && line.len() + 1 + word.len() > COLUMNS.1 {
                link.line(format!("{:width$}{line}", std::mem::take(&mut head), width = COLUMNS.0));
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        link.line(format!("{head:width$}{line}", width = COLUMNS.0));
    }
    Ok(Next::Command)
}

fn maxlen(session: &Session, _: &Lua, argv: Argv<'_>) -> Result<Next> {
    let mut link = session.link.borrow_mut();
    let line = match (argv.len(), parse_i64(argv.get(argv.len() - 1)).map(usize::try_from)) {
        (1, _) => format!("Current maxlen is {}", link.shown()),
        (_, Some(Ok(bytes))) => match link.show(bytes) {
            0 => "<value> replies are not truncated.".to_owned(),
            bytes => format!("<value> replies are truncated at {bytes} bytes."),
        },
        _ => "<error> Invalid maxlen value.".to_owned(),
    };
    link.line(line);
    Ok(Next::Command)
}

fn step(session: &Session, _: &Lua, _: Argv<'_>) -> Result<Next> {
    session.step.set(true);
    Ok(Next::Script)
}

fn list(session: &Session, _: &Lua, argv: Argv<'_>) -> Result<Next> {
    let number = |i: usize| (i < argv.len()).then(|| parse_i64(argv.get(i)).unwrap_or(0));
    let source = session.source.borrow();
    let line = number(1).and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0).unwrap_or(source.current);
    let context = number(2).map_or(5, |n| usize::try_from(n).unwrap_or(0));
    source.around(line, context).for_each(|line| session.link.borrow_mut().line(line));
    Ok(Next::Command)
}

fn whole(session: &Session, _: &Lua, _: Argv<'_>) -> Result<Next> {
    session.source.borrow().around(1, usize::MAX).for_each(|line| session.link.borrow_mut().line(line));
    Ok(Next::Command)
}

fn print(session: &Session, lua: &Lua, argv: Argv<'_>) -> Result<Next> {
    let lines = if argv.len() == 1 { all_variables(session, lua)? } else { vec![variable(session, lua, argv.get(1))?] };
    lines.into_iter().for_each(|line| session.link.borrow_mut().value(line));
    Ok(Next::Command)
}

fn all_variables(session: &Session, lua: &Lua) -> Result<Vec<Vec<u8>>> {
    let mut lines = Vec::new();
    for (name, value) in session.locals(lua, 0).unwrap_or_default() {
        let mut line = format!("<value> {name} = ").into_bytes();
        show::value(&mut line, &value)?;
        lines.push(line);
    }
    if lines.is_empty() {
        lines.push(b"No local variables in the current context.".to_vec());
    }
    Ok(lines)
}

/// A variable of the function that is stopped, or of one that called it.
fn variable(session: &Session, lua: &Lua, name: &[u8]) -> Result<Vec<u8>> {
    let frames = (0..).map_while(|level| session.locals(lua, level));
    let local = frames.flatten().find(|(known, _)| known.as_bytes() == name);
    let value = match local {
        Some((_, value)) => value,
        None if name == b"KEYS" || name == b"ARGV" => lua.globals().get(lua.create_string(name)?)?,
        None => return Ok(b"No such variable.".to_vec()),
    };
    let mut line = b"<value> ".to_vec();
    show::value(&mut line, &value)?;
    Ok(line)
}

fn breakpoints(session: &Session, _: &Lua, argv: Argv<'_>) -> Result<Next> {
    let mut source = session.source.borrow_mut();
    let mut link = session.link.borrow_mut();
    if argv.len() == 1 {
        match source.breakpoints() {
            [] => link.line("No breakpoints set. Use 'b <line>' to add one."),
            set => {
                link.line(format!("{} breakpoints set:", set.len()));
                set.iter().for_each(|line| link.line(source.shown(*line)));
            }
        }
        return Ok(Next::Command);
    }
    let Some(number) = parse_i64(argv.get(1)) else {
        link.line(format!("Invalid argument:'{}'", String::from_utf8_lossy(argv.get(1))));
        return Ok(Next::Command);
    };
    let line = usize::try_from(number.unsigned_abs()).unwrap_or(usize::MAX);
    if number == 0 {
        source.clear();
        link.line("All breakpoints removed.");
    } else if number < 0 {
        let removed = source.unset(line);
        link.line(if removed { "Breakpoint removed." } else { "No breakpoint in the specified line." });
    } else {
        match source.set(line) {
            Ok(()) => source.around(line, 1).for_each(|line| link.line(line)),
            Err(Refused::TooMany) => link.line("Too many breakpoints set."),
            Err(Refused::NoSuchLine) => link.line("Wrong line number."),
        }
    }
    Ok(Next::Command)
}

fn trace(session: &Session, lua: &Lua, _: Argv<'_>) -> Result<Next> {
    let source = session.source.borrow();
    for level in 0.. {
        let frame = lua.inspect_stack(level, |frame| {
            let ours = frame.source().source.is_some_and(|source| source == SCRIPT);
            ours.then(|| {
                // A variable of the prelude holds the script; that is no name of it.
                let name = frame.names().name.filter(|_| frame.source().what != "main");
                (
                    name.map_or_else(|| "top level".to_owned(), |name| name.into_owned()),
                    frame.current_line().unwrap_or(0),
                )
            })
        });
        match frame {
            None => break,
            Some(None) => {}
            Some(Some((name, line))) => {
                let mut link = session.link.borrow_mut();
                link.line(format!("{} {name}:", if level == 0 { "In" } else { "From" }));
                link.line(source.shown(line));
            }
        }
    }
    Ok(Next::Command)
}

fn eval(session: &Session, lua: &Lua, argv: Argv<'_>) -> Result<Next> {
    let code = argv.iter().skip(1).collect::<Vec<_>>().join(b" ".as_slice());
    let line = match compile(lua, &[b"return ", code.as_slice()].concat()).or_else(|_| compile(lua, &code)) {
        Err(error) => format!("Error compiling code: {}", text::of(&error)).into_bytes(),
        Ok(function) => {
            // The one of scripts, which sees errors as they do.
            let pcall: Function = lua.globals().get("pcall")?;
            let (succeeded, value) = pcall.call::<(bool, Value)>(function)?;
            let mut line = if succeeded { b"<retval> ".to_vec() } else { b"<error> ".to_vec() };
            show::value(&mut line, &value)?;
            line
        }
    };
    session.link.borrow_mut().value(line);
    Ok(Next::Command)
}

fn compile(lua: &Lua, code: &[u8]) -> Result<Function> {
    const NAME: &str = "@ldb_eval";
    // Lua would take it for a compiled program, and believe what it says.
    if code.starts_with(b"\x1b") {
        return Err(mlua::Error::runtime("ldb_eval:1: unexpected symbol near '<\\27>'"));
    }
    // The parser does not keep the string that it makes of the name from the collector; it takes an equal one that is in use.
    let _name = lua.create_string(NAME)?;
    lua.load(code).set_name(NAME).set_mode(ChunkMode::Text).into_function()
}

/// The script's own function tells of the command and of the reply.
fn call(session: &Session, lua: &Lua, argv: Argv<'_>) -> Result<Next> {
    let server: mlua::Table = lua.globals().get("server")?;
    let pcall: Function = server.get("pcall")?;
    let args = argv.iter().skip(1).map(|arg| lua.create_string(arg).map(Value::String)).collect::<Result<Vec<_>>>()?;
    session.step.set(true);
    let answered = pcall.call::<Value>(mlua::MultiValue::from_vec(args));
    session.step.set(false);
    answered.map(|_| Next::Command)
}

/// Nothing in the script keeps it from ending.
fn abort(_: &Session, _: &Lua, _: Argv<'_>) -> Result<Next> {
    lend::with(|call| {
        if let Some(running) = &mut call.server.scripting.running {
            running.killed = true;
        }
    });
    Err(refusal("ERR script aborted for user request"))
}
