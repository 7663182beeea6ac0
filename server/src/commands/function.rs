//! FUNCTION, and FCALL with FCALL_RO.

use super::config::container;
use super::script::{RUNS, RUNS_READING, flushes_elsewhere, kill, show_monitors};
use super::{Command, CommandError, CommandResult, Ctx, Flags, Group, Keys, help};
use crate::config::RdbVersionCheck;
use crate::glob;
use crate::persistence::rdb::dump::{functions, functions_of};
use crate::persistence::rdb::format::VersionCheck;
use crate::resp::Argv;
use crate::resp::number::parse_i64;
use crate::scripting::flags::{NAMES, ScriptFlags};
use crate::scripting::library::{Clash, Libraries, PATIENCE};
use crate::scripting::run::{Run, keys};
use crate::scripting::vm::Kind;
use crate::server::Server;

const WRITES: Flags = Flags::NOSCRIPT.union(Flags::WRITE);

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("fcall", -3, Group::Scripting, fcall)
        .flags(RUNS)
        .keys(Keys::Counted(2))
        .runs_script(flags_of)
        .doc("7.0.0", "Calls a function."),
    Command::new("fcall_ro", -3, Group::Scripting, fcall)
        .flags(RUNS_READING)
        .keys(Keys::Counted(2))
        .runs_script(flags_of)
        .doc("7.0.0", "Calls a function that only reads."),
    Command::new("function", -2, Group::Scripting, container)
        .doc("7.0.0", "Manages libraries of functions.")
        .subcommands(&[
            Command::new("delete", 3, Group::Scripting, delete)
                .flags(WRITES)
                .usage("<library-name>")
                .doc("7.0.0", "Deletes a library with its functions."),
            Command::new("dump", 2, Group::Scripting, dump)
                .flags(Flags::NOSCRIPT)
                .doc("7.0.0", "Returns all libraries as bytes that FUNCTION RESTORE makes them of."),
            Command::new("flush", -2, Group::Scripting, flush)
                .flags(WRITES)
                .usage("[ASYNC|SYNC]")
                .doc("7.0.0", "Deletes all libraries: ASYNC in the background, SYNC before the answer; by default as lazyfree-lazy-user-flush says."),
            help::row(Group::Scripting, "7.0.0"),
            Command::new("kill", 2, Group::Scripting, |ctx| kill(ctx, false))
                .flags(Flags::NOSCRIPT.union(Flags::ALLOW_BUSY))
                .doc("7.0.0", "Ends the function under way, unless it has written."),
            Command::new("list", -2, Group::Scripting, list)
                .flags(Flags::NOSCRIPT)
                .usage("[LIBRARYNAME <pattern>] [WITHCODE]")
                .doc("7.0.0", "Describes the libraries."),
            Command::new("load", -3, Group::Scripting, load)
                .flags(WRITES.union(Flags::DENYOOM))
                .usage("[REPLACE] <code>")
                .doc("7.0.0", "Makes a library."),
            Command::new("restore", -3, Group::Scripting, restore)
                .flags(WRITES.union(Flags::DENYOOM))
                .usage("<payload> [FLUSH|APPEND|REPLACE]")
                .doc("7.0.0", "Makes libraries of the bytes that FUNCTION DUMP returned: FLUSH in place of all that there are, APPEND (the default) if none of their names is taken, REPLACE in place of those of their names."),
            Command::new("stats", 2, Group::Scripting, stats)
                .flags(Flags::NOSCRIPT.union(Flags::ALLOW_BUSY))
                .doc("7.0.0", "Tells which function runs, and how many there are."),
        ]),
];

fn flags_of(server: &Server, argv: Argv<'_>) -> Option<ScriptFlags> {
    server.scripting.libraries.function(argv.get(1)).map(|function| function.flags)
}

fn fcall(ctx: &mut Ctx<'_>) -> CommandResult {
    show_monitors(ctx);
    let function = ctx.server.scripting.libraries.function(ctx.arg(1));
    let function = function.ok_or(CommandError::fixed("ERR Function not found"))?;
    let count = parse_i64(ctx.arg(2)).ok_or(CommandError::fixed("ERR Bad number of keys provided"))?;
    let keys = keys(count, ctx.argc())?;
    let (name, flags) = (function.name.clone(), function.flags);
    let program = ctx.server.scripting.program(Kind::Functions, &function.callback)?;
    let run = Run { kind: Kind::Functions, name, flags, program, keys };
    run.run(ctx)
}

fn failed(why: String) -> CommandError {
    CommandError::text(format!("ERR {why}"))
}

fn load(ctx: &mut Ctx<'_>) -> CommandResult {
    let mut replace = false;
    for i in 2..ctx.argc() - 1 {
        if !ctx.is(i, "replace") {
            let option = String::from_utf8_lossy(ctx.arg(i));
            return Err(CommandError::text(format!("ERR Unknown option given: {option}")));
        }
        replace = true;
    }
    let patience = (!ctx.client.is_trusted_source()).then_some(PATIENCE);
    let library = ctx.server.compile_library(ctx.arg(ctx.argc() - 1), patience).map_err(failed)?;
    let name = library.name.clone();
    ctx.server.scripting.libraries.insert(library, replace).map_err(failed)?;
    ctx.keyspace().add_dirty(1);
    ctx.reply().bulk(&name);
    Ok(())
}

fn delete(ctx: &mut Ctx<'_>) -> CommandResult {
    let name = ctx.arg(2);
    ctx.server.scripting.libraries.remove(name).ok_or(CommandError::fixed("ERR Library not found"))?;
    ctx.keyspace().add_dirty(1);
    ctx.reply().ok();
    Ok(())
}

