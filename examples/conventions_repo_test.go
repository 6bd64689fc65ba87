package examples_test

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// The card of the project: the patterns, and what may stand beside them.
var (
	patterns = []string{"emitter", "stream", "workerpool", "pool", "breaker", "retry", "bulkhead", "lru", "jwt", "ratelimit", "memwatch"}
	topLevel = append([]string{"go.mod", "go.sum", "README.md", "LICENSE", "examples", "Makefile"}, patterns...)
	dotted   = []string{".ci", ".github", ".golangci.yml", ".gitignore", ".gitattributes", ".git"}
)

func modulePath(t *testing.T, root fs.FS) string {
	t.Helper()
	text, err := fs.ReadFile(root, "go.mod")
	require.NoError(t, err)
	m := moduleLine.FindStringSubmatch(string(text))
	require.NotNil(t, m, "go.mod names no module")
	return m[1]
}

var moduleLine = regexp.MustCompile(`(?m)^module (\S+)$`)

// packageDirs lists the packages of the core module with their kinds. A folder
// named <parent><technology> is a satellite; any other below a pattern stands
// alone.
func packageDirs(t *testing.T, root fs.FS) map[string]kind {
	t.Helper()
	dirs := make(map[string]kind)
	require.NoError(t, fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() || p == "." {
			return err
		}
		if strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "dist" || nested(root, p) {
			return fs.SkipDir
		}
		gofiles, err := fs.Glob(root, path.Join(p, "*.go"))
		if err != nil || len(gofiles) == 0 || p == "examples" {
			return err
		}
		switch parent := path.Base(path.Dir(p)); {
		case strings.HasPrefix(p, "examples/"):
			dirs[p] = program
		case parent != "." && strings.HasPrefix(d.Name(), parent):
			dirs[p] = satellite
		default:
			dirs[p] = core
		}
		return nil
	}))
	return dirs
}

// nested reports whether a folder is the root of a module of its own.
func nested(root fs.FS, dir string) bool {
	_, err := fs.Stat(root, path.Join(dir, "go.mod"))
	return err == nil
}

// repoRule is a convention about the whole tree.
type repoRule struct {
	name  string
	check func(fs.FS) []string
	bad   fstest.MapFS // a tree that breaks it
	want  []string     // a part of each finding in bad
}

func text(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }

var repoRules = []repoRule{
	{
		"toplevel", checkTopLevel,
		fstest.MapFS{"README.md": text(""), "utils/u.go": text("package utils"), "go.work": text(""), ".ci/run": text("")},
		[]string{"utils", "go.work"},
	},
	{
		"folders", checkFolders,
		fstest.MapFS{"lru/util/u.go": text("package util"), "breaker/adapters/x.go": text("package adapters"), "lru/lru.go": text("package lru")},
		[]string{"lru/util", "breaker/adapters"},
	},
	{
		"requirements", checkRequirements,
		fstest.MapFS{
			"go.mod": text("module h.example/p\n\ngo 1.26.0\n\nrequire (\n\tgithub.com/stretchr/testify v1.12.1\n\tgo.uber.org/goleak v1.3.0\n\th.example/other v1.0.0\n)\n\nreplace h.example/other => ../other\n\ntool h.example/other/cmd\n"),
		},
		[]string{"h.example/other", "replace", "tool"},
	},
	{
		"adapters", checkAdapters,
		fstest.MapFS{
			"go.mod":                      text("module h.example/p\n"),
			"lru/lruredis/go.mod":         text("module h.example/lruredis\n"),
			"pool/poolpgx/go.mod":         text("module h.example/p/pool/poolpgx\n\nreplace h.example/p => ../..\n"),
			"examples/bench/go.mod":       text("module h.example/p/examples/bench\n\nreplace h.example/p => ..\n"),
			"lru/testdata/ignored/go.mod": text("module x\n"),
		},
		[]string{"lru/lruredis/go.mod: module", "lru/lruredis/go.mod: no replace", "examples/bench/go.mod: no replace"},
	},
	{
		"readme", checkReadme,
		fstest.MapFS{
			"README.md":             text("# p\n\n```go\nb.Never()\n```\n\n```go\nb.Do()\n```\n\nrun `go run ./examples/gone` and `make vanish`\n" + strings.Repeat("\n", 200)),
			"Makefile":              text("test: ## x\n"),
			"b/example_test.go":     text("package b\n\nfunc Example() {\n\tb.Do()\n}\n"),
			"examples/here/main.go": text("package main"),
		},
		[]string{"longer than 200 lines", "b.Never()", "complete program", "examples/gone", "make vanish", "context contract"},
	},
	{
		"makefile", checkMakefile,
		fstest.MapFS{"Makefile": text("test: ## run\n\ngo test\n"), "README.md": text("")},
		makeTargets[1:], // all but test
	},
}

