//! EVAL and its kin, and SCRIPT.

use super::config::container;
use super::{Command, CommandError, CommandResult, Ctx, Flags, Group, Keys, help};
use crate::client::ClientFlags;
use crate::resp::Argv;
use crate::scripting::api::sha1_hex;
use crate::scripting::cache::Digest;
use crate::scripting::debugger;
use crate::scripting::flags::{ScriptFlags, of_script};
use crate::scripting::run::{Run, keys};
use crate::scripting::vm::Kind;
use crate::server::Server;

/// What commands that run a script are.
pub(super) const RUNS: Flags = Flags::NOSCRIPT
    .union(Flags::SKIP_MONITOR)
    .union(Flags::MAY_REPLICATE)
    .union(Flags::NO_MANDATORY_KEYS)
    .union(Flags::MOVABLE_KEYS)
    .union(Flags::STALE);
/// The same of those that may not write.
pub(super) const RUNS_READING: Flags = RUNS.difference(Flags::MAY_REPLICATE).union(Flags::READONLY);
const CACHE: Flags = Flags::NOSCRIPT.union(Flags::STALE);

/// A row for a command that runs a script.
const fn row(name: &'static str, flags: Flags, handler: super::Handler) -> Command {
    Command::new(name, -3, Group::Scripting, handler).flags(flags).keys(Keys::Counted(2))
}

/// The rows.
pub const COMMANDS: &[Command] = &[
    row("eval", RUNS, eval).runs_script(flags_of_text).doc("2.6.0", "Runs a Lua script."),
    row("eval_ro", RUNS_READING, eval).runs_script(flags_of_text).doc("7.0.0", "Runs a Lua script that only reads."),
    row("evalsha", RUNS, evalsha).runs_script(flags_of_digest).doc("2.6.0", "Runs a script by the digest of its text."),
    row("evalsha_ro", RUNS_READING, evalsha)
        .runs_script(flags_of_digest)
        .doc("7.0.0", "Runs a script that only reads, by the digest of its text."),
    Command::new("script", -2, Group::Scripting, container)
        .doc("2.6.0", "Manages the scripts that EVALSHA finds.")
        .subcommands(&[
            Command::new("debug", -3, Group::Scripting, debug)
                .flags(Flags::NOSCRIPT)
                .usage("(YES|SYNC|NO) [<engine>]")
                .doc("3.2.0", "Has the next EVAL of this client run in the debugger."),
            Command::new("exists", -3, Group::Scripting, exists)
                .flags(CACHE)
                .usage("<sha1> [<sha1> ...]")
                .doc("2.6.0", "Tells which scripts are known."),
            Command::new("flush", -2, Group::Scripting, flush)
                .flags(CACHE)
                .usage("[ASYNC|SYNC]")
                .doc("2.6.0", "Forgets all scripts: ASYNC in the background, SYNC before the answer; by default as lazyfree-lazy-user-flush says."),
            help::row(Group::Scripting, "5.0.0"),
            Command::new("kill", 2, Group::Scripting, |ctx| kill(ctx, true))
                .flags(Flags::NOSCRIPT.union(Flags::ALLOW_BUSY))
                .doc("2.6.0", "Ends the script under way, unless it has written."),
            Command::new("load", 3, Group::Scripting, load)
                .flags(CACHE)
                .usage("<script>")
                .doc("2.6.0", "Keeps a script for EVALSHA, without running it."),
            Command::new("show", 3, Group::Scripting, show)
                .flags(CACHE)
                .usage("<sha1>")
                .doc("8.0.0", "Returns the text of a script."),
        ]),
];

const NO_SCRIPT: CommandError = CommandError::fixed("NOSCRIPT No matching script.");

fn flags_of_text(server: &Server, argv: Argv<'_>) -> Option<ScriptFlags> {
    let body = argv.get(1);
    // Most scripts say nothing of themselves, and need not be looked for.
    if !body.starts_with(b"#!") {
        return Some(ScriptFlags::UNDECLARED);
    }
    let known = server.scripting.cache.get(&sha1_hex(body)).map(|script| script.flags);
    known.or_else(|| of_script(body).ok().map(|(flags, _)| flags))
}

fn flags_of_digest(server: &Server, argv: Argv<'_>) -> Option<ScriptFlags> {
    server.scripting.cache.get(&digest(argv.get(1))?).map(|script| script.flags)
}

/// A digest as it stands in an argument.
fn digest(text: &[u8]) -> Option<Digest> {
    let mut digest: Digest = text.try_into().ok()?;
    digest.make_ascii_lowercase();
    Some(digest)
}

fn eval(ctx: &mut Ctx<'_>) -> CommandResult {
    show_monitors(ctx);
    if ctx.client.flags.contains(ClientFlags::DEBUGS_SCRIPTS) {
        return debugger::run(ctx, run_text);
    }
    run_text(ctx)
}

fn run_text(ctx: &mut Ctx<'_>) -> CommandResult {
    let body = ctx.arg(1);
    let keys = keys(ctx.int(2)?, ctx.argc())?;
    let digest = sha1_hex(body);
    if ctx.server.scripting.cache.get(&digest).is_none() {
        compile(ctx.server, digest, body, false)?;
    }
    run(ctx, digest, keys)
}

fn evalsha(ctx: &mut Ctx<'_>) -> CommandResult {
    show_monitors(ctx);
    let digest = digest(ctx.arg(1)).ok_or(NO_SCRIPT)?;
    if ctx.client.flags.contains(ClientFlags::DEBUGS_SCRIPTS) {
        return Err(CommandError::fixed("ERR Please use EVAL instead of EVALSHA for debugging"));
    }
    let keys = keys(ctx.int(2)?, ctx.argc())?;
    run(ctx, digest, keys)
}

