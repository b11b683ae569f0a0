package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"kestrel/engine"
	"kestrel/engine/vulkan"
)

type deviceJSON struct {
	Index  int        `json:"index"`
	Name   string     `json:"name"`
	Type   string     `json:"type"`
	Driver string     `json:"driver"`
	Usable bool       `json:"usable"`
	Reason string     `json:"reason"`
	Heaps  []heapJSON `json:"heaps"`
}

type heapJSON struct {
	DeviceLocal bool  `json:"device_local"`
	Size        int64 `json:"size"`
	Budget      int64 `json:"budget"`
	Used        int64 `json:"used"`
}

func (a *app) devicesCommand() *cobra.Command {
	asJSON, validation := false, false
	cmd := &cobra.Command{
		Use:   "devices",
		Short: "List the Vulkan devices, with the reason where one cannot be used",
		Long: `List every Vulkan device of this machine: whether Kestrel can use it, or the
reason why not, and its memory heaps with the budget that the driver grants this
program. Give the index or a part of the name to --device of other commands.`,
		Example: "  kestrel devices\n  kestrel devices --json | jq '.[] | select(.usable) | .name'",
		Args:    none,
		RunE: a.command(func(context.Context, []string) error {
			devices, err := a.Engine.Devices(validation)
			// a machine without a device has an empty list
			if err != nil && !(asJSON && errors.Is(err, engine.ErrNoDevice)) {
				return err
			}
			if asJSON {
				return a.printJSON(devicesJSON(devices))
			}
			if len(devices) == 0 {
				return fmt.Errorf("%w: install your graphics card's Vulkan driver, or Mesa's software driver (Debian: mesa-vulkan-drivers)", engine.ErrNoDevice)
			}
			a.printDevices(devices)
			return nil
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&validation, "validation", false, "turn on the Vulkan validation layer, where it is installed")
	return cmd
}

func devicesJSON(devices []vulkan.DeviceInfo) []deviceJSON {
	out := []deviceJSON{}
	for _, d := range devices {
		j := deviceJSON{Index: d.Index, Name: d.Name, Type: string(d.Type), Driver: driver(d), Usable: d.Usable, Reason: d.Reason, Heaps: []heapJSON{}}
		for _, h := range d.Heaps {
			j.Heaps = append(j.Heaps, heapJSON{h.DeviceLocal, h.Size, h.Budget, h.Used})
		}
		out = append(out, j)
	}
	return out
}

func driver(d vulkan.DeviceInfo) string { return strings.TrimSpace(d.Driver + " " + d.DriverVersion) }

func (a *app) printDevices(devices []vulkan.DeviceInfo) {
	for _, d := range devices {
		fmt.Fprintf(a.Out, "%d  %s (%s, %s, Vulkan %s)\n", d.Index, d.Name, d.Type, driver(d), d.API)
		if !d.Usable {
			fmt.Fprintf(a.Out, "   not usable: %s\n", d.Reason)
		}
		for _, h := range d.Heaps {
			where := "host"
			if h.DeviceLocal {
				where = "device"
			}
			budget := "budget unknown"
			if h.BudgetKnown {
				budget = fmt.Sprintf("%s of %s free", bytesText(h.Free()), bytesText(h.Budget))
			}
			fmt.Fprintf(a.Out, "   %-6s memory %s, %s\n", where, bytesText(h.Size), budget)
		}
	}
}

// printJSON writes v and a line feed.
func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.Out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// table returns a writer that lines columns up; flush it.
func (a *app) table() *tabwriter.Writer { return tabwriter.NewWriter(a.Out, 0, 8, 2, ' ', 0) }

// printProfile prints what each kernel took, the longest first.
func (a *app) printProfile(times []vulkan.KernelTime) {
	total := 0.0
	for _, t := range times {
		total += t.Total.Seconds()
	}
	w := tabwriter.NewWriter(a.Err, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "kernel\truns\ttotal ms\teach µs\tshare\tGB/s\tGFLOP/s\t")
	for _, t := range sortedTimes(times) {
		fmt.Fprintf(w, "%s\t%d\t%.2f\t%.1f\t%.1f%%\t%s\t%s\t\n", t.Name, t.Count, t.Total.Seconds()*1e3,
			t.Total.Seconds()*1e6/float64(max(t.Count, 1)), 100*t.Total.Seconds()/max(total, 1e-12), rate(t.Cost.Bytes, t.Total), rate(t.Cost.FLOP, t.Total))
	}
	fmt.Fprintf(w, "all\t\t%.2f\t\t\t\t\t\n", total*1e3)
	w.Flush()
}

// rate is an amount a second in billions; "-" where none was said.
func rate(amount float64, in time.Duration) string {
	if amount == 0 || in <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", amount/in.Seconds()/1e9)
}
