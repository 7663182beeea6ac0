//! MODULE, which answers as in a Valkey without modules, and refuses to load any.

use super::config::container;
use super::{Command, CommandError, CommandResult, Ctx, Flags, Group, help};

const ADMIN: Flags = Flags::ADMIN.union(Flags::NOSCRIPT);
const NO_MODULES: CommandError = CommandError::fixed("ERR This server does not load modules");

/// The row.
pub const COMMANDS: &[Command] = &[Command::new("module", -2, Group::Server, container)
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
    ])];

fn list(ctx: &mut Ctx<'_>) -> CommandResult {
    ctx.reply().array(0);
    Ok(())
}
