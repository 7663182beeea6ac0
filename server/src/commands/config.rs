//! CONFIG.

use super::{Command, CommandError, CommandResult, Ctx, Flags, Group, help};
use crate::acl::Acl;
use crate::config::{Circumstances, SetError, Users, Which, os_text, rewrite};
use crate::server::Server;
use crate::words;
use crate::{log_notice, log_warning};

const ADMIN: Flags = Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::LOADING).union(Flags::STALE);

/// The rows.
pub const COMMANDS: &[Command] = &[Command::new("config", -2, Group::Server, container)
    .doc("2.0.0", "Reads and changes the configuration.")
    .subcommands(&[
        Command::new("get", -3, Group::Server, get)
            .flags(ADMIN)
            .usage("<pattern> [<pattern> ...]")
            .doc("2.0.0", "Returns the directives whose names match, with their values."),
        help::row(Group::Server, "5.0.0"),
        Command::new("resetstat", 2, Group::Server, resetstat)
            .flags(ADMIN)
            .doc("2.0.0", "Sets the counters that INFO shows to zero."),
        Command::new("rewrite", 2, Group::Server, rewrite_file)
            .flags(ADMIN)
            .doc("2.8.0", "Writes the configuration in force into the configuration file."),
        Command::new("set", -4, Group::Server, set)
            .flags(ADMIN)
            .usage("<directive> <value> [<directive> <value> ...]")
            .doc("2.0.0", "Sets directives, all of them or none."),
    ])];

/// The function of containers: a call always names a subcommand, which has its own.
pub fn container(_: &mut Ctx<'_>) -> CommandResult {
    Err(super::error::SYNTAX)
}

fn get(ctx: &mut Ctx<'_>) -> CommandResult {
    let patterns: Vec<&[u8]> = ctx.argv.iter().skip(2).collect();
    let found = ctx.server.config.get(&patterns);
    let reply = ctx.reply();
    reply.map(found.len());
    for (name, value) in found {
        reply.bulk(&name);
        reply.bulk(&value);
    }
    Ok(())
}

fn set(ctx: &mut Ctx<'_>) -> CommandResult {
    if ctx.argc() % 2 == 1 {
        return Err(super::error::SYNTAX);
    }
    let pairs: Vec<(&[u8], &[u8])> = (2..ctx.argc()).step_by(2).map(|i| (ctx.arg(i), ctx.arg(i + 1))).collect();
    let circumstances = Circumstances {
        client_is_local: ctx.client.stream.as_ref().is_some_and(|s| s.is_local()),
        loading: ctx.server.loading.progress.is_some(),
    };
    set_all(ctx.server, &pairs, circumstances).map_err(|e| match e {
        SetError::Loading => CommandError::fixed("LOADING Valkey is loading the dataset in memory"),
        e => CommandError::bytes([&b"ERR "[..], &e.text()].concat()),
    })?;
    ctx.reply().ok();
    Ok(())
}

/// Sets directives and has their owners act; when one of them can't, everything is as before.
fn set_all(server: &mut Server, pairs: &[(&[u8], &[u8])], circumstances: Circumstances) -> Result<(), SetError> {
    let change = server.config.set(pairs, circumstances)?;
    for (i, (effect, directive)) in change.effects.iter().enumerate() {
        let Err(why) = server.apply(*effect) else { continue };
        server.config.restore(change.before);
        for (done, directive) in &change.effects[..=i] {
            if let Err(why) = server.apply(*done) {
                log_warning!("Failed restoring failed CONFIG SET command. Error setting '{directive}': {why}");
            }
        }
        server.update_expiry_rule();
        let why = if *directive == "bind" { "Failed to bind to specified addresses.".to_owned() } else { why };
        return Err(SetError::failed(directive, why));
    }
    // Depends on directives that have no effect of their own.
    server.update_expiry_rule();
    Ok(())
}

fn resetstat(ctx: &mut Ctx<'_>) -> CommandResult {
    ctx.server.reset_stats();
    ctx.reply().ok();
    Ok(())
}

/// What stands after `user` in the configuration file. Words that the file would split are quoted.
fn user_lines(acl: &Acl) -> Vec<Vec<u8>> {
    let quoted =
        |line: Vec<u8>| line.split(|byte| *byte == b' ').map(words::quote_if_needed).collect::<Vec<_>>().join(&b' ');
    acl.lines().into_iter().map(quoted).collect()
}

fn rewrite_file(ctx: &mut Ctx<'_>) -> CommandResult {
    rewrite_as(ctx, Which::Needed)
}

/// Rewrites the configuration file that the server was started with.
pub fn rewrite_as(ctx: &mut Ctx<'_>, which: Which) -> CommandResult {
    let Some(path) = &ctx.server.config_file else {
        return Err(CommandError::fixed("ERR The server is running without a config file"));
    };
    let lines = user_lines(&ctx.server.acl);
    let in_file = !ctx.server.config.aclfile.is_empty();
    let users = if in_file { Users::InAclFile } else { Users::Here(&lines) };
    if let Err(e) = rewrite(path, &ctx.server.config, users, which) {
        log_warning!("CONFIG REWRITE failed: {e}");
        return Err(CommandError::text(format!("ERR Rewriting config file: {}", os_text(&e))));
    }
    log_notice!("CONFIG REWRITE executed with success.");
    ctx.reply().ok();
    Ok(())
}
