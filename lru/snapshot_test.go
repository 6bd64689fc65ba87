package lru_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/lru"
)

func encodeInts(dst []byte, key, value int) ([]byte, error) {
	dst = binary.AppendVarint(dst, int64(key))
	return binary.AppendVarint(dst, int64(value)), nil
}

var errDecode = errors.New("decode")

func decodeInts(src []byte) (int, int, error) {
	key, n := binary.Varint(src)
	if n <= 0 {
		return 0, 0, errDecode
	}
	value, m := binary.Varint(src[n:])
	if m <= 0 || n+m != len(src) {
		return 0, 0, errDecode
	}
	return int(key), int(value), nil
}

func TestSnapshotCarriesEntriesOrderAndRemainingTTLs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, policy := range []lru.Policy{lru.PolicyLRU, lru.PolicyS3FIFO} {
			cfg := config{Capacity: 100, Policy: policy, Jitter: 0.5, NegativeTTL: time.Hour}
			c := lru.MustNew(cfg)
			for i := range 50 {
				c.Set(i, -i)
			}
			c.Get(3)
			c.SetTTL(100, 1, 1) // gone before Save
			time.Sleep(time.Nanosecond)
			c.SetTTL(101, 1, time.Minute)
			_, _ = c.GetOrLoad(t.Context(), 102, func(context.Context, int) (int, error) { return 0, lru.ErrNotFound })
			plain := lru.MustNew(config{Capacity: 100})
			plain.SetTTL(103, 1, time.Minute)
			plain.SetTTL(104, 1, time.Hour)
			var file, second bytes.Buffer
			require.NoError(t, c.Save(&file, encodeInts))
			require.NoError(t, plain.Save(&second, encodeInts))

			time.Sleep(time.Minute)
			loaded := lru.MustNew(cfg)
			loaded.Set(7, 77)
			n, err := loaded.Load(&file, decodeInts)
			require.NoError(t, err)
			require.Equal(t, 49, n, "7 was there already, 100 to 102 are over")
			v, _ := loaded.Peek(7)
			require.Equal(t, 77, v)
			want := slices.DeleteFunc(slices.Collect(c.Keys()), func(k int) bool { return k == 7 })
			got := slices.DeleteFunc(slices.Collect(loaded.Keys()), func(k int) bool { return k == 7 })
			require.Equal(t, want, got)

			n, err = loaded.Load(&second, decodeInts)
			require.NoError(t, err)
			require.Equal(t, 1, n)
			time.Sleep(59*time.Minute - 1)
			require.True(t, loaded.Has(104))
			time.Sleep(time.Nanosecond)
			require.False(t, loaded.Has(104))
		}
	})
}

func TestLoadOfDamagedInputIsAnError(t *testing.T) {
	c := lru.MustNewLRU(config{Capacity: 100})
	for i := range 20 {
		c.Set(i, i*1000)
	}
	var file bytes.Buffer
	require.NoError(t, c.Save(&file, encodeInts))
	data := file.Bytes()
	load := func(data []byte) error {
		_, err := lru.MustNewLRU(config{Capacity: 100}).Load(bytes.NewReader(data), decodeInts)
		return err
	}
	require.NoError(t, load(data))
	for i := range data {
		require.ErrorIs(t, load(data[:i]), lru.ErrSnapshot, i)
		changed := bytes.Clone(data)
		changed[i] ^= 0x55
		err := load(changed)
		require.True(t, errors.Is(err, lru.ErrSnapshot) || errors.Is(err, errDecode), "%d: %v", i, err)
	}
	huge := append([]byte("lru snapshot 1\n12345678"), 0xff, 0xff, 0xff, 0xff, 0x03, 0)
	require.ErrorIs(t, load(huge), lru.ErrSnapshot)
	huge = append([]byte("lru snapshot 1\n12345678"), 0xff, 0xff, 0xff, 0xff, 0x7f, 0)
	require.ErrorIs(t, load(huge), lru.ErrSnapshot)
}

type failing struct{ left int }

func (f *failing) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

func TestSaveReturnsErrorsOfEncodeAndWriter(t *testing.T) {
	c := lru.MustNew(config{Capacity: 10_000})
	for i := range 10_000 {
		c.Set(i, i)
	}
	require.Equal(t, errDecode, c.Save(io.Discard, func([]byte, int, int) ([]byte, error) { return nil, errDecode }))
	var whole bytes.Buffer
	require.NoError(t, c.Save(&whole, encodeInts))
	for _, room := range []int{0, 5000, whole.Len() - 5, whole.Len() - 1} {
		require.ErrorIs(t, c.Save(&failing{room}, encodeInts), io.ErrShortWrite)
	}
}

func FuzzLoad(f *testing.F) {
	c := lru.MustNewLRU(config{Capacity: 100})
	c.Set(1, 2)
	c.SetTTL(3, 4, time.Hour)
	var file bytes.Buffer
	if err := c.Save(&file, encodeInts); err != nil {
		f.Fatal(err)
	}
	f.Add(file.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		c := lru.MustNewLRU(config{Capacity: 10})
		n, err := c.Load(bytes.NewReader(data), decodeInts)
		if c.Len() > 10 || n < c.Len() {
			t.Fatalf("%d loaded, %d there, %v", n, c.Len(), err)
		}
	})
}
