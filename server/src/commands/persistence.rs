//! SAVE, BGSAVE, LASTSAVE, BGREWRITEAOF, SHUTDOWN.

use super::error::SYNTAX;
use super::{Category, Command, CommandError, CommandResult, Ctx, Flags, Group};
use crate::client::blocked::Why;
use crate::config::ShutdownOptions;
use crate::persistence::child::Purpose;
use crate::{log_notice, log_warning};

const ADMIN: Flags = Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::NO_ASYNC_LOADING);

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("bgrewriteaof", 1, Group::Server, bgrewriteaof)
        .flags(ADMIN)
        .doc("1.0.0", "Rewrites the append-only file in the background."),
    Command::new("bgsave", -1, Group::Server, bgsave).flags(ADMIN).doc("1.0.0", "Saves a snapshot in the background."),
    Command::new("lastsave", 1, Group::Server, lastsave)
        .flags(Flags::LOADING.union(Flags::STALE).union(Flags::FAST))
        .acl(Category::ADMIN.union(Category::DANGEROUS))
        .doc("1.0.0", "Returns the Unix time of the last snapshot that succeeded."),
    Command::new("save", 1, Group::Server, save)
        .flags(ADMIN.union(Flags::NO_MULTI))
        .doc("1.0.0", "Saves a snapshot while everybody waits."),
    Command::new("shutdown", -1, Group::Server, shutdown)
        .flags(
            Flags::ADMIN
                .union(Flags::NOSCRIPT)
                .union(Flags::LOADING)
                .union(Flags::STALE)
                .union(Flags::NO_MULTI)
                .union(Flags::ALLOW_BUSY),
        )
        .doc("1.0.0", "Saves, if that is configured, and ends the server."),
];

const IN_PROGRESS: CommandError = CommandError::fixed("ERR Background save already in progress");

fn saves_already(ctx: &Ctx<'_>) -> bool {
    ctx.server
        .persistence
        .child
        .as_ref()
        .is_some_and(|c| matches!(c.purpose, Purpose::Snapshot { .. } | Purpose::Sockets))
}

fn save(ctx: &mut Ctx<'_>) -> CommandResult {
    if saves_already(ctx) {
        return Err(IN_PROGRESS);
    }
    ctx.server.save_now().map_err(|why| CommandError::text(format!("ERR {why}")))?;
    ctx.reply().ok();
    Ok(())
}

fn bgsave(ctx: &mut Ctx<'_>) -> CommandResult {
    let (mut schedule, mut cancel) = (false, false);
    match ctx.argc() {
        1 => {}
        2 if ctx.is(1, "schedule") => schedule = true,
        2 if ctx.is(1, "cancel") => cancel = true,
        _ => return Err(SYNTAX),
    }
    if cancel {
        return cancel_save(ctx);
    }
    if saves_already(ctx) {
        return Err(IN_PROGRESS);
    }
    let amid = ctx.server.is_amid_transaction();
    if ctx.server.persistence.child.is_some() || amid {
        if !schedule && !amid {
            return Err(CommandError::fixed(
                "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to schedule a BGSAVE whenever possible.",
            ));
        }
        ctx.server.persistence.rdb.scheduled = true;
        ctx.reply().simple("Background saving scheduled");
        return Ok(());
    }
    ctx.server.bgsave().map_err(|e| CommandError::text(format!("ERR Can't save in background: {e}")))?;
    ctx.reply().simple("Background saving started");
    Ok(())
}

/// Ends a snapshot to disk that is being written, or the plan to write one.
fn cancel_save(ctx: &mut Ctx<'_>) -> CommandResult {
    let persistence = &mut ctx.server.persistence;
    if let Some(child) = persistence.child.as_ref().filter(|c| matches!(c.purpose, Purpose::Snapshot { .. })) {
        log_notice!("Background saving will be aborted due to user request");
        // A death by this signal is no failure of the disk.
        crate::sys::kill(child.pid, libc::SIGUSR1);
        ctx.reply().simple("Background saving cancelled");
    } else if persistence.rdb.scheduled {
        persistence.rdb.scheduled = false;
        ctx.reply().simple("Scheduled background saving cancelled");
    } else {
        return Err(CommandError::fixed("ERR Background saving is currently not in progress or scheduled"));
    }
    Ok(())
}

fn bgrewriteaof(ctx: &mut Ctx<'_>) -> CommandResult {
    let amid = ctx.server.is_amid_transaction();
    let persistence = &mut ctx.server.persistence;
    match &persistence.child {
        Some(child) if matches!(child.purpose, Purpose::AofRewrite) => {
            return Err(CommandError::fixed("ERR Background append only file rewriting already in progress"));
        }
        child if child.is_some() || amid => {
            persistence.aof.rewrite_scheduled = true;
            ctx.reply().simple("Background append only file rewriting scheduled");
        }
        _ => {
            ctx.server.rewrite_aof().map_err(|why| {
                log_warning!("{why}");
                CommandError::fixed(
                    "ERR Can't execute an AOF background rewriting. Please check the server logs for more information.",
                )
            })?;
            ctx.reply().simple("Background append only file rewriting started");
        }
    }
    Ok(())
}

fn lastsave(ctx: &mut Ctx<'_>) -> CommandResult {
    let time = ctx.server.persistence.rdb.last_save;
    ctx.reply().int(time);
    Ok(())
}

fn shutdown(ctx: &mut Ctx<'_>) -> CommandResult {
    let mut options = ShutdownOptions::default();
    let mut abort = false;
    for i in 1..ctx.argc() {
        let words = [
            ("nosave", ShutdownOptions::NOSAVE),
            ("save", ShutdownOptions::SAVE),
            ("now", ShutdownOptions::NOW),
            ("force", ShutdownOptions::FORCE),
            ("safe", ShutdownOptions::SAFE),
            ("failover", ShutdownOptions::FAILOVER),
        ];
        match words.iter().find(|(word, _)| ctx.is(i, word)) {
            Some((_, option)) => options |= *option,
            None if ctx.is(i, "abort") => abort = true,
            None => return Err(SYNTAX),
        }
    }
    if (abort && options != ShutdownOptions::default())
        || (options.has(ShutdownOptions::SAVE) && options.has(ShutdownOptions::NOSAVE))
    {
        return Err(SYNTAX);
    }
    if options.has(ShutdownOptions::FAILOVER) {
        return Err(CommandError::fixed("ERR SHUTDOWN FAILOVER is only supported in cluster mode."));
    }
    if abort {
        if !ctx.server.abort_shutdown() {
            return Err(CommandError::fixed("ERR No shutdown in progress."));
        }
        ctx.reply().ok();
        return Ok(());
    }
    if let Some(running) = ctx.server.scripting.running.as_ref().filter(|running| running.busy.is_some()) {
        // What is half done is not saved, and replicas are not waited for.
        if !options.has(ShutdownOptions::NOSAVE) {
            return Err(super::dispatch::busy(running.is_eval));
        }
        options |= ShutdownOptions::NOW;
    }
    if !options.has(ShutdownOptions::NOW) && ctx.client.flags.contains(crate::client::ClientFlags::IN_EXEC) {
        return Err(CommandError::fixed("ERR SHUTDOWN without NOW or ABORT isn't allowed for DENY BLOCKING client"));
    }
    if !ctx.server.begin_shutdown(options, Some(ctx.client.id)) {
        return Err(CommandError::fixed("ERR Errors trying to SHUTDOWN. Check logs."));
    }
    if ctx.server.shutdown.is_some() {
        ctx.server.block(ctx.client, Why::Shutdown, None);
    }
    Ok(())
}
