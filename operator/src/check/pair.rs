//! The pair that is used: made, waited for, told of and taken away. What this check did not make it leaves alone.

use std::time::{Duration, Instant};

use kube::{
    Api, ResourceExt,
    api::{DeleteParams, PostParams, Preconditions},
};
use serde_json::json;
use tokio::time::sleep;

use super::Error;
use crate::api::{ValkeyReplication, ValkeyReplicationStatus};

/// The label by which a check knows a pair that it, or an earlier one, made.
const MADE_BY: (&str, &str) = ("valkey-repl.dev/made-by", "check");

pub(super) struct Pair<'a> {
    pub api: Api<ValkeyReplication>,
    /// How long each step may take.
    pub patience: Duration,
    pub name: &'a str,
}

impl Pair<'_> {
    /// Sees to it that there is one. If it is a check's, its uid: it is to be taken away in the end.
    pub async fn make(&self) -> Result<Option<String>, Error> {
        let begun = Instant::now();
        loop {
            match self.api.get_opt(self.name).await? {
                Some(old) if old.metadata.deletion_timestamp.is_some() => {
                    if begun.elapsed() > self.patience {
                        return Err(self.late("one that is being deleted to go", old.status));
                    }
                    sleep(Duration::from_millis(200)).await;
                }
                Some(old) if is_a_checks(&old) => {
                    println!("{} is left of an earlier check; it is used, and taken away in the end", self.name);
                    return Ok(old.metadata.uid);
                }
                Some(_) => {
                    println!("{} is there and no check made it; it is used as it is, and kept", self.name);
                    return Ok(None);
                }
                None => {
                    let pair = serde_json::from_value(json!({
                        "apiVersion": "valkey-repl.dev/v1alpha1", "kind": "ValkeyReplication",
                        "metadata": {"name": self.name, "labels": {(MADE_BY.0): MADE_BY.1}},
                        "spec": {"instances": 2, "storage": {"ephemeral": true}},
                    }));
                    let pair = pair.map_err(kube::Error::SerdeError)?;
                    return Ok(self.api.create(&PostParams::default(), &pair).await?.metadata.uid);
                }
            }
        }
    }

    /// Waits until it is as it should be.
    pub async fn wait(
        &self,
        what: &str,
        done: impl Fn(&ValkeyReplication) -> bool,
    ) -> Result<ValkeyReplication, Error> {
        let begun = Instant::now();
        loop {
            let pair = self.api.get(self.name).await?;
            if done(&pair) {
                return Ok(pair);
            }
            if begun.elapsed() > self.patience {
                return Err(self.late(what, pair.status));
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    fn late(&self, what: &str, status: Option<ValkeyReplicationStatus>) -> Error {
        let conditions = status.map(|status| status.conditions).unwrap_or_default();
        let says: Vec<_> = conditions.iter().map(|c| format!("{}={} ({})", c.type_, c.status, c.message)).collect();
        let says = if says.is_empty() { "nothing; does an operator run?".into() } else { says.join(", ") };
        Error::Late { what: what.into(), seconds: self.patience.as_secs(), says }
    }

    /// Prints what the resource says, for whoever reads the log after the pair is gone.
    pub async fn tell(&self) {
        match self.api.get(self.name).await {
            Ok(pair) => match serde_saphyr::to_string(&pair.status) {
                Ok(status) => println!("the status of {} is:\n{status}", self.name),
                Err(error) => println!("the status of {} cannot be written: {error}", self.name),
            },
            Err(error) => println!("the status of {} cannot be read: {error}", self.name),
        }
    }

    /// Takes it away, if it is still that one.
    pub async fn remove(&self, uid: String) -> Result<(), Error> {
        let only = Preconditions { uid: Some(uid), resource_version: None };
        match self.api.delete(self.name, &DeleteParams::default().preconditions(only)).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            deleted => Ok(deleted.map(|_| ())?),
        }
    }
}

fn is_a_checks(pair: &ValkeyReplication) -> bool {
    pair.labels().get(MADE_BY.0).is_some_and(|by| by == MADE_BY.1)
}
