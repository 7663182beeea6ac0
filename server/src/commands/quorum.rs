//! QUORUM, the operator's side of the lease: what it decides by, and what it tells an instance.

use super::error::{NOT_POSITIVE, SYNTAX};
use super::replication::{CONTROL, host_of};
use super::{Command, CommandError, CommandResult, Ctx, Flags, Group};
use crate::client::ClientFlags;
use crate::config;
use crate::log_notice;
use crate::replication::primary::replica_name;
use crate::replication::quorum::{CLOSED, Guard};
use crate::sys::boottime_ms;

/// The rows.
pub const COMMANDS: &[Command] = &[Command::new("quorum", -2, Group::Server, quorum_help)
    .flags(CONTROL)
    .doc("9.1.0", "The operator's side of the lease: state, votes, and commands that are fenced by run id and term.")
    .subcommands(&[
        Command::new("state", 2, Group::Server, quorum_state)
            .flags(CONTROL)
            .doc("9.1.0", "Everything the operator decides by, in one reply."),
        Command::new("promote", 7, Group::Server, quorum_promote)
            .flags(CONTROL.difference(Flags::LOADING))
            .doc("9.1.0", "Detaches and becomes primary of an epoch, with the guard on."),
        Command::new("follow", 6, Group::Server, quorum_follow)
            .flags(CONTROL.difference(Flags::LOADING))
            .doc("9.1.0", "Follows a primary."),
        Command::new("guard", -5, Group::Server, quorum_guard)
            .flags(CONTROL)
            .doc("9.1.0", "Puts the guard on or lifts it."),
        Command::new("hold", 4, Group::Server, quorum_hold)
            .flags(CONTROL)
            .doc("9.1.0", "Has the writes of clients wait for a second: this replica is about to become primary."),
        Command::new("dismiss", 4, Group::Server, quorum_dismiss)
            .flags(CONTROL)
            .doc("9.1.0", "Sends the clients away that came while this replica was primary: another one is now."),
        Command::new("try", 4, Group::Server, quorum_try)
            .flags(CONTROL)
            .doc("9.1.0", "Whether a configuration file could have a directive with this value; changes nothing."),
        Command::new("vote", 5, Group::Server, quorum_vote)
            .flags(CONTROL)
            .doc("9.1.0", "The operator's vote for the primary of an epoch."),
    ])];

fn quorum_help(_: &mut Ctx<'_>) -> CommandResult {
    Err(SYNTAX)
}

/// Refuses a command that was decided for another life of this server, or follows from an older record than one seen.
fn fenced(ctx: &mut Ctx<'_>) -> Result<(), CommandError> {
    if ctx.arg(2) != ctx.server.run_id.as_bytes() {
        return Err(CommandError::text(format!("STALE This is run {}", ctx.server.run_id)));
    }
    let term = u64::try_from(ctx.int(3)?).map_err(|_| NOT_POSITIVE)?;
    let seen = ctx.server.repl.quorum.term;
    if term < seen {
        return Err(CommandError::text(format!("STALE A command of term {seen} came before")));
    }
    ctx.server.repl.quorum.term = term;
    Ok(())
}

fn quorum_promote(ctx: &mut Ctx<'_>) -> CommandResult {
    let epoch = ctx.natural(4)? as u64;
    let (votes, acks) = (ctx.natural(5)?, ctx.natural(6)?);
    if !ctx.server.repl.quorum.whole || ctx.server.loading.progress.is_some() {
        return Err(CommandError::fixed(
            "NOTWHOLE The data set is not complete: a full sync is under way or was broken off",
        ));
    }
    if epoch < ctx.server.repl.quorum.epoch {
        return Err(CommandError::text(format!(
            "STALE This instance has been in epoch {}",
            ctx.server.repl.quorum.epoch
        )));
    }
    fenced(ctx)?;
    let already = ctx.server.is_primary() && ctx.server.repl.quorum.epoch == epoch;
    if !already {
        // Detach first: from here on nothing of an older epoch is acknowledged.
        let offset = ctx.server.repl.offset();
        ctx.server.become_primary();
        if votes == CLOSED {
            ctx.server.hold_writes();
        }
        let q = &mut ctx.server.repl.quorum;
        q.clear_votes();
        q.epoch = epoch;
        q.guard = Some(Guard { votes, acks, since_offset: offset });
        log_notice!("Primary of epoch {epoch} by the operator's word: {votes} votes of others needed to write.");
    }
    ctx.reply().ok();
    Ok(())
}

