// Command stream writes a CSV file of a million rows, reads it, parses it on
// several goroutines, puts the rows into batches and adds them up, with a
// progress bar; then it encrypts the file into another and back, and compares
// the digests. Memory stays the same however long the file is.
//
//	go run ./examples/stream
//	go run ./examples/stream -rows=10000000
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/bedplate/bedplate/stream"
	"github.com/bedplate/bedplate/stream/seal"
)

func main() {
	log.SetFlags(0)
	rows := flag.Int("rows", 1_000_000, "how many rows the file has")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout, *rows)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer, rows int) error {
	dir, err := os.MkdirTemp("", "stream-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "orders.csv")

	fmt.Fprintf(out, "1. Write %d orders.\n", rows)
	b := newBar(out, "written")
	size, err := stream.ToFile(ctx, orders(rows).Progress(b.every, b.show), path)
	if err != nil {
		return err
	}
	b.total = uint64(size)

	fmt.Fprintln(out, "2. Read, parse, batch and add up.")
	b.begin("read")
	sums, err := report(ctx, stream.File(path).Progress(b.every, b.show))
	if err != nil {
		return err
	}
	count := 0
	for i, s := range sums {
		fmt.Fprintf(out, "   %-6s %8d orders %12d.%02d\n", regions[i], s.orders, s.cents/100, s.cents%100)
		count += s.orders
	}
	if count != rows {
		return fmt.Errorf("%d rows went in, %d came out", rows, count)
	}

	fmt.Fprintln(out, "3. Encrypt the file into another, and back.")
	sealed, back := filepath.Join(dir, "orders.sealed"), filepath.Join(dir, "orders.back")
	sealer, err := seal.New(seal.Config{Key: seal.RandomKey()})
	if err != nil {
		return err
	}
	encrypt := func(w io.Writer) (*seal.Writer, error) { return sealer.Writer(w, []byte("orders")) }
	decrypt := func(r io.Reader) (*seal.Reader, error) { return sealer.Reader(r, []byte("orders")) }
	b.begin("sealed")
	if _, err := stream.ToFile(ctx, stream.Through(stream.File(path).Progress(b.every, b.show), encrypt), sealed); err != nil {
		return err
	}
	b.begin("opened")
	if _, err := stream.ToFile(ctx, stream.Via(stream.File(sealed), decrypt).Progress(b.every, b.show), back); err != nil {
		return err
	}
	before, err := digest(ctx, path)
	if err != nil {
		return err
	}
	after, err := digest(ctx, back)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "   SHA-256 before %x, after %x\n", before[:6], after[:6])
	if before != after {
		return errors.New("what came back is not what went in")
	}

	fmt.Fprintln(out, "4. A sealed file that was cut off is an error, and leaves no file behind.")
	half := stream.File(sealed).Take(1)
	_, err = stream.ToFile(ctx, stream.Via(half, decrypt), filepath.Join(dir, "half"))
	_, stat := os.Stat(filepath.Join(dir, "half"))
	fmt.Fprintf(out, "   refused: %v, no file: %v\n", err != nil, errors.Is(stat, os.ErrNotExist))

	fmt.Fprintf(out, "At most %.1f MiB of heap were in use for a file of %.1f MiB.\n", mib(b.peak), mib(uint64(size)))
	return nil
}

var regions = []string{"north", "east", "south", "west"}

// orders are n lines of CSV and a header, as they would come from elsewhere.
// Lines go into chunks, since a write for each would take most of the time.
func orders(n int) stream.Stream[[]byte] {
	const linesAChunk = 500
	chunks := stream.Map(stream.Range(0, (n+linesAChunk-1)/linesAChunk), func(chunk int) []byte {
		var p []byte
		if chunk == 0 {
			p = append(p, "id,region,note,amount\n"...)
		}
		for id := chunk * linesAChunk; id < min(n, (chunk+1)*linesAChunk); id++ {
			p = strconv.AppendInt(p, int64(id), 10)
			p = append(p, ',')
			p = append(p, regions[id*7%len(regions)]...)
			p = append(p, ",\"say \"\"please\"\",\nthen \"\"thanks\"\"\","...)
			p = fmt.Appendf(p, "%d.%02d\n", id%1000, id%100)
		}
		return p
	})
	if n == 0 {
		return stream.Of([]byte("id,region,note,amount\n"))
	}
	return chunks
}

// order is what is of interest in a row.
type order struct {
	region int
	cents  int
}

// sum is what a region ordered.
type sum struct{ orders, cents int }

// report adds the orders in s up by region. Records are cut out of the bytes on
// one goroutine, parsed on several, a thousand at a time, and added up on the
// caller's.
func report(ctx context.Context, s stream.Stream[[]byte]) ([]sum, error) {
	records := stream.Records(s, stream.CSVFormat{}).Skip(1)
	parsed := stream.ParMap(stream.Batch(records, 1000, time.Second), stream.Parallel{Workers: runtime.GOMAXPROCS(0)}, parse)
	sums := make([]sum, len(regions))
	err := parsed.Run(ctx, func(batch []order) error {
		for _, o := range batch {
			sums[o.region].orders++
			sums[o.region].cents += o.cents
		}
		return nil
	})
	return sums, err
}

func parse(ctx context.Context, batch [][]byte) ([]order, error) {
	lines := stream.Map(stream.Of(batch...), func(record []byte) []byte { return append(record, '\n') })
	orders := make([]order, 0, len(batch))
	err := stream.CSV(lines, stream.CSVFormat{Fields: 4}).Run(ctx, func(row []string) error {
		o := order{region: -1}
		for i, name := range regions {
			if row[1] == name {
				o.region = i
			}
		}
		amount, err := strconv.Atoi(strings.Replace(row[3], ".", "", 1))
		if err != nil || o.region < 0 {
			return fmt.Errorf("order %q of %q in %q", row[0], row[3], row[1])
		}
		o.cents = amount
		orders = append(orders, o)
		return nil
	})
	return orders, err
}

func digest(ctx context.Context, path string) ([sha256.Size]byte, error) {
	h := sha256.New()
	_, err := stream.WriteTo(ctx, stream.File(path), h)
	return [sha256.Size]byte(h.Sum(nil)), err
}

// A bar shows how far a run has come, and remembers the most memory in use.
type bar struct {
	out   io.Writer
	what  string
	total uint64 // bytes, 0 if not known
	every time.Duration
	peak  uint64
}

func newBar(out io.Writer, what string) *bar {
	return &bar{out: out, what: what, every: 100 * time.Millisecond}
}

func (b *bar) begin(what string) { b.what = what }

func (b *bar) show(p stream.Progress) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.peak = max(b.peak, m.HeapAlloc)
	const width = 30
	done, end := 0, ""
	switch {
	case p.Done:
		done, end = width, "\n"
	case b.total > 0:
		done = int(width * min(p.Bytes, b.total) / b.total)
	}
	filled := bytes.Repeat([]byte("#"), done)
	fmt.Fprintf(b.out, "\r   [%-*s] %.1f MiB %s, %.0f MiB/s%s", width, filled, mib(p.Bytes), b.what,
		mib(p.Bytes)/max(p.Elapsed.Seconds(), 1e-9), end)
}

func mib(n uint64) float64 { return float64(n) / (1 << 20) }
