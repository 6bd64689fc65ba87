package seal_test

import (
	"bytes"
	"context"
	"crypto/hpke"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/bedplate/bedplate/stream/seal"
)

// A message is sealed to any io.Writer and opened from any io.Reader.
func Example() {
	var dst bytes.Buffer

	s := seal.MustNew(seal.Config{Key: seal.RandomKey()})

	w, err := s.Writer(&dst, []byte("invoices/2026-11"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer w.Abort() // does nothing after Close
	if _, err := io.WriteString(w, "pay 100 to Alice"); err != nil {
		fmt.Println(err)
		return
	}
	if err := w.Close(); err != nil { // only now is the message complete
		fmt.Println(err)
		return
	}

	r, err := s.Reader(&dst, []byte("invoices/2026-11"))
	if err != nil {
		fmt.Println(err)
		return
	}
	plain, err := io.ReadAll(r)
	fmt.Printf("%s, %v\n", plain, err)
	// Output: pay 100 to Alice, <nil>
}

func ExampleNew() {
	_, err := seal.New(seal.Config{Key: seal.SecretFrom([]byte("secret-key"))})
	fmt.Println(err)
	// Output: seal: Config.Key is 10 bytes long, want 16 or 32 bytes
}

func ExampleMustNew() {
	key, err := hex.DecodeString("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")
	if err != nil {
		fmt.Println(err)
		return
	}
	s := seal.MustNew(seal.Config{Key: seal.SecretFrom(key)})
	fmt.Println(s.Close())
	// Output: <nil>
}

// After a change of keys, what was sealed with the old one is still opened.
func ExampleConfig_rotation() {
	old := seal.RandomKey()
	var dst bytes.Buffer
	w, _ := seal.MustNew(seal.Config{Key: old}).Writer(&dst, nil)
	_, _ = io.WriteString(w, "from last year")
	_ = w.Close()

	s := seal.MustNew(seal.Config{Key: seal.RandomKey(), OldKeys: []seal.Secret{old}})
	r, err := s.Reader(&dst, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	plain, err := io.ReadAll(r)
	fmt.Printf("%s, %v\n", plain, err)
	// Output: from last year, <nil>
}

func ExampleConfig_password() {
	s := seal.MustNew(seal.Config{Password: seal.SecretFrom([]byte("correct horse battery staple"))})
	var dst bytes.Buffer
	w, err := s.Writer(&dst, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = io.WriteString(w, "hello")
	fmt.Println(w.Close())

	wrong := seal.MustNew(seal.Config{Password: seal.SecretFrom([]byte("Tr0ub4dor&3"))})
	_, err = wrong.Reader(&dst, nil)
	fmt.Println(errors.Is(err, seal.ErrKey))
	// Output:
	// <nil>
	// true
}

// A message to two recipients, each of whom can open it. The keys withstand
// quantum computers.
func ExampleConfig_recipients() {
	alice, err := hpke.MLKEM768X25519().GenerateKey()
	if err != nil {
		fmt.Println(err)
		return
	}
	escrow, err := hpke.MLKEM768X25519().GenerateKey()
	if err != nil {
		fmt.Println(err)
		return
	}
	sender := seal.MustNew(seal.Config{Recipients: []hpke.PublicKey{alice.PublicKey(), escrow.PublicKey()}})
	receiver := seal.MustNew(seal.Config{Identities: []hpke.PrivateKey{escrow}})

	var dst bytes.Buffer
	w, err := sender.Writer(&dst, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = io.WriteString(w, "the plans")
	_ = w.Close()

	r, err := receiver.Reader(&dst, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	plain, err := io.ReadAll(r)
	fmt.Printf("%s, %v\n", plain, err)
	// Output: the plans, <nil>
}

// sealedText is a message of n digits.
func sealedText(s *seal.Sealer, n int) []byte {
	var dst bytes.Buffer
	w, err := s.Writer(&dst, nil)
	if err != nil {
		panic(err)
	}
	_, _ = io.WriteString(w, strings.Repeat("0123456789", n/10))
	_ = w.Close()
	return dst.Bytes()
}

// A message that was cut off gives its beginning, and then not io.EOF.
func ExampleSealer_Reader() {
	s := seal.MustNew(seal.Config{Key: seal.RandomKey()})
	message := sealedText(s, 50_000)
	r, err := s.Reader(bytes.NewReader(message[:40_000]), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	plain, err := io.ReadAll(r)
	fmt.Println(len(plain), errors.Is(err, seal.ErrCorrupt))
	fmt.Println(err)
	// Output:
	// 32768 true
	// seal: chunk 2 is not authentic
}

func ExampleSealer_ReaderAt() {
	s := seal.MustNew(seal.Config{Key: seal.RandomKey()})
	message := sealedText(s, 1_000_000)

	r, err := s.ReaderAt(bytes.NewReader(message), int64(len(message)), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	p := make([]byte, 5)
	if _, err := r.ReadAt(p, 777_777); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s of %d\n", p, r.Size())
	// Output: 78901 of 1000000
}

// With io.NewSectionReader a message is an io.ReadSeeker, which
// http.ServeContent takes, for instance.
func ExampleReaderAt_ReadAt() {
	s := seal.MustNew(seal.Config{Key: seal.RandomKey()})
	message := sealedText(s, 100_000)
	r, err := s.ReaderAt(bytes.NewReader(message), int64(len(message)), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	seeker := io.NewSectionReader(r, 0, r.Size())
	_, _ = seeker.Seek(-5, io.SeekEnd)
	end, err := io.ReadAll(seeker)
	fmt.Printf("%s, %v\n", end, err)
	// Output: 56789, <nil>
}

func ExampleReaderAt_Size() {
	s := seal.MustNew(seal.Config{Key: seal.RandomKey()})
	message := sealedText(s, 20_000)
	r, err := s.ReaderAt(bytes.NewReader(message), int64(len(message)), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.Size(), "in", len(message))
	// Output: 20000 in 20088
}

// The size of a message sealed with a key follows from the length of the
// plaintext.
func ExampleSealer_Writer() {
	s := seal.MustNew(seal.Config{Key: seal.RandomKey()})
	var dst bytes.Buffer
	w, err := s.Writer(&dst, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	n, _ := w.Write(make([]byte, 100_000))
	_ = w.Close()
	fmt.Println(dst.Len(), 56+n+16*(n/16384+1))
	// Output: 100168 100168
}

// If what produces the plaintext fails, a deferred Abort keeps the beginning
// from looking complete, as Close would not.
func ExampleWriter_Abort() {
	s := seal.MustNew(seal.Config{Key: seal.RandomKey()})
	var dst bytes.Buffer
	produce := func() error {
		w, err := s.Writer(&dst, nil)
		if err != nil {
			return err
		}
		defer w.Abort()
		if _, err := w.Write(make([]byte, 20_000)); err != nil {
			return err
		}
		return errors.New("the database is gone")
	}
	fmt.Println(produce())
	r, err := s.Reader(&dst, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = io.Copy(io.Discard, r)
	fmt.Println(errors.Is(err, seal.ErrTruncated))
	// Output:
	// the database is gone
	// true
}

func ExampleWriter_Close() {
	s := seal.MustNew(seal.Config{Key: seal.RandomKey()})
	w, _ := s.Writer(io.Discard, nil)
	fmt.Println(w.Close(), w.Close())
	_, err := w.Write([]byte("more"))
	fmt.Println(err)
	// Output:
	// <nil> <nil>
	// seal: closed
}

func ExampleSealer_Close() {
	s := seal.MustNew(seal.Config{Key: seal.RandomKey()})
	fmt.Println(s.Close())
	_, err := s.Writer(io.Discard, nil)
	fmt.Println(err)
	// Output:
	// <nil>
	// seal: closed
}

func ExampleSealer_EncryptFile() {
	dir, err := os.MkdirTemp("", "seal-example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	plain, sealed := filepath.Join(dir, "db.dump"), filepath.Join(dir, "db.dump.sealed")
	_ = os.WriteFile(plain, make([]byte, 600_000), 0o600)
	s := seal.MustNew(seal.Config{Key: seal.RandomKey()})
	ctx := context.Background()

	err = s.EncryptFile(ctx, sealed, plain, seal.File{
		Progress: func(_ context.Context, done, total int64) { fmt.Println(done, "of", total) },
	})
	fmt.Println(err)
	// Output:
	// 262144 of 600000
	// 524288 of 600000
	// 600000 of 600000
	// <nil>
}

// A file that was changed is not decrypted: the destination stays as it was.
func ExampleSealer_DecryptFile() {
	dir, err := os.MkdirTemp("", "seal-example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	sealed, plain := filepath.Join(dir, "sealed"), filepath.Join(dir, "plain")
	s := seal.MustNew(seal.Config{Key: seal.RandomKey()})
	message := sealedText(s, 100_000)
	message[99_000] ^= 1
	_ = os.WriteFile(sealed, message, 0o600)
	_ = os.WriteFile(plain, []byte("as it was"), 0o600)

	err = s.DecryptFile(context.Background(), plain, sealed, seal.File{})
	fmt.Println(err)
	kept, _ := os.ReadFile(plain)
	fmt.Printf("%s\n", kept)
	// Output:
	// seal: chunk 6 is not authentic
	// as it was
}

// A KDF of one's own; with golang.org/x/crypto/argon2 the body of Derive is
// argon2.IDKey(password, salt, 3, cost, 4, 32) and the cost is in KiB.
func ExampleKDF() {
	s := seal.MustNew(seal.Config{
		Password: seal.SecretFrom([]byte("correct horse battery staple")),
		KDF: seal.KDF{
			ID:   128,
			Cost: 64 << 10,
			Derive: func(password, salt []byte, cost uint32) ([]byte, error) {
				return nil, errors.New("no memory for this")
			},
		},
	})
	_, err := s.Writer(io.Discard, nil)
	fmt.Println(err)
	// Output: no memory for this
}

func ExampleSecret() {
	cfg := seal.Config{Key: seal.RandomKey()}
	fmt.Printf("%v\n", cfg.Key)
	// Output: seal.Secret(redacted)
}

func ExampleRandomKey() {
	fmt.Println(len(seal.RandomKey().Bytes()))
	// Output: 32
}

func ExampleSecretFrom() {
	b := []byte("0123456789abcdef")
	key := seal.SecretFrom(b)
	clear(b) // the Secret has its own copy
	fmt.Println(len(key.Bytes()), key)
	// Output: 16 seal.Secret(redacted)
}

func ExampleSecret_Destroy() {
	key := seal.RandomKey()
	s := seal.MustNew(seal.Config{Key: key})
	key.Destroy() // the Sealer has a copy, until its Close
	_, err := s.Writer(io.Discard, nil)
	fmt.Println(len(key.Bytes()), err)
	// Output: 0 <nil>
}

func ExampleCorruptError() {
	err := error(&seal.CorruptError{Chunk: 3, Truncated: true})
	if corrupt, ok := errors.AsType[*seal.CorruptError](err); ok {
		fmt.Println(corrupt.Chunk, errors.Is(err, seal.ErrCorrupt), errors.Is(err, seal.ErrTruncated))
	}
	// Output: 3 true true
}

func ExampleCostError() {
	err := error(&seal.CostError{Cost: 4_000_000_000, Min: 1000, Max: 1_200_000})
	fmt.Println(err)
	// Output: seal: header asks for a cost of 4000000000, want 1000 to 1200000
}

func ExampleFormatError() {
	password := seal.MustNew(seal.Config{Password: seal.SecretFrom([]byte("pw"))})
	_, err := password.Reader(strings.NewReader(strings.Repeat("not sealed ", 10)), nil)
	fmt.Println(errors.Is(err, seal.ErrFormat))
	// Output: true
}
