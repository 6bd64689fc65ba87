package seal_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hpke"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/stream/seal"
)

// raceEnabled is set by race_test.go: the race detector allocates.
var raceEnabled bool

// slow is true where AES is: without the instructions for it, or with the race
// detector. Tests that try all bits then try some.
var slow = strconv.IntSize == 32

// cheap is a KDF for tests: fast, and good for nothing else.
func cheap(password, salt []byte, cost uint32) ([]byte, error) {
	key := make([]byte, 32)
	for i := range key {
		key[i] = password[i%len(password)] ^ salt[i] ^ byte(cost>>(i%4*8))
	}
	return key, nil
}

func passwordSealer() *seal.Sealer {
	return seal.MustNew(seal.Config{
		Password: seal.SecretFrom([]byte("hunter2")),
		KDF:      seal.KDF{ID: 200, Cost: 7, MaxCost: 9, Derive: cheap},
	})
}

func identity(t testing.TB, kem hpke.KEM) hpke.PrivateKey {
	key, err := kem.GenerateKey()
	require.NoError(t, err)
	return key
}

// recipientSealer seals to itself and one more.
func recipientSealer(t testing.TB) *seal.Sealer {
	mine, other := identity(t, hpke.DHKEM(ecdh.X25519())), identity(t, hpke.DHKEM(ecdh.X25519()))
	return seal.MustNew(seal.Config{
		Recipients: []hpke.PublicKey{other.PublicKey(), mine.PublicKey()},
		Identities: []hpke.PrivateKey{mine},
	})
}

// sealers are one of every kind.
func sealers(t testing.TB) map[string]*seal.Sealer {
	return map[string]*seal.Sealer{
		"128":        seal.MustNew(seal.Config{Key: seal.SecretFrom(text(16))}),
		"256":        newSealer(),
		"password":   passwordSealer(),
		"recipients": recipientSealer(t),
	}
}

func TestRoundTripOfEveryLength(t *testing.T) {
	for name, s := range sealers(t) {
		for _, n := range lengths {
			t.Run(fmt.Sprintf("%s/%d", name, n), func(t *testing.T) {
				message := sealAll(t, s, text(n), []byte("ad"))
				plain, err := openAll(s, message, []byte("ad"))
				require.NoError(t, err)
				require.True(t, bytes.Equal(text(n), plain))
				plain, err = openAt(s, message, []byte("ad"))
				require.NoError(t, err)
				require.True(t, bytes.Equal(text(n), plain))
			})
		}
	}
}

func TestMessageOfAKeyHasTheSizeOfTheSpecification(t *testing.T) {
	s := newSealer()
	for _, n := range lengths {
		require.Len(t, sealAll(t, s, text(n), nil), prelude+n+16*(n/chunk+1))
	}
}

func TestEachMessageHasItsOwnSaltAndKey(t *testing.T) {
	for name, s := range sealers(t) {
		a, b := sealAll(t, s, text(100), nil), sealAll(t, s, text(100), nil)
		require.NotEqual(t, a[len(a)-116:], b[len(b)-116:], name)
	}
}

func TestReadsAndWritesOfAnySize(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	s := newSealer()
	for range 40 {
		n := r.IntN(6 * chunk)
		plain := text(n)
		var out bytes.Buffer
		w, err := s.Writer(&out, nil)
		require.NoError(t, err)
		for rest := plain; len(rest) > 0; {
			size := min(len(rest), 1+r.IntN(1+r.IntN(3*chunk)))
			m, err := w.Write(rest[:size])
			require.NoError(t, err)
			require.Equal(t, size, m)
			rest = rest[size:]
		}
		require.NoError(t, w.Close())
		require.True(t, bytes.Equal(text(n), plain), "what is written is left alone")
		require.Len(t, out.Bytes(), prelude+n+16*(n/chunk+1))

		reader, err := s.Reader(bytes.NewReader(out.Bytes()), nil)
		require.NoError(t, err)
		var got []byte
		for err == nil {
			p := make([]byte, 1+r.IntN(1+r.IntN(3*chunk)))
			var m int
			m, err = reader.Read(p)
			require.True(t, m > 0 || err != nil)
			got = append(got, p[:m]...)
		}
		require.Equal(t, io.EOF, err)
		require.True(t, bytes.Equal(plain, got))
	}
}

// The reader of the standard library's own contract, over sources that return
// little, or data and EOF together, or half of what they are asked for.
func TestReaderKeepsTheContractOfReaders(t *testing.T) {
	s := newSealer()
	for _, n := range []int{0, 1, chunk, 3*chunk + 5} {
		message := sealAll(t, s, text(n), nil)
		for name, wrap := range map[string]func(io.Reader) io.Reader{
			"plain": func(r io.Reader) io.Reader { return r },
			"one":   iotest.OneByteReader,
			"half":  iotest.HalfReader,
			"eof":   iotest.DataErrReader,
		} {
			r, err := s.Reader(wrap(bytes.NewReader(message)), nil)
			require.NoError(t, err)
			require.NoError(t, iotest.TestReader(r, text(n)), "%d %s", n, name)
			m, err := r.Read(nil)
			require.Zero(t, m)
			require.NoError(t, err, "reading nothing is no failure")
			_, err = r.Read(make([]byte, 1))
			require.Equal(t, io.EOF, err)
		}
	}
}

