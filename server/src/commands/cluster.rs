//! CLUSTER and its kin, which answer as in a Valkey that is not in cluster mode: with a refusal, except for KEYSLOT.

use super::config::container;
use super::{Category, Command, CommandError, CommandResult, Ctx, Flags, Group, KeyUse, Keys};
use crate::client::ClientFlags;

const CONNECTION: Flags = Flags::FAST.union(Flags::LOADING).union(Flags::STALE);
const READ: Flags = Flags::LOADING.union(Flags::STALE);
const ADMIN: Flags = Flags::ADMIN.union(Flags::STALE);
const CHANGE: Flags = ADMIN.union(Flags::NO_ASYNC_LOADING);
const NO_CLUSTER: &str = "Is for servers in cluster mode, which this server does not have.";

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("asking", 1, Group::Cluster, refuse)
        .flags(Flags::FAST)
        .acl(Category::CONNECTION)
        .doc("3.0.0", NO_CLUSTER),
    Command::new("cluster", -2, Group::Cluster, container)
        .doc("3.0.0", "Is for servers in cluster mode; tells the slot of a key.")
        .subcommands(&[
            Command::new("keyslot", 3, Group::Cluster, keyslot)
                .flags(Flags::STALE)
                .usage("<key>")
                .doc("3.0.0", "Returns the slot that a key would have in a cluster."),
            refused("addslots", -3, CHANGE, "3.0.0"),
            refused("addslotsrange", -4, CHANGE, "7.0.0"),
            refused("bumpepoch", 2, CHANGE, "3.0.0"),
            refused("cancelslotmigrations", 2, CHANGE, "9.0.0"),
            refused("count-failure-reports", 3, ADMIN, "3.0.0"),
            refused("countkeysinslot", 3, Flags::STALE, "3.0.0"),
            refused("delslots", -3, CHANGE, "3.0.0"),
            refused("delslotsrange", -4, CHANGE, "7.0.0"),
            refused("failover", -2, CHANGE, "3.0.0"),
            refused("flushslot", -3, Flags::ADMIN.union(Flags::WRITE).union(Flags::NO_ASYNC_LOADING), "9.0.0")
                .acl(Category::KEYSPACE),
            refused("flushslots", 2, CHANGE, "3.0.0"),
            refused("forget", 3, CHANGE, "3.0.0"),
            refused("getkeysinslot", 4, Flags::STALE, "3.0.0"),
            refused("getslotmigrations", 2, CHANGE, "9.0.0"),
            refused("help", 2, READ, "5.0.0"),
            refused("info", 2, READ, "3.0.0"),
            refused("links", 2, Flags::STALE, "7.0.0"),
            refused("meet", -4, CHANGE, "3.0.0"),
            refused("migrateslots", -4, CHANGE, "9.0.0"),
            refused("myid", 2, READ, "3.0.0"),
            refused("myshardid", 2, READ, "7.2.0"),
            refused("nodes", 2, READ, "3.0.0"),
            refused("replicas", 3, ADMIN, "5.0.0"),
            refused("replicate", -3, CHANGE, "3.0.0"),
            refused("reset", -2, ADMIN.union(Flags::NOSCRIPT), "3.0.0"),
            refused("saveconfig", 2, CHANGE, "3.0.0"),
            refused("set-config-epoch", 3, CHANGE, "3.0.0"),
            refused("setslot", -4, CHANGE, "3.0.0"),
            refused("shards", 2, READ, "7.0.0"),
            refused("slaves", 3, ADMIN, "3.0.0"),
            refused("slot-stats", -4, READ, "8.0.0"),
            refused("slots", 2, READ, "3.0.0"),
            refused("syncslots", -3, CHANGE, "9.0.0"),
        ]),
    Command::new("clusterscan", -2, Group::Cluster, refuse)
        .flags(Flags::READONLY)
        .acl(Category::KEYSPACE)
        .keys(Keys::FIRST)
        .uses(&[KeyUse::NOT_KEY])
        .doc("9.1.0", NO_CLUSTER),
    Command::new("readonly", 1, Group::Cluster, |ctx| reads_here(ctx, true))
        .flags(CONNECTION)
        .acl(Category::CONNECTION)
        .doc("3.0.0", "Says that reads may be served by a replica."),
    Command::new("readwrite", 1, Group::Cluster, |ctx| reads_here(ctx, false))
        .flags(CONNECTION)
        .acl(Category::CONNECTION)
        .doc("3.0.0", "Takes READONLY back."),
];

const fn refused(name: &'static str, arity: i16, flags: Flags, since: &'static str) -> Command {
    Command::new(name, arity, Group::Cluster, refuse).flags(flags).doc(since, NO_CLUSTER)
}

fn refuse(_: &mut Ctx<'_>) -> CommandResult {
    Err(CommandError::fixed("ERR This instance has cluster support disabled"))
}

fn keyslot(ctx: &mut Ctx<'_>) -> CommandResult {
    let slot = slot(ctx.arg(2));
    ctx.reply().int(slot.into());
    Ok(())
}

/// The slot of a key: of what stands in its first braces, if that is something, so that keys can be kept together.
fn slot(key: &[u8]) -> u16 {
    let tag = memchr::memchr(b'{', key).and_then(|open| {
        let rest = &key[open + 1..];
        memchr::memchr(b'}', rest).map(|close| &rest[..close]).filter(|tag| !tag.is_empty())
    });
    crc16(tag.unwrap_or(key)) & 0x3fff
}

/// CRC-16/XMODEM, bit by bit: a key is short, and this is asked for rarely.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| crc << 1 ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 })
    })
}

fn reads_here(ctx: &mut Ctx<'_>, on: bool) -> CommandResult {
    ctx.client.flags.set(ClientFlags::READONLY_MODE, on);
    ctx.reply().ok();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_valkeys() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        for (key, expected) in
            [(&b"a"[..], 15495), (b"{a}b", 15495), (b"a{}b", 13694), (b"foo{bar}{zap}", 5061), (b"a{b", 13340)]
        {
            assert_eq!(slot(key), expected);
        }
    }
}
