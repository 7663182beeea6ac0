//! ACL: users and what they may do.

use super::command::category_names;
use super::config::container;
use super::error::NOT_INTEGER;
use super::table::{self, Row};
use super::{Category, Command, CommandError, CommandResult, Ctx, Flags, Group, help};
use crate::acl::selector::Selector;
use crate::acl::{Call, DEFAULT, is_name, save};
use crate::config::os_text;
use crate::log_warning;
use crate::resp::ReplyBuf;
use crate::resp::number::parse_i64;

const OPEN: Flags = Flags::NOSCRIPT.union(Flags::LOADING).union(Flags::STALE);
const ADMIN: Flags = OPEN.union(Flags::ADMIN);

/// Entries that ACL LOG returns when it is not told how many.
const LOG_ENTRIES: usize = 10;
/// The most bits of a password that GENPASS makes.
const MAX_BITS: i64 = 4096;

const NO_FILE: CommandError = CommandError::fixed(
    "ERR This instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a configuration file set) in order to store users in the configuration.",
);

const fn row(name: &'static str, arity: i16, handler: super::Handler) -> Command {
    Command::new(name, arity, Group::Server, handler).flags(ADMIN)
}

/// The rows.
pub const COMMANDS: &[Command] = &[Command::new("acl", -2, Group::Server, container)
    .doc("6.0.0", "Looks at users and what they may do, and changes it.")
    .subcommands(&[
        row("cat", -2, cat)
            .flags(OPEN)
            .usage("[<category>]")
            .doc("6.0.0", "Returns the categories, or a category's commands."),
        row("deluser", -3, deluser)
            .usage("<user> [<user> ...]")
            .doc("6.0.0", "Removes users and closes their connections."),
        row("dryrun", -4, dryrun)
            .usage("<user> <command> [<arg> ...]")
            .doc("7.0.0", "Returns whether a user may execute a command."),
        row("genpass", -2, genpass).flags(OPEN).usage("[<bits>]").doc("6.0.0", "Makes a random password."),
        row("getuser", 3, getuser).usage("<user>").doc("6.0.0", "Describes a user."),
        help::row(Group::Server, "6.0.0"),
        row("list", 2, list).doc("6.0.0", "Returns the users with their rules."),
        row("load", 2, load).doc("6.0.0", "Reads the file of users anew."),
        row("log", -2, log).usage("[<count> | RESET]").doc("6.0.0", "Returns what was denied lately, or forgets it."),
        row("save", 2, save_file).doc("6.0.0", "Writes the users into the file of users."),
        row("setuser", -3, setuser)
            .usage("<user> [<rule> ...]")
            .doc("6.0.0", "Makes a user, or changes one, by rules."),
        row("users", 2, users).doc("6.0.0", "Returns the names of users."),
        row("whoami", 2, whoami).flags(OPEN).doc("6.0.0", "Returns the name of the connection's user."),
    ])];

fn whoami(ctx: &mut Ctx<'_>) -> CommandResult {
    let client = &mut *ctx.client;
    match &client.user {
        Some(user) => client.reply.bulk(user.name()),
        None => client.reply.null(),
    }
    Ok(())
}

fn users(ctx: &mut Ctx<'_>) -> CommandResult {
    let reply = &mut ctx.client.reply;
    let users = ctx.server.acl.users();
    reply.array(users.len());
    users.for_each(|user| reply.bulk(user.name()));
    Ok(())
}

fn list(ctx: &mut Ctx<'_>) -> CommandResult {
    let lines = ctx.server.acl.lines();
    let reply = ctx.reply();
    reply.array(lines.len());
    lines.iter().for_each(|line| reply.bulk(&[b"user ", line.as_slice()].concat()));
    Ok(())
}

fn getuser(ctx: &mut Ctx<'_>) -> CommandResult {
    let reply = &mut ctx.client.reply;
    let Some(user) = ctx.server.acl.get(ctx.argv.get(2)) else {
        reply.null();
        return Ok(());
    };
    let rights = user.rights();
    reply.map(7);
    reply.bulk(b"flags");
    let flags = rights.flags();
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.bulk(flag.as_bytes()));
    reply.bulk(b"passwords");
    let passwords = rights.passwords();
    reply.array(passwords.len());
    passwords.for_each(|digest| reply.bulk(digest.as_bytes()));
    describe(reply, &rights.root);
    reply.bulk(b"selectors");
    reply.array(rights.selectors.len());
    for selector in &rights.selectors {
        reply.map(4);
        describe(reply, selector);
    }
    Ok(())
}

/// The four pairs that describe a selector.
fn describe(reply: &mut ReplyBuf, selector: &Selector) {
    let pairs = [
        ("commands", selector.describe_commands().into_bytes()),
        ("keys", selector.describe_keys()),
        ("channels", selector.describe_channels()),
        ("databases", selector.describe_databases().into_bytes()),
    ];
    for (name, value) in pairs {
        reply.bulk(name.as_bytes());
        reply.bulk(&value);
    }
}

fn setuser(ctx: &mut Ctx<'_>) -> CommandResult {
    let name = ctx.arg(2);
    if !is_name(name) {
        return Err(CommandError::fixed("ERR Usernames can't contain spaces or null characters"));
    }
    let rules: Vec<&[u8]> = ctx.argv.iter().skip(3).collect();
    ctx.server
        .set_user(ctx.client, name, &rules)
        .map_err(|error| CommandError::bytes([&b"ERR "[..], &error.text()].concat()))?;
    ctx.reply().ok();
    Ok(())
}

