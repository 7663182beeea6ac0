//! Bytes as a sequence of commands: every byte string is one, and small changes to it are small changes to the sequence.
//!
//! Names come from the server's own table, so a new command is tried as soon as it has its row.

use valkey_server::commands::Flags;
use valkey_server::commands::spec::Keys;
use valkey_server::commands::table::{Row, rows};
use valkey_server::resp::argv::encode_command;

/// Few, so that commands meet.
const KEYS: &[&str] = &["a", "b", "c", "d", "e"];

/// Numbers within, at and beyond their limits.
const NUMBERS: &str = "0 1 2 3 4 5 7 8 10 13 63 64 100 512 1000 65536 -1 -2 -3 -5 4294967296 9223372036854775807 \
    -9223372036854775808 1.5 -0.25 1e300 inf -inf nan 0x10 3.0000000000000001";

/// What goes into values.
const MEMBERS: &str = "x y z xy yx m n f g 1 2 3 -7 300 member:1 member:2 70000 5000000000 \
    a-value-that-is-long-enough-to-leave-a-compact-encoding-of-sixty-four-bytes";

/// What stands for something in some command's syntax.
const OPTIONS: &str = "NX XX GT LT CH INCR EX PX EXAT PXAT KEEPTTL PERSIST GET IFEQ LEFT RIGHT BEFORE AFTER COUNT MATCH TYPE string hash \
    WITHSCORES WITHVALUES WITHSCORE BYSCORE BYLEX REV LIMIT WEIGHTS AGGREGATE SUM MIN MAX STORE ALPHA ASC DESC BY # * a* [a-c]? \
    REPLACE ABSTTL DB ASYNC SYNC AND OR XOR NOT DIFF ONE BIT BYTE u8 i64 u63 #1 SET INCRBY OVERFLOW WRAP SAT FAIL RANK MAXLEN LEN \
    IDX MINMATCHLEN FIELDS NOVALUES FREQ IDLETIME SAMPLES - + [a (b (1 [z $ > MKSTREAM GROUP STREAMS ID a b c d e";

/// Commands without keys that belong to the matter.
const KEYLESS: &[&str] =
    &["multi", "exec", "discard", "unwatch", "select", "swapdb", "flushdb", "scan", "randomkey", "script", "eval"];

/// Commands that change more than data.
const NOT_TRIED: &[&str] = &["debug", "migrate"];

fn tried(row: &&Row) -> bool {
    let root = row.full_name.split('|').next().unwrap_or_default();
    !row.command.flags.intersects(Flags::ADMIN | Flags::PROTECTED | Flags::BLOCKING | Flags::PUBSUB)
        && row.command.subcommands.is_empty()
        && !NOT_TRIED.contains(&root)
        && (!matches!(row.command.keys, Keys::None) || KEYLESS.contains(&root))
}

/// The bytes yet to be read; zeros after their end.
struct Source<'a>(&'a [u8]);

impl<'a> Source<'a> {
    fn byte(&mut self) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*first)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.byte() % from.len()]
    }

    /// A few bytes as they are. Few, because a number of many digits is a count of many elements.
    fn raw(&mut self) -> &'a [u8] {
        let len = (self.byte() % 6).min(self.0.len());
        let (raw, rest) = self.0.split_at(len);
        self.0 = rest;
        raw
    }
}

/// The commands that the bytes stand for, as requests.
pub fn commands(bytes: &[u8]) -> Vec<u8> {
    const MOST: usize = 200;
    let rows: Vec<&Row> = rows().iter().filter(tried).collect();
    let [numbers, members, options] = [NUMBERS, MEMBERS, OPTIONS].map(|w| w.split_whitespace().collect::<Vec<_>>());
    let (mut source, mut out) = (Source(bytes), Vec::new());
    for _ in 0..MOST {
        if source.0.is_empty() {
            break;
        }
        let row = rows[(source.byte() | source.byte() << 8) % rows.len()];
        let mut args: Vec<&[u8]> = row.full_name.split('|').map(str::as_bytes).collect();
        let arity = usize::from(row.command.arity.unsigned_abs());
        let most = if row.command.arity < 0 { arity + [0, 0, 1, 1, 2, 3, 4, 6][source.byte() % 8] } else { arity };
        while args.len() < most {
            let is_key = match row.command.keys {
                Keys::Range { first, last, step } => {
                    let (at, first, step) = (args.len() as i64, i64::from(first), i64::from(step.max(1)));
                    at >= first && (last < 0 || at <= i64::from(last)) && (at - first) % step == 0
                }
                _ => false,
            };
            let arg = match (is_key, if is_key { 0 } else { source.byte() }) {
                (true, _) => source.pick(KEYS).as_bytes(),
                (_, 0..110) => source.pick(&numbers).as_bytes(),
                (_, 110..180) => source.pick(&members).as_bytes(),
                (_, 180..245) => source.pick(&options).as_bytes(),
                _ => source.raw(),
            };
            args.push(arg);
        }
        encode_command(&mut out, args);
    }
    out
}

/// Requests that take away every expiry, so that what follows does not depend on the clock.
pub fn without_expiry() -> Vec<u8> {
    let mut out = Vec::new();
    for db in ["0", "1", "2", "3", "5", "7", "10"] {
        encode_command(&mut out, ["SELECT", db].map(str::as_bytes));
        for key in KEYS {
            encode_command(&mut out, ["PERSIST", key].map(str::as_bytes));
        }
    }
    out
}
