package api

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/csv"
	"errors"
	"fmt"
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
	rejectedMost = 100 // of which the client is told why
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

func (i *imported) reject(line int64, why string) {
	i.Refused++
	if len(i.Rejected) < rejectedMost {
		i.Rejected = append(i.Rejected, rejected{line, why})
	}
}

// row is a link with the number of its record.
type row struct {
	line int64
	link store.Link
}

// importLinks reads records of url and, if wanted, slug, in the form that
// exportLinks writes. Whatever the body's size, a record and a batch at a time
// are in memory. What is wrong with a record rejects that record; what is wrong
// with the CSV ends the import, and what came before it stays. Progress has the
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
	body := stream.Reader(r.Body).Metered(&a.imports).Progress(200*time.Millisecond, func(p stream.Progress) {
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
	} else if err != nil {
		return err
	}
	status := http.StatusOK
	if result.Error != "" {
		status = http.StatusBadRequest
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
				result.reject(line, fmt.Sprintf("there are %d fields, want %d at least", len(fields), target+1))
				return nil
			}
			var own string
			if slug >= 0 && slug < len(fields) {
				own = fields[slug]
			}
			l, err := newLink(owner, fields[target], own)
			if err != nil {
				result.reject(line, err.Error())
				return nil
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
	for _, i := range taken {
		result.reject(rows[i].line, "this slug is taken")
	}
	for _, l := range links {
		a.links.Delete(l.Slug) // that there is none may be remembered
	}
	result.Imported += int64(len(rows) - len(taken))
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
	lines := stream.Concat(
		stream.Of([]byte("slug,url,hits,created\n")),
		stream.MapErr(a.pages(user(r).Subject), encodePage),
	)
	n, err := stream.WriteTo(r.Context(), lines, w)
	if err != nil && n > 0 {
		// It is too late for another status. An answer that is cut off must not
		// look like a whole one.
		panic(http.ErrAbortHandler)
	}
	return err
}

func (a *API) pages(owner string) stream.Stream[[]store.Link] {
	return func(ctx context.Context, emit func([]store.Link) error) error {
		for after := ""; ; {
			links, err := a.cfg.Store.After(ctx, owner, after, exportPage)
			if err != nil || len(links) == 0 {
				return err
			}
			if err := emit(links); err != nil {
				return err
			}
			after = links[len(links)-1].Slug
		}
	}
}

func encodePage(_ context.Context, links []store.Link) ([]byte, error) {
	var page bytes.Buffer
	w := csv.NewWriter(&page)
	for _, l := range links {
		if err := w.Write([]string{l.Slug, l.URL, strconv.FormatInt(l.Hits, 10), l.Created.UTC().Format(time.RFC3339)}); err != nil {
			return nil, err
		}
	}
	w.Flush()
	return page.Bytes(), w.Error()
}
