package backend

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"kestrel/app/library"
	"kestrel/assets"
	"kestrel/engine/checkpoint"
)

// Builtin is the name of the model in the program itself.
const Builtin = "demo"

// Locate returns the path of the model that --model names: a path, else a
// name of the library. A path goes first, so that what is on the disk can always be
// named.
func Locate(name string) (string, error) {
	_, err := os.Stat(name)
	if err == nil {
		return name, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("model %q: %w", name, err)
	}
	missing := fmt.Errorf("no model %q: there is no such file or folder, nor a model of this name in the library; "+
		"'kestrel model list' shows those that are, %s", name, pullHint(name))
	l, err := library.Open(os.Getenv)
	if err != nil { // a machine without a place for user data has no library
		return "", missing
	}
	path, err := l.Resolve(name)
	if errors.Is(err, library.ErrNotFound) {
		return "", missing
	}
	return path, err
}

// pullHint says how to get a model that is not there.
func pullHint(name string) string {
	if ref, err := library.ParseRef(name); err == nil {
		return fmt.Sprintf("'kestrel model pull %s' gets it", ref.Name())
	}
	return "'kestrel model pull' gets others"
}

// randomModel reads "random:SHAPE:PRECISION", a model of random weights; the precision is f16 where it is left out.
func randomModel(name string) (shape, precision string, ok bool) {
	rest, ok := strings.CutPrefix(name, "random:")
	shape, precision, _ = strings.Cut(rest, ":")
	if precision == "" {
		precision = "f16"
	}
	return shape, precision, ok
}

// ShortName is what people call the model that --model names: the last part of
// its name or path, without what names the publisher, the revision or the kind
// of file.
func ShortName(opened string) string {
	if _, _, ok := randomModel(opened); ok {
		return opened
	}
	if opened == "." || opened == ".." { // a folder that is called otherwise
		if abs, err := filepath.Abs(opened); err == nil {
			opened = abs
		}
	}
	name := strings.TrimRight(opened, `/\`)
	if i := strings.LastIndexAny(name, `/\:`); i >= 0 {
		name = name[i+1:]
	}
	if base, _, ok := strings.Cut(name, "@"); ok && base != "" {
		name = base
	}
	for _, ext := range []string{".gguf", ".safetensors"} {
		if len(name) > len(ext) && strings.EqualFold(name[len(name)-len(ext):], ext) {
			name = name[:len(name)-len(ext)]
		}
	}
	return name
}

// sayNothing are names of files that are alike for all models: those that tools
// give, and hashes.
var sayNothing = regexp.MustCompile(`^(?i:(ggml-)?model([-._].*)?|consolidated|pytorch_model|(sha256[-:])?[0-9a-f]{16,}|)$`)

// displayName is the name of a model for people: the one it was opened by, which
// they gave it or chose it by, or its own where that one says nothing. A
// file's own is often its architecture's, or that of the folder of a
// stranger.
func displayName(opened, own string) string {
	if name := ShortName(opened); !sayNothing.MatchString(name) || own == "" {
		return name
	}
	return own
}

// Describe opens a model's files and says what they hold.
func (Vulkan) Describe(name string) (Description, error) {
	ck, err := OpenCheckpoint(name)
	if err != nil {
		return Description{}, err
	}
	defer ck.Close()
	return DescribeCheckpoint(ck), nil
}

// DescribeCheckpoint is Vulkan.Describe of a model that is open already.
func DescribeCheckpoint(ck *checkpoint.Checkpoint) Description {
	c := ck.Config
	d := Description{
		Name: ck.Files.Name, Config: c, ChatTemplate: ck.Files.ChatTemplate != "",
		StateBytes: 4 * int64(c.Layers) * int64(c.Inner) * int64(c.State+c.Conv-1),
	}
	bytes := map[string]int64{}
	for _, t := range ck.Tensors() {
		d.Parameters += int64(t.Elements())
		d.WeightBytes += t.Size()
		bytes[strings.ToLower(t.DType.String())] += t.Size()
	}
	names := slices.SortedFunc(maps.Keys(bytes), func(a, b string) int { return cmp.Compare(bytes[b], bytes[a]) })
	d.Precision = strings.Join(names, "+")
	return d
}

// OpenCheckpoint opens a model's files alone, without a device.
func OpenCheckpoint(name string) (*checkpoint.Checkpoint, error) {
	if name == Builtin {
		return checkpoint.OpenBytes(Builtin, assets.Demo)
	}
	if shape, precision, ok := randomModel(name); ok {
		return checkpoint.OpenRandom(shape, precision)
	}
	path, err := Locate(name)
	if err != nil {
		return nil, err
	}
	return checkpoint.Open(path)
}
