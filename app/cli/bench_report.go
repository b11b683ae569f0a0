package cli

import (
	"fmt"
	"text/tabwriter"
)

// benchJSON is the report of bench.
type benchJSON struct {
	Device          string        `json:"device"`
	Driver          string        `json:"driver"`
	Model           string        `json:"model"`
	Quant           string        `json:"quant"`
	CopyGBps        float64       `json:"copy_gbps"`
	FMATFLOPS       float64       `json:"fma_tflops"`
	MatrixTFLOPS    *float64      `json:"matrix_tflops"` // null: the device has no matrix units
	MatrixUnits     bool          `json:"matrix_units"`  // prompts are read on them
	PeakDeviceBytes int64         `json:"peak_device_bytes"`
	LoadSeconds     float64       `json:"load_seconds"`
	LoadGBps        float64       `json:"load_gbps"`
	WeightsSeconds  float64       `json:"weights_seconds"`
	WeightsGBps     float64       `json:"weights_gbps"`
	DiskGBps        *float64      `json:"disk_gbps"`      // null: not measured
	FirstTokenMS    *float64      `json:"first_token_ms"` // null: no prompt was measured
	StateBytes      int64         `json:"state_bytes"`
	StateSaveMS     float64       `json:"state_save_ms"`
	StateRestoreMS  float64       `json:"state_restore_ms"`
	Results         []benchResult `json:"results"`
}

type benchResult struct {
	Kind               string   `json:"kind"`
	Tokens             int      `json:"tokens"`
	Texts              int      `json:"texts"`
	TPS                float64  `json:"tps"`
	GBps               float64  `json:"gbps"`
	TFLOPS             *float64 `json:"tflops"` // null: of decode, which memory limits
	ShareOfLimit       float64  `json:"share_of_limit"`
	DispatchesPerToken *float64 `json:"dispatches_per_token"` // null: not counted for a batch
	BarriersPerToken   *float64 `json:"barriers_per_token"`
	JoulesPerToken     *float64 `json:"joules_per_token"`  // null: the system does not tell the power
	HostMSPerToken     *float64 `json:"host_ms_per_token"` // null: the device has no timestamps
}

func (b *bench) print() error {
	o := b.out
	matrix := "none"
	if o.MatrixTFLOPS != nil {
		matrix = fmt.Sprintf("%.3g TFLOP/s", *o.MatrixTFLOPS)
		if !o.MatrixUnits {
			matrix += " (not used)"
		}
	}
	fmt.Fprintf(b.Out, "%s (%s)\n%s, %s\ncopy %.1f GB/s, multiply-adds %.3g TFLOP/s, matrix units %s, peak device memory %s\n",
		o.Device, o.Driver, o.Model, o.Quant, o.CopyGBps, o.FMATFLOPS, matrix, bytesText(o.PeakDeviceBytes))
	fmt.Fprintf(b.Out, "loaded in %.2f s (%.2f GB/s), of which weights %.2f s (%.2f GB/s", o.LoadSeconds, o.LoadGBps, o.WeightsSeconds, o.WeightsGBps)
	if o.DiskGBps != nil {
		fmt.Fprintf(b.Out, ", %.0f%% of the disk's %.2f", 100*o.WeightsGBps / *o.DiskGBps, *o.DiskGBps)
	}
	fmt.Fprint(b.Out, ")")
	if o.FirstTokenMS != nil {
		fmt.Fprintf(b.Out, ", first token after %.1f ms", *o.FirstTokenMS)
	}
	fmt.Fprintf(b.Out, "; state of %s saved in %.1f ms, restored in %.1f ms\n\n", bytesText(o.StateBytes), o.StateSaveMS, o.StateRestoreMS)
	w := tabwriter.NewWriter(b.Out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "kind\ttexts\ttokens\ttokens/s\tGB/s\tTFLOP/s\tof limit\tdispatches/token\tbarriers\thost ms/token\tJ/token\t")
	for _, r := range o.Results {
		text := func(format string, v *float64) string {
			if v == nil {
				return "-"
			}
			return fmt.Sprintf(format, *v)
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%.1f\t%.2f\t%s\t%.1f%%\t%s\t%s\t%s\t%s\t\n", r.Kind, r.Texts, r.Tokens, r.TPS, r.GBps, text("%.3g", r.TFLOPS),
			100*r.ShareOfLimit, text("%.2f", r.DispatchesPerToken), text("%.2f", r.BarriersPerToken), text("%.3f", r.HostMSPerToken), text("%.3g", r.JoulesPerToken))
	}
	return w.Flush()
}