fn flush(ctx: &mut Ctx<'_>) -> CommandResult {
    if ctx.argc() > 3 {
        return Err(help::refusal(ctx));
    }
    let elsewhere = flushes_elsewhere(ctx, "ERR FUNCTION FLUSH only supports SYNC|ASYNC option")?;
    let retired = ctx.server.scripting.flush_functions();
    ctx.server.free_retired(retired, elsewhere);
    ctx.keyspace().add_dirty(1);
    ctx.reply().ok();
    Ok(())
}

fn list(ctx: &mut Ctx<'_>) -> CommandResult {
    let (mut pattern, mut with_code) = (None, false);
    let mut i = 2;
    while i < ctx.argc() {
        if !with_code && ctx.is(i, "withcode") {
            with_code = true;
        } else if pattern.is_none() && ctx.is(i, "libraryname") {
            i += 1;
            if i == ctx.argc() {
                return Err(CommandError::fixed("ERR library name argument was not given"));
            }
            pattern = Some(ctx.arg(i));
        } else {
            let argument = String::from_utf8_lossy(ctx.arg(i));
            return Err(CommandError::text(format!("ERR Unknown argument {argument}")));
        }
        i += 1;
    }
    let chosen = ctx.server.scripting.libraries.iter();
    let chosen: Vec<_> = chosen.filter(|l| pattern.is_none_or(|p| glob::matches(p, &l.name, true))).collect();
    let reply = &mut ctx.client.reply;
    reply.array(chosen.len());
    for library in chosen {
        reply.map(3 + usize::from(with_code));
        reply.bulk(b"library_name");
        reply.bulk(&library.name);
        reply.bulk(b"engine");
        reply.bulk(b"LUA");
        reply.bulk(b"functions");
        reply.array(library.functions.len());
        for function in &library.functions {
            reply.map(3);
            reply.bulk(b"name");
            reply.bulk(&function.name);
            reply.bulk(b"description");
            match &function.description {
                Some(text) => reply.bulk(text),
                None => reply.null(),
            }
            reply.bulk(b"flags");
            let flags: Vec<_> = NAMES.iter().filter(|(flag, _)| function.flags.contains(*flag)).collect();
            reply.set(flags.len());
            flags.iter().for_each(|(_, name)| reply.simple(name));
        }
        if with_code {
            reply.bulk(b"library_code");
            reply.bulk(&library.code);
        }
    }
    Ok(())
}

fn dump(ctx: &mut Ctx<'_>) -> CommandResult {
    let compression = ctx.server.config.rdbcompression;
    let payload = functions(ctx.server.scripting.libraries.iter().map(|library| &*library.code), compression);
    ctx.reply().bulk(&payload);
    Ok(())
}

fn restore(ctx: &mut Ctx<'_>) -> CommandResult {
    if ctx.argc() > 4 {
        return Err(help::refusal(ctx));
    }
    let (flush, replace) = match ctx.arg(3).to_ascii_lowercase().as_slice() {
        b"" if ctx.argc() == 3 => (false, false),
        b"append" => (false, false),
        b"replace" => (false, true),
        b"flush" => (true, false),
        _ => {
            return Err(CommandError::fixed(
                "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.",
            ));
        }
    };
    let check = match ctx.server.config.rdb_version_check {
        RdbVersionCheck::Strict => VersionCheck::Strict,
        RdbVersionCheck::Relaxed => VersionCheck::Relaxed,
    };
    let codes = functions_of(ctx.arg(2), check, ctx.server.skip_checksum).map_err(failed)?;
    let mut new = Libraries::default();
    for code in codes {
        let library = ctx.server.compile_library(&code, None).map_err(failed)?;
        new.insert(library, false).map_err(failed)?;
    }
    if flush {
        ctx.server.scripting.libraries = new;
    } else {
        ctx.server.scripting.libraries.join(new, replace).map_err(|clash| match clash {
            Clash::Library(name) => failed(format!("Library {name} already exists")),
            Clash::Function(name) => failed(format!("Function {name} already exists")),
        })?;
    }
    ctx.keyspace().add_dirty(1);
    ctx.reply().ok();
    Ok(())
}

fn stats(ctx: &mut Ctx<'_>) -> CommandResult {
    let scripting = &ctx.server.scripting;
    let reply = &mut ctx.client.reply;
    if scripting.running.as_ref().is_some_and(|running| running.is_eval) {
        return Err(super::dispatch::busy(true));
    }
    reply.map(2);
    reply.bulk(b"running_script");
    match &scripting.running {
        None => reply.null(),
        Some(running) => {
            reply.map(3);
            reply.bulk(b"name");
            reply.bulk(&running.name);
            reply.bulk(b"command");
            let words = running.busy.as_ref().map(|argv| argv.argv());
            reply.array(words.map_or(0, |words| words.len()));
            words.into_iter().flat_map(|words| words.iter()).for_each(|word| reply.bulk(word));
            reply.bulk(b"duration_ms");
            reply.int(running.since.elapsed().as_millis() as i64);
        }
    }
    reply.bulk(b"engines");
    reply.map(1);
    reply.bulk(b"LUA");
    reply.map(2);
    reply.bulk(b"libraries_count");
    reply.int(scripting.libraries.len() as i64);
    reply.bulk(b"functions_count");
    reply.int(scripting.libraries.functions() as i64);
    Ok(())
}
