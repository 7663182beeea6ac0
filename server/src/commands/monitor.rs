//! MONITOR.

use super::{Command, CommandError, CommandResult, Ctx, Flags, Group};
use crate::client::ClientFlags;

/// The row.
pub const COMMANDS: &[Command] = &[Command::new("monitor", 1, Group::Server, monitor)
    .flags(Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::LOADING).union(Flags::STALE))
    .doc("1.0.0", "Shows every command that the server executes from now on.")];

fn monitor(ctx: &mut Ctx<'_>) -> CommandResult {
    if ctx.client.flags.contains(ClientFlags::IN_EXEC) {
        return Err(CommandError::fixed("ERR MONITOR isn't allowed for DENY BLOCKING client"));
    }
    if !ctx.client.flags.contains(ClientFlags::MONITOR) {
        ctx.client.flags |= ClientFlags::MONITOR;
        ctx.server.monitors.push(ctx.client.id);
    }
    ctx.reply().ok();
    Ok(())
}
