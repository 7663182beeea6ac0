//! Taking over what other consumers have pending: XCLAIM, XAUTOCLAIM.

use super::error::{CommandError, SYNTAX};
use super::stream_args::{id, int_or, no_group, start};
use super::stream_group::{Teller, see_consumer};
use super::stream_range::{reply_entry, reply_id};
use super::{Command, CommandResult, Ctx, Flags, Group, KeyUse, Keys};
use crate::data::stream::{self, ConsumerId, Log, Pending, StreamId};
use crate::resp::ReplyBuf;
use crate::resp::number::parse_i64;

const CLAIM: Flags = Flags::WRITE.union(Flags::FAST);

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("xautoclaim", -6, Group::Stream, xautoclaim)
        .flags(CLAIM)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::DELETES])
        .doc("6.2.0", "Gives a consumer what others of its group have had pending for long."),
    Command::new("xclaim", -6, Group::Stream, xclaim)
        .flags(CLAIM)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::UPDATES])
        .doc("5.0.0", "Gives a consumer entries that others of its group have pending."),
];

/// What is done to entries that are claimed.
struct Claim {
    consumer: ConsumerId,
    /// How long an entry must have been pending, in ms; 0: any time.
    min_idle: i64,
    /// When it counts as delivered.
    delivered_at: i64,
    /// How often it counts as delivered.
    deliveries: Option<u64>,
    /// Only its id is asked for, so it was not delivered.
    just_id: bool,
    /// Also what is not pending.
    force: bool,
    now_ms: i64,
}

/// What became of one entry.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Claimed,
    /// It was deleted, and is no longer pending either.
    Gone,
    Left,
}

impl Claim {
    fn one(&self, log: &Log, group: &mut stream::Group, id: StreamId, teller: &mut Teller<'_>) -> Outcome {
        let before = group.pending().get(&id).copied();
        if log.get(id).is_none() {
            let Some(before) = before else { return Outcome::Left };
            // A claim of what is not there takes it off the list, elsewhere as here.
            teller.claim(id, &before, group);
            group.acknowledge(id);
            return Outcome::Gone;
        }
        match before {
            None if !self.force => return Outcome::Left,
            Some(before) if self.min_idle > 0 && self.now_ms.saturating_sub(before.delivered_at) < self.min_idle => {
                return Outcome::Left;
            }
            _ => {}
        }
        // One that is new to the list counts as delivered once already.
        let so_far = before.map_or(1, |before| before.deliveries);
        let deliveries = self.deliveries.unwrap_or(so_far.wrapping_add(u64::from(!self.just_id)));
        let pending = Pending { consumer: self.consumer, delivered_at: self.delivered_at, deliveries };
        group.assign(id, pending);
        group.consumer_mut(self.consumer).active_at = self.now_ms;
        teller.claim(id, &pending, group);
        Outcome::Claimed
    }

    fn reply(&self, reply: &mut ReplyBuf, log: &Log, claimed: &[StreamId]) {
        reply.array(claimed.len());
        for id in claimed {
            match log.get(*id).filter(|_| !self.just_id) {
                Some(entry) => reply_entry(reply, entry),
                None => reply_id(reply, *id),
            }
        }
    }
}

/// The options of XCLAIM.
struct Options {
    ids: Vec<StreamId>,
    min_idle: i64,
    delivered_at: Option<i64>,
    deliveries: Option<u64>,
    force: bool,
    just_id: bool,
    last_id: StreamId,
}

impl Options {
    fn parse(ctx: &Ctx<'_>, now_ms: i64) -> Result<Options, CommandError> {
        let min_idle = int_or(ctx, 4, "ERR Invalid min-idle-time argument for XCLAIM")?;
        let ids: Vec<StreamId> = (5..ctx.argc()).map_while(|i| id(ctx.arg(i)).ok()).collect();
        let mut options = Options {
            min_idle,
            delivered_at: None,
            deliveries: None,
            force: false,
            just_id: false,
            last_id: StreamId::MIN,
            ids,
        };
        // What is no id is an option.
        let mut i = 5 + options.ids.len();
        while i < ctx.argc() {
            let has_more = i + 1 < ctx.argc();
            if ctx.is(i, "force") {
                options.force = true;
            } else if ctx.is(i, "justid") {
                options.just_id = true;
            } else if ctx.is(i, "idle") && has_more {
                i += 1;
                let idle = int_or(ctx, i, "ERR Invalid IDLE option argument for XCLAIM")?;
                options.delivered_at = Some(now_ms.saturating_sub(idle));
            } else if ctx.is(i, "time") && has_more {
                i += 1;
                options.delivered_at = Some(int_or(ctx, i, "ERR Invalid TIME option argument for XCLAIM")?);
            } else if ctx.is(i, "retrycount") && has_more {
                i += 1;
                let count = int_or(ctx, i, "ERR Invalid RETRYCOUNT option argument for XCLAIM")?;
                options.deliveries = u64::try_from(count).ok();
            } else if ctx.is(i, "lastid") && has_more {
                i += 1;
                options.last_id = id(ctx.arg(i))?;
            } else {
                return Err(CommandError::bytes([b"ERR Unrecognized XCLAIM option '", ctx.arg(i), b"'"].concat()));
            }
            i += 1;
        }
        Ok(options)
    }
}

