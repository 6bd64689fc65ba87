package lru

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"math"
	"time"
)

// The file begins with a line that names its version and the time of its
// writing, followed by records. A record is the length of its bytes plus one,
// the time to live that is left in nanoseconds or 0, and the bytes that the
// user's function made. A length of 0 ends the records; a checksum of
// everything before it follows.
const snapshotHeader = "lru snapshot 1\n"

const maxRecord = 1 << 30

// Save writes the entries to w, the oldest of each shard first, with the time
// that each has left. encode appends an entry to dst and returns the result, or
// an error, which ends Save and is returned as it is. Each shard is copied when
// its turn comes, as for All, and nothing is locked while encode and w work.
func (c *Cache[K, V]) Save(w io.Writer, encode func(dst []byte, key K, value V) ([]byte, error)) error {
	sum := crc32.New(castagnoli())
	out := bufio.NewWriter(io.MultiWriter(w, sum))
	head := binary.BigEndian.AppendUint64([]byte(snapshotHeader), uint64(time.Now().UnixNano()))
	_, _ = out.Write(head) // out keeps the first error for Flush
	var record, number []byte
	for i := range c.shards {
		s := &c.shards[i]
		items, lefts := s.copyTimed()
		for j, it := range items {
			var err error
			if record, err = encode(record[:0], it.key, it.value); err != nil {
				return err
			}
			if len(record) > maxRecord {
				return fmt.Errorf("lru: an entry of %d bytes, want at most %d", len(record), maxRecord)
			}
			number = binary.AppendUvarint(number[:0], uint64(len(record))+1)
			number = binary.AppendUvarint(number, uint64(lefts[j]))
			_, _ = out.Write(number)
			if _, err := out.Write(record); err != nil {
				return fmt.Errorf("lru: save: %w", err)
			}
		}
	}
	_ = out.WriteByte(0)
	if err := out.Flush(); err != nil {
		return fmt.Errorf("lru: save: %w", err)
	}
	if _, err := w.Write(sum.Sum(nil)); err != nil {
		return fmt.Errorf("lru: save: %w", err)
	}
	return nil
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// copyTimed returns the live entries, oldest first, and how long each has left;
// 0 for no end.
func (s *shard[K, V]) copyTimed() (items []item[K, V], lefts []int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.slots(true, func(slot uint32) bool {
		left := int64(0)
		if s.deadlines != nil && s.deadlines[slot] != 0 {
			d := s.deadlines[slot]
			if left = d>>flagBits - now; d&negativeFlag != 0 || left <= 0 {
				return true
			}
		}
		items, lefts = append(items, item[K, V]{s.nodes[slot].key, s.nodes[slot].value}), append(lefts, left)
		return true
	})
	return items, lefts
}

// Load adds the entries that Save wrote, in the order in which it wrote them,
// and returns how many. decode takes the bytes of an entry, which it must not
// keep; its error ends Load and is returned as it is. An entry that had a time to live gets what is
// left of it by the wall clock since Save, and is left out when nothing is.
// Keys that have a value already keep it, and are not counted.
//
// Input that Save did not write, or that was cut off or changed, is an error
// that matches ErrSnapshot. What was read before the damage was noticed stays
// in the cache, so a checksum that fails at the end is a reason to call Clear.
func (c *Cache[K, V]) Load(r io.Reader, decode func(src []byte) (K, V, error)) (int, error) {
	in := &summed{r: bufio.NewReader(r), sum: crc32.New(castagnoli())}
	var head [len(snapshotHeader) + 8]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return 0, damaged("header", err)
	}
	if string(head[:len(snapshotHeader)]) != snapshotHeader {
		return 0, fmt.Errorf("%w: not one of this version", ErrSnapshot)
	}
	saved := time.Unix(0, int64(binary.BigEndian.Uint64(head[len(snapshotHeader):])))
	age := max(0, time.Since(saved)) // the wall clock: saved has no monotonic part
	n := 0
	var record []byte
	for {
		length, err := binary.ReadUvarint(in)
		if err != nil {
			return n, damaged("length", err)
		}
		if length == 0 {
			break
		}
		left, err := binary.ReadUvarint(in)
		if err != nil {
			return n, damaged("time", err)
		}
		if length--; length > maxRecord || left > math.MaxInt64 {
			return n, fmt.Errorf("%w: an entry of %d bytes", ErrSnapshot, length)
		}
		if record, err = in.record(record[:0], int(length)); err != nil {
			return n, damaged("entry", err)
		}
		key, value, err := decode(record)
		if err != nil {
			return n, err
		}
		ttl := int64(left)
		if ttl > 0 {
			if ttl -= int64(age); ttl <= 0 {
				continue
			}
		}
		if c.restore(key, value, ttl) {
			n++
		}
	}
	want := in.sum.Sum(nil)
	var got [crc32.Size]byte
	if _, err := io.ReadFull(in.r, got[:]); err != nil {
		return n, damaged("checksum", err)
	}
	if string(got[:]) != string(want) {
		return n, fmt.Errorf("%w: checksum differs", ErrSnapshot)
	}
	return n, nil
}

// restore is Add without jitter, which the entry had already.
func (c *Cache[K, V]) restore(key K, value V, ttl int64) bool {
	hash := c.hash(key)
	if !same(key, key) {
		return false
	}
	cost := c.cost(key, value)
	s := c.shard(hash)
	s.mu.Lock()
	defer s.unlock()
	if !s.write(hash, key, value, cost, ttl, true) {
		return false
	}
	if slot := s.find(hash, key); ttl > 0 && slot != 0 {
		s.deadlines[slot] = deadlineAt(s.now(), ttl)
	}
	return true
}

func damaged(what string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrSnapshot, what, err)
}

// summed reads, and sums up what was read.
type summed struct {
	r   *bufio.Reader
	sum hash.Hash32
}

func (s *summed) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	_, _ = s.sum.Write(p[:n]) // a hash never fails
	return n, err
}

func (s *summed) ReadByte() (byte, error) {
	b, err := s.r.ReadByte()
	if err == nil {
		_, _ = s.sum.Write([]byte{b})
	}
	return b, err
}

// record reads n bytes, in steps, so that a damaged length cannot make it
// allocate what the input does not hold.
func (s *summed) record(buf []byte, n int) ([]byte, error) {
	for n > 0 {
		step := min(n, 1<<16)
		at := len(buf)
		buf = append(buf, make([]byte, step)...)
		if _, err := io.ReadFull(s, buf[at:]); err != nil {
			return buf, err
		}
		n -= step
	}
	return buf, nil
}
