//! MIGRATE: moves keys to another server. As in Valkey, this server does nothing else meanwhile, so that the keys are in one place at
//! a time.

use super::dump::payload;
use super::error::SYNTAX;
use super::{Category, Command, CommandError, CommandResult, Ctx, Flags, Group, KeyUse, Keys};
use crate::net::peers::{Broken, Peer};
use crate::resp::Argv;
use crate::resp::argv::encode_command;
use crate::resp::number::parse_i64;
use std::time::Duration;

/// The row.
pub const COMMANDS: &[Command] = &[Command::new("migrate", -6, Group::Generic, migrate)
    .flags(Flags::WRITE.union(Flags::MOVABLE_KEYS))
    .keys(Keys::DynamicFrom(3, migrate_keys))
    .uses(&[KeyUse::TAKES])
    .acl(Category::DANGEROUS)
    .doc("2.6.0", "Moves keys to another server.")];

fn migrate_keys(argv: Argv<'_>) -> Vec<usize> {
    if !argv.get(3).is_empty() {
        return vec![3];
    }
    let mut i = 6;
    while i < argv.len() {
        let is = |name: &str| argv.get(i).eq_ignore_ascii_case(name.as_bytes());
        if is("keys") {
            return (i + 1..argv.len()).collect();
        }
        i += if is("auth") {
            2
        } else if is("auth2") {
            3
        } else {
            1
        };
    }
    vec![3]
}

/// Whether the argument at `i` is a user or a password.
pub fn is_credential(argv: Argv<'_>, i: usize) -> bool {
    let is = |at: usize, name: &str| argv.get(at).eq_ignore_ascii_case(name.as_bytes());
    i > 6 && (is(i - 1, "auth") || is(i - 1, "auth2") || i > 7 && is(i - 2, "auth2"))
}

struct Options<'a> {
    copy: bool,
    replace: bool,
    /// The arguments of AUTH.
    auth: Vec<&'a [u8]>,
    keys: Vec<&'a [u8]>,
}

