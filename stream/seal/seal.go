package seal

import (
	"crypto/hpke"
	"crypto/rand"
	"fmt"
	"io"
	"slices"
	"sync"
)

// Config says with what a Sealer seals and opens: a key, or a password, or the
// public keys of recipients and the private keys of identities. One of the three
// must be there, and only one.
type Config struct {
	// Key is a uniformly random key of 16 bytes (Cobblestone-128) or 32
	// (Cobblestone-256). A password is not one. Messages have no header but that
	// of the specification, so other implementations of it can open them.
	Key Secret

	// OldKeys open what was sealed before Key was changed.
	OldKeys []Secret

	// Password seals with a key derived by KDF, anew for each message. Its bytes
	// are taken as they are: Unicode normalisation is up to the caller.
	Password Secret

	// KDF derives keys from the Password. The zero KDF is PBKDF2.
	KDF KDF

	// Recipients are whom messages are sealed to, at most 16. Each opens them
	// with the private key to one of these. hpke.MLKEM768X25519 makes keys that
	// withstand quantum computers.
	Recipients []hpke.PublicKey

	// Identities open what was sealed to them, at most 16. Anybody can seal to
	// a recipient: what opens is private, and says nothing of who sealed it.
	Identities []hpke.PrivateKey
}

// maxKeys bounds OldKeys, Recipients and Identities, and with them the work
// that one header can ask for.
const maxKeys = 16

// Sealer seals messages and opens them. It is safe for use by many goroutines.
// Make one with New or MustNew.
type Sealer struct {
	kind byte // of the header, kindKey if there is none; like kdf set by New
	kdf  KDF

	mu         sync.RWMutex // guards what follows
	closed     bool
	secrets    []Secret // Key and OldKeys, or the Password; copies of our own
	recipients []hpke.PublicKey
	identities []hpke.PrivateKey
}

// New returns a Sealer as described by cfg. It fails if a field of cfg has a
// value that makes no sense, and the error names the field. It copies the
// secrets, so those of cfg may be destroyed.
func New(cfg Config) (*Sealer, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Sealer{
		kind:       cfg.kind(),
		kdf:        cfg.KDF.withDefaults(),
		recipients: slices.Clone(cfg.Recipients),
		identities: slices.Clone(cfg.Identities),
	}
	switch s.kind {
	case kindKey:
		for _, key := range append([]Secret{cfg.Key}, cfg.OldKeys...) {
			s.secrets = append(s.secrets, hide(key.Bytes()))
		}
	case kindPassword:
		s.secrets = []Secret{hide(cfg.Password.Bytes())}
	}
	return s, nil
}

// MustNew is New for package variables: it panics where New returns an error.
func MustNew(cfg Config) *Sealer {
	s, err := New(cfg)
	if err != nil {
		panic(err.Error())
	}
	return s
}

// kind is the kind of header that messages have.
func (c Config) kind() byte {
	switch {
	case c.Password.len() > 0:
		return kindPassword
	case len(c.Recipients)+len(c.Identities) > 0:
		return kindRecipients
	}
	return kindKey
}

// check reports the first field that makes no sense.
func (c Config) check() error {
	bad := func(field string, value any, want string) error {
		return fmt.Errorf("seal: Config.%s is %v, want %s", field, value, want)
	}
	const one = "one of Key, Password, and Recipients with Identities"
	kind := c.kind()
	switch {
	case kind == kindKey && c.Password.bytes != nil:
		return bad("Password", "empty", "a password")
	case kind == kindKey && c.Key.bytes == nil:
		return bad("Key", "not set", one)
	case kind != kindKey && c.Key.bytes != nil:
		return bad("Key", "set", one)
	case kind != kindKey && len(c.OldKeys) > 0:
		return bad("OldKeys", "set", "none without a Key")
	}
	if kind == kindKey {
		for i, key := range append([]Secret{c.Key}, c.OldKeys...) {
			if n := key.len(); n != 16 && n != 32 {
				field := "Key"
				if i > 0 {
					field = fmt.Sprintf("OldKeys[%d]", i-1)
				}
				return bad(field, fmt.Sprintf("%d bytes long", n), "16 or 32 bytes")
			}
		}
	}
	switch {
	case kind == kindPassword && len(c.Recipients)+len(c.Identities) > 0:
		return bad("Password", "set", one)
	case len(c.OldKeys) > maxKeys:
		return bad("OldKeys", fmt.Sprintf("%d keys", len(c.OldKeys)), "at most 16")
	case len(c.Recipients) > maxKeys:
		return bad("Recipients", fmt.Sprintf("%d keys", len(c.Recipients)), "at most 16")
	case len(c.Identities) > maxKeys:
		return bad("Identities", fmt.Sprintf("%d keys", len(c.Identities)), "at most 16")
	}
	for i, key := range c.Recipients {
		if key == nil {
			return bad(fmt.Sprintf("Recipients[%d]", i), "nil", "a public key")
		}
	}
	for i, key := range c.Identities {
		if key == nil {
			return bad(fmt.Sprintf("Identities[%d]", i), "nil", "a private key")
		}
	}
	return c.KDF.check(kind == kindPassword, bad)
}

