//! An RDB file: loaded, or refused with the byte where it is wrong. What was loaded then behaves, and is saved and loaded again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use valkey_repl_server_fuzz::{try_keys, with_server};
use valkey_server::persistence::load::Into;
use valkey_server::persistence::rdb::check::{CheckOptions, check};
use valkey_server::persistence::rdb::format::VersionCheck;

fuzz_target!(|bytes: &[u8]| {
    let options = CheckOptions { version_check: VersionCheck::Relaxed, checksum: false, now_ms: 0 };
    let _ = check(bytes, &options, |_, _| ());
    with_server("enable-debug-command yes\nrdb-version-check relaxed", |s| {
        s.server.skip_checksum = true;
        if let Err(why) = s.server.load_rdb(bytes, bytes.len() as u64, Into::Present) {
            assert!(why.contains(" at byte "), "{why}");
            return;
        }
        s.ask(&[b"DEBUG", b"DIGEST"]);
        try_keys(s);
    });
});
