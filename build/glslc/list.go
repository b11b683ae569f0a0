// Package glslc compiles the shader variants of shaders/variants.txt with the
// glslc program and keeps the record of what was compiled from what.
package glslc

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// DefaultTarget is the environment a variant is compiled for when its line
// names none: the lowest Vulkan version with subgroup operations.
const DefaultTarget = "vulkan1.1"

// Variant is one line of the list: a source file and what is defined for it.
type Variant struct {
	Name    string   // of the module, and of its file spv/NAME.spv
	File    string   // the .comp file, relative to the shaders folder
	Defines []string // "KEY" or "KEY=VALUE"
	Target  string   // --target-env
}

var (
	validName   = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	validFile   = regexp.MustCompile(`^[a-z][a-z0-9_]*\.comp$`)
	validDefine = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(=\S*)?$`)
	validTarget = regexp.MustCompile(`^vulkan1\.[1-9]$`)
)

// ReadList reads dir/variants.txt.
func ReadList(dir string) ([]Variant, error) {
	path := filepath.Join(dir, "variants.txt")
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	list, err := ParseList(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return list, nil
}

// ParseList parses the text of a variants list. Lines are
//
//	NAME = FILE.comp [-DKEY[=VALUE] …] [--target-env=vulkan1.N]
//
// in any order, each name once; # begins a comment.
func ParseList(data []byte) ([]Variant, error) {
	var list []Variant
	seen := map[string]int{}
	in := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; in.Scan(); n++ {
		line, _, _ := strings.Cut(in.Text(), "#")
		if strings.TrimSpace(line) == "" {
			continue
		}
		v, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if first := seen[v.Name]; first != 0 {
			return nil, fmt.Errorf("line %d: variant %s is already on line %d", n, v.Name, first)
		}
		seen[v.Name] = n
		list = append(list, v)
	}
	return list, in.Err()
}

func parseLine(line string) (Variant, error) {
	left, right, ok := strings.Cut(line, "=")
	if !ok {
		return Variant{}, fmt.Errorf("want NAME = FILE.comp, got %q", strings.TrimSpace(line))
	}
	words := strings.Fields(right)
	if len(words) == 0 {
		return Variant{}, fmt.Errorf("want NAME = FILE.comp, got %q", strings.TrimSpace(line))
	}
	v := Variant{Name: strings.TrimSpace(left), File: words[0], Target: DefaultTarget}
	if !validName.MatchString(v.Name) {
		return v, fmt.Errorf("name %q: want lower-case letters, digits and _", v.Name)
	}
	if !validFile.MatchString(v.File) {
		return v, fmt.Errorf("variant %s: file %q: want a .comp file of this folder", v.Name, v.File)
	}
	for _, w := range words[1:] {
		if d, ok := strings.CutPrefix(w, "-D"); ok && validDefine.MatchString(d) {
			v.Defines = append(v.Defines, d)
		} else if t, ok := strings.CutPrefix(w, "--target-env="); ok && validTarget.MatchString(t) {
			v.Target = t
		} else {
			return v, fmt.Errorf("variant %s: option %q: want -DKEY[=VALUE] or --target-env=vulkan1.N", v.Name, w)
		}
	}
	return v, nil
}
