//! An answer to `QUORUM STATE`, read.
//!
//! A flat list of names and values. Numbers may come as integers or as text. `link-since-ms` is for how long the link
//! has been in its state.

use std::{borrow::Cow, collections::HashMap};

use valkey_repl_engine::observe::{Address, Answer, Attached, Fence, LinkState, Role, Upstream};

use super::resp::Reply;

/// When something was asked and answered, and by whom.
pub(super) struct Asked<'a> {
    pub at_ms: u64,
    pub received_ms: u64,
    pub uid: &'a str,
}

/// Reads it; `None`: it is none, or lacks something that a decision would rest on.
pub(super) fn read(reply: &Reply, asked: &Asked<'_>) -> Option<Answer> {
    let Reply::Array(items) = reply else { return None };
    let fields = Fields(
        items
            .chunks_exact(2)
            .filter_map(|pair| match pair {
                [name, value] => Some((name.text()?, value)),
                _ => None,
            })
            .collect(),
    );
    let role = role(&fields.text("role")?)?;
    Some(Answer {
        asked_ms: asked.at_ms,
        received_ms: asked.received_ms,
        uid: asked.uid.to_owned(),
        run_id: fields.text("run-id")?.into_owned(),
        role,
        fence: Some(Fence {
            epoch: fields.number("epoch")?,
            term: fields.number("term")?,
            guard: fields.flag("guard")?,
            votes: u32::try_from(fields.number("votes")?).ok()?,
            acks: u32::try_from(fields.number("acks")?).ok()?,
            token: fields.number("token")?,
            writable: fields.flag("writable")?,
            acked_offset: fields.number("acked-offset").unwrap_or(0),
            former_clients: fields.flag("former-clients").unwrap_or(false),
        }),
        replid: fields.text("replid")?.into_owned(),
        replid2: second_id(fields.text("replid2")),
        second_offset: fields.number("second-offset"),
        offset: fields.number("offset").unwrap_or(0),
        whole: fields.flag("whole")?,
        loading: fields.flag("loading")?,
        keys: fields.number("keys").unwrap_or(0),
        upstream: (role == Role::Replica).then(|| fields.upstream()).flatten(),
        replicas: fields.replicas(),
        failover_in_progress: fields
            .text("failover")
            .is_some_and(|state| !matches!(&*state, "no" | "none" | "no-failover")),
    })
}

struct Fields<'a>(HashMap<Cow<'a, str>, &'a Reply>);

impl Fields<'_> {
    fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.0.get(name)?.text()
    }

    /// A number that is none below zero; Valkey says -1 for "there is none".
    fn number(&self, name: &str) -> Option<u64> {
        u64::try_from(self.0.get(name)?.number()?).ok()
    }

    fn flag(&self, name: &str) -> Option<bool> {
        match &*self.text(name)? {
            "yes" | "on" | "1" => Some(true),
            "no" | "off" | "0" => Some(false),
            _ => None,
        }
    }

    fn upstream(&self) -> Option<Upstream> {
        Some(Upstream {
            address: Address {
                host: self.text("primary-host").filter(|host| !host.is_empty())?.into_owned(),
                port: u16::try_from(self.number("primary-port")?).ok()?,
            },
            link: match &*self.text("link")? {
                "up" => LinkState::Up,
                "sync" => LinkState::Sync,
                "connecting" => LinkState::Connecting,
                _ => LinkState::Down,
            },
            since_ms: self.number("link-since-ms").unwrap_or(0),
        })
    }

    fn replicas(&self) -> Vec<Attached> {
        let Some(Reply::Array(rows)) = self.0.get("replicas") else { return Vec::new() };
        rows.iter()
            .filter_map(|row| match row {
                Reply::Array(row) => match row.as_slice() {
                    [host, port, state, ack, lag, ..] => Some(Attached {
                        address: Address { host: host.text()?.into_owned(), port: u16::try_from(port.number()?).ok()? },
                        online: state.text()? == "online",
                        ack_offset: u64::try_from(ack.number()?).unwrap_or(0),
                        lag_ms: u64::try_from(lag.number()?).unwrap_or(u64::MAX),
                    }),
                    _ => None,
                },
                _ => None,
            })
            .collect()
    }
}

/// The role by its new or its old name.
pub(super) fn role(name: &str) -> Option<Role> {
    match name {
        "primary" | "master" => Some(Role::Primary),
        "replica" | "slave" => Some(Role::Replica),
        _ => None,
    }
}

/// A second replication id; all zeros stand for none.
pub(super) fn second_id(id: Option<Cow<'_, str>>) -> Option<String> {
    id.filter(|id| id.bytes().any(|byte| byte != b'0')).map(Cow::into_owned)
}
