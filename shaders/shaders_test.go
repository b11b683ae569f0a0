package shaders_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"kestrel/build/glslc"
	"kestrel/shaders"
	"kestrel/shaders/spirv"
)

func variants(t *testing.T) []glslc.Variant {
	t.Helper()
	list, err := glslc.ReadList(".")
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func module(t *testing.T, name string) []byte {
	t.Helper()
	code, err := shaders.SPIRV(name)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func TestEveryVariantIsEmbedded(t *testing.T) {
	var listed []string
	for _, v := range variants(t) {
		listed = append(listed, v.Name)
	}
	slices.Sort(listed)
	if got := shaders.Names(); !slices.Equal(got, listed) {
		t.Errorf("variants.txt lists\n%q\nspv/ holds\n%q\nrun build/shaders", listed, got)
	}
}

func TestEverySourceIsUsed(t *testing.T) {
	used := map[string]bool{}
	for _, v := range variants(t) {
		files, err := glslc.Sources(".", v)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			used[filepath.ToSlash(f)] = true
		}
	}
	for _, pattern := range []string{"*.comp", "*.glsl", "include/*"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if !used[filepath.ToSlash(f)] {
				t.Errorf("%s belongs to no variant of variants.txt", f)
			}
		}
	}
}

// TestModulesBelongToSources needs no compiler: the manifest ties each module
// to the sources it was compiled from.
func TestModulesBelongToSources(t *testing.T) {
	manifest, err := glslc.ReadManifest(".")
	if err != nil {
		t.Fatal(err)
	}
	list := variants(t)
	for _, v := range list {
		source, err := glslc.SourceHash(".", v)
		if err != nil {
			t.Fatal(err)
		}
		r := manifest[v.Name]
		if r.Source != source {
			t.Errorf("%s: its sources changed after it was compiled; run build/shaders", v.Name)
		}
		if r.Module != glslc.ModuleHash(module(t, v.Name)) {
			t.Errorf("%s: spv/%[1]s.spv is not what build/shaders wrote; run build/shaders", v.Name)
		}
	}
	if len(manifest) != len(list) {
		t.Errorf("the manifest has %d records for %d variants; run build/shaders", len(manifest), len(list))
	}
}

// TestInterfaces holds the modules to what engine/vulkan offers a kernel:
// storage buffers of set 0 and at most 128 bytes of push constants,
// which every Vulkan device has.
func TestInterfaces(t *testing.T) {
	for _, name := range shaders.Names() {
		face, err := spirv.Reflect(module(t, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, b := range face.Bindings {
			if b.Set != 0 {
				t.Errorf("%s: binding %d of set %d, only set 0 is bound", name, b.Binding, b.Set)
			}
		}
		if face.PushBytes > 128 {
			t.Errorf("%s: %d bytes of push constants, some devices have 128", name, face.PushBytes)
		}
	}
}

// TestRecompile compiles every variant again. The compiler that made the
// committed module must make the same bytes; another one the same interface.
func TestRecompile(t *testing.T) {
	c, err := glslc.Find(t.Context())
	if errors.Is(err, glslc.ErrNoCompiler) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	manifest, err := glslc.ReadManifest(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range variants(t) {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			committed := module(t, v.Name)
			if err := c.Validate(t.Context(), v, committed); errors.Is(err, glslc.ErrTooOld) {
				t.Skip(err)
			} else if err != nil {
				t.Error(err)
			}
			fresh, err := c.Compile(t.Context(), ".", v, io.Discard)
			if errors.Is(err, glslc.ErrTooOld) {
				t.Skip(err)
			} else if err != nil {
				t.Fatal(err)
			}
			if manifest[v.Name].Compiler == c.Version {
				if !bytes.Equal(committed, fresh) {
					t.Errorf("spv/%s.spv differs from what %s makes of %s; run build/shaders", v.Name, c.Version, v.File)
				}
				return
			}
			want, err := spirv.Reflect(committed)
			if err != nil {
				t.Fatal(err)
			}
			got, err := spirv.Reflect(fresh)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("compiled by %s:\n%+v\ncommitted, compiled by %s:\n%+v", c.Version, got, manifest[v.Name].Compiler, want)
			}
		})
	}
}

func TestUnknownName(t *testing.T) {
	if _, err := shaders.SPIRV("no_such_shader"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want fs.ErrNotExist", err)
	}
}
