//! `valkey-operator local`, run as a user runs it: real servers, real signals, its output read from a pipe.

use std::{
    collections::HashMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// Bounds a wait for something that should happen; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// The programs that are tested.
fn server() -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_valkey-operator")).with_file_name("valkey-server");
    let path = std::env::var_os("VALKEY_REPL_BIN_DIR").map_or(built, |dir| Path::new(&dir).join("valkey-server"));
    let path = path.canonicalize().unwrap_or(path);
    assert!(path.is_file(), "{} is missing: cargo build -p valkey-repl-server --bin valkey-server", path.display());
    path
}

/// A directory that goes away with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, spec: &str) -> Self {
        let path = std::env::temp_dir().join(format!("valkey-local-test-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        let text = format!(
            "apiVersion: valkey-repl.dev/v1alpha1\nkind: ValkeyReplication\nmetadata: {{name: pair}}\nspec: {spec}\n"
        );
        fs::write(path.join("pair.yaml"), text).unwrap();
        Self(path.canonicalize().unwrap())
    }

    fn dir(&self) -> PathBuf {
        self.0.join("dir")
    }

    fn command(&self, listen: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_valkey-operator"));
        command.args(["local", "--listen", listen, "--file"]).arg(self.0.join("pair.yaml"));
        command.arg("--dir").arg(self.dir()).arg("--server").arg(server());
        command
    }

    fn run(&self) -> Run {
        Run::start(self.command("127.0.0.1:0"), self.dir())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Whatever a failed test left alive.
        for entry in fs::read_dir(self.dir()).into_iter().flatten().flatten() {
            if let Ok(pid) = fs::read_to_string(entry.path().join("valkey.pid")) {
                let pid: i32 = pid.trim().parse().unwrap();
                if fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == entry.path()) {
                    kill(pid.cast_unsigned(), Signal::KILL);
                }
            }
        }
        if !thread::panicking() {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

fn kill(pid: u32, signal: Signal) {
    let _ = kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal);
}

/// An operator that runs, and what it says.
struct Run {
    operator: Child,
    dir: PathBuf,
    lines: mpsc::Receiver<String>,
    said: Vec<String>,
    /// By instance: the process id and the port of its newest server.
    servers: HashMap<String, (u32, u16)>,
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.operator.kill();
        let _ = self.operator.wait();
    }
}

impl Run {
    fn start(mut command: Command, dir: PathBuf) -> Self {
        let mut operator = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(operator.stdout.take().unwrap());
        let (tell, lines) = mpsc::channel();
        thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
        Self { operator, dir, lines, said: Vec::new(), servers: HashMap::new() }
    }

    /// Waits for a line that has all of this in it.
    fn wait_for(&mut self, words: &[&str]) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let line = match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => panic!("no {words:?} after:\n{}", self.said.join("\n")),
                Err(RecvTimeoutError::Disconnected) => panic!("ended before {words:?}:\n{}", self.said.join("\n")),
            };
            self.said.push(line.clone());
            let parts: Vec<&str> = line.split([' ', ',']).filter(|part| !part.is_empty()).collect();
            if let [_, name, .., "pid", pid, "port", port] = parts[..] {
                self.servers.insert(name.to_owned(), (pid.parse().unwrap(), port.parse().unwrap()));
            }
            if words.iter().all(|word| line.contains(word)) {
                return line;
            }
        }
    }

    /// Waits until the set can lose its primary; says where clients connect.
    fn wait_until_ready(&mut self) -> SocketAddr {
        let line = self.wait_for(&["connect: "]);
        let port = line.rsplit(' ').next().unwrap().parse::<u16>().unwrap();
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn password(&self) -> String {
        fs::read_to_string(self.dir.join("password")).unwrap().trim().to_owned()
    }

    fn client(&self, address: SocketAddr) -> Client {
        Client::connect(address, &self.password()).unwrap()
    }

    /// A client of one server, past the stable address.
    fn direct(&self, instance: &str) -> Client {
        self.client(SocketAddr::from(([127, 0, 0, 1], self.servers[instance].1)))
    }

    fn kill(&self, instance: &str) {
        kill(self.servers[instance].0, Signal::KILL);
    }

    /// Ctrl-C, and what comes of it.
    fn stop(mut self) -> ExitStatus {
        kill(self.operator.id(), Signal::TERM);
        let status = self.operator.wait().unwrap();
        for (name, (pid, _)) in &self.servers {
            // One that nobody has reaped yet has no program any more.
            assert!(fs::read_link(format!("/proc/{pid}/exe")).is_err(), "{name} lives on");
        }
        status
    }
}

