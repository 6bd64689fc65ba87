//go:build unix

package cluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"expvar"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/bedplate/bedplate/workerpool/cluster"
)

var hello = http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, "hello") })

// exampleConfig is what master and workers of the examples have in common.
func exampleConfig() cluster.Config {
	return cluster.Config{
		Name:        "example",
		Workers:     2,
		Listen:      []cluster.Listen{{Name: "http", Network: "tcp", Address: "127.0.0.1:0"}, {Name: "udp", Network: "udp", Address: "127.0.0.1:0"}},
		ReportEvery: 10 * time.Millisecond,
		Work:        exampleWork,
	}
}

// exampleWork serves, counts, and answers messages.
func exampleWork(ctx context.Context, w *cluster.Worker) error {
	served := w.Counter("served")
	packets, err := w.PacketConn("udp")
	if err != nil {
		return err
	}
	defer packets.Close()
	go func() {
		for {
			m, err := w.Receive(ctx)
			if err != nil {
				return
			}
			answer := cluster.Message{Topic: "answer", Data: []byte(strings.ToUpper(string(m.Data)))}
			if err := w.Send(ctx, answer); err != nil {
				return
			}
		}
	}()
	return w.Serve(ctx, "http", &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		served.Add(1)
		hello(rw, r)
	})})
}

// startExample runs the example's cluster and returns when it is up. In a real
// program this is Run in main.
func startExample(change func(*cluster.Config)) (c *cluster.Cluster, done <-chan error) {
	cfg := exampleConfig()
	cfg.NoSignals = true
	up := make(chan struct{})
	cfg.Hooks.OnUp = func() { close(up) }
	if change != nil {
		change(&cfg)
	}
	c = cluster.MustNew(cfg)
	ended := make(chan error, 1)
	go func() { ended <- c.Run(context.Background()) }()
	<-up
	return c, ended
}

func fetch(c *cluster.Cluster) string {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get("http://" + c.Addr("http").String())
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return string(body)
}

// A web server of two processes. This is main of the program; the test runs it
// in the master, and its workers run it too.
func Example() {
	c, done := startExample(nil)
	fmt.Println(fetch(c))
	fmt.Println(c.Reload(context.Background())) // as SIGHUP does
	fmt.Println(fetch(c))
	fmt.Println(c.Drain(context.Background())) // as SIGTERM does
	fmt.Println(<-done)
	// Output:
	// hello
	// <nil>
	// hello
	// <nil>
	// <nil>
}

// The program of the package comment.
func ExampleCluster_Run() {
	c := cluster.MustNew(cluster.Config{
		Name:   "web",
		Listen: []cluster.Listen{{Name: "http", Network: "tcp", Address: ":8080"}},
		Work: func(ctx context.Context, w *cluster.Worker) error {
			return w.Serve(ctx, "http", &http.Server{Handler: hello})
		},
	})
	fmt.Println(c.Close()) // or this example would serve for ever
	err := c.Run(context.Background())
	fmt.Println(err)
	// Output:
	// <nil>
	// cluster: closed
}

func ExampleNew() {
	_, err := cluster.New(cluster.Config{Work: exampleWork, Workers: -1})
	fmt.Println(err)
	// Output: cluster: Config.Workers is -1, want 0 to 4096
}

func ExampleMustNew() {
	c := cluster.MustNew(exampleConfig())
	fmt.Println(c.Stats().State)
	// Output: idle
}

func ExampleCluster_Reload() {
	c, done := startExample(nil)
	fmt.Println(c.Reload(context.Background()), c.Stats().Starts)
	_ = c.Drain(context.Background())
	<-done
	// Output: <nil> 4
}

// An upgrade starts the program from the path it was called by.
func ExampleCluster_Upgrade() {
	c := cluster.MustNew(exampleConfig())
	fmt.Println(c.Upgrade(context.Background()))
	// Output: cluster: not running
}

func ExampleCluster_Resize() {
	c, done := startExample(nil)
	fmt.Println(c.Resize(3), c.Stats().Workers)
	_ = c.Drain(context.Background())
	<-done
	// Output: <nil> 3
}

