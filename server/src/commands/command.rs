//! COMMAND: what the table of commands says of itself.

use super::docs;
use super::error::SYNTAX;
use super::key_spec;
use super::table::{self, Row};
use super::{Category, Command, CommandError, CommandResult, Ctx, Flags, Group, KeyUse, help};
use crate::glob;
use crate::resp::ReplyBuf;

const BASE: Flags = Flags::LOADING.union(Flags::STALE);

const fn sub(name: &'static str, arity: i16, handler: super::Handler) -> Command {
    Command::new(name, arity, Group::Server, handler).flags(BASE).acl(Category::CONNECTION)
}

/// The rows.
pub const COMMANDS: &[Command] = &[Command::new("command", -1, Group::Server, all)
    .flags(BASE)
    .acl(Category::CONNECTION)
    .doc("2.8.13", "Describes all commands.")
    .subcommands(&[
        sub("count", 2, count).doc("2.8.13", "Returns the number of commands."),
        sub("docs", -2, documentation).usage("[<command> ...]").doc("7.0.0", "Returns the documentation of commands."),
        sub("getkeys", -3, getkeys)
            .usage("<command> [<arg> ...]")
            .doc("2.8.13", "Returns the keys among the arguments of a command."),
        sub("getkeysandflags", -3, getkeysandflags)
            .usage("<command> [<arg> ...]")
            .doc("7.0.0", "Returns the keys among the arguments of a command, and what it does with each."),
        help::row(Group::Server, "5.0.0").acl(Category::CONNECTION),
        sub("info", -2, info).usage("[<command> ...]").doc("2.8.13", "Describes commands."),
        sub("list", -2, list)
            .usage("[FILTERBY (MODULE <name>|ACLCAT <category>|PATTERN <pattern>)]")
            .doc("7.0.0", "Returns the names of commands."),
    ])];

/// Commands that are no subcommands.
fn top_level() -> impl Iterator<Item = &'static Row> + Clone {
    table::rows().iter().filter(|row| !row.full_name.contains('|'))
}

fn all(ctx: &mut Ctx<'_>) -> CommandResult {
    let reply = ctx.reply();
    reply.array(top_level().count());
    top_level().for_each(|row| describe(reply, row));
    Ok(())
}

fn count(ctx: &mut Ctx<'_>) -> CommandResult {
    ctx.reply().int(top_level().count() as i64);
    Ok(())
}

fn info(ctx: &mut Ctx<'_>) -> CommandResult {
    if ctx.argc() == 2 {
        return all(ctx);
    }
    let argv = ctx.argv;
    let reply = ctx.reply();
    reply.array(argv.len() - 2);
    for name in argv.iter().skip(2) {
        match table::find_full(name) {
            Some(row) => describe(reply, row),
            None => reply.null(),
        }
    }
    Ok(())
}

/// One command as COMMAND and COMMAND INFO describe it.
fn describe(reply: &mut ReplyBuf, row: &Row) {
    let command = row.command;
    let (first, last, step) = command.keys.range();
    reply.array(10);
    reply.bulk(row.full_name.as_bytes());
    reply.int(i64::from(command.arity));
    words(reply, &flag_names(row));
    reply.int(first);
    reply.int(last);
    reply.int(step);
    words(reply, &category_names(command).map(|name| format!("@{name}")).collect::<Vec<_>>());
    let tips = docs::tips(row);
    reply.set(tips.len());
    // Unlike flags and categories, in Valkey too.
    tips.iter().for_each(|tip| reply.bulk(tip.as_bytes()));
    key_spec::describe(reply, row);
    reply.array(row.subcommands().count());
    row.subcommands().for_each(|sub| describe(reply, sub));
}

pub(super) fn words(reply: &mut ReplyBuf, words: &[impl AsRef<str>]) {
    reply.set(words.len());
    for word in words {
        reply.simple(word.as_ref());
    }
}

