// Command memwatch shows package memwatch at work: a shop whose order service
// is healthy, then forgets to remove what is shipped, then starts a goroutine
// for each order that waits for ever. Each is told by its kind and its line
// within seconds, as the interval is short; in a service it is ten seconds.
// Then memory becomes short: a profile is written, and orders are given up.
// All of it is to be seen on a live page, whose address is printed first.
//
//	go run ./examples/memwatch
//	go run ./examples/memwatch -addr 127.0.0.1:8080 -for 10m
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"runtime/debug"
	"time"

	"github.com/bedplate/bedplate/memwatch"
)

const (
	interval = 40 * time.Millisecond
	pace     = 2 * time.Millisecond
	patience = time.Minute
)

func main() {
	addr := flag.String("addr", "127.0.0.1:0", "address of the live page; keep it where only operators are")
	keep := flag.Duration("for", 0, "how long to go on after the story, with a healthy shop, for those who look at the page")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout, *addr, *keep)
	if ctx.Err() != nil {
		err = nil // it was asked to end
	}
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

// order is what a customer wants.
type order struct {
	id    int
	items []byte
}

// shop handles orders, well or badly.
type shop struct {
	open    map[int]*order
	shipped chan int
	next    int
	parcel  []byte
}

func newShop() *shop {
	return &shop{open: make(map[int]*order), shipped: make(chan int)}
}

// place accepts an order and packs it, which makes garbage.
func (s *shop) place() *order {
	s.next++
	o := &order{id: s.next, items: make([]byte, 16<<10)}
	s.open[o.id] = o
	s.parcel = make([]byte, 64<<10)
	return o
}

// ship is what a healthy shop does with an order.
func (s *shop) ship(o *order) { delete(s.open, o.id) }

// notify waits until somebody asks for the order. Nobody does.
func (s *shop) notify(o *order) { s.shipped <- o.id }

// scenes are three ways to treat an order. The first is healthy, so it is
// watched until there is a verdict; the others until there is an alarm.
var scenes = []struct {
	name   string
	serve  func(*shop)
	enough memwatch.Verdict
	class  memwatch.Class
}{
	{"every order is shipped", func(s *shop) { s.ship(s.place()) }, memwatch.None, memwatch.Nothing},
	{"orders stay in the map", func(s *shop) { s.place() }, memwatch.Suspect, memwatch.Heap},
	{"each order leaves a goroutine", func(s *shop) {
		o := s.place()
		s.ship(o)
		go s.notify(o)
	}, memwatch.Suspect, memwatch.Goroutines},
}

// run tells the story. The page has a Watcher of its own, which is there for all
// of it, as in a service. Each scene begins with a new one, which knows nothing
// of those before: so it is sure sooner.
func run(ctx context.Context, out io.Writer, addr string, keep time.Duration) (err error) {
	watching, stop := context.WithCancel(ctx)
	w := memwatch.MustNew(memwatch.Config{Name: "shop", Interval: interval, Limit: 4 << 30})
	page, err := show(addr, w)
	if err != nil {
		stop()
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- w.Run(watching) }()
	defer func() {
		closed := page.close()
		stop()
		if late := <-ended; !errors.Is(late, context.Canceled) {
			err = errors.Join(err, late) // Run ends with its ctx
		}
		err = errors.Join(err, closed)
	}()
	fmt.Fprintf(out, "live: %s\n", page.url)

	for _, scene := range scenes {
		fmt.Fprintf(out, "== %s\n", scene.name)
		report, err := watch(ctx, scene.serve, scene.enough, scene.class)
		if err != nil {
			return fmt.Errorf("%s: %w", scene.name, err)
		}
		fmt.Fprintf(out, "%v\n", report)
	}
	fmt.Fprintln(out, "== memory is short")
	if err := short(ctx, out); err != nil {
		return err
	}
	goOn(ctx, keep)
	return nil
}

// short lets orders pile up under a limit. From pressure medium on a profile is
// written once, and at critical all orders are given up, until the pressure is
// normal again.
func short(ctx context.Context, out io.Writer) error {
	dir, err := os.MkdirTemp("", "memwatch")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) // a service keeps it
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var told []string
	giveUp := make(chan struct{}, 1)
	now := memwatch.MustNew(memwatch.Config{}).Snapshot()
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(int64(now.Total) + 64<<20)) // memwatch.SetLimit in a container
	w := memwatch.MustNew(memwatch.Config{
		Name: "shop", Interval: interval,
		Pressure: memwatch.PressureConfig{Fall: 5 * interval}, // a minute in a service
		Files:    memwatch.FilesConfig{Dir: dir, MaxFiles: 3},
		Actions: []memwatch.Action{
			{Name: "heap", At: memwatch.Medium, Write: memwatch.HeapProfile},
			{Name: "shed", At: memwatch.Critical, Do: func(context.Context, memwatch.Episode) error {
				giveUp <- struct{}{}
				return nil
			}},
		},
		Hooks: memwatch.Hooks{OnPressure: func(c memwatch.PressureChange) {
			told = append(told, fmt.Sprint(c.Pressure))
		}},
	})
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	s, serving := newShop(), true
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for serving {
		for range 10 {
			s.place()
		}
		select {
		case <-giveUp:
			clear(s.open)
			for serving && ctx.Err() == nil {
				s.ship(s.place())
				serving = w.Pressure().Level != memwatch.Normal || w.Stats().Actions[0].Busy
				<-tick.C
			}
		case <-tick.C:
		case <-ctx.Done():
			serving = false
		}
	}
	late := ctx.Err()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) || late != nil {
		return errors.Join(err, late)
	}
	for _, line := range told {
		fmt.Fprintln(out, line)
	}
	heap := w.Stats().Actions[0]
	if heap.Succeeded == 0 {
		return errors.New("no profile: " + heap.LastError)
	}
	fmt.Fprintf(out, "written: %s, %d bytes\n", heap.LastFile, w.Stats().FileBytes)
	return nil
}

// goOn runs a healthy shop for a while, so that the page has something to show.
func goOn(ctx context.Context, keep time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, keep)
	defer cancel()
	s := newShop()
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for ctx.Err() == nil {
		s.ship(s.place())
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// watch serves orders until the watcher's verdict is enough, with the class that
// the scene is about (with the race detector, whose own memory is outside of
// Go, that grows first) and the line.
func watch(ctx context.Context, serve func(*shop), enough memwatch.Verdict, class memwatch.Class) (memwatch.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	w := memwatch.MustNew(memwatch.Config{Name: "shop", Interval: interval, Limit: 4 << 30})
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; !errors.Is(err, ctx.Err()) {
			panic(err) // Run ends with its ctx
		}
	}()

	s := newShop()
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for {
		for range 10 {
			serve(s)
		}
		if s.next%500 == 0 {
			r := w.Analyze()
			named := len(r.Sites) > 0 || len(r.Goroutines) > 0
			if r.Verdict >= enough && (named && r.Class == class || class == memwatch.Nothing) {
				s.release()
				return r, nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return memwatch.Report{}, ctx.Err()
		}
	}
}

// release lets the goroutines of notify go, so that one scene does not burden
// the next.
func (s *shop) release() {
	for {
		select {
		case <-s.shipped:
		default:
			return
		}
	}
}
