// What a user of ioredis does, against the server at the port that is the first argument. It offers no client-side caching.
import assert from "node:assert/strict";
import { Redis } from "ioredis";

const port = Number(process.argv[2]);
const connect = (options = {}) => new Redis({ port, maxRetriesPerRequest: 0, ...options });
const redis = connect();

const parts = {
  async strings() {
    assert.equal(await redis.set("greeting", "hello", "EX", 100), "OK");
    assert.equal(await redis.get("greeting"), "hello");
    assert.equal(await redis.set("greeting", "other", "NX"), null);
    assert.equal(await redis.incrby("counter", 42), 42);
    await redis.mset({ a: 1, b: 2 });
    assert.deepEqual(await redis.mget("a", "b", "absent"), ["1", "2", null]);
    assert.deepEqual(await redis.getBuffer("greeting"), Buffer.from("hello"));
  },
  async hashes() {
    assert.equal(await redis.hset("user", { name: "Ada", year: 1815 }), 2);
    assert.deepEqual(await redis.hgetall("user"), { name: "Ada", year: "1815" });
    assert.equal(await redis.hincrby("user", "year", 37), 1852);
  },
  async lists() {
    assert.equal(await redis.rpush("list", "a", "b", "c"), 3);
    assert.deepEqual(await redis.lrange("list", 0, -1), ["a", "b", "c"]);
    const other = connect();
    const popped = other.blpop("queue", 20);
    while (!(await redis.info("clients")).includes("blocked_clients:1"));
    await redis.lpush("queue", "job");
    assert.deepEqual(await popped, ["queue", "job"]);
    assert.equal(await other.blpop("absent", 0.1), null);
    other.disconnect();
  },
  async sets() {
    await redis.sadd("set", "a", "b", "c");
    await redis.sadd("more", "b", "c", "d");
    assert.deepEqual((await redis.sinter("set", "more")).sort(), ["b", "c"]);
    assert.equal(await redis.sismember("set", "x"), 0);
  },
  async sortedSets() {
    assert.equal(await redis.zadd("board", 3, "ann", 1.5, "bob", 2, "cy"), 3);
    assert.deepEqual(await redis.zrange("board", 0, -1, "WITHSCORES"), ["bob", "1.5", "cy", "2", "ann", "3"]);
    assert.equal(await redis.zincrby("board", 2, "bob"), "3.5");
  },
  async streams() {
    const id = await redis.xadd("log", "*", "event", "start");
    assert.deepEqual(await redis.xrange("log", "-", "+"), [[id, ["event", "start"]]]);
    await redis.xgroup("CREATE", "log", "readers", "0");
    const read = await redis.xreadgroup("GROUP", "readers", "me", "COUNT", 1, "STREAMS", "log", ">");
    assert.deepEqual(read, [["log", [[id, ["event", "start"]]]]]);
    assert.equal(await redis.xack("log", "readers", id), 1);
  },
  async pipelines() {
    const pipeline = redis.pipeline();
    for (let i = 0; i < 1000; i++) pipeline.set(`p:${i}`, i);
    assert.ok((await pipeline.exec()).every(([error, answer]) => error === null && answer === "OK"));
    const seen = new Set();
    for await (const keys of redis.scanStream({ match: "p:*", count: 100 })) keys.forEach((key) => seen.add(key));
    assert.equal(seen.size, 1000);
  },
  async transactions() {
    await redis.set("balance", 10);
    await redis.watch("balance");
    assert.deepEqual(await redis.multi().decrby("balance", 3).incrby("spent", 3).exec(), [[null, 7], [null, 3]]);
    await redis.watch("balance");
    const other = connect();
    await other.set("balance", 0);
    other.disconnect();
    assert.equal(await redis.multi().set("balance", 100).exec(), null);
    assert.equal(await redis.get("balance"), "0");
  },
  async messages() {
    const listener = connect();
    const heard = new Promise((resolve) => {
      const messages = [];
      const note = (...message) => messages.push(message) === 2 && resolve(messages.sort((a, b) => a.length - b.length));
      listener.on("message", note);
      listener.on("pmessage", note);
    });
    assert.equal(await listener.subscribe("news"), 1);
    assert.equal(await listener.psubscribe("n*s"), 2);
    assert.equal(await redis.publish("news", "extra"), 2);
    assert.deepEqual(await heard, [["news", "extra"], ["n*s", "news", "extra"]]);
    await listener.quit();
  },
  async scripts() {
    redis.defineCommand("twice", { numberOfKeys: 1, lua: "return redis.call('INCRBY', KEYS[1], ARGV[1] * 2)" });
    assert.equal(await redis.twice("n", 21), 42);
    await redis.script("FLUSH");
    assert.equal(await redis.twice("n", 21), 84);
    await assert.rejects(redis.eval("return redis.error_reply('MINE no')", 0), /MINE no/);
  },
  async autoPipelining() {
    const many = connect({ enableAutoPipelining: true });
    const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => many.get(`p:${i}`)));
    assert.deepEqual(answers, Array.from({ length: 100 }, (_, i) => String(i)));
    many.disconnect();
  },
};

await redis.flushall();
for (const [name, part] of Object.entries(parts)) {
  await part();
  console.log(`node ${name}: ok`);
}
await redis.quit();
