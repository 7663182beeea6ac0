#!/usr/bin/env bash
# stock.sh: images valkey-repl/stock:9.1 and :8.1 from the Valkeys that e2e/peers/build.sh has built, with the libraries that they are linked to.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT

for version in 9.1 8.1; do
  "$here/../peers/build.sh" "valkey-$version" >/dev/null
  bin=${PEERS_DIR:-$here/../../.cache/peers}/valkey-$version/bin
  rm -rf "$context/root"
  mkdir -p "$context/data" "$context/root/usr/local/bin"
  cp "$bin/valkey-server" "$bin/valkey-cli" "$context/root/usr/local/bin/"
  ldd "$bin/valkey-server" "$bin/valkey-cli" | grep -o '/[^ :]*' | sort -u | while read -r library; do
    [[ $library == "$bin"/* ]] || install -D "$library" "$context/root$library"
  done
  if ! docker build --quiet --file "$here/stock.Dockerfile" --tag "valkey-repl/stock:$version" "$context" >"$context/log" 2>&1; then
    cat "$context/log" >&2
    exit 1
  fi
  echo "valkey-repl/stock:$version"
done
