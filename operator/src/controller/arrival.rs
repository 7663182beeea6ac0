//! Whether nodes lead to the next primary yet, before the old one hands over: the Service is asked itself.
//!
//! Nodes mostly take in a change within tens of milliseconds, but `kube-proxy` does so once a second at most, and where any Service of
//! the cluster changed just before, the change of ours waits. Clients that were sent away in that time would come back to the old primary.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use k8s_openapi::api::core::v1::Service;
use kube::{Api, Client};
use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{sleep, timeout},
};
use valkey_repl_engine::{Phase, Record, observe::Millis, record::Life};

use crate::{
    instance::{Password, answers_at},
    resources::{Names, names::PORT},
};

/// How long nodes mostly take at least.
const LEAD_MS: Millis = 75;
/// How long a move waits for them at most: they take in changes once a second, and the Service may be out of this operator's reach.
const LEAD_MOST_MS: Millis = 1_200;
/// How long one question to the Service may take.
const ANSWER: Duration = Duration::from_millis(200);
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(15);
/// What other nodes may be behind the one that was asked from.
const OTHERS: Duration = Duration::from_millis(30);

/// What is known of the move under way.
#[derive(Default)]
pub(super) struct Arrival {
    asked: Option<Asked>,
}

struct Asked {
    target: Life,
    reached: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Arrival {
    /// How long after its record a move is to leave clients their way; `news` is notified when that becomes shorter. `own`: the password
    /// that the instances know this operator by; one without it cannot ask.
    pub fn lead_ms(
        &mut self,
        client: &Client,
        names: &Names<'_>,
        record: Option<&Record>,
        own: Option<&Password>,
        news: &Arc<Notify>,
    ) -> Millis {
        let target = record.filter(|record| record.phase == Phase::Moving).and_then(|record| record.target.as_ref());
        let (Some(target), Some(own)) = (target, own) else {
            self.asked = None;
            return LEAD_MS;
        };
        if self.asked.as_ref().is_none_or(|asked| asked.target != *target) {
            let reached = Arc::new(AtomicBool::new(false));
            let services = Api::namespaced(client.clone(), names.namespace);
            let asks = ask(services, names.rw(), (target.run_id.clone(), own.clone()), reached.clone(), news.clone());
            self.asked = Some(Asked { target: target.clone(), reached, task: tokio::spawn(asks) });
        }
        let reached = self.asked.as_ref().is_some_and(|asked| asked.reached.load(Ordering::Relaxed));
        if reached { LEAD_MS } else { LEAD_MOST_MS }
    }
}

async fn ask(
    services: Api<Service>,
    name: String,
    (run_id, own): (String, Password),
    reached: Arc<AtomicBool>,
    news: Arc<Notify>,
) {
    let service = timeout(ANSWER, services.get(&name)).await.ok().and_then(Result::ok);
    let address = service.and_then(|service| service.spec?.cluster_ip?.parse::<IpAddr>().ok());
    if let Some(address) = address {
        while !matches!(timeout(ANSWER, answers_at((address, PORT).into(), &own)).await, Ok(Ok(met)) if met == run_id) {
            sleep(PAUSE).await;
        }
        sleep(OTHERS).await;
    }
    reached.store(true, Ordering::Relaxed);
    news.notify_one();
}
