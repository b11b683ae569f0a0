package cli

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"kestrel/app/backend"
	"kestrel/engine"
	"kestrel/engine/checkpoint"
	"kestrel/engine/sample"
)

// modelFlags choose a model and how it runs.
type modelFlags struct {
	model, device string
	prefill       string
	chunk         int
	units         string
	quant         string
	profile       bool
	validation    bool
	watch         func(engine.Progress) // of loading, beside the bar; nil: nobody
}

func (f *modelFlags) nameFlag(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.model, "model", "m", "", `name in the library, folder in Hugging Face layout, .gguf file, or "demo" for the built-in model (default $KESTREL_MODEL, else "demo")`)
}

// argument lets a command take its model as an argument too.
func (f *modelFlags) argument(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usagef("want one %s, got %d", what, len(args))
		}
		if len(args) == 1 && f.model != "" {
			return usagef("a model is given twice, as %q and by --model", args[0])
		}
		return nil
	}
}

// take takes that argument.
func (f *modelFlags) take(args []string) {
	if len(args) == 1 {
		f.model = args[0]
	}
}

func (f *modelFlags) add(cmd *cobra.Command) {
	f.addDevice(cmd)
	cmd.Flags().StringVar(&f.prefill, "prefill", "chunked", "how a prompt is read: chunked, in constant memory, or parallel, all at once")
}

// addDevice adds all but the choice of prefill, which bench names otherwise.
func (f *modelFlags) addDevice(cmd *cobra.Command) {
	f.nameFlag(cmd)
	f.addQuant(cmd)
	f.addPlace(cmd)
	cmd.Flags().BoolVar(&f.profile, "profile", false, "time every kernel and print a table to standard error")
	cmd.Flags().BoolVar(&f.validation, "validation", false, "turn on the Vulkan validation layer, where it is installed")
}

// addPlace says where a model runs, and how much it takes at once.
func (f *modelFlags) addPlace(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.device, "device", "d", "", "index or part of the name of a device, as 'kestrel devices' lists them (default the best usable one)")
	cmd.Flags().StringVar(&f.units, "matrix-units", "auto", "read prompts on the GPU's matrix units: auto, on or off")
	cmd.Flags().IntVar(&f.chunk, "chunk", 0, "tokens of a chunk (default chosen for the device)")
}

// addQuant lets a command ask for another precision than the files'.
func (f *modelFlags) addQuant(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.quant, "quant", "", "quantize the weights while loading them: f16, q8_0, q6_k, q5_k, q4_k, q4_0 or another type of GGML (default as the files have them)")
}

// name is the model asked for.
func (f *modelFlags) name(a *app) string {
	switch {
	case f.model != "":
		return f.model
	case a.Getenv("KESTREL_MODEL") != "":
		return a.Getenv("KESTREL_MODEL")
	}
	return backend.Builtin
}

func (f *modelFlags) options(a *app) (engine.Options, error) {
	o := engine.Options{Device: f.device, Chunk: f.chunk, MatrixUnits: f.units, Quant: f.quant, Profile: f.profile, Validation: f.validation}
	switch f.prefill {
	case "", "chunked":
	case "parallel":
		o.Prefill = engine.Parallel
		if f.chunk != 0 {
			return o, usagef("--chunk is for --prefill chunked")
		}
	default:
		return o, usagef("--prefill %q: want parallel or chunked", f.prefill)
	}
	if f.quant != "" {
		if _, err := checkpoint.ParsePrecision(f.quant); err != nil {
			return o, usagef("--quant: %w", err)
		}
	}
	switch f.units {
	case "auto", "on", "off":
	default:
		return o, usagef("--matrix-units %q: want auto, on or off", f.units)
	}
	if f.chunk < 0 {
		return o, usagef("--chunk %d: want 1 or more", f.chunk)
	}
	o.Warn = func(text string) { a.note("warning: %s", text) }
	return o, nil
}

