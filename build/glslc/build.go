package glslc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

// Result counts what Build did.
type Result struct{ Compiled, Current, Removed int }

// Build brings dir/spv up to date with dir/variants.txt: it compiles what
// changed (with all, everything), removes modules that are no longer listed and
// rewrites the manifest. Every variant is tried; the errors are joined, and the
// module of a variant that failed is left as it was.
func Build(ctx context.Context, dir string, all bool, log io.Writer) (Result, error) {
	var res Result
	list, err := ReadList(dir)
	if err != nil {
		return res, err
	}
	old, err := ReadManifest(dir)
	if err != nil && !all {
		return res, err
	}
	if err := os.MkdirAll(filepath.Join(dir, "spv"), 0o755); err != nil {
		return res, err
	}

	next := Manifest{}
	var stale []Variant
	var errs []error
	for _, v := range list {
		source, err := SourceHash(dir, v)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if r, known := old[v.Name]; known {
			next[v.Name] = r
		}
		if all || !current(dir, v, source, old[v.Name]) {
			stale = append(stale, v)
		}
	}
	res.Current = len(list) - len(stale) - len(errs)
	if len(stale) > 0 {
		c, err := Find(ctx)
		if err != nil {
			return res, err
		}
		n, err := c.buildAll(ctx, dir, stale, next, log)
		res.Compiled = n
		errs = append(errs, err)
	}
	removed, err := removeUnlisted(dir, list)
	res.Removed = removed
	errs = append(errs, err, next.Write(dir))
	return res, errors.Join(errs...)
}

func current(dir string, v Variant, source string, r Record) bool {
	code, err := os.ReadFile(modulePath(dir, v.Name))
	return err == nil && r.Source == source && r.Module == ModuleHash(code)
}

func modulePath(dir, name string) string { return filepath.Join(dir, "spv", name+".spv") }

// buildAll compiles the variants, as many at a time as there are processors,
// and enters those that succeeded in the manifest.
func (c Compiler) buildAll(ctx context.Context, dir string, list []Variant, m Manifest, log io.Writer) (int, error) {
	var (
		mu    sync.Mutex
		wg    sync.WaitGroup
		errs  []error
		built int
		slots = make(chan struct{}, runtime.NumCPU())
	)
	for _, v := range list {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			var messages strings.Builder
			r, err := c.buildOne(ctx, dir, v, &messages)
			mu.Lock()
			defer mu.Unlock()
			io.WriteString(log, messages.String())
			if err != nil {
				errs = append(errs, err)
				return
			}
			m[v.Name] = r
			built++
		})
	}
	wg.Wait()
	return built, errors.Join(errs...)
}

func (c Compiler) buildOne(ctx context.Context, dir string, v Variant, warn io.Writer) (Record, error) {
	source, err := SourceHash(dir, v)
	if err != nil {
		return Record{}, err
	}
	code, err := c.Compile(ctx, dir, v, warn)
	if err != nil {
		return Record{}, err
	}
	if err := WriteFile(modulePath(dir, v.Name), code); err != nil {
		return Record{}, fmt.Errorf("shader %s: %w", v.Name, err)
	}
	return Record{Source: source, Module: ModuleHash(code), Compiler: c.Version}, nil
}

// removeUnlisted deletes modules whose variant left the list.
func removeUnlisted(dir string, list []Variant) (int, error) {
	listed := map[string]bool{}
	for _, v := range list {
		listed[v.Name+".spv"] = true
	}
	files, err := filepath.Glob(filepath.Join(dir, "spv", "*.spv"))
	if err != nil {
		return 0, err
	}
	removed := 0
	for _, f := range files {
		if listed[filepath.Base(f)] {
			continue
		}
		if err := os.Remove(f); err != nil {
			return removed, err
		}
		removed++
	}
	return removed, nil
}
