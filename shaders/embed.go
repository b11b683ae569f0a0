// Package shaders holds the compiled compute shaders.
//
// Sources are the .comp files of this folder and include/*.glsl; variants.txt
// lists every variant; build/shaders compiles them into spv/, which is
// committed, so that building Kestrel needs no shader compiler.
package shaders

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

//go:embed spv/*.spv
var compiled embed.FS

// SPIRV returns the SPIR-V module of the variant called name in variants.txt.
// The error for a name that is not there wraps fs.ErrNotExist.
func SPIRV(name string) ([]byte, error) {
	code, err := compiled.ReadFile("spv/" + name + ".spv")
	if err != nil {
		return nil, fmt.Errorf("shader %q: %w (not in shaders/variants.txt, or build/shaders was not run)", name, fs.ErrNotExist)
	}
	return code, nil
}

// Names returns the names of all variants, sorted.
func Names() []string {
	entries, err := compiled.ReadDir("spv")
	if err != nil {
		panic(err) // the embedded folder cannot be absent: the build needs it
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".spv"))
	}
	slices.Sort(names)
	return names
}
