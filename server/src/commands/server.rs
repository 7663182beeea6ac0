//! The data set as a whole, and the time: DBSIZE, FLUSHDB, FLUSHALL, SWAPDB, TIME.

use super::error::{BAD_DB, SYNTAX};
use super::spec::Databases;
use super::{Category, Command, CommandError, CommandResult, Ctx, Flags, Group};
use crate::persistence::child::Purpose;
use crate::resp::number::parse_i64;

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("dbsize", 1, Group::Server, dbsize)
        .flags(Flags::READONLY.union(Flags::FAST))
        .acl(Category::KEYSPACE)
        .doc("1.0.0", "Returns the number of keys in the database."),
    Command::new("flushall", -1, Group::Server, flushall)
        .flags(Flags::WRITE)
        .databases(Databases::All)
        .acl(Category::KEYSPACE.union(Category::DANGEROUS))
        .doc("1.0.0", "Removes all keys from all databases."),
    Command::new("flushdb", -1, Group::Server, flushdb)
        .flags(Flags::WRITE)
        .acl(Category::KEYSPACE.union(Category::DANGEROUS))
        .doc("1.0.0", "Removes all keys from the database."),
    Command::new("swapdb", 3, Group::Server, swapdb)
        .flags(Flags::WRITE.union(Flags::FAST))
        .databases(Databases::Named(&[1, 2]))
        .acl(Category::KEYSPACE.union(Category::DANGEROUS))
        .doc("4.0.0", "Exchanges the contents of two databases."),
    Command::new("time", 1, Group::Server, time)
        .flags(Flags::LOADING.union(Flags::STALE).union(Flags::FAST))
        .doc("2.6.0", "Returns the server's time."),
];

fn dbsize(ctx: &mut Ctx<'_>) -> CommandResult {
    let len = ctx.db().len();
    ctx.reply().int(len as i64);
    Ok(())
}

/// `[ASYNC | SYNC]`: whether memory is freed in the background.
fn in_background(ctx: &Ctx<'_>) -> Result<bool, CommandError> {
    match ctx.argc() {
        1 => Ok(ctx.server.config.lazyfree_lazy_user_flush),
        2 if ctx.is(1, "async") => Ok(true),
        2 if ctx.is(1, "sync") => Ok(false),
        _ => Err(SYNTAX),
    }
}

fn flush(ctx: &mut Ctx<'_>, db: Option<usize>, background: bool) {
    let keyspace = &mut ctx.server.keyspace;
    let keys = db.map_or_else(|| keyspace.total_keys(), |db| keyspace.db(db).len());
    let garbage = keyspace.flush(db);
    keyspace.add_dirty(keys as u64);
    ctx.server.note_flush();
    if background {
        ctx.server.bio.free_garbage(garbage);
    }
    // Replicas get it even when nothing was here: they may hold something.
    ctx.force_propagation();
    ctx.reply().ok();
}

fn flushdb(ctx: &mut Ctx<'_>) -> CommandResult {
    let background = in_background(ctx)?;
    let db = ctx.client.db;
    flush(ctx, Some(db), background);
    Ok(())
}

fn flushall(ctx: &mut Ctx<'_>) -> CommandResult {
    let background = in_background(ctx)?;
    flush(ctx, None, background);
    // The snapshot that a child is writing is no longer wanted: replicas that wait for it ask again, and get the empty data set.
    let server = &mut *ctx.server;
    if let Some(child) = server.persistence.child.as_ref() {
        let unwanted = match child.purpose {
            Purpose::Snapshot { .. } => true,
            Purpose::Sockets => server.repl.transfer.is_some(),
            Purpose::AofRewrite => false,
        };
        if unwanted {
            crate::sys::kill(child.pid, libc::SIGUSR1);
        }
    }
    if !server.config.save.is_empty() {
        // A failure is logged, and INFO and the next writes tell of it.
        let _ = server.save_now();
    }
    Ok(())
}

fn swapdb(ctx: &mut Ctx<'_>) -> CommandResult {
    let index = |i: usize, refusal: &'static str| {
        parse_i64(ctx.arg(i)).filter(|n| i32::try_from(*n).is_ok()).ok_or(CommandError::fixed(refusal))
    };
    let a = index(1, "ERR invalid first DB index")?;
    let b = index(2, "ERR invalid second DB index")?;
    let db = |n: i64| usize::try_from(n).ok().filter(|n| *n < ctx.server.config.databases).ok_or(BAD_DB);
    let (a, b) = (db(a)?, db(b)?);
    ctx.keyspace().swap(a, b);
    ctx.keyspace().add_dirty(1);
    ctx.reply().ok();
    Ok(())
}

fn time(ctx: &mut Ctx<'_>) -> CommandResult {
    // Within a script or a transaction time stands still.
    let now = if ctx.server.nesting > 1 { ctx.server.clock_us } else { crate::sys::unix_us() };
    let reply = ctx.reply();
    reply.array(2);
    reply.bulk_int(now / 1_000_000);
    reply.bulk_int(now % 1_000_000);
    Ok(())
}
