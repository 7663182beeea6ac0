//! DEBUG on the data set: digests, what a value looks like inside, loading it anew.

use std::fs::File;

use super::debug_digest::{Mix, data_set, mix_value};
use super::error::{NO_SUCH_KEY, NOT_POSITIVE, SYNTAX};
use super::{CommandError, CommandResult, Ctx};
use crate::data::limits::Limits;
use crate::data::list::NodeRef;
use crate::data::table::Keyed;
use crate::data::value::ValueRef;
use crate::keyspace::Ttl;
use crate::log_warning;
use crate::persistence::load::Into as LoadInto;
use crate::persistence::rdb::dump::Dumper;
use crate::resp::number::parse_i64;

/// `DEBUG DIGEST`
pub fn digest(ctx: &mut Ctx<'_>) -> CommandResult {
    let digest = data_set(&ctx.server.keyspace).hex();
    ctx.reply().simple(&digest);
    Ok(())
}

/// `DEBUG DIGEST-VALUE key [key …]`
pub fn digest_value(ctx: &mut Ctx<'_>) -> CommandResult {
    let argv = ctx.argv;
    let (db, reply) = ctx.db_and_reply();
    reply.array(argv.len() - 2);
    for key in argv.iter().skip(2) {
        let mut mix = Mix::default();
        if let Some(entry) = db.get(key) {
            mix_value(&mut mix, entry);
        }
        reply.simple(&mix.hex());
    }
    Ok(())
}

/// `DEBUG OBJECT key [fast]`
pub fn object(ctx: &mut Ctx<'_>) -> CommandResult {
    let fast = match ctx.argc() {
        4 if ctx.is(3, "fast") => true,
        4 => return Err(SYNTAX),
        _ => false,
    };
    let key = ctx.arg(2);
    let max_listpack = ctx.server.config.list_max_listpack_size;
    let (db, reply) = ctx.db_and_reply();
    let entry = db.peek(key).ok_or(NO_SUCH_KEY)?;
    let mut text = format!("Value at:{:p} refcount:1 encoding:{}", entry.key().as_ptr(), entry.encoding());
    if !fast {
        // Without what frames a payload: its type, its version and its checksum.
        let payload = Dumper::default().dump(entry.value(), false);
        text.push_str(&format!(" serializedlength:{}", payload.len() - 11));
    }
    text.push_str(&format!(" lru:{} lru_seconds_idle:{}", entry.access(), db.idle_seconds(entry.access())));
    if let ValueRef::List(list) = entry.value()
        && entry.encoding() == "quicklist"
    {
        let nodes = list.nodes().len();
        let bytes: usize = list
            .nodes()
            .map(|node| match node {
                NodeRef::Packed(pack) => pack.as_bytes().len(),
                NodeRef::Plain(bytes) => bytes.len(),
            })
            .sum();
        let average = list.len() as f64 / nodes as f64;
        text.push_str(&format!(
            " ql_nodes:{nodes} ql_avg_node:{average:.2} ql_listpack_max:{max_listpack} ql_compressed:0 ql_uncompressed_size:{bytes}"
        ));
    }
    reply.simple(&text);
    Ok(())
}

/// `DEBUG POPULATE count [prefix] [size]`
pub fn populate(ctx: &mut Ctx<'_>) -> CommandResult {
    let count = parse_i64(ctx.arg(2)).and_then(|n| u64::try_from(n).ok()).ok_or(NOT_POSITIVE)?;
    let prefix = if ctx.argc() > 3 { ctx.arg(3) } else { b"key" };
    let size = if ctx.argc() > 4 { Some(ctx.natural(4)?).filter(|n| *n > 0) } else { None };
    let db = ctx.db();
    db.reserve(usize::try_from(count.min(1 << 24)).unwrap_or(0), 0);
    for n in 0..count {
        let key = [prefix, b":", n.to_string().as_bytes()].concat();
        if db.peek(&key).is_some() {
            continue;
        }
        let mut value = format!("value:{n}").into_bytes();
        if let Some(size) = size {
            value.resize(size, 0);
        }
        db.set_str(&key, &value, Ttl::Clear);
        db.touched(&key);
    }
    ctx.reply().ok();
    Ok(())
}

/// `DEBUG RELOAD [NOSAVE] [NOFLUSH] [MERGE]`
pub fn reload(ctx: &mut Ctx<'_>) -> CommandResult {
    let (mut save, mut flush, mut merge) = (true, true, false);
    for i in 2..ctx.argc() {
        match ctx.arg(i).to_ascii_lowercase().as_slice() {
            b"nosave" => save = false,
            b"noflush" => flush = false,
            b"merge" => merge = true,
            _ => {
                return Err(CommandError::fixed(
                    "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.",
                ));
            }
        }
    }
    let server = &mut *ctx.server;
    if save {
        server.save_now().map_err(|why| CommandError::text(format!("ERR {why}")))?;
    }
    let path = server.persistence.rdb_path(&server.config);
    server.debug.loading_replaces = merge;
    let mut emptied = false;
    let loaded = File::open(&path).map_err(|e| e.to_string()).and_then(|file| {
        let size = file.metadata().map_or(0, |m| m.len());
        server.load_rdb(file, size, if flush { LoadInto::Emptied(&mut emptied) } else { LoadInto::Present })
    });
    server.debug.loading_replaces = false;
    // The server goes on where it was in the replication stream, not where the file is.
    server.loaded_position = None;
    if let Err(why) = loaded {
        log_warning!("{why}");
        return Err(CommandError::fixed("ERR Error trying to load the RDB dump, check server logs"));
    }
    log_warning!("DB reloaded by DEBUG RELOAD");
    ctx.reply().ok();
    Ok(())
}

