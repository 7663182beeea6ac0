#!/usr/bin/env bash
# stock.sh: image valkey-repl/stock:9.1 from the Valkey that e2e/peers/build.sh has built, with the libraries that it is linked to.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
bin=${PEERS_DIR:-$here/../../.cache/peers}/valkey-9.1/bin
"$here/../peers/build.sh" valkey-9.1 >/dev/null

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
mkdir -p "$context/data" "$context/root/usr/local/bin"
cp "$bin/valkey-server" "$bin/valkey-cli" "$context/root/usr/local/bin/"
ldd "$bin/valkey-server" "$bin/valkey-cli" | grep -o '/[^ :]*' | sort -u | while read -r library; do
  [[ $library == "$bin"/* ]] || install -D "$library" "$context/root$library"
done
if ! docker build --quiet --file "$here/stock.Dockerfile" --tag valkey-repl/stock:9.1 "$context" >"$context/log" 2>&1; then
  cat "$context/log" >&2
  exit 1
fi
echo "valkey-repl/stock:9.1"
