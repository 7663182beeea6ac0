//! What a server says of its commands in COMMAND DOCS, and the file in which our server keeps what its own table of commands does not hold.

use std::fmt::Write;
use std::io;

use crate::resp::{Client, Reply};

/// The first lines of the file.
const HEAD: &str = "\
# What COMMAND DOCS says of commands beyond their rows in the table, and the tips of COMMAND INFO, in Valkey 9.1.2's words, whose
# answers this is made of (see NOTICE):
#   cargo run -p valkey-repl-e2e --bin command-docs > server/src/commands/docs.txt
# For each command its full name, and below that what is known of it; arguments have a dash, and their parts are set in further:
#   - NAME TYPE [=DISPLAY] [#KEY] [\"TOKEN\"] [>=SINCE] [<DEPRECATED] [?] [*] [+] [: SUMMARY]
# KEY is the number of a key specification; ? is optional, * multiple, + multiple with the token each time.
";

/// The file, as it follows from a server's answers. `known`: the full names of the commands that it is to hold.
///
/// # Errors
/// When the server does not answer, or not as COMMAND DOCS does.
pub fn file(client: &mut Client, known: &[String]) -> io::Result<String> {
    let mut known = known.to_vec();
    known.sort();
    let mut out = HEAD.to_owned();
    for name in known {
        let docs = client.cmd(&["COMMAND", "DOCS", &name])?;
        let Some(doc) = docs.field(&name) else { continue };
        writeln!(out, "{name}").map_err(io::Error::other)?;
        let info = client.cmd(&["COMMAND", "INFO", &name])?;
        command(&mut out, doc, &info).ok_or_else(|| io::Error::other(format!("{name}: {doc:?}, {info:?}")))?;
    }
    Ok(out)
}

fn command(out: &mut String, doc: &Reply, info: &Reply) -> Option<()> {
    for name in ["complexity", "deprecated_since", "replaced_by"] {
        if let Some(text) = doc.field(name) {
            *out += &format!("  {name} {}\n", text.text()?);
        }
    }
    for flag in doc.field("doc_flags").and_then(Reply::items).unwrap_or_default() {
        *out += &format!("  doc_flag {}\n", flag.text()?);
    }
    for change in doc.field("history").and_then(Reply::items).unwrap_or_default() {
        let [since, what] = change.items()? else { return None };
        *out += &format!("  history {} {}\n", since.text()?, what.text()?);
    }
    for tip in info.items()?.first()?.items()?.get(7)?.items()? {
        *out += &format!("  tip {}\n", tip.text()?);
    }
    arguments(out, doc, 1)
}

fn arguments(out: &mut String, doc: &Reply, depth: usize) -> Option<()> {
    for arg in doc.field("arguments").and_then(Reply::items).unwrap_or_default() {
        let text = |name: &str| arg.field(name).and_then(Reply::text);
        let (name, kind) = (text("name")?, text("type")?);
        *out += &format!("{:indent$}- {name} {kind}", "", indent = 2 * depth);
        if let Some(display) = text("display_text").filter(|display| *display != name) {
            *out += &format!(" ={display}");
        }
        for (field, open, close) in
            [("key_spec_index", "#", ""), ("token", "\"", "\""), ("since", ">=", ""), ("deprecated_since", "<", "")]
        {
            if let Some(text) = text(field) {
                *out += &format!(" {open}{text}{close}");
            }
        }
        for flag in arg.field("flags").and_then(Reply::items).unwrap_or_default() {
            *out += match flag.text()?.as_str() {
                "optional" => " ?",
                "multiple" => " *",
                "multiple_token" => " +",
                _ => return None,
            };
        }
        if let Some(summary) = text("summary") {
            *out += &format!(" : {summary}");
        }
        out.push('\n');
        arguments(out, arg, depth + 1)?;
    }
    Some(())
}
