// Package seal encrypts streams and files so that a reader notices every change
// to them, be it a bit, a missing end or an exchanged part. The format is that of
// https://c2sp.org/chunked-encryption, Cobblestone-128 and Cobblestone-256, made
// of the standard library alone.
//
// # Usage
//
// Make a [Sealer] with a key, a password, or the keys of recipients:
//
//	s := seal.MustNew(seal.Config{Key: seal.RandomKey()})
//
//	w, err := s.Writer(&dst, []byte("invoices/2026-11"))
//
// [Sealer.Writer] gives an io.WriteCloser, [Sealer.Reader] an io.Reader. The
// second argument is associated data: it is not in the message, and the reader
// must give the same. What produces the plaintext can fail, so defer Abort and
// return what Close returns; a message without Close has no end and is refused.
//
//	r, err := s.ReaderAt(bytes.NewReader(message), int64(len(message)), nil)
//
// [Sealer.ReaderAt] decrypts any part, without the rest; io.NewSectionReader
// makes an io.ReadSeeker of it. [Sealer.EncryptFile] and [Sealer.DecryptFile]
// turn one file into another, a block at a time:
//
//	err = s.EncryptFile(ctx, sealed, plain, seal.File{
//		Progress: func(_ context.Context, done, total int64) { fmt.Println(done, "of", total) },
//	})
//
// A key is random bytes that live in a secret store; Config.OldKeys still open
// after a change. A password goes through a [KDF]. Recipients are public keys of
// crypto/hpke, also post-quantum ones, and each of them opens the message with
// the private key.
//
// # Guarantees
//
//   - Plaintext is delivered only after the tag of its chunk was checked. What
//     was delivered before an error is an authentic beginning of the message.
//   - io.EOF means that all of it was there. A changed bit, a cut at any place,
//     chunks in another order, repeated, left out, added or taken from another
//     message, a changed header: each is an error, which stays.
//   - The message is bound to one key, header and associated data. There is no
//     second key that opens it to something else.
//   - A hostile message costs bounded memory, less than 200 KiB with its header,
//     and bounded work: one that asks for more than KDF.MaxCost is refused
//     before any.
//   - A file is replaced by a complete one or not at all. Nothing is left beside
//     it after an error, a panic or the end of ctx.
//   - Keys and passwords are not printed by fmt, log/slog or encoding/json, and
//     are wiped by Close as far as Go allows.
//   - Writer and Reader are for one goroutine, Sealer and ReaderAt for many. No
//     goroutines are started.
//   - MaxSize, 4 PiB, is the longest message, and the same key may seal 2⁷⁷ of
//     them, as the specification computes.
//
// # Context
//
// EncryptFile and DecryptFile look at ctx before each block of 256 KiB and once
// before the renaming. Done before the call: nothing happens. Done later: they
// return, the destination is as it was. The error matches both ctx.Err() and
// context.Cause(ctx). Progress gets the caller's ctx. What cannot be interrupted
// is a KDF and one read or write of the system.
//
// Writer and Reader have no ctx: they wait for what they write to and read from.
//
// # When not to use it
//
// To store passwords of users, use a password hash. To talk to another process,
// use TLS. A message of a few bytes among many, such as a database field, grows
// by 72 bytes; with one key for all, cipher.NewGCMWithRandomNonce adds 28, but
// holds for fewer messages, and has no key commitment. To exchange files with
// people, age has tools and a format that others read.
//
// The length of a message is not hidden, and compressing what an attacker has a
// part in before sealing it tells him about the rest. A message to recipients
// says nothing about who sealed it: anybody can who has their public keys, and
// each of them can change it for the others.
//
// # How it works
//
// HKDF-Expand with SHA-512 derives from key, a random salt and the associated
// data an AES key, a base nonce and a commitment, which stands at the beginning
// and tells a wrong key at once. Then come chunks of 16 KiB, each sealed by
// AES-GCM with the base nonce XOR its number. Only the last one is shorter, and
// may be empty; that is how an end is known from a cut.
//
// Messages of a key have nothing else in them. With a password or recipients a
// header of ours stands before, which is bound as associated data is: see
// password.go and recipient.go for its bytes, and DESIGN.md for its reasons.
//
// With GODEBUG=fips140=only the standard library refuses nonces that are not its
// own, and so Writer and Reader return an error.
//
// # Performance
//
// As fast as AES-GCM over the same chunks: 2.3 to 3 GB/s on one core here, and
// nothing allocated for each chunk. A message by itself costs about 15 µs and
// 17 KB of memory, 82 KB once it is longer than a chunk; with a password it costs
// what its KDF does, by default about a fifth of a second. DESIGN.md has the measurements and
// examples/bench/seal the comparisons.
package seal
