//! Servers of a few lines, thousands of them: each has an address of its own and does what the operator tells it. Their data
//! sets are an id and an offset; a replica holds what its primary holds as soon as it is told to follow it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The port of the protocol.
const PORT: u16 = 6379;
/// How long a vote lasts: the resource's default.
const LEASE: Duration = Duration::from_secs(5);

/// All of them. Two make a pair: 0 and 1, 2 and 3, and so on.
pub struct Fleet {
    servers: Vec<Mutex<Server>>,
    tasks: Mutex<Vec<Option<JoinSet<()>>>>,
    began: Instant,
    /// Moves on when any server may have begun to accept writes.
    pub turns: watch::Sender<u64>,
}

#[derive(Default)]
struct Server {
    alive: bool,
    run: u32,
    primary: bool,
    follows: Option<usize>,
    epoch: u64,
    term: u64,
    guard: bool,
    votes: usize,
    acks: usize,
    voted: Option<Instant>,
    replid: String,
    replid2: String,
    second_offset: i64,
    offset: u64,
}

/// Where a server listens: in 198.18.0.0/15, which is for measurements. The API server takes no loopback address for a pod's.
pub fn address(index: usize) -> Ipv4Addr {
    let [_, high, middle, low] = u32::try_from(index + 2).unwrap_or(0).to_be_bytes();
    Ipv4Addr::new(198, 18 + high, middle, low)
}

impl Fleet {
    /// So many servers, all of them up and replicas of nobody.
    pub async fn start(count: usize) -> Arc<Self> {
        let fleet = Arc::new(Self {
            servers: (0..count).map(|_| Mutex::default()).collect(),
            tasks: Mutex::new((0..count).map(|_| None).collect()),
            began: Instant::now(),
            turns: watch::channel(0).0,
        });
        for index in 0..count {
            fleet.boot(index).await;
        }
        fleet
    }