func ExampleCluster_Send() {
	answers := make(chan string, 1)
	c, done := startExample(func(cfg *cluster.Config) {
		cfg.Hooks.OnMessage = func(slot int, m cluster.Message) { answers <- fmt.Sprintf("%s from %d: %s", m.Topic, slot, m.Data) }
	})
	err := c.Send(context.Background(), 1, cluster.Message{Topic: "question", Data: []byte("ready?")})
	fmt.Println(err)
	fmt.Println(<-answers)
	_ = c.Drain(context.Background())
	<-done
	// Output:
	// <nil>
	// answer from 1: READY?
}

func ExampleCluster_Broadcast() {
	var answers sync.WaitGroup
	answers.Add(2)
	c, done := startExample(func(cfg *cluster.Config) {
		cfg.Hooks.OnMessage = func(int, cluster.Message) { answers.Done() }
	})
	n, err := c.Broadcast(cluster.Message{Topic: "level", Data: []byte("debug")})
	fmt.Println(n, err)
	answers.Wait()
	_ = c.Drain(context.Background())
	<-done
	// Output: 2 <nil>
}

func ExampleCluster_Addr() {
	c, done := startExample(nil)
	fmt.Println(c.Addr("http").Network(), c.Addr("nothing"))
	_ = c.Drain(context.Background())
	<-done
	// Output: tcp <nil>
}

func ExampleCluster_Drain() {
	c, done := startExample(nil)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	err := c.Drain(ctx)
	if stop, ok := errors.AsType[*cluster.StopError](err); ok {
		for _, f := range stop.Forced {
			fmt.Println("did not end in time:", f.Pid)
		}
	}
	fmt.Println(err, <-done)
	// Output: <nil> <nil>
}

func ExampleCluster_Close() {
	c, done := startExample(nil)
	fmt.Println(c.Close(), <-done)
	// Output: <nil> cluster: closed
}

func ExampleCluster_Stats() {
	c, done := startExample(nil)
	for range 3 {
		fetch(c)
	}
	_ = c.Drain(context.Background())
	<-done
	v := expvar.Func(func() any { return c.Stats() }) // for expvar.Publish

	var s cluster.Stats
	_ = json.Unmarshal([]byte(v.String()), &s)
	fmt.Println(s.Name, s.State, s.Counters["served"], s.Exits)
	// Output: example stopped 3 map[stop:2]
}

// Work without a server: it takes a listener, says when it is ready, and ends
// with its context.
func ExampleWorker() {
	work := func(ctx context.Context, w *cluster.Worker) error {
		ln, err := w.Listener("echo")
		if err != nil {
			return err
		}
		defer context.AfterFunc(ctx, func() { _ = ln.Close() })()
		bytes := w.Counter("bytes")
		if err := w.Ready(); err != nil {
			return err
		}
		fmt.Printf("process %d of slot %d\n", w.Start(), w.Slot())
		for {
			conn, err := ln.Accept()
			if err != nil {
				// What is left to do has the time that Grace tells.
				grace, cancel := w.Grace(ctx)
				defer cancel()
				return grace.Err()
			}
			n, _ := io.Copy(conn, conn)
			bytes.Add(uint64(n))
			_ = conn.Close()
		}
	}
	_, err := cluster.New(cluster.Config{
		Name: "echo", Work: work,
		Listen: []cluster.Listen{{Name: "echo", Network: "tcp", Address: ":7"}},
	})
	fmt.Println(err)
	// Output: <nil>
}

