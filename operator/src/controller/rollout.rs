//! Who is to be restarted for a new pod template, and who should therefore not be primary. Pure.
//!
//! Replicas first, one at a time; the primary hands over to one that is up to date and follows as the last. Whether an
//! instance may go now is the engine's to say.

use super::observe::{ContainerView, PodView};

/// What the pods are, compared to what they should be.
#[derive(Clone, Debug, Default)]
pub(super) struct Pods<'a> {
    /// Those that there are and that are to stay.
    pub staying: Vec<&'a PodView>,
    /// How many should stay.
    pub wanted: usize,
    /// The revision that they should have; `None`: not known yet.
    pub revision: Option<&'a str>,
}

impl Pods<'_> {
    fn outdated(&self, pod: &PodView) -> bool {
        self.revision.is_some() && pod.revision.is_some() && pod.revision.as_deref() != self.revision
    }

    /// Whether the primary is due to be restarted: it is the only one left that is not up to date.
    pub fn primary_is_due(&self, primary: &str) -> bool {
        self.wanted > 1
            && self.staying.len() >= self.wanted
            && self.staying.iter().all(|pod| self.outdated(pod) == (pod.name == primary))
    }

    /// The pod to restart now, out of those that the engine says may go; none while another is on its way. One that was never started, or ends
    /// again and again, goes whatever else is: nothing runs in it, and what its volume holds may be what all wait for. `keeps`: what such
    /// a pod holds outlives it.
    pub fn next(&self, restartable: &[String], keeps: bool) -> Option<&PodView> {
        let idle = |pod: &PodView| pod.container == ContainerView::Waiting || (pod.crash_loops && keeps);
        let mut idle_ones =
            self.staying.iter().rev().copied().filter(|pod| self.outdated(pod) && !pod.leaving && idle(pod));
        if let Some(pod) = idle_ones.next() {
            return Some(pod);
        }
        if self.staying.len() < self.wanted || self.staying.iter().any(|pod| pod.leaving) {
            return None;
        }
        // The highest ordinal first, as a StatefulSet does.
        self.staying.iter().rev().copied().find(|pod| self.outdated(pod) && restartable.contains(&pod.name))
    }

    /// How many are up to date; `None`: not known.
    pub fn updated(&self) -> usize {
        self.staying.iter().filter(|pod| !self.outdated(pod)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, revision: &str) -> PodView {
        PodView {
            name: name.into(),
            uid: format!("uid-{name}"),
            ip: None,
            node: None,
            container: ContainerView::Running,
            crash_loops: false,
            leaving: false,
            revision: Some(revision.into()),
            role_label: None,
            trouble: None,
        }
    }

    fn pods<'a>(staying: &'a [PodView]) -> Pods<'a> {
        Pods { staying: staying.iter().collect(), wanted: staying.len(), revision: Some("new") }
    }

    fn all(pods: &[PodView]) -> Vec<String> {
        pods.iter().map(|pod| pod.name.clone()).collect()
    }

    #[test]
    fn replicas_go_first_and_one_at_a_time() {
        let mut set = [pod("p-0", "old"), pod("p-1", "old"), pod("p-2", "old")];
        let restartable = ["p-1".to_owned(), "p-2".to_owned()];
        assert_eq!(pods(&set).next(&restartable, true).map(|p| p.name.as_str()), Some("p-2"));
        assert!(!pods(&set).primary_is_due("p-0"));
        set[2].leaving = true;
        assert_eq!(pods(&set).next(&restartable, true), None);
        assert_eq!(Pods { wanted: 3, ..pods(&set[..2]) }.next(&restartable, true), None, "one has not come back");
    }

    #[test]
    fn the_primary_hands_over_when_all_others_are_up_to_date() {
        let set = [pod("p-0", "old"), pod("p-1", "new")];
        assert!(pods(&set).primary_is_due("p-0"));
        assert!(!pods(&set).primary_is_due("p-1"));
        assert_eq!(pods(&set).updated(), 1);
    }

    #[test]
    fn nothing_is_restarted_that_the_engine_needs_or_that_is_up_to_date() {
        let set = [pod("p-0", "old"), pod("p-1", "old")];
        assert_eq!(pods(&set).next(&[], true), None);
        let set = [pod("p-0", "new"), pod("p-1", "new")];
        assert_eq!(pods(&set).next(&all(&set), true), None);
        assert!(!pods(&set).primary_is_due("p-0"));
    }

    #[test]
    fn a_pod_that_was_never_started_is_made_anew_although_nobody_serves() {
        let mut set = [pod("p-0", "old"), pod("p-1", "old")];
        set[1].container = ContainerView::Waiting;
        assert_eq!(pods(&set).next(&[], true).map(|p| p.name.as_str()), Some("p-1"));
        set[1].leaving = true;
        assert_eq!(pods(&set).next(&[], true), None);
        let set = [pod("p-0", "old"), PodView { container: ContainerView::Waiting, ..pod("p-1", "new") }];
        assert_eq!(pods(&set).next(&[], true), None, "it is up to date, and on its way");
    }

    #[test]
    fn a_pod_that_ends_again_and_again_is_made_anew_where_its_data_outlive_it() {
        let ends = PodView {
            container: ContainerView::Ended { finished_unix_ms: None },
            crash_loops: true,
            ..pod("p-1", "old")
        };
        let set = [pod("p-0", "old"), ends];
        assert_eq!(pods(&set).next(&[], true).map(|p| p.name.as_str()), Some("p-1"));
        assert_eq!(pods(&set).next(&[], false), None);
    }

    #[test]
    fn a_single_instance_has_nobody_to_hand_over_to() {
        let set = [pod("p-0", "old")];
        assert!(!pods(&set).primary_is_due("p-0"));
        assert_eq!(pods(&set).next(&all(&set), true).map(|p| p.name.as_str()), Some("p-0"));
    }
}
