//! The files that servers start from: one for each set of values that are read only at a start. A server that crashes while others are already
//! made anew reads what it was made for, and not what nobody has started with yet. What can be changed in a running server is the same in all.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, Pod},
};

use super::{config::Config, restart};

/// Texts of `valkey.conf`, by their keys in the ConfigMap.
pub type Files = BTreeMap<String, String>;

/// The key of the file for servers that are started for what this names.
pub(super) fn key(fingerprint: &str) -> String {
    format!("valkey-{fingerprint}.conf")
}

/// All files that may be read: the one of this configuration, and those that pods were made for, as they stand.
pub(super) fn with_kept(config: &Config, kept: &Files) -> Files {
    let mut files: Files = kept.iter().map(|(key, text)| (key.clone(), with_live_of(text, config))).collect();
    files.insert(key(&config.fingerprint()), config.text.clone());
    files
}

/// The files that pods read, and those that may yet be made. One that somebody removed is as `newest` until its pods are made anew.
pub fn in_use<'a>(
    pods: impl Iterator<Item = &'a Pod>,
    set: Option<&'a StatefulSet>,
    standing: &Files,
    newest: Option<&str>,
) -> Files {
    let pods = pods.filter_map(restart::pod_made_for);
    let keys: BTreeSet<String> = pods.chain(set.and_then(restart::made_for)).map(key).collect();
    let text = |key: &String| standing.get(key).map(String::as_str).or(newest).map(str::to_owned);
    keys.into_iter().filter_map(|key| Some((key.clone(), text(&key)?))).collect()
}

/// The file that pods are made for now.
pub fn newest(set: Option<&StatefulSet>, standing: &Files) -> Option<String> {
    let named = set.and_then(restart::made_for).and_then(|fingerprint| standing.get(&key(fingerprint)));
    named.or_else(|| standing.values().next()).cloned()
}

/// The files of a ConfigMap.
pub fn read(config: ConfigMap) -> Files {
    config.data.unwrap_or_default()
}

/// An older file with what a running server is told now.
fn with_live_of(older: &str, config: &Config) -> String {
    let told = |line: &str| config.live_names().any(|name| line.split(' ').next() == Some(name));
    let (include, others): (Vec<&str>, Vec<&str>) =
        older.lines().filter(|line| !told(line)).partition(|line| line.starts_with("include "));
    let live = config.live.iter().map(|(directive, value)| format!("{directive} {value}"));
    let lines = others.into_iter().map(str::to_owned).chain(live);
    lines.chain(include.into_iter().map(str::to_owned)).map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        api::tests::resource,
        resources::{Context, Desired, build},
    };

    fn desired(config: serde_json::Value, kept: &Files, live: Option<&StatefulSet>) -> Desired {
        build(&resource(json!({"config": config})), &Context { server_image: "i", replicas: 2, live, kept }).unwrap()
    }

    /// The file that a pod of this set reads.
    fn read_by<'a>(set: &StatefulSet, files: &'a Files) -> &'a str {
        let pod = set.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
        let volumes = pod.volumes.as_ref().unwrap();
        let items = volumes.iter().find_map(|volume| volume.config_map.as_ref()?.items.as_ref()).unwrap();
        assert_eq!((items.len(), items[0].path.as_str()), (1, "valkey.conf"));
        &files[&items[0].key]
    }

    #[test]
    fn a_server_that_crashes_while_others_are_made_anew_reads_the_file_that_it_was_made_for() {
        let first = desired(json!({"databases": 4, "hz": 10}), &Files::new(), None);
        let kept = in_use(std::iter::empty(), Some(&first.stateful_set), &read(first.config.clone()), None);
        let second = desired(json!({"databases": "0", "hz": 50}), &kept, Some(&first.stateful_set));
        let files = read(second.config);
        let (old, new) = (read_by(&first.stateful_set, &files), read_by(&second.stateful_set, &files));
        assert!(new.contains("\ndatabases 0\n") && new.contains("\nhz 50\n"), "{new}");
        assert!(old.contains("\ndatabases 4\n") && !old.contains("\ndatabases 0\n"), "{old}");
        assert!(old.contains("\nhz 50\n") && !old.contains("\nhz 10\n"), "what it runs with by now: {old}");
        assert!(old.lines().last().unwrap().starts_with("include "), "{old}");
        assert_eq!(newest(Some(&second.stateful_set), &files).as_deref(), Some(new));
    }

    #[test]
    fn a_file_stands_as_long_as_a_pod_was_made_for_it() {
        let first = desired(json!({"databases": 4}), &Files::new(), None);
        let template = first.stateful_set.spec.clone().unwrap().template;
        let pod = Pod { metadata: template.metadata.unwrap(), ..Pod::default() };
        let second = desired(json!({"databases": 8}), &Files::new(), Some(&first.stateful_set));
        let set = Some(&second.stateful_set);
        let both: Files = read(first.config).into_iter().chain(read(second.config)).collect();
        assert_eq!(in_use([&pod].into_iter(), set, &both, None), both);
        assert_eq!(in_use(std::iter::empty(), set, &both, None).len(), 1);
        // Somebody emptied the ConfigMap: a pod whose file is missing could not start.
        let restored = in_use([&pod].into_iter(), set, &Files::new(), Some("what stands"));
        assert_eq!(restored.into_values().collect::<Vec<_>>(), ["what stands", "what stands"]);
    }
}
