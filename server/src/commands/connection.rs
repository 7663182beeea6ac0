//! The connection itself: PING, ECHO, AUTH, HELLO, SELECT, QUIT, RESET.

use super::error::SYNTAX;
use super::keys::database;
use super::spec::Databases;
use super::{Command, CommandError, CommandResult, Ctx, Flags, Group};
use crate::client::ClientFlags;
use crate::resp::number::parse_i64;
use crate::server::{REDIS_VERSION, VALKEY_VERSION};

const LOGIN: Flags = Flags::NOSCRIPT
    .union(Flags::LOADING)
    .union(Flags::STALE)
    .union(Flags::FAST)
    .union(Flags::NO_AUTH)
    .union(Flags::ALLOW_BUSY);

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("ping", -1, Group::Connection, ping).flags(Flags::FAST).doc("1.0.0", "Returns PONG, or its argument."),
    Command::new("echo", 2, Group::Connection, echo)
        .flags(Flags::LOADING.union(Flags::STALE).union(Flags::FAST))
        .doc("1.0.0", "Returns its argument."),
    Command::new("auth", -2, Group::Connection, auth).flags(LOGIN).doc("1.0.0", "Gives a password."),
    Command::new("hello", -1, Group::Connection, hello)
        .flags(LOGIN)
        .doc("6.0.0", "Chooses the protocol version, with a password if one is needed."),
    Command::new("select", 2, Group::Connection, select)
        .flags(Flags::LOADING.union(Flags::STALE).union(Flags::FAST).union(Flags::ALLOW_BUSY))
        .databases(Databases::Named(&[1]))
        .doc("1.0.0", "Chooses the database."),
    Command::new("quit", -1, Group::Connection, quit)
        .flags(LOGIN.union(Flags::NOT_QUEUED))
        .doc("1.0.0", "Closes the connection."),
    Command::new("reset", 1, Group::Connection, reset)
        .flags(LOGIN.union(Flags::NOT_QUEUED))
        .doc("6.2.0", "Puts the connection into the state of a new one."),
];

fn ping(ctx: &mut Ctx<'_>) -> CommandResult {
    if ctx.argc() > 2 {
        return Err(super::error::wrong_arity("ping"));
    }
    let argument = (ctx.argc() == 2).then(|| ctx.arg(1));
    let subscribed = ctx.client.in_pubsub_mode();
    let reply = ctx.reply();
    match (subscribed, argument) {
        (true, argument) => {
            reply.array(2);
            reply.bulk(b"pong");
            reply.bulk(argument.unwrap_or_default());
        }
        (false, None) => reply.simple("PONG"),
        (false, Some(text)) => reply.bulk(text),
    }
    Ok(())
}

fn echo(ctx: &mut Ctx<'_>) -> CommandResult {
    let text = ctx.arg(1);
    ctx.reply().bulk(text);
    Ok(())
}

fn log_in(ctx: &mut Ctx<'_>, user: &[u8], password: &[u8]) -> CommandResult {
    if ctx.server.log_in(ctx.client, ctx.argv.get(0), user, password) {
        return Ok(());
    }
    Err(CommandError::fixed("WRONGPASS invalid username-password pair or user is disabled."))
}

fn auth(ctx: &mut Ctx<'_>) -> CommandResult {
    if ctx.argc() > 3 {
        return Err(SYNTAX);
    }
    let (user, password) = if ctx.argc() == 3 { (ctx.arg(1), ctx.arg(2)) } else { (&b"default"[..], ctx.arg(1)) };
    if ctx.argc() == 2 && ctx.server.acl.default_user().rights().nopass {
        return Err(CommandError::fixed(
            "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
        ));
    }
    log_in(ctx, user, password)?;
    ctx.reply().ok();
    Ok(())
}

