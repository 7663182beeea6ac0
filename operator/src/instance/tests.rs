//! Against servers of a few lines that answer what a test tells them to.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinSet,
};
use valkey_repl_engine::{
    Command, Connection,
    observe::{Address, LinkState, Role},
    record::Quorum,
};

use super::*;

const FAST: Settings =
    Settings { native: true, interval: Duration::from_millis(10), overdue: Duration::from_millis(150) };

/// What a server says to a request; nothing, and it says nothing.
type Answers = Arc<Mutex<Box<dyn FnMut(&[String]) -> Option<String> + Send>>>;

/// A server that answers as it is told and remembers what it was asked. Dropping it closes its port and connections.
struct Fake {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Vec<String>>>>,
    answers: Answers,
    _tasks: JoinSet<()>,
}

impl Fake {
    async fn start(answers: impl FnMut(&[String]) -> Option<String> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let answers: Answers = Arc::new(Mutex::new(Box::new(answers)));
        let mut tasks = JoinSet::new();
        let (its_heard, its_answers) = (heard.clone(), answers.clone());
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, its_heard.clone(), its_answers.clone()));
            }
        });
        Self { address, heard, answers, _tasks: tasks }
    }

    fn target(&self) -> Target {
        Target {
            uid: "pod-1".into(),
            address: self.address,
            own: None,
            passwords: vec![password("secret")],
            directives: Directives::default(),
        }
    }

    fn heard(&self, word: &str) -> Vec<Vec<String>> {
        self.heard.lock().unwrap().iter().filter(|words| words[0] == word).cloned().collect()
    }

    fn answer_from_now_on(&self, answers: impl FnMut(&[String]) -> Option<String> + Send + 'static) {
        *self.answers.lock().unwrap() = Box::new(answers);
    }
}

async fn serve(mut stream: TcpStream, heard: Arc<Mutex<Vec<Vec<String>>>>, answers: Answers) {
    let mut received = Vec::new();
    while stream.read_buf(&mut received).await.is_ok_and(|n| n > 0) {
        while let Some((resp::Reply::Array(words), length)) = resp::parse(&received).unwrap() {
            received.drain(..length);
            let words: Vec<_> = words.iter().map(|word| word.text().unwrap().into_owned()).collect();
            heard.lock().unwrap().push(words.clone());
            let answer = (answers.lock().unwrap())(&words);
            if let Some(answer) = answer
                && stream.write_all(answer.as_bytes()).await.is_err()
            {
                return;
            }
        }
    }
}

fn password(text: &str) -> Password {
    Password(Arc::from(text.as_bytes()))
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

const IDENTITY: &str = "# Server\r\nrun_id:life-1\r\nserver_time_usec:1795335624272972\r\nuptime_in_seconds:80\r\n";

/// A native server, as it says of itself.
fn native(fields: &[(&str, &str)]) -> impl FnMut(&[String]) -> Option<String> + Send + 'static {
    let mut state = vec![
        ("run-id", "life-1"),
        ("role", "replica"),
        ("term", "4"),
        ("epoch", "2"),
        ("guard", "off"),
        ("votes", "1"),
        ("acks", "1"),
        ("token", "12345"),
        ("writable", "no"),
        ("acked-offset", "90"),
        ("replid", "aa"),
        ("replid2", "0000"),
        ("second-offset", "-1"),
        ("offset", "100"),
        ("primary-host", "pair-0.pair-headless.shop.svc"),
        ("primary-port", "6379"),
        ("link", "up"),
        ("link-since-ms", "0"),
        ("whole", "yes"),
        ("loading", "no"),
        ("keys", "7"),
    ];
    for (name, value) in fields {
        state.retain(|(other, _)| other != name);
        state.push((name, value));
    }
    let mut text = format!("*{}\r\n", state.len() * 2 + 2);
    state.iter().for_each(|(name, value)| text.push_str(&(bulk(name) + &bulk(value))));
    text.push_str(&bulk("replicas"));
    text.push_str("*1\r\n*5\r\n$6\r\npair-1\r\n:6379\r\n$6\r\nonline\r\n:98\r\n:20\r\n");
    move |words| {
        Some(match words[0].as_str() {
            "INFO" => bulk(IDENTITY),
            "QUORUM" if words[1] == "STATE" => text.clone(),
            _ => "+OK\r\n".into(),
        })
    }
}

async fn until(link: &Link, what: &str, mut reached: impl FnMut(&Seen) -> bool) -> Seen {
    let mut seen = link.watch();
    let waited = tokio::time::timeout(Duration::from_secs(20), seen.wait_for(|seen| reached(seen))).await;
    waited.unwrap_or_else(|_| panic!("{what}: {:?}", link.seen())).unwrap().clone()
}