/// `DEBUG LOADAOF`
pub fn loadaof(ctx: &mut Ctx<'_>) -> CommandResult {
    let server = &mut *ctx.server;
    // Also what waits for a flush under way.
    server.flush_aof_now().map_err(|why| CommandError::text(format!("ERR {why}")))?;
    server.flush_everything();
    // As with RELOAD, the place in the stream stays.
    let (history, buffer) = (server.repl.history.clone(), server.repl.buffer.take());
    let loaded = server.load_aof();
    (server.repl.history, server.repl.buffer) = (history, buffer);
    if let Err(why) = loaded {
        log_warning!("{why}");
        return Err(CommandError::fixed("ERR Error trying to load the AOF files, check server logs"));
    }
    server.keyspace.set_dirty(0);
    server.persistence.rdb.dirty_at_save = 0;
    log_warning!("Append Only File loaded by DEBUG LOADAOF");
    ctx.reply().ok();
    Ok(())
}

/// `DEBUG HTSTATS db [full]`
pub fn htstats(ctx: &mut Ctx<'_>) -> CommandResult {
    let db = parse_i64(ctx.arg(2)).ok_or(super::error::NOT_INTEGER)?;
    let count = ctx.server.keyspace.count();
    let db = usize::try_from(db).ok().filter(|db| *db < count);
    let db = db.ok_or(CommandError::fixed("ERR Out of range database"))?;
    let full = ctx.argc() == 4 && ctx.is(3, "full");
    let db = ctx.server.keyspace.db(db);
    let table = db.table();
    let chains = || table.chain_lengths();
    let mut text = b"[Dictionary HT]\n".to_vec();
    text.extend_from_slice(describe_table(db.len(), table.bucket_counts(), full.then(chains)).as_bytes());
    text.extend_from_slice(format!("[Expires HT]\n number of entries: {}\n", db.expires_len()).as_bytes());
    ctx.reply().verbatim(&text);
    Ok(())
}

/// `DEBUG HTSTATS-KEY key [full]`
pub fn htstats_key(ctx: &mut Ctx<'_>) -> CommandResult {
    let full = ctx.argc() == 4 && ctx.is(3, "full");
    let key = ctx.arg(2);
    let (db, reply) = ctx.db_and_reply();
    let entry = db.peek(key).ok_or(NO_SUCH_KEY)?;
    let (len, table) = match entry.value() {
        ValueRef::Set(set) => (set.len(), set.table_stats()),
        ValueRef::Hash(hash) => (hash.len(), hash.table_stats()),
        ValueRef::Zset(zset) => (zset.len(), zset.table_stats()),
        ValueRef::Str(_) | ValueRef::List(_) | ValueRef::Stream(_) => (0, None),
    };
    let (counts, chains) = table.ok_or(CommandError::fixed(
        "ERR The value stored at the specified key is not represented using an hash table",
    ))?;
    reply.verbatim(describe_table(len, counts, full.then_some(chains)).as_bytes());
    Ok(())
}

/// Elements that a bucket holds.
const BUCKET: usize = 7;

/// A table grows in place, so there is one, and nothing is ever moved to another.
fn describe_table(len: usize, (buckets, children): (usize, usize), chains: Option<Vec<usize>>) -> String {
    let mut out = format!(
        "Hash table 0 stats (main hash table):\n table size: {}\n number of entries: {len}\n rehashing index: -1\n",
        buckets * BUCKET
    );
    let Some(chains) = chains else { return out };
    out.push_str(&format!(" top-level buckets: {buckets}\n child buckets: {children}\n"));
    out.push_str(&format!(" max chain length: {}\n", chains.len().saturating_sub(1)));
    out.push_str(&format!(" avg chain length: {:.6}\n", children as f64 / buckets.max(1) as f64));
    out.push_str(" chain length distribution:\n");
    for (length, count) in chains.iter().enumerate().filter(|(_, count)| **count > 0) {
        let percent = *count as f64 * 100.0 / buckets.max(1) as f64;
        out.push_str(&format!("   {length}: {count} ({percent:.2}%)\n"));
    }
    out
}

/// `DEBUG QUICKLIST-PACKED-THRESHOLD size`
pub fn quicklist_packed_threshold(ctx: &mut Ctx<'_>) -> CommandResult {
    let threshold = memory_value(ctx.arg(2)).filter(|n| *n <= 4 << 30);
    let quicklist_packed_threshold = threshold
        .ok_or(CommandError::fixed("ERR argument must be a memory value bigger than 1 and smaller than 4gb"))?;
    let limits = Limits { quicklist_packed_threshold, ..(*ctx.server.keyspace.limits()).clone() };
    ctx.server.keyspace.set_limits(limits);
    ctx.reply().ok();
    Ok(())
}

/// `100`, `100b`, `1k`, `1kb`, … as bytes.
fn memory_value(text: &[u8]) -> Option<usize> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, unit) = text.split_at(digits);
    let unit: usize = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => 1 << 10,
        b"m" => 1000 * 1000,
        b"mb" => 1 << 20,
        b"g" => 1000 * 1000 * 1000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    usize::try_from(parse_i64(number)?).ok()?.checked_mul(unit)
}
