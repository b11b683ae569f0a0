// Package display finds out whether a window can be opened, before Fyne tries
// to: Fyne ends the program where there is no display or no OpenGL.
package display

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/go-gl/glfw/v3.4/glfw"
)

// ErrNone is a machine on which no window can be opened.
var ErrNone = errors.New("no window can be opened")

// Screen is the size of the screen that windows have, in Fyne's units; zero
// where it is not known.
type Screen struct{ Width, Height float32 }

// Check opens a hidden window as Fyne would, closes it again and gives the size
// of the screen. It must be called from the main goroutine. Its error is an
// ErrNone.
func Check(getenv func(string) string) (Screen, error) {
	if runtime.GOOS == "linux" && getenv("DISPLAY") == "" {
		if getenv("WAYLAND_DISPLAY") != "" {
			return Screen{}, fmt.Errorf("%w: DISPLAY is not set; on a Wayland desktop install Xwayland", ErrNone)
		}
		return Screen{}, fmt.Errorf("%w: there is no display (DISPLAY is not set)", ErrNone)
	}
	if runtime.GOOS == "linux" {
		glfw.InitHint(glfw.PlatformHint, int(glfw.PlatformX11))
	}
	if err := glfw.Init(); err != nil {
		return Screen{}, fmt.Errorf("%w: the display %s does not answer: %w", ErrNone, getenv("DISPLAY"), err)
	}
	// GLFW stays initialized: Fyne uses it as it is, and a second start would cost time.
	glfw.WindowHint(glfw.Visible, glfw.False)
	if runtime.GOARCH == "arm" || runtime.GOARCH == "arm64" && runtime.GOOS != "darwin" { // as Fyne has it
		glfw.WindowHint(glfw.ClientAPI, glfw.OpenGLESAPI)
		glfw.WindowHint(glfw.ContextVersionMajor, 2)
		glfw.WindowHint(glfw.ContextVersionMinor, 0)
	} else {
		glfw.WindowHint(glfw.ContextVersionMajor, 2)
		glfw.WindowHint(glfw.ContextVersionMinor, 1)
	}
	w, err := glfw.CreateWindow(16, 16, "", nil, nil)
	glfw.DefaultWindowHints()
	if err != nil {
		glfw.Terminate()
		return Screen{}, fmt.Errorf("%w: there is no OpenGL on the display; install its driver (Debian: libgl1-mesa-dri): %w", ErrNone, err)
	}
	w.Destroy()
	return screen(), nil
}

func screen() Screen {
	m := glfw.GetPrimaryMonitor()
	if m == nil {
		return Screen{}
	}
	_, _, width, height := m.GetWorkarea()
	scale, _ := m.GetContentScale()
	if scale < 1 {
		scale = 1
	}
	return Screen{float32(width) / scale, float32(height) / scale}
}
