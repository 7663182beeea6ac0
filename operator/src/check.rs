//! `valkey-operator check`, which `helm test` runs: a pair of its own is made, written to through its Service while its primary moves, read
//! back, and taken away again.

use std::time::{Duration, Instant};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client, Config,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::{
    api::{SWITCHOVER, ValkeyReplication},
    instance::resp::{self, Reply},
    resources::names::{self, Names},
};

/// What `check` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The name of the pair. One of this name that is there already is used as it is, and kept.
    #[arg(long, default_value = "valkey-check")]
    name: String,
    /// Its namespace; the current one when left out.
    #[arg(short, long, env = "POD_NAMESPACE")]
    namespace: Option<String>,
    /// How many keys to write on either side of the move.
    #[arg(long, default_value_t = 500)]
    keys: u32,
    /// How long each step may take, in seconds.
    #[arg(long, default_value_t = 180)]
    patience: u64,
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no cluster to talk to.
    #[error("no cluster: {0}")]
    Config(#[from] kube::config::InferConfigError),
    /// The API server said no.
    #[error("the API server: {0}")]
    Api(#[from] kube::Error),
    /// A step took too long.
    #[error("waited {seconds} s for {what}; the resource says: {says}")]
    Late {
        /// What for.
        what: String,
        /// How long.
        seconds: u64,
        /// Its conditions.
        says: String,
    },
    /// A client's connection failed, and a second one too.
    #[error("{what}: {why}")]
    Client {
        /// What was asked.
        what: String,
        /// What came of it.
        why: String,
    },
    /// The reason for all of this.
    #[error("{lost} of {asked} answered writes are lost, the first {first}")]
    Lost {
        /// How many.
        lost: usize,
        /// Of how many.
        asked: u32,
        /// Which.
        first: String,
    },
}

/// Makes the pair, uses it, and takes it away again.
///
/// # Errors
/// When any step fails: then the pair is left as it is, to be looked at.
pub async fn run(arguments: Arguments) -> Result<(), Error> {
    let config = Config::infer().await?;
    let namespace = arguments.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let client = Client::try_from(config)?;
    let api: Api<ValkeyReplication> = Api::namespaced(client.clone(), &namespace);
    let made = api.get_opt(&arguments.name).await?.is_none();
    if made {
        let pair = serde_json::from_value(json!({
            "apiVersion": "valkey-repl.dev/v1alpha1", "kind": "ValkeyReplication",
            "metadata": {"name": arguments.name},
            "spec": {"instances": 2, "storage": {"ephemeral": true}},
        }));
        let pair = pair.map_err(kube::Error::SerdeError)?;
        api.create(&PostParams::default(), &pair).await?;
    }
    let check = Check { api, patience: Duration::from_secs(arguments.patience), name: &arguments.name };
    let whole = |pair: &ValkeyReplication| {
        pair.status.as_ref().is_some_and(|status| status.ready == format!("{}/{0}", pair.spec.instances))
    };
    let pair = check.wait("all instances to be in step", whole).await?;
    let first = pair.status.and_then(|status| status.primary).unwrap_or_default();
    println!("{} is ready, {first} is primary", arguments.name);

    let names = Names { name: &arguments.name, namespace: &namespace };
    let password = password(&client, &names).await?;
    let host = |service: String| format!("{service}.{namespace}.svc:{}", names::PORT);
    let mut writer = Connection::new(host(names.rw()), password.clone());
    let mut slowest = Duration::ZERO;
    for n in 0..arguments.keys {
        writer.write(n, &mut slowest).await?;
    }
    let wish = json!({"metadata": {"annotations": {(SWITCHOVER): "any"}}});
    check.api.patch_metadata(&arguments.name, &PatchParams::default(), &Patch::Merge(wish)).await?;
    let mut moved = std::pin::pin!(check.wait("another primary", |pair| {
        let now = pair.status.as_ref().and_then(|status| status.primary.as_ref());
        now.is_some_and(|now| *now != first) && whole(pair)
    }));
    let mut written = arguments.keys;
    let pair = loop {
        tokio::select! {
            pair = &mut moved => break pair?,
            done = writer.write(written, &mut slowest) => {
                done?;
                written += 1;
            }
        }
    };
    let second = pair.status.and_then(|status| status.primary).unwrap_or_default();
    println!("{second} is primary now; the slowest of {written} writes took {} ms", slowest.as_millis());
    for _ in 0..arguments.keys {
        writer.write(written, &mut slowest).await?;
        written += 1;
    }

    for service in [names.rw(), names.ro()] {
        let mut reader = Connection::new(host(service.clone()), password.clone());
        reader.read_all(written).await?;
        println!("all {written} answered writes are read through {service}");
    }
    if made {
        check.api.delete(&arguments.name, &DeleteParams::default()).await?;
    }
    Ok(())
}

struct Check<'a> {
    api: Api<ValkeyReplication>,
    patience: Duration,
    name: &'a str,
}