fn quorum_follow(ctx: &mut Ctx<'_>) -> CommandResult {
    let port = u16::try_from(ctx.int(5)?).map_err(|_| CommandError::fixed("ERR Invalid master port"))?;
    let host = host_of(ctx.arg(4))?;
    fenced(ctx)?;
    let same = ctx.server.repl.link.as_ref().is_some_and(|l| l.host == host && l.port == port);
    if !same {
        ctx.server.repl.quorum.clear_votes();
        ctx.server.become_replica_of(&host, port);
        log_notice!("Following {host}:{port} by the operator's word.");
    }
    ctx.reply().ok();
    Ok(())
}

fn quorum_guard(ctx: &mut Ctx<'_>) -> CommandResult {
    let on = match (ctx.is(4, "on"), ctx.is(4, "off"), ctx.argc()) {
        (true, _, 7) => Some((ctx.natural(5)?, ctx.natural(6)?)),
        (_, true, 5) => None,
        _ => return Err(SYNTAX),
    };
    fenced(ctx)?;
    let offset = ctx.server.repl.offset();
    let guard = &mut ctx.server.repl.quorum.guard;
    *guard = match (on, *guard) {
        // Already on: what was answered before it was put on stays the same.
        (Some((votes, acks)), Some(g)) => Some(Guard { votes, acks, ..g }),
        (Some((votes, acks)), None) => Some(Guard { votes, acks, since_offset: offset }),
        (None, _) => None,
    };
    // Votes are asked for at once: clients wait for them.
    ctx.server.repl.quorum.ask_at_once();
    ctx.server.end_hold_when_open();
    ctx.server.note_acknowledgement();
    ctx.reply().ok();
    Ok(())
}

fn quorum_hold(ctx: &mut Ctx<'_>) -> CommandResult {
    fenced(ctx)?;
    ctx.server.hold_writes();
    ctx.reply().ok();
    Ok(())
}

fn quorum_dismiss(ctx: &mut Ctx<'_>) -> CommandResult {
    fenced(ctx)?;
    if ctx.server.is_primary() {
        return Err(CommandError::fixed("ERR This instance is primary: its clients are where they should be"));
    }
    let me = ctx.client.id;
    ctx.server.dismiss_former_clients(me);
    ctx.reply().ok();
    Ok(())
}

fn quorum_try(ctx: &mut Ctx<'_>) -> CommandResult {
    let tried = config::try_line(ctx.arg(2), ctx.arg(3));
    let (directive, config) = tried.map_err(|reason| CommandError::text(format!("ERR {reason}")))?;
    ctx.server.could_start(directive, &config).map_err(|why| CommandError::text(format!("ERR {why}")))?;
    ctx.reply().ok();
    Ok(())
}

fn quorum_vote(ctx: &mut Ctx<'_>) -> CommandResult {
    if ctx.arg(2) != ctx.server.run_id.as_bytes() {
        return Err(CommandError::text(format!("STALE This is run {}", ctx.server.run_id)));
    }
    let (epoch, token) = (ctx.natural(3)? as u64, ctx.natural(4)? as u64);
    if !ctx.server.is_primary() || epoch != ctx.server.repl.quorum.epoch {
        return Err(CommandError::fixed("STALE This instance is not the primary of that epoch"));
    }
    ctx.server.repl.quorum.operator_voted(token);
    ctx.server.end_hold_when_open();
    ctx.reply().ok();
    Ok(())
}

