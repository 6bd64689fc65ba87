// Package web is the page of the service: plain HTML, CSS and JavaScript
// modules, embedded as they are. Nothing is built, and nothing is fetched from
// elsewhere.
package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"time"
)

//go:embed static
var static embed.FS

// Policy is the Content-Security-Policy of every answer: the page may load and
// call what is of its own origin, show images it was given as data, and nothing
// else. There is no inline script and no inline style.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
	"img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// types are said here since the table of the machine differs from one to the
// other, and a module with a wrong type does not run.
var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// file is one of the embedded files with all that an answer needs of it.
type file struct {
	body []byte
	kind string // its Content-Type
	etag string
}

// Handler serves the page: index.html at /, and the files it asks for. Other
// paths are answered with 404, other methods than GET and HEAD with 405, both in
// JSON. A
// browser asks again each time and is answered with 304 while a file is the
// same, so that a new version of the service never meets old scripts.
func Handler() http.Handler {
	files, err := read(static, "static")
	if err != nil {
		// The files are part of the binary: what one start can read, all can.
		panic("web: " + err.Error())
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", Policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			refuse(w, http.StatusMethodNotAllowed, "there is nothing for this method at this address")
			return
		}
		f, ok := files[r.URL.Path]
		if !ok {
			refuse(w, http.StatusNotFound, "there is nothing at this address")
			return
		}
		h.Set("Content-Type", f.kind)
		h.Set("ETag", f.etag)
		h.Set("Cache-Control", "no-cache")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.body))
	})
}

// refuse answers as the rest of the service does: whoever mistypes an address of
// its API ends here.
func refuse(w http.ResponseWriter, status int, why string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `{"error":"`+why+`"}`+"\n") // the client may have left
}

// read returns the files below dir by the path they are served at.
func read(fsys fs.FS, dir string) (map[string]file, error) {
	files := make(map[string]file)
	err := fs.WalkDir(fsys, dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		kind, ok := types[path.Ext(p)]
		if !ok {
			return fmt.Errorf("%s has no known type", p)
		}
		body, err := fs.ReadFile(fsys, p)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(body)
		f := file{body: body, kind: kind, etag: `"` + hex.EncodeToString(sum[:12]) + `"`}
		name := p[len(dir):]
		files[name] = f
		if name == "/index.html" {
			files["/"] = f
		}
		return nil
	})
	return files, err
}
