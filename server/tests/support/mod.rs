//! A server of this build for a test, and connections that ask it in words and get its answers as text.
//!
//! Answers look like this: `OK` (a simple or a bulk string), `:1` (an integer), `-ERR text`, `nil`, `[a, [b, :2]]` (an array), `{a: b}` (a
//! map), `<a, b>` (a set), `,1.5` (a double), `true`.

// Each test file uses its own part of this.
#![allow(dead_code)]

use socket2::{Domain, Socket, Type};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A running server with a directory of its own. Dropping it ends the process and removes the directory.
pub struct Server {
    process: Child,
    /// Gathers what it logs after its start, until its end.
    log: Option<JoinHandle<Vec<u8>>>,
    // Bound but not listening: no other process is given the port.
    _reserved: Socket,
    port: u16,
    dir: PathBuf,
    options: Vec<String>,
}

impl Server {
    /// Starts a server with these words on its command line, and waits until it takes connections.
    pub fn start(options: &[&str]) -> Server {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("valkey-server-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let reserved = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        reserved.set_reuse_address(true).unwrap();
        reserved.bind(&SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        let port = reserved.local_addr().unwrap().as_socket().unwrap().port();
        let options: Vec<String> = options.iter().map(|option| option.to_string()).collect();
        let (process, log) = spawn(port, &dir, &options);
        Server { process, log: Some(log), _reserved: reserved, port, dir, options }
    }

    /// Ends the server in good order and starts it again with what it left in its directory.
    pub fn restart(&mut self) {
        self.connect().send(&["SHUTDOWN"]);
        self.process.wait().unwrap();
        let (process, log) = spawn(self.port, &self.dir, &self.options);
        self.process = process;
        self.log = Some(log);
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Waits for its end.
    pub fn wait(&mut self) {
        self.process.wait().unwrap();
    }

    /// Waits for its end: how it ended, and what it had logged since its start.
    pub fn end(&mut self) -> (ExitStatus, String) {
        let status = self.process.wait().unwrap();
        let log = self.log.take().map(|gathered| gathered.join().unwrap()).unwrap_or_default();
        (status, String::from_utf8_lossy(&log).into_owned())
    }

    /// The names of what lies in its directory.
    pub fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.dir).unwrap();
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }

    /// Where a file in its directory is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// What a file in its directory holds, as text.
    pub fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&std::fs::read(self.path(name)).unwrap()).into_owned()
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// A new connection.
    pub fn connect(&self) -> Client {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Client { stream: BufReader::new(stream) }
    }
}

/// Starts a process and waits until it takes connections.
fn spawn(port: u16, dir: &Path, options: &[String]) -> (Child, JoinHandle<Vec<u8>>) {
    let mut process = Command::new(env!("CARGO_BIN_EXE_valkey-server"))
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
        .arg(dir)
        .args(options)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(process.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("Ready to accept connections") {
        line.clear();
        assert_ne!(log.read_line(&mut line).unwrap(), 0, "the server ended before it took connections");
    }
    // The rest of the log is read so that the server never waits for somebody to do so.
    let rest = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = log.read_to_end(&mut bytes);
        bytes
    });
    (process, rest)
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// One connection.
pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Sends a command, words apart by spaces (a word in double quotes may hold spaces, or nothing), and returns the answer.
    pub fn ask(&mut self, command: &str) -> String {
        let words = words(command);
        self.ask_words(&words)
    }

    /// Asks again and again until the answer holds `text`.
    pub fn ask_until(&mut self, command: &str, text: &str) {
        for _ in 0..2000 {
            if self.ask(command).contains(text) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{command}: no {text} in {}", self.ask(command));
    }

    /// Sends a command of these words, and returns the answer.
    pub fn ask_words(&mut self, words: &[impl AsRef<[u8]>]) -> String {
        self.send(words);
        self.answer()
    }

    /// Sends bytes as they are.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    /// Sends a command without waiting for the answer.
    pub fn send(&mut self, words: &[impl AsRef<[u8]>]) {
        let mut request = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            request.extend_from_slice(format!("${}\r\n", word.as_ref().len()).as_bytes());
            request.extend_from_slice(word.as_ref());
            request.extend_from_slice(b"\r\n");
        }
        self.stream.get_mut().write_all(&request).unwrap();
    }

    /// Sends a command and returns the bytes of the bulk string that it is answered with.
    pub fn ask_bytes(&mut self, command: &str) -> Vec<u8> {
        self.send(&words(command));
        let head = self.line();
        let len = head.strip_prefix('$').and_then(|len| len.parse().ok());
        self.bytes(len.unwrap_or_else(|| panic!("a bulk string was expected, not {head}")))
    }

    /// The next `len` bytes, as they come.
    pub fn receive(&mut self, len: usize) -> String {
        let mut bytes = vec![0; len];
        self.stream.read_exact(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Reads a byte, or finds that the server has closed the connection.
    pub fn is_closed(&mut self) -> bool {
        match self.stream.read(&mut [0]) {
            Ok(n) => n == 0,
            Err(e) => e.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }

    /// The next answer, or message.
    pub fn answer(&mut self) -> String {
        let head = self.line();
        let (kind, rest) = head.split_at(1);
        let len = rest.parse::<i64>().unwrap_or(0);
        match kind {
            "+" => rest.to_owned(),
            "_" => "nil".to_owned(),
            "#" => (rest == "t").to_string(),
            "$" | "*" if len < 0 => "nil".to_owned(),
            "$" => String::from_utf8_lossy(&self.bytes(len as usize)).into_owned(),
            "=" => String::from_utf8_lossy(&self.bytes(len as usize)[4..]).into_owned(),
            "*" | ">" => format!("[{}]", self.answers(len)),
            "~" => format!("<{}>", self.answers(len)),
            "%" => {
                let pairs: Vec<String> = (0..len).map(|_| format!("{}: {}", self.answer(), self.answer())).collect();
                format!("{{{}}}", pairs.join(", "))
            }
            _ => head,
        }
    }

    fn answers(&mut self, n: i64) -> String {
        (0..n).map(|_| self.answer()).collect::<Vec<_>>().join(", ")
    }

    fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).unwrap();
        assert!(!line.is_empty(), "the server closed the connection");
        String::from_utf8_lossy(line.trim_ascii_end()).into_owned()
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len + 2];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes.truncate(len);
        bytes
    }
}

/// Asks one thing after the other and compares the answers.
pub fn check(client: &mut Client, dialogue: &[(&str, &str)]) {
    for (command, answer) in dialogue {
        assert_eq!(client.ask(command), *answer, "{command}");
    }
}

fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut started) = (Vec::new(), String::new(), false, false);
    for c in command.chars() {
        match c {
            '"' => (quoted, started) = (!quoted, true),
            ' ' if !quoted => {
                if started || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                started = false;
            }
            _ => word.push(c),
        }
    }
    if started || !word.is_empty() {
        words.push(word);
    }
    words
}