/// A small client.
struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(address: SocketAddr, password: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut client = Self(BufReader::new(stream));
        client.call(&["AUTH", password])?;
        Ok(client)
    }

    /// The reply as text: nil is `(nil)`, an array its parts with spaces in between, an error begins with a dash.
    fn call(&mut self, words: &[&str]) -> std::io::Result<String> {
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        self.0.get_mut().write_all(request.as_bytes())?;
        self.reply()
    }

    fn reply(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let (kind, rest) = line.trim_end().split_at(1);
        Ok(match kind {
            "+" | ":" => rest.to_owned(),
            "-" => line.trim_end().to_owned(),
            "$" if rest == "-1" => "(nil)".into(),
            "$" => {
                let mut bytes = vec![0; rest.parse::<usize>().unwrap() + 2];
                self.0.read_exact(&mut bytes)?;
                bytes.truncate(bytes.len() - 2);
                String::from_utf8(bytes).unwrap()
            }
            "*" => {
                let parts: std::io::Result<Vec<_>> = (0..rest.parse().unwrap()).map(|_| self.reply()).collect();
                parts?.join(" ")
            }
            _ => panic!("{line:?}"),
        })
    }

    fn ok(&mut self, words: &[&str]) -> String {
        let reply = self.call(words).unwrap();
        assert!(!reply.starts_with('-'), "{words:?}: {reply}");
        reply
    }
}

