//! What stream commands have in common in their arguments: ids, ranges of ids, how to trim.

use super::Ctx;
use super::error::{CommandError, SYNTAX};
use crate::data::stream::{StreamId, Trim};
use crate::resp::number::parse_i64;

const BAD_ID: CommandError = CommandError::fixed("ERR Invalid stream ID specified as stream command argument");

/// Longest text that is read as an id.
const MAX_ID_TEXT: usize = 127;

/// A number of 64 bits as C's `strtoull` reads it: after blanks and a sign, with any number of zeros in front.
fn parse_u64(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii_start();
    let digits = text.strip_prefix(b"+").unwrap_or(text);
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, digit| {
        let digit = digit.wrapping_sub(b'0');
        number.checked_mul(10)?.checked_add(u64::from(digit)).filter(|_| digit <= 9)
    })
}

/// An id whose second part may be left out.
fn parse(text: &[u8], missing_seq: u64) -> Option<StreamId> {
    let text = Some(text).filter(|text| text.len() <= MAX_ID_TEXT)?;
    Some(match memchr::memchr(b'-', text) {
        Some(dash) => StreamId::new(parse_u64(&text[..dash])?, parse_u64(&text[dash + 1..])?),
        None => StreamId::new(parse_u64(text)?, missing_seq),
    })
}

/// An id; its second part may be left out and is 0 then.
///
/// # Errors
/// If it is none.
pub(super) fn id(text: &[u8]) -> Result<StreamId, CommandError> {
    parse(text, 0).ok_or(BAD_ID)
}

/// As [`id`], with `-` for the smallest and `+` for the largest.
///
/// # Errors
/// If it is none.
pub(super) fn id_or_end(text: &[u8], missing_seq: u64) -> Result<StreamId, CommandError> {
    match text {
        b"-" => Ok(StreamId::MIN),
        b"+" => Ok(StreamId::MAX),
        _ => parse(text, missing_seq).ok_or(BAD_ID),
    }
}

/// The first id of a range: what is said, or with `(` the next.
///
/// # Errors
/// If it is no id, or there is no next one.
pub(super) fn start(text: &[u8]) -> Result<StreamId, CommandError> {
    match text {
        [b'(', open @ ..] if !open.is_empty() => {
            id(open)?.next().ok_or(CommandError::fixed("ERR invalid start ID for the interval"))
        }
        _ => id_or_end(text, 0),
    }
}

/// The last id of a range: what is said, or with `(` the one before.
///
/// # Errors
/// If it is no id, or there is none before.
pub(super) fn end(text: &[u8]) -> Result<StreamId, CommandError> {
    match text {
        [b'(', open @ ..] if !open.is_empty() => {
            let id = parse(open, u64::MAX).ok_or(BAD_ID)?;
            id.previous().ok_or(CommandError::fixed("ERR invalid end ID for the interval"))
        }
        _ => id_or_end(text, u64::MAX),
    }
}

/// The id that a new entry is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NewId {
    /// `*`: the time, or what follows the last.
    Auto,
    /// `ms-*`: the next one in this millisecond.
    AutoSeq(u64),
    /// This one.
    Given(StreamId),
}

/// How to trim.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trimming {
    /// To what.
    pub to: Trim,
    /// Whole nodes only.
    pub approximately: bool,
    /// Entries to remove at most; 0: any number.
    pub limit: u64,
    /// The argument that says to what.
    pub at: usize,
}

const LIMIT_NEEDS_TILDE: &str = "ERR syntax error, LIMIT cannot be used without the special ~ option";

/// Options of XADD and XTRIM.
#[derive(Debug)]
pub(super) struct Options {
    /// How to trim, if at all.
    pub trimming: Option<Trimming>,
    /// No stream is to be made.
    pub only_existing: bool,
    /// The new entry's id.
    pub id: NewId,
    /// The argument that is the new entry's id.
    pub id_at: usize,
}

impl Options {
    /// Reads the options, from the third argument on; of XADD up to the id of the new entry.
    ///
    /// # Errors
    /// Valkey's texts.
    pub fn parse(ctx: &Ctx<'_>, adds: bool) -> Result<Options, CommandError> {
        let mut options = Options { trimming: None, only_existing: false, id: NewId::Auto, id_at: ctx.argc() };
        let mut limit = None;
        let mut i = 2;
        while i < ctx.argc() {
            let has_more = i + 1 < ctx.argc();
            if adds && ctx.arg(i) == b"*" {
                options.id_at = i;
                break;
            } else if (ctx.is(i, "maxlen") || ctx.is(i, "minid")) && has_more {
                if options.trimming.is_some() {
                    return Err(CommandError::fixed(
                        "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
                    ));
                }
                let by_len = ctx.is(i, "maxlen");
                let sign = i + 2 < ctx.argc() && [&b"~"[..], b"="].contains(&ctx.arg(i + 1));
                let approximately = sign && ctx.arg(i + 1) == b"~";
                i += 1 + usize::from(sign);
                let to = if by_len { Trim::MaxLen(max_len(ctx, i)?) } else { Trim::MinId(id(ctx.arg(i))?) };
                options.trimming = Some(Trimming { to, approximately, limit: 0, at: i });
            } else if ctx.is(i, "limit") && has_more {
                i += 1;
                limit = Some(positive(ctx, i, "ERR The LIMIT argument must be >= 0.")?);
            } else if adds && ctx.is(i, "nomkstream") {
                options.only_existing = true;
            } else if adds {
                options.id = new_id(ctx.arg(i))?;
                options.id_at = i;
                break;
            } else {
                return Err(SYNTAX);
            }
            i += 1;
        }
        options.set_limit(ctx, limit, adds)?;
        Ok(options)
    }

