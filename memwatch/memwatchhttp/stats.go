package memwatchhttp

import "sync/atomic"

// Stats counts what a Handler has done.
type Stats struct {
	// Streams are those open now.
	Streams int `json:"streams"`

	// Points were sampled for the streams, or taken over from the Watcher.
	Points uint64 `json:"points"`

	// Refused were told to come again later: a stream too many, or a costly
	// request. Dropped are the streams whose reader was too slow.
	Refused uint64 `json:"refused"`
	Dropped uint64 `json:"dropped"`

	// Profiles and Confirms were made.
	Profiles uint64 `json:"profiles"`
	Confirms uint64 `json:"confirms"`
}

// counts is what Stats is made of. Each is written by the request it counts.
type counts struct {
	streams  atomic.Int64  // written by stream, as it begins and ends
	refused  atomic.Uint64 // written by stream and begin
	dropped  atomic.Uint64 // written by stream
	profiles atomic.Uint64 // written by collect
	confirms atomic.Uint64 // written by confirm
}

// Stats returns the counts of now. It takes nanoseconds.
func (h *Handler) Stats() Stats {
	h.feed.mu.Lock()
	points := h.feed.seq
	h.feed.mu.Unlock()
	return Stats{
		Streams:  int(h.counts.streams.Load()),
		Points:   points,
		Refused:  h.counts.refused.Load(),
		Dropped:  h.counts.dropped.Load(),
		Profiles: h.counts.profiles.Load(),
		Confirms: h.counts.confirms.Load(),
	}
}
