package seal_test

import (
	"bytes"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/stream/seal"
)

// holder has a Secret where fmt cannot call its methods.
type holder struct {
	secret seal.Secret
	list   []seal.Secret
	named  map[string]seal.Secret
	any    any
}

// TestSecretsAreNotPrinted prints what holds secrets in every way that a log
// line might, and looks for the bytes in every form in which they might appear.
func TestSecretsAreNotPrinted(t *testing.T) {
	raw := []byte("correct horse battery staple 12!")
	secret := seal.SecretFrom(raw)
	keyed := seal.MustNew(seal.Config{Key: secret, OldKeys: []seal.Secret{secret}})
	withPassword := seal.MustNew(seal.Config{Password: secret})
	values := []any{
		secret, &secret, []seal.Secret{secret}, map[string]seal.Secret{"k": secret},
		holder{secret, []seal.Secret{secret}, map[string]seal.Secret{"k": secret}, secret},
		seal.Config{Key: secret, OldKeys: []seal.Secret{secret}}, seal.Config{Password: secret},
	}
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, nil))
	plainLog := slog.New(slog.NewTextHandler(&out, nil))
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p", "%08b", "% x"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		fmt.Fprintln(&out, v)
		log.Info("it", "v", v)
		plainLog.Info("it", "v", v)
		if data, err := json.Marshal(v); err == nil {
			out.Write(data)
		}
		if data, err := xml.Marshal(v); err == nil {
			out.Write(data)
		}
		_ = gob.NewEncoder(&out).Encode(v)
	}
	for _, s := range []*seal.Sealer{keyed, withPassword} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
			fmt.Fprintf(&out, verb+"\n", struct{ S *seal.Sealer }{s})
			fmt.Fprintf(&out, verb+"\n", s)
		}
		log.Info("it", "s", s)
		plainLog.Info("it", "s", s)
	}
	printed := out.Bytes()
	require.Contains(t, string(printed), "redacted")
	for i := range len(raw) - 4 {
		p := raw[i : i+4]
		for _, form := range []string{
			string(p), hex.EncodeToString(p), fmt.Sprintf("%X", p), fmt.Sprintf("% x", p),
			fmt.Sprintf("%d %d %d %d", p[0], p[1], p[2], p[3]), fmt.Sprintf("%#x, %#x, %#x", p[0], p[1], p[2]),
		} {
			at := bytes.Index(printed, []byte(form))
			require.Negative(t, at, "%q", printed[max(0, at-100):min(len(printed), max(0, at)+20)])
		}
	}
}

func TestSecretIsCopiedInAndOut(t *testing.T) {
	raw := []byte("0123456789abcdef")
	s := seal.SecretFrom(raw)
	clear(raw)
	out := s.Bytes()
	require.Equal(t, "0123456789abcdef", string(out))
	clear(out)
	require.Equal(t, "0123456789abcdef", string(s.Bytes()))
}

func TestDestroyedSecretIsEmpty(t *testing.T) {
	s := seal.RandomKey()
	other := s
	require.Len(t, other.Bytes(), 32)
	s.Destroy()
	s.Destroy()
	require.Empty(t, other.Bytes())
	seal.Secret{}.Destroy()
	require.Empty(t, seal.Secret{}.Bytes())
	_, err := seal.New(seal.Config{Key: other})
	require.EqualError(t, err, "seal: Config.Key is 0 bytes long, want 16 or 32 bytes")
}

func TestRandomKeysDiffer(t *testing.T) {
	require.NotEqual(t, seal.RandomKey().Bytes(), seal.RandomKey().Bytes())
}
