//! `--hotkeys`: looks at every key for those used most. The server counts uses only under an LFU `maxmemory-policy`.

use std::fmt::Write as _;

use super::super::reply::Reply;
use super::super::session::Session;
use super::super::stop::{Stop, print};
use super::scan::{Progress, Walk};
use crate::words;

/// Surveys the keys and lists the `wanted` hottest.
///
/// # Errors
/// When the server refuses or is lost.
pub fn run(session: &mut Session, wanted: usize) -> Result<(), Stop> {
    let mut progress = Progress::start(session)?;
    print(
        b"\n# Scanning the entire keyspace to find hot keys as well as\n\
          # average sizes per key type.  You can use -i 0.1 to sleep 0.1 sec\n\
          # per 100 SCAN commands (not usually needed).\n\n",
    )?;
    let mut hottest = Hottest { wanted, keys: Vec::new() };
    let mut walk = Walk::new();
    while let Some(keys) = walk.next_keys(session)? {
        let mark = progress.mark();
        let mut news = String::new();
        for (key, uses) in keys.iter().zip(uses_of(session, &keys)?) {
            progress.sampled += 1;
            let shown = String::from_utf8_lossy(&words::quote(key)).into_owned();
            if hottest.note(&shown, uses) {
                let _ = writeln!(news, "{mark} Hot key '{shown}' found so far with counter {uses}");
            }
        }
        print(news.as_bytes())?;
        if walk.steps.is_multiple_of(100) {
            std::thread::sleep(session.options.interval);
        }
    }
    let mut summary = "\n-------- Summary --------\n\n".to_owned();
    if walk.interrupted {
        summary += &format!("{} ", progress.mark());
    }
    let _ = writeln!(summary, "Sampled {} keys in the keyspace!", progress.sampled);
    for (key, uses) in &hottest.keys {
        let _ = writeln!(summary, "hot key found with counter: {uses}\tkeyname: {key}");
    }
    print(summary.as_bytes())
}

fn uses_of(session: &mut Session, keys: &[Vec<u8>]) -> Result<Vec<u64>, Stop> {
    let connection = session.connection()?;
    for key in keys {
        connection.append(&[b"OBJECT".as_slice(), b"FREQ", key]);
    }
    let mut uses = Vec::with_capacity(keys.len());
    for key in keys {
        uses.push(match connection.own_reply()? {
            Reply::Integer(n) => u64::try_from(n).unwrap_or(0),
            Reply::Error(text) => return Err(Stop::because(format!("Error: {}", String::from_utf8_lossy(&text)))),
            _ => {
                let key = String::from_utf8_lossy(&words::quote(key)).into_owned();
                eprintln!("Warning: OBJECT freq on '{key}' failed (may have been deleted)");
                0
            }
        });
    }
    Ok(uses)
}

/// The keys used most, most used first.
struct Hottest {
    wanted: usize,
    keys: Vec<(String, u64)>,
}

impl Hottest {
    /// True when the key is among the hottest.
    fn note(&mut self, key: &str, uses: u64) -> bool {
        let place = self.keys.partition_point(|(_, others)| *others >= uses);
        if uses == 0 || place >= self.wanted {
            return false;
        }
        self.keys.insert(place, (key.to_owned(), uses));
        self.keys.truncate(self.wanted);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hottest_keys_are_kept_in_order() {
        let mut hottest = Hottest { wanted: 2, keys: Vec::new() };
        assert!(hottest.note("a", 5));
        assert!(!hottest.note("unused", 0));
        assert!(hottest.note("b", 9));
        assert!(!hottest.note("c", 5));
        assert!(hottest.note("d", 6));
        assert_eq!(hottest.keys, [("b".to_owned(), 9), ("d".to_owned(), 6)]);
    }
}
