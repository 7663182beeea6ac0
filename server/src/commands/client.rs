//! CLIENT: what a connection says of itself, and looking at and after connections.

use super::client_filter::Filter;
use super::client_tracking::{caching, getredir, tracking, trackinginfo};
use super::config::container;
use super::error::{NOT_INTEGER, SYNTAX};
use super::{Command, CommandError, CommandResult, Ctx, Flags, Group, connection, help};
use crate::client::blocked::Why;
use crate::client::{ClientFlags, ClientId};
use crate::resp::number::parse_i64;
use crate::server::pause::{Reason, Scope};

const BASE: Flags = Flags::NOSCRIPT.union(Flags::LOADING).union(Flags::STALE);
const BUSY: Flags = BASE.union(Flags::ALLOW_BUSY);
const ADMIN: Flags = BASE.union(Flags::ADMIN);

const fn row(name: &'static str, arity: i16, handler: super::Handler) -> Command {
    Command::new(name, arity, Group::Connection, handler)
}

/// The rows.
pub const COMMANDS: &[Command] = &[row("client", -2, container)
    .doc("2.4.0", "Looks at connections and at this one.")
    .subcommands(&[
        row("caching", 3, caching)
            .flags(BUSY)
            .usage("(YES|NO)")
            .doc("6.0.0", "Whether the keys of the next command are to be cached by the client."),
        row("capa", -3, capa)
            .flags(BUSY)
            .usage("<capability> [<capability> ...]")
            .doc("8.0.0", "Says what the client is capable of: REDIRECT to another server."),
        row("getname", 2, getname).flags(BUSY).doc("2.6.9", "Returns the connection's name."),
        row("getredir", 2, getredir)
            .flags(BUSY)
            .doc("6.0.0", "Returns the client that invalidations for this connection go to."),
        help::row(Group::Connection, "5.0.0"),
        row("id", 2, id).flags(BUSY).doc("5.0.0", "Returns the connection's number."),
        row("import-source", 3, import_source)
            .flags(BASE)
            .usage("(ON|OFF)")
            .doc("8.1.0", "Marks the connection as the source of an import."),
        row("info", 2, info).flags(BASE).doc("6.2.0", "Describes this connection."),
        row("kill", -3, kill)
            .flags(ADMIN)
            .usage("<ip:port> | [NOT-]<ID|ADDR|LADDR|IP|TYPE|USER|FLAGS|NAME|LIB-NAME|LIB-VER|DB|CAPA> <value> ... [MAXAGE <seconds>] [IDLE <seconds>] [SKIPME (YES|NO)]")
            .doc("2.4.0", "Closes connections."),
        row("list", -2, list)
            .flags(ADMIN)
            .usage("[[NOT-]<ID|ADDR|LADDR|IP|TYPE|USER|FLAGS|NAME|LIB-NAME|LIB-VER|DB|CAPA> <value> ...] [MAXAGE <seconds>] [IDLE <seconds>] [SKIPME (YES|NO)]")
            .doc("2.4.0", "Describes connections, a line each."),
        row("no-evict", 3, no_evict)
            .flags(ADMIN.union(Flags::ALLOW_BUSY))
            .usage("(ON|OFF)")
            .doc("7.0.0", "Keeps the connection when clients take too much memory."),
        row("no-touch", 3, no_touch)
            .flags(BUSY)
            .usage("(ON|OFF)")
            .doc("7.2.0", "Whether the connection's commands leave the keys' access times alone."),
        row("pause", -3, pause)
            .flags(ADMIN)
            .usage("<milliseconds> [WRITE|ALL]")
            .doc("3.0.0", "Holds commands, or only writes, for some time."),
        row("reply", 3, reply)
            .flags(BUSY.union(Flags::NO_MULTI))
            .usage("(ON|OFF|SKIP)")
            .doc("3.2.0", "Whether this connection's commands are answered."),
        row("setinfo", 4, setinfo)
            .flags(BUSY)
            .usage("(LIB-NAME|LIB-VER) <value>")
            .doc("7.2.0", "Names the client's library or its version."),
        row("setname", 3, setname).flags(BUSY).usage("<name>").doc("2.6.9", "Gives the connection a name."),
        row("tracking", -3, tracking)
            .flags(BASE)
            .usage("(ON|OFF) [REDIRECT <client-id>] [BCAST] [PREFIX <prefix> [PREFIX <prefix> ...]] [OPTIN] [OPTOUT] [NOLOOP]")
            .doc("6.0.0", "Turns client-side caching on or off: the client is told when keys change that it has read."),
        row("trackinginfo", 2, trackinginfo).flags(BASE).doc("6.2.0", "Describes this connection's client-side caching."),
        row("unblock", -3, unblock)
            .flags(ADMIN)
            .usage("<client-id> [TIMEOUT|ERROR]")
            .doc("5.0.0", "Ends another connection's waiting."),
        row("unpause", 2, unpause).flags(ADMIN).doc("6.2.0", "Ends CLIENT PAUSE."),
    ])];

