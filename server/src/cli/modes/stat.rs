//! `--stat`: one line of INFO's most telling numbers per interval.

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use super::super::session::Session;
use super::super::stop::{Stop, print};
use super::{expect, persistent_command};

const HEADER: &str = "------- data ------ --------------------- load -------------------- - child -\n\
                      keys       mem      clients blocked requests            connections          \n";

/// Lines between two headers.
const HEADER_EVERY: u64 = 20;

/// Shows the numbers for ever.
///
/// # Errors
/// When the server refuses.
pub fn run(session: &mut Session) -> Result<(), Stop> {
    let interval = Some(session.options.interval).filter(|interval| !interval.is_zero());
    let mut requests = None;
    for line in 0_u64.. {
        let reply = expect(persistent_command(session, &["INFO"])?, "ERROR")?;
        let text = String::from_utf8_lossy(reply.text().unwrap_or_default()).into_owned();
        let info = Info::parse(&text);
        if line.is_multiple_of(HEADER_EVERY) {
            print(HEADER.as_bytes())?;
        }
        print(info.line(requests).as_bytes())?;
        requests = Some(info.number("total_commands_processed"));
        thread::sleep(interval.unwrap_or(Duration::from_secs(1)));
    }
    Ok(())
}

/// The fields of INFO.
struct Info<'a>(HashMap<&'a str, &'a str>);

impl<'a> Info<'a> {
    fn parse(text: &'a str) -> Self {
        Self(text.lines().filter_map(|line| line.split_once(':')).collect())
    }

    /// A field's number; 0 when the server does not have it.
    fn number(&self, field: &str) -> i64 {
        self.0.get(field).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// Keys in all databases: the sum over lines such as `db0:keys=2,expires=0,avg_ttl=0`.
    fn keys(&self) -> i64 {
        let databases = self.0.iter().filter(|(name, _)| {
            name.strip_prefix("db").is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
        });
        databases
            .filter_map(|(_, text)| text.split(',').find_map(|part| part.strip_prefix("keys=")))
            .filter_map(|keys| keys.parse::<i64>().ok())
            .sum()
    }

    fn line(&self, requests_before: Option<i64>) -> String {
        let requests = self.number("total_commands_processed");
        let more = requests - requests_before.unwrap_or(requests);
        let mut children = Vec::new();
        for (field, name) in
            [("rdb_bgsave_in_progress", "SAVE"), ("aof_rewrite_in_progress", "AOF"), ("loading", "LOAD")]
        {
            if self.number(field) != 0 {
                children.push(name);
            }
        }
        format!(
            "{:<11}{:<8} {:<8}{:<8}{:<19} {:<12}{}\n",
            self.keys(),
            human_bytes(self.number("used_memory")),
            self.number("connected_clients"),
            self.number("blocked_clients"),
            format!("{requests} (+{more})"),
            self.number("total_connections_received"),
            children.join("+")
        )
    }
}

/// `100B`, `1.50K`, `2.00G`.
fn human_bytes(n: i64) -> String {
    const UNITS: [char; 4] = ['K', 'M', 'G', 'T'];
    if n.abs() < 1024 {
        return format!("{n}B");
    }
    let mut size = n as f64 / 1024.0;
    let mut unit = 0;
    while size.abs() >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.2}{}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_the_load_and_what_came_since_the_last() {
        let text = "# Memory\r\nused_memory:1572864\r\nconnected_clients:2\r\nblocked_clients:1\r\ntotal_commands_processed:\
                    120\r\ntotal_connections_received:7\r\nrdb_bgsave_in_progress:1\r\naof_rewrite_in_progress:1\r\ndb0:keys=3,\
                    expires=1,avg_ttl=0\r\ndb12:keys=4,expires=0\r\ndbsize_note:keys=9\r\n";
        let info = Info::parse(text);
        let line = info.line(Some(100));
        assert_eq!(line, "7          1.50M    2       1       120 (+20)           7           SAVE+AOF\n");
        assert!(info.line(None).contains("120 (+0)"));
    }

    #[test]
    fn bytes_are_shown_in_the_nearest_unit() {
        let table =
            [(0, "0B"), (1023, "1023B"), (1024, "1.00K"), (1 << 31, "2.00G"), (1 << 41, "2.00T"), (-2048, "-2.00K")];
        for (n, want) in table {
            assert_eq!(human_bytes(n), want);
        }
    }
}
