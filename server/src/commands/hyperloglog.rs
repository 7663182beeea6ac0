//! HyperLogLog: PFADD, PFCOUNT, PFMERGE, and looking into them: PFDEBUG, PFSELFTEST.

use super::string::bytes_or_new;
use super::{Command, CommandError, CommandResult, Ctx, Flags, Group, KeyUse, Keys};
use crate::config::NotifyEvents;
use crate::data::elem::Elem;
use crate::data::hyperloglog::{self as hll, Corrupt, Encoding, REGISTERS, Registers};
use crate::data::value::StrMut;
use std::sync::atomic::{AtomicBool, Ordering};

const CHANGE: Flags = Flags::WRITE.union(Flags::DENYOOM);

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("pfadd", -2, Group::HyperLogLog, pfadd)
        .flags(CHANGE.union(Flags::FAST))
        .keys(Keys::FIRST)
        .uses(&[KeyUse::INSERTS])
        .doc("2.8.9", "Adds elements to a HyperLogLog, made if there is none."),
    Command::new("pfcount", -2, Group::HyperLogLog, pfcount)
        // It writes down what it has counted.
        .flags(Flags::READONLY.union(Flags::MAY_REPLICATE))
        .keys(Keys::ALL)
        .uses(&[KeyUse::COUNTS])
        .doc("2.8.9", "Returns about how many distinct elements HyperLogLogs have seen together."),
    Command::new("pfmerge", -2, Group::HyperLogLog, pfmerge)
        .flags(CHANGE)
        .keys(Keys::ALL)
        .uses(&[KeyUse::MERGES, KeyUse::READS])
        .doc("2.8.9", "Merges HyperLogLogs into one."),
    Command::new("pfdebug", 3, Group::HyperLogLog, pfdebug)
        .flags(CHANGE.union(Flags::ADMIN))
        .keys(Keys::Range { first: 2, last: 2, step: 1 })
        .uses(&[KeyUse::COUNTS])
        .doc("2.8.9", "Looks into a HyperLogLog, for tests."),
    Command::new("pfselftest", 1, Group::HyperLogLog, pfselftest)
        .flags(Flags::ADMIN)
        .doc("2.8.9", "Checks the implementation of HyperLogLog."),
];

/// Whether registers are merged several at a time. `PFDEBUG SIMD` changes it, to compare.
static BATCHED: AtomicBool = AtomicBool::new(true);

impl From<Corrupt> for CommandError {
    fn from(_: Corrupt) -> Self {
        CommandError::fixed("INVALIDOBJ Corrupted HLL object detected")
    }
}

/// The bytes of a string, if they are a HyperLogLog's.
fn checked(string: Elem<'_>) -> Result<&[u8], CommandError> {
    match string {
        Elem::Bytes(bytes) if hll::encoding(bytes).is_some() => Ok(bytes),
        _ => Err(CommandError::fixed("WRONGTYPE Key is not a valid HyperLogLog string value.")),
    }
}

/// The bytes of a string, if they are a HyperLogLog's, to be changed.
fn checked_mut(string: StrMut<'_>) -> Result<&mut Vec<u8>, CommandError> {
    checked(string.get())?;
    Ok(string.into_mut())
}

fn pfadd(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, argv) = (ctx.arg(1), ctx.argv);
    let sparse_max = ctx.server.config.hll_sparse_max_bytes;
    let (db, reply) = ctx.db_and_reply();
    let is_new = db.write_str(key)?.map(|string| checked(string.get()).map(|_| ())).transpose()?.is_none();
    let bytes = bytes_or_new(db, key)?;
    if is_new {
        *bytes = hll::empty();
    }
    let mut changes = u64::from(is_new);
    for element in argv.iter().skip(2) {
        changes += u64::from(hll::add(bytes, element, sparse_max)?);
    }
    if changes > 0 {
        hll::outdate(bytes);
        db.modified(key, NotifyEvents::STRING, "pfadd");
        db.add_dirty(changes - 1);
    }
    reply.int(i64::from(changes > 0));
    Ok(())
}

fn pfcount(ctx: &mut Ctx<'_>) -> CommandResult {
    if ctx.argc() > 2 {
        let (registers, _) = merged(ctx, 1)?;
        ctx.reply().int(hll::count_registers(&registers) as i64);
        return Ok(());
    }
    let key = ctx.arg(1);
    let (db, reply) = ctx.db_and_reply();
    let Some(string) = db.read_str(key)? else {
        reply.int(0);
        return Ok(());
    };
    let bytes = checked(string)?;
    let count = match hll::cached_count(bytes) {
        Some(count) => count,
        None => {
            let count = hll::count(bytes)?;
            // Kept beside the registers, so that replicas need not compute it either: the call is propagated.
            if let Some(string) = db.write_str(key)? {
                hll::cache_count(string.into_mut(), count);
                db.touched(key);
                db.add_dirty(1);
            }
            count
        }
    };
    reply.int(count as i64);
    Ok(())
}

