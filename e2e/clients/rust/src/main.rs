//! What a user of redis-rs does, against the server at the port that is the first argument.

use std::collections::{BTreeMap, BTreeSet};

use redis::streams::{StreamReadOptions, StreamReadReply};
use redis::{Client, Commands, Connection, ErrorKind, RedisResult, Script, Value, cmd, pipe, transaction};

fn strings(r: &mut Connection) -> RedisResult<()> {
    let _: () = r.set_ex("greeting", "hello", 100)?;
    assert_eq!(r.get::<_, String>("greeting")?, "hello");
    assert!(!r.set_nx::<_, _, bool>("greeting", "other")?);
    assert_eq!(r.incr::<_, _, i64>("counter", 42)?, 42);
    let _: () = r.mset(&[("a", 1), ("b", 2)])?;
    assert_eq!(r.mget::<_, Vec<Option<i64>>>(&["a", "b", "absent"])?, [Some(1), Some(2), None]);
    Ok(())
}

fn hashes(r: &mut Connection) -> RedisResult<()> {
    let _: () = r.hset_multiple("user", &[("name", "Ada"), ("year", "1815")])?;
    let user: BTreeMap<String, String> = r.hgetall("user")?;
    assert_eq!(user["name"].clone() + &user["year"], "Ada1815");
    assert_eq!(r.hincr::<_, _, _, i64>("user", "year", 37)?, 1852);
    Ok(())
}

fn lists(r: &mut Connection, other: &mut Connection) -> RedisResult<()> {
    assert_eq!(r.rpush::<_, _, i64>("list", &["a", "b", "c"])?, 3);
    assert_eq!(r.lrange::<_, Vec<String>>("list", 0, -1)?, ["a", "b", "c"]);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| other.blpop::<_, (String, String)>("queue", 20.0));
        while !cmd("INFO").arg("clients").query::<String>(r)?.contains("blocked_clients:1") {}
        let _: () = r.lpush("queue", "job")?;
        assert_eq!(waiter.join().unwrap()?, ("queue".to_owned(), "job".to_owned()));
        Ok(())
    })
}

fn sets(r: &mut Connection) -> RedisResult<()> {
    let _: () = r.sadd("set", &["a", "b", "c"])?;
    let _: () = r.sadd("more", &["b", "c", "d"])?;
    assert_eq!(r.sinter::<_, BTreeSet<String>>(&["set", "more"])?, ["b", "c"].map(String::from).into());
    Ok(())
}

fn sorted_sets(r: &mut Connection) -> RedisResult<()> {
    let _: () = r.zadd_multiple("board", &[(3.0, "ann"), (1.5, "bob")])?;
    let board: Vec<(String, f64)> = r.zrange_withscores("board", 0, -1)?;
    assert_eq!(board, [("bob".to_owned(), 1.5), ("ann".to_owned(), 3.0)]);
    assert_eq!(r.zincr::<_, _, _, f64>("board", "bob", 2)?, 3.5);
    Ok(())
}

fn streams(r: &mut Connection) -> RedisResult<()> {
    let id: String = r.xadd("log", "*", &[("event", "start")])?;
    let _: () = r.xgroup_create("log", "readers", "0")?;
    let options = StreamReadOptions::default().group("readers", "me").count(1);
    let read: Option<StreamReadReply> = r.xread_options(&["log"], &[">"], &options)?;
    let entry = &read.unwrap().keys[0].ids[0];
    assert_eq!((entry.id.clone(), entry.get::<String>("event")), (id.clone(), Some("start".to_owned())));
    assert_eq!(r.xack::<_, _, _, i64>("log", "readers", &[id])?, 1);
    Ok(())
}

fn pipelines(r: &mut Connection) -> RedisResult<()> {
    let mut many = pipe();
    (0..1000).for_each(|i| {
        many.set(format!("p:{i}"), i).ignore();
    });
    let _: () = many.query(r)?;
    let keys: BTreeSet<String> = r.scan_match("p:*")?.collect::<RedisResult<_>>()?;
    assert_eq!(keys.len(), 1000);
    Ok(())
}

