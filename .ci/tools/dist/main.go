// Command dist writes the modules of the repository, as HEAD has them, into a
// file tree that the go command accepts as a GOPROXY, and then proves it: a
// fresh module outside the repository gets one package from that tree and runs
// a program with it.
//
//	make dist VERSION=v0.1.0
//	GOPROXY=file://$PWD/dist go get github.com/bedplate/bedplate/breaker@v0.1.0
//
// Adapter modules are released as consumers see them: without the replace
// directive that ties them to the tree here, and requiring the core at the same
// version.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
	"golang.org/x/mod/zip"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("dist: ")
	root := flag.String("root", ".", "root of the repository")
	version := flag.String("version", "v0.1.0", "version to give to every module")
	flag.Parse()
	if semver.Canonical(*version) != *version {
		log.Fatalf("-version is %q, want a canonical semantic version as v0.1.0", *version)
	}
	if err := run(*root, *version); err != nil {
		log.Fatal(err)
	}
}

func run(root, version string) error {
	tree, err := checkout(root)
	if err != nil {
		return err
	}
	defer os.RemoveAll(tree)

	dist := filepath.Join(root, "dist")
	if err := os.RemoveAll(dist); err != nil {
		return err
	}
	core, err := readModule(tree)
	if err != nil {
		return err
	}
	dirs, err := moduleDirs(tree)
	if err != nil {
		return err
	}
	var adapters []string
	for _, dir := range dirs {
		path, err := publish(dist, dir, core.Module.Mod.Path, version)
		if err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
		fmt.Printf("%s@%s\n", path, version)
		if path != core.Module.Mod.Path {
			adapters = append(adapters, path)
		}
	}
	return prove(dist, core.Module.Mod.Path, adapters, version)
}

// checkout clones HEAD, so that what is published is what is committed.
func checkout(root string) (string, error) {
	tree, err := os.MkdirTemp("", "bedplate-dist-")
	if err != nil {
		return "", err
	}
	return tree, command(root, nil, "git", "clone", "--quiet", "--local", ".", tree)
}

// moduleDirs lists the modules that people import: the core and the adapters.
// Dotted folders, test data, tests in browsers and the modules below examples
// are programs of ours.
func moduleDirs(tree string) ([]string, error) {
	var dirs []string
	err := filepath.WalkDir(tree, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != tree && (strings.HasPrefix(name, ".") || name == "examples" || name == "testdata" || name == "browsertest") {
			return filepath.SkipDir
		}
		if name == "go.mod" {
			dirs = append(dirs, filepath.Dir(path))
		}
		return nil
	})
	return dirs, err
}

func readModule(dir string) (*modfile.File, error) {
	data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return nil, err
	}
	return modfile.Parse("go.mod", data, nil)
}

// publish writes the four files that a GOPROXY serves for one module version.
func publish(dist, dir, core, version string) (string, error) {
	mod, err := release(dir, core, version)
	if err != nil {
		return "", err
	}
	path := mod.Module.Mod.Path
	escaped, err := module.EscapePath(path)
	if err != nil {
		return "", err
	}
	at := filepath.Join(dist, filepath.FromSlash(escaped), "@v")
	if err := os.MkdirAll(at, 0o755); err != nil {
		return "", err
	}
	info, err := json.Marshal(map[string]any{"Version": version, "Time": time.Now().UTC().Truncate(time.Second)})
	if err != nil {
		return "", err
	}
	for name, data := range map[string][]byte{
		"list":            []byte(version + "\n"),
		version + ".info": info,
		version + ".mod":  modfile.Format(mod.Syntax),
	} {
		if err := os.WriteFile(filepath.Join(at, name), data, 0o644); err != nil {
			return "", err
		}
	}
	var buf bytes.Buffer
	if err := zip.CreateFromDir(&buf, module.Version{Path: path, Version: version}, dir); err != nil {
		return "", err
	}
	return path, os.WriteFile(filepath.Join(at, version+".zip"), buf.Bytes(), 0o644)
}

// release rewrites the go.mod of an adapter as its consumers need it.
func release(dir, core, version string) (*modfile.File, error) {
	mod, err := readModule(dir)
	if err != nil || mod.Module.Mod.Path == core {
		return mod, err
	}
	if err := mod.DropReplace(core, ""); err != nil {
		return nil, err
	}
	if err := mod.AddRequire(core, version); err != nil {
		return nil, err
	}
	mod.Cleanup()
	return mod, os.WriteFile(filepath.Join(dir, "go.mod"), modfile.Format(mod.Syntax), 0o644)
}

// program is what a newcomer's first minute looks like. It must keep working
// with nothing but the published package.
const program = `package main

import (
	"context"
	"errors"
	"fmt"

	"%s/breaker"
)

func main() {
	b := breaker.MustNew(breaker.Config{Name: "payments", ConsecutiveFailures: 1})
	down := func(context.Context) error { return errors.New("connection refused") }
	_ = b.Do(context.Background(), down)
	err := b.Do(context.Background(), down)
	fmt.Println(errors.Is(err, breaker.ErrOpen))
}
`

// prove gets packages from the tree into fresh modules with a fresh module
// cache: one of the core, with which it runs a program, and each adapter, which
// it builds. The local module cache stands in for the network, so that the proof
// needs none.
func prove(dist, core string, adapters []string, version string) error {
	tmp, err := os.MkdirTemp("", "bedplate-proof-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	cache, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		return fmt.Errorf("go env GOMODCACHE: %w", err)
	}
	proxies := fileURL(dist) + "," + fileURL(filepath.Join(strings.TrimSpace(string(cache)), "cache", "download"))
	env := append(os.Environ(),
		"GOPROXY="+proxies, "GONOSUMDB=*", "GOFLAGS=-modcacherw", "GOWORK=off",
		"GOMODCACHE="+filepath.Join(tmp, "cache"))

	dir := filepath.Join(tmp, "newcomer")
	if err := newcomer(dir, env, fmt.Sprintf(program, core), core+"/breaker@"+version); err != nil {
		return err
	}
	run := exec.Command("go", "run", ".")
	run.Dir, run.Env, run.Stderr = dir, env, os.Stderr
	out, err := run.Output()
	if err != nil {
		return fmt.Errorf("the newcomer's program: %w", err)
	}
	if got := strings.TrimSpace(string(out)); got != "true" {
		return fmt.Errorf("the newcomer's program printed %q, want true", got)
	}
	fmt.Println("proved: a fresh module got", core+"/breaker@"+version, "from the tree and ran it")

	for _, path := range adapters {
		dir := filepath.Join(tmp, filepath.Base(path))
		main := fmt.Sprintf("package main\n\nimport _ %q\n\nfunc main() {}\n", path)
		if err := newcomer(dir, env, main, path+"@"+version); err != nil {
			return err
		}
		if err := command(dir, env, "go", "build", "-o", os.DevNull, "."); err != nil {
			return err
		}
		fmt.Println("proved: a fresh module got", path+"@"+version, "from the tree and built with it")
	}
	return nil
}

// newcomer makes a module of one program in dir, and gets query for it.
func newcomer(dir string, env []string, program, query string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o644); err != nil {
		return err
	}
	if err := command(dir, env, "go", "mod", "init", "example.org/newcomer"); err != nil {
		return err
	}
	return command(dir, env, "go", "get", query)
}

func fileURL(dir string) string {
	slash := filepath.ToSlash(dir)
	if !strings.HasPrefix(slash, "/") {
		slash = "/" + slash
	}
	return "file://" + slash
}

func command(dir string, env []string, args ...string) error {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Env = dir, env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}
