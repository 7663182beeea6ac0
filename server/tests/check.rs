//! What a user of `valkey-check-rdb` and `valkey-check-aof` sees: output, status, and what becomes of the files; and of the checks of the
//! machine.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder with the tools, and the files of a test.
struct Folder(PathBuf);

impl Folder {
    fn new(files: &[(&str, &[u8])]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("valkey-check-test-{}-{number}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        for tool in ["valkey-check-rdb", "valkey-check-aof"] {
            symlink(env!("CARGO_BIN_EXE_valkey-server"), dir.join(tool)).unwrap();
        }
        for (name, bytes) in files {
            fs::write(dir.join(name), bytes).unwrap();
        }
        Folder(dir)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.join(name)).unwrap()
    }

    /// Exit code and output, complaints after the rest.
    fn run(&self, tool: &str, args: &[&str], input: &str) -> (i32, String) {
        let mut child = Command::new(self.0.join(tool))
            .args(args)
            .current_dir(&self.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A tool that asks nothing may be gone already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8_lossy(&text).into_owned())
    }

    fn rdb(&self, args: &[&str]) -> (i32, String) {
        self.run("valkey-check-rdb", args, "")
    }

    fn aof(&self, args: &[&str]) -> (i32, String) {
        self.run("valkey-check-aof", args, "")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn command(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    words.iter().for_each(|w| bytes.extend_from_slice(format!("${}\r\n{w}\r\n", w.len()).as_bytes()));
    bytes
}

fn set() -> Vec<u8> {
    command(&["SET", "foo", "hello"])
}

const VALUES: &[u8] = include_bytes!("data/rdb/valkey-9.1-values.rdb");
const MANIFEST: &[u8] = b"file base seq 1 type b\nfile incr seq 1 type i\n";

#[test]
fn a_sound_rdb_file_is_told_with_what_it_holds() {
    let folder = Folder::new(&[("dump.rdb", VALUES)]);
    let expected = "\
[offset 0] Checking RDB file dump.rdb
[offset 27] AUX FIELD valkey-ver = '9.1.2'
[offset 41] AUX FIELD redis-bits = '64'
[offset 53] AUX FIELD ctime = '1795377302'
[offset 68] AUX FIELD used-mem = '1225152'
[offset 80] AUX FIELD aof-base = '0'
[offset 82] Selecting DB ID 0
[offset 21242] Selecting DB ID 3
[offset 21269] Checksum OK
[offset 21269] Check RDB returned error code 0 (0 means success)
[offset 21269] \\o/ RDB looks OK! \\o/
[info] 21 keys read
[info] 2 expires
[info] 0 already expired
[info] 0 functions
";
    assert_eq!(folder.rdb(&["dump.rdb"]), (0, expected.to_owned()));
}

#[test]
fn a_damaged_rdb_file_is_told_with_the_byte_and_the_key() {
    let mut flipped = VALUES.to_vec();
    flipped[18651] ^= 1;
    let folder = Folder::new(&[("cut.rdb", &VALUES[..5000]), ("flipped.rdb", &flipped), ("no.rdb", b"hello, world")]);
    let (code, text) = folder.rdb(&["cut.rdb"]);
    assert_eq!(code, 1);
    assert!(text.contains("--- RDB ERROR DETECTED ---\n[offset 5000] Unexpected EOF reading RDB file\n"), "{text}");
    assert!(
        text.contains("[additional info] While doing: read-object-value\n[additional info] Reading key '"),
        "{text}"
    );
    assert!(text.ends_with("[offset 5000] Check RDB returned error code 1 (0 means success)\n"), "{text}");
    let (code, text) = folder.rdb(&["flipped.rdb"]);
    assert_eq!(code, 1);
    assert!(text.contains("--- RDB ERROR DETECTED ---\n"), "{text}");
    let (code, text) = folder.rdb(&["no.rdb"]);
    assert_eq!(code, 1);
    assert!(text.contains("[offset 9] Wrong signature trying to load DB from file\n"), "{text}");
    let (code, text) = folder.rdb(&["absent.rdb"]);
    assert_eq!(code, 1);
    assert!(text.contains("Cannot open file absent.rdb: No such file or directory"), "{text}");
}

#[test]
fn files_of_other_versions_are_checked_and_told_to_need_the_relaxed_check() {
    let end = b"\xfe\x00\x00\x01a\x01b\xff\0\0\0\0\0\0\0\0";
    let folder = Folder::new(&[
        ("foreign", &[b"REDIS0012", &end[..]].concat()),
        ("future", &[b"VALKEY987", &end[..]].concat()),
        ("unknown", b"REDIS0075\x96"),
    ]);
    for (file, what) in [("foreign", "Foreign RDB version 12"), ("future", "Future RDB version 987")] {
        let (code, text) = folder.rdb(&[file]);
        assert!(text.contains(&format!("[offset 9] {what} detected\n")), "{text}");
        assert!(text.contains("loading requires config 'rdb-version-check relaxed'\n"), "{text}");
        assert_eq!(code, 0);
    }
    let (code, text) = folder.rdb(&["unknown"]);
    assert!(text.contains("[offset 10] Unknown object type 150 in RDB file with foreign version 75\n"), "{text}");
    assert_eq!(code, 1);
}

#[test]
fn statistics_are_printed_in_three_layouts_and_to_a_file() {
    let folder = Folder::new(&[("dump.rdb", VALUES)]);
    let lines = |args: &[&str]| {
        let (code, text) = folder.rdb(&[&["dump.rdb", "--stats"], args].concat());
        assert_eq!(code, 0);
        text
    };
    let table = lines(&[]);
    assert!(
        table.contains("db.0.keys.total               \t9    \t3    \t4    \t2    \t2    \t0    \t0    \n"),
        "{table}"
    );
    let csv = lines(&["--format", "csv"]);
    for line in [
        "db.0.type.name,string,list,set,zset,hash,module,stream",
        "db.0.expire_keys.total,1,0,0,0,1,0,0",
        "db.0.keys.value_size,335,30018,2922,2803,7000,0,0",
        "db.0.elements.num.max,1,1200,300,200,600,0,0",
        "db.0.elements.size.avg,37.22,24.83,9.43,13.67,11.61,0.00,0.00",
        "db.0.elements.size.p99,300.00,9.00,10.00,15.00,12.00,0.00,0.00",
        "db.1.keys.total,0,0,0,0,0,0,0",
        "db.3.keys.size,9,0,0,0,0,0,0",
    ] {
        assert!(csv.lines().any(|l| l == line), "{line} in\n{csv}");
    }
    let info = lines(&["--format", "info"]);
    assert!(info.contains("[info] db.0.type.hash.elements.total:603\n"), "{info}");
    let rest = lines(&["--format", "csv", "--output", "stats.csv"]);
    assert!(rest.ends_with("[info] 0 functions\n"), "{rest}");
    assert_eq!(rest + &String::from_utf8(folder.read("stats.csv")).unwrap(), csv);
}

#[test]
fn what_is_no_argument_gets_the_usage_and_the_version_is_told() {
    let folder = Folder::new(&[]);
    for (tool, wrong) in [
        ("valkey-check-rdb", &["dump.rdb", "--format", "xml"][..]),
        ("valkey-check-rdb", &["dump.rdb", "--output"]),
        ("valkey-check-rdb", &[]),
        ("valkey-check-aof", &["--repair", "a"]),
        ("valkey-check-aof", &[]),
    ] {
        let (code, text) = folder.run(tool, wrong, "");
        assert!(code == 1 && text.starts_with("Usage: ") && text.contains(tool), "{tool} {wrong:?}: {text}");
    }
    for tool in ["valkey-check-rdb", "valkey-check-aof"] {
        let (code, text) = folder.run(tool, &["--version"], "");
        assert!(code == 0 && text.starts_with(&format!("{tool} v=9.1.2 ")), "{text}");
    }
}

#[test]
fn the_append_only_files_of_a_real_server_are_valid() {
    let folder = Folder::new(&[
        ("appendonly.aof.manifest", include_bytes!("data/aof/valkey-9.1/appendonly.aof.manifest")),
        ("appendonly.aof.2.base.rdb", include_bytes!("data/aof/valkey-9.1/appendonly.aof.2.base.rdb")),
        ("appendonly.aof.2.incr.aof", include_bytes!("data/aof/valkey-9.1/appendonly.aof.2.incr.aof")),
    ]);
    let (code, text) = folder.aof(&["appendonly.aof.manifest"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.starts_with("Start checking Multi Part AOF\nStart to check BASE AOF (RDB format).\n"), "{text}");
    for line in [
        "RDB preamble is OK, proceeding with AOF tail...\n",
        "BASE AOF appendonly.aof.2.base.rdb is valid\nStart to check INCR files.\n",
        "AOF analyzed: filename=appendonly.aof.2.incr.aof, size=269, ok_up_to=269, ",
        "INCR AOF appendonly.aof.2.incr.aof is valid\nAll AOF files and manifest are valid\n",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
}

#[test]
fn a_cut_file_is_told_and_shortened_only_on_consent() {
    let (good, broken) = (set(), [set(), set()].concat());
    let broken = &broken[..broken.len() - 3];
    let folder = Folder::new(&[("a.aof", broken)]);
    let (code, text) = folder.aof(&["a.aof"]);
    let expected = "\
Start checking Old-Style AOF
0x              3b: Expected to read 7 bytes, got 4 bytes
AOF analyzed: filename=a.aof, size=63, ok_up_to=33, ok_up_to_line=14, diff=30
AOF a.aof is not valid. Use the --fix option to try fixing it.
";
    assert_eq!((code, text.as_str()), (1, expected));
    let (code, text) = folder.run("valkey-check-aof", &["--fix", "a.aof"], "n\n");
    assert!(code == 1 && text.ends_with("Continue? [y/N]: Aborting...\n"), "{text}");
    assert_eq!(folder.read("a.aof"), broken);
    let (code, text) = folder.run("valkey-check-aof", &["--fix", "a.aof"], "y\n");
    assert!(text.contains("This will shrink the AOF a.aof from 63 bytes, with 30 bytes, to 33 bytes\n"), "{text}");
    assert!(code == 0 && text.ends_with("Successfully truncated AOF a.aof\n"), "{text}");
    assert_eq!(folder.read("a.aof"), good);
}

#[test]
fn only_the_last_file_of_a_manifest_is_ever_shortened() {
    let open = [set(), command(&["MULTI"]), set()].concat();
    let folder = Folder::new(&[("manifest", MANIFEST), ("base", &open), ("incr", &set())]);
    let (code, text) = folder.run("valkey-check-aof", &["--fix", "manifest"], "y\n");
    assert!(code == 1 && text.contains("Reached EOF before reading EXEC for MULTI\n"), "{text}");
    assert!(text.ends_with("Failed to truncate AOF base because it is not the last file\n"), "{text}");
    assert_eq!(folder.read("base"), open);
    let timed = [set(), b"#TS:1000\r\n".to_vec(), set(), b"#TS:2000\r\n".to_vec(), set()].concat();
    let folder = Folder::new(&[("manifest", MANIFEST), ("base", &timed), ("incr", &timed)]);
    let (code, text) = folder.aof(&["--truncate-to-timestamp", "1000", "manifest"]);
    assert!(code == 1 && text.contains("Failed to truncate AOF base to timestamp 1000 to offset 76 because"), "{text}");
    assert_eq!(folder.read("base"), timed);
}

#[test]
fn an_append_only_file_is_taken_back_to_a_point_in_time() {
    let early = [set(), b"#TS:1000\r\n".to_vec(), set()].concat();
    let all = [&early, &b"#TS:2000\r\n"[..], &set()].concat();
    let folder = Folder::new(&[("manifest", MANIFEST), ("base", &set()), ("incr", &all)]);
    let (code, text) = folder.aof(&["--truncate-to-timestamp", "2000", "manifest"]);
    assert!(code == 0 && text.contains("Truncate nothing in AOF incr to timestamp 2000\n"), "{text}");
    let (code, text) = folder.aof(&["--truncate-to-timestamp", "1500", "manifest"]);
    assert!(code == 0 && text.contains("Successfully truncated AOF incr to timestamp 1500\n"), "{text}");
    assert_eq!(folder.read("incr"), early);
    let (code, text) = folder.aof(&["--truncate-to-timestamp", "soon", "manifest"]);
    assert_eq!((code, text.as_str()), (1, "Invalid timestamp, aborting...\n"));
}

#[test]
fn a_bad_manifest_or_a_missing_file_is_told() {
    let folder = Folder::new(&[("manifest", &[MANIFEST, b"!!!\n"].concat()), ("good", MANIFEST), ("base", &set())]);
    let (code, text) = folder.aof(&["manifest"]);
    assert!(code == 1 && text.ends_with("reading manifest, at line 3: Invalid AOF manifest file format\n"), "{text}");
    let (code, text) = folder.aof(&["good"]);
    assert!(code == 1 && text.contains("Cannot open file incr: No such file or directory"), "{text}");
}

/// Exit code and output of the server's program, complaints after the rest.
fn run_server(args: &[&str]) -> (i32, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_valkey-server")).args(args).output().unwrap();
    let text = [done.stdout, done.stderr].concat();
    (done.status.code().unwrap(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn the_machine_is_checked_and_the_status_tells_whether_something_is_wrong() {
    let (code, text) = run_server(&["--check-system"]);
    for check in ["slow-clocksource", "xen-clocksource", "overcommit", "THP"] {
        assert!(text.contains(&format!("[{check}]...")), "{text}");
    }
    assert_eq!(code == 0, !text.contains("WARNING"), "{text}");
}

#[test]
fn memory_is_tested_as_much_as_is_asked_for() {
    let (code, text) = run_server(&["--test-memory", "1"]);
    assert!(code == 0 && text.contains("Your memory passed this test."), "{text}");
    for wrong in [&["--test-memory"][..], &["--test-memory", "1", "2"], &["--test-memory", "much"]] {
        let (code, text) = run_server(wrong);
        assert!(code == 1 && text.contains("megabytes"), "{text}");
    }
}