fn xclaim(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, group_name) = (ctx.arg(1), ctx.arg(2));
    check_group(ctx)?;
    let now_ms = ctx.server.keyspace.now_ms();
    let options = Options::parse(ctx, now_ms)?;
    // A time in the future, or before all time, is a client's wrong sum.
    let delivered_at = options.delivered_at.filter(|at| (0..=now_ms).contains(at)).unwrap_or(now_ms);
    let ids = options.ids;
    with_consumer(ctx, |reply, log, group, consumer, teller| {
        let mut read_on = options.last_id > group.last_id;
        group.last_id = group.last_id.max(options.last_id);
        let claim = Claim {
            consumer,
            min_idle: options.min_idle,
            delivered_at,
            deliveries: options.deliveries,
            just_id: options.just_id,
            force: options.force,
            now_ms,
        };
        let (mut claimed, mut changes) = (Vec::new(), 0);
        for id in ids {
            let outcome = claim.one(log, group, id, teller);
            if outcome == Outcome::Claimed {
                claimed.push(id);
            }
            if outcome != Outcome::Left {
                // The claim tells how far the group has read.
                read_on = false;
                changes += 1;
            }
        }
        if read_on {
            teller.read(group);
            changes += 1;
        }
        claim.reply(reply, log, &claimed);
        changes
    })?
    .ok_or_else(|| no_group(key, group_name, ""))
}

/// Entries that are looked at for each one that is asked for.
const ATTEMPTS: usize = 10;

fn xautoclaim(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, group_name) = (ctx.arg(1), ctx.arg(2));
    // It is looked up first, and complained of last.
    let known = check_group(ctx);
    let min_idle = int_or(ctx, 4, "ERR Invalid min-idle-time argument for XAUTOCLAIM")?;
    let mut next = start(ctx.arg(5))?;
    let (mut count, mut just_id) = (100, false);
    let mut i = 6;
    while i < ctx.argc() {
        if ctx.is(i, "count") && i + 1 < ctx.argc() {
            i += 1;
            // As many as Valkey could hold the ids of.
            let n = parse_i64(ctx.arg(i)).filter(|n| (1..=i64::MAX / 16).contains(n));
            count = n.ok_or(CommandError::fixed("ERR COUNT must be > 0"))? as usize;
        } else if ctx.is(i, "justid") {
            just_id = true;
        } else {
            return Err(SYNTAX);
        }
        i += 1;
    }
    known?;
    let now_ms = ctx.server.keyspace.now_ms();
    with_consumer(ctx, |reply, log, group, consumer, teller| {
        let claim = Claim { consumer, min_idle, delivered_at: now_ms, deliveries: None, just_id, force: false, now_ms };
        let (mut claimed, mut gone) = (Vec::new(), Vec::new());
        let mut attempts = count.saturating_mul(ATTEMPTS);
        let mut ended = false;
        while attempts > 0 && claimed.len() + gone.len() < count {
            attempts -= 1;
            let Some(id) = group.pending().range(next..).next().map(|(id, _)| *id) else { break };
            match claim.one(log, group, id, teller) {
                Outcome::Claimed => claimed.push(id),
                Outcome::Gone => gone.push(id),
                Outcome::Left => {}
            }
            match id.next() {
                Some(after) => next = after,
                None => {
                    ended = true;
                    break;
                }
            }
        }
        let cursor = group.pending().range(next..).next().map(|(id, _)| *id).filter(|_| !ended);
        reply.array(3);
        reply_id(reply, cursor.unwrap_or(StreamId::MIN));
        claim.reply(reply, log, &claimed);
        reply.array(gone.len());
        gone.iter().for_each(|id| reply_id(reply, *id));
        (claimed.len() + gone.len()) as u64
    })?
    .ok_or_else(|| no_group(key, group_name, ""))
}

/// Fails unless there are the stream and the group.
fn check_group(ctx: &mut Ctx<'_>) -> CommandResult {
    let (key, name) = (ctx.arg(1), ctx.arg(2));
    match ctx.db().read_stream(key)?.is_some_and(|stream| stream.groups().contains_key(name)) {
        true => Ok(()),
        false => Err(no_group(key, name, "")),
    }
}

/// Works on the group as the consumer, which is made if need be; `work` tells how many changes it made. `None` if there is no such
/// group. Of the call itself, others are not told.
fn with_consumer(
    ctx: &mut Ctx<'_>,
    work: impl FnOnce(&mut ReplyBuf, &Log, &mut stream::Group, ConsumerId, &mut Teller<'_>) -> u64,
) -> Result<Option<()>, CommandError> {
    ctx.propagate_nothing();
    let (key, group_name, consumer_name) = (ctx.arg(1), ctx.arg(2), ctx.arg(3));
    let (now_ms, db_number) = (ctx.server.keyspace.now_ms(), ctx.client.db);
    let listened_to = ctx.server.wants_propagation();
    let server = &mut *ctx.server;
    let (db, reply) = (server.keyspace.db_mut(db_number), &mut ctx.client.reply);
    let Some((consumer, _)) = see_consumer(db, key, group_name, consumer_name, now_ms)? else { return Ok(None) };
    let Some((log, group)) = db.write_stream(key)?.and_then(|stream| stream.log_and_group(group_name)) else {
        return Ok(None);
    };
    let mut teller =
        Teller { to: listened_to.then_some(&mut server.propagation), db: db_number, key, group: group_name };
    let changes = work(reply, log, group, consumer, &mut teller);
    db.add_dirty(changes);
    Ok(Some(()))
}
