//! A configuration file: understood, or refused with the line. What was understood survives being written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use valkey_server::config::{Users, Which, compose, load};

fuzz_target!(|bytes: &[u8]| {
    // Files of this machine are not part of the input.
    if bytes.to_ascii_lowercase().windows(7).any(|w| matches!(w, b"include" | b"logfile")) {
        return;
    }
    match load(None, bytes, b"") {
        Ok(loaded) => {
            // Lines of users and renamed commands are others' business.
            let users = [];
            let text = compose(bytes, &loaded.config, Users::Here(&users), Which::Needed);
            let again = load(None, &text, b"").unwrap_or_else(|e| panic!("{}", e.report("9.1.2")));
            assert_eq!(loaded.config, again.config, "{}", text.escape_ascii());
        }
        Err(why) => assert!(why.report("9.1.2").contains("at line"), "{}", why.report("9.1.2")),
    }
});
