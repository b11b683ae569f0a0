package cli

import (
	"bytes"
	"strings"
	"testing"

	"kestrel/app/backend/backendtest"
)

// result is what a run printed and returned.
type result struct {
	code     int
	out, err string
}

// call runs the command line over a fake engine, or the one in sys.
func call(t testing.TB, sys IO, input string, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	sys.Out, sys.Err = &out, &errs
	if sys.In == nil {
		sys.In = strings.NewReader(input)
	}
	if sys.Getenv == nil {
		sys.Getenv = func(string) string { return "" }
	}
	code := Run(sys, args)
	return result{code, out.String(), errs.String()}
}

// fake is an engine that answers with text.
func fake(text string) *backendtest.Engine { return backendtest.New(text) }
