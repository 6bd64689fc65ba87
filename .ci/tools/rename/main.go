// Command rename moves the whole repository to another module path: every
// go.mod, every import and every document, in one step.
//
//	make rename NEW=host/owner/name
//
// It rewrites the files that git tracks, so that a mistake is undone by
// git checkout. Nothing is written when the new path is not a valid module
// path.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"go/format"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("rename: ")
	root := flag.String("root", ".", "root of the repository")
	newPath := flag.String("new", "", "the new module path, host/owner/name")
	flag.Parse()

	oldPath, err := modulePath(*root)
	if err != nil {
		log.Fatal(err)
	}
	if err := checkNew(*newPath, oldPath); err != nil {
		log.Fatal(err)
	}
	changed, err := rewrite(*root, oldPath, *newPath)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s is now %s: %d files changed\n", oldPath, *newPath, changed)
}

func modulePath(root string) (string, error) {
	data, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return "", err
	}
	path := modfile.ModulePath(data)
	if path == "" {
		return "", fmt.Errorf("%s/go.mod names no module", root)
	}
	return path, nil
}

// checkNew refuses a path that the go command would refuse, and one that holds
// the old path or is held by it: replacing would then not be exact.
func checkNew(newPath, oldPath string) error {
	if newPath == "" {
		return fmt.Errorf("NEW is empty, want host/owner/name")
	}
	if err := module.CheckPath(newPath); err != nil {
		return fmt.Errorf("NEW=%s: %w", newPath, err)
	}
	if strings.HasPrefix(newPath, oldPath) || strings.HasPrefix(oldPath, newPath) {
		return fmt.Errorf("NEW=%s overlaps the present path %s, move by way of a third", newPath, oldPath)
	}
	return nil
}

// rewrite replaces the path in every tracked text file, and formats Go files and
// go.mod files anew, because the order of what they list may change with the
// name.
func rewrite(root, oldPath, newPath string) (int, error) {
	list, err := exec.Command("git", "-C", root, "ls-files", "-z").Output()
	if err != nil {
		return 0, fmt.Errorf("git ls-files: %w", err)
	}
	changed := 0
	for name := range strings.SplitSeq(strings.TrimRight(string(list), "\x00"), "\x00") {
		ok, err := rewriteFile(filepath.Join(root, name), oldPath, newPath)
		if err != nil {
			return changed, err
		}
		if ok {
			changed++
		}
	}
	return changed, nil
}

func rewriteFile(file, oldPath, newPath string) (bool, error) {
	info, err := os.Lstat(file)
	if err != nil || !info.Mode().IsRegular() {
		return false, err
	}
	before, err := os.ReadFile(file)
	if err != nil || bytes.IndexByte(before, 0) >= 0 {
		return false, err
	}
	after := replacePath(before, oldPath, newPath)
	if bytes.Equal(before, after) {
		return false, nil
	}
	switch {
	case strings.HasSuffix(file, ".go"):
		after, err = format.Source(after)
	case filepath.Base(file) == "go.mod":
		after, err = sortRequirements(after)
	}
	if err != nil {
		return false, fmt.Errorf("%s: %w", file, err)
	}
	return true, os.WriteFile(file, after, info.Mode().Perm())
}

// sortRequirements puts the blocks of a go.mod in the order that go mod tidy
// wants.
func sortRequirements(data []byte) ([]byte, error) {
	mod, err := modfile.ParseLax("go.mod", data, nil)
	if err != nil {
		return nil, err
	}
	mod.SortBlocks()
	return modfile.Format(mod.Syntax), nil
}

// replacePath replaces whole occurrences only: the path followed by a letter, a
// digit, - or _ is some other module's and stays.
func replacePath(data []byte, oldPath, newPath string) []byte {
	var out bytes.Buffer
	for {
		i := bytes.Index(data, []byte(oldPath))
		if i < 0 {
			out.Write(data)
			return out.Bytes()
		}
		end := i + len(oldPath)
		out.Write(data[:i])
		if end < len(data) && isPathByte(data[end]) {
			out.WriteString(oldPath)
		} else {
			out.WriteString(newPath)
		}
		data = data[end:]
	}
}

func isPathByte(c byte) bool {
	return c == '-' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
