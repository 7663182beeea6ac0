//! Replication's commands: REPLICAOF, PSYNC, REPLCONF, ROLE, WAIT, FAILOVER.

use super::error::{NOT_INTEGER, NOT_POSITIVE, SYNTAX};
use super::{Command, CommandError, CommandResult, Ctx, Flags, Group};
use crate::client::ClientFlags;
use crate::client::blocked::Why;
use crate::replication::primary::{ReplicaPhase, replica_name};
use crate::resp::number::parse_i64;
use crate::{log_notice, log_warning};

pub(super) const CONTROL: Flags = Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::STALE).union(Flags::LOADING);

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("replicaof", 3, Group::Server, replicaof)
        .flags(Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::STALE).union(Flags::NO_ASYNC_LOADING))
        .doc("5.0.0", "Makes the server follow a primary, or with NO ONE become a primary."),
    Command::new("slaveof", 3, Group::Server, replicaof)
        .flags(Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::STALE).union(Flags::NO_ASYNC_LOADING))
        .doc("1.0.0", "The old name of REPLICAOF."),
    Command::new("psync", -3, Group::Server, psync)
        .flags(Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::NO_MULTI).union(Flags::NO_ASYNC_LOADING))
        .doc("2.8.0", "Used by a replica to continue the stream or to get a snapshot."),
    Command::new("sync", 1, Group::Server, sync)
        .flags(Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::NO_MULTI).union(Flags::NO_ASYNC_LOADING))
        .doc("1.0.0", "Used by an old replica to get a snapshot."),
    Command::new("replconf", -1, Group::Server, replconf)
        .flags(CONTROL.union(Flags::ALLOW_BUSY))
        .doc("3.0.0", "Used between replica and primary to tell each other about themselves."),
    Command::new("role", 1, Group::Server, role)
        .flags(Flags::NOSCRIPT.union(Flags::LOADING).union(Flags::STALE).union(Flags::FAST))
        .acl(super::Category::ADMIN.union(super::Category::DANGEROUS))
        .doc("2.8.12", "Returns the server's role in replication."),
    Command::new("wait", 3, Group::Generic, wait)
        .flags(Flags::BLOCKING)
        .acl_instead_of_group(super::Category::CONNECTION)
        .doc("3.0.0", "Waits until replicas acknowledged the writes of this connection."),
    Command::new("waitaof", 4, Group::Generic, waitaof)
        .flags(Flags::BLOCKING)
        .acl_instead_of_group(super::Category::CONNECTION)
        .doc("7.2.0", "Waits until the writes of this connection are on disk, here and on replicas."),
    Command::new("failover", -1, Group::Server, failover)
        .flags(Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::STALE))
        .doc("6.2.0", "Hands the role of primary over to a replica without losing a write."),
];

fn replicaof(ctx: &mut Ctx<'_>) -> CommandResult {
    if ctx.server.repl.failover.is_some() {
        return Err(CommandError::fixed("ERR REPLICAOF not allowed while failing over."));
    }
    if ctx.is(1, "no") && ctx.is(2, "one") {
        if !ctx.server.is_primary() {
            ctx.server.become_primary();
            log_notice!("PRIMARY MODE enabled (user request from '{}')", ctx.client.peer);
        }
        ctx.reply().ok();
        return Ok(());
    }
    if ctx.client.replica.is_some() && ctx.client.is_replica() {
        return Err(CommandError::fixed("ERR Command is not valid when client is a replica."));
    }
    let port = parse_i64(ctx.arg(2)).and_then(|port| u16::try_from(port).ok());
    let port = port.ok_or(CommandError::fixed("ERR Invalid master port"))?;
    let host = host_of(ctx.arg(1))?;
    if ctx.server.repl.link.as_ref().is_some_and(|l| l.host.eq_ignore_ascii_case(&host) && l.port == port) {
        log_notice!(
            "REPLICAOF would result into synchronization with the primary we are already connected with. No operation performed."
        );
        ctx.reply().simple("OK Already connected to specified master");
        return Ok(());
    }
    ctx.server.become_replica_of(&host, port);
    log_notice!("REPLICAOF {host}:{port} enabled (user request from '{}')", ctx.client.peer);
    ctx.reply().ok();
    Ok(())
}