/// Monitors see a script before its commands.
pub(super) fn show_monitors(ctx: &mut Ctx<'_>) {
    if !ctx.server.monitors.is_empty() {
        ctx.server.feed_monitors(ctx.client, ctx.row, ctx.argv);
    }
}

fn run(ctx: &mut Ctx<'_>, digest: Digest, keys: std::ops::Range<usize>) -> CommandResult {
    let script = ctx.server.scripting.cache.get(&digest).ok_or(NO_SCRIPT)?;
    let program = ctx.server.scripting.program(Kind::Eval, &script.function)?;
    let run = Run { kind: Kind::Eval, name: digest.to_vec(), flags: script.flags, program, keys };
    ctx.server.scripting.cache.touch(&digest);
    run.run(ctx)
}

/// Compiles a script and keeps it.
fn compile(server: &mut Server, digest: Digest, body: &[u8], keep: bool) -> CommandResult {
    let (flags, start) = of_script(body).map_err(|why| CommandError::text(format!("ERR {why}")))?;
    let vm = server.scripting.vm(Kind::Eval, server.config.lua_enable_insecure_api)?;
    let function = vm.compile(&body[start..]).and_then(|function| vm.keep(function)).map_err(|why| {
        CommandError::text(format!("ERR Error compiling script (new function): {}", crate::scripting::text::of(&why)))
    })?;
    server.stats.evicted_scripts += server.scripting.cache.insert(digest, body, flags, function, keep);
    Ok(())
}

fn load(ctx: &mut Ctx<'_>) -> CommandResult {
    let body = ctx.arg(2);
    let digest = sha1_hex(body);
    if ctx.server.scripting.cache.get(&digest).is_some() {
        ctx.server.scripting.cache.keep(&digest);
    } else {
        compile(ctx.server, digest, body, true)?;
    }
    ctx.reply().bulk(&digest);
    Ok(())
}

fn exists(ctx: &mut Ctx<'_>) -> CommandResult {
    let argv = ctx.argv;
    ctx.client.reply.array(argv.len() - 2);
    for text in argv.iter().skip(2) {
        let known = digest(text).is_some_and(|digest| ctx.server.scripting.cache.get(&digest).is_some());
        ctx.client.reply.int(i64::from(known));
    }
    Ok(())
}

fn show(ctx: &mut Ctx<'_>) -> CommandResult {
    let digest = digest(ctx.arg(2)).ok_or(NO_SCRIPT)?;
    let script = ctx.server.scripting.cache.get(&digest).ok_or(NO_SCRIPT)?;
    ctx.client.reply.bulk(&script.body);
    Ok(())
}

/// Whether a flush is to free on another thread, by its argument at 2.
pub(super) fn flushes_elsewhere(ctx: &Ctx<'_>, refusal: &'static str) -> Result<bool, CommandError> {
    match ctx.argc() {
        2 => Ok(ctx.server.config.lazyfree_lazy_user_flush),
        3 if ctx.is(2, "async") => Ok(true),
        3 if ctx.is(2, "sync") => Ok(false),
        _ => Err(CommandError::fixed(refusal)),
    }
}

fn flush(ctx: &mut Ctx<'_>) -> CommandResult {
    let elsewhere = flushes_elsewhere(ctx, "ERR SCRIPT FLUSH only support SYNC|ASYNC option")?;
    let retired = ctx.server.scripting.flush_scripts();
    ctx.server.free_retired(retired, elsewhere);
    ctx.reply().ok();
    Ok(())
}

/// SCRIPT KILL and FUNCTION KILL.
pub(super) fn kill(ctx: &mut Ctx<'_>, is_eval: bool) -> CommandResult {
    let Some(running) = &mut ctx.server.scripting.running else {
        return Err(CommandError::fixed("NOTBUSY No scripts in execution right now."));
    };
    if running.obeyed {
        return Err(CommandError::fixed(
            "UNKILLABLE The busy script was sent by a master instance in the context of replication and cannot be killed.",
        ));
    }
    if running.wrote {
        return Err(CommandError::fixed(
            "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.",
        ));
    }
    if running.is_eval != is_eval {
        return Err(super::dispatch::busy(running.is_eval));
    }
    running.killed = true;
    ctx.reply().ok();
    Ok(())
}

fn debug(ctx: &mut Ctx<'_>) -> CommandResult {
    if ctx.reply().pending() > 0 {
        return Err(CommandError::fixed("ERR SCRIPT DEBUG must be called outside a pipeline"));
    }
    match ctx.argc() {
        3 => {}
        4 if ctx.is(3, "lua") => {}
        4 => {
            return Err(CommandError::text(format!(
                "ERR No scripting engine found with name '{}' to enable debug",
                String::from_utf8_lossy(ctx.arg(3))
            )));
        }
        _ => return Err(help::refusal(ctx)),
    }
    let wanted = if ctx.is(2, "no") {
        ClientFlags::empty()
    } else if ctx.is(2, "yes") {
        ClientFlags::DEBUGS_SCRIPTS
    } else if ctx.is(2, "sync") {
        ClientFlags::DEBUGS_SCRIPTS | ClientFlags::DEBUGS_IN_SYNC
    } else {
        return Err(CommandError::fixed("ERR Use SCRIPT DEBUG YES/SYNC/NO"));
    };
    ctx.client.flags -= ClientFlags::DEBUGS_SCRIPTS | ClientFlags::DEBUGS_IN_SYNC;
    ctx.client.flags |= wanted;
    ctx.reply().ok();
    Ok(())
}