fn transactions(r: &mut Connection, other: &mut Connection) -> RedisResult<()> {
    let _: () = r.set("balance", 10)?;
    let mut tries = 0;
    let (left,): (i64,) = transaction(r, &["balance"], |r, pipe| {
        let balance: i64 = r.get("balance")?;
        tries += 1;
        if tries == 1 {
            // The first try finds that the key was changed.
            let _: () = other.set("balance", 20)?;
        }
        pipe.set("balance", balance - 3).ignore().get("balance").query(r)
    })?;
    assert_eq!((left, tries), (17, 2));
    Ok(())
}

fn messages(r: &mut Connection, other: &mut Connection) -> RedisResult<()> {
    let mut listener = other.as_pubsub();
    listener.subscribe("news")?;
    listener.psubscribe("n*s")?;
    assert_eq!(r.publish::<_, _, i64>("news", "extra")?, 2);
    for pattern in [None, Some("n*s".to_owned())] {
        let message = listener.get_message()?;
        assert_eq!(message.get_payload::<String>()?, "extra");
        assert_eq!(message.get_pattern::<Option<String>>()?, pattern);
    }
    Ok(())
}

fn scripts(r: &mut Connection) -> RedisResult<()> {
    let double = Script::new("return redis.call('INCRBY', KEYS[1], ARGV[1] * 2)");
    assert_eq!(double.key("n").arg(21).invoke::<i64>(r)?, 42);
    let failed = cmd("EVAL").arg("return redis.error_reply('MINE no')").arg(0).query::<Value>(r).unwrap_err();
    assert_eq!((failed.kind(), failed.code()), (ErrorKind::Extension, Some("MINE")));
    Ok(())
}

/// What was read once is not asked for again, until somebody changes it.
async fn caching(client: &Client, r: &mut Connection) -> RedisResult<()> {
    use redis::AsyncCommands;
    let config = redis::AsyncConnectionConfig::new().set_cache_config(redis::caching::CacheConfig::new());
    let mut cached = client.get_multiplexed_async_connection_with_config(&config).await?;
    let _: () = Commands::set(r, "cached", 1)?;
    for _ in 0..3 {
        assert_eq!(AsyncCommands::get::<_, i64>(&mut cached, "cached").await?, 1);
    }
    let statistics = cached.get_cache_statistics().expect("it caches");
    assert_eq!((statistics.hit, statistics.miss), (2, 1));
    let _: () = Commands::set(r, "cached", 2)?;
    for _ in 0..1000 {
        if AsyncCommands::get::<_, i64>(&mut cached, "cached").await? == 2 {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("nobody told that the key was changed");
}

fn main() -> RedisResult<()> {
    let port = std::env::args().nth(1).expect("a port");
    for protocol in ["resp2", "resp3"] {
        let client = Client::open(format!("redis://127.0.0.1:{port}/?protocol={protocol}"))?;
        let (mut first, mut second) = (client.get_connection()?, client.get_connection()?);
        let (r, other) = (&mut first, &mut second);
        let _: () = cmd("FLUSHALL").query(r)?;
        let told = |name: &str| println!("rust {protocol} {name}: ok");
        strings(r).map(|()| told("strings"))?;
        hashes(r).map(|()| told("hashes"))?;
        lists(r, other).map(|()| told("lists"))?;
        sets(r).map(|()| told("sets"))?;
        sorted_sets(r).map(|()| told("sorted sets"))?;
        streams(r).map(|()| told("streams"))?;
        pipelines(r).map(|()| told("pipelines"))?;
        transactions(r, other).map(|()| told("transactions"))?;
        messages(r, other).map(|()| told("messages"))?;
        scripts(r).map(|()| told("scripts"))?;
        if protocol == "resp3" {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(caching(&client, r)).map(|()| told("caching"))?;
        }
    }
    Ok(())
}
