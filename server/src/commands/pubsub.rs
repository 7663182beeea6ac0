//! Publish and subscribe: channels, patterns, shard channels.

use super::config::container;
use super::{Command, CommandResult, Ctx, Flags, Group, Keys, help};
use crate::client::NAME_OVERHEAD;
use crate::client::pubsub::Kind;
use crate::glob;

const SUBSCRIBE: Flags = Flags::PUBSUB.union(Flags::NOSCRIPT).union(Flags::LOADING).union(Flags::STALE);
const LOOK: Flags = Flags::PUBSUB.union(Flags::LOADING).union(Flags::STALE);
const PUBLISH: Flags = LOOK.union(Flags::FAST).union(Flags::MAY_REPLICATE);

const fn row(name: &'static str, arity: i16, handler: super::Handler) -> Command {
    Command::new(name, arity, Group::PubSub, handler)
}

/// The rows.
pub const COMMANDS: &[Command] = &[
    row("psubscribe", -2, |ctx| subscribe(ctx, Kind::Pattern))
        .flags(SUBSCRIBE)
        .channels(Kind::Pattern, true)
        .doc("2.0.0", "Listens to the channels that match patterns."),
    row("publish", 3, |ctx| publish(ctx, Kind::Channel))
        .flags(PUBLISH)
        .channels(Kind::Channel, false)
        .doc("2.0.0", "Sends a message to a channel."),
    row("pubsub", -2, container).doc("2.8.0", "Looks at channels and their listeners.").subcommands(&[
        row("channels", -2, |ctx| channels(ctx, Kind::Channel))
            .flags(LOOK)
            .usage("[<pattern>]")
            .doc("2.8.0", "Returns the channels that somebody listens to."),
        help::row(Group::PubSub, "6.2.0"),
        row("numpat", 2, numpat).flags(LOOK).doc("2.8.0", "Returns the number of patterns listened to."),
        row("numsub", -2, |ctx| numsub(ctx, Kind::Channel))
            .flags(LOOK)
            .usage("[<channel> ...]")
            .doc("2.8.0", "Returns the numbers of listeners of channels, patterns not counted."),
        row("shardchannels", -2, |ctx| channels(ctx, Kind::Shard))
            .flags(LOOK)
            .usage("[<pattern>]")
            .doc("7.0.0", "Returns the shard channels that somebody listens to."),
        row("shardnumsub", -2, |ctx| numsub(ctx, Kind::Shard))
            .flags(LOOK)
            .usage("[<channel> ...]")
            .doc("7.0.0", "Returns the numbers of listeners of shard channels."),
    ]),
    row("punsubscribe", -1, |ctx| unsubscribe(ctx, Kind::Pattern))
        .flags(SUBSCRIBE)
        .doc("2.0.0", "Stops listening to patterns, or to all of them."),
    row("spublish", 3, |ctx| publish(ctx, Kind::Shard))
        .flags(PUBLISH)
        .keys(Keys::FIRST)
        .channels(Kind::Shard, false)
        .doc("7.0.0", "Sends a message to a shard channel."),
    row("ssubscribe", -2, |ctx| subscribe(ctx, Kind::Shard))
        .flags(SUBSCRIBE)
        .keys(Keys::ALL)
        .channels(Kind::Shard, true)
        .doc("7.0.0", "Listens to shard channels."),
    row("subscribe", -2, |ctx| subscribe(ctx, Kind::Channel))
        .flags(SUBSCRIBE)
        .channels(Kind::Channel, true)
        .doc("2.0.0", "Listens to channels."),
    row("sunsubscribe", -1, |ctx| unsubscribe(ctx, Kind::Shard))
        .flags(SUBSCRIBE)
        .keys(Keys::ALL)
        .doc("7.0.0", "Stops listening to shard channels, or to all of them."),
    row("unsubscribe", -1, |ctx| unsubscribe(ctx, Kind::Channel))
        .flags(SUBSCRIBE)
        .doc("2.0.0", "Stops listening to channels, or to all of them."),
];