    /// Starts a server, as another process than before.
    pub async fn boot(self: &Arc<Self>, index: usize) {
        {
            let mut server = self.server(index);
            let (run, offset) = (server.run + 1, server.offset);
            let (replid, replid2, second_offset) =
                (server.replid.clone(), server.replid2.clone(), server.second_offset);
            *server =
                Server { alive: true, run, guard: true, replid, replid2, second_offset, offset, ..Server::default() };
            if server.replid.is_empty() {
                server.replid = format!("{index:040x}");
                server.second_offset = -1;
            }
        }
        let listener = TcpListener::bind(SocketAddr::from((address(index), PORT))).await.unwrap_or_else(|error| {
            panic!("{}: {error}; `make scale` gives this test a network of its own", address(index))
        });
        let fleet = self.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(fleet.clone().serve(index, stream));
            }
        });
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(tasks);
    }

    /// Ends a server as `kill -9` does: its port refuses from now on.
    pub fn kill(&self, index: usize) {
        self.server(index).alive = false;
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)[index] = None;
    }

    /// Whether it would take a write now.
    pub fn writable(&self, index: usize) -> bool {
        let fed = self.fed(index);
        self.server(index).writable(fed)
    }

    /// How many replicas follow it.
    fn fed(&self, index: usize) -> usize {
        let replica = self.server(index ^ 1);
        usize::from(replica.alive && replica.follows == Some(index))
    }

    fn server(&self, index: usize) -> std::sync::MutexGuard<'_, Server> {
        self.servers[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(self: Arc<Self>, index: usize, mut stream: TcpStream) {
        let mut received = Vec::new();
        let _ = stream.set_nodelay(true);
        while stream.read_buf(&mut received).await.is_ok_and(|n| n > 0) {
            let mut answers = String::new();
            while let Some((words, length)) = request(&received) {
                received.drain(..length);
                answers.push_str(&self.answer(index, &words));
            }
            if stream.write_all(answers.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    fn answer(&self, index: usize, words: &[String]) -> String {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let run = format!("{index:08x}{:032x}", self.server(index).run);
        match words.as_slice() {
            ["INFO", ..] => bulk(&format!("run_id:{run}\r\nuptime_in_seconds:1\r\nserver_time_usec:1000000000\r\n")),
            ["CONFIG", "GET", ..] => "*0\r\n".to_owned(),
            ["QUORUM", "STATE"] => self.state(index, &run),
            ["QUORUM", verb, life, rest @ ..] if *life == run => {
                self.obey(index, verb, rest);
                self.turns.send_modify(|turn| *turn += 1);
                "+OK\r\n".to_owned()
            }
            ["QUORUM", ..] => "-STALE another life\r\n".to_owned(),
            _ => "+OK\r\n".to_owned(),
        }
    }

    fn obey(&self, index: usize, verb: &str, rest: &[&str]) {
        let number = |n: usize| rest.get(n).and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
        let size = |n: usize| usize::try_from(number(n)).unwrap_or(usize::MAX);
        let followed = (verb == "FOLLOW" && rest.get(1) != Some(&"127.0.0.1")).then_some(index ^ 1);
        let given = followed.map(|primary| {
            let primary = self.server(primary);
            (primary.replid.clone(), primary.replid2.clone(), primary.second_offset, primary.offset)
        });
        let mut server = self.server(index);
        if verb == "VOTE" {
            if number(0) == server.epoch {
                server.voted = Some(self.began + Duration::from_millis(number(1)));
            }
            return;
        }
        if number(0) < server.term {
            return;
        }
        server.term = number(0);
        match verb {
            "PROMOTE" => {
                if !server.primary {
                    server.replid2 = std::mem::take(&mut server.replid);
                    server.second_offset = i64::try_from(server.offset).unwrap_or(0) + 1;
                    server.replid = format!("{index:08x}{:08x}{:024x}", number(0), server.run);
                }
                (server.primary, server.follows, server.voted) = (true, None, None);
                (server.epoch, server.guard, server.votes, server.acks) = (number(1), true, size(2), size(3));
            }
            "FOLLOW" => {
                (server.primary, server.follows) = (false, followed);
                if let Some(given) = given {
                    (server.replid, server.replid2, server.second_offset, server.offset) = given;
                }
            }
            "GUARD" if rest.get(1) == Some(&"ON") => {
                (server.guard, server.votes, server.acks) = (true, size(2), size(3));
            }
            "GUARD" => server.guard = false,
            _ => {}
        }
    }

    fn state(&self, index: usize, run: &str) -> String {
        let fed = self.fed(index);
        let peer = self.server(index ^ 1).alive;
        let s = self.server(index);
        let now = self.began.elapsed().as_millis();
        let yes = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
        let mut fields: Vec<(&str, String)> = vec![
            ("role", if s.primary { "primary" } else { "replica" }.to_owned()),
            ("run-id", run.to_owned()),
            ("epoch", s.epoch.to_string()),
            ("term", s.term.to_string()),
            ("guard", yes(s.guard)),
            ("votes", s.votes.to_string()),
            ("acks", s.acks.to_string()),
            ("token", now.to_string()),
            ("writable", yes(s.writable(fed))),
            ("acked-offset", s.offset.to_string()),
            ("replid", s.replid.clone()),
            ("replid2", if s.replid2.is_empty() { "0".repeat(40) } else { s.replid2.clone() }),
            ("second-offset", s.second_offset.to_string()),
            ("offset", s.offset.to_string()),
            ("whole", yes(true)),
            ("loading", yes(false)),
            ("keys", "0".to_owned()),
            ("failover", "no".to_owned()),
        ];
        if !s.primary {
            let (host, port) = s.follows.map_or(("127.0.0.1".to_owned(), 1), |of| (host(of), PORT));
            let link = if s.follows.is_some() && peer { "up" } else { "connecting" };
            fields.extend([("primary-host", host), ("primary-port", port.to_string()), ("link", link.to_owned())]);
        }
        let mut text = format!("*{}\r\n", (fields.len() + 1) * 2);
        for (name, value) in &fields {
            text.push_str(&bulk(name));
            text.push_str(&bulk(value));
        }
        text.push_str(&bulk("replicas"));
        text.push_str(&format!("*{fed}\r\n"));
        if fed > 0 {
            let row = [host(index ^ 1), PORT.to_string(), "online".to_owned(), s.offset.to_string(), "0".to_owned()];
            text.push_str(&format!("*{}\r\n", row.len()));
            row.iter().for_each(|word| text.push_str(&bulk(word)));
        }
        text
    }
}

impl Server {
    fn writable(&self, fed: usize) -> bool {
        let voted = self.voted.is_some_and(|at| at.elapsed() < LEASE);
        self.alive && self.primary && (!self.guard || fed + usize::from(voted) >= self.votes)
    }
}

/// The name of the resource that a server belongs to.
pub fn resource(index: usize) -> String {
    format!("pair-{:04}", index / 2)
}

/// As its peer is told to follow it.
fn host(index: usize) -> String {
    let resource = resource(index);
    format!("{resource}-{}.{resource}-headless.default.svc", index % 2)
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

/// The first request in these bytes, and its length.
fn request(bytes: &[u8]) -> Option<(Vec<String>, usize)> {
    fn line(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
        let end = bytes.get(at..)?.windows(2).position(|pair| pair == b"\r\n")?;
        let number = std::str::from_utf8(bytes.get(at + 1..at + end)?).ok()?.parse().ok()?;
        Some((number, at + end + 2))
    }
    let (count, mut at) = line(bytes, 0)?;
    let mut words = Vec::with_capacity(count);
    for _ in 0..count {
        let (length, begin) = line(bytes, at)?;
        words.push(String::from_utf8_lossy(bytes.get(begin..begin + length)?).into_owned());
        at = begin + length + 2;
        if at > bytes.len() {
            return None;
        }
    }
    Some((words, at))
}
