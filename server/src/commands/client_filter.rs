//! Which clients CLIENT LIST shows and CLIENT KILL closes.

use super::error::SYNTAX;
use super::{CommandError, Ctx};
use crate::client::{Client, ClientFlags, ClientId};
use crate::resp::number::parse_i64;

/// A condition on a client.
#[derive(Debug)]
enum Test {
    Ids(Vec<ClientId>),
    Address(Vec<u8>),
    LocalAddress(Vec<u8>),
    Ip(Vec<u8>),
    Class(&'static str),
    User(Vec<u8>),
    MinAge(i64),
    MinIdle(i64),
    Flags(Vec<u8>),
    Name(Vec<u8>),
    LibName(Vec<u8>),
    LibVersion(Vec<u8>),
    Db(usize),
    Capabilities(Vec<u8>),
}

/// Conditions that a client has to meet, all of them.
#[derive(Debug, Default)]
pub struct Filter {
    /// Each with whether it must hold or must not.
    tests: Vec<(bool, Test)>,
    /// Whether the caller itself is left out, if that was said.
    pub skip_me: Option<bool>,
}

/// Every letter of [`Client::flag_letters`], and those of the sides of a slot migration, which no client here is.
const FLAGS: &[u8] = b"OSMPxbtRBdcuAUreTINEi";
/// Every letter of [`Client::capability_letters`].
const CAPABILITIES: &[u8] = b"r";

impl Filter {
    /// Reads the options from argument `from` on.
    ///
    /// # Errors
    /// Valkey's texts for what is no option, or no value of one.
    pub fn parse(ctx: &Ctx<'_>, from: usize) -> Result<Filter, CommandError> {
        let mut filter = Filter::default();
        let mut i = from;
        if ctx.argc() == from + 1 {
            return Err(SYNTAX);
        }
        while i < ctx.argc() {
            let option = ctx.arg(i).to_ascii_lowercase();
            if matches!(option.as_slice(), b"id" | b"not-id") {
                // As many as follow, which may be none.
                let mut ids = Vec::new();
                i += 1;
                while i < ctx.argc()
                    && let Some(id) = parse_i64(ctx.arg(i))
                {
                    ids.push(client_id(id)?);
                    i += 1;
                }
                filter.add(option == b"id", Test::Ids(ids));
                continue;
            }
            let value = if i + 1 < ctx.argc() { ctx.arg(i + 1) } else { return Err(SYNTAX) };
            i += 2;
            if option == b"skipme" {
                filter.skip_me = Some(yes_or_no(value)?);
                continue;
            }
            let (wanted, name) = match option.strip_prefix(b"not-") {
                Some(name) => (false, name),
                None => (true, &option[..]),
            };
            filter.add(wanted, parse_test(ctx, name, wanted, value)?);
        }
        Ok(filter)
    }

    /// Ids add up; of any other condition the last one counts.
    fn add(&mut self, wanted: bool, test: Test) {
        let same = |(known_wanted, known): &&mut (bool, Test)| {
            *known_wanted == wanted && std::mem::discriminant(known) == std::mem::discriminant(&test)
        };
        match (self.tests.iter_mut().find(same), test) {
            (Some((_, Test::Ids(known))), Test::Ids(more)) => known.extend(more),
            (Some((_, known)), test) => *known = test,
            (None, test) => self.tests.push((wanted, test)),
        }
    }

    /// Whether a client meets all conditions.
    pub fn admits(&self, client: &Client, now_ms: i64) -> bool {
        self.tests.iter().all(|(wanted, test)| test.holds(client, now_ms) == *wanted)
    }

