//! Positions as members of sorted sets: GEOADD, GEOPOS, GEOHASH, GEODIST.

use super::error::{CommandError, SYNTAX};
use super::zset::{Options, add_members, reply_scores};
use super::{Command, CommandResult, Ctx, Flags, Group, KeyUse, Keys};
use crate::data::geo::{LATITUDES, LONGITUDES, Position};
use crate::resp::ReplyBuf;

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("geoadd", -5, Group::Geo, geoadd)
        .flags(Flags::WRITE.union(Flags::DENYOOM))
        .keys(Keys::FIRST)
        .uses(&[KeyUse::UPDATES])
        .doc("3.2.0", "Adds members with positions to a sorted set, which is made if need be, or moves them."),
    Command::new("geopos", -2, Group::Geo, geopos)
        .flags(Flags::READONLY)
        .keys(Keys::FIRST)
        .doc("3.2.0", "Returns the positions of members of a sorted set."),
    Command::new("geohash", -2, Group::Geo, geohash)
        .flags(Flags::READONLY)
        .keys(Keys::FIRST)
        .doc("3.2.0", "Returns the positions of members of a sorted set as geohash strings."),
    Command::new("geodist", -4, Group::Geo, geodist)
        .flags(Flags::READONLY)
        .keys(Keys::FIRST)
        .doc("3.2.0", "Returns the distance between two members of a sorted set."),
];

/// The position that the arguments at `i` and `i + 1` tell.
///
/// # Errors
/// If they are no numbers, or out of range.
pub(super) fn position(ctx: &Ctx<'_>, i: usize) -> Result<Position, CommandError> {
    let at = Position { longitude: ctx.float(i)?, latitude: ctx.float(i + 1)? };
    if LONGITUDES.contain(at.longitude) && LATITUDES.contain(at.latitude) {
        return Ok(at);
    }
    let Position { longitude, latitude } = at;
    Err(CommandError::text(format!("ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}")))
}

/// How many metres the unit in the argument at `i` is.
///
/// # Errors
/// If it is none.
pub(super) fn unit(ctx: &Ctx<'_>, i: usize) -> Result<f64, CommandError> {
    match ctx.arg(i).to_ascii_lowercase().as_slice() {
        b"m" => Ok(1.0),
        b"km" => Ok(1000.0),
        b"ft" => Ok(0.3048),
        b"mi" => Ok(1609.34),
        _ => Err(CommandError::fixed("ERR unsupported unit provided. please use M, KM, FT, MI")),
    }
}

/// A distance, with four digits after the point.
pub(super) fn reply_distance(reply: &mut ReplyBuf, distance: f64) {
    reply.bulk(format!("{distance:.4}").as_bytes());
}

/// A place: longitude and latitude, with all the digits there are up to the seventeenth after the point.
pub(super) fn reply_position(reply: &mut ReplyBuf, at: Position) {
    reply.array(2);
    for degrees in [at.longitude, at.latitude] {
        let text = format!("{degrees:.17}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        reply.double_text(if text == "-0" { "0" } else { text }.as_bytes());
    }
}

fn geoadd(ctx: &mut Ctx<'_>) -> CommandResult {
    let mut options = Options::default();
    let mut first = 2;
    while first < ctx.argc() {
        let option = match ctx.arg(first).to_ascii_lowercase().as_slice() {
            b"nx" => &mut options.only_new,
            b"xx" => &mut options.only_old,
            b"ch" => &mut options.count_changes,
            _ => break,
        };
        *option = true;
        first += 1;
    }
    let argv = ctx.argv;
    let rest = argv.len() - first;
    if rest == 0 || !rest.is_multiple_of(3) || options.only_new && options.only_old {
        return Err(SYNTAX);
    }
    let scores = (first..argv.len())
        .step_by(3)
        .map(|i| position(ctx, i).map(|at| at.score() as f64))
        .collect::<Result<Vec<f64>, _>>()?;
    let members = argv.iter().skip(first + 2).step_by(3);
    let before = ctx.keyspace().dirty();
    add_members(ctx, options, &scores, members.clone())?;
    if ctx.keyspace().dirty() == before {
        return Ok(());
    }
    // Others are given the scores, which they need not calculate.
    let texts: Vec<String> = scores.iter().map(f64::to_string).collect();
    let mut args = vec![&b"ZADD"[..]];
    args.extend(argv.iter().take(first).skip(1));
    args.extend(texts.iter().zip(members).flat_map(|(score, member)| [score.as_bytes(), member]));
    ctx.propagate_as(&args);
    Ok(())
}

fn geopos(ctx: &mut Ctx<'_>) -> CommandResult {
    reply_scores(ctx, |reply, score| reply_position(reply, Position::of_score(score)), ReplyBuf::null_array)
}

fn geohash(ctx: &mut Ctx<'_>) -> CommandResult {
    reply_scores(ctx, |reply, score| reply.bulk(&Position::of_score(score).geohash()), ReplyBuf::null)
}

fn geodist(ctx: &mut Ctx<'_>) -> CommandResult {
    let metres = match ctx.argc() {
        4 => 1.0,
        5 => unit(ctx, 4)?,
        _ => return Err(SYNTAX),
    };
    let (key, members) = (ctx.arg(1), [ctx.arg(2), ctx.arg(3)]);
    let (db, reply) = ctx.db_and_reply();
    let zset = db.read_zset(key)?;
    match members.map(|member| zset.and_then(|zset| zset.score(member)).map(Position::of_score)) {
        [Some(from), Some(to)] => reply_distance(reply, from.distance(to) / metres),
        _ => reply.null(),
    }
    Ok(())
}
