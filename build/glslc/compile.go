package glslc

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// ErrNoCompiler says that there is no glslc on this machine.
var ErrNoCompiler = errors.New("no glslc: install it (Debian, Ubuntu, Fedora: package glslc; Arch: shaderc; else the Vulkan SDK), or name one with GLSLC")

// ErrTooOld says that the glslc or spirv-val of this machine does not know what a shader uses.
var ErrTooOld = errors.New("too old for this shader: cooperative matrices need glslc and spirv-val of 2025.2 or newer (Debian 13 has them)")

// Compiler is a glslc program, and spirv-val where there is one.
type Compiler struct {
	Path      string
	Version   string // shaderc's, SPIRV-Tools' and glslang's versions on one line
	Validator string // spirv-val, "" if absent
}

// Find returns the compiler named by $GLSLC, else the one on the path.
func Find(ctx context.Context) (Compiler, error) {
	name := os.Getenv("GLSLC")
	if name == "" {
		name = "glslc"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return Compiler{}, fmt.Errorf("%w (%w)", ErrNoCompiler, err)
	}
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return Compiler{}, fmt.Errorf("%s --version: %w", path, err)
	}
	c := Compiler{Path: path, Version: parseVersion(string(out))}
	if c.Version == "" {
		return Compiler{}, fmt.Errorf("%s --version prints no version: %q", path, out)
	}
	if val, err := exec.LookPath("spirv-val"); err == nil {
		c.Validator = val
	}
	return c, nil
}

// parseVersion keeps the three "tool version" lines that glslc prints first.
func parseVersion(out string) string {
	var parts []string
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) == 2 {
			parts = append(parts, f[0]+" "+f[1])
		} else if len(f) == 0 {
			break
		}
	}
	return strings.Join(parts, ", ")
}

// Compile compiles v, a variant of the folder dir, and checks the module with
// spirv-val where it is present. Warnings go to warn.
func (c Compiler) Compile(ctx context.Context, dir string, v Variant, warn io.Writer) ([]byte, error) {
	args := []string{"--target-env=" + v.Target, "-O", "-fshader-stage=compute", "-I", "include"}
	for _, d := range v.Defines {
		args = append(args, "-D"+d)
	}
	cmd := exec.CommandContext(ctx, c.Path, append(args, "-o", "-", v.File)...)
	cmd.Dir = dir
	var code, messages bytes.Buffer
	cmd.Stdout, cmd.Stderr = &code, &messages
	if err := cmd.Run(); err != nil {
		if bytes.Contains(messages.Bytes(), []byte("extension not supported")) {
			err = fmt.Errorf("%w (%s)", ErrTooOld, c.Version)
		}
		return nil, fmt.Errorf("shader %s: glslc: %w\n%s", v.Name, err, messages.Bytes())
	}
	if messages.Len() > 0 {
		fmt.Fprintf(warn, "shader %s:\n%s", v.Name, messages.Bytes())
	}
	return code.Bytes(), c.Validate(ctx, v, code.Bytes())
}

// Validate runs spirv-val over the module; without one it accepts everything.
func (c Compiler) Validate(ctx context.Context, v Variant, code []byte) error {
	if c.Validator == "" {
		return nil
	}
	cmd := exec.CommandContext(ctx, c.Validator, "--target-env", v.Target, "-")
	cmd.Stdin = bytes.NewReader(code)
	if out, err := cmd.CombinedOutput(); err != nil {
		if bytes.Contains(out, []byte("Invalid capability operand")) {
			err = ErrTooOld
		}
		return fmt.Errorf("shader %s: spirv-val: %w\n%s", v.Name, err, out)
	}
	return nil
}

var includeLine = regexp.MustCompile(`(?m)^[ \t]*#[ \t]*include[ \t]+["<]([^">]+)[">]`)

// SourceHash identifies everything that v is compiled from: its options, its
// file and every file that includes reach, conditional ones as well.
func SourceHash(dir string, v Variant) (string, error) {
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\x00%s\x00%s\x00", v.File, v.Target, strings.Join(v.Defines, "\x00"))
	files, err := Sources(dir, v)
	if err != nil {
		return "", err
	}
	for _, file := range files {
		data, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%s\x00%d\x00", filepath.ToSlash(file), len(data))
		sum.Write(data)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// Sources returns the files v is compiled from, relative to dir: its own first.
func Sources(dir string, v Variant) ([]string, error) {
	files := []string{v.File}
	for i := 0; i < len(files); i++ {
		data, err := os.ReadFile(filepath.Join(dir, files[i]))
		if err != nil {
			return nil, fmt.Errorf("shader %s: %w", v.Name, err)
		}
		for _, m := range includeLine.FindAllSubmatch(data, -1) {
			found, err := findInclude(dir, files[i], string(m[1]))
			if err != nil {
				return nil, fmt.Errorf("shader %s: %w", v.Name, err)
			}
			if !slices.Contains(files, found) {
				files = append(files, found)
			}
		}
	}
	return files, nil
}

// findInclude looks where glslc does: beside the including file, then include/.
func findInclude(dir, from, name string) (string, error) {
	for _, candidate := range []string{filepath.Join(filepath.Dir(from), name), filepath.Join("include", name)} {
		if _, err := os.Stat(filepath.Join(dir, candidate)); err == nil {
			return candidate, nil
		}
	}
	return "", fmt.Errorf("%s includes %q, which is neither beside it nor in include/", from, name)
}
