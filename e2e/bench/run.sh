#!/usr/bin/env bash
# run.sh: throughput and CPU time of our server beside the real Valkey 9.1 on this machine; prints medians, ours first. Each line is measured
# at one and right after it at the other, by turns first: a machine that is slower for a while is so for both. A ratio is the median of
# the rounds' ratios.
# Environment:
#   ROUNDS     how often each is measured; 3
#   SCALE      requests in percent of the full size (300,000 without pipelining, 2 and 4 million with 16 and 64 at a time); 100
#   TESTS      of those named below; "set get incr lpush lrange hset sadd zadd xadd mset eval"
#   SIZES      value sizes in bytes; "64 1024"
#   PIPELINES  requests at a time; "1 16 64"
#   PORT       7790, and the one after it
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
servers=()
trap '[ ${#servers[@]} = 0 ] || kill "${servers[@]}" 2>/dev/null || true; rm -rf "$work"' EXIT

# at WHICH COMMAND …: asks one of the two servers.
declare -A ports=([ours]=$port [real]=$((port + 1)))
at() { "$bin/valkey-cli" -p "${ports[$1]}" "${@:2}"; }

# CPU time of a server so far, in microseconds.
cpu() { at "$1" info cpu | tr -d '\r' | awk -F: '/^used_cpu_(sys|user):/ { us += $2 * 1e6 } END { printf "%.0f", us }'; }

start() {
  mkdir "$work/$1"
  taskset -c 0 "$2" --port "${ports[$1]}" --bind 127.0.0.1 --dir "$work/$1" --save '' --appendonly no >"$work/$1/log" 2>&1 &
  servers+=($!)
  until at "$1" ping >/dev/null 2>&1; do
    kill -0 "${servers[-1]}" 2>/dev/null || { cat "$work/$1/log" >&2; exit 1; }
    sleep 0.05
  done
}

# load WHICH TEST REQUESTS SIZE PIPELINE: valkey-benchmark's own test of that name, or the command that stands for it; prints a line of CSV.
load() {
  local what=(-t "$2")
  case $2 in
    lrange) # 100 elements a reply
      at "$1" del list:100 >/dev/null
      at "$1" eval "for i = 1, 100 do redis.call('RPUSH', 'list:100', ARGV[1]) end" 0 "$(printf '%*s' "$4" '' | tr ' ' x)" >/dev/null
      what=(-- LRANGE list:100 0 99) ;;
    eval) what=(-- EVAL "return redis.call('SET', KEYS[1], ARGV[1])" 1 key:__rand_int__ __data__) ;;
  esac
  taskset -c 1 "$bin/valkey-benchmark" -p "${ports[$1]}" -c 50 -n "$3" -r 1000000 -P "$5" -d "$4" --csv "${what[@]}" | tail -1 | sed 's/^"[^"]*"/test/; s/"//g'
}

# measure WHICH ROUND TEST REQUESTS SIZE PIPELINE: label,round,test,size,pipeline,requests per second,p50 ms,p99 ms,CPU us per request
measure() {
  local before row
  before=$(cpu "$1")
  row=$(load "$1" "$3" "$4" "$5" "$6")
  awk -F, -v head="$1,$2,$3,$5,$6" -v us=$(($(cpu "$1") - before)) -v n="$4" \
    '{ printf "%s,%s,%s,%s,%.3f\n", head, $2, $5, $7, us / n }' <<<"$row"
  case $3 in lpush) at "$1" del mylist ;; xadd) at "$1" del mystream ;; esac >/dev/null
}

# round N: all lines.
round() {
  local size pipeline requests n test which order=(ours real)
  [ $(($1 % 2)) = 1 ] || order=(real ours)
  for size in ${SIZES:-64 1024}; do
    for pipeline in ${PIPELINES:-1 16 64}; do
      case $pipeline in 1) requests=300000 ;; 16) requests=2000000 ;; *) requests=4000000 ;; esac
      requests=$((requests * ${SCALE:-100} / 100))
      for which in "${order[@]}"; do at "$which" flushall >/dev/null; done
      for test in "${tests[@]}"; do
        # What takes ten times as long for each request is asked for a tenth as often.
        case $test in lrange | mset | eval) n=$((requests / 10)) ;; *) n=$requests ;; esac
        for which in "${order[@]}"; do measure "$which" "$1" "$test" "$n" "$size" "$pipeline"; done
      done
    done
  done
}

: >"$out"
for ((n = 1; n <= ${ROUNDS:-3}; n++)); do
  echo "round $n" >&2
  start ours "$a"
  start real "$b"
  round "$n" >>"$out"
  for which in ours real; do at "$which" shutdown nosave >/dev/null 2>&1 || true; done
  wait "${servers[@]}" || true
  servers=()
  rm -r "$work/ours" "$work/real"
done

echo "command,bytes,pipeline: requests per second ours / real = ratio | CPU us per request ours / real = ratio"
sort -t, -k3,3 -k4,4n -k5,5n -k2,2n "$out" | awk -F, '
  function median(list,   n, v, i, j, t) {
    n = split(list, v, " ")
    for (i = 2; i <= n; i++) for (j = i; j > 1 && v[j - 1] + 0 > v[j] + 0; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
    return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
  }
  { key = $3 "," $4 "," $5; if (!(key in seen)) { seen[key] = 1; order[++count] = key }
    rps[key, $1] = rps[key, $1] " " $6; us[key, $1] = us[key, $1] " " $9
    other = $1 == "ours" ? "real" : "ours"; rate[key, $2, $1] = $6; cost[key, $2, $1] = $9
    if ((key, $2, other) in rate) {
      rates[key] = rates[key] " " rate[key, $2, "ours"] / rate[key, $2, "real"]
      costs[key] = costs[key] " " cost[key, $2, "ours"] / cost[key, $2, "real"]
    } }
  END { for (i = 1; i <= count; i++) { k = order[i]
    printf "%-14s %9.0f / %9.0f = %.2f | %6.2f / %6.2f = %.2f\n", k, median(rps[k, "ours"]), median(rps[k, "real"]), median(rates[k]),
      median(us[k, "ours"]), median(us[k, "real"]), median(costs[k]) } }'
echo "every figure: $out"
