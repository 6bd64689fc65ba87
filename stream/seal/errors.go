package seal

import (
	"context"
	"errors"
	"fmt"
)

// Sentinels for errors.Is.
var (
	// ErrKey says that none of the keys opens the message: the key, password,
	// identity or associated data is another than the one it was sealed with,
	// or the beginning of the message was changed. Which of these cannot be
	// known. Nothing was decrypted.
	ErrKey = errors.New("seal: wrong key or associated data, or not a sealed message")

	// ErrCorrupt matches every *CorruptError: the message is not what was
	// sealed. What was read before the error is authentic, and a beginning.
	ErrCorrupt = errors.New("seal: message is corrupt")

	// ErrTruncated matches a *CorruptError of which the length alone shows that
	// the end is missing. A message cut off elsewhere matches ErrCorrupt only.
	ErrTruncated = errors.New("seal: message is cut off")

	// ErrFormat matches every *FormatError.
	ErrFormat = errors.New("seal: not a header")

	// ErrCost matches every *CostError.
	ErrCost = errors.New("seal: cost out of range")

	// ErrTooLong says that a message has more than MaxSize bytes.
	ErrTooLong = errors.New("seal: message is longer than 4 PiB")

	// ErrClosed is returned by a Writer after Close, and by a Sealer after Close.
	ErrClosed = errors.New("seal: closed")

	// ErrAborted is returned by a Writer after Abort.
	ErrAborted = errors.New("seal: aborted")

	// ErrNoRecipient is returned when there is nobody to seal to: the Sealer
	// has Identities and no Recipients.
	ErrNoRecipient = errors.New("seal: Config.Recipients is empty, cannot seal")

	// ErrNoIdentity is returned when there is nothing to open with: the Sealer
	// has Recipients and no Identities.
	ErrNoIdentity = errors.New("seal: Config.Identities is empty, cannot open")

	// ErrNotRegular is returned by EncryptFile and DecryptFile for a source or
	// destination that is a directory, a pipe or a device.
	ErrNotRegular = errors.New("seal: not a regular file")
)

// CorruptError says where a message stops being authentic. It matches ErrCorrupt.
type CorruptError struct {
	Chunk     int64 // number of the chunk, 0 the first; -1 is the header
	Truncated bool  // the length alone shows that the end is missing
}

// Error returns the place in words.
func (e *CorruptError) Error() string {
	switch {
	case e.Chunk < 0:
		return "seal: cut off in the header"
	case e.Truncated:
		return fmt.Sprintf("seal: cut off in or before chunk %d", e.Chunk)
	}
	return fmt.Sprintf("seal: chunk %d is not authentic", e.Chunk)
}

// Is reports whether target is ErrCorrupt, or ErrTruncated and this is one.
func (e *CorruptError) Is(target error) bool {
	return target == ErrCorrupt || target == ErrTruncated && e.Truncated
}

// FormatError says what in a header makes no sense. It matches ErrFormat. The
// Value comes from whoever wrote the message.
type FormatError struct {
	Field string // what it is: magic, version, kind, KDF, recipients, stanza
	Value int    // what was found; 0 for the magic
	Want  string // what would have been understood
}

// Error returns the finding in words.
func (e *FormatError) Error() string {
	if e.Field == "magic" {
		return "seal: no header with a password or recipients at the beginning"
	}
	return fmt.Sprintf("seal: header has %s %d, want %s", e.Field, e.Value, e.Want)
}

// Is reports whether target is ErrFormat.
func (e *FormatError) Is(target error) bool { return target == ErrFormat }

// CostError is the refusal of a header that asks for too much work on the
// password, or too little. It matches ErrCost. No work was done.
type CostError struct {
	Cost uint32 // what the header asks for
	Min  uint32 // the least that is accepted
	Max  uint32 // the most, from KDF.MaxCost
}

// Error returns the refusal in words.
func (e *CostError) Error() string {
	return fmt.Sprintf("seal: header asks for a cost of %d, want %d to %d", e.Cost, e.Min, e.Max)
}

// Is reports whether target is ErrCost.
func (e *CostError) Is(target error) bool { return target == ErrCost }

// ctxError returns the error of a done ctx, which also matches its cause.
func ctxError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == err {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}
