//! INFO: sections made of rows, one row a field. The rows stand in `info_*.rs`; a field is added there and nowhere else.

use std::cell::OnceCell;
use std::fmt::Write;

use super::{Category, Command, CommandResult, Ctx, Flags, Group};
use super::{
    info_clients, info_commands, info_memory, info_persistence, info_replication, info_server, info_stats, info_tls,
};
use crate::client::Client;
use crate::server::Server;

/// The row.
pub const COMMANDS: &[Command] = &[Command::new("info", -1, Group::Server, info)
    .flags(Flags::LOADING.union(Flags::STALE))
    .acl(Category::DANGEROUS)
    .doc("1.0.0", "Describes the server, its data and what it does.")];

/// What the fields are made from.
pub struct View<'a> {
    /// The server.
    pub server: &'a Server,
    /// The client that asks, which is not in the server's registry meanwhile.
    pub caller: &'a Client,
    memory: OnceCell<info_memory::Figures>,
    clients: OnceCell<info_clients::Counts>,
}

impl<'a> View<'a> {
    /// What `caller` sees of `server`.
    pub fn new(server: &'a Server, caller: &'a Client) -> Self {
        View { server, caller, memory: OnceCell::new(), clients: OnceCell::new() }
    }

    /// All clients, the caller too.
    pub fn all_clients(&self) -> impl Iterator<Item = &Client> {
        // A caller without a place in the registry's numbers stands in for a connection (an append-only file being loaded).
        self.server.clients.iter().chain(Some(self.caller))
    }

    /// Bytes that an interpreter of scripts holds.
    pub fn vm(&self, kind: crate::scripting::vm::Kind) -> u64 {
        self.server.scripting.vm_memory(kind) as u64
    }

    /// Memory figures, taken once.
    pub fn memory(&self) -> &info_memory::Figures {
        self.memory.get_or_init(|| info_memory::Figures::take(self))
    }

    /// Numbers of clients, counted once.
    pub fn clients(&self) -> &info_clients::Counts {
        self.clients.get_or_init(|| info_clients::Counts::take(self))
    }
}

/// A field's value as text; `None` leaves the field out.
pub struct Shown(Option<String>);

macro_rules! shown_as_text {
    ($($type:ty),*) => {$(
        impl From<$type> for Shown {
            fn from(value: $type) -> Self {
                Shown(Some(value.to_string()))
            }
        }
    )*};
}

shown_as_text!(u16, u32, u64, usize, i32, i64, &str, String);

impl From<bool> for Shown {
    fn from(value: bool) -> Self {
        Shown(Some(if value { "1" } else { "0" }.to_owned()))
    }
}

impl<T: Into<Shown>> From<Option<T>> for Shown {
    fn from(value: Option<T>) -> Self {
        value.map_or(Shown(None), Into::into)
    }
}

/// Bytes for people: `1.58M`.
pub fn human(bytes: u64) -> String {
    let units = [(1u64 << 50, 'P'), (1 << 40, 'T'), (1 << 30, 'G'), (1 << 20, 'M'), (1 << 10, 'K')];
    match units.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, letter)) => format!("{:.2}{letter}", bytes as f64 / *unit as f64),
        None => format!("{bytes}B"),
    }
}

/// `a / b` to two places, 0 where there is nothing to divide by.
pub fn ratio(a: u64, b: u64) -> String {
    format!("{:.2}", if b == 0 { 0.0 } else { a as f64 / b as f64 })
}

/// A field's name and how its value is made.
pub type Field = (&'static str, fn(&View<'_>) -> Shown);

