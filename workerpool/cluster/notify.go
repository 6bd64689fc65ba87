package cluster

import (
	"bytes"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// notifier tells systemd how the service is; see sd_notify(3). The zero
// notifier tells nobody. What cannot be sent is lost: a service does not fail
// because its supervisor does not listen.
type notifier struct {
	socket string
	every  time.Duration // between signs of life, 0 for none
}

// newNotifier reads what systemd wants from the environment.
func newNotifier() notifier {
	n := notifier{socket: os.Getenv("NOTIFY_SOCKET")}
	usec, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	if pid := os.Getenv("WATCHDOG_PID"); n.socket != "" && err == nil && usec > 0 && usec < 1<<40 &&
		(pid == "" || pid == strconv.Itoa(os.Getpid())) {
		n.every = time.Duration(usec) * time.Microsecond / 3
	}
	return n
}

// send sends lines of the form NAME=value.
func (n notifier) send(lines ...string) {
	if n.socket == "" {
		return
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"})
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = conn.Write([]byte(strings.Join(lines, "\n")))
}

// reloading announces a reload. Type=notify-reload also wants the time, so that
// it can tell this reload from an earlier one.
func (n notifier) reloading() {
	lines := []string{"RELOADING=1"}
	if usec := monotonic(); usec > 0 && n.socket != "" {
		lines = append(lines, "MONOTONIC_USEC="+strconv.FormatInt(usec, 10))
	}
	n.send(lines...)
}

// monotonic is a time in microseconds that is not before CLOCK_MONOTONIC, which
// the standard library does not show: the uptime, that counts sleep as well, of
// which the kernel tells hundredths, rounded up. 0 means unknown.
func monotonic() int64 {
	text, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return 0
	}
	first, _, _ := bytes.Cut(text, []byte(" "))
	seconds, err := strconv.ParseFloat(string(first), 64)
	if err != nil {
		return 0
	}
	return int64(seconds*1e6) + 10_000
}
