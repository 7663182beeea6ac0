//! CLIENT TRACKING and its relatives: what a client says of its cache.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::error::SYNTAX;
use super::{CommandError, CommandResult, Ctx};
use crate::client::{ClientFlags, ClientId};
use crate::tracking::{Mode, Tracked};

/// What CLIENT TRACKING is told after ON or OFF.
#[derive(Debug, Default)]
struct Options<'a> {
    redirect: Option<ClientId>,
    broadcast: bool,
    opt_in: bool,
    opt_out: bool,
    noloop: bool,
    prefixes: Vec<&'a [u8]>,
}

impl<'a> Options<'a> {
    fn parse(ctx: &Ctx<'a>) -> Result<Self, CommandError> {
        let mut options = Options::default();
        let mut i = 3;
        while i < ctx.argc() {
            let has_value = i + 1 < ctx.argc();
            if ctx.is(i, "redirect") && has_value {
                i += 1;
                if options.redirect.is_some() {
                    return Err(CommandError::fixed("ERR A client can only redirect to a single other client"));
                }
                let id = ClientId::try_from(ctx.int(i)?).unwrap_or(0);
                let exists = id == ctx.client.id || ctx.server.clients.slot_of(id).is_some();
                options.redirect = Some(id).filter(|_| exists);
                if options.redirect.is_none() {
                    return Err(CommandError::fixed("ERR The client ID you want redirect to does not exist"));
                }
            } else if ctx.is(i, "prefix") && has_value {
                i += 1;
                options.prefixes.push(ctx.arg(i));
            } else {
                match ctx.arg(i).to_ascii_lowercase().as_slice() {
                    b"bcast" => options.broadcast = true,
                    b"optin" => options.opt_in = true,
                    b"optout" => options.opt_out = true,
                    b"noloop" => options.noloop = true,
                    _ => return Err(SYNTAX),
                }
            }
            i += 1;
        }
        Ok(options)
    }

    /// The mode, if these go together and with the one in force.
    fn mode(&self, now: Option<Mode>) -> Result<Mode, CommandError> {
        let other = |what: &str| {
            Err(CommandError::text(format!(
                "ERR You can't switch {what} mode{} before disabling tracking for this client, and then re-enabling it with a different mode.",
                if what == "BCAST" { " on/off" } else { "" }
            )))
        };
        if !self.broadcast && !self.prefixes.is_empty() {
            return Err(CommandError::fixed("ERR PREFIX option requires BCAST mode to be enabled"));
        }
        if now.is_some_and(|now| (now == Mode::Broadcast) != self.broadcast) {
            return other("BCAST");
        }
        if self.broadcast && (self.opt_in || self.opt_out) {
            return Err(CommandError::fixed("ERR OPTIN and OPTOUT are not compatible with BCAST"));
        }
        if self.opt_in && self.opt_out {
            return Err(CommandError::fixed("ERR You can't specify both OPTIN mode and OPTOUT mode"));
        }
        if (self.opt_in && now == Some(Mode::OptOut)) || (self.opt_out && now == Some(Mode::OptIn)) {
            return other("OPTIN/OPTOUT");
        }
        Ok(match () {
            () if self.broadcast => Mode::Broadcast,
            () if self.opt_in => Mode::OptIn,
            () if self.opt_out => Mode::OptOut,
            () => Mode::All,
        })
    }

    /// The prefixes of the broadcasting mode: without any, all keys.
    fn prefixes(&self, mode: Mode, known: &BTreeSet<Rc<[u8]>>) -> Result<BTreeSet<Rc<[u8]>>, CommandError> {
        let overlap = |a: &[u8], b: &[u8]| a.starts_with(b) || b.starts_with(a);
        for (i, prefix) in self.prefixes.iter().enumerate() {
            let refusal = |which: &str, other: &[u8]| {
                let text: [&[u8]; 6] = [
                    b"ERR Prefix '",
                    prefix,
                    which.as_bytes(),
                    b" prefix '",
                    other,
                    b"'. Prefixes for a single client must not overlap.",
                ];
                Err(CommandError::bytes(text.concat()))
            };
            // Given again to the same client, a prefix is no other one.
            if let Some(other) = known.iter().find(|known| known.as_ref() != *prefix && overlap(known, prefix)) {
                return refusal("' overlaps with an existing", other);
            }
            if let Some(other) = self.prefixes[i + 1..].iter().find(|other| overlap(other, prefix)) {
                return refusal("' overlaps with another provided", other);
            }
        }
        let given = self.prefixes.iter().map(|prefix| Rc::from(*prefix));
        let nothing_said = mode == Mode::Broadcast && self.prefixes.is_empty() && known.is_empty();
        Ok(given.chain(nothing_said.then(|| Rc::from(&b""[..]))).collect())
    }
}

