package browsertest

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/memwatch"
	"github.com/bedplate/bedplate/memwatch/memwatchhttp"
)

const (
	childMode = "BROWSERTEST_CHILD"
	childAddr = "BROWSERTEST_ADDR"
)

// What the processes keep, and what they throw away.
var (
	baskets  = make(map[int][]byte)
	waiting  = make(chan int)
	garbage  [][]byte
	leakMode = map[string]func(i int){
		"healthy":    func(int) {},
		"heap":       forgetBasket,
		"goroutines": forgetWaiter,
	}
)

// forgetBasket keeps 32 KiB for ever.
func forgetBasket(i int) {
	for j := range 32 {
		baskets[i*32+j] = make([]byte, 1<<10)
	}
}

// forgetWaiter starts a goroutine that nobody sends to.
func forgetWaiter(int) {
	go waitForParcel()
}

func waitForParcel() { <-waiting }

// churn allocates a megabyte that nothing keeps, so that collections come.
func churn() {
	garbage = garbage[:0]
	for range 16 {
		garbage = append(garbage, make([]byte, 64<<10))
	}
}

// child is a service with the page, which leaks in one way until it is killed.
// It prints the address it listens on.
func child(mode, addr string) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	watcher := memwatch.MustNew(memwatch.Config{Name: "shop", Interval: 20 * time.Millisecond, Limit: 1 << 30})
	go watcher.Run(context.Background())
	go func() {
		mux := http.NewServeMux()
		mux.Handle("/debug/memwatch/", memwatchhttp.MustNew(memwatchhttp.Config{
			Watcher: watcher, Interval: 100 * time.Millisecond, Pace: 2 * time.Second,
		}))
		fmt.Fprintln(os.Stderr, http.Serve(listener, mux))
		os.Exit(1)
	}()
	fmt.Println(listener.Addr())
	pace := time.NewTicker(5 * time.Millisecond)
	for i := 0; ; i++ {
		leakMode[mode](i)
		churn()
		<-pace.C
	}
}

// service is a running child.
type service struct {
	addr string
	cmd  *exec.Cmd
}

// start runs a child on an address, or on any if that is empty.
func start(t *testing.T, mode, addr string) *service {
	t.Helper()
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childMode+"="+mode, childAddr+"="+addr)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	s := &service{cmd: cmd}
	t.Cleanup(s.kill)
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	s.addr = strings.TrimSpace(line)
	return s
}

func (s *service) url() string { return "http://" + s.addr + "/debug/memwatch/" }

// kill ends the process the way a crash does. It may be called again.
func (s *service) kill() {
	if s.cmd.ProcessState == nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	}
}

// lineOf is the line of this file on which a leak allocates, as the page shows
// it: found by its text, so that it moves with the code.
func (s *service) lineOf(t *testing.T, function string) string {
	t.Helper()
	text, err := os.ReadFile("process_test.go")
	require.NoError(t, err)
	inside := false
	for i, line := range strings.Split(string(text), "\n") {
		inside = inside || strings.HasPrefix(line, "func "+function+"(")
		if inside && strings.Contains(line, "make(") {
			return fmt.Sprintf("process_test.go:%d", i+1)
		}
	}
	t.Fatalf("no allocation in %s", function)
	return ""
}