pub(super) fn host_of(bytes: &[u8]) -> Result<String, CommandError> {
    match std::str::from_utf8(bytes) {
        Ok(host) if !host.is_empty() && !host.contains(char::is_whitespace) => Ok(host.to_owned()),
        _ => Err(CommandError::fixed("ERR Invalid master host")),
    }
}

fn psync(ctx: &mut Ctx<'_>) -> CommandResult {
    if ctx.client.is_replica() {
        return Ok(());
    }
    let Some(offset) = parse_i64(ctx.arg(2)) else {
        log_warning!("Replica {} asks for synchronization but with a wrong offset", replica_name(ctx.client));
        return Err(NOT_INTEGER);
    };
    if ctx.argc() > 3 && ctx.is(3, "failover") {
        log_warning!("Failover request received for replid {}.", String::from_utf8_lossy(ctx.arg(1)));
        if ctx.server.is_primary() {
            return Err(CommandError::fixed("ERR PSYNC FAILOVER can't be sent to a master."));
        }
        if !ctx.arg(1).eq_ignore_ascii_case(&ctx.server.repl.history.id) {
            return Err(CommandError::fixed("ERR PSYNC FAILOVER replid must match my replid."));
        }
        ctx.server.become_primary();
        ctx.server.close_until_told();
        log_notice!("PRIMARY MODE enabled (failover request from '{}')", ctx.client.peer);
    }
    let (id, client) = (ctx.arg(1), &mut *ctx.client);
    ctx.server.psync(client, id, offset)
}

fn sync(ctx: &mut Ctx<'_>) -> CommandResult {
    if ctx.client.is_replica() {
        return Ok(());
    }
    ctx.server.sync(ctx.client)
}

fn replconf(ctx: &mut Ctx<'_>) -> CommandResult {
    if ctx.argc().is_multiple_of(2) {
        return Err(SYNTAX);
    }
    for i in (1..ctx.argc()).step_by(2) {
        let value = ctx.arg(i + 1);
        if ctx.is(i, "getack") {
            if ctx.client.is_primary() {
                ctx.server.repl.quorum.want_ack();
            }
            return Ok(());
        }
        if ctx.is(i, "ack") {
            return acknowledge(ctx, i);
        }
        // The child writes to the socket itself, and has no TLS session.
        let encrypted = ctx.client.stream.as_ref().is_some_and(|stream| stream.is_tls());
        let dual_channel =
            ctx.server.config.dual_channel_replication_enabled && ctx.server.config.repl_diskless_sync && !encrypted;
        let r = ctx.client.replica.get_or_insert_default();
        if ctx.argv.get(i).eq_ignore_ascii_case(b"listening-port") {
            r.port = parse_i64(value).and_then(|p| u16::try_from(p).ok()).ok_or(NOT_INTEGER)?;
        } else if ctx.argv.get(i).eq_ignore_ascii_case(b"ip-address") {
            if value.len() > 255 {
                return Err(CommandError::fixed(
                    "ERR REPLCONF ip-address provided by replica instance is too long: 255 bytes at most",
                ));
            }
            r.announced_ip = value.to_vec();
        } else if ctx.argv.get(i).eq_ignore_ascii_case(b"capa") {
            r.capa_eof |= value.eq_ignore_ascii_case(b"eof");
            r.capa_psync2 |= value.eq_ignore_ascii_case(b"psync2");
            r.capa_dual_channel |= dual_channel && value.eq_ignore_ascii_case(b"dual-channel");
        } else if ctx.argv.get(i).eq_ignore_ascii_case(b"version") {
            r.version = version_number(value)
                .ok_or_else(|| CommandError::fixed("ERR Unrecognized version format, expected major.minor.patch"))?;
        } else if ctx.argv.get(i).eq_ignore_ascii_case(b"rdb-only") {
            r.rdb_only = parse_i64(value) == Some(1);
        } else if ctx.argv.get(i).eq_ignore_ascii_case(b"rdb-filter-only") {
            // What is named comes, and nothing else.
            (r.without_keys, r.without_functions) = (true, true);
            for word in value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
                if !word.eq_ignore_ascii_case(b"functions") {
                    let text = [b"ERR Unsupported rdb-filter-only option: ", word].concat();
                    return Err(CommandError::bytes(text));
                }
                r.without_functions = false;
            }
        } else if ctx.argv.get(i).eq_ignore_ascii_case(b"rdb-channel") {
            if encrypted {
                // The child writes to the socket itself, and has no part in the session.
                return Err(CommandError::fixed("ERR A snapshot with a connection of its own is not sent over TLS"));
            }
            r.rdb_channel = parse_i64(value) == Some(1);
        } else if ctx.argv.get(i).eq_ignore_ascii_case(b"set-rdb-client-id") {
            let id = parse_i64(value).and_then(|id| u64::try_from(id).ok()).ok_or(NOT_INTEGER)?;
            if !ctx.server.repl.reservations.iter().any(|r| r.rdb_client == id) {
                return Err(CommandError::text(format!("ERR Unrecognized RDB client id {id}")));
            }
            r.rdb_client = Some(id);
        } else {
            let mut text = b"ERR Unrecognized REPLCONF option: ".to_vec();
            text.extend_from_slice(ctx.arg(i));
            return Err(CommandError::bytes(text));
        }
    }
    ctx.reply().ok();
    Ok(())
}