fn id(ctx: &mut Ctx<'_>) -> CommandResult {
    let id = ctx.client.id as i64;
    ctx.reply().int(id);
    Ok(())
}

fn getname(ctx: &mut Ctx<'_>) -> CommandResult {
    let client = &mut *ctx.client;
    if client.name.is_empty() {
        client.reply.null()
    } else {
        client.reply.bulk(&client.name)
    }
    Ok(())
}

fn setname(ctx: &mut Ctx<'_>) -> CommandResult {
    connection::check_name(ctx.arg(2))?;
    ctx.client.name = ctx.arg(2).to_vec();
    ctx.reply().ok();
    Ok(())
}

fn setinfo(ctx: &mut Ctx<'_>) -> CommandResult {
    let value = ctx.arg(3).to_vec();
    let option = ctx.arg(2);
    let is_name = option.eq_ignore_ascii_case(b"lib-name");
    if !is_name && !option.eq_ignore_ascii_case(b"lib-ver") {
        return Err(CommandError::bytes([b"ERR Unrecognized option '", option, b"'"].concat()));
    }
    if connection::check_name(&value).is_err() {
        let text = [b"ERR ", option, b" cannot contain spaces, newlines or special characters."];
        return Err(CommandError::bytes(text.concat()));
    }
    *(if is_name { &mut ctx.client.lib_name } else { &mut ctx.client.lib_version }) = value;
    ctx.reply().ok();
    Ok(())
}

fn capa(ctx: &mut Ctx<'_>) -> CommandResult {
    // A capability that is not known is one that is not used.
    if (2..ctx.argc()).any(|i| ctx.is(i, "redirect")) {
        ctx.client.flags |= ClientFlags::CAPA_REDIRECT;
    }
    ctx.reply().ok();
    Ok(())
}

/// The argument as ON or OFF.
fn on_or_off(ctx: &Ctx<'_>, i: usize) -> Result<bool, CommandError> {
    match ctx.arg(i).to_ascii_lowercase().as_slice() {
        b"on" => Ok(true),
        b"off" => Ok(false),
        _ => Err(SYNTAX),
    }
}

fn no_evict(ctx: &mut Ctx<'_>) -> CommandResult {
    let on = on_or_off(ctx, 2)?;
    ctx.client.flags.set(ClientFlags::NO_EVICT, on);
    ctx.reply().ok();
    Ok(())
}

fn no_touch(ctx: &mut Ctx<'_>) -> CommandResult {
    let on = on_or_off(ctx, 2)?;
    ctx.client.flags.set(ClientFlags::NO_TOUCH, on);
    ctx.reply().ok();
    Ok(())
}

fn import_source(ctx: &mut Ctx<'_>) -> CommandResult {
    if !ctx.server.config.import_mode && !ctx.is(2, "off") {
        return Err(CommandError::fixed("ERR Server is not in import mode"));
    }
    let on = on_or_off(ctx, 2)?;
    ctx.client.flags.set(ClientFlags::IMPORT_SOURCE, on);
    ctx.reply().ok();
    Ok(())
}

fn reply(ctx: &mut Ctx<'_>) -> CommandResult {
    let client = &mut *ctx.client;
    match ctx.argv.get(2).to_ascii_lowercase().as_slice() {
        b"on" => {
            client.flags -= ClientFlags::REPLY_OFF | ClientFlags::REPLY_SKIP;
            client.reply.muted = false;
            client.reply.ok();
        }
        b"off" => {
            client.flags |= ClientFlags::REPLY_OFF;
            client.reply.muted = true;
        }
        b"skip" if client.flags.contains(ClientFlags::REPLY_OFF) => {}
        b"skip" => client.flags |= ClientFlags::REPLY_SKIP_NEXT,
        _ => return Err(SYNTAX),
    }
    Ok(())
}

/// Bytes of the arguments of the call under way.
fn argv_memory(ctx: &Ctx<'_>) -> usize {
    ctx.argv.iter().map(<[u8]>::len).sum()
}

fn info(ctx: &mut Ctx<'_>) -> CommandResult {
    let mut line = ctx.server.client_line(ctx.client, argv_memory(ctx));
    line.push(b'\n');
    ctx.reply().verbatim(&line);
    Ok(())
}

