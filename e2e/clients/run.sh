#!/usr/bin/env bash
# run.sh python|node|go|java|rust PORT: installs a program that drives a client library of that language, with the language's own
# package manager, and runs it against the server at PORT, which it empties. What is installed and built lies in target/clients.
# Ends with 77 and a line that says so where the language's tools are missing.
set -euo pipefail

language=$1 port=$2
here=$(cd "$(dirname "$0")" && pwd)
out=${CLIENTS_DIR:-$here/../../target/clients}/$language
mkdir -p "$out"
out=$(realpath "$out")

need() {
  local tool
  for tool in "$@"; do
    command -v "$tool" >/dev/null || { echo "skipped: $language needs $tool"; exit 77; }
  done
}

# copied FILE ...: for package managers that write beside what they read.
copied() {
  local file
  for file in "$@"; do
    mkdir -p "$out/$(dirname "$file")"
    cmp -s "$here/$language/$file" "$out/$file" || cp "$here/$language/$file" "$out/$file"
  done
  cd "$out"
}

case $language in
python)
  need python3
  python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null ||
    { echo "skipped: python needs python3, 3.10 or newer, with its module venv"; exit 77; }
  [ -x "$out/bin/pip" ] || python3 -m venv "$out"
  "$out/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/python/requirements.txt"
  exec "$out/bin/python" "$here/python/main.py" "$port"
  ;;
node)
  need node npm
  copied package.json package-lock.json main.mjs
  [ -d node_modules ] && [ node_modules -nt package-lock.json ] || npm ci --silent --no-audit --no-fund --ignore-scripts
  exec node main.mjs "$port"
  ;;
go)
  need go
  cd "$here/go"
  export GOTOOLCHAIN=local GOFLAGS=-mod=readonly
  go list -m >/dev/null 2>&1 || { echo "skipped: go needs the version in go.mod, or newer: $(sed -n 's/^go //p' go.mod)"; exit 77; }
  go build -o "$out/client" .
  exec "$out/client" "$port"
  ;;
java)
  need java javac mvn
  copied pom.xml src/main/java/Main.java
  mvn --quiet --batch-mode --no-transfer-progress compile
  exec java -cp "target/classes:target/lib/*" Main "$port"
  ;;
rust)
  need cargo
  cd "$here/rust"
  cargo build --quiet --locked --target-dir "$out"
  exec "$out/debug/client" "$port"
  ;;
*)
  echo "usage: ${0##*/} python|node|go|java|rust PORT" >&2
  exit 2
  ;;
esac
