package web_test

import (
	"encoding/json"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bedplate/bedplate/examples/service/web"
)

func get(t *testing.T, method, target string, header http.Header) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	maps.Copy(r.Header, header)
	w := httptest.NewRecorder()
	web.Handler().ServeHTTP(w, r)
	return w.Result()
}

// embedded lists the files of the page by the path they are served at.
func embedded(t *testing.T) []string {
	t.Helper()
	var paths []string
	require.NoError(t, fs.WalkDir(os.DirFS("static"), ".", func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			paths = append(paths, "/"+p)
		}
		return err
	}))
	require.NotEmpty(t, paths)
	return paths
}

func TestEveryFileIsServedWithItsTypeUnderTheStrictPolicy(t *testing.T) {
	want := map[string]string{".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
	for _, p := range append(embedded(t), "/") {
		res := get(t, http.MethodGet, p, nil)
		require.Equal(t, http.StatusOK, res.StatusCode, p)
		kind := want[path.Ext(p)]
		if p == "/" {
			kind = "text/html"
		}
		require.True(t, strings.HasPrefix(res.Header.Get("Content-Type"), kind), "%s: %s", p, res.Header.Get("Content-Type"))
		require.Equal(t, web.Policy, res.Header.Get("Content-Security-Policy"), p)
		require.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"), p)
		require.Equal(t, "no-cache", res.Header.Get("Cache-Control"), p)
	}
}

func TestThePolicyAllowsItsOwnOriginAlone(t *testing.T) {
	require.True(t, strings.HasPrefix(web.Policy, "default-src 'none'; "))
	require.NotContains(t, web.Policy, "unsafe")
	require.NotContains(t, web.Policy, "http")
	require.NotContains(t, web.Policy, "*")
}

func TestAFileThatIsTheSameIsNotSentAgain(t *testing.T) {
	first := get(t, http.MethodGet, "/app.js", nil)
	require.NotEmpty(t, first.Header.Get("ETag"))
	again := get(t, http.MethodGet, "/app.js", http.Header{"If-None-Match": {first.Header.Get("ETag")}})
	require.Equal(t, http.StatusNotModified, again.StatusCode)
}

func TestOtherPathsAndMethodsAreRefused(t *testing.T) {
	for _, p := range []string{"/nothing", "/js", "/js/", "/static/app.js", "/web.go", "/js/../../web.go"} {
		res := get(t, http.MethodGet, p, nil)
		require.Equal(t, http.StatusNotFound, res.StatusCode, p)
		require.Equal(t, web.Policy, res.Header.Get("Content-Security-Policy"), p)
		var answer struct{ Error string }
		require.NoError(t, json.NewDecoder(res.Body).Decode(&answer), p)
		require.NotEmpty(t, answer.Error, p)
	}
	res := get(t, http.MethodPost, "/", nil)
	require.Equal(t, http.StatusMethodNotAllowed, res.StatusCode)
	require.Equal(t, "GET, HEAD", res.Header.Get("Allow"))
	require.Equal(t, http.StatusOK, get(t, http.MethodHead, "/", nil).StatusCode)
}

var (
	inline  = regexp.MustCompile(`(?i)<script(?:[^>]*)>\s*[^<\s]|<style|\sstyle="|\son[a-z]+="`)
	outside = regexp.MustCompile(`(?:src|href|action)="(?:https?:)?//|@import|\burl\([^)]|from "(?:https?:)?//`)
	asked   = regexp.MustCompile(`\$\("([a-z0-9-]+)"\)`)
	ids     = regexp.MustCompile(`\sid="([^"]+)"`)
	imports = regexp.MustCompile(`(?m)^import (?:[^"]* from )?"([^"]+)";$`)
)

func TestNothingIsInlineAndNothingComesFromOutside(t *testing.T) {
	for _, p := range embedded(t) {
		body, err := os.ReadFile("static" + p)
		require.NoError(t, err)
		require.False(t, outside.Match(body), "%s: %s", p, outside.Find(body))
		if path.Ext(p) == ".html" {
			require.False(t, inline.Match(body), "%s: %s", p, inline.Find(body))
		}
	}
}

func TestScriptsFindTheElementsAndModulesTheyAskFor(t *testing.T) {
	page, err := os.ReadFile("static/index.html")
	require.NoError(t, err)
	have := make(map[string]bool)
	for _, m := range ids.FindAllSubmatch(page, -1) {
		require.False(t, have[string(m[1])], "two elements have the id %s", m[1])
		have[string(m[1])] = true
	}
	found := 0
	for _, p := range embedded(t) {
		if path.Ext(p) != ".js" {
			continue
		}
		body, err := os.ReadFile("static" + p)
		require.NoError(t, err)
		for _, m := range asked.FindAllSubmatch(body, -1) {
			found++
			require.True(t, have[string(m[1])], "%s asks for #%s", p, m[1])
		}
		for _, m := range imports.FindAllSubmatch(body, -1) {
			found++
			_, err := os.Stat("static" + path.Join(path.Dir(p), string(m[1])))
			require.NoError(t, err, p)
		}
	}
	require.Greater(t, found, 100, "the expressions of this test no longer fit the scripts")
}
