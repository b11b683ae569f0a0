package display

import (
	"errors"
	"runtime"
	"strings"
	"testing"
)

func TestNoDisplay(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells by the environment")
	}
	for _, c := range []struct {
		env  map[string]string
		want string
	}{
		{nil, "there is no display"},
		{map[string]string{"WAYLAND_DISPLAY": "wayland-0"}, "Xwayland"},
	} {
		_, err := Check(func(name string) string { return c.env[name] })
		if !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want an ErrNone with %q", c.env, err, c.want)
		}
	}
}
