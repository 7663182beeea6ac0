#!/usr/bin/env bash
# build.sh FOLDER VERSION: images valkey-repl/{server,operator,e2e}:VERSION from the static programs in FOLDER.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
programs=$1 version=$2
command -v docker >/dev/null || { echo "needs docker" >&2; exit 1; }

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
mkdir "$context/data" "$context/links"
# Other names of the server. In a folder, of which links are copied as such.
for tool in valkey-check-rdb valkey-check-aof; do
  ln -s valkey-server "$context/links/$tool"
done
for program in valkey-server valkey-cli valkey-operator writer; do
  # A dynamic one would start nowhere: scratch has no loader.
  if readelf --program-headers "$programs/$program" | grep -q INTERP; then
    echo "$programs/$program is not static" >&2
    exit 1
  fi
  strip --strip-debug -o "$context/$program" "$programs/$program"
done
for image in server operator e2e; do
  if ! docker build --quiet --file "$here/$image.Dockerfile" --tag "valkey-repl/$image:$version" \
    --label org.opencontainers.image.version="$version" --label org.opencontainers.image.licenses=Apache-2.0 "$context" >"$context/log" 2>&1; then
    cat "$context/log" >&2
    exit 1
  fi
  echo "valkey-repl/$image:$version $(docker image inspect --format '{{.Size}}' "valkey-repl/$image:$version" | numfmt --to=si)B"
done
