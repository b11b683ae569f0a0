package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kestrel/app/backend"
	"kestrel/engine"
	"kestrel/engine/sample"
	"kestrel/engine/vulkan"
)

// copyBytes is how much the bandwidth is measured over: more than any cache.
const copyBytes = 256 << 20

func (a *app) benchCommand() *cobra.Command {
	var mf modelFlags
	var prefill, decode string
	var runs int
	var asJSON bool
	var plot benchPlot
	var shape string
	var tune, cold bool
	var batch string
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure speed on this device",
		Long: `Measure how fast the model reads (prefill) and writes (decode), after a warm-up,
as the median of several runs, beside the device's own copy bandwidth measured in
the same run.

  tps                   tokens a second
  gbps                  bytes of weights and state moved a second, at the least
                        that the work needs; prefill moves the weights once a chunk
  copy_gbps             the device copying its own memory, bytes read plus written
  fma_tflops            the device's f32 multiply-adds from registers, 10^12
                        operations a second; matrix_tflops the same of its matrix
                        units (binary16, f32 sums): null where it has none
  matrix_units          whether they read the prompts
  tflops                of prefill: what the matrices need, over the time
  share_of_limit        of decode gbps / copy_gbps; of prefill tflops over that of
                        the units that read it
  texts                 of batch: written side by side, for one reading of the
                        weights a step; tps is that of all texts together
  dispatches_per_token  compute dispatches
  barriers_per_token    waits of a dispatch for those before it
  joules_per_token      the device's power meanwhile, times the time; null where
                        the system does not tell it
  host_ms_per_token     time not spent in kernels, from a run of its own with
                        timestamps
  peak_device_bytes     the most device memory held at once
  load_seconds          opening the model, pipelines included; load_gbps is the
                        weights in device memory over that time
  weights_seconds       of these the loading of weights; weights_gbps is their bytes
                        in the files over that time, disk_gbps what the disk gives
                        of the same files (--cold), else null
  first_token_ms        from the shortest prompt of --prefill to the first token
  state_save_ms         taking the state from the device and writing it to a file,
                        on the disk for good; state_restore_ms the way back

--tune measures instead how the products of decoding are cut fastest on the device,
in under a minute, and keeps it for every later use of that device.`,
		Example: `  kestrel bench
  kestrel bench --prefill 128,1024 --decode 64 --json
  kestrel bench --model ~/models/falcon-mamba-7b --device 0
  kestrel bench --plot charts --plot-tokens 130000
  kestrel bench --prefill "" --batch 1,2,4,8                  # several texts at once
  kestrel bench --tune
  kestrel bench --model ~/models/falcon-mamba-7b --cold      # how fast weights come from the disk
  kestrel bench --shape falcon-mamba-7b --quant q8_0        # random weights, no download`,
		Args: none,
		RunE: a.command(func(ctx context.Context, _ []string) error {
			if tune {
				return a.tune(ctx, mf)
			}
			var b bench
			var err error
			if shape != "" {
				mf.model = "random:" + shape
				if mf.quant != "" { // made so at once, not quantized from floats
					mf.model += ":" + mf.quant
				}
				mf.quant = ""
			}
			if b.prefill, err = parseCounts("prefill", prefill); err != nil {
				return err
			}
			if b.decode, err = parseCounts("decode", decode); err != nil {
				return err
			}
			if b.batch, err = parseCounts("batch", batch); err != nil {
				return err
			}
			if len(b.prefill)+len(b.decode)+len(b.batch) == 0 {
				return usagef("nothing to measure: --prefill, --decode and --batch are all empty")
			}
			if runs < 1 {
				return usagef("--runs %d: want 1 or more", runs)
			}
			if plot.dir != "" {
				if plot.tokens < 1 || plot.memory <= 0 {
					return usagef("--plot-tokens %d, --plot-memory %g: want more than 0", plot.tokens, plot.memory)
				}
				if err := plot.makeFolder(); err != nil {
					return err
				}
			}
			b.app, b.runs, b.parallel = a, runs, mf.prefill == "parallel"
			profile := mf.profile
			mf.profile = false // timestamps would slow the measured runs
			var files disk
			if cold {
				if files, err = diskOf(mf.name(a)); err == nil {
					err = files.forget()
				}
				if err != nil {
					return err
				}
			}
			var loading stopwatch
			mf.watch = loading.progress
			start := time.Now()
			if err := mf.with(ctx, a, func(m backend.Model, s backend.Session) error {
				b.loaded(m, time.Since(start))
				b.out.WeightsSeconds, b.out.WeightsGBps = loading.result()
				mf.watch = nil
				if err := b.measure(ctx, m, s); err != nil || plot.dir == "" {
					return err
				}
				return plot.written(ctx, a, m, s)
			}); err != nil {
				return err
			}
			if plot.dir != "" {
				if err := plot.prompts(a.Engine, mf.device); err != nil {
					return err
				}
			}
			if cold {
				speed, err := files.speed(ctx)
				if err != nil {
					return err
				}
				b.out.DiskGBps = &speed
			}
			mf.profile = profile
			if err := b.host(ctx, mf); err != nil {
				return err
			}
			if b.out.Quant, err = mf.precision(a); err != nil {
				return err
			}
			if asJSON {
				return a.printJSON(b.out)
			}
			return b.print()
		}),
	}
	mf.addDevice(cmd)
	cmd.Flags().StringVar(&mf.prefill, "prefill-mode", "chunked", "chunked, in constant memory, or parallel, all at once")
	cmd.Flags().StringVar(&prefill, "prefill", "128,1024", "numbers of tokens to read, between commas; \"\" for none")
	cmd.Flags().StringVar(&decode, "decode", "64", "numbers of tokens to write, between commas; \"\" for none")
	cmd.Flags().StringVar(&batch, "batch", "", "numbers of texts to write side by side, between commas, 32 tokens each")
	cmd.Flags().StringVar(&shape, "shape", "", "instead of a model, random weights of falcon-mamba-7b, mamba-2.8b, …-1.4b, -790m, -370m, -130m or HIDDENxLAYERSxINNERxRANK")
	cmd.Flags().StringVar(&plot.dir, "plot", "", "folder for charts: memory against the prompt's length, speed and memory against what was written")
	cmd.Flags().IntVar(&plot.tokens, "plot-tokens", 2048, "tokens to write for --plot")
	cmd.Flags().Float64Var(&plot.memory, "plot-memory", 24, "GiB of device memory to mark in the chart of prompts")
	cmd.Flags().BoolVar(&tune, "tune", false, "measure how the device decodes fastest, and keep it")
	cmd.Flags().BoolVar(&cold, "cold", false, "load the model from the disk, not from what the system keeps of it in memory, and measure the disk beside it")
	cmd.Flags().IntVar(&runs, "runs", 3, "runs of each measurement, of which the median counts")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// bench is one measurement.