async fn answered(link: &Link) -> Seen {
    until(link, "an answer", |seen| seen.answer.is_some() && seen.process.is_some()).await
}

fn start(settings: Settings) -> Link {
    Link::start(settings, Arc::new(Notify::new()))
}

fn to(settings: Settings, fake: &Fake) -> Link {
    let link = start(settings);
    link.aim(Some(fake.target()));
    link
}

#[tokio::test]
async fn what_a_native_server_says_of_itself_is_read_in_full() {
    let fake = Fake::start(native(&[])).await;
    let seen = answered(&to(FAST, &fake)).await;
    let answer = seen.answer.unwrap();
    assert_eq!(seen.connection, Connection::Connected);
    assert_eq!((answer.run_id.as_str(), answer.uid.as_str(), answer.role), ("life-1", "pod-1", Role::Replica));
    assert_eq!((answer.replid2, answer.second_offset, answer.offset, answer.keys), (None, None, 100, 7));
    assert!(answer.whole && !answer.loading && !answer.failover_in_progress);
    let fence = answer.fence.unwrap();
    assert_eq!((fence.epoch, fence.term, fence.guard, fence.token, fence.writable), (2, 4, false, 12345, false));
    let upstream = answer.upstream.unwrap();
    assert_eq!((upstream.address.host.as_str(), upstream.link), ("pair-0.pair-headless.shop.svc", LinkState::Up));
    let replica = &answer.replicas[0];
    assert_eq!(
        (replica.address.host.as_str(), replica.online, replica.ack_offset, replica.lag_ms),
        ("pair-1", true, 98, 20)
    );
    assert!(answer.asked_ms <= answer.received_ms);
    assert_eq!(seen.process.unwrap().started_unix_ms, Some(1_795_335_544_272));
    assert_eq!(fake.heard("AUTH")[0], ["AUTH", "secret"]);
}

#[tokio::test]
async fn what_a_stock_server_says_of_itself_is_read_from_info() {
    let primary = "run_id:life-1\r\nrole:master\r\nconnected_slaves:1\r\n\
        slave0:ip=pair-1.x,port=6379,state=online,offset=102,lag=1,type=replica\r\n\
        master_failover_state:waiting-for-sync\r\nmaster_replid:bc5d\r\nmaster_replid2:0000\r\nmaster_repl_offset:105\r\n\
        second_repl_offset:-1\r\nloading:0\r\nasync_loading:0\r\ndb0:keys=3,expires=0,avg_ttl=0\r\ndb9:keys=4,expires=1\r\n";
    let fake = Fake::start(move |words| (words[0] == "INFO").then(|| bulk(primary)).or(Some("+OK\r\n".into()))).await;
    let link = to(Settings { native: false, ..FAST }, &fake);
    let answer = answered(&link).await.answer.unwrap();
    assert_eq!((answer.role, answer.offset, answer.keys, answer.fence), (Role::Primary, 105, 7, None));
    assert_eq!((answer.replicas[0].ack_offset, answer.replicas[0].lag_ms), (102, 1_999));
    assert!(answer.failover_in_progress && answer.whole);

    let replica = "run_id:life-1\r\nrole:slave\r\nmaster_host:pair-0.x\r\nmaster_port:6379\r\nmaster_link_status:down\r\n\
        master_sync_in_progress:1\r\nmaster_link_down_since_seconds:3\r\nslave_repl_offset:9\r\nmaster_repl_offset:9\r\n\
        master_replid:bc5d\r\nmaster_replid2:aa\r\nsecond_repl_offset:5\r\nloading:0\r\n";
    fake.answer_from_now_on(move |_| Some(bulk(replica)));
    let seen = until(&link, "the replica", |seen| seen.answer.as_ref().unwrap().role == Role::Replica).await;
    let answer = seen.answer.unwrap();
    assert_eq!(answer.upstream.unwrap().link, LinkState::Sync);
    assert_eq!((answer.replid2.as_deref(), answer.second_offset), (Some("aa"), Some(5)));
    assert!(!answer.whole);
}

#[tokio::test]
async fn a_dead_process_is_noticed_at_once_and_its_port_named_as_evidence() {
    let fake = Fake::start(native(&[])).await;
    let link = to(Settings { interval: Duration::from_secs(3600), ..FAST }, &fake);
    answered(&link).await;
    drop(fake);
    let seen = until(&link, "a refusal", |seen| matches!(seen.connection, Connection::Refused { .. })).await;
    let Connection::Refused { asked_ms, uid } = seen.connection else { unreachable!() };
    assert_eq!(uid.as_deref(), Some("pod-1"));
    assert!(asked_ms >= seen.answer.unwrap().asked_ms, "the last answer is kept");
}

