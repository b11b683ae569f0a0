package engine_test

import (
	"context"
	"errors"
	"testing"

	"kestrel/engine"
	"kestrel/engine/reference/golden"
)

// TestMatrixUnits reads transformers' prompts on cooperative matrices: the logits are as near as binary16 comes, and the
// memory is what was foretold. Asked for where there are none, they are refused with the way out.
func TestMatrixUnits(t *testing.T) {
	o := options(t)
	o.MatrixUnits = "on"
	m, err := engine.OpenFS(context.Background(), demoFloats, ".", o)
	if errors.Is(err, engine.ErrDevice) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for _, p := range golden.Prompts(t, "testdata/demo-golden.json") {
		last := len(p.Positions) - 1
		s := read(t, m, p.IDs)
		if f := far(logits(t, s), p.Logits[last]); !(f < 2e-2) || f < 1e-6 && len(p.IDs) >= 16 {
			t.Errorf("%d tokens: logits differ by %.2g of their RMS", len(p.IDs), f)
		}
	}
}

// TestMatrixUnitsRefused: what is no choice is said.
func TestMatrixUnitsRefused(t *testing.T) {
	o := options(t)
	o.MatrixUnits = "perhaps"
	if m, err := engine.OpenFS(context.Background(), demoFloats, ".", o); err == nil {
		m.Close()
		t.Error("matrix units \"perhaps\" are taken")
	}
}
