//! COMMANDLOG and SLOWLOG: calls that took long, and requests and replies that were large.

use super::config::container;
use super::{Command, CommandError, CommandResult, Ctx, Flags, Group, help};
use crate::resp::number::parse_i64;
use crate::server::commandlog::Kind;

const FLAGS: Flags = Flags::ADMIN.union(Flags::LOADING).union(Flags::STALE);
const TYPES: &str = "<slow|large-request|large-reply>";

const fn row(name: &'static str, arity: i16, handler: super::Handler) -> Command {
    Command::new(name, arity, Group::Server, handler)
}

/// The rows.
pub const COMMANDS: &[Command] = &[
    row("commandlog", -2, container).doc("8.1.0", "Looks at the logs of calls.").subcommands(&[
        row("get", 4, |ctx| {
            let count = count(ctx, 2)?;
            let kind = kind(ctx, 3)?;
            get(ctx, kind, count)
        })
        .flags(FLAGS)
        .usage("<count> <slow|large-request|large-reply>")
        .doc("8.1.0", "Returns the newest entries of a log, all for a count of -1: number, Unix time, microseconds or bytes, arguments, the client's address and name."),
        help::row(Group::Server, "8.1.0"),
        row("len", 3, |ctx| {
            let kind = kind(ctx, 2)?;
            len(ctx, kind)
        })
        .flags(FLAGS)
        .usage(TYPES)
        .doc("8.1.0", "Returns the number of entries of a log."),
        row("reset", 3, |ctx| {
            let kind = kind(ctx, 2)?;
            reset(ctx, kind)
        })
        .flags(FLAGS)
        .usage(TYPES)
        .doc("8.1.0", "Removes the entries of a log."),
    ]),
    row("slowlog", -2, container).doc("2.2.12", "Looks at the log of calls that took long.").subcommands(&[
        row("get", -2, |ctx| {
            if ctx.argc() > 3 {
                return Err(help::refusal(ctx));
            }
            let count = if ctx.argc() == 3 { count(ctx, 2)? } else { 10 };
            get(ctx, Kind::Slow, count)
        })
        .flags(FLAGS)
        .usage("[<count>]")
        .doc("2.2.12", "Returns the newest entries, ten if not told otherwise, all for a count of -1: number, Unix time, microseconds, arguments, the client's address and name."),
        help::row(Group::Server, "6.2.0"),
        row("len", 2, |ctx| len(ctx, Kind::Slow)).flags(FLAGS).doc("2.2.12", "Returns the number of entries."),
        row("reset", 2, |ctx| reset(ctx, Kind::Slow)).flags(FLAGS).doc("2.2.12", "Removes the entries."),
    ]),
];

fn kind(ctx: &Ctx<'_>, i: usize) -> Result<Kind, CommandError> {
    let kinds = [("slow", Kind::Slow), ("large-request", Kind::LargeRequest), ("large-reply", Kind::LargeReply)];
    kinds
        .into_iter()
        .find(|(word, _)| ctx.is(i, word))
        .map(|(_, kind)| kind)
        .ok_or(CommandError::fixed("ERR type should be one of the following: slow, large-request, large-reply"))
}

/// How many entries are wanted; -1: all.
fn count(ctx: &Ctx<'_>, i: usize) -> Result<usize, CommandError> {
    match parse_i64(ctx.arg(i)) {
        Some(-1) => Ok(usize::MAX),
        Some(n) if n >= 0 => Ok(n as usize),
        _ => Err(CommandError::fixed("ERR count should be greater than or equal to -1")),
    }
}

fn get(ctx: &mut Ctx<'_>, kind: Kind, count: usize) -> CommandResult {
    let entries = ctx.server.commandlog.entries(kind);
    let reply = &mut ctx.client.reply;
    reply.array(entries.len().min(count));
    for entry in entries.iter().take(count) {
        reply.array(6);
        reply.int(entry.id as i64);
        reply.int(entry.time);
        reply.int(entry.value as i64);
        reply.array(entry.args.len());
        entry.args.iter().for_each(|arg| reply.bulk(arg));
        reply.bulk(entry.peer.as_bytes());
        reply.bulk(&entry.name);
    }
    Ok(())
}

fn len(ctx: &mut Ctx<'_>, kind: Kind) -> CommandResult {
    let len = ctx.server.commandlog.entries(kind).len();
    ctx.reply().int(len as i64);
    Ok(())
}

fn reset(ctx: &mut Ctx<'_>, kind: Kind) -> CommandResult {
    ctx.server.commandlog.reset(kind);
    ctx.reply().ok();
    Ok(())
}