#[tokio::test]
async fn a_server_that_stops_answering_is_silent_since_the_first_question_it_left_unanswered() {
    let fake = Fake::start(native(&[])).await;
    let link = to(FAST, &fake);
    answered(&link).await;
    fake.answer_from_now_on(|_| None);
    let silent = until(&link, "silence", |seen| matches!(seen.connection, Connection::Silent { .. })).await;
    let last = silent.answer.unwrap().asked_ms;
    let Connection::Silent { since_ms } = silent.connection else { unreachable!() };
    assert!(since_ms >= last);
    // It is tried anew on another connection, and the silence does not begin again.
    while fake.heard("AUTH").len() < 3 {
        tokio::task::yield_now().await;
    }
    assert_eq!(link.seen().connection, Connection::Silent { since_ms });
    fake.answer_from_now_on(native(&[]));
    until(&link, "an answer", |seen| seen.connection == Connection::Connected).await;
}

fn vote(run_id: &str, token: u64) -> Command {
    Command::Vote { instance: "pair-0".into(), run_id: run_id.into(), epoch: 2, token }
}

fn detach(run_id: &str, term: u64) -> Command {
    Command::Detach { instance: "pair-0".into(), run_id: run_id.into(), term }
}

#[tokio::test]
async fn commands_reach_the_process_they_are_for_in_order_and_no_other() {
    let fake = Fake::start(native(&[])).await;
    let link = to(FAST, &fake);
    answered(&link).await;
    let address = Address { host: "h".into(), port: 6379 };
    let (instance, run_id, term) = (String::from("pair-0"), String::from("life-1"), 5);
    link.tell(vote("life-0", 1));
    link.tell(Command::Promote {
        instance: instance.clone(),
        run_id: run_id.clone(),
        term,
        epoch: 3,
        quorum: Quorum { votes: 1, acks: 0 },
    });
    link.tell(vote("life-1", 2));
    let quorum = Some(Quorum { votes: 1, acks: 1 });
    link.tell(Command::Guard { instance: instance.clone(), run_id: run_id.clone(), term, quorum });
    link.tell(Command::Guard { instance: instance.clone(), run_id: run_id.clone(), term, quorum: None });
    link.tell(Command::Follow {
        instance: instance.clone(),
        run_id: run_id.clone(),
        term,
        primary: "p".into(),
        address: address.clone(),
    });
    link.tell(detach("life-1", 5));
    link.tell(Command::Failover {
        instance: instance.clone(),
        run_id: run_id.clone(),
        term,
        to: "p".into(),
        address,
        timeout_ms: 900,
    });
    link.tell(Command::AbortFailover { instance: instance.clone(), run_id: run_id.clone(), term });
    link.tell(Command::Hold { instance: instance.clone(), run_id: run_id.clone(), term });
    link.tell(Command::Dismiss { instance, run_id, term });
    let dismissed = |fake: &Fake| fake.heard("QUORUM").iter().any(|words| words[1] == "DISMISS");
    while !dismissed(&fake) {
        tokio::task::yield_now().await;
    }
    let heard = fake.heard.lock().unwrap().clone();
    let told: Vec<_> = heard
        .iter()
        .map(|words| words.join(" "))
        .filter(|words| !["QUORUM STATE", "INFO server", "AUTH secret", "PING"].contains(&words.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            "QUORUM PROMOTE life-1 5 3 1 0",
            "QUORUM VOTE life-1 2 2",
            "QUORUM GUARD life-1 5 ON 1 1",
            "QUORUM GUARD life-1 5 OFF",
            "QUORUM FOLLOW life-1 5 h 6379",
            "QUORUM FOLLOW life-1 5 127.0.0.1 1",
            "FAILOVER TO h 6379 TIMEOUT 900",
            "FAILOVER ABORT",
            "QUORUM HOLD life-1 5",
            "QUORUM DISMISS life-1 5",
        ]
    );
}

