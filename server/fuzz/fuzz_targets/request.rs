//! Requests, which mean the same however the network cuts them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use valkey_server::resp::{Limits, QueryBuf};

/// All that is understood of the pieces, and why no more was.
fn understood<'a>(pieces: impl Iterator<Item = &'a [u8]>, limits: Limits) -> (Vec<Vec<Vec<u8>>>, Option<String>) {
    let (mut query, mut commands) = (QueryBuf::default(), Vec::new());
    for piece in pieces {
        query.push(piece);
        loop {
            let parsed = query.parse(limits);
            while let Some(argv) = query.current() {
                commands.push(argv.iter().map(<[u8]>::to_vec).collect());
                query.advance();
            }
            match parsed {
                Ok(0) => break,
                Ok(_) => {}
                Err(why) => return (commands, Some(why.0)),
            }
        }
    }
    (commands, None)
}

fuzz_target!(|bytes: &[u8]| {
    let [cut, authenticated, bytes @ ..] = bytes else { return };
    let limits = Limits { bulk: 1 << 20, authenticated: authenticated & 1 == 0 };
    let whole = understood([bytes].into_iter(), limits);
    let pieces = understood(bytes.chunks(usize::from(*cut).max(1)), limits);
    assert_eq!(whole, pieces);
    valkey_server::words::split(bytes);
});