impl<'a> Options<'a> {
    fn parse(ctx: &Ctx<'a>) -> Result<Options<'a>, CommandError> {
        let mut options = Options { copy: false, replace: false, auth: Vec::new(), keys: vec![ctx.arg(3)] };
        let mut i = 6;
        while i < ctx.argc() {
            let left = ctx.argc() - i - 1;
            if ctx.is(i, "copy") {
                options.copy = true;
            } else if ctx.is(i, "replace") {
                options.replace = true;
            } else if ctx.is(i, "auth") && left >= 1 {
                options.auth = vec![ctx.arg(i + 1)];
                i += 1;
            } else if ctx.is(i, "auth2") && left >= 2 {
                options.auth = vec![ctx.arg(i + 1), ctx.arg(i + 2)];
                i += 2;
            } else if ctx.is(i, "keys") {
                if !ctx.arg(3).is_empty() {
                    return Err(CommandError::fixed(
                        "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string",
                    ));
                }
                options.keys = ctx.argv.iter().skip(i + 1).collect();
                break;
            } else {
                return Err(SYNTAX);
            }
            i += 1;
        }
        Ok(options)
    }
}

fn migrate(ctx: &mut Ctx<'_>) -> CommandResult {
    let options = Options::parse(ctx)?;
    let (timeout, db) = (ctx.int(5)?, ctx.int(4)?);
    let timeout = Duration::from_millis(u64::try_from(timeout).ok().filter(|ms| *ms > 0).unwrap_or(1000));
    let keys: Vec<&[u8]> = options.keys.iter().copied().filter(|key| ctx.db().read(key).is_some()).collect();
    if keys.is_empty() {
        ctx.reply().simple("NOKEY");
        return Ok(());
    }
    let (keys, restores) = restores(ctx, &keys, options.replace);
    let host = String::from_utf8_lossy(ctx.arg(1)).into_owned();
    let port = parse_i64(ctx.arg(2)).and_then(|port| u16::try_from(port).ok()).unwrap_or(0);

    let mut tried_anew = false;
    let (mut peer, before, answers, broken) = loop {
        let mut peer = match ctx.server.peers.take(&host, port) {
            Some(peer) => peer,
            None => Peer::connect(&host, port, timeout)
                .map_err(|_| CommandError::fixed("IOERR error or timeout connecting to the client"))?,
        };
        let mut request = Vec::new();
        if !options.auth.is_empty() {
            encode_command(&mut request, [&[&b"AUTH"[..]], options.auth.as_slice()].concat());
        }
        let select = peer.db != Some(db);
        if select {
            encode_command(&mut request, [b"SELECT", itoa::Buffer::new().format(db).as_bytes()]);
        }
        request.extend_from_slice(&restores);
        let before = usize::from(!options.auth.is_empty()) + usize::from(select);
        let (answers, broken) = peer.exchange(&request, before + keys.len(), timeout);
        // A connection that was kept may have been closed by the other side since.
        if broken.is_some_and(|broken| !broken.timed_out) && answers.is_empty() && !tried_anew {
            tried_anew = true;
            continue;
        }
        break (peer, before, answers, broken);
    };
    let error = settle(ctx, &keys, &answers, before, options.copy);
    if broken.is_none() {
        peer.db = error.is_none().then_some(db);
        let now = ctx.server.now_ms();
        ctx.server.peers.put(&host, port, peer, now);
    }
    match (error, broken) {
        (Some(error), _) => Err(error),
        (None, Some(Broken { writing: true, .. })) => {
            Err(CommandError::fixed("IOERR error or timeout writing to target instance"))
        }
        (None, Some(_)) => Err(CommandError::fixed("IOERR error or timeout reading to target instance")),
        (None, None) => {
            ctx.reply().ok();
            Ok(())
        }
    }
}

/// The RESTORE commands for keys, and the keys that they are for: those that have not expired.
fn restores<'a>(ctx: &mut Ctx<'_>, keys: &[&'a [u8]], replace: bool) -> (Vec<&'a [u8]>, Vec<u8>) {
    let (now, compression) = (ctx.server.now_ms(), ctx.server.config.rdbcompression);
    let mut commands = Vec::new();
    let mut sent = Vec::with_capacity(keys.len());
    for key in keys {
        let Some(entry) = ctx.db().get(key) else { continue };
        let ttl = entry.expire_at().map_or(0, |at| at.saturating_sub(now).max(1));
        let (mut text, payload) = (itoa::Buffer::new(), payload(entry, compression));
        let mut words: Vec<&[u8]> = vec![b"RESTORE", key, text.format(ttl).as_bytes(), &payload];
        if replace {
            words.push(b"REPLACE");
        }
        encode_command(&mut commands, words);
        sent.push(*key);
    }
    (sent, commands)
}

/// Deletes the keys that the other server has taken, unless copies were asked for. Returns its first error.
fn settle(ctx: &mut Ctx<'_>, keys: &[&[u8]], answers: &[Vec<u8>], before: usize, copy: bool) -> Option<CommandError> {
    let failed = |answer: &&Vec<u8>| answer.starts_with(b"-");
    let (preamble, restored) = answers.split_at(before.min(answers.len()));
    let first_error = preamble.iter().chain(restored).find(failed);
    // Without the right user or database, nothing that followed was what was meant.
    let refused = preamble.iter().any(|answer| failed(&answer));
    if !copy && !refused {
        let taken = keys.iter().zip(restored).filter(|(_, answer)| !failed(answer)).map(|(key, _)| *key);
        let mut deletion: Vec<&[u8]> = vec![b"DEL"];
        deletion.extend(taken.filter(|key| ctx.db().del(key, false)));
        if deletion.len() > 1 {
            ctx.propagate_as(&deletion);
        }
    }
    first_error.map(|answer| {
        let text: [&[u8]; 2] = [b"ERR Target instance replied with error: ", &answer[1..]];
        CommandError::bytes(text.concat())
    })
}
