package seal_test

import (
	"bytes"
	"compress/zlib"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/stream/seal"
)

type vector struct {
	ID      int      `json:"tcId"`
	Comment string   `json:"comment"`
	Key     string   `json:"key"`
	Context string   `json:"ctx"`
	Message string   `json:"ct"` // compressed by zlib
	Length  int      `json:"msgLength"`
	SHA512  string   `json:"msgSha512"`
	Result  string   `json:"result"`
	Flags   []string `json:"flags"`
}

func vectors(t *testing.T, name string) []vector {
	data, err := os.ReadFile("testdata/wycheproof_c2sp_chunked_encryption_" + name + ".json")
	require.NoError(t, err)
	var file struct {
		NumberOfTests int
		TestGroups    []struct{ Tests []vector }
	}
	require.NoError(t, json.Unmarshal(data, &file))
	var out []vector
	for _, group := range file.TestGroups {
		out = append(out, group.Tests...)
	}
	require.Len(t, out, file.NumberOfTests)
	return out
}

func unhex(t *testing.T, s string) []byte {
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

// TestVectors opens every vector of Wycheproof as a stream, a byte at a time,
// and by random access, and wants the plaintext, the error, and for corrupt ones
// the authentic beginning that they name.
func TestVectors(t *testing.T) {
	for _, name := range []string{"aes_128_gcm", "aes_256_gcm"} {
		all := vectors(t, name)
		require.Len(t, all, 35)
		for _, v := range all {
			t.Run(name+"/"+v.Comment, func(t *testing.T) {
				z, err := zlib.NewReader(bytes.NewReader(unhex(t, v.Message)))
				require.NoError(t, err)
				message, err := io.ReadAll(z)
				require.NoError(t, err)
				check(t, v, unhex(t, v.Key), unhex(t, v.Context), message)
			})
		}
	}
}

func check(t *testing.T, v vector, key, context, message []byte) {
	s, err := seal.New(seal.Config{Key: seal.SecretFrom(key)})
	if slices.Contains(v.Flags, "InvalidKeySize") {
		require.Error(t, err)
		return
	}
	require.NoError(t, err)
	random, randomErr := openAt(s, message, context)
	for _, src := range []io.Reader{bytes.NewReader(message), iotest.OneByteReader(bytes.NewReader(message))} {
		if len(message) > 10*chunk {
			src = bytes.NewReader(message)
		}
		r, err := s.Reader(src, context)
		if slices.Contains(v.Flags, "HeaderFailure") {
			require.Error(t, err)
			require.Error(t, randomErr)
			require.Empty(t, random)
			continue
		}
		require.NoError(t, err)
		plain, err := io.ReadAll(r)
		require.Equal(t, v.Result == "valid", err == nil, "%v", err)
		require.Len(t, plain, v.Length)
		if v.SHA512 != "" {
			sum := sha512.Sum512(plain)
			require.Equal(t, v.SHA512, hex.EncodeToString(sum[:]))
		}
		if v.Result == "valid" {
			require.NoError(t, randomErr)
			require.True(t, bytes.Equal(plain, random))
			continue
		}
		require.ErrorIs(t, err, seal.ErrCorrupt)
		require.Error(t, randomErr)
		again, err := r.Read(make([]byte, 2*chunk))
		require.Zero(t, again, "and it keeps failing")
		require.ErrorIs(t, err, seal.ErrCorrupt)
		// The length is authentic if and only if the last chunk is.
		_, err = s.ReaderAt(bytes.NewReader(message), int64(len(message)), context)
		require.Equal(t, slices.Contains(v.Flags, "ValidFinalChunk"), err == nil)
	}
}
