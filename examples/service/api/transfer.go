package api

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/bedplate/bedplate/examples/service/store"
	"github.com/bedplate/bedplate/stream"
)

const (
	importBody   = 16 << 20 // bytes
	importRecord = 8 << 10  // bytes
	importBatch  = 250      // links a transaction
	importWithin = 2 * time.Minute
	rejectedTold = 100 // records of which the client is told why
	rejectedMost = 10_000
	exportPage   = 500
)

// rejected is a record that was not imported.
type rejected struct {
	Line  int64  `json:"line"` // the number of the record, counted from 1; a header is one
	Error string `json:"error"`
}

// imported is the result of an import, also of one that has ended early.
type imported struct {
	Imported int64      `json:"imported"`
	Refused  int64      `json:"refused"`  // all that were rejected
	Rejected []rejected `json:"rejected"` // the first of them
	Error    string     `json:"error,omitempty"`
}

// errRejected ends an import of something that is no list of links.
var errRejected = fmt.Errorf("more than %d records are wrong", rejectedMost)

func (i *imported) reject(line int64, why string) error {
	i.Refused++
	if len(i.Rejected) < rejectedTold {
		i.Rejected = append(i.Rejected, rejected{line, why})
	}
	if i.Refused > rejectedMost {
		return errRejected
	}
	return nil
}

// row is a link with the number of its record.
type row struct {
	line int64
	link store.Link
}

// importLinks reads records of url and, if wanted, slug, in the form that
// exportLinks writes. Whatever the body's size, a record and a batch at a time
// are in memory. What is wrong with a record rejects that record; what is wrong
// with the CSV ends the import, as do too many such records, and what came before
// stays. Progress has the
// id that the client may choose.
func (a *API) importLinks(w http.ResponseWriter, r *http.Request) error {
	// The server's timeouts are meant for small bodies.
	if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(importWithin)); err != nil {
		return err
	}
	claims, id := user(r), r.Header.Get("X-Import-Id")
	if !slugs.MatchString(id) {
		id = rand.Text()
	}
	result := imported{Rejected: []rejected{}}
	body := stream.Reader(r.Body).Metered(&a.imports).Progress(50*time.Millisecond, func(p stream.Progress) {
		a.progress.Emit(Progress{ID: id, Done: p.Bytes, Total: r.ContentLength, Rows: result.Imported})
	})
	records := stream.CSV(body, stream.CSVFormat{Fields: -1, MaxLen: importRecord})
	err := stream.Batch(parseRows(records, claims.Subject, &result), importBatch, 0).Run(r.Context(), func(rows []row) error {
		return a.insert(r.Context(), rows, &result)
	})
	a.progress.Emit(Progress{ID: id, Done: uint64(max(0, r.ContentLength)), Total: r.ContentLength, Rows: result.Imported})
	a.emit("import.done", "%s imported %d links, %d were rejected", claims.Email, result.Imported, result.Refused)
	if malformed, ok := errors.AsType[*stream.CSVError](err); ok {
		result.Error = malformed.Error()
	} else if long, ok := errors.AsType[*stream.TooLongError](err); ok {
		result.Error = long.Error()
	} else if errors.Is(err, errRejected) {
		result.Error = err.Error()
	} else if err != nil {
		return err
	}
	status := http.StatusOK
	if result.Error != "" {
		status = http.StatusBadRequest
		_, _ = io.Copy(io.Discard, r.Body) // a client that still sends would not read the answer
	}
	writeJSON(w, status, result)
	return nil
}

// parseRows makes links of records. The first one may be a header, which says
// where the columns are; without one they are slug and url.
func parseRows(records stream.Stream[[]string], owner string, result *imported) stream.Stream[row] {
	return func(ctx context.Context, emit func(row) error) error {
		line := int64(0)
		slug, target := 0, 1
		return records(ctx, func(fields []string) error {
			line++
			if line == 1 {
				if s, t, ok := header(fields); ok {
					slug, target = s, t
					return nil
				}
			}
			if target >= len(fields) {
				return result.reject(line, fmt.Sprintf("there are %d fields, want %d at least", len(fields), target+1))
			}
			var own string
			if slug >= 0 && slug < len(fields) {
				own = fields[slug]
			}
			l, err := newLink(owner, fields[target], own)
			if err != nil {
				return result.reject(line, err.Error())
			}
			return emit(row{line, l})
		})
	}
}

// header finds the columns, the one of slugs at -1 if there is none.
func header(fields []string) (slug, target int, ok bool) {
	slug, target = -1, -1
	for i, f := range fields {
		switch f {
		case "slug":
			slug = i
		case "url":
			target = i
		}
	}
	return slug, target, target >= 0
}

// insert stores a batch in one transaction.
func (a *API) insert(ctx context.Context, rows []row, result *imported) error {
	links := make([]store.Link, len(rows))
	for i, r := range rows {
		links[i] = r.link
	}
	taken, err := a.cfg.Store.CreateLinks(ctx, links)
	if err != nil {
		return err
	}
	result.Imported += int64(len(rows) - len(taken))
	for _, l := range links {
		a.links.Delete(l.Slug) // that there is none may be remembered
	}
	for _, i := range taken {
		if err := result.reject(rows[i].line, "this slug is taken"); err != nil {
			return err
		}
	}
	return nil
}

// exportLinks writes all links of the user, page by page: a slow client slows
// down the reading of pages and holds no connection meanwhile.
func (a *API) exportLinks(w http.ResponseWriter, r *http.Request) error {
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(importWithin)); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="links.csv"`)
	lines := stream.Map(a.pages(user(r).Subject), encodePage)
	n, err := stream.WriteTo(r.Context(), lines, w)
	if err != nil && n > 0 {
		// It is too late for another status. An answer that is cut off must not
		// look like a whole one.
		panic(http.ErrAbortHandler)
	}
	return err
}

// page is a part of an export.
type page struct {
	first bool
	links []store.Link
}

// pages reads page by page. There is a first one also if there are no links.
func (a *API) pages(owner string) stream.Stream[page] {
	return func(ctx context.Context, emit func(page) error) error {
		for after := ""; ; {
			links, err := a.cfg.Store.After(ctx, owner, after, exportPage)
			if err != nil {
				return err
			}
			if len(links) == 0 && after != "" {
				return nil
			}
			if err := emit(page{after == "", links}); err != nil {
				return err
			}
			if len(links) == 0 {
				return nil
			}
			after = links[len(links)-1].Slug
		}
	}
}

func encodePage(p page) []byte {
	var text bytes.Buffer
	w := csv.NewWriter(&text) // which cannot fail, as a Buffer cannot
	if p.first {
		_ = w.Write([]string{"slug", "url", "hits", "created"})
	}
	for _, l := range p.links {
		_ = w.Write([]string{l.Slug, l.URL, strconv.FormatInt(l.Hits, 10), l.Created.UTC().Format(time.RFC3339)})
	}
	w.Flush()
	return text.Bytes()
}
