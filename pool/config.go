package pool

import (
	"context"
	"fmt"
	"math"
	"time"
)

// Defaults of the Config fields that are left zero.
const (
	defaultMax            = 10
	defaultMaxWaiting     = 1 << 16
	defaultAcquireTimeout = 10 * time.Second
	defaultCreateTimeout  = 10 * time.Second
	defaultCheckTimeout   = 5 * time.Second
	defaultCloseTimeout   = 5 * time.Second
	defaultCheckAfter     = time.Second
	defaultIdleTimeout    = 10 * time.Minute
	defaultMaxLifetime    = time.Hour
	defaultLifetimeJitter = 0.1
	defaultCreateWindow   = 2
	defaultBackoff        = 10 * time.Millisecond
	defaultMaxBackoff     = 5 * time.Second
)

// Config describes a Pool of resources of type T. Only Create is required.
//
// The functions are called outside all locks, from goroutines of the pool
// unless their comment says otherwise, and for one resource never two at once.
// A panic in one of them is a panic in that goroutine; runtime.Goexit counts
// as a failure.
type Config[T any] struct {
	// Name appears in errors, events and Stats. Empty leaves it out.
	Name string

	// Create makes a resource. Its ctx is the pool's: it ends after
	// CreateTimeout or with Close, and not when the caller leaves for whom the
	// resource was begun.
	Create func(ctx context.Context) (T, error)

	// Destroy ends a resource. Until it returns, or for CloseTimeout, the
	// resource counts toward Max, as it does on the server. Nil means that
	// there is nothing to do. After Close it runs on the goroutine that
	// releases.
	Destroy func(T) error

	// Check reports whether a resource still works, as a ping does. It is
	// called before a resource is handed out that has been idle for CheckAfter,
	// and as KeepAlive says. One that fails is destroyed, and the caller gets
	// another. Nil means that resources are taken to work.
	Check func(ctx context.Context, v T) error

	// Reset makes a released resource ready for the next caller. It runs on the
	// goroutine that releases, before anybody else can get the resource; one
	// that fails is destroyed. Its ctx ends after CheckTimeout. Nil means that
	// there is nothing to do.
	Reset func(ctx context.Context, v T) error

	// IsBroken reports whether an error that the function of With or Use has
	// returned means that the resource must not be used again. It runs on the
	// caller's goroutine. Nil means that no error does; a panic always does.
	IsBroken func(err error) bool

	// Max is how many resources there may be, those included that are being
	// created or destroyed. Zero means 10.
	Max int

	// MinIdle is how many resources the pool tries to have ready beyond those in
	// use, as far as Max allows, from the first use on. Zero means none.
	MinIdle int

	// MaxWaiting is how many callers may wait at one time; the next one gets
	// ErrFull. Zero means 65536.
	MaxWaiting int

	// AcquireTimeout is how long a caller waits at most, whatever its ctx
	// allows. Zero means 10 s: a pool that has leaked its resources should be
	// an error in the log, and not a service that hangs.
	AcquireTimeout time.Duration

	// CreateTimeout is how long one Create may take, CheckTimeout one Check or
	// Reset, CloseTimeout one Destroy. Zero means 10 s, 5 s and 5 s. The first
	// two end the ctx of the function. A Destroy that takes longer goes on, but
	// its resource no longer counts. CloseTimeout also bounds Close.
	CreateTimeout time.Duration
	CheckTimeout  time.Duration
	CloseTimeout  time.Duration

	// CheckAfter is how long a resource may have been idle to be handed out
	// without a Check. Zero means 1 s.
	CheckAfter time.Duration

	// KeepAlive lets idle resources be checked that often, so that firewalls
	// and servers do not drop them. Zero means never. It needs a Check.
	KeepAlive time.Duration

	// IdleTimeout is how long a resource may be idle before it is destroyed,
	// unless it is among the MinIdle. Zero means 10 minutes.
	IdleTimeout time.Duration

	// MaxLifetime is how old a resource gets. An idle one is then destroyed,
	// one in use when it is released, and none is handed out that is older.
	// Each gets a lifetime that is shorter by a random part of LifetimeJitter,
	// so that not all of them end together. Zero means 1 hour, and 0.1.
	MaxLifetime    time.Duration
	LifetimeJitter float64

	// CreateWindow is how many resources are created at the same time at first.
	// The window doubles with each success that leaves callers waiting, up to
	// MaxCreating, goes back when nobody waits, and is 1 after a failure. Zero
	// means 2; MaxCreating zero means Max.
	CreateWindow int
	MaxCreating  int

	// Backoff is the pause after a first failure of Create. It doubles with
	// each further one, up to MaxBackoff; a random part of up to one half is
	// taken off. Zero means 10 ms and 5 s.
	Backoff    time.Duration
	MaxBackoff time.Duration

	// LeakAfter lets a resource that is held for so long be reported, once, to
	// Hooks.OnLeak, with the stack of the goroutine that acquired it. It costs
	// each acquire about a microsecond. Zero means never.
	LeakAfter time.Duration

	// ReclaimLeaked takes back the resource of a Lease that was dropped without
	// being released, once the garbage collector has found it. The resource is
	// destroyed, so whoever still uses its value without keeping the Lease loses
	// it. It costs each acquire four small allocations and half a microsecond.
	ReclaimLeaked bool

	// RefuseNested lets an Acquire fail with ErrNested when its ctx comes from
	// a With or Use of the same pool. Whoever waits for a second resource while
	// holding a first one can wait for itself; this finds it in the first test
	// and not under the first load. It costs each With an allocation.
	RefuseNested bool

	// Hooks are called when something happens. Each may be nil.
	Hooks Hooks
}

