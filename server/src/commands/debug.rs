//! DEBUG: for tests of this server and of clients. `enable-debug-command` says who may use it.

use std::time::Duration;

use super::debug_data::{
    digest, digest_value, htstats, htstats_key, loadaof, object, populate, quicklist_packed_threshold, reload,
};
use super::debug_protocol::protocol;
use super::error::{NOT_FLOAT, NOT_INTEGER};
use super::{Command, CommandError, CommandResult, Ctx, Flags, Group, Handler, help};
use crate::config::Which;
use crate::data::table::{Resize, set_resize};
use crate::resp::number::{parse_f64, parse_i64};
use crate::{log_notice, log_warning};

/// The row.
pub const COMMANDS: &[Command] = &[Command::new("debug", -2, Group::Server, debug)
    .flags(Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::LOADING).union(Flags::STALE).union(Flags::PROTECTED))
    .doc("1.0.0", "Is for tests.")];

/// A subcommand. They are not commands of the table: nobody but DEBUG HELP tells of them.
struct Sub {
    name: &'static str,
    usage: &'static str,
    summary: &'static str,
    /// Least and most number of arguments, DEBUG and the subcommand's name included.
    arguments: std::ops::RangeInclusive<usize>,
    run: Handler,
}

const fn sub(
    name: &'static str,
    arguments: std::ops::RangeInclusive<usize>,
    run: Handler,
    usage: &'static str,
    summary: &'static str,
) -> Sub {
    Sub { name, usage, summary, arguments, run }
}

const ANY: usize = usize::MAX;

static SUBCOMMANDS: &[Sub] = &[
    sub(
        "aof-flush-sleep",
        3..=3,
        aof_flush_sleep,
        "<microseconds>",
        "How long to wait before the append-only file is written.",
    ),
    sub("assert", 2..=2, assert, "", "Crashes the server as by something that must never be."),
    sub("change-repl-id", 2..=2, change_repl_id, "", "Begins a replication history that continues nothing."),
    sub("client-enforce-reply-list", 3..=3, enforce_reply_list, "<0|1>", "Whether every answer counts as a long one."),
    sub(
        "config-rewrite-force-all",
        2..=2,
        |ctx| super::config::rewrite_as(ctx, Which::All),
        "",
        "Rewrites the configuration file with all directives, also those that have their default.",
    ),
    sub(
        "delay-rdb-client-free-seconds",
        3..=3,
        rdb_client_grace,
        "<seconds>",
        "How long the stream is kept for a replica that has its snapshot.",
    ),
    sub("dict-resizing", 3..=3, dict_resizing, "<0|1>", "Whether tables grow and shrink."),
    sub("digest", 2..=2, digest, "", "Returns a digest of the whole data set."),
    sub("digest-value", 2..=ANY, digest_value, "<key> [<key> ...]", "Returns digests of values."),
    sub("error", 3..=3, error, "<text>", "Answers with this error."),
    sub(
        "force-free-primary-async",
        3..=3,
        force_free_primary_async,
        "<0|1>",
        "Whether the connection to a former primary ends at the end of the turn, as it always does here.",
    ),
    sub("help", 2..=2, help_text, "", ""),
    sub("htstats", 3..=4, htstats, "<db> [full]", "Describes the tables of a database."),
    sub("htstats-key", 3..=4, htstats_key, "<key> [full]", "Describes the table of a value."),
    sub("loadaof", 2..=2, loadaof, "", "Writes the append-only file out and loads it again."),
    sub("log", 3..=3, log, "<text>", "Writes a line into the log."),
    sub("mallctl", 3..=3, mallctl, "<name>", "Returns a control of the allocator."),
    sub("object", 3..=4, object, "<key> [fast]", "Describes a key and its value."),
    sub("panic", 2..=2, panic, "", "Crashes the server by a failure of its own."),
    sub("pause-after-fork", 3..=3, pause_after_fork, "<0|1>", "Whether the server stops itself after each fork."),
    sub("pause-cron", 3..=3, pause_cron, "<0|1>", "Whether regular work is left undone."),
    sub("populate", 3..=5, populate, "<count> [<prefix>] [<size>]", "Makes strings, unknown to replicas."),
    sub(
        "protocol",
        3..=3,
        protocol,
        "<type>",
        "Answers with a reply of a type: string, integer, double, bignum, null, array, set, map, attrib, push, verbatim, true, false.",
    ),
    sub(
        "quicklist-packed-threshold",
        3..=3,
        quicklist_packed_threshold,
        "<size>",
        "From which size on an element of a list is kept alone; 0 for the usual.",
    ),
    sub(
        "reload",
        2..=5,
        reload,
        "[NOSAVE] [NOFLUSH] [MERGE]",
        "Saves a snapshot, drops all data, and loads it. NOSAVE loads the one there is, NOFLUSH drops nothing, MERGE takes the snapshot's keys where both have them.",
    ),
    sub("replicate", 3..=ANY, replicate, "<arg> [<arg> ...]", "Sends this to the replicas."),
    sub(
        "replybuffer",
        4..=4,
        replybuffer,
        "RESIZING <0|1>",
        "Whether buffers of answers change their size while nothing is written: here they never do.",
    ),
    sub("segfault", 2..=2, segfault, "", "Crashes the server as by a wild pointer."),
    sub("set-active-expire", 3..=3, set_active_expire, "<0|1>", "Whether expired keys are looked for."),
    sub(
        "set-disable-deny-scripts",
        3..=3,
        set_disable_deny_scripts,
        "<0|1>",
        "Whether scripts may call the commands that are not for them.",
    ),
    sub(
        "set-skip-checksum-validation",
        3..=3,
        set_skip_checksum,
        "<0|1>",
        "Whether checksums of snapshots and payloads are left aside.",
    ),
    sub("sleep", 3..=3, sleep, "<seconds>", "Has the server do nothing for a while."),
    sub("stringmatch-test", 2..=2, stringmatch_test, "", "Tries the matching of patterns on random texts."),
    sub("structsize", 2..=2, structsize, "", "Returns the sizes of structures."),
];