/// `9.1.2` as major << 16 | minor << 8 | patch.
fn version_number(text: &[u8]) -> Option<u32> {
    let mut parts = std::str::from_utf8(text).ok()?.split('.');
    let mut next = || parts.next()?.parse::<u8>().ok().map(u32::from);
    Some(next()? << 16 | next()? << 8 | next()?)
}

/// `REPLCONF ACK offset [FACK offset]`: never answered.
fn acknowledge(ctx: &mut Ctx<'_>, at: usize) -> CommandResult {
    if !ctx.client.is_replica() {
        return Ok(());
    }
    let number = |i: usize| parse_i64(ctx.arg(i)).and_then(|n| u64::try_from(n).ok());
    let Some(offset) = number(at + 1) else { return Ok(()) };
    let fsynced = if ctx.argc() > at + 3 && ctx.is(at + 2, "fack") { number(at + 3) } else { None };
    ctx.server.replica_acknowledged(ctx.client, offset, fsynced);
    ctx.server.note_acknowledgement();
    Ok(())
}

fn role(ctx: &mut Ctx<'_>) -> CommandResult {
    let server = &mut *ctx.server;
    let reply = &mut ctx.client.reply;
    let Some(link) = &server.repl.link else {
        reply.array(3);
        reply.bulk(b"master");
        reply.int(server.repl.offset() as i64);
        let online: Vec<(String, u64)> = server
            .repl
            .replicas
            .iter()
            .filter_map(|id| server.clients.by_id(*id))
            .filter_map(|c| c.replica.as_ref().map(|r| (c, r)))
            .filter(|(_, r)| matches!(r.phase, ReplicaPhase::Online))
            .map(|(c, r)| (replica_name(c), r.ack_offset))
            .collect();
        reply.array(online.len());
        for (name, offset) in online {
            let (ip, port) = name.rsplit_once(':').unwrap_or((&name, "0"));
            reply.array(3);
            reply.bulk(ip.as_bytes());
            reply.bulk(port.as_bytes());
            reply.bulk_int(offset as i64);
        }
        return Ok(());
    };
    reply.array(5);
    reply.bulk(b"slave");
    reply.bulk(link.host.as_bytes());
    reply.int(i64::from(link.port));
    reply.bulk(link.role_state().as_bytes());
    reply.int(if link.is_up() { server.repl.offset() as i64 } else { -1 });
    Ok(())
}

