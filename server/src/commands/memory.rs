//! MEMORY: where it is.

use super::config::container;
use super::error::SYNTAX;
use super::info::View;
use super::{Command, CommandResult, Ctx, Flags, Group, KeyUse, Keys, help};
use crate::resp::ReplyBuf;
use crate::resp::number::parse_i64;

/// Elements of a collection that its size is estimated from, unless told otherwise.
const SAMPLES: usize = 5;

const fn row(name: &'static str, arity: i16, handler: super::Handler) -> Command {
    Command::new(name, arity, Group::Server, handler)
}

/// The rows.
pub const COMMANDS: &[Command] = &[row("memory", -2, container)
    .doc("4.0.0", "Looks at the server's memory.")
    .subcommands(&[
    row("doctor", 2, doctor).doc("4.0.0", "Says in words whether the use of memory is as it should be."),
    help::row(Group::Server, "4.0.0"),
    row("malloc-stats", 2, malloc_stats).flags(Flags::LOADING).doc("4.0.0", "Returns the allocator's own statistics."),
    row("purge", 2, purge).flags(Flags::LOADING).doc("4.0.0", "Has the allocator give unused pages back."),
    row("stats", 2, stats).doc("4.0.0", "Returns what memory is used for."),
    row("usage", -3, usage)
        .flags(Flags::READONLY)
        .keys(Keys::Range { first: 2, last: 2, step: 1 })
        .uses(&[KeyUse::LOOKS])
        .usage("<key> [SAMPLES <count>]")
        .doc(
            "4.0.0",
            "Returns the bytes that a key and its value take; of nested values it looks at <count> (5), at all for 0.",
        ),
])];

fn usage(ctx: &mut Ctx<'_>) -> CommandResult {
    let mut samples = SAMPLES;
    let mut i = 3;
    while i < ctx.argc() {
        if !ctx.is(i, "samples") || i + 1 >= ctx.argc() {
            return Err(SYNTAX);
        }
        let n = parse_i64(ctx.arg(i + 1)).ok_or(super::error::NOT_INTEGER)?;
        samples = usize::try_from(n).map_err(|_| SYNTAX)?;
        i += 2;
    }
    let key = ctx.arg(2);
    let (db, reply) = ctx.db_and_reply();
    match db.get(key) {
        // 0 samples stand for all elements.
        Some(entry) => reply.int(entry.heap_size(samples) as i64),
        None => reply.null(),
    }
    Ok(())
}

/// A value of MEMORY STATS.
enum Stat {
    Bytes(i64),
    Ratio(f64),
}

