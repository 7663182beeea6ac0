//! `valkey-operator check` where no operator runs, so that it fails: what it leaves behind, against a real API server. Skipped, with a word,
//! where the programs are missing.

use std::fs;
use std::process::{Command, Output};

use valkey_repl_e2e::kube::{ApiServer, Kubectl, definition};
use valkey_repl_e2e::programs;

fn server() -> Option<(ApiServer, Kubectl)> {
    let server = ApiServer::start().unwrap()?;
    let kubectl = server.kubectl("default");
    kubectl.apply(&fs::read_to_string(definition()).unwrap()).unwrap();
    kubectl.run(&["wait", "crd", "--all", "--for=condition=Established", "--timeout=60s"]).unwrap();
    Some((server, kubectl))
}

fn check(server: &ApiServer) -> Output {
    let mut command = Command::new(programs::ours("valkey-operator", "valkey-operator").unwrap());
    command.env("KUBECONFIG", server.path("admin.json"));
    let output = command.args(["check", "--namespace", "default", "--patience", "1"]).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && error.contains("does an operator run?"), "{error}");
    output
}

fn resources(kubectl: &Kubectl) -> String {
    kubectl.run(&["get", "vkr", "--output=name"]).unwrap()
}

#[test]
fn a_check_that_fails_takes_its_pair_away_and_that_of_one_that_was_cut_short_and_nobody_elses() {
    let Some((server, kubectl)) = server() else { return };
    let output = check(&server);
    assert!(String::from_utf8_lossy(&output.stdout).contains("the status of valkey-check is:"), "{output:?}");
    assert_eq!(resources(&kubectl), "");

    let pair = |labels: &str| {
        format!(
            "apiVersion: valkey-repl.dev/v1alpha1\nkind: ValkeyReplication\n\
             metadata: {{name: valkey-check, labels: {{{labels}}}}}\nspec: {{instances: 2}}\n"
        )
    };
    kubectl.apply(&pair("valkey-repl.dev/made-by: check")).unwrap();
    check(&server);
    assert_eq!(resources(&kubectl), "");

    kubectl.apply(&pair("mine: \"yes\"")).unwrap();
    check(&server);
    assert_eq!(resources(&kubectl).trim(), "valkeyreplication.valkey-repl.dev/valkey-check");
}
