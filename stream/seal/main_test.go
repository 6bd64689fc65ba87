package seal_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/bedplate/bedplate/stream/seal"
)

func TestMain(m *testing.M) {
	if run := children[os.Getenv(childEnv)]; run != nil {
		os.Exit(run())
	}
	goleak.VerifyTestMain(m)
}

// children are parts of tests that need a process of their own, by the value of
// childEnv with which the test starts itself.
var children = map[string]func() int{"fips": sealUnderFIPS}

const childEnv = "SEAL_TEST_CHILD"

var errCause = errors.New("cause")

// Chunk sizes of the format, written down here once more.
const (
	chunk   = 16384
	sealed  = chunk + 16
	prelude = 56
)

// The lengths at which something can go wrong.
var lengths = []int{
	0, 1, 15, 16, 17, chunk - 1, chunk, chunk + 1, 2*chunk - 1, 2 * chunk, 2*chunk + 1,
	4 * chunk, 5*chunk - 1, 5*chunk + 7, 9 * chunk,
}

// text is n bytes, each chunk different from the others.
func text(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i*7 + i/251 + i/chunk*31)
	}
	return p
}

// newSealer has a random key.
func newSealer() *seal.Sealer { return seal.MustNew(seal.Config{Key: seal.RandomKey()}) }

// sealAll seals p in one Write.
func sealAll(t testing.TB, s *seal.Sealer, p, associated []byte) []byte {
	var out bytes.Buffer
	w, err := s.Writer(&out, associated)
	require.NoError(t, err)
	n, err := w.Write(p)
	require.NoError(t, err)
	require.Equal(t, len(p), n)
	require.NoError(t, w.Close())
	return out.Bytes()
}

// openAll opens p, and returns what was delivered and the error that ended it.
func openAll(s *seal.Sealer, p, associated []byte) ([]byte, error) {
	r, err := s.Reader(bytes.NewReader(p), associated)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// openAt opens p by random access.
func openAt(s *seal.Sealer, p, associated []byte) ([]byte, error) {
	r, err := s.ReaderAt(bytes.NewReader(p), int64(len(p)), associated)
	if err != nil {
		return nil, err
	}
	out := make([]byte, r.Size())
	n, err := r.ReadAt(out, 0)
	return out[:n], err
}
