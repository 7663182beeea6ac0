//! What people are shown. Pure.

use std::{fmt::Write, path::PathBuf, time::Duration};

use valkey_repl_engine::{
    ConditionKind, Decision,
    observe::{LinkState, Role},
    record::{Failover, Why},
};

use super::failovers::{Finished, why};
use crate::api::InstanceStatus;

/// All that the table shows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct View {
    /// What the set is called.
    pub name: String,
    /// Where clients connect.
    pub listen: String,
    /// The primaryship, and what the set is at.
    pub epoch: u64,
    pub phase: &'static str,
    pub rows: Vec<Row>,
    /// The last changes of the primary, the newest first.
    pub failovers: Vec<String>,
    /// What is not as it should be.
    pub troubles: Vec<String>,
    /// How to connect and what to try.
    pub hints: Vec<String>,
}

/// One instance.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub cells: [String; 7],
    pub primary: bool,
    /// It is in step with the primary, or is it.
    pub well: bool,
}

/// The head of the table.
pub(super) const HEAD: [&str; 7] = ["INSTANCE", "ROLE", "LINK", "OFFSET", "LAG", "PORT", "PID"];

/// A row of the table.
pub(super) fn row(status: &InstanceStatus, primary: bool, port: Option<u16>, pid: Option<u32>) -> Row {
    let none = || "-".to_owned();
    let role = match (status.role, primary) {
        (None, _) if pid.is_none() => "down",
        (None, _) => "?",
        (Some(Role::Primary), true) => "primary",
        (Some(Role::Primary), false) => "(primary)",
        (Some(Role::Replica), _) => "replica",
    };
    let link = match status.link {
        Some(LinkState::Up) => "up",
        Some(LinkState::Connecting) => "connecting",
        Some(LinkState::Sync) => "sync",
        Some(LinkState::Down) => "down",
        None => "-",
    };
    Row {
        cells: [
            status.name.clone(),
            role.into(),
            link.into(),
            status.offset.map_or_else(none, |offset| offset.to_string()),
            status.lag_ms.map_or_else(none, |lag| format!("{lag} ms")),
            port.map_or_else(none, |port| port.to_string()),
            pid.map_or_else(none, |pid| pid.to_string()),
        ],
        primary,
        well: status.in_step,
    }
}

/// The line about a change of the primary.
pub(super) fn failover(finished: &Finished) -> String {
    let Finished { failover, took, writable } = finished;
    let mut line = match (failover.why, &failover.from) {
        (Why::Formed, _) | (_, None) => format!("{} is the first primary (epoch {})", failover.to, failover.epoch),
        (Why::Requested | Why::Evaded, Some(from)) => {
            format!("move epoch {}: {from} -> {} ({})", failover.epoch, failover.to, why(failover.why))
        }
        (_, Some(from)) => {
            let took = took.map_or_else(String::new, |took| format!(" in {}", ms(took)));
            format!("failover epoch {}: {from} -> {}{took} ({})", failover.epoch, failover.to, why(failover.why))
        }
    };
    match failover.bytes_possibly_lost {
        Some(0) => {}
        // Writing to a String cannot fail.
        Some(bytes) => _ = write!(line, ", {bytes} bytes lost"),
        None => line.push_str(", what was lost is not known"),
    }
    if !writable {
        line.push_str(", writes are not possible yet");
    }
    line
}

/// A change of the primary in the table.
pub(super) fn past(past: &Failover, took: Option<Duration>) -> String {
    let finished = Finished { failover: past.clone(), took, writable: true };
    format!("{}  {}", past.at, failover(&finished))
}

fn ms(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}

/// Whether writes are possible.
pub(super) fn is_ready(decision: &Decision) -> bool {
    decision.conditions.iter().any(|it| it.kind == ConditionKind::Ready && it.status == Some(true))
}

/// What of a decision people should see.
pub(super) fn troubles(decision: &Decision) -> Vec<String> {
    let conditions = decision.conditions.iter();
    let bad = conditions.filter(|condition| match condition.kind {
        ConditionKind::Ready => condition.status != Some(true),
        ConditionKind::Degraded | ConditionKind::DatasetAtRisk => condition.status == Some(true),
        ConditionKind::Progressing => false,
    });
    let mut troubles: Vec<String> = Vec::new();
    for condition in bad {
        let annotation = format!("the annotation {} in the file", crate::api::ACCEPT_DATA_LOSS);
        let mut message = condition.message.replace("accept-data-loss", &annotation);
        if message != condition.message {
            message.push_str(" and start this command again");
        }
        // The kinds often have one reason between them; the last says most.
        troubles.retain(|known| !known.ends_with(&condition.message));
        troubles.push(format!("{}: {message}", condition.kind.as_str()));
    }
    troubles
}

/// How to connect, and what to try.
pub(super) fn hints(
    listen: std::net::SocketAddr,
    password: &str,
    cli: Option<PathBuf>,
    pid: Option<u32>,
) -> Vec<String> {
    let cli = cli.map_or_else(|| "valkey-cli".to_owned(), |cli| cli.display().to_string());
    let host = if listen.ip().is_unspecified() || listen.ip() == std::net::Ipv4Addr::LOCALHOST {
        String::new()
    } else {
        format!(" -h {}", listen.ip())
    };
    // Two lines, so that neither is cut in a terminal of 80 columns.
    let mut hints = vec![
        format!("password: export VALKEYCLI_AUTH=\"$(cat {password})\""),
        format!("connect: {cli}{host} -p {}", listen.port()),
    ];
    if let Some(pid) = pid {
        hints.push(format!("try: kill -9 {pid}"));
    }
    hints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(why: Why, from: Option<&str>, lost: Option<u64>) -> Finished {
        Finished {
            failover: Failover {
                at: String::new(),
                epoch: 2,
                from: from.map(Into::into),
                to: "pair-1".into(),
                why,
                timeline: Default::default(),
                bytes_possibly_lost: lost,
            },
            took: Some(Duration::from_millis(143)),
            writable: true,
        }
    }

    #[test]
    fn a_failover_says_who_took_over_how_fast_and_why() {
        assert_eq!(
            failover(&finished(Why::Died, Some("pair-0"), Some(0))),
            "failover epoch 2: pair-0 -> pair-1 in 143 ms (process ended)"
        );
        assert_eq!(failover(&finished(Why::Formed, None, Some(0))), "pair-1 is the first primary (epoch 2)");
    }

    #[test]
    fn what_a_failover_may_have_cost_is_said() {
        assert!(failover(&finished(Why::Died, Some("pair-0"), Some(12))).ends_with(", 12 bytes lost"));
        assert!(failover(&finished(Why::Died, Some("pair-0"), None)).ends_with("what was lost is not known"));
    }
}
