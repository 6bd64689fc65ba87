package seal_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/stream/seal"
)

// Offsets in the header of a password.
const (
	versionAt = 7
	kindAt    = 8
	kdfAt     = 9
	costAt    = 10
)

func password(p string, kdf seal.KDF) *seal.Sealer {
	return seal.MustNew(seal.Config{Password: seal.SecretFrom([]byte(p)), KDF: kdf})
}

func TestPasswordOpensWhatItSealed(t *testing.T) {
	s := password("pw", seal.KDF{Cost: 1000})
	message := sealAll(t, s, text(50), nil)
	plain, err := openAll(password("pw", seal.KDF{}), message, nil)
	require.NoError(t, err, "the cost is in the header")
	require.Equal(t, text(50), plain)
	for _, wrong := range []string{"PW", "pw ", "\x00pw", "p"} {
		_, err = openAll(password(wrong, seal.KDF{}), message, nil)
		require.Equal(t, seal.ErrKey, err)
	}
}

// A header that asks for more work than is allowed, or for less than makes
// sense, is refused before any of it is done.
func TestHostileCostIsRefusedBeforeAnyWork(t *testing.T) {
	worked := 0
	counting := func(password, salt []byte, cost uint32) ([]byte, error) {
		worked++
		return cheap(password, salt, cost)
	}
	s := password("pw", seal.KDF{ID: 128, Cost: 5, MaxCost: 8, Derive: counting})
	message := sealAll(t, s, text(5), nil)
	worked = 0
	for _, cost := range []uint32{0, 9, 1 << 20, math.MaxUint32} {
		binary.BigEndian.PutUint32(message[costAt:], cost)
		_, err := openAll(s, message, nil)
		require.ErrorIs(t, err, seal.ErrCost)
		refusal, ok := errors.AsType[*seal.CostError](err)
		require.True(t, ok)
		require.Equal(t, seal.CostError{Cost: cost, Min: 1, Max: 8}, *refusal)
		_, err = openAt(s, message, nil)
		require.ErrorIs(t, err, seal.ErrCost)
	}
	require.Zero(t, worked)
	binary.BigEndian.PutUint32(message[costAt:], 8)
	_, err := openAll(s, message, nil)
	require.Equal(t, seal.ErrKey, err, "allowed, but not what it was sealed with")
	require.Equal(t, 1, worked)

	// PBKDF2 would work for minutes on these, so the test would time out.
	std := password("pw", seal.KDF{Cost: 1000})
	message = sealAll(t, std, text(5), nil)
	for _, cost := range []uint32{0, 999, 1_200_001, math.MaxInt32, math.MaxUint32} {
		binary.BigEndian.PutUint32(message[costAt:], cost)
		_, err := openAll(std, message, nil)
		require.EqualError(t, err, (&seal.CostError{Cost: cost, Min: 1000, Max: 1_200_000}).Error())
	}
}

func TestMaxCostIsAtLeastCost(t *testing.T) {
	s := password("pw", seal.KDF{ID: 128, Cost: 5, Derive: cheap})
	message := sealAll(t, s, text(5), nil)
	_, err := openAll(s, message, nil)
	require.NoError(t, err)
	_, err = openAll(password("pw", seal.KDF{ID: 128, Cost: 4, Derive: cheap}), message, nil)
	require.EqualError(t, err, "seal: header asks for a cost of 5, want 1 to 4")
}

func TestHeaderThatMakesNoSenseIsRefused(t *testing.T) {
	s := passwordSealer()
	message := sealAll(t, s, text(5), nil)
	for want, change := range map[string]func(m []byte){
		"seal: no header with a password or recipients at the beginning": func(m []byte) { m[0] = 0x88 },
		"seal: header has version 2, want 1":                             func(m []byte) { m[versionAt] = 2 },
		"seal: header has kind 2, want 1 (password)":                     func(m []byte) { m[kindAt] = 2 },
		"seal: header has KDF 1, want 200":                               func(m []byte) { m[kdfAt] = 1 },
	} {
		m := bytes.Clone(message)
		change(m)
		_, err := openAll(s, m, nil)
		require.ErrorIs(t, err, seal.ErrFormat)
		require.EqualError(t, err, want)
	}
	_, err := openAll(recipientSealer(t), message, nil)
	require.EqualError(t, err, "seal: header has kind 1, want 2 (recipients)")
	_, err = openAll(newSealer(), message, nil)
	require.Equal(t, seal.ErrKey, err, "a key expects no header")
	_, err = openAll(s, sealAll(t, newSealer(), text(5), nil), nil)
	require.ErrorIs(t, err, seal.ErrFormat)
}

// The error of a KDF comes back as it is, and so does its panic.
func TestKDFThatFails(t *testing.T) {
	result, failure := make([]byte, 31), error(nil)
	s := password("pw", seal.KDF{ID: 255, Cost: 1, Derive: func([]byte, []byte, uint32) ([]byte, error) {
		if failure == errPanic {
			panic(errPanic)
		}
		return result, failure
	}})
	_, err := s.Writer(io.Discard, nil)
	require.EqualError(t, err, "seal: KDF.Derive returned 31 bytes, want 32")
	failure = errCause
	_, err = s.Writer(io.Discard, nil)
	require.Equal(t, errCause, err)
	failure = errPanic
	require.PanicsWithValue(t, errPanic, func() { _, _ = s.Writer(io.Discard, nil) })
	result, failure = text(32), nil
	message := sealAll(t, s, text(5), nil)
	failure = errCause
	_, err = s.Reader(bytes.NewReader(message), nil)
	require.Equal(t, errCause, err)
}

var errPanic = errors.New("panic")

// The password that a KDF is given is wiped when the work is done, so that one
// that keeps it, which it must not, keeps nothing.
func TestPasswordIsWipedAfterUse(t *testing.T) {
	var kept [][]byte
	s := password("pw", seal.KDF{ID: 255, Cost: 1, Derive: func(password, salt []byte, cost uint32) ([]byte, error) {
		kept = append(kept, password)
		return cheap(password, salt, cost)
	}})
	_, err := openAll(s, sealAll(t, s, text(5), nil), nil)
	require.NoError(t, err)
	require.Equal(t, [][]byte{{0, 0}, {0, 0}}, kept)
}

// A KDF may keep its key, as one that caches does, and scribble over what it
// was given, which it should not.
func TestKDFSharesNothing(t *testing.T) {
	cached := text(32)
	s := password("pw", seal.KDF{ID: 255, Cost: 1, Derive: func(password, salt []byte, _ uint32) ([]byte, error) {
		if string(password) != "pw" {
			t.Errorf("the password is %q", password)
		}
		clear(password)
		return cached, nil
	}})
	for range 3 {
		plain, err := openAll(s, sealAll(t, s, text(5), nil), nil)
		require.NoError(t, err)
		require.Equal(t, text(5), plain)
	}
	require.Equal(t, text(32), cached)
}
