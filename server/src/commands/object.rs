//! OBJECT: how the value of a key is kept, and how it was used.

use super::config::container;
use super::{Command, CommandError, CommandResult, Ctx, Flags, Group, KeyUse, Keys, help};
use crate::data::entry::Entry;
use crate::keyspace::Lookup;

/// The key stands after the subcommand's name.
const KEY: Keys = Keys::Range { first: 2, last: 2, step: 1 };

/// The rows.
pub const COMMANDS: &[Command] = &[Command::new("object", -2, Group::Generic, container)
    .doc("2.2.3", "A container of commands that look into values.")
    .subcommands(&[
        Command::new("encoding", 3, Group::Generic, encoding)
            .flags(Flags::READONLY)
            .usage("<key>")
            .keys(KEY)
            .uses(&[KeyUse::LOOKS])
            .doc("2.2.3", "Returns how the value of a key is encoded."),
        Command::new("freq", 3, Group::Generic, freq)
            .flags(Flags::READONLY)
            .usage("<key>")
            .keys(KEY)
            .uses(&[KeyUse::LOOKS])
            .doc("4.0.0", "Returns how often a key was used, as a logarithm that decays."),
        Command::new("idletime", 3, Group::Generic, idletime)
            .flags(Flags::READONLY)
            .usage("<key>")
            .keys(KEY)
            .uses(&[KeyUse::LOOKS])
            .doc("2.2.3", "Returns how many seconds ago a key was last used."),
        Command::new("refcount", 3, Group::Generic, refcount)
            .flags(Flags::READONLY)
            .usage("<key>")
            .keys(KEY)
            .uses(&[KeyUse::LOOKS])
            .doc("2.2.3", "Returns how many references to the value there are."),
        help::row(Group::Generic, "6.2.0"),
    ])];

/// Looks at the entry of a key without using it; answers null if there is none.
fn look<R>(ctx: &mut Ctx<'_>, at: impl FnOnce(&Entry) -> R) -> Option<R> {
    let key = ctx.arg(2);
    let (db, reply) = ctx.db_and_reply();
    let seen = db.read_with(key, Lookup { touch: false, notify: false, ..Lookup::READ }).map(at);
    if seen.is_none() {
        reply.null();
    }
    seen
}

fn encoding(ctx: &mut Ctx<'_>) -> CommandResult {
    if let Some(name) = look(ctx, Entry::encoding) {
        ctx.reply().bulk(name.as_bytes());
    }
    Ok(())
}

fn refcount(ctx: &mut Ctx<'_>) -> CommandResult {
    // Values are never shared.
    if look(ctx, |_| ()).is_some() {
        ctx.reply().int(1);
    }
    Ok(())
}

fn idletime(ctx: &mut Ctx<'_>) -> CommandResult {
    let Some(access) = look(ctx, Entry::access) else { return Ok(()) };
    if ctx.server.config.maxmemory_policy.is_lfu() {
        return Err(CommandError::fixed(
            "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.",
        ));
    }
    let idle = ctx.db().idle_seconds(access);
    ctx.reply().int(idle.into());
    Ok(())
}

fn freq(ctx: &mut Ctx<'_>) -> CommandResult {
    let Some(access) = look(ctx, Entry::access) else { return Ok(()) };
    if !ctx.server.config.maxmemory_policy.is_lfu() {
        return Err(CommandError::fixed(
            "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.",
        ));
    }
    let frequency = ctx.db().frequency(access);
    ctx.reply().int(frequency.into());
    Ok(())
}
