package engine

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"kestrel/engine/checkpoint"
	"kestrel/engine/mamba"
	"kestrel/engine/vulkan"
	"kestrel/engine/weights"
)

// Memory is what a model with one session takes on a device, in bytes of blocks allocated, whatever the length of the
// text. Staging is needed while weights are loaded, and lies in host memory on cards with memory of their own.
type Memory struct {
	Weights, State, Scratch, Staging int64
	Total                            int64 // the sum of these
	Device                           int64 // the most of it that is in the heap of device memory at a time
	Budget                           int64 // what that heap has free now
	Fits                             bool
	DeviceName                       string
	Advice                           string // a way out where it does not fit
	Smaller                          []Alternative
}

// Alternative is a precision in which a model would fit that does not.
type Alternative struct {
	Quant  weights.DType
	Device int64 // bytes in the heap of device memory
}

// EstimateMemory says what opening the model with these options would allocate, without reading any weights. The
// checkpoint stays open.
func EstimateMemory(ck *checkpoint.Checkpoint, o Options) (Memory, error) {
	dev, instance, err := openDevice(o)
	if err != nil {
		return Memory{}, err
	}
	defer instance.Close()
	defer dev.Close()
	m, err := estimateOn(ck, dev, o)
	if err != nil {
		return m, fmt.Errorf("estimate the memory of %s: %w", ck.Path(), err)
	}
	return m, nil
}

// estimateOn is the memory of the model of these files on an open device.
func estimateOn(files *checkpoint.Checkpoint, dev *vulkan.Device, o Options) (Memory, error) {
	ck, err := quantized(files, o)
	if err != nil {
		return Memory{}, err
	}
	m, err := need(ck, dev, o)
	if err == nil && !m.Fits {
		m.Smaller, m.Advice = advice(files, dev, o, m)
	}
	return m, err
}

// need is the memory of a model in the precisions that it has.
func need(ck *checkpoint.Checkpoint, dev *vulkan.Device, o Options) (Memory, error) {
	cut, err := o.cut(dev)
	if err != nil {
		return Memory{}, err
	}
	run, load := mamba.Requests(ck, dev.Info(), cut), mamba.LoadRequests(dev, ck)
	plan, err := dev.PlanAllocation(slices.Concat(run, load))
	if err != nil {
		return Memory{}, err
	}
	m := Memory{Total: plan.Allocated, Budget: plan.Free, DeviceName: dev.Info().Name}
	// What loading needs is given back before the first session takes its state.
	weights := slices.DeleteFunc(slices.Clone(run), func(r vulkan.Request) bool { return r.Purpose == vulkan.State })
	for _, requests := range [][]vulkan.Request{run, append(weights, load...)} {
		part, err := dev.PlanAllocation(requests)
		if err != nil {
			return Memory{}, err
		}
		m.Device = max(m.Device, part.Device)
	}
	m.Fits = m.Device <= m.Budget
	for _, p := range plan.Purposes {
		switch p.Purpose {
		case vulkan.Weights:
			m.Weights += p.Allocated
		case vulkan.State:
			m.State += p.Allocated
		case vulkan.Scratch:
			m.Scratch += p.Allocated
		case vulkan.Staging:
			m.Staging += p.Allocated
		}
	}
	return m, nil
}

// checkMemory refuses a model that cannot fit before minutes are spent on loading it, and names what would fit.
func checkMemory(files *checkpoint.Checkpoint, dev *vulkan.Device, o Options) error {
	m, err := estimateOn(files, dev, o)
	if err != nil || m.Fits {
		return nil // a buffer that cannot be made at all: loading says which, and what to do
	}
	return &MemoryError{m}
}

// MemoryError is an ErrOutOfDeviceMemory: a model that does not fit, which was not loaded.
type MemoryError struct{ Memory }

func (e *MemoryError) Error() string {
	return fmt.Sprintf("%v: the model needs %s of device memory, %s has %s free; %s",
		ErrOutOfDeviceMemory, gib(e.Device), e.DeviceName, gib(e.Budget), e.Advice)
}

func (e *MemoryError) Unwrap() error { return ErrOutOfDeviceMemory }

// advice is the way out for a model that does not fit: the precisions in which it would.
func advice(files *checkpoint.Checkpoint, dev *vulkan.Device, o Options, m Memory) ([]Alternative, string) {
	_, err := files.As(weights.Q2_K, false)
	return suggest(m.Device, m.Budget, err == nil, func(d weights.DType) int64 {
		as, err := files.As(d, true)
		if err != nil {
			return math.MaxInt64
		}
		if m, err := need(as, dev, o); err == nil {
			return m.Device
		}
		return math.MaxInt64
	})
}

// smaller are the precisions to suggest, from the best to the smallest.
var smaller = []weights.DType{weights.F16, weights.Q8_0, weights.Q6_K, weights.Q5_K, weights.Q4_K, weights.Q3_K, weights.Q2_K}

// suggest names the best two precisions in which a model would fit that needs more than is free; needAs is the need in
// a precision. quantizes: it can be quantized while it is loaded.
func suggest(need, free int64, quantizes bool, needAs func(weights.DType) int64) ([]Alternative, string) {
	var fits []Alternative
	var list []string
	for _, d := range smaller {
		if n := needAs(d); n < need && n <= free && len(fits) < 2 {
			fits = append(fits, Alternative{d, n})
			list = append(list, fmt.Sprintf("%v (%s)", d, gib(n)))
		}
	}
	switch {
	case len(fits) == 0:
		return nil, "choose another device (kestrel devices lists them) or a smaller model"
	case quantizes:
		return fits, fmt.Sprintf("it would fit as %s: use --quant %s", strings.Join(list, " or "), strings.ToLower(fits[0].Quant.String()))
	}
	return fits, "it would fit as " + strings.Join(list, " or ") + ": take a file of that precision"
}

func gib(n int64) string {
	if n < 1<<30 {
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30))
}