#[tokio::test]
async fn a_stock_server_is_told_in_its_own_words_and_never_from_an_older_record() {
    let info = "run_id:life-1\r\nrole:master\r\nmaster_replid:bc5d\r\nmaster_repl_offset:1\r\n";
    let fake = Fake::start(move |words| Some(if words[0] == "INFO" { bulk(info) } else { "+OK\r\n".into() })).await;
    let link = to(Settings { native: false, ..FAST }, &fake);
    answered(&link).await;
    link.tell(detach("life-1", 7));
    link.tell(Command::Promote {
        instance: "pair-0".into(),
        run_id: "life-1".into(),
        term: 6,
        epoch: 3,
        quorum: Quorum::default(),
    });
    link.tell(vote("life-1", 2));
    link.tell(Command::Guard {
        instance: "pair-0".into(),
        run_id: "life-1".into(),
        term: 7,
        quorum: Some(Quorum { votes: 1, acks: 1 }),
    });
    while fake.heard("CONFIG").is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(fake.heard("REPLICAOF"), [["REPLICAOF", "127.0.0.1", "1"]]);
    assert_eq!(fake.heard("CONFIG"), [["CONFIG", "SET", "min-replicas-to-write", "1"]]);
    assert!(fake.heard("QUORUM").is_empty());
}

#[tokio::test]
async fn a_refused_command_is_reported_with_the_servers_words() {
    let mut state = native(&[]);
    let fake = Fake::start(move |words| match words[1..] {
        [ref verb, ..] if verb == "PROMOTE" => Some("-NOTWHOLE a full sync is under way\r\n".into()),
        _ => state(words),
    })
    .await;
    let link = to(FAST, &fake);
    answered(&link).await;
    link.tell(Command::Promote {
        instance: "pair-0".into(),
        run_id: "life-1".into(),
        term: 6,
        epoch: 3,
        quorum: Quorum::default(),
    });
    let seen = until(&link, "a refusal", |seen| seen.refusal.is_some()).await;
    assert_eq!(seen.refusal.unwrap(), "QUORUM PROMOTE life-1 6 3 0 0: NOTWHOLE a full sync is under way");
}

#[tokio::test]
async fn a_wrong_password_is_a_problem_and_not_a_death() {
    let fake = Fake::start(|words| {
        Some(if words[0] == "AUTH" { "-WRONGPASS invalid\r\n" } else { "-NOAUTH Authentication required.\r\n" }.into())
    })
    .await;
    let link = to(FAST, &fake);
    let seen = until(&link, "a problem", |seen| seen.problem.is_some()).await;
    assert!(!matches!(seen.connection, Connection::Refused { .. } | Connection::Silent { .. }), "{seen:?}");
    assert!(!format!("{seen:?}").contains("secret"));
}

#[tokio::test]
async fn an_instance_that_comes_back_elsewhere_is_followed_there() {
    let (first, second) = (Fake::start(native(&[])).await, Fake::start(native(&[("run-id", "life-2")])).await);
    let link = to(FAST, &first);
    answered(&link).await;
    link.aim(Some(Target { uid: "pod-2".into(), ..second.target() }));
    let seen = until(&link, "the other", |seen| seen.answer.as_ref().unwrap().run_id == "life-2").await;
    assert_eq!(seen.answer.unwrap().uid, "pod-2");
    link.aim(None);
    until(&link, "nowhere", |seen| seen.connection == Connection::Untried).await;
}

#[tokio::test]
async fn a_stranger_on_the_port_is_named_as_such() {
    let fake = Fake::start(|_| Some("HTTP/1.1 400 Bad Request\r\n\r\n".into())).await;
    let seen = until(&to(FAST, &fake), "a problem", |seen| seen.problem.is_some()).await;
    assert!(seen.problem.unwrap().contains("no answer in RESP2"));
}

#[tokio::test]
async fn a_server_that_knows_only_the_old_password_is_told_the_new_one() {
    let mut required = "old".to_owned();
    let mut state = native(&[]);
    let mut open = false;
    let fake = Fake::start(move |words| match words {
        [auth, secret] if auth == "AUTH" => {
            open = *secret == required;
            Some(if open { "+OK\r\n" } else { "-WRONGPASS no\r\n" }.into())
        }
        _ if !open => Some("-NOAUTH no\r\n".into()),
        [_, _, directive, secret] if directive == "requirepass" => {
            required.clone_from(secret);
            Some("+OK\r\n".into())
        }
        words => state(words),
    })
    .await;
    let link = start(FAST);
    let both = Target { passwords: vec![password("new"), password("old")], ..fake.target() };
    link.aim(Some(both));
    let seen = answered(&link).await;
    assert_eq!(seen.problem, None);
    let told: Vec<_> = fake.heard("CONFIG").into_iter().map(|words| words[2..].join(" ")).collect();
    assert_eq!(told, ["primaryauth new", "requirepass new"]);
    link.aim(Some(Target { uid: "pod-2".into(), passwords: vec![password("new")], ..fake.target() }));
    until(&link, "an answer", |seen| seen.answer.as_ref().unwrap().uid == "pod-2").await;
    assert_eq!(fake.heard("CONFIG").len(), 2, "it knows it by now");
}

