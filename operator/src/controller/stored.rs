//! The record as it stands in the API server: read anew on every doubt, written only over the version that was read.

use std::{collections::VecDeque, time::Duration};

use kube::Api;
use valkey_repl_engine::{Record, observe::Millis};

use super::{apply::Error, gate::Gate};
use crate::{
    api::{ValkeyReplication, ValkeyReplicationStatus},
    clock::boottime_ms,
    manager,
};

/// How many versions of one's own are remembered, to tell their echo from another's writing.
const OWN: usize = 8;

/// The resource with its record, as last read or written by this operator.
pub(super) struct Stored {
    object: ValkeyReplication,
    record: Option<Record>,
    /// When the read or write that returned it was asked for.
    pub read_ms: Millis,
    /// When the record with this term was first seen.
    pub seen_ms: Millis,
    own: VecDeque<String>,
}

impl Stored {
    /// Reads it from the API server itself, not from a cache.
    pub async fn read(
        api: &Api<ValkeyReplication>,
        name: &str,
        (gate, patience): (&Gate, Duration),
        before: Option<&Self>,
    ) -> Result<Self, Error> {
        let mut read_ms = 0;
        let asked = async {
            read_ms = boottime_ms();
            api.get(name).await
        };
        let object = gate.pass(patience, asked).await?;
        let record = object.status.as_ref().and_then(ValkeyReplicationStatus::record);
        let same = before.filter(|before| before.term() == record.as_ref().map(|record| record.term));
        let mut own = before.map(|before| before.own.clone()).unwrap_or_default();
        remember(&mut own, &object);
        Ok(Self { seen_ms: same.map_or_else(boottime_ms, |before| before.seen_ms), object, record, read_ms, own })
    }

    /// Writes a status; fails with a conflict when anybody has written since this was read.
    pub async fn write(
        &mut self,
        api: &Api<ValkeyReplication>,
        status: ValkeyReplicationStatus,
        (gate, patience): (&Gate, Duration),
    ) -> Result<(), Error> {
        let mut wanted = self.object.clone();
        let name = wanted.metadata.name.clone().unwrap_or_default();
        wanted.status = Some(status);
        let mut asked_ms = 0;
        let asked = async {
            asked_ms = boottime_ms();
            api.replace_status(&name, &manager::write(), &wanted).await
        };
        let object = gate.pass(patience, asked).await?;
        let record = object.status.as_ref().and_then(ValkeyReplicationStatus::record);
        if record.as_ref().map(|record| record.term) != self.term() {
            self.seen_ms = boottime_ms();
        }
        remember(&mut self.own, &object);
        (self.object, self.record, self.read_ms) = (object, record, asked_ms);
        Ok(())
    }

    /// The version that was read or written last.
    pub fn version(&self) -> Option<&str> {
        self.object.metadata.resource_version.as_deref()
    }

    pub fn record(&self) -> Option<&Record> {
        self.record.as_ref()
    }

    pub fn status(&self) -> Option<&ValkeyReplicationStatus> {
        self.object.status.as_ref()
    }

    /// Whether a resource that the watch shows has a record that is not of our writing.
    pub fn is_challenged_by(&self, shown: &ValkeyReplication) -> bool {
        let version = shown.metadata.resource_version.as_ref();
        version.is_some_and(|version| !self.own.contains(version) && !self.is_later_than(version))
            && shown.status.as_ref().and_then(ValkeyReplicationStatus::record) != self.record
    }

    /// Whether what is at hand is certainly newer: a watch that lags behind is no reason to doubt it. Versions are numbers that grow, as etcd
    /// counts them and Kubernetes promises since 1.35; of any other nothing is concluded.
    fn is_later_than(&self, shown: &str) -> bool {
        let number = |version: &str| version.parse::<u64>().ok();
        self.version().and_then(number).zip(number(shown)).is_some_and(|(known, shown)| known > shown)
    }

    /// Whether it is the same object: not one that was deleted and made again under the same name.
    pub fn is_of(&self, shown: &ValkeyReplication) -> bool {
        self.object.metadata.uid == shown.metadata.uid
    }

    fn term(&self) -> Option<u64> {
        self.record.as_ref().map(|record| record.term)
    }
}

fn remember(own: &mut VecDeque<String>, object: &ValkeyReplication) {
    own.extend(object.metadata.resource_version.clone());
    while own.len() > OWN {
        own.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(version: &str, epoch: u64) -> ValkeyReplication {
        let mut resource = ValkeyReplication::new("pair", crate::api::ValkeyReplicationSpec::default());
        resource.metadata.resource_version = Some(version.to_owned());
        let mut status = ValkeyReplicationStatus::default();
        status.set_record(Record { epoch, ..Record::default() });
        resource.status = Some(status);
        resource
    }

    fn read(version: &str, epoch: u64) -> Stored {
        let object = resource(version, epoch);
        let record = object.status.as_ref().and_then(ValkeyReplicationStatus::record);
        Stored { object, record, read_ms: 0, seen_ms: 0, own: VecDeque::new() }
    }

    #[test]
    fn a_record_of_anothers_writing_is_a_challenge_unless_it_is_of_before_ours() {
        let stored = read("100", 2);
        assert!(stored.is_challenged_by(&resource("101", 3)));
        assert!(!stored.is_challenged_by(&resource("101", 2)), "it says the same");
        assert!(!stored.is_challenged_by(&resource("99", 1)), "the watch lags behind");
        assert!(stored.is_challenged_by(&resource("a99", 1)), "who knows when that was");
    }
}
