//! Reads the YAML file, as strictly as an API server would: a misspelled field is an error, not a default.

use std::path::Path;

use kube::CustomResourceExt;
use serde_json::Value;

use super::Error;
use crate::api::{ValkeyReplication, ValkeyReplicationSpec};

/// Reads the resource.
pub(super) fn read(path: &Path) -> Result<ValkeyReplication, Error> {
    let wrong = |why: String| Error::File { path: path.to_owned(), why };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    parse(&text).map_err(wrong)
}

fn parse(text: &str) -> Result<ValkeyReplication, String> {
    let tree: Value = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    let kind = (tree.get("apiVersion").and_then(Value::as_str), tree.get("kind").and_then(Value::as_str));
    if kind != (Some("valkey-repl.dev/v1alpha1"), Some("ValkeyReplication")) {
        return Err("it holds no ValkeyReplication of valkey-repl.dev/v1alpha1".into());
    }
    let definition = serde_json::to_value(ValkeyReplication::crd()).map_err(|error| error.to_string())?;
    let schema = definition.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec");
    if let (Some(schema), Some(spec)) = (schema, tree.get("spec")) {
        compare(spec, schema, "spec")?;
    }
    let mut resource: ValkeyReplication = serde_json::from_value(tree).map_err(|error| error.to_string())?;
    if resource.metadata.name.is_none() {
        return Err("metadata.name is missing".into());
    }
    // What an API server would add.
    resource.metadata.namespace.get_or_insert_with(|| "local".into());
    resource.status = None;
    resource.check().map_err(|error| error.to_string())?;
    Ok(resource)
}

/// Finds fields that the definition does not have, and numbers outside its bounds. Types are checked when they are read.
fn compare(value: &Value, schema: &Value, place: &str) -> Result<(), String> {
    if let (Some(fields), Some(known)) = (value.as_object(), schema.get("properties").and_then(Value::as_object)) {
        for (name, value) in fields {
            let here = format!("{place}.{name}");
            match known.get(name) {
                Some(schema) => compare(value, schema, &here)?,
                None => return Err(format!("there is no field {here}")),
            }
        }
    }
    if let Some(number) = value.as_f64() {
        let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
        if bound("minimum").is_some_and(|least| number < least) || bound("maximum").is_some_and(|most| number > most) {
            let say = |name| bound(name).map_or("any".to_owned(), |bound| bound.to_string());
            return Err(format!("{place} must be between {} and {}", say("minimum"), say("maximum")));
        }
    }
    Ok(())
}

/// What the file asks for that means nothing on this machine, for people.
pub(super) fn without_effect(resource: &ValkeyReplication) -> Vec<String> {
    let (spec, default) = (&resource.spec, ValkeyReplicationSpec::default());
    let stop = spec.pod_template.termination_grace_period_seconds;
    let mut template = default.pod_template.clone();
    template.termination_grace_period_seconds = stop;
    let fields = [
        ("image", spec.image != default.image || spec.image_pull_policy != default.image_pull_policy),
        ("resources.requests", spec.resources.requests != default.resources.requests),
        ("storage", spec.storage != crate::api::Storage { ephemeral: spec.storage.ephemeral, ..default.storage }),
        ("auth", spec.auth != default.auth),
        ("podTemplate", spec.pod_template != template),
        ("services", spec.services != default.services),
    ];
    let set = fields.iter().filter(|(_, set)| *set);
    set.map(|(name, _)| format!("spec.{name} is for a cluster; it has no effect here")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(spec: &str) -> Result<ValkeyReplication, String> {
        parse(&format!(
            "apiVersion: valkey-repl.dev/v1alpha1\nkind: ValkeyReplication\nmetadata: {{name: pair}}\nspec: {spec}\n"
        ))
    }

    #[test]
    fn the_smallest_file_is_a_pair() {
        assert_eq!(with("{}").unwrap().spec.instances, 2);
    }

    #[test]
    fn a_misspelled_field_is_an_error_that_names_it() {
        assert_eq!(with("{instnaces: 3}").unwrap_err(), "there is no field spec.instnaces");
        assert_eq!(with("{failover: {quorumTimout: 2s}}").unwrap_err(), "there is no field spec.failover.quorumTimout");
        with("{config: {maxmemory-policy: allkeys-lru}}").unwrap();
    }

    #[test]
    fn what_an_api_server_would_refuse_is_refused() {
        assert!(with("{instances: 0}").unwrap_err().contains("spec.instances must be between 1 and 9"));
        assert!(with("{config: {requirepass: x}}").unwrap_err().contains("set spec.auth instead"));
        assert!(parse("kind: Pod\n").unwrap_err().contains("no ValkeyReplication"));
    }

    #[test]
    fn what_has_no_effect_here_is_said() {
        let notes = without_effect(&with("{image: x/y, storage: {size: 2Gi}}").unwrap());
        assert_eq!(notes.len(), 2, "{notes:?}");
        assert!(without_effect(&with("{instances: 3, storage: {ephemeral: true}}").unwrap()).is_empty());
    }
}