/// A part of a section.
pub enum Part {
    /// Fields that are always the same ones.
    Fields(&'static [Field]),
    /// Lines whose number depends on what there is: replicas, databases, commands.
    Lines(fn(&View<'_>, &mut String)),
}

/// Rows of fields: `name: |view| value, …`.
macro_rules! fields {
    ($($name:ident: |$view:tt| $value:expr),* $(,)?) => {
        $crate::commands::info::Part::Fields(&[
            $((stringify!($name), |$view| $crate::commands::info::Shown::from($value))),*
        ])
    };
}
pub(super) use fields;

/// When a section is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    /// Also when no section is named.
    Always,
    /// With ALL and EVERYTHING.
    All,
    /// When it is named.
    Named,
}

struct Section {
    name: &'static str,
    title: &'static str,
    when: When,
    parts: &'static [Part],
}

const fn section(name: &'static str, title: &'static str, when: When, parts: &'static [Part]) -> Section {
    Section { name, title, when, parts }
}

static SECTIONS: &[Section] = &[
    section("server", "Server", When::Always, info_server::SERVER),
    section("tls", "TLS", When::All, info_tls::TLS),
    section("clients", "Clients", When::Always, info_clients::CLIENTS),
    section("memory", "Memory", When::Always, info_memory::MEMORY),
    section("persistence", "Persistence", When::Always, info_persistence::PERSISTENCE),
    section("stats", "Stats", When::Always, info_stats::STATS),
    section("replication", "Replication", When::Always, info_replication::REPLICATION),
    section("cpu", "CPU", When::Always, info_server::CPU),
    section("modules", "Modules", When::Always, &[]),
    section("commandstats", "Commandstats", When::All, info_commands::COMMANDS),
    section("errorstats", "Errorstats", When::Always, info_commands::ERRORS),
    section("latencystats", "Latencystats", When::All, info_commands::LATENCIES),
    section("cluster", "Cluster", When::Always, info_server::CLUSTER),
    section("cluster_info", "Cluster Info", When::All, &[]),
    section("scriptingengines", "Scripting Engines", When::All, info_server::ENGINES),
    section("keyspace", "Keyspace", When::Always, info_server::KEYSPACE),
    section("debug", "Debug", When::Named, info_stats::DEBUG),
];

fn info(ctx: &mut Ctx<'_>) -> CommandResult {
    let names: Vec<&[u8]> = ctx.argv.iter().skip(1).collect();
    let text = text(&View::new(ctx.server, ctx.client), &names);
    ctx.reply().verbatim(text.as_bytes());
    Ok(())
}

/// The text of the sections of these names, in the order of the table; of the usual ones if none is named.
pub fn text(view: &View<'_>, names: &[&[u8]]) -> String {
    let named = |word: &str| names.iter().any(|name| name.eq_ignore_ascii_case(word.as_bytes()));
    let all = named("all") || named("everything");
    let usual = names.is_empty() || named("default");
    if usual || all || named("memory") {
        // Taken before this text needs some itself.
        view.memory();
    }
    let mut out = String::with_capacity(8192);
    for section in SECTIONS {
        let wanted = match section.when {
            When::Always => usual || all,
            When::All => all,
            When::Named => false,
        };
        if !wanted && !named(section.name) {
            continue;
        }
        if !out.is_empty() {
            out.push_str("\r\n");
        }
        let _ = write!(out, "# {}\r\n", section.title);
        for part in section.parts {
            match part {
                Part::Lines(lines) => lines(view, &mut out),
                Part::Fields(fields) => {
                    for (name, value) in *fields {
                        if let Shown(Some(value)) = value(view) {
                            let _ = write!(out, "{name}:{value}\r\n");
                        }
                    }
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_rounded_for_people() {
        assert_eq!(human(328), "328B");
        assert_eq!(human(1659656), "1.58M");
        assert_eq!(human(25276514304), "23.54G");
    }

    #[test]
    fn every_field_of_valkey_is_in_its_section_and_in_its_order() {
        let file = include_str!("../../tests/data/valkey-9.1.2-info.tsv");
        let known: Vec<(&str, &str)> = file.lines().filter_map(|line| line.split_once('\t')).collect();
        let mut ours = Vec::new();
        for section in SECTIONS {
            for part in section.parts {
                let Part::Fields(fields) = part else { continue };
                ours.extend(fields.iter().map(|(name, _)| (section.name, *name)));
            }
        }
        ours.retain(|field| known.contains(field));
        assert_eq!(ours, known);
    }

    #[test]
    fn no_two_fields_of_a_section_share_a_name() {
        for section in SECTIONS {
            let mut seen = std::collections::HashSet::new();
            for part in section.parts {
                let Part::Fields(fields) = part else { continue };
                for (name, _) in *fields {
                    assert!(seen.insert(name), "{name} twice in {}", section.name);
                }
            }
        }
    }
}