    fn set_limit(&mut self, ctx: &Ctx<'_>, limit: Option<u64>, adds: bool) -> Result<(), CommandError> {
        let Some(trimming) = &mut self.trimming else {
            return Err(CommandError::fixed(match limit {
                Some(1..) => "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
                _ if !adds => "ERR syntax error, XTRIM must be called with a trimming strategy",
                Some(0) if !ctx.client.is_trusted_source() => LIMIT_NEEDS_TILDE,
                _ => return Ok(()),
            }));
        };
        if ctx.client.is_trusted_source() {
            // What it was trimmed to is what it is to be trimmed to, whatever it takes.
            return Ok(());
        }
        trimming.limit = match limit {
            Some(_) if !trimming.approximately => {
                return Err(CommandError::fixed(LIMIT_NEEDS_TILDE));
            }
            Some(limit) => limit,
            // A hundred nodes, so that no call takes long.
            None if trimming.approximately => match ctx.server.config.stream_node_max_entries.saturating_mul(100) {
                0 => 10_000,
                nodes => nodes.min(1_000_000),
            },
            None => 0,
        };
        Ok(())
    }
}

fn positive(ctx: &Ctx<'_>, i: usize, error: &'static str) -> Result<u64, CommandError> {
    u64::try_from(ctx.int(i)?).map_err(|_| CommandError::fixed(error))
}

fn max_len(ctx: &Ctx<'_>, i: usize) -> Result<u64, CommandError> {
    positive(ctx, i, "ERR The MAXLEN argument must be >= 0.")
}

fn new_id(text: &[u8]) -> Result<NewId, CommandError> {
    match text.strip_suffix(b"-*").filter(|_| text.len() <= MAX_ID_TEXT) {
        Some(ms) => parse_u64(ms).map(NewId::AutoSeq).ok_or(BAD_ID),
        None => id(text).map(NewId::Given),
    }
}

/// The argument at `i` as a number of entries, where a negative one counts as 0.
///
/// # Errors
/// If it is no integer.
pub(super) fn count(ctx: &Ctx<'_>, i: usize) -> Result<usize, CommandError> {
    Ok(usize::try_from(ctx.int(i)?).unwrap_or(0))
}

/// The argument at `i` as an integer.
///
/// # Errors
/// If it is none: the text that names what it was to be.
pub(super) fn int_or(ctx: &Ctx<'_>, i: usize, error: &'static str) -> Result<i64, CommandError> {
    parse_i64(ctx.arg(i)).ok_or(CommandError::fixed(error))
}

/// The error that there is no such group, or no such key; `when` follows.
pub(super) fn no_group(key: &[u8], group: &[u8], when: &str) -> CommandError {
    CommandError::bytes(
        [b"NOGROUP No such key '", key, b"' or consumer group '", group, b"'", when.as_bytes()].concat(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_valkey_reads_them() {
        let max = u64::MAX.to_string();
        for (text, expected) in [
            ("1-2", Some((1, 2))),
            ("1", Some((1, 0))),
            ("007-+3", Some((7, 3))),
            (" 9-5", Some((9, 5))),
            (&format!("{max}-{max}"), Some((u64::MAX, u64::MAX))),
            ("18446744073709551616-0", None),
            ("1-", None),
            ("-1", None),
            ("-", None),
            ("+", None),
            ("1-2-3", None),
            ("1-*", None),
            ("", None),
        ] {
            assert_eq!(id(text.as_bytes()).ok(), expected.map(|(ms, seq)| StreamId::new(ms, seq)), "{text:?}");
        }
    }

    #[test]
    fn a_range_may_leave_out_its_ends() {
        assert_eq!(start(b"5").unwrap(), StreamId::new(5, 0));
        assert_eq!(end(b"5").unwrap(), StreamId::new(5, u64::MAX));
        assert_eq!(start(b"(5-1").unwrap(), StreamId::new(5, 2));
        assert_eq!(end(b"(5-0").unwrap(), StreamId::new(4, u64::MAX));
        assert_eq!(start(b"-").unwrap(), StreamId::MIN);
        assert_eq!(end(b"+").unwrap(), StreamId::MAX);
        assert!(start(b"(18446744073709551615-18446744073709551615").is_err());
        assert!(end(b"(0-0").is_err());
        assert!(start(b"(-").is_err() && end(b"(+").is_err());
    }
}
