#!/usr/bin/env bash
# Feeds hostile input to everything that the server reads: make fuzz, or server/fuzz/run.sh SECONDS [TARGET...]
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
# All targets in one go: they share nearly everything.
"$fuzz" fuzz build --target-dir ../target/fuzz
failed=()
for target in "${targets[@]}"; do
    mkdir -p "$cache/$target" "$cache/$target.broken"
    echo "== $target"
    seeds=("fuzz/corpus/$target")
    [ "$target" != rdb ] || seeds+=(tests/data/rdb)
    "$fuzz" fuzz run --target-dir ../target/fuzz "$target" "$cache/$target" "${seeds[@]}" -- \
        -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -malloc_limit_mb=256 -max_len=65536 \
        -artifact_prefix="$cache/$target.broken/" -print_final_stats=1 -verbosity=0 || failed+=("$target")
done
[ ${#failed[@]} -eq 0 ] || { echo "broken by hostile input: ${failed[*]}" >&2; exit 1; }
