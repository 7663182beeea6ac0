//! What the server says of its commands, beside what the real one says of the same.

use valkey_repl_e2e::resp::{Client, Reply};
use valkey_repl_e2e::server::{Program, Server};

/// The documentation of a command, without the summaries: those are our own words.
fn documentation(client: &mut Client, name: &str) -> Reply {
    let mut docs = client.cmd(&["COMMAND", "DOCS", name]).unwrap();
    without_summaries(&mut docs);
    docs
}

fn without_summaries(docs: &mut Reply) {
    let pairs: &mut dyn Iterator<Item = &mut Reply> = match docs {
        Reply::Map(pairs) => &mut pairs.iter_mut().map(|(_, doc)| doc),
        Reply::Array(items) => &mut items.iter_mut().skip(1).step_by(2),
        other => panic!("{other:?}"),
    };
    for doc in pairs {
        match doc {
            Reply::Map(fields) => fields.retain(|(name, _)| name.text().as_deref() != Some("summary")),
            Reply::Array(fields) => {
                let at = fields.iter().position(|name| name.text().as_deref() == Some("summary")).unwrap();
                fields.drain(at..at + 2);
            }
            other => panic!("{other:?}"),
        }
        let subcommands = match doc {
            Reply::Map(fields) => {
                fields.iter_mut().find(|(name, _)| name.text().as_deref() == Some("subcommands")).map(|f| &mut f.1)
            }
            Reply::Array(fields) => {
                let at = fields.iter().position(|name| name.text().as_deref() == Some("subcommands"));
                at.map(|at| &mut fields[at + 1])
            }
            _ => None,
        };
        if let Some(subcommands) = subcommands {
            without_summaries(subcommands);
            sort(subcommands);
        }
    }
}

/// The real one has its subcommands in the order of a hash table.
fn sort(docs: &mut Reply) {
    match docs {
        Reply::Map(pairs) => pairs.sort_by_key(|(name, _)| name.text()),
        Reply::Array(items) => {
            let mut pairs: Vec<Vec<Reply>> = items.chunks_exact(2).map(<[Reply]>::to_vec).collect();
            pairs.sort_by_key(|pair| pair[0].text());
            *items = pairs.concat();
        }
        _ => {}
    }
}

#[test]
fn commands_are_documented_as_in_the_real_server() {
    let (ours, real) = (Program::Ours, Program::Valkey91);
    let (ours, real) = (Server::start::<&str>(ours, &[]).unwrap(), Server::start::<&str>(real, &[]).unwrap());
    let names = ours.line("COMMAND LIST").unwrap();
    for protocol in ["2", "3"] {
        let clients = &mut [ours.client().unwrap(), real.client().unwrap()];
        for client in clients.iter_mut() {
            client.cmd(&["HELLO", protocol]).unwrap();
        }
        // QUORUM is our own.
        let names = names.items().unwrap().iter().filter_map(Reply::text).filter(|name| !name.starts_with("quorum"));
        for name in names {
            let [ours, real] = clients.each_mut().map(|client| documentation(client, &name));
            assert_eq!(ours, real, "{name}");
        }
    }
}

/// In the order of their names: what a set holds has none of its own.
fn in_order(reply: &mut Reply) {
    let items: Vec<&mut Reply> = match reply {
        Reply::Array(items) | Reply::Set(items) => items.iter_mut().collect(),
        Reply::Map(pairs) => pairs.iter_mut().map(|(_, value)| value).collect(),
        _ => Vec::new(),
    };
    items.into_iter().for_each(in_order);
    if let Reply::Set(items) = reply {
        items.sort_by_key(|item| format!("{item:?}"));
    }
}

#[test]
fn a_client_learns_of_each_command_where_its_keys_are_and_what_it_does_as_from_the_real_server() {
    let [ours, real] = [Program::Ours, Program::Valkey91].map(|program| Server::start::<&str>(program, &[]).unwrap());
    let names = ours.line("COMMAND LIST").unwrap();
    let clients = &mut [ours.client().unwrap(), real.client().unwrap()];
    for client in clients.iter_mut() {
        client.cmd(&["HELLO", "3"]).unwrap();
    }
    for name in names.items().unwrap().iter().filter_map(Reply::text).filter(|name| !name.starts_with("quorum")) {
        let [ours, real] = clients.each_mut().map(|client| {
            let Reply::Array(mut told) = client.cmd(&["COMMAND", "INFO", &name]).unwrap() else { panic!("{name}") };
            // Subcommands come in no order, and are asked about by themselves.
            if let Some(Reply::Array(about)) = told.first_mut() {
                about.truncate(9);
            }
            told.iter_mut().for_each(in_order);
            told
        });
        assert_eq!(ours, real, "{name}");
    }
}
