//! The YAML file while the set runs: what a person changes in it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, Time};
use serde_json::json;

use super::{Error, resource};
use crate::api::{SWITCHOVER, ValkeyReplication};

/// The file, as it was when it was last read.
pub(super) struct File {
    path: PathBuf,
    stamp: Option<Stamp>,
}

type Stamp = (SystemTime, u64);

/// What a change of the file comes to.
pub(super) struct Change {
    /// What is to be looked after from now on.
    pub resource: Arc<ValkeyReplication>,
    /// Whether something else was changed, too: it is for the next start.
    pub more: bool,
}

impl File {
    /// The file that was read a moment ago.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), stamp: stamp(path) }
    }

    /// What has changed since the last look. A file that is gone changes nothing.
    ///
    /// # Errors
    /// What it says now cannot be used.
    pub fn look(&mut self, standing: &ValkeyReplication) -> Result<Option<Change>, Error> {
        let stamp = stamp(&self.path);
        if stamp.is_none() || stamp == self.stamp {
            return Ok(None);
        }
        self.stamp = stamp;
        let read = resource::read(&self.path)?;
        if read.metadata.name != standing.metadata.name {
            let why = "metadata.name cannot change while the set runs".to_owned();
            return Err(Error::File { path: self.path.clone(), why });
        }
        Ok(Some(change(standing, &read, Timestamp::now())))
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// Takes over what acts at once: wishes, the number of instances, whether anything is done at all. The servers run with the rest as it was.
fn change(standing: &ValkeyReplication, read: &ValkeyReplication, now: Timestamp) -> Change {
    let mut next = standing.clone();
    next.metadata.annotations.clone_from(&read.metadata.annotations);
    next.spec.instances = read.spec.instances;
    next.spec.primary.clone_from(&read.spec.primary);
    next.spec.paused = read.spec.paused;
    if standing.annotation(SWITCHOVER) != read.annotation(SWITCHOVER) {
        // As an API server notes it: the same wish, made again later, is another one.
        next.metadata.managed_fields = Some(vec![ManagedFieldsEntry {
            time: Some(Time(now)),
            fields_v1: Some(FieldsV1(json!({"f:metadata": {"f:annotations": {format!("f:{SWITCHOVER}"): {}}}}))),
            ..ManagedFieldsEntry::default()
        }]);
    }
    let more = next.spec != read.spec;
    Change { resource: Arc::new(next), more }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::tests::resource;

    #[test]
    fn what_acts_at_once_is_taken_and_the_rest_is_for_the_next_start() {
        let standing = resource(json!({"config": {"hz": 10}}));
        let taken = |spec| change(&standing, &resource(spec), Timestamp::UNIX_EPOCH);
        let fewer = taken(json!({"config": {"hz": 10}, "instances": 3, "paused": true, "primary": "pair-1"}));
        assert!(!fewer.more);
        let spec = &fewer.resource.spec;
        assert_eq!((spec.instances, spec.paused, spec.primary.as_deref()), (3, true, Some("pair-1")));
        let other = taken(json!({"config": {"hz": 50}}));
        assert!(other.more && other.resource.spec.config == standing.spec.config);
    }

    #[test]
    fn a_wish_that_is_made_again_is_another_wish() {
        let quiet = resource(json!({}));
        let mut wishes = quiet.clone();
        wishes.metadata.annotations = Some([(SWITCHOVER.to_owned(), "any".to_owned())].into());
        let id = |second| {
            let now = Timestamp::from_second(second).unwrap();
            change(&quiet, &wishes, now).resource.engine_spec(Vec::new()).switchover.unwrap().id
        };
        assert_ne!(id(1), id(2));
        let standing = change(&quiet, &wishes, Timestamp::UNIX_EPOCH).resource;
        let again = change(&standing, &wishes, Timestamp::now()).resource;
        assert_eq!(standing.engine_spec(Vec::new()).switchover, again.engine_spec(Vec::new()).switchover);
    }
}
