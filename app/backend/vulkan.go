package backend

import (
	"context"
	"fmt"
	"io"

	"kestrel/assets"
	"kestrel/engine"
	"kestrel/engine/vulkan"
)

// Vulkan is the engine itself.
type Vulkan struct{}

var _ Engine = Vulkan{}

// Devices lists the devices of this machine; see engine.Devices.
func (Vulkan) Devices(validation bool) ([]vulkan.DeviceInfo, error) {
	return engine.Devices(validation)
}

// Open opens the model of that name on a device.
func (Vulkan) Open(ctx context.Context, name string, o engine.Options) (Model, error) {
	var m *engine.Model
	var err error
	if name == Builtin {
		m, err = engine.OpenBytes(ctx, Builtin, assets.Demo, o)
	} else if shape, precision, ok := randomModel(name); ok {
		m, err = engine.OpenRandom(ctx, shape, precision, o)
	} else if path, missing := Locate(name); missing != nil {
		err = missing
	} else {
		m, err = engine.Open(ctx, path, o)
	}
	if err != nil {
		return nil, err
	}
	return vulkanModel{m, name}, nil
}

// Tune measures the device.
func (Vulkan) Tune(ctx context.Context, o engine.Options, progress func(done, total int)) (engine.Tuned, error) {
	return engine.Tune(ctx, o, nil, progress)
}

// Estimate says what opening the model of that name would take of a device.
func (Vulkan) Estimate(name string, o engine.Options) (engine.Memory, error) {
	ck, err := OpenCheckpoint(name)
	if err != nil {
		return engine.Memory{}, err
	}
	defer ck.Close()
	return engine.EstimateMemory(ck, o)
}

// LoadState reads a file that State.Save wrote.
func (Vulkan) LoadState(path string) (State, error) {
	s, err := engine.LoadState(path)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// ReadState reads what State.WriteTo wrote.
func (Vulkan) ReadState(r io.Reader) (State, error) {
	s, err := engine.ReadState(r)
	if err != nil {
		return nil, err
	}
	return s, nil
}

type vulkanModel struct {
	*engine.Model
	opened string // what --model said
}

// Name is what people call the model.
func (m vulkanModel) Name() string { return displayName(m.opened, m.Model.Name()) }

func (m vulkanModel) NewSession() (Session, error) {
	s, err := m.Model.NewSession()
	if err != nil {
		return nil, err
	}
	return vulkanSession{s}, nil
}

func (m vulkanModel) GenerateTogether(ctx context.Context, turns []Turn) ([]engine.Outcome, error) {
	list := make([]engine.Turn, len(turns))
	for i, t := range turns {
		s, ok := t.Session.(vulkanSession)
		if !ok {
			return nil, fmt.Errorf("generate together: a %T is no session of this engine", t.Session)
		}
		list[i] = engine.Turn{Session: s.Session, Sampler: t.Sampler, Options: t.Options, Emit: t.Emit}
	}
	return m.Model.GenerateTogether(ctx, list)
}

type vulkanSession struct{ *engine.Session }

func (s vulkanSession) State(ctx context.Context) (State, error) {
	state, err := s.Session.State(ctx)
	if err != nil {
		return nil, err
	}
	return state, nil
}

func (s vulkanSession) SetState(ctx context.Context, t State) error {
	state, ok := t.(*engine.State)
	if !ok {
		return fmt.Errorf("set state: a %T is no state of this engine", t)
	}
	return s.Session.SetState(ctx, state)
}
