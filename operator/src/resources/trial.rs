//! Directives on trial: what a server that runs has not taken does not get into the file that it starts from, or its next start would be its
//! last, and that of its replica, too.
//!
//! Running servers are told and asked first. What they have taken is written into the file; of the rest the file keeps what stands
//! in it. Where no server runs there is nobody to ask, and nobody to lose: then the file is as the specification wants it.

use std::collections::BTreeSet;

use crate::{
    api::{Scalar, ValkeyReplication},
    instance::Directives,
};

/// What the servers that run said of the directives of a specification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// There certainly is none: all ports refuse, or there are no pods.
    pub nobody_runs: bool,
    /// What all of them were told and asked, and have answered.
    pub tried: Option<Directives>,
    /// What one of them did not take.
    pub refused: BTreeSet<String>,
}

impl Verdict {
    /// This one, in the light of the one before: what was tried is still known when nobody runs any more.
    pub fn after(self, before: &Self) -> Self {
        if self.nobody_runs { Self { nobody_runs: true, ..before.clone() } } else { self }
    }

    fn takes(&self, directives: &Directives, directive: &str) -> bool {
        if self.tried.as_ref() == Some(directives) { !self.refused.contains(directive) } else { self.nobody_runs }
    }
}

/// The specification with as much of its directives as may stand in the file. `standing` is the file as it is; none before the first.
pub fn accepted(
    resource: &ValkeyReplication,
    directives: &Directives,
    verdict: &Verdict,
    standing: Option<&str>,
) -> ValkeyReplication {
    let mut accepted = resource.clone();
    let Some(standing) = standing else { return accepted };
    // What stands instead of a value that is held back.
    let kept = |directive: &str, value: &str| {
        let stands = line(standing, directive);
        (stands != Some(value) && !verdict.takes(directives, directive)).then_some(stands)
    };
    for (directive, value) in &resource.spec.config {
        match kept(directive, &written(value)) {
            Some(Some(value)) => drop(accepted.spec.config.insert(directive.clone(), value.into())),
            Some(None) => drop(accepted.spec.config.remove(directive)),
            None => {}
        }
    }
    let (persistence, replication) = (&mut accepted.spec.persistence, &mut accepted.spec.replication);
    if let Some(Some(points)) = kept("save", &persistence.save_points).filter(|_| persistence.rdb) {
        persistence.rdb = points != NOTHING;
        points.clone_into(&mut persistence.save_points);
    }
    if let Some(Some(size)) = kept("repl-backlog-size", &replication.backlog_size) {
        size.clone_into(&mut replication.backlog_size);
    }
    accepted
}

/// A value of no words, as it stands in the file.
const NOTHING: &str = "\"\"";

/// A value as it stands in the file.
pub(super) fn written(value: &Scalar) -> String {
    let value = value.to_string();
    if value.is_empty() { NOTHING.to_owned() } else { value }
}

/// What a directive is set to in a file.
fn line<'a>(text: &'a str, directive: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(directive)?.strip_prefix(' '))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::{api::tests::resource, resources::config::render};

    fn file(spec: serde_json::Value, verdict: &Verdict, standing: Option<&str>) -> String {
        let resource = resource(spec);
        let directives = render(&resource).unwrap().directives(&resource);
        let verdict = Verdict { tried: verdict.tried.clone().map(|_| directives.clone()), ..verdict.clone() };
        render(&accepted(&resource, &directives, &verdict, standing)).unwrap().text
    }

    fn lines(text: &str, directive: &str) -> Vec<String> {
        text.lines().filter(|line| line.starts_with(&format!("{directive} "))).map(str::to_owned).collect()
    }

    fn refusing(directive: &str) -> Verdict {
        Verdict { refused: [directive.to_owned()].into(), ..taking() }
    }

    fn taking() -> Verdict {
        Verdict { tried: Some(Directives::default()), ..Verdict::default() }
    }

    #[test]
    fn a_value_that_a_server_refuses_does_not_get_into_the_file_that_it_starts_from() {
        let good = file(json!({"config": {"maxmemory": "1gb"}}), &Verdict::default(), None);
        assert_eq!(lines(&good, "maxmemory"), ["maxmemory 1gb"]);
        let typo = json!({"config": {"maxmemory": "12 bananas", "hz": 50}});
        let file = file(typo, &refusing("maxmemory"), Some(&good));
        assert_eq!(lines(&file, "maxmemory"), ["maxmemory 1gb"], "what stands is kept");
        assert_eq!(lines(&file, "hz"), ["hz 50"], "what was taken is written");
    }

    #[test]
    fn what_has_a_field_of_its_own_is_on_trial_as_well() {
        let good = file(json!({}), &Verdict::default(), None);
        let points = json!({"persistence": {"savePoints": "99999999999999999999 1"}});
        assert_eq!(file(points.clone(), &refusing("save"), Some(&good)), good);
        assert_ne!(file(points.clone(), &taking(), Some(&good)), good);
        let none = file(json!({"persistence": {"rdb": false}}), &refusing("save"), Some(&good));
        assert_eq!(lines(&none, "save"), ["save \"\""], "it is not asked for");
        assert_eq!(file(points, &refusing("save"), Some(&none)), none);
        let backlog = json!({"replication": {"backlogSize": "999999999999gb"}});
        assert_eq!(file(backlog, &refusing("repl-backlog-size"), Some(&good)), good);
    }

    #[test]
    fn a_directive_that_no_server_knows_restarts_nobody_and_is_in_no_file() {
        let good = file(json!({}), &Verdict::default(), None);
        let typo = json!({"config": {"nosuch-directive": 1}});
        assert_eq!(file(typo.clone(), &refusing("nosuch-directive"), Some(&good)), good);
        // Not yet answered, or not yet asked.
        let waiting = Verdict { tried: None, ..taking() };
        assert_eq!(file(typo.clone(), &waiting, Some(&good)), good);
        assert_eq!(file(typo, &Verdict::default(), Some(&good)), good);
    }

    #[test]
    fn what_was_tried_of_another_specification_says_nothing() {
        let good = file(json!({}), &Verdict::default(), None);
        let other = resource(json!({"config": {"hz": 50}}));
        let directives = render(&other).unwrap().directives(&other);
        let old = Verdict { tried: Some(Directives { at_start: Arc::from([]), live: Arc::from([]) }), ..taking() };
        assert_eq!(render(&accepted(&other, &directives, &old, Some(&good))).unwrap().text, good);
    }

    #[test]
    fn what_was_refused_stays_out_of_the_file_when_all_servers_have_crashed() {
        let good = file(json!({}), &Verdict::default(), None);
        let crashed = Verdict { nobody_runs: true, ..Verdict::default() }.after(&refusing("maxmemory"));
        assert_eq!(file(json!({"config": {"maxmemory": "12 bananas"}}), &crashed, Some(&good)), good);
    }

    #[test]
    fn where_no_server_runs_the_file_is_what_the_specification_says() {
        let bad = file(json!({"config": {"maxmemory": "12 bananas"}}), &Verdict::default(), None);
        let nobody = Verdict { nobody_runs: true, ..Verdict::default() };
        let mended = file(json!({"config": {"maxmemory": "12mb"}}), &nobody, Some(&bad));
        assert_eq!(lines(&mended, "maxmemory"), ["maxmemory 12mb"]);
    }
}
