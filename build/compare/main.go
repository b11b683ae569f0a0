// Compare runs llama.cpp's llama-bench and Kestrel's bench on the same GGUF files, in turns, and prints the median
// speed of both with the median of the ratios of each round. Turns and ratios within a round are what makes figures
// of a busy machine comparable.
//
//	go run ./build/compare [flags] FILE.gguf …
//
// Both programs are given as commands, so that they can be run in a container with the same driver:
//
//	go run ./build/compare -kestrel "chroot DIR kestrel" -llama "chroot DIR env GGML_VK_VISIBLE_DEVICES=0 llama-bench" m.gguf
//
// Any program that is asked and answers as llama-bench does can stand for it: transformers_bench.py runs transformers.
//
// llama.cpp lists a software Vulkan device only where GGML_VK_VISIBLE_DEVICES names it.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

type options struct {
	kestrel, llama   string
	peer             string
	device           string
	rounds           int
	prefill, decode  int
	llamaPrefill     int
	llamaDecode      int
	gpuLayers, extra string
}

func main() {
	var o options
	flag.StringVar(&o.kestrel, "kestrel", "kestrel", "command that runs Kestrel")
	flag.StringVar(&o.llama, "llama", "llama-bench", "command that runs llama-bench")
	flag.StringVar(&o.peer, "peer", "llama.cpp", "what -llama runs, for the table")
	flag.StringVar(&o.device, "device", "", "Kestrel's device, as for kestrel --device")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds; each runs both once")
	flag.IntVar(&o.prefill, "prefill", 512, "tokens to read")
	flag.IntVar(&o.decode, "decode", 64, "tokens to write")
	flag.IntVar(&o.llamaPrefill, "llama-prefill", 0, "tokens that llama.cpp reads, where it is too slow for as many (default -prefill)")
	flag.IntVar(&o.llamaDecode, "llama-decode", 0, "tokens that llama.cpp writes (default -decode)")
	flag.StringVar(&o.gpuLayers, "ngl", "99", "layers that llama.cpp puts on the device; 0 runs its CPU backend")
	flag.StringVar(&o.extra, "llama-args", "", "more arguments for llama-bench")
	flag.Parse()
	if o.llamaPrefill == 0 {
		o.llamaPrefill = o.prefill
	}
	if o.llamaDecode == 0 {
		o.llamaDecode = o.decode
	}
	if flag.NArg() == 0 || o.rounds < 1 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := compare(ctx, o, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// speed in tokens a second.
type speed struct{ prefill, decode float64 }

func compare(ctx context.Context, o options, files []string) error {
	fmt.Printf("| model | prefill, %s | Kestrel | ratio | decode, %[1]s | Kestrel | ratio |\n", o.peer)
	fmt.Println("|---|---|---|---|---|---|---|")
	for _, file := range files {
		var theirs, ours, ratios [2][]float64
		for round := range o.rounds {
			l, err := llama(ctx, o, file)
			if err != nil {
				return err
			}
			k, err := kestrel(ctx, o, file)
			if err != nil {
				return err
			}
			fmt.Fprintf(os.Stderr, "%s, round %d of %d: %s %.1f and %.2f, Kestrel %.1f and %.2f\n",
				filepath.Base(file), round+1, o.rounds, o.peer, l.prefill, l.decode, k.prefill, k.decode)
			for i, pair := range [2][2]float64{{l.prefill, k.prefill}, {l.decode, k.decode}} {
				theirs[i] = append(theirs[i], pair[0])
				ours[i] = append(ours[i], pair[1])
				ratios[i] = append(ratios[i], pair[1]/pair[0])
			}
		}
		fmt.Printf("| %s | %.1f | %.1f | **%.1f** | %.2f | %.1f | **%.1f** |\n", filepath.Base(file),
			median(theirs[0]), median(ours[0]), median(ratios[0]), median(theirs[1]), median(ours[1]), median(ratios[1]))
	}
	return nil
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}

func run(ctx context.Context, command string, args ...string) ([]byte, error) {
	words := strings.Fields(command)
	if len(words) == 0 {
		return nil, errors.New("an empty command")
	}
	cmd := exec.CommandContext(ctx, words[0], append(words[1:], args...)...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", command, err, said.Bytes())
	}
	return out, nil
}

// llama reads llama-bench's JSON: one entry a test, with n_prompt or n_gen tokens.
func llama(ctx context.Context, o options, file string) (s speed, err error) {
	args := append([]string{"-m", file, "-ngl", o.gpuLayers, "-p", strconv.Itoa(o.llamaPrefill), "-n", strconv.Itoa(o.llamaDecode),
		"-r", "1", "-o", "json"}, strings.Fields(o.extra)...)
	out, err := run(ctx, o.llama, args...)
	if err != nil {
		return s, err
	}
	var tests []struct {
		Prompt int     `json:"n_prompt"`
		Gen    int     `json:"n_gen"`
		Speed  float64 `json:"avg_ts"`
	}
	if err := json.Unmarshal(out, &tests); err != nil {
		return s, fmt.Errorf("llama-bench's answer: %w", err)
	}
	for _, t := range tests {
		if t.Gen > 0 {
			s.decode = t.Speed
		} else {
			s.prefill = t.Speed
		}
	}
	return s, s.check("llama-bench")
}

func kestrel(ctx context.Context, o options, file string) (s speed, err error) {
	args := []string{"bench", "--model", file, "--prefill", strconv.Itoa(o.prefill), "--decode", strconv.Itoa(o.decode), "--runs", "1", "--json"}
	if o.device != "" {
		args = append(args, "--device", o.device)
	}
	out, err := run(ctx, o.kestrel, args...)
	if err != nil {
		return s, err
	}
	var report struct {
		Results []struct {
			Kind string  `json:"kind"`
			TPS  float64 `json:"tps"`
		} `json:"results"`
	}
	if err := json.Unmarshal(out, &report); err != nil {
		return s, fmt.Errorf("kestrel bench's answer: %w", err)
	}
	for _, r := range report.Results {
		if r.Kind == "decode" {
			s.decode = r.TPS
		} else {
			s.prefill = r.TPS
		}
	}
	return s, s.check("kestrel bench")
}

func (s speed) check(who string) error {
	if s.prefill <= 0 || s.decode <= 0 {
		return fmt.Errorf("%s told no speed", who)
	}
	return nil
}
