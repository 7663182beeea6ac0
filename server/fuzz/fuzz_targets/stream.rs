//! What a replica reads from its primary: handshake, snapshot by length or up to a mark, then commands. The first byte tells
//! whether it goes by way of the disk, and whether the handshake is part of the input.
#![no_main]

use libfuzzer_sys::fuzz_target;
use valkey_repl_server_fuzz::{try_keys, with_server};
use valkey_server::config::DisklessLoad;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else { return };
    with_server("repl-timeout 1", |s| {
        s.server.skip_checksum = true;
        let diskless = first & 1 == 0;
        s.server.config.repl_diskless_load = if diskless { DisklessLoad::Swapdb } else { DisklessLoad::Disabled };
        let handshake: &[u8] = if first & 2 == 0 { b"+PONG\r\n+OK\r\n+OK\r\n+OK\r\n" } else { b"" };
        s.follow(&[handshake, bytes].concat());
        s.server.become_primary();
        try_keys(s);
    });
});
