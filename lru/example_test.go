package lru_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/bedplate/bedplate/lru"
)

func fetchUser(_ context.Context, id int) (string, error) {
	if id > 100 {
		return "", lru.ErrNotFound
	}
	return fmt.Sprint("user ", id), nil
}

func Example() {
	users := lru.MustNew(lru.Config[int, string]{Name: "users", Capacity: 10_000, TTL: time.Minute})

	users.Set(1, "Ada")
	name, ok := users.Get(1)
	fmt.Println(name, ok)

	name, err := users.GetOrLoad(context.Background(), 2, fetchUser)
	fmt.Println(name, err)
	// Output:
	// Ada true
	// user 2 <nil>
}

func ExampleNew() {
	_, err := lru.New(lru.Config[string, int]{Name: "sessions"})
	fmt.Println(err)
	c, err := lru.New(lru.Config[string, int]{Capacity: 100})
	fmt.Println(c.Len(), err)
	// Output:
	// lru: sessions: Config.Capacity is 0, want 1 to 2147483646
	// 0 <nil>
}

func ExampleNewLRU() {
	l, err := lru.NewLRU(lru.Config[string, int]{Capacity: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	l.Set("a", 1)
	l.Set("b", 2)
	l.Get("a")
	l.Set("c", 3)
	for key, value := range l.All() {
		fmt.Println(key, value)
	}
	// Output:
	// c 3
	// a 1
}

func ExampleMustNewLRU() {
	l := lru.MustNewLRU(lru.Config[int, int]{Capacity: 3})
	for i := range 5 {
		l.Set(i, i*i)
	}
	fmt.Println(l.Has(1), l.Has(2), l.Len())
	// Output: false true 3
}

func ExampleCache_Peek() {
	l := lru.MustNewLRU(lru.Config[string, int]{Capacity: 2})
	l.Set("a", 1)
	l.Set("b", 2)
	v, ok := l.Peek("a") // no use: a is still the oldest
	oldest, _, _ := l.Oldest()
	newest, _, _ := l.Newest()
	fmt.Println(v, ok, oldest, newest)
	// Output: 1 true a b
}

func ExampleCache_SetTTL() {
	c := lru.MustNew(lru.Config[string, int]{Capacity: 10, TTL: time.Minute})
	c.SetTTL("constant", 2, 0)
	c.SetTTL("token", 1, time.Nanosecond)
	for c.Has("token") {
		continue
	}
	fmt.Println(c.Has("constant"), c.RemoveExpired(), c.Len())
	// Output: true 1 1
}

func ExampleCache_Add() {
	c := lru.MustNew(lru.Config[string, int]{Capacity: 10})
	fmt.Println(c.Add("a", 1), c.Add("a", 2))
	// Output: true false
}

func ExampleCache_GetOrLoad() {
	c := lru.MustNew(lru.Config[int, string]{Capacity: 10, NegativeTTL: time.Minute})
	ctx := context.Background()
	fmt.Println(c.GetOrLoad(ctx, 1, fetchUser))
	fmt.Println(c.GetOrLoad(ctx, 1, fetchUser)) // from the cache
	_, err := c.GetOrLoad(ctx, 101, fetchUser)
	fmt.Println(errors.Is(err, lru.ErrNotFound), c.Stats().Loads)
	// Output:
	// user 1 <nil>
	// user 1 <nil>
	// true 2
}

func ExampleCache_BulkLoad() {
	c := lru.MustNew(lru.Config[int, string]{Capacity: 10})
	c.Set(1, "one")
	got, err := c.BulkLoad(context.Background(), []int{1, 2, 3}, func(_ context.Context, keys []int) (map[int]string, error) {
		fmt.Println("missing", keys)
		return map[int]string{2: "two"}, nil // 3 does not exist
	})
	fmt.Println(got, err)
	// Output:
	// missing [2 3]
	// map[1:one 2:two] <nil>
}

func ExampleCache_Compute() {
	c := lru.MustNew(lru.Config[string, int]{Capacity: 10})
	for range 3 {
		c.Compute("visits", func(n int, _ bool) (int, lru.Op) { return n + 1, lru.Store })
	}
	fmt.Println(c.Get("visits"))
	// Output: 3 true
}

func ExampleCache_Take() {
	c := lru.MustNew(lru.Config[string, string]{
		Capacity: 1,
		Hooks: lru.Hooks[string, string]{OnRemoved: func(r lru.Removed[string, string]) {
			fmt.Println("close", r.Value, r.Reason)
		}},
	})
	c.Set("a", "file a")
	c.Set("b", "file b")
	file, _ := c.Take("b") // ours to close now
	fmt.Println("took", file)
	c.Set("c", "file c")
	c.Delete("c")
	// Output:
	// close file a evicted
	// took file b
	// close file c deleted
}

func ExampleCache_Resize() {
	c := lru.MustNew(lru.Config[int, int]{
		Capacity: 4,
		Cost:     func(_, value int) int64 { return int64(value) },
	})
	for i := range 4 {
		c.Set(i, 10)
	}
	fmt.Println(c.Len(), c.Cost())
	err := c.Resize(2)
	fmt.Println(c.Len(), c.Cost(), err)
	c.Clear()
	fmt.Println(c.Len(), c.Cost())
	// Output:
	// 4 40
	// 2 20 <nil>
	// 0 0
}

func ExampleCache_Backward() {
	c := lru.MustNew(lru.Config[string, int]{Capacity: 3})
	c.Set("a", 1)
	c.Set("b", 2)
	c.Set("c", 3)
	for key, value := range c.Backward() {
		fmt.Println(key, value)
		c.Delete("c") // the loop holds no lock, and has its copy
	}
	for key := range c.Keys() {
		fmt.Println(key)
	}
	for value := range c.Values() {
		fmt.Println(value)
	}
	// Output:
	// a 1
	// b 2
	// c 3
	// b
	// a
	// 2
	// 1
}

func ExampleCache_Run() {
	c := lru.MustNew(lru.Config[string, int]{Capacity: 10, TTL: time.Minute, SweepEvery: 10 * time.Second})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	cancel()
	fmt.Println(<-done)
	// Output: context canceled
}

func ExampleCache_Save() {
	encode := func(dst []byte, key int, _ string) ([]byte, error) {
		return strconv.AppendInt(dst, int64(key), 10), nil
	}
	decode := func(src []byte) (int, string, error) {
		key, err := strconv.Atoi(string(src))
		return key, fmt.Sprint("user ", key), err
	}
	old := lru.MustNew(lru.Config[int, string]{Capacity: 10, TTL: time.Hour})
	old.Set(1, "user 1")
	old.Set(2, "user 2")
	var file bytes.Buffer
	fmt.Println(old.Save(&file, encode))

	restarted := lru.MustNew(lru.Config[int, string]{Capacity: 10, TTL: time.Hour})
	fmt.Println(restarted.Load(&file, decode))
	fmt.Println(restarted.Newest())
	// Output:
	// <nil>
	// 2 <nil>
	// 2 user 2 true
}
