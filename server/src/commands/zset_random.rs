//! Members at random, and one after the other: ZRANDMEMBER, ZSCAN.

use super::hash_random::sample_options;
use super::scan::{self, Of};
use super::zset_range::{reply_member, reply_members};
use super::{Command, CommandResult, Ctx, Flags, Group, Keys};
use crate::data::num::DoubleText;

/// The rows.
pub const COMMANDS: &[Command] = &[
    Command::new("zrandmember", -2, Group::SortedSet, zrandmember)
        .flags(Flags::READONLY)
        .keys(Keys::FIRST)
        .doc("6.2.0", "Returns random members of a sorted set, with their scores if asked for."),
    Command::new("zscan", -3, Group::SortedSet, zscan)
        .flags(Flags::READONLY)
        .keys(Keys::FIRST)
        .doc("2.8.0", "Returns some of the members of a sorted set, and the cursor to go on with."),
];

fn zrandmember(ctx: &mut Ctx<'_>) -> CommandResult {
    let (count, with_scores) = sample_options(ctx, "withscores")?;
    let key = ctx.arg(1);
    let (db, reply) = ctx.db_and_reply();
    let mut rng = db.rng();
    let zset = db.read_zset(key)?;
    match (zset, count) {
        (None, None) => reply.null(),
        (None, Some(_)) => reply.array(0),
        (Some(zset), None) => match zset.random(&mut rng) {
            Some((member, _)) => reply.elem(member),
            None => reply.null(),
        },
        (Some(zset), Some(count @ 0..)) => {
            let count = (count as usize).min(zset.len());
            reply_members(reply, count, with_scores);
            zset.random_distinct(count, &mut rng, |member, score| {
                reply_member(reply, member, with_scores.then_some(score));
            });
        }
        // The same member may come several times.
        (Some(zset), Some(count)) => {
            let count = count.unsigned_abs() as usize;
            reply_members(reply, count, with_scores);
            reply.repeat(count, |reply| {
                if let Some((member, score)) = zset.random(&mut rng) {
                    reply_member(reply, member, with_scores.then_some(score));
                }
            });
        }
    }
    Ok(())
}

fn zscan(ctx: &mut Ctx<'_>) -> CommandResult {
    let cursor = scan::cursor(ctx.arg(2))?;
    let (key, argv) = (ctx.arg(1), ctx.argv);
    let (db, reply) = ctx.db_and_reply();
    let Some(zset) = db.read_zset(key)? else {
        scan::reply_empty(reply);
        return Ok(());
    };
    let options = scan::Options::parse(argv, 3, Of::SortedSet)?;
    // Valkey prints the scores that it does not store as text with all digits that a double may need.
    let stored = zset.as_listpack().is_some();
    scan::reply(reply, &options, cursor, |cursor, page| {
        zset.scan(cursor, |member, score| match page.key(member) {
            true if stored => page.value(DoubleText::new(score).as_bytes()),
            true => page.value(long_text(score).as_bytes()),
            false => {}
        })
    });
    Ok(())
}

/// A double with up to 17 significant digits, laid out as by C's `%.17g`.
fn long_text(value: f64) -> String {
    const DIGITS: i32 = 17;
    if value.is_infinite() {
        return if value > 0.0 { "inf".to_owned() } else { "-inf".to_owned() };
    }
    let scientific = format!("{value:.16e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| text.trim_end_matches('0').trim_end_matches('.').to_owned();
    if (-4..DIGITS).contains(&exponent) {
        let decimals = (DIGITS - 1 - exponent) as usize;
        let fixed = format!("{value:.decimals$}");
        if decimals == 0 { fixed } else { trim(&fixed) }
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{}e{sign}{:02}", trim(mantissa), exponent.abs())
    }
}

#[cfg(test)]
mod tests {
    use super::long_text;

    #[test]
    fn long_texts_look_as_c_prints_them() {
        let cases = [
            (0.1, "0.10000000000000001"),
            (3.0, "3"),
            (-2.5, "-2.5"),
            (1e20, "1e+20"),
            (1e16, "10000000000000000"),
            (1e17, "1e+17"),
            (0.0001, "0.0001"),
            (0.00001, "1.0000000000000001e-05"),
            (5e-324, "4.9406564584124654e-324"),
            (0.0, "0"),
        ];
        for (value, text) in cases {
            assert_eq!(long_text(value), text);
        }
    }
}
