// Package examples_test holds the house rules of bedplate as tests: what a
// reader who knows one package may expect of every other. Each rule is proved
// by a small package that breaks it, in testdata/conventions.
package examples_test

import (
	"go/ast"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rule is one convention. check reports every place that breaks it.
type rule struct {
	name  string
	kinds int // bit set of kinds it holds for
	check func(*source) []finding
}

const (
	cores    = 1 << core
	packages = 1<<core | 1<<satellite
	all      = packages | 1<<program
)

var rules = []rule{
	{"imports", packages, checkImports},
	{"files", cores, checkFiles},
	{"manual", cores, checkManual},
	{"blocks", packages, checkBlocks},
	{"prefix", packages, checkPrefix},
	{"documented", packages, checkDocumented},
	{"name", packages, checkName},
	{"constructors", packages, checkConstructors},
	{"calls", cores, checkCalls},
	{"examples", packages, checkExamples},
	{"output", packages, checkOutput},
	{"contract", cores, checkContract},
	{"goleak", packages, checkGoleak},
	{"sleep", packages, checkSleep},
	{"globals", packages, checkGlobals},
	{"ctx", packages, checkContext},
	{"quiet", packages, checkQuiet},
	{"guards", packages, checkGuards},
	{"stats", packages, checkStats},
	{"length", packages, checkLength},
	{"ratio", cores, checkRatio},
	{"unfinished", all, checkUnfinished},
	{"program", 1 << program, checkProgram},
}

func TestConventions(t *testing.T) {
	root := os.DirFS("..")
	module := modulePath(t, root)
	dirs := packageDirs(t, root)
	require.NotEmpty(t, dirs)
	for dir, k := range dirs {
		t.Run(dir, func(t *testing.T) {
			s, err := load(root, dir, module, k)
			require.NoError(t, err)
			for _, r := range rules {
				for _, f := range r.run(s) {
					t.Error(f)
				}
			}
		})
	}
}

// TestEachConventionCatchesABreach loads testdata/conventions/<rule> and wants
// exactly the findings that its want.txt lists, a part of each a line.
func TestEachConventionCatchesABreach(t *testing.T) {
	root := os.DirFS(".")
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			dir := path.Join("testdata/conventions", r.name)
			text, err := fs.ReadFile(root, path.Join(dir, "want.txt"))
			require.NoError(t, err, "every rule needs a package that breaks it")
			want := strings.Split(strings.TrimSpace(string(text)), "\n")
			k := core
			if r.kinds&cores == 0 {
				k = program
			}
			s, err := load(root, dir, "host.example/house/plate", k)
			require.NoError(t, err)
			got := r.run(s)
			require.Len(t, got, len(want), "findings: %s", strings.Join(got, "\n"))
			for _, part := range want {
				require.True(t, slices.ContainsFunc(got, func(f string) bool { return strings.Contains(f, part) }),
					"no finding holds %q in:\n%s", part, strings.Join(got, "\n"))
			}
		})
	}
}

// TestAllowDirectiveSilencesItsRuleAlone shows the way out of a rule, and that
// it needs a reason.
func TestAllowDirectiveSilencesItsRuleAlone(t *testing.T) {
	root := os.DirFS(".")
	s, err := load(root, "testdata/conventions/allowed", "host.example/house/plate", core)
	require.NoError(t, err)
	require.Empty(t, rule{"ctx", cores, checkContext}.run(s))
	require.Len(t, rule{"globals", cores, checkGlobals}.run(s), 1, "a directive without a reason silences nothing")
}

// checkImports: the standard library alone, without what weighs megabytes or
// belongs into tests; no pattern imports another.
func checkImports(s *source) []finding {
	var out []finding
	own := s.module + "/" + s.dir
	parent := s.module + "/" + path.Dir(s.dir)
	for _, f := range s.code {
		for p, pos := range s.imports(f) {
			switch {
			case p == "unsafe", p == "log", p == "testing", strings.HasPrefix(p, "testing/"):
				if strings.HasSuffix(s.name, "test") && strings.HasPrefix(p, "testing") {
					continue // a conformance suite is made for tests
				}
				out = append(out, s.at(f, pos, "imports %s", p))
			case s.kind == core && (p == "net/http" || strings.HasPrefix(p, "net/http/")):
				out = append(out, s.at(f, pos, "imports %s, which belongs into a satellite", p))
			case s.kind == satellite && p == parent:
			case strings.Contains(strings.Split(p, "/")[0], "."):
				out = append(out, s.at(f, pos, "imports %s, want the standard library alone", p))
			}
		}
	}
	for _, f := range s.tests {
		for p, pos := range s.imports(f) {
			switch {
			case !strings.Contains(strings.Split(p, "/")[0], "."), p == own, s.kind == satellite && p == parent:
			case strings.HasPrefix(p, "github.com/stretchr/testify/require"), p == "go.uber.org/goleak":
			default:
				out = append(out, s.at(f, pos, "test imports %s", p))
			}
		}
	}
	return out
}

