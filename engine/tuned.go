package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"kestrel/engine/kernel"
	"kestrel/engine/mamba"
	"kestrel/engine/vulkan"
	"kestrel/engine/weights"
)

// cacheDir is the folder of what can be made again; "" where there is no home.
func (o Options) cacheDir() string {
	if o.CacheDir != "" {
		return o.CacheDir
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(base, "kestrel")
}

// cut is how the model's work is cut on a device: as the device's kind suggests, and as Tune measured.
func (o Options) cut(dev *vulkan.Device) (mamba.Options, error) {
	tune, err := kernel.MatrixUnits(o.MatrixUnits).Tuning(dev.Info())
	if err != nil {
		return mamba.Options{}, err
	}
	tuned, err := readTuned(o.tunedPath(dev.Info()), dev.Info(), tune)
	if err != nil {
		if o.Warn != nil {
			o.Warn(fmt.Sprintf("%v; measure again with 'kestrel bench --tune', or delete it", err))
		}
	} else {
		tune = tuned
	}
	return mamba.Options{Chunk: o.Chunk, Tuning: &tune}, nil
}

// tunedPath is the device's file; "" where there is no folder for it.
func (o Options) tunedPath(info vulkan.DeviceInfo) string {
	dir := o.cacheDir()
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, fmt.Sprintf("tuning-%04x-%04x.json", info.VendorID, info.DeviceID))
}

// tunedFile is what Tune found for one device. Another driver may be faster in another way: then it does not count.
type tunedFile struct {
	Device string `json:"device"`
	Driver string `json:"driver"`
	kernel.Measured
}

func driverOf(info vulkan.DeviceInfo) string { return info.Driver + " " + info.DriverVersion }

// maxTuned is more than any such file takes.
const maxTuned = 1 << 20

// readTuned gives base where there is no file, or one of another device or driver.
func readTuned(path string, info vulkan.DeviceInfo, base kernel.Tuning) (kernel.Tuning, error) {
	if path == "" {
		return base, nil
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return base, nil
	} else if err != nil {
		return base, fmt.Errorf("tuning: %w", err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxTuned))
	if err != nil {
		return base, fmt.Errorf("tuning %s: %w", path, err)
	}
	t, err := parseTuned(raw, info, base)
	if err != nil {
		return base, fmt.Errorf("tuning %s: %w", path, err)
	}
	return t, nil
}

func parseTuned(raw []byte, info vulkan.DeviceInfo, base kernel.Tuning) (kernel.Tuning, error) {
	var file tunedFile
	if err := json.Unmarshal(raw, &file); err != nil {
		return base, fmt.Errorf("it is damaged: %w", err)
	}
	if file.Device != info.Name || file.Driver != driverOf(info) {
		return base, nil
	}
	t, err := base.With(file.Measured, info.Limits)
	if err != nil {
		return base, fmt.Errorf("it is damaged: %w", err)
	}
	return t, nil
}

// Tuned is what Tune did.
type Tuned struct {
	Device, Driver string
	Path           string // of the file that Open reads from now on
	kernel.Measured
}

// Tune measures how the products of decoding are cut fastest on the device of o, for matrices of the given types besides
// the common ones, and keeps it for every later Open. progress, which may be nil, is told after each trial.
func Tune(ctx context.Context, o Options, types []weights.DType, progress func(done, total int)) (Tuned, error) {
	dev, instance, err := openDevice(o)
	if err != nil {
		return Tuned{}, err
	}
	defer instance.Close()
	defer dev.Close()
	info := dev.Info()
	t := Tuned{Device: info.Name, Driver: driverOf(info), Path: o.tunedPath(info)}
	if t.Path == "" {
		return t, errors.New("tune: there is no folder for caches to keep it in: set HOME or XDG_CACHE_HOME")
	}
	t.Measured, err = kernel.Measure(ctx, dev, kernel.DefaultTuning(info), kernel.TunedTypes(types...), progress)
	if err != nil {
		return t, fmt.Errorf("tune %s: %w", info.Name, err)
	}
	if err := os.MkdirAll(filepath.Dir(t.Path), 0o755); err != nil {
		return t, fmt.Errorf("tune: %w", err)
	}
	return t, weights.WriteFile(t.Path, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(tunedFile{t.Device, t.Driver, t.Measured})
	})
}
