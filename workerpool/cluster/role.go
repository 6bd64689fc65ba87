package cluster

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
)

// roleEnv tells a process what it was started for. Whoever takes the role
// removes it, so that programs which it starts do not inherit it.
const roleEnv = "BEDPLATE_CLUSTER"

// The kinds of roles.
const (
	roleWorker = "worker" // of a Cluster
	roleMaster = "master" // of a Cluster, after an upgrade
	roleJobs   = "jobs"   // worker of Jobs
)

// role is the value of roleEnv. Descriptor 3 is the control socket; 4 and up
// are the listeners, in order.
type role struct {
	Kind      string   `json:"kind"`
	Name      string   `json:"name"`
	Slot      int      `json:"slot,omitempty"`
	Start     uint64   `json:"start,omitempty"`
	Listeners []string `json:"listeners,omitempty"`
}

func (r role) String() string { return fmt.Sprintf("%s of %q", r.Kind, r.Name) }

// roles serialises the taking of roles in this process.
var roles sync.Mutex

// peekRole returns the role that this process still has to take.
func peekRole() (role, bool) {
	text := os.Getenv(roleEnv)
	var r role
	if text == "" || json.Unmarshal([]byte(text), &r) != nil {
		return role{}, false
	}
	return r, true
}

// takeRole takes the role of this process if its kind is among those wanted
// and the name is right.
func takeRole(name string, kinds ...string) (role, bool) {
	roles.Lock()
	defer roles.Unlock()
	r, ok := peekRole()
	if !ok || r.Name != name || !slices.Contains(kinds, r.Kind) {
		return role{}, false
	}
	_ = os.Unsetenv(roleEnv)
	return r, true
}

// checkNoRole refuses to start processes in one that has not taken its own
// role: it would start copies of itself, which would do the same.
func checkNoRole() error {
	if r, ok := peekRole(); ok {
		return fmt.Errorf("cluster: this process was started as %s, which nobody serves here: %w", r, ErrRole)
	}
	return nil
}

// childEnv is the environment of a process that takes the role r: ours without
// what was meant for us alone, then more.
func childEnv(environ, more []string, r role) []string {
	private := []string{roleEnv, "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}
	if r.Kind != roleMaster {
		private = append(private, "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
	}
	out := slices.DeleteFunc(slices.Concat(environ, more), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.Contains(private, name)
	})
	return append(out, roleEnv+"="+string(encode(r)))
}
