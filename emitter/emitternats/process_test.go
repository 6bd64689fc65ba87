package emitternats_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/emitter"
	"github.com/bedplate/bedplate/emitter/emitternats"
)

const crashed = 3 // exit code of a child that went down in a listener

// spawn runs this test binary as another process.
func spawn(t *testing.T, role, url string, n names) (stdout *bufio.Scanner, stdin io.Closer, wait func() error) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "EMITTERNATS_ROLE="+role, "EMITTERNATS_URL="+url,
		"EMITTERNATS_NAMES="+strings.Join([]string{n.subject, n.stream, n.durable}, " "))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Process.Kill() // if it is still there
		_ = cmd.Wait()
	})
	return bufio.NewScanner(out), in, cmd.Wait
}

// child is the main of the other process.
func child(role string) int {
	parts := strings.Fields(os.Getenv("EMITTERNATS_NAMES"))
	n := names{parts[0], parts[1], parts[2]}
	conn, err := dial(os.Getenv("EMITTERNATS_URL"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(context.Background())
	go func() { // the parent closes our input to end us
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	topic := new(emitter.Topic[int])
	var transport interface {
		emitter.Publisher
		emitter.Subscriber
	}
	switch role {
	case "answer": // hears a number and emits its tenfold
		transport = emitternats.MustNew(emitternats.Config{Conn: conn})
		topic.On(func(v int) {
			fmt.Println("heard", v)
			if v < 10 {
				topic.Emit(v * 10)
			}
		})
		if _, err := emitter.Export(topic, transport, n.subject, emitter.JSON[int](), emitter.SubConfig{}); err != nil {
			return 1
		}
	case "crash": // goes down with the first event in its hand
		js, err := jetstream.New(conn)
		if err != nil {
			return 1
		}
		transport = emitternats.MustNewStream(emitternats.StreamConfig{
			JetStream: js, Stream: n.stream, Durable: n.durable, AckWait: time.Second,
		})
		topic.On(func(v int) {
			fmt.Println("heard", v)
			os.Exit(crashed)
		})
	}
	go func() {
		for conn.NumSubscriptions() == 0 {
			<-time.After(time.Millisecond)
		}
		if conn.Flush() == nil {
			fmt.Println("ready")
		}
	}()
	_ = emitter.Import(ctx, transport, n.subject, emitter.JSON[int](), topic)
	return 0
}

// Two processes share a topic: what one emits the other hears, its own does not
// come back to it.
func TestTwoProcesses(t *testing.T) {
	for name, url := range servers(t) {
		t.Run(name, func(t *testing.T) {
			n := unique(t)
			conn := connect(t, url)
			core := emitternats.MustNew(emitternats.Config{Conn: conn})
			topic := new(emitter.Topic[int])
			var heard record[int]
			topic.On(heard.add)
			export(t, topic, core, n.subject)
			start(t, conn, core, n.subject, topic)

			out, in, wait := spawn(t, "answer", url, n)
			require.True(t, out.Scan())
			require.Equal(t, "ready", out.Text())
			for v := 1; v <= 3; v++ {
				topic.Emit(v)
				require.Equal(t, v*10, heard.until(t, 2*v)[2*v-1])
			}
			require.Equal(t, []int{1, 10, 2, 20, 3, 30}, heard.get())
			var lines []string
			require.NoError(t, in.Close())
			for out.Scan() {
				lines = append(lines, out.Text())
			}
			require.NoError(t, wait())
			require.Equal(t, []string{"heard 1", "heard 10", "heard 2", "heard 20", "heard 3", "heard 30"}, lines)
		})
	}
}

// A process that dies with an event in its hand has not handled it: the next one
// gets it.
func TestRedeliveryAfterACrash(t *testing.T) {
	for name, url := range servers(t) {
		t.Run(name, func(t *testing.T) {
			n := unique(t)
			conn := connect(t, url)
			js := makeStream(t, conn, n, jetstream.MemoryStorage)
			stream := emitternats.MustNewStream(emitternats.StreamConfig{
				JetStream: js, Stream: n.stream, Durable: n.durable, AckWait: time.Second,
			})
			topic := new(emitter.Topic[int])
			export(t, topic, stream, n.subject)
			out, _, wait := spawn(t, "crash", url, n)
			require.True(t, out.Scan())
			require.Equal(t, "ready", out.Text())
			topic.Emit(7)
			require.True(t, out.Scan())
			require.Equal(t, "heard 7", out.Text())
			var exit *exec.ExitError
			require.ErrorAs(t, wait(), &exit)
			require.Equal(t, crashed, exit.ExitCode())

			var heard record[int]
			survivor := new(emitter.Topic[int])
			survivor.On(heard.add)
			start(t, conn, stream, n.subject, survivor)
			require.Equal(t, []int{7}, heard.until(t, 1))
			topic.Emit(8)
			require.Equal(t, []int{7, 8}, heard.until(t, 2))
		})
	}
}
