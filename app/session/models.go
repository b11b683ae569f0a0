package session

import (
	"context"
	"errors"
	"time"

	"kestrel/app/backend"
	"kestrel/app/library"
	"kestrel/app/store"
	"kestrel/engine"
	"kestrel/engine/vulkan"
)

// Choices lists the models there are.
func (a *Actor) Choices(ctx context.Context) ([]Choice, error) {
	now := a.Snapshot().Model
	selected := ""
	if now.State == Loaded {
		selected = now.Request.Model
	}
	list := []Choice{{
		Name: backend.Builtin, Source: Builtin, Ready: true, Chat: true, Selected: selected == backend.Builtin,
		Note: "tiny, built in: it shows how things work and knows little",
	}}
	if d, err := a.o.Engine.Describe(backend.Builtin); err == nil {
		list[0].Bytes, list[0].Have = d.WeightBytes, d.WeightBytes
	}
	here := map[string]bool{}
	if a.o.Library != nil {
		entries, err := a.o.Library.List()
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			here[e.Name] = true
			c := Choice{Name: e.Name, Source: Library, Ready: e.Ready(), Bytes: e.Size(), Have: e.Have, Entry: e, Selected: selected == e.Name}
			c.Problem = ProblemOf(e.Err)
			list = append(list, c)
		}
	}
	for _, k := range library.KnownModels() {
		if name := k.Ref.Name(); !here[name] {
			list = append(list, Choice{Name: name, Source: Published, Bytes: k.Bytes, Note: k.Note, Chat: k.Chat, Known: &k})
		}
	}
	return list, ctx.Err()
}

// Devices lists every Vulkan device.
func (a *Actor) Devices(ctx context.Context) ([]vulkan.DeviceInfo, error) {
	list, err := a.o.Engine.Devices(false)
	if err != nil {
		return nil, err
	}
	return list, ctx.Err()
}

// Estimate is what loading would take.
func (a *Actor) Estimate(ctx context.Context, r LoadRequest) (Estimate, error) {
	m, err := a.o.Engine.Estimate(r.Model, engine.Options{Device: r.Device, Quant: r.Quant})
	if err != nil {
		return Estimate{}, err
	}
	return Estimate{
		Weights: m.Weights, State: m.State, Scratch: m.Scratch, Staging: m.Staging, Total: m.Total, OnDevice: m.Device, Reader: m.State,
		Budget: m.Budget, Fits: m.Fits, Device: m.DeviceName, Smaller: m.Smaller,
	}, ctx.Err()
}

// Load loads a model.
func (a *Actor) Load(r LoadRequest) { a.do(func() { a.load(r) }) }

func (a *Actor) load(r LoadRequest) {
	a.endLoad()
	a.interrupt()
	t := &task{kind: loadTask}
	a.loading = t
	a.model = &Model{State: Loading, Request: r, Name: backend.ShortName(r.Model), Progress: Progress{ETA: -1}}
	t.begin = func(ctx context.Context) (func() func(), error) {
		start := time.Now()
		return func() func() {
			m, hash, err := a.worker.load(ctx, r,
				func(p engine.Progress) { a.do(func() { a.loadProgress(t, p, time.Since(start)) }) },
				func(text string) { a.do(func() { a.loadWarning(t, text) }) })
			return func() { a.loaded(t, m, hash, err) }
		}, nil
	}
	t.drop = func(error) {}
	a.enqueue(t)
}

// interrupt ends what the present model is doing: answers stop, documents
// pause.
func (a *Actor) interrupt() {
	a.stopTasks(errStopped, func(t *task) bool { return t.kind == answerTask || t.kind == measureTask })
	a.stopTasks(errPaused, func(t *task) bool { return t.kind == documentTask })
}

// endLoad ends a load under way.
func (a *Actor) endLoad() {
	if t := a.loading; t != nil {
		a.loading = nil
		a.stopTasks(errStopped, func(other *task) bool { return other == t })
	}
}

func (a *Actor) loadProgress(t *task, p engine.Progress, took time.Duration) {
	if a.loading != t {
		return
	}
	m := *a.model
	m.Progress = Progress{Done: p.Done, Total: p.Total, ETA: -1}
	if seconds := took.Seconds(); p.Done > 0 && seconds > 0 {
		m.Progress.Rate = float64(p.Done) / seconds
		m.Progress.ETA = time.Duration(float64(p.Total-p.Done) / m.Progress.Rate * float64(time.Second))
	}
	a.model = &m
}