fn debug(ctx: &mut Ctx<'_>) -> CommandResult {
    let sub = SUBCOMMANDS.iter().find(|sub| ctx.is(1, sub.name) && sub.arguments.contains(&ctx.argc()));
    match sub {
        Some(sub) => {
            let result = (sub.run)(ctx);
            // What DEBUG does to the data, others are not to do after it.
            ctx.propagate_nothing();
            result
        }
        None => {
            let text: [&[u8]; 3] =
                [b"ERR unknown subcommand or wrong number of arguments for '", ctx.arg(1), b"'. Try DEBUG HELP."];
            Err(CommandError::bytes(text.concat()))
        }
    }
}

fn help_text(ctx: &mut Ctx<'_>) -> CommandResult {
    let shown = SUBCOMMANDS.iter().filter(|sub| sub.name != "help");
    help::lines(ctx, "debug", shown.map(|sub| (sub.name, sub.usage, sub.summary)));
    Ok(())
}

/// The argument as a switch: 0 is off.
fn switch(ctx: &Ctx<'_>) -> Result<bool, CommandError> {
    parse_i64(ctx.arg(2)).map(|n| n != 0).ok_or(NOT_INTEGER)
}

fn change_repl_id(ctx: &mut Ctx<'_>) -> CommandResult {
    log_notice!("Changing replication IDs after receiving change-repl-id");
    ctx.server.repl.history.restart();
    ctx.reply().ok();
    Ok(())
}

fn enforce_reply_list(ctx: &mut Ctx<'_>) -> CommandResult {
    ctx.server.debug.enforce_reply_list = switch(ctx)?;
    ctx.reply().ok();
    Ok(())
}

fn aof_flush_sleep(ctx: &mut Ctx<'_>) -> CommandResult {
    let micros = parse_i64(ctx.arg(2)).and_then(|n| u64::try_from(n).ok()).ok_or(NOT_INTEGER)?;
    ctx.server.debug.aof_flush_sleep = Duration::from_micros(micros);
    ctx.reply().ok();
    Ok(())
}

fn rdb_client_grace(ctx: &mut Ctx<'_>) -> CommandResult {
    let seconds = parse_i64(ctx.arg(2)).and_then(|n| u32::try_from(n).ok()).ok_or(NOT_INTEGER)?;
    ctx.server.debug.rdb_client_grace = Some(seconds);
    ctx.reply().ok();
    Ok(())
}

fn dict_resizing(ctx: &mut Ctx<'_>) -> CommandResult {
    set_resize(if switch(ctx)? { Resize::Allow } else { Resize::Forbid });
    ctx.reply().ok();
    Ok(())
}

fn error(ctx: &mut Ctx<'_>) -> CommandResult {
    Err(CommandError::bytes(ctx.arg(2).to_vec()))
}