/// `CLIENT TRACKING (ON|OFF) …`
pub fn tracking(ctx: &mut Ctx<'_>) -> CommandResult {
    let options = Options::parse(ctx)?;
    if ctx.is(2, "off") {
        ctx.server.stop_tracking(ctx.client);
        ctx.reply().ok();
        return Ok(());
    }
    if !ctx.is(2, "on") {
        return Err(SYNTAX);
    }
    let known = ctx.server.tracking.get(ctx.client.id);
    let mode = options.mode(known.map(|known| known.mode))?;
    let none = BTreeSet::new();
    let prefixes = options.prefixes(mode, known.map_or(&none, |known| &known.prefixes))?;
    let tracked =
        Tracked { mode, redirect: options.redirect, broken: false, noloop: options.noloop, caching: false, prefixes };
    ctx.server.tracking.enable(ctx.client.id, tracked);
    ctx.server.keyspace.set_report_modified(true);
    ctx.client.bookkeeping.prefixes = ctx.server.tracking.memory_of(ctx.client.id);
    let flags = &mut ctx.client.flags;
    flags.insert(ClientFlags::TRACKING);
    flags.remove(ClientFlags::TRACKING_BROKEN);
    flags.set(ClientFlags::TRACKING_BROADCAST, mode == Mode::Broadcast);
    ctx.reply().ok();
    Ok(())
}

/// `CLIENT CACHING (YES|NO)`
pub fn caching(ctx: &mut Ctx<'_>) -> CommandResult {
    let Some(tracked) = ctx.server.tracking.get_mut(ctx.client.id) else {
        return Err(CommandError::fixed(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
        ));
    };
    match ctx.argv.get(2).to_ascii_lowercase().as_slice() {
        b"yes" if tracked.mode == Mode::OptIn => tracked.caching = true,
        b"no" if tracked.mode == Mode::OptOut => tracked.caching = true,
        b"yes" => {
            return Err(CommandError::fixed(
                "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.",
            ));
        }
        b"no" => {
            return Err(CommandError::fixed(
                "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.",
            ));
        }
        _ => return Err(SYNTAX),
    }
    ctx.reply().ok();
    Ok(())
}

/// Who is told in this client's place: -1 if it does not cache, 0 for itself.
pub fn redirection(tracked: Option<&Tracked>) -> i64 {
    tracked.map_or(-1, |tracked| tracked.redirect.map_or(0, |id| id as i64))
}

/// `CLIENT GETREDIR`
pub fn getredir(ctx: &mut Ctx<'_>) -> CommandResult {
    let to = redirection(ctx.server.tracking.get(ctx.client.id));
    ctx.reply().int(to);
    Ok(())
}

/// `CLIENT TRACKINGINFO`
pub fn trackinginfo(ctx: &mut Ctx<'_>) -> CommandResult {
    let tracked = ctx.server.tracking.get(ctx.client.id);
    let mut flags = vec![if tracked.is_some() { "on" } else { "off" }];
    if let Some(tracked) = tracked {
        match (tracked.mode, tracked.caching) {
            (Mode::All, _) => {}
            (Mode::Broadcast, _) => flags.push("bcast"),
            (Mode::OptIn, caching) => flags.extend(["optin", "caching-yes"].iter().take(1 + usize::from(caching))),
            (Mode::OptOut, caching) => flags.extend(["optout", "caching-no"].iter().take(1 + usize::from(caching))),
        }
        if tracked.noloop {
            flags.push("noloop");
        }
        if tracked.broken {
            flags.push("broken_redirect");
        }
    }
    let reply = &mut ctx.client.reply;
    reply.map(3);
    reply.bulk(b"flags");
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.bulk(flag.as_bytes()));
    reply.bulk(b"redirect");
    reply.int(redirection(tracked));
    reply.bulk(b"prefixes");
    reply.array(tracked.map_or(0, |tracked| tracked.prefixes.len()));
    tracked.iter().flat_map(|tracked| &tracked.prefixes).for_each(|prefix| reply.bulk(prefix));
    Ok(())
}
