package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestReplacePathMovesWholeOccurrencesOnly(t *testing.T) {
	const old, next = "host.example/a/plate", "other.example/b/guard"
	for in, want := range map[string]string{
		`import "host.example/a/plate/breaker"`:       `import "other.example/b/guard/breaker"`,
		"module host.example/a/plate\n":               "module other.example/b/guard\n",
		"see https://host.example/a/plate.":           "see https://other.example/b/guard.",
		"host.example/a/plates is another module":     "host.example/a/plates is another module",
		"host.example/a/plate-x host.example/a/plate": "host.example/a/plate-x other.example/b/guard",
		"nothing here": "nothing here",
	} {
		if got := string(replacePath([]byte(in), old, next)); got != want {
			t.Errorf("replacePath(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestCheckNewRefusesWhatTheGoCommandWouldRefuse(t *testing.T) {
	const old = "host.example/a/plate"
	for _, bad := range []string{"", "plate", "host.example/a/plate", "host.example/a/plate/v2", "host.example/a b", "-x.example/a"} {
		if checkNew(bad, old) == nil {
			t.Errorf("checkNew(%q) accepted it", bad)
		}
	}
	if err := checkNew("other.example/b/guard", old); err != nil {
		t.Errorf("checkNew refused a good path: %v", err)
	}
}

func TestRewriteMovesTrackedFilesAndKeepsImportsSorted(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module mmm.example/x\n\nrequire (\n\tbbb.example/y v1.0.0\n\tzzz.example/a/plate v1.0.0\n)\n")
	write("a.go", "package a\n\nimport (\n\t_ \"mmm.example/x\"\n\t_ \"zzz.example/a/plate/b\"\n)\n")
	write("blob.bin", "\x00zzz.example/a/plate")
	write("untracked.txt", "zzz.example/a/plate")
	for _, args := range [][]string{{"init", "-q"}, {"add", "go.mod", "a.go", "blob.bin"}} {
		if out, err := exec.Command("git", append([]string{"-C", root}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	changed, err := rewrite(root, "zzz.example/a/plate", "aaa.example/b/guard")
	if err != nil || changed != 2 {
		t.Fatalf("rewrite changed %d files, error %v; want 2 and none", changed, err)
	}
	for name, want := range map[string]string{
		"go.mod":        "module mmm.example/x\n\nrequire (\n\taaa.example/b/guard v1.0.0\n\tbbb.example/y v1.0.0\n)\n",
		"a.go":          "package a\n\nimport (\n\t_ \"aaa.example/b/guard/b\"\n\t_ \"mmm.example/x\"\n)\n",
		"blob.bin":      "\x00zzz.example/a/plate",
		"untracked.txt": "zzz.example/a/plate",
	} {
		got, err := os.ReadFile(filepath.Join(root, name))
		if err != nil || string(got) != want {
			t.Errorf("%s is %q (error %v), want %q", name, got, err, want)
		}
	}
}
