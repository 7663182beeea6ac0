//! The definition that users install is the one that the types say.

use std::{fs, path::Path};

fn root(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_definition_in_crds_is_what_the_types_say() {
    let generated = valkey_operator::api::crd_yaml().unwrap();
    assert!(
        root("crds/valkeyreplications.yaml") == generated,
        "stale; run: cargo run -p valkey-operator -- crd | tee charts/files/valkeyreplications.yaml >crds/valkeyreplications.yaml"
    );
}

#[test]
fn the_chart_installs_the_same_definition() {
    assert!(
        root("charts/files/valkeyreplications.yaml") == root("crds/valkeyreplications.yaml"),
        "run: cp crds/valkeyreplications.yaml charts/files/"
    );
}

#[test]
fn the_example_is_accepted() {
    let example: valkey_operator::api::ValkeyReplication = serde_saphyr::from_str(&root("examples/pair.yaml")).unwrap();
    example.validate_cel().unwrap();
    assert_eq!(example.metadata.name.as_deref(), Some("pair"));
}
