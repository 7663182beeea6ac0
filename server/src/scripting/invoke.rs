//! `server.call` and `server.pcall`: from a script's arguments to a command, and from its reply to the script.
//!
//! Every command of every script passes here, so the stack is read and written directly ([`super::stack`]); what that asks of
//! destructors is kept by [`Scratch`].

use std::cell::Cell;
use std::ffi::c_int;
use std::mem::ManuallyDrop;

use mlua::lua_State;

use super::call::{NOT_NOW, Work};
use super::from_reply;
use super::lend;
use super::stack::{Kind, Stack};
use super::text::without_line_ends;
use crate::commands::CommandError;
use crate::data::num::DoubleText;
use crate::resp::argv::ArgvBuilder;

/// What is refused before it is a command.
pub const NO_ARGUMENTS: &str = "ERR Please specify at least one argument for this call";
/// The same.
pub const WRONG_ARGUMENTS: &str = "ERR Command arguments must be strings or integers";

/// The largest buffers that are kept between calls.
const KEPT: usize = 64 * 1024;

/// What one call needs room for, kept for the next one.
#[derive(Debug)]
struct Scratch {
    argv: ArgvBuilder,
    /// What the command answered.
    reply: Vec<u8>,
}

thread_local! {
    static SCRATCH: Cell<Option<Scratch>> = const { Cell::new(None) };
}

/// What a command answered, in [`Scratch::reply`].
#[derive(Clone, Copy)]
enum Answer {
    /// A reply.
    Reply,
    /// An error, without its sign and its end.
    Error { counted: bool },
}

/// `server.call`: the reply, or its error raised.
pub unsafe extern "C-unwind" fn call(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls it as a closure of `stack::closure`; `answer` says how destructors are kept.
    let stack = unsafe { Stack::new(state) };
    match answer(stack) {
        Answer::Reply => 1,
        Answer::Error { .. } => stack.raise(),
    }
}

/// `server.pcall`: the reply, or its error as a value.
pub unsafe extern "C-unwind" fn pcall(state: *mut lua_State) -> c_int {
    // SAFETY: as in `call`.
    answer(unsafe { Stack::new(state) });
    1
}

/// Pushes what the command of the arguments answers.
fn answer(stack: Stack<'_>) -> Answer {
    let none = || Scratch { argv: ArgvBuilder::new(0), reply: Vec::new() };
    // A jump while the reply is pushed leaks it, and no more: whoever comes meanwhile finds none, and makes one.
    let mut scratch = ManuallyDrop::new(SCRATCH.take().unwrap_or_else(none));
    let mut answer = command(stack, &mut scratch);
    // Of as many arguments as there may be, none is left in the reply's way.
    stack.set_top(0);
    match answer {
        Answer::Error { counted } => from_reply::push_error(stack, &scratch.reply, counted),
        Answer::Reply => {
            if from_reply::push(stack, &scratch.reply).is_err() {
                stack.set_top(0);
                from_reply::push_error(stack, b"ERR the command's reply can't be read", false);
                answer = Answer::Error { counted: false };
            }
        }
    }
    if scratch.reply.capacity() <= KEPT && scratch.argv.capacity() <= KEPT {
        SCRATCH.set(Some(ManuallyDrop::into_inner(scratch)));
    } else {
        drop(ManuallyDrop::into_inner(scratch));
    }
    answer
}

/// Calls the command. Nothing that jumps is called here.
fn command(stack: Stack<'_>, scratch: &mut Scratch) -> Answer {
    scratch.reply.clear();
    let refuse = |reply: &mut Vec<u8>, error: &CommandError, counted| {
        reply.extend_from_slice(&error.0);
        Answer::Error { counted }
    };
    if let Err(text) = arguments(stack, &mut scratch.argv) {
        return refuse(&mut scratch.reply, &CommandError::fixed(text), false);
    }
    let answer = lend::with(|call| {
        if let Err(error) = call.command(scratch.argv.argv()) {
            return refuse(&mut scratch.reply, &error, true);
        }
        let Work::Run { client, .. } = &mut call.work else { return Answer::Reply };
        let reply = client.reply.written_since(0);
        let answer = match reply.strip_prefix(b"-") {
            Some(error) => {
                scratch.reply.extend_from_slice(without_line_ends(error));
                Answer::Error { counted: true }
            }
            None => {
                scratch.reply.extend_from_slice(reply);
                Answer::Reply
            }
        };
        client.reply.consume(client.reply.pending());
        answer
    });
    answer.unwrap_or_else(|| refuse(&mut scratch.reply, &NOT_NOW, false))
}

/// Takes the arguments, of which each is a string or a number. Calls nothing that jumps.
///
/// # Errors
/// When there is none, or one that is neither.
pub fn arguments(stack: Stack<'_>, argv: &mut ArgvBuilder) -> Result<(), &'static str> {
    let n = stack.top();
    if n == 0 {
        return Err(NO_ARGUMENTS);
    }
    argv.begin(n as usize);
    for at in 1..=n {
        match stack.kind(at) {
            Kind::String => argv.push(stack.bytes(at)),
            Kind::Number => push_number(argv, stack.number(at)),
            _ => return Err(WRONG_ARGUMENTS),
        }
    }
    Ok(())
}

fn push_number(argv: &mut ArgvBuilder, number: f64) {
    if number.is_nan() && number.is_sign_negative() {
        argv.push(b"-nan");
    } else {
        // Minus zero is zero.
        argv.push(DoubleText::new(number + 0.0).as_bytes());
    }
}