#[tokio::test]
async fn a_server_is_told_its_settings_when_it_is_reached_and_what_it_refuses_is_reported() {
    let mut state = native(&[]);
    let fake = Fake::start(move |words| match words {
        [_, _, directive, _] if directive == "nonsense" => Some("-ERR Unknown option\r\n".into()),
        words => state(words),
    })
    .await;
    let link = start(FAST);
    let live = Arc::from([("save".into(), "60 1".into()), ("nonsense".into(), "1".into())]);
    link.aim(Some(Target { directives: Directives { live, ..Directives::default() }, ..fake.target() }));
    let seen = until(&link, "a refusal", |seen| !seen.unset.is_empty()).await;
    assert_eq!(seen.unset["nonsense"], "ERR Unknown option");
    assert_eq!(fake.heard("CONFIG")[0], ["CONFIG", "SET", "save", "60 1"]);
}

#[tokio::test]
async fn a_server_is_asked_whether_it_would_start_with_what_it_reads_only_then() {
    let mut state = native(&[]);
    let fake = Fake::start(move |words| match words {
        [config, get, directive] if config == "CONFIG" && get == "GET" && directive == "datebases" => {
            Some("*0\r\n".into())
        }
        [config, get, _] if config == "CONFIG" && get == "GET" => Some("*2\r\n+name\r\n+16\r\n".into()),
        [quorum, attempt, directive, value] if quorum == "QUORUM" && attempt == "TRY" => {
            match (directive.as_str(), value.as_str()) {
                ("io-threads", "many") => Some("-ERR argument couldn't be parsed into an integer\r\n".into()),
                ("datebases", _) => Some("-ERR Bad directive or wrong number of arguments\r\n".into()),
                ("bio_cpulist", _) => Some("-ERR unknown subcommand 'TRY'. Try QUORUM HELP.\r\n".into()),
                _ => Some("+OK\r\n".into()),
            }
        }
        [ping] if ping == "PING" => Some("+PONG\r\n".into()),
        words => state(words),
    })
    .await;
    let link = start(FAST);
    let at_start = [("databases", "4"), ("datebases", "4"), ("io-threads", "many"), ("bio_cpulist", "0")];
    let at_start = at_start.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let directives = Directives { at_start, ..Directives::default() };
    link.aim(Some(Target { directives: directives.clone(), ..fake.target() }));
    let seen = until(&link, "the end of the trial", |seen| seen.tried.is_some()).await;
    assert_eq!(seen.tried, Some(directives));
    assert_eq!(seen.unset.keys().collect::<Vec<_>>(), ["datebases", "io-threads"]);
    assert_eq!(seen.unset["io-threads"], "ERR argument couldn't be parsed into an integer");
    assert!(seen.refuses_its_settings());
    let newer = Seen { unset: [("datebases".to_owned(), seen.unset["datebases"].clone())].into(), ..seen };
    assert!(!newer.refuses_its_settings(), "the next image may know it");
    // The mistake was corrected.
    link.aim(Some(Target { directives: Directives::default(), ..fake.target() }));
    until(&link, "no complaint", |seen| seen.unset.is_empty()).await;
}

#[tokio::test]
async fn a_server_that_runs_with_another_value_than_it_was_told_is_reported_until_it_does_not() {
    let mut state = native(&[]);
    let mut runs_with = "10";
    let fake = Fake::start(move |words| match words {
        [config, get, _] if config == "CONFIG" && get == "GET" => {
            let answer = format!("*2\r\n+hz\r\n+{runs_with}\r\n");
            runs_with = "50";
            Some(answer)
        }
        words => state(words),
    })
    .await;
    let link = start(FAST);
    let live = Arc::from([("hz".to_owned(), "50".to_owned())]);
    let directives = Directives { live, ..Directives::default() };
    link.aim(Some(Target { directives: directives.clone(), ..fake.target() }));
    let seen = until(&link, "another value", |seen| !seen.unset.is_empty()).await;
    assert_eq!(seen.unset["hz"], "it runs with 10");
    // Asked anew, as when the specification changes.
    link.aim(Some(Target { directives, uid: "pod-2".into(), ..fake.target() }));
    until(&link, "the value", |seen| seen.unset.is_empty()).await;
}