// checkFiles: the same file holds the same thing in every package.
func checkFiles(s *source) []finding {
	var out []finding
	for _, name := range []string{
		"doc.go", s.name + ".go", "errors.go",
		s.name + "_test.go", "contract_test.go", "model_test.go", "fuzz_test.go", "synctest_test.go",
		"example_test.go", "bench_test.go", "main_test.go",
	} {
		if s.find(name) == nil {
			out = append(out, about(nil, "has no %s", name))
		}
	}
	if !slices.Contains(s.others, "DESIGN.md") {
		out = append(out, about(nil, "has no DESIGN.md"))
	}
	for spec, f := range types(s.code) {
		if home := map[string]string{"Stats": "stats.go", "Hooks": "hooks.go"}[spec.Name.Name]; home != "" && f.name != home {
			out = append(out, s.at(f, spec.Pos(), "type %s belongs into %s", spec.Name.Name, home))
		}
	}
	for _, f := range s.code {
		for _, spec := range vars(f) {
			for _, name := range spec.Names {
				if strings.HasPrefix(name.Name, "Err") && f.name != "errors.go" {
					out = append(out, s.at(f, name.Pos(), "%s belongs into errors.go", name.Name))
				}
			}
		}
	}
	return out
}

var headings = []string{"Usage", "Guarantees", "Context", "When not to use it", "How it works", "Performance"}

// checkManual: doc.go is a manual with the same headings in the same order.
func checkManual(s *source) []finding {
	f := s.find("doc.go")
	if f == nil || f.syntax.Doc == nil {
		return []finding{about(f, "doc.go has no package comment")}
	}
	var got []string
	parsed := new(comment.Parser).Parse(f.syntax.Doc.Text())
	for _, block := range parsed.Content {
		if h, ok := block.(*comment.Heading); ok && len(h.Text) > 0 {
			if text, ok := h.Text[0].(comment.Plain); ok {
				got = append(got, string(text))
			}
		}
	}
	var out []finding
	if kept := slices.DeleteFunc(slices.Clone(got), func(h string) bool { return !slices.Contains(headings, h) }); !slices.Equal(kept, headings) {
		out = append(out, about(f, "headings are %q, want %q in this order", got, headings))
	}
	if n := s.line(f.syntax.Doc.End()) - s.line(f.syntax.Doc.Pos()) + 1; n < 60 || n > 150 {
		out = append(out, about(f, "%d lines, want 60 to 150", n))
	}
	return out
}

// checkBlocks: a block of Go in the package comment stands in an Example too,
// so that it compiles and runs.
func checkBlocks(s *source) []finding {
	var out []finding
	var tested [][]string
	for _, f := range s.tests {
		if strings.HasPrefix(f.name, "example") {
			tested = append(tested, normal(f.text))
		}
	}
	for _, f := range s.code {
		for _, code := range s.blocks(f) {
			part := normal([]byte(code))
			if !slices.ContainsFunc(tested, func(whole []string) bool { return contains(whole, part) }) {
				out = append(out, about(f, "no Example holds the block that begins %q", part[0]))
			}
		}
	}
	return out
}

// blocks lists the blocks in the package comment of f that use the package.
func (s *source) blocks(f *file) []string {
	if f.syntax.Doc == nil {
		return nil
	}
	var out []string
	for _, block := range new(comment.Parser).Parse(f.syntax.Doc.Text()).Content {
		if code, ok := block.(*comment.Code); ok && strings.Contains(code.Text, s.name+".") && !shell(code.Text) {
			out = append(out, code.Text)
		}
	}
	return out
}

// shell tells a block of commands from a block of Go.
func shell(text string) bool {
	first := strings.Fields(text)[0]
	return first == "go" || first == "make" || first == "$"
}

