package memwatch

import (
	"bytes"
	"cmp"
	"runtime/pprof"
	"slices"
	"strconv"
)

const maxGroups = 10

// Group is a number of goroutines at the same line of the program.
type Group struct {
	// Where they are, how many, and the most frequent stack there: up to
	// eight of "function file:line", innermost first.
	Func  string   `json:"func"`
	File  string   `json:"file"`
	Line  int      `json:"line"`
	Count int      `json:"count"`
	Stack []string `json:"stack,omitempty"`
}

// ReadGroups groups the goroutines of this process by the line of the program
// at which they are, largest first, at most ten. It stops the world as briefly
// as a goroutine profile does, and allocates as much.
func ReadGroups() []Group { return groups("goroutine") }

// groups reads a profile of goroutines and groups it by line, largest first;
// nil if the runtime has no such profile. Only the largest ten are given.
func groups(profile string) []Group {
	p := pprof.Lookup(profile)
	if p == nil {
		return nil
	}
	var text bytes.Buffer
	if err := p.WriteTo(&text, 1); err != nil {
		return nil // a buffer takes everything, so the runtime has none to give
	}
	return parseGroups(text.Bytes())
}

// parseGroups reads the lines "count @ 0xpc 0xpc …" of a profile in text form.
// Other lines are passed over, so what it does not understand is left out.
func parseGroups(text []byte) []Group {
	type group struct {
		count, most int
		stack       []uintptr
	}
	byPlace := make(map[place]group)
	for line := range bytes.Lines(text) {
		count, stack, ok := parseStack(line)
		if !ok {
			continue
		}
		p := origin(stack)
		if own(p.fn) {
			continue
		}
		g := byPlace[p]
		g.count += count
		if count > g.most {
			g.most, g.stack = count, stack
		}
		byPlace[p] = g
	}
	var out []Group
	for p, g := range byPlace {
		out = append(out, Group{Func: p.fn, File: p.file, Line: p.line, Count: g.count, Stack: describe(g.stack)})
	}
	slices.SortFunc(out, func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Func, b.Func), cmp.Compare(a.Line, b.Line))
	})
	return out[:min(len(out), maxGroups)]
}

func parseStack(line []byte) (count int, stack []uintptr, ok bool) {
	fields := bytes.Fields(line)
	if len(fields) < 3 || string(fields[1]) != "@" {
		return 0, nil, false
	}
	count, err := strconv.Atoi(string(fields[0]))
	if err != nil || count <= 0 {
		return 0, nil, false
	}
	for _, field := range fields[2:] {
		pc, err := strconv.ParseUint(string(field), 0, strconv.IntSize)
		if err != nil {
			return 0, nil, false
		}
		stack = append(stack, uintptr(pc))
	}
	return count, stack, true
}
