//! What is promised of the title that the server shows in the list of processes.

mod support;

use support::{Client, Server, check};

/// The title of a process, without the zero bytes at its end.
fn title(pid: &str) -> String {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim_end_matches('\0').to_owned()
}

fn title_of(server: &Server) -> String {
    title(&server.pid().to_string())
}

/// Waits for a child of the server, and returns its title.
fn title_of_child(server: &Server) -> String {
    let parent = server.pid().to_string();
    for _ in 0..2000 {
        let processes = std::fs::read_dir("/proc").unwrap();
        for pid in processes.filter_map(|entry| entry.ok()?.file_name().into_string().ok()) {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let is_child = stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.split(' ').nth(1) == Some(&parent));
            // Until it has set its own title it shows the server's.
            if is_child && title(&pid) != title_of(server) {
                return title(&pid);
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    panic!("no child with a title of its own");
}

fn slow_to_save(client: &mut Client) {
    check(client, &[("DEBUG POPULATE 1000", "OK"), ("CONFIG SET rdb-key-save-delay 10000", "OK")]);
}

#[test]
fn the_title_tells_the_program_and_its_address() {
    let server = Server::start(&[]);
    let program = env!("CARGO_BIN_EXE_valkey-server");
    assert_eq!(title_of(&server), format!("{program} 127.0.0.1:{}", server.port()));
}

#[test]
fn the_title_follows_the_template_also_when_that_is_longer_than_the_command_line_or_shorter() {
    let server = Server::start(&[]);
    let client = &mut server.connect();
    let long = format!("{}{{title}}", "x".repeat(100));
    let port = server.port();
    for (template, shown) in [
        ("T", "T".to_owned()),
        (&long, format!("{}{}", "x".repeat(100), env!("CARGO_BIN_EXE_valkey-server"))),
        ("{port}/{tls-port} {config-file} {server-mode}", format!("{port}/0 -")),
        (&"y".repeat(300), "y".repeat(255)),
    ] {
        assert_eq!(client.ask_words(&["CONFIG", "SET", "proc-title-template", template]), "OK");
        assert_eq!(title_of(&server), shown);
    }
    assert!(client.ask("CONFIG SET proc-title-template {other}").contains("template format is invalid"));
    assert_eq!(title_of(&server), "y".repeat(255));
}

#[test]
fn children_tell_what_they_do() {
    let server = Server::start(&["--enable-debug-command", "yes"]);
    let client = &mut server.connect();
    slow_to_save(client);
    let address = format!("127.0.0.1:{}", server.port());
    assert_eq!(client.ask("BGSAVE"), "Background saving started");
    assert_eq!(title_of_child(&server), format!("valkey-rdb-bgsave {address}"));
    assert_eq!(client.ask("BGSAVE CANCEL"), "Background saving cancelled");
    client.ask_until("INFO persistence", "rdb_bgsave_in_progress:0");
    assert_eq!(client.ask("BGREWRITEAOF"), "Background append only file rewriting started");
    assert_eq!(title_of_child(&server), format!("valkey-aof-rewrite {address}"));
}

#[test]
fn without_set_proc_title_the_command_line_stays() {
    let server = Server::start(&["--set-proc-title", "no"]);
    assert!(title_of(&server).contains("--set-proc-title"), "{}", title_of(&server));
}
