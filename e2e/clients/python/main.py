"""What a user of redis-py does, against the server at the port that is the first argument.

Not its client-side caching: the library offers that only for servers that call themselves "redis".
"""

import sys
import threading

import redis

PORT = int(sys.argv[1])


def strings(r):
    assert r.set("greeting", "hello", ex=100) is True
    assert r.get("greeting") == "hello"
    assert 0 < r.ttl("greeting") <= 100
    assert r.set("greeting", "other", nx=True) is None
    assert r.incrby("counter", 41) + r.incr("counter") == 83
    assert r.mset({"a": 1, "b": 2}) and r.mget("a", "b", "absent") == ["1", "2", None]
    assert r.getrange("greeting", 1, 3) == "ell"
    assert r.delete("greeting", "absent") == 1


def hashes(r):
    assert r.hset("user", mapping={"name": "Ada", "year": 1815}) == 2
    assert r.hgetall("user") == {"name": "Ada", "year": "1815"}
    assert r.hincrby("user", "year", 37) == 1852
    assert r.hmget("user", "name", "absent") == ["Ada", None]
    assert r.hexpire("user", 100, "name") == [1]
    assert dict(r.hscan_iter("user")) == {"name": "Ada", "year": "1852"}


def lists(r):
    assert r.rpush("list", "a", "b", "c") == 3
    assert r.lrange("list", 0, -1) == ["a", "b", "c"]
    assert r.lmove("list", "other", "LEFT", "RIGHT") == "a"
    assert list(r.blpop("list", timeout=5)) == ["list", "b"]
    assert r.blpop("absent", timeout=0.1) is None


def blocking(r):
    popped = []
    waiter = threading.Thread(target=lambda: popped.append(r.brpop("queue", timeout=20)))
    waiter.start()
    while r.info("clients")["blocked_clients"] < 1:
        pass
    r.lpush("queue", "job")
    waiter.join()
    assert list(popped[0]) == ["queue", "job"]


def sets(r):
    assert r.sadd("set", "a", "b", "c") == 3
    assert r.sadd("more", "b", "c", "d") == 3
    assert r.sinter("set", "more") == {"b", "c"}
    assert r.sismember("set", "a") and not r.sismember("set", "x")
    assert {*r.sscan_iter("set")} == {"a", "b", "c"}


def sorted_sets(r):
    assert r.zadd("board", {"ann": 3, "bob": 1.5, "cy": 2}) == 3
    assert [(m, float(s)) for m, s in r.zrange("board", 0, -1, withscores=True)] == [("bob", 1.5), ("cy", 2), ("ann", 3)]
    assert r.zrangebyscore("board", 2, "+inf") == ["cy", "ann"]
    assert r.zincrby("board", 2, "bob") == 3.5 and r.zrevrank("board", "bob") == 0
    assert sorted(m for m, _ in r.zscan_iter("board")) == ["ann", "bob", "cy"]


def streams(r):
    first = r.xadd("log", {"event": "start"})
    r.xadd("log", {"event": "stop"})
    assert [fields["event"] for _, fields in r.xrange("log")] == ["start", "stop"]
    assert r.xgroup_create("log", "readers", id="0")
    read = r.xreadgroup("readers", "me", {"log": ">"}, count=1)
    (entries,) = read.values() if isinstance(read, dict) else [entries for _, entries in read]
    # By protocol version and release, the entries of a stream come in a list of their own or not.
    entry = entries[0] if isinstance(entries[0][0], str) else entries[0][0]
    assert list(entry) == [first, {"event": "start"}]
    assert r.xpending("log", "readers")["pending"] == 1 and r.xack("log", "readers", first) == 1
    assert r.xinfo_stream("log")["length"] == 2


def pipelines(r):
    with r.pipeline(transaction=False) as pipe:
        for i in range(1000):
            pipe.set(f"p:{i}", i)
        assert all(pipe.execute())
    assert len({*r.scan_iter("p:*", count=100)}) == 1000


def transactions(r):
    r.set("balance", 10)
    with r.pipeline() as pipe:
        pipe.watch("balance")
        balance = int(pipe.get("balance"))
        pipe.multi()
        pipe.set("balance", balance - 3)
        pipe.incr("spent", 3)
        assert pipe.execute() == [True, 3]
        pipe.watch("balance")
        r.set("balance", 0)
        pipe.multi()
        pipe.set("balance", 100)
        try:
            pipe.execute()
            raise AssertionError("a watched key was changed")
        except redis.WatchError:
            pass
    assert r.get("balance") == "0"


def messages(r):
    with r.pubsub() as listener:
        listener.subscribe("news")
        listener.psubscribe("n*s")
        heard = []
        while len(heard) < 4:
            message = listener.get_message(timeout=20)
            assert message is not None
            heard.append((message["type"], message["data"]))
            if len(heard) == 2:
                assert r.publish("news", "extra") == 2
    assert heard == [("subscribe", 1), ("psubscribe", 2), ("message", "extra"), ("pmessage", "extra")]


def scripts(r):
    double = r.register_script("return redis.call('INCRBY', KEYS[1], ARGV[1] * 2)")
    assert double(keys=["n"], args=[21]) == 42
    assert r.eval("return {1, 'two', redis.status_reply('three')}", 0) == [1, "two", "three"]
    try:
        r.eval("return redis.error_reply('MINE no')", 0)
        raise AssertionError("the script fails")
    except redis.ResponseError as e:
        assert "no" in str(e)
    r.function_load("#!lua name=lib\nredis.register_function('twice', function(keys, args) return args[1] * 2 end)", replace=True)
    assert r.fcall("twice", 0, 4) == 8


def administration(r):
    assert r.ping()
    assert r.info("server")["valkey_version"] == "9.1.2"
    assert r.config_set("maxmemory-policy", "allkeys-lru") and r.config_get("maxmemory-policy") == {"maxmemory-policy": "allkeys-lru"}
    assert r.client_setname("py") and r.client_getname() == "py"
    assert r.memory_usage("n") > 0 and r.object("encoding", "n") == "int"
    assert "get" in r.command() and r.acl_whoami() == "default"


def main():
    parts = [strings, hashes, lists, blocking, sets, sorted_sets, streams, pipelines, transactions, messages, scripts, administration]
    for protocol in (2, 3):
        with redis.Redis(port=PORT, protocol=protocol, decode_responses=True, socket_timeout=30) as r:
            r.flushall()
            for part in parts:
                part(r)
                print(f"python RESP{protocol} {part.__name__}: ok", flush=True)


main()