fn stats(ctx: &mut Ctx<'_>) -> CommandResult {
    let view = View::new(ctx.server, ctx.client);
    let (memory, clients) = (view.memory(), view.clients());
    let keys = ctx.server.keyspace.total_keys() as u64;
    let bytes = |n: u64| Stat::Bytes(n as i64);
    let difference = |a: u64, b: u64| Stat::Bytes(a as i64 - b as i64);
    let quotient = |a: u64, b: u64| Stat::Ratio(a as f64 / b.max(1) as f64);
    let percent = |a: u64, b: u64| Stat::Ratio(a as f64 * 100.0 / b.max(1) as f64);
    let before = [
        ("peak.allocated", bytes(memory.peak)),
        ("total.allocated", bytes(memory.used)),
        ("startup.allocated", bytes(memory.startup)),
        ("replication.backlog", bytes(memory.backlog)),
        ("replicas.repl.buffer", bytes(memory.kept)),
        ("clients.slaves", bytes(clients.replica_memory as u64)),
        ("clients.normal", bytes(clients.normal_memory as u64)),
        ("cluster.links", bytes(0)),
        ("aof.buffer", bytes(ctx.server.persistence.aof.pending() as u64)),
        ("lua.caches", bytes(ctx.server.scripting.cache.memory() as u64)),
        ("functions.caches", bytes(ctx.server.scripting.libraries.memory() as u64)),
    ];
    let after = [
        ("overhead.db.hashtable.lut", bytes(memory.tables)),
        ("overhead.db.hashtable.rehashing", bytes(0)),
        ("overhead.total", bytes(memory.overhead)),
        ("db.dict.rehashing.count", bytes(0)),
        ("keys.count", bytes(keys)),
        ("keys.bytes-per-key", bytes(memory.since_start().checked_div(keys).unwrap_or(0))),
        ("dataset.bytes", bytes(memory.dataset())),
        ("dataset.percentage", percent(memory.dataset(), memory.since_start())),
        ("peak.percentage", percent(memory.used, memory.peak)),
        ("allocator.allocated", bytes(memory.used)),
        ("allocator.active", bytes(memory.active)),
        ("allocator.resident", bytes(memory.resident)),
        ("allocator.muzzy", bytes(memory.muzzy)),
        ("allocator-fragmentation.ratio", quotient(memory.active, memory.used)),
        ("allocator-fragmentation.bytes", difference(memory.active, memory.used)),
        ("allocator-rss.ratio", quotient(memory.resident, memory.active)),
        ("allocator-rss.bytes", difference(memory.resident, memory.active)),
        ("rss-overhead.ratio", quotient(memory.resident_process, memory.resident)),
        ("rss-overhead.bytes", difference(memory.resident_process, memory.resident)),
        ("fragmentation", quotient(memory.resident_process, memory.used)),
        ("fragmentation.bytes", difference(memory.resident_process, memory.used)),
    ];
    let dbs: Vec<(usize, i64)> = ctx
        .server
        .keyspace
        .dbs()
        .iter()
        .filter(|db| !db.is_empty())
        .map(|db| (db.id(), db.memory_overhead() as i64))
        .collect();
    let reply = &mut ctx.client.reply;
    reply.map(before.len() + dbs.len() + after.len());
    let put = |reply: &mut ReplyBuf, (name, value): (&str, Stat)| {
        reply.bulk(name.as_bytes());
        match value {
            Stat::Bytes(n) => reply.int(n),
            Stat::Ratio(r) => reply.double(r),
        }
    };
    before.into_iter().for_each(|stat| put(reply, stat));
    for (id, overhead) in dbs {
        reply.bulk(format!("db.{id}").as_bytes());
        reply.map(1);
        reply.bulk(b"overhead.hashtable.main");
        reply.int(overhead);
    }
    after.into_iter().for_each(|stat| put(reply, stat));
    Ok(())
}

fn doctor(ctx: &mut Ctx<'_>) -> CommandResult {
    const MIB: u64 = 1 << 20;
    let view = View::new(ctx.server, ctx.client);
    let memory = view.memory();
    let connections = ctx.server.clients.len().max(1) as u64;
    let wasted =
        |larger: u64, smaller: u64, ratio: f64| larger > smaller + 10 * MIB && larger as f64 > smaller as f64 * ratio;
    let mut out = String::new();
    if memory.used < 5 * MIB {
        out.push_str("There is so little in memory that nothing can be said about it yet.\n");
    } else {
        let findings = [
            (
                memory.peak as f64 / memory.used as f64 > 1.5,
                "Much more memory was in use once than is now. The difference may stay resident; it is used again when data grow.",
            ),
            (
                wasted(memory.active, memory.used, 1.1),
                "The allocator's pages are far from full: values of other sizes were there before. MEMORY PURGE gives back only pages that are empty.",
            ),
            (
                wasted(memory.resident, memory.active, 1.1),
                "The allocator holds pages that it does not use. MEMORY PURGE gives them back.",
            ),
            (
                wasted(memory.resident_process, memory.resident, 1.1),
                "The process holds much memory beside the allocator's.",
            ),
            (
                view.clients().normal_memory as u64 / connections > 200 << 10,
                "Clients' buffers are large: they send large requests, or do not read their replies.",
            ),
            (
                view.clients().replica_memory as u64 > 10 * MIB,
                "Replicas' buffers are large: a replica does not keep up.",
            ),
        ];
        for (_, text) in findings.iter().filter(|(found, _)| *found) {
            out.push_str(text);
            out.push('\n');
        }
        if out.is_empty() {
            out.push_str("The use of memory is as it should be.\n");
        }
    }
    ctx.reply().verbatim(out.as_bytes());
    Ok(())
}

fn malloc_stats(ctx: &mut Ctx<'_>) -> CommandResult {
    let text = crate::memory::allocator_report();
    ctx.reply().verbatim(&text);
    Ok(())
}

fn purge(ctx: &mut Ctx<'_>) -> CommandResult {
    crate::memory::purge();
    ctx.reply().ok();
    Ok(())
}