// What is authentic is delivered before the source's error, which comes back as
// it is, and stays.
func TestReaderReturnsTheErrorOfItsSource(t *testing.T) {
	s := newSealer()
	message := sealAll(t, s, text(3*chunk), nil)
	for _, want := range []error{errCause, io.ErrUnexpectedEOF} {
		for _, cut := range []int{prelude + sealed, prelude + 2*sealed - 1, prelude + 2*sealed + 20} {
			src := io.MultiReader(bytes.NewReader(message[:cut]), iotest.ErrReader(want))
			r, err := s.Reader(src, nil)
			require.NoError(t, err)
			got, err := io.ReadAll(r)
			require.Equal(t, want, err)
			whole := (cut - prelude) / sealed * chunk
			require.True(t, bytes.Equal(text(3 * chunk)[:whole], got))
			_, err = r.Read(make([]byte, 1))
			require.Equal(t, want, err)
		}
		_, err := s.Reader(iotest.ErrReader(want), nil)
		require.Equal(t, want, err)
	}
}

// empty returns nothing and no error, for ever.
type empty struct{}

func (empty) Read([]byte) (int, error) { return 0, nil }

func TestSourceThatReturnsNothingEndsInAnError(t *testing.T) {
	s := newSealer()
	_, err := s.Reader(empty{}, nil)
	require.Equal(t, io.ErrNoProgress, err)
	message := sealAll(t, s, text(5), nil)
	r, err := s.Reader(io.MultiReader(bytes.NewReader(message[:prelude+3]), empty{}), nil)
	require.NoError(t, err)
	_, err = io.ReadAll(r)
	require.Equal(t, io.ErrNoProgress, err)
}

// A pipe shows that a chunk is delivered although the next is not there.
func TestReaderDeliversAChunkBeforeTheNextHasCome(t *testing.T) {
	s := newSealer()
	message := sealAll(t, s, text(2*chunk), nil)
	in, out := io.Pipe()
	var wg sync.WaitGroup
	next := make(chan struct{})
	wg.Go(func() {
		_, _ = out.Write(message[:prelude+sealed])
		<-next
		_, _ = out.Write(message[prelude+sealed:])
		_ = out.Close()
	})
	r, err := s.Reader(in, nil)
	require.NoError(t, err)
	p := make([]byte, 4*chunk)
	n, err := r.Read(p)
	require.NoError(t, err)
	require.Equal(t, chunk, n)
	close(next)
	rest, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Len(t, rest, chunk)
	wg.Wait()
}

func TestOtherKeyOrAssociatedDataIsErrKey(t *testing.T) {
	for name, s := range sealers(t) {
		message := sealAll(t, s, text(50), []byte("a"))
		for _, other := range [][]byte{nil, []byte("b"), []byte("a\x00"), []byte("aa")} {
			plain, err := openAll(s, message, other)
			require.Equal(t, seal.ErrKey, err, name)
			require.Empty(t, plain)
			_, err = openAt(s, message, other)
			require.Equal(t, seal.ErrKey, err, name)
		}
	}
	message := sealAll(t, newSealer(), text(50), nil)
	_, err := openAll(newSealer(), message, nil)
	require.Equal(t, seal.ErrKey, err)
}

func TestNilAndEmptyAssociatedDataAreTheSame(t *testing.T) {
	s := newSealer()
	plain, err := openAll(s, sealAll(t, s, text(3), nil), []byte{})
	require.NoError(t, err)
	require.Equal(t, text(3), plain)
}

func TestOldKeysOpenAndAreNotSealedWith(t *testing.T) {
	old, older, fresh := seal.RandomKey(), seal.SecretFrom(text(16)), seal.RandomKey()
	before := seal.MustNew(seal.Config{Key: old})
	rotated := seal.MustNew(seal.Config{Key: fresh, OldKeys: []seal.Secret{old, older}})
	for _, s := range []*seal.Sealer{before, rotated, seal.MustNew(seal.Config{Key: older})} {
		plain, err := openAll(rotated, sealAll(t, s, text(9), nil), nil)
		require.NoError(t, err)
		require.Equal(t, text(9), plain)
	}
	_, err := openAll(before, sealAll(t, rotated, text(9), nil), nil)
	require.Equal(t, seal.ErrKey, err)
}