// checkPrefix: an error and a panic name their package first.
func checkPrefix(s *source) []finding {
	var out []finding
	for _, f := range s.code {
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			what := qualified(call.Fun)
			arg := call.Args[0]
			if id, ok := call.Fun.(*ast.Ident); ok && id.Name == "panic" {
				what = "panic"
				if inner, ok := arg.(*ast.CallExpr); ok && len(inner.Args) > 0 && qualified(inner.Fun) == "fmt.Sprintf" {
					arg = inner.Args[0]
				}
			}
			if what != "errors.New" && what != "fmt.Errorf" && what != "panic" {
				return true
			}
			text, ok := literal(arg)
			if ok && !strings.HasPrefix(text, s.name+": ") && !strings.HasPrefix(text, "%w") {
				out = append(out, s.at(f, call.Pos(), "%s(%q) does not begin with %q", what, text, s.name+": "))
			}
			return true
		})
	}
	return out
}

// checkDocumented: every exported name has a comment, fields included. A field
// may share the comment of the one just above it.
func checkDocumented(s *source) []finding {
	var out []finding
	exportedType := make(map[string]bool)
	for spec, f := range types(s.code) {
		if !spec.Name.IsExported() {
			continue
		}
		exportedType[spec.Name.Name] = true
		if spec.Doc == nil {
			out = append(out, s.at(f, spec.Pos(), "type %s has no comment", spec.Name.Name))
		}
		if st, ok := spec.Type.(*ast.StructType); ok {
			out = append(out, s.undocumentedFields(f, spec.Name.Name, st, ast.IsExported)...)
		}
	}
	for fn, f := range funcs(s.code) {
		if recv := receiver(fn); fn.Name.IsExported() && fn.Doc == nil && (recv == "" || exportedType[recv]) {
			out = append(out, s.at(f, fn.Pos(), "func %s has no comment", strings.TrimPrefix(recv+"."+fn.Name.Name, ".")))
		}
	}
	for _, f := range s.code {
		for _, decl := range f.syntax.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Doc != nil {
				continue
			}
			for _, spec := range gen.Specs {
				if spec, ok := spec.(*ast.ValueSpec); ok && spec.Names[0].IsExported() && spec.Doc == nil && spec.Comment == nil {
					out = append(out, s.at(f, spec.Pos(), "%s has no comment", spec.Names[0].Name))
				}
			}
		}
	}
	return out
}

// undocumentedFields lists the fields for which want holds and no comment stands.
func (s *source) undocumentedFields(f *file, owner string, st *ast.StructType, want func(string) bool) []finding {
	var out []finding
	covered, last := false, 0
	for _, field := range st.Fields.List {
		switch {
		case field.Doc != nil || field.Comment != nil:
			covered = true
		case s.line(field.Pos()) > last+1:
			covered = false
		}
		last = s.line(field.End())
		if len(field.Names) > 0 && !covered && want(field.Names[0].Name) {
			out = append(out, s.at(f, field.Pos(), "field %s.%s has no comment", owner, field.Names[0].Name))
		}
	}
	return out
}

// checkName: where a Config has a Name it comes first.
func checkName(s *source) []finding {
	var out []finding
	for spec, f := range structs(s.code) {
		if spec.Name.Name != "Config" {
			continue
		}
		for i, field := range spec.Type.(*ast.StructType).Fields.List {
			if i > 0 && len(field.Names) > 0 && field.Names[0].Name == "Name" {
				out = append(out, s.at(f, field.Pos(), "Config.Name is not the first field"))
			}
		}
	}
	return out
}

var optionName = regexp.MustCompile(`^Options?$|Option$|Builder$`)

// checkConstructors: New gives (*T, error), MustNew its panicking twin; no
// options, builders or init.
func checkConstructors(s *source) []finding {
	var out []finding
	names := make(map[string]bool)
	for fn := range funcs(s.code) {
		if fn.Recv == nil {
			names[fn.Name.Name] = true
		}
	}
	for fn, f := range funcs(s.code) {
		if fn.Recv != nil {
			continue
		}
		name := fn.Name.Name
		if name == "init" {
			out = append(out, s.at(f, fn.Pos(), "func init"))
		}
		what, isNew := strings.CutPrefix(name, "New")
		if !isNew || what != "" && !ast.IsExported(what) {
			continue
		}
		results := fn.Type.Results
		if results == nil || results.NumFields() != 2 {
			out = append(out, s.at(f, fn.Pos(), "%s does not return (*T, error)", name))
		} else if id, ok := results.List[len(results.List)-1].Type.(*ast.Ident); !ok || id.Name != "error" {
			out = append(out, s.at(f, fn.Pos(), "%s does not return (*T, error)", name))
		}
		if !names["Must"+name] {
			out = append(out, s.at(f, fn.Pos(), "%s has no Must%s beside it", name, name))
		}
	}
	for spec, f := range types(s.code) {
		if spec.Name.IsExported() && optionName.MatchString(spec.Name.Name) {
			out = append(out, s.at(f, spec.Pos(), "type %s: construction is by Config alone", spec.Name.Name))
		}
	}
	return out
}

