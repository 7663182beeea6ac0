//! What the tools around a daemon do to it: hang-ups, and logs that are rotated by renaming. The same of the real Valkey.

use std::fs;

use valkey_repl_e2e::server::{Program, Server, Signal};

#[test]
fn a_hangup_ends_nothing() {
    for program in [Program::Ours, Program::Valkey91] {
        let server = Server::start(program, &["save \"\""]).unwrap();
        assert!(server.line("SET k v").unwrap().is_ok());
        server.signal(Signal::HUP).unwrap();
        assert_eq!(server.line("GET k").unwrap().text().as_deref(), Some("v"));
    }
}

#[test]
fn a_log_that_was_renamed_is_begun_anew() {
    for program in [Program::Ours, Program::Valkey91] {
        let server = Server::start(program, &["logfile rotated.log"]).unwrap();
        let (log, old) = (server.dir().join("rotated.log"), server.dir().join("rotated.log.1"));
        fs::rename(&log, &old).unwrap();
        assert!(server.line("SAVE").unwrap().is_ok());
        let anew = fs::read_to_string(&log).unwrap();
        assert!(anew.contains("DB saved on disk"), "{anew}");
        assert!(!fs::read_to_string(&old).unwrap().contains("DB saved on disk"));
    }
}
