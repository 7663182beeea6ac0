import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import redis.clients.jedis.AbstractTransaction;
import redis.clients.jedis.DefaultJedisClientConfig;
import redis.clients.jedis.JedisPubSub;
import redis.clients.jedis.RedisClient;
import redis.clients.jedis.RedisProtocol;
import redis.clients.jedis.StreamEntryID;
import redis.clients.jedis.exceptions.JedisDataException;
import redis.clients.jedis.params.SetParams;
import redis.clients.jedis.params.XReadGroupParams;

/**
 * What a user of Jedis does, against the server at the port that is the first argument. Not its client-side caching: the library offers that
 * only for servers that call themselves "redis".
 */
public final class Main {
  private static void equal(Object got, Object wanted) {
    if (!Objects.equals(got, wanted)) {
      throw new AssertionError(got + " instead of " + wanted);
    }
  }

  static void strings(RedisClient r) {
    equal(r.set("greeting", "hello", SetParams.setParams().ex(100)), "OK");
    equal(r.get("greeting"), "hello");
    equal(r.set("greeting", "other", SetParams.setParams().nx()), null);
    equal(r.incrBy("counter", 42), 42L);
    r.mset("a", "1", "b", "2");
    equal(r.mget("a", "b", "absent").get(2), null);
  }

  static void hashes(RedisClient r) {
    equal(r.hset("user", Map.of("name", "Ada", "year", "1815")), 2L);
    equal(r.hgetAll("user"), Map.of("name", "Ada", "year", "1815"));
    equal(r.hincrBy("user", "year", 37), 1852L);
    equal(r.hexpire("user", 100, "name"), List.of(1L));
  }

  static void lists(RedisClient r) {
    equal(r.rpush("list", "a", "b", "c"), 3L);
    equal(r.lrange("list", 0, -1), List.of("a", "b", "c"));
    CompletableFuture<List<String>> popped = CompletableFuture.supplyAsync(() -> r.blpop(20, "queue"));
    while (!r.info("clients").contains("blocked_clients:1")) {
      Thread.onSpinWait();
    }
    r.lpush("queue", "job");
    equal(popped.join(), List.of("queue", "job"));
  }

  static void sets(RedisClient r) {
    r.sadd("set", "a", "b", "c");
    r.sadd("more", "b", "c", "d");
    equal(r.sinter("set", "more"), Set.of("b", "c"));
  }

  static void sortedSets(RedisClient r) {
    r.zadd("board", Map.of("ann", 3.0, "bob", 1.5));
    equal(r.zrangeWithScores("board", 0, -1).get(0).getElement(), "bob");
    equal(r.zincrby("board", 2, "bob"), 3.5);
    equal(r.zrevrank("board", "bob"), 0L);
  }

  static void streams(RedisClient r) {
    StreamEntryID id = r.xadd("log", StreamEntryID.NEW_ENTRY, Map.of("event", "start"));
    r.xgroupCreate("log", "readers", new StreamEntryID(0, 0), false);
    var read = r.xreadGroup("readers", "me", XReadGroupParams.xReadGroupParams().count(1),
        Map.of("log", StreamEntryID.XREADGROUP_UNDELIVERED_ENTRY));
    equal(read.get(0).getValue().get(0).getID(), id);
    equal(read.get(0).getValue().get(0).getFields(), Map.of("event", "start"));
    equal(r.xack("log", "readers", id), 1L);
  }

  static void pipelines(RedisClient r) {
    try (var pipeline = r.pipelined()) {
      for (int i = 0; i < 1000; i++) {
        pipeline.set("p:" + i, String.valueOf(i));
      }
      equal(pipeline.syncAndReturnAll().size(), 1000);
    }
    Set<String> seen = new HashSet<>();
    var pages = r.scanIteration(100, "p:*");
    while (!pages.isIterationCompleted()) {
      seen.addAll(pages.nextBatch().getResult());
    }
    equal(seen.size(), 1000);
  }

  static void transactions(RedisClient r) {
    r.set("balance", "10");
    try (AbstractTransaction transaction = r.transaction(false)) {
      transaction.watch("balance");
      transaction.multi();
      transaction.decrBy("balance", 3);
      equal(transaction.exec(), List.of(7L));
      transaction.watch("balance");
      r.set("balance", "0");
      transaction.multi();
      transaction.set("balance", "100");
      equal(transaction.exec(), null);
    }
    equal(r.get("balance"), "0");
  }

  static void messages(RedisClient r) {
    CompletableFuture<String> heard = new CompletableFuture<>();
    CompletableFuture<Void> subscribed = new CompletableFuture<>();
    JedisPubSub listener = new JedisPubSub() {
      @Override
      public void onSubscribe(String channel, int count) {
        subscribed.complete(null);
      }

      @Override
      public void onMessage(String channel, String message) {
        heard.complete(message);
        unsubscribe();
      }
    };
    CompletableFuture<Void> ended = CompletableFuture.runAsync(() -> r.subscribe(listener, "news"));
    subscribed.join();
    equal(r.publish("news", "extra"), 1L);
    equal(heard.join(), "extra");
    ended.join();
  }

  static void scripts(RedisClient r) {
    equal(r.eval("return redis.call('INCRBY', KEYS[1], ARGV[1] * 2)", List.of("n"), List.of("21")), 42L);
    equal(r.evalsha(r.scriptLoad("return {1, 'two'}", "n"), List.of("n"), List.of()), List.of(1L, "two"));
    try {
      r.eval("return redis.error_reply('MINE no')");
      throw new AssertionError("the script fails");
    } catch (JedisDataException e) {
      equal(e.getMessage(), "MINE no");
    }
  }

  public static void main(String[] args) {
    Map<String, Consumer<RedisClient>> parts = new java.util.LinkedHashMap<>();
    parts.put("strings", Main::strings);
    parts.put("hashes", Main::hashes);
    parts.put("lists", Main::lists);
    parts.put("sets", Main::sets);
    parts.put("sorted sets", Main::sortedSets);
    parts.put("streams", Main::streams);
    parts.put("pipelines", Main::pipelines);
    parts.put("transactions", Main::transactions);
    parts.put("messages", Main::messages);
    parts.put("scripts", Main::scripts);
    for (RedisProtocol protocol : List.of(RedisProtocol.RESP2, RedisProtocol.RESP3)) {
      var config = DefaultJedisClientConfig.builder().protocol(protocol).socketTimeoutMillis(30000).build();
      try (RedisClient r = RedisClient.builder().hostAndPort("127.0.0.1", Integer.parseInt(args[0])).clientConfig(config).build()) {
        r.flushAll();
        parts.forEach((name, part) -> {
          part.accept(r);
          System.out.println("java " + protocol + " " + name + ": ok");
        });
      }
    }
  }
}
