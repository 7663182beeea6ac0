#!/usr/bin/env bash
# scale.sh: runs the scale test in a network namespace of its own, in which every address of 198.18.0.0/15 is this machine's: thousands of
# servers, each on the port that pods have, and nothing of the machine's own is touched.
set -euo pipefail

cd "$(dirname "$0")/.."
for tool in unshare ip etcd kube-apiserver kubectl helm openssl; do
  command -v "$tool" >/dev/null || { echo "needs $tool" >&2; exit 1; }
done
user=()
[ "$(id -u)" = 0 ] || user=(--user --map-root-user)
exec unshare "${user[@]}" --net --pid --fork --kill-child --mount-proc -- bash -c '
  ip link set lo up
  ip address add 198.18.0.1/15 dev lo
  exec cargo test --offline --locked -p valkey-repl-e2e --test scale -- --nocapture
'
