//! Faults on a real cluster: `make e2e`.
//!
//! The tests share one cluster and one operator (two replicas of it); each has a namespace and a pair of its own. Without
//! `E2E_KIND=1` they say so and do nothing.

mod faults;
mod install;
mod mistakes;
mod planned;
mod speed;

use std::sync::LazyLock;
use std::time::Duration;

use valkey_repl_e2e::kube::Cluster;

/// The example of the README: what the tests apply is what a user applies.
const PAIR: &str = include_str!("../../../examples/pair.yaml");

/// How long a move is left alone by the test that measures it: looking on with kubectl takes more of a small machine than the move.
const UNDISTURBED: Duration = Duration::from_millis(500);

/// The cluster with the chart installed, brought up by the first test that asks; `None` where these tests are not wanted.
fn cluster() -> Option<&'static Cluster> {
    static CLUSTER: LazyLock<Result<Cluster, String>> = LazyLock::new(|| {
        let cluster = Cluster::up()?;
        cluster.install_chart(&["replicas=2"])?;
        // Those that an earlier run has left go on with the image that had this name then.
        cluster.restart_operators()?;
        Ok(cluster)
    });
    if std::env::var_os("E2E_KIND").is_none_or(|value| value != "1") {
        eprintln!("skipped: set E2E_KIND=1 to run it on a kind cluster (`make e2e` does)");
        return None;
    }
    match &*CLUSTER {
        Ok(cluster) => Some(cluster),
        Err(why) => panic!("no cluster: {why}"),
    }
}
