//! Whether an object stands as it would be applied: whether a server-side apply of it would change nothing.
//!
//! The API server keeps for each manager which fields it applied (`metadata.managedFields`, in the form `FieldsV1`: `f:` names a field, `k:` an
//! element of a list by its keys, `v:` an element of a set, `{}` what is owned as a whole). An object stands as wanted when what we own
//! is what we want, no more and no less, and has the values that we want. Who changes a value takes the field from us, and who removes it
//! leaves it nobody's: both are seen.
//!
//! The answer errs on one side: `false` where values only look different, such as `0.5` and `500m`; then it is applied once too often.

use serde_json::{Map, Value};

use crate::manager::MANAGER;

/// Whether `found`, with its managed fields, is what applying `wanted` would leave.
pub(super) fn stands(wanted: &Value, found: &Value) -> bool {
    let (Some(wanted), Some(found)) = (wanted.as_object(), found.as_object()) else { return false };
    let Some(owned) = owned(found) else { return false };
    // The one field that is to be absent where it is not wanted: a Service with it leads wherever it says.
    let selects = |object: &Map<String, Value>| object.get("spec").and_then(|spec| spec.get("selector")).is_some();
    if selects(found) && !selects(wanted) {
        return false;
    }
    // Who an object is, is owned by nobody.
    let body = |object: &Map<String, Value>| {
        let mut object = object.clone();
        object.retain(|key, _| key != "apiVersion" && key != "kind");
        if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
            metadata.retain(|key, _| key != "name" && key != "namespace");
        }
        object
    };
    map(&body(wanted), found, owned)
}

/// The fields that we applied; nothing where we never did.
fn owned(found: &Map<String, Value>) -> Option<&Map<String, Value>> {
    let entries = found.get("metadata")?.get("managedFields")?.as_array()?;
    let ours = |entry: &&Value| {
        entry.get("manager").and_then(Value::as_str) == Some(MANAGER)
            && entry.get("operation").and_then(Value::as_str) == Some("Apply")
            && entry.get("subresource").is_none()
    };
    entries.iter().find(ours)?.get("fieldsV1")?.as_object()
}

fn value(wanted: &Value, found: &Value, owned: &Map<String, Value>) -> bool {
    match (wanted, found) {
        _ if owned.is_empty() => whole(wanted, found),
        (Value::Object(wanted), Value::Object(found)) => map(wanted, found, owned),
        (Value::Array(wanted), Value::Array(found)) => list(wanted, found, owned),
        _ => false,
    }
}

/// What is owned as a whole. The API server fills in defaults below it, but adds nothing to it.
fn whole(wanted: &Value, found: &Value) -> bool {
    match (wanted, found) {
        (Value::Object(_), Value::Object(_)) => wanted == found,
        _ => filled_in(wanted, found),
    }
}

/// Whether `found` is `wanted` with defaults filled in.
fn filled_in(wanted: &Value, found: &Value) -> bool {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => wanted
            .iter()
            .filter(|(_, wanted)| !wanted.is_null())
            .all(|(key, wanted)| found.get(key).is_some_and(|found| filled_in(wanted, found))),
        (Value::Array(wanted), Value::Array(found)) => {
            wanted.len() == found.len() && wanted.iter().zip(found).all(|(wanted, found)| filled_in(wanted, found))
        }
        _ => wanted == found,
    }
}

fn map(wanted: &Map<String, Value>, found: &Map<String, Value>, owned: &Map<String, Value>) -> bool {
    let mut owned = owned.iter().filter(|(path, _)| *path != ".");
    let mut fields = 0;
    let held = owned.all(|(path, below)| {
        fields += 1;
        let named = path.strip_prefix("f:").and_then(|name| Some((wanted.get(name)?, found.get(name)?)));
        named.zip(below.as_object()).is_some_and(|((wanted, found), below)| value(wanted, found, below))
    });
    held && fields == wanted.values().filter(|wanted| !wanted.is_null()).count()
}

