//go:build unix

package cluster_test

import (
	"encoding/json"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// programEnv makes the test binary one of the programs below, so that a test
// can have a master that it may kill. A process that a master starts finds its
// program by the name of the cluster.
const programEnv = "CLUSTER_TEST_PROGRAM"

// programs are what the test binary can be beside itself. Each returns the exit
// status.
var programs = map[string]func() int{
	"web":         func() int { return runProgram(webConfig("web")) },
	"upgrade":     func() int { return runProgram(webConfig("upgrade")) },
	"front":       func() int { return runProgram(frontConfig()) },
	"orphans":     func() int { return runProgram(orphansConfig()) },
	"stubborn":    func() int { return runProgram(stubbornConfig()) },
	"bad":         func() int { return runProgram(badConfig()) },
	"talk":        func() int { return runProgram(talkConfig()) },
	"datagrams":   func() int { return runProgram(datagramsConfig()) },
	"unserved":    unservedProgram,
	"contract":    func() int { return runProgram(contractConfig()) },
	"example":     func() int { return runProgram(exampleConfig()) },
	"counting":    func() int { return runProgram(countingConfig()) },
	"calls":       func() int { return serveCalls("calls") },
	"images":      func() int { return serveExample("images") },
	"bench":       func() int { return serveCalls("bench") },
	"derives":     derivesProgram,
	"unwrapped":   unwrappedProgram,
	"activated":   func() int { return runProgram(activatedConfig()) },
	"stubbornweb": func() int { return runProgram(stubbornWebConfig()) },
	"deaf":        deafProgram,
	"garbage":     garbageProgram,
	"jobsmaster":  jobsMasterProgram,
}

func TestMain(m *testing.M) {
	name := os.Getenv(programEnv)
	if name == "" {
		name = roleName()
	}
	if program := programs[name]; program != nil {
		os.Exit(program())
	}
	// Processes that end do not wait a second for reports of the race detector.
	_ = os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	goleak.VerifyTestMain(m)
}

// roleName is the name of the cluster that this process was started for.
func roleName() string {
	var role struct{ Name string }
	_ = json.Unmarshal([]byte(os.Getenv("BEDPLATE_CLUSTER")), &role)
	return role.Name
}
