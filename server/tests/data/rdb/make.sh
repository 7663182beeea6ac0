#!/bin/sh
# Has a real server write the RDB files of this folder: ./make.sh <name> <server> <cli>, e.g.
#   ./make.sh valkey-9.1 .cache/peers/valkey-9.1/bin/valkey-server .cache/peers/valkey-9.1/bin/valkey-cli
# Makes <name>-values.rdb, -lru.rdb, -lfu.rdb, -plain.rdb, -streams.rdb, -functions.rdb and, where the server knows field expiry,
# -field-ttl.rdb. The tests of server/src/persistence/rdb say what each holds.
set -eu
name=$1 server=$(realpath "$2") cli=$(realpath "$3") here=$(cd "$(dirname "$0")" && pwd) port=${PORT:-7650}
work=$(mktemp -d)
trap 'kill $pid 2>/dev/null || true; rm -rf "$work"' EXIT
pid=

start() {
    "$server" --port "$port" --bind 127.0.0.1 --dir "$work" --save '' --daemonize no --logfile "$work/log" "$@" &
    pid=$!
    until "$cli" -p "$port" ping >"$work/ping" 2>&1 && grep -q PONG "$work/ping"; do kill -0 $pid; done
}
finish() { # the file's name
    "$cli" -p "$port" save >/dev/null
    cp "$work/dump.rdb" "$here/$name-$1.rdb"
    kill $pid
    wait $pid || true
    rm -f "$work/dump.rdb"
}
run() { "$cli" -p "$port" >"$work/answers"; ! grep -i '^(error)\|^ERR' "$work/answers"; }
numbered() { seq "$1" | sed "s/.*/ $2/" | tr -d '\n'; }

values() {
    far=4102444800000
    long=$(printf 'abcdefghij%.0s' $(seq 30))
    huge=$(printf '0123456789%.0s' $(seq 2000))
    run <<END
SET empty ""
SET text hello
SET int8 -5
SET int16 300
SET int32 -70000
SET int64 5000000000
SET binary "\x00\xff\r\n\x01"
SET compressible $long
SET expiring soon PXAT $far
RPUSH list:small a 1 -7 "" $long 5000000000
RPUSH list:nodes$(numbered 1200 'item:&')
RPUSH list:large before $huge after
SADD set:int 1 2 3 -4
SADD set:int64 1 5000000000 -5000000000
SADD set:text a b 3
SADD set:many$(numbered 300 'member:&')
HSET hash:small name value n 1 empty ""
HSET hash:many$(numbered 600 'field:& &')
ZADD zset:small 1.5 a -inf b +inf c 3 d 0.1 e
ZADD zset:many$(numbered 200 '&.5 member:&')
PEXPIREAT hash:small $far
SELECT 3
SET elsewhere yes
END
}

few() {
    run <<END
SET text $(printf 'abcdefghij%.0s' $(seq 30))
SET expiring soon PXAT 4102444800000
RPUSH list a b 3
END
}

start; values; finish values
start --maxmemory-policy allkeys-lru --maxmemory 1gb; few; finish lru
start --maxmemory-policy allkeys-lfu --maxmemory 1gb; few; finish lfu
start --rdbcompression no --rdbchecksum no; few; finish plain
# Not compressed, so that what we write can be compared byte by byte.
start --rdbcompression no
run <<END
XADD log 1-1 temperature 20 place kitchen
XADD log 1-2 temperature 21 place kitchen
XADD log 2-0 humidity 40
XADD log 3-5 temperature 22 place garden
XDEL log 1-2
XGROUP CREATE log readers 0
XGROUP CREATE log idle 2-0
XREADGROUP GROUP readers alice COUNT 2 STREAMS log >
XREADGROUP GROUP readers bob COUNT 1 STREAMS log >
XACK log readers 1-1
XGROUP CREATE fresh nobody $ MKSTREAM
XADD many 1-0 n 0
$(seq 300 | while read -r i; do echo "XADD many $((i + 1))-0 n $i"; done)
SET after streams
END
finish streams
start
"$cli" -p "$port" FUNCTION LOAD "#!lua name=lib
redis.register_function('f', function() return 1 end)" >/dev/null
run <<END
SET after functions
END
finish functions
if [ "$name" = valkey-9.1 ]; then
    start
    run <<END
HSET hash kept 1 timed 2 also 3
HPEXPIREAT hash 4102444800000 FIELDS 1 timed
SET after fields
END
    finish field-ttl
fi
