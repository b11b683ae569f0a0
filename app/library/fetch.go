package library

import (
	"context"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"

	"kestrel/engine/checkpoint"
)

// fetch downloads what is missing: what can refuse the model first, then the
// rest side by side.
func (p *pull) fetch(ctx context.Context) error {
	if p.plan.format == GGUF {
		if err := p.peek(ctx); err != nil {
			return err
		}
	}
	p.meter.stage(Downloading, p.m.Size())
	missing, err := p.missing(ctx)
	if err != nil {
		return err
	}
	if err := p.space(missing); err != nil {
		return err
	}
	for len(missing) > 0 && rank(missing[0].Name) < 2 {
		if err := p.download(missing[0]).run(ctx); err != nil {
			return err
		}
		missing = missing[1:]
	}
	if p.plan.format == Safetensors {
		if err := p.checkConfig(); err != nil {
			return err
		}
		if missing, err = p.narrow(missing); err != nil {
			return err
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(p.o.parallel())
	for _, f := range missing {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error { return p.download(f).run(ctx) })
	}
	return g.Wait()
}

func (p *pull) download(f *File) *download {
	return &download{hub: p.hub, root: p.root, file: f, dest: path.Join(p.m.Root, f.Name), repo: p.ref.Repo, at: p.m.Source.Commit, meter: p.meter}
}

// peek looks at the beginning of a GGUF file before all of it is fetched.
func (p *pull) peek(ctx context.Context) error {
	f := &p.m.Files[0]
	if info, err := p.root.Lstat(path.Join(p.m.Root, f.Name)); err == nil && info.Size() == f.Size {
		return nil
	}
	return p.hub.again(ctx, p.hub.tries, func() error {
		ctx, cancel := context.WithTimeoutCause(ctx, p.hub.stall, errStalled)
		defer cancel()
		a, err := p.hub.ask(ctx, request{url: p.hub.file(p.ref.Repo, p.m.Source.Commit, f.Name), until: min(ggufHead, max(f.Size, 1))})
		if err != nil {
			return stalled(ctx, err)
		}
		defer a.Body.Close()
		head := make([]byte, min(ggufHead, f.Size))
		n, err := io.ReadFull(a.Body, head)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return stalled(ctx, err)
		}
		if int64(n) < min(ggufHead, f.Size) && n < 4096 { // cut short: too little to tell
			return fmt.Errorf("the connection ended after %d bytes: %w", n, io.ErrUnexpectedEOF)
		}
		return inFile(f.Name, checkGGUF(head[:n]))
	})
}

// missing returns the files that are not there yet, and sees that the others
// have their hash in the manifest.
func (p *pull) missing(ctx context.Context) ([]*File, error) {
	var missing []*File
	for i := range p.m.Files {
		f := &p.m.Files[i]
		ok, err := p.present(ctx, f)
		if err != nil {
			return nil, err
		}
		if !ok {
			missing = append(missing, f)
		}
	}
	return missing, nil
}

// present reports whether a file is there, whole. It got its name only after
// its hash was compared, so that its size tells, unless Check asks for more.
func (p *pull) present(ctx context.Context, f *File) (bool, error) {
	dest := path.Join(p.m.Root, f.Name)
	info, err := p.root.Lstat(dest)
	if err != nil || !info.Mode().IsRegular() {
		if !p.reuse(f, dest) {
			return false, nil
		}
	} else if info.Size() != f.Size {
		return false, nil
	}
	if before := p.before(f); before != nil && !p.o.Check {
		f.SHA256, f.ETag = before.SHA256, before.ETag
	}
	if f.SHA256 != "" && !p.o.Check {
		p.meter.there(f.Name, f.Size)
		return true, nil
	}
	p.meter.waits(Wait{Checks: f.Name})
	sums, err := hashFile(ctx, filepath.Join(p.folder, filepath.FromSlash(dest)), f.Size, f.Blob != "", func(n int64) { p.meter.there(f.Name, n) })
	p.meter.waits(Wait{})
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	if err != nil || f.Blob != "" && sums.blob != f.Blob || f.SHA256 != "" && sums.sha256 != f.SHA256 {
		p.meter.there(f.Name, -sums.size)
		return false, nil
	}
	f.SHA256 = sums.sha256
	return true, nil
}

// before is what the manifest that is there says of the same contents.
func (p *pull) before(f *File) *File {
	if p.old == nil || p.old.State != Complete {
		return nil
	}
	i := slices.IndexFunc(p.old.Files, func(g File) bool {
		return g.Name == f.Name && g.Size == f.Size && g.Blob == f.Blob && (f.SHA256 == "" || g.SHA256 == f.SHA256)
	})
	if i < 0 {
		return nil
	}
	return &p.old.Files[i]
}

// reuse gives the file of an older revision a second name where the newer one
// has the same contents. Where the file system knows no second names the file
// is fetched again.
func (p *pull) reuse(f *File, dest string) bool {
	if p.before(f) == nil || p.old.Root == p.m.Root {
		return false
	}
	old := path.Join(p.old.Root, f.Name)
	info, err := p.root.Lstat(old)
	if err != nil || !info.Mode().IsRegular() || info.Size() != f.Size {
		return false
	}
	return p.root.MkdirAll(path.Dir(dest), 0o755) == nil && p.root.Link(old, dest) == nil
}

// space compares what is to come with what the disk has.
func (p *pull) space(missing []*File) error {
	var need int64
	for _, f := range missing {
		need += f.Size
		if info, err := p.root.Stat(path.Join(partsFolder, f.part())); err == nil {
			need -= min(info.Size(), f.Size)
		}
	}
	if need == 0 {
		return nil
	}
	free, err := p.l.free(p.folder)
	if err != nil {
		return &Error{Problem: "cannot tell how much room the disk has", Cause: err}
	}
	if need > free-margin {
		return &Error{Kind: ErrNoSpace, Problem: fmt.Sprintf("%s are to come, but the disk has %s free", sizeText(need), sizeText(max(free, 0))),
			Way: "make room, or set KESTREL_HOME to a folder on a larger disk", Need: need, Free: max(free, 0)}
	}
	return nil
}

// checkConfig refuses a model that Kestrel does not run before its weights
// are fetched.
func (p *pull) checkConfig() error {
	data, err := p.root.ReadFile(path.Join(p.m.Root, configName))
	if err != nil {
		return diskError(err)
	}
	_, err = checkpoint.ParseConfig(configName, data)
	return err
}

// narrow leaves out the shards that the index does not name.
func (p *pull) narrow(missing []*File) ([]*File, error) {
	if p.plan.index == "" {
		return missing, nil
	}
	data, err := p.root.ReadFile(path.Join(p.m.Root, p.plan.index))
	if err != nil {
		return nil, diskError(err)
	}
	if err := p.plan.narrow(data); err != nil {
		return nil, err
	}
	wanted := map[string]*File{}
	var files []File
	for _, f := range p.m.Files {
		if slices.ContainsFunc(p.plan.files, func(r RemoteFile) bool { return r.Path == f.Name }) {
			files = append(files, f)
		}
	}
	p.m.Files = files
	for i := range files {
		wanted[files[i].Name] = &files[i]
	}
	var left []*File
	for _, f := range missing {
		if w := wanted[f.Name]; w != nil {
			left = append(left, w)
		}
	}
	p.meter.total(p.m.Size())
	return left, nil
}
