#!/usr/bin/env bash
# run.sh: throughput and CPU time of our server beside the real Valkey 9.1, turn about on this machine; prints medians, ours first.
# Environment:
#   ROUNDS     how often each is measured; 3
#   SCALE      requests in percent of the full size (300,000 without pipelining, 2 and 4 million with 16 and 64 at a time); 100
#   TESTS      of those named below; "set get incr lpush lrange hset sadd zadd xadd mset eval"
#   SIZES      value sizes in bytes; "64 1024"
#   PIPELINES  requests at a time; "1 16 64"
#   PORT       7790
#   OUT        file for every single figure; target/bench/throughput.csv
#   A, B       the two servers; target/release/valkey-server and the real one
# The server has CPU 0 for itself and the load generator CPU 1: what tells servers apart is CPU time per operation, for at
# one request at a time the kernel is what is measured.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
bin=${PEERS_DIR:-$root/.cache/peers}/valkey-9.1/bin
a=${A:-$root/target/release/valkey-server} b=${B:-$bin/valkey-server}
port=${PORT:-7790}
out=${OUT:-$root/target/bench/throughput.csv}
read -ra tests <<<"${TESTS:-set get incr lpush lrange hset sadd zadd xadd mset eval}"
mkdir -p "$(dirname "$out")"

work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT

cli() { "$bin/valkey-cli" -p "$port" "$@"; }

# CPU time of the server so far, in microseconds.
cpu() { cli info cpu | tr -d '\r' | awk -F: '/^used_cpu_(sys|user):/ { us += $2 * 1e6 } END { printf "%.0f", us }'; }

start() {
  taskset -c 0 "$1" --port "$port" --bind 127.0.0.1 --dir "$work" --save '' --appendonly no >"$work/log" 2>&1 &
  server=$!
  until cli ping >/dev/null 2>&1; do
    kill -0 "$server" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
    sleep 0.05
  done
}

stop() {
  cli shutdown nosave >/dev/null 2>&1 || true
  wait "$server" || true
  server=
}

# load TEST REQUESTS SIZE PIPELINE: valkey-benchmark's own test of that name, or the command that stands for it; prints a line of CSV.
load() {
  local what=(-t "$1")
  case $1 in
    lrange) # 100 elements a reply
      cli del list:100 >/dev/null
      cli eval "for i = 1, 100 do redis.call('RPUSH', 'list:100', ARGV[1]) end" 0 "$(printf '%*s' "$3" '' | tr ' ' x)" >/dev/null
      what=(-- LRANGE list:100 0 99) ;;
    eval) what=(-- EVAL "return redis.call('SET', KEYS[1], ARGV[1])" 1 key:__rand_int__ __data__) ;;
  esac
  taskset -c 1 "$bin/valkey-benchmark" -p "$port" -c 50 -n "$2" -r 1000000 -P "$4" -d "$3" --csv "${what[@]}" | tail -1 | sed 's/^"[^"]*"/test/; s/"//g'
}

# measure LABEL ROUND: one line a test: label,round,test,size,pipeline,requests per second,p50 ms,p99 ms,CPU us per request
measure() {
  local size pipeline requests n test before row
  for size in ${SIZES:-64 1024}; do
    for pipeline in ${PIPELINES:-1 16 64}; do
      case $pipeline in 1) requests=300000 ;; 16) requests=2000000 ;; *) requests=4000000 ;; esac
      requests=$((requests * ${SCALE:-100} / 100))
      cli flushall >/dev/null
      for test in "${tests[@]}"; do
        # What takes ten times as long for each request is asked for a tenth as often.
        case $test in lrange | mset | eval) n=$((requests / 10)) ;; *) n=$requests ;; esac
        before=$(cpu)
        row=$(load "$test" "$n" "$size" "$pipeline")
        awk -F, -v head="$1,$2,$test,$size,$pipeline" -v us=$(($(cpu) - before)) -v n="$n" \
          '{ printf "%s,%s,%s,%s,%.3f\n", head, $2, $5, $7, us / n }' <<<"$row"
        case $test in lpush) cli del mylist ;; xadd) cli del mystream ;; esac >/dev/null
      done
    done
  done
}

: >"$out"
for ((round = 1; round <= ${ROUNDS:-3}; round++)); do
  for which in ours real; do
    echo "round $round: $which" >&2
    if [ "$which" = ours ]; then start "$a"; else start "$b"; fi
    measure "$which" "$round" >>"$out"
    stop
  done
done

echo "command,bytes,pipeline: requests per second ours / real = ratio | CPU us per request ours / real = ratio"
sort -t, -k3,3 -k4,4n -k5,5n "$out" | awk -F, '
  function median(list,   n, v, i, j, t) {
    n = split(list, v, " ")
    for (i = 2; i <= n; i++) for (j = i; j > 1 && v[j - 1] + 0 > v[j] + 0; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
    return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
  }
  { key = $3 "," $4 "," $5; if (!(key in seen)) { seen[key] = 1; order[++count] = key }
    rps[key, $1] = rps[key, $1] " " $6; us[key, $1] = us[key, $1] " " $9 }
  END { for (i = 1; i <= count; i++) { k = order[i]
    ra = median(rps[k, "ours"]); rb = median(rps[k, "real"]); ua = median(us[k, "ours"]); ub = median(us[k, "real"])
    printf "%-14s %9.0f / %9.0f = %.2f | %6.2f / %6.2f = %.2f\n", k, ra, rb, ra / rb, ua, ub, ua / ub } }'
echo "every figure: $out"
