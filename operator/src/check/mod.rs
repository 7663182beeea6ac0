//! `valkey-operator check`, which `helm test` runs: a pair of its own is made, written to through its Service while its primary moves, read
//! back, and taken away again.

mod client;
mod pair;

use std::time::Duration;

use k8s_openapi::{ByteString, api::core::v1::Secret, jiff::Timestamp};
use kube::{
    Api, Client, Config,
    api::{Patch, PatchParams},
};
use serde_json::json;

use self::pair::Pair;
use crate::{
    api::{SWITCHOVER, ValkeyReplication},
    resources::names::{self, Names},
};

/// What `check` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The name of the pair. One of this name that is there already is used as it is; it is kept, unless an earlier check made it.
    #[arg(long, default_value = "valkey-check")]
    name: String,
    /// Its namespace; the current one when left out.
    #[arg(short, long, env = "POD_NAMESPACE")]
    namespace: Option<String>,
    /// How many keys to write on either side of the move.
    #[arg(long, default_value_t = 500)]
    keys: u32,
    /// How long each step may take, in seconds; a client tries as long.
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
    /// A client got an answer that does not pass, or for too long none at all.
    #[error("{what} at {address}, after {seconds} s: {why}")]
    Client {
        /// What was asked.
        what: String,
        /// Where.
        address: String,
        /// What came of it.
        why: String,
        /// How long it was tried.
        seconds: u64,
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

/// Makes the pair, uses it, and takes it away again, whatever came of it.
///
/// # Errors
/// When any step fails: then what the resource says is printed before the pair goes.
pub async fn run(arguments: Arguments) -> Result<(), Error> {
    let config = Config::infer().await?;
    let namespace = arguments.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let client = Client::try_from(config)?;
    let pair = Pair {
        api: Api::namespaced(client.clone(), &namespace),
        patience: Duration::from_secs(arguments.patience),
        name: &arguments.name,
    };
    let own = pair.make().await?;
    let used = use_it(&pair, &client, &namespace, arguments.keys).await;
    if used.is_err() {
        pair.tell().await;
    }
    let Some(own) = own else { return used };
    let removed = pair.remove(own).await;
    if let (Err(_), Err(error)) = (&used, &removed) {
        println!("{} cannot be taken away: {error}", arguments.name);
    }
    used.and(removed)
}

async fn use_it(pair: &Pair<'_>, client: &Client, namespace: &str, keys: u32) -> Result<(), Error> {
    let whole = |pair: &ValkeyReplication| {
        pair.status.as_ref().is_some_and(|status| status.ready == format!("{}/{0}", pair.spec.instances))
    };
    let ready = pair.wait("all instances to be in step", whole).await?;
    let first = ready.status.and_then(|status| status.primary).unwrap_or_default();
    println!("{} is ready, {first} is primary", pair.name);

    let names = Names { name: pair.name, namespace };
    let password = password(client, &names).await?;
    // An earlier run's values must not pass for what this one wrote.
    let run = Timestamp::now().as_nanosecond().to_string();
    let to = |service: String| {
        let address = format!("{service}.{namespace}.svc:{}", names::PORT);
        client::Client::new(address, password.clone(), pair.patience, run.clone())
    };
    let mut writer = to(names.rw());
    let mut slowest = Duration::ZERO;
    for n in 0..keys {
        writer.write(n, &mut slowest).await?;
    }
    let wish = json!({"metadata": {"annotations": {(SWITCHOVER): "any"}}});
    pair.api.patch_metadata(pair.name, &PatchParams::default(), &Patch::Merge(wish)).await?;
    let mut moved = std::pin::pin!(pair.wait("another primary", |pair| {
        let now = pair.status.as_ref().and_then(|status| status.primary.as_ref());
        now.is_some_and(|now| *now != first) && whole(pair)
    }));
    let mut written = keys;
    let after = loop {
        tokio::select! {
            after = &mut moved => break after?,
            done = writer.write(written, &mut slowest) => {
                done?;
                written += 1;
            }
        }
    };
    let second = after.status.and_then(|status| status.primary).unwrap_or_default();
    println!("{second} is primary now; the slowest of {written} writes took {} ms", slowest.as_millis());
    for _ in 0..keys {
        writer.write(written, &mut slowest).await?;
        written += 1;
    }

    for service in [names.rw(), names.ro()] {
        to(service.clone()).read_all(written).await?;
        println!("all {written} answered writes are read through {service}");
    }
    Ok(())
}

async fn password(client: &Client, names: &Names<'_>) -> Result<Vec<u8>, Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), names.namespace);
    let secret = api.get(&names.auth()).await?;
    let password = secret.data.and_then(|data| data.get("password").map(|ByteString(bytes)| bytes.clone()));
    Ok(password.unwrap_or_default())
}
