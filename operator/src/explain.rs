//! `valkey-operator explain NAME`: asks the operator that leads what it would do now, and prints that. From outside a cluster it asks through
//! the API server; in a pod, such as the operator's own, directly.

use std::net::{IpAddr, SocketAddr};

use k8s_openapi::api::{coordination::v1::Lease, core::v1::Pod};
use kube::{Api, Client, Config, api::ListParams};
use valkey_repl_engine::Explanation;

use crate::run::LEASE;

/// Where an operator serves, in a pod.
const HTTP_PORT: u16 = 8080;

/// What `explain` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The resource.
    name: String,
    /// Its namespace; the current one when left out.
    #[arg(short, long)]
    namespace: Option<String>,
    /// The namespace that the operator runs in; looked for when left out.
    #[arg(long, env = "POD_NAMESPACE")]
    operator_namespace: Option<String>,
    /// Ask the operator at this address, such as http://127.0.0.1:8080, and not through the API server.
    #[arg(long)]
    address: Option<http::Uri>,
    /// How to print.
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Text,
    Json,
}

/// Why there is no explanation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no cluster to talk to.
    #[error("no cluster: {0}")]
    Config(#[from] kube::config::InferConfigError),
    /// The API server or the operator said no.
    #[error("{what}: {}", said(.why))]
    Asked {
        /// What was asked for.
        what: String,
        /// What came back.
        why: kube::Error,
    },
    /// The pod that leads is gone.
    #[error("pod {0}, which leads by its Lease, has no address; try again in a moment")]
    NoAddress(String),
    /// Nobody leads.
    #[error("no operator leads{0}: its Lease {LEASE} names nobody; look at its pods")]
    NoLeader(String),
    /// No request can be made of the names.
    #[error("no such name: {0}")]
    Name(#[from] http::Error),
    /// The operator is another version.
    #[error("the operator answers in words that this version does not know: {0}")]
    Words(#[from] serde_json::Error),
}

/// What came back, without the object that it came in.
fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.trim_end().to_owned(),
        error => error.to_string(),
    }
}

/// Asks and prints.
///
/// # Errors
/// When there is no cluster or no operator that leads, or it does not look after the resource.
pub async fn run(arguments: Arguments) -> Result<(), Error> {
    let (client, prefix, namespace) = match arguments.address {
        Some(address) => {
            let client = client_of(address.clone()).map_err(asked(&address.to_string()))?;
            (client, String::new(), arguments.namespace.unwrap_or_else(|| "default".into()))
        }
        None => {
            let config = Config::infer().await?;
            let namespace = arguments.namespace.unwrap_or_else(|| config.default_namespace.clone());
            let client = Client::try_from(config).map_err(asked("a client"))?;
            let (home, pod) = leader(&client, arguments.operator_namespace.as_deref()).await?;
            match std::env::var_os("KUBERNETES_SERVICE_HOST") {
                None => (client, format!("/api/v1/namespaces/{home}/pods/{pod}:{HTTP_PORT}/proxy"), namespace),
                Some(_) => (directly(&client, &home, &pod).await?, String::new(), namespace),
            }
        }
    };
    let path = format!("{prefix}/explain/{namespace}/{}", arguments.name);
    let request = http::Request::get(&path).body(Vec::new())?;
    let text = client.request_text(request).await.map_err(asked(&format!("{namespace}/{}", arguments.name)))?;
    let explanation: Explanation = serde_json::from_str(&text)?;
    match arguments.output {
        Output::Json => println!("{}", serde_json::to_string_pretty(&explanation)?),
        Output::Text => print!("{}", words(&explanation)),
    }
    Ok(())
}

fn asked(what: &str) -> impl FnOnce(kube::Error) -> Error {
    let what = what.to_owned();
    move |why| Error::Asked { what, why }
}

/// The namespace and the pod of the operator that leads.
async fn leader(client: &Client, namespace: Option<&str>) -> Result<(String, String), Error> {
    let leases = match namespace {
        Some(namespace) => {
            let lease = Api::<Lease>::namespaced(client.clone(), namespace).get_opt(LEASE).await;
            lease.map_err(asked("the operator's Lease"))?.into_iter().collect()
        }
        None => {
            let named = ListParams::default().fields(&format!("metadata.name={LEASE}"));
            let leases = Api::<Lease>::all(client.clone()).list(&named).await;
            leases.map_err(asked("the operator's Lease (try --operator-namespace)"))?.items
        }
    };
    leases
        .into_iter()
        .find_map(|lease| Some((lease.metadata.namespace?, lease.spec?.holder_identity.filter(|who| !who.is_empty())?)))
        .ok_or_else(|| Error::NoLeader(namespace.map(|name| format!(" in {name}")).unwrap_or_default()))
}

/// A client of that operator itself.
async fn directly(client: &Client, namespace: &str, pod: &str) -> Result<Client, Error> {
    let found = Api::<Pod>::namespaced(client.clone(), namespace).get(pod).await.map_err(asked(pod))?;
    let ip = found.status.and_then(|status| status.pod_ip?.parse::<IpAddr>().ok());
    let address = SocketAddr::new(ip.ok_or_else(|| Error::NoAddress(pod.to_owned()))?, HTTP_PORT);
    let uri = http::Uri::builder().scheme("http").authority(address.to_string()).path_and_query("/").build()?;
    client_of(uri).map_err(asked(pod))
}

/// A client of an operator at this address.
fn client_of(uri: http::Uri) -> Result<Client, kube::Error> {
    // Who speaks plain text shows no certificate, and the operator's image holds no authorities to check one by.
    let trusted = (uri.scheme() == Some(&http::uri::Scheme::HTTP)).then(Vec::new);
    let mut config = Config::new(uri);
    config.root_cert = trusted;
    Client::try_from(config)
}

/// For people.
fn words(explanation: &Explanation) -> String {
    let mut text = String::new();
    let mut part = |title: &str, lines: &[String]| {
        if !lines.is_empty() {
            text.push_str(title);
            text.push('\n');
            lines.iter().for_each(|line| text.extend(["  ", line, "\n"]));
        }
    };
    part("Recorded", &explanation.record);
    part("Conditions", &explanation.conditions);
    part("Would now", &explanation.does);
    part("Waits for", &explanation.waits);
    part("Would prove the primary dead", &explanation.missing);
    part("Instances", &explanation.instances);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_nothing_to_say_of_is_left_out() {
        let explanation = Explanation {
            record: vec!["nothing is recorded yet".into()],
            waits: vec!["WaitingForAnswer: pair-0 has not answered".into()],
            ..Explanation::default()
        };
        assert_eq!(
            words(&explanation),
            "Recorded\n  nothing is recorded yet\nWaits for\n  WaitingForAnswer: pair-0 has not answered\n"
        );
    }
}