// with opens the model and hands f a session of it.
func (f *modelFlags) with(ctx context.Context, a *app, use func(backend.Model, backend.Session) error) (err error) {
	o, err := f.options(a)
	if err != nil {
		return err
	}
	bar := a.progress("loading", "B")
	o.Progress = func(p engine.Progress) {
		bar.set(p.Done, p.Total)
		if f.watch != nil {
			f.watch(p)
		}
	}
	model, err := a.Engine.Open(ctx, f.name(a), o)
	bar.done()
	if err != nil {
		return err
	}
	defer func() {
		if closed := model.Close(); err == nil {
			err = closed
		}
	}()
	d := model.Device()
	a.detail("%s on %s (%s, %s %s)", model.Name(), d.Name, d.Type, d.Driver, d.DriverVersion)
	session, err := model.NewSession()
	if err != nil {
		return err
	}
	defer func() {
		if f.profile {
			a.printProfile(session.Profile())
		}
		if closed := session.Close(); err == nil {
			err = closed
		}
	}()
	return use(model, session)
}

// samplingFlags say how tokens are chosen.
type samplingFlags struct {
	params  sample.Params
	command *cobra.Command
	circles bool // a text that goes in circles ends
}

func (f *samplingFlags) add(cmd *cobra.Command, temperature, topP, repeatPenalty float32) {
	f.command = cmd
	cmd.Flags().Float32Var(&f.params.Temperature, "temperature", temperature, "0 takes the likeliest token; more is more varied")
	cmd.Flags().IntVar(&f.params.TopK, "top-k", 0, "choose among the K likeliest tokens; 0 is off")
	cmd.Flags().Float32Var(&f.params.TopP, "top-p", topP, "choose among the likeliest tokens that make up this probability; 0 is off")
	cmd.Flags().Float32Var(&f.params.MinP, "min-p", 0, "choose among tokens at least this likely beside the likeliest; 0 is off")
	cmd.Flags().Float32Var(&f.params.RepeatPenalty, "repeat-penalty", repeatPenalty, "above 1 discourages tokens that came up lately; 0 is off")
	cmd.Flags().IntVar(&f.params.RepeatWindow, "repeat-window", 0, fmt.Sprintf("how many tokens the repeat penalty looks back (default %d)", sample.DefaultWindow))
	cmd.Flags().Uint64Var(&f.params.Seed, "seed", 0, "the same seed gives the same text (default random)")
}

// addCircles adds whether a text that goes in circles ends.
func (f *samplingFlags) addCircles(cmd *cobra.Command, on bool, what string) {
	cmd.Flags().BoolVar(&f.circles, "end-circles", on, what)
}

// sampler returns a sampler and the parameters it has, its seed chosen.
func (f *samplingFlags) sampler() (*sample.Sampler, error) {
	if !f.command.Flags().Changed("seed") {
		f.params.Seed = rand.Uint64() >> 11 // a number that JSON keeps
	}
	s, err := sample.New(f.params)
	if err != nil {
		return nil, usageError{err}
	}
	return s, nil
}

// parseIDs reads token ids between commas or white space.
func parseIDs(text string) ([]int, error) {
	fields := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' || r == '\r' })
	ids := make([]int, 0, len(fields))
	for i, field := range fields {
		id, err := strconv.ParseInt(field, 10, 32)
		if err != nil || id < 0 {
			if len(field) > 40 {
				field = field[:40] + "…"
			}
			return nil, fmt.Errorf("token id %d of %d is %q: want a whole number from 0", i+1, len(fields), field)
		}
		ids = append(ids, int(id))
	}
	return ids, nil
}

// parseCounts reads numbers of tokens between commas.
func parseCounts(flag, text string) ([]int, error) {
	if text == "" {
		return nil, nil
	}
	var out []int
	for field := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(field))
		if err != nil || n < 1 {
			return nil, usagef("--%s %q: want numbers of tokens such as 128,1024", flag, text)
		}
		out = append(out, n)
	}
	return out, nil
}
