//! An answer to `INFO`, read: what a stock server says of itself.

use std::collections::HashMap;

use valkey_repl_engine::observe::{Address, Answer, Attached, LinkState, Role, Upstream};

use super::state::{Asked, role, second_id};

/// The fields of `INFO`.
pub(super) struct Info<'a>(HashMap<&'a str, &'a str>);

impl<'a> Info<'a> {
    pub fn read(text: &'a str) -> Self {
        Self(text.lines().filter_map(|line| line.trim_end().split_once(':')).collect())
    }

    pub fn run_id(&self) -> Option<&'a str> {
        self.text("run_id")
    }

    /// Whether it is a server of this project, which alone has this field.
    pub fn is_native(&self) -> bool {
        self.text("valkey_repl_version").is_some()
    }

    /// When the process started, by its wall clock, in milliseconds since 1970: up to a second late, because the uptime
    /// is rounded down.
    pub fn started_unix_ms(&self) -> Option<u64> {
        let now = self.number("server_time_usec")? / 1_000;
        now.checked_sub(self.number("uptime_in_seconds")?.checked_mul(1_000)?)
    }

    /// All that an answer holds. The state of the link has been the same for at most `link_since_ms` of those states
    /// that were seen, which the caller knows.
    pub fn answer(&self, asked: &Asked<'_>) -> Option<Answer> {
        let role = role(self.text("role")?)?;
        let loading = self.flag("loading") || self.flag("async_loading");
        let syncing = self.flag("master_sync_in_progress");
        Some(Answer {
            asked_ms: asked.at_ms,
            received_ms: asked.received_ms,
            uid: asked.uid.to_owned(),
            run_id: self.run_id()?.to_owned(),
            role,
            fence: None,
            replid: self.text("master_replid")?.to_owned(),
            replid2: second_id(self.text("master_replid2").map(Into::into)),
            second_offset: self.number("second_repl_offset"),
            offset: match role {
                Role::Primary => self.number("master_repl_offset"),
                Role::Replica => self.number("slave_repl_offset"),
            }
            .unwrap_or(0),
            whole: !loading && !syncing,
            loading,
            keys: self.keys(),
            upstream: (role == Role::Replica).then(|| self.upstream(syncing)).flatten(),
            replicas: self.replicas(),
            failover_in_progress: self.text("master_failover_state").is_some_and(|state| state != "no-failover"),
        })
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).copied()
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    fn flag(&self, name: &str) -> bool {
        self.text(name) == Some("1")
    }

    fn upstream(&self, syncing: bool) -> Option<Upstream> {
        let up = self.text("master_link_status") == Some("up");
        Some(Upstream {
            address: Address {
                host: self.text("master_host")?.to_owned(),
                port: u16::try_from(self.number("master_port")?).ok()?,
            },
            link: match (up, syncing) {
                (true, _) => LinkState::Up,
                (false, true) => LinkState::Sync,
                (false, false) => LinkState::Down,
            },
            since_ms: self.number("master_link_down_since_seconds").map_or(u64::MAX, |seconds| seconds * 1_000),
        })
    }

    /// `slave0:ip=10.0.0.2,port=6379,state=online,offset=102,lag=1,type=replica`
    fn replicas(&self) -> Vec<Attached> {
        (0..)
            .map_while(|n| self.text(&format!("slave{n}")))
            .filter_map(|line| {
                let fields: HashMap<_, _> = line.split(',').filter_map(|field| field.split_once('=')).collect();
                let seconds: i64 = fields.get("lag")?.parse().ok()?;
                Some(Attached {
                    address: Address { host: (*fields.get("ip")?).to_owned(), port: fields.get("port")?.parse().ok()? },
                    online: *fields.get("state")? == "online",
                    ack_offset: fields.get("offset")?.parse().ok()?,
                    // Whole seconds: the lag is somewhere in the next one. -1: it has not acknowledged yet.
                    lag_ms: u64::try_from(seconds).map_or(u64::MAX, |seconds| seconds * 1_000 + 999),
                })
            })
            .collect()
    }

    /// The sum over `db0:keys=3,expires=0,avg_ttl=0`.
    fn keys(&self) -> u64 {
        self.0
            .iter()
            .filter(|(name, _)| name.strip_prefix("db").is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit())))
            .filter_map(|(_, line)| line.split(',').next()?.strip_prefix("keys=")?.parse::<u64>().ok())
            .sum()
    }
}