/// Writes one key after another through the stable address, over failovers, and remembers which were acknowledged.
struct Writer {
    acknowledged: Arc<Mutex<Vec<u64>>>,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Writer {
    fn start(address: SocketAddr, password: String) -> Self {
        let (acknowledged, stop) = (Arc::<Mutex<Vec<u64>>>::default(), Arc::<AtomicBool>::default());
        let (done, stopped) = (acknowledged.clone(), stop.clone());
        let thread = thread::spawn(move || {
            let mut client = None;
            for n in 0_u64.. {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                if client.is_none() {
                    client = Client::connect(address, &password).ok();
                }
                let reply = client.as_mut().map(|client| client.call(&["SET", &format!("key:{n}"), &n.to_string()]));
                match reply {
                    Some(Ok(reply)) if reply == "OK" => done.lock().unwrap().push(n),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => client = None,
                }
            }
        });
        Self { acknowledged, stop, thread: Some(thread) }
    }

    fn count(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    /// Waits until so many more writes were acknowledged.
    fn wait_for(&self, more: usize) {
        let (wanted, deadline) = (self.count() + more, Instant::now() + PATIENCE);
        while self.count() < wanted {
            assert!(Instant::now() < deadline, "only {} of {wanted} writes were acknowledged", self.count());
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Stops, and says which writes were acknowledged.
    fn finish(mut self) -> Vec<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        self.acknowledged.lock().unwrap().clone()
    }
}

fn assert_all_there(client: &mut Client, keys: &[u64]) {
    let missing: Vec<_> = keys.iter().filter(|n| client.ok(&["GET", &format!("key:{n}")]) != n.to_string()).collect();
    assert!(missing.is_empty(), "{} of {} acknowledged writes are missing: {missing:?}", missing.len(), keys.len());
}

#[test]
fn a_killed_primary_is_replaced_without_losing_an_acknowledged_write_and_comes_back_as_a_replica() {
    let scratch = Scratch::new("pair", "{}");
    let mut run = scratch.run();
    let address = run.wait_until_ready();
    let writer = Writer::start(address, run.password());
    writer.wait_for(200);
    run.kill("pair-0");
    run.wait_for(&["failover epoch 2: pair-0 -> pair-1 in", " ms (process ended)"]);
    writer.wait_for(200);
    run.wait_for(&["pair-0 can take over from pair-1"]);
    let keys = writer.finish();
    assert_all_there(&mut run.client(address), &keys);
    assert!(run.client(address).ok(&["ROLE"]).starts_with("master"));
    assert!(run.direct("pair-0").ok(&["ROLE"]).starts_with("slave 127.0.0.1"));
    assert!(run.stop().success());
}

#[test]
fn what_was_stopped_is_there_again_after_a_new_start_and_a_second_run_meanwhile_is_refused() {
    let scratch = Scratch::new("again", "{}");
    let mut run = scratch.run();
    let address = run.wait_until_ready();
    run.client(address).ok(&["SET", "greeting", "hello"]);
    let second = scratch.command("127.0.0.1:0").output().unwrap();
    let refused = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(!second.status.success() && refused.contains("is looked after by another run"), "{refused}");
    assert!(run.stop().success());

    let mut run = scratch.run();
    let address = run.wait_until_ready();
    assert_eq!(run.client(address).ok(&["GET", "greeting"]), "hello");
    assert!(run.stop().success());
}

#[test]
fn what_a_person_changes_in_the_file_acts_while_the_set_runs() {
    let scratch = Scratch::new("edited", "{}");
    let mut run = scratch.run();
    let address = run.wait_until_ready();
    let edit = |annotations: &str, spec: &str| {
        let text = format!(
            "apiVersion: valkey-repl.dev/v1alpha1\nkind: ValkeyReplication\nmetadata: {{name: pair, annotations: {annotations}}}\nspec: {spec}\n"
        );
        fs::write(scratch.0.join("pair.yaml"), text).unwrap();
    };
    edit("{valkey-repl.dev/switchover: any}", "{}");
    run.wait_for(&["move epoch 2: pair-0 -> pair-1"]);
    edit("{}", "{instances: many}");
    run.wait_for(&["pair.yaml", "it goes on as it was"]);
    edit("{}", "{instances: 3, config: {databases: 4}}");
    run.wait_for(&["the rest of what changed is for the next start"]);
    run.wait_for(&["pair-2"]);
    run.wait_for(&["pair-2", "can take over from pair-1"]);
    assert!(run.client(address).ok(&["ROLE"]).starts_with("master"));
    assert!(run.stop().success());
}

#[test]
fn an_address_that_is_taken_is_refused_with_the_option_to_change() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let scratch = Scratch::new("taken", "{}");
    let output = scratch.command(&taken.local_addr().unwrap().to_string()).output().unwrap();
    let refused = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && refused.contains("choose another address with --listen"), "{refused}");
    assert!(!scratch.dir().exists(), "nothing is left behind");
}

#[test]
fn servers_outlive_an_operator_that_is_killed_and_the_next_one_goes_on_with_them() {
    let scratch = Scratch::new("orphans", "{}");
    let mut run = scratch.run();
    let address = run.wait_until_ready();
    run.client(address).ok(&["SET", "greeting", "hello"]);
    let before = run.servers.clone();
    run.operator.kill().unwrap();
    run.operator.wait().unwrap();
    assert_eq!(run.direct("pair-0").ok(&["SET", "meanwhile", "yes"]), "OK");

    let mut run = scratch.run();
    let address = run.wait_until_ready();
    assert_eq!(run.servers, before, "nothing was restarted");
    assert_eq!(run.client(address).ok(&["GET", "meanwhile"]), "yes");
    run.kill("pair-0");
    run.wait_for(&["failover epoch 2: pair-0 -> pair-1"]);
    assert_eq!(run.client(address).ok(&["GET", "greeting"]), "hello");
    run.wait_for(&["pair-0 can take over from pair-1"]);
    assert!(run.stop().success());
}

#[test]
fn three_instances_lose_one_primary_after_the_other() {
    let scratch = Scratch::new("three", "{instances: 3}");
    let mut run = scratch.run();
    let address = run.wait_until_ready();
    let writer = Writer::start(address, run.password());
    for _ in 0..2 {
        wait_for_successors(&scratch.dir(), 2);
        writer.wait_for(100);
        let primary = primary_of(&scratch.dir());
        run.kill(&primary);
        run.wait_for(&["failover epoch", &format!(": {primary} -> "), "(process ended)"]);
        writer.wait_for(100);
    }
    wait_for_successors(&scratch.dir(), 2);
    let keys = writer.finish();
    assert_all_there(&mut run.client(address), &keys);
    assert!(run.stop().success());
}

#[test]
fn a_pair_that_loses_both_processes_comes_back_with_what_is_on_the_disks() {
    let scratch = Scratch::new("both", "{persistence: {aof: true, aofFsync: Always}}");
    let mut run = scratch.run();
    let address = run.wait_until_ready();
    let writer = Writer::start(address, run.password());
    writer.wait_for(200);
    run.kill("pair-1");
    run.kill("pair-0");
    run.wait_for(&["can take over from"]);
    writer.wait_for(100);
    let keys = writer.finish();
    assert_all_there(&mut run.client(address), &keys);
    assert!(run.stop().success());
}

fn record(dir: &Path) -> serde_json::Value {
    let page: serde_json::Value = serde_json::from_slice(&fs::read(dir.join("record.json")).unwrap()).unwrap();
    page["record"].clone()
}

/// The recorded primary.
fn primary_of(dir: &Path) -> String {
    record(dir)["primary"]["name"].as_str().unwrap().to_owned()
}

/// Waits until so many instances may be promoted.
fn wait_for_successors(dir: &Path, wanted: usize) {
    let deadline = Instant::now() + PATIENCE;
    while record(dir)["successors"].as_array().map_or(0, Vec::len) < wanted {
        assert!(Instant::now() < deadline, "{}", record(dir));
        thread::sleep(Duration::from_millis(10));
    }
}
