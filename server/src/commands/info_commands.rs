//! INFO commandstats, errorstats and latencystats.

use std::fmt::Write;

use super::info::{Part, View};

/// `# Commandstats`
pub const COMMANDS: &[Part] = &[Part::Lines(commands)];
/// `# Errorstats`
pub const ERRORS: &[Part] = &[Part::Lines(errors)];
/// `# Latencystats`
pub const LATENCIES: &[Part] = &[Part::Lines(latencies)];

fn commands(view: &View<'_>, out: &mut String) {
    for (row, s) in view.server.stats.commands() {
        let each = if s.calls == 0 { 0.0 } else { s.micros as f64 / s.calls as f64 };
        let _ = write!(
            out,
            "cmdstat_{}:calls={},usec={},usec_per_call={each:.2},rejected_calls={},failed_calls={}\r\n",
            row.full_name, s.calls, s.micros, s.rejected, s.failed
        );
    }
}

fn errors(view: &View<'_>, out: &mut String) {
    for (code, count) in view.server.stats.errors() {
        let name: String =
            String::from_utf8_lossy(code).chars().map(|c| if ":\r\n".contains(c) { '_' } else { c }).collect();
        let _ = write!(out, "errorstat_{name}:count={count}\r\n");
    }
}

fn latencies(view: &View<'_>, out: &mut String) {
    let percentiles = &view.server.config.latency_tracking_info_percentiles;
    for (row, s) in view.server.stats.commands() {
        let Some(histogram) = s.latency.as_ref().filter(|h| h.total() > 0) else { continue };
        let _ = write!(out, "latency_percentiles_usec_{}:", row.full_name);
        for (i, percentile) in percentiles.iter().enumerate() {
            let micros = histogram.percentile(*percentile) as f64 / 1000.0;
            let _ = write!(out, "{}p{percentile}={micros:.3}", if i == 0 { "" } else { "," });
        }
        out.push_str("\r\n");
    }
}
