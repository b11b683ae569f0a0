// Package structure tests the shape of the repository: which package may
// import which, how long a file may be, and that nothing of the machine it was
// written on is in it.
package structure

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// layers orders the packages: each may import only those above it in this
// table, and those of its own row only where it is the parent or child of one
// (engine/weights and engine/weights/gguf). The longest matching name counts.
var layers = [][]string{
	{"shaders", "engine/weights", "engine/tokenizer", "engine/sample", "engine/chat", "engine/vulkan", "assets", "build", "app/chart", "app/sensors", "app/filelock"},
	{"engine/checkpoint", "engine/kernel"},
	{"engine/reference"},
	{"engine/mamba"},
	{"engine"},
	{"app/library"},
	{"app/backend", "app/store", "app/document"},
	{"app/dialog"},
	{"app/session"},
	{"app/cli", "app/ui"},
	{"app"},
}

// noVulkan lists the packages that run without a GPU and its libraries.
var noVulkan = []string{
	"engine/weights", "engine/checkpoint", "engine/tokenizer", "engine/sample", "engine/chat", "engine/reference",
	"app/filelock", "app/library", "app/sensors", "app/store", "app/document", "assets", "shaders", "build",
}

const (
	module  = "kestrel"
	binding = "github.com/vulkan-go/vulkan"
)

// pkg is what go list -json says of a package.
type pkg struct {
	ImportPath, Dir                          string
	Imports, Deps, TestImports, XTestImports []string
}

// name is the package's path in the repository.
func (p pkg) name() string { return strings.TrimPrefix(p.ImportPath, module+"/") }

func within(name, parent string) bool { return name == parent || strings.HasPrefix(name, parent+"/") }

// layer returns the row of a package of this repository and the name in it.
func layer(name string) (row int, entry string) {
	row = -1
	for i, names := range layers {
		for _, n := range names {
			if within(name, n) && len(n) > len(entry) {
				row, entry = i, n
			}
		}
	}
	return row, entry
}

// ours returns the repository's path of an import, and whether it is one.
func ours(path string) (string, bool) { return strings.CutPrefix(path, module+"/") }

// violations checks one package against the rules of this file.
func violations(p pkg) []error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	row, entry := layer(p.name())
	if row < 0 {
		bad("%s has no place in the table of layers of build/structure", p.name())
		return errs
	}
	for _, path := range p.Imports {
		if path == "C" || within(path, binding) {
			if p.name() != "engine/vulkan" {
				bad("%s imports %s; only engine/vulkan may", p.name(), path)
			}
		}
		to, our := ours(path)
		if !our {
			continue
		}
		if toRow, toEntry := layer(to); toRow > row || (toRow == row && toEntry != entry) {
			bad("%s imports %s, which is not below it", p.name(), to)
		}
		if within(to, "build") && !within(p.name(), "build") {
			bad("%s imports %s, which only serves building and testing", p.name(), to)
		}
	}
	inEngine := within(p.name(), "engine")
	silent := slices.ContainsFunc(noVulkan, func(n string) bool { return within(p.name(), n) })
	for _, path := range p.Deps {
		to, our := ours(path)
		if inEngine && ((our && within(to, "app")) || strings.HasPrefix(path, "fyne.io/")) {
			bad("%s depends on %s; nothing in engine/ may", p.name(), path)
		}
		if silent && ((our && within(to, "engine/vulkan")) || within(path, binding)) {
			bad("%s depends on %s; it is to know no Vulkan", p.name(), path)
		}
	}
	for _, path := range slices.Concat(p.TestImports, p.XTestImports) {
		if to, our := ours(path); our && inEngine && within(to, "app") {
			bad("a test of %s imports %s; nothing in engine/ may", p.name(), path)
		}
		if (path == "C" || within(path, binding)) && p.name() != "engine/vulkan" {
			bad("a test of %s imports %s; only engine/vulkan may", p.name(), path)
		}
	}
	return errs
}

func TestImportsPointOneWay(t *testing.T) {
	list := packages(t)
	if len(list) < 3 {
		t.Fatalf("go list found %d packages", len(list))
	}
	for _, p := range list {
		for _, err := range violations(p) {
			t.Error(err)
		}
	}
}

// packages runs go list over the repository.
func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Dir,Imports,Deps,TestImports,XTestImports", "./...")
	cmd.Dir = "../.."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	var list []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

func TestViolationsAreFound(t *testing.T) {
	for _, tt := range []struct {
		what    string
		p       pkg
		message string // "" for none
	}{
		{"downwards", pkg{ImportPath: "kestrel/engine/mamba", Imports: []string{"kestrel/engine/kernel", "fmt"}}, ""},
		{"own child", pkg{ImportPath: "kestrel/engine/weights/gguf", Imports: []string{"kestrel/engine/weights"}}, ""},
		{"upwards", pkg{ImportPath: "kestrel/engine/kernel", Imports: []string{"kestrel/engine/mamba"}}, "not below it"},
		{"sideways", pkg{ImportPath: "kestrel/engine/sample", Imports: []string{"kestrel/engine/chat"}}, "not below it"},
		{"to the face", pkg{ImportPath: "kestrel/engine/mamba", Imports: []string{"kestrel/engine"}}, "not below it"},
		{"unknown", pkg{ImportPath: "kestrel/misc"}, "no place"},
		{"cgo", pkg{ImportPath: "kestrel/engine/kernel", Imports: []string{"C"}}, "only engine/vulkan"},
		{"binding", pkg{ImportPath: "kestrel/engine/vulkan/vulkantest", Imports: []string{binding}}, "only engine/vulkan"},
		{"binding in a test", pkg{ImportPath: "kestrel/engine", XTestImports: []string{binding}}, "only engine/vulkan"},
		{"fyne", pkg{ImportPath: "kestrel/engine", Deps: []string{"fyne.io/fyne/v2"}}, "nothing in engine/"},
		{"app in a test", pkg{ImportPath: "kestrel/engine", TestImports: []string{"kestrel/app/cli"}}, "nothing in engine/"},
		{"Vulkan", pkg{ImportPath: "kestrel/engine/weights/gguf", Deps: []string{"kestrel/engine/vulkan"}}, "know no Vulkan"},
		{"build", pkg{ImportPath: "kestrel/engine", Imports: []string{"kestrel/build/glslc"}}, "only serves building"},
	} {
		err := errors.Join(violations(tt.p)...)
		if tt.message == "" && err != nil || tt.message != "" && (err == nil || !strings.Contains(err.Error(), tt.message)) {
			t.Errorf("%s: error %v, want %q", tt.what, err, tt.message)
		}
	}
}