func TestConfigErrorsNameFieldAndValue(t *testing.T) {
	key, password := seal.RandomKey(), seal.SecretFrom([]byte("pw"))
	pub := identity(t, hpke.DHKEM(ecdh.X25519())).PublicKey()
	many := slices.Repeat([]hpke.PublicKey{pub}, 17)
	const one = "one of Key, Password, and Recipients with Identities"
	for want, cfg := range map[string]seal.Config{
		"Key is not set, want " + one:                             {},
		"Key is 0 bytes long, want 16 or 32 bytes":                {Key: seal.SecretFrom(nil)},
		"Key is 24 bytes long, want 16 or 32 bytes":               {Key: seal.SecretFrom(text(24))},
		"OldKeys[1] is 0 bytes long, want 16 or 32 bytes":         {Key: key, OldKeys: []seal.Secret{key, {}}},
		"OldKeys is 17 keys, want at most 16":                     {Key: key, OldKeys: slices.Repeat([]seal.Secret{key}, 17)},
		"OldKeys is set, want none without a Key":                 {Password: password, OldKeys: []seal.Secret{key}},
		"Key is set, want " + one:                                 {Key: key, Password: password},
		"Password is set, want " + one:                            {Password: password, Recipients: many[:1]},
		"Password is empty, want a password":                      {Password: seal.SecretFrom(nil)},
		"Recipients is 17 keys, want at most 16":                  {Recipients: many},
		"Recipients[1] is nil, want a public key":                 {Recipients: []hpke.PublicKey{pub, nil}},
		"Identities is 17 keys, want at most 16":                  {Identities: make([]hpke.PrivateKey, 17)},
		"Identities[0] is nil, want a private key":                {Identities: make([]hpke.PrivateKey, 1)},
		"KDF is set, want none without a Password":                {Key: key, KDF: seal.KDF{Cost: 1}},
		"KDF.ID is 3, want 0 without Derive":                      {Password: password, KDF: seal.KDF{ID: 3}},
		"KDF.ID is 3, want 128 to 255 with Derive":                {Password: password, KDF: seal.KDF{ID: 3, Derive: cheap}},
		"KDF.Cost is 999, want ≥ 1000":                            {Password: password, KDF: seal.KDF{Cost: 999}},
		"KDF.Cost is 0, want ≥ 1":                                 {Password: password, KDF: seal.KDF{ID: 200, Derive: cheap}},
		"KDF.MaxCost is 5000, want ≥ Cost, which is 300000":       {Password: password, KDF: seal.KDF{MaxCost: 5000}},
		"KDF.MaxCost is 2147483648, want ≤ 2147483647 iterations": {Password: password, KDF: seal.KDF{MaxCost: math.MaxInt32 + 1}},
	} {
		s, err := seal.New(cfg)
		require.EqualError(t, err, "seal: Config."+want)
		require.Nil(t, s)
		require.PanicsWithValue(t, err.Error(), func() { seal.MustNew(cfg) })
	}
}

// The slices of a Config are the caller's, who may change them.
func TestSealerKeepsNothingOfItsConfig(t *testing.T) {
	key := seal.RandomKey()
	s := seal.MustNew(seal.Config{Key: key})
	message := sealAll(t, s, text(5), nil)
	key.Destroy()
	plain, err := openAll(s, message, nil)
	require.NoError(t, err)
	require.Equal(t, text(5), plain)
}

func TestSealerClosedWhileOthersUseIt(t *testing.T) {
	for name, s := range sealers(t) {
		message := sealAll(t, s, text(5), nil)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 50 {
					plain, err := openAll(s, message, nil)
					if (err != nil || !bytes.Equal(plain, text(5))) && !errors.Is(err, seal.ErrClosed) {
						t.Errorf("%s: %q, %v", name, plain, err)
					}
				}
			})
		}
		wg.Go(func() { _ = s.Close() })
		wg.Wait()
		_, err := s.Writer(io.Discard, nil)
		require.Equal(t, seal.ErrClosed, err)
	}
}

// What exists when the Sealer is closed goes on.
func TestWriterAndReadersOutliveTheirSealer(t *testing.T) {
	keep := seal.MustNew(seal.Config{Key: seal.SecretFrom(text(32))})
	s := seal.MustNew(seal.Config{Key: seal.SecretFrom(text(32))})
	message := sealAll(t, s, text(chunk+1), nil)
	r, err := s.Reader(bytes.NewReader(message), nil)
	require.NoError(t, err)
	at, err := s.ReaderAt(bytes.NewReader(message), int64(len(message)), nil)
	require.NoError(t, err)
	var out bytes.Buffer
	w, err := s.Writer(&out, nil)
	require.NoError(t, err)
	require.NoError(t, s.Close())

	got, err := io.ReadAll(r)
	require.NoError(t, err)
	require.True(t, bytes.Equal(text(chunk+1), got))
	require.NoError(t, iotest.TestReader(io.NewSectionReader(at, 0, at.Size()), text(chunk+1)))
	_, err = w.Write(text(7))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	got, err = openAll(keep, out.Bytes(), nil)
	require.NoError(t, err)
	require.Equal(t, text(7), got)
}