type bench struct {
	*app
	prefill, decode []int
	batch           []int
	runs            int
	parallel        bool
	power           func() (float64, bool) // nil where nothing reads it
	out             benchJSON
}

func (b *bench) measure(ctx context.Context, m backend.Model, s backend.Session) error {
	if b.Power != nil {
		b.power = b.Power(m.Device())
	}
	b.out.Device, b.out.Driver, b.out.Model = m.Device().Name, driver(m.Device()), m.Name()
	for _, n := range b.prefill {
		r := benchResult{Kind: "prefill", Tokens: n, Texts: 1}
		seconds, watts, err := b.median(ctx, s, 0, func() error { return s.Feed(ctx, somePrompt(m, n), nil) })
		if err != nil {
			return fmt.Errorf("prefill of %d tokens: %w", n, err)
		}
		chunks := 1
		if !b.parallel {
			chunks = (n + m.Chunk() - 1) / m.Chunk()
		}
		r.TPS = float64(n) / seconds
		r.GBps = float64(m.DecodeBytes()) * float64(chunks) / seconds / 1e9
		tflops := m.PrefillFLOP(n, chunks) / seconds / 1e12
		r.TFLOPS = &tflops
		// the last chunk's dispatches stand for every chunk's
		r.DispatchesPerToken = ratio(s.Stats().Dispatches*chunks, n)
		r.BarriersPerToken = ratio(s.Stats().Barriers*chunks, n)
		r.JoulesPerToken = joules(watts, r.TPS)
		b.out.Results = append(b.out.Results, r)
	}
	for _, n := range b.decode {
		r := benchResult{Kind: "decode", Tokens: n, Texts: 1}
		seconds, watts, err := b.median(ctx, s, 16, func() error { return write(ctx, s, n) })
		if err != nil {
			return fmt.Errorf("decode of %d tokens: %w", n, err)
		}
		r.TPS = float64(n) / seconds
		r.GBps = float64(m.DecodeBytes()) * r.TPS / 1e9
		r.DispatchesPerToken = ratio(s.Stats().Dispatches, 1)
		r.BarriersPerToken = ratio(s.Stats().Barriers, 1)
		r.JoulesPerToken = joules(watts, r.TPS)
		b.out.Results = append(b.out.Results, r)
	}
	if err := b.together(ctx, m, s); err != nil {
		return err
	}
	if err := b.latencies(ctx, m, s); err != nil {
		return err
	}
	b.out.PeakDeviceBytes = m.Memory().Peak
	// last, as it takes memory of its own
	var err error
	if b.out.CopyGBps, err = copyBandwidth(ctx, m); err != nil {
		return err
	}
	peak, err := m.MeasurePeak(ctx)
	if err != nil {
		return err
	}
	b.out.FMATFLOPS, b.out.MatrixUnits = peak.FMA/1e12, m.OnMatrixUnits()
	if peak.Matrix > 0 {
		matrix := peak.Matrix / 1e12
		b.out.MatrixTFLOPS = &matrix
	}
	for i := range b.out.Results {
		r := &b.out.Results[i]
		switch {
		case r.TFLOPS == nil:
			r.ShareOfLimit = r.GBps / b.out.CopyGBps
		case b.out.MatrixUnits:
			r.ShareOfLimit = *r.TFLOPS / *b.out.MatrixTFLOPS
		default:
			r.ShareOfLimit = *r.TFLOPS / b.out.FMATFLOPS
		}
	}
	return nil
}

