#!/usr/bin/env bash
# Feeds hostile input to everything that the server reads: make fuzz, or server/fuzz/run.sh SECONDS [TARGET...]; with 0 seconds it only
# builds what does it.
#
# What is found stays in .cache/fuzz/TARGET for the next run; what breaks the server is written to .cache/fuzz/TARGET.broken
# and belongs into corpus/TARGET with the repair.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:?how many seconds for each target}
shift
targets=("$@")
[ $# -gt 0 ] || mapfile -t targets < <(sed -n 's/^name = "\([a-z]*\)"$/\1/p' fuzz/Cargo.toml)
cache=$PWD/../.cache/fuzz
fuzz=${CARGO_FUZZ:-cargo-fuzz}

# The sanitizer and the coverage are not for the stable compiler by right, but it has them.
export RUSTC_BOOTSTRAP=1
export LSAN_OPTIONS=suppressions=$PWD/fuzz/leaks.txt:print_suppressions=0
# All targets in one go: they share nearly everything.
"$fuzz" fuzz build --target-dir ../target/fuzz
if [ "$seconds" = 0 ]; then exit 0; fi

# fuzz_one TARGET: what it says is shown when it has ended.
fuzz_one() {
    local target=$1 seeds=("fuzz/corpus/$1") log=$cache/$1.log
    mkdir -p "$cache/$target" "$cache/$target.broken"
    [ "$target" != rdb ] || seeds+=(tests/data/rdb)
    local end=0
    "$fuzz" fuzz run --target-dir ../target/fuzz "$target" "$cache/$target" "${seeds[@]}" -- \
        -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -malloc_limit_mb=256 -max_len=65536 \
        -artifact_prefix="$cache/$target.broken/" -print_final_stats=1 -verbosity=0 >"$log" 2>&1 || end=$?
    printf '== %s\n' "$target"
    if [ "$end" -eq 0 ]; then grep -E '^stat::(number_of_executed_units|peak_rss_mb)' "$log"; else cat "$log"; fi
    return "$end"
}

# As many at a time as there are processors.
mkdir -p "$cache"
running=0 broken=0
for target in "${targets[@]}"; do
    if [ "$running" -ge "$(nproc)" ]; then
        wait -n || broken=$((broken + 1))
        running=$((running - 1))
    fi
    fuzz_one "$target" &
    running=$((running + 1))
done
while [ "$running" -gt 0 ]; do
    wait -n || broken=$((broken + 1))
    running=$((running - 1))
done
[ "$broken" -eq 0 ] || { echo "hostile input broke $broken of ${#targets[@]} targets" >&2; exit 1; }
echo "${#targets[@]} targets fuzzed for $seconds s each, none broken"
