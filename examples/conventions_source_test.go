package examples_test

import (
	"bufio"
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// kind tells which rules hold for a package.
type kind int

const (
	core      kind = iota // one pattern, or a sub-package that stands alone
	satellite             // <package><technology>, beside its parent
	program               // examples/<name>
)

// source is one package as the rules see it: syntax only, no types, so that a
// package that does not compile is judged as well.
type source struct {
	dir    string // slash path from the root of the repository
	name   string // last element of dir, which the package clause must repeat
	module string // module path of the repository
	kind   kind
	fset   *token.FileSet
	code   []*file // files of the package
	tests  []*file // its _test.go files
	others []string
}

type file struct {
	name   string // base name
	text   []byte
	syntax *ast.File
	allow  map[int]string // line → rule that a directive silences there
}

// finding is one broken rule. line is 0 when it concerns the whole package.
type finding struct {
	file *file
	line int
	text string
}

// load reads one directory. Only syntax errors are errors.
func load(fsys fs.FS, dir, module string, k kind) (*source, error) {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return nil, err
	}
	s := &source{dir: dir, name: path.Base(dir), module: module, kind: k, fset: token.NewFileSet()}
	for _, entry := range entries {
		name := entry.Name()
		switch {
		case entry.IsDir():
			continue
		case !strings.HasSuffix(name, ".go"):
			s.others = append(s.others, name)
			continue
		}
		text, err := fs.ReadFile(fsys, path.Join(dir, name))
		if err != nil {
			return nil, err
		}
		syntax, err := parser.ParseFile(s.fset, path.Join(dir, name), text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		f := &file{name: name, text: text, syntax: syntax}
		f.allow = s.directives(f)
		if strings.HasSuffix(name, "_test.go") {
			s.tests = append(s.tests, f)
		} else {
			s.code = append(s.code, f)
		}
	}
	return s, nil
}

var directive = regexp.MustCompile(`^//bedplate:allow ([a-z]+): \S`)

// directives maps each line below (or beside) an allow directive to its rule.
func (s *source) directives(f *file) map[int]string {
	allow := make(map[int]string)
	for _, group := range f.syntax.Comments {
		for _, c := range group.List {
			if m := directive.FindStringSubmatch(c.Text); m != nil {
				allow[s.line(c.Pos())] = m[1]
				allow[s.line(group.End())+1] = m[1]
			}
		}
	}
	return allow
}

func (s *source) line(pos token.Pos) int { return s.fset.Position(pos).Line }

// at makes a finding at a place in the code.
func (s *source) at(f *file, pos token.Pos, format string, args ...any) finding {
	return finding{file: f, line: s.line(pos), text: fmt.Sprintf(format, args...)}
}

// about makes a finding that concerns a file or, with nil, the package.
func about(f *file, format string, args ...any) finding {
	return finding{file: f, text: fmt.Sprintf(format, args...)}
}

// run applies one rule and leaves out what a directive allows.
func (r rule) run(s *source) []string {
	if r.kinds&(1<<s.kind) == 0 {
		return nil
	}
	var out []string
	for _, f := range r.check(s) {
		where := s.dir
		if f.file != nil {
			if f.line > 0 && f.file.allow[f.line] == r.name {
				continue
			}
			where = path.Join(s.dir, f.file.name)
			if f.line > 0 {
				where += ":" + strconv.Itoa(f.line)
			}
		}
		out = append(out, fmt.Sprintf("%s: %s: %s", where, r.name, f.text))
	}
	sort.Strings(out)
	return out
}

// files lists the code and then the tests.
func (s *source) files() []*file { return slices.Concat(s.code, s.tests) }

func (s *source) find(name string) *file {
	for _, f := range s.files() {
		if f.name == name {
			return f
		}
	}
	return nil
}

// funcs lists the function and method declarations of some files.
func funcs(files []*file) map[*ast.FuncDecl]*file {
	out := make(map[*ast.FuncDecl]*file)
	for _, f := range files {
		for _, decl := range f.syntax.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok {
				out[fn] = f
			}
		}
	}
	return out
}

// structs lists the struct types declared at package level.
func structs(files []*file) map[*ast.TypeSpec]*file {
	out := make(map[*ast.TypeSpec]*file)
	for spec, f := range types(files) {
		if _, ok := spec.Type.(*ast.StructType); ok {
			out[spec] = f
		}
	}
	return out
}

func types(files []*file) map[*ast.TypeSpec]*file {
	out := make(map[*ast.TypeSpec]*file)
	for _, f := range files {
		for _, decl := range f.syntax.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.TYPE {
				continue
			}
			for _, spec := range gen.Specs {
				spec := spec.(*ast.TypeSpec)
				if spec.Doc == nil {
					spec.Doc = gen.Doc
				}
				out[spec] = f
			}
		}
	}
	return out
}

// receiver gives the name of a method's type, "" for a function.
func receiver(fn *ast.FuncDecl) string {
	if fn.Recv == nil || len(fn.Recv.List) == 0 {
		return ""
	}
	t := fn.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

// qualified gives "time.Sleep" for that selector, "" for other expressions.
func qualified(e ast.Expr) string {
	if sel, ok := e.(*ast.SelectorExpr); ok {
		if x, ok := sel.X.(*ast.Ident); ok {
			return x.Name + "." + sel.Sel.Name
		}
	}
	return ""
}

// literal gives the text a string expression begins with.
func literal(e ast.Expr) (string, bool) {
	switch x := e.(type) {
	case *ast.BasicLit:
		if x.Kind == token.STRING {
			text, err := strconv.Unquote(x.Value)
			return text, err == nil
		}
	case *ast.BinaryExpr:
		return literal(x.X)
	case *ast.ParenExpr:
		return literal(x.X)
	}
	return "", false
}

func (s *source) imports(f *file) map[string]token.Pos {
	out := make(map[string]token.Pos)
	for _, spec := range f.syntax.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			out[p] = spec.Pos()
		}
	}
	return out
}

// lines counts the lines that are neither blank nor comment alone.
func lines(files []*file) int {
	n := 0
	for _, f := range files {
		if f.name == "doc.go" {
			continue
		}
		n += len(normal(f.text))
	}
	return n
}

// normal gives the lines of a Go text without indentation, blank lines and
// lines of comment, so that the same code matches wherever it stands.
func normal(text []byte) []string {
	var out []string
	scanner := bufio.NewScanner(bytes.NewReader(text))
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		line := strings.Join(strings.Fields(scanner.Text()), " ")
		if line != "" && !strings.HasPrefix(line, "//") {
			out = append(out, line)
		}
	}
	return out
}

// contains reports whether part stands in whole as consecutive lines.
func contains(whole, part []string) bool {
	for i := 0; i+len(part) <= len(whole); i++ {
		j := 0
		for j < len(part) && whole[i+j] == part[j] {
			j++
		}
		if j == len(part) {
			return true
		}
	}
	return false
}
