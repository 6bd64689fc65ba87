package seal

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
)

// The header of a message sealed with a password goes on with
//
//	KDF   1 byte  1 PBKDF2-HMAC-SHA-512, 128 to 255 the caller's
//	cost  4       iterations of PBKDF2; else as the KDF takes it
//	salt  32      random
const (
	passwordSize = 1 + 4 + passwordSalt
	passwordSalt = 32

	pbkdf2ID = 1

	// Bounds of the cost of PBKDF2. The floor is that of NIST SP 800-132.
	minIterations     = 1_000
	defaultIterations = 300_000
	defaultMostWork   = 4 * defaultIterations
)

// KDF derives keys from passwords. The zero KDF is PBKDF2 with HMAC-SHA-512
// and 300,000 iterations. With Derive it is another, argon2id for instance.
type KDF struct {
	// ID names the KDF in headers: 128 to 255 with Derive, and zero without. A
	// message is opened only if its header has the same.
	ID uint8

	// Cost is written into the header of new messages and handed to Derive. For
	// PBKDF2 it is the number of iterations, 1000 or more, and zero means
	// 300,000. With Derive it is required, and means what Derive makes of it.
	Cost uint32

	// MaxCost is the largest cost in a header that is worked for: a larger one
	// is refused with a *CostError before any work. Zero means Cost, and for
	// PBKDF2 at least 1,200,000.
	MaxCost uint32

	// Derive makes a uniformly random key of 32 bytes from a password, a salt
	// of 32 bytes and a cost from 1 to MaxCost. It must not keep or change
	// password and salt; the key is copied. It runs on the goroutine that calls Sealer.Writer or
	// Reader, and may run in many at once. Its error is returned as it is.
	Derive func(password, salt []byte, cost uint32) ([]byte, error)
}

func (k KDF) withDefaults() KDF {
	if k.Derive == nil {
		k.ID = pbkdf2ID
		if k.Cost == 0 {
			k.Cost = defaultIterations
		}
		if k.MaxCost == 0 {
			k.MaxCost = max(k.Cost, defaultMostWork)
		}
	}
	if k.MaxCost == 0 {
		k.MaxCost = k.Cost
	}
	return k
}

// least is the smallest cost.
func (k KDF) least() uint32 {
	if k.Derive == nil {
		return minIterations
	}
	return 1
}

// check reports the first field that makes no sense, as it was given.
func (k KDF) check(used bool, bad func(field string, value any, want string) error) error {
	set := k.ID != 0 || k.Cost != 0 || k.MaxCost != 0 || k.Derive != nil
	full := k.withDefaults()
	switch {
	case set && !used:
		return bad("KDF", "set", "none without a Password")
	case k.Derive == nil && k.ID != 0:
		return bad("KDF.ID", k.ID, "0 without Derive")
	case k.Derive != nil && k.ID < 128:
		return bad("KDF.ID", k.ID, "128 to 255 with Derive")
	case full.Cost < full.least():
		return bad("KDF.Cost", full.Cost, fmt.Sprintf("≥ %d", full.least()))
	case k.Derive == nil && full.MaxCost > math.MaxInt32:
		return bad("KDF.MaxCost", full.MaxCost, "≤ 2147483647 iterations")
	case full.MaxCost < full.Cost:
		return bad("KDF.MaxCost", full.MaxCost, fmt.Sprintf("≥ Cost, which is %d", full.Cost))
	}
	return nil
}

// begin makes the header of a new message and derives its key.
func (k KDF) begin(password []byte) (header, key []byte, err error) {
	header = append(newHeader(kindPassword), k.ID)
	header = binary.BigEndian.AppendUint32(header, k.Cost)
	salt := make([]byte, passwordSalt)
	_, _ = rand.Read(salt)
	key, err = k.derive(password, salt, k.Cost)
	return append(header, salt...), key, err
}

// open reads the header of a message and derives its key.
func (k KDF) open(src io.Reader, password []byte) (header, key []byte, err error) {
	header, err = openHeader(src, kindPassword, passwordSize)
	if err != nil {
		return nil, nil, err
	}
	fields := header[len(header)-passwordSize:]
	if fields[0] != k.ID {
		return nil, nil, &FormatError{Field: "KDF", Value: int(fields[0]), Want: strconv.Itoa(int(k.ID))}
	}
	cost := binary.BigEndian.Uint32(fields[1:])
	if cost < k.least() || cost > k.MaxCost {
		return nil, nil, &CostError{Cost: cost, Min: k.least(), Max: k.MaxCost}
	}
	key, err = k.derive(password, fields[5:], cost)
	return header, key, err
}

func (k KDF) derive(password, salt []byte, cost uint32) ([]byte, error) {
	if k.Derive == nil {
		key, err := pbkdf2.Key(sha512.New, string(password), salt, int(cost), 32)
		if err != nil {
			return nil, fmt.Errorf("seal: PBKDF2: %w", err)
		}
		return key, nil
	}
	key, err := k.Derive(password, salt, cost)
	if err != nil {
		return nil, err
	}
	if len(key) != 32 {
		return nil, fmt.Errorf("seal: KDF.Derive returned %d bytes, want 32", len(key))
	}
	return slices.Clone(key), nil // ours is wiped, and this one may be kept
}