// Writer returns a Writer that seals a message to dst. Opening the message takes
// the same associated data, which is not in it: say there what the message is
// (a name, a tenant, a version), so that one cannot be passed off as another.
// Nil is as good as empty.
//
// Nothing is written to dst before the first chunk is complete or the Writer is
// closed. With a Password this takes as long as the KDF does. On failure the
// error is ErrClosed, ErrNoRecipient, that of KDF.Derive as it is, or that of
// the standard library, for instance where FIPS 140 mode forbids AES-GCM.
func (s *Sealer) Writer(dst io.Writer, associated []byte) (*Writer, error) {
	header, key, err := s.begin()
	if err != nil {
		return nil, err
	}
	defer clear(key)
	prelude := make([]byte, len(header)+preludeSize)
	salt := prelude[copy(prelude, header):][:saltSize]
	_, _ = rand.Read(salt)
	msg, commitment, err := derive(key, salt, join(header, associated))
	if err != nil {
		return nil, err
	}
	copy(prelude[len(header)+saltSize:], commitment)
	return newWriter(dst, msg, prelude), nil
}

// Reader returns a Reader for the message in src, which must have nothing else
// behind it. The associated data must be that of the Writer.
//
// It reads what stands before the first chunk. On failure the error is ErrKey, a
// *CorruptError, *FormatError or *CostError, ErrClosed, ErrNoIdentity, or that
// of src or KDF.Derive as it is. With a Password it takes as long as the KDF
// does, which KDF.MaxCost bounds.
func (s *Sealer) Reader(src io.Reader, associated []byte) (*Reader, error) {
	msg, _, err := s.open(src, associated)
	if err != nil {
		return nil, err
	}
	return newReader(src, msg), nil
}

// ReaderAt returns a ReaderAt for the message in the first size bytes of src,
// which must be all of it. The associated data must be that of the Writer.
//
// Besides what Reader does it decrypts the last chunk, which proves that the
// message is not cut off. Errors are those of Reader.
func (s *Sealer) ReaderAt(src io.ReaderAt, size int64, associated []byte) (*ReaderAt, error) {
	msg, first, err := s.open(io.NewSectionReader(src, 0, size), associated)
	if err != nil {
		return nil, err
	}
	r, err := newReaderAt(src, size, first, msg)
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Close forgets the keys and overwrites those that were given as Secrets. Later
// calls return ErrClosed; Writers and Readers that exist go on. It returns nil,
// also when called again.
func (s *Sealer) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, secret := range s.secrets {
		secret.Destroy()
	}
	s.closed, s.secrets, s.recipients, s.identities = true, nil, nil, nil
	return nil
}

// begin makes the header of a new message and its input key, which the caller
// may wipe.
func (s *Sealer) begin() (header, key []byte, err error) {
	k, err := s.keys()
	if err != nil {
		return nil, nil, err
	}
	defer k.wipe()
	switch s.kind {
	case kindPassword:
		return s.kdf.begin(k.secrets[0])
	case kindRecipients:
		return sealTo(k.recipients)
	}
	return nil, slices.Clone(k.secrets[0]), nil
}

// open reads what stands before the chunks. first is how much that was.
func (s *Sealer) open(src io.Reader, associated []byte) (msg *message, first int64, err error) {
	k, err := s.keys()
	if err != nil {
		return nil, 0, err
	}
	defer k.wipe()
	candidates := k.secrets
	var header, key []byte
	switch s.kind {
	case kindPassword:
		header, key, err = s.kdf.open(src, k.secrets[0])
	case kindRecipients:
		header, key, err = openFrom(src, k.identities)
	}
	if err != nil {
		return nil, 0, err
	}
	if s.kind != kindKey {
		defer clear(key)
		candidates = [][]byte{key}
	}
	msg, err = openPrelude(src, candidates, join(header, associated))
	return msg, int64(len(header) + preludeSize), err
}

// keyring is what a Sealer knows, copied so that it can be used without a lock
// while Close wipes the original.
type keyring struct {
	secrets    [][]byte
	recipients []hpke.PublicKey
	identities []hpke.PrivateKey
}

func (s *Sealer) keys() (keyring, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return keyring{}, ErrClosed
	}
	k := keyring{recipients: s.recipients, identities: s.identities}
	for _, secret := range s.secrets {
		k.secrets = append(k.secrets, secret.Bytes())
	}
	return k, nil
}

func (k keyring) wipe() {
	for _, secret := range k.secrets {
		clear(secret)
	}
}
