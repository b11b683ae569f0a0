package library

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path"
	"slices"
	"time"

	"kestrel/engine/checkpoint"
	"kestrel/engine/weights"
)

// PullOptions are those of [Library.Pull]; the zero value is the usual.
type PullOptions struct {
	Endpoint string // of the hub; "" for $HF_ENDPOINT, else DefaultEndpoint
	Token    string // "" for $HF_TOKEN, else the one that Hugging Face's own tools store
	Parallel int    // files at once; 0 for 4
	Update   bool   // replace a model that is there by the revision's newer commit
	Check    bool   // hash the files that are there, and fetch again what is wrong
	Wait     bool   // wait for another process that writes the model, rather than ErrBusy
	Progress func(Progress)
	Warn     func(string)

	// For tests and unusual networks; zero values are the usual.
	Transport http.RoundTripper
	Tries     int           // in a row that get nowhere; 0 for 8
	Pause     time.Duration // before the second try, doubling; 0 for half a second
	Stall     time.Duration // without a byte before a connection is given up; 0 for a minute
}

func (o *PullOptions) parallel() int        { return usual(o.Parallel, 4) }
func (o *PullOptions) tries() int           { return usual(o.Tries, 8) }
func (o *PullOptions) pause() time.Duration { return usual(o.Pause, time.Second/2) }
func (o *PullOptions) stall() time.Duration { return usual(o.Stall, time.Minute) }

func usual[T int | time.Duration](v, zero T) T {
	if v <= 0 {
		return zero
	}
	return v
}

func (o *PullOptions) warn(text string) {
	if o.Warn != nil {
		o.Warn(text)
	}
}

// Pulled is the result of [Library.Pull].
type Pulled struct {
	*Entry
	Fetched int64  // bytes that came over the network
	Newer   string // commit that the revision has by now; "" where the model is of the newest
}

// margin stays free on a disk: a full one breaks more than a download.
const margin = 64 << 20

// Pull downloads a model, "owner/repo[@revision][:file.gguf]", from a hub in
// the manner of Hugging Face: the files that Kestrel reads, of one commit, each
// checked against the hash in the hub's index before it gets its name. What an
// earlier pull left is taken up at the byte where it ends. A model that is there
// is left alone, but for files that are missing, unless Update or Check ask
// for more.
//
// Repositories that Kestrel cannot run are refused before their weights are
// fetched. The errors are those of this package, weights.ErrUnsupported, and
// the context's.
func (l *Library) Pull(ctx context.Context, name string, o PullOptions) (*Pulled, error) {
	ref, err := ParseRef(name)
	if err != nil {
		return nil, named("pull", "", err)
	}
	m := newMeter(o.Progress, time.Now)
	defer m.close()
	lock, err := l.waitLock(ctx, ref.Name(), o.Wait, m)
	if err != nil {
		return nil, named("pull", ref.Name(), err)
	}
	defer lock.release()
	l.sweep()
	p := &pull{l: l, ref: ref, o: &o, meter: m, folder: l.folder(ref.Name())}
	done, err := p.run(ctx)
	if err != nil {
		return nil, named("pull", ref.Name(), err)
	}
	return done, nil
}

