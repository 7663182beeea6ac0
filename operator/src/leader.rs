//! Leader election by a Lease, as client-go does it, and the one question that the engine asks of it: from when until when
//! does this operator *certainly* lead?
//!
//! Others take the Lease when they have seen it unchanged for [`DURATION`]. The holder counts on it for
//! [`RENEW_DEADLINE`] from the moment at which it *asked* for its last renewal, however late the answer came. No clock
//! of another machine is ever compared with ours: what counts is when we saw the Lease change.

use std::time::Duration;

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{Api, api::ObjectMeta};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use valkey_repl_engine::{Leadership, observe::Millis};

use crate::{clock::boottime_ms, manager};

/// How long others see a Lease unchanged before they take it.
pub const DURATION: Duration = Duration::from_secs(15);
/// How long the holder counts on it after it asked for a renewal.
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// How often a renewal or a take-over is tried.
pub const RETRY: Duration = Duration::from_secs(2);
/// How long one call to the API server may take.
const CALL: Duration = Duration::from_secs(4);

/// The Lease, as one operator last saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Sighting {
    /// The version that was seen; nothing: there is no Lease.
    version: Option<String>,
    /// Who holds it.
    holder: Option<String>,
    /// For how long its holder asks others to wait, in ms.
    duration_ms: Millis,
    /// When this version was first seen, in ms of this machine's clock.
    since_ms: Millis,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It is ours: renew it.
    Renew,
    /// It is nobody's, or its holder has been still for too long: take it.
    Take,
    /// It is somebody else's.
    Wait,
}

impl Sighting {
    /// What was seen of the Lease now, given what was seen before: the same version has been there since then.
    fn next(&self, lease: Option<&Lease>, now_ms: Millis) -> Self {
        let version = lease.and_then(|lease| lease.metadata.resource_version.clone());
        let spec = lease.and_then(|lease| lease.spec.as_ref());
        let seconds = spec.and_then(|spec| spec.lease_duration_seconds).unwrap_or(0);
        Self {
            since_ms: if version == self.version && version.is_some() { self.since_ms } else { now_ms },
            holder: spec.and_then(|spec| spec.holder_identity.clone()).filter(|holder| !holder.is_empty()),
            duration_ms: u64::try_from(seconds).unwrap_or(0) * 1_000,
            version,
        }
    }

    fn step(&self, me: &str, now_ms: Millis) -> Step {
        match self.holder.as_deref() {
            None => Step::Take,
            Some(holder) if holder == me => Step::Renew,
            Some(_) if now_ms.saturating_sub(self.since_ms) > self.duration_ms => Step::Take,
            Some(_) => Step::Wait,
        }
    }
}

/// What of leadership follows from a successful write of the Lease: without a gap since the last one it goes on,
/// otherwise it begins with the answer.
fn extended(before: Option<Leadership>, asked_ms: Millis, answered_ms: Millis) -> Leadership {
    let until_ms = asked_ms + as_ms(RENEW_DEADLINE);
    match before {
        Some(before) if answered_ms < before.until_ms => {
            Leadership { since_ms: before.since_ms, until_ms: until_ms.max(before.until_ms) }
        }
        _ => Leadership { since_ms: answered_ms, until_ms },
    }
}

