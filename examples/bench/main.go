// Command bench runs the comparisons with peers and prints ours beside them.
//
//	make bench-peers PKG=breaker
//	cd examples/bench && go run . -rounds=7 -benchtime=200ms breaker bulkhead
//	make bench-table
//
// Each round runs every benchmark of a package once, in one process, so that
// drift of the machine touches all rows alike. A time is the median over the
// rounds; a ratio is the median of the rounds' own ratios. goals.txt beside the
// benchmarks names the ratios to reach, "<benchmark> <peer> <largest ratio>" a
// line.
//
// With -table it runs what readme.txt lists and writes the table of that file.
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"time"
)

const (
	ours  = "bedplate"
	floor = "floor"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("bench: ")
	rounds := flag.Int("rounds", 7, "rounds; medians are taken over them")
	benchtime := flag.String("benchtime", "200ms", "time for each benchmark in each round, as go test takes it")
	match := flag.String("bench", ".", "benchmarks to run, as go test takes them")
	readme := flag.String("table", "", "write the table of this README, with the rows of readme.txt")
	flag.Parse()
	if *rounds < 1 {
		log.Fatalf("-rounds is %d, want ≥ 1", *rounds)
	}
	if *readme != "" {
		if err := writeTable(*readme, *rounds, *benchtime, about(*rounds, *benchtime)); err != nil {
			log.Fatal(err)
		}
		return
	}
	packages := flag.Args()
	if len(packages) == 0 {
		found, err := filepath.Glob("*/bench_test.go")
		if err != nil || len(found) == 0 {
			log.Fatal("no <package>/bench_test.go below the current folder")
		}
		for _, file := range found {
			packages = append(packages, filepath.Dir(file))
		}
	}
	header(os.Stdout)
	for _, pkg := range packages {
		table, err := measure(pkg, *rounds, *benchtime, *match)
		if err != nil {
			log.Fatal(err)
		}
		table.print(os.Stdout, pkg)
		goals, err := readGoals(filepath.Join(pkg, "goals.txt"))
		if err != nil {
			log.Fatal(err)
		}
		table.judge(os.Stdout, goals)
	}
}

// header tells what the numbers were measured with.
func header(w io.Writer) {
	fmt.Fprintf(w, "%s, %d processors, %s %s/%s, %s\n", cpuModel(), runtime.GOMAXPROCS(0),
		runtime.Version(), runtime.GOOS, runtime.GOARCH, time.Now().Format(time.DateOnly))
	fmt.Fprintf(w, "command: go run . %s\n", strings.Join(os.Args[1:], " "))
}

// about is header as a sentence above a table.
func about(rounds int, benchtime string) string {
	return fmt.Sprintf("Nanoseconds a call unless it says otherwise: medians of %d rounds of %s on %s, %d processors, %s, %s, by `make bench-table`. `DESIGN.md` of each package has more, and what is slower.",
		rounds, benchtime, cpuModel(), runtime.GOMAXPROCS(0), runtime.Version(), time.Now().Format(time.DateOnly))
}

func cpuModel() string {
	data, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.Lines(string(data)) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				return strings.TrimSpace(value)
			}
		}
	}
	return "unknown CPU"
}

// sample is one benchmark's line in one round.
type sample struct {
	ns     float64
	allocs float64
}

// table holds rows in the order they ran: row → peer → one sample a round.
type table struct {
	order []string
	rows  map[string]map[string][]sample
}

func measure(pkg string, rounds int, benchtime, match string) (*table, error) {
	dir, err := os.MkdirTemp("", "bedplate-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "bench.test")
	if out, err := exec.Command("go", "test", "-c", "-o", binary, "./"+filepath.ToSlash(pkg)).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go test -c ./%s: %w\n%s", pkg, err, out)
	}
	t := &table{rows: make(map[string]map[string][]sample)}
	for round := range rounds {
		fmt.Fprintf(os.Stderr, "%s: round %d of %d\n", pkg, round+1, rounds)
		cmd := exec.Command(binary, "-test.run=^$", "-test.bench="+match, "-test.benchmem", "-test.benchtime="+benchtime)
		cmd.Dir = pkg
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, os.Stderr
		if err := cmd.Run(); err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", pkg, err, out.Bytes())
		}
		t.add(out.Bytes(), runtime.GOMAXPROCS(0))
	}
	return t, nil
}

// add takes the result lines of one round; other lines are passed over.
func (t *table) add(out []byte, procs int) {
	scanner := bufio.NewScanner(bytes.NewReader(out))
	for scanner.Scan() {
		fields := strings.Fields(scanner.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name := strings.TrimPrefix(fields[0], "Benchmark")
		if procs > 1 {
			name = strings.TrimSuffix(name, "-"+strconv.Itoa(procs))
		}
		row, peer := split(name)
		var s sample
		for i := 2; i+1 < len(fields); i += 2 {
			value, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				continue
			}
			switch fields[i+1] {
			case "ns/op":
				s.ns = value
			case "allocs/op":
				s.allocs = value
			}
		}
		if t.rows[row] == nil {
			t.rows[row] = make(map[string][]sample)
			t.order = append(t.order, row)
		}
		t.rows[row][peer] = append(t.rows[row][peer], s)
	}
}