    /// The filter of the one address that the old form of CLIENT KILL takes.
    pub fn address(address: &[u8]) -> Filter {
        Filter { tests: vec![(true, Test::Address(address.to_vec()))], skip_me: Some(false) }
    }
}

impl Test {
    fn holds(&self, client: &Client, now_ms: i64) -> bool {
        match self {
            Test::Ids(ids) => ids.contains(&client.id),
            Test::Address(address) => client.peer.as_bytes() == address,
            Test::LocalAddress(address) => client.local.as_bytes() == address,
            Test::Ip(ip) => ip_of(&client.peer).as_bytes() == ip,
            Test::Class(class) => client.kind() == *class,
            Test::User(user) => client.user_name() == user,
            Test::MinAge(seconds) => (now_ms - client.created_ms) / 1000 >= *seconds,
            Test::MinIdle(seconds) => (now_ms - client.active_ms) / 1000 >= *seconds,
            Test::Flags(letters) => {
                let mut has = client.flag_letters();
                if client.flags.contains(ClientFlags::MONITOR) {
                    // Although it is not shown as one, a monitor is found as a replica.
                    has.push('S');
                }
                letters.iter().all(|letter| has.as_bytes().contains(letter))
            }
            Test::Name(name) => is_named(&client.name, name),
            Test::LibName(name) => is_named(&client.lib_name, name),
            Test::LibVersion(version) => is_named(&client.lib_version, version),
            Test::Db(db) => client.db == *db,
            Test::Capabilities(letters) => {
                letters.iter().all(|letter| client.capability_letters().as_bytes().contains(letter))
            }
        }
    }
}

/// Who has no name is not found by an empty one.
fn is_named(name: &[u8], wanted: &[u8]) -> bool {
    !name.is_empty() && name == wanted
}

fn parse_test(ctx: &Ctx<'_>, name: &[u8], wanted: bool, value: &[u8]) -> Result<Test, CommandError> {
    let text = value.to_vec();
    Ok(match name {
        b"addr" => Test::Address(text),
        b"laddr" => Test::LocalAddress(text),
        b"ip" => Test::Ip(text),
        b"type" => Test::Class(class_named(value)?),
        b"user" if ctx.server.acl.get(value).is_none() => return Err(quoting("No such user '", value, "'")),
        b"user" => Test::User(text),
        b"maxage" if wanted => Test::MinAge(seconds("maxage", value)?),
        b"idle" if wanted => Test::MinIdle(seconds("idle", value)?),
        b"flags" => Test::Flags(letters(value, FLAGS, "flags", wanted)?),
        b"name" => Test::Name(text),
        b"lib-name" => Test::LibName(text),
        b"lib-ver" => Test::LibVersion(text),
        b"db" => {
            let option = if wanted { "DB" } else { "NOT-DB" };
            let wrong = || CommandError::text(format!("ERR {option} is not an integer or out of range"));
            let db = parse_i64(value).ok_or_else(wrong)?;
            let dbs = ctx.server.config.databases;
            let db = usize::try_from(db).ok().filter(|db| *db < dbs);
            Test::Db(db.ok_or_else(|| {
                CommandError::text(format!("ERR {option} number should be between 0 and {}", dbs.saturating_sub(1)))
            })?)
        }
        b"capa" => Test::Capabilities(letters(value, CAPABILITIES, "capa", wanted)?),
        _ => return Err(SYNTAX),
    })
}

fn yes_or_no(word: &[u8]) -> Result<bool, CommandError> {
    match word.to_ascii_lowercase().as_slice() {
        b"yes" => Ok(true),
        b"no" => Ok(false),
        _ => Err(SYNTAX),
    }
}

fn client_id(id: i64) -> Result<ClientId, CommandError> {
    let id = ClientId::try_from(id).ok().filter(|id| *id > 0);
    id.ok_or(CommandError::fixed("ERR client-id should be greater than 0"))
}

fn class_named(name: &[u8]) -> Result<&'static str, CommandError> {
    match name.to_ascii_lowercase().as_slice() {
        b"normal" => Ok("normal"),
        b"replica" | b"slave" => Ok("replica"),
        b"primary" | b"master" => Ok("primary"),
        b"pubsub" => Ok("pubsub"),
        _ => Err(quoting("Unknown client type '", name, "'")),
    }
}

fn seconds(option: &str, value: &[u8]) -> Result<i64, CommandError> {
    let n = parse_i64(value)
        .ok_or_else(|| CommandError::text(format!("ERR {option} is not an integer or out of range")))?;
    if n < 1 {
        return Err(CommandError::text(format!("ERR {option} should be greater than 0")));
    }
    Ok(n)
}

fn letters(value: &[u8], known: &[u8], what: &str, wanted: bool) -> Result<Vec<u8>, CommandError> {
    if value.iter().all(|letter| known.contains(letter)) {
        return Ok(value.to_vec());
    }
    let filter = if wanted { "provided".to_owned() } else { format!("NOT-{}", what.to_ascii_uppercase()) };
    Err(quoting(&format!("Unknown {what} found in the {filter} filter: "), value, ""))
}

fn quoting(before: &str, value: &[u8], after: &str) -> CommandError {
    CommandError::bytes([b"ERR ", before.as_bytes(), value, after.as_bytes()].concat())
}

/// The address without its port, and without the brackets of IPv6.
fn ip_of(peer: &str) -> &str {
    let ip = peer.rsplit_once(':').map_or(peer, |(ip, _)| ip);
    ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(ip)
}
