//! What a command sends to replicas and the append-only file.
//!
//! A call collects operations; at the end of the outermost one they go out together, in MULTI/EXEC when they are more
//! than one, so that nobody ever sees half of a transaction.

use crate::resp::OwnedArgv;

/// One command of the stream.
#[derive(Debug)]
pub struct Op {
    /// The database it applies to.
    pub db: usize,
    /// The command.
    pub argv: OwnedArgv,
    /// Who gets it.
    pub targets: Targets,
}

impl Op {
    /// A command for everybody.
    pub fn new(db: usize, argv: OwnedArgv) -> Self {
        Op { db, argv, targets: Targets::ALL }
    }
}

/// Who gets an operation. Scripts may choose (`server.set_repl`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Targets {
    /// The append-only file.
    pub aof: bool,
    /// The replicas.
    pub replicas: bool,
}

impl Targets {
    /// Everybody.
    pub const ALL: Targets = Targets { aof: true, replicas: true };
}

/// What the call under way wants to have propagated.
#[derive(Debug, Default)]
pub struct Propagation {
    /// Operations of finished calls of the outermost call under way.
    pub ops: Vec<Op>,
    /// Operations that the running call gave instead of itself.
    given: Vec<Op>,
    suppressed: bool,
    forced: bool,
}

/// What to do with the call itself.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Propagate it as it came if it changed something.
    IfChanged,
    /// Propagate it as it came.
    Always,
    /// Do not propagate it (its replacements, if any, have been taken).
    No,
}

impl Propagation {
    /// Propagates `args` instead of the call itself; a second replacement adds to the first.
    pub fn replace(&mut self, db: usize, args: &[&[u8]]) {
        self.given.push(Op::new(db, OwnedArgv::new(args.iter().copied())));
        self.suppressed = true;
    }

    /// Propagates `args` in addition.
    pub fn push(&mut self, db: usize, args: &[&[u8]]) {
        self.given.push(Op::new(db, OwnedArgv::new(args.iter().copied())));
    }

    /// Keeps the call itself out.
    pub fn suppress(&mut self) {
        self.suppressed = true;
    }

    /// Sends the call itself even if it changed nothing.
    pub fn force(&mut self) {
        self.forced = true;
    }

    /// Ends a call: hands out what it gave and what to do with itself.
    pub fn finish(&mut self) -> (Verdict, Vec<Op>) {
        let verdict = match (std::mem::take(&mut self.suppressed), std::mem::take(&mut self.forced)) {
            (true, _) => Verdict::No,
            (false, true) => Verdict::Always,
            (false, false) => Verdict::IfChanged,
        };
        (verdict, std::mem::take(&mut self.given))
    }
}
