#!/usr/bin/env bash
# run.sh [UNIT ...]: runs Valkey's own test suite, or these files of it, against our valkey-server. Environment:
#   SERVER    the server to judge; target/release/valkey-server
#   CLIENTS   test servers at a time; the number of cores
#   LIMIT     seconds for one file; 600. A failed wait can hang a file.
#   OUT       folder for the log of each file; target/conformance
# Each file runs by itself, so one that hangs or crashes costs only itself. The other programs (valkey-cli, valkey-check-rdb, ...) are
# the real ones: they judge what ours writes.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
peer=$(realpath "${PEERS_DIR:-$root/.cache/peers}")/valkey-9.1
server=$(realpath "${SERVER:-$root/target/release/valkey-server}")
out=${OUT:-$root/target/conformance}
"$root/e2e/need.sh" tcl=tclsh procps=ps

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# A copy: the suite writes beside its tests.
cp -a "$peer/suite" "$work/suite"
mkdir -p "$work/bin" "$out"
for program in valkey-cli valkey-benchmark valkey-check-aof valkey-check-rdb valkey-sentinel; do
  ln -s "$peer/bin/$program" "$work/bin/"
done
ln -s "$server" "$work/bin/valkey-server"

cd "$work/suite"
units=("$@")
if [ ${#units[@]} -eq 0 ]; then
  # The cluster's own tests are not for a server without cluster mode.
  mapfile -t units < <(cd tests && find unit/*.tcl unit/type/*.tcl integration/*.tcl | sed 's/\.tcl$//' | sort)
fi

passed=0 failed=0 broken=()
for unit in "${units[@]}"; do
  log=$out/${unit//\//-}.log
  start=$SECONDS
  VALKEY_BIN_DIR=$work/bin timeout --kill-after=10 "${LIMIT:-600}" ./runtest --clients "${CLIENTS:-$(nproc)}" --durable --dump-logs \
    --tags -cluster --timeout 300 --single "$unit" >"$log" 2>&1 </dev/null || true
  # The runner colours its words; the summary is there only when it came to its end.
  sed -i 's/\x1b\[[0-9;]*m//g' "$log"
  counts=$(sed -n 's/.*Test Summary: \([0-9]*\) passed, \([0-9]*\) failed.*/\1 \2/p' "$log" | tail -1)
  if [ -n "$counts" ]; then
    read -r p f <<<"$counts"
    verdict="$p passed, $f failed"
    passed=$((passed + p)) failed=$((failed + f))
  else
    p=$(grep -c '^\[ok\]' "$log" || true)
    f=$(grep -c '^\[\(err\|exception\)\]' "$log" || true)
    verdict="did not end; $p passed and $f failed before"
    passed=$((passed + p)) failed=$((failed + f)) broken+=("$unit")
  fi
  printf '%-45s %s (%d s)\n' "$unit" "$verdict" $((SECONDS - start))
done

printf '\n%d passed, %d failed, %d of %d files did not end: %s\n' "$passed" "$failed" "${#broken[@]}" "${#units[@]}" "${broken[*]:-none}"
echo "logs: $out"
[ "$failed" -eq 0 ] && [ ${#broken[@]} -eq 0 ]
