package rules_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"testing"
)

// exits lists where a file calls os.Exit or log.Fatal, as file:line:column.
func exits(t *testing.T, path string) []string {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	ast.Inspect(file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		pkg, ok := sel.X.(*ast.Ident)
		if !ok {
			return true
		}
		switch pkg.Name + "." + sel.Sel.Name {
		case "os.Exit", "log.Fatal", "log.Fatalf", "log.Fatalln":
			out = append(out, fset.Position(sel.Pos()).String())
		}
		return true
	})
	return out
}

func TestExits(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.go")
	text := "package x\n\nimport (\"log\"; \"os\")\n\n// os.Exit in words is fine\nfunc f() { os.Exit(1); log.Fatalf(\"x\"); os.Getenv(\"x\") }\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := exits(t, path); len(got) != 2 || got[0] != path+":6:12" {
		t.Errorf("got %v", got)
	}
}
