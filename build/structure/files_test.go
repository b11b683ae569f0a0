package structure

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	goodLength = 400 // lines; one idea rarely needs more
	mostLines  = 600
)

var sourceExt = []string{".go", ".c", ".h", ".comp", ".glsl", ".sh", ".py"}

// tracked returns the files of the repository as git knows them: those added
// and those about to be.
func tracked(t *testing.T) []string {
	t.Helper()
	if _, err := os.Stat("../../.git"); err != nil {
		t.Skip("not a clone, so git cannot name the files")
	}
	cmd := exec.CommandContext(t.Context(), "git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	var files []string
	folders := map[string]bool{}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if info, err := os.Lstat(filepath.Join("../..", name)); err == nil && info.Mode().IsRegular() {
			files = append(files, name)
			folders[filepath.Dir(name)] = true
		}
	}
	// go test reuses a result while what the test opened is unchanged: opening
	// the folders lets it see new files.
	for dir := range folders {
		if _, err := os.ReadDir(filepath.Join("../..", dir)); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func TestFilesAreShort(t *testing.T) {
	for _, name := range tracked(t) {
		if !slices.Contains(sourceExt, filepath.Ext(name)) {
			continue
		}
		data, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		lines := bytes.Count(data, []byte("\n"))
		if lines > mostLines {
			t.Errorf("%s has %d lines: split it, one idea a file, under %d lines", name, lines, goodLength)
		} else if lines > goodLength {
			t.Logf("%s has %d lines, better under %d", name, lines, goodLength)
		}
	}
}

// machinePath matches paths below someone's home or a build machine's work
// folder; the pieces keep this file from matching itself.
var machinePath = regexp.MustCompile(`(^|[^A-Za-z0-9_.~/$}-])/(?:ro` + `ot|wo` + `rk|ho` + `me/[a-z][a-z0-9_-]*|Us` + `ers/[A-Za-z][A-Za-z0-9_-]*)/[A-Za-z0-9_.]`)

// findMachinePath returns the first match; the plain search first keeps large
// files cheap.
func findMachinePath(data []byte) []byte {
	for _, part := range []string{"/ro" + "ot/", "/wo" + "rk/", "/ho" + "me/", "/Us" + "ers/"} {
		if bytes.Contains(data, []byte(part)) {
			return machinePath.Find(data)
		}
	}
	return nil
}

func TestNoPathOfABuildMachine(t *testing.T) {
	here, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range tracked(t) {
		data, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		if m := findMachinePath(data); m != nil {
			t.Errorf("%s holds a path of a machine: %q", name, m)
		}
		// A path of one folder, as /src, may well stand in a text by chance.
		if strings.Count(filepath.ToSlash(here), "/") > 1 && bytes.Contains(data, []byte(here)) {
			t.Errorf("%s holds the path of this clone: %s", name, here)
		}
	}
}

func TestMachinePath(t *testing.T) {
	for text, want := range map[string]bool{
		"see /ro" + "ot/x":           true,
		"\"/wo" + "rk/main\"":        true,
		"/ho" + "me/ann/models":      true,
		"open /Us" + "ers/Ann/x.bin": true,
		"build/wo" + "rk/x":          false,
		"$HO" + "ME/wo" + "rk/x":     false,
		"/usr/share/vulkan/icd.d":    false,
		"the /ho" + "me folder":      false,
	} {
		if got := findMachinePath([]byte(text)) != nil; got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
