package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"kestrel/engine/weights"
	"kestrel/engine/weights/bnb"
	"kestrel/engine/weights/gguf"
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

// OpenBytes opens a GGUF file that is in memory, such as one embedded in the
// program, where it lies: nothing of it is copied, and data must stay as it is
// until Close. name stands for it in messages.
func OpenBytes(name string, data []byte) (*Checkpoint, error) {
	f, err := gguf.OpenBytes(name, data)
	if err != nil {
		return nil, err
	}
	return ofGGUF(f)
}

func open(folder weights.Folder, name string) (*Checkpoint, error) {
	if name == "" || name == "config.json" {
		return openFolder(folder)
	}
	magic, err := folder.Head(name, 4)
	switch {
	case err != nil:
		return nil, err
	case string(magic) == "GGUF":
		return openGGUF(folder, name)
	case isTorch(name):
		return nil, torchError(folder.File(name))
	case !strings.HasSuffix(name, ".safetensors") && !strings.HasSuffix(name, ".safetensors.index.json"):
		return nil, &weights.FileError{Kind: weights.ErrBadModel, File: folder.File(name), Problem: "neither a GGUF file nor a .safetensors file",
			Way: "open one of these, or a model folder"}
	}
	return openHF(folder, name)
}

// openFolder opens the safetensors model of a folder, or else its one GGUF
// file, or tells what is the matter with a folder that has neither.
func openFolder(folder weights.Folder) (*Checkpoint, error) {
	name, err := safetensors.Find(folder)
	if err == nil {
		return openHF(folder, name)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	names, err := folder.Names()
	if err != nil {
		return nil, err
	}
	var ggufs, torch []string
	for _, n := range names {
		if strings.EqualFold(filepath.Ext(n), ".gguf") {
			ggufs = append(ggufs, n)
		}
		if isTorch(n) {
			torch = append(torch, n)
		}
	}
	fail := func(kind error, problem, way string) error {
		return &weights.FileError{Kind: kind, File: folder.Path(), Problem: problem, Way: way, Cause: fs.ErrNotExist}
	}
	switch {
	case len(ggufs) == 1:
		return openGGUF(folder, ggufs[0])
	case len(ggufs) > 1:
		return nil, &weights.FileError{Kind: weights.ErrBadModel, File: folder.Path(),
			Problem: "more than one model: " + strings.Join(ggufs, ", "), Way: "name the file to open"}
	case !folder.Has("config.json"):
		return nil, fail(weights.ErrBadModel, "no model in this folder", "a model folder has config.json and .safetensors files, or a .gguf file")
	}
	if _, _, err := readConfig(folder); err != nil { // that it is no Mamba at all is the more useful answer
		return nil, err
	}
	if len(torch) > 0 {
		return nil, torchError(folder.File(torch[0]))
	}
	return nil, fail(weights.ErrMissingTensor, "config.json, but no weights",
		"download model.safetensors, or all shards with model.safetensors.index.json")
}

func readConfig(folder weights.Folder) (Config, sizes, error) {
	data, err := folder.Read("config.json", maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		err = &weights.FileError{Kind: weights.ErrBadModel, File: folder.File("config.json"), Problem: "missing beside the weights",
			Way: "download it into their folder", Cause: fs.ErrNotExist}
	}
	if err != nil {
		return Config{}, sizes{}, err
	}
	return parseConfig(folder.File("config.json"), data)
}

// openHF opens a .safetensors file, or an index of shards, beside config.json.
func openHF(folder weights.Folder, name string) (*Checkpoint, error) {
	cfg, want, err := readConfig(folder)
	if err != nil {
		return nil, err
	}
	src, err := safetensors.OpenIn(folder, name)
	if err != nil {
		return nil, err
	}
	four, err := bnb.Open(src)
	if err == nil {
		err = want.checkFourBit(four, folder.File("config.json"))
	}
	if err != nil {
		src.Close()
		return nil, err
	}
	c := &Checkpoint{Config: cfg, source: four, path: folder.Path(), Warnings: four.Warnings()}
	if strings.HasSuffix(name, ".safetensors") && name != "model.safetensors" {
		c.path = folder.File(name) // a folder may hold several
	}
	err = c.readFiles(folder)
	if err == nil {
		err = c.load(four, hfNaming(hfPrefix(four)), want)
	}
	if err != nil {
		src.Close()
		return nil, err
	}
	return c, nil
}

// checkFourBit compares what config.json says of quantization with the tensors.
func (s sizes) checkFourBit(src *bnb.Source, file string) error {
	types := src.Types()
	if s.fourBit == "" || slices.Contains(types, s.fourBit) {
		return nil
	}
	found := "none of the tensors is"
	if len(types) > 0 {
		found = "the tensors are " + types[0]
	}
	return &weights.FileError{Kind: weights.ErrBadModel, File: file,
		Problem: fmt.Sprintf("quantization_config says %s, but %s", s.fourBit, found),
		Way:     "the files are of different models; download all of them again"}
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

// modelName derives a name from the path where the files give none. In the
// cache of Hugging Face's hub the folder's own name is a hash; the model's
// stands in ".../models--tiiuae--falcon-mamba-7b/snapshots/HASH".
func modelName(path string) string {
	if path == "." { // the root of an embedded model
		return ""
	}
	dir, base := filepath.Split(filepath.Clean(path))
	dir = filepath.Clean(dir)
	if repo, ok := strings.CutPrefix(filepath.Base(filepath.Dir(dir)), "models--"); ok && filepath.Base(dir) == "snapshots" {
		return repo[strings.LastIndex(repo, "--")+len("--"):]
	}
	return strings.TrimSuffix(strings.TrimSuffix(base, ".safetensors"), ".gguf")
}

var errNoDefault = errors.New(`a list of chat templates without one named "default"`)

func badFile(file string, err error) error {
	return &weights.FileError{Kind: weights.ErrBadModel, File: file, Problem: fmt.Sprint(err)}
}
