package seal

import (
	"crypto/hpke"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
)

// The header of a message sealed to recipients goes on with
//
//	count    1 byte          of stanzas, 1 to 16
//	stanzas, one a recipient:
//	  KEM    2               its number in the registry of HPKE (RFC 9180)
//	  size   2               of what follows
//	  sealed size            encapsulated key and sealed input key
//
// Each stanza holds the same random input key of 32 bytes, sealed by HPKE in
// base mode with HKDF-SHA-512 and AES-256-GCM. It does not say whose it is.
const (
	stanzaSize = 2 + 2

	// Bounds of a sealed key. The longest of today is that of MLKEM1024-P384,
	// 1713 bytes.
	minSealedKey = 32 + tagSize
	maxSealedKey = 4096

	// stanzaInfo separates this use of a key pair from others.
	stanzaInfo = "bedplate stream/seal v1 stanza"
)

// sealTo makes the header of a new message and its key.
func sealTo(recipients []hpke.PublicKey) (header, key []byte, err error) {
	if len(recipients) == 0 {
		return nil, nil, ErrNoRecipient
	}
	key = make([]byte, 32)
	_, _ = rand.Read(key)
	header = append(newHeader(kindRecipients), byte(len(recipients)))
	for i, recipient := range recipients {
		sealed, err := hpke.Seal(recipient, hpke.HKDFSHA512(), hpke.AES256GCM(), []byte(stanzaInfo), key)
		if err != nil {
			return nil, nil, fmt.Errorf("seal: Config.Recipients[%d]: %w", i, err)
		}
		if len(sealed) > maxSealedKey {
			return nil, nil, fmt.Errorf("seal: Config.Recipients[%d] makes a stanza of %d bytes, want at most %d", i, len(sealed), maxSealedKey)
		}
		header = binary.BigEndian.AppendUint16(header, recipient.KEM().ID())
		header = binary.BigEndian.AppendUint16(header, uint16(len(sealed)))
		header = append(header, sealed...)
	}
	return header, key, nil
}

// openFrom reads the header of a message and finds the key in the first stanza
// that one of the identities opens. Stanzas of other KEMs are passed over.
func openFrom(src io.Reader, identities []hpke.PrivateKey) (header, key []byte, err error) {
	if len(identities) == 0 {
		return nil, nil, ErrNoIdentity
	}
	header, err = openHeader(src, kindRecipients, 1)
	if err != nil {
		return nil, nil, err
	}
	count := int(header[len(header)-1])
	if count == 0 || count > maxKeys {
		return nil, nil, &FormatError{Field: "recipients", Value: count, Want: "1 to 16"}
	}
	for range count {
		var start [stanzaSize]byte
		if err := readHeader(src, start[:]); err != nil {
			return nil, nil, err
		}
		size := int(binary.BigEndian.Uint16(start[2:]))
		if size < minSealedKey || size > maxSealedKey {
			return nil, nil, &FormatError{Field: "stanza of size", Value: size, Want: fmt.Sprintf("%d to %d", minSealedKey, maxSealedKey)}
		}
		sealed := make([]byte, size)
		if err := readHeader(src, sealed); err != nil {
			return nil, nil, err
		}
		header = append(append(header, start[:]...), sealed...)
		if key == nil {
			key = openStanza(binary.BigEndian.Uint16(start[:]), sealed, identities)
		}
	}
	if key == nil {
		return nil, nil, ErrKey
	}
	return header, key, nil
}

// openStanza returns the key in a stanza, nil if it is for none of the
// identities.
func openStanza(kem uint16, sealed []byte, identities []hpke.PrivateKey) []byte {
	for _, identity := range identities {
		if identity.KEM().ID() != kem {
			continue
		}
		key, err := hpke.Open(identity, hpke.HKDFSHA512(), hpke.AES256GCM(), []byte(stanzaInfo), sealed)
		if err == nil && len(key) == 32 {
			return key
		}
	}
	return nil
}
