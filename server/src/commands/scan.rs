//! Walking through keys with a cursor: SCAN; and what SSCAN, HSCAN and ZSCAN share with it.
//!
//! A command of that kind reads its cursor with [`cursor`], looks its key up (absent: [`reply_empty`]), reads the options with
//! [`Options::parse`] and leaves the rest to [`reply`].

use super::error::{CommandError, NOT_INTEGER, SYNTAX};
use super::{Command, CommandResult, Ctx, Flags, Group};
use crate::data::elem::Elem;
use crate::data::table::Keyed;
use crate::glob;
use crate::keyspace::Lookup;
use crate::resp::argv::encode_header;
use crate::resp::number::parse_i64;
use crate::resp::{Argv, ReplyBuf};

/// The rows.
pub const COMMANDS: &[Command] = &[Command::new("scan", -2, Group::Generic, scan)
    .flags(Flags::READONLY.union(Flags::TOUCHES_ARBITRARY_KEYS))
    .doc("2.8.0", "Returns some of the keys, and the cursor to go on with.")];

/// What is walked through, which decides about the options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// SCAN: `TYPE`.
    Keys,
    /// SSCAN.
    Set,
    /// HSCAN: `NOVALUES`.
    Hash,
    /// ZSCAN: `NOSCORES`.
    SortedSet,
}

/// The options of a scan.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// `COUNT`: about how many elements to look at.
    pub count: usize,
    /// `MATCH`, unless it matches everything.
    pub pattern: Option<&'a [u8]>,
    /// `TYPE`: the name of the type that keys must have.
    pub kind: Option<&'static str>,
    /// `NOVALUES`, `NOSCORES`: only the first of each pair is wanted.
    pub only_keys: bool,
}

impl<'a> Options<'a> {
    /// Reads the options from the argument at `from` on.
    ///
    /// # Errors
    /// Valkey's texts.
    pub fn parse(argv: Argv<'a>, from: usize, of: Of) -> Result<Options<'a>, CommandError> {
        let mut options = Options { count: 10, pattern: None, kind: None, only_keys: false };
        let mut i = from;
        while i < argv.len() {
            let is = |name: &str| argv.get(i).eq_ignore_ascii_case(name.as_bytes());
            let has_value = i + 1 < argv.len();
            let value = argv.get(i + 1);
            if is("count") && has_value {
                let count = parse_i64(value).ok_or(NOT_INTEGER)?;
                options.count = usize::try_from(count).ok().filter(|n| *n > 0).ok_or(SYNTAX)?;
                i += 2;
            } else if is("match") && has_value {
                options.pattern = (value != b"*").then_some(value);
                i += 2;
            } else if is("type") && of == Of::Keys && has_value {
                options.kind = Some(type_name(value)?);
                i += 2;
            } else if is("novalues") {
                if of != Of::Hash {
                    return Err(CommandError::fixed("ERR NOVALUES option can only be used in HSCAN"));
                }
                options.only_keys = true;
                i += 1;
            } else if is("noscores") {
                if of != Of::SortedSet {
                    return Err(CommandError::fixed("ERR NOSCORES option can only be used in ZSCAN"));
                }
                options.only_keys = true;
                i += 1;
            } else {
                return Err(SYNTAX);
            }
        }
        Ok(options)
    }

    /// Whether `MATCH` lets an element through.
    pub fn matches(&self, text: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob::matches(pattern, text, false))
    }
}

fn type_name(name: &[u8]) -> Result<&'static str, CommandError> {
    const NAMES: [&str; 6] = ["string", "list", "set", "zset", "hash", "stream"];
    NAMES.into_iter().find(|known| name.eq_ignore_ascii_case(known.as_bytes())).ok_or_else(|| {
        let mut text = b"ERR unknown type name '".to_vec();
        text.extend_from_slice(name);
        text.push(b'\'');
        CommandError::bytes(text)
    })
}

/// Reads a cursor.
///
/// # Errors
/// `invalid cursor`
pub fn cursor(text: &[u8]) -> Result<u64, CommandError> {
    let number = std::str::from_utf8(text.trim_ascii_start()).ok().and_then(|text| text.parse().ok());
    number.ok_or(CommandError::fixed("ERR invalid cursor"))
}

/// What one call of a scan found so far.
pub struct Page<'a> {
    options: &'a Options<'a>,
    seen: usize,
    elements: usize,
    encoded: Vec<u8>,
}

impl Page<'_> {
    /// Takes an element, or the first of a pair, if it matches. Whether the second of the pair is to follow, with
    /// [`value`](Self::value).
    pub fn key(&mut self, key: Elem<'_>) -> bool {
        self.seen += 1;
        key.with_text(|text| {
            let matches = self.options.matches(text);
            if matches {
                self.push(text);
            }
            matches && !self.options.only_keys
        })
    }

    /// Takes the second of a pair.
    pub fn value(&mut self, value: &[u8]) {
        self.push(value);
    }

    fn push(&mut self, text: &[u8]) {
        self.elements += 1;
        encode_header(&mut self.encoded, b'$', text.len());
        self.encoded.extend_from_slice(text);
        self.encoded.extend_from_slice(b"\r\n");
    }
}

/// Walks on from `cursor` until about `COUNT` elements were seen, and answers with the next cursor and the elements. `step` gives the
/// elements at a cursor to the page and returns the next cursor, as the tables' `scan` does.
pub fn reply(
    reply: &mut ReplyBuf,
    options: &Options<'_>,
    mut cursor: u64,
    mut step: impl FnMut(u64, &mut Page<'_>) -> u64,
) {
    let mut page = Page { options, seen: 0, elements: 0, encoded: Vec::new() };
    // Many buckets may be empty: a bound on steps, too.
    for _ in 0..=options.count.saturating_mul(10) {
        cursor = step(cursor, &mut page);
        if cursor == 0 || page.seen >= options.count {
            break;
        }
    }
    reply.array(2);
    reply.bulk(itoa::Buffer::new().format(cursor).as_bytes());
    reply.array(page.elements);
    reply.raw(&page.encoded);
}

/// Answers for a key that does not exist: the walk is over, and found nothing.
pub fn reply_empty(reply: &mut ReplyBuf) {
    reply.raw(b"*2\r\n$1\r\n0\r\n*0\r\n");
}

fn scan(ctx: &mut Ctx<'_>) -> CommandResult {
    let cursor = cursor(ctx.arg(1))?;
    let options = Options::parse(ctx.argv, 2, Of::Keys)?;
    let (db, to) = ctx.db_and_reply();
    let mut expired = Vec::new();
    reply(to, &options, cursor, |cursor, page| {
        db.scan(cursor, |entry| {
            page.seen += 1;
            let of_kind = options.kind.is_none_or(|kind| kind == entry.kind().name());
            if !of_kind || !options.matches(entry.key()) {
                return;
            }
            if db.is_expired(entry) {
                expired.push(entry.key().to_vec());
            } else {
                page.push(entry.key());
            }
        })
    });
    // Looked up, they are deleted, where that is this server's to decide.
    for key in expired {
        db.read_with(&key, Lookup::SILENT);
    }
    Ok(())
}
