//! A client that writes without a pause, survives every failover and knows afterwards what must be there.
//!
//! It runs in a pod (program `writer`) or in a test's own process, and is asked over a control connection:
//! one word a line (`status`, `mark`, `verify`, `verify HOST:PORT`), one line of JSON in answer.

use std::io::{self, BufRead, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::ledger::{Ledger, Status, Verdict, Write};
use crate::resp::{Client, Reply};

/// How long a connection may take. Short, because a SYN that went nowhere would be repeated only after a second, and that second
/// would count as a gap.
const CONNECT: Duration = Duration::from_millis(200);
/// How long a request may stay without an answer before the writer takes a new connection.
const ATTEMPT: Duration = Duration::from_secs(1);
/// How long it pauses when its first retry has failed, too.
const PAUSE: Duration = Duration::from_millis(10);
/// How long the server waits for a replica before the writer counts its last writes as not confirmed.
const CONFIRM_MS: &str = "50";
/// Writes on one connection before the writer asks whether a replica holds them.
const BATCH: usize = 8;
/// Keys looked up in one request.
const LOOKUP: usize = 500;

/// Where and how to write.
#[derive(Clone, Debug)]
pub struct Target {
    /// `host:port`; the name is looked up anew for each connection.
    pub address: String,
    /// The password, where the server wants one.
    pub password: Option<String>,
    /// The keys are `<prefix>:0`, `<prefix>:1`, ….
    pub prefix: String,
}

impl Target {
    /// Connects to the target, or to another server that holds the same data.
    fn connect(&self, address: &str, limit: Duration, answer: Duration) -> io::Result<Client> {
        let mut client = Client::connect_within(address, limit)?;
        client.set_timeout(answer)?;
        if let Some(password) = &self.password {
            client.ask(&["AUTH", password])?;
        }
        Ok(client)
    }
}

/// A running writer; dropping it ends its threads.
#[derive(Debug)]
pub struct Writer {
    ledger: Arc<Mutex<Ledger>>,
    control: SocketAddr,
    over: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Writer {
    /// Starts to write, and to listen on `control` (port 0: any).
    ///
    /// # Errors
    /// The control address is taken.
    pub fn start(target: Target, control: impl std::net::ToSocketAddrs) -> io::Result<Self> {
        let listener = TcpListener::bind(control)?;
        let control = listener.local_addr()?;
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let over = Arc::new(AtomicBool::new(false));
        let writing = {
            let (target, ledger, over) = (target.clone(), Arc::clone(&ledger), Arc::clone(&over));
            thread::spawn(move || write_until(&target, &ledger, &over))
        };
        let answering = {
            let (ledger, over) = (Arc::clone(&ledger), Arc::clone(&over));
            thread::spawn(move || answer_until(&listener, &target, &ledger, &over))
        };
        Ok(Self { ledger, control, over, threads: vec![writing, answering] })
    }

    /// The address of the control connection.
    pub fn control(&self) -> SocketAddr {
        self.control
    }

    /// The figures, without the control connection.
    pub fn status(&self) -> Status {
        lock(&self.ledger).status()
    }

    /// Waits for the end, which never comes by itself.
    pub fn join(mut self) {
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.control)); // wakes the thread that waits for connections
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

/// Asks a writer's control connection one thing.
///
/// # Errors
/// Nobody listens there, or the connection failed.
pub fn control(address: impl std::net::ToSocketAddrs, question: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(format!("{question}\n").as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    Ok(answer.trim_end().to_owned())
}

fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write_until(target: &Target, ledger: &Mutex<Ledger>, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        if let Err(error) = write_on_one_connection(target, ledger, over)
            && lock(ledger).failed(error.to_string()) > 1
        {
            thread::sleep(PAUSE);
        }
    }
}

/// Writes until the connection or a write fails. The name is looked up again for the next connection.
fn write_on_one_connection(target: &Target, ledger: &Mutex<Ledger>, over: &AtomicBool) -> io::Result<()> {
    let mut client = target.connect(&target.address, CONNECT, ATTEMPT)?;
    let run_id = client.info("server")?.remove("run_id").unwrap_or_default();
    let mut known = false;
    while !over.load(Ordering::Relaxed) {
        let mut batch = Vec::with_capacity(BATCH);
        for _ in 0..BATCH {
            let n = lock(ledger).send();
            let written = client.ask(&["SET", &format!("{}:{n}", target.prefix), &n.to_string()])?;
            if !written.is_ok() {
                return Err(io::Error::other(format!("SET answered {written:?}")));
            }
            let mut ledger = lock(ledger);
            ledger.answered(n);
            if !known {
                ledger.reached(run_id.clone());
                known = true;
            }
            batch.push(n);
        }
        if client.ask(&["WAIT", "1", CONFIRM_MS])?.int().is_some_and(|holders| holders > 0) {
            let mut ledger = lock(ledger);
            batch.into_iter().for_each(|n| ledger.confirmed(n));
        }
    }
    Ok(())
}

fn answer_until(listener: &TcpListener, target: &Target, ledger: &Mutex<Ledger>, over: &AtomicBool) {
    for stream in listener.incoming() {
        if over.load(Ordering::Relaxed) {
            return;
        }
        if let Ok(stream) = stream {
            // The one who asks may be gone before the answer comes.
            let _ = answer(&stream, target, ledger);
        }
    }
}

fn answer(mut stream: &TcpStream, target: &Target, ledger: &Mutex<Ledger>) -> io::Result<()> {
    let mut question = String::new();
    BufReader::new(stream).read_line(&mut question)?;
    let words: Vec<&str> = question.split_whitespace().collect();
    let answer = match words.as_slice() {
        ["status"] => serde_json::to_string(&lock(ledger).status()),
        ["mark"] => {
            let mut ledger = lock(ledger);
            ledger.mark();
            serde_json::to_string(&ledger.status())
        }
        ["verify", address @ ..] => match verify(target, address.first().unwrap_or(&&*target.address), ledger) {
            Ok(verdict) => serde_json::to_string(&verdict),
            Err(error) => serde_json::to_string(&serde_json::json!({"error": error.to_string()})),
        },
        _ => serde_json::to_string(&serde_json::json!({"error": "status, mark or verify [HOST:PORT]"})),
    };
    stream.write_all(format!("{}\n", answer?).as_bytes())
}

/// Looks up every answered write at `address`. The writer goes on meanwhile; what it writes after the start is not looked up.
fn verify(target: &Target, address: &str, ledger: &Mutex<Ledger>) -> io::Result<Verdict> {
    let writes: Vec<(usize, Write)> = {
        let ledger = lock(ledger);
        ledger.writes().iter().copied().enumerate().filter(|(_, write)| *write != Write::Doubtful).collect()
    };
    let mut client = target.connect(address, crate::resp::TIMEOUT, crate::resp::TIMEOUT)?;
    let mut verdict = Verdict::default();
    for part in writes.chunks(LOOKUP) {
        let mut request = vec!["MGET".to_owned()];
        request.extend(part.iter().map(|(n, _)| format!("{}:{n}", target.prefix)));
        let reply = client.ask(&request)?;
        let found = reply.items().filter(|found| found.len() == part.len());
        let found = found.ok_or_else(|| io::Error::other(format!("MGET answered {reply:?}")))?;
        for ((n, write), found) in part.iter().zip(found) {
            verdict.book(*n, *write, Reply::bytes(found));
        }
    }
    Ok(verdict)
}