/// Tells the client of a change, which it hears even if it wants no replies.
fn confirm(ctx: &mut Ctx<'_>, kind: Kind, verb: &str, name: Option<&[u8]>) {
    let client = &mut *ctx.client;
    let prefix = match kind {
        Kind::Channel => "",
        Kind::Pattern => "p",
        Kind::Shard => "s",
    };
    let left = if kind == Kind::Shard { client.shard_channels.len() } else { client.subscriptions() };
    let muted = std::mem::replace(&mut client.reply.muted, false);
    client.reply.push(3);
    client.reply.bulk(format!("{prefix}{verb}").as_bytes());
    match name {
        Some(name) => client.reply.bulk(name),
        None => client.reply.null(),
    }
    client.reply.int(left as i64);
    client.reply.muted = muted;
}

fn subscribe(ctx: &mut Ctx<'_>, kind: Kind) -> CommandResult {
    for i in 1..ctx.argc() {
        let name = ctx.arg(i);
        if ctx.client.subscriptions_of(kind).insert(name.into()) {
            ctx.server.pubsub.subscribe(kind, name, ctx.client.id);
            ctx.client.bookkeeping.subscriptions += name.len() + NAME_OVERHEAD;
        }
        confirm(ctx, kind, "subscribe", Some(name));
    }
    Ok(())
}

fn unsubscribe(ctx: &mut Ctx<'_>, kind: Kind) -> CommandResult {
    if ctx.argc() > 1 {
        for i in 1..ctx.argc() {
            let name = ctx.arg(i);
            forget(ctx, kind, name);
        }
        return Ok(());
    }
    let all: Vec<Box<[u8]>> = ctx.client.subscriptions_of(kind).iter().cloned().collect();
    if all.is_empty() {
        confirm(ctx, kind, "unsubscribe", None);
    }
    for name in all {
        forget(ctx, kind, &name);
    }
    Ok(())
}

fn forget(ctx: &mut Ctx<'_>, kind: Kind, name: &[u8]) {
    if ctx.client.subscriptions_of(kind).remove(name) {
        ctx.server.pubsub.unsubscribe(kind, name, ctx.client.id);
        ctx.client.bookkeeping.subscriptions -= name.len() + NAME_OVERHEAD;
    }
    confirm(ctx, kind, "unsubscribe", Some(name));
}

fn publish(ctx: &mut Ctx<'_>, kind: Kind) -> CommandResult {
    let receivers = ctx.server.publish(kind, ctx.arg(1), ctx.arg(2));
    // The replicas' clients listen, too.
    ctx.force_propagation();
    ctx.reply().int(receivers as i64);
    Ok(())
}

fn channels(ctx: &mut Ctx<'_>, kind: Kind) -> CommandResult {
    let pattern = match ctx.argc() {
        2 => None,
        3 => Some(ctx.arg(2)),
        _ => return Err(help::refusal(ctx)),
    };
    let names = ctx.server.pubsub.names(kind);
    let names: Vec<&[u8]> =
        names.filter(|name| pattern.is_none_or(|pattern| glob::matches(pattern, name, false))).collect();
    let reply = &mut ctx.client.reply;
    reply.array(names.len());
    names.into_iter().for_each(|name| reply.bulk(name));
    Ok(())
}

fn numsub(ctx: &mut Ctx<'_>, kind: Kind) -> CommandResult {
    let reply = &mut ctx.client.reply;
    // Flat in both protocol versions, as ever.
    reply.array(2 * (ctx.argv.len() - 2));
    for name in ctx.argv.iter().skip(2) {
        reply.bulk(name);
        reply.int(ctx.server.pubsub.subscribers(kind, name).len() as i64);
    }
    Ok(())
}

fn numpat(ctx: &mut Ctx<'_>) -> CommandResult {
    let patterns = ctx.server.pubsub.count(Kind::Pattern);
    ctx.reply().int(patterns as i64);
    Ok(())
}
