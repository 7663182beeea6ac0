//! The debugger of scripts: SCRIPT DEBUG, and the session in which the next EVAL of that client then runs.
//!
//! A session talks with its client over the client's own socket, from within the interpreter's hook, while nothing else is served: the
//! script stops ([`session`]), commands come in and answers go out ([`link`]) until one of them ([`commands`]) lets it go on. With
//! SCRIPT DEBUG YES all this happens in a forked child, whose changes end with it; with SYNC in the server itself.
//!
//! The session is kept where the hook finds it, and not in the interpreter, which outlives it. Without a session there is no hook for
//! it, nor anything else of it on a script's way.

mod commands;
mod link;
mod session;
mod show;
mod source;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::text;
use super::vm::Kind;
use crate::client::ClientFlags;
use crate::commands::{CommandError, CommandResult, Ctx};
use crate::log_notice;
use crate::net::Stream;
use crate::sys::{self, Fork};
use session::Session;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Session>>> = const { RefCell::new(None) };
}

/// The session under way.
fn current() -> Option<Rc<Session>> {
    CURRENT.with_borrow(Clone::clone)
}

/// The script that a client calls is run in a session. A stop may last for as long as the client likes.
///
/// # Errors
/// Those of the script, and why there can be no session.
pub fn run(ctx: &mut Ctx<'_>, script: impl FnOnce(&mut Ctx<'_>) -> CommandResult) -> CommandResult {
    // What the session says must not come before an answer that is due. So it goes with transactions, too.
    if ctx.client.reply.pending() > 0 {
        return Err(CommandError::fixed("ERR A script is debugged outside of pipelines and transactions only"));
    }
    let Some(stream) = ctx.client.stream.as_ref().and_then(|stream| stream.try_clone().ok()) else {
        return script(ctx);
    };
    let forked = !ctx.client.flags.contains(ClientFlags::DEBUGS_IN_SYNC);
    ctx.client.flags -= ClientFlags::DEBUGS_SCRIPTS | ClientFlags::DEBUGS_IN_SYNC;
    if forked {
        return fork(ctx, stream, script);
    }
    log_notice!("Valkey synchronous debugging eval session started");
    let outcome = hold(ctx, stream, script).0;
    log_notice!("Valkey synchronous debugging eval session ended");
    // The end of the connection is the end of the session.
    ctx.client.flags |= ClientFlags::CLOSE_AFTER_REPLY;
    outcome
}

/// Leaves the session, and the client with it, to a child. It ends with this process at the latest.
fn fork(ctx: &mut Ctx<'_>, stream: Stream, script: impl FnOnce(&mut Ctx<'_>) -> CommandResult) -> CommandResult {
    let began = Instant::now();
    let forked = sys::fork()
        .map_err(|error| CommandError::text(format!("ERR Fork() failed: can't run EVAL in debugging mode: {error}")))?;
    if let Fork::Parent(_) = forked {
        ctx.server.forked(began.elapsed());
        // Closed here, open there: without the words and the end of the connection that closing a client comes with.
        if let Some(stream) = ctx.client.stream.take() {
            ctx.server.poll.remove(&stream);
        }
        ctx.client.flags |= ClientFlags::CLOSE_NOW;
        return Ok(());
    }
    sys::die_with_parent();
    sys::default_signals();
    crate::log::set_role(crate::log::Role::Child);
    crate::server::oom::of_child();
    log_notice!("Valkey forked for debugging eval");
    let (outcome, session) = hold(ctx, stream, script);
    if let Err(error) = outcome {
        ctx.client.reply.error(&error.0);
    }
    if let Some(session) = session {
        session.send(ctx.client.reply.sendable());
    }
    log_notice!("Lua debugging session child exiting");
    sys::exit_now(0)
}

/// Holds the session.
fn hold(
    ctx: &mut Ctx<'_>,
    stream: Stream,
    script: impl FnOnce(&mut Ctx<'_>) -> CommandResult,
) -> (CommandResult, Option<Rc<Session>>) {
    let text = ctx.arg(1);
    let threshold = ctx.server.config.busy_reply_threshold;
    let patience = Duration::from_millis(if threshold == 0 { 5000 } else { threshold });
    let began = ctx.server.scripting.vm(Kind::Eval, ctx.server.config.lua_enable_insecure_api).and_then(|vm| {
        let session = Rc::new(Session::new(vm, stream, text, patience).map_err(broken)?);
        session.begin(vm).map_err(broken)?;
        Ok(session)
    });
    let session = match began {
        Ok(session) => session,
        Err(error) => return (Err(error), None),
    };
    CURRENT.set(Some(Rc::clone(&session)));
    let outcome = script(ctx);
    CURRENT.set(None);
    let ended = ctx.server.scripting.vm(Kind::Eval, false).and_then(|vm| session.end(vm).map_err(broken));
    (outcome.and(ended), Some(session))
}

fn broken(error: mlua::Error) -> CommandError {
    CommandError::text(format!("ERR {}", text::of(&error)))
}
