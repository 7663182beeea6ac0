#!/usr/bin/env bash
# run.sh [UNIT ...]: runs Valkey's own test suite, or these files of it, against our valkey-server. Environment:
#   SERVER    the server to judge; target/release/valkey-server
#   JOBS      files at a time; twice the number of cores, as most tests wait more than they work
#   LIMIT     seconds for one file; 600. A failed wait can hang a file.
#   OUT       folder for the log of each file; target/conformance
#   BASEPORT  the first port that the tests may use, with some 1000 more for each job; 21111
#   PAGE      a page to write the results into: the rows of these files, and all that is known to fail
# Each file runs by itself, so one that hangs or crashes costs only itself. Ours are the server and, as other names of it, the tools that
# check files; valkey-cli and valkey-benchmark are the real ones.
#
# What fails has to stand in known-failures.txt, with its reason: a failure that does not, and a test there that passes, are both
# errors. The last line counts every test once: "N passed, N failed" and, apart from both, those that are known to fail.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
peer=$(realpath "${PEERS_DIR:-$root/.cache/peers}")/valkey-9.1
server=$(realpath "${SERVER:-$root/target/release/valkey-server}")
out=$(mkdir -p "${OUT:-$root/target/conformance}" && realpath "${OUT:-$root/target/conformance}")
page=${PAGE:+$(realpath "$PAGE")}
"$root/e2e/need.sh" tcl=tclsh procps=ps

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/bin" "$work/verdicts"
for program in valkey-cli valkey-benchmark valkey-sentinel; do
  ln -s "$peer/bin/$program" "$work/bin/"
done
for program in valkey-server valkey-check-aof valkey-check-rdb; do
  ln -s "$server" "$work/bin/$program"
done

units=("$@")
if [ ${#units[@]} -eq 0 ]; then
  # The cluster's own tests are not for a server without cluster mode.
  mapfile -t units < <(cd "$peer/suite/tests" && find unit/*.tcl unit/type/*.tcl integration/*.tcl | sed 's/\.tcl$//')
fi

# one SLOT UNIT: runs a file with the suite's copy and the ports of a slot, and judges its log.
one() {
  local slot=$1 unit=$2 log=$out/${2//\//-}.log start=$SECONDS port
  # A copy: the suite writes beside its tests.
  [ -d "$work/suite-$slot" ] || cp -a "$peer/suite" "$work/suite-$slot"
  port=$((${BASEPORT:-21111} + slot * 1000))
  (cd "$work/suite-$slot" && VALKEY_BIN_DIR=$work/bin timeout --kill-after=10 "${LIMIT:-600}" ./runtest --clients 1 --durable --dump-logs \
    --baseport "$port" --portcount 900 --tags -cluster --timeout 300 --single "$unit") >"$log" 2>&1 </dev/null || true
  # The runner colours its words.
  sed -i 's/\x1b\[[0-9;]*m//g' "$log"
  awk -v unit="$unit" -f "$here/judge.awk" "$here/known-failures.txt" "$log" >"$work/verdicts/${unit//\//-}"
  sed -n "1s|\$| ($((SECONDS - start)) s)|; p" "$work/verdicts/${unit//\//-}" | sed 's/^verdict //'
}
export -f one
export out work peer here LIMIT BASEPORT

# Those that take longest begin first.
printf '%s\n' "${units[@]}" | awk '
  NR == FNR { seconds[$1] = $3; next }
  { print seconds[$1] + 0, $1 }' "$here/valkey-9.1.2.txt" - | sort -k1,1nr -k2 | cut -d' ' -f2 |
  xargs -P "${JOBS:-$(($(nproc) * 2))}" --process-slot-var=SLOT -I{} bash -c 'one "$SLOT" {}'

# Most tests wait for clocks. A file that fails beside others is run once more by itself, and what it does then counts; both are shown.
for unit in "${units[@]}"; do
  if awk '/^verdict / { exit $5 > 0 }' "$work/verdicts/${unit//\//-}"; then continue; fi
  echo "once more, by itself:"
  cp "$out/${unit//\//-}.log" "$out/${unit//\//-}.first.log"
  # At ports of its own: what a hanging file has started may still be there.
  one 9 "$unit"
done

cat "$work"/verdicts/* >"$work/all"
if [ -n "$page" ]; then
  awk -f "$here/page.awk" "$here/valkey-9.1.2.txt" "$here/known-failures.txt" "$page" "$work/all" >"$work/page"
  cp "$work/page" "$page"
fi
echo "logs: $out"
awk '
  /^verdict / { passed += $3; failed += $5; known += $7 }
  END { printf "test result: %d passed, %d failed, %d known to fail\n", passed, failed, known; exit failed > 0 }' "$work/all"
