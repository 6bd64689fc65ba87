package memwatch

import (
	"cmp"
	"math"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"time"
)

const (
	maxSites    = 1024 // kept of one profile
	maxPast     = 6    // profiles kept
	maxReported = 10
	shown       = 3.0 // z-score from which a site is reported
	depth       = 8   // frames of a reported stack
)

// Site is a line of the program whose memory in use has grown.
type Site struct {
	// Where it is: the first line of the stack outside the standard library.
	Func string `json:"func"`
	File string `json:"file"`
	Line int    `json:"line"`

	// Growth is how many bytes more are in use, estimated from the samples of
	// the memory profile; Lo and Hi are its interval of 95 %.
	Growth float64 `json:"growth"`
	Lo     float64 `json:"lo"`
	Hi     float64 `json:"hi"`

	// Z is how many standard deviations of chance the number of sampled
	// objects has grown by.
	Z float64 `json:"z"`

	// InUse is the estimate of the bytes in use now.
	InUse float64 `json:"in_use"`

	// Stack is the stack that holds most of them, innermost first: up to
	// eight of "function file:line".
	Stack []string `json:"stack,omitempty"`
}

// place is a line of the program.
type place struct {
	fn, file string
	line     int
}

// tally is what one place has in use.
type tally struct {
	place
	count    float64 // sampled objects
	bytes    float64 // estimate of the bytes
	variance float64 // of that estimate
}

// sites are the tallies of one profile, sorted by place. If there were more
// than maxSites, rest is the most that a place left out may hold.
type sites struct {
	list   []tally
	rest   tally
	stacks []runtime.MemProfileRecord // of the newest profile only
}

// snapshot is a profile kept to be compared with.
type snapshot struct {
	at    time.Duration
	sites sites
}

// Profile is what each line of the program has in use. It is read from the
// memory profile of the runtime, which lags up to two collections behind.
type Profile struct{ sites sites }

// ReadProfile reads the profile of now, in which are objects by the sampling
// of runtime.MemProfileRate. It takes some 11 microseconds and more in a
// program with many lines that allocate, stops nothing, and forces nothing.
func ReadProfile() Profile { return Profile{readSites()} }

// Since returns the lines that have more in use in p than in the older
// profile, the surest first, at most ten: those whose growth chance does not
// explain (their Z is at least 3), and those that have grown by enough bytes,
// whatever their Z is. An enough of zero or less leaves the latter out.
func (p Profile) Since(older Profile, enough float64) []Site {
	if enough <= 0 {
		enough = math.Inf(1)
	}
	return growing(older.sites, p.sites, enough)
}

func readSites() sites {
	records := readProfile()
	s := tallies(records, runtime.MemProfileRate)
	s.stacks = records
	return s
}

func readProfile() []runtime.MemProfileRecord {
	n, _ := runtime.MemProfile(nil, false)
	for {
		records := make([]runtime.MemProfileRecord, n+64)
		var ok bool
		if n, ok = runtime.MemProfile(records, false); ok {
			return records[:n]
		}
	}
}

// tallies adds records up by line. An object of size s is sampled with the
// chance 1-exp(-s/rate), so each one sampled stands for the inverse of it.
func tallies(records []runtime.MemProfileRecord, rate int) sites {
	byPlace := make(map[place]tally)
	for i := range records {
		r := &records[i]
		count, bytes := float64(r.InUseObjects()), float64(r.InUseBytes())
		if count <= 0 || bytes <= 0 {
			continue
		}
		each := bytes / count
		if rate > 1 {
			each /= -math.Expm1(-each / float64(rate))
		}
		p := origin(r.Stack())
		t := byPlace[p]
		t.place = p
		t.count += count
		t.bytes += count * each
		t.variance += count * each * each
		byPlace[p] = t
	}
	list := make([]tally, 0, len(byPlace))
	for _, t := range byPlace {
		list = append(list, t)
	}
	var rest tally
	if len(list) > maxSites {
		slices.SortFunc(list, func(a, b tally) int { return cmp.Compare(b.count, a.count) })
		rest = list[maxSites]
		list = slices.Clone(list[:maxSites])
	}
	slices.SortFunc(list, byPlaceOrder)
	return sites{list: list, rest: rest}
}

func byPlaceOrder(a, b tally) int {
	return cmp.Or(cmp.Compare(a.line, b.line), strings.Compare(a.fn, b.fn), strings.Compare(a.file, b.file))
}

// growing compares two profiles. The numbers of sampled objects are Poisson,
// so the difference of two has the variance of their sum. A place that is
// enough bytes larger is reported whatever its numbers say: one slice that
// grows is one object before and after.
func growing(before, after sites, enough float64) []Site {
	var out []Site
	for _, now := range after.list {
		old := before.rest
		if i, ok := slices.BinarySearchFunc(before.list, now, byPlaceOrder); ok {
			old = before.list[i]
		}
		z := (now.count - old.count) / math.Sqrt(now.count+old.count)
		margin := normalBound * math.Sqrt(now.variance+old.variance)
		growth := now.bytes - old.bytes
		certain := z >= shown && growth-margin > 0
		if !certain && growth < enough || own(now.fn) {
			continue
		}
		out = append(out, Site{
			Func: now.fn, File: now.file, Line: now.line,
			Growth: growth, Lo: growth - margin, Hi: growth + margin,
			Z: z, InUse: now.bytes,
		})
	}
	slices.SortFunc(out, func(a, b Site) int { return cmp.Or(cmp.Compare(b.Z, a.Z), cmp.Compare(b.Growth, a.Growth)) })
	out = out[:min(len(out), maxReported)]
	for i := range out {
		out[i].Stack = heaviest(after.stacks, place{out[i].Func, out[i].File, out[i].Line})
	}
	return out
}

// heaviest is the stack with most in use at p.
func heaviest(records []runtime.MemProfileRecord, p place) []string {
	var most *runtime.MemProfileRecord
	for i := range records {
		r := &records[i]
		if (most == nil || r.InUseBytes() > most.InUseBytes()) && origin(r.Stack()) == p {
			most = r
		}
	}
	if most == nil {
		return nil
	}
	return describe(most.Stack())
}

var ownPrefix = reflect.TypeFor[Watcher]().PkgPath() + "."

// own reports whether fn is a function of this package.
func own(fn string) bool { return strings.HasPrefix(fn, ownPrefix) }

// baselines are the profiles kept, oldest first.
type baselines struct {
	list [maxPast]snapshot
	n    int
}

// add keeps s. Where there is no room, the profile goes whose neighbours are
// nearest to each other for its age, so that the ages that stay grow by about
// equal factors. The oldest and the newest stay.
func (b *baselines) add(s snapshot) {
	s.sites.stacks = nil
	if b.n == maxPast {
		drop, least := 1, math.Inf(1)
		for i := 1; i < maxPast-1; i++ {
			gap := float64(b.list[i+1].at-b.list[i-1].at) / float64(s.at-b.list[i].at+1)
			if gap < least {
				drop, least = i, gap
			}
		}
		copy(b.list[drop:], b.list[drop+1:])
		b.n--
	}
	b.list[b.n] = s
	b.n++
}

// nearest returns the profile whose time is nearest to at.
func (b *baselines) nearest(at time.Duration) (best snapshot, ok bool) {
	for i, s := range b.list[:b.n] {
		if i == 0 || (s.at-at).Abs() < (best.at-at).Abs() {
			best = s
		}
	}
	return best, b.n > 0
}
