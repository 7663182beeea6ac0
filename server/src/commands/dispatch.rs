//! From a parsed request to its execution: look-up, checks in Valkey's order, the call, what follows from it.

use std::time::{Duration, Instant};

use super::context::Ctx;
use super::error::CommandError;
use super::spec::Flags;
use super::table::{self, Row};
use crate::client::{Client, ClientFlags, Transaction};
use crate::keyspace::{Effect, ExpiryRule};
use crate::resp::number::parse_i64;
use crate::resp::{Argv, OwnedArgv};
use crate::server::Server;
use crate::server::commandlog::Call;
use crate::server::latency::Event;
use crate::server::propagation::{Op, Verdict};
use crate::server::users::context_of;
use crate::{crash, log_warning};

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was executed, queued or refused: the next one may follow.
    Done,
    /// It must be tried again later (a pause of writes is on): it stays in the buffer.
    Later,
}

/// Executes one request of a client.
pub fn dispatch(server: &mut Server, client: &mut Client, argv: Argv<'_>) -> Outcome {
    let row = match table::resolve_after(client.last_command, argv) {
        Ok(row) => row,
        Err(unresolved) => {
            if is_http(argv.get(0)) {
                // A browser that was led here by somebody's page: what follows may be commands that the page chose.
                log_warning!(
                    "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands to Valkey. This is likely due to an attacker attempting to use Cross Protocol Scripting to compromise your Valkey instance. Connection from {} aborted.",
                    client.peer
                );
                client.flags |= ClientFlags::CLOSE_NOW;
                return Outcome::Done;
            }
            // Who has not logged in learns nothing about commands.
            let open = unresolved.row.is_some_and(|row| row.command.flags.contains(Flags::NO_AUTH));
            let error = if server.must_log_in(client) && !open { NO_AUTH } else { unresolved.error };
            reject(server, client, unresolved.row, &error);
            return Outcome::Done;
        }
    };
    client.last_command = Some(row);
    match check(server, client, row, argv) {
        Ok(Outcome::Later) => return Outcome::Later,
        Ok(Outcome::Done) => {}
        Err(e) => {
            reject(server, client, Some(row), &e);
            return Outcome::Done;
        }
    }
    if client.transaction.is_some() && !row.command.flags.contains(Flags::NOT_QUEUED) {
        let flags = effective_flags(server, row, argv);
        queue(client, row, argv, flags);
        return Outcome::Done;
    }
    call(server, client, row, argv);
    Outcome::Done
}

/// Whether a request begins as one of HTTP does.
fn is_http(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:")
}

