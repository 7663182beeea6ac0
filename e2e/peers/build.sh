#!/usr/bin/env bash
# Builds the real servers that ours is tested against, from the upstream source archives that Debian keeps, into .cache/peers.
# What is there already is left alone. README.md beside this file says what comes out and how to use it.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
peers=${PEERS_DIR:-$root/.cache/peers}
jobs=${PEERS_JOBS:-$(nproc)}

# name | path in a Debian archive | SHA-256. Debian's signature cannot always be checked (unstable is signed with a key that
# older releases do not know), so what counts is this hash.
sources='
valkey-9.1 pool/main/v/valkey/valkey_9.1.2.orig.tar.gz 8e8557da7426a51b4e0fb514a65ef6241dc7c85cb408243af389070abf379cec
valkey-8.1 pool/main/v/valkey/valkey_8.1.1+dfsg1.orig.tar.xz d9bbd82eecb82f359e649a0007ad3dc1b47cc15afa626348ca86b73c4ae2c7ee
redis-7.0 pool/main/r/redis/redis_7.0.15.orig.tar.gz 4b1dc4ee6d622a09fff9c6777191209750fb5e5a725ef78ea012d6eef4c22982
'

usage() {
  echo "usage: ${0##*/} [valkey-9.1|valkey-8.1|redis-7.0|all] ..." >&2
  exit 2
}

fail() {
  echo "${0##*/}: $*" >&2
  exit 1
}

# The archives that this machine's apt reads, one a line; DEBIAN_MIRROR goes first where it is set.
mirrors() {
  [ -z "${DEBIAN_MIRROR:-}" ] || echo "$DEBIAN_MIRROR"
  shopt -s nullglob
  local lists=(/etc/apt/sources.list.d/*.list) stanzas=(/etc/apt/sources.list.d/*.sources)
  [ ! -f /etc/apt/sources.list ] || lists+=(/etc/apt/sources.list)
  {
    [ ${#stanzas[@]} -eq 0 ] || sed -n 's/^URIs:[[:space:]]*//p' "${stanzas[@]}" | tr -s ' \t' '\n'
    [ ${#lists[@]} -eq 0 ] || sed -n 's/^deb\(-src\)\?[[:space:]]\+\(\[[^]]*\][[:space:]]\+\)\?\([^[:space:]]\+\).*/\3/p' "${lists[@]}"
  } | grep -E '^https?://' | awk '!seen[$0]++'
}

# fetch PATH SHA256 FILE: apt's own downloader, so that its proxy and credentials count; it checks the hash.
fetch() {
  local path=$1 sha=$2 file=$3 mirror tried=()
  while read -r mirror; do
    tried+=("$mirror")
    rm -f "$file"
    if /usr/lib/apt/apt-helper -o APT::Sandbox::User=root -qq download-file "${mirror%/}/$path" "$file" "SHA256:$sha" 2>"$file.err" &&
      echo "$sha  $file" | sha256sum --check --status; then
      return 0
    fi
  done < <(mirrors)
  [ ${#tried[@]} -gt 0 ] || fail "no archive found in apt's sources; set DEBIAN_MIRROR to a Debian mirror's address"
  cat "$file.err" >&2 || true
  fail "$path with SHA-256 $sha is at none of: ${tried[*]}.
If Debian has moved on to another upstream version, this script's table needs its path and hash (dists/SUITE/main/source/Sources
names both); or set DEBIAN_MIRROR to an archive that still has it."
}

build() {
  local name=$1 path=$2 sha=$3 work
  if [ -x "$peers/$name/bin/${name%%-*}-server" ]; then
    echo "$name: there"
    return 0
  fi
  command -v apt-get >/dev/null || fail "needs a Debian or Ubuntu machine"
  "$root/e2e/need.sh" gcc=cc make=make libc6-dev libssl-dev pkg-config=pkg-config xz-utils=xz tcl=tclsh procps=ps
  echo "$name: building (about two minutes on two cores)"
  work=$(mktemp -d "$peers/.$name.XXXXXX")
  # shellcheck disable=SC2064 # the name of now is meant
  trap "rm -rf '$work'" EXIT
  fetch "$path" "$sha" "$work/source.tar"
  mkdir "$work/tree" "$work/peer"
  tar -xf "$work/source.tar" -C "$work/tree" --strip-components=1
  # The tree lies inside this repository: its build must not take our commit for its own.
  export GIT_CEILING_DIRECTORIES=$peers
  if ! make -C "$work/tree" -j"$jobs" BUILD_TLS=yes >"$work/log" 2>&1; then
    tail -n 40 "$work/log" >&2
    fail "$name did not build"
  fi
  make -C "$work/tree/src" install PREFIX="$work/peer" USE_REDIS_SYMLINKS=no BUILD_TLS=yes >>"$work/log" 2>&1
  strip --strip-debug "$work"/peer/bin/*-{server,cli,benchmark}
  if [ "$name" = valkey-9.1 ]; then
    mkdir "$work/peer/suite"
    (cd "$work/tree" && cp -a tests utils runtest* valkey.conf sentinel.conf "$work/peer/suite/")
  fi
  rm -rf "${peers:?}/$name"
  mv "$work/peer" "$peers/$name"
  rm -rf "$work"
  trap - EXIT
  echo "$name: $("$peers/$name/bin/${name%%-*}-server" --version)"
}

[ $# -gt 0 ] || set -- all
mkdir -p "$peers"
# One build at a time: tests that run side by side may all ask for the peers.
exec 9>"$peers/.lock"
flock 9
for wanted in "$@"; do
  known=
  while read -r name path sha; do
    [ -n "$name" ] || continue
    if [ "$wanted" = all ] || [ "$wanted" = "$name" ]; then
      known=yes
      build "$name" "$path" "$sha"
    fi
  done <<<"$sources"
  [ -n "$known" ] || usage
done
