package cli

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// TestWindow: what opens the window with what, and where one goes without it.
func TestWindow(t *testing.T) {
	none := fmt.Errorf("%w: there is no display", ErrNoDisplay)
	for _, test := range []struct {
		name, args string
		terminal   bool
		env        string
		fails      error
		want       *WindowRequest
		code       int
		out, err   string // pieces
	}{
		{name: "no argument", want: &WindowRequest{}},
		{name: "files", args: "window a.txt b.pdf", want: &WindowRequest{Files: []string{"a.txt", "b.pdf"}}},
		{name: "a model", args: "window --model m --device 1 --quant q4_k", want: &WindowRequest{Files: []string{}, Model: "m", Device: "1", Quant: "q4_k"}},
		{name: "the environment's model", env: "e", want: &WindowRequest{Model: "e"}},
		{name: "bad precision", args: "window --quant q99", code: 2, err: "--quant"},
		{name: "no display, in a terminal", terminal: true, fails: none, want: &WindowRequest{}, out: "hi", err: "there is no display; this is the chat in the terminal"},
		{name: "no display, in a pipe", fails: none, want: &WindowRequest{}, code: 2, err: "no command was given"},
		{name: "no display, asked for", args: "window", fails: none, want: &WindowRequest{Files: []string{}}, code: 1, err: "there is no display; 'kestrel chat'"},
		{name: "another failure", fails: errors.New("the disk is full"), want: &WindowRequest{}, code: 1, err: "the disk is full"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got *WindowRequest
			sys := IO{Engine: fake("hi"), InTerminal: test.terminal, OutTerminal: test.terminal,
				Getenv: func(name string) string { return map[string]string{"KESTREL_MODEL": test.env}[name] },
				Window: func(r WindowRequest) error { got = &r; return test.fails }}
			r := call(t, sys, "Hello\n", strings.Fields(test.args)...)
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("the window was asked for %+v, want %+v", got, test.want)
			}
			if r.code != test.code || !strings.Contains(r.out, test.out) || !strings.Contains(r.err, test.err) {
				t.Errorf("code %d, stdout %q, stderr %q; want %d, %q, %q", r.code, r.out, r.err, test.code, test.out, test.err)
			}
		})
	}
}