fn list(ctx: &mut Ctx<'_>) -> CommandResult {
    let filter = Filter::parse(ctx, 2)?;
    let now = ctx.server.now_ms();
    let own_arguments = argv_memory(ctx);
    let me = (filter.skip_me != Some(true)).then_some(&*ctx.client);
    let mut clients: Vec<_> = ctx.server.clients.iter().chain(me).filter(|c| filter.admits(c, now)).collect();
    clients.sort_unstable_by_key(|c| c.id);
    let mut text = Vec::new();
    for client in clients {
        let arguments = if client.id == ctx.client.id { own_arguments } else { 0 };
        text.extend_from_slice(&ctx.server.client_line(client, arguments));
        text.push(b'\n');
    }
    ctx.reply().verbatim(&text);
    Ok(())
}

fn kill(ctx: &mut Ctx<'_>) -> CommandResult {
    let old_form = ctx.argc() == 3;
    let filter = if old_form { Filter::address(ctx.arg(2)) } else { Filter::parse(ctx, 2)? };
    let now = ctx.server.now_ms();
    let mut doomed: Vec<ClientId> = ctx.server.clients.iter().filter(|c| filter.admits(c, now)).map(|c| c.id).collect();
    if filter.skip_me == Some(false) && filter.admits(ctx.client, now) {
        doomed.push(ctx.client.id);
    }
    for id in &doomed {
        if *id == ctx.client.id {
            // It still gets its answer.
            ctx.client.flags |= ClientFlags::CLOSE_AFTER_REPLY;
        } else {
            ctx.server.clients.close(*id);
        }
    }
    match (old_form, doomed.len()) {
        (true, 0) => return Err(CommandError::fixed("ERR No such client")),
        (true, _) => ctx.reply().ok(),
        (false, n) => ctx.reply().int(n as i64),
    }
    Ok(())
}

fn pause(ctx: &mut Ctx<'_>) -> CommandResult {
    let scope = match ctx.argc() {
        3 => Scope::All,
        4 if ctx.is(3, "write") => Scope::Writes,
        4 if ctx.is(3, "all") => Scope::All,
        4 => return Err(CommandError::fixed("ERR CLIENT PAUSE mode must be WRITE or ALL")),
        _ => return Err(SYNTAX),
    };
    let ms = parse_i64(ctx.arg(2)).ok_or(CommandError::fixed("ERR timeout is not an integer or out of range"))?;
    if ms < 0 {
        return Err(CommandError::fixed("ERR timeout is negative"));
    }
    let now = ctx.server.now_ms();
    let end = now.checked_add(ms).ok_or(CommandError::fixed("ERR timeout is out of range"))?;
    // A pause that is on may get longer, not shorter.
    let old = ctx.server.pauses.get(Reason::Client).filter(|(_, end)| *end > now);
    let end = old.map_or(end, |(_, old)| old.max(end));
    ctx.server.pause(Reason::Client, scope, end);
    ctx.reply().ok();
    Ok(())
}

fn unpause(ctx: &mut Ctx<'_>) -> CommandResult {
    ctx.server.unpause(Reason::Client);
    ctx.reply().ok();
    Ok(())
}

fn unblock(ctx: &mut Ctx<'_>) -> CommandResult {
    let error = match ctx.argc() {
        4 if ctx.is(3, "timeout") => false,
        4 if ctx.is(3, "error") => true,
        4 => return Err(CommandError::fixed("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")),
        // More is not looked at.
        _ => false,
    };
    let id = parse_i64(ctx.arg(2)).ok_or(NOT_INTEGER)?;
    let slot = ClientId::try_from(id).ok().and_then(|id| ctx.server.clients.slot_of(id));
    let waits_for = |slot: &u32| ctx.server.clients.get(*slot)?.blocked.as_ref().map(|b| &b.why);
    let unblockable = |slot: &u32| matches!(waits_for(slot), Some(why) if !matches!(why, Why::Shutdown));
    let Some(mut target) = slot.filter(unblockable).and_then(|slot| ctx.server.clients.take(slot)) else {
        ctx.reply().int(0);
        return Ok(());
    };
    if error {
        let refusal = CommandError::fixed("UNBLOCKED client unblocked via CLIENT UNBLOCK");
        ctx.server.stats.error(refusal.code());
        if let Some(row) = target.last_command {
            ctx.server.stats.command(row.id).rejected += 1;
        }
        target.reply.error(&refusal.0);
        ctx.server.unblock(&mut target);
    } else {
        ctx.server.give_up(&mut target);
    }
    ctx.server.clients.put_back(target);
    ctx.reply().int(1);
    Ok(())
}