func TestRepositoryConventions(t *testing.T) {
	root := os.DirFS("..")
	for _, r := range repoRules {
		for _, f := range r.check(root) {
			t.Errorf("%s: %s", r.name, f)
		}
	}
}

func TestEachRepositoryConventionCatchesABreach(t *testing.T) {
	for _, r := range repoRules {
		t.Run(r.name, func(t *testing.T) {
			got := r.check(r.bad)
			require.Len(t, got, len(r.want), "findings: %s", strings.Join(got, "\n"))
			for _, part := range r.want {
				require.True(t, slices.ContainsFunc(got, func(f string) bool { return strings.Contains(f, part) }),
					"no finding holds %q in:\n%s", part, strings.Join(got, "\n"))
			}
		})
	}
}

// checkTopLevel: the top level is closed.
func checkTopLevel(root fs.FS) []string {
	entries, err := fs.ReadDir(root, ".")
	if err != nil {
		return []string{err.Error()}
	}
	var out []string
	for _, e := range entries {
		if name := e.Name(); !slices.Contains(topLevel, name) && !slices.Contains(dotted, name) && !ignored(name) {
			out = append(out, name+" is not part of the top level")
		}
	}
	return out
}

// ignored matches what .gitignore keeps out: output, not source.
func ignored(name string) bool {
	return name == "dist" || strings.HasSuffix(name, ".test") || strings.HasSuffix(name, ".out") || strings.HasSuffix(name, ".prof")
}

// checkFolders: a folder is named for what it holds.
func checkFolders(root fs.FS) []string {
	var out []string
	_ = fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		switch strings.ToLower(d.Name()) {
		case ".git", "testdata":
			return fs.SkipDir
		case "util", "utils", "common", "shared", "internal", "contrib", "adapters", "helpers", "misc", "pkg":
			out = append(out, p+" says nothing of what it holds")
		}
		return nil
	})
	return out
}

var requireLine = regexp.MustCompile(`(?m)^(?:require |\t)(\S+) v\S+( // indirect)?$`)

// checkRequirements: users of the core download two modules, both for tests.
func checkRequirements(root fs.FS) []string {
	data, err := fs.ReadFile(root, "go.mod")
	if err != nil {
		return []string{err.Error()}
	}
	var out []string
	for _, m := range requireLine.FindAllStringSubmatch(string(data), -1) {
		if m[2] == "" && m[1] != "github.com/stretchr/testify" && m[1] != "go.uber.org/goleak" {
			out = append(out, "go.mod requires "+m[1])
		}
	}
	for _, word := range []string{"replace", "tool", "exclude"} {
		if regexp.MustCompile(`(?m)^` + word + `\b`).Match(data) {
			out = append(out, "go.mod has a "+word+" directive")
		}
	}
	return out
}

