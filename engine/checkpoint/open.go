package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"kestrel/engine/weights"
	"kestrel/engine/weights/safetensors"
)

// Open opens the model at path: a folder in the Hugging Face layout, a
// .safetensors file beside its config.json, a GGUF file, or a folder with
// nothing but one GGUF file.
//
// Errors: weights.ErrBadModel, ErrUnsupported and ErrMissingTensor, each
// naming file, tensor and the way out; fs.ErrNotExist for a wrong path.
func Open(path string) (*Checkpoint, error) {
	folder, name, err := weights.Locate(path)
	if err != nil {
		return nil, err
	}
	return open(folder, name)
}

// OpenFS opens the model name ("." for the root) in fsys, such as an embedded
// one. Its files are read into memory; nothing is written to disk.
func OpenFS(fsys fs.FS, name string) (*Checkpoint, error) {
	folder, file, err := weights.LocateFS(fsys, name)
	if err != nil {
		return nil, err
	}
	return open(folder, file)
}

func open(folder weights.Folder, name string) (*Checkpoint, error) {
	if name == "" && !folder.Has("config.json") {
		var err error
		if name, err = onlyGGUF(folder); err != nil {
			return nil, err
		}
	}
	if name == "" {
		return openHF(folder, "")
	}
	magic, err := folder.Head(name, 4)
	switch {
	case err != nil:
		return nil, err
	case string(magic) == "GGUF":
		return openGGUF(folder, name)
	case isTorch(name):
		return nil, torchError(folder.File(name))
	case name == "config.json" || strings.HasSuffix(name, ".safetensors.index.json"):
		return openHF(folder, "")
	}
	return openHF(folder, name)
}

// onlyGGUF returns the one GGUF file of a folder, "" where there is none.
func onlyGGUF(folder weights.Folder) (string, error) {
	names, err := folder.Names()
	if err != nil {
		return "", err
	}
	var found []string
	for _, n := range names {
		if strings.EqualFold(filepath.Ext(n), ".gguf") {
			found = append(found, n)
		}
	}
	if len(found) > 1 {
		return "", &weights.FileError{Kind: weights.ErrBadModel, File: folder.Path(),
			Problem: "more than one model: " + strings.Join(found, ", "), Way: "name the file to open"}
	}
	return strings.Join(found, ""), nil
}

// openHF opens a folder with config.json; name is a file in it, or "".
func openHF(folder weights.Folder, name string) (*Checkpoint, error) {
	data, err := folder.Read("config.json", maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &weights.FileError{Kind: weights.ErrBadModel, File: folder.Path(), Problem: "no config.json",
			Way: "open a model folder with config.json beside the weights, or a .gguf file", Cause: fs.ErrNotExist}
	}
	if err != nil {
		return nil, err
	}
	cfg, want, err := parseConfig(folder.File("config.json"), data)
	if err != nil {
		return nil, err
	}
	if name == "" {
		if name, err = findWeights(folder); err != nil {
			return nil, err
		}
	}
	src, err := safetensors.OpenIn(folder, name)
	if err != nil {
		return nil, err
	}
	c := &Checkpoint{Config: cfg, source: src}
	if err := c.load(src, hfNaming(hfPrefix(src)), want); err != nil {
		src.Close()
		return nil, err
	}
	if err := c.readFiles(folder); err != nil {
		src.Close()
		return nil, err
	}
	return c, nil
}

// findWeights names the weights of a folder, and tells what is the matter
// with one that has none Kestrel reads.
func findWeights(folder weights.Folder) (string, error) {
	name, err := safetensors.Find(folder)
	if !errors.Is(err, fs.ErrNotExist) {
		return name, err
	}
	names, _ := folder.Names()
	for _, n := range names {
		if isTorch(n) {
			return "", torchError(folder.File(n))
		}
	}
	return "", &weights.FileError{Kind: weights.ErrMissingTensor, File: folder.Path(), Problem: "config.json, but no weights",
		Way: "download model.safetensors, or all shards with model.safetensors.index.json", Cause: fs.ErrNotExist}
}

func isTorch(name string) bool {
	switch filepath.Ext(name) {
	case ".bin", ".pt", ".pth", ".ckpt":
		return true
	}
	return strings.HasSuffix(name, ".bin.index.json")
}

func torchError(file string) error {
	return &weights.FileError{Kind: weights.ErrUnsupported, File: file,
		Problem: "PyTorch pickle files can run code when opened, so Kestrel does not read them",
		Way: "convert the model to safetensors, in Python: " +
			`AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(FOLDER, safe_serialization=True)`}
}

// hfPrefix is "backbone.", or "" in a file saved from the bare model.
func hfPrefix(src weights.Source) string {
	for _, n := range src.Names() {
		if strings.HasPrefix(n, "backbone.") {
			return "backbone."
		}
	}
	for _, n := range src.Names() {
		if n == "embeddings.weight" || n == "embedding.weight" {
			return ""
		}
	}
	return "backbone."
}

// modelName derives a name from the path where the files give none.
func modelName(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		abs = path
	}
	base := filepath.Base(abs)
	for _, ext := range []string{".safetensors", ".gguf"} {
		base = strings.TrimSuffix(base, ext)
	}
	return base
}

var errNoDefault = errors.New(`a list of chat templates without one named "default"`)

func badFile(file string, err error) error {
	return &weights.FileError{Kind: weights.ErrBadModel, File: file, Problem: fmt.Sprint(err)}
}