/// The flags that clients are told of, by their names.
fn flag_names(row: &Row) -> Vec<&'static str> {
    let names = [
        (Flags::WRITE, "write"),
        (Flags::READONLY, "readonly"),
        (Flags::DENYOOM, "denyoom"),
        (Flags::ADMIN, "admin"),
        (Flags::PUBSUB, "pubsub"),
        (Flags::NOSCRIPT, "noscript"),
        (Flags::BLOCKING, "blocking"),
        (Flags::LOADING, "loading"),
        (Flags::STALE, "stale"),
        (Flags::SKIP_MONITOR, "skip_monitor"),
        (Flags::SKIP_COMMANDLOG, "skip_commandlog"),
        (Flags::ASKING, "asking"),
        (Flags::FAST, "fast"),
        (Flags::NO_AUTH, "no_auth"),
        (Flags::NO_ASYNC_LOADING, "no_async_loading"),
        (Flags::NO_MULTI, "no_multi"),
        (Flags::NO_MANDATORY_KEYS, "no_mandatory_keys"),
        (Flags::MOVABLE_KEYS, "movablekeys"),
        (Flags::ALLOW_BUSY, "allow_busy"),
    ];
    names.into_iter().filter(|(flag, _)| row.command.flags.contains(*flag)).map(|(_, name)| name).collect()
}

/// The ACL categories of a command, without their `@`.
pub fn category_names(command: &Command) -> impl Iterator<Item = String> {
    command.categories().iter_names().map(|(name, _)| name.to_ascii_lowercase())
}

fn documentation(ctx: &mut Ctx<'_>) -> CommandResult {
    let argv = ctx.argv;
    let rows: Vec<&Row> = if argv.len() == 2 {
        top_level().collect()
    } else {
        argv.iter().skip(2).filter_map(table::find_full).collect()
    };
    let reply = ctx.reply();
    reply.map(rows.len());
    rows.into_iter().for_each(|row| docs::document(reply, row));
    Ok(())
}

fn list(ctx: &mut Ctx<'_>) -> CommandResult {
    let admits: Box<dyn Fn(&Row) -> bool> = match ctx.argc() {
        2 => Box::new(|_| true),
        5 if ctx.is(2, "filterby") => {
            let value = ctx.arg(4);
            if ctx.is(3, "module") {
                Box::new(|_| false)
            } else if ctx.is(3, "aclcat") {
                Box::new(move |row| category_names(row.command).any(|name| name.as_bytes().eq_ignore_ascii_case(value)))
            } else if ctx.is(3, "pattern") {
                Box::new(move |row| glob::matches(value, row.full_name.as_bytes(), true))
            } else {
                return Err(SYNTAX);
            }
        }
        _ => return Err(SYNTAX),
    };
    let names: Vec<&str> = table::rows().iter().filter(|row| admits(row)).map(|row| row.full_name.as_str()).collect();
    let reply = ctx.reply();
    reply.array(names.len());
    for name in names {
        reply.bulk(name.as_bytes());
    }
    Ok(())
}

/// The positions in `ctx.argv` of the keys of the command that the arguments hold, and what it does with each.
fn keys_of(ctx: &Ctx<'_>) -> Result<Vec<(usize, KeyUse)>, CommandError> {
    let call = ctx.argv.tail(2);
    let top = table::find(call.get(0));
    let is_container = |row: &Row| call.len() > 1 && row.subcommands().next().is_some();
    let row = top.and_then(|top| if is_container(top) { top.find_sub(call.get(1)) } else { Some(top) });
    let row = row.ok_or(CommandError::fixed("ERR Invalid command specified"))?;
    if !row.command.is_keyed() {
        return Err(CommandError::fixed("ERR The command has no key arguments"));
    }
    if !row.command.accepts(call.len()) {
        return Err(CommandError::fixed("ERR Invalid number of arguments specified for command"));
    }
    let keys: Vec<(usize, KeyUse)> = row.command.used_keys(call).map(|(i, key_use)| (i + 2, key_use)).collect();
    if keys.is_empty() && !row.command.flags.contains(Flags::NO_MANDATORY_KEYS) {
        return Err(CommandError::fixed("ERR Invalid arguments specified for command"));
    }
    Ok(keys)
}

fn getkeys(ctx: &mut Ctx<'_>) -> CommandResult {
    let keys = keys_of(ctx)?;
    let argv = ctx.argv;
    let reply = ctx.reply();
    reply.array(keys.len());
    keys.into_iter().for_each(|(i, _)| reply.bulk(argv.get(i)));
    Ok(())
}

fn getkeysandflags(ctx: &mut Ctx<'_>) -> CommandResult {
    let keys = keys_of(ctx)?;
    let argv = ctx.argv;
    let reply = ctx.reply();
    reply.array(keys.len());
    for (i, key_use) in keys {
        reply.array(2);
        reply.bulk(argv.get(i));
        words(reply, &key_use.names());
    }
    Ok(())
}
