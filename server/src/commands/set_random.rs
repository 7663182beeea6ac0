//! Random members of sets: SPOP, SRANDMEMBER.

use super::error::{NOT_POSITIVE, SYNTAX};
use super::{Command, CommandResult, Ctx, Flags, Group, KeyUse, Keys};
use crate::config::NotifyEvents;
use crate::data::elem::Elem;
use crate::data::limits::Limits;
use crate::data::rng::Rng;
use crate::data::set::Set;
use crate::resp::ReplyBuf;

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("spop", -2, Group::Set, spop)
        .flags(Flags::WRITE.union(Flags::FAST))
        .keys(Keys::FIRST)
        .uses(&[KeyUse::TAKES])
        .doc("1.0.0", "Removes random members from a set and returns them."),
    Command::new("srandmember", -2, Group::Set, srandmember)
        .flags(Flags::READONLY)
        .keys(Keys::FIRST)
        .doc("1.0.0", "Returns random members of a set."),
];

/// Members that one SREM for replicas names at most.
const BATCH: usize = 1024;
/// With so many times more members to go than to stay, those that stay are chosen.
const FEW_LEFT: usize = 5;

fn spop(ctx: &mut Ctx<'_>) -> CommandResult {
    match ctx.argc() {
        2 => pop_one(ctx),
        3 => pop_many(ctx),
        _ => Err(SYNTAX),
    }
}

fn pop_one(ctx: &mut Ctx<'_>) -> CommandResult {
    let key = ctx.arg(1);
    let (db, reply) = ctx.db_and_reply();
    let mut rng = db.rng();
    let Some(set) = db.write_set(key)? else {
        reply.null();
        return Ok(());
    };
    let Some(member) = set.pop(&mut rng) else { return Ok(()) };
    let empty = set.is_empty();
    reply.bulk(&member);
    db.modified(key, NotifyEvents::SET, "spop");
    if empty {
        db.delete_if_empty(key);
    }
    // Replicas would choose another one.
    ctx.propagate_as(&[b"SREM", key, &member]);
    Ok(())
}

fn pop_many(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, count) = (ctx.arg(1), ctx.natural(2).map_err(|_| NOT_POSITIVE)?);
    let (db, reply) = ctx.db_and_reply();
    let (mut rng, limits) = (db.rng(), db.limits());
    let Some(set) = db.write_set(key)? else {
        reply.set(0);
        return Ok(());
    };
    let taken = count.min(set.len());
    reply.set(taken);
    if taken == 0 {
        return Ok(());
    }
    if taken == set.len() {
        set.iter().for_each(|member| reply.elem(member));
        db.modified(key, NotifyEvents::SET, "spop");
        db.add_dirty(taken as u64 - 1);
        db.delete(key);
        db.notify(NotifyEvents::GENERIC, "del", key);
        let name: &[u8] = if ctx.server.config.lazyfree_lazy_server_del { b"UNLINK" } else { b"DEL" };
        ctx.propagate_as(&[name, key]);
        return Ok(());
    }
    let members = take(set, taken, &mut rng, &limits, reply);
    db.modified(key, NotifyEvents::SET, "spop");
    db.add_dirty(taken as u64 - 1);
    for batch in members.chunks(BATCH) {
        let args: Vec<&[u8]> = [&b"SREM"[..], key].into_iter().chain(batch.iter().map(Vec::as_slice)).collect();
        ctx.propagate_as(&args);
    }
    Ok(())
}

/// Removes `count` of a set's members, fewer than there are, after having answered with each.
fn take(set: &mut Set, count: usize, rng: &mut Rng, limits: &Limits, reply: &mut ReplyBuf) -> Vec<Vec<u8>> {
    let left = set.len() - count;
    let mut taken = Vec::with_capacity(count);
    if left * FEW_LEFT > count {
        taken.extend((0..count).map_while(|_| set.pop(rng)));
    } else {
        // It is less work to choose those that stay.
        let mut rest = Set::new();
        set.random_distinct(left, rng, |member| {
            rest.add_elem(member, limits);
        });
        taken.extend(set.iter().filter(|member| !rest.contains_elem(*member)).map(Elem::to_vec));
        *set = rest;
    }
    taken.iter().for_each(|member| reply.bulk(member));
    taken
}

fn srandmember(ctx: &mut Ctx<'_>) -> CommandResult {
    let count = match ctx.argc() {
        2 => None,
        3 => Some(ctx.signed(2)?),
        _ => return Err(SYNTAX),
    };
    let key = ctx.arg(1);
    let (db, reply) = ctx.db_and_reply();
    let mut rng = db.rng();
    let set = db.read_set(key)?;
    match (set, count) {
        (None, None) => reply.null(),
        (None, Some(_)) => reply.array(0),
        (Some(set), None) => match set.random(&mut rng) {
            Some(member) => reply.elem(member),
            None => reply.null(),
        },
        (Some(set), Some(count @ 0..)) => {
            let count = (count as usize).min(set.len());
            reply.array(count);
            set.random_distinct(count, &mut rng, |member| reply.elem(member));
        }
        // The same member may come several times.
        (Some(set), Some(count)) => {
            let count = count.unsigned_abs() as usize;
            reply.array(count);
            reply.repeat(count, |reply| set.random(&mut rng).into_iter().for_each(|member| reply.elem(member)));
        }
    }
    Ok(())
}