/// The registers of the keys from argument `first` on, merged; and whether one of them was dense.
fn merged(ctx: &mut Ctx<'_>, first: usize) -> Result<(Box<Registers>, bool), CommandError> {
    let argv = ctx.argv;
    let batched = BATCHED.load(Ordering::Relaxed);
    let mut registers = Box::new([0; REGISTERS]);
    let mut any_dense = false;
    for key in argv.iter().skip(first) {
        let Some(string) = ctx.db().read_str(key)? else { continue };
        let bytes = checked(string)?;
        any_dense |= hll::encoding(bytes) == Some(Encoding::Dense);
        hll::merge_into(&mut registers, bytes, batched)?;
    }
    Ok((registers, any_dense))
}

fn pfmerge(ctx: &mut Ctx<'_>) -> CommandResult {
    let (registers, dense) = merged(ctx, 1)?;
    let key = ctx.arg(1);
    let sparse_max = ctx.server.config.hll_sparse_max_bytes;
    let db = ctx.db();
    let is_new = db.write_str(key)?.is_none();
    let bytes = bytes_or_new(db, key)?;
    if is_new {
        *bytes = hll::empty();
    }
    if dense {
        hll::to_dense(bytes)?;
    }
    for (register, value) in registers.iter().enumerate().filter(|(_, value)| **value > 0) {
        hll::raise(bytes, register, *value, sparse_max)?;
    }
    hll::outdate(bytes);
    db.modified(key, NotifyEvents::STRING, "pfadd");
    ctx.reply().ok();
    Ok(())
}

fn pfdebug(ctx: &mut Ctx<'_>) -> CommandResult {
    let key = ctx.arg(2);
    if ctx.is(1, "simd") {
        let on = ctx.is(2, "on");
        if !on && !ctx.is(2, "off") {
            return Err(CommandError::fixed("ERR Argument must be ON or OFF"));
        }
        BATCHED.store(on, Ordering::Relaxed);
        ctx.reply().simple(if on { "enabled" } else { "disabled" });
        return Ok(());
    }
    let what = ctx.arg(1).to_ascii_lowercase();
    let (db, reply) = ctx.db_and_reply();
    let string = db.write_str(key)?.ok_or(CommandError::fixed("ERR The specified key does not exist"))?;
    let bytes = checked_mut(string)?;
    let mut became_dense = false;
    match what.as_slice() {
        b"getreg" => {
            became_dense = hll::to_dense(bytes)?;
            reply.array(REGISTERS);
            hll::registers(bytes)?.iter().for_each(|value| reply.int((*value).into()));
        }
        b"decode" => {
            if hll::encoding(bytes) != Some(Encoding::Sparse) {
                return Err(CommandError::fixed("ERR HLL encoding is not sparse"));
            }
            let runs: Vec<String> = hll::runs(bytes).map_while(Result::ok).map(describe).collect();
            reply.bulk(runs.join(" ").as_bytes());
        }
        b"encoding" => {
            reply.simple(if hll::encoding(bytes) == Some(Encoding::Dense) { "dense" } else { "sparse" });
        }
        b"todense" => {
            became_dense = hll::to_dense(bytes)?;
            reply.int(i64::from(became_dense));
        }
        _ => {
            let text: [&[u8]; 3] = [b"ERR Unknown PFDEBUG subcommand '", ctx.arg(1), b"'"];
            return Err(CommandError::bytes(text.concat()));
        }
    }
    if became_dense {
        // Replicas are to have the same bytes.
        db.add_dirty(1);
    }
    Ok(())
}

fn describe(run: hll::Run) -> String {
    match (run.value, run.size) {
        (0, 1) => format!("z:{}", run.len),
        (0, _) => format!("Z:{}", run.len),
        (value, _) => format!("v:{value},{}", run.len),
    }
}

/// Adds a million elements to a sparse and a dense one, and sees at powers of ten that both count them, and rightly enough.
fn pfselftest(ctx: &mut Ctx<'_>) -> CommandResult {
    let sparse_max = ctx.server.config.hll_sparse_max_bytes;
    let seed = ctx.server.now_ms() as u64;
    let (mut sparse, mut dense) = (hll::empty(), hll::empty());
    hll::to_dense(&mut dense)?;
    let mut checkpoint = 1u64;
    for n in 1..=1_000_000u64 {
        let element = (n ^ seed).to_le_bytes();
        hll::add(&mut sparse, &element, sparse_max)?;
        hll::add(&mut dense, &element, sparse_max)?;
        if n != checkpoint {
            continue;
        }
        if n < sparse_max as u64 / 2 && hll::encoding(&sparse) != Some(Encoding::Sparse) {
            return Err(CommandError::fixed("ERR TESTFAILED sparse encoding not used"));
        }
        let count = hll::count(&dense)?;
        if hll::count(&sparse)? != count {
            return Err(CommandError::fixed("ERR TESTFAILED dense/sparse disagree"));
        }
        // Six standard errors; of ten elements, two may well share a register.
        let allowed = if n == 10 { 1 } else { (n as f64 * 6.0 * 1.04 / (REGISTERS as f64).sqrt()).ceil() as u64 };
        let error = count.abs_diff(n);
        if error > allowed {
            return Err(CommandError::text(format!("ERR TESTFAILED Too big error. card:{n} abserr:{error}")));
        }
        checkpoint *= 10;
    }
    ctx.reply().ok();
    Ok(())
}