// checkCalls: what guards a call has Do, DoValue and Wrap together.
func checkCalls(s *source) []finding {
	var guards, free []string
	var where *file
	for fn, f := range funcs(s.code) {
		switch {
		case fn.Name.Name == "Do" && fn.Recv != nil && ast.IsExported(receiver(fn)):
			guards = append(guards, receiver(fn))
			where = f
		case fn.Recv == nil && (fn.Name.Name == "DoValue" || fn.Name.Name == "Wrap"):
			free = append(free, fn.Name.Name)
		}
	}
	if len(guards) > 0 && len(free) != 2 {
		return []finding{about(where, "%s has Do, want DoValue and Wrap beside it, have %q", guards[0], free)}
	}
	return nil
}

// Methods that a user's code reaches through an interface of the standard
// library, not by a call of its own.
var implicit = []string{
	"Error", "Is", "As", "Unwrap", "String", "GoString", "LogValue",
	"MarshalJSON", "UnmarshalJSON", "MarshalText", "UnmarshalText",
	"ServeHTTP", "RoundTrip", "Read", "Write",
}

// checkExamples: an Example calls each exported function and method.
func checkExamples(s *source) []finding {
	called := make(map[string]bool)
	hasMain := false
	for fn := range funcs(s.tests) {
		if !strings.HasPrefix(fn.Name.Name, "Example") {
			continue
		}
		hasMain = hasMain || fn.Name.Name == "Example"
		ast.Inspect(fn, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				called[id.Name] = true
			}
			return true
		})
	}
	var out []finding
	if !hasMain {
		out = append(out, about(nil, "has no Example for the package"))
	}
	for fn, f := range funcs(s.code) {
		recv := receiver(fn)
		switch {
		case !fn.Name.IsExported(), recv != "" && !ast.IsExported(recv), slices.Contains(implicit, fn.Name.Name):
		case !called[fn.Name.Name]:
			out = append(out, s.at(f, fn.Pos(), "no Example calls %s", strings.TrimPrefix(recv+"."+fn.Name.Name, ".")))
		}
	}
	return out
}

// checkOutput: an Example without Output is compiled and never run.
func checkOutput(s *source) []finding {
	var out []finding
	for fn, f := range funcs(s.tests) {
		if !strings.HasPrefix(fn.Name.Name, "Example") || fn.Body == nil {
			continue
		}
		checked := slices.ContainsFunc(f.syntax.Comments, func(g *ast.CommentGroup) bool {
			text := strings.ToLower(g.Text())
			return g.Pos() > fn.Body.Lbrace && g.End() < fn.Body.Rbrace &&
				(strings.HasPrefix(text, "output:") || strings.HasPrefix(text, "unordered output:"))
		})
		if !checked {
			out = append(out, s.at(f, fn.Pos(), "%s has no Output", fn.Name.Name))
		}
	}
	return out
}

var contract = []string{
	"TestContractDoneBeforeCall", "TestContractDoneWhileWaiting", "TestContractErrorMatchesErrAndCause",
	"TestContractFnContextDerives", "TestContractCancelDoesNotReachOthers", "TestContractFnErrorUnwrapped",
	"TestContractPanicAndGoexit",
}

var lifecycle = []string{"TestContractCloseIdempotent", "TestContractClosedRefuses", "TestContractDrainDeadline"}

