//! A payload for RESTORE: a value that behaves, or a refusal.
#![no_main]

use libfuzzer_sys::fuzz_target;
use valkey_repl_server_fuzz::{try_everything, with_server};

fuzz_target!(|bytes: &[u8]| {
    with_server("enable-debug-command yes", |s| {
        s.server.skip_checksum = true;
        // Version and checksum, so that no input fails for them alone.
        let payload = [bytes, &11u16.to_le_bytes(), &[0; 8]].concat();
        if s.ask(&[b"RESTORE", b"key", b"0", &payload]).starts_with(b"+OK") {
            try_everything(s, b"key");
        }
    });
});
