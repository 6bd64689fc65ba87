package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// The table in README.md stands between these, and is written again whole.
const (
	tableBegin = "<!-- bench-table: written by make bench-table -->"
	tableEnd   = "<!-- bench-table ends -->"
)

// readmeRow is a line of readme.txt.
type readmeRow struct {
	label, pkg string
	benchmarks []string
	divisors   []float64 // one for each benchmark
	peers      []readmePeer
}

// readmePeer is a peer as the benchmarks name it and as the README does.
type readmePeer struct{ bench, shown string }

func readReadmeRows(file string) ([]readmeRow, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var rows []readmeRow
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(line, "|")
		if len(fields) != 5 {
			return nil, fmt.Errorf("%s:%d: %d fields, want label, package, benchmarks, divisor and peers", file, number, len(fields))
		}
		r := readmeRow{label: strings.TrimSpace(fields[0]), pkg: strings.TrimSpace(fields[1]), benchmarks: strings.Fields(fields[2])}
		for f := range strings.FieldsSeq(fields[3]) {
			d, err := strconv.ParseFloat(f, 64)
			if err != nil || d <= 0 {
				return nil, fmt.Errorf("%s:%d: the divisor is %q, want a number > 0", file, number, f)
			}
			r.divisors = append(r.divisors, d)
		}
		if len(r.divisors) == 1 {
			r.divisors = slices.Repeat(r.divisors, len(r.benchmarks))
		}
		if len(r.divisors) != len(r.benchmarks) {
			return nil, fmt.Errorf("%s:%d: %d divisors for %d benchmarks", file, number, len(r.divisors), len(r.benchmarks))
		}
		for p := range strings.FieldsSeq(fields[4]) {
			bench, shown, ok := strings.Cut(p, "=")
			if !ok {
				shown = bench
			}
			r.peers = append(r.peers, readmePeer{bench, shown})
		}
		if len(r.benchmarks) == 0 || len(r.peers) == 0 {
			return nil, fmt.Errorf("%s:%d: no benchmarks or no peers", file, number)
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// measureFor runs what the rows need, a package at a time.
func measureFor(rows []readmeRow, rounds int, benchtime string) (map[string]*table, error) {
	tables := make(map[string]*table)
	for _, r := range rows {
		if tables[r.pkg] != nil {
			continue
		}
		t, err := measure(r.pkg, rounds, benchtime, matchFor(rows, r.pkg))
		if err != nil {
			return nil, err
		}
		tables[r.pkg] = t
	}
	return tables, nil
}

// matchFor is the expression for the benchmarks of a package that the rows need.
func matchFor(rows []readmeRow, pkg string) string {
	var names []string
	for _, r := range rows {
		for _, b := range r.benchmarks {
			name, _, _ := strings.Cut(b, "/")
			if r.pkg == pkg && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return "^Benchmark(" + strings.Join(names, "|") + ")$"
}

// renderReadme writes the table. A row of ours, or a peer in all of its row, that
// was not measured is an error: the table is whole or is not written.
func renderReadme(rows []readmeRow, tables map[string]*table, about string) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n\n| | bedplate | peers |\n|---|---|---|\n", tableBegin, about)
	for _, r := range rows {
		mine, all := r.figures(tables[r.pkg], ours)
		if all < len(r.benchmarks) {
			return "", fmt.Errorf("%s: not measured: %s", r.label, strings.Join(r.benchmarks, ", "))
		}
		var theirs []string
		for _, p := range r.peers {
			figures, some := r.figures(tables[r.pkg], p.bench)
			if some == 0 {
				return "", fmt.Errorf("%s: no figure of the peer %s", r.label, p.bench)
			}
			theirs = append(theirs, p.shown+" "+figures)
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", r.label, mine, strings.Join(theirs, ", "))
	}
	b.WriteString(tableEnd)
	return b.String(), nil
}

// figures are the medians of a peer in the benchmarks of a row, and how many
// there are.
func (r readmeRow) figures(t *table, peer string) (string, int) {
	var out []string
	n := 0
	for i, b := range r.benchmarks {
		if t == nil || len(t.rows[b][peer]) == 0 {
			out = append(out, "–")
			continue
		}
		n++
		out = append(out, figure(t.ns(b, peer)/r.divisors[i]))
	}
	return strings.Join(out, " / "), n
}

// figure has one decimal below ten and none from there on: no more than what
// runs agree in.
func figure(v float64) string {
	if v < 9.95 {
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}

// replaceTable puts a table in the place of the one in a text.
func replaceTable(text []byte, table string) ([]byte, error) {
	before, rest, ok := bytes.Cut(text, []byte(tableBegin))
	_, after, ended := bytes.Cut(rest, []byte(tableEnd))
	if !ok || !ended || bytes.Contains(after, []byte(tableBegin)) {
		return nil, fmt.Errorf("want %s and %s once each, in this order", tableBegin, tableEnd)
	}
	return slices.Concat(before, []byte(table), after), nil
}

// writeTable measures and writes the table into file.
func writeTable(file string, rounds int, benchtime, about string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if _, err := replaceTable(text, ""); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	rows, err := readReadmeRows("readme.txt")
	if err != nil {
		return err
	}
	tables, err := measureFor(rows, rounds, benchtime)
	if err != nil {
		return err
	}
	table, err := renderReadme(rows, tables, about)
	if err != nil {
		return err
	}
	if text, err = replaceTable(text, table); err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o644)
}
