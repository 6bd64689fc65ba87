package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// visitor reads the story, and calls visit with the address when it is printed.
// The program writes no more until visit returns.
type visitor struct {
	strings.Builder
	visit func(url string)
	once  sync.Once
}

var address = regexp.MustCompile(`^live: (http://127\.0\.0\.1:[1-9][0-9]*/debug/memwatch/)\n`)

func (v *visitor) Write(p []byte) (int, error) {
	n, err := v.Builder.Write(p)
	if found := address.FindStringSubmatch(v.String()); found != nil {
		v.once.Do(func() { v.visit(found[1]) })
	}
	return n, err
}

// get is the status and the text of a page.
func get(url string) (int, string, error) {
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

func TestRunNamesEachLeakAndAccusesNobodyElse(t *testing.T) {
	var url, page, report string
	out := visitor{visit: func(at string) {
		url = at
		for name, text := range map[string]*string{"": &page, "report.txt": &report} {
			status, got, err := get(url + name)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, status)
			*text = got
		}
	}}
	require.NoError(t, run(t.Context(), &out, "127.0.0.1:0", 0))
	parts := strings.Split(out.String(), "== ")
	require.Len(t, parts, 5)

	require.Regexp(t, address, parts[0], "the address comes first")
	require.Contains(t, page, "<html")
	require.Contains(t, report, "memory of shop: ")
	_, _, err := get(url)
	require.Error(t, err, "the page ends with the program")

	require.NotContains(t, parts[1], "memory of shop: suspect")
	require.NotContains(t, parts[1], "memory of shop: leak")

	require.Contains(t, parts[2], ", heap;")
	require.Contains(t, parts[2], "(*shop).place")
	require.Contains(t, parts[2], "main.go:")
	require.Contains(t, parts[2], "the limit of 4.0 GiB is reached in")

	require.Contains(t, parts[3], ", goroutines;")
	require.Contains(t, parts[3], "(*shop).notify")

	require.Contains(t, parts[4], "pressure: critical, gomemlimit: ")
	require.Contains(t, parts[4], "pressure: normal, ")
	require.Contains(t, parts[4], "written: memwatch-")
	require.Contains(t, parts[4], "-heap.pprof, ")
}

func TestAnInterruptEndsTheProgramAndOpenStreams(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	var stream *http.Response
	out := visitor{visit: func(url string) {
		resp, err := http.Get(url + "stream")
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, resp.StatusCode)
		stream = resp
		interrupt()
	}}
	require.ErrorIs(t, run(ctx, &out, "127.0.0.1:0", time.Hour), context.Canceled)
	defer stream.Body.Close()
	text, err := io.ReadAll(stream.Body) // ends, as the stream does
	require.NoError(t, err)
	require.Contains(t, string(text), "event: hello")
}

func TestAnAddressThatIsTakenIsAnError(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	var op *net.OpError
	require.ErrorAs(t, run(t.Context(), io.Discard, taken.Addr().String(), 0), &op)
}
