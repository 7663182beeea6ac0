//! ACL: there is one user, `default`, who may do everything; `requirepass` is their password.

use super::command::category_names;
use super::config::container;
use super::error::{NOT_INTEGER, SYNTAX};
use super::table::{self, Row};
use super::{Category, Command, CommandError, CommandResult, Ctx, Flags, Group, help};
use crate::resp::number::parse_i64;

const OPEN: Flags = Flags::NOSCRIPT.union(Flags::LOADING).union(Flags::STALE);
const ADMIN: Flags = OPEN.union(Flags::ADMIN);

const ONE_USER: CommandError =
    CommandError::fixed("ERR This server has one user, 'default', whose password is set with 'requirepass'");
const NO_FILE: CommandError = CommandError::fixed("ERR This instance is not configured to use an ACL file.");

const fn row(name: &'static str, arity: i16, handler: super::Handler) -> Command {
    Command::new(name, arity, Group::Server, handler).flags(ADMIN)
}

/// The rows.
pub const COMMANDS: &[Command] = &[Command::new("acl", -2, Group::Server, container)
    .doc("6.0.0", "Looks at users and what they may do.")
    .subcommands(&[
        row("cat", -2, cat)
            .flags(OPEN)
            .usage("[<category>]")
            .doc("6.0.0", "Returns the categories, or a category's commands."),
        row("deluser", -3, deluser).usage("<user> [<user> ...]").doc("6.0.0", "Is refused: there is one user."),
        row("dryrun", -4, dryrun)
            .usage("<user> <command> [<arg> ...]")
            .doc("7.0.0", "Returns whether a user may execute a command."),
        row("genpass", -2, genpass).flags(OPEN).usage("[<bits>]").doc("6.0.0", "Makes a random password."),
        row("getuser", 3, getuser).usage("<user>").doc("6.0.0", "Describes a user."),
        help::row(Group::Server, "6.0.0"),
        row("list", 2, list).doc("6.0.0", "Returns the users with their rules."),
        row("load", 2, |_| Err(NO_FILE)).doc("6.0.0", "Is refused: there is no file of users."),
        row("log", -2, log)
            .usage("[<count> | RESET]")
            .doc("6.0.0", "Returns what was denied: nothing, for there are no rules."),
        row("save", 2, |_| Err(NO_FILE)).doc("6.0.0", "Is refused: there is no file of users."),
        row("setuser", -3, |_| Err(ONE_USER))
            .usage("<user> [<rule> ...]")
            .doc("6.0.0", "Is refused: there is one user."),
        row("users", 2, users).doc("6.0.0", "Returns the names of users."),
        row("whoami", 2, whoami).flags(OPEN).doc("6.0.0", "Returns the name of the connection's user."),
    ])];

fn whoami(ctx: &mut Ctx<'_>) -> CommandResult {
    let user = ctx.client.user();
    ctx.reply().bulk(user.as_bytes());
    Ok(())
}

fn users(ctx: &mut Ctx<'_>) -> CommandResult {
    let reply = ctx.reply();
    reply.array(1);
    reply.bulk(b"default");
    Ok(())
}

/// The SHA-256 of the password, in hexadecimal digits; `None` without one.
fn password_digest(ctx: &Ctx<'_>) -> Option<String> {
    use sha2::Digest;
    let password = &ctx.server.config.requirepass;
    let digest = sha2::Sha256::digest(password);
    (!password.is_empty()).then(|| digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn list(ctx: &mut Ctx<'_>) -> CommandResult {
    let password = password_digest(ctx).map_or("nopass".to_owned(), |digest| format!("#{digest}"));
    let reply = ctx.reply();
    reply.array(1);
    reply.bulk(format!("user default on {password} ~* &* +@all").as_bytes());
    Ok(())
}

fn getuser(ctx: &mut Ctx<'_>) -> CommandResult {
    if ctx.arg(2) != b"default" {
        ctx.reply().null();
        return Ok(());
    }
    let password = password_digest(ctx);
    let reply = ctx.reply();
    reply.map(7);
    reply.bulk(b"flags");
    reply.set(1 + usize::from(password.is_none()));
    reply.bulk(b"on");
    if password.is_none() {
        reply.bulk(b"nopass");
    }
    reply.bulk(b"passwords");
    reply.array(password.iter().len());
    password.iter().for_each(|digest| reply.bulk(digest.as_bytes()));
    for (name, value) in [("commands", "+@all"), ("keys", "~*"), ("channels", "&*"), ("databases", "alldbs")] {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"selectors");
    reply.array(0);
    Ok(())
}

fn deluser(ctx: &mut Ctx<'_>) -> CommandResult {
    if ctx.argv.iter().skip(2).any(|user| user == b"default") {
        return Err(CommandError::fixed("ERR The 'default' user cannot be removed"));
    }
    ctx.reply().int(0);
    Ok(())
}

fn dryrun(ctx: &mut Ctx<'_>) -> CommandResult {
    let user = ctx.arg(2);
    if user != b"default" {
        return Err(CommandError::bytes([b"ERR User '", user, b"' not found"].concat()));
    }
    let name = ctx.arg(3);
    let missing = || CommandError::bytes([b"ERR Command '", name, b"' not found"].concat());
    let row = table::find(name).ok_or_else(missing)?;
    let row = if row.subcommands().count() > 0 && ctx.argc() > 4 {
        row.find_sub(ctx.arg(4)).ok_or_else(missing)?
    } else {
        row
    };
    if !row.command.accepts(ctx.argc() - 3) {
        return Err(super::error::wrong_arity(&row.full_name));
    }
    ctx.reply().ok();
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
    if !(1..=4096).contains(&bits) {
        return Err(CommandError::fixed(
            "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096",
        ));
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
    match ctx.argc() {
        2 => ctx.reply().array(0),
        3 if ctx.is(2, "reset") => ctx.reply().ok(),
        3 => {
            parse_i64(ctx.arg(2)).ok_or(NOT_INTEGER)?;
            ctx.reply().array(0);
        }
        _ => return Err(SYNTAX),
    }
    Ok(())
}