fn wait(ctx: &mut Ctx<'_>) -> CommandResult {
    if !ctx.server.is_primary() {
        return Err(CommandError::fixed(
            "ERR WAIT cannot be used with replica instances. Please also note that if a replica is configured to be writable (which is not the default) writes to replicas are just local and are not propagated.",
        ));
    }
    // Fewer than none are there at once.
    let wanted = usize::try_from(ctx.int(1)?).unwrap_or(0);
    let deadline = ctx.deadline_ms(2)?;
    let offset = ctx.client.last_write_offset;
    let have = ctx.server.repl.count_acknowledged(&ctx.server.clients, offset);
    if have >= wanted || ctx.client.flags.contains(ClientFlags::IN_EXEC) {
        ctx.reply().int(have as i64);
        return Ok(());
    }
    ctx.server.repl.ask_for_acks = true;
    ctx.server.block(ctx.client, Why::Replicas { offset, replicas: wanted }, deadline);
    Ok(())
}

/// What is answered to whoever waits for our own append-only file where there is none.
pub const NO_FILE: CommandError =
    CommandError::fixed("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.");

fn waitaof(ctx: &mut Ctx<'_>) -> CommandResult {
    let local = ctx.int(1)?;
    if !(0..=1).contains(&local) {
        return Err(CommandError::fixed("ERR value is out of range, value must between 0 and 1"));
    }
    let replicas = ctx.natural(2).map_err(|_| NOT_POSITIVE)?;
    let deadline = ctx.deadline_ms(3)?;
    if !ctx.server.is_primary() {
        return Err(CommandError::fixed(
            "ERR WAITAOF cannot be used with replica instances. Please also note that writes to replicas are just local and are not propagated.",
        ));
    }
    if local == 1 && !ctx.server.persistence.aof.is_on() {
        return Err(NO_FILE);
    }
    let offset = ctx.client.last_write_offset;
    let server = &mut *ctx.server;
    let own = local == 0 || server.persistence.aof.fsynced_offset() >= offset;
    let held = server.repl.online(&server.clients).filter(|r| r.fsync_offset >= offset).count();
    if (own && held >= replicas) || ctx.client.flags.contains(ClientFlags::IN_EXEC) {
        server.reply_waitaof(ctx.client, offset);
        return Ok(());
    }
    if replicas > 0 {
        server.repl.ask_for_acks = true;
    }
    server.block(ctx.client, Why::Fsync { offset, local: local == 1, replicas }, deadline);
    Ok(())
}

fn failover(ctx: &mut Ctx<'_>) -> CommandResult {
    let (mut target, mut force, mut abort, mut timeout) = (None, false, false, None);
    let mut i = 1;
    while i < ctx.argc() {
        if ctx.is(i, "timeout") && timeout.is_none() && i + 1 < ctx.argc() {
            let ms = ctx.int(i + 1)?;
            if ms <= 0 {
                return Err(CommandError::fixed("ERR FAILOVER timeout must be greater than 0"));
            }
            timeout = Some(ms);
            i += 1;
        } else if ctx.is(i, "abort") && ctx.argc() == 2 {
            abort = true;
        } else if ctx.is(i, "to") && target.is_none() && i + 2 < ctx.argc() {
            let port = ctx.int(i + 2)?;
            // No replica has a port that is none.
            target = Some((host_of(ctx.arg(i + 1))?, u16::try_from(port).unwrap_or(0)));
            i += 2;
        } else if ctx.is(i, "force") && !force {
            force = true;
        } else {
            return Err(SYNTAX);
        }
        i += 1;
    }
    if abort {
        if ctx.server.repl.failover.is_none() {
            return Err(CommandError::fixed("ERR No failover in progress."));
        }
        ctx.server.abort_failover("Failover manually aborted");
        ctx.reply().ok();
        return Ok(());
    }
    ctx.server.start_failover(target, force, timeout)?;
    ctx.reply().ok();
    Ok(())
}
