//! What this server does not have answers as in a Valkey without it: CLUSTER, MODULE.

use super::config::container;
use super::{Command, CommandError, CommandResult, Ctx, Flags, Group, help};
use crate::client::ClientFlags;

const ADMIN: Flags = Flags::ADMIN.union(Flags::NOSCRIPT);
const CONNECTION: Flags = Flags::FAST.union(Flags::LOADING).union(Flags::STALE);
const NO_CLUSTER: CommandError = CommandError::fixed("ERR This instance has cluster support disabled");
const NO_MODULES: CommandError = CommandError::fixed("ERR This server does not load modules");

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("asking", 1, Group::Connection, |_| Err(NO_CLUSTER))
        .flags(Flags::FAST)
        .doc("3.0.0", "Is for servers in cluster mode, which this server does not have."),
    Command::new("cluster", -2, Group::Server, |_| Err(NO_CLUSTER))
        .flags(Flags::LOADING.union(Flags::STALE).union(Flags::NOSCRIPT))
        .doc("3.0.0", "Is for servers in cluster mode, which this server does not have."),
    Command::new("module", -2, Group::Server, container)
        .doc("4.0.0", "Is for modules, of which this server has none.")
        .subcommands(&[
            help::row(Group::Server, "5.0.0"),
            Command::new("list", 2, Group::Server, list).flags(ADMIN).doc("4.0.0", "Returns the loaded modules: none."),
            Command::new("load", -3, Group::Server, |_| Err(NO_MODULES))
                .flags(ADMIN.union(Flags::NO_ASYNC_LOADING).union(Flags::PROTECTED))
                .usage("<path> [<arg> ...]")
                .doc("4.0.0", "Is refused."),
            Command::new("loadex", -3, Group::Server, |_| Err(NO_MODULES))
                .flags(ADMIN.union(Flags::NO_ASYNC_LOADING).union(Flags::PROTECTED))
                .usage("<path> [CONFIG <name> <value> ...] [ARGS <arg> ...]")
                .doc("7.0.0", "Is refused."),
            Command::new("unload", 3, Group::Server, |_| {
                Err(CommandError::fixed("ERR Error unloading module: no such module with that name"))
            })
            .flags(ADMIN.union(Flags::NO_ASYNC_LOADING).union(Flags::PROTECTED))
            .usage("<name>")
            .doc("4.0.0", "Is refused."),
        ]),
    Command::new("readonly", 1, Group::Connection, |ctx| reads_here(ctx, true))
        .flags(CONNECTION)
        .doc("3.0.0", "Says that reads may be served by a replica."),
    Command::new("readwrite", 1, Group::Connection, |ctx| reads_here(ctx, false))
        .flags(CONNECTION)
        .doc("3.0.0", "Takes READONLY back."),
];

fn list(ctx: &mut Ctx<'_>) -> CommandResult {
    ctx.reply().array(0);
    Ok(())
}

fn reads_here(ctx: &mut Ctx<'_>, on: bool) -> CommandResult {
    ctx.client.flags.set(ClientFlags::READONLY_MODE, on);
    ctx.reply().ok();
    Ok(())
}