// withDefaults fills in what was left zero.
func (c Config[T]) withDefaults() Config[T] {
	orInt := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	or := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	orInt(&c.Max, defaultMax)
	orInt(&c.MaxWaiting, defaultMaxWaiting)
	orInt(&c.CreateWindow, defaultCreateWindow)
	or(&c.AcquireTimeout, defaultAcquireTimeout)
	or(&c.CreateTimeout, defaultCreateTimeout)
	or(&c.CheckTimeout, defaultCheckTimeout)
	or(&c.CloseTimeout, defaultCloseTimeout)
	or(&c.CheckAfter, defaultCheckAfter)
	or(&c.IdleTimeout, defaultIdleTimeout)
	or(&c.MaxLifetime, defaultMaxLifetime)
	or(&c.Backoff, defaultBackoff)
	or(&c.MaxBackoff, max(defaultMaxBackoff, c.Backoff))
	if c.LifetimeJitter == 0 {
		c.LifetimeJitter = defaultLifetimeJitter
	}
	return c
}

// check reports the first field that makes no sense. Defaults are filled in.
func (c Config[T]) check() error {
	bad := func(field string, value any, want string) error {
		return fmt.Errorf("pool: Config.%s is %v, want %s", field, value, want)
	}
	if c.Create == nil {
		return bad("Create", "nil", "a function")
	}
	for _, f := range []struct {
		name  string
		value int
	}{
		{"Max", c.Max}, {"MinIdle", c.MinIdle}, {"MaxWaiting", c.MaxWaiting},
		{"CreateWindow", c.CreateWindow}, {"MaxCreating", c.MaxCreating},
	} {
		if f.value < 0 || f.value > math.MaxInt32 {
			return bad(f.name, f.value, "0 to 2147483647")
		}
	}
	for _, f := range []struct {
		name  string
		value time.Duration
	}{
		{"AcquireTimeout", c.AcquireTimeout}, {"CreateTimeout", c.CreateTimeout}, {"CheckTimeout", c.CheckTimeout},
		{"CloseTimeout", c.CloseTimeout}, {"CheckAfter", c.CheckAfter}, {"KeepAlive", c.KeepAlive},
		{"IdleTimeout", c.IdleTimeout}, {"MaxLifetime", c.MaxLifetime}, {"Backoff", c.Backoff},
		{"MaxBackoff", c.MaxBackoff}, {"LeakAfter", c.LeakAfter},
	} {
		if f.value < 0 {
			return bad(f.name, f.value, "≥ 0")
		}
	}
	switch {
	case c.MinIdle > c.Max:
		return bad("MinIdle", c.MinIdle, fmt.Sprintf("≤ Max, which is %d", c.Max))
	case c.MaxBackoff < c.Backoff:
		return bad("MaxBackoff", c.MaxBackoff, fmt.Sprintf("≥ Backoff, which is %v", c.Backoff))
	case c.MaxCreating != 0 && c.MaxCreating < c.CreateWindow:
		return bad("MaxCreating", c.MaxCreating, fmt.Sprintf("≥ CreateWindow, which is %d", c.CreateWindow))
	case !(c.LifetimeJitter > 0 && c.LifetimeJitter <= 1): // NaN fails both
		return bad("LifetimeJitter", c.LifetimeJitter, "0 to 1")
	case c.KeepAlive > 0 && c.Check == nil:
		return bad("KeepAlive", c.KeepAlive, "0 without a Check")
	}
	return nil
}