impl Check<'_> {
    async fn wait(&self, what: &str, done: impl Fn(&ValkeyReplication) -> bool) -> Result<ValkeyReplication, Error> {
        let begun = Instant::now();
        loop {
            let pair = self.api.get(self.name).await?;
            if done(&pair) {
                return Ok(pair);
            }
            if begun.elapsed() > self.patience {
                let conditions = pair.status.map(|status| status.conditions).unwrap_or_default();
                let says: Vec<_> =
                    conditions.iter().map(|c| format!("{}={} ({})", c.type_, c.status, c.message)).collect();
                let says = if says.is_empty() { "nothing; does an operator run?".into() } else { says.join(", ") };
                return Err(Error::Late { what: what.into(), seconds: self.patience.as_secs(), says });
            }
            sleep(Duration::from_millis(200)).await;
        }
    }
}

async fn password(client: &Client, names: &Names<'_>) -> Result<Vec<u8>, Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), names.namespace);
    let secret = api.get(&names.auth()).await?;
    let password = secret.data.and_then(|data| data.get("password").map(|ByteString(bytes)| bytes.clone()));
    Ok(password.unwrap_or_default())
}

/// A client as it should be: what fails is tried once more, on a new connection.
struct Connection {
    address: String,
    password: Vec<u8>,
    stream: Option<TcpStream>,
}

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

impl Connection {
    fn new(address: String, password: Vec<u8>) -> Self {
        Self { address, password, stream: None }
    }

    async fn write(&mut self, n: u32, slowest: &mut Duration) -> Result<(), Error> {
        let (key, value) = (format!("check:{n}"), n.to_string());
        let begun = Instant::now();
        self.ask(&[b"SET", key.as_bytes(), value.as_bytes()]).await?;
        *slowest = begun.elapsed().max(*slowest);
        Ok(())
    }

    async fn read_all(&mut self, written: u32) -> Result<(), Error> {
        let mut lost = Vec::new();
        for n in 0..written {
            let key = format!("check:{n}");
            let reply = self.ask(&[b"GET", key.as_bytes()]).await?;
            if reply.text().is_none_or(|text| text != n.to_string()) {
                lost.push(key);
            }
        }
        match lost.first().cloned() {
            Some(first) => Err(Error::Lost { lost: lost.len(), asked: written, first }),
            None => Ok(()),
        }
    }

    async fn ask(&mut self, words: &[&[u8]]) -> Result<Reply, Error> {
        let mut tries = 0;
        loop {
            tries += 1;
            let asked = timeout(PATIENCE, self.try_to_ask(words)).await;
            let why = match asked {
                Ok(Ok(Reply::Error(error))) => error,
                Ok(Ok(reply)) => return Ok(reply),
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer from {} in {} s", self.address, PATIENCE.as_secs()),
            };
            self.stream = None;
            if tries > 1 {
                let what = words.iter().map(|word| String::from_utf8_lossy(word)).collect::<Vec<_>>().join(" ");
                return Err(Error::Client { what, why });
            }
            // The Service leads to the next primary within this.
            sleep(Duration::from_millis(500)).await;
        }
    }

    async fn try_to_ask(&mut self, words: &[&[u8]]) -> std::io::Result<Reply> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let mut stream = TcpStream::connect(&self.address).await?;
                stream.set_nodelay(true)?;
                if let Reply::Error(error) = exchange(&mut stream, &[b"AUTH", &self.password]).await? {
                    return Ok(Reply::Error(error));
                }
                stream
            }
        };
        let reply = exchange(&mut stream, words).await?;
        self.stream = Some(stream);
        Ok(reply)
    }
}

async fn exchange(stream: &mut TcpStream, words: &[&[u8]]) -> std::io::Result<Reply> {
    let mut bytes = Vec::new();
    resp::encode(words, &mut bytes);
    stream.write_all(&bytes).await?;
    let mut received = Vec::new();
    loop {
        match resp::parse(&received) {
            Ok(Some((reply, _))) => return Ok(reply),
            Ok(None) if stream.read_buf(&mut received).await? == 0 => {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            Ok(None) => {}
            Err(error) => return Err(std::io::Error::other(error)),
        }
    }
}
