//! Sequences of commands on few keys, so that they meet. The data set is the same after it went through a snapshot, and a
//! replica makes the same of the stream.
#![no_main]

use libfuzzer_sys::fuzz_target;
use valkey_repl_server_fuzz::{same_everywhere, script};

fuzz_target!(|bytes: &[u8]| {
    let requests = script::commands(bytes);
    // What expires between two looks makes a difference too, but not each time.
    let found: Vec<_> = (0..3).map_while(|_| same_everywhere(&requests).err()).collect();
    assert!(found.len() < 3, "{found:?} after {}", requests.escape_ascii());
});
