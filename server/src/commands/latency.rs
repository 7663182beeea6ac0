//! LATENCY: what took long, and how long commands take.

use super::config::container;
use super::table::{self, Row};
use super::{Command, CommandError, CommandResult, Ctx, Flags, Group, help};
use crate::server::latency::{Event, Series};

const FLAGS: Flags = Flags::ADMIN.union(Flags::NOSCRIPT).union(Flags::LOADING).union(Flags::STALE);

const fn row(name: &'static str, arity: i16, handler: super::Handler) -> Command {
    Command::new(name, arity, Group::Server, handler).flags(FLAGS)
}

/// The rows.
pub const COMMANDS: &[Command] =
    &[Command::new("latency", -2, Group::Server, container).doc("2.8.13", "Looks at what took long.").subcommands(&[
        row("doctor", 2, doctor).doc("2.8.13", "Says in words what took long, and what can be done about it."),
        row("graph", 3, graph).usage("<event>").doc("2.8.13", "Draws an event's latencies."),
        help::row(Group::Server, "2.8.13"),
        row("histogram", -2, histogram)
            .usage("[<command> ...]")
            .doc("7.0.0", "Returns how many calls of commands took how long."),
        row("history", 3, history).usage("<event>").doc("2.8.13", "Returns an event's latencies with their times."),
        row("latest", 2, latest).doc("2.8.13", "Returns the last and the highest latency of each event."),
        row("reset", -2, reset).usage("[<event> ...]").doc("2.8.13", "Forgets events, or all of them."),
    ])];

fn latest(ctx: &mut Ctx<'_>) -> CommandResult {
    let events: Vec<(Event, &Series)> = ctx.server.latency.events().collect();
    let reply = &mut ctx.client.reply;
    reply.array(events.len());
    for (event, series) in events {
        reply.array(6);
        reply.bulk(event.name().as_bytes());
        let last = series.samples().last().copied().unwrap_or_default();
        reply.int(last.time);
        for n in [last.ms, series.max_ms, series.sum_ms, series.count] {
            reply.int(n as i64);
        }
    }
    Ok(())
}

fn history(ctx: &mut Ctx<'_>) -> CommandResult {
    let series = Event::named(ctx.arg(2)).and_then(|event| ctx.server.latency.series(event));
    let reply = &mut ctx.client.reply;
    reply.array(series.map_or(0, |s| s.samples().len()));
    for sample in series.into_iter().flat_map(Series::samples) {
        reply.array(2);
        reply.int(sample.time);
        reply.int(sample.ms as i64);
    }
    Ok(())
}

fn reset(ctx: &mut Ctx<'_>) -> CommandResult {
    let all = ctx.argc() == 2;
    let named: Vec<Event> = ctx.argv.iter().skip(2).filter_map(Event::named).collect();
    let forgotten = ctx.server.latency.forget(|event| all || named.contains(&event));
    ctx.reply().int(forgotten as i64);
    Ok(())
}

fn graph(ctx: &mut Ctx<'_>) -> CommandResult {
    let event = Event::named(ctx.arg(2));
    let now = ctx.server.now_ms() / 1000;
    let Some((event, series)) = event.and_then(|event| Some((event, ctx.server.latency.series(event)?))) else {
        let text = [b"ERR No samples available for event '", ctx.arg(2), b"'"];
        return Err(CommandError::bytes(text.concat()));
    };
    let text = draw(event.name(), series, now);
    ctx.reply().verbatim(text.as_bytes());
    Ok(())
}

/// A column for each sample, four lines high, with its age written below it from top to bottom.
fn draw(name: &str, series: &Series, now: i64) -> String {
    const HEIGHT: u64 = 4;
    let samples: Vec<_> = series.samples().collect();
    let low = samples.iter().map(|s| s.ms).min().unwrap_or(0);
    let high = samples.iter().map(|s| s.ms).max().unwrap_or(0);
    let mut out = format!("{name} - high {high} ms, low {low} ms (all time high {} ms)\n", series.max_ms);
    out.push_str(&"-".repeat(80));
    out.push('\n');
    // Each line has room for three steps: `_`, `o`, `#`.
    let steps = |ms: u64| (ms - low) * (3 * HEIGHT - 1) / (high - low).max(1);
    for line in (0..HEIGHT).rev() {
        for sample in &samples {
            out.push(match steps(sample.ms).checked_sub(line * 3) {
                None => ' ',
                Some(0) => '_',
                Some(1) => 'o',
                Some(2) => '#',
                Some(_) => '|',
            });
        }
        out.push('\n');
    }
    out.push('\n');
    let ages: Vec<Vec<char>> = samples.iter().map(|s| age(now - s.time).chars().collect()).collect();
    for line in 0..ages.iter().map(Vec::len).max().unwrap_or(0) {
        out.extend(ages.iter().map(|age| age.get(line).copied().unwrap_or(' ')));
        out.push('\n');
    }
    out
}

fn age(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{}s", seconds.max(0)),
        60..3600 => format!("{}m", seconds / 60),
        3600..86400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86400),
    }
}

fn histogram(ctx: &mut Ctx<'_>) -> CommandResult {
    let stats = &ctx.server.stats;
    let wanted: Vec<&Row> = if ctx.argv.len() == 2 {
        table::rows().iter().collect()
    } else {
        let asked = ctx.argv.iter().skip(2).filter_map(table::find_full);
        asked.flat_map(|row| std::iter::once(row).chain(row.subcommands())).collect()
    };
    let known = wanted.into_iter().filter_map(|row| {
        let histogram = stats.latency(row.id)?;
        Some((row, histogram))
    });
    ctx.client.reply.deferred(crate::resp::ReplyBuf::map, |reply| {
        let mut n = 0;
        for (row, histogram) in known {
            n += 1;
            reply.bulk(row.full_name.as_bytes());
            reply.map(2);
            reply.bulk(b"calls");
            reply.int(histogram.total() as i64);
            reply.bulk(b"histogram_usec");
            let mut steps = histogram.doublings();
            // Where nothing was added, nothing is said.
            steps.dedup_by_key(|step| step.1);
            steps.retain(|step| step.1 > 0);
            reply.map(steps.len());
            for (bound, calls) in steps {
                reply.int((bound / 1000) as i64);
                reply.int(calls as i64);
            }
        }
        n
    });
    Ok(())
}

fn doctor(ctx: &mut Ctx<'_>) -> CommandResult {
    let threshold = ctx.server.config.latency_monitor_threshold;
    let mut out = String::new();
    let events: Vec<(Event, &Series)> = ctx.server.latency.events().collect();
    if threshold == 0 {
        out.push_str("Latency monitoring is off. CONFIG SET latency-monitor-threshold <milliseconds> turns it on.\n");
    } else if events.is_empty() {
        out.push_str(&format!(
            "Nothing took {threshold} ms or more since latency monitoring was turned on or reset.\n"
        ));
    }
    for (event, series) in events {
        let average = series.sum_ms / series.count.max(1);
        out.push_str(&format!(
            "{}: {} times {threshold} ms or more, {average} ms on average, {} ms at most. {}\n",
            event.name(),
            series.count,
            series.max_ms,
            event.advice()
        ));
    }
    ctx.reply().verbatim(out.as_bytes());
    Ok(())
}