fn hello(ctx: &mut Ctx<'_>) -> CommandResult {
    let mut proto = None;
    let mut i = 1;
    if ctx.argc() > 1 {
        let n = parse_i64(ctx.arg(1))
            .ok_or(CommandError::fixed("ERR Protocol version is not an integer or out of range"))?;
        if !(2..=3).contains(&n) {
            return Err(CommandError::fixed("NOPROTO unsupported protocol version"));
        }
        proto = Some(n as u8);
        i = 2;
    }
    let (mut name, mut credentials) = (None, None);
    while i < ctx.argc() {
        if ctx.is(i, "auth") && i + 2 < ctx.argc() {
            credentials = Some((ctx.arg(i + 1), ctx.arg(i + 2)));
            i += 3;
        } else if ctx.is(i, "setname") && i + 1 < ctx.argc() {
            name = Some(ctx.arg(i + 1));
            check_name(ctx.arg(i + 1))?;
            i += 2;
        } else {
            let mut text = b"ERR Syntax error in HELLO option '".to_vec();
            text.extend_from_slice(ctx.arg(i));
            text.push(b'\'');
            return Err(CommandError::bytes(text));
        }
    }
    // The last AUTH counts.
    if let Some((user, password)) = credentials {
        log_in(ctx, user, password)?;
    }
    if ctx.server.must_log_in(ctx.client) {
        return Err(CommandError::fixed(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
        ));
    }
    if let Some(proto) = proto {
        ctx.client.reply.proto = proto;
    }
    if let Some(name) = name {
        ctx.client.name = name.to_vec();
    }
    let redis = ctx.server.config.extended_redis_compatibility;
    let role: &[u8] = if ctx.server.is_primary() { b"master" } else { b"replica" };
    let id = ctx.client.id as i64;
    let zone = &ctx.server.config.availability_zone;
    let reply = &mut ctx.client.reply;
    let proto = i64::from(reply.proto);
    reply.map(7 + usize::from(!zone.is_empty()));
    reply.bulk(b"server");
    reply.bulk(if redis { b"redis" } else { b"valkey" });
    reply.bulk(b"version");
    reply.bulk(if redis { REDIS_VERSION } else { VALKEY_VERSION }.as_bytes());
    reply.bulk(b"proto");
    reply.int(proto);
    reply.bulk(b"id");
    reply.int(id);
    reply.bulk(b"mode");
    reply.bulk(b"standalone");
    reply.bulk(b"role");
    reply.bulk(role);
    reply.bulk(b"modules");
    reply.array(0);
    if !zone.is_empty() {
        reply.bulk(b"availability_zone");
        reply.bulk(zone);
    }
    Ok(())
}

fn select(ctx: &mut Ctx<'_>) -> CommandResult {
    ctx.client.db = database(ctx, 1)?;
    ctx.reply().ok();
    Ok(())
}

fn quit(ctx: &mut Ctx<'_>) -> CommandResult {
    ctx.reply().ok();
    ctx.client.flags |= ClientFlags::CLOSE_AFTER_REPLY;
    Ok(())
}

fn reset(ctx: &mut Ctx<'_>) -> CommandResult {
    super::transaction::discard(ctx.server, ctx.client);
    ctx.server.forget_subscriptions(ctx.client);
    ctx.server.stop_tracking(ctx.client);
    let id = ctx.client.id;
    ctx.server.monitors.retain(|m| *m != id);
    let client = &mut *ctx.client;
    client.flags -= ClientFlags::MONITOR
        | ClientFlags::REPLY_OFF
        | ClientFlags::REPLY_SKIP
        | ClientFlags::REPLY_SKIP_NEXT
        | ClientFlags::NO_EVICT
        | ClientFlags::NO_TOUCH
        | ClientFlags::IMPORT_SOURCE
        | ClientFlags::READONLY_MODE;
    client.db = 0;
    client.name.clear();
    client.reply.proto = 2;
    client.reply.muted = false;
    ctx.server.set_default_user(client);
    client.reply.simple("RESET");
    Ok(())
}

/// Whether a connection may have this name: printable, without spaces.
///
/// # Errors
/// Valkey's text.
pub fn check_name(name: &[u8]) -> CommandResult {
    if name.iter().all(|c| (b'!'..=b'~').contains(c)) {
        Ok(())
    } else {
        Err(CommandError::fixed("ERR Client names cannot contain spaces, newlines or special characters."))
    }
}