fn deluser(ctx: &mut Ctx<'_>) -> CommandResult {
    let names = ctx.argv.iter().skip(2);
    if names.clone().any(|name| name == DEFAULT) {
        return Err(CommandError::fixed("ERR The 'default' user cannot be removed"));
    }
    let deleted = names.filter(|name| ctx.server.remove_user(ctx.client, name)).count();
    ctx.reply().int(deleted as i64);
    Ok(())
}

fn load(ctx: &mut Ctx<'_>) -> CommandResult {
    if ctx.server.config.aclfile.is_empty() {
        return Err(NO_FILE);
    }
    ctx.server.load_users(Some(ctx.client)).map_err(|error| CommandError::bytes([&b"ERR "[..], &error.0].concat()))?;
    ctx.reply().ok();
    Ok(())
}

fn save_file(ctx: &mut Ctx<'_>) -> CommandResult {
    let server = &*ctx.server;
    if server.config.aclfile.is_empty() {
        return Err(NO_FILE);
    }
    if let Err(e) = save(&server.acl, &crate::persistence::snapshot::path_of(&server.config.aclfile)) {
        log_warning!("Writing ACL file for ACL SAVE: {}", os_text(&e));
        return Err(CommandError::fixed(
            "ERR There was an error trying to save the ACLs. Please check the server logs for more information",
        ));
    }
    ctx.reply().ok();
    Ok(())
}

fn dryrun(ctx: &mut Ctx<'_>) -> CommandResult {
    let name = ctx.arg(2);
    let user = ctx.server.acl.get(name).cloned();
    let user = user.ok_or_else(|| CommandError::bytes([b"ERR User '", name, b"' not found"].concat()))?;
    let argv = ctx.argv.tail(3);
    let missing = || CommandError::bytes([b"ERR Command '", argv.get(0), b"' not found"].concat());
    let row = table::find(argv.get(0)).ok_or_else(missing)?;
    let row = if row.subcommands().next().is_some() && argv.len() > 1 {
        row.find_sub(argv.get(1)).ok_or_else(missing)?
    } else {
        row
    };
    if !row.command.accepts(argv.len()) {
        return Err(super::error::wrong_arity(&row.full_name));
    }
    let call = Call { row, argv, db: ctx.client.db, databases: ctx.server.config.databases };
    match user.check(call) {
        Ok(()) => ctx.reply().ok(),
        Err(denied) => {
            let text = denied.text(user.name(), row, Some(denied.object(row, argv)));
            ctx.reply().bulk(&text);
        }
    }
    Ok(())
}

fn cat(ctx: &mut Ctx<'_>) -> CommandResult {
    let names: Vec<String> = match ctx.argc() {
        2 => Category::all().iter_names().map(|(name, _)| name.to_ascii_lowercase()).collect(),
        3 => {
            let wanted = ctx.arg(2);
            let known = Category::all().iter_names().any(|(name, _)| name.as_bytes().eq_ignore_ascii_case(wanted));
            if !known {
                return Err(CommandError::bytes([b"ERR Unknown category '", wanted, b"'"].concat()));
            }
            let among =
                |row: &&Row| category_names(row.command).any(|name| name.as_bytes().eq_ignore_ascii_case(wanted));
            table::rows().iter().filter(among).map(|row| row.full_name.clone()).collect()
        }
        _ => return Err(help::refusal(ctx)),
    };
    let reply = ctx.reply();
    reply.array(names.len());
    names.iter().for_each(|name| reply.bulk(name.as_bytes()));
    Ok(())
}

fn genpass(ctx: &mut Ctx<'_>) -> CommandResult {
    let bits = match ctx.argc() {
        2 => 256,
        3 => parse_i64(ctx.arg(2)).ok_or(NOT_INTEGER)?,
        _ => return Err(help::refusal(ctx)),
    };
    if !(1..=MAX_BITS).contains(&bits) {
        return Err(CommandError::text(format!(
            "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to {MAX_BITS}"
        )));
    }
    // A digit is four bits.
    let digits = (bits as usize).div_ceil(4);
    let mut raw = vec![0; digits];
    crate::sys::random_bytes(&mut raw);
    let text: Vec<u8> = raw.iter().map(|byte| b"0123456789abcdef"[usize::from(byte & 15)]).collect();
    ctx.reply().bulk(&text);
    Ok(())
}

fn log(ctx: &mut Ctx<'_>) -> CommandResult {
    let count = match ctx.argc() {
        2 => LOG_ENTRIES,
        3 if ctx.is(2, "reset") => {
            ctx.server.acl.log.clear();
            ctx.reply().ok();
            return Ok(());
        }
        3 => usize::try_from(ctx.int(2)?).unwrap_or(0),
        _ => return Err(help::refusal(ctx)),
    };
    let now = ctx.server.now_ms();
    let reply = &mut ctx.client.reply;
    let entries = ctx.server.acl.log.entries();
    reply.array(entries.len().min(count));
    for entry in entries.take(count) {
        let denial = &entry.denial;
        reply.map(10);
        reply.bulk(b"count");
        reply.int(entry.count as i64);
        for (name, value) in [
            ("reason", denial.reason.as_bytes()),
            ("context", denial.context.name().as_bytes()),
            ("object", &denial.object),
            ("username", &denial.user),
        ] {
            reply.bulk(name.as_bytes());
            reply.bulk(value);
        }
        reply.bulk(b"age-seconds");
        reply.double((now - entry.updated_ms) as f64 / 1000.0);
        reply.bulk(b"client-info");
        reply.bulk(&denial.client);
        for (name, value) in [
            ("entry-id", entry.id as i64),
            ("timestamp-created", entry.created_ms),
            ("timestamp-last-updated", entry.updated_ms),
        ] {
            reply.bulk(name.as_bytes());
            reply.int(value);
        }
    }
    Ok(())
}
