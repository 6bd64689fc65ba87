package seal_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hpke"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/stream/seal"
)

// countAt is the offset of the number of recipients.
const countAt = 9

func sealTo(t testing.TB, plain []byte, to ...hpke.PrivateKey) []byte {
	var cfg seal.Config
	for _, key := range to {
		cfg.Recipients = append(cfg.Recipients, key.PublicKey())
	}
	return sealAll(t, seal.MustNew(cfg), plain, nil)
}

func opener(keys ...hpke.PrivateKey) *seal.Sealer {
	return seal.MustNew(seal.Config{Identities: keys})
}

// Each recipient opens the message, whatever its KEM and those of the others,
// and nobody else does.
func TestEachRecipientOpensTheMessage(t *testing.T) {
	var all []hpke.PrivateKey
	for _, kem := range []hpke.KEM{
		hpke.DHKEM(ecdh.X25519()), hpke.DHKEM(ecdh.P256()), hpke.DHKEM(ecdh.P521()),
		hpke.MLKEM768X25519(), hpke.MLKEM1024P384(), hpke.MLKEM768(),
	} {
		all = append(all, identity(t, kem))
	}
	message := sealTo(t, text(chunk+9), all...)
	for _, key := range all {
		for _, s := range []*seal.Sealer{opener(key), opener(identity(t, key.KEM()), key)} {
			plain, err := openAll(s, message, nil)
			require.NoError(t, err)
			require.True(t, bytes.Equal(text(chunk+9), plain))
			plain, err = openAt(s, message, nil)
			require.NoError(t, err)
			require.True(t, bytes.Equal(text(chunk+9), plain))
		}
		_, err := openAll(opener(identity(t, key.KEM())), message, nil)
		require.Equal(t, seal.ErrKey, err)
	}
}

func TestOneSideAloneSaysWhatIsMissing(t *testing.T) {
	key := identity(t, hpke.DHKEM(ecdh.X25519()))
	_, err := opener(key).Writer(io.Discard, nil)
	require.Equal(t, seal.ErrNoRecipient, err)
	s := seal.MustNew(seal.Config{Recipients: []hpke.PublicKey{key.PublicKey()}})
	_, err = s.Reader(bytes.NewReader(sealTo(t, nil, key)), nil)
	require.Equal(t, seal.ErrNoIdentity, err)
}

// Nobody can take a recipient out, put one in or change the order: the payload
// is bound to the header as it was.
func TestStanzasCannotBeChanged(t *testing.T) {
	kem := hpke.DHKEM(ecdh.X25519())
	a, b := identity(t, kem), identity(t, kem)
	message := sealTo(t, text(9), a, b)
	const stanza = 2 + 2 + 32 + 48
	first := message[countAt+1 : countAt+1+stanza]
	second := message[countAt+1+stanza : countAt+1+2*stanza]
	payload := message[countAt+1+2*stanza:]
	build := func(count byte, stanzas ...[]byte) []byte {
		return slices.Concat(message[:countAt], []byte{count}, slices.Concat(stanzas...), payload)
	}
	require.Equal(t, message, build(2, first, second))
	foreign := sealTo(t, text(9), a)[countAt+1:][:stanza]
	for name, m := range map[string][]byte{
		"second removed": build(1, first),
		"first removed":  build(1, second),
		"swapped":        build(2, second, first),
		"doubled":        build(3, first, first, second),
		"one put in":     build(3, first, second, foreign),
		"replaced":       build(2, foreign, second),
	} {
		for _, key := range []hpke.PrivateKey{a, b} {
			_, err := openAll(opener(key), m, nil)
			require.Equal(t, seal.ErrKey, err, name)
		}
	}
}

// A stanza of a KEM that is not known here is passed over, and still bound.
func TestUnknownKEMIsPassedOver(t *testing.T) {
	x := identity(t, hpke.DHKEM(ecdh.X25519()))
	message := sealTo(t, text(9), identity(t, hpke.MLKEM768()), x)
	binary.BigEndian.PutUint16(message[countAt+1:], 0xfff0)
	_, err := openAll(opener(x), message, nil)
	require.Equal(t, seal.ErrKey, err)
}

// A header cannot ask for more than 16 stanzas of 4 KiB: no more is read, and
// no more memory used.
func TestHostileRecipientsAreRefused(t *testing.T) {
	s := recipientSealer(t)
	message := sealAll(t, s, text(9), nil)
	for _, count := range []byte{0, 17, 255} {
		m := bytes.Clone(message)
		m[countAt] = count
		_, err := openAll(s, m, nil)
		require.EqualError(t, err, fmt.Sprintf("seal: header has recipients %d, want 1 to 16", count))
	}
	for _, size := range []uint16{0, 47, 4097, 65535} {
		m := bytes.Clone(message)
		binary.BigEndian.PutUint16(m[countAt+3:], size)
		_, err := openAll(s, m, nil)
		require.EqualError(t, err, (&seal.FormatError{Field: "stanza of size", Value: int(size), Want: "48 to 4096"}).Error())
	}
	endless := &endless{start: slices.Concat(message[:countAt], []byte{16})}
	_, err := s.Reader(endless, nil)
	require.Error(t, err)
	require.Less(t, endless.read, 16*4100+100)
}

// endless begins with start and goes on with stanzas as large as they can be.
type endless struct {
	start []byte
	read  int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.start)
	e.start = e.start[n:]
	for i := n; i < len(p); i++ {
		p[i] = 0x0f // a size of 0x0f0f, which is allowed
	}
	e.read += len(p)
	return len(p), nil
}

// The work is bounded too: 16 identities at 16 stanzas.
func TestManyIdentitiesAreTried(t *testing.T) {
	x := identity(t, hpke.DHKEM(ecdh.X25519()))
	message := sealTo(t, text(9), x, x, x)
	plain, err := openAll(opener(x), message, nil)
	require.NoError(t, err)
	require.Equal(t, text(9), plain)
	many := slices.Repeat([]hpke.PrivateKey{identity(t, hpke.DHKEM(ecdh.X25519()))}, 15)
	plain, err = openAll(opener(append(many, x)...), message, nil)
	require.NoError(t, err)
	require.Equal(t, text(9), plain)
}