// Commands from the master, and packets from the network.
func ExampleWorker_Receive() {
	work := func(ctx context.Context, w *cluster.Worker) error {
		conn, err := w.PacketConn("statsd")
		if err != nil {
			return err
		}
		defer conn.Close()
		go count(conn, w.Counter("packets"))
		if err := w.Ready(); err != nil {
			return err
		}
		for {
			m, err := w.Receive(ctx)
			if err != nil {
				return nil // asked to end
			}
			if err := w.Send(ctx, cluster.Message{Topic: "done", Data: m.Data}); err != nil {
				return err
			}
		}
	}
	_, err := cluster.New(cluster.Config{
		Name: "statsd", Work: work,
		Listen: []cluster.Listen{{Name: "statsd", Network: "udp", Address: ":8125"}},
	})
	fmt.Println(err)
	// Output: <nil>
}

func count(conn net.PacketConn, packets *cluster.Counter) {
	buf := make([]byte, 1<<16)
	for {
		if _, _, err := conn.ReadFrom(buf); err != nil {
			return
		}
		packets.Add(1)
	}
}

// The connections of Serve have the one below for who needs it.
func ExampleWorker_Serve() {
	noDelay := func(conn net.Conn) bool {
		if below, ok := conn.(interface{ NetConn() net.Conn }); ok {
			conn = below.NetConn()
		}
		tcp, ok := conn.(*net.TCPConn)
		return ok && tcp.SetNoDelay(true) == nil
	}
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	var w *cluster.Worker // what Work is given
	serve := w.Serve
	fmt.Println(noDelay(server), serve != nil)
	// Output: false true
}

// images are the Jobs of the examples, as package variables are in a program.
type images struct {
	*cluster.Jobs

	thumbnail *cluster.Func[[]byte, []byte]
}

func newImages() images {
	var jobs = cluster.MustNewJobs(cluster.JobsConfig{Name: "images", Workers: 2})
	var thumbnail = cluster.Register(jobs, "thumbnail", makeThumbnail)

	return images{jobs, thumbnail}
}

// makeThumbnail is what must not take the program with it.
func makeThumbnail(_ context.Context, picture []byte) ([]byte, error) {
	switch string(picture) {
	case "a bomb":
		select {}
	case "a crash":
		panic("index out of range")
	}
	return picture[:len(picture)/2], nil
}

// serveExample is main in a worker.
func serveExample(string) int {
	if newImages().Serve(context.Background()) {
		return 0
	}
	return 1
}

func ExampleJobs() {
	ctx := context.Background()
	i := newImages()
	defer i.Close()
	jobs, thumbnail, picture := i.Jobs, i.thumbnail, []byte("a picture.")

	if jobs.Serve(ctx) {
		return
	}
	small, err := thumbnail.Call(ctx, picture)

	fmt.Printf("%s %v\n", small, err)
	// Output: a pic <nil>
}

// A call that does not end is killed with its process.
func ExampleFunc_Call() {
	i := newImages()
	defer i.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err := i.thumbnail.Call(ctx, []byte("a bomb"))
	fmt.Println(err)

	_, err = i.thumbnail.Call(context.Background(), []byte("a crash"))
	fmt.Println(errors.Is(err, cluster.ErrPanic))

	small, err := i.thumbnail.Call(context.Background(), []byte("good"))
	fmt.Printf("%s %v\n", small, err)
	// Output:
	// context deadline exceeded
	// true
	// go <nil>
}

func ExampleNewJobs() {
	_, err := cluster.NewJobs(cluster.JobsConfig{Workers: -1})
	fmt.Println(err)
	// Output: cluster: JobsConfig.Workers is -1, want 0 to 4096
}

func ExampleRegister() {
	jobs := cluster.MustNewJobs(cluster.JobsConfig{Name: "sums"})
	add := cluster.Register(jobs, "add", func(_ context.Context, terms []int) (int, error) {
		sum := 0
		for _, n := range terms {
			sum += n
		}
		return sum, nil
	})
	fmt.Println(jobs.Close())
	_, err := add.Call(context.Background(), []int{1, 2})
	fmt.Println(err)
	// Output:
	// <nil>
	// cluster: closed
}

func ExampleJobs_Drain() {
	i := newImages()
	_, _ = i.thumbnail.Call(context.Background(), []byte("good"))
	fmt.Println(i.Drain(context.Background()), i.Stats().Alive)
	// Output: <nil> 0
}
