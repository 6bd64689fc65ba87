package api

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"net/http"

	"github.com/skip2/go-qrcode"

	"github.com/bedplate/bedplate/workerpool"
)

// compute runs fn on the pool for what needs the processor. However many want
// it, no more run than there are processors, and who would wait too long is
// refused.
func compute[T any](ctx context.Context, t workerpool.Target, fn func(context.Context) (T, error)) (T, error) {
	task, err := workerpool.Submit(ctx, t, fn)
	if err != nil {
		var none T
		return none, err
	}
	return task.Wait(ctx)
}

const saltSize, keySize = 16, 32

// hashPassword returns rounds, salt and PBKDF2 of a password as one text.
func hashPassword(password string, rounds int) string {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails
	return fmt.Sprintf("%d$%s$%s", rounds, encode(salt), encode(derive(password, salt, rounds)))
}

// checkPassword reports whether hash is that of password.
func checkPassword(password, hash string) bool {
	var rounds int
	var salt, key string
	if n, err := fmt.Sscanf(hash, "%d$%22s$%43s", &rounds, &salt, &key); n != 3 || err != nil {
		return false
	}
	raw, err := base64.RawURLEncoding.DecodeString(salt)
	if err != nil {
		return false
	}
	return subtle.ConstantTimeCompare([]byte(encode(derive(password, raw, rounds))), []byte(key)) == 1
}

func derive(password string, salt []byte, rounds int) []byte {
	key, err := pbkdf2.Key(sha256.New, password, salt, rounds, keySize)
	if err != nil {
		panic(err) // of lengths that a standard forbids, and these are constant
	}
	return key
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

const qrPixels = 320

// qr answers with the code of a short link.
func (a *API) qr(w http.ResponseWriter, r *http.Request) error {
	l, err := a.find(r.Context(), r.PathValue("slug"))
	if err != nil {
		return err
	}
	address := "http://" + r.Host + "/l/" + l.slug
	png, err := compute(r.Context(), a.cpu, func(context.Context) ([]byte, error) {
		return qrcode.Encode(address, qrcode.Medium, qrPixels)
	})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "image/png")
	w.Header().Set("Cache-Control", "private, max-age=3600")
	_, _ = w.Write(png) // the client may have left
	return nil
}