fn as_ms(duration: Duration) -> Millis {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Why a try came to nothing; the next one follows anyway.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Kube(#[from] kube::Error),
    #[error("the API server did not answer in time")]
    Late(#[from] tokio::time::error::Elapsed),
}

/// One candidate.
pub struct Candidate {
    api: Api<Lease>,
    name: String,
    identity: String,
    sighting: Sighting,
    leads: watch::Sender<Option<Leadership>>,
}

impl Candidate {
    /// A candidate for the Lease `name`. `identity` must be another one for each process: the pod's name.
    pub fn new(api: Api<Lease>, name: &str, identity: &str) -> (Self, watch::Receiver<Option<Leadership>>) {
        let (leads, watch) = watch::channel(None);
        let candidate =
            Self { api, name: name.into(), identity: identity.into(), sighting: Sighting::default(), leads };
        (candidate, watch)
    }

    /// Stands for election until dropped. What it publishes is `None` whenever leadership is not certain.
    pub async fn run(&mut self) {
        loop {
            if let Err(failure) = self.attempt().await {
                tracing::warn!(lease = self.name, "not renewed: {failure}");
            }
            let until = self.leads.borrow().map(|lead| lead.until_ms);
            let left = until.map(|until| Duration::from_millis(until.saturating_sub(boottime_ms())));
            sleep(left.unwrap_or(RETRY).min(RETRY)).await;
            if until.is_some_and(|until| boottime_ms() >= until) {
                tracing::error!(lease = self.name, "leadership lost: the Lease could not be renewed in time");
                self.leads.send_replace(None);
            }
        }
    }

    /// Gives the Lease back, so that another takes it at once. To be called when nothing is done in its name any more.
    pub async fn release(&mut self) {
        self.leads.send_replace(None);
        if self.sighting.holder.as_deref() != Some(&self.identity) {
            return;
        }
        let released = async {
            let Some(mut lease) = self.api.get_opt(&self.name).await? else { return Ok(()) };
            let spec = lease.spec.get_or_insert_default();
            if spec.holder_identity.as_deref() == Some(&self.identity) {
                spec.holder_identity = None;
                self.api.replace(&self.name, &manager::write(), &lease).await?;
            }
            Ok::<_, kube::Error>(())
        };
        match timeout(CALL, released).await {
            Ok(Ok(())) => tracing::info!(lease = self.name, "leadership given back"),
            Ok(Err(error)) => tracing::warn!(lease = self.name, "leadership not given back: {error}"),
            Err(late) => tracing::warn!(lease = self.name, "leadership not given back: {late}"),
        }
    }

    async fn attempt(&mut self) -> Result<(), Failure> {
        let standing = timeout(CALL, self.api.get_opt(&self.name)).await??;
        self.sighting = self.sighting.next(standing.as_ref(), boottime_ms());
        let step = self.sighting.step(&self.identity, boottime_ms());
        if step == Step::Wait {
            // Somebody else holds it, whatever we believed.
            self.leads.send_if_modified(|lead| lead.take().is_some());
            return Ok(());
        }
        let lease = self.claim(standing, step);
        let asked_ms = boottime_ms();
        let written = match self.sighting.version {
            // The version in the metadata makes this fail when anybody else was faster.
            Some(_) => timeout(CALL, self.api.replace(&self.name, &manager::write(), &lease)).await?,
            None => timeout(CALL, self.api.create(&manager::write(), &lease)).await?,
        };
        let written = match written {
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => return Ok(()),
            written => written?,
        };
        let answered_ms = boottime_ms();
        self.sighting = self.sighting.next(Some(&written), answered_ms);
        let before = (*self.leads.borrow()).filter(|_| step == Step::Renew);
        if before.is_none() {
            tracing::info!(lease = self.name, identity = self.identity, "leading");
        }
        self.leads.send_replace(Some(extended(before, asked_ms, answered_ms)));
        Ok(())
    }

    fn claim(&self, standing: Option<Lease>, step: Step) -> Lease {
        let now = Some(MicroTime(Timestamp::now()));
        let mut lease = standing.unwrap_or_else(|| Lease {
            metadata: ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
            ..Lease::default()
        });
        let before = lease.spec.take().unwrap_or_default();
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: if step == Step::Renew { before.acquire_time.clone() } else { now.clone() },
            renew_time: now,
            lease_transitions: match step {
                Step::Renew => before.lease_transitions,
                _ => Some(before.lease_transitions.map_or(0, |count| count.saturating_add(1))),
            },
            ..before
        });
        lease
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(version: &str, holder: &str) -> Lease {
        Lease {
            metadata: ObjectMeta { resource_version: Some(version.into()), ..ObjectMeta::default() },
            spec: Some(LeaseSpec {
                holder_identity: Some(holder.into()),
                lease_duration_seconds: Some(15),
                ..LeaseSpec::default()
            }),
        }
    }

    #[test]
    fn a_lease_of_nobody_is_taken_at_once() {
        for lease in [None, Some(lease("1", ""))] {
            assert_eq!(Sighting::default().next(lease.as_ref(), 0).step("me", 0), Step::Take);
        }
    }

    #[test]
    fn anothers_lease_is_taken_only_after_it_was_seen_unchanged_for_its_whole_duration() {
        // When it was last renewed by its holder's clock does not matter: we cannot know how that clock runs.
        let first = Sighting::default().next(Some(&lease("1", "other")), 1_000);
        let still = first.next(Some(&lease("1", "other")), 16_000);
        assert_eq!(still.step("me", 16_000), Step::Wait);
        assert_eq!(still.step("me", 16_001), Step::Take);
        let renewed = still.next(Some(&lease("2", "other")), 15_999);
        assert_eq!(renewed.step("me", 16_001), Step::Wait);
    }

    #[test]
    fn our_own_lease_is_renewed_however_old() {
        assert_eq!(Sighting::default().next(Some(&lease("1", "me")), 0).step("me", 99_000), Step::Renew);
    }

    #[test]
    fn leadership_is_counted_from_when_the_renewal_was_asked_for() {
        // Asked at 5 s, answered at 9 s: others may have seen it from 5 s on.
        let lead = extended(None, 5_000, 9_000);
        assert_eq!(lead, Leadership { since_ms: 9_000, until_ms: 15_000 });
        assert_eq!(extended(Some(lead), 11_000, 11_500), Leadership { since_ms: 9_000, until_ms: 21_000 });
    }

    #[test]
    fn leadership_that_lapsed_begins_anew() {
        let lead = extended(None, 0, 1_000);
        assert_eq!(extended(Some(lead), 9_000, 10_500).since_ms, 10_500);
    }

    #[test]
    fn a_holder_stops_counting_on_its_lease_before_others_may_take_it() {
        assert!(RENEW_DEADLINE < DURATION);
    }
}
