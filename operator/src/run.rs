//! `valkey-operator run`: stands for election, and looks after all resources while it leads.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client, Config};
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use valkey_repl_engine::Leadership;

use crate::{
    controller::{self, Desk, Options, Workshop},
    http,
    leader::Candidate,
    metrics::Metrics,
};

/// The Lease that the operators of one installation contend for.
pub(crate) const LEASE: &str = "valkey-operator";

/// What `run` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The image of the native server, for resources that name none.
    #[arg(long, env = "SERVER_IMAGE", default_value = concat!("valkey-repl/server:", env!("CARGO_PKG_VERSION")))]
    server_image: String,
    /// Namespaces to look at, separated by commas; all when left out.
    #[arg(long, env = "WATCH_NAMESPACES", value_delimiter = ',')]
    watch_namespaces: Vec<String>,
    /// Whether to look at nodes: which are gone, and which are being drained. Needs a right that no namespace can give.
    #[arg(long, env = "WATCH_NODES", default_value_t = true, action = clap::ArgAction::Set)]
    watch_nodes: bool,
    /// Who this operator is. Must be another for each: the pod's name.
    #[arg(long, env = "POD_NAME")]
    identity: Option<String>,
    /// The namespace of the Lease; the operator's own when left out.
    #[arg(long, env = "POD_NAMESPACE")]
    namespace: Option<String>,
    /// Where to serve /metrics, /healthz and /readyz.
    #[arg(long, env = "HTTP_ADDRESS", default_value = "[::]:8080")]
    http_address: SocketAddr,
}

/// Why the operator cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no cluster to talk to.
    #[error("no cluster: {0}")]
    Config(#[from] kube::config::InferConfigError),
    /// The client cannot be made.
    #[error("no client: {0}")]
    Client(#[from] kube::Error),
    /// The HTTP endpoint or the signals cannot be had.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// Runs until it is told to stop (SIGTERM, SIGINT); then it gives its leadership back.
///
/// # Errors
/// When there is no cluster, or its HTTP address is taken.
pub async fn run(arguments: Arguments) -> Result<(), Error> {
    let mut config = Config::infer().await?;
    // Each call has its own bound where it is made; these are for those that have none.
    config.connect_timeout = Some(Duration::from_secs(5));
    let namespace = arguments.namespace.unwrap_or_else(|| config.default_namespace.clone());
    let client = Client::try_from(config.clone())?;
    let identity = arguments.identity.unwrap_or_else(|| format!("process-{}", std::process::id()));
    let metrics = Arc::new(Metrics::default());
    let options = Arc::new(Options {
        server_image: arguments.server_image,
        namespaces: arguments.watch_namespaces.into_iter().filter(|name| !name.is_empty()).collect(),
        identity: identity.clone(),
        watch_nodes: arguments.watch_nodes,
    });
    let desk = Arc::new(Desk::default());
    let (mut candidate, leads) = Candidate::new(Api::<Lease>::namespaced(client.clone(), &namespace), LEASE, &identity);
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    // After all else that may fail: a runtime is not to be dropped where this runs.
    let work = Builder::new_multi_thread().thread_name("resources").enable_all().build()?;
    let made = {
        // What a client runs by itself, it runs where it was made.
        let _inside = work.enter();
        Client::try_from(config)
    };
    let workshop = match made {
        Ok(client) => Workshop { runtime: work.handle().clone(), client },
        Err(error) => {
            work.shutdown_background();
            return Err(error.into());
        }
    };
    tracing::info!(identity, version = env!("CARGO_PKG_VERSION"), server_image = options.server_image, "starting");

    // When this is left, everything that acts is dropped before the Lease is given back.
    let stopped = {
        let work = terms(client, workshop, options, leads, metrics.clone(), desk.clone());
        tokio::select! {
            _ = terminate.recv() => Ok(()),
            _ = interrupt.recv() => Ok(()),
            () = candidate.run() => Ok(()),
            () = work => Ok(()),
            served = http::serve(arguments.http_address, metrics, desk) => served,
        }
    };
    tracing::info!("stopping");
    // A task that was told to end may still be at its last step.
    let _ = tokio::task::spawn_blocking(|| work.shutdown_timeout(Duration::from_secs(2))).await;
    candidate.release().await;
    Ok(stopped?)
}

/// One term of leadership after another. What was known in one is forgotten in the next: somebody else may have led in
/// between.
async fn terms(
    client: Client,
    workshop: Workshop,
    options: Arc<Options>,
    mut leads: watch::Receiver<Option<Leadership>>,
    metrics: Arc<Metrics>,
    desk: Arc<Desk>,
) {
    loop {
        let Ok(Some(since)) = leads.wait_for(Option::is_some).await.map(|lead| lead.map(|lead| lead.since_ms)) else {
            return;
        };
        metrics.leader.set(1);
        let mut watched = leads.clone();
        tokio::select! {
            () = controller::run(client.clone(), workshop.clone(), options.clone(), leads.clone(), metrics.clone(), desk.clone()) => {
                tracing::error!("the watches ended; beginning anew");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            _ = watched.wait_for(|lead| lead.is_none_or(|lead| lead.since_ms != since)) => {}
        }
        metrics.forget_all();
    }
}