fn quorum_state(ctx: &mut Ctx<'_>) -> CommandResult {
    // Only the operator asks, whoever it is logged in as.
    ctx.client.flags -= ClientFlags::UNPROVEN;
    let server = &*ctx.server;
    let q = &server.repl.quorum;
    let h = &server.repl.history;
    let keys = server.keyspace.total_keys();
    let timeout = server.config.primary_quorum_timeout;
    let writable = server.is_primary() && q.has_quorum(timeout) && server.loading.progress.is_none();
    let link = server.repl.link.as_ref();
    let link_state = match link {
        None => "none",
        Some(l) if l.is_up() => "up",
        Some(l) if l.is_receiving() => "sync",
        Some(l) if l.stream.is_some() => "connecting",
        Some(_) => "down",
    };
    let link_since = link.map_or(0, |l| if l.is_up() { 0 } else { server.now_ms() - l.down_since_ms });
    let guard = q.guard;
    let acked = server.repl.acknowledged_by(&server.clients, guard.map_or(1, |g| g.acks.max(1)));
    let on_off = if guard.is_some() { "on" } else { "off" };
    let replicas: Vec<(String, &'static str, u64, i64)> = server
        .repl
        .replicas
        .iter()
        .filter_map(|id| server.clients.by_id(*id))
        .filter_map(|c| {
            let r = c.replica.as_ref()?;
            Some((replica_name(c), r.phase_name(), r.ack_offset, server.now_ms() - r.ack_ms))
        })
        .collect();
    let fields: Vec<(&str, String)> = vec![
        ("run-id", server.run_id.clone()),
        ("role", if server.is_primary() { "primary" } else { "replica" }.to_owned()),
        ("term", q.term.to_string()),
        ("epoch", q.epoch.to_string()),
        ("guard", on_off.to_owned()),
        ("votes", guard.map_or(0, |g| g.votes).to_string()),
        ("acks", guard.map_or(0, |g| g.acks).to_string()),
        ("token", boottime_ms().to_string()),
        ("writable", if writable { "yes" } else { "no" }.to_owned()),
        ("guard-offset", guard.map_or(0, |g| g.since_offset).to_string()),
        ("acked-offset", acked.to_string()),
        ("replid", String::from_utf8_lossy(&h.id).into_owned()),
        ("replid2", String::from_utf8_lossy(&h.id2).into_owned()),
        ("second-offset", h.second_offset().to_string()),
        ("offset", h.offset.to_string()),
        ("primary-host", link.map_or(String::new(), |l| l.host.clone())),
        ("primary-port", link.map_or(0, |l| l.port).to_string()),
        ("link", link_state.to_owned()),
        ("link-since-ms", link_since.to_string()),
        ("whole", if q.whole { "yes" } else { "no" }.to_owned()),
        ("loading", if server.loading.progress.is_some() { "yes" } else { "no" }.to_owned()),
        ("keys", keys.to_string()),
        ("failover", if server.repl.failover.is_some() { "yes" } else { "no" }.to_owned()),
        ("former-clients", if server.repl.former_clients.is_some() { "yes" } else { "no" }.to_owned()),
    ];
    let reply = &mut ctx.client.reply;
    reply.map(fields.len() + 1);
    for (name, value) in &fields {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"replicas");
    reply.array(replicas.len());
    for (name, phase, offset, lag) in replicas {
        let (ip, port) = name.rsplit_once(':').unwrap_or((&name, "0"));
        reply.array(5);
        reply.bulk(ip.as_bytes());
        reply.bulk(port.as_bytes());
        reply.bulk(phase.as_bytes());
        reply.bulk_int(offset as i64);
        reply.bulk_int(lag);
    }
    Ok(())
}