func (a *Actor) loadWarning(t *task, text string) {
	m := *a.model
	m.Warnings = append(append([]string{}, m.Warnings...), text)
	a.model = &m
}

func (a *Actor) loaded(t *task, m *Model, hash string, err error) {
	if a.loading != t { // another request has taken its place
		return
	}
	a.loading = nil
	warnings := a.model.Warnings
	if err != nil {
		request := a.model.Request
		a.model = &Model{State: Broken, Request: request, Problem: ProblemOf(err), Warnings: warnings}
		if errors.Is(err, context.Canceled) {
			a.model = &Model{State: NoModel}
		}
		return
	}
	m.Warnings = warnings
	a.model = m
	a.speedKey = "speed/" + hash + "/" + m.Device.Name
	a.speed, err = store.Setting(a.ctx, a.o.Store, a.speedKey, 0.0)
	a.stored(err)
	a.estimates()
}

// CancelLoad ends a load.
func (a *Actor) CancelLoad() {
	a.do(func() {
		if a.loading != nil {
			a.endLoad()
			a.model = &Model{State: NoModel}
			a.enqueueRelease()
		}
	})
}

// Unload gives the device back.
func (a *Actor) Unload() {
	a.do(func() {
		a.endLoad()
		a.interrupt()
		a.model = &Model{State: NoModel}
		a.enqueueRelease()
	})
}

func (a *Actor) enqueueRelease() {
	a.enqueue(&task{
		kind: loadTask,
		begin: func(context.Context) (func() func(), error) {
			return func() func() { a.worker.release(); return func() {} }, nil
		},
		drop: func(error) {},
	})
}

// transfer is a pull or an import.
type transfer struct {
	view   *Transfer
	cancel context.CancelFunc
}

// Pull downloads a model.
func (a *Actor) Pull(name string) {
	a.transfer(name, func(ctx context.Context, l *library.Library, progress func(library.Progress), warn func(string)) error {
		_, err := l.Pull(ctx, name, library.PullOptions{Progress: progress, Warn: warn})
		return err
	})
}

// Import adds a model that is on this machine.
func (a *Actor) Import(path string) {
	a.transfer(path, func(ctx context.Context, l *library.Library, progress func(library.Progress), _ func(string)) error {
		_, err := l.Import(ctx, path, library.ImportOptions{Progress: progress})
		return err
	})
}

func (a *Actor) transfer(name string, do func(context.Context, *library.Library, func(library.Progress), func(string)) error) {
	a.do(func() {
		if a.o.Library == nil {
			a.notice(Problem{Kind: KindHome, Text: "this machine has no place for user data, so there is no library of models: set KESTREL_HOME"})
			return
		}
		if a.closing || a.findTransfer(name, func(t *transfer) bool { return !t.view.Done && t.view.Problem == nil }) != nil {
			return // it is under way
		}
		a.dropTransfer(name)
		ctx, cancel := context.WithCancel(a.ctx)
		t := &transfer{&Transfer{Name: name, Progress: library.Progress{ETA: -1}}, cancel}
		a.transfers = append(a.transfers, t)
		change := func(f func(v *Transfer)) {
			a.do(func() { v := *t.view; f(&v); t.view = &v })
		}
		a.group.Go(func() {
			defer cancel()
			err := do(ctx, a.o.Library,
				func(p library.Progress) { change(func(v *Transfer) { v.Progress = p }) },
				func(text string) { a.do(func() { a.notice(Problem{Kind: KindNetwork, Text: name + ": " + text}) }) })
			switch {
			case err == nil:
				change(func(v *Transfer) { v.Done = true })
			case ctx.Err() != nil:
				a.do(func() { a.dropTransfer(name) })
			default:
				change(func(v *Transfer) { v.Problem = ProblemOf(err) })
			}
		})
	})
}

func (a *Actor) findTransfer(name string, match func(*transfer) bool) *transfer {
	for _, t := range a.transfers {
		if t.view.Name == name && match(t) {
			return t
		}
	}
	return nil
}

func (a *Actor) dropTransfer(name string) {
	var left []*transfer
	for _, t := range a.transfers {
		if t.view.Name != name {
			left = append(left, t)
		}
	}
	a.transfers = left
}

// CancelTransfer ends a transfer, or takes one that has ended away.
func (a *Actor) CancelTransfer(name string) {
	a.do(func() {
		if t := a.findTransfer(name, func(*transfer) bool { return true }); t != nil {
			t.cancel()
			if t.view.Done || t.view.Problem != nil {
				a.dropTransfer(name)
			}
		}
	})
}
