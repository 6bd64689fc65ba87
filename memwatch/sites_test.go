package memwatch

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// here is the program counter of its caller.
//
//go:noinline
func here() uintptr {
	var pcs [1]uintptr
	runtime.Callers(2, pcs[:])
	return pcs[0]
}

//go:noinline
func siteA() uintptr { return here() }

//go:noinline
func siteB() uintptr { return here() }

func record(pc uintptr, objects, bytes int64) runtime.MemProfileRecord {
	r := runtime.MemProfileRecord{AllocObjects: objects, AllocBytes: bytes}
	r.Stack0[0] = pc
	return r
}

// A rate of one samples everything; else each object stands for the inverse of
// its chance.
func TestTalliesUndoTheSampling(t *testing.T) {
	a := siteA()
	exact := tallies([]runtime.MemProfileRecord{record(a, 3, 300)}, 1)
	require.Len(t, exact.list, 1)
	require.Equal(t, 3.0, exact.list[0].count)
	require.InDelta(t, 300, exact.list[0].bytes, 1e-9)

	// 1-exp(-1024/524288) is 0.00195122: one of 512.5 is seen.
	sampled := tallies([]runtime.MemProfileRecord{record(a, 2, 2048)}, 512<<10)
	require.InDelta(t, 2*1024*512.5, sampled.list[0].bytes, 100)
	require.InDelta(t, 2*(1024*512.5)*(1024*512.5), sampled.list[0].variance, 1e9)

	// Objects far above the rate are all seen.
	large := tallies([]runtime.MemProfileRecord{record(a, 4, 4<<30)}, 512<<10)
	require.InDelta(t, float64(4<<30), large.list[0].bytes, 1)
}

// Stacks that differ below the line count together; what was freed does not.
func TestTalliesMergeByLineAndLeaveOutWhatIsFree(t *testing.T) {
	a, b := siteA(), siteB()
	free := record(b, 9, 900)
	free.FreeObjects, free.FreeBytes = 9, 900
	s := tallies([]runtime.MemProfileRecord{record(a, 1, 10), record(a, 2, 2000), free}, 1)
	require.Len(t, s.list, 1)
	require.Equal(t, 3.0, s.list[0].count)
	require.True(t, strings.HasSuffix(s.list[0].fn, "memwatch.siteA"))
	require.True(t, strings.HasSuffix(s.list[0].file, "sites_test.go"))
}

func at(fn string, count float64) tally {
	each := 100_000.0
	return tally{place{fn, "x.go", 1}, count, count * each, count * each * each}
}

func profile(list ...tally) sites {
	slices.SortFunc(list, byPlaceOrder)
	return sites{list: list}
}

func TestGrowingFindsWhatChanceDoesNotExplain(t *testing.T) {
	before := profile(at("main.steady", 100), at("main.leak", 10), at("main.less", 90))
	after := profile(at("main.steady", 110), at("main.leak", 60), at("main.less", 40), at("main.fresh", 16))
	got := growing(before, after, none)
	require.Len(t, got, 2)
	leak := got[0]
	require.Equal(t, "main.leak", leak.Func)
	require.InDelta(t, 50/math.Sqrt(70), leak.Z, 1e-9)
	require.InDelta(t, 5e6, leak.Growth, 1)
	require.InDelta(t, 1.959964*1e5*math.Sqrt(70), leak.Hi-leak.Growth, 1)
	require.InDelta(t, leak.Growth-leak.Lo, leak.Hi-leak.Growth, 1e-6)
	require.InDelta(t, 6e6, leak.InUse, 1)
	require.Equal(t, "main.fresh", got[1].Func)
	require.Equal(t, 4.0, got[1].Z)
}

// none is a growth that nothing has.
var none = math.Inf(1)

// One object that grows is one object before and after.
func TestGrowingFindsTheOneObjectThatGrows(t *testing.T) {
	small := tally{place{"main.table", "x.go", 1}, 1, 1e6, 1e12}
	large := tally{place{"main.table", "x.go", 1}, 1, 64e6, 4096e12}
	require.Empty(t, growing(profile(small), profile(large), none))
	require.Empty(t, growing(profile(small), profile(large), 64e6))
	got := growing(profile(small), profile(large), 60e6)
	require.Len(t, got, 1)
	require.Zero(t, got[0].Z)
	require.InDelta(t, 63e6, got[0].Growth, 1)

	a, b := Profile{profile(small)}, Profile{profile(large)}
	require.Empty(t, b.Since(a, 0))
	require.Len(t, b.Since(a, 1), 1)
	require.Empty(t, a.Since(b, 1))
}

func TestGrowingReportsTheTenSurest(t *testing.T) {
	var after []tally
	for i := range 30 {
		after = append(after, at(fmt.Sprintf("main.f%02d", i), float64(20+i)))
	}
	got := growing(sites{}, profile(after...), none)
	require.Len(t, got, maxReported)
	require.Equal(t, "main.f29", got[0].Func)
	require.True(t, slices.IsSortedFunc(got, func(a, b Site) int { return int(b.Z*1e6 - a.Z*1e6) }))
}

// The package's own memory is bounded and is no news.
func TestGrowingLeavesOutItself(t *testing.T) {
	require.Empty(t, growing(sites{}, profile(at(ownPrefix+"readSites", 1000)), 1))
	require.NotEmpty(t, growing(sites{}, profile(at("other.example/memwatch.readSites", 1000)), none))
}

// Of a program with more lines than are kept the smallest are forgotten, and a
// forgotten one is taken for as large as it may have been.
func TestGrowingDoesNotAccuseWhatWasForgotten(t *testing.T) {
	before := profile(at("main.big", 500))
	before.rest = at("", 30)
	require.Empty(t, growing(before, profile(at("main.small", 32)), none))
	require.Len(t, growing(before, profile(at("main.small", 100)), none), 1)
}