// waitLock is lock, again and again where wait says so.
func (l *Library) waitLock(ctx context.Context, name string, wait bool, m *meter) (*lock, error) {
	for first := true; ; first = false {
		lock, err := l.lock(name)
		if !wait || !errors.Is(err, ErrBusy) {
			return lock, err
		}
		if first {
			m.stage(Waiting, 0)
			m.waits(Wait{Err: err})
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// pull is one run of Pull, under the model's lock.
type pull struct {
	l      *Library
	ref    Ref
	o      *PullOptions
	meter  *meter
	folder string

	hub  *hub
	root *os.Root  // the model's folder
	old  *Manifest // what is there; nil for nothing
	plan *plan
	m    *Manifest // what is to be there
}

func (p *pull) run(ctx context.Context) (*Pulled, error) {
	var err error
	if p.old, err = p.l.manifestOf(p.ref.Name()); err != nil {
		return nil, err
	}
	if p.old != nil && p.old.Source.Kind != Hub {
		return nil, &Error{Kind: ErrExists, Problem: "a model of this name was imported", Way: "remove that one first"}
	}
	if p.hub, err = newHub(p.l.getenv, p.o, p.meter.waits); err != nil {
		return nil, err
	}
	defer p.hub.client.CloseIdleConnections()
	p.meter.stage(Listing, 0)
	list, err := p.hub.list(ctx, p.ref)
	if err != nil {
		return nil, p.hub.explain(ctx, err, p.ref.Repo)
	}
	newer := ""
	if p.old != nil && p.old.State == Complete && p.old.Source.Commit != list.commit && !p.o.Update {
		// What is missing comes from the commit that is there.
		newer = list.commit
		e, err := p.l.entry(p.folder)
		if err != nil {
			return nil, err
		}
		if e.Ready() && !p.o.Check {
			return &Pulled{Entry: e, Newer: newer}, nil
		}
		if list, err = p.hub.list(ctx, Ref{Repo: p.ref.Repo, Revision: p.old.Source.Commit}); err != nil {
			return nil, p.hub.explain(ctx, err, p.ref.Repo)
		}
	}
	if p.plan, err = choose(list, p.ref); err != nil {
		return nil, err
	}
	if err := p.prepare(ctx, list.commit); err != nil {
		return nil, p.hub.explain(ctx, err, p.ref.Repo)
	}
	defer p.root.Close()
	if err := p.fetch(ctx); err != nil {
		p.abandon(err)
		return nil, p.hub.explain(ctx, err, p.ref.Repo)
	}
	fetched := p.meter.fetched()
	e, err := p.finish()
	if err != nil {
		return nil, err
	}
	return &Pulled{Entry: e, Fetched: fetched, Newer: newer}, nil
}

// prepare makes the model's folder and the manifest that goes into it.
func (p *pull) prepare(ctx context.Context, commit string) error {
	for i := range p.plan.files {
		if err := p.hub.fill(ctx, p.ref.Repo, commit, &p.plan.files[i]); err != nil {
			return err
		}
	}
	p.m = &Manifest{
		Name: p.ref.Name(), Format: p.plan.format, State: Partial, Open: p.plan.open,
		Root: path.Join(commit[:12], path.Base(p.ref.Repo)),
		Source: Source{Kind: Hub, Endpoint: p.hub.base.String(), Repo: p.ref.Repo, Revision: p.ref.revision(), Commit: commit,
			File: p.ref.File},
	}
	if p.plan.format == GGUF {
		p.m.Source.File = p.plan.open
	}
	if checkPath(p.m.Root) != nil { // a repository called "con"
		p.m.Root = path.Join(commit[:12], "model")
	}
	for _, f := range p.plan.files {
		p.m.Files = append(p.m.Files, File{Name: f.Path, Size: f.Size, SHA256: f.SHA256, Blob: f.Blob})
	}
	if err := os.MkdirAll(p.folder, 0o755); err != nil {
		return diskError(err)
	}
	var err error
	if p.root, err = os.OpenRoot(p.folder); err != nil {
		return diskError(err)
	}
	for _, dir := range []string{partsFolder, p.m.Root} {
		if err := p.root.MkdirAll(dir, 0o755); err != nil {
			return diskError(err)
		}
	}
	if p.old == nil || p.old.State == Partial {
		return p.m.write(p.folder)
	}
	return nil
}

// abandon removes the folder of a model that can never be whole, or of which
// nothing came.
func (p *pull) abandon(err error) {
	if p.old != nil && p.old.State == Complete {
		return
	}
	e, entryErr := p.l.entry(p.folder)
	empty := entryErr == nil && e.Have == 0 && p.old == nil
	if !empty && !refused(err) {
		return
	}
	p.root.Close()
	_ = os.RemoveAll(p.folder) // what stays is listed as there in part
}

// refused reports whether an error is one of the model, not of the transfer.
func refused(err error) bool {
	for _, kind := range []error{weights.ErrUnsupported, weights.ErrBadModel, weights.ErrMissingTensor, ErrUnsafe} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// finish writes the manifest that makes the model whole, and removes what is
// of no more use: the parts, and other revisions.
func (p *pull) finish() (*Entry, error) {
	p.m.State = Complete
	if err := p.m.write(p.folder); err != nil {
		return nil, err
	}
	p.tidy()
	e, err := p.l.entry(p.folder)
	if err != nil {
		return nil, err
	}
	ck, err := checkpoint.Open(e.Path)
	if err != nil {
		return nil, &Error{Problem: "it is here, every byte as the hub has it, but cannot be used", Cause: err, Way: "'kestrel model remove " + e.Name + "' deletes it"}
	}
	return e, ck.Close()
}

func (p *pull) tidy() {
	dir, err := p.root.Open(".")
	if err != nil {
		return
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	keep := []string{manifestName, rootOf(p.m.Root)}
	for _, name := range names {
		if !slices.Contains(keep, name) {
			_ = p.root.RemoveAll(name) // the next pull tries again; a file in use cannot go on Windows
		}
	}
}

// rootOf is the first element of a path.
func rootOf(p string) string {
	for path.Dir(p) != "." {
		p = path.Dir(p)
	}
	return p
}