/// A list whose elements have owners of their own.
fn list(wanted: &[Value], found: &[Value], owned: &Map<String, Value>) -> bool {
    let mut owned = owned.iter().filter(|(path, _)| *path != ".");
    let mut elements = 0;
    let held = owned.all(|(path, below)| {
        elements += 1;
        let Some(below) = below.as_object() else { return false };
        if let Some(keys) =
            path.strip_prefix("k:").and_then(|keys| serde_json::from_str::<Map<String, Value>>(keys).ok())
        {
            // What is wanted may leave a key to its default.
            let named = |element: &&Value, must: bool| {
                keys.iter().all(|(key, value)| element.get(key).map_or(!must, |there| there == value))
            };
            let wanted = wanted.iter().find(|element| named(element, false));
            let found = found.iter().find(|element| named(element, true));
            return wanted
                .zip(found)
                .is_some_and(|(wanted, found)| value(wanted, found, &explicit(below, wanted, &keys)));
        }
        let element = path.strip_prefix("v:").and_then(|value| serde_json::from_str::<Value>(value).ok());
        element.is_some_and(|element| wanted.contains(&element) && found.contains(&element))
    });
    held && elements == wanted.len()
}

/// What is owned of an element, without the keys that `wanted` leaves to their defaults: they are owned because they name the element.
fn explicit(owned: &Map<String, Value>, wanted: &Value, keys: &Map<String, Value>) -> Map<String, Value> {
    let defaulted =
        |path: &str| path.strip_prefix("f:").is_some_and(|name| keys.contains_key(name) && wanted.get(name).is_none());
    owned.iter().filter(|(path, _)| !defaulted(path)).map(|(path, below)| (path.clone(), below.clone())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wanted() -> Value {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "pair-rw", "namespace": "shop", "labels": {"team": "a"}, "finalizers": ["keep"]},
            "spec": {"selector": {"app": "pair"}, "ports": [{"name": "valkey", "port": 6379}], "none": null},
        })
    }

    /// What the API server shows of it: defaults filled in, and what others added.
    fn found() -> Value {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {
                "name": "pair-rw", "namespace": "shop", "resourceVersion": "7",
                "labels": {"team": "a", "of": "others"}, "finalizers": ["theirs", "keep"],
                "managedFields": [
                    {"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:metadata": {"f:labels": {"f:of": {}}}}},
                    {"manager": MANAGER, "operation": "Apply", "subresource": "status", "fieldsV1": {}},
                    {"manager": MANAGER, "operation": "Apply", "fieldsV1": {
                        "f:metadata": {"f:labels": {"f:team": {}}, "f:finalizers": {"v:\"keep\"": {}}},
                        "f:spec": {
                            "f:selector": {},
                            "f:ports": {"k:{\"port\":6379,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}, "f:port": {}, "f:protocol": {}}},
                        },
                    }},
                ],
            },
            "spec": {
                "selector": {"app": "pair"}, "type": "ClusterIP",
                "ports": [{"name": "valkey", "port": 6379, "protocol": "TCP", "targetPort": 6379}],
            },
        })
    }

    #[test]
    fn an_object_stands_with_defaults_filled_in_and_with_what_others_own() {
        assert!(stands(&wanted(), &found()));
    }

    #[test]
    fn it_does_not_once_anything_of_ours_is_missing_or_other_or_no_longer_wanted() {
        let pretend = |change: fn(&mut Value, &mut Value)| {
            let (mut wanted, mut found) = (wanted(), found());
            change(&mut wanted, &mut found);
            stands(&wanted, &found)
        };
        assert!(!pretend(|_, found| found["metadata"]["labels"]["team"] = "b".into()));
        assert!(!pretend(|_, found| found["metadata"]["managedFields"] = json!([])));
        assert!(!pretend(|_, found| drop(
            found["metadata"]["managedFields"][2]["fieldsV1"]["f:spec"]["f:selector"].take()
        )));
        assert!(!pretend(|_, found| found["spec"]["selector"]["more"] = "of it".into()));
        assert!(!pretend(|_, found| found["spec"]["ports"][0]["name"] = "other".into()));
        assert!(!pretend(|_, found| found["metadata"]["finalizers"] = json!(["theirs"])));
        assert!(!pretend(|wanted, _| wanted["metadata"]["labels"] = json!({})));
        assert!(!pretend(|wanted, _| wanted["metadata"]["finalizers"] = json!([])));
        assert!(!pretend(|wanted, _| wanted["spec"]["ports"] = json!([])));
        assert!(!pretend(|wanted, _| wanted["spec"]["ports"][0]["protocol"] = "UDP".into()));
        assert!(!pretend(|wanted, _| wanted["spec"]["type"] = "ClusterIP".into()));
        // Nobody's but in the way.
        assert!(!pretend(|wanted, found| {
            let owned = &mut found["metadata"]["managedFields"][2]["fieldsV1"]["f:spec"];
            owned.as_object_mut().map(|owned| owned.remove("f:selector")).unwrap();
            wanted["spec"].as_object_mut().map(|spec| spec.remove("selector")).unwrap();
        }));
    }
}