func TestTalliesAreBounded(t *testing.T) {
	var records []runtime.MemProfileRecord
	// Every byte of this binary's code is a program counter of its own line;
	// walk through it until there are more lines than are kept.
	start := siteA()
	seen := map[place]bool{}
	for pc := start; len(seen) <= maxSites+100 && pc < start+1<<22; pc++ {
		if runtime.FuncForPC(pc) == nil {
			continue
		}
		p := origin([]uintptr{pc})
		if p.fn != "" && !seen[p] {
			seen[p] = true
			records = append(records, record(pc, int64(len(seen)), 1000))
		}
	}
	require.Greater(t, len(seen), maxSites)
	s := tallies(records, 1)
	require.Len(t, s.list, maxSites)
	require.NotZero(t, s.rest.count)
	for _, kept := range s.list {
		require.GreaterOrEqual(t, kept.count, s.rest.count)
	}
	require.True(t, slices.IsSortedFunc(s.list, byPlaceOrder))
}

// A thousand comparisons of lines that only churn: the share with a z-score
// that would make a Leak stays that of a normal distribution.
func TestGrowingIsSeldomWrongAboutChurn(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	poisson := func(mean float64) (n float64) {
		for limit, p := math.Exp(-mean), r.Float64(); p > limit; p *= r.Float64() {
			n++
		}
		return n
	}
	shownSites, sureSites, runs := 0, 0, 20000
	for range runs {
		mean := float64(1 + r.IntN(60))
		for _, s := range growing(profile(at("main.churn", poisson(mean))), profile(at("main.churn", max(1, poisson(mean)))), none) {
			shownSites++
			if s.Z >= sure {
				sureSites++
			}
		}
	}
	t.Logf("%d shown and %d sure of %d", shownSites, sureSites, runs)
	require.LessOrEqual(t, shownSites, runs*3/1000)
	require.LessOrEqual(t, sureSites, runs/5000)
}

func TestLibraryIsToldFromTheProgram(t *testing.T) {
	for fn, want := range map[string]bool{
		"runtime.mallocgc":                       true,
		"internal/runtime/maps.(*Map).grow":      true,
		"net/http.(*conn).serve":                 true,
		"strings.(*Builder).grow":                true,
		"vendor/golang.org/x/net/http2.x":        true,
		"slices.Grow[...]":                       true,
		"main.main":                              false,
		"main.main.func1":                        false,
		"github.com/a/b.F":                       false,
		"netx/http.F":                            false,
		"net.example/http.F":                     false,
		"stringsx.F":                             false,
		"go.uber.org/zap.(*Logger).With":         false,
		"":                                       false,
		"command-line-arguments.TestSomething":   false,
		"golang.org/x/sync/errgroup.(*Group).Go": false,
	} {
		require.Equal(t, want, isLibrary(fn), fn)
	}
}

func TestOriginIsTheProgramsOwnLine(t *testing.T) {
	var pcs [16]uintptr
	var stack []uintptr
	_ = strings.Map(func(r rune) rune { // this function, called by the library
		stack = pcs[:runtime.Callers(0, pcs[:])]
		return r
	}, "x")
	p := origin(stack)
	require.True(t, strings.HasSuffix(p.fn, "TestOriginIsTheProgramsOwnLine.func1"), p.fn)
	lines := describe(stack)
	require.Contains(t, lines[0], p.fn)
	require.Contains(t, lines[1], "strings.Map")
	require.LessOrEqual(t, len(lines), depth)
	require.Equal(t, place{}, origin(nil))
	require.Empty(t, describe(nil))
}

// A stack of the library alone stands for its outermost function.
func TestOriginOfTheLibraryIsItsOutermostFunction(t *testing.T) {
	var pcs [32]uintptr
	stack := pcs[:runtime.Callers(0, pcs[:])]
	var outside []uintptr
	for i, pc := range stack { // testing.tRunner and what called it
		if p := origin([]uintptr{pc}); p.fn == "testing.tRunner" {
			outside = stack[i:]
		}
	}
	require.NotEmpty(t, outside)
	require.Equal(t, "testing.tRunner", origin(outside).fn)
	lines := describe(outside)
	require.Contains(t, lines[len(lines)-1], "testing.tRunner")
}

func TestGroupsAreParsedFromTheText(t *testing.T) {
	a, b := siteA(), siteB()
	text := fmt.Sprintf(`goroutine profile: total 12
5 @ %#x
#	0x1	x+0x1	x.go:1

3 @ %#x %#x
# labels: {"k":"v"}
4 @ %#x
nonsense @ 0x1
2 @ zz
0 @ 0x1
`, a, b, a, b)
	// Functions of this package are left out, and these are some.
	require.Empty(t, parseGroups([]byte(text)))

	count, stack, ok := parseStack([]byte(fmt.Sprintf("3 @ %#x %#x\n", b, a)))
	require.True(t, ok)
	require.Equal(t, 3, count)
	require.Equal(t, []uintptr{b, a}, stack)
	for _, bad := range []string{"", "3 @", "x @ 0x1", "-1 @ 0x1", "1 @ 0xzz", "1 # 0x1"} {
		_, _, ok := parseStack([]byte(bad))
		require.False(t, ok, bad)
	}
}

func TestGroupsCountThisProcess(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	began := make(chan struct{})
	for range 20 {
		go func() {
			began <- struct{}{}
			<-stop
		}()
	}
	for range 20 {
		<-began
	}
	// They stand in a function of this package, so only the rest is given;
	// that they are there is known from the profile itself.
	for _, g := range groups("goroutine") {
		require.Positive(t, g.Count)
		require.False(t, own(g.Func))
	}
	require.Nil(t, groups("no such profile"))
}
