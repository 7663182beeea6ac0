//! `--scan`: lists the keys, and the walk over all keys that other modes share.

use std::io::Write;

use super::super::format::Output;
use super::super::reply::Reply;
use super::super::session::Session;
use super::super::stop::Stop;
use super::super::sys;
use super::{expect, integer, percent};
use crate::words;

/// Lists the keys as SCAN gives them, one per line.
///
/// # Errors
/// When the server refuses or is lost.
pub fn run(session: &mut Session) -> Result<(), Stop> {
    sys::stop_loop_on_interrupt();
    let quoted = session.format.output == Output::Standard;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut walk = Walk::new();
    while let Some(keys) = walk.next_keys(session)? {
        for key in keys {
            let shown = if quoted { words::quote(&key) } else { key };
            out.write_all(&shown).and_then(|()| out.write_all(b"\n")).map_err(|_| Stop::OutputClosed)?;
        }
        if !session.options.interval.is_zero() {
            out.flush().map_err(|_| Stop::OutputClosed)?;
            std::thread::sleep(session.options.interval);
        }
    }
    out.flush().map_err(|_| Stop::OutputClosed)
}

/// A walk over the keys of the database with SCAN, by the pattern, type and count that the user chose. ^C ends it, if the mode asked for
/// that with [`sys::stop_loop_on_interrupt`].
#[derive(Default)]
pub struct Walk {
    cursor: Option<Vec<u8>>,
    /// SCAN commands so far.
    pub steps: u64,
    /// Whether ^C ended it.
    pub interrupted: bool,
}

impl Walk {
    /// A walk from the start.
    pub fn new() -> Self {
        Self { cursor: Some(b"0".to_vec()), ..Self::default() }
    }

    /// The next keys, maybe none; `None` when the walk is over.
    ///
    /// # Errors
    /// When the server refuses or is lost.
    pub fn next_keys(&mut self, session: &mut Session) -> Result<Option<Vec<Vec<u8>>>, Stop> {
        if sys::take_interrupt() {
            self.interrupted = true;
            return Ok(None);
        }
        let Some(cursor) = self.cursor.take() else { return Ok(None) };
        let count = session.options.count.to_string();
        let mut args: Vec<&[u8]> = vec![b"SCAN", &cursor];
        let (pattern, key_type) = (session.options.pattern.clone(), session.options.key_type.clone());
        if let Some(pattern) = &pattern {
            args.extend([b"MATCH".as_slice(), pattern]);
        }
        args.extend([b"COUNT".as_slice(), count.as_bytes()]);
        if let Some(key_type) = &key_type {
            args.extend([b"TYPE".as_slice(), key_type]);
        }
        self.steps += 1;
        let reply = expect(session.command(&args)?, "SCAN error")?;
        let (cursor, keys) =
            read_step(reply).ok_or_else(|| Stop::because("SCAN did not answer with a cursor and keys"))?;
        self.cursor = Some(cursor).filter(|cursor| cursor != b"0");
        Ok(Some(keys))
    }
}

fn read_step(reply: Reply) -> Option<(Vec<u8>, Vec<Vec<u8>>)> {
    let Reply::Array(parts) = reply else { return None };
    let [Reply::Bulk(cursor), Reply::Array(keys)] = <[Reply; 2]>::try_from(parts).ok()? else { return None };
    let keys = keys.into_iter().map(|key| if let Reply::Bulk(key) = key { Some(key) } else { None });
    Some((cursor, keys.collect::<Option<_>>()?))
}

/// How far a survey of all keys has come.
pub struct Progress {
    /// Keys in the database when it began.
    pub total: u64,
    /// Keys looked at.
    pub sampled: u64,
}

impl Progress {
    /// Starts a survey: asks for the number of keys.
    ///
    /// # Errors
    /// When the server refuses or is lost.
    pub fn start(session: &mut Session) -> Result<Self, Stop> {
        sys::stop_loop_on_interrupt();
        let reply = expect(session.command(&["DBSIZE"])?, "Couldn't determine DBSIZE")?;
        let total = integer(&reply).ok_or_else(|| Stop::because("Non INTEGER response from DBSIZE!"))?;
        // A replica in a cluster answers readers only after this.
        session.command(&["READONLY"])?;
        Ok(Self { total, sampled: 0 })
    }

    /// `[07.50%]`, the part looked at.
    pub fn mark(&self) -> String {
        format!("[{:05.2}%]", percent(self.sampled, self.total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_shown_in_percent() {
        let mark = |sampled, total| Progress { total, sampled }.mark();
        assert_eq!(mark(0, 0), "[00.00%]");
        assert_eq!(mark(3, 40), "[07.50%]");
        assert_eq!(mark(40, 40), "[100.00%]");
    }

    #[test]
    fn a_scan_step_is_a_cursor_and_keys() {
        let bulk = |text: &str| Reply::Bulk(text.into());
        let step = Reply::Array(vec![bulk("17"), Reply::Array(vec![bulk("a"), bulk("b")])]);
        assert_eq!(read_step(step), Some((b"17".to_vec(), vec![b"a".to_vec(), b"b".to_vec()])));
        assert_eq!(read_step(Reply::Array(vec![bulk("17")])), None);
        assert_eq!(read_step(Reply::Nil), None);
    }
}
