// Command workerpool renders a picture in tiles on a pool of workers, beside
// one goroutine that does the same, and writes it as PNG.
//
//	go run ./examples/workerpool
//	go run ./examples/workerpool -size=1600 -out=/tmp/mandelbrot.png
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"log"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/bedplate/bedplate/workerpool"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("workerpool: ")
	size := flag.Int("size", 640, "width and height of the picture in pixels, 16 to 8192")
	workers := flag.Int("workers", runtime.GOMAXPROCS(0), "workers of the pool")
	out := flag.String("out", filepath.Join(os.TempDir(), "bedplate-workerpool.png"), "file to write")
	flag.Parse()
	if *size < 16 || *size > 8192 {
		log.Fatalf("-size is %d, want 16 to 8192", *size)
	}
	if *workers < 1 {
		log.Fatalf("-workers is %d, want ≥ 1", *workers)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout, *size, *workers, *out)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

// tileSize is the width and height of a tile in pixels.
const tileSize = 32

// run renders the picture twice, compares, and writes it to file.
func run(ctx context.Context, w io.Writer, size, workers int, file string) error {
	tiles := tilesOf(size)
	fmt.Fprintf(w, "%d × %d pixels in %d tiles\n", size, size, len(tiles))

	alone := image.NewRGBA(image.Rect(0, 0, size, size))
	start := time.Now()
	for _, t := range tiles {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		render(alone, t, size)
	}
	serial := time.Since(start)
	fmt.Fprintf(w, "one goroutine: %v\n", serial.Round(time.Millisecond))

	p, err := workerpool.New(workerpool.Config{Name: "render", Max: workers, SampleEvery: 1})
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()
	picture := image.NewRGBA(alone.Rect)
	start = time.Now()
	if err := renderIn(ctx, p, bar(w, len(tiles)), picture, tiles, size); err != nil {
		return err
	}
	pooled := time.Since(start)
	fmt.Fprintf(w, "%d workers: %v, %.2f times as fast\n", workers, pooled.Round(time.Millisecond), serial.Seconds()/pooled.Seconds())
	if string(picture.Pix) != string(alone.Pix) {
		return fmt.Errorf("the two pictures differ")
	}

	s := p.Stats()
	fmt.Fprintf(w, "%d tasks ran, %d had their times taken: %v on average, after a wait of %v\n",
		s.Completed, s.Runs.Count, mean(s.Runs), mean(s.Waits))
	if err := p.Drain(ctx); err != nil {
		return err
	}
	if err := write(file, picture); err != nil {
		return err
	}
	fmt.Fprintf(w, "written to %s\n", file)
	return nil
}

// renderIn renders the tiles in the pool. They come back in order, however
// long each takes, so progress can be told from this goroutine alone.
func renderIn(ctx context.Context, p *workerpool.Pool, progress func(done int), to *image.RGBA, tiles []image.Rectangle, size int) error {
	done := 0
	each := func(ctx context.Context, t image.Rectangle) (struct{}, error) {
		render(to, t, size) // tiles do not overlap, so this needs no mutex
		return struct{}{}, ctx.Err()
	}
	seq := func(yield func(image.Rectangle) bool) {
		for _, t := range tiles {
			if !yield(t) {
				return
			}
		}
	}
	for _, err := range workerpool.Stream(ctx, p, 0, seq, each) {
		if err != nil {
			return err
		}
		done++
		progress(done)
	}
	return nil
}

// bar returns a function that draws how far the work is: again and again in one
// line on a terminal, and once at the end elsewhere.
func bar(w io.Writer, total int) func(done int) {
	terminal := false
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	last := -1
	return func(done int) {
		percent := 100 * done / total
		if percent == last || !terminal && done < total {
			return
		}
		last = percent
		if terminal {
			fmt.Fprint(w, "\r")
		}
		fmt.Fprintf(w, "[%-50s] %3d %%", strings.Repeat("=", percent/2), percent)
		if done == total {
			fmt.Fprintln(w)
		}
	}
}

func tilesOf(size int) (tiles []image.Rectangle) {
	for y := 0; y < size; y += tileSize {
		for x := 0; x < size; x += tileSize {
			tiles = append(tiles, image.Rect(x, y, min(x+tileSize, size), min(y+tileSize, size)))
		}
	}
	return tiles
}

// render colours the points of one tile by how soon they leave the Mandelbrot
// set. Tiles within the set take many times as long as those far from it.
func render(to *image.RGBA, tile image.Rectangle, size int) {
	for y := tile.Min.Y; y < tile.Max.Y; y++ {
		for x := tile.Min.X; x < tile.Max.X; x++ {
			c := complex(-2.2+3.2*float64(x)/float64(size), -1.6+3.2*float64(y)/float64(size))
			to.SetRGBA(x, y, colour(escape(c)))
		}
	}
}

const iterations = 600

// escape is how many steps c takes to leave, smoothed; iterations if it stays.
func escape(c complex128) float64 {
	z := complex(0, 0)
	for i := range iterations {
		z = z*z + c
		if square := real(z)*real(z) + imag(z)*imag(z); square > 256 {
			return float64(i) + 1 - math.Log2(math.Log(square)/2)
		}
	}
	return iterations
}

func colour(steps float64) color.RGBA {
	if steps >= iterations {
		return color.RGBA{A: 255}
	}
	wave := func(phase float64) uint8 { return uint8(127.5 * (1 + math.Cos(0.22*steps+phase))) }
	return color.RGBA{R: wave(3.0), G: wave(3.6), B: wave(4.2), A: 255}
}

func mean(h workerpool.Histogram) time.Duration {
	if h.Count == 0 {
		return 0
	}
	return (h.Sum / time.Duration(h.Count)).Round(time.Microsecond)
}

func write(file string, picture image.Image) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // a second one, unless there was an error
	buffer := bufio.NewWriter(f)
	if err := png.Encode(buffer, picture); err != nil {
		return err
	}
	if err := buffer.Flush(); err != nil {
		return err
	}
	return f.Close()
}