// checkAdapters: each nested module is named by its place and builds against
// the tree it lives in.
func checkAdapters(root fs.FS) []string {
	data, err := fs.ReadFile(root, "go.mod")
	if err != nil {
		return []string{err.Error()}
	}
	module := moduleLine.FindStringSubmatch(string(data))[1]
	var out []string
	_ = fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && p != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "dist") {
			return fs.SkipDir
		}
		if d.Name() != "go.mod" || p == "go.mod" {
			return nil
		}
		data, err := fs.ReadFile(root, p)
		if err != nil {
			return err
		}
		dir := path.Dir(p)
		if m := moduleLine.FindStringSubmatch(string(data)); m == nil || m[1] != module+"/"+dir {
			out = append(out, fmt.Sprintf("%s: module is not %s/%s", p, module, dir))
		}
		up := strings.TrimSuffix(strings.Repeat("../", strings.Count(dir, "/")+1), "/")
		if !strings.Contains(string(data), "replace "+module+" => "+up+"\n") {
			out = append(out, fmt.Sprintf("%s: no replace %s => %s", p, module, up))
		}
		return nil
	})
	return out
}

var (
	goBlock    = regexp.MustCompile("(?s)```go\n(.*?)```")
	programRef = regexp.MustCompile(`go run \./(examples/\w+)`)
	targetRef  = regexp.MustCompile("(?m)(?:`|^)make ([a-z][a-z0-9-]*)")
)

// checkReadme: short, a complete program early, and nothing in it that is not
// in the tree: each block of Go is compiled somewhere, each command exists.
func checkReadme(root fs.FS) []string {
	data, err := fs.ReadFile(root, "README.md")
	if err != nil {
		return []string{err.Error()}
	}
	readme := string(data)
	var out []string
	if n := strings.Count(readme, "\n"); n > 200 {
		out = append(out, fmt.Sprintf("README.md: %d lines, longer than 200 lines", n))
	}
	if before, _, found := strings.Cut(readme, "package main"); !found || strings.Count(before, "\n") > 30 {
		out = append(out, "README.md: no complete program before line 30")
	}
	if !strings.Contains(strings.ToLower(readme), "## context contract") {
		out = append(out, "README.md: does not state the context contract")
	}
	compiled := compiledTexts(root)
	for _, m := range goBlock.FindAllStringSubmatch(readme, -1) {
		part := normal([]byte(m[1]))
		if !slices.ContainsFunc(compiled, func(whole []string) bool { return contains(whole, part) }) {
			out = append(out, fmt.Sprintf("README.md: no Example holds the block that begins %q", part[0]))
		}
	}
	for _, m := range programRef.FindAllStringSubmatch(readme, -1) {
		if _, err := fs.Stat(root, m[1]+"/main.go"); err != nil {
			out = append(out, "README.md: names "+m[1]+", which is not there")
		}
	}
	targets := targetsOf(root)
	for _, m := range targetRef.FindAllStringSubmatch(readme, -1) {
		if !slices.Contains(targets, m[1]) {
			out = append(out, "README.md: names make "+m[1]+", which is not there")
		}
	}
	return out
}

// compiledTexts gives the programs and Examples of the tree, normalised.
func compiledTexts(root fs.FS) [][]string {
	var out [][]string
	_ = fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := path.Base(p)
		if strings.HasPrefix(base, "example") && strings.HasSuffix(base, "_test.go") || strings.HasPrefix(p, "examples/") && base == "main.go" {
			data, err := fs.ReadFile(root, p)
			if err != nil {
				return err
			}
			out = append(out, normal(data))
		}
		return nil
	})
	return out
}

var targetLine = regexp.MustCompile(`(?m)^([a-z][a-z0-9-]*):.*## `)

func targetsOf(root fs.FS) []string {
	data, _ := fs.ReadFile(root, "Makefile")
	var out []string
	for _, m := range targetLine.FindAllStringSubmatch(string(data), -1) {
		out = append(out, m[1])
	}
	sort.Strings(out)
	return out
}

var makeTargets = []string{
	"test", "help", "demo", "check", "test-386", "stress", "fuzz", "bench", "bench-peers",
	"examples", "dist", "rename", "tidy", "fmt", "lint",
}

// checkMakefile: the targets that documents promise, each with its line of help.
func checkMakefile(root fs.FS) []string {
	targets := targetsOf(root)
	var out []string
	for _, want := range makeTargets {
		if !slices.Contains(targets, want) {
			out = append(out, "Makefile: no documented target "+want)
		}
	}
	return out
}