/// The checks before execution, in Valkey's order.
fn check(server: &mut Server, client: &mut Client, row: &'static Row, argv: Argv<'_>) -> Result<Outcome, CommandError> {
    let flags = effective_flags(server, row, argv);
    let trusted = client.is_trusted_source();
    if !flags.contains(Flags::NO_AUTH) && server.must_log_in(client) {
        return Err(NO_AUTH);
    }
    if flags.contains(Flags::PROTECTED) {
        check_protected(server, client, row)?;
    }
    if flags.contains(Flags::NO_MULTI) && client.transaction.is_some() {
        return Err(CommandError::text(format!("ERR Command '{}' not allowed inside a transaction", row.full_name)));
    }
    if let Err(denied) = server.check_permission(client, row, argv, context_of(client)) {
        return Err(CommandError::bytes([b"NOPERM ", &*server.denial_text(client, row, denied)].concat()));
    }
    if trusted {
        if client.is_primary() && flags.contains(Flags::WRITE) {
            server.check_disk_of_replica();
        }
        return Ok(Outcome::Done);
    }
    let queued = client.transaction.as_ref().map_or(Flags::empty(), |t| t.flags);
    if client.is_replica() && (flags | queued).intersects(Flags::WRITE | Flags::READONLY) {
        return Err(CommandError::fixed("ERR Replica can't interact with the keyspace"));
    }
    // EXEC is judged by what it will execute.
    let effective = if row.command.name == "exec" { flags | queued } else { flags };
    if let Some(link) = &server.repl.link
        && client.is_to_be_redirected(effective)
    {
        // While both sides of a failover are replicas, neither is where to go.
        if server.repl.failover.is_some() {
            return Ok(Outcome::Later);
        }
        return Err(CommandError::text(format!("REDIRECT {}", link.address())));
    }
    if server.is_paused(client, effective) {
        return Ok(Outcome::Later);
    }
    // What a busy script works with stays as it is.
    if server.config.maxmemory > 0 && !server.loading.is_active() && !server.scripting.is_busy() {
        let fits = server.evict_to_limit();
        server.scripting.out_of_memory = !fits;
        if server.nesting == 0 {
            // No part of the command; and whoever cached what was evicted is told before the answer.
            server.flush_effects();
            server.clients.take_messages(client);
        }
        if !fits && effective.contains(Flags::DENYOOM) {
            return Err(CommandError::fixed("OOM command not allowed when used memory > 'maxmemory'."));
        }
    }
    if !server.tracking.is_idle() {
        server.limit_tracking();
        server.clients.take_messages(client);
    }
    let writes = effective.intersects(Flags::WRITE | Flags::MAY_REPLICATE);
    if writes {
        if let Err(refused) = server.check_writable(effective) {
            if server.is_misled(client) {
                client.flags |= ClientFlags::LEAVING;
            }
            return Err(refused);
        }
        if server.acks_needed() > 0 {
            // The answer waits until an offset is acknowledged: there must be one, also before the first replica.
            server.begin_stream();
        }
    }
    if client.in_pubsub_mode() && !PUBSUB_MODE.contains(&row.command.name) {
        return Err(CommandError::text(format!(
            "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
            row.full_name
        )));
    }
    // EXEC works where all that it will execute does.
    let transaction = client.transaction.as_ref().filter(|_| row.command.name == "exec");
    let works = |when: Flags| flags.contains(when) && transaction.is_none_or(|t| t.all(when));
    if !works(Flags::STALE) && server.serves_no_stale_data() {
        return Err(CommandError::fixed(
            "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        ));
    }
    let background = server.loading.progress.is_some() && !server.loading.is_active();
    if (server.loading.is_active() && !works(Flags::LOADING)) || (background && flags.contains(Flags::NO_ASYNC_LOADING))
    {
        return Err(CommandError::fixed("LOADING Valkey is loading the dataset in memory"));
    }
    if let Some(running) = &server.scripting.running
        && running.busy.is_some()
        && !flags.contains(Flags::ALLOW_BUSY)
    {
        return Err(busy(running.is_eval));
    }
    Ok(Outcome::Done)
}

/// A command's flags; for one that runs a script, those that follow from what the script says of itself.
fn effective_flags(server: &Server, row: &'static Row, argv: Argv<'_>) -> Flags {
    match row.command.script_flags {
        Some(told) => told(server, argv).map_or(row.command.flags, |flags| flags.command_flags(row.command.flags)),
        None => row.command.flags,
    }
}

/// The answer while a script has been running for too long.
pub fn busy(is_eval: bool) -> CommandError {
    CommandError::fixed(if is_eval {
        "BUSY Valkey is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
    } else {
        "BUSY Valkey is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."
    })
}

/// Whether `enable-debug-command` or `enable-module-command` lets this client use DEBUG or MODULE.
fn check_protected(server: &Server, client: &Client, row: &Row) -> Result<(), CommandError> {
    let config = &server.config;
    let (command, directive, who) = if row.full_name.starts_with("module") {
        ("MODULE", "enable-module-command", config.enable_module_command)
    } else {
        ("DEBUG", "enable-debug-command", config.enable_debug_command)
    };
    // Without a connection it comes from our own file or our primary.
    if who.admits(client.stream.as_ref().is_none_or(|s| s.is_local())) {
        return Ok(());
    }
    Err(CommandError::text(format!(
        "ERR {command} command not allowed. If the {directive} option is set to \"local\", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server."
    )))
}

const NO_AUTH: CommandError = CommandError::fixed("NOAUTH Authentication required.");

/// What RESP2 clients may call while subscribed.
const PUBSUB_MODE: &[&str] =
    &["subscribe", "unsubscribe", "psubscribe", "punsubscribe", "ssubscribe", "sunsubscribe", "ping", "quit", "reset"];

/// Answers with an error that came before execution; inside MULTI the transaction is spoiled.
pub fn reject(server: &mut Server, client: &mut Client, row: Option<&'static Row>, error: &CommandError) {
    if client.transaction.is_some() {
        client.flags |= ClientFlags::DIRTY_EXEC;
    }
    if let Some(row) = row {
        server.stats.command(row.id).rejected += 1;
    }
    server.note_error_reply(client, row, error);
    if row.is_some_and(|r| r.command.name == "exec") {
        super::transaction::discard(server, client);
    }
    if row.is_some_and(|r| r.command.name == "exec") && error.code() != b"REDIRECT" {
        let mut text = b"EXECABORT Transaction discarded because of: ".to_vec();
        text.extend_from_slice(error.0.strip_prefix(b"ERR ").unwrap_or(&error.0));
        server.stats.error(b"EXECABORT");
        client.reply.error(&text);
        return;
    }
    server.stats.error(error.code());
    client.reply.error(&error.0);
}

fn queue(client: &mut Client, row: &'static Row, argv: Argv<'_>, flags: Flags) {
    if client.flags.intersects(ClientFlags::DIRTY_CAS | ClientFlags::DIRTY_EXEC) {
        // EXEC will fail anyway: keep no memory for it.
        client.reply.simple("QUEUED");
        return;
    }
    let t = client.transaction.get_or_insert_with(Transaction::default);
    t.flags |= flags & (Flags::WRITE | Flags::READONLY | Flags::DENYOOM | Flags::MAY_REPLICATE);
    if row.command.name == "select" {
        t.db = parse_i64(argv.get(1)).and_then(|db| usize::try_from(db).ok()).or(t.db);
    }
    let argv = argv.to_owned();
    t.memory += argv.heap_size() + size_of::<(&Row, OwnedArgv)>();
    t.queue.push((row, argv));
    client.reply.simple("QUEUED");
}

/// Executes a command and carries out what follows: statistics, expired keys, propagation, waiting and watching clients.
pub fn call(server: &mut Server, client: &mut Client, row: &'static Row, argv: Argv<'_>) {
    let start = server.batch_clock.filter(|_| server.nesting == 0).unwrap_or_else(Instant::now);
    let dirty_before = server.keyspace.dirty();
    let (position, offset_before) = (client.reply.position(), client.last_write_offset);
    let db = client.db;
    server.nesting += 1;
    let untouching = client.flags.contains(ClientFlags::NO_TOUCH);
    if untouching {
        server.keyspace.set_touch(false);
    }
    let importing = server.config.import_mode && client.flags.contains(ClientFlags::IMPORT_SOURCE);
    let sees_expired = importing || client.is_trusted_source();
    if sees_expired {
        // What the primary (or whoever imports from one) says happens, whatever this clock makes of expired keys; or the data
        // sets would part.
        server.keyspace.set_expiry_rule(ExpiryRule::IGNORE);
    }
    let outer_caller = server.caller.replace(client.id);
    let mut ctx = Ctx { server, client, argv, row };
    let outer_call = crash::enter_call(&mut ctx);
    let result = (row.command.handler)(&mut ctx);
    crash::leave_call(outer_call);
    if sees_expired {
        server.update_expiry_rule();
    }
    server.nesting -= 1;
    // A call that waited was shown when it came.
    if !server.monitors.is_empty()
        && client.retry.is_none()
        && !row.command.flags.intersects(Flags::SKIP_MONITOR | Flags::ADMIN)
    {
        server.feed_monitors(client, row, argv);
    }
    if untouching {
        server.keyspace.set_touch(server.persistence.child.is_none());
    }
    if let Err(e) = &result {
        server.stats.command(row.id).failed += 1;
        // A script's error may be that of a command which it called.
        if !std::mem::take(&mut server.scripting.error_counted) {
            server.stats.error(e.code());
        }
        client.reply.error(&e.0);
        server.note_error_reply(client, Some(row), e);
    }
    let end = Instant::now();
    let took = end - start;
    if server.nesting == 0
        && let Some(clock) = &mut server.batch_clock
    {
        *clock = end;
    }
    // A client that waits is counted when its wait ends, or when its command runs again.
    if client.blocked.is_none() {
        note_call(server, client, row, argv, position, took);
    }

    let changed = server.keyspace.dirty() != dirty_before;
    finish_call(server, client, db, changed, argv);
    server.note_read(client, row, argv);
    server.caller = outer_caller;
    if server.nesting == 0 {
        flush(server, client, row);
        if changed && server.acks_needed() > 0 && client.last_write_offset > offset_before {
            let offset = client.last_write_offset;
            server.hold_reply(client, position, offset);
        }
    }
}

/// Counts a call that has ended, in all the statistics there are.
fn note_call(
    server: &mut Server,
    client: &mut Client,
    row: &'static Row,
    argv: Argv<'_>,
    position: usize,
    took: Duration,
) {
    let micros = took.as_micros() as u64;
    let stats = server.stats.command(row.id);
    stats.calls += 1;
    stats.micros += micros;
    if server.config.latency_tracking {
        stats.latency.get_or_insert_default().record(took.as_nanos() as u64);
    }
    client.commands += 1;
    server.stats.commands_processed += 1;
    if server.nesting == 0 {
        server.stats.turns.commands_us += micros;
    }
    let fast = row.command.flags.contains(Flags::FAST);
    server.note_latency(if fast { Event::FastCommand } else { Event::Command }, took);
    if !row.command.flags.contains(Flags::SKIP_COMMANDLOG) {
        let reply_bytes = client.reply.written_since(position).len() as u64;
        let (request_bytes, now_ms) = (argv.wire_len() as u64, server.keyspace.now_ms());
        server.commandlog.note(&Call { client, row, argv, now_ms, micros, request_bytes, reply_bytes });
    }
}

/// Takes the effects and the propagation of a finished call into the list of the outermost one.
fn finish_call(server: &mut Server, client: &mut Client, db: usize, changed: bool, argv: Argv<'_>) {
    let (verdict, given) = server.propagation.finish();
    if server.keyspace.has_effects() {
        take_effects(server);
    }
    let itself = match verdict {
        Verdict::IfChanged => changed,
        Verdict::Always => true,
        Verdict::No => false,
    };
    // The primary's own stream reaches replicas as raw bytes, in the order they came; an AOF being loaded is history.
    if client.flags.contains(ClientFlags::AOF_LOADER) || !server.wants_propagation() {
        return;
    }
    if itself {
        if server.nesting == 0 && given.is_empty() && server.propagation.ops.is_empty() && server.is_primary() {
            // The usual write: its own bytes go out as they came.
            server.propagate_one(db, argv);
            client.last_write_offset = server.repl.offset();
            return;
        }
        server.propagation.ops.push(Op::new(db, argv.to_owned()));
    }
    server.propagation.ops.extend(given);
}

fn propagate_deletion(server: &mut Server, db: usize, key: &[u8], lazily: bool) {
    if server.wants_propagation() {
        let name: &[u8] = if lazily { b"UNLINK" } else { b"DEL" };
        server.propagation.ops.push(Op::new(db, OwnedArgv::new([name, key])));
    }
}

/// Turns what the keyspace did by itself into propagated deletions and published notifications.
pub fn take_effects(server: &mut Server) {
    for effect in server.keyspace.take_effects() {
        match effect {
            Effect::Expired { db, key } => propagate_deletion(server, db, &key, server.config.lazyfree_lazy_expire),
            Effect::Evicted { db, key } => propagate_deletion(server, db, &key, server.config.lazyfree_lazy_eviction),
            Effect::FieldsExpired { db, key, fields } => {
                if server.wants_propagation() {
                    let args: Vec<&[u8]> =
                        [b"HDEL", &*key].into_iter().chain(fields.iter().map(Vec::as_slice)).collect();
                    server.propagation.ops.push(Op::new(db, OwnedArgv::new(args)));
                }
            }
            Effect::Modified { db: _, key } => server.note_change(&key, server.caller),
            Effect::Notify { class: _, event, db, key } => server.publish_notification(event, db, &key),
        }
    }
}

/// Ends the outermost call: sends the collected operations and wakes who waits for keys.
fn flush(server: &mut Server, client: &mut Client, row: &Row) {
    if !server.propagation.ops.is_empty() {
        if row.command.flags.contains(Flags::TOUCHES_ARBITRARY_KEYS) {
            server.propagate_apart(client.is_primary());
        } else {
            server.propagate_ops(client.is_primary());
        }
        client.last_write_offset = server.repl.offset();
    }
    server.after_call(client);
}
