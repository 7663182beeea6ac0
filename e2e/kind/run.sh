#!/usr/bin/env bash
# run.sh [NAME ...]: runs the fault tests (those whose names contain one of these) on a kind cluster of their own, from images that `make images`
# has built. KIND_NODE_IMAGE names kind's node image. KEEP=1 takes the cluster of an earlier run and leaves it up.
set -euo pipefail

cd "$(dirname "$0")/../.."
for tool in docker kind kubectl helm; do
  command -v "$tool" >/dev/null || { echo "needs $tool" >&2; exit 1; }
done
docker info >/dev/null 2>&1 || { echo "needs a running docker" >&2; exit 1; }

e2e/images/stock.sh
cluster=valkey-repl-e2e
if [ "${KEEP:-}" != 1 ]; then
  kind delete cluster --quiet --name "$cluster"
  trap 'kind delete cluster --quiet --name "$cluster"' EXIT
fi
E2E_KIND=1 cargo test --locked -p valkey-repl-e2e --test kind -- --test-threads=1 --nocapture "$@"
