//! LCS: the longest common subsequence of two strings.

use super::error::SYNTAX;
use super::{Command, CommandError, CommandResult, Ctx, Flags, Group, Keys};
use crate::data::elem::Elem;
use crate::resp::ReplyBuf;

/// The row.
pub const COMMANDS: &[Command] = &[Command::new("lcs", -3, Group::String, lcs)
    .flags(Flags::READONLY)
    .keys(Keys::FIRST_TWO)
    .doc("7.0.0", "Returns the longest common subsequence of two strings, its length, or where it lies.")];

#[derive(Clone, Copy, Debug, Default)]
struct Options {
    len: bool,
    idx: bool,
    with_match_len: bool,
    min_match_len: usize,
}

fn lcs(ctx: &mut Ctx<'_>) -> CommandResult {
    // Both are looked up, whatever the first one is.
    let (a, b) = (text(ctx, 1), text(ctx, 2));
    let (a, b) = (a?, b?);
    let mut options = Options::default();
    let mut i = 3;
    while i < ctx.argc() {
        if ctx.is(i, "idx") {
            options.idx = true;
        } else if ctx.is(i, "len") {
            options.len = true;
        } else if ctx.is(i, "withmatchlen") {
            options.with_match_len = true;
        } else if ctx.is(i, "minmatchlen") && i + 1 < ctx.argc() {
            i += 1;
            options.min_match_len = usize::try_from(ctx.int(i)?).unwrap_or(0);
        } else {
            return Err(SYNTAX);
        }
        i += 1;
    }
    if options.len && options.idx {
        return Err(CommandError::fixed("ERR If you want both the length and indexes, please just use IDX."));
    }
    let limit = ctx.server.config.proto_max_bulk_len as u128;
    if (a.len() as u128 + 1) * (b.len() as u128 + 1) * size_of::<u32>() as u128 > limit {
        return Err(CommandError::fixed(
            "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
        ));
    }
    let lengths = Lengths::new(&a, &b);
    let len = lengths.at(a.len(), b.len());
    let reply = ctx.reply();
    if options.idx {
        reply.map(2);
        reply.bulk(b"matches");
        reply.deferred(ReplyBuf::array, |reply| {
            let mut n = 0;
            lengths.walk_back(&a, &b, |_| {}, |matched| n += usize::from(write_match(reply, &matched, &options)));
            n
        });
        reply.bulk(b"len");
        reply.int(len.into());
    } else if options.len {
        reply.int(len.into());
    } else {
        let mut common = Vec::with_capacity(len as usize);
        lengths.walk_back(&a, &b, |byte| common.push(byte), |_| {});
        common.reverse();
        reply.bulk(&common);
    }
    Ok(())
}

/// The string of the key at an argument; empty if there is none.
fn text(ctx: &mut Ctx<'_>, i: usize) -> Result<Vec<u8>, CommandError> {
    let key = ctx.arg(i);
    match ctx.db().read_str(key) {
        Ok(string) => Ok(string.map(Elem::to_vec).unwrap_or_default()),
        Err(_) => Err(CommandError::fixed("ERR The specified keys must contain string values")),
    }
}

/// A stretch that both strings have, by the positions of its first byte in each.
struct Match {
    a: usize,
    b: usize,
    len: usize,
}

/// Writes a match unless it is too short. Whether it did.
fn write_match(reply: &mut ReplyBuf, matched: &Match, options: &Options) -> bool {
    if matched.len < options.min_match_len {
        return false;
    }
    reply.array(2 + usize::from(options.with_match_len));
    for start in [matched.a, matched.b] {
        reply.array(2);
        reply.int(start as i64);
        reply.int((start + matched.len - 1) as i64);
    }
    if options.with_match_len {
        reply.int(matched.len as i64);
    }
    true
}

/// The lengths of the longest common subsequences of all beginnings of two strings (dynamic programming, the textbook's way).
struct Lengths {
    table: Vec<u32>,
    row: usize,
}

impl Lengths {
    fn new(a: &[u8], b: &[u8]) -> Lengths {
        let row = b.len() + 1;
        let mut table = vec![0u32; (a.len() + 1) * row];
        for (i, byte) in a.iter().enumerate() {
            let (above, this) = table[i * row..(i + 2) * row].split_at_mut(row);
            for (j, other) in b.iter().enumerate() {
                this[j + 1] = if byte == other { above[j] + 1 } else { above[j + 1].max(this[j]) };
            }
        }
        Lengths { table, row }
    }

    /// For the first `i` bytes of one and the first `j` bytes of the other.
    fn at(&self, i: usize, j: usize) -> u32 {
        self.table[i * self.row + j]
    }

    /// Goes through one longest common subsequence from its end: gives its bytes, and the stretches that are contiguous in both.
    fn walk_back(&self, a: &[u8], b: &[u8], mut byte: impl FnMut(u8), mut found: impl FnMut(Match)) {
        let (mut i, mut j) = (a.len(), b.len());
        let mut current: Option<Match> = None;
        while i > 0 && j > 0 {
            if a[i - 1] == b[j - 1] {
                (i, j) = (i - 1, j - 1);
                byte(a[i]);
                let len = current.take().map_or(0, |matched| matched.len);
                current = Some(Match { a: i, b: j, len: len + 1 });
                continue;
            }
            if let Some(matched) = current.take() {
                found(matched);
            }
            if self.at(i - 1, j) > self.at(i, j - 1) {
                i -= 1;
            } else {
                j -= 1;
            }
        }
        if let Some(matched) = current {
            found(matched);
        }
    }
}
