package glslc

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"kestrel/shaders/spirv"
)

func TestParseList(t *testing.T) {
	got, err := ParseList([]byte(`
# heading
norm     = norm.comp
gemv_f16 = gemv.comp -DWEIGHT=f16 -DFAST   # why
mma      = mma.comp --target-env=vulkan1.3
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []Variant{
		{Name: "norm", File: "norm.comp", Target: "vulkan1.1"},
		{Name: "gemv_f16", File: "gemv.comp", Defines: []string{"WEIGHT=f16", "FAST"}, Target: "vulkan1.1"},
		{Name: "mma", File: "mma.comp", Target: "vulkan1.3"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestParseListRefuses(t *testing.T) {
	for _, tt := range []struct{ text, message string }{
		{"norm", "want NAME = FILE.comp"},
		{"norm =", "want NAME = FILE.comp"},
		{"a = a.comp\nb = b.comp\na = c.comp", "line 3: variant a is already on line 1"},
		{"../a = a.comp", "name"},
		{"a = ../a.comp", "file"},
		{"a = a.glsl", "file"},
		{"a = a.comp -O0", "option \"-O0\""},
		{"a = a.comp -D=1", "option"},
		{"a = a.comp --target-env=opengl", "option"},
	} {
		if _, err := ParseList([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.message) {
			t.Errorf("%q: error %v, want %q in it", tt.text, err, tt.message)
		}
	}
}

// write fills a folder with files of the given text.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSourceHash(t *testing.T) {
	dir := t.TempDir()
	base := map[string]string{
		"a.comp":          "#version 450\n#include \"x.glsl\"\n",
		"include/x.glsl":  "#if 0\n # include <y.glsl>\n#endif\n",
		"include/y.glsl":  "float y;\n",
		"include/no.glsl": "unused\n",
	}
	hash := func(v Variant, change, text string) string {
		write(t, dir, base)
		if change != "" {
			write(t, dir, map[string]string{change: text})
		}
		h, err := SourceHash(dir, v)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	v := Variant{Name: "a", File: "a.comp", Target: DefaultTarget}
	first := hash(v, "", "")
	if hash(v, "include/no.glsl", "other\n") != first {
		t.Error("a file that is not included changes the hash")
	}
	for change, text := range map[string]string{
		"a.comp":         base["a.comp"] + "// more\n",
		"include/x.glsl": base["include/x.glsl"] + "// more\n",
		"include/y.glsl": "float z;\n",
		"x.glsl":         base["include/x.glsl"], // beside the file: found before include/
	} {
		if hash(v, change, text) == first {
			t.Errorf("a change of %s leaves the hash", change)
		}
	}
	os.Remove(filepath.Join(dir, "x.glsl"))
	defined := v
	defined.Defines = []string{"K=1"}
	target := v
	target.Target = "vulkan1.3"
	if hash(defined, "", "") == first || hash(target, "", "") == first {
		t.Error("a change of the options leaves the hash")
	}
	write(t, dir, map[string]string{"a.comp": "#include \"gone.glsl\"\n"})
	if _, err := SourceHash(dir, v); err == nil || !strings.Contains(err.Error(), "gone.glsl") {
		t.Errorf("missing include: error %v", err)
	}
}

const kernel = `#version 450
#extension GL_GOOGLE_include_directive : require
#include "scale.glsl"
layout(local_size_x = 8) in;
layout(binding = 0) buffer A { float a[]; };
void main() { a[gl_GlobalInvocationID.x] *= SCALE; }
`

func TestBuild(t *testing.T) {
	if _, err := Find(t.Context()); errors.Is(err, ErrNoCompiler) {
		t.Skip(err)
	}
	dir := t.TempDir()
	build := func(what string, all bool, want Result) {
		t.Helper()
		if got, err := Build(t.Context(), dir, all, io.Discard); err != nil || got != want {
			t.Fatalf("%s: %+v, %v; want %+v", what, got, err, want)
		}
	}
	write(t, dir, map[string]string{
		"variants.txt":       "one = k.comp -DSCALE=1.0\ntwo = k.comp -DSCALE=2.0\n",
		"k.comp":             kernel,
		"include/scale.glsl": "#ifndef SCALE\n#define SCALE 3.0\n#endif\n",
	})
	build("first", false, Result{Compiled: 2})
	build("nothing changed", false, Result{Current: 2})
	build("all", true, Result{Compiled: 2})
	for _, name := range []string{"one", "two"} {
		code, err := os.ReadFile(modulePath(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if face, err := spirv.Reflect(code); err != nil || face.LocalSize[0].Value != 8 || len(face.Bindings) != 1 {
			t.Errorf("%s: interface %+v, %v", name, face, err)
		}
	}
	write(t, dir, map[string]string{"include/scale.glsl": "// now without a default\n"})
	build("include changed", false, Result{Compiled: 2})
	write(t, dir, map[string]string{"variants.txt": "one = k.comp -DSCALE=1.0\nthree = k.comp -DSCALE=3.0\n"})
	build("one variant for another", false, Result{Compiled: 1, Current: 1, Removed: 1})
	write(t, dir, map[string]string{"spv/one.spv": "damaged"})
	build("damaged module", false, Result{Compiled: 1, Current: 1})
}

// TestBuildKeepsTheGood builds what it can and names what it cannot.
func TestBuildKeepsTheGood(t *testing.T) {
	if _, err := Find(t.Context()); errors.Is(err, ErrNoCompiler) {
		t.Skip(err)
	}
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"variants.txt":       "bad = bad.comp\ngone = gone.comp\ngood = k.comp -DSCALE=1.0\n",
		"k.comp":             kernel,
		"bad.comp":           "#version 450\nvoid main() { missing(); }\n",
		"include/scale.glsl": "",
	})
	res, err := Build(t.Context(), dir, false, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "shader bad: glslc") || !strings.Contains(err.Error(), "shader gone") {
		t.Errorf("error %v", err)
	}
	if res.Compiled != 1 {
		t.Errorf("%+v, want the good one compiled", res)
	}
	m, err := ReadManifest(dir)
	if err != nil || len(m) != 1 || m["good"].Module == "" {
		t.Errorf("manifest %v, %v", m, err)
	}
}

func TestParseVersion(t *testing.T) {
	out := "shaderc 2023.2-1\nspirv-tools 2022.4+1.3.236.0-1\nglslang 11.13.0-1\n\nTarget: SPIR-V 1.0\n"
	if got, want := parseVersion(out), "shaderc 2023.2-1, spirv-tools 2022.4+1.3.236.0-1, glslang 11.13.0-1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
