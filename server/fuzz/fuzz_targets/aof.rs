//! An append-only file with its manifest. The input is split at lines `----`: the manifest, then the files `1` to `4`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use valkey_repl_server_fuzz::{try_keys, with_server};
use valkey_server::persistence::aof::check::Records;

fuzz_target!(|bytes: &[u8]| {
    // As valkey-check-aof sees it.
    let mut records = Records::new(bytes, String::new(), 0);
    while let Ok(Some(_)) = records.next_record() {}
    assert!(records.whole() <= bytes.len() as u64);
    with_server("enable-debug-command yes\nappendfsync no", |s| {
        s.server.skip_checksum = true;
        let dir = s.dir().join("appendonlydir");
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).expect("a directory for the files");
        let mut rest = bytes;
        for name in ["appendonly.aof.manifest", "1", "2", "3", "4"] {
            const CUT: &[u8] = b"----\n";
            let end = rest.windows(CUT.len()).position(|w| w == CUT);
            let (part, after) = end.map_or((rest, &[][..]), |end| (&rest[..end], &rest[end + CUT.len()..]));
            std::fs::write(dir.join(name), part).expect("a file can be written");
            rest = after;
            if end.is_none() {
                break;
            }
        }
        match s.server.load_aof() {
            Ok(_) => try_keys(s),
            Err(why) => assert!(why.contains("at byte") || why.contains("at line") || why.contains("open"), "{why}"),
        }
    });
});
