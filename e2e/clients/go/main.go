// What a user of go-redis does, against the server at the port that is the first argument. It offers no client-side caching.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"sort"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

var ctx = context.Background()

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func equal(got, want any) {
	if !reflect.DeepEqual(got, want) {
		panic(fmt.Sprintf("%#v instead of %#v", got, want))
	}
}

func stringValues(r *redis.Client) {
	equal(must(r.Set(ctx, "greeting", "hello", 100*time.Second).Result()), "OK")
	equal(must(r.Get(ctx, "greeting").Result()), "hello")
	equal(must(r.SetNX(ctx, "greeting", "other", 0).Result()), false)
	equal(must(r.IncrBy(ctx, "counter", 42).Result()), int64(42))
	equal(r.Get(ctx, "absent").Err(), redis.Nil)
	must(r.MSet(ctx, "a", 1, "b", 2).Result())
	equal(must(r.MGet(ctx, "a", "b", "absent").Result()), []any{"1", "2", nil})
}

func hashes(r *redis.Client) {
	equal(must(r.HSet(ctx, "user", "name", "Ada", "year", 1815).Result()), int64(2))
	var user struct {
		Name string `redis:"name"`
		Year int    `redis:"year"`
	}
	if err := r.HGetAll(ctx, "user").Scan(&user); err != nil {
		panic(err)
	}
	equal(user.Name+fmt.Sprint(user.Year), "Ada1815")
	equal(must(r.HExpire(ctx, "user", time.Minute, "name").Result()), []int64{1})
}

func lists(r *redis.Client) {
	equal(must(r.RPush(ctx, "list", "a", "b", "c").Result()), int64(3))
	equal(must(r.LRange(ctx, "list", 0, -1).Result()), []string{"a", "b", "c"})
	popped := make(chan []string)
	go func() { popped <- must(r.BLPop(ctx, 20*time.Second, "queue").Result()) }()
	for !strings.Contains(must(r.Info(ctx, "clients").Result()), "blocked_clients:1") {
	}
	must(r.LPush(ctx, "queue", "job").Result())
	equal(<-popped, []string{"queue", "job"})
}

func sets(r *redis.Client) {
	must(r.SAdd(ctx, "set", "a", "b", "c").Result())
	must(r.SAdd(ctx, "more", "b", "c", "d").Result())
	both := must(r.SInter(ctx, "set", "more").Result())
	sort.Strings(both)
	equal(both, []string{"b", "c"})
}

func sortedSets(r *redis.Client) {
	must(r.ZAdd(ctx, "board", redis.Z{Score: 3, Member: "ann"}, redis.Z{Score: 1.5, Member: "bob"}).Result())
	equal(must(r.ZRangeWithScores(ctx, "board", 0, -1).Result()), []redis.Z{{Score: 1.5, Member: "bob"}, {Score: 3, Member: "ann"}})
	equal(must(r.ZIncrBy(ctx, "board", 2, "bob").Result()), 3.5)
	equal(must(r.ZPopMax(ctx, "board").Result()), []redis.Z{{Score: 3.5, Member: "bob"}})
}

func streams(r *redis.Client) {
	id := must(r.XAdd(ctx, &redis.XAddArgs{Stream: "log", Values: []string{"event", "start"}}).Result())
	equal(must(r.XGroupCreate(ctx, "log", "readers", "0").Result()), "OK")
	read := must(r.XReadGroup(ctx, &redis.XReadGroupArgs{Group: "readers", Consumer: "me", Streams: []string{"log", ">"}}).Result())
	equal(read[0].Stream+read[0].Messages[0].ID, "log"+id)
	equal(read[0].Messages[0].Values, map[string]any{"event": "start"})
	equal(must(r.XPending(ctx, "log", "readers").Result()).Consumers, map[string]int64{"me": 1})
	equal(must(r.XAck(ctx, "log", "readers", id).Result()), int64(1))
	equal(must(r.XInfoGroups(ctx, "log").Result())[0].Name, "readers")
}

func pipelines(r *redis.Client) {
	answers := must(r.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for i := range 1000 {
			pipe.Set(ctx, fmt.Sprint("p:", i), i, 0)
		}
		return nil
	}))
	equal(len(answers), 1000)
	seen := map[string]bool{}
	for keys := r.Scan(ctx, 0, "p:*", 100).Iterator(); keys.Next(ctx); {
		seen[keys.Val()] = true
	}
	equal(len(seen), 1000)
}

func transactions(r *redis.Client) {
	must(r.Set(ctx, "balance", 10, 0).Result())
	spend := func(meanwhile func()) error {
		return r.Watch(ctx, func(tx *redis.Tx) error {
			balance := must(tx.Get(ctx, "balance").Int())
			meanwhile()
			_, err := tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
				pipe.Set(ctx, "balance", balance-3, 0)
				return nil
			})
			return err
		}, "balance")
	}
	equal(spend(func() {}), nil)
	err := spend(func() { must(r.Set(ctx, "balance", 0, 0).Result()) })
	equal(errors.Is(err, redis.TxFailedErr), true)
	equal(must(r.Get(ctx, "balance").Result()), "0")
}

func messages(r *redis.Client) {
	listener := r.Subscribe(ctx, "news")
	defer listener.Close()
	must(listener.Receive(ctx))
	if err := listener.PSubscribe(ctx, "n*s"); err != nil {
		panic(err)
	}
	must(listener.Receive(ctx))
	equal(must(r.Publish(ctx, "news", "extra").Result()), int64(2))
	first, second := must(listener.ReceiveMessage(ctx)), must(listener.ReceiveMessage(ctx))
	equal([]string{first.Pattern, first.Payload, second.Pattern, second.Payload}, []string{"", "extra", "n*s", "extra"})
}

func scripts(r *redis.Client) {
	double := redis.NewScript("return redis.call('INCRBY', KEYS[1], ARGV[1] * 2)")
	equal(must(double.Run(ctx, r, []string{"n"}, 21).Int()), 42)
	_, err := r.Eval(ctx, "return redis.error_reply('MINE no')", nil).Result()
	equal(err.Error(), "MINE no")
	equal(must(r.Eval(ctx, "return {1, 'two', {3}}", nil).Result()), []any{int64(1), "two", []any{int64(3)}})
}

func main() {
	parts := []struct {
		name string
		run  func(*redis.Client)
	}{
		{"strings", stringValues}, {"hashes", hashes}, {"lists", lists}, {"sets", sets}, {"sorted sets", sortedSets}, {"streams", streams},
		{"pipelines", pipelines}, {"transactions", transactions}, {"messages", messages}, {"scripts", scripts},
	}
	for _, protocol := range []int{2, 3} {
		r := redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + os.Args[1], Protocol: protocol, ReadTimeout: 30 * time.Second})
		must(r.FlushAll(ctx).Result())
		for _, part := range parts {
			part.run(r)
			fmt.Printf("go RESP%d %s: ok\n", protocol, part.name)
		}
		r.Close()
	}
}