// checkContract: the shared contracts are proved under the same names.
func checkContract(s *source) []finding {
	home := make(map[string]string)
	for fn, f := range funcs(s.tests) {
		home[fn.Name.Name] = f.name
	}
	want := map[string]string{"FuzzModel": "fuzz_test.go", "TestSynctestSafe": "synctest_test.go"}
	for _, name := range contract {
		want[name] = "contract_test.go"
	}
	for fn := range funcs(s.code) {
		if fn.Name.Name == "Close" && ast.IsExported(receiver(fn)) {
			for _, name := range lifecycle {
				want[name] = "contract_test.go"
			}
		}
	}
	var out []finding
	for name, file := range want {
		if home[name] != file {
			out = append(out, about(nil, "%s has no %s", file, name))
		}
	}
	return out
}

// checkGoleak: each test binary fails when a goroutine is left.
func checkGoleak(s *source) []finding {
	if f := s.find("main_test.go"); f == nil || !strings.Contains(string(f.text), "goleak.VerifyTestMain(") {
		return []finding{about(f, "main_test.go does not call goleak.VerifyTestMain")}
	}
	return nil
}

// checkSleep: code waits under a context, tests wait in a bubble.
func checkSleep(s *source) []finding {
	var out []finding
	for _, f := range s.files() {
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			switch qualified(call.Fun) {
			case "synctest.Test":
				return false
			case "time.Sleep":
				out = append(out, s.at(f, call.Pos(), "time.Sleep outside a synctest bubble"))
			}
			return true
		})
	}
	return out
}

// checkGlobals: nothing at package level that ties two bubbles together or
// makes a time base of the process.
func checkGlobals(s *source) []finding {
	var out []finding
	for _, f := range s.code {
		for _, spec := range vars(f) {
			ast.Inspect(spec, func(n ast.Node) bool {
				switch x := n.(type) {
				case *ast.FuncLit:
					return false
				case *ast.ChanType:
					out = append(out, s.at(f, x.Pos(), "a channel at package level"))
				case *ast.SelectorExpr:
					switch q := qualified(x); q {
					case "sync.Pool", "time.Now", "time.NewTimer", "time.NewTicker", "time.After", "time.AfterFunc", "time.Tick", "time.Timer", "time.Ticker":
						out = append(out, s.at(f, x.Pos(), "%s at package level", q))
					}
				}
				return true
			})
		}
	}
	return out
}

func vars(f *file) []*ast.ValueSpec {
	var out []*ast.ValueSpec
	for _, decl := range f.syntax.Decls {
		if gen, ok := decl.(*ast.GenDecl); ok && gen.Tok == token.VAR {
			for _, spec := range gen.Specs {
				out = append(out, spec.(*ast.ValueSpec))
			}
		}
	}
	return out
}

// checkContext: a context comes first and is stored nowhere but in a context.
func checkContext(s *source) []finding {
	var out []finding
	for _, f := range s.code {
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			switch x := n.(type) {
			case *ast.FuncType:
				i := 0
				for _, field := range x.Params.List {
					if qualified(field.Type) == "context.Context" && i > 0 {
						out = append(out, s.at(f, field.Pos(), "a context that is not the first parameter"))
					}
					i += max(1, len(field.Names))
				}
			case *ast.StructType:
				for _, field := range x.Fields.List {
					if qualified(field.Type) == "context.Context" && len(field.Names) > 0 {
						out = append(out, s.at(f, field.Pos(), "a struct stores a context"))
					}
				}
			}
			return true
		})
	}
	return out
}

// checkQuiet: the library returns or counts, it never prints.
func checkQuiet(s *source) []finding {
	var out []finding
	for _, f := range s.code {
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			switch q := qualified(sel); q {
			case "fmt.Print", "fmt.Println", "fmt.Printf", "os.Stdout", "os.Stderr", "os.Exit", "slog.Default", "slog.Info", "slog.Warn", "slog.Error", "slog.Debug":
				out = append(out, s.at(f, sel.Pos(), "%s", q))
			}
			return true
		})
	}
	return out
}

// checkGuards: a lock says what it guards, an atomic who writes it.
func checkGuards(s *source) []finding {
	var out []finding
	for spec, f := range structs(s.code) {
		st := spec.Type.(*ast.StructType)
		shared := make(map[string]bool)
		for _, field := range st.Fields.List {
			t := field.Type
			if index, ok := t.(*ast.IndexExpr); ok {
				t = index.X
			}
			if q := qualified(t); len(field.Names) > 0 && (q == "sync.Mutex" || q == "sync.RWMutex" || strings.HasPrefix(q, "atomic.")) {
				shared[field.Names[0].Name] = true
			}
		}
		out = append(out, s.undocumentedFields(f, spec.Name.Name, st, func(name string) bool { return shared[name] })...)
	}
	return out
}

