package seal_test

import (
	"bytes"
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/stream/seal"
)

var (
	shared        = seal.MustNew(seal.Config{Key: seal.SecretFrom(make([]byte, 32))})
	sharedMessage []byte
	sharedAt      *seal.ReaderAt
)

// A Sealer as a package variable, and a ReaderAt with its pool, are used in two
// bubbles.
func TestSynctestSafe(t *testing.T) {
	sharedMessage = sealAll(t, shared, text(2*chunk), nil)
	sharedAt = newReaderAt(t, shared, sharedMessage)
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			in, out := io.Pipe()
			go func() {
				w, err := shared.Writer(out, nil)
				if err == nil {
					_, err = w.Write(text(3 * chunk))
				}
				if err == nil {
					err = w.Close()
				}
				_ = out.CloseWithError(err)
			}()
			r, err := shared.Reader(in, nil)
			require.NoError(t, err)
			got, err := io.ReadAll(r)
			require.NoError(t, err)
			require.True(t, bytes.Equal(text(3*chunk), got))
			p := make([]byte, 100)
			_, err = sharedAt.ReadAt(p, chunk-50)
			require.NoError(t, err)
			require.Equal(t, text(2 * chunk)[chunk-50:chunk+50], p)
		})
	}
}

// The deadline of a ctx is that of the bubble's clock.
func TestDeadlineEndsTheWorkOnAFile(t *testing.T) {
	f, s := newFolder(t), newSealer()
	src := f.write("plain", make([]byte, 100*chunk), 0o600)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		calls := 0
		start := time.Now()
		err := s.EncryptFile(ctx, f.at("sealed"), src, seal.File{Progress: func(context.Context, int64, int64) {
			calls++
			time.Sleep(25 * time.Minute)
		}})
		require.Equal(t, context.DeadlineExceeded, err)
		require.Equal(t, 3, calls)
		require.Equal(t, 75*time.Minute, time.Since(start))
	})
	f.holds("plain")
}
