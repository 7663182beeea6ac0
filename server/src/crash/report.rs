//! The parts of a report that a child writes: they allocate, and read the server as the crash left it.

use std::backtrace::Backtrace;
use std::fmt::Write;

use super::pen;
use crate::client::Client;
use crate::commands::Ctx;
use crate::commands::info::{self, View};
use crate::commands::redact::is_secret;
use crate::server::Server;
use crate::words::quote;

/// What a part is made from: what was there when the process failed.
pub struct Scene<'a> {
    /// The server, if it was serving.
    pub server: Option<&'a Server>,
    /// The call under way.
    pub call: Option<&'a Ctx<'a>>,
}

impl Scene<'_> {
    fn hides_user_data(&self) -> bool {
        self.server.is_none_or(|server| server.config.hide_user_data_from_log)
    }
}

/// A part: its title, and what writes it.
pub type Part = (&'static str, fn(&Scene<'_>, &mut String));

/// The stack comes first: it says most.
pub const STACK: Part = ("STACK TRACE", stack);

/// The others, in their order.
pub const PARTS: [Part; 4] = [
    ("INFO OUTPUT", information),
    ("CLIENT LIST OUTPUT", clients),
    ("EXECUTING CLIENT INFO", call),
    ("CONFIG OUTPUT (what differs from the defaults)", config),
];

/// The same without names, when those cannot be had.
pub const ADDRESSES: Part = ("STACK ADDRESSES", |_, _| super::addresses::write());

/// Writes a part into the log.
pub fn write(part: Part, scene: &Scene<'_>) {
    let mut text = String::new();
    part.1(scene, &mut text);
    pen::write(crate::log::descriptor(), text.as_bytes());
}

fn stack(_: &Scene<'_>, out: &mut String) {
    let thread = std::thread::current();
    let _ = writeln!(out, "Thread {}", thread.name().unwrap_or("without a name"));
    let _ = writeln!(out, "{}", Backtrace::force_capture());
}

fn information(scene: &Scene<'_>, out: &mut String) {
    let Some(server) = scene.server else { return };
    let nobody;
    let caller = match scene.call {
        Some(call) => &*call.client,
        None => {
            nobody = Client::new(0, None, server.now_ms());
            &nobody
        }
    };
    out.push_str("# process_id and CPU are those of the copy of the process that writes this\n");
    out.push_str(&info::text(&View::new(server, caller), &[b"everything"]).replace('\r', ""));
}

fn clients(scene: &Scene<'_>, out: &mut String) {
    let Some(server) = scene.server else { return };
    let caller = scene.call.map(|call| &*call.client);
    for client in server.clients.iter().chain(caller) {
        line(scene, server, client, 0, out);
    }
}

fn call(scene: &Scene<'_>, out: &mut String) {
    let (Some(server), Some(ctx)) = (scene.server, scene.call) else { return };
    line(scene, server, ctx.client, ctx.argv.iter().map(<[u8]>::len).sum(), out);
    let _ = writeln!(out, "argc: {}", ctx.argv.len());
    for (i, arg) in ctx.argv.iter().enumerate() {
        let _ = match argument(scene, ctx, i, arg) {
            Shown::Text(text) => writeln!(out, "argv[{i}]: {text}"),
            Shown::Length(len) => writeln!(out, "argv[{i}]: {len} bytes"),
        };
    }
}

enum Shown {
    Text(String),
    Length(usize),
}

/// The command's name can be shown to anyone; a secret to nobody; the rest as the configuration says.
fn argument(scene: &Scene<'_>, ctx: &Ctx<'_>, i: usize, arg: &[u8]) -> Shown {
    const BYTES: usize = 128;
    let text = |bytes: &[u8]| String::from_utf8_lossy(&quote(bytes)).into_owned();
    if is_secret(ctx.row, ctx.argv, i) {
        return Shown::Text("(redacted)".to_owned());
    }
    if i > 0 && scene.hides_user_data() {
        return Shown::Length(arg.len());
    }
    match arg.get(..BYTES) {
        Some(start) if arg.len() > BYTES => {
            Shown::Text(format!("{} ... ({} more bytes)", text(start), arg.len() - BYTES))
        }
        _ => Shown::Text(text(arg)),
    }
}

/// A client's line as CLIENT LIST has it, without the names that people gave.
fn line(scene: &Scene<'_>, server: &Server, client: &Client, argv_memory: usize, out: &mut String) {
    let line = server.client_line(client, argv_memory);
    for field in String::from_utf8_lossy(&line).split(' ') {
        match field.split_once('=') {
            Some((name @ ("name" | "user"), value)) if scene.hides_user_data() && !value.is_empty() => {
                let _ = write!(out, "{name}=*redacted* ");
            }
            _ => {
                let _ = write!(out, "{field} ");
            }
        }
    }
    out.truncate(out.trim_end_matches(' ').len());
    out.push('\n');
}

fn config(scene: &Scene<'_>, out: &mut String) {
    if let Some(server) = scene.server {
        let _ = writeln!(out, "{:?}", server.config);
    }
}
