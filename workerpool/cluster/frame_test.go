//go:build unix

package cluster

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func TestFramesComeBackAsTheyWere(t *testing.T) {
	var frames []frame
	for kind := frameReady; kind < frameKinds; kind++ {
		for _, n := range []int{0, 1, 100, framePiece, framePiece + 1, 300_000} {
			frames = append(frames, frame{kind, bytes.Repeat([]byte{byte(n)}, n)})
		}
	}
	var stream []byte
	for _, f := range frames {
		stream = appendFrame(stream, f)
	}
	for name, r := range map[string]io.Reader{
		"whole":  bytes.NewReader(stream),
		"halves": iotest.HalfReader(bytes.NewReader(stream)),
	} {
		t.Run(name, func(t *testing.T) {
			for _, want := range frames {
				got, err := readFrame(r, 1<<20)
				require.NoError(t, err)
				require.Equal(t, want.kind, got.kind)
				require.True(t, bytes.Equal(want.body, got.body))
				require.Equal(t, frameHeader+len(want.body), got.size())
			}
			_, err := readFrame(r, 1<<20)
			require.Equal(t, io.EOF, err)
		})
	}
}

func TestMalformedFramesAreErrors(t *testing.T) {
	good := appendFrame(nil, frame{frameMessage, []byte("hello")})
	change := func(i int, b byte) []byte {
		out := bytes.Clone(good)
		out[i] = b
		return out
	}
	for name, c := range map[string]struct {
		stream []byte
		want   string
	}{
		"another version":       {change(0, 2), "version 2, want 1"},
		"no kind":               {change(1, 0), "kind 0 is unknown"},
		"unknown kind":          {change(1, byte(frameKinds)), "is unknown"},
		"too long":              {change(3, 1), "65541 bytes, want at most 1000"},
		"four gigabytes":        {[]byte{1, 5, 0xff, 0xff, 0xff, 0xff}, "4294967295 bytes"},
		"cut off in its header": {good[:3], "cut off in its header"},
		"cut off after it":      {good[:frameHeader], "cut off in its body"},
		"cut off in its body":   {good[:len(good)-1], "cut off in its body"},
		"text":                  {[]byte("HTTP/1.1 200 OK\r\n"), "version 72"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readFrame(bytes.NewReader(c.stream), 1000)
			require.ErrorIs(t, err, errFrame)
			require.ErrorContains(t, err, c.want)
			require.True(t, strings.HasPrefix(err.Error(), "cluster: bad frame: "))
		})
	}
}

func TestErrorsOfTheStreamPassThrough(t *testing.T) {
	broken := errors.New("reset")
	_, err := readFrame(iotest.ErrReader(broken), 10)
	require.Equal(t, broken, err)
	head := appendFrame(nil, frame{frameReady, make([]byte, 10)})[:frameHeader+2]
	_, err = readFrame(io.MultiReader(bytes.NewReader(head), iotest.ErrReader(broken)), 10)
	require.Equal(t, broken, err)
	_, err = readFrame(bytes.NewReader(nil), 10)
	require.Equal(t, io.EOF, err)
}

// A frame that claims the most and sends little must cost little.
func TestAFrameCostsWhatItSends(t *testing.T) {
	stream := append([]byte{1, 5, 0x03, 0xff, 0xff, 0xff}, make([]byte, 1000)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 10 {
		_, err := readFrame(bytes.NewReader(stream), largestMessage)
		require.ErrorIs(t, err, errFrame)
	}
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20), "for ten frames that claim 64 MiB each")
}
