package memwatchhttp

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"io/fs"
	"net/http"
	"strings"
	"time"
)

//go:embed page
var files embed.FS

// asset is a part of the page.
type asset struct {
	name, contentType, text, tag string
}

// assets are the parts of the page by the names under which they are served,
// the page itself first.
var assets = []asset{
	load("", "index.html", "text/html; charset=utf-8"),
	load("page.css", "page.css", "text/css; charset=utf-8"),
	load("page.js", "page.js", "text/javascript; charset=utf-8"),
	load("chart.js", "chart.js", "text/javascript; charset=utf-8"),
	load("icon.svg", "icon.svg", "image/svg+xml"),
}

// load takes a file that is part of the binary.
func load(name, file, contentType string) asset {
	text, err := fs.ReadFile(files, "page/"+file)
	if err != nil {
		panic("memwatchhttp: " + err.Error()) // the build has left it out
	}
	sum := sha256.Sum256(text)
	return asset{name, contentType, string(text), base64.RawURLEncoding.EncodeToString(sum[:9])}
}

// version tells one build of the page from another.
func version() string {
	var tags strings.Builder
	for _, a := range assets {
		tags.WriteString(a.tag)
	}
	sum := sha256.Sum256([]byte(tags.String()))
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

// serve answers with the asset. A browser keeps it, and asks whether it still
// holds.
func (a asset) serve(w http.ResponseWriter, r *http.Request) {
	if a.name == "" && slash(w, r) {
		return
	}
	w.Header().Set("Content-Type", a.contentType)
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", `"`+a.tag+`"`)
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(a.text))
}