fn log(ctx: &mut Ctx<'_>) -> CommandResult {
    log_warning!("DEBUG LOG: {}", String::from_utf8_lossy(ctx.arg(2)));
    ctx.reply().ok();
    Ok(())
}

/// Off is how it is; on changes nothing, as there is nothing to turn on.
fn replybuffer(ctx: &mut Ctx<'_>) -> CommandResult {
    if !ctx.is(2, "resizing") {
        return Err(CommandError::fixed("ERR DEBUG REPLYBUFFER knows only RESIZING here"));
    }
    parse_i64(ctx.arg(3)).ok_or(NOT_INTEGER)?;
    ctx.reply().ok();
    Ok(())
}

/// What the test of Valkey's own asks for is how this server does it anyway.
fn force_free_primary_async(ctx: &mut Ctx<'_>) -> CommandResult {
    switch(ctx)?;
    ctx.reply().ok();
    Ok(())
}

fn mallctl(ctx: &mut Ctx<'_>) -> CommandResult {
    let value = crate::memory::control(ctx.arg(2));
    let value = value.ok_or(CommandError::fixed("ERR The allocator has no such control"))?;
    ctx.reply().int(value);
    Ok(())
}

#[allow(clippy::panic)]
fn assert(_: &mut Ctx<'_>) -> CommandResult {
    panic!("=== ASSERTION FAILED === as DEBUG ASSERT asked");
}

#[allow(clippy::panic)]
fn panic(_: &mut Ctx<'_>) -> CommandResult {
    panic!("called by user request");
}

fn segfault(_: &mut Ctx<'_>) -> CommandResult {
    crate::crash::fault();
    Err(CommandError::fixed("ERR the server survived"))
}

fn pause_after_fork(ctx: &mut Ctx<'_>) -> CommandResult {
    ctx.server.debug.stop_after_fork = switch(ctx)?;
    ctx.reply().ok();
    Ok(())
}

fn pause_cron(ctx: &mut Ctx<'_>) -> CommandResult {
    ctx.server.debug.pause_cron = switch(ctx)?;
    ctx.reply().ok();
    Ok(())
}

fn replicate(ctx: &mut Ctx<'_>) -> CommandResult {
    let args: Vec<&[u8]> = ctx.argv.iter().skip(2).collect();
    ctx.propagate_as(&args);
    ctx.reply().ok();
    Ok(())
}

fn set_active_expire(ctx: &mut Ctx<'_>) -> CommandResult {
    ctx.server.active_expire = switch(ctx)?;
    ctx.reply().ok();
    Ok(())
}

fn set_disable_deny_scripts(ctx: &mut Ctx<'_>) -> CommandResult {
    ctx.server.scripting.any_command = switch(ctx)?;
    ctx.reply().ok();
    Ok(())
}

fn set_skip_checksum(ctx: &mut Ctx<'_>) -> CommandResult {
    ctx.server.skip_checksum = switch(ctx)?;
    ctx.reply().ok();
    Ok(())
}

fn sleep(ctx: &mut Ctx<'_>) -> CommandResult {
    let seconds = parse_f64(ctx.arg(2)).ok_or(NOT_FLOAT)?;
    std::thread::sleep(Duration::try_from_secs_f64(seconds).unwrap_or_default());
    ctx.reply().ok();
    Ok(())
}

/// Matches random patterns against random texts: what counts is that it ends, and without a crash.
fn stringmatch_test(ctx: &mut Ctx<'_>) -> CommandResult {
    for _ in 0..100_000 {
        let mut bytes = [0u8; 64];
        crate::sys::random_bytes(&mut bytes);
        let (pattern, text) = bytes.split_at(usize::from(bytes[0] % 64));
        crate::glob::matches(pattern, text, bytes[63] & 1 == 0);
    }
    ctx.reply().simple("Apparently the server did not crash: test passed");
    Ok(())
}

fn structsize(ctx: &mut Ctx<'_>) -> CommandResult {
    use crate::client::Client;
    use crate::data::{hash::Hash, list::List, set::Set, zset::Zset};
    let text = format!(
        "bits:{} client:{} list:{} set:{} hash:{} zset:{}",
        usize::BITS,
        size_of::<Client>(),
        size_of::<List>(),
        size_of::<Set>(),
        size_of::<Hash>(),
        size_of::<Zset>()
    );
    ctx.reply().simple(&text);
    Ok(())
}
