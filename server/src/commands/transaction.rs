//! Transactions: MULTI, EXEC, DISCARD, WATCH, UNWATCH.

use super::dispatch::call;
use super::{Command, CommandError, CommandResult, Ctx, Flags, Group, KeyUse, Keys, Row};
use crate::acl::Denied;
use crate::acl::log::Context;
use crate::client::{Client, ClientFlags, NAME_OVERHEAD, Transaction};
use crate::server::Server;

const BASE: Flags =
    Flags::NOSCRIPT.union(Flags::LOADING).union(Flags::STALE).union(Flags::ALLOW_BUSY).union(Flags::NOT_QUEUED);

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("multi", 1, Group::Transactions, multi)
        .flags(BASE.union(Flags::FAST).union(Flags::NO_MULTI))
        .doc("1.2.0", "Starts a transaction: commands are queued until EXEC."),
    Command::new("exec", 1, Group::Transactions, exec)
        .flags(BASE.union(Flags::SKIP_COMMANDLOG).difference(Flags::ALLOW_BUSY))
        .doc("1.2.0", "Executes the queued commands, all in a row."),
    Command::new("discard", 1, Group::Transactions, discard_command)
        .flags(BASE.union(Flags::FAST))
        .doc("2.0.0", "Drops the queued commands."),
    Command::new("watch", -2, Group::Transactions, watch)
        .flags(BASE.union(Flags::FAST).union(Flags::NO_MULTI))
        .keys(Keys::ALL)
        .uses(&[KeyUse::LOOKS])
        .doc("2.2.0", "Makes the next EXEC fail if one of the keys changes before it."),
    Command::new("unwatch", 1, Group::Transactions, unwatch)
        .flags(BASE.union(Flags::FAST).difference(Flags::NOT_QUEUED))
        .doc("2.2.0", "Forgets the watched keys."),
];

fn multi(ctx: &mut Ctx<'_>) -> CommandResult {
    ctx.client.transaction = Some(Transaction::default());
    ctx.reply().ok();
    Ok(())
}

/// Ends a transaction without executing it.
pub fn discard(server: &mut Server, client: &mut Client) {
    client.transaction = None;
    client.flags -= ClientFlags::DIRTY_EXEC;
    server.unwatch_all(client);
}

fn discard_command(ctx: &mut Ctx<'_>) -> CommandResult {
    if ctx.client.transaction.is_none() {
        return Err(CommandError::fixed("ERR DISCARD without MULTI"));
    }
    discard(ctx.server, ctx.client);
    ctx.reply().ok();
    Ok(())
}

fn exec(ctx: &mut Ctx<'_>) -> CommandResult {
    let Some(transaction) = ctx.client.transaction.take() else {
        return Err(CommandError::fixed("ERR EXEC without MULTI"));
    };
    let flags = ctx.client.flags;
    let expired = ctx.server.keyspace.watched_key_expired(ctx.client.id);
    discard(ctx.server, ctx.client);
    if flags.contains(ClientFlags::DIRTY_EXEC) {
        return Err(CommandError::fixed("EXECABORT Transaction discarded because of previous errors."));
    }
    if flags.contains(ClientFlags::DIRTY_CAS) || expired {
        ctx.reply().null_array();
        return Ok(());
    }
    ctx.client.flags |= ClientFlags::IN_EXEC;
    ctx.reply().array(transaction.queue.len());
    // What the commands propagate is collected and goes out as one transaction when EXEC ends.
    for (row, argv) in &transaction.queue {
        // The user may have changed since the command was queued.
        match ctx.server.check_permission(ctx.client, row, argv.argv(), Context::Multi) {
            Ok(()) => call(ctx.server, ctx.client, row, argv.argv()),
            Err(denied) => refuse_queued(ctx, row, denied),
        }
    }
    ctx.client.flags -= ClientFlags::IN_EXEC;
    // EXEC itself is not propagated: the dispatcher puts MULTI and EXEC around what it collected.
    ctx.propagate_nothing();
    Ok(())
}

/// Answers a queued command that is no longer allowed.
fn refuse_queued(ctx: &mut Ctx<'_>, row: &'static Row, denied: Denied) {
    let reason = match denied {
        Denied::Command => "no permission to execute the command or subcommand",
        Denied::Key(_) => "no permission to touch the specified keys",
        Denied::Channel(_) => "no permission to access one of the channels used as arguments",
        Denied::Database(_) => "no permission to access the database",
    };
    let error = CommandError::text(format!(
        "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is no longer allowed for the following reason: {reason}"
    ));
    super::dispatch::reject(ctx.server, ctx.client, Some(row), &error);
}

fn watch(ctx: &mut Ctx<'_>) -> CommandResult {
    for i in 1..ctx.argc() {
        let (db, key) = (ctx.client.db, ctx.arg(i));
        ctx.server.keyspace.watch(db, key, ctx.client.id);
        ctx.client.bookkeeping.watched += key.len() + NAME_OVERHEAD;
    }
    ctx.reply().ok();
    Ok(())
}

fn unwatch(ctx: &mut Ctx<'_>) -> CommandResult {
    ctx.server.unwatch_all(ctx.client);
    ctx.reply().ok();
    Ok(())
}
