package memwatch

import (
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
)

// library are the first path elements of the standard library's packages.
var library = strings.Fields(`archive arena bufio bytes cmp compress container context crypto
	database debug embed encoding errors expvar flag fmt go hash html image index internal io iter
	log maps math mime net os path plugin reflect regexp runtime slices sort strconv strings
	structs sync syscall testing text time unicode unique unsafe vendor weak`)

// isLibrary reports whether the function belongs to the standard library. The
// first element of its package's path tells: that of any other has a dot in it
// or is a name that is not in the list.
func isLibrary(fn string) bool {
	first, _, found := strings.Cut(fn, "/")
	if !found {
		first, _, _ = strings.Cut(fn, ".")
	}
	return slices.Contains(library, first)
}

// origin is the first line of a stack that is not in the standard library:
// where the program itself asked for something. A stack that is in the library
// altogether, such as that of net/http's own goroutines, stands for its
// outermost function.
func origin(stack []uintptr) place {
	var outermost place
	for p := range places(stack) {
		if !isLibrary(p.fn) {
			return p
		}
		if outermost.fn == "" || !strings.HasPrefix(p.fn, "runtime.") {
			outermost = p
		}
	}
	return outermost
}

// describe gives the stack from its origin outwards or, if that is in the
// library, up to it.
func describe(stack []uintptr) []string {
	var all []string
	start := 0
	from := origin(stack)
	for p := range places(stack) {
		if p == from && !isLibrary(p.fn) && start == 0 {
			start = len(all)
		}
		all = append(all, fmt.Sprintf("%s %s:%d", p.fn, p.file, p.line))
		if p == from && isLibrary(p.fn) {
			start = max(0, len(all)-depth)
			break
		}
	}
	return all[start:min(len(all), start+depth)]
}

// places are the lines of a stack, innermost first.
func places(stack []uintptr) iter.Seq[place] {
	return func(yield func(place) bool) {
		frames := runtime.CallersFrames(stack)
		for more := len(stack) > 0; more; {
			var f runtime.Frame
			f, more = frames.Next()
			if f.Function != "" && !yield(place{f.Function, f.File, f.Line}) {
				return
			}
		}
	}
}