func ratio(a, b int) *float64 {
	r := float64(a) / float64(b)
	return &r
}

// host measures the time not spent in kernels, in a run with timestamps. With
// --profile it prints their table, too.
func (b *bench) host(ctx context.Context, mf modelFlags) error {
	timed := mf
	timed.profile = true
	o, err := timed.options(b.app)
	if err != nil {
		return err
	}
	m, err := b.Engine.Open(ctx, mf.name(b.app), o)
	if err != nil {
		return err
	}
	defer m.Close()
	s, err := m.NewSession()
	if err != nil {
		return err
	}
	defer s.Close()
	for i, r := range b.out.Results {
		if r.Kind == "batch" {
			continue
		}
		n := min(r.Tokens, 32)
		var f func() error
		if r.Kind == "decode" {
			if err := s.Feed(ctx, make([]int, 16), nil); err != nil {
				return err
			}
			f = func() error { return write(ctx, s, n) }
		} else {
			n = r.Tokens
			f = func() error { return s.Feed(ctx, somePrompt(m, n), nil) }
		}
		if err := f(); err != nil { // to warm up
			return err
		}
		before, start := kernelTime(s), time.Now()
		if err := f(); err != nil {
			return err
		}
		wall, kernels := time.Since(start), kernelTime(s)-before
		if kernels > 0 {
			host := max(0, ms(wall-kernels)) / float64(n)
			b.out.Results[i].HostMSPerToken = &host
		}
		if err := s.Reset(); err != nil {
			return err
		}
	}
	if mf.profile {
		b.printProfile(s.Profile())
	}
	return nil
}

func kernelTime(s backend.Session) (sum time.Duration) {
	for _, t := range s.Profile() {
		sum += t.Total
	}
	return sum
}

// sortedTimes puts the kernel that took longest first.
func sortedTimes(times []vulkan.KernelTime) []vulkan.KernelTime {
	times = slices.Clone(times)
	slices.SortStableFunc(times, func(x, y vulkan.KernelTime) int { return int(min(max(y.Total-x.Total, -1), 1)) })
	return times
}

// copyBandwidth measures over less memory where there is not enough.
func copyBandwidth(ctx context.Context, m backend.Model) (float64, error) {
	for size := int64(copyBytes); ; size /= 4 {
		gbps, err := m.CopyBandwidth(ctx, size)
		if err == nil || !errors.Is(err, engine.ErrOutOfDeviceMemory) || size < 1<<20 {
			return gbps, err
		}
	}
}

// somePrompt is n ids all over the vocabulary.
func somePrompt(m backend.Model, n int) []int {
	ids := make([]int, n)
	for i := range ids {
		ids[i] = i * 7919 % m.Config().Vocab
	}
	return ids
}

// write takes the likeliest token n times.
func write(ctx context.Context, s backend.Session, n int) error {
	sampler, err := sample.New(sample.Params{})
	if err != nil {
		return err
	}
	r, err := s.Generate(ctx, sampler, engine.GenerateOptions{Max: n, IgnoreEOS: true}, nil)
	if err == nil && r.Tokens != n {
		err = fmt.Errorf("%d of %d tokens were written: ended by %s", r.Tokens, n, r.Reason)
	}
	return err
}

// precision is that of most of the weights.
func (f *modelFlags) precision(a *app) (string, error) {
	if f.quant != "" {
		return strings.ToLower(f.quant), nil
	}
	ck, err := backend.OpenCheckpoint(f.name(a))
	if err != nil {
		return "", err
	}
	defer ck.Close()
	first, _, _ := strings.Cut(backend.DescribeCheckpoint(ck).Precision, "+")
	return first, nil
}