var snake = regexp.MustCompile(`^[a-z0-9]+(_[a-z0-9]+)*(,omitempty|,omitzero)?$`)

// checkStats: Stats is a plain struct by value, ready for JSON.
func checkStats(s *source) []finding {
	var out []finding
	for spec, f := range structs(s.code) {
		if !spec.Name.IsExported() || !strings.HasSuffix(spec.Name.Name, "Stats") {
			continue
		}
		for _, field := range spec.Type.(*ast.StructType).Fields.List {
			tag := ""
			if field.Tag != nil {
				if text, err := strconv.Unquote(field.Tag.Value); err == nil {
					tag = reflect.StructTag(text).Get("json")
				}
			}
			if len(field.Names) > 0 && !snake.MatchString(tag) {
				out = append(out, s.at(f, field.Pos(), "%s.%s has the JSON name %q, want snake_case", spec.Name.Name, field.Names[0].Name, tag))
			}
			if _, ok := field.Type.(*ast.StarExpr); ok {
				out = append(out, s.at(f, field.Pos(), "%s.%s is a pointer", spec.Name.Name, field.Names[0].Name))
			}
		}
	}
	for fn, f := range funcs(s.code) {
		if fn.Name.Name != "Stats" || fn.Recv == nil || !ast.IsExported(receiver(fn)) {
			continue
		}
		if fn.Type.Results == nil || fn.Type.Results.NumFields() != 1 {
			out = append(out, s.at(f, fn.Pos(), "Stats does not return one value"))
		} else if _, ok := fn.Type.Results.List[0].Type.(*ast.StarExpr); ok {
			out = append(out, s.at(f, fn.Pos(), "Stats returns a pointer"))
		}
	}
	return out
}

// checkLength: a file holds one idea.
func checkLength(s *source) []finding {
	var out []finding
	for _, f := range s.code {
		if n := s.line(f.syntax.FileEnd); n > 450 {
			out = append(out, about(f, "%d lines, want at most 450", n))
		}
	}
	return out
}

// checkRatio: one and a half lines of test for a line of code.
func checkRatio(s *source) []finding {
	if code, tests := lines(s.code), lines(s.tests); 2*tests < 3*code {
		return []finding{about(nil, "%d lines of tests for %d of code, want 1.5 to 1", tests, code)}
	}
	return nil
}

var unfinished = regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b|(?i)not (yet )?implemented`)

// checkUnfinished: what is here is done.
func checkUnfinished(s *source) []finding {
	var out []finding
	for _, f := range s.files() {
		for _, group := range f.syntax.Comments {
			for _, c := range group.List {
				if m := unfinished.FindString(c.Text); m != "" {
					out = append(out, s.at(f, c.Pos(), "%s", m))
				}
			}
		}
	}
	return out
}

// checkProgram: an example program says what it shows and how to run it. So does
// a folder of tests alone, in the comment of its doc.go.
func checkProgram(s *source) []finding {
	f, how := s.find("main.go"), "go run ./"+s.dir
	if f == nil && len(s.code) == 1 && len(s.tests) > 0 {
		f, how = s.find("doc.go"), "go test ./"+s.dir
	}
	if f == nil {
		return []finding{about(nil, "has no main.go")}
	}
	if !strings.Contains(f.syntax.Doc.Text(), how) {
		return []finding{about(f, "the comment of %s does not say %s", f.name, how)}
	}
	return nil
}

// TestBlocksOfTheManualParse keeps checkBlocks honest: a block that is neither
// commands nor Go would pass it unseen.
func TestBlocksOfTheManualParse(t *testing.T) {
	root := os.DirFS("..")
	for dir, k := range packageDirs(t, root) {
		if k == program {
			continue
		}
		s, err := load(root, dir, modulePath(t, root), k)
		require.NoError(t, err)
		for _, f := range s.code {
			for _, code := range s.blocks(f) {
				_, asBody := parser.ParseFile(token.NewFileSet(), "", "package p\nfunc _() {\n"+code+"\n}", 0)
				_, asFile := parser.ParseFile(token.NewFileSet(), "", "package p\n"+code, 0)
				require.True(t, asBody == nil || asFile == nil, "%s: this block is not Go:\n%s", dir, code)
			}
		}
	}
}