// split takes "Closed/calls=2/peer=gobreaker" apart into row and peer. A
// benchmark without a peer is a row of ours alone.
func split(name string) (row, peer string) {
	var rest []string
	peer = ours
	for part := range strings.SplitSeq(name, "/") {
		if p, ok := strings.CutPrefix(part, "peer="); ok {
			peer = p
		} else {
			rest = append(rest, part)
		}
	}
	return strings.Join(rest, "/"), peer
}

// ns is the median time of a peer in a row.
func (t *table) ns(row, peer string) float64 {
	var values []float64
	for _, s := range t.rows[row][peer] {
		values = append(values, s.ns)
	}
	return median(values)
}

// allocs is the largest count over the rounds: a promise holds in every one.
func (t *table) allocs(row, peer string) float64 {
	most := 0.0
	for _, s := range t.rows[row][peer] {
		most = max(most, s.allocs)
	}
	return most
}

// ratio is the median over the rounds of our time divided by the peer's.
func (t *table) ratio(row, peer string) (float64, bool) {
	mine, theirs := t.rows[row][ours], t.rows[row][peer]
	if len(mine) == 0 || len(mine) != len(theirs) {
		return 0, false
	}
	values := make([]float64, len(mine))
	for i := range mine {
		values[i] = mine[i].ns / theirs[i].ns
	}
	return median(values), true
}

// best is the fastest peer of a row, floors left out.
func (t *table) best(row string) string { return t.fastest(row, false) }

// floor is the fastest floor of a row: what the work costs with no guard at
// all, or with the barest one.
func (t *table) floor(row string) string { return t.fastest(row, true) }

func (t *table) fastest(row string, floors bool) string {
	name := ""
	for peer := range t.rows[row] {
		if peer == ours || strings.HasPrefix(peer, floor) != floors {
			continue
		}
		if name == "" || t.ns(row, peer) < t.ns(row, name) {
			name = peer
		}
	}
	return name
}

func (t *table) print(w io.Writer, pkg string) {
	fmt.Fprintf(w, "\n%s\n%-34s %18s  %28s %7s  %28s %7s\n", pkg, "row", "ours ns (allocs)", "best peer", "ratio", "floor", "ratio")
	for _, row := range t.order {
		fmt.Fprintf(w, "%-34s %18s", row, t.cell(row, ours, ""))
		for _, other := range []string{t.best(row), t.floor(row)} {
			ratio := ""
			if r, ok := t.ratio(row, other); ok {
				ratio = fmt.Sprintf("%.2f", r)
			}
			fmt.Fprintf(w, "  %28s %7s", t.cell(row, other, other), ratio)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "\n%s, every peer, fastest first\n", pkg)
	for _, row := range t.order {
		peers := make([]string, 0, len(t.rows[row]))
		for peer := range t.rows[row] {
			peers = append(peers, peer)
		}
		sort.Slice(peers, func(i, j int) bool { return t.ns(row, peers[i]) < t.ns(row, peers[j]) })
		for i, peer := range peers {
			peers[i] = t.cell(row, peer, peer)
		}
		fmt.Fprintf(w, "%-34s %s\n", row, strings.Join(peers, ", "))
	}
}

func (t *table) cell(row, peer, label string) string {
	if len(t.rows[row][peer]) == 0 {
		return "-"
	}
	return strings.TrimSpace(fmt.Sprintf("%s %.1f (%.0f)", label, t.ns(row, peer), t.allocs(row, peer)))
}

// goal is one line of goals.txt: our time is at most most × the peer's.
type goal struct {
	row, peer string
	most      float64
}

func readGoals(file string) ([]goal, error) {
	data, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var goals []goal
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if len(fields) != 3 {
			return nil, fmt.Errorf("%s:%d: %d words, want benchmark, peer and largest ratio", file, number, len(fields))
		}
		most, err := strconv.ParseFloat(fields[2], 64)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, number, err)
		}
		goals = append(goals, goal{strings.TrimPrefix(fields[0], "Benchmark"), fields[1], most})
	}
	return goals, nil
}

// judge prints each goal with what was measured.
func (t *table) judge(w io.Writer, goals []goal) {
	if len(goals) == 0 {
		return
	}
	fmt.Fprintf(w, "\ngoals\n")
	for _, g := range goals {
		verdict := "not run"
		if ratio, ok := t.ratio(g.row, g.peer); ok {
			verdict = fmt.Sprintf("%.2f reached", ratio)
			if ratio > g.most {
				verdict = fmt.Sprintf("%.2f MISSED", ratio)
			}
		}
		fmt.Fprintf(w, "%-34s ≤ %.2f × %-24s %s\n", g.row, g.most, g.peer, verdict)
	}
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := append([]float64(nil), values...)
	sort.Float64s(sorted)
	mid := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[mid]
	}
	return (sorted[mid-1] + sorted[mid]) / 2
}
